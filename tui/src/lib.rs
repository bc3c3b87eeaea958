//! The live dashboard: what is going through the gateway right now, and why a request was refused.
//!
//! As a library it is one call:
//!
//! ```no_run
//! # async fn watch() -> anyhow::Result<()> {
//! let source = tui::Source::Admin(vec!["http://127.0.0.1:8001".to_owned()]);
//! let ended = tui::run(source, tui::Options::of_environment()).await?;
//! println!("{}", ended.parting);
//! # Ok(())
//! # }
//! ```
//!
//! How it is made: `source` delivers events (a gateway's feed, a recording, the demo), cleaned by `sanitize`; `data` is
//! their fold, `picture` what the data amounts to over a window, `app` all that plus what the person at the keys is doing.
//! These are pure. `panes` draws the state into cells with the parts in `widgets`; `frames` turns cells into bytes;
//! `dashboard` is the loop around it all and `terminal` what it must leave as it was. `summary` and `headless` write the
//! same picture without a screen.

use std::path::PathBuf;
use std::time::Duration;

pub mod app;
pub mod args;
pub mod curl;
pub mod cursor;
pub mod dashboard;
pub mod data;
pub mod exchanges;
pub mod filter;
pub mod format;
pub mod frames;
pub mod gateway;
pub mod headless;
pub mod help;
pub mod history;
pub mod keys;
pub mod latencies;
pub mod pace;
pub mod palette;
pub mod panes;
pub mod picture;
pub mod prompt;
pub mod recording;
pub mod rows;
pub mod sanitize;
pub mod screens;
pub mod source;
pub mod summary;
pub mod tally;
pub mod terminal;
pub mod theme;
pub mod warnings;
pub mod widgets;
pub mod window;

pub use dashboard::run;
pub use source::Source;

/// How the dashboard looks and begins.
#[derive(Debug, Clone, PartialEq)]
pub struct Options {
    /// Least time between two frames that show new numbers.
    pub refresh: Duration,
    pub theme: theme::ThemeName,
    /// Overrides the theme by one without colour.
    pub no_color: bool,
    /// Use ASCII characters only.
    pub ascii: bool,
    pub screen: screens::Screen,
    pub window: window::Window,
    /// The filter to begin with, on that screen.
    pub filter: Option<String>,
    /// Record the feed to this new file from the start.
    pub record: Option<PathBuf>,
}

impl Default for Options {
    fn default() -> Options {
        Options {
            refresh: Duration::from_millis(250),
            theme: theme::ThemeName::Default,
            no_color: false,
            ascii: false,
            screen: screens::Screen::Overview,
            window: window::Window::default(),
            filter: None,
            record: None,
        }
    }
}

impl Options {
    /// The usual options, as the environment asks for them: `NO_COLOR`, a locale that is not UTF-8, the Linux console.
    pub fn of_environment() -> Options {
        let set = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
        let locale = set("LC_ALL").or_else(|| set("LC_CTYPE")).or_else(|| set("LANG"));
        Options {
            no_color: set("NO_COLOR").is_some(),
            ascii: needs_ascii(locale.as_deref(), set("TERM").as_deref()),
            ..Options::default()
        }
    }
}

/// A locale that says which characters it has and does not say UTF-8, or a console with few glyphs.
fn needs_ascii(locale: Option<&str>, term: Option<&str>) -> bool {
    let utf8 = |locale: &str| {
        let locale = locale.to_ascii_lowercase();
        locale.contains("utf-8") || locale.contains("utf8")
    };
    // No locale at all is what containers have; their terminals speak UTF-8.
    locale.is_some_and(|locale| !utf8(locale) && locale.contains('.')) || term == Some("linux")
}

/// How the dashboard ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ended {
    pub by: Ending,
    /// What is left to be printed now that the terminal is as it was; may be empty.
    pub parting: String,
}

/// What ended it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// A key.
    Quit,
    /// A signal, by number.
    Signal(i32),
    /// The terminal went away.
    TerminalGone,
    /// The caller dropped the future.
    Stopped,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ascii_where_the_locale_asks_for_it() {
        for (locale, term, ascii) in [
            (None, None, false),
            (Some("C"), Some("xterm"), false),
            (Some("C.UTF-8"), Some("xterm"), false),
            (Some("de_DE.utf8"), None, false),
            (Some("de_DE.ISO-8859-1"), None, true),
            (Some("C.UTF-8"), Some("linux"), true),
        ] {
            assert_eq!(needs_ascii(locale, term), ascii, "{locale:?} {term:?}");
        }
    }
}
