//! What is shown before the first word of a gateway: where we try, why it does not work, what to do.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use crate::app::App;
use crate::source::Link;
use crate::widgets::text;

/// Draws a notice in the middle.
pub fn draw(app: &App, area: Rect, buf: &mut Buffer) {
    let theme = &app.theme;
    let width = area.width.saturating_sub(4).min(84);
    let lines = lines(app, usize::from(width));
    let top = area.height.saturating_sub(lines.len() as u16) / 2;
    let left = (area.width - width) / 2;
    for (row, (line, important)) in lines.iter().enumerate() {
        let style = if *important { theme.strong } else { theme.text };
        text::put(buf, area, left, top + row as u16, line, style);
    }
}

fn lines(app: &App, width: usize) -> Vec<(String, bool)> {
    let mut lines = Vec::new();
    let mut unreachable = false;
    for gateway in &app.live_data().gateways {
        let address = &gateway.address;
        match &gateway.link {
            Link::Connecting => lines.push((format!("connecting to {address}"), true)),
            Link::Live => lines.push((format!("connected to {address}, waiting for its first words"), true)),
            Link::Ended { note } => {
                let note = if note.is_empty() { "the recording holds nothing" } else { note };
                lines.extend(text::wrap(note, width).into_iter().map(|line| (line, true)));
            }
            Link::Lost { cause, .. } => {
                unreachable = true;
                lines.push((format!("{} no gateway at {address}", app.theme.glyphs.lost), true));
                lines.extend(text::wrap(cause, width).into_iter().map(|line| (line, false)));
            }
        }
        lines.push((String::new(), false));
    }
    if unreachable {
        for (what, how) in [
            ("start one", "cargo run -p harness up"),
            ("look elsewhere", "cargo run -p tui -- --admin http://HOST:PORT"),
            ("just look around", "cargo run -p tui -- --demo"),
        ] {
            lines.push((format!("{what:<18}{how}"), false));
        }
    }
    lines
}
