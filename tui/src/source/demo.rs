//! A made-up gateway for looking around without one: a small shop with ordinary traffic, a limit that is hit now
//! and then, a target that fails for a while, and a configuration that changes.
//!
//! The same seed and start give the same events. It imitates the gateway's feed, sampling included; it does
//! not imitate a gateway.

use std::collections::VecDeque;
use std::time::Duration;

use admin_api::feed::{ConfigChange, Exchange, PluginTotals, RouteTotals, Sample, Strata, TargetTotals};
use admin_api::status::Problem;
use admin_api::{FeedMessage, Hello, Reason, Totals};
use fastrand::Rng;
use tokio::sync::mpsc;

use super::{Event, Link, News, now_ms};
use crate::exchanges::Stratum;

const TICK_MS: u64 = 250;
/// So much has already happened when the demo opens.
const PAST_MS: u64 = 150_000;
/// Exchanges shown per tick, by stratum.
const QUOTA: [usize; 4] = [20, 15, 10, 5];
/// Up to so many latencies are drawn one by one; more of them share some drawn values.
const DRAWN: u64 = 48;

/// One route of the shop.
struct Route {
    name: &'static str,
    service: &'static str,
    host: &'static str,
    plugins: &'static [&'static str],
    /// Share of all requests.
    share: f64,
    /// Median of the whole time, in microseconds.
    median_us: f64,
    /// Spread of the logarithm of the time.
    spread: f64,
    paths: &'static [(&'static str, &'static str)],
    targets: &'static [&'static str],
}

const ROUTES: &[Route] = &[
    Route {
        name: "shop.storefront.catalog.shop.example.80",
        service: "shop.catalog.80",
        host: "shop.example",
        plugins: &["http-log"],
        share: 0.44,
        median_us: 2_200.0,
        spread: 0.8,
        paths: &[
            ("GET", "/products/4711"),
            ("GET", "/products/12"),
            ("GET", "/products?page=3"),
            ("HEAD", "/"),
        ],
        targets: &["10.2.1.4:8080", "10.2.1.5:8080"],
    },
    Route {
        name: "shop.storefront.orders.shop.example.80",
        service: "shop.orders.80",
        host: "shop.example",
        plugins: &["rate-limiting", "http-log"],
        share: 0.11,
        median_us: 9_800.0,
        spread: 0.9,
        paths: &[("POST", "/orders"), ("GET", "/orders/88120"), ("DELETE", "/orders/88031")],
        targets: &["10.2.4.10:8080", "10.2.4.11:8080"],
    },
    Route {
        name: "shop.storefront.reviews.shop.example.80",
        service: "shop.reviews.80",
        host: "shop.example",
        plugins: &["http-log"],
        share: 0.22,
        median_us: 4_100.0,
        spread: 0.9,
        paths: &[("GET", "/reviews?product=12"), ("POST", "/reviews")],
        targets: &["10.2.2.7:8080"],
    },
    Route {
        name: "shop.storefront.stock.shop.example.80",
        service: "shop.stock.80",
        host: "shop.example",
        plugins: &["http-log"],
        share: 0.08,
        median_us: 3_300.0,
        spread: 0.7,
        paths: &[("GET", "/stock/4711"), ("GET", "/stock/12")],
        targets: &["10.2.1.7:8080", "10.2.1.8:8080"],
    },
    Route {
        name: "shop.account.login.shop.example.80",
        service: "shop.auth.80",
        host: "shop.example",
        plugins: &["key-auth", "http-log"],
        share: 0.03,
        median_us: 11_000.0,
        spread: 0.5,
        paths: &[("POST", "/login"), ("POST", "/login/refresh")],
        targets: &["10.2.9.2:8080"],
    },
    Route {
        name: "shop.backoffice.admin.admin.shop.example.80",
        service: "shop.admin.80",
        host: "admin.shop.example",
        plugins: &["ip-restriction", "http-log"],
        share: 0.006,
        median_us: 15_000.0,
        spread: 0.6,
        paths: &[("GET", "/admin"), ("GET", "/admin/users"), ("GET", "/.env")],
        targets: &["10.2.9.9:8080"],
    },
    Route {
        name: "httproute.shop.images.0.0",
        service: "httproute.shop.images.0",
        host: "img.shop.example",
        plugins: &[],
        share: 0.105,
        median_us: 1_200.0,
        spread: 0.6,
        paths: &[("GET", "/img/4711/front.webp"), ("GET", "/img/12/side.webp")],
        targets: &["10.2.7.3:9000", "10.2.7.4:9000", "10.2.7.5:9000"],
    },
    Route {
        name: "legacy.pages.cgi.old.example.80",
        service: "legacy.cgi.80",
        host: "old.example",
        plugins: &[],
        share: 0.004,
        median_us: 90_000.0,
        spread: 1.1,
        paths: &[("GET", "/cgi-bin/imprint.pl"), ("GET", "/cgi-bin/contact.pl")],
        targets: &["192.0.2.80:80"],
    },
    Route {
        name: "shop.storefront.wishlist.shop.example.80",
        service: "shop.wishlist.80",
        host: "shop.example",
        plugins: &["http-log"],
        share: 0.0,
        median_us: 5_000.0,
        spread: 0.5,
        paths: &[("GET", "/wishlist")],
        targets: &["10.2.3.3:8080"],
    },
    Route {
        name: "",
        service: "",
        host: "203.0.113.9",
        plugins: &[],
        share: 0.005,
        median_us: 0.0,
        spread: 0.0,
        paths: &[("GET", "/wp-login.php"), ("GET", "/"), ("POST", "/cgi-bin/luci")],
        targets: &[],
    },
];

/// How some of a route's exchanges end.
struct Outcome {
    share: f64,
    status: u16,
    reason: Reason,
    detail: &'static str,
    ended_by: &'static str,
    /// Factor on the route's time; 0 when no upstream was asked.
    slowness: f64,
}

impl Outcome {
    const fn new(share: f64, status: u16, reason: Reason) -> Outcome {
        Outcome { share, status, reason, detail: "", ended_by: "", slowness: 1.0 }
    }

    /// Ended by a plugin before any upstream.
    const fn by(mut self, plugin: &'static str, detail: &'static str) -> Outcome {
        self.ended_by = plugin;
        self.detail = detail;
        self.slowness = 0.0;
        self
    }

    const fn because(mut self, detail: &'static str, slowness: f64) -> Outcome {
        self.detail = detail;
        self.slowness = slowness;
        self
    }
}

/// The phases of the story, by the second.
struct Story {
    failing: bool,
    limited: bool,
    broken_plugin: bool,
}

impl Story {
    fn at(second: u64) -> Story {
        Story {
            failing: (50..72).contains(&(second % 120)),
            limited: (12..24).contains(&(second % 45)),
            broken_plugin: (60..170).contains(&(second % 240)),
        }
    }
}

/// An endless stream of events.
pub struct Demo {
    rng: Rng,
    rate: f64,
    started_ms: u64,
    now_ms: u64,
    totals: Totals,
    /// Fractions of requests not yet made, by route.
    owed: Vec<f64>,
    sample: Vec<Vec<Exchange>>,
    seen: [u64; 4],
    ready: VecDeque<FeedMessage>,
    said_live: bool,
}

impl Demo {
    pub fn new(seed: u64, rate: f64, start_ms: u64) -> Demo {
        let started_ms = start_ms - 3_600_000;
        let hello = Hello {
            instance: "demo".to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            started_at_ms: started_ms,
        };
        let mut demo = Demo {
            rng: Rng::with_seed(seed),
            rate,
            started_ms: start_ms,
            now_ms: start_ms,
            totals: Totals { at_ms: start_ms, ..Totals::default() },
            owed: vec![0.0; ROUTES.len()],
            sample: vec![Vec::new(); 4],
            seen: [0; 4],
            ready: VecDeque::from([FeedMessage::Hello(hello)]),
            said_live: false,
        };
        for route in ROUTES {
            let totals = RouteTotals {
                service: route.service.to_owned(),
                plugins: route.plugins.iter().map(|plugin| (*plugin).to_owned()).collect(),
                ..RouteTotals::default()
            };
            demo.totals.routes.insert(route.name.to_owned(), totals);
            for target in route.targets {
                let totals = TargetTotals { health: "healthy".to_owned(), ..TargetTotals::default() };
                demo.totals.targets.insert((*target).to_owned(), totals);
            }
        }
        demo.configure();
        demo.ready.push_back(FeedMessage::Totals(Box::new(demo.totals.clone())));
        demo
    }

    fn second(&self) -> u64 {
        (self.now_ms - self.started_ms) / 1_000
    }

    /// Announces the configuration when it changed.
    fn configure(&mut self) {
        let second = self.second();
        let broken = Story::at(second).broken_plugin;
        let generation =
            90 + second / 240 * 2 + u64::from(second % 240 >= 60) + u64::from(second % 240 >= 170);
        if generation == self.totals.generation {
            return;
        }
        self.totals.generation = generation;
        let problem = Problem {
            object: "KongPlugin shop/limit-login".to_owned(),
            field: "config.minute".to_owned(),
            message: "expected a number greater than 0, found -5; give the requests allowed per minute"
                .to_owned(),
            effect: "the routes that use it answer 500".to_owned(),
            advice: false,
        };
        self.ready.push_back(FeedMessage::Config(ConfigChange {
            at_ms: self.now_ms,
            generation,
            routes: ROUTES.len() as u64 - 1,
            services: 8,
            plugins: 5,
            problems: if broken { vec![problem] } else { Vec::new() },
        }));
    }

    fn tick(&mut self) {
        self.now_ms += TICK_MS;
        let story = Story::at(self.second());
        let wave = 1.0 + 0.2 * ((self.now_ms - self.started_ms) as f64 / 37_000.0).sin();
        let jitter = 0.94 + 0.12 * self.rng.f64();
        let requests = self.rate * wave * jitter * TICK_MS as f64 / 1_000.0;
        for (index, route) in ROUTES.iter().enumerate() {
            let surge = if story.limited && route.name.contains("orders") { 1.6 } else { 1.0 };
            self.owed[index] += requests * route.share * surge;
            let due = self.owed[index].floor();
            self.owed[index] -= due;
            self.serve(route, due as u64, &story);
        }
        self.gauges(requests, &story);
        self.configure();
        self.totals.at_ms = self.now_ms;
        self.ready.push_back(FeedMessage::Totals(Box::new(self.totals.clone())));
        let sample = self.take_sample();
        self.ready.push_back(FeedMessage::Sample(sample));
    }

    fn gauges(&mut self, requests: f64, story: &Story) {
        self.totals.exchanges_in_flight = (requests * 0.024 * (0.8 + 0.4 * self.rng.f64())) as u64;
        self.totals.connections_open = (self.rate / 25.0).sqrt() as u64 * 8 + self.rng.u64(0..6);
        if let Some(target) = self.totals.targets.get_mut("10.2.4.11:8080") {
            let health = if story.failing { "unhealthy" } else { "healthy" };
            health.clone_into(&mut target.health);
        }
    }

    fn serve(&mut self, route: &Route, requests: u64, story: &Story) {
        let mut left = requests;
        for outcome in outcomes(route, story) {
            let wanted = requests as f64 * outcome.share + self.rng.f64();
            let count = if outcome.share >= 1.0 { left } else { (wanted.floor() as u64).min(left) };
            left -= count;
            if count > 0 {
                self.finish(route, &outcome, count);
            }
        }
    }

    fn finish(&mut self, route: &Route, outcome: &Outcome, count: u64) {
        let drawn = count.min(DRAWN);
        let slow_down = if outcome.slowness > 0.0 { route.median_us * outcome.slowness } else { 0.0 };
        for index in 0..drawn {
            let share = count / drawn + u64::from(index < count % drawn);
            let gateway_us = self.log_normal(if slow_down > 0.0 { 70.0 } else { 40.0 }, 0.5);
            let upstream_us = if slow_down > 0.0 { self.log_normal(slow_down, route.spread) } else { 0 };
            self.count(route, outcome, share, gateway_us, upstream_us);
            self.maybe_sample(route, outcome, share, gateway_us, upstream_us);
        }
        for plugin in route.plugins {
            let totals = self.totals.plugins.entry((*plugin).to_owned()).or_default();
            count_plugin(totals, plugin == &outcome.ended_by, count);
        }
    }

    fn count(&mut self, route: &Route, outcome: &Outcome, count: u64, gateway_us: u64, upstream_us: u64) {
        let bucket = admin_api::histogram::bucket_of(gateway_us + upstream_us);
        self.totals.latency.add_bucket(bucket, count);
        self.totals.gateway_latency.add_bucket(admin_api::histogram::bucket_of(gateway_us), count);
        self.totals.bytes_in += count * 420;
        self.totals.bytes_out += count * if upstream_us > 0 { 5_200 } else { 310 };
        if let Some(totals) = self.totals.routes.get_mut(route.name) {
            totals.latency.add_bucket(bucket, count);
            *totals.reasons.entry(outcome.reason).or_default() += count;
            if let Some(class) = usize::from(outcome.status / 100).checked_sub(1) {
                totals.classes[class] += count;
            }
        }
        if upstream_us > 0 {
            let address = self.target(route, outcome);
            if let Some(target) = self.totals.targets.get_mut(address) {
                target.attempts += count;
                target.failures += if outcome.status >= 502 { count } else { 0 };
                target.in_flight = (count * upstream_us / 250_000).min(99);
            }
        }
    }

    /// A failing exchange went to the failing target.
    fn target(&mut self, route: &Route, outcome: &Outcome) -> &'static str {
        match route.targets {
            [] => "",
            targets if outcome.status >= 502 => targets[targets.len() - 1],
            targets => targets[self.rng.usize(..targets.len())],
        }
    }

    fn maybe_sample(
        &mut self,
        route: &Route,
        outcome: &Outcome,
        count: u64,
        gateway_us: u64,
        upstream_us: u64,
    ) {
        let exchange = self.exchange(route, outcome, gateway_us, upstream_us);
        let stratum = Stratum::of(&exchange) as usize;
        self.seen[stratum] += count;
        let kept = &mut self.sample[stratum];
        if kept.len() < QUOTA[stratum] {
            kept.push(exchange);
        } else {
            let slot = self.rng.u64(..self.seen[stratum]) as usize;
            if let Some(kept) = kept.get_mut(slot) {
                *kept = exchange;
            }
        }
    }

    fn exchange(&mut self, route: &Route, outcome: &Outcome, gateway_us: u64, upstream_us: u64) -> Exchange {
        let (method, target) = route.paths[self.rng.usize(..route.paths.len())];
        let total_us = gateway_us + upstream_us;
        let ended = self.now_ms - self.rng.u64(..TICK_MS);
        let app = self.rng.u8(1..40);
        Exchange {
            started_at_ms: ended - total_us / 1_000,
            id: format!("{:016x}", self.rng.u64(..)),
            client: format!("10.1.{}.{}", app / 8, self.rng.u8(1..250)),
            method: method.to_owned(),
            host: route.host.to_owned(),
            tls: route.host.ends_with("shop.example"),
            target: target.to_owned(),
            protocol: if app.is_multiple_of(3) { "HTTP/1.1" } else { "HTTP/2" }.to_owned(),
            status: outcome.status,
            reason: outcome.reason,
            detail: outcome.detail.to_owned(),
            route: route.name.to_owned(),
            service: if upstream_us > 0 { route.service } else { "" }.to_owned(),
            target_address: if upstream_us > 0 { self.target(route, outcome) } else { "" }.to_owned(),
            attempts: match (upstream_us, outcome.status) {
                (0, _) => 0,
                (_, 502..) => 2,
                _ => 1,
            },
            consumer: if route.plugins.contains(&"key-auth") && upstream_us > 0 {
                format!("app-{app:02}")
            } else {
                String::new()
            },
            ended_by: outcome.ended_by.to_owned(),
            total_us,
            upstream_us,
            request_bytes: if method == "POST" { 1_240 } else { 410 },
            response_bytes: if upstream_us > 0 { self.rng.u64(600..12_000) } else { 312 },
            trace_id: if self.rng.u8(..4) == 0 {
                format!("{:032x}", self.rng.u128(..))
            } else {
                String::new()
            },
        }
    }

    /// A time around `median`, in microseconds; the sum of four even draws is bell-shaped enough.
    fn log_normal(&mut self, median: f64, spread: f64) -> u64 {
        let bell = (0..4).map(|_| self.rng.f64()).sum::<f64>() - 2.0;
        (median * (bell * 1.75 * spread).exp()).max(1.0) as u64
    }

    fn take_sample(&mut self) -> Sample {
        let strata = |counts: [u64; 4]| Strata {
            failed: counts[0],
            refused: counts[1],
            slow: counts[2],
            other: counts[3],
        };
        let shown = [0, 1, 2, 3].map(|stratum| self.sample[stratum].len() as u64);
        let exchanges = self.sample.iter_mut().flat_map(std::mem::take).collect();
        Sample { exchanges, seen: strata(std::mem::take(&mut self.seen)), shown: strata(shown) }
    }
}

fn count_plugin(totals: &mut PluginTotals, ended: bool, count: u64) {
    if ended {
        totals.ended += count;
    } else {
        totals.passed += count;
    }
}

/// How the exchanges of a route end; the last outcome takes what the others leave.
fn outcomes(route: &Route, story: &Story) -> Vec<Outcome> {
    const GOOD: Outcome = Outcome::new(1.0, 200, Reason::Proxied);
    match route.name.split('.').nth(2).unwrap_or_default() {
        "orders" => {
            let reset = "connection reset by peer after the request was sent";
            vec![
                Outcome::new(if story.failing { 0.07 } else { 0.0004 }, 502, Reason::UpstreamReset)
                    .because(reset, 3.0),
                Outcome::new(if story.failing { 0.01 } else { 0.0 }, 504, Reason::UpstreamTimeout)
                    .because("no answer within 2 s", 160.0),
                Outcome::new(if story.limited { 0.22 } else { 0.015 }, 429, Reason::RateLimited)
                    .by("rate-limiting", "50 requests per second for this address, all used"),
                Outcome::new(0.01, 409, Reason::Proxied),
                GOOD,
            ]
        }
        "login" => vec![
            Outcome::new(0.18, 401, Reason::Unauthorized).by("key-auth", "no API key found in request"),
            GOOD,
        ],
        "admin" => {
            vec![Outcome::new(0.7, 403, Reason::IpDenied).by("ip-restriction", "10.1.0.0/16 is denied"), GOOD]
        }
        "catalog" => vec![
            Outcome::new(0.008, 304, Reason::Proxied),
            Outcome::new(0.003, 404, Reason::Proxied),
            Outcome::new(0.0006, 0, Reason::ClientGone).because("", 4.0),
            GOOD,
        ],
        "cgi" => vec![
            Outcome::new(0.08, 500, Reason::Proxied),
            Outcome::new(0.02, 504, Reason::UpstreamTimeout).because("no answer within 2 s", 22.0),
            GOOD,
        ],
        "images" => vec![Outcome::new(0.3, 304, Reason::Proxied), GOOD],
        "" => vec![Outcome::new(1.0, 404, Reason::NoRoute).because("", 0.0)],
        _ => vec![Outcome::new(0.002, 404, Reason::Proxied), GOOD],
    }
}

impl Iterator for Demo {
    type Item = Event;

    fn next(&mut self) -> Option<Event> {
        if !self.said_live {
            self.said_live = true;
            return Some(Event { at_ms: self.now_ms, gateway: 0, news: News::Link(Link::Live) });
        }
        while self.ready.is_empty() {
            self.tick();
        }
        let message = self.ready.pop_front()?;
        Some(Event { at_ms: self.now_ms, gateway: 0, news: News::Message(message) })
    }
}

/// Sends the past at once and then goes on in step with the clock.
pub async fn run(seed: u64, rate: f64, start_ms: u64, events: mpsc::Sender<Event>) {
    for event in Demo::new(seed, rate, start_ms - PAST_MS) {
        let ahead = event.at_ms.saturating_sub(now_ms());
        if ahead > 0 {
            tokio::time::sleep(Duration::from_millis(ahead)).await;
        }
        if events.send(event).await.is_err() {
            return;
        }
    }
}

#[cfg(test)]
pub mod tests {
    use super::*;

    /// An exchange with the given end and plain values otherwise.
    pub fn exchange(status: u16, reason: Reason) -> Exchange {
        let outcome = Outcome { share: 1.0, status, reason, detail: "", ended_by: "", slowness: 1.0 };
        Demo::new(1, 1.0, 1_700_000_000_000).exchange(&ROUTES[1], &outcome, 80, 9_000)
    }

    #[test]
    fn the_same_seed_tells_the_same_story() {
        let story = |seed| Demo::new(seed, 500.0, 1_700_000_000_000).take(400).collect::<Vec<_>>();
        assert_eq!(story(7), story(7));
        assert_ne!(story(7), story(8));
    }

    #[test]
    fn counts_agree_with_each_other_and_with_the_rate() {
        let mut last = None;
        for event in Demo::new(3, 2_000.0, 1_700_000_000_000).take(2_000) {
            if let News::Message(FeedMessage::Totals(totals)) = event.news {
                last = Some((totals, event.at_ms));
            }
        }
        let (totals, at_ms) = last.unwrap();
        let by_reason: u64 = totals.routes.values().flat_map(|route| route.reasons.values()).sum();
        let by_class: u64 = totals.routes.values().flat_map(|route| route.classes).sum();
        let gone: u64 =
            totals.routes.values().filter_map(|route| route.reasons.get(&Reason::ClientGone)).sum();
        assert_eq!(by_reason, totals.latency.total());
        assert_eq!(by_class + gone, by_reason);
        let rate = by_reason as f64 * 1_000.0 / (at_ms - 1_700_000_000_000) as f64;
        assert!((1_500.0..2_700.0).contains(&rate), "{rate}");
    }

    #[test]
    fn shows_no_more_than_it_saw() {
        for event in Demo::new(3, 50_000.0, 1_700_000_000_000).take(1_000) {
            if let News::Message(FeedMessage::Sample(sample)) = event.news {
                let (seen, shown) = (sample.seen, sample.shown);
                assert!(shown.failed <= seen.failed && shown.refused <= seen.refused, "{sample:?}");
                assert!(shown.slow <= seen.slow && shown.other <= seen.other, "{sample:?}");
                assert_eq!(
                    sample.exchanges.len() as u64,
                    shown.failed + shown.refused + shown.slow + shown.other
                );
            }
        }
    }
}
