//! The two lines on top: who we look at, in which state, the golden numbers; the screens and the window.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;

use crate::app::{App, Origin};
use crate::format;
use crate::source::Link;
use crate::widgets::text;

/// A part of a line; the parts of the highest rank go first when there is no room.
struct Part {
    text: String,
    style: Style,
    rank: u8,
}

fn part(text: impl Into<String>, style: Style, rank: u8) -> Part {
    Part { text: text.into(), style, rank }
}

/// The state, the golden numbers, the clock.
pub fn header(app: &App, area: Rect, buf: &mut Buffer) {
    let (sign, word, style) = state(app);
    let mut left = vec![part(format!("{sign} {word}"), app.theme.strong.patch(style), 0)];
    left.extend(who(app));
    left.extend(golden(app));
    line(buf, area, left, losses_and_clock(app));
}

/// Two groups of parts, the second at the right end; parts go by rank until it fits.
fn line(buf: &mut Buffer, area: Rect, mut left: Vec<Part>, mut right: Vec<Part>) {
    let width = |parts: &[Part]| parts.iter().map(|part| text::width(&part.text) + 2).sum::<usize>();
    while width(&left) + width(&right) > usize::from(area.width) {
        let Some(rank) = left.iter().chain(&right).map(|part| part.rank).max().filter(|rank| *rank > 0)
        else {
            break;
        };
        left.retain(|part| part.rank != rank);
        right.retain(|part| part.rank != rank);
    }
    let mut x = 1;
    for part in left {
        x = text::put(buf, area, x, 0, &part.text, part.style) + 2;
    }
    let mut right_end = area.width.saturating_sub(1);
    for part in right.iter().rev() {
        text::put_right(buf, area, right_end, 0, &part.text, part.style);
        right_end = right_end.saturating_sub(text::width(&part.text) as u16 + 2);
    }
}

/// The sign and the words of what is going on with the source.
fn state(app: &App) -> (&'static str, String, Style) {
    let (theme, glyphs) = (&app.theme, app.theme.glyphs);
    let gateways = &app.live_data().gateways;
    if gateways.iter().any(|gateway| matches!(gateway.link, Link::Ended { .. })) {
        return (glyphs.replay, "REPLAY ended".to_owned(), theme.warn);
    }
    if app.origin == Origin::Replay {
        let word = if app.playback.paused { "REPLAY paused" } else { "REPLAY" };
        return (glyphs.replay, format!("{word} {}x", app.playback.speed), theme.ok);
    }
    if app.is_paused() {
        return (
            glyphs.paused,
            format!("PAUSED at {}", format::clock(app.data().at_ms(), &app.zone, false)),
            theme.warn,
        );
    }
    let live = gateways.iter().filter(|gateway| gateway.is_live()).count();
    if live == 0 {
        return lost(app);
    }
    if let Some(silence) = gateways.iter().filter_map(|gateway| gateway.silent_ms(app.now_ms)).max() {
        return (glyphs.waiting, format!("SILENT {}", format::age(silence)), theme.warn);
    }
    let word = if app.origin == Origin::Demo { "DEMO" } else { "LIVE" };
    match gateways.len() {
        1 => (glyphs.live, word.to_owned(), theme.ok),
        all if live < all => (glyphs.warn, format!("{word} {live} of {all}"), theme.warn),
        _ => (glyphs.live, word.to_owned(), theme.ok),
    }
}

fn lost(app: &App) -> (&'static str, String, Style) {
    let (theme, glyphs) = (&app.theme, app.theme.glyphs);
    let gateways = &app.live_data().gateways;
    let retry = gateways.iter().find_map(|gateway| match &gateway.link {
        Link::Lost { retry_at_ms, .. } => Some(*retry_at_ms),
        _ => None,
    });
    let Some(retry) = retry else {
        return (glyphs.waiting, "CONNECTING".to_owned(), theme.warn);
    };
    let wait = retry.saturating_sub(app.now_ms).div_ceil(1_000);
    let age = match app.live_data().heard_ms() {
        Some(heard) => format!(" {}", format::age(app.now_ms.saturating_sub(heard))),
        None => String::new(),
    };
    let next = if wait == 0 { "trying".to_owned() } else { format!("retry in {wait} s") };
    (glyphs.lost, format!("LOST{age}, {next}"), theme.bad)
}

fn who(app: &App) -> Option<Part> {
    let name = match app.data().gateways.as_slice() {
        [one] if app.origin == Origin::Demo && one.name() == "demo" => return None,
        [one] => text::cut(one.name(), 28, app.theme.glyphs.ellipsis).into_owned(),
        many => format::plural(many.len() as u64, "gateway"),
    };
    Some(part(name, app.theme.text, 6))
}

fn golden(app: &App) -> Vec<Part> {
    let (theme, picture) = (&app.theme, &app.picture);
    if !app.data().has_picture() {
        return Vec::new();
    }
    let total = picture.classes.total();
    let quantile = |q| format::millis_or_dash(picture.latency.quantile(q));
    let failed = picture.classes.failed();
    let failed_style = if failed == 0 { theme.text } else { failure_style(app, failed, total) };
    vec![
        part(format!("{} req/s", format::rate(picture.now_per_second)), theme.strong, 1),
        part(format!("p50 {}", quantile(0.5)), theme.text, 5),
        part(format!("p95 {}", quantile(0.95)), theme.text, 7),
        part(format!("p99 {} ms", quantile(0.99)), theme.text, 3),
        part(format!("5xx {} %", format::percent(failed, total)), failed_style, 2),
        part(format!("refused {} %", format::percent(picture.classes.refused, total)), theme.text, 8),
    ]
}

/// How a share of failures looks: from one per cent on it is a warning, from ten on it is bad.
pub fn failure_style(app: &App, failed: u64, total: u64) -> Style {
    match crate::rows::share(failed, total) {
        share if share >= 0.1 => app.theme.bad,
        share if share >= 0.01 => app.theme.warn,
        _ => app.theme.text,
    }
}

fn losses_and_clock(app: &App) -> Vec<Part> {
    let theme = &app.theme;
    let mut parts = Vec::new();
    if app.masked {
        parts.push(part("masked", theme.warn, 9));
    }
    if let Some((_, bytes)) = &app.recording {
        parts.push(part(format!("REC {}", format::bytes(*bytes as f64)), theme.bad, 4));
    }
    if app.data().has_picture() {
        let lost = app.picture.events_dropped + app.picture.log_entries_dropped;
        let style = if lost > 0 { theme.warn } else { theme.quiet };
        parts.push(part(format!("lost {}", format::count(lost)), style, if lost > 0 { 4 } else { 10 }));
    }
    if app.data().at_ms() > 0 {
        parts.push(part(format::clock(app.data().at_ms(), &app.zone, false), theme.text, 9));
    }
    parts
}

/// The screens, the current one in brackets, and the window.
pub fn tabs(app: &App, area: Rect, buf: &mut Buffer) {
    let window = app.window_label();
    let mut x = 0;
    for (screen, label) in app.tabs(area.width, &window) {
        let style = if screen == app.screen { app.theme.strong } else { app.theme.text };
        x = text::put(buf, area, x, 0, &label, style);
    }
    text::put_right(buf, area, area.width.saturating_sub(1), 0, &window, app.theme.quiet);
}
