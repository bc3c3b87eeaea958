//! The picture as plain text and as JSON: what is on the screen, a script can have.
//!
//! The JSON is one object a line. `schema` is 1 and ascends when a field goes or changes its meaning; new fields may
//! appear at any time. Times are milliseconds, shares are left to the reader, counts are of the window.

use serde_json::{Value, json};

use crate::data::Data;
use crate::format;
use crate::latencies::Latencies;
use crate::picture::Picture;
use crate::rows::{Level, RouteRow};
use crate::source::Link;

/// The most routes and exchanges that a summary lists.
const MOST: usize = 20;

/// A summary for people.
pub fn text(data: &Data, picture: &Picture) -> String {
    let mut out = String::new();
    let mut line = |text: String| {
        out.push_str(text.trim_end());
        out.push('\n');
    };
    for gateway in &data.gateways {
        let version = gateway.hello.as_ref().map_or("", |hello| hello.version.as_str());
        line(format!(
            "gateway   {} {version} at {}, {}",
            gateway.name(),
            gateway.address,
            state(&gateway.link)
        ));
    }
    if let Some((low, high)) = picture.generations {
        let generation = if low == high { low.to_string() } else { format!("{low} to {high}") };
        line(format!("config    generation {generation}"));
    }
    let total = picture.classes.total();
    line(format!("window    {} s, {}", picture.span_ms / 1_000, format::plural(total, "request")));
    let classes: Vec<String> = picture
        .classes
        .by_hundred
        .iter()
        .enumerate()
        .filter(|(index, count)| *index > 0 || **count > 0)
        .map(|(index, count)| format!("{}xx {} %", index + 1, format::percent(*count, total)))
        .collect();
    line(format!("requests  {}/s   {}", format::rate(picture.rate()), classes.join("   ")));
    line(format!(
        "refused   {} %   client left {} %",
        format::percent(picture.classes.refused, total),
        format::percent(picture.classes.none, total)
    ));
    line(format!("latency   {}", percentiles(&picture.latency)));
    line(format!("gateway's {}", percentiles(&picture.gateway_latency)));
    line(format!(
        "now       {} in flight, {} connections, {}/s in, {}/s out",
        format::count(picture.in_flight),
        format::count(picture.connections),
        format::bytes(picture.bytes_in_per_second),
        format::bytes(picture.bytes_out_per_second)
    ));
    line(format!(
        "lost      {} events, {} log entries",
        format::thousands(picture.events_dropped),
        format::thousands(picture.log_entries_dropped)
    ));
    sections(picture, &mut line);
    out
}

fn sections(picture: &Picture, line: &mut impl FnMut(String)) {
    let routes: Vec<&RouteRow> =
        picture.worst_routes().into_iter().map(|index| &picture.routes[index]).collect();
    if !routes.is_empty() {
        let name_width =
            routes.iter().map(|row| row.shown_name().chars().count()).max().unwrap_or(0).clamp(5, 48);
        line(String::new());
        line(format!(
            "{:<name_width$} {:>7} {:>6} {:>6} {:>6} {:>6} {:>6} {:>6} {:>8}",
            "route", "req/s", "p50", "p95", "p99", "2xx %", "4xx %", "5xx %", "refused"
        ));
        for row in routes.iter().take(MOST) {
            line(route_line(row, name_width));
        }
        if routes.len() > MOST {
            line(format!("and {} more", routes.len() - MOST));
        }
    }
    if !picture.reasons.is_empty() {
        line(String::new());
        line(format!("{:<20} {:>9}", "reason", "requests"));
        for (reason, count) in &picture.reasons {
            line(format!("{:<20} {:>9}   {}", reason.as_str(), format::thousands(*count), reason.meaning()));
        }
    }
    if picture.plugins.iter().any(|plugin| plugin.runs() > 0) {
        line(String::new());
        line(format!("{:<20} {:>9} {:>9} {:>9}", "plugin", "passed", "ended", "failed"));
        for plugin in picture.plugins.iter().filter(|plugin| plugin.runs() > 0) {
            line(format!(
                "{:<20} {:>9} {:>9} {:>9}",
                plugin.plugin,
                format::thousands(plugin.counts.passed),
                format::thousands(plugin.counts.ended),
                format::thousands(plugin.counts.failed)
            ));
        }
    }
    if !picture.findings.is_empty() {
        line(String::new());
        line("problems".to_owned());
        for finding in &picture.findings {
            let effect =
                if finding.effect.is_empty() { String::new() } else { format!(" ({})", finding.effect) };
            line(format!("{:<8} {}: {}{effect}", level(finding.level), finding.subject, finding.text));
        }
    }
}

fn route_line(row: &RouteRow, name_width: usize) -> String {
    let total = row.classes.total();
    let quantile = |q| format::millis_or_dash(row.latency.quantile(q));
    let share = |count| format::percent(count, total);
    format!(
        "{:<name_width$} {:>7} {:>6} {:>6} {:>6} {:>6} {:>6} {:>6} {:>8}",
        crate::widgets::text::cut(row.shown_name(), name_width, "~"),
        format::rate(row.per_second),
        quantile(0.5),
        quantile(0.95),
        quantile(0.99),
        share(row.classes.by_hundred[1]),
        share(row.classes.by_hundred[3]),
        share(row.classes.by_hundred[4]),
        share(row.classes.refused)
    )
}

fn percentiles(latencies: &Latencies) -> String {
    let one = |name: &str, q| format!("{name} {}", format::millis_or_dash(latencies.quantile(q)));
    format!("{}   {}   {}   {} ms", one("p50", 0.5), one("p90", 0.9), one("p95", 0.95), one("p99", 0.99))
}

fn level(level: Level) -> &'static str {
    match level {
        Level::Error => "error",
        Level::Warning => "warning",
        Level::Note => "note",
    }
}

fn state(link: &Link) -> String {
    match link {
        Link::Connecting => "connecting".to_owned(),
        Link::Live => "live".to_owned(),
        Link::Lost { cause, .. } => format!("lost: {cause}"),
        Link::Ended { note } if note.is_empty() => "recorded".to_owned(),
        Link::Ended { note } => format!("recorded, {note}"),
    }
}

/// A summary for programs; see the module for what may be relied on.
pub fn value(data: &Data, picture: &Picture) -> Value {
    let gateways: Vec<Value> = data
        .gateways
        .iter()
        .map(|gateway| {
            json!({
                "name": gateway.name(),
                "address": gateway.address,
                "state": match gateway.link {
                    Link::Connecting => "connecting",
                    Link::Live => "live",
                    Link::Lost { .. } => "lost",
                    Link::Ended { .. } => "recorded",
                },
                "generation": gateway.latest.as_ref().map(|totals| totals.generation),
            })
        })
        .collect();
    let problems: Vec<Value> = picture
        .findings
        .iter()
        .map(|finding| {
            json!({
                "level": level(finding.level), "object": finding.subject, "message": finding.text,
                "effect": finding.effect,
            })
        })
        .collect();
    json!({
        "schema": 1,
        "at_ms": data.at_ms(),
        "window_ms": picture.span_ms,
        "gateways": gateways,
        "requests": requests(picture.rate(), &picture.classes),
        "latency_ms": quantiles(&picture.latency),
        "gateway_latency_ms": quantiles(&picture.gateway_latency),
        "in_flight": picture.in_flight,
        "connections": picture.connections,
        "bytes_in_per_second": picture.bytes_in_per_second,
        "bytes_out_per_second": picture.bytes_out_per_second,
        "lost": {"events": picture.events_dropped, "log_entries": picture.log_entries_dropped},
        "sample": {"seen": picture.seen, "shown": picture.shown},
        "reasons": reasons(&picture.reasons),
        "routes": picture.routes.iter().map(|row| json!({
            "route": row.route, "service": row.service, "plugins": row.plugins,
            "requests": requests(row.per_second, &row.classes),
            "latency_ms": quantiles(&row.latency),
            "reasons": reasons(&row.reasons),
        })).collect::<Vec<_>>(),
        "plugins": picture.plugins.iter().map(|row| json!({
            "plugin": row.plugin, "passed": row.counts.passed, "ended": row.counts.ended, "failed": row.counts.failed,
        })).collect::<Vec<_>>(),
        "targets": picture.targets.iter().map(|row| json!({
            "target": row.address, "health": row.health, "attempts": row.counts.attempts,
            "failures": row.counts.failures, "in_flight": row.in_flight,
        })).collect::<Vec<_>>(),
        "problems": problems,
    })
}

fn requests(per_second: f64, classes: &crate::tally::Classes) -> Value {
    json!({
        "per_second": per_second,
        "total": classes.total(),
        "1xx": classes.by_hundred[0],
        "2xx": classes.by_hundred[1],
        "3xx": classes.by_hundred[2],
        "4xx": classes.by_hundred[3],
        "5xx": classes.by_hundred[4],
        "no_status": classes.none,
        "refused": classes.refused,
    })
}

fn quantiles(latencies: &Latencies) -> Value {
    let one = |q| latencies.quantile(q).map(|micros| micros as f64 / 1_000.0);
    json!({"p50": one(0.5), "p90": one(0.9), "p95": one(0.95), "p99": one(0.99), "p999": one(0.999)})
}

fn reasons(reasons: &[(admin_api::Reason, u64)]) -> Value {
    reasons
        .iter()
        .map(|(reason, count)| (reason.as_str().to_owned(), json!(count)))
        .collect::<serde_json::Map<_, _>>()
        .into()
}
