//! Latencies in microseconds, kept to three digits.

use std::time::Duration;

use hdrhistogram::Histogram;

/// An hour: nothing waits longer.
const HIGHEST: u64 = 3_600_000_000;

/// What was measured.
#[derive(Debug, Clone)]
pub struct Latency(Option<Histogram<u64>>);

impl Default for Latency {
    fn default() -> Latency {
        Latency(Histogram::new_with_bounds(1, HIGHEST, 3).ok())
    }
}

impl Latency {
    pub fn record(&mut self, latency: Duration) {
        if let Some(histogram) = &mut self.0 {
            histogram.saturating_record((latency.as_micros() as u64).clamp(1, HIGHEST));
        }
    }

    pub fn add(&mut self, other: &Latency) {
        if let (Some(histogram), Some(other)) = (&mut self.0, &other.0) {
            // Both have the same bounds.
            let _ = histogram.add(other);
        }
    }

    /// The time within which a share (0 to 1) of all requests ended.
    pub fn at(&self, quantile: f64) -> Duration {
        let micros = self.0.as_ref().map_or(0, |histogram| histogram.value_at_quantile(quantile));
        Duration::from_micros(micros)
    }
}

/// `p99.9` is 0.999, `max` is 1.
pub fn quantile(name: &str) -> Option<f64> {
    if name == "max" {
        return Some(1.0);
    }
    let percent: f64 = name.strip_prefix('p')?.parse().ok()?;
    (0.0..=100.0).contains(&percent).then_some(percent / 100.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_read_back() {
        let mut latency = Latency::default();
        (1..=100).for_each(|millis| latency.record(Duration::from_millis(millis)));
        let near = |wanted: u64, quantile: f64| {
            let got = latency.at(quantile).as_micros() as u64;
            assert!(got.abs_diff(wanted * 1_000) <= wanted * 2, "{quantile}: {got} µs");
        };
        near(50, 0.5);
        near(99, 0.99);
        near(100, 1.0);
        assert!((quantile("p99.9").unwrap() - 0.999).abs() < 1e-9);
        assert_eq!(quantile("max"), Some(1.0));
        assert_eq!(quantile("p101"), None);
        assert_eq!(quantile("median"), None);
    }
}
