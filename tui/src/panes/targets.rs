//! Targets: health, attempts, failures and load of every address that requests are sent to.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use super::{list_note, nothing};
use crate::app::App;
use crate::format;
use crate::rows::{TargetRow, share};
use crate::screens::List;
use crate::widgets::table::{Align, Cell, Column, Table};
use crate::widgets::{bars, frame};

const COLUMNS: &[Column<TargetRow>] = &[
    Column::fixed("", 1, Align::Left, 0, |app, row, _| sign(app, row)),
    Column::growing("target", 21, 46, Align::Left, 0, |app, row, _| Cell::new(&*row.address, app.theme.text)),
    Column::fixed("health", 10, Align::Left, 0, |app, row, _| {
        let style = if row.is_unhealthy() { app.theme.bad } else { app.theme.text };
        Cell::new(&*row.health, style)
    }),
    Column::fixed("tries/s", 8, Align::Right, 1, |app, row, _| {
        Cell::new(format::rate(row.per_second), app.theme.text)
    }),
    Column::fixed("failures", 9, Align::Right, 3, |app, row, _| {
        Cell::new(format::count(row.counts.failures), failure_style(app, row))
    }),
    Column::fixed("failed", 9, Align::Right, 0, |app, row, _| {
        let share = format::percent(row.counts.failures, row.counts.attempts);
        Cell::new(if share == "-" { share } else { format!("{share} %") }, failure_style(app, row))
    }),
    Column::fixed("in flight", 10, Align::Right, 2, |app, row, _| {
        Cell::new(format::count(row.in_flight), app.theme.text)
    }),
    Column::growing("share of tries", 15, 60, Align::Left, 4, |app, row, width| {
        let all: f64 = app.picture.targets.iter().map(|target| target.per_second).sum();
        let share = if all > 0.0 { row.per_second / all } else { 0.0 };
        Cell::new(bars::bar(share, width, app.theme.glyphs), app.theme.plot)
    }),
];

fn failure_style(app: &App, row: &TargetRow) -> ratatui::style::Style {
    super::top::failure_style(app, row.counts.failures, row.counts.attempts)
}

fn sign(app: &App, row: &TargetRow) -> Cell {
    let glyphs = app.theme.glyphs;
    if row.is_unhealthy() {
        Cell::new(glyphs.bad, app.theme.bad)
    } else if share(row.counts.failures, row.counts.attempts) >= 0.01 {
        Cell::new(glyphs.warn, app.theme.warn)
    } else if row.counts.attempts == 0 {
        Cell::new(glyphs.note, app.theme.quiet)
    } else {
        Cell::new(glyphs.ok, app.theme.ok)
    }
}

/// The table.
pub fn list(app: &App, area: Rect, buf: &mut Buffer, focused: bool) {
    let count = app.length(List::Targets);
    let sorting = app.sorting(List::Targets);
    let order = TargetRow::ORDERS[sorting.order].name;
    let note = list_note(app, count, app.picture.targets.len(), Some(order));
    let inner = frame::draw(buf, area, &app.theme, "Targets", &note, focused);
    if count == 0 {
        let why = match app.picture.targets.len() {
            0 => "the gateway has no targets yet",
            _ => "no target passes the filter; Esc drops it",
        };
        nothing(app, inner, buf, why);
        return;
    }
    let cursor = app.cursor(List::Targets);
    let rows: Vec<&TargetRow> =
        (cursor.top..count).map_while(|index| app.target(index)).take(inner.height.into()).collect();
    let selected = Some(cursor.index - cursor.top);
    Table { columns: COLUMNS, rows: &rows, selected, sorted: Some((order, sorting)), focused }
        .draw(app, inner, buf);
}
