//! Spans from the binary form of OTLP (`ExportTraceServiceRequest`). Only the fields that are shown are read; the
//! rest is skipped, as protobuf has it. The numbers are those of `opentelemetry/proto/trace/v1/trace.proto`.

use std::sync::Arc;

use super::span::{Attribute, Attributes, Event, Kind, Link, Resource, Scope, Span, Status, sorted};

/// Lists and maps in attributes may be this deep.
const DEEPEST: usize = 32;

/// The value of one field.
#[derive(Clone, Copy)]
enum Field<'a> {
    Number(u64),
    Bytes(&'a [u8]),
}

/// The fields of a message, in their order.
struct Message<'a>(&'a [u8]);

type Fault = &'static str;

const CUT_OFF: Fault = "unexpected EOF";

/// # Errors
/// Says what is wrong.
pub(super) fn spans(body: &[u8]) -> Result<Vec<Span>, Fault> {
    let mut spans = Vec::new();
    for field in Message(body) {
        if let (1, Field::Bytes(bytes)) = field? {
            resource_spans(bytes, &mut spans)?;
        }
    }
    Ok(spans)
}

fn resource_spans(bytes: &[u8], spans: &mut Vec<Span>) -> Result<(), Fault> {
    let mut resource = Resource::new(Attributes::new());
    for field in Message(bytes) {
        if let (1, Field::Bytes(bytes)) = field? {
            resource = Resource::new(attributes(bytes, 1, DEEPEST)?);
        }
    }
    let resource = Arc::new(resource);
    for field in Message(bytes) {
        if let (2, Field::Bytes(bytes)) = field? {
            scope_spans(bytes, &resource, spans)?;
        }
    }
    Ok(())
}

fn scope_spans(bytes: &[u8], resource: &Arc<Resource>, spans: &mut Vec<Span>) -> Result<(), Fault> {
    let mut scope = Scope::default();
    for field in Message(bytes) {
        if let (1, Field::Bytes(bytes)) = field? {
            for field in Message(bytes) {
                match field? {
                    (1, Field::Bytes(name)) => scope.name = text(name)?,
                    (2, Field::Bytes(version)) => scope.version = text(version)?,
                    _ => {}
                }
            }
        }
    }
    let scope = Arc::new(scope);
    for field in Message(bytes) {
        if let (2, Field::Bytes(bytes)) = field? {
            let mut span = read(bytes)?;
            span.resource = Arc::clone(resource);
            span.scope = Arc::clone(&scope);
            spans.push(span);
        }
    }
    Ok(())
}

fn read(bytes: &[u8]) -> Result<Span, Fault> {
    let mut span = Span { attributes: attributes(bytes, 9, DEEPEST)?, ..Span::default() };
    for field in Message(bytes) {
        match field? {
            (1, Field::Bytes(id)) => span.trace = trace_id(id)?,
            (2, Field::Bytes(id)) => span.id = span_id(id)?,
            (3, Field::Bytes(state)) => span.trace_state = text(state)?,
            (4, Field::Bytes(id)) => span.parent = span_id(id)?,
            (5, Field::Bytes(name)) => span.name = text(name)?,
            (6, Field::Number(kind)) => span.kind = Kind::of_number(kind),
            (7, Field::Number(time)) => span.start = time,
            (8, Field::Number(time)) => span.end = time,
            (11, Field::Bytes(bytes)) => span.events.push(event(bytes)?),
            (13, Field::Bytes(bytes)) => span.links.push(link(bytes)?),
            (15, Field::Bytes(bytes)) => {
                for field in Message(bytes) {
                    match field? {
                        (2, Field::Bytes(message)) => span.status_message = text(message)?,
                        (3, Field::Number(code)) => span.status = Status::of_number(code),
                        _ => {}
                    }
                }
            }
            (16, Field::Number(flags)) => span.flags = flags.try_into().unwrap_or_default(),
            _ => {}
        }
    }
    Ok(span)
}

fn event(bytes: &[u8]) -> Result<Event, Fault> {
    let mut event = Event { time: 0, name: String::new(), attributes: attributes(bytes, 3, DEEPEST)? };
    for field in Message(bytes) {
        match field? {
            (1, Field::Number(time)) => event.time = time,
            (2, Field::Bytes(name)) => event.name = text(name)?,
            _ => {}
        }
    }
    Ok(event)
}

fn link(bytes: &[u8]) -> Result<Link, Fault> {
    let mut link = Link { trace: 0, span: 0, attributes: attributes(bytes, 4, DEEPEST)? };
    for field in Message(bytes) {
        match field? {
            (1, Field::Bytes(id)) => link.trace = trace_id(id)?,
            (2, Field::Bytes(id)) => link.span = span_id(id)?,
            _ => {}
        }
    }
    Ok(link)
}

fn trace_id(bytes: &[u8]) -> Result<u128, Fault> {
    if bytes.is_empty() {
        return Ok(0);
    }
    bytes.try_into().map(u128::from_be_bytes).map_err(|_| "invalid TraceID length")
}

fn span_id(bytes: &[u8]) -> Result<u64, Fault> {
    if bytes.is_empty() {
        return Ok(0);
    }
    bytes.try_into().map(u64::from_be_bytes).map_err(|_| "invalid SpanID length")
}

fn text(bytes: &[u8]) -> Result<String, Fault> {
    std::str::from_utf8(bytes).map(ToOwned::to_owned).map_err(|_| "a string is not UTF-8")
}

/// The `KeyValue`s that a message carries under a field number.
fn attributes(message: &[u8], number: u64, depth: usize) -> Result<Attributes, Fault> {
    let mut attributes = Attributes::new();
    for field in Message(message) {
        let (found, Field::Bytes(bytes)) = field? else { continue };
        if found != number {
            continue;
        }
        let mut entry = (String::new(), Attribute::Text(String::new()));
        for field in Message(bytes) {
            match field? {
                (1, Field::Bytes(key)) => entry.0 = text(key)?,
                (2, Field::Bytes(value)) => entry.1 = attribute(value, depth)?,
                _ => {}
            }
        }
        attributes.push(entry);
    }
    Ok(sorted(attributes))
}

fn attribute(bytes: &[u8], depth: usize) -> Result<Attribute, Fault> {
    let depth = depth.checked_sub(1).ok_or("attributes are nested too deeply")?;
    let mut value = Attribute::Text(String::new());
    for field in Message(bytes) {
        value = match field? {
            (1, Field::Bytes(bytes)) => Attribute::Text(text(bytes)?),
            (2, Field::Number(number)) => Attribute::Bool(number != 0),
            (3, Field::Number(number)) => Attribute::Int(number as i64),
            (4, Field::Number(number)) => Attribute::Double(f64::from_bits(number)),
            (5, Field::Bytes(bytes)) => {
                let mut values = Vec::new();
                for field in Message(bytes) {
                    if let (1, Field::Bytes(bytes)) = field? {
                        values.push(attribute(bytes, depth)?);
                    }
                }
                Attribute::List(values)
            }
            (6, Field::Bytes(bytes)) => Attribute::Map(attributes(bytes, 1, depth)?),
            (7, Field::Bytes(bytes)) => Attribute::Bytes(bytes.to_vec()),
            _ => value,
        };
    }
    Ok(value)
}

impl<'a> Iterator for Message<'a> {
    type Item = Result<(u64, Field<'a>), Fault>;

    fn next(&mut self) -> Option<Self::Item> {
        (!self.0.is_empty()).then(|| {
            let field = self.field();
            if field.is_err() {
                // Nothing after a fault can be understood.
                self.0 = &[];
            }
            field
        })
    }
}

impl<'a> Message<'a> {
    fn field(&mut self) -> Result<(u64, Field<'a>), Fault> {
        let tag = self.varint()?;
        let value = match tag & 7 {
            0 => Field::Number(self.varint()?),
            1 => Field::Number(u64::from_le_bytes(self.take(8)?.try_into().map_err(|_| CUT_OFF)?)),
            2 => {
                let length = usize::try_from(self.varint()?).map_err(|_| CUT_OFF)?;
                Field::Bytes(self.take(length)?)
            }
            5 => Field::Number(u32::from_le_bytes(self.take(4)?.try_into().map_err(|_| CUT_OFF)?).into()),
            _ => return Err("unknown wire type"),
        };
        Ok((tag >> 3, value))
    }

    fn varint(&mut self) -> Result<u64, Fault> {
        let mut value = 0;
        for shift in (0..64).step_by(7) {
            let byte = *self.0.first().ok_or(CUT_OFF)?;
            self.0 = &self.0[1..];
            value |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Ok(value);
            }
        }
        Err("a number is too long")
    }

    fn take(&mut self, length: usize) -> Result<&'a [u8], Fault> {
        let (taken, rest) = self.0.split_at_checked(length).ok_or(CUT_OFF)?;
        self.0 = rest;
        Ok(taken)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn field(number: u8, bytes: &[u8]) -> Vec<u8> {
        [&[number << 3 | 2, bytes.len() as u8], bytes].concat()
    }

    #[test]
    fn a_span_with_who_sent_it() {
        let key_value = |key: &str, value: &[u8]| [field(1, key.as_bytes()), field(2, value)].concat();
        let resource = field(1, &key_value("service.name", &field(1, b"echo")));
        let span = [
            field(1, &[7; 16]),
            field(2, &[8; 8]),
            field(5, b"GET /"),
            vec![6 << 3, 2],
            [&[7 << 3 | 1][..], &5_u64.to_le_bytes()].concat(),
            field(9, &key_value("n", &[3 << 3, 42])),
            field(15, &[3 << 3, 2]),
            [&[0x85, 0x01][..], &769_u32.to_le_bytes()].concat(),
        ]
        .concat();
        let scope_spans = [field(1, &field(1, b"scope")), field(2, &span)].concat();
        let request = field(1, &[field(1, &resource), field(2, &scope_spans)].concat());
        let read = spans(&request).unwrap().remove(0);
        assert_eq!(read.trace, u128::from_be_bytes([7; 16]));
        assert_eq!((read.name.as_str(), read.kind, read.start), ("GET /", Kind::Server, 5));
        assert_eq!(read.attributes, [("n".to_owned(), Attribute::Int(42))]);
        assert_eq!((read.resource.service.as_str(), read.scope.name.as_str()), ("echo", "scope"));
        assert_eq!((read.status, read.flags), (Status::Error, 769));
    }

    #[test]
    fn faults_are_told() {
        assert_eq!(spans(&[0xff, 0xff, 0xff]), Err(CUT_OFF));
        let short = field(1, &field(2, &field(2, &field(1, &[1, 2, 3]))));
        assert_eq!(spans(&short), Err("invalid TraceID length"));
        assert_eq!(spans(&[]), Ok(Vec::new()));
    }

    proptest! {
        #[test]
        fn any_bytes_are_spans_or_a_fault(bytes in proptest::collection::vec(any::<u8>(), 0..256)) {
            let _ = spans(&bytes);
        }
    }
}
