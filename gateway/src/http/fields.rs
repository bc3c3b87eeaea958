//! The header lines of a message: order and spelling kept, cheap to look up, to edit and to write.
//!
//! All bytes live in one buffer; a line is a slot of 16 bytes with offsets into it and the number of its name.
//! An edit appends to the buffer and points the slot there. Nothing is hashed, and a message that is reused
//! reuses its memory. Lines stand in the buffer as they stand on the wire, so that those which go on unchanged
//! are written together, in one copy.

use super::http1::encode::line;
use super::name::{FieldName, Name, NameSet};

/// Header lines. Also used for trailers.
#[derive(Debug, Clone, Default)]
pub struct Fields {
    buffer: Vec<u8>,
    slots: Vec<Slot>,
    /// One bit per name that was ever added: most questions are about names that are not there.
    seen: u64,
}

#[derive(Debug, Clone, Copy)]
struct Slot {
    name_start: u32,
    value_start: u32,
    value_length: u32,
    name_length: u16,
    name: Name,
    /// The line stands in the buffer exactly as it is written on the wire.
    canonical: bool,
}

/// One header line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Field<'a> {
    /// The number of the name.
    pub id: Name,
    /// The name as it was received or set.
    pub name: &'a [u8],
    /// The value without the blanks around it.
    pub value: &'a [u8],
}

/// The name of a line that is there already.
impl FieldName for Field<'_> {
    #[inline]
    fn id(&self) -> Name {
        self.id
    }
    #[inline]
    fn text(&self) -> &[u8] {
        self.name
    }
}

/// A stretch of the buffer, for parts of a head that are no header lines.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Span {
    pub(super) start: u32,
    pub(super) length: u32,
}

impl Fields {
    /// Forgets everything and keeps the memory.
    pub fn clear(&mut self) {
        self.buffer.clear();
        self.slots.clear();
        self.seen = 0;
    }

    /// How many lines there are.
    pub fn len(&self) -> usize {
        self.slots.len()
    }

    pub fn is_empty(&self) -> bool {
        self.slots.is_empty()
    }

    /// At most so many bytes are needed to write all lines.
    pub fn size(&self) -> usize {
        self.buffer.len()
    }

    /// The lines in order.
    pub fn iter(&self) -> impl Iterator<Item = Field<'_>> + Clone {
        self.slots.iter().map(|slot| self.field(slot))
    }

    /// The value of the first line of that name.
    #[inline]
    pub fn get(&self, name: impl FieldName) -> Option<&[u8]> {
        let id = name.id();
        if !self.may_contain(id) {
            return None;
        }
        let slot = self.slots.iter().find(|slot| self.is(slot, id, &name))?;
        Some(self.value(slot))
    }

    /// The value of the first line of that name, when it is UTF-8.
    pub fn get_str(&self, name: impl FieldName) -> Option<&str> {
        self.get(name).and_then(|value| std::str::from_utf8(value).ok())
    }

    /// The values of all lines of that name, in order.
    pub fn get_all<'a>(&'a self, name: impl FieldName + 'a) -> impl Iterator<Item = &'a [u8]> + 'a {
        let id = name.id();
        let slots = if self.may_contain(id) { &self.slots[..] } else { &[] };
        slots.iter().filter(move |slot| self.is(slot, id, &name)).map(|slot| self.value(slot))
    }

    /// Whether there is a line of that name.
    #[inline]
    pub fn contains(&self, name: impl FieldName) -> bool {
        let id = name.id();
        self.may_contain(id) && self.slots.iter().any(|slot| self.is(slot, id, &name))
    }

    /// Whether any of these names was ever added; for skipping work that is seldom needed.
    #[inline]
    pub fn may_contain_any(&self, names: NameSet) -> bool {
        self.seen & names.bits() != 0
    }

    /// Adds a line at the end.
    pub fn append(&mut self, name: impl FieldName, value: impl AsRef<[u8]>) {
        let (text, value) = (name.text(), value.as_ref());
        self.seen |= NameSet::of(&[name.id()]).bits();
        self.buffer.reserve(text.len() + value.len() + 4);
        let name_start = self.write(text);
        self.buffer.extend_from_slice(b": ");
        let value_start = self.write(value);
        self.buffer.extend_from_slice(b"\r\n");
        self.slots.push(Slot {
            name_start,
            value_start,
            value_length: value.len() as u32,
            name_length: text.len() as u16,
            name: name.id(),
            canonical: true,
        });
    }

    /// Makes this the only line of that name, in the place of the first one, else at the end.
    pub fn set(&mut self, name: impl FieldName, value: impl AsRef<[u8]>) {
        let id = name.id();
        let known = self.may_contain(id);
        let first = if known { self.slots.iter().position(|slot| self.is(slot, id, &name)) } else { None };
        let Some(first) = first else { return self.append(name, value) };
        let value = value.as_ref();
        let value_start = self.write(value);
        let slot = &mut self.slots[first];
        slot.value_start = value_start;
        slot.value_length = value.len() as u32;
        slot.canonical = false;
        self.remove_after(first + 1, id, &name);
    }

    /// Sets every line of another message, in its order. A name that comes twice there does so here.
    pub fn set_all(&mut self, others: &Fields) {
        if self.seen & others.seen != 0 {
            for (at, field) in others.iter().enumerate() {
                if others.slots[..at].iter().any(|earlier| others.is(earlier, field.id, &field)) {
                    self.append(field, field.value);
                } else {
                    self.set(field, field.value);
                }
            }
            return;
        }
        // No name is in both, so nothing has to be looked for.
        let moved_by = self.buffer.len() as u32;
        self.buffer.extend_from_slice(&others.buffer);
        self.slots.extend(others.slots.iter().map(|slot| Slot {
            name_start: slot.name_start + moved_by,
            value_start: slot.value_start + moved_by,
            ..*slot
        }));
        self.seen |= others.seen;
    }

    /// Removes all lines of that name. Says whether there were any.
    pub fn remove(&mut self, name: impl FieldName) -> bool {
        let id = name.id();
        if !self.may_contain(id) {
            return false;
        }
        let before = self.slots.len();
        self.remove_after(0, id, &name);
        self.slots.len() < before
    }

    /// Keeps the lines the test says yes to.
    pub fn retain(&mut self, mut keep: impl FnMut(Field<'_>) -> bool) {
        let buffer = &self.buffer;
        self.slots.retain(|slot| keep(field(buffer, slot)));
    }

    /// Writes the lines the test says yes to. Neighbours that stand in the buffer as they are to be written leave in
    /// one copy.
    pub fn write_lines(&self, out: &mut Vec<u8>, mut wanted: impl FnMut(Field<'_>) -> bool) {
        let mut run = 0..0;
        for slot in &self.slots {
            if !wanted(self.field(slot)) {
                continue;
            }
            if !slot.canonical {
                out.extend_from_slice(&self.buffer[run]);
                run = 0..0;
                let field = self.field(slot);
                line(out, field.name, field.value);
                continue;
            }
            let start = slot.name_start as usize;
            if start != run.end {
                out.extend_from_slice(&self.buffer[run.clone()]);
                run.start = start;
            }
            run.end = (slot.value_start + slot.value_length) as usize + 2;
        }
        out.extend_from_slice(&self.buffer[run]);
    }

    /// Takes over the bytes of a parsed head in one copy; slots are then added by [`push_slot`](Self::push_slot).
    pub(super) fn adopt(&mut self, raw: &[u8]) {
        self.clear();
        self.buffer.extend_from_slice(raw);
    }

    /// A line at known places of the adopted bytes.
    pub(super) fn push_slot(&mut self, name: Span, value: Span) {
        let id = Name::of(self.span(name));
        self.seen |= NameSet::of(&[id]).bits();
        let (name_end, value_end) = (name.start + name.length, value.start + value.length);
        let between = self.buffer.get(name_end as usize..value.start as usize);
        let behind = self.buffer.get(value_end as usize..value_end as usize + 2);
        self.slots.push(Slot {
            name_start: name.start,
            value_start: value.start,
            value_length: value.length,
            name_length: name.length as u16,
            name: id,
            canonical: between == Some(b": ") && behind == Some(b"\r\n"),
        });
    }

    pub(super) fn add_span(&mut self, bytes: &[u8]) -> Span {
        Span { start: self.write(bytes), length: bytes.len() as u32 }
    }

    pub(super) fn span(&self, span: Span) -> &[u8] {
        &self.buffer[span.start as usize..][..span.length as usize]
    }

    #[inline]
    fn may_contain(&self, id: Name) -> bool {
        self.may_contain_any(NameSet::of(&[id]))
    }

    fn write(&mut self, bytes: &[u8]) -> u32 {
        let start = self.buffer.len() as u32;
        self.buffer.extend_from_slice(bytes);
        start
    }

    fn remove_after(&mut self, start: usize, id: Name, name: &impl FieldName) {
        let mut at = start;
        while at < self.slots.len() {
            if self.is(&self.slots[at], id, name) {
                self.slots.remove(at);
            } else {
                at += 1;
            }
        }
    }

    #[inline]
    fn is(&self, slot: &Slot, id: Name, name: &impl FieldName) -> bool {
        slot.name == id
            && (id != Name::Other
                || self.buffer[slot.name_start as usize..][..usize::from(slot.name_length)]
                    .eq_ignore_ascii_case(name.text()))
    }

    fn value(&self, slot: &Slot) -> &[u8] {
        &self.buffer[slot.value_start as usize..][..slot.value_length as usize]
    }

    fn field(&self, slot: &Slot) -> Field<'_> {
        field(&self.buffer, slot)
    }
}

fn field<'a>(buffer: &'a [u8], slot: &Slot) -> Field<'a> {
    Field {
        id: slot.name,
        name: &buffer[slot.name_start as usize..][..usize::from(slot.name_length)],
        value: &buffer[slot.value_start as usize..][..slot.value_length as usize],
    }
}

/// Equal when the same lines come in the same order, whatever the buffers look like.
impl PartialEq for Fields {
    fn eq(&self, other: &Fields) -> bool {
        self.iter().eq(other.iter())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(fields: &Fields) -> Vec<(String, String)> {
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
        fields.iter().map(|field| (text(field.name), text(field.value))).collect()
    }

    #[test]
    fn keeps_order_and_spelling() {
        let mut fields = Fields::default();
        fields.append("x-b", "1");
        fields.append("HOST", "a");
        fields.append("X-B", "2");
        assert_eq!(
            lines(&fields),
            [("x-b", "1"), ("HOST", "a"), ("X-B", "2")].map(|(n, v)| (n.to_owned(), v.to_owned()))
        );
        assert_eq!(fields.get(Name::Host), Some(&b"a"[..]));
        assert_eq!(fields.get_all("X-b").collect::<Vec<_>>(), [b"1", b"2"]);
    }

    #[test]
    fn set_replaces_the_first_and_removes_the_rest() {
        let mut fields = Fields::default();
        for (name, value) in [("a", "1"), ("b", "2"), ("A", "3")] {
            fields.append(name, value);
        }
        fields.set("A", "new");
        fields.set("c", "4");
        assert_eq!(
            lines(&fields),
            [("a", "new"), ("b", "2"), ("c", "4")].map(|(n, v)| (n.to_owned(), v.to_owned()))
        );
        assert!(fields.remove("a"));
        assert!(!fields.remove("a"));
        assert_eq!(fields.len(), 2);
    }

    #[test]
    fn lines_of_another_message_are_set_whether_names_are_in_both_or_not() {
        let of = |all: &[(&str, &str)]| {
            let mut fields = Fields::default();
            for (name, value) in all {
                fields.append(*name, value);
            }
            fields
        };
        let mut others = of(&[("X-A", "1"), ("Date", "2"), ("Set-Cookie", "a"), ("Set-Cookie", "b")]);
        others.set("X-A", "3");
        for (before, after) in [
            (
                of(&[("Server", "s")]),
                &b"Server: s\r\nX-A: 3\r\nDate: 2\r\nSet-Cookie: a\r\nSet-Cookie: b\r\n"[..],
            ),
            (
                of(&[("x-a", "old"), ("X-B", "4"), ("set-cookie", "c")]),
                b"x-a: 3\r\nX-B: 4\r\nset-cookie: a\r\nDate: 2\r\nSet-Cookie: b\r\n",
            ),
        ] {
            let mut fields = before;
            fields.set_all(&others);
            let mut out = Vec::new();
            fields.write_lines(&mut out, |_| true);
            assert_eq!(out, after);
            assert_eq!(fields.get(Name::Date), Some(&b"2"[..]));
        }
    }

    #[test]
    fn lines_are_written_canonically_whatever_they_came_from() {
        let raw = b"A: 1\r\nB:2\r\nC:  3 \r\nD: 4\nE: 5\r\nF:\r\n";
        let mut fields = Fields::default();
        fields.adopt(raw);
        let place = |text: &str, from: usize| {
            let at = raw[from..].windows(text.len()).position(|part| part == text.as_bytes()).unwrap() + from;
            Span { start: at as u32, length: text.len() as u32 }
        };
        for (name, value) in [("A", "1"), ("B", "2"), ("C", "3"), ("D", "4"), ("E", "5")] {
            let name = place(name, 0);
            fields.push_slot(name, place(value, name.start as usize));
        }
        fields.push_slot(place("F", 0), Span::default());
        fields.append("G", "6");
        fields.append("H", "7");
        fields.set("A", "new");
        fields.remove("E");
        let mut out = Vec::new();
        fields.write_lines(&mut out, |field| field.name != b"G");
        assert_eq!(out, b"A: new\r\nB: 2\r\nC: 3\r\nD: 4\r\nF: \r\nH: 7\r\n");
    }

    #[test]
    fn an_unknown_name_never_equals_a_known_one() {
        let mut fields = Fields::default();
        fields.append("Hosts", "x");
        assert!(!fields.contains(Name::Host));
        assert!(fields.contains("hosts"));
    }
}
