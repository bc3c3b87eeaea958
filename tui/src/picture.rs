//! The numbers of one moment over one window, ready to be drawn, printed or asked: a pure function of the data.
//! Screens, plain text and JSON all read this, so that they cannot disagree.

use std::collections::BTreeMap;

use admin_api::Reason;
use admin_api::feed::Strata;

use crate::data::Data;
use crate::history::per_second;
use crate::latencies::Latencies;
use crate::rows::{Finding, PluginRow, RouteRow, TargetRow};
use crate::tally::{Classes, Tally, add_strata};
use crate::warnings;
use crate::window::Window;

/// "Now" in requests per second.
const NOW_MS: u64 = 2_000;

/// See the module.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Picture {
    pub window: Window,
    /// How long the window really is; less than asked for while we have not watched that long.
    pub span_ms: u64,
    /// Requests per second in the last two seconds.
    pub now_per_second: f64,
    /// Requests per second over the window, by class: 1xx to 5xx, then those without a status.
    pub per_second: [f64; 6],
    pub refused_per_second: f64,
    pub classes: Classes,
    pub latency: Latencies,
    pub gateway_latency: Latencies,
    pub bytes_in_per_second: f64,
    pub bytes_out_per_second: f64,
    pub in_flight: u64,
    pub connections: u64,
    /// The lowest and the highest generation that serves.
    pub generations: Option<(u64, u64)>,
    /// Routes, services and plugins that are configured, when a gateway said so.
    pub configured: Option<(u64, u64, u64)>,
    /// When the newest generation began to serve.
    pub config_at_ms: Option<u64>,
    pub events_dropped: u64,
    pub log_entries_dropped: u64,
    pub seen: Strata,
    pub shown: Strata,
    /// Most frequent first.
    pub reasons: Vec<(Reason, u64)>,
    pub routes: Vec<RouteRow>,
    pub plugins: Vec<PluginRow>,
    pub targets: Vec<TargetRow>,
    pub findings: Vec<Finding>,
}

impl Picture {
    pub fn of(data: &Data, window: Window) -> Picture {
        let mut picture = Picture { window, ..Picture::default() };
        let mut rows = Rows::default();
        let mut reasons = BTreeMap::new();
        for (gateway, tally) in data.gateways.iter().zip(data.tallies(window)) {
            picture.add(&tally);
            rows.add(&tally, &mut reasons);
            // What is known of others now says nothing of one that is out of reach.
            if data.lag_ms(gateway) == 0 {
                let now = gateway.history.last(NOW_MS);
                picture.now_per_second += per_second(now.classes().total(), now.span_ms);
            }
            if let Some(totals) = &gateway.latest {
                if data.lag_ms(gateway) == 0 {
                    picture.gauges(totals);
                }
                rows.known(totals);
            }
            if let Some(config) = &gateway.config {
                picture.configured = Some((config.routes, config.services, config.plugins));
                picture.config_at_ms = picture.config_at_ms.max(Some(config.at_ms));
            }
        }
        picture.reasons = most_frequent(reasons);
        picture.plugins = rows.plugins();
        picture.routes = rows.routes.into_values().collect();
        picture.targets = rows.targets.into_values().collect();
        picture.findings = warnings::findings(data, &picture);
        picture
    }

    fn add(&mut self, tally: &Tally) {
        let classes = tally.classes();
        self.span_ms = self.span_ms.max(tally.span_ms);
        self.classes.add(&classes);
        for (sum, count) in
            self.per_second.iter_mut().zip(classes.by_hundred.into_iter().chain([classes.none]))
        {
            *sum += per_second(count, tally.span_ms);
        }
        self.refused_per_second += per_second(classes.refused, tally.span_ms);
        self.latency.add(&tally.latency);
        self.gateway_latency.add(&tally.gateway_latency);
        self.bytes_in_per_second += per_second(tally.bytes_in, tally.span_ms);
        self.bytes_out_per_second += per_second(tally.bytes_out, tally.span_ms);
        self.events_dropped += tally.events_dropped;
        self.log_entries_dropped += tally.log_entries_dropped;
        add_strata(&mut self.seen, &tally.seen);
        add_strata(&mut self.shown, &tally.shown);
    }

    fn gauges(&mut self, totals: &admin_api::Totals) {
        self.in_flight += totals.exchanges_in_flight;
        self.connections += totals.connections_open;
        let generation = totals.generation;
        self.generations = Some(
            self.generations
                .map_or((generation, generation), |(low, high)| (low.min(generation), high.max(generation))),
        );
    }

    /// Requests per second over the window.
    pub fn rate(&self) -> f64 {
        self.per_second.iter().sum()
    }

    pub fn route(&self, name: &str) -> Option<&RouteRow> {
        self.routes.iter().find(|row| row.route == name)
    }

    pub fn plugin(&self, name: &str) -> Option<&PluginRow> {
        self.plugins.iter().find(|row| row.plugin == name)
    }

    /// Indices of the routes with traffic, those with the largest share of failures first, then the busiest.
    pub fn worst_routes(&self) -> Vec<usize> {
        let row = |index: &usize| &self.routes[*index];
        let mut worst: Vec<usize> =
            (0..self.routes.len()).filter(|index| row(index).classes.total() > 0).collect();
        worst.sort_by(|a, b| {
            let failed = row(b).failed_share().total_cmp(&row(a).failed_share());
            failed.then(row(b).per_second.total_cmp(&row(a).per_second))
        });
        worst
    }

    /// Whether all that is known was watched for less than the window.
    pub fn is_shorter_than_asked(&self) -> bool {
        self.window.ms().is_some_and(|ms| self.span_ms + 2_000 < ms)
    }
}

#[derive(Default)]
struct Rows {
    routes: BTreeMap<String, RouteRow>,
    plugins: BTreeMap<String, PluginRow>,
    targets: BTreeMap<String, TargetRow>,
}

impl Rows {
    fn add(&mut self, tally: &Tally, reasons: &mut BTreeMap<Reason, u64>) {
        for (name, counted) in &tally.routes {
            let row = self.route(name);
            row.per_second += per_second(counted.classes.total(), tally.span_ms);
            row.classes.add(&counted.classes);
            row.latency.add(&counted.latency);
            for (reason, count) in &counted.reasons {
                *reasons.entry(*reason).or_default() += count;
                match row.reasons.iter_mut().find(|(known, _)| known == reason) {
                    Some((_, sum)) => *sum += count,
                    None => row.reasons.push((*reason, *count)),
                }
            }
            row.reasons.sort_by_key(|(reason, count)| (std::cmp::Reverse(*count), *reason));
        }
        for (name, counted) in &tally.plugins {
            let row = self.plugin(name);
            row.counts.passed += counted.passed;
            row.counts.ended += counted.ended;
            row.counts.failed += counted.failed;
            row.per_second += per_second(counted.passed + counted.ended + counted.failed, tally.span_ms);
        }
        for (address, counted) in &tally.targets {
            let row = self.target(address);
            row.counts.attempts += counted.attempts;
            row.counts.failures += counted.failures;
            row.per_second += per_second(counted.attempts, tally.span_ms);
        }
    }

    /// Things that exist, with or without traffic, and what is known of them besides counts.
    fn known(&mut self, totals: &admin_api::Totals) {
        for (name, known) in &totals.routes {
            let row = self.route(name);
            row.service.clone_from(&known.service);
            row.plugins.clone_from(&known.plugins);
        }
        for name in totals.plugins.keys() {
            self.plugin(name);
        }
        for (address, known) in &totals.targets {
            let row = self.target(address);
            row.in_flight += known.in_flight;
            // One gateway that cannot reach a target is enough to say so.
            if row.health.is_empty() || known.health == "unhealthy" {
                row.health.clone_from(&known.health);
            }
        }
    }

    fn route(&mut self, name: &str) -> &mut RouteRow {
        self.routes
            .entry(name.to_owned())
            .or_insert_with(|| RouteRow { route: name.to_owned(), ..RouteRow::default() })
    }

    fn plugin(&mut self, name: &str) -> &mut PluginRow {
        self.plugins
            .entry(name.to_owned())
            .or_insert_with(|| PluginRow { plugin: name.to_owned(), ..PluginRow::default() })
    }

    fn target(&mut self, address: &str) -> &mut TargetRow {
        self.targets
            .entry(address.to_owned())
            .or_insert_with(|| TargetRow { address: address.to_owned(), ..TargetRow::default() })
    }

    fn plugins(&mut self) -> Vec<PluginRow> {
        let mut plugins = std::mem::take(&mut self.plugins);
        for name in self.routes.values().flat_map(|route| &route.plugins) {
            plugins
                .entry(name.clone())
                .or_insert_with(|| PluginRow { plugin: name.clone(), ..PluginRow::default() })
                .routes += 1;
        }
        plugins.into_values().collect()
    }
}

fn most_frequent(reasons: BTreeMap<Reason, u64>) -> Vec<(Reason, u64)> {
    let mut reasons: Vec<_> = reasons.into_iter().collect();
    reasons.sort_by_key(|(reason, count)| (std::cmp::Reverse(*count), *reason));
    reasons
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rows::{Lead, Level};
    use crate::source::demo::Demo;

    fn demo(seconds: usize) -> Data {
        let mut data = Data::new(&["demo".to_owned()]);
        for event in Demo::new(5, 1_000.0, 1_700_000_000_000).take(4 + seconds * 8) {
            data.fold(&event);
        }
        data
    }

    #[test]
    fn parts_sum_up_to_the_whole() {
        let picture = Picture::of(&demo(70), Window::Minute);
        assert_eq!(picture.span_ms, 60_000);
        let by_route: u64 = picture.routes.iter().map(|route| route.classes.total()).sum();
        let by_reason: u64 = picture.reasons.iter().map(|(_, count)| count).sum();
        assert_eq!(by_route, picture.classes.total());
        assert_eq!(by_reason, picture.classes.total());
        assert_eq!(picture.latency.total(), picture.classes.total());
        assert!((picture.rate() * 60.0 - picture.classes.total() as f64).abs() < 0.5);
    }

    #[test]
    fn idle_routes_are_there_with_nothing() {
        let picture = Picture::of(&demo(10), Window::TenSeconds);
        let idle = picture.route("shop.storefront.wishlist.shop.example.80").unwrap();
        assert_eq!((idle.per_second, idle.service.as_str()), (0.0, "shop.wishlist.80"));
        assert!(picture.worst_routes().iter().all(|index| picture.routes[*index].classes.total() > 0));
    }

    #[test]
    fn a_failing_target_is_found_with_its_route() {
        let picture = Picture::of(&demo(65), Window::TenSeconds);
        let about = |lead: &Lead| picture.findings.iter().find(|finding| finding.lead == *lead);
        let target = about(&Lead::Target("10.2.4.11:8080".to_owned())).unwrap();
        assert_eq!((target.level, target.text.as_str()), (Level::Error, "unhealthy"));
        let route = about(&Lead::Route("shop.storefront.orders.shop.example.80".to_owned())).unwrap();
        assert!(route.text.contains("upstream_reset"), "{}", route.text);
        assert!(picture.findings.iter().any(|finding| finding.subject.contains("limit-login")));
        assert!(picture.findings.is_sorted_by_key(|finding| finding.level));
    }

    #[test]
    fn nothing_heard_is_an_empty_picture() {
        let picture = Picture::of(&Data::new(&["a".to_owned()]), Window::SinceStart);
        assert_eq!(picture.classes.total(), 0);
        assert!(picture.findings.is_empty());
    }
}
