//! From cells to bytes: what differs from the last frame, wrapped so that a terminal shows it at once. Nothing differs,
//! nothing is sent.

use std::io;

use crossterm::cursor::{Hide, MoveTo, Show};
use crossterm::queue;
use crossterm::terminal::{BeginSynchronizedUpdate, Clear, ClearType, EndSynchronizedUpdate};
use ratatui::backend::{Backend, CrosstermBackend};
use ratatui::buffer::{Buffer, CellWidth};
use ratatui::layout::{Position, Rect};

/// The last frame and the bytes of the next.
#[derive(Default)]
pub struct Frames {
    last: Buffer,
    cursor: Option<Position>,
    /// Whether the terminal shows something else than `last`.
    unknown: bool,
    bytes: Vec<u8>,
}

impl Frames {
    pub fn new() -> Frames {
        Frames { unknown: true, ..Frames::default() }
    }

    /// The terminal may show anything now: the next frame is sent whole.
    pub fn forget(&mut self) {
        self.unknown = true;
    }

    /// The bytes that turn the last frame into this one; none when they are the same.
    pub fn bytes(&mut self, next: Buffer, cursor: Option<Position>) -> io::Result<&[u8]> {
        self.bytes.clear();
        let whole = self.unknown || self.last.area != next.area;
        if whole {
            self.last = Buffer::empty(next.area);
        }
        let changed = self.last.diff(&next);
        if whole || !changed.is_empty() || cursor != self.cursor {
            queue!(self.bytes, BeginSynchronizedUpdate, Hide)?;
            if whole {
                queue!(self.bytes, Clear(ClearType::All))?;
            }
            CrosstermBackend::new(&mut self.bytes).draw(changed.into_iter())?;
            if let Some(position) = cursor {
                queue!(self.bytes, MoveTo(position.x, position.y), Show)?;
            }
            queue!(self.bytes, EndSynchronizedUpdate)?;
        }
        self.last = next;
        self.cursor = cursor;
        self.unknown = false;
        Ok(&self.bytes)
    }

    /// The last frame as text.
    pub fn text(&self) -> String {
        text(&self.last)
    }
}

/// A buffer as lines of text, without styles and without blanks at their ends.
pub fn text(buffer: &Buffer) -> String {
    let Rect { width, height, .. } = buffer.area;
    let mut text = String::new();
    for y in 0..height {
        let mut line = String::new();
        let mut covered = 0;
        for x in 0..width {
            let cell = &buffer[(buffer.area.x + x, buffer.area.y + y)];
            if covered == 0 {
                line.push_str(cell.symbol());
                covered = cell.cell_width();
            }
            covered = covered.saturating_sub(1);
        }
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use ratatui::style::{Color, Style};

    use super::*;

    fn buffer(line: &str, style: Style) -> Buffer {
        let mut buffer = Buffer::empty(Rect::new(0, 0, 12, 2));
        buffer.set_string(0, 0, line, style);
        buffer
    }

    fn bytes(frames: &mut Frames, buffer: Buffer) -> String {
        String::from_utf8(frames.bytes(buffer, None).unwrap().to_vec()).unwrap()
    }

    #[test]
    fn the_same_picture_is_no_bytes() {
        let mut frames = Frames::new();
        assert!(bytes(&mut frames, buffer("hello", Style::new())).contains("hello"));
        assert_eq!(bytes(&mut frames, buffer("hello", Style::new())), "");
        frames.forget();
        assert!(bytes(&mut frames, buffer("hello", Style::new())).contains("\x1b[2J"));
    }

    #[test]
    fn only_what_changed_is_sent_between_the_marks_of_an_update() {
        let mut frames = Frames::new();
        bytes(&mut frames, buffer("hello", Style::new()));
        let sent = bytes(&mut frames, buffer("hallo", Style::new()));
        assert!(sent.starts_with("\x1b[?2026h") && sent.ends_with("\x1b[?2026l"), "{sent:?}");
        assert!(sent.contains('a') && !sent.contains("llo"), "{sent:?}");
    }

    #[test]
    fn without_colours_a_selection_stays_reversed() {
        crossterm::style::force_color_output(true);
        let mono = crate::theme::Theme::new(crate::theme::ThemeName::Mono, false);
        let sent = bytes(&mut Frames::new(), buffer("row", mono.bad.patch(mono.selection)));
        assert!(sent.contains("\x1b[7m") || sent.contains(";7m"), "{sent:?}");
        let coloured = bytes(&mut Frames::new(), buffer("row", Style::new().fg(Color::Red)));
        assert!(coloured.contains("\x1b[38;5;1"), "{coloured:?}");
    }

    #[test]
    fn text_keeps_wide_characters_whole() {
        assert_eq!(text(&buffer("日本 x", Style::new())), "日本 x\n\n");
    }
}
