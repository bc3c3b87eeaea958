//! Colours by meaning, and the signs that say the same without colour.
//!
//! No pair of meanings is told apart by red and green. The default theme uses the terminal's own sixteen colours and
//! leaves the background alone, so it fits light and dark terminals; `mono` sets no colour at all, because of
//! `NO_COLOR` or by choice. Nothing blinks.

use clap::ValueEnum;
use ratatui::style::{Color, Modifier, Style};
use ratatui::symbols::border;

/// The themes to choose from.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub enum ThemeName {
    /// The terminal's own colours.
    #[default]
    Default,
    /// Fixed colours for dark backgrounds.
    Dark,
    /// Fixed colours for light backgrounds.
    Light,
    /// Bright and bold.
    Contrast,
    /// No colour.
    Mono,
}

/// Styles by meaning.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Theme {
    pub text: Style,
    /// Less important text: units, hints, idle rows.
    pub quiet: Style,
    pub strong: Style,
    /// Column titles.
    pub heading: Style,
    /// Frames, and that of the pane that has the keys.
    pub frame: Style,
    pub focus: Style,
    pub selection: Style,
    pub ok: Style,
    pub warn: Style,
    pub bad: Style,
    /// Refused by the gateway on purpose.
    pub refused: Style,
    /// Bars and curves without a judgement.
    pub plot: Style,
    /// Key names in the footer and the help.
    pub key: Style,
    /// All of a picture that is no longer live.
    pub stale: Style,
    pub glyphs: &'static Glyphs,
}

/// Signs, and the parts that pictures are made of; one set for Unicode, one for ASCII.
#[derive(Debug, PartialEq)]
pub struct Glyphs {
    pub live: &'static str,
    pub paused: &'static str,
    pub replay: &'static str,
    pub lost: &'static str,
    pub waiting: &'static str,
    pub ok: &'static str,
    pub warn: &'static str,
    pub bad: &'static str,
    pub refused: &'static str,
    pub slow: &'static str,
    pub note: &'static str,
    pub cursor: &'static str,
    pub descending: &'static str,
    pub ascending: &'static str,
    pub ellipsis: &'static str,
    /// Between the parts of a line.
    pub dot: &'static str,
    pub arrow: &'static str,
    /// A column of a chart about which nothing is known.
    pub gap: &'static str,
    /// From nothing to full, upwards.
    pub columns: [&'static str; 9],
    /// From nothing to full, to the right.
    pub rows: [&'static str; 9],
    /// The median of a chart, and the bands from there to the 95th and on to the 99th percentile.
    pub curve: [&'static str; 3],
    /// Axis: line, tick, corner.
    pub axis: [&'static str; 3],
    pub frame: border::Set<'static>,
    pub focus_frame: border::Set<'static>,
    pub arrows: [&'static str; 4],
}

pub const UNICODE: Glyphs = Glyphs {
    live: "●",
    paused: "‖",
    replay: "▶",
    lost: "✕",
    waiting: "○",
    ok: "●",
    warn: "▲",
    bad: "■",
    refused: "×",
    slow: "~",
    note: "·",
    cursor: "▸",
    descending: "▼",
    ascending: "▲",
    ellipsis: "…",
    dot: "·",
    arrow: "→",
    gap: "·",
    columns: [" ", "▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"],
    rows: [" ", "▏", "▎", "▍", "▌", "▋", "▊", "▉", "█"],
    curve: ["━", "▒", "░"],
    axis: ["│", "┤", "└"],
    frame: border::ROUNDED,
    focus_frame: border::THICK,
    arrows: ["←", "↓", "↑", "→"],
};

pub const ASCII: Glyphs = Glyphs {
    live: "*",
    paused: "=",
    replay: ">",
    lost: "X",
    waiting: "o",
    ok: "o",
    warn: "^",
    bad: "#",
    refused: "x",
    slow: "~",
    note: ".",
    cursor: ">",
    descending: "v",
    ascending: "^",
    ellipsis: "~",
    dot: "|",
    arrow: "->",
    gap: ".",
    columns: [" ", "_", "_", ".", "-", "=", "+", "*", "#"],
    rows: [" ", ".", ".", "-", "-", "=", "=", "#", "#"],
    curve: ["=", ":", "."],
    axis: ["|", "+", "+"],
    frame: ASCII_FRAME,
    focus_frame: ASCII_FOCUS,
    arrows: ["Left", "Down", "Up", "Right"],
};

const ASCII_FRAME: border::Set<'static> = border::Set {
    top_left: "+",
    top_right: "+",
    bottom_left: "+",
    bottom_right: "+",
    vertical_left: "|",
    vertical_right: "|",
    horizontal_top: "-",
    horizontal_bottom: "-",
};

const ASCII_FOCUS: border::Set<'static> = border::Set {
    top_left: "#",
    top_right: "#",
    bottom_left: "#",
    bottom_right: "#",
    vertical_left: "#",
    vertical_right: "#",
    horizontal_top: "=",
    horizontal_bottom: "=",
};

impl Theme {
    pub fn new(name: ThemeName, ascii: bool) -> Theme {
        let theme = match name {
            ThemeName::Default => DEFAULT,
            ThemeName::Dark => DARK,
            ThemeName::Light => LIGHT,
            ThemeName::Contrast => CONTRAST,
            ThemeName::Mono => MONO,
        };
        if ascii { Theme { glyphs: &ASCII, ..theme } } else { theme }
    }

    /// The sign of an exchange that failed, was refused, was slow, or none of it.
    pub fn stratum(&self, stratum: crate::exchanges::Stratum) -> (&'static str, Style) {
        use crate::exchanges::Stratum as S;
        match stratum {
            S::Failed => (self.glyphs.bad, self.bad),
            S::Refused => (self.glyphs.refused, self.refused),
            S::Slow => (self.glyphs.slow, self.warn),
            S::Other => (" ", self.text),
        }
    }

    /// The sign and the letter of a level.
    pub fn level(&self, level: crate::rows::Level) -> (&'static str, &'static str, Style) {
        use crate::rows::Level as L;
        match level {
            L::Error => (self.glyphs.bad, "E", self.bad),
            L::Warning => (self.glyphs.warn, "W", self.warn),
            L::Note => (self.glyphs.note, "I", self.text),
        }
    }
}

const PLAIN: Style = Style::new();
const BOLD: Style = Style::new().add_modifier(Modifier::BOLD);
const DIM: Style = Style::new().add_modifier(Modifier::DIM);
/// Takes a row's own colours away, so that it is one even bar.
const REVERSED: Style = Style::new()
    .fg(Color::Reset)
    .bg(Color::Reset)
    .remove_modifier(Modifier::DIM)
    .add_modifier(Modifier::REVERSED);

const fn ink(color: Color) -> Style {
    Style::new().fg(color)
}

const fn rgb(code: u32) -> Style {
    ink(Color::Rgb((code >> 16) as u8, (code >> 8) as u8, code as u8))
}

const DEFAULT: Theme = Theme {
    text: PLAIN,
    // Dim, not grey: some palettes have no grey that differs from their background.
    quiet: DIM,
    strong: BOLD,
    heading: BOLD,
    frame: DIM,
    focus: ink(Color::Cyan),
    selection: REVERSED,
    ok: ink(Color::Blue),
    warn: ink(Color::Yellow),
    bad: ink(Color::Red).add_modifier(Modifier::BOLD),
    refused: ink(Color::Magenta),
    plot: ink(Color::Cyan),
    key: ink(Color::Cyan),
    stale: DIM,
    glyphs: &UNICODE,
};

const DARK: Theme = Theme {
    text: rgb(0x00d8_dee9),
    quiet: rgb(0x007b_8494),
    strong: rgb(0x00ff_ffff).add_modifier(Modifier::BOLD),
    heading: rgb(0x009a_a5b8).add_modifier(Modifier::BOLD),
    frame: rgb(0x0055_5e6e),
    focus: rgb(0x0056_b4e9),
    ok: rgb(0x0056_b4e9),
    warn: rgb(0x00f0_c94a),
    bad: rgb(0x00ff_7b3d).add_modifier(Modifier::BOLD),
    refused: rgb(0x00d5_91c4),
    plot: rgb(0x005f_a8d3),
    key: rgb(0x0056_b4e9),
    ..DEFAULT
};

const LIGHT: Theme = Theme {
    text: rgb(0x0020_2630),
    quiet: rgb(0x0064_6c78),
    strong: rgb(0x0000_0000).add_modifier(Modifier::BOLD),
    heading: rgb(0x004a_5260).add_modifier(Modifier::BOLD),
    frame: rgb(0x009a_a2ae),
    focus: rgb(0x0000_5f9e),
    ok: rgb(0x0000_5f9e),
    warn: rgb(0x008a_5a00),
    bad: rgb(0x00b8_3200).add_modifier(Modifier::BOLD),
    refused: rgb(0x008e_2f78),
    plot: rgb(0x0000_72b2),
    key: rgb(0x0000_5f9e),
    ..DEFAULT
};

const CONTRAST: Theme = Theme {
    text: BOLD,
    quiet: PLAIN,
    strong: BOLD.add_modifier(Modifier::UNDERLINED),
    heading: BOLD.add_modifier(Modifier::UNDERLINED),
    frame: PLAIN,
    focus: ink(Color::LightCyan).add_modifier(Modifier::BOLD),
    ok: ink(Color::LightBlue).add_modifier(Modifier::BOLD),
    warn: ink(Color::LightYellow).add_modifier(Modifier::BOLD),
    bad: ink(Color::LightRed).add_modifier(Modifier::BOLD).add_modifier(Modifier::UNDERLINED),
    refused: ink(Color::LightMagenta).add_modifier(Modifier::BOLD),
    plot: ink(Color::LightCyan).add_modifier(Modifier::BOLD),
    key: ink(Color::LightCyan).add_modifier(Modifier::BOLD),
    ..DEFAULT
};

const MONO: Theme = Theme {
    text: PLAIN,
    quiet: DIM,
    strong: BOLD,
    heading: BOLD,
    frame: DIM,
    focus: BOLD,
    selection: Style::new().remove_modifier(Modifier::DIM).add_modifier(Modifier::REVERSED),
    ok: PLAIN,
    warn: BOLD,
    bad: BOLD.add_modifier(Modifier::UNDERLINED),
    refused: BOLD,
    plot: PLAIN,
    key: BOLD,
    stale: DIM,
    glyphs: &UNICODE,
};

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exchanges::Stratum;

    fn styles(theme: &Theme) -> [Style; 14] {
        let Theme {
            text, quiet, strong, heading, frame, focus, selection, ok, warn, bad, refused, plot, ..
        } = *theme;
        [
            text,
            quiet,
            strong,
            heading,
            frame,
            focus,
            selection,
            ok,
            warn,
            bad,
            refused,
            plot,
            theme.key,
            theme.stale,
        ]
    }

    #[test]
    fn mono_has_no_colour_and_nothing_blinks() {
        let mono = Theme::new(ThemeName::Mono, false);
        assert!(styles(&mono).iter().all(|style| style.fg.is_none() && style.bg.is_none()));
        for name in ThemeName::value_variants() {
            for style in styles(&Theme::new(*name, false)) {
                assert!(!style.add_modifier.intersects(Modifier::SLOW_BLINK | Modifier::RAPID_BLINK));
            }
        }
    }

    #[test]
    fn signs_differ_without_colour() {
        for ascii in [false, true] {
            let theme = Theme::new(ThemeName::Mono, ascii);
            let signs = [Stratum::Failed, Stratum::Refused, Stratum::Slow, Stratum::Other]
                .map(|stratum| theme.stratum(stratum).0);
            let unique: std::collections::BTreeSet<_> = signs.iter().collect();
            assert_eq!(unique.len(), signs.len(), "{signs:?}");
            let glyphs = theme.glyphs;
            let states = [glyphs.live, glyphs.paused, glyphs.replay, glyphs.lost, glyphs.waiting];
            assert_eq!(states.iter().collect::<std::collections::BTreeSet<_>>().len(), states.len());
        }
    }
}
