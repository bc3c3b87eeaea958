//! Plugins: what each let pass, ended and failed on, and the exchanges it ended.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use super::stream;
use super::{list_note, nothing};
use crate::app::App;
use crate::exchanges::Row;
use crate::format;
use crate::rows::PluginRow;
use crate::screens::List;
use crate::widgets::table::{Align, Cell, Column, Table};
use crate::widgets::{chart, frame};

const NAME: Column<PluginRow> =
    Column::growing("plugin", 16, 32, Align::Left, 0, |app, row, _| Cell::new(&*row.plugin, base(app, row)));
const RATE: Column<PluginRow> = Column::fixed("runs/s", 7, Align::Right, 1, |app, row, _| {
    Cell::new(format::rate(row.per_second), base(app, row))
});
const PASSED: Column<PluginRow> = Column::fixed("passed", 7, Align::Right, 3, |app, row, _| {
    Cell::new(format::count(row.counts.passed), base(app, row))
});
const ENDED: Column<PluginRow> = Column::fixed("ended", 7, Align::Right, 0, |app, row, _| {
    let style = if row.counts.ended > 0 { app.theme.refused } else { base(app, row) };
    Cell::new(format::count(row.counts.ended), style)
});
const SHARE: Column<PluginRow> = Column::fixed("%", 5, Align::Right, 2, |app, row, _| {
    let style = if row.counts.ended > 0 { app.theme.refused } else { base(app, row) };
    Cell::new(format::percent(row.counts.ended, row.runs()), style)
});
const FAILED: Column<PluginRow> = Column::fixed("failed", 7, Align::Right, 0, |app, row, _| {
    let style = if row.counts.failed > 0 { app.theme.bad } else { base(app, row) };
    Cell::new(format::count(row.counts.failed), style)
});
const ROUTES: Column<PluginRow> = Column::fixed("routes", 6, Align::Right, 5, |app, row, _| {
    Cell::new(row.routes.to_string(), base(app, row))
});
const TREND: Column<PluginRow> =
    Column::growing("ended, trend", 12, 60, Align::Left, 6, |app, row, width| {
        let trend = app.data().trend(app.window, width, |gateway, ms, step| {
            gateway.history.plugin_trend(&row.plugin, ms, step)
        });
        Cell::new(chart::sparkline(&trend, app.theme.glyphs), app.theme.refused)
    });

const COLUMNS: &[Column<PluginRow>] = &[NAME, RATE, PASSED, ENDED, SHARE, FAILED, ROUTES, TREND];
const SHORT: &[Column<PluginRow>] = &[NAME, PASSED, ENDED, FAILED];

fn base(app: &App, row: &PluginRow) -> ratatui::style::Style {
    if row.runs() == 0 { app.theme.quiet } else { app.theme.text }
}

/// The overview's table.
pub fn short(app: &App, area: Rect, buf: &mut Buffer, focused: bool) {
    let inner = frame::draw(buf, area, &app.theme, "Plugins", "", focused);
    table(app, inner, buf, SHORT, None, focused);
}

/// The table of all plugins.
pub fn list(app: &App, area: Rect, buf: &mut Buffer, focused: bool) {
    let sorting = app.sorting(List::Plugins);
    let order = PluginRow::ORDERS[sorting.order].name;
    let note = list_note(app, app.length(List::Plugins), app.picture.plugins.len(), Some(order));
    let inner = frame::draw(buf, area, &app.theme, "Plugins  requests in the window, exact", &note, focused);
    table(app, inner, buf, COLUMNS, Some((order, sorting)), focused);
}

fn table(
    app: &App,
    area: Rect,
    buf: &mut Buffer,
    columns: &[Column<PluginRow>],
    sorted: Option<(&'static str, crate::app::Sorting)>,
    focused: bool,
) {
    let count = app.length(List::Plugins);
    if count == 0 {
        let why =
            if app.picture.plugins.is_empty() { "no plugin runs" } else { "no plugin passes the filter" };
        nothing(app, area, buf, why);
        return;
    }
    let cursor = app.cursor(List::Plugins);
    let rows: Vec<&PluginRow> =
        (cursor.top..count).map_while(|index| app.plugin(index)).take(area.height.into()).collect();
    let selected = (focused || sorted.is_some()).then(|| cursor.index - cursor.top);
    Table { columns, rows: &rows, selected, sorted, focused }.draw(app, area, buf);
}

/// The newest exchanges that the chosen plugin ended.
pub fn exchanges(app: &App, area: Rect, buf: &mut Buffer, focused: bool) {
    let name = app.chosen_plugin().map(|row| row.plugin.as_str()).unwrap_or_default();
    let title = format!("Ended by {name}");
    let inner = frame::draw(buf, area, &app.theme, &title, "newest of the sample, Enter shows all", focused);
    let rows: Vec<&Row> = app
        .data()
        .exchanges
        .newest()
        .map(AsRef::as_ref)
        .filter(|row| row.exchange.ended_by == name && !name.is_empty())
        .take(inner.height.saturating_sub(1).into())
        .collect();
    if rows.is_empty() {
        nothing(app, inner, buf, "none in the sample");
        return;
    }
    Table { columns: stream::ENDED, rows: &rows, selected: None, sorted: None, focused: false }
        .draw(app, inner, buf);
}
