//! Drawing: from the state to the cells of a buffer, and nothing else. One file for each screen's panes.

use ratatui::buffer::Buffer;
use ratatui::layout::{Position, Rect};

use crate::app::App;
use crate::screens::{self, LEAST, Pane};
use crate::widgets::text;

pub mod bottom;
pub mod connection;
pub mod help;
pub mod overview;
pub mod palette;
pub mod plugins;
pub mod problems;
pub mod routes;
pub mod stream;
pub mod targets;
pub mod top;

/// Draws everything. Returns where the terminal's cursor belongs, if it is to be seen.
pub fn draw(app: &App, area: Rect, buf: &mut Buffer) -> Option<Position> {
    let Some(parts) = screens::parts(area.as_size(), app.prompt.is_some()) else {
        too_small(app, area, buf);
        return None;
    };
    top::header(app, parts.header, buf);
    top::tabs(app, parts.tabs, buf);
    if app.data().has_picture() {
        for (pane, area) in app.panes() {
            draw_pane(app, pane, area, buf);
        }
        if app.data().is_lost() {
            buf.set_style(parts.body, app.theme.stale);
        }
    } else {
        connection::draw(app, parts.body, buf);
    }
    if let Some(scroll) = app.help {
        help::draw(app, buf, scroll);
    }
    if let Some(palette) = &app.palette {
        palette::draw(app, palette, parts.body, buf);
    }
    bottom::draw(app, parts.footer, buf)
}

fn draw_pane(app: &App, pane: Pane, area: Rect, buf: &mut Buffer) {
    let focused = pane == app.focus;
    match pane {
        Pane::Traffic => overview::traffic(app, area, buf, focused),
        Pane::Latency => overview::latency(app, area, buf, focused),
        Pane::Now => overview::now(app, area, buf, focused),
        Pane::Reasons => overview::reasons(app, area, buf, focused),
        Pane::Decisions => plugins::short(app, area, buf, focused),
        Pane::WorstRoutes => routes::worst(app, area, buf, focused),
        Pane::Findings => problems::short(app, area, buf, focused),
        Pane::Exchanges => stream::list(app, area, buf, focused),
        Pane::Exchange => stream::detail(app, area, buf, focused),
        Pane::ExchangeRoute => stream::route(app, area, buf, focused),
        Pane::Routes => routes::list(app, area, buf, focused),
        Pane::RouteLatency => routes::latency(app, area, buf, focused),
        Pane::RouteFacts => routes::facts(app, area, buf, focused),
        Pane::Plugins => plugins::list(app, area, buf, focused),
        Pane::PluginExchanges => plugins::exchanges(app, area, buf, focused),
        Pane::Targets => targets::list(app, area, buf, focused),
        Pane::Problems => problems::list(app, area, buf, focused),
        Pane::Problem => problems::detail(app, area, buf, focused),
    }
}

fn too_small(app: &App, area: Rect, buf: &mut Buffer) {
    let sentence = format!(
        "too small: {}x{} needed, this is {}x{}; q quits",
        LEAST.width, LEAST.height, area.width, area.height
    );
    for (row, line) in text::wrap(&sentence, usize::from(area.width)).iter().enumerate() {
        text::put(buf, area, 0, row as u16, line, app.theme.text);
    }
}

/// The note of a list's frame: how many rows there are, how many are shown, and by which order and filter.
pub fn list_note(app: &App, shown: usize, all: usize, order: Option<&str>) -> String {
    let mut parts = Vec::new();
    parts.push(if shown == all { shown.to_string() } else { format!("{shown} of {all}") });
    if let Some(order) = order {
        parts.push(format!("by {order}"));
    }
    let filter = app.filter(app.screen);
    if !filter.is_empty() {
        parts.push(format!("filter {}", filter.text()));
    }
    parts.join(&format!(" {} ", app.theme.glyphs.dot))
}

/// A sentence in the middle of a pane that has nothing to show.
pub fn nothing(app: &App, area: Rect, buf: &mut Buffer, sentence: &str) {
    let lines = text::wrap(sentence, usize::from(area.width));
    let top = area.height.saturating_sub(lines.len() as u16) / 2;
    for (row, line) in lines.iter().enumerate() {
        let x = usize::from(area.width).saturating_sub(text::width(line)) / 2;
        text::put(buf, area, x as u16, top + row as u16, line, app.theme.quiet);
    }
}

#[cfg(test)]
mod tests;

/// Labelled lines, as many as fit; a long value goes on under itself.
pub struct Facts<'a> {
    app: &'a App,
    area: Rect,
    label_width: u16,
    row: u16,
}

impl<'a> Facts<'a> {
    pub fn new(app: &'a App, area: Rect, label_width: u16) -> Facts<'a> {
        Facts { app, area, label_width, row: 0 }
    }

    /// One fact; an empty value is left out.
    pub fn add(&mut self, buf: &mut Buffer, label: &str, value: &str) {
        self.styled(buf, label, value, self.app.theme.text);
    }

    pub fn styled(&mut self, buf: &mut Buffer, label: &str, value: &str, style: ratatui::style::Style) {
        if value.is_empty() {
            return;
        }
        let room = self.area.width.saturating_sub(self.label_width);
        for (index, line) in text::wrap(value, usize::from(room)).iter().enumerate() {
            if index == 0 {
                text::put(buf, self.area, 0, self.row, label, self.app.theme.quiet);
            }
            text::put(buf, self.area, self.label_width, self.row, line, style);
            self.row += 1;
        }
    }

    pub fn blank(&mut self) {
        self.row += 1;
    }

    /// What is left below the facts.
    pub fn rest(&self) -> Rect {
        let used = self.row.min(self.area.height);
        Rect { y: self.area.y + used, height: self.area.height - used, ..self.area }
    }
}
