//! All that the dashboard knows and is doing: a fold of events, keys and time. No input or output, no drawing; what
//! has to be done outside is returned as an [`Effect`].
//!
//! The picture is what the data amounts to over the chosen window, and the lists are the picture's rows after filter
//! and order. Both are made anew by [`App::refresh`], which the loop calls before each frame, so keys act on what is
//! on the screen.

use std::borrow::Cow;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

use jiff::tz::TimeZone;
use ratatui::layout::{Rect, Size};

use crate::cursor::{Cursor, Key};
use crate::data::Data;
use crate::exchanges::Row;
use crate::filter::Filter;
use crate::format;
use crate::help::{self, HelpLine};
use crate::palette::{self, Entry, Palette};
use crate::picture::Picture;
use crate::prompt::Prompt;
use crate::rows::{Finding, Order, PluginRow, RouteRow, TargetRow};
use crate::screens::{self, List, Pane, Screen};
use crate::source::{Event, Playback};
use crate::theme::Theme;
use crate::window::Window;

mod mouse;
mod update;

/// How long a message stays in the footer.
const FLASH_MS: u64 = 5_000;
/// Longer lines of text are hard to read.
const WIDEST_HELP: u16 = 100;

/// What kind of source the picture comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    Live,
    Demo,
    Replay,
}

/// How the dashboard begins.
#[derive(Debug, Clone)]
pub struct Setup {
    pub addresses: Vec<String>,
    pub origin: Origin,
    pub theme: Theme,
    pub zone: TimeZone,
    pub size: Size,
    pub screen: Screen,
    pub window: Window,
    pub speed: f64,
    pub now_ms: u64,
}

/// Something to be done outside of the state.
#[derive(Debug, Clone, PartialEq)]
pub enum Effect {
    Quit {
        /// Leave the last picture on the terminal.
        keep: bool,
    },
    Suspend,
    Redraw,
    Copy(String),
    SaveScreen,
    /// Begin or end a recording.
    Record,
    Playback(Playback),
    /// Take the mouse, or give it back.
    Mouse(bool),
}

/// A message in the footer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Flash {
    pub text: String,
    pub until_ms: u64,
}

/// Where Enter was pressed, to come back to.
#[derive(Debug, Clone)]
struct Place {
    screen: Screen,
    focus: Pane,
    zoomed: bool,
    /// The filter that the screen we went to had before.
    filter: Filter,
}

/// A list's order: an index into the row's orders, and whether it is turned around.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sorting {
    pub order: usize,
    pub reversed: bool,
}

/// Rows after filter and order, as indices into the picture, and the exchanges themselves.
#[derive(Debug, Clone, Default)]
pub struct Lists {
    worst: Vec<usize>,
    routes: Vec<usize>,
    plugins: Vec<usize>,
    targets: Vec<usize>,
    findings: Vec<usize>,
    exchanges: Vec<Arc<Row>>,
    /// Exchanges that came after the list was stopped.
    pub newer: usize,
}

/// See the module.
pub struct App {
    pub theme: Theme,
    pub zone: TimeZone,
    pub size: Size,
    pub origin: Origin,
    /// The time of the picture, for ages: the clock on the wall, or that of a recording.
    pub now_ms: u64,
    /// The clock on the wall.
    wall_ms: u64,
    data: Data,
    /// The data as it was when the picture was paused.
    frozen: Option<Box<Data>>,
    pub playback: Playback,
    pub screen: Screen,
    pub focus: Pane,
    pub zoomed: bool,
    pub window: Window,
    pub picture: Picture,
    pub lists: Lists,
    filters: [Filter; Screen::ALL.len()],
    sortings: [Sorting; 6],
    cursors: [Cursor; 6],
    /// The newest exchange of the stopped list; `None` while it follows.
    pub anchor: Option<u64>,
    pub hide_idle: bool,
    pub masked: bool,
    pub prompt: Option<Prompt>,
    pub palette: Option<Palette>,
    /// Whether the mouse is ours; else it selects text in the terminal.
    pub has_mouse: bool,
    earlier_filters: Vec<String>,
    /// How far the help is scrolled, while it is open.
    pub help: Option<usize>,
    pub flash: Option<Flash>,
    /// File and size of the recording that is being made.
    pub recording: Option<(String, u64)>,
    trail: Vec<Place>,
    /// The picture no longer shows the data.
    stale: bool,
    /// The screen no longer shows the state.
    dirty: bool,
}

impl App {
    pub fn new(setup: Setup) -> App {
        let natural = |order| Sorting { order, reversed: false };
        App {
            theme: setup.theme,
            zone: setup.zone,
            size: setup.size,
            origin: setup.origin,
            now_ms: setup.now_ms,
            wall_ms: setup.now_ms,
            data: Data::new(&setup.addresses),
            frozen: None,
            playback: Playback { paused: false, speed: setup.speed, steps: 0 },
            screen: setup.screen,
            focus: setup.screen.main_pane(),
            zoomed: false,
            window: setup.window,
            picture: Picture::default(),
            lists: Lists::default(),
            filters: Default::default(),
            sortings: [
                natural(0),
                natural(0),
                natural(RouteRow::BY_RATE),
                natural(PluginRow::BY_ENDED),
                natural(TargetRow::BY_FAILED),
                natural(0),
            ],
            cursors: Default::default(),
            anchor: None,
            hide_idle: false,
            masked: false,
            prompt: None,
            palette: None,
            has_mouse: false,
            earlier_filters: Vec::new(),
            help: None,
            flash: None,
            recording: None,
            trail: Vec::new(),
            stale: true,
            dirty: true,
        }
    }

    /// What is shown: the newest, or what was there when the picture was paused.
    pub fn data(&self) -> &Data {
        self.frozen.as_deref().unwrap_or(&self.data)
    }

    /// What is known, paused or not.
    pub fn live_data(&self) -> &Data {
        &self.data
    }

    pub fn is_paused(&self) -> bool {
        self.frozen.is_some() || self.playback.paused
    }

    /// Whether the screen has to be drawn anew; asking resets it.
    pub fn take_dirty(&mut self) -> bool {
        std::mem::take(&mut self.dirty)
    }

    /// Takes in an event.
    pub fn feed(&mut self, event: &Event) {
        if self.origin == Origin::Replay {
            self.now_ms = event.at_ms;
        }
        let changed = self.data.fold(event);
        if changed && self.frozen.is_none() {
            self.stale = true;
            self.dirty = true;
        }
    }

    /// Lets time pass. In a replay only messages in the footer grow old by it.
    pub fn tick(&mut self, wall_ms: u64) {
        self.wall_ms = wall_ms;
        if self.flash.as_ref().is_some_and(|flash| flash.until_ms <= wall_ms) {
            self.flash = None;
            self.dirty = true;
        }
        if self.origin == Origin::Replay {
            return;
        }
        let seconds_passed = wall_ms / 1_000 != self.now_ms / 1_000;
        self.now_ms = wall_ms;
        let counting = self
            .data
            .gateways
            .iter()
            .any(|gateway| !gateway.is_live() || gateway.silent_ms(wall_ms).is_some());
        self.dirty |= seconds_passed && (counting || self.recording.is_some());
    }

    pub fn resize(&mut self, size: Size) {
        self.size = size;
        self.stale = true;
        self.dirty = true;
    }

    /// Shows a message in the footer for a while.
    pub fn say(&mut self, text: impl Into<String>) {
        self.flash = Some(Flash { text: text.into(), until_ms: self.wall_ms + FLASH_MS });
        self.dirty = true;
    }

    /// Makes picture and lists anew when something changed. To be called before each frame.
    pub fn refresh(&mut self) {
        if !std::mem::take(&mut self.stale) {
            return;
        }
        self.picture = Picture::of(self.data(), self.window);
        self.arrange();
        self.settle();
    }

    /// Filters and orders the rows of the picture.
    fn arrange(&mut self) {
        let picture = &self.picture;
        self.lists.worst = picture.worst_routes();
        let idle = |row: &RouteRow| self.hide_idle && row.classes.total() == 0;
        let filter = &self.filters[Screen::Routes as usize];
        self.lists.routes = arranged(
            &picture.routes,
            |row| !idle(row) && filter.matches(row),
            RouteRow::ORDERS,
            self.sortings[List::Routes as usize],
        );
        let filter = &self.filters[Screen::Plugins as usize];
        self.lists.plugins = arranged(
            &picture.plugins,
            |row| filter.matches(row) && !(self.hide_idle && row.runs() == 0),
            PluginRow::ORDERS,
            self.sortings[List::Plugins as usize],
        );
        let filter = &self.filters[Screen::Targets as usize];
        self.lists.targets = arranged(
            &picture.targets,
            |row| filter.matches(row) && !(self.hide_idle && row.counts.attempts == 0),
            TargetRow::ORDERS,
            self.sortings[List::Targets as usize],
        );
        let filter = &self.filters[Screen::Problems as usize];
        self.lists.findings =
            (0..picture.findings.len()).filter(|index| filter.matches(&picture.findings[*index])).collect();
        self.arrange_exchanges();
    }

    fn arrange_exchanges(&mut self) {
        let filter = &self.filters[Screen::Stream as usize];
        let limit = self.anchor.unwrap_or(u64::MAX);
        let mut newer = 0;
        let mut exchanges = Vec::new();
        for row in self.data().exchanges.newest().filter(|row| filter.matches(row.as_ref())) {
            if row.number > limit {
                newer += 1;
            } else {
                exchanges.push(row.clone());
            }
        }
        self.lists.exchanges = exchanges;
        self.lists.newer = newer;
    }

    /// Puts all cursors back on their rows.
    fn settle(&mut self) {
        for list in
            [List::WorstRoutes, List::Exchanges, List::Routes, List::Plugins, List::Targets, List::Findings]
        {
            let mut cursor = std::mem::take(&mut self.cursors[list as usize]);
            let page = self.page(list);
            cursor.settle(self.length(list), page, |index| self.key_at(list, index));
            self.cursors[list as usize] = cursor;
        }
        if self.cursors[List::Exchanges as usize].key.is_none() {
            self.anchor = None;
        }
    }

    pub fn length(&self, list: List) -> usize {
        match list {
            List::WorstRoutes => self.lists.worst.len(),
            List::Exchanges => self.lists.exchanges.len(),
            List::Routes => self.lists.routes.len(),
            List::Plugins => self.lists.plugins.len(),
            List::Targets => self.lists.targets.len(),
            List::Findings => self.lists.findings.len(),
        }
    }

    fn key_at(&self, list: List, index: usize) -> Option<Key> {
        let name = |name: &str| Key::Name(name.to_owned());
        match list {
            List::WorstRoutes => self.worst_route(index).map(|row| name(&row.route)),
            List::Exchanges => self.exchange(index).map(|row| Key::Number(row.number)),
            List::Routes => self.route(index).map(|row| name(&row.route)),
            List::Plugins => self.plugin(index).map(|row| name(&row.plugin)),
            List::Targets => self.target(index).map(|row| name(&row.address)),
            List::Findings => self.finding(index).map(|row| name(&finding_key(row))),
        }
    }

    /// How many rows of a list are on the screen.
    fn page(&self, list: List) -> usize {
        self.panes()
            .into_iter()
            .find(|(pane, _)| pane.list() == Some(list))
            .map_or(10, |(pane, area)| pane.rows(area))
    }

    /// The panes on the screen and where they are; none when the terminal is too small.
    pub fn panes(&self) -> Vec<(Pane, Rect)> {
        match screens::parts(self.size, self.prompt.is_some()) {
            None => Vec::new(),
            Some(parts) if self.zoomed => vec![(self.focus, parts.body)],
            Some(parts) => screens::panes(self.screen, parts.body),
        }
    }

    fn shows(&self, pane: Pane) -> bool {
        self.panes().iter().any(|(shown, _)| *shown == pane)
    }

    /// The window that the numbers are taken over, in words.
    pub fn window_label(&self) -> String {
        let picture = &self.picture;
        let watched = format::age(picture.span_ms);
        match self.window.ms() {
            None => format!("since start, {watched}"),
            Some(_) if picture.is_shorter_than_asked() => format!("{watched} of {}", self.window.words()),
            // The first news after a long silence cover all of it.
            Some(ms) if picture.span_ms > ms + ms / 2 => format!("last {watched}"),
            Some(_) => format!("last {}", self.window.words()),
        }
    }

    /// What the palette finds.
    pub fn palette_entries(&self, palette: &Palette) -> Vec<Entry> {
        palette::entries(&self.picture, &palette.prompt.text(), self.theme.glyphs)
    }

    /// Where the help is drawn, and all its lines.
    pub fn help_page(&self) -> Option<(Rect, Vec<HelpLine>)> {
        let body = screens::parts(self.size, self.prompt.is_some())?.body;
        let width = body.width.min(WIDEST_HELP);
        let lines = help::lines(self.screen, usize::from(width.saturating_sub(4)), self.theme.glyphs.arrows);
        let height = (lines.len() as u16 + 2).min(body.height);
        let (left, top) = ((body.width - width) / 2, (body.height - height) / 2);
        Some((Rect { x: body.x + left, y: body.y + top, width, height }, lines))
    }

    pub fn cursor(&self, list: List) -> &Cursor {
        &self.cursors[list as usize]
    }

    pub fn sorting(&self, list: List) -> Sorting {
        self.sortings[list as usize]
    }

    pub fn filter(&self, screen: Screen) -> &Filter {
        &self.filters[screen as usize]
    }

    pub fn worst_route(&self, index: usize) -> Option<&RouteRow> {
        self.lists.worst.get(index).and_then(|index| self.picture.routes.get(*index))
    }

    pub fn route(&self, index: usize) -> Option<&RouteRow> {
        self.lists.routes.get(index).and_then(|index| self.picture.routes.get(*index))
    }

    pub fn plugin(&self, index: usize) -> Option<&PluginRow> {
        self.lists.plugins.get(index).and_then(|index| self.picture.plugins.get(*index))
    }

    pub fn target(&self, index: usize) -> Option<&TargetRow> {
        self.lists.targets.get(index).and_then(|index| self.picture.targets.get(*index))
    }

    pub fn finding(&self, index: usize) -> Option<&Finding> {
        self.lists.findings.get(index).and_then(|index| self.picture.findings.get(*index))
    }

    pub fn exchange(&self, index: usize) -> Option<&Arc<Row>> {
        self.lists.exchanges.get(index)
    }

    /// The exchange that was chosen; none while the list follows the newest.
    pub fn chosen_exchange(&self) -> Option<&Arc<Row>> {
        let cursor = self.cursor(List::Exchanges);
        cursor.key.as_ref().and_then(|_| self.exchange(cursor.index))
    }

    /// Whether going back means to follow the newest exchanges again.
    pub fn is_stopped(&self) -> bool {
        self.screen == Screen::Stream && !self.zoomed && self.trail.is_empty() && self.anchor.is_some()
    }

    pub fn chosen_route(&self) -> Option<&RouteRow> {
        self.route(self.cursor(List::Routes).index)
    }

    pub fn chosen_plugin(&self) -> Option<&PluginRow> {
        self.plugin(self.cursor(List::Plugins).index)
    }

    pub fn chosen_finding(&self) -> Option<&Finding> {
        self.finding(self.cursor(List::Findings).index)
    }

    /// An address or a name of a person or program, or its stand-in while identities are hidden.
    pub fn identity<'a>(&self, identity: &'a str) -> Cow<'a, str> {
        if !self.masked || identity.is_empty() {
            return Cow::Borrowed(identity);
        }
        let mut hasher = DefaultHasher::new();
        identity.hash(&mut hasher);
        Cow::Owned(format!("id-{:06x}", hasher.finish() & 0x00ff_ffff))
    }

    /// A request target, without its query while identities are hidden.
    pub fn request_target<'a>(&self, target: &'a str) -> Cow<'a, str> {
        match target.split_once('?') {
            Some((path, _)) if self.masked => Cow::Owned(format!("{path}?...")),
            _ => Cow::Borrowed(target),
        }
    }
}

/// Several rules may find something about the same object, and one rule several problems.
fn finding_key(finding: &Finding) -> String {
    let detail = if finding.rule == "config" { finding.text.as_str() } else { "" };
    format!("{} {} {detail}", finding.rule, finding.subject)
}

/// The indices of the rows that pass, in the given order; ties keep the order of names.
fn arranged<R>(rows: &[R], passes: impl Fn(&R) -> bool, orders: &[Order<R>], sorting: Sorting) -> Vec<usize> {
    let mut indices: Vec<usize> = (0..rows.len()).filter(|index| passes(&rows[*index])).collect();
    if let Some(order) = orders.get(sorting.order) {
        indices.sort_by(|a, b| {
            let natural = (order.compare)(&rows[*a], &rows[*b]);
            if sorting.reversed { natural.reverse() } else { natural }
        });
    }
    indices
}

#[cfg(test)]
pub mod tests;
