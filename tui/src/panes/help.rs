//! The help: all keys by chapter from the table of keys, and the fields that a filter of this screen knows.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::widgets::{Clear, Widget};

use crate::app::App;
use crate::exchanges::Row;
use crate::filter::{Field, Subject};
use crate::keys::{BINDINGS, Chapter};
use crate::rows::{Finding, PluginRow, RouteRow, TargetRow};
use crate::screens::Screen;
use crate::widgets::{frame, text};

/// Draws it over the middle of the screen.
pub fn draw(app: &App, area: Rect, buf: &mut Buffer, scroll: usize) {
    let width = area.width.min(100);
    let area = Rect { x: area.x + (area.width - width) / 2, width, ..area };
    let lines = lines(app, usize::from(width.saturating_sub(4)));
    let height = (lines.len() as u16 + 2).min(area.height);
    let area = Rect { y: area.y + (area.height - height) / 2, height, ..area };
    Clear.render(area, buf);
    let page = usize::from(height.saturating_sub(2));
    let scroll = scroll.min(lines.len().saturating_sub(page));
    let below = lines.len().saturating_sub(scroll + page);
    let [_, down, up, _] = app.theme.glyphs.arrows;
    let note = match (scroll, below) {
        (0, 0) => "Esc closes".to_owned(),
        (above, below) => format!("{up} {above} more, {down} {below} more, Esc closes"),
    };
    let inner = frame::draw(buf, area, &app.theme, "Help", &note, true);
    for (row, (line, style)) in lines.iter().skip(scroll).take(page).enumerate() {
        text::put(buf, inner, 0, row as u16, line, *style);
    }
}

fn lines(app: &App, width: usize) -> Vec<(String, Style)> {
    let theme = &app.theme;
    let mut lines = Vec::new();
    let mut chapter_of = |title: &str, rows: Vec<(String, String)>| {
        if !lines.is_empty() {
            lines.push((String::new(), theme.text));
        }
        lines.push((title.to_owned(), theme.strong));
        for (name, meaning) in rows {
            for (index, line) in text::wrap(&meaning, width.saturating_sub(16)).into_iter().enumerate() {
                let name = if index == 0 { name.as_str() } else { "" };
                let pad = " ".repeat(14_usize.saturating_sub(text::width(name)));
                lines.push((format!("  {name}{pad}{line}"), theme.text));
            }
        }
    };
    for chapter in Chapter::ALL {
        let rows = BINDINGS
            .iter()
            .filter(|binding| binding.chapter == chapter)
            .map(|binding| {
                let keys: Vec<String> = binding.keys.iter().map(|key| key.name(theme.glyphs.arrows)).collect();
                (keys.join(" "), binding.help.to_owned())
            })
            .collect();
        chapter_of(chapter.title(), rows);
    }
    let fields = fields(app.screen).iter().map(|field| (field.name.to_owned(), field.help.to_owned())).collect();
    chapter_of(&format!("Fields of a filter on {}", app.screen.title()), fields);
    chapter_of(
        "Filters",
        vec![
            ("word".to_owned(), "appears in any text of the row".to_owned()),
            ("= != ~ !~".to_owned(), "is, is not, contains, does not contain".to_owned()),
            ("> >= < <=".to_owned(), "for numbers, times and status codes".to_owned()),
            ("and or not ( )".to_owned(), "two conditions side by side must both hold".to_owned()),
        ],
    );
    lines
}

fn fields(screen: Screen) -> &'static [Field] {
    match screen {
        Screen::Overview | Screen::Stream => Row::FIELDS,
        Screen::Routes => RouteRow::FIELDS,
        Screen::Plugins => PluginRow::FIELDS,
        Screen::Targets => TargetRow::FIELDS,
        Screen::Problems => Finding::FIELDS,
    }
}
