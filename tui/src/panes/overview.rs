//! The overview's own panes: traffic and latency over time, and the gauges of the moment.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;

use super::Facts;
use super::top::failure_style;
use crate::app::App;
use crate::data::Column;
use crate::format;
use crate::widgets::{chart, frame, text};

/// What the classes are called; the last stands for no status at all.
const CLASSES: [&str; 6] = ["1xx info", "2xx ok", "3xx redirect", "4xx client", "5xx server", "client left"];

/// Refusals are not a class but part of them.
const REFUSED: usize = CLASSES.len();

/// Requests per second over time, and each class with its share.
pub fn traffic(app: &App, area: Rect, buf: &mut Buffer, focused: bool) {
    let probe = Rect { width: area.width.saturating_sub(4), ..area };
    let columns = app.data().columns(chart::columns(probe), app.window.chart_ms());
    let rates: Vec<Option<f64>> = columns.iter().map(|column| column.as_ref().map(Column::rate)).collect();
    let most = rates.iter().flatten().copied().fold(0.0, f64::max);
    let dot = app.theme.glyphs.dot;
    let note = format!(
        "{} now {dot} {} mean {dot} {} max",
        format::rate(app.picture.now_per_second),
        format::rate(app.picture.rate()),
        format::rate(most)
    );
    let inner = frame::draw(buf, area, &app.theme, "Requests/s", &note, focused);
    let classes = shown_classes(app);
    let roomy = usize::from(inner.height) >= classes.len() + 5;
    let below = if roomy { classes.len() as u16 + 1 } else { 2.min(inner.height.saturating_sub(1)) };
    let plot = Rect { height: inner.height.saturating_sub(below), ..inner };
    let rest = Rect { y: inner.y + plot.height, height: inner.height - plot.height, ..inner };
    chart::bars(buf, plot, &rates, &app.theme);
    if roomy {
        chart::time_axis(buf, rest, app.window.chart_ms(), &app.theme);
        let rows = Rect { y: rest.y + 1, height: rest.height - 1, ..rest };
        class_rows(app, rows, buf, &classes, &columns);
    } else {
        put_parts(buf, rest, 0, &class_parts(app, &classes), app.theme.quiet);
        put_parts(buf, rest, 1, &latency_parts(app), app.theme.quiet);
    }
}

/// A line of the class table.
struct Class {
    name: &'static str,
    count: u64,
    per_second: f64,
    style: Style,
    /// Index into a column's rates.
    index: usize,
}

/// The usual classes, and the unusual ones when they occur.
fn shown_classes(app: &App) -> Vec<Class> {
    let picture = &app.picture;
    let total = picture.classes.total();
    let counts: Vec<u64> = picture.classes.by_hundred.into_iter().chain([picture.classes.none]).collect();
    let mut classes: Vec<Class> = (0..CLASSES.len())
        .filter(|index| (1..=4).contains(index) || counts[*index] > 0)
        .map(|index| Class {
            name: CLASSES[index],
            count: counts[index],
            per_second: picture.per_second[index],
            style: if index == 4 { failure_style(app, counts[4], total) } else { app.theme.text },
            index,
        })
        .collect();
    classes.push(Class {
        name: "of it refused",
        count: picture.classes.refused,
        per_second: picture.refused_per_second,
        style: if picture.classes.refused > 0 { app.theme.refused } else { app.theme.text },
        index: REFUSED,
    });
    classes
}

fn class_rows(app: &App, area: Rect, buf: &mut Buffer, classes: &[Class], columns: &[Option<Column>]) {
    let total = app.picture.classes.total();
    for (row, class) in classes.iter().enumerate() {
        let y = row as u16;
        let style = if class.count == 0 { app.theme.quiet } else { class.style };
        text::put(buf, area, 0, y, class.name, style);
        text::put_right(buf, area, 23, y, &format!("{}/s", format::rate(class.per_second)), style);
        text::put_right(buf, area, 32, y, &format!("{} %", format::percent(class.count, total)), style);
        let rate = |column: &Column| column.rates.get(class.index).copied().unwrap_or(column.refused);
        let trend: Vec<_> = columns.iter().map(|column| column.as_ref().map(rate)).collect();
        // Right under the chart above: the same moment is in the same column.
        let room = usize::from(area.width.saturating_sub(34)).min(trend.len());
        let shown = &trend[trend.len() - room..];
        text::put_right(buf, area, area.width, y, &chart::sparkline(shown, app.theme.glyphs), style);
    }
}

/// Draws the parts that have room, each whole or not at all.
fn put_parts(buf: &mut Buffer, area: Rect, y: u16, parts: &[(String, Style, String)], quiet: Style) {
    let mut x = 0;
    for (name, style, value) in parts {
        if usize::from(x) + text::width(name) + 1 + text::width(value) > usize::from(area.width) {
            break;
        }
        x = text::put(buf, area, x, y, name, quiet) + 1;
        x = text::put(buf, area, x, y, value, *style) + 2;
    }
}

/// All classes in one line, for small panes.
fn class_parts(app: &App, classes: &[Class]) -> Vec<(String, Style, String)> {
    let total = app.picture.classes.total();
    let mut parts: Vec<_> = classes
        .iter()
        .map(|class| {
            let name = match class.index {
                5 => "left",
                REFUSED => "refused",
                _ => class.name.split(' ').next().unwrap_or_default(),
            };
            let share = format::percent(class.count, total);
            (name.to_owned(), class.style, if total == 0 { share } else { share + "%" })
        })
        .collect();
    // The client's own doing is the least interesting.
    parts.sort_by_key(|(name, ..)| name == "left");
    parts
}

fn latency_parts(app: &App) -> Vec<(String, Style, String)> {
    let (theme, picture) = (&app.theme, &app.picture);
    let part = |name: &str, value: String| (name.to_owned(), theme.text, value);
    let quantile = |q| format::millis_or_dash(picture.latency.quantile(q));
    let own = format::millis_or_dash(picture.gateway_latency.quantile(0.5));
    vec![
        part("p50", quantile(0.5)),
        part("p95", quantile(0.95)),
        part("p99", format!("{} ms", quantile(0.99))),
        part("in flight", format::count(picture.in_flight)),
        part("gateway p50", own),
    ]
}

/// Percentiles over time.
pub fn latency(app: &App, area: Rect, buf: &mut Buffer, focused: bool) {
    let (theme, picture) = (&app.theme, &app.picture);
    let [p50, p95, p99] = theme.glyphs.curve;
    let quantile = |q| format::millis_or_dash(picture.latency.quantile(q));
    let title = format!(
        "Latency ms  p50 {} {p50}  p95 {} {p95}  p99 {} {p99}",
        quantile(0.5),
        quantile(0.95),
        quantile(0.99)
    );
    let own = |q| format::millis_or_dash(picture.gateway_latency.quantile(q));
    let note = format!("gateway p50 {} p99 {}", own(0.5), own(0.99));
    let inner = frame::draw(buf, area, theme, &title, &note, focused);
    let values: Vec<Option<chart::Percentiles>> = app
        .data()
        .columns(chart::columns(inner), app.window.chart_ms())
        .iter()
        .map(|column| {
            let latency = &column.as_ref()?.latency;
            Some([latency.quantile(0.5)?, latency.quantile(0.95)?, latency.quantile(0.99)?])
        })
        .collect();
    if values.iter().all(Option::is_none) {
        super::nothing(app, inner, buf, "no requests in this time");
        return;
    }
    let axis = u16::from(inner.height >= 6);
    let plot = Rect { height: inner.height - axis, ..inner };
    chart::curves(buf, plot, &values, theme);
    if axis > 0 {
        let below = Rect { y: inner.y + plot.height, height: 1, ..inner };
        chart::time_axis(buf, below, app.window.chart_ms(), theme);
    }
}

/// The gauges.
pub fn now(app: &App, area: Rect, buf: &mut Buffer, focused: bool) {
    let (theme, picture) = (&app.theme, &app.picture);
    let inner = frame::draw(buf, area, theme, "Now", "", focused);
    let mut facts = Facts::new(app, inner, 12);
    facts.add(buf, "in flight", &format::count(picture.in_flight));
    facts.add(buf, "connections", &format::count(picture.connections));
    let bytes = format!(
        "{} in, {} out",
        format::bytes(picture.bytes_in_per_second),
        format::bytes(picture.bytes_out_per_second)
    );
    facts.add(buf, "bytes/s", &bytes);
    let active =
        picture.routes.iter().filter(|route| route.classes.total() > 0 && !route.route.is_empty()).count();
    let all = picture.routes.iter().filter(|route| !route.route.is_empty()).count();
    facts.add(buf, "routes", &format!("{active} of {all} active"));
    targets(app, &mut facts, buf);
    facts.add(buf, "config", &configuration(app));
    facts.add(buf, "sample", &sample(app));
    let lost = picture.events_dropped + picture.log_entries_dropped;
    let style = if lost > 0 { theme.warn } else { theme.text };
    let losses = format!(
        "{} events, {} log entries",
        format::count(picture.events_dropped),
        format::count(picture.log_entries_dropped)
    );
    facts.styled(buf, "lost", &losses, style);
    if let [one] = app.data().gateways.as_slice()
        && let Some(hello) = &one.hello
    {
        let up = one.at_ms().saturating_sub(hello.started_at_ms);
        facts.add(buf, "gateway", &format!("{} up {}", hello.version, format::age(up)));
    } else {
        gateways(app, &mut facts, buf);
    }
}

/// How requests ended, by reason.
pub fn reasons(app: &App, area: Rect, buf: &mut Buffer, focused: bool) {
    let inner = frame::draw(buf, area, &app.theme, "How requests ended", "exact", focused);
    if app.picture.reasons.is_empty() {
        super::nothing(app, inner, buf, "no requests in this time");
    } else {
        super::routes::reasons(app, inner, buf, &app.picture.reasons, app.picture.classes.total());
    }
}

fn targets(app: &App, facts: &mut Facts, buf: &mut Buffer) {
    let unhealthy = app.picture.targets.iter().filter(|target| target.is_unhealthy()).count();
    let all = app.picture.targets.len();
    let (text, style) = match unhealthy {
        0 => (all.to_string(), app.theme.text),
        down => (format!("{all}, {down} unhealthy"), app.theme.bad),
    };
    facts.styled(buf, "targets", &text, style);
}

/// Which generation serves since when.
pub fn configuration(app: &App) -> String {
    let picture = &app.picture;
    let age = picture
        .config_at_ms
        .map(|at| format!(", {} ago", format::age(app.data().at_ms().saturating_sub(at))));
    match picture.generations {
        None => "unknown yet".to_owned(),
        Some((low, high)) if low == high => format!("generation {low}{}", age.unwrap_or_default()),
        Some((low, high)) => format!("generations {low} to {high}"),
    }
}

fn sample(app: &App) -> String {
    let (seen, shown) = (&app.picture.seen, &app.picture.shown);
    let sum = |strata: &admin_api::feed::Strata| strata.failed + strata.refused + strata.slow + strata.other;
    format!("{} of {} shown", format::count(sum(shown)), format::count(sum(seen)))
}

fn gateways(app: &App, facts: &mut Facts, buf: &mut Buffer) {
    for (index, gateway) in app.data().gateways.iter().enumerate() {
        let label = if index == 0 { "gateways" } else { "" };
        let (sign, style) = if gateway.is_live() {
            (app.theme.glyphs.ok, app.theme.text)
        } else {
            (app.theme.glyphs.lost, app.theme.bad)
        };
        facts.styled(buf, label, &format!("{sign} {}", gateway.name()), style);
    }
}
