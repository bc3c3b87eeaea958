//! Values over time: a row of small columns, a chart of tall ones, and the curves of three percentiles on a
//! logarithmic scale. What is unknown is drawn as a gap, never as zero.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;

use super::text;
use crate::format;
use crate::theme::{Glyphs, Theme};

/// Cells for the numbers at the left of a chart.
const SCALE: u16 = 8;

/// One character for each value, the highest being full.
pub fn sparkline(values: &[Option<f64>], glyphs: &Glyphs) -> String {
    let most = values.iter().flatten().copied().fold(0.0, f64::max);
    let one = |value: &Option<f64>| value.map_or(glyphs.gap, |value| glyphs.columns[level(value, most, 8)]);
    values.iter().map(one).collect()
}

/// From 0 to `levels`; more than nothing is never drawn as nothing.
fn level(value: f64, most: f64, levels: usize) -> usize {
    if value <= 0.0 || most <= 0.0 {
        return 0;
    }
    ((value / most * levels as f64).round() as usize).clamp(1, levels)
}

/// How many columns of values a chart of this area has.
pub fn columns(area: Rect) -> usize {
    usize::from(area.width.saturating_sub(SCALE))
}

/// Tall columns with a scale from zero; one value for each column, `None` where nothing is known.
pub fn bars(buf: &mut Buffer, area: Rect, values: &[Option<f64>], theme: &Theme) {
    let glyphs = theme.glyphs;
    let height = usize::from(area.height);
    if height == 0 || area.width <= SCALE {
        return;
    }
    let most = nice_ceiling(values.iter().flatten().copied().fold(0.0, f64::max));
    scale(buf, area, 0, &format::rate(most), theme);
    if height >= 4 && height.is_multiple_of(2) {
        scale(buf, area, area.height / 2, &format::rate(most / 2.0), theme);
    }
    for row in 0..area.height {
        text::put(buf, area, SCALE - 1, row, glyphs.axis[0], theme.frame);
    }
    for (column, value) in values.iter().enumerate().take(columns(area)) {
        let x = SCALE + column as u16;
        let Some(value) = value else {
            text::put(buf, area, x, area.height - 1, glyphs.gap, theme.quiet);
            continue;
        };
        let mut left = level(*value, most, height * 8);
        for row in (0..area.height).rev() {
            let filled = left.min(8);
            if filled == 0 {
                break;
            }
            text::put(buf, area, x, row, glyphs.columns[filled], theme.plot);
            left -= filled;
        }
    }
}

fn scale(buf: &mut Buffer, area: Rect, row: u16, label: &str, theme: &Theme) {
    text::put_right(buf, area, SCALE - 2, row, label, theme.quiet);
}

/// The time under a chart: how far back on the left, now on the right.
pub fn time_axis(buf: &mut Buffer, area: Rect, ms: u64, theme: &Theme) {
    let axis = Rect { x: area.x + SCALE.min(area.width), width: area.width.saturating_sub(SCALE), ..area };
    text::put(buf, axis, 0, 0, &format!("-{}", format::age(ms)), theme.quiet);
    if axis.width > 40 {
        let middle = format!("-{}", format::age(ms / 2));
        text::put(buf, axis, axis.width / 2, 0, &middle, theme.quiet);
    }
    text::put_right(buf, axis, axis.width, 0, "now", theme.quiet);
}

/// The next round number at or above a value.
fn nice_ceiling(value: f64) -> f64 {
    if value <= 0.0 {
        return 1.0;
    }
    let decade = 10_f64.powf(value.log10().floor());
    let steps = [1.0, 1.5, 2.0, 3.0, 4.0, 5.0, 6.0, 8.0, 10.0];
    steps.iter().map(|step| step * decade).find(|nice| *nice >= value * 0.999).unwrap_or(decade * 10.0)
}

/// Three percentiles in microseconds.
pub type Percentiles = [u64; 3];

/// Curves of three percentiles on a logarithmic scale of milliseconds.
pub fn curves(buf: &mut Buffer, area: Rect, values: &[Option<Percentiles>], theme: &Theme) {
    if area.height == 0 || area.width <= SCALE {
        return;
    }
    let Some(range) = Range::of(values, area.height) else {
        return;
    };
    for row in 0..area.height {
        text::put(buf, area, SCALE - 1, row, theme.glyphs.axis[0], theme.frame);
    }
    for (row, label) in range.labels() {
        scale(buf, area, row, &label, theme);
        text::put(buf, area, SCALE - 1, row, theme.glyphs.axis[1], theme.frame);
    }
    for (column, value) in values.iter().enumerate().take(columns(area)) {
        let x = SCALE + column as u16;
        match value {
            None => {
                text::put(buf, area, x, area.height - 1, theme.glyphs.gap, theme.quiet);
            }
            Some(percentiles) => curve_column(buf, area, x, &range, percentiles, theme),
        }
    }
}

fn curve_column(
    buf: &mut Buffer,
    area: Rect,
    x: u16,
    range: &Range,
    percentiles: &Percentiles,
    theme: &Theme,
) {
    let [p50, p95, p99] = percentiles.map(|value| range.row(value));
    let styles: [Style; 3] = [theme.plot, theme.plot, theme.quiet];
    // Each covers the rows from its own down to the one below it.
    for (index, rows) in [(2, p99..=p95), (1, p95..=p50), (0, p50..=p50)] {
        for row in rows {
            text::put(buf, area, x, row, theme.glyphs.curve[index], styles[index]);
        }
    }
}

/// What a logarithmic scale covers.
struct Range {
    low: f64,
    high: f64,
    height: u16,
}

impl Range {
    fn of(values: &[Option<Percentiles>], height: u16) -> Option<Range> {
        let all = || values.iter().flatten().flatten().copied().map(|value| value.max(1));
        let (low, high) = (all().min()? as f64, all().max()? as f64);
        // A little room on both sides; a flat line gets a scale, too.
        Some(Range { low: (low * 0.8).ln(), high: (high * 1.25).ln(), height })
    }

    fn row(&self, micros: u64) -> u16 {
        let share = ((micros.max(1) as f64).ln() - self.low) / (self.high - self.low);
        let last = f64::from(self.height.saturating_sub(1));
        (last - share * last).round().clamp(0.0, last) as u16
    }

    /// Round numbers for some of the rows, none next to another.
    fn labels(&self) -> Vec<(u16, String)> {
        let mut labels: Vec<(u16, String)> = Vec::new();
        for step in [1, 5, 2] {
            let mut decade = 1_u64;
            while decade < 1_000_000_000 {
                let value = decade * step;
                let position = (value as f64).ln();
                if (self.low..=self.high).contains(&position) {
                    let row = self.row(value);
                    if labels.iter().all(|(taken, _)| taken.abs_diff(row) > 1) {
                        labels.push((row, format::millis(value)));
                    }
                }
                decade *= 10;
            }
        }
        labels
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::theme::{ThemeName, UNICODE};

    fn drawn(width: u16, height: u16, draw: impl Fn(&mut Buffer, Rect, &Theme)) -> Vec<String> {
        let area = Rect::new(0, 0, width, height);
        let mut buf = Buffer::empty(area);
        draw(&mut buf, area, &Theme::new(ThemeName::Mono, false));
        (0..height)
            .map(|y| {
                let row: String = (0..width).map(|x| buf[(x, y)].symbol()).collect();
                row.trim_end().to_owned()
            })
            .collect()
    }

    #[test]
    fn a_sparkline_shows_gaps_zero_and_a_little() {
        let values = [None, Some(0.0), Some(0.001), Some(5.0), Some(10.0)];
        assert_eq!(sparkline(&values, &UNICODE), "· ▁▄█");
        assert_eq!(sparkline(&[Some(0.0), Some(0.0)], &UNICODE), "  ");
    }

    #[test]
    fn bars_have_a_round_scale_and_gaps() {
        let values = [None, Some(0.0), Some(1.0), Some(50.0), Some(97.0)];
        let rows = drawn(13, 2, |buf, area, theme| bars(buf, area, &values, theme));
        assert_eq!(rows, ["   100 │    █", "       │· ▁██"]);
    }

    #[test]
    fn curves_are_in_order_from_below() {
        let values = [Some([1_000, 10_000, 100_000]), None, Some([5_000, 5_000, 5_000])];
        let rows = drawn(11, 5, |buf, area, theme| curves(buf, area, &values, theme));
        assert_eq!(rows.len(), 5);
        let column = |x: usize| rows.iter().map(|row| row.chars().nth(x).unwrap_or(' ')).collect::<String>();
        assert_eq!(column(8), "░░▒▒━");
        assert_eq!(column(9), "    ·");
        assert!(rows[0].contains("100 ┤") && rows[4].contains("1.0 ┤"), "{rows:?}");
    }

    #[test]
    fn nothing_is_drawn_where_there_is_no_room() {
        for width in 0..12 {
            for height in 0..4 {
                drawn(width, height, |buf, area, theme| {
                    bars(buf, area, &[Some(3.0); 9], theme);
                    curves(buf, area, &[Some([1, 2, 3]); 9], theme);
                    time_axis(buf, area, 60_000, theme);
                });
            }
        }
    }

    #[test]
    fn ceilings_are_round() {
        assert_eq!(
            [0.0, 0.7, 1.0, 11.0, 97.0, 1_230.0].map(|value| format::rate(nice_ceiling(value))),
            ["1.0", "0.80", "1.0", "15", "100", "1,500"]
        );
    }
}
