//! The stream: sampled exchanges one a line, and one of them in full. The title says how many there were of each
//! kind and how many are shown, so that nobody takes the list for the whole.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;

use super::{Facts, nothing, overview};
use crate::app::App;
use crate::curl;
use crate::exchanges::{Row, Stratum};
use crate::format;
use crate::rows::short_route;
use crate::screens::{List, Screen};
use crate::widgets::table::{Align, Cell, Column, Table};
use crate::widgets::{bars, frame, text};

const SIGN: Column<Row> = Column::fixed("", 1, Align::Left, 0, |app, row, _| {
    let (sign, style) = app.theme.stratum(row.stratum);
    Cell::new(sign, style)
});
const TIME: Column<Row> = Column::fixed("time", 12, Align::Left, 4, |app, row, _| {
    Cell::new(format::clock(row.exchange.started_at_ms, &app.zone, true), app.theme.quiet)
});
const METHOD: Column<Row> = Column::fixed("method", 6, Align::Left, 1, |app, row, _| {
    Cell::new(&*row.exchange.method, app.theme.text)
});
const STATUS: Column<Row> = Column::fixed("st", 3, Align::Left, 0, |app, row, _| {
    Cell::new(status(row.exchange.status), style(app, row))
});
const PATH: Column<Row> = Column::growing("path", 12, 60, Align::Path, 0, |app, row, _| {
    Cell::new(app.request_target(&row.exchange.target), app.theme.text)
});
const ROUTE: Column<Row> = Column::growing("route", 15, 44, Align::Left, 3, |app, row, width| {
    let name = if row.exchange.route.is_empty() { "-" } else { &row.exchange.route };
    Cell::new(short_route(name, width, app.theme.glyphs.ellipsis), app.theme.text)
});
const SERVICE: Column<Row> = Column::growing("service", 14, 28, Align::Left, 8, |app, row, _| {
    let name = if row.exchange.service.is_empty() { "-" } else { &row.exchange.service };
    Cell::new(name, app.theme.text)
});
const TOTAL: Column<Row> = Column::fixed("ms", 6, Align::Right, 0, |app, row, _| {
    let style = if row.stratum == Stratum::Slow { app.theme.warn } else { app.theme.text };
    Cell::new(format::millis(row.exchange.total_us), style)
});
const UPSTREAM: Column<Row> = Column::fixed("upstr.", 6, Align::Right, 5, |app, row, _| {
    let upstream = Some(row.exchange.upstream_us).filter(|us| *us > 0);
    Cell::new(format::millis_or_dash(upstream), app.theme.quiet)
});
const REASON: Column<Row> = Column::fixed("reason", 18, Align::Left, 2, |app, row, _| {
    Cell::new(row.exchange.reason.as_str(), style(app, row))
});
const CLIENT: Column<Row> = Column::growing("client", 12, 30, Align::Left, 7, |app, row, _| {
    let exchange = &row.exchange;
    let who = if exchange.consumer.is_empty() { &exchange.client } else { &exchange.consumer };
    Cell::new(app.identity(who), app.theme.text)
});
const DETAIL: Column<Row> = Column::growing("why", 20, 80, Align::Left, 1, |app, row, _| {
    let why =
        if row.exchange.detail.is_empty() { row.exchange.reason.meaning() } else { &row.exchange.detail };
    Cell::new(why, app.theme.text)
});

const COLUMNS: &[Column<Row>] =
    &[SIGN, TIME, METHOD, STATUS, PATH, ROUTE, SERVICE, TOTAL, UPSTREAM, REASON, CLIENT];
/// Columns for exchanges that a plugin ended.
pub const ENDED: &[Column<Row>] = &[TIME, STATUS, REASON, METHOD, PATH, CLIENT, DETAIL];

fn status(status: u16) -> String {
    if status == 0 { "-".to_owned() } else { status.to_string() }
}

fn style(app: &App, row: &Row) -> Style {
    match row.stratum {
        Stratum::Other if row.exchange.status >= 400 => app.theme.strong,
        Stratum::Other | Stratum::Slow => app.theme.text,
        stratum => app.theme.stratum(stratum).1,
    }
}

/// The list.
pub fn list(app: &App, area: Rect, buf: &mut Buffer, focused: bool) {
    let title = match (app.anchor, app.lists.newer) {
        (None, _) => "Stream".to_owned(),
        (Some(_), 0) => "Stream  stopped".to_owned(),
        (Some(_), newer) => format!("Stream  stopped, {} newer", format::count(newer as u64)),
    };
    let inner = frame::draw(buf, area, &app.theme, &title, &note(app), focused);
    let count = app.length(List::Exchanges);
    if count == 0 {
        nothing(app, inner, buf, why_nothing(app));
        return;
    }
    let cursor = app.cursor(List::Exchanges);
    let rows: Vec<&Row> = (cursor.top..count)
        .map_while(|index| app.exchange(index))
        .take(inner.height.into())
        .map(AsRef::as_ref)
        .collect();
    let selected = app.chosen_exchange().map(|_| cursor.index - cursor.top);
    Table { columns: COLUMNS, rows: &rows, selected, sorted: None, focused }.draw(app, inner, buf);
}

fn why_nothing(app: &App) -> &'static str {
    if app.data().exchanges.is_empty() {
        "no exchanges yet"
    } else if app.filter(Screen::Stream).is_empty() {
        "nothing to show"
    } else {
        "no exchange of the sample passes the filter; Esc drops it"
    }
}

/// How many of each kind are shown of how many there were.
fn note(app: &App) -> String {
    let (seen, shown) = (&app.picture.seen, &app.picture.shown);
    let mut parts: Vec<String> = [
        ("failed", shown.failed, seen.failed),
        ("refused", shown.refused, seen.refused),
        ("slow", shown.slow, seen.slow),
        ("other", shown.other, seen.other),
    ]
    .into_iter()
    .filter(|(.., seen)| *seen > 0)
    .map(|(name, shown, seen)| format!("{name} {}/{}", format::count(shown), format::count(seen)))
    .collect();
    let filter = app.filter(Screen::Stream);
    if !filter.is_empty() {
        parts.insert(0, format!("filter {}", filter.text()));
    }
    parts.join(" ")
}

/// One exchange in full; while none is chosen, what all of them came to.
pub fn detail(app: &App, area: Rect, buf: &mut Buffer, focused: bool) {
    let Some(row) = app.chosen_exchange() else {
        overview::reasons(app, area, buf, focused);
        return;
    };
    let exchange = &row.exchange;
    let arrow = app.theme.glyphs.arrow;
    let target = text::cut_middle(&exchange.target, 60, app.theme.glyphs.ellipsis).into_owned();
    let target = app.request_target(&target).into_owned();
    let title = format!("{} {target} {arrow} {}", exchange.method, ended(exchange.status));
    let note = format::clock(exchange.started_at_ms, &app.zone, true);
    let inner = frame::draw(buf, area, &app.theme, &title, &note, focused);
    let mut facts = Facts::new(app, inner, 10);
    let reason = format!("{}: {}", exchange.reason, exchange.reason.meaning());
    facts.styled(buf, "reason", &reason, style(app, row));
    facts.add(buf, "because", &exchange.detail);
    if !exchange.ended_by.is_empty() {
        facts.styled(buf, "ended by", &format!("plugin {}", exchange.ended_by), app.theme.refused);
    }
    facts.add(buf, "route", &route_line(app, row));
    facts.add(buf, "time", &time_line(app, row));
    facts.add(buf, "client", &client_line(app, row));
    let bytes = format!(
        "{} received, {} sent",
        format::bytes(exchange.request_bytes as f64),
        format::bytes(exchange.response_bytes as f64)
    );
    facts.add(buf, "bytes", &bytes);
    let trace = if exchange.trace_id.is_empty() {
        "no trace".to_owned()
    } else {
        format!("trace {}", exchange.trace_id)
    };
    facts.add(buf, "request", &format!("id {}, {trace}", exchange.id));
    if app.masked {
        facts.add(buf, "repeat", "not shown while identities are masked; y copies it");
    } else {
        facts.add(buf, "repeat", &curl::command(exchange));
    }
}

fn ended(status: u16) -> String {
    if status == 0 { "no status".to_owned() } else { status.to_string() }
}

fn route_line(app: &App, row: &Row) -> String {
    let exchange = &row.exchange;
    let route = if exchange.route.is_empty() { "none matched" } else { &exchange.route };
    let way: Vec<&str> = [route, &exchange.service, &exchange.target_address]
        .into_iter()
        .filter(|place| !place.is_empty())
        .collect();
    let tried = match exchange.attempts {
        0 => ", no target tried".to_owned(),
        1 => String::new(),
        tries => format!(", {tries} targets tried"),
    };
    way.join(&format!(" {} ", app.theme.glyphs.arrow)) + &tried
}

fn time_line(app: &App, row: &Row) -> String {
    let exchange = &row.exchange;
    let total = format::millis(exchange.total_us);
    let own = exchange.total_us.saturating_sub(exchange.upstream_us);
    let parts = match exchange.upstream_us {
        0 => ", all in the gateway".to_owned(),
        upstream => format!(
            ": {} ms upstream, {} ms in the gateway and on the way",
            format::millis(upstream),
            format::millis(own)
        ),
    };
    let place = match app.data().gateways.as_slice() {
        [] | [_] => String::new(),
        many => many.get(row.gateway).map(|gateway| format!(", at {}", gateway.name())).unwrap_or_default(),
    };
    format!("{total} ms{parts}{place}")
}

fn client_line(app: &App, row: &Row) -> String {
    let exchange = &row.exchange;
    let consumer = match exchange.consumer.as_str() {
        "" => String::new(),
        consumer => format!(", consumer {}", app.identity(consumer)),
    };
    let tls = if exchange.tls { " over TLS" } else { "" };
    format!("{}{consumer}, {}{tls} to {}", app.identity(&exchange.client), exchange.protocol, exchange.host)
}

/// The latency histogram of the chosen exchange's route, with its own place in it.
pub fn route(app: &App, area: Rect, buf: &mut Buffer, focused: bool) {
    let chosen = app.chosen_exchange();
    let row = chosen.and_then(|row| app.picture.route(&row.exchange.route));
    let latencies = row.map_or(&app.picture.latency, |row| &row.latency);
    let title = if row.is_some() { "Same route, up to ms" } else { "All routes, up to ms" };
    let inner = frame::draw(buf, area, &app.theme, title, app.window.words(), focused);
    if latencies.total() == 0 {
        nothing(app, inner, buf, "no requests in this time");
        return;
    }
    bars::draw(buf, inner, latencies, chosen.map(|row| row.exchange.total_us), &app.theme);
}
