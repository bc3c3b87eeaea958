//! What deserves a look: short lines on the overview, and each in full with the configuration on its own screen.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use super::overview::configuration;
use super::{Facts, list_note, nothing};
use crate::app::App;
use crate::format;
use crate::rows::{Finding, Lead, Level, short_route};
use crate::screens::{List, finding_lines};
use crate::widgets::{frame, text};

/// The overview's lines.
pub fn short(app: &App, area: Rect, buf: &mut Buffer, focused: bool) {
    let note = counts(app);
    let inner = frame::draw(buf, area, &app.theme, "Problems", &note, focused);
    lines(app, inner, buf, focused, focused);
}

/// All of them.
pub fn list(app: &App, area: Rect, buf: &mut Buffer, focused: bool) {
    let note = list_note(app, app.length(List::Findings), app.picture.findings.len(), None);
    let inner = frame::draw(buf, area, &app.theme, "Problems", &note, focused);
    lines(app, inner, buf, focused, true);
}

fn counts(app: &App) -> String {
    let of = |level: Level| app.picture.findings.iter().filter(|finding| finding.level == level).count();
    let parts: Vec<String> = [(Level::Error, "error"), (Level::Warning, "warning")]
        .into_iter()
        .filter(|(level, _)| of(*level) > 0)
        .map(|(level, word)| format::plural(of(level) as u64, word))
        .collect();
    parts.join(", ")
}

fn lines(app: &App, area: Rect, buf: &mut Buffer, focused: bool, marked: bool) {
    let count = app.length(List::Findings);
    if count == 0 {
        let why =
            if app.picture.findings.is_empty() { "nothing to report" } else { "none passes the filter" };
        nothing(app, area, buf, why);
        return;
    }
    let cursor = app.cursor(List::Findings);
    let height = finding_lines(area.width + 4) as u16;
    for (row, index) in (cursor.top..count).take(usize::from(area.height / height)).enumerate() {
        let Some(finding) = app.finding(index) else { break };
        let place = Rect { y: area.y + row as u16 * height, height, ..area };
        draw_finding(app, finding, place, buf);
        if marked && index == cursor.index {
            text::put(buf, place, 0, 0, app.theme.glyphs.cursor, app.theme.strong);
            if focused {
                buf.set_style(place, app.theme.selection);
            }
        }
    }
}

/// Name and text side by side, or one under the other.
fn draw_finding(app: &App, finding: &Finding, area: Rect, buf: &mut Buffer) {
    let theme = &app.theme;
    let ellipsis = theme.glyphs.ellipsis;
    let (sign, letter, style) = theme.level(finding.level);
    let start = text::put(buf, area, 2, 0, &format!("{sign} {letter} "), style);
    let room = usize::from(area.width.saturating_sub(start));
    if area.height > 1 {
        text::put(buf, area, start, 0, &short_route(&finding.subject, room, ellipsis), theme.strong);
        text::put(buf, area, start, 1, &text::cut(&finding.text, room, ellipsis), theme.text);
        return;
    }
    // A long name leaves at least half of the line to what is wrong with it.
    let name_room = room.saturating_sub(text::width(&finding.text) + 2).max(room / 2);
    let name = short_route(&finding.subject, name_room, ellipsis);
    let end = text::put(buf, area, start, 0, &name, theme.strong);
    let rest = usize::from(area.width.saturating_sub(end + 2));
    text::put(buf, area, end + 2, 0, &text::cut(&finding.text, rest, ellipsis), theme.text);
}

/// The chosen one in full, and the configuration that serves.
pub fn detail(app: &App, area: Rect, buf: &mut Buffer, focused: bool) {
    let Some(finding) = app.chosen_finding() else {
        let inner = frame::draw(buf, area, &app.theme, "Configuration", "", focused);
        facts(app, &mut Facts::new(app, inner, 12), buf);
        return;
    };
    let leads = match finding.lead {
        Lead::Route(_) => "Enter shows the route",
        Lead::Target(_) => "Enter shows the target",
        Lead::Plugin(_) => "Enter shows the plugin",
        Lead::None => "",
    };
    let inner = frame::draw(buf, area, &app.theme, &finding.subject, leads, focused);
    let mut lines = Facts::new(app, inner, 12);
    let (_, _, style) = app.theme.level(finding.level);
    lines.styled(buf, "what", &finding.text, style);
    lines.add(buf, "meanwhile", &finding.effect);
    lines.blank();
    facts(app, &mut lines, buf);
}

fn facts(app: &App, lines: &mut Facts, buf: &mut Buffer) {
    lines.add(buf, "config", &configuration(app));
    if let Some((routes, services, plugins)) = app.picture.configured {
        let counts = [(routes, "route"), (services, "service"), (plugins, "plugin")]
            .map(|(count, noun)| format::plural(count, noun));
        lines.add(buf, "holds", &counts.join(", "));
    }
}
