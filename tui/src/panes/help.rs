//! The help, drawn over the middle of the screen.

use ratatui::buffer::Buffer;
use ratatui::widgets::{Clear, Widget};

use crate::app::App;
use crate::widgets::{frame, text};

/// Draws it from the given line on.
pub fn draw(app: &App, buf: &mut Buffer, scroll: usize) {
    let Some((area, lines)) = app.help_page() else { return };
    Clear.render(area, buf);
    let page = usize::from(area.height.saturating_sub(2));
    let below = lines.len().saturating_sub(scroll + page);
    let [_, down, up, _] = app.theme.glyphs.arrows;
    let note = match (scroll, below) {
        (0, 0) => "Esc closes".to_owned(),
        (0, below) => format!("{down} {below} more, Esc closes"),
        (above, 0) => format!("{up} {above} more, Esc closes"),
        (above, below) => format!("{up} {above} {down} {below} more, Esc closes"),
    };
    let inner = frame::draw(buf, area, &app.theme, "Help", &note, true);
    for (row, line) in lines.iter().skip(scroll).take(page).enumerate() {
        let style = if line.heading { app.theme.strong } else { app.theme.text };
        text::put(buf, inner, 0, row as u16, &line.text, style);
    }
}
