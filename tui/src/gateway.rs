//! One gateway as the dashboard knows it: a fold over what its feed says and what became of the connection.

use admin_api::feed::ConfigChange;
use admin_api::{FeedMessage, Hello, Totals};

use crate::history::History;
use crate::source::{Link, News};
use crate::tally::Tally;

/// A feed that says nothing for longer than this is shown as silent.
pub const SILENT_MS: u64 = 3_000;

/// What is known of one gateway.
#[derive(Debug, Clone, Default)]
pub struct Gateway {
    /// Where its feed comes from.
    pub address: String,
    pub link: Link,
    /// When the link became what it is, by the dashboard's clock.
    pub link_since_ms: u64,
    /// When it last said something, by the dashboard's clock.
    pub heard_ms: Option<u64>,
    pub hello: Option<Hello>,
    /// The newest snapshot of this process; `None` until its first.
    pub latest: Option<Totals>,
    pub config: Option<ConfigChange>,
    pub history: History,
    /// When its counters began anew while we watched, by its own clock.
    pub restarted_ms: Option<u64>,
}

impl Gateway {
    pub fn new(address: &str) -> Gateway {
        Gateway { address: address.to_owned(), ..Gateway::default() }
    }

    /// The name to show: what it calls itself, else its address.
    pub fn name(&self) -> &str {
        self.hello.as_ref().map_or(&self.address, |hello| &hello.instance)
    }

    pub fn is_live(&self) -> bool {
        matches!(self.link, Link::Live)
    }

    /// How long it has been silent although connected, when that is noteworthy.
    pub fn silent_ms(&self, now_ms: u64) -> Option<u64> {
        let since = self.heard_ms?.max(self.link_since_ms);
        let silence = now_ms.saturating_sub(since);
        (self.is_live() && silence > SILENT_MS).then_some(silence)
    }

    /// The time of the newest snapshot, by its own clock.
    pub fn at_ms(&self) -> u64 {
        self.latest.as_ref().map_or(0, |totals| totals.at_ms)
    }

    /// Takes in one piece of news and says whether a screen may look different now. A sample's exchanges are the
    /// caller's business.
    pub fn fold(&mut self, at_ms: u64, news: &News) -> bool {
        match news {
            News::Link(link) => {
                if std::mem::discriminant(link) != std::mem::discriminant(&self.link) {
                    self.link_since_ms = at_ms;
                }
                self.link = link.clone();
                true
            }
            News::Message(message) => {
                self.heard_ms = Some(at_ms);
                self.message(message)
            }
        }
    }

    fn message(&mut self, message: &FeedMessage) -> bool {
        match message {
            FeedMessage::Hello(hello) => {
                if self.hello.as_ref().is_some_and(|known| known != hello) {
                    self.began_anew(hello.started_at_ms);
                }
                self.hello = Some(hello.clone());
                true
            }
            FeedMessage::Totals(totals) => self.totals(totals),
            FeedMessage::Sample(sample) => {
                self.history.sample(&sample.seen, &sample.shown);
                !sample.exchanges.is_empty()
            }
            FeedMessage::Config(config) => {
                self.config = Some(config.clone());
                true
            }
        }
    }

    fn totals(&mut self, totals: &Totals) -> bool {
        let Some(earlier) = self.latest.replace(totals.clone()) else {
            return true;
        };
        if totals.latency.total() < earlier.latency.total() {
            self.began_anew(totals.at_ms);
            self.latest = Some(totals.clone());
            return true;
        }
        let tally = Tally::between(&earlier, totals);
        let completed = self.history.push(&tally, totals.at_ms);
        let same = tally.routes.is_empty()
            && tally.targets.is_empty()
            && tally.plugins.is_empty()
            && earlier.generation == totals.generation
            && earlier.connections_open == totals.connections_open
            && earlier.exchanges_in_flight == totals.exchanges_in_flight;
        completed || !same
    }

    /// Another process counts from zero: its first snapshot is where we begin to count.
    fn began_anew(&mut self, at_ms: u64) {
        self.latest = None;
        self.config = None;
        self.restarted_ms = Some(at_ms);
    }
}

#[cfg(test)]
mod tests {
    use admin_api::feed::RouteTotals;

    use super::*;

    fn hello(instance: &str, started_at_ms: u64) -> News {
        News::Message(FeedMessage::Hello(Hello {
            instance: instance.to_owned(),
            version: "0".to_owned(),
            started_at_ms,
        }))
    }

    fn totals(at_ms: u64, requests: u64) -> News {
        let mut totals = Totals { at_ms, ..Totals::default() };
        totals.latency.add_bucket(20, requests);
        let route = RouteTotals { classes: [0, requests, 0, 0, 0], ..RouteTotals::default() };
        totals.routes.insert("r".to_owned(), route);
        News::Message(FeedMessage::Totals(Box::new(totals)))
    }

    fn feed(gateway: &mut Gateway, news: impl IntoIterator<Item = News>) {
        for news in news {
            gateway.fold(0, &news);
        }
    }

    #[test]
    fn counts_before_we_came_are_not_traffic_of_now() {
        let mut gateway = Gateway::new("a");
        feed(&mut gateway, [hello("a", 1), totals(10_000, 1_000_000), totals(11_000, 1_000_050)]);
        assert_eq!(gateway.history.last(60_000).classes().total(), 50);
    }

    #[test]
    fn a_restart_makes_no_spike() {
        let mut gateway = Gateway::new("a");
        feed(&mut gateway, [hello("a", 1), totals(10_000, 900), totals(11_000, 1_000)]);
        feed(&mut gateway, [hello("a", 12_000), totals(13_000, 700), totals(14_000, 720)]);
        assert_eq!(gateway.history.last(60_000).classes().total(), 120);
        assert_eq!(gateway.restarted_ms, Some(12_000));
    }

    #[test]
    fn counters_that_go_back_without_a_word_make_no_spike() {
        let mut gateway = Gateway::new("a");
        feed(&mut gateway, [hello("a", 1), totals(10_000, 900), totals(11_000, 1_000)]);
        feed(&mut gateway, [totals(12_000, 600), totals(13_000, 610)]);
        assert_eq!(gateway.history.last(60_000).classes().total(), 110);
    }

    #[test]
    fn a_reconnect_to_the_same_process_loses_nothing() {
        let mut gateway = Gateway::new("a");
        feed(&mut gateway, [hello("a", 1), totals(10_000, 10), totals(11_000, 20)]);
        feed(&mut gateway, [News::Link(Link::Connecting), News::Link(Link::Live)]);
        feed(&mut gateway, [hello("a", 1), totals(41_000, 320)]);
        let last = gateway.history.last(60_000);
        assert_eq!(last.classes().total(), 310);
        assert_eq!(last.span_ms, 31_000);
    }

    #[test]
    fn an_idle_gateway_changes_the_picture_once_a_second() {
        let mut gateway = Gateway::new("a");
        gateway.fold(0, &totals(0, 5));
        let changed: Vec<_> = (1..=8)
            .map(|quarter| gateway.fold(0, &totals(quarter * 250, 5)))
            .filter(|changed| *changed)
            .collect();
        assert_eq!(changed.len(), 2);
    }

    #[test]
    fn silence_is_noticed_only_while_connected() {
        let mut gateway = Gateway::new("a");
        gateway.fold(1_000, &News::Link(Link::Live));
        assert_eq!(gateway.silent_ms(10_000), None, "it never spoke");
        gateway.fold(1_000, &hello("a", 1));
        assert_eq!(gateway.silent_ms(2_000), None);
        assert_eq!(gateway.silent_ms(6_000), Some(5_000));
        gateway.fold(6_000, &News::Link(Link::Connecting));
        assert_eq!(gateway.silent_ms(20_000), None);
    }
}
