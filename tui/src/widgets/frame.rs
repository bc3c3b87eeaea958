//! The frame of a pane: a title on the left, a note on the right, heavy when the pane has the keys.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};
use ratatui::widgets::{Block, Widget};

use super::text;
use crate::theme::Theme;

/// Draws a frame and returns what is inside, a blank column left free on both sides.
pub fn draw(buf: &mut Buffer, area: Rect, theme: &Theme, title: &str, note: &str, focused: bool) -> Rect {
    let style = if focused { theme.focus } else { theme.frame };
    let set = if focused { theme.glyphs.focus_frame } else { theme.glyphs.frame };
    let room = usize::from(area.width.saturating_sub(4));
    let title = text::cut(title, room.saturating_sub(2), theme.glyphs.ellipsis);
    let left = room.saturating_sub(text::width(&title) + 2);
    let mut block = Block::bordered().border_set(set).border_style(style);
    let title_style = if focused { theme.strong } else { theme.text };
    block = block.title_top(Line::from(Span::styled(format!(" {title} "), title_style)));
    if !note.is_empty() && left > 8 {
        let note = text::cut(note, left.saturating_sub(3), theme.glyphs.ellipsis);
        block = block.title_top(Line::from(Span::styled(format!(" {note} "), theme.quiet)).right_aligned());
    }
    let inner = block.inner(area);
    block.render(area.intersection(buf.area), buf);
    Rect { x: inner.x + 1, width: inner.width.saturating_sub(2), ..inner }
}
