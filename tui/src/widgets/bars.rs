//! A latency histogram lying on its side: one row for each doubling of the time, or for each power of four.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use super::text;
use crate::format;
use crate::latencies::Latencies;
use crate::theme::{Glyphs, Theme};

/// A bar of this share of `width` cells, in eighths of a cell; more than nothing is never drawn as nothing.
pub fn bar(share: f64, width: usize, glyphs: &Glyphs) -> String {
    let eighths = (share.clamp(0.0, 1.0) * width as f64 * 8.0).round() as usize;
    let eighths = if share > 0.0 { eighths.max(1) } else { 0 };
    let mut bar = glyphs.rows[8].repeat(eighths / 8);
    if !eighths.is_multiple_of(8) && width > 0 {
        bar.push_str(glyphs.rows[eighths % 8]);
    }
    bar
}

/// One row: times up to `upper_us`, and how many there were.
#[derive(Debug, PartialEq)]
struct Step {
    upper_us: u64,
    count: u64,
}

/// Counts by steps of the time, from the first to the last that occurs: doublings, or powers of four and so on when
/// there are more than `most` of those.
fn steps(latencies: &Latencies, most: usize) -> Vec<Step> {
    (1..=4)
        .map(|power| steps_of(latencies, power))
        .find(|steps| steps.len() <= most.max(1))
        .unwrap_or_default()
}

fn steps_of(latencies: &Latencies, power: u32) -> Vec<Step> {
    let mut steps: Vec<Step> = Vec::new();
    for (micros, count) in latencies.iter() {
        // 0.25 ms, 0.5 ms, 1 ms and so on: round in milliseconds.
        let doublings = (micros as f64 / 250.0).max(1.0).log2().ceil() as u32;
        let upper_us = 250_u64 << doublings.next_multiple_of(power);
        while let Some(last) = steps.last()
            && last.upper_us < upper_us
        {
            let upper_us = last.upper_us << power;
            steps.push(Step { upper_us, count: 0 });
        }
        match steps.last_mut() {
            Some(last) => last.count += count,
            None => steps.push(Step { upper_us, count }),
        }
    }
    steps
}

/// Draws the histogram; `this_us` is marked as the time of the exchange that is looked at.
pub fn draw(buf: &mut Buffer, area: Rect, latencies: &Latencies, this_us: Option<u64>, theme: &Theme) {
    let steps = steps(latencies, usize::from(area.height));
    let most = steps.iter().map(|step| step.count).max().unwrap_or(0);
    let total = latencies.total();
    let marks: Vec<(u64, &str)> = [(0.5, "p50"), (0.95, "p95"), (0.99, "p99")]
        .into_iter()
        .filter_map(|(q, name)| latencies.quantile(q).map(|value| (value, name)))
        .collect();
    let room = usize::from(area.width).saturating_sub(8 + 7 + 13);
    let mut lower_us = 0;
    for (row, step) in steps.iter().enumerate() {
        let y = row as u16;
        let within = |micros: u64| micros <= step.upper_us && (micros > lower_us || row == 0);
        text::put_right(buf, area, 6, y, &format::millis(step.upper_us), theme.quiet);
        text::put_right(buf, area, 13, y, &format!("{} %", format::percent(step.count, total)), theme.text);
        let share = if most == 0 { 0.0 } else { step.count as f64 / most as f64 };
        let end = text::put(buf, area, 15, y, &bar(share, room, theme.glyphs), theme.plot);
        let mut notes: Vec<&str> =
            marks.iter().filter(|(value, _)| within(*value)).map(|(_, name)| *name).collect();
        if this_us.is_some_and(within) {
            notes.push("this one");
        }
        text::put(buf, area, end + 1, y, &notes.join(" "), theme.strong);
        lower_us = step.upper_us;
    }
}

#[cfg(test)]
mod tests {
    use admin_api::Histogram;

    use super::*;
    use crate::theme::UNICODE;

    fn latencies(values: &[u64]) -> Latencies {
        let mut histogram = Histogram::default();
        for value in values {
            histogram.record(*value);
        }
        Latencies::between(None, &histogram)
    }

    #[test]
    fn bars_grow_by_eighths() {
        assert_eq!(bar(0.0, 4, &UNICODE), "");
        assert_eq!(bar(0.0001, 4, &UNICODE), "▏");
        assert_eq!(bar(0.5, 4, &UNICODE), "██");
        assert_eq!(bar(0.6, 4, &UNICODE), "██▍");
        assert_eq!(bar(7.0, 4, &UNICODE), "████");
    }

    #[test]
    fn every_doubling_has_a_row_and_nothing_is_lost() {
        let values = [100, 300, 900, 7_000, 7_100];
        let steps = steps(&latencies(&values), 20);
        let uppers: Vec<u64> = steps.iter().map(|step| step.upper_us).collect();
        assert_eq!(uppers, [250, 500, 1_000, 2_000, 4_000, 8_000]);
        assert_eq!(steps.iter().map(|step| step.count).collect::<Vec<_>>(), [1, 1, 1, 0, 0, 2]);
    }

    #[test]
    fn steps_grow_when_there_are_too_many() {
        let latencies = latencies(&[100, 300, 900, 7_000, 7_000_000]);
        assert_eq!(steps(&latencies, 16).len(), 16);
        let wider = steps(&latencies, 9);
        let uppers: Vec<u64> = wider.iter().map(|step| step.upper_us).collect();
        assert_eq!(uppers[..3], [250, 1_000, 4_000]);
        assert_eq!(wider.iter().map(|step| step.count).sum::<u64>(), 5);
        assert!(steps(&latencies, 6).len() <= 6);
        assert!(steps(&latencies, 1).is_empty(), "no room is no histogram");
    }
}
