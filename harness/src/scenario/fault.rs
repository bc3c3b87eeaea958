//! Something wrong with a scenario file: where, what, and what would be right.

use std::ops::Range;

use annotate_snippets::renderer::DecorStyle;
use annotate_snippets::{AnnotationKind, Level, Renderer, Snippet};

/// A fault with its place in the file, in bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    pub span: Range<usize>,
    pub message: String,
    /// What to do.
    pub help: Option<String>,
    /// A second place that explains the first.
    pub other: Option<(Range<usize>, String)>,
}

impl Fault {
    pub fn new(span: Range<usize>, message: impl Into<String>) -> Fault {
        Fault { span, message: message.into(), help: None, other: None }
    }

    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Fault {
        self.help = Some(help.into());
        self
    }

    #[must_use]
    pub fn also(mut self, span: Range<usize>, label: impl Into<String>) -> Fault {
        self.other = Some((span, label.into()));
        self
    }

    /// As a person reads it: the message, file, line and column, the line itself with a mark below, and help.
    pub fn render(&self, path: &str, source: &str, colour: bool) -> String {
        let mut snippet = Snippet::source(source)
            .line_start(1)
            .path(path)
            .annotation(AnnotationKind::Primary.span(shown(&self.span, source)));
        if let Some((span, label)) = &self.other {
            snippet =
                snippet.annotation(AnnotationKind::Context.span(shown(span, source)).label(label.as_str()));
        }
        let mut group = Level::ERROR.primary_title(self.message.as_str()).element(snippet);
        if let Some(help) = &self.help {
            group = group.element(Level::HELP.message(help.as_str()));
        }
        let renderer = if colour { Renderer::styled() } else { Renderer::plain() };
        renderer.decor_style(DecorStyle::Ascii).render(&[group])
    }

    /// Line and column where it begins, both from 1.
    pub fn position(&self, source: &str) -> (usize, usize) {
        position(source, self.span.start)
    }
}

/// Line and column of a byte, both from 1; the column counts characters.
pub fn position(source: &str, at: usize) -> (usize, usize) {
    let before = &source[..at.min(source.len())];
    let line_start = before.rfind('\n').map_or(0, |end| end + 1);
    (before.matches('\n').count() + 1, before[line_start..].chars().count() + 1)
}

/// Of what spans several lines only the first is marked, and nothing is marked by one character.
fn shown(span: &Range<usize>, source: &str) -> Range<usize> {
    let start = span.start.min(source.len());
    let line_end = source[start..].find('\n').map_or(source.len(), |end| start + end);
    let next = source[start..].chars().next().map_or(start, |next| start + next.len_utf8());
    start..span.end.min(line_end).max(next.min(source.len()))
}

/// The known name that was probably meant.
pub fn nearest<'a>(typed: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let typed = typed.to_lowercase();
    known
        .into_iter()
        .map(|name| (strsim::damerau_levenshtein(&typed, &name.to_lowercase()), name))
        .filter(|(distance, name)| *distance <= (name.len().max(typed.len()) / 3).max(1))
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, name)| name)
}

/// "did you mean" if there is something near, else the list of what there is.
pub fn suggestion(typed: &str, known: &[&str]) -> String {
    match nearest(typed, known.iter().copied()) {
        Some(name) => format!("did you mean `{name}`?"),
        None if known.is_empty() => "nothing is expected here".to_owned(),
        None => {
            let known: Vec<String> = known.iter().map(|name| format!("`{name}`")).collect();
            format!("known are {}", known.join(", "))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_name_is_near() {
        let known = ["request", "restart", "wait"];
        assert_eq!(nearest("reqest", known), Some("request"));
        assert_eq!(nearest("Wiat", known), Some("wait"));
        assert_eq!(nearest("banana", known), None);
        assert_eq!(suggestion("banana", &["a", "b"]), "known are `a`, `b`");
    }

    #[test]
    fn positions_count_characters_from_one() {
        assert_eq!(position("ab\ncé d", 0), (1, 1));
        assert_eq!(position("ab\ncé d", 6), (2, 3));
        assert_eq!(position("", 9), (1, 1));
    }
}
