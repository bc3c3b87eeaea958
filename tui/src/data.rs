//! Everything that was heard: the gateways and the sampled exchanges. Pure state; the past is bounded.

use crate::exchanges::Exchanges;
use crate::gateway::{Gateway, SILENT_MS};
use crate::history::Point;
use crate::source::{Event, Link, News};
use crate::tally::Tally;
use crate::window::Window;
use admin_api::FeedMessage;

/// The fold of all events. Cloning it is what pausing does.
#[derive(Debug, Clone, Default)]
pub struct Data {
    pub gateways: Vec<Gateway>,
    pub exchanges: Exchanges,
}

impl Data {
    pub fn new(addresses: &[String]) -> Data {
        Data {
            gateways: addresses.iter().map(|address| Gateway::new(address)).collect(),
            exchanges: Exchanges::default(),
        }
    }

    /// Takes in an event and says whether a screen may look different now.
    pub fn fold(&mut self, event: &Event) -> bool {
        let Some(gateway) = self.gateways.get_mut(event.gateway) else {
            return false;
        };
        if let News::Message(FeedMessage::Sample(sample)) = &event.news {
            self.exchanges.add(event.gateway, sample);
        }
        gateway.fold(event.at_ms, &event.news)
    }

    /// How much longer ago than the others' the news of this gateway are, when that is noteworthy: its last minute is
    /// not theirs.
    pub fn lag_ms(&self, gateway: &Gateway) -> u64 {
        let lag = self.heard_ms().unwrap_or(0).saturating_sub(gateway.heard_ms.unwrap_or(0));
        if lag > SILENT_MS { lag } else { 0 }
    }

    /// What each gateway counted in the window; of one that is out of reach, what is still within it.
    pub fn tallies(&self, window: Window) -> Vec<Tally> {
        self.gateways
            .iter()
            .map(|gateway| match (window.ms(), &gateway.latest, &gateway.hello) {
                (Some(ms), ..) if self.lag_ms(gateway) >= ms => Tally::default(),
                (Some(ms), ..) => gateway.history.last(ms - self.lag_ms(gateway)),
                (None, Some(totals), Some(hello)) => Tally::since_start(totals, hello.started_at_ms),
                (None, ..) => Tally::default(),
            })
            .collect()
    }

    /// Whether anything was ever heard.
    pub fn has_picture(&self) -> bool {
        self.gateways.iter().any(|gateway| gateway.heard_ms.is_some())
    }

    /// When something was last heard from anybody, by the dashboard's clock.
    pub fn heard_ms(&self) -> Option<u64> {
        self.gateways.iter().filter_map(|gateway| gateway.heard_ms).max()
    }

    /// The time of the newest snapshot, by the gateways' clocks.
    pub fn at_ms(&self) -> u64 {
        self.gateways.iter().map(Gateway::at_ms).max().unwrap_or(0)
    }

    /// Sums of all gateways' seconds by age; see [`Column`].
    pub fn columns(&self, count: usize, ms: u64) -> Vec<Option<Column>> {
        let mut columns: Vec<Option<Column>> = vec![None; count];
        let Some(step) = (ms / 1_000).max(1).checked_div(count as u64).map(|_| ms as f64 / count as f64)
        else {
            return columns;
        };
        for gateway in &self.gateways {
            let end_ms =
                gateway.history.points().back().map_or(0, |point| point.end_ms) + self.lag_ms(gateway);
            let mut mine: Vec<Option<Column>> = vec![None; count];
            for point in gateway.history.points().iter().rev() {
                let age = end_ms.saturating_sub(point.end_ms);
                if age >= ms {
                    break;
                }
                if !point.is_gap() {
                    place(&mut mine, point, age, step);
                }
            }
            for (sum, mine) in columns.iter_mut().zip(mine) {
                match (sum.as_mut(), mine) {
                    (Some(sum), Some(mine)) => sum.beside(&mine),
                    (None, Some(mine)) => *sum = Some(mine),
                    (_, None) => {}
                }
            }
        }
        columns
    }

    /// A rate over the window, oldest first, in at most `most` steps: the sum of what `one` says of each gateway, given
    /// the length of the window and of a step. What was before we watched is `None`.
    pub fn trend(
        &self,
        window: Window,
        most: usize,
        one: impl Fn(&Gateway, u64, u64) -> Vec<f64>,
    ) -> Vec<Option<f64>> {
        let ms = window.chart_ms();
        // Steps of whole slices, so that each holds as many as the next.
        let slice = if ms > 60_000 { 15_000 } else { 1_000 };
        let step = (ms / most.max(1) as u64).div_ceil(slice).max(1) * slice;
        let mut sum = vec![None; (ms / step) as usize];
        for gateway in &self.gateways {
            for (sum, mine) in sum.iter_mut().rev().zip(one(gateway, ms, step).into_iter().rev()) {
                *sum = Some(sum.unwrap_or(0.0) + mine);
            }
        }
        sum
    }

    /// Whether all gateways are out of reach.
    pub fn is_lost(&self) -> bool {
        !self.gateways.is_empty()
            && self.gateways.iter().all(|gateway| !matches!(gateway.link, Link::Live | Link::Ended { .. }))
    }

    /// News that bring a late listener, for example a recording begun now, up to date.
    pub fn introduction(&self, at_ms: u64) -> Vec<Event> {
        let mut events = Vec::new();
        for (index, gateway) in self.gateways.iter().enumerate() {
            let mut say = |news| events.push(Event { at_ms, gateway: index, news });
            say(News::Link(gateway.link.clone()));
            if let Some(hello) = &gateway.hello {
                say(News::Message(FeedMessage::Hello(hello.clone())));
            }
            if let Some(config) = &gateway.config {
                say(News::Message(FeedMessage::Config(config.clone())));
            }
            if let Some(totals) = &gateway.latest {
                say(News::Message(FeedMessage::Totals(Box::new(totals.clone()))));
            }
        }
        events
    }
}

/// One column of a chart: some seconds of all gateways.
#[derive(Debug, Clone, PartialEq)]
pub struct Column {
    span_ms: u64,
    /// Requests per second by class; index 0 is 1xx, 5 is without a status.
    pub rates: [f64; 6],
    /// Those of them all that were refused.
    pub refused: f64,
    pub latency: crate::latencies::Latencies,
    counts: [u64; 6],
    refused_count: u64,
}

impl Column {
    pub fn rate(&self) -> f64 {
        self.rates.iter().sum()
    }

    /// Adds another gateway's seconds of the same time.
    fn beside(&mut self, other: &Column) {
        for (mine, theirs) in self.rates.iter_mut().zip(other.rates) {
            *mine += theirs;
        }
        self.refused += other.refused;
        self.latency.add(&other.latency);
    }

    /// Adds other seconds of the same gateway.
    fn with(&mut self, point: &Point) {
        self.span_ms += point.span_ms;
        let classes = &point.classes;
        for (count, more) in self.counts.iter_mut().zip(classes.by_hundred.into_iter().chain([classes.none]))
        {
            *count += more;
        }
        self.refused_count += classes.refused;
        self.refused = crate::history::per_second(self.refused_count, self.span_ms);
        self.rates = self.counts.map(|count| crate::history::per_second(count, self.span_ms));
        self.latency.add(&point.latency);
    }
}

/// Adds a point to the columns it covers, counted from the newest, which is the last.
fn place(columns: &mut [Option<Column>], point: &Point, age_ms: u64, step_ms: f64) {
    let first = (age_ms as f64 / step_ms) as usize;
    // A point that is wider than a column fills all that it covers.
    let last = ((age_ms + point.span_ms) as f64 / step_ms - 0.5).max(first as f64) as usize;
    let count = columns.len();
    for from_newest in first..=last.min(count.saturating_sub(1)) {
        let column = columns[count - 1 - from_newest].get_or_insert_with(|| Column {
            span_ms: 0,
            rates: [0.0; 6],
            refused: 0.0,
            refused_count: 0,
            latency: crate::latencies::Latencies::default(),
            counts: [0; 6],
        });
        column.with(point);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::demo::Demo;

    fn demo(seconds: usize) -> Data {
        let mut data = Data::new(&["demo".to_owned()]);
        for event in Demo::new(5, 1_000.0, 1_700_000_000_000).take(4 + seconds * 8) {
            data.fold(&event);
        }
        data
    }

    #[test]
    fn columns_cover_the_window_at_any_width() {
        let data = demo(60);
        for count in [1, 7, 30, 59, 60, 61, 120, 200] {
            let columns = data.columns(count, 50_000);
            assert_eq!(columns.len(), count);
            assert!(columns.iter().all(Option::is_some), "{count} columns have a hole");
            let mean = columns.iter().flatten().map(Column::rate).sum::<f64>() / count as f64;
            assert!((850.0..1_400.0).contains(&mean), "{count}: {mean}");
        }
        assert!(data.columns(0, 50_000).is_empty());
    }

    #[test]
    fn what_was_before_we_came_is_empty() {
        let columns = demo(20).columns(60, 60_000);
        assert_eq!(columns.iter().filter(|column| column.is_some()).count(), 20);
        assert!(columns[0].is_none() && columns[59].is_some());
    }

    #[test]
    fn two_gateways_are_summed() {
        let mut data = Data::new(&["a".to_owned(), "b".to_owned()]);
        for gateway in 0..2 {
            for mut event in Demo::new(5, 1_000.0, 1_700_000_000_000).take(200) {
                event.gateway = gateway;
                data.fold(&event);
            }
        }
        let one = demo(24).columns(10, 10_000);
        let both = data.columns(10, 10_000);
        let rate = |columns: &[Option<Column>]| columns.iter().flatten().map(Column::rate).sum::<f64>();
        assert!((rate(&both) / rate(&one) - 2.0).abs() < 0.1);
    }

    #[test]
    fn a_gateway_out_of_reach_grows_old_beside_the_others() {
        let mut data = Data::new(&["a".to_owned(), "b".to_owned()]);
        for mut event in Demo::new(5, 1_000.0, 1_700_000_000_000).take(400) {
            for gateway in 0..2 {
                event.gateway = gateway;
                // The second one is silent from the 20th second on.
                if gateway == 0 || event.at_ms < 1_700_000_020_000 {
                    data.fold(&event);
                }
            }
        }
        let tallies = data.tallies(Window::Minute);
        assert!(tallies[0].span_ms > 45_000);
        assert!((18_000..=20_000).contains(&tallies[1].span_ms), "all of it is within the minute");
        assert_eq!(data.tallies(Window::TenSeconds)[1], Tally::default());
        let columns = data.columns(49, 49_000);
        let (old, new) = (columns[10].as_ref().unwrap().rate(), columns[40].as_ref().unwrap().rate());
        assert!(old > new * 1.5, "both at first, one at last: {old} and {new}");
        let picture = crate::picture::Picture::of(&data, Window::Minute);
        assert!(picture.now_per_second < 1_500.0, "now is what is known now: {}", picture.now_per_second);
    }

    #[test]
    fn an_introduction_makes_the_same_picture() {
        let data = demo(5);
        let mut late = Data::new(&["demo".to_owned()]);
        for event in data.introduction(9) {
            late.fold(&event);
        }
        assert_eq!(late.gateways[0].latest, data.gateways[0].latest);
        assert_eq!(late.gateways[0].config, data.gateways[0].config);
        assert_eq!(late.tallies(Window::SinceStart), data.tallies(Window::SinceStart));
    }
}
