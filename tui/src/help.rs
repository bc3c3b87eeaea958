//! What the help says: all keys by chapter from the table of keys, and what a filter of the screen can ask. How it is
//! drawn is the business of its pane.

use crate::exchanges::Row;
use crate::filter::{Field, Subject};
use crate::keys::{BINDINGS, Chapter};
use crate::rows::{Finding, PluginRow, RouteRow, TargetRow};
use crate::screens::Screen;
use crate::widgets::text;

/// Where the second column begins.
const INDENT: usize = 16;

/// One line of the help.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HelpLine {
    pub text: String,
    pub heading: bool,
}

/// The help for a screen, broken into lines of this width.
pub fn lines(screen: Screen, width: usize, arrows: [&str; 4]) -> Vec<HelpLine> {
    let mut lines = Vec::new();
    for chapter in Chapter::ALL {
        let rows = BINDINGS.iter().filter(|binding| binding.chapter == chapter).map(|binding| {
            let keys: Vec<String> = binding.keys.iter().map(|key| key.name(arrows)).collect();
            (keys.join(" "), binding.help)
        });
        chapter_of(&mut lines, chapter.title(), width, rows);
    }
    let rows = [
        ("word", "appears in any text of the row"),
        ("= != ~ !~", "is, is not, contains, does not contain"),
        ("> >= < <=", "for numbers, times and status codes"),
        ("and or not ()", "two conditions side by side must both hold"),
    ];
    chapter_of(
        &mut lines,
        "Filters",
        width,
        rows.map(|(name, meaning)| (name.to_owned(), meaning)).into_iter(),
    );
    let rows = fields(screen).iter().map(|field| (field.name.to_owned(), field.help));
    let list = if screen == Screen::Overview { Screen::Stream } else { screen };
    chapter_of(&mut lines, &format!("Fields of a filter on {}", list.title()), width, rows);
    lines
}

fn chapter_of<'a>(
    lines: &mut Vec<HelpLine>,
    title: &str,
    width: usize,
    rows: impl Iterator<Item = (String, &'a str)>,
) {
    if !lines.is_empty() {
        lines.push(HelpLine { text: String::new(), heading: false });
    }
    lines.push(HelpLine { text: title.to_owned(), heading: true });
    for (name, meaning) in rows {
        for (index, line) in text::wrap(meaning, width.saturating_sub(INDENT)).into_iter().enumerate() {
            let name = if index == 0 { name.as_str() } else { "" };
            let pad = " ".repeat((INDENT - 2).saturating_sub(text::width(name)));
            lines.push(HelpLine { text: format!("  {name}{pad}{line}"), heading: false });
        }
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_key_and_every_field_is_in_the_help() {
        for screen in Screen::ALL {
            let text: Vec<String> =
                lines(screen, 400, crate::theme::ASCII.arrows).into_iter().map(|line| line.text).collect();
            let text = text.join("\n");
            for binding in BINDINGS {
                assert!(text.contains(binding.help), "{:?}", binding.action);
            }
            for field in fields(screen) {
                assert!(text.contains(field.help), "{}", field.name);
            }
        }
    }
}
