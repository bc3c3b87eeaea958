//! Text in cells: measuring, cutting, wrapping, placing. Wide characters count as two and are never halved.

use std::borrow::Cow;

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::text::{Line, Span};

/// How many cells a text takes.
pub fn width(text: &str) -> usize {
    if text.is_ascii() { text.len() } else { Span::raw(text).width() }
}

/// The text, or as much of its beginning as fits, with an ellipsis.
pub fn cut<'a>(text: &'a str, limit: usize, ellipsis: &str) -> Cow<'a, str> {
    if width(text) <= limit {
        return Cow::Borrowed(text);
    }
    let room = limit.saturating_sub(width(ellipsis));
    let mut kept = beginning(text, room).to_owned();
    if limit > 0 {
        kept.push_str(ellipsis);
    }
    Cow::Owned(kept)
}

/// The text, or its beginning and its end: the ends of paths tell more than their middles.
pub fn cut_middle<'a>(text: &'a str, limit: usize, ellipsis: &str) -> Cow<'a, str> {
    let mark = width(ellipsis);
    if width(text) <= limit || limit < mark + 4 {
        return cut(text, limit, ellipsis);
    }
    let room = limit - mark;
    let head = beginning(text, room / 2);
    let tail = ending(text, room - width(head));
    Cow::Owned(format!("{head}{ellipsis}{tail}"))
}

/// The longest beginning that fits.
fn beginning(text: &str, limit: usize) -> &str {
    let mut end = 0;
    for (at, c) in text.char_indices() {
        let next = at + c.len_utf8();
        if width(&text[..next]) > limit {
            break;
        }
        end = next;
    }
    &text[..end]
}

/// The longest ending that fits.
fn ending(text: &str, limit: usize) -> &str {
    let fits = |at: &usize| width(&text[*at..]) <= limit;
    let start = text.char_indices().map(|(at, _)| at).find(fits).unwrap_or(text.len());
    &text[start..]
}

/// Breaks a text into lines at blanks, and within words that are longer than a line.
pub fn wrap(text: &str, limit: usize) -> Vec<String> {
    let limit = limit.max(1);
    let mut lines = vec![String::new()];
    for word in text.split_whitespace() {
        let mut rest = word;
        loop {
            let line = lines.last_mut().map_or(0, |line| width(line));
            let gap = usize::from(line > 0);
            if line + gap + width(rest) <= limit {
                push(&mut lines, if gap > 0 { " " } else { "" }, rest);
                break;
            }
            if line > 0 {
                lines.push(String::new());
                continue;
            }
            let head = beginning(rest, limit);
            // A wide character in a column of one cell cannot be shown.
            if head.is_empty() {
                break;
            }
            push(&mut lines, "", head);
            lines.push(String::new());
            rest = &rest[head.len()..];
        }
    }
    lines
}

fn push(lines: &mut [String], gap: &str, text: &str) {
    if let Some(line) = lines.last_mut() {
        line.push_str(gap);
        line.push_str(text);
    }
}

/// Writes a text at a place within an area, cut at the area's right edge. Returns the column after it.
pub fn put(buf: &mut Buffer, area: Rect, x: u16, y: u16, text: &str, style: Style) -> u16 {
    let area = area.intersection(buf.area);
    if y >= area.height || x >= area.width {
        return x;
    }
    let (end, _) = buf.set_stringn(area.x + x, area.y + y, text, usize::from(area.width - x), style);
    end - area.x
}

/// Writes a text that ends before column `right` of an area.
pub fn put_right(buf: &mut Buffer, area: Rect, right: u16, y: u16, text: &str, style: Style) {
    let start = usize::from(right).saturating_sub(width(text));
    put(buf, area, start as u16, y, text, style);
}

/// Writes a line of spans into a row of an area.
pub fn put_line(buf: &mut Buffer, area: Rect, y: u16, line: &Line) {
    let area = area.intersection(buf.area);
    if y < area.height {
        buf.set_line(area.x, area.y + y, line, area.width);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cuts_by_cells() {
        assert_eq!(cut("orders", 6, "…"), "orders");
        assert_eq!(cut("orders", 4, "…"), "ord…");
        assert_eq!(cut("日本語です", 5, "…"), "日本…");
        assert_eq!(cut("日本", 1, "…"), "…");
        assert_eq!(cut("x", 0, "…"), "");
        assert_eq!(cut_middle("/products/4711/reviews", 13, "…"), "/produ…eviews");
        assert_eq!(cut_middle("/日本語日本語", 8, "…"), "/日…本語");
    }

    #[test]
    fn wraps_at_blanks_and_within_long_words() {
        assert_eq!(wrap("the target took too long", 10), ["the target", "took too", "long"]);
        assert_eq!(wrap("abcdefgh ij", 3), ["abc", "def", "gh", "ij"]);
        assert_eq!(wrap("日本語", 1), [""]);
        assert_eq!(wrap("", 5), [""]);
    }

    #[test]
    fn never_writes_outside() {
        let mut buf = Buffer::empty(Rect::new(0, 0, 5, 2));
        for y in 0..4 {
            for x in 0..8 {
                put(&mut buf, Rect::new(1, 0, 30, 30), x, y, "日本語 text", Style::new());
                put_right(&mut buf, Rect::new(1, 0, 3, 1), x, y, "abcdef", Style::new());
            }
        }
        assert_eq!(buf[(0, 0)].symbol(), " ");
    }

    proptest::proptest! {
        #[test]
        fn what_is_cut_fits(text in "[a-z日é\u{1F980} ]{0,30}", limit in 0usize..20) {
            proptest::prop_assert!(width(&cut(&text, limit, "…")) <= limit);
            proptest::prop_assert!(width(&cut_middle(&text, limit, "…")) <= limit);
            for line in wrap(&text, limit) {
                proptest::prop_assert!(width(&line) <= limit.max(1));
            }
        }
    }
}
