//! The one table of keys: what is pressed, what it does, how it is called and explained. Dispatch, the footer, the
//! help and `--print-keys` all read it, so they cannot disagree.

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

use crate::screens::Screen;

/// What a person can ask for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Action {
    Show(Screen),
    NextPane,
    PreviousPane,
    Up,
    Down,
    PageUp,
    PageDown,
    Top,
    Bottom,
    Open,
    Back,
    Filter,
    Palette,
    Pause,
    Step,
    Slower,
    Faster,
    NextOrder,
    PreviousOrder,
    ReverseOrder,
    Zoom,
    ShorterWindow,
    LongerWindow,
    UsualWindow,
    CopyCommand,
    CopyRow,
    SaveScreen,
    Record,
    Mask,
    HideIdle,
    Mouse,
    Help,
    Redraw,
    Suspend,
    Quit,
    QuitAndKeep,
}

/// The chapter of the help that a key belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Chapter {
    Screens,
    Moving,
    Looking,
    Taking,
    Program,
}

impl Chapter {
    pub const ALL: [Chapter; 5] =
        [Chapter::Screens, Chapter::Moving, Chapter::Looking, Chapter::Taking, Chapter::Program];

    pub fn title(self) -> &'static str {
        match self {
            Chapter::Screens => "Screens",
            Chapter::Moving => "Moving",
            Chapter::Looking => "Looking closer",
            Chapter::Taking => "Taking something along",
            Chapter::Program => "The program",
        }
    }
}

/// One key as it is pressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Press {
    pub code: KeyCode,
    pub control: bool,
}

/// One row of the table.
pub struct Binding {
    pub action: Action,
    pub keys: &'static [Press],
    /// One or two words for the footer.
    pub label: &'static str,
    /// A sentence for the help.
    pub help: &'static str,
    pub chapter: Chapter,
    /// Place in the footer, from the left; 0 is not in it.
    pub footer: u8,
}

const fn key(c: char) -> Press {
    Press { code: KeyCode::Char(c), control: false }
}

const fn ctrl(c: char) -> Press {
    Press { code: KeyCode::Char(c), control: true }
}

const fn named(code: KeyCode) -> Press {
    Press { code, control: false }
}

const fn row(
    chapter: Chapter,
    action: Action,
    keys: &'static [Press],
    footer: u8,
    label: &'static str,
    help: &'static str,
) -> Binding {
    Binding { action, keys, label, help, chapter, footer }
}

/// All keys.
#[rustfmt::skip]
pub const BINDINGS: &[Binding] = &[
    row(Chapter::Screens, Action::Show(Screen::Overview), &[key('1')], 0, "overview", "rates, latency, worst routes, problems"),
    row(Chapter::Screens, Action::Show(Screen::Stream), &[key('2')], 0, "stream", "sampled exchanges, one a line, with the reason of each refusal"),
    row(Chapter::Screens, Action::Show(Screen::Routes), &[key('3')], 0, "routes", "exact counters of every route"),
    row(Chapter::Screens, Action::Show(Screen::Plugins), &[key('4')], 0, "plugins", "what plugins let pass and what they ended"),
    row(Chapter::Screens, Action::Show(Screen::Targets), &[key('5')], 0, "targets", "health and load of every target"),
    row(Chapter::Screens, Action::Show(Screen::Problems), &[key('6')], 0, "problems", "what deserves a look, in full, and the configuration that serves"),
    row(Chapter::Moving, Action::Up, &[named(KeyCode::Up), key('k')], 0, "up", "one row up"),
    row(Chapter::Moving, Action::Down, &[named(KeyCode::Down), key('j')], 0, "down", "one row down; in the stream this stops the list at what is there"),
    row(Chapter::Moving, Action::PageUp, &[named(KeyCode::PageUp), ctrl('u')], 0, "page up", "a page up"),
    row(Chapter::Moving, Action::PageDown, &[named(KeyCode::PageDown), ctrl('d')], 0, "page down", "a page down"),
    row(Chapter::Moving, Action::Top, &[key('g'), named(KeyCode::Home)], 0, "first", "to the first row; in the stream this follows the newest again"),
    row(Chapter::Moving, Action::Bottom, &[key('G'), named(KeyCode::End)], 0, "last", "to the last row"),
    row(Chapter::Moving, Action::NextPane, &[named(KeyCode::Tab)], 8, "pane", "to the next pane"),
    row(Chapter::Moving, Action::PreviousPane, &[named(KeyCode::BackTab)], 0, "previous pane", "to the previous pane"),
    row(Chapter::Moving, Action::Open, &[named(KeyCode::Enter)], 2, "open", "down into what is selected: a problem, a route, its exchanges, one exchange"),
    row(Chapter::Moving, Action::Back, &[named(KeyCode::Esc), named(KeyCode::Backspace)], 3, "back", "back to where Enter was pressed; else follow again, else drop the filter"),
    row(Chapter::Looking, Action::Filter, &[key('/')], 4, "filter", "show only some rows; Enter keeps the filter, Esc drops it, Up recalls an earlier one"),
    row(Chapter::Looking, Action::Pause, &[key(' ')], 5, "pause", "hold the picture still; the feed goes on behind it and nothing is lost"),
    row(Chapter::Looking, Action::Step, &[key('.')], 6, "step", "a paused recording: on to the next snapshot"),
    row(Chapter::Looking, Action::Slower, &[key('<')], 0, "slower", "a recording: half the speed"),
    row(Chapter::Looking, Action::Faster, &[key('>')], 0, "faster", "a recording: twice the speed"),
    row(Chapter::Looking, Action::NextOrder, &[key('s'), named(KeyCode::Right), key('l')], 9, "sort", "sort by the next column"),
    row(Chapter::Looking, Action::PreviousOrder, &[named(KeyCode::Left), key('h')], 0, "sort back", "sort by the column before"),
    row(Chapter::Looking, Action::ReverseOrder, &[key('S')], 0, "reverse", "turn the order around"),
    row(Chapter::Looking, Action::ShorterWindow, &[key('+')], 10, "window", "take numbers over a shorter time"),
    row(Chapter::Looking, Action::LongerWindow, &[key('-')], 0, "longer", "take numbers over a longer time, up to all since the gateway started"),
    row(Chapter::Looking, Action::UsualWindow, &[key('=')], 0, "1 min", "back to one minute"),
    row(Chapter::Looking, Action::Zoom, &[key('z')], 11, "zoom", "the pane alone, and back"),
    row(Chapter::Looking, Action::HideIdle, &[key('i')], 0, "idle", "hide or show what has no traffic"),
    row(Chapter::Looking, Action::Mask, &[key('p')], 0, "privacy", "replace client addresses, consumers and query values by stand-ins, for a shared screen"),
    row(Chapter::Taking, Action::CopyCommand, &[key('y')], 7, "copy curl", "copy a curl command that repeats the selected exchange (its body is not known)"),
    row(Chapter::Taking, Action::CopyRow, &[key('Y')], 0, "copy JSON", "copy the selected exchange as JSON"),
    row(Chapter::Taking, Action::SaveScreen, &[key('w')], 0, "save", "write this screen as text to a file"),
    row(Chapter::Taking, Action::Record, &[key('W')], 0, "record", "begin or end recording the feed to a file, for --replay"),
    row(Chapter::Program, Action::Help, &[key('?'), named(KeyCode::F(1))], 1, "help", "this page"),
    row(Chapter::Program, Action::Palette, &[key(':')], 0, "palette", "find anything by a part of its name: what keys do, routes, plugins, targets"),
    row(Chapter::Program, Action::Mouse, &[key('m')], 0, "mouse", "use the mouse here, or leave it to the terminal for selecting text"),
    row(Chapter::Program, Action::Redraw, &[ctrl('l')], 0, "redraw", "draw everything anew"),
    row(Chapter::Program, Action::Suspend, &[ctrl('z')], 0, "suspend", "back to the shell; fg returns here"),
    row(Chapter::Program, Action::Quit, &[key('q'), ctrl('c')], 12, "quit", "end"),
    row(Chapter::Program, Action::QuitAndKeep, &[key('Q')], 0, "quit, keep", "end and leave the last picture on the terminal"),
];

/// What a key press asks for.
pub fn action(event: KeyEvent) -> Option<Action> {
    let control = event.modifiers.contains(KeyModifiers::CONTROL);
    if event.modifiers.intersects(KeyModifiers::ALT | KeyModifiers::SUPER | KeyModifiers::META) {
        return None;
    }
    let press = Press { code: event.code, control };
    BINDINGS.iter().find(|binding| binding.keys.contains(&press)).map(|binding| binding.action)
}

/// The row of an action.
pub fn binding(action: Action) -> Option<&'static Binding> {
    BINDINGS.iter().find(|binding| binding.action == action)
}

impl Press {
    /// The key's name, for people.
    pub fn name(self, arrows: [&str; 4]) -> String {
        let [left, down, up, right] = arrows;
        match self.code {
            KeyCode::Char(' ') => "Space".to_owned(),
            KeyCode::Char(c) if self.control => format!("Ctrl-{c}"),
            KeyCode::Char(c) => c.to_string(),
            KeyCode::Left => left.to_owned(),
            KeyCode::Down => down.to_owned(),
            KeyCode::Up => up.to_owned(),
            KeyCode::Right => right.to_owned(),
            KeyCode::PageUp => "PgUp".to_owned(),
            KeyCode::PageDown => "PgDn".to_owned(),
            KeyCode::BackTab => "Shift-Tab".to_owned(),
            KeyCode::F(number) => format!("F{number}"),
            other => format!("{other:?}"),
        }
    }
}

/// The whole table as text.
pub fn as_text() -> String {
    let row = |binding: &Binding| {
        let keys: Vec<String> = binding.keys.iter().map(|key| key.name(crate::theme::ASCII.arrows)).collect();
        format!("  {:<16} {}", keys.join(" "), binding.help)
    };
    let mut lines = Vec::new();
    for chapter in Chapter::ALL {
        lines.push(chapter.title().to_owned());
        lines.extend(BINDINGS.iter().filter(|binding| binding.chapter == chapter).map(row));
        lines.push(String::new());
    }
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_key_and_no_action_is_there_twice() {
        let mut pressed = Vec::new();
        for binding in BINDINGS {
            for key in binding.keys {
                assert!(!pressed.contains(key), "{key:?} does two things");
                pressed.push(*key);
            }
            let rows = BINDINGS.iter().filter(|other| other.action == binding.action).count();
            assert_eq!(rows, 1, "{:?}", binding.action);
        }
    }

    #[test]
    fn every_row_is_explained() {
        for binding in BINDINGS {
            assert!(!binding.keys.is_empty() && !binding.label.is_empty() && !binding.help.is_empty());
            assert!(as_text().contains(binding.help));
        }
    }

    #[test]
    fn presses_find_their_action() {
        let press = |code, modifiers| action(KeyEvent::new(code, modifiers));
        assert_eq!(press(KeyCode::Char('q'), KeyModifiers::NONE), Some(Action::Quit));
        assert_eq!(press(KeyCode::Char('c'), KeyModifiers::CONTROL), Some(Action::Quit));
        assert_eq!(press(KeyCode::Char('G'), KeyModifiers::SHIFT), Some(Action::Bottom));
        assert_eq!(press(KeyCode::Char('q'), KeyModifiers::ALT), None);
        assert_eq!(press(KeyCode::Char('x'), KeyModifiers::NONE), None);
    }

    #[test]
    fn the_keys_of_the_vi_hand_move() {
        for (c, expected) in [
            ('h', Action::PreviousOrder),
            ('j', Action::Down),
            ('k', Action::Up),
            ('l', Action::NextOrder),
            ('g', Action::Top),
            ('G', Action::Bottom),
        ] {
            assert_eq!(action(KeyEvent::new(KeyCode::Char(c), KeyModifiers::NONE)), Some(expected));
        }
    }
}
