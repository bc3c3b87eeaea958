//! From turns to figures: medians, ratios within a start, and the line each figure is printed as.

use std::collections::BTreeMap;

/// What one proxy did in one case in one start, by quantity.
pub(crate) type Turns = BTreeMap<&'static str, Vec<f64>>;

/// Middle of some numbers; `None` of none.
pub(crate) fn median(numbers: &[f64]) -> Option<f64> {
    let mut sorted = numbers.to_vec();
    sorted.sort_by(f64::total_cmp);
    let middle = sorted.len().checked_sub(1)? / 2;
    let upper = sorted.len() / 2;
    Some(f64::midpoint(sorted[middle], sorted[upper]))
}

/// The middle over starts, and the quartiles around it.
fn spread(numbers: &[f64]) -> Option<(f64, f64, f64)> {
    let mut sorted = numbers.to_vec();
    sorted.sort_by(f64::total_cmp);
    let last = sorted.len().checked_sub(1)?;
    let at = |share: f64| sorted[(last as f64 * share).round() as usize];
    Some((median(numbers)?, at(0.25), at(0.75)))
}

/// One quantity of all proxies in one case: a list per proxy, one number per start, in the same order of
/// starts.
pub(crate) struct Figure {
    pub name: String,
    pub unit: &'static str,
    pub by_proxy: Vec<(&'static str, Vec<Option<f64>>)>,
}

impl Figure {
    /// `name: value unit (ratio to nginx, ratio to haproxy)`, a line per proxy, ours first. A ratio is the
    /// median of the ratios within each start, with its quartiles; `-` where that proxy didn't run.
    pub(crate) fn lines(&self) -> Vec<String> {
        self.by_proxy
            .iter()
            .map(|(proxy, values)| {
                let known: Vec<f64> = values.iter().copied().flatten().collect();
                let value = median(&known).map_or("-".to_owned(), digits);
                let suffix = if *proxy == "limen" { String::new() } else { format!(".{proxy}") };
                let ratios = ["nginx", "haproxy"].map(|peer| self.ratio(values, peer));
                format!("{}{suffix}: {value} {} ({})", self.name, self.unit, ratios.join(", "))
            })
            .collect()
    }

    fn ratio(&self, values: &[Option<f64>], peer: &str) -> String {
        let Some((_, theirs)) = self.by_proxy.iter().find(|(name, _)| *name == peer) else {
            return format!("- {peer}");
        };
        let ratios: Vec<f64> = values
            .iter()
            .zip(theirs)
            .filter_map(|(ours, theirs)| Some((*ours)? / (*theirs)?))
            .filter(|ratio| ratio.is_finite())
            .collect();
        match spread(&ratios) {
            Some((middle, low, high)) => format!("{middle:.2} [{low:.2}-{high:.2}] {peer}"),
            None => format!("- {peer}"),
        }
    }
}

/// Three significant digits, without an exponent.
fn digits(value: f64) -> String {
    match value.abs() {
        0.0..10.0 => format!("{value:.2}"),
        10.0..100.0 => format!("{value:.1}"),
        _ => format!("{value:.0}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ratios_are_taken_within_a_start() {
        let figure = Figure {
            name: "64B.cpu".to_owned(),
            unit: "us",
            by_proxy: vec![
                ("limen", vec![Some(20.0), Some(40.0), Some(30.0)]),
                ("nginx", vec![Some(40.0), Some(80.0), None]),
            ],
        };
        assert_eq!(
            figure.lines(),
            [
                "64B.cpu: 30.0 us (0.50 [0.50-0.50] nginx, - haproxy)",
                "64B.cpu.nginx: 60.0 us (1.00 [1.00-1.00] nginx, - haproxy)",
            ]
        );
    }

    #[test]
    fn medians_of_even_odd_and_none() {
        assert_eq!(median(&[3.0, 1.0, 2.0]), Some(2.0));
        assert_eq!(median(&[4.0, 1.0]), Some(2.5));
        assert_eq!(median(&[]), None);
    }
}
