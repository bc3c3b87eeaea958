//! What keys do.

use crossterm::event::{KeyCode, KeyEvent};

use super::{App, Effect, Origin, Place};
use crate::curl;
use crate::cursor::Cursor;
use crate::exchanges::Row;
use crate::filter::{Filter, Mistake, quoted};
use crate::keys::{self, Action};
use crate::palette::{Entry, Leads, Palette};
use crate::prompt::{self, Prompt, Typed};
use crate::rows::{Finding, Lead, PluginRow, RouteRow, TargetRow};
use crate::screens::{List, Pane, Screen};
use crate::window::Window;

/// Further back nobody remembers.
const LONGEST_TRAIL: usize = 32;

impl App {
    /// A key was pressed.
    pub fn key(&mut self, event: KeyEvent) -> Option<Effect> {
        self.dirty = true;
        if self.palette.is_some() {
            return self.type_into_palette(event);
        }
        if self.prompt.is_some() {
            self.type_key(event);
            return None;
        }
        self.act(keys::action(event)?)
    }

    /// Text was pasted; it only ever goes into the filter line, never to the keys.
    pub fn paste(&mut self, text: &str) {
        if let Some(palette) = &mut self.palette {
            palette.prompt.insert(text);
            self.dirty = true;
        } else if let Some(prompt) = &mut self.prompt {
            prompt.insert(text);
            self.typed();
        }
    }

    /// Does what was asked for.
    pub fn act(&mut self, action: Action) -> Option<Effect> {
        self.dirty = true;
        if self.help.is_some() && self.act_on_help(action) {
            return None;
        }
        match action {
            Action::Show(screen) => self.show(screen),
            Action::NextPane => self.move_focus(1),
            Action::PreviousPane => self.move_focus(-1),
            Action::Up => self.move_cursor(-1),
            Action::Down => self.move_cursor(1),
            Action::PageUp => self.move_page(-1),
            Action::PageDown => self.move_page(1),
            Action::Top => self.go_to_top(),
            Action::Bottom => self.move_cursor(isize::MAX),
            Action::Open => self.open(),
            Action::Back => self.back(),
            Action::Filter => self.begin_filter(),
            Action::Palette => self.palette = Some(Palette::default()),
            Action::Mouse => {
                self.has_mouse = !self.has_mouse;
                self.say(if self.has_mouse {
                    "the wheel moves, a click chooses, a second one opens; m gives the mouse back to the terminal"
                } else {
                    "the mouse selects text again"
                });
                return Some(Effect::Mouse(self.has_mouse));
            }
            Action::Pause => return self.pause(),
            Action::Step => return self.play(|playback| playback.steps += u64::from(playback.paused)),
            Action::Slower => {
                return self.play(|playback| playback.speed = (playback.speed / 2.0).max(0.125));
            }
            Action::Faster => return self.play(|playback| playback.speed = (playback.speed * 2.0).min(64.0)),
            Action::NextOrder => self.change_order(1),
            Action::PreviousOrder => self.change_order(-1),
            Action::ReverseOrder => self.reverse_order(),
            Action::Zoom => self.zoomed = !self.zoomed,
            Action::ShorterWindow => self.set_window(self.window.shorter()),
            Action::LongerWindow => self.set_window(self.window.longer()),
            Action::UsualWindow => self.set_window(Window::default()),
            Action::CopyCommand => return self.copy(|row| curl::command(&row.exchange)),
            Action::CopyRow => {
                return self.copy(|row| serde_json::to_string(&row.exchange).unwrap_or_default());
            }
            Action::HideIdle => self.hide_idle = !self.hide_idle,
            Action::Mask => self.masked = !self.masked,
            Action::Help => self.help = Some(0),
            Action::SaveScreen => return Some(Effect::SaveScreen),
            Action::Record => return Some(Effect::Record),
            Action::Redraw => return Some(Effect::Redraw),
            Action::Suspend => return Some(Effect::Suspend),
            Action::Quit => return Some(Effect::Quit { keep: false }),
            Action::QuitAndKeep => return Some(Effect::Quit { keep: true }),
        }
        self.stale = true;
        None
    }

    /// Whether an action makes sense now; the footer offers no others.
    pub fn offers(&self, action: Action) -> bool {
        let list = self.focus.list();
        match action {
            Action::Open => self.can_open(),
            Action::Back => self.can_go_back(),
            Action::Filter => self.screen.list().is_some(),
            Action::Step => self.origin == Origin::Replay && self.playback.paused,
            Action::Slower | Action::Faster => self.origin == Origin::Replay,
            Action::NextOrder | Action::PreviousOrder | Action::ReverseOrder => orders(list) > 1,
            Action::CopyCommand | Action::CopyRow => {
                self.screen == Screen::Stream && self.chosen_exchange().is_some()
            }
            Action::NextPane | Action::PreviousPane => !self.zoomed && self.panes().len() > 1,
            _ => true,
        }
    }

    /// The help takes the keys that move and close; all others close it and act.
    fn act_on_help(&mut self, action: Action) -> bool {
        let Some(scroll) = self.help else { return false };
        let scroll = match action {
            Action::Up => scroll.saturating_sub(1),
            Action::Down => scroll + 1,
            Action::PageUp => scroll.saturating_sub(10),
            Action::PageDown => scroll + 10,
            Action::Top => 0,
            Action::Bottom => usize::MAX,
            _ => {
                self.help = None;
                return matches!(action, Action::Help | Action::Back | Action::Open);
            }
        };
        self.scroll_help(scroll);
        true
    }

    /// Scrolls the help, to its end and no further.
    pub(super) fn scroll_help(&mut self, scroll: usize) {
        let furthest = self.help_page().map_or(0, |(area, lines)| {
            lines.len().saturating_sub(usize::from(area.height.saturating_sub(2)))
        });
        self.help = Some(scroll.min(furthest));
    }

    pub(super) fn show(&mut self, screen: Screen) {
        if screen == Screen::Routes && self.screen == Screen::Overview && self.focus == Pane::WorstRoutes {
            let chosen = self.cursor(List::WorstRoutes);
            if let Some(name) = chosen.key.as_ref().and_then(|_| self.worst_route(chosen.index)) {
                let name = name.route.clone();
                self.cursors[List::Routes as usize].choose(&name);
            }
        }
        self.trail.clear();
        self.go(screen);
    }

    fn go(&mut self, screen: Screen) {
        self.screen = screen;
        self.focus = screen.main_pane();
        self.zoomed = false;
    }

    /// Goes down to another screen, with a way back.
    fn descend(&mut self, screen: Screen, filter: Option<String>) {
        let place = Place {
            screen: self.screen,
            focus: self.focus,
            zoomed: self.zoomed,
            filter: self.filters[screen as usize].clone(),
        };
        self.trail.push(place);
        if self.trail.len() > LONGEST_TRAIL {
            self.trail.remove(0);
        }
        self.go(screen);
        if let Some(Ok(filter)) = filter.map(|text| parse(screen, &text)) {
            self.set_filter(screen, filter);
        }
    }

    fn back(&mut self) {
        if self.zoomed {
            self.zoomed = false;
            if !self.shows(self.focus) {
                self.focus = self.screen.main_pane();
            }
        } else if let Some(place) = self.trail.pop() {
            self.set_filter(self.screen, place.filter);
            self.screen = place.screen;
            self.focus = place.focus;
            self.zoomed = place.zoomed;
        } else if self.is_stopped() {
            self.follow();
        } else if !self.filters[self.screen as usize].is_empty() {
            self.set_filter(self.screen, Filter::default());
        } else {
            self.focus = self.screen.main_pane();
        }
    }

    fn can_go_back(&self) -> bool {
        self.zoomed
            || !self.trail.is_empty()
            || self.is_stopped()
            || !self.filters[self.screen as usize].is_empty()
    }

    fn can_open(&self) -> bool {
        match self.focus {
            Pane::Exchange | Pane::ExchangeRoute => !self.zoomed,
            Pane::Problem | Pane::Problems => {
                self.chosen_finding().is_some_and(|finding| finding.lead != Lead::None)
                    || !self.shows(Pane::Problem)
            }
            pane => pane.list().is_none_or(|list| self.length(list) > 0),
        }
    }

    pub(super) fn open(&mut self) {
        if !self.can_open() {
            return;
        }
        match self.focus {
            Pane::WorstRoutes => {
                let chosen =
                    self.worst_route(self.cursor(List::WorstRoutes).index).map(|row| row.route.clone());
                self.open_route(&chosen.unwrap_or_default());
            }
            Pane::Findings | Pane::Problems | Pane::Problem => self.open_finding(),
            Pane::Decisions => self.descend(Screen::Plugins, None),
            Pane::Exchanges => {
                if self.chosen_exchange().is_none() {
                    self.move_cursor(0);
                }
                self.focus = Pane::Exchange;
                self.zoomed = true;
            }
            Pane::Routes if !self.shows(Pane::RouteFacts) => {
                self.focus = Pane::RouteFacts;
                self.zoomed = true;
            }
            Pane::Routes | Pane::RouteFacts | Pane::RouteLatency => {
                let filter = self.chosen_route().map(|row| match row.route.as_str() {
                    "" => "reason=no_route".to_owned(),
                    route => format!("route={}", quoted(route)),
                });
                self.descend(Screen::Stream, filter);
                self.follow();
            }
            Pane::Plugins | Pane::PluginExchanges => {
                let filter = self.chosen_plugin().map(|row| format!("plugin={}", quoted(&row.plugin)));
                self.descend(Screen::Stream, filter);
                self.follow();
            }
            Pane::Targets => {
                let chosen = self.target(self.cursor(List::Targets).index);
                let filter = chosen.map(|row| format!("target={}", quoted(&row.address)));
                self.descend(Screen::Stream, filter);
                self.follow();
            }
            Pane::Traffic
            | Pane::Latency
            | Pane::Now
            | Pane::Reasons
            | Pane::Exchange
            | Pane::ExchangeRoute => {
                self.zoomed = !self.zoomed;
            }
        }
    }

    fn open_route(&mut self, route: &str) {
        self.open_row(Screen::Routes, List::Routes, route);
    }

    /// Shows a screen with the cursor on a row, which no filter hides.
    fn open_row(&mut self, screen: Screen, list: List, name: &str) {
        self.cursors[list as usize].choose(name);
        self.descend(screen, Some(String::new()));
    }

    fn open_finding(&mut self) {
        match self.chosen_finding().map(|finding| finding.lead.clone()) {
            Some(Lead::Route(route)) => self.open_route(&route),
            Some(Lead::Target(target)) => self.open_row(Screen::Targets, List::Targets, &target),
            Some(Lead::Plugin(plugin)) => self.open_row(Screen::Plugins, List::Plugins, &plugin),
            Some(Lead::None) if self.screen == Screen::Problems => {
                self.focus = Pane::Problem;
                self.zoomed = true;
            }
            Some(Lead::None) => self.descend(Screen::Problems, None),
            None => {}
        }
    }

    fn move_focus(&mut self, by: isize) {
        if self.zoomed {
            return;
        }
        let panes = self.panes();
        let count = panes.len() as isize;
        if count == 0 {
            return;
        }
        let at = panes.iter().position(|(pane, _)| *pane == self.focus).map_or(0, |at| at as isize);
        self.focus = panes[(at + by).rem_euclid(count) as usize].0;
    }

    pub(super) fn move_cursor(&mut self, by: isize) {
        let Some(list) = self.focus.list() else { return };
        let cursor = self.cursor(list);
        // The first row is chosen before it can be left.
        let by = if list == List::Exchanges && cursor.key.is_none() && by == 1 { 0 } else { by };
        let index = cursor.index.saturating_add_signed(by);
        self.choose_row(list, index);
    }

    /// Puts the cursor on a row, or on the last one. The stream stands still from then on.
    pub(super) fn choose_row(&mut self, list: List, index: usize) {
        if list == List::Exchanges && self.anchor.is_none() {
            self.anchor = self.exchange(0).map(|row| row.number);
        }
        let mut cursor = std::mem::take(&mut self.cursors[list as usize]);
        cursor.choose_index(index, self.length(list), |index| self.key_at(list, index));
        self.cursors[list as usize] = cursor;
    }

    fn move_page(&mut self, direction: isize) {
        if let Some(list) = self.focus.list() {
            self.move_cursor(direction * self.page(list).saturating_sub(1).max(1) as isize);
        }
    }

    fn go_to_top(&mut self) {
        match self.focus.list() {
            Some(List::Exchanges) => self.follow(),
            Some(_) => self.move_cursor(isize::MIN + 1),
            None => {}
        }
    }

    /// Lets the stream show the newest again.
    fn follow(&mut self) {
        self.anchor = None;
        self.cursors[List::Exchanges as usize] = Cursor::default();
    }

    fn pause(&mut self) -> Option<Effect> {
        if self.origin == Origin::Replay {
            return self.play(|playback| playback.paused = !playback.paused);
        }
        self.frozen = match self.frozen.take() {
            None => Some(Box::new(self.data.clone())),
            Some(_) => None,
        };
        self.stale = true;
        None
    }

    fn play(&mut self, change: impl FnOnce(&mut crate::source::Playback)) -> Option<Effect> {
        if self.origin != Origin::Replay {
            return None;
        }
        change(&mut self.playback);
        Some(Effect::Playback(self.playback))
    }

    fn set_window(&mut self, window: Window) {
        self.window = window;
    }

    fn change_order(&mut self, by: isize) {
        let Some(list) = self.focus.list() else { return };
        let count = orders(Some(list)) as isize;
        if count > 0 {
            let sorting = &mut self.sortings[list as usize];
            sorting.order = (sorting.order as isize + by).rem_euclid(count) as usize;
            sorting.reversed = false;
        }
    }

    fn reverse_order(&mut self) {
        if let Some(list) = self.focus.list().filter(|list| orders(Some(*list)) > 0) {
            self.sortings[list as usize].reversed ^= true;
        }
    }

    fn copy(&mut self, text: impl Fn(&Row) -> String) -> Option<Effect> {
        if self.screen != Screen::Stream {
            self.say("copying is for exchanges: 2 shows them");
            return None;
        }
        let copied = self.chosen_exchange().map(|row| Effect::Copy(text(row)));
        if copied.is_none() {
            self.say("choose an exchange first, with the arrow keys");
        }
        copied
    }

    fn begin_filter(&mut self) {
        if self.screen.list().is_some() {
            self.prompt = Some(Prompt::new(self.filters[self.screen as usize].text()));
        } else {
            self.say("filters are for lists: the screens 2 to 6");
        }
    }

    fn type_key(&mut self, event: KeyEvent) {
        let Some(mut prompt) = self.prompt.take() else { return };
        let typed = prompt.key(event, &self.earlier_filters);
        self.prompt = Some(prompt);
        match typed {
            Typed::Nothing => {}
            Typed::Changed => self.typed(),
            Typed::Entered => {
                self.typed();
                let valid = self.prompt.as_ref().filter(|prompt| prompt.mistake.is_none()).map(Prompt::text);
                if let Some(text) = valid {
                    prompt::remember(&mut self.earlier_filters, text.trim());
                    self.prompt = None;
                }
            }
            Typed::Cancelled => {
                self.prompt = None;
                self.set_filter(self.screen, Filter::default());
            }
        }
        self.stale = true;
    }

    /// Tries the line as it is; while it is no filter, the last one that was stays.
    fn typed(&mut self) {
        let Some(text) = self.prompt.as_ref().map(Prompt::text) else { return };
        let mistake = match parse(self.screen, &text) {
            Ok(filter) => {
                self.set_filter(self.screen, filter);
                None
            }
            Err(mistake) => Some(mistake),
        };
        if let Some(prompt) = &mut self.prompt {
            prompt.mistake = mistake;
        }
    }

    fn type_into_palette(&mut self, event: KeyEvent) -> Option<Effect> {
        let mut palette = self.palette.take()?;
        let found = self.palette_entries(&palette);
        match event.code {
            KeyCode::Up => palette.chosen = palette.chosen.saturating_sub(1),
            KeyCode::Down => palette.chosen = (palette.chosen + 1).min(found.len().saturating_sub(1)),
            _ => match palette.prompt.key(event, &[]) {
                Typed::Cancelled => return None,
                Typed::Entered => {
                    return found.into_iter().nth(palette.chosen).and_then(|entry| self.take(entry));
                }
                Typed::Changed => palette.chosen = 0,
                Typed::Nothing => {}
            },
        }
        self.palette = Some(palette);
        None
    }

    /// Goes where an entry of the palette leads.
    fn take(&mut self, entry: Entry) -> Option<Effect> {
        match entry.leads {
            Leads::Action(action) => return self.act(action),
            Leads::Route(route) => self.open_route(&route),
            Leads::Plugin(plugin) => self.open_row(Screen::Plugins, List::Plugins, &plugin),
            Leads::Target(target) => self.open_row(Screen::Targets, List::Targets, &target),
        }
        self.stale = true;
        None
    }

    fn set_filter(&mut self, screen: Screen, filter: Filter) {
        self.filters[screen as usize] = filter;
        self.stale = true;
        self.dirty = true;
    }

    /// Sets a screen's filter from outside of the keys.
    pub fn filter_by(&mut self, screen: Screen, text: &str) -> Result<(), Mistake> {
        let filter = parse(screen, text)?;
        self.set_filter(screen, filter);
        Ok(())
    }
}

/// How many orders a list has.
fn orders(list: Option<List>) -> usize {
    match list {
        Some(List::Routes) => RouteRow::ORDERS.len(),
        Some(List::Plugins) => PluginRow::ORDERS.len(),
        Some(List::Targets) => TargetRow::ORDERS.len(),
        Some(List::WorstRoutes | List::Exchanges | List::Findings) | None => 0,
    }
}

fn parse(screen: Screen, text: &str) -> Result<Filter, Mistake> {
    match screen {
        Screen::Overview | Screen::Stream => Filter::parse::<Row>(text),
        Screen::Routes => Filter::parse::<RouteRow>(text),
        Screen::Plugins => Filter::parse::<PluginRow>(text),
        Screen::Targets => Filter::parse::<TargetRow>(text),
        Screen::Problems => Filter::parse::<Finding>(text),
    }
}
