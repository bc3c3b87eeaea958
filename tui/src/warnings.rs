//! What deserves a look right now: problems the gateway reports, and patterns in the numbers. Each rule looks at
//! the picture, names the thing to blame and says how bad it is; none remembers anything.

use crate::data::Data;
use crate::format;
use crate::picture::Picture;
use crate::rows::{Finding, Lead, Level, RouteRow, share};
use crate::source::Link;

/// From this share of failed exchanges on, a route is called degraded.
const DEGRADED: f64 = 0.01;
/// And from this on, failing.
const FAILING: f64 = 0.1;
/// Fewer failures than this are bad luck.
const ENOUGH: u64 = 5;
/// A route of which more than one exchange in a hundred takes longer is called slow.
const SLOW_US: u64 = 1_000_000;

/// All findings, the worst first.
pub fn findings(data: &Data, picture: &Picture) -> Vec<Finding> {
    let mut findings = Vec::new();
    connections(data, &mut findings);
    configuration(data, &mut findings);
    routes(picture, &mut findings);
    targets(picture, &mut findings);
    plugins(picture, &mut findings);
    losses(picture, &mut findings);
    findings.sort_by_key(|finding| finding.level);
    findings
}

fn finding(level: Level, rule: &'static str, subject: &str, text: String, lead: Lead) -> Finding {
    Finding { level, rule, subject: subject.to_owned(), text, effect: String::new(), lead }
}

fn connections(data: &Data, findings: &mut Vec<Finding>) {
    for gateway in &data.gateways {
        if let Link::Lost { cause, .. } = &gateway.link {
            findings.push(Finding {
                effect: "numbers of this gateway are old".to_owned(),
                ..finding(
                    Level::Error,
                    "connection",
                    gateway.name(),
                    format!("connection lost: {cause}"),
                    Lead::None,
                )
            });
        }
        if gateway.restarted_ms.is_some_and(|at| gateway.at_ms().saturating_sub(at) < 120_000) {
            let text = "restarted; its counters began anew".to_owned();
            findings.push(finding(Level::Note, "restart", gateway.name(), text, Lead::None));
        }
        if gateway.latest.as_ref().is_some_and(|totals| totals.generation == 0) {
            let text = "no configuration serves yet".to_owned();
            findings.push(finding(Level::Warning, "generation", gateway.name(), text, Lead::None));
        }
    }
}

/// The same problem on several gateways is one problem.
fn configuration(data: &Data, findings: &mut Vec<Finding>) {
    for problem in
        data.gateways.iter().filter_map(|gateway| gateway.config.as_ref()).flat_map(|c| &c.problems)
    {
        let text = if problem.field.is_empty() {
            problem.message.clone()
        } else {
            format!("{}: {}", problem.field, problem.message)
        };
        let found = Finding {
            effect: problem.effect.clone(),
            ..finding(Level::Warning, "config", &problem.object, text, Lead::None)
        };
        if !findings.contains(&found) {
            findings.push(found);
        }
    }
}

fn routes(picture: &Picture, findings: &mut Vec<Finding>) {
    for route in &picture.routes {
        let failed = route.classes.failed();
        let bad = route.failed_share();
        if failed >= ENOUGH && bad >= DEGRADED {
            let level = if bad >= FAILING { Level::Error } else { Level::Warning };
            let reason = worst_reason(route)
                .map_or_else(String::new, |(reason, count)| format!(", {reason} {}x", format::count(count)));
            let text = format!("5xx {} %{reason}", format::percent(failed, route.classes.total()));
            findings.push(about_route(level, "failures", route, text));
        }
        let p99 = route.latency.quantile(0.99).unwrap_or(0);
        if route.latency.total() >= 100 && p99 >= SLOW_US {
            let text = format!("slow, p99 {} ms", format::millis(p99));
            findings.push(about_route(Level::Warning, "slow", route, text));
        }
    }
}

fn about_route(level: Level, rule: &'static str, route: &RouteRow, text: String) -> Finding {
    finding(level, rule, route.shown_name(), text, Lead::Route(route.route.clone()))
}

/// The most frequent reason that is neither success nor a refusal.
fn worst_reason(route: &RouteRow) -> Option<(admin_api::Reason, u64)> {
    use admin_api::Reason as R;
    let is_failure =
        |reason: R| !reason.is_refusal() && !matches!(reason, R::Proxied | R::Answered | R::ClientGone);
    route.reasons.iter().copied().find(|(reason, _)| is_failure(*reason))
}

fn targets(picture: &Picture, findings: &mut Vec<Finding>) {
    for target in &picture.targets {
        let lead = || Lead::Target(target.address.clone());
        let failed = share(target.counts.failures, target.counts.attempts);
        if target.is_unhealthy() {
            findings.push(finding(Level::Error, "health", &target.address, "unhealthy".to_owned(), lead()));
        } else if target.counts.failures >= ENOUGH && failed >= DEGRADED {
            let share = format::percent(target.counts.failures, target.counts.attempts);
            let text = format!("{share} % of attempts fail");
            findings.push(finding(Level::Warning, "health", &target.address, text, lead()));
        }
    }
}

fn plugins(picture: &Picture, findings: &mut Vec<Finding>) {
    for plugin in picture.plugins.iter().filter(|plugin| plugin.counts.failed > 0) {
        let text = format!("failed on {}", format::plural(plugin.counts.failed, "request"));
        let lead = Lead::Plugin(plugin.plugin.clone());
        findings.push(finding(Level::Warning, "plugin", &plugin.plugin, text, lead));
    }
}

fn losses(picture: &Picture, findings: &mut Vec<Finding>) {
    if picture.log_entries_dropped > 0 {
        let count = format::thousands(picture.log_entries_dropped);
        let text = format!("{count} log entries lost by log plugins; is their endpoint up?");
        findings.push(finding(Level::Warning, "losses", "logging", text, Lead::None));
    }
    if picture.events_dropped > 0 {
        let count = format::thousands(picture.events_dropped);
        let text = format!("{count} events did not reach the sample; counters are exact");
        findings.push(finding(Level::Note, "losses", "feed", text, Lead::None));
    }
}
