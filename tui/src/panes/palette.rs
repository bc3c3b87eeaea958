//! The palette's list, above the line in which it is typed.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::widgets::{Clear, Widget};

use crate::app::App;
use crate::palette::{Entry, Leads, Palette};
use crate::widgets::{frame, text};

/// Draws it at the bottom of an area.
pub fn draw(app: &App, palette: &Palette, area: Rect, buf: &mut Buffer) {
    let entries = app.palette_entries(palette);
    let height = (entries.len().max(1) as u16 + 2).min(area.height);
    let area = Rect { y: area.y + area.height - height, height, width: area.width.min(100), ..area };
    Clear.render(area, buf);
    let inner = frame::draw(buf, area, &app.theme, "Go to or do", "Enter takes it", true);
    if entries.is_empty() {
        text::put(buf, inner, 0, 0, "nothing is called that", app.theme.quiet);
    }
    for (row, entry) in entries.iter().enumerate() {
        draw_entry(app, entry, row as u16, inner, buf);
        if row == palette.chosen {
            text::put(buf, inner, 0, row as u16, app.theme.glyphs.cursor, app.theme.strong);
            let place = Rect { y: inner.y + row as u16, height: 1, ..inner };
            buf.set_style(place.intersection(inner), app.theme.selection);
        }
    }
}

fn draw_entry(app: &App, entry: &Entry, row: u16, area: Rect, buf: &mut Buffer) {
    let ellipsis = app.theme.glyphs.ellipsis;
    let names = match entry.leads {
        Leads::Action(_) => 18,
        _ => 46,
    };
    text::put(buf, area, 2, row, &text::cut(&entry.name, names, ellipsis), app.theme.strong);
    let room = usize::from(area.width).saturating_sub(names + 3);
    text::put(buf, area, names as u16 + 3, row, &text::cut(&entry.about, room, ellipsis), app.theme.quiet);
}
