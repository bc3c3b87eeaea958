//! The last line: keys that work now, a message, or the filter being typed with what is wrong with it.

use ratatui::buffer::Buffer;
use ratatui::layout::{Position, Rect};

use crate::app::App;
use crate::keys::{Action, BINDINGS, Binding};
use crate::prompt::Prompt;
use crate::screens::Screen;
use crate::widgets::text;

/// Draws it. Returns where the terminal's cursor belongs while a filter is typed.
pub fn draw(app: &App, area: Rect, buf: &mut Buffer) -> Option<Position> {
    if let Some(palette) = &app.palette {
        return Some(typed(app, ":", &palette.prompt, area, buf).cursor);
    }
    if let Some(prompt) = &app.prompt {
        return Some(filter_line(app, prompt, area, buf));
    }
    match &app.flash {
        Some(flash) => {
            text::put(buf, area, 1, 0, &flash.text, app.theme.strong);
        }
        None => keys(app, area, buf),
    }
    None
}

fn keys(app: &App, area: Rect, buf: &mut Buffer) {
    let mut offered: Vec<&Binding> =
        BINDINGS.iter().filter(|binding| binding.footer > 0 && app.offers(binding.action)).collect();
    offered.sort_by_key(|binding| binding.footer);
    // `q` is worth more than the keys before it that do not fit.
    let width = |binding: &Binding| text::width(&label(app, binding)) + 2;
    while offered.iter().map(|binding| width(binding)).sum::<usize>()
        > usize::from(area.width.saturating_sub(1))
    {
        let Some(at) = offered.iter().rposition(|binding| binding.action != Action::Quit) else { break };
        offered.remove(at);
    }
    let mut x = 1;
    for binding in offered {
        let key = key_name(app, binding);
        x = text::put(buf, area, x, 0, &key, app.theme.key);
        let rest = label(app, binding);
        x = text::put(buf, area, x, 0, &rest[key.len()..], app.theme.quiet) + 2;
    }
}

fn key_name(app: &App, binding: &Binding) -> String {
    binding.keys.first().map(|key| key.name(app.theme.glyphs.arrows)).unwrap_or_default()
}

fn label(app: &App, binding: &Binding) -> String {
    let key = key_name(app, binding);
    match binding.action {
        Action::Back if app.is_stopped() => format!("{key} follow"),
        Action::Pause if app.is_paused() => format!("{key} go on"),
        Action::Zoom if app.zoomed => format!("{key} unzoom"),
        Action::ShorterWindow => format!("{key}/- {}", binding.label),
        _ => format!("{key} {}", binding.label),
    }
}

/// A line being typed, as drawn.
struct Drawn {
    cursor: Position,
    /// The column at which the text begins, and how many of its characters are left of it.
    start: u16,
    skipped: usize,
}

/// Draws a line being typed; of a long one, the end.
fn typed(app: &App, sign: &str, prompt: &Prompt, area: Rect, buf: &mut Buffer) -> Drawn {
    let (before, after) = prompt.parts();
    let room = usize::from(area.width).saturating_sub(4);
    let mut skipped = 0;
    let mut shown = before.as_str();
    while text::width(shown) > room {
        let mut chars = shown.chars();
        chars.next();
        skipped += 1;
        shown = chars.as_str();
    }
    let start = text::put(buf, area, 1, 0, sign, app.theme.key);
    let end = text::put(buf, area, start, 0, shown, app.theme.strong);
    text::put(buf, area, end, 0, &after, app.theme.strong);
    let cursor = Position { x: area.x + end.min(area.width.saturating_sub(1)), y: area.y };
    Drawn { cursor, start, skipped }
}

fn filter_line(app: &App, prompt: &Prompt, area: Rect, buf: &mut Buffer) -> Position {
    let drawn = typed(app, "/", prompt, area, buf);
    if let Some(mistake) = &prompt.mistake {
        let text = prompt.text();
        let before: String =
            text.chars().skip(drawn.skipped).take(mistake.at.saturating_sub(drawn.skipped)).collect();
        let column = (text::width(&before) as u16 + drawn.start).min(area.width.saturating_sub(1));
        mistake_line(app, area, buf, column, &mistake.message);
    } else {
        text::put(buf, area, 1, 1, &hint(app), app.theme.quiet);
    }
    drawn.cursor
}

/// A mark under the mistake, and the message on the side that has more room.
fn mistake_line(app: &App, area: Rect, buf: &mut Buffer, column: u16, message: &str) {
    let theme = &app.theme;
    let length = text::width(message) as u16 + 1;
    if column + length < area.width || column < area.width / 2 {
        let end = text::put(buf, area, column, 1, "^", theme.bad);
        text::put(buf, area, end + 1, 1, message, theme.bad);
    } else {
        let shown = text::cut(message, usize::from(column.saturating_sub(2)), theme.glyphs.ellipsis);
        text::put_right(buf, area, column.saturating_sub(1), 1, &shown, theme.bad);
        text::put(buf, area, column, 1, "^", theme.bad);
    }
}

fn hint(app: &App) -> String {
    let example = match app.screen {
        Screen::Stream | Screen::Overview => "status>=500   route~orders   reason=rate_limited   dur>250ms",
        Screen::Routes => "5xx>1   rps>=10   p99>250ms   service~orders",
        Screen::Plugins => "ended>0   plugin~limit",
        Screen::Targets => "health=unhealthy   failed>1",
        Screen::Problems => "object~orders",
    };
    format!("{example}   and or not ( )   ? lists all fields")
}
