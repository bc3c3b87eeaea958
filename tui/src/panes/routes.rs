//! Routes: the table, the short one of the overview, and the facts and latencies of the chosen one.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;

use super::top::failure_style;
use super::{Facts, list_note, nothing};
use crate::app::App;
use crate::format;
use crate::rows::{RouteRow, short_route};
use crate::screens::List;
use crate::widgets::table::{Align, Cell, Column, Table};
use crate::widgets::{bars, chart, frame, text};

const NAME: Column<RouteRow> = Column::growing("route", 24, 44, Align::Left, 0, |app, row, width| {
    Cell::new(short_route(row.shown_name(), width, app.theme.glyphs.ellipsis), base(app, row))
});
const SERVICE: Column<RouteRow> = Column::growing("service", 16, 30, Align::Left, 7, |app, row, _| {
    Cell::new(&*row.service, base(app, row))
});
const RATE: Column<RouteRow> = Column::fixed("req/s", 7, Align::Right, 0, |app, row, _| {
    Cell::new(format::rate(row.per_second), base(app, row))
});
const TREND: Column<RouteRow> = Column::growing("trend", 10, 24, Align::Left, 6, |app, row, width| {
    let trend =
        app.data().trend(app.window, width, |gateway, ms, step| gateway.history.trend(&row.route, ms, step));
    Cell::new(chart::sparkline(&trend, app.theme.glyphs), app.theme.plot)
});
const P50: Column<RouteRow> = Column::fixed("p50", 6, Align::Right, 5, |app, row, _| quantile(app, row, 0.5));
const P95: Column<RouteRow> =
    Column::fixed("p95", 6, Align::Right, 4, |app, row, _| quantile(app, row, 0.95));
const P99: Column<RouteRow> =
    Column::fixed("p99", 6, Align::Right, 2, |app, row, _| quantile(app, row, 0.99));
const SUCCESS: Column<RouteRow> = Column::fixed("2xx", 5, Align::Right, 6, |app, row, _| class(app, row, 2));
const REDIRECT: Column<RouteRow> = Column::fixed("3xx", 5, Align::Right, 9, |app, row, _| class(app, row, 3));
const CLIENT: Column<RouteRow> = Column::fixed("4xx", 5, Align::Right, 1, |app, row, _| class(app, row, 4));
const REFUSED: Column<RouteRow> = Column::fixed("refused", 8, Align::Right, 3, |app, row, _| {
    let style = if row.classes.refused > 0 { app.theme.refused } else { base(app, row) };
    Cell::new(format::percent(row.classes.refused, row.classes.total()), style)
});
const FAILED: Column<RouteRow> = Column::fixed("5xx", 5, Align::Right, 0, |app, row, _| class(app, row, 5));
const SIGN: Column<RouteRow> = Column::fixed("", 1, Align::Left, 0, |app, row, _| {
    let (failed, total) = (row.classes.failed(), row.classes.total());
    let sign = match row.failed_share() {
        share if share >= 0.1 => app.theme.glyphs.bad,
        share if share >= 0.01 => app.theme.glyphs.warn,
        _ => " ",
    };
    Cell::new(sign, failure_style(app, failed, total))
});
const PLUGINS: Column<RouteRow> = Column::growing("plugins", 16, 40, Align::Left, 8, |app, row, _| {
    Cell::new(row.plugins.join(" "), app.theme.quiet)
});

const COLUMNS: &[Column<RouteRow>] =
    &[NAME, SERVICE, RATE, TREND, P50, P95, P99, SUCCESS, REDIRECT, CLIENT, REFUSED, FAILED, SIGN, PLUGINS];
const WORST: &[Column<RouteRow>] = &[NAME, RATE, TREND, P50, P95, P99, SUCCESS, CLIENT, FAILED, SIGN];

fn base(app: &App, row: &RouteRow) -> Style {
    if row.classes.total() == 0 { app.theme.quiet } else { app.theme.text }
}

fn quantile(app: &App, row: &RouteRow, q: f64) -> Cell {
    Cell::new(format::millis_or_dash(row.latency.quantile(q)), base(app, row))
}

fn class(app: &App, row: &RouteRow, class: usize) -> Cell {
    let (count, total) = (row.classes.by_hundred[class - 1], row.classes.total());
    let style = if class == 5 && count > 0 { failure_style(app, count, total) } else { base(app, row) };
    Cell::new(format::percent(count, total), style)
}

/// The overview's table.
pub fn worst(app: &App, area: Rect, buf: &mut Buffer, focused: bool) {
    let count = app.length(List::WorstRoutes);
    let dot = app.theme.glyphs.dot;
    let note = format!("ms and % {dot} {count} active");
    let inner = frame::draw(buf, area, &app.theme, "Routes by share of 5xx", &note, focused);
    if count == 0 {
        nothing(app, inner, buf, "no requests in this time");
        return;
    }
    let cursor = app.cursor(List::WorstRoutes);
    let rows: Vec<&RouteRow> =
        (cursor.top..count).map_while(|index| app.worst_route(index)).take(inner.height.into()).collect();
    let selected = focused.then(|| cursor.index - cursor.top);
    Table { columns: WORST, rows: &rows, selected, sorted: None, focused }.draw(app, inner, buf);
}

/// The table of all routes.
pub fn list(app: &App, area: Rect, buf: &mut Buffer, focused: bool) {
    let count = app.length(List::Routes);
    let sorting = app.sorting(List::Routes);
    let order = RouteRow::ORDERS[sorting.order].name;
    let note = list_note(app, count, app.picture.routes.len(), Some(order));
    let inner = frame::draw(buf, area, &app.theme, "Routes  ms and %, exact", &note, focused);
    if count == 0 {
        let why = match app.picture.routes.len() {
            0 => "the gateway has no routes yet",
            _ => "no route passes the filter; Esc drops it",
        };
        nothing(app, inner, buf, why);
        return;
    }
    let cursor = app.cursor(List::Routes);
    let rows: Vec<&RouteRow> =
        (cursor.top..count).map_while(|index| app.route(index)).take(inner.height.into()).collect();
    let selected = Some(cursor.index - cursor.top);
    Table { columns: COLUMNS, rows: &rows, selected, sorted: Some((order, sorting)), focused }
        .draw(app, inner, buf);
}

/// What is known of the chosen route besides its row.
pub fn facts(app: &App, area: Rect, buf: &mut Buffer, focused: bool) {
    let Some(row) = app.chosen_route() else {
        let inner = frame::draw(buf, area, &app.theme, "Route", "", focused);
        nothing(app, inner, buf, "no route is chosen");
        return;
    };
    let inner = frame::draw(buf, area, &app.theme, row.shown_name(), "Enter shows its exchanges", focused);
    let mut facts = Facts::new(app, inner, 10);
    facts.add(buf, "service", &row.service);
    let plugins = if row.plugins.is_empty() { "none".to_owned() } else { row.plugins.join(", ") };
    facts.add(buf, "plugins", &plugins);
    let total = row.classes.total();
    let rate = format!("{} req/s, {} in the window", format::rate(row.per_second), format::count(total));
    facts.add(buf, "traffic", &rate);
    let width = usize::from(inner.width.saturating_sub(10)).min(60);
    let trend =
        app.data().trend(app.window, width, |gateway, ms, step| gateway.history.trend(&row.route, ms, step));
    facts.styled(buf, "trend", &chart::sparkline(&trend, app.theme.glyphs), app.theme.plot);
    if total > 0 {
        facts.blank();
        reasons(app, facts.rest(), buf, &row.reasons, total);
    }
}

/// Reasons with their counts and meanings.
pub fn reasons(app: &App, area: Rect, buf: &mut Buffer, reasons: &[(admin_api::Reason, u64)], total: u64) {
    for (row, (reason, count)) in reasons.iter().enumerate() {
        let y = row as u16;
        let style = match *reason {
            admin_api::Reason::Proxied => app.theme.text,
            reason if reason.is_refusal() => app.theme.refused,
            _ => app.theme.warn,
        };
        text::put_right(buf, area, 7, y, &format::count(*count), app.theme.text);
        text::put_right(buf, area, 15, y, &format!("{} %", format::percent(*count, total)), app.theme.quiet);
        text::put(buf, area, 17, y, reason.as_str(), style);
        let meaning = text::cut(
            reason.meaning(),
            usize::from(area.width.saturating_sub(36)),
            app.theme.glyphs.ellipsis,
        );
        if area.width > 60 {
            text::put(buf, area, 36, y, &meaning, app.theme.quiet);
        }
    }
}

/// The latency histogram of the chosen route.
pub fn latency(app: &App, area: Rect, buf: &mut Buffer, focused: bool) {
    let note = format!("{} requests", format::count(app.chosen_route().map_or(0, |row| row.latency.total())));
    let inner = frame::draw(buf, area, &app.theme, "Latency, up to ms", &note, focused);
    match app.chosen_route().filter(|row| row.latency.total() > 0) {
        Some(row) => bars::draw(buf, inner, &row.latency, None, &app.theme),
        None => nothing(app, inner, buf, "no requests in this time"),
    }
}
