//! What the mouse does, once it is asked for: the wheel moves, a click chooses, a click on what is chosen opens it.

use crossterm::event::{MouseButton, MouseEvent, MouseEventKind};
use ratatui::layout::{Position, Rect};

use super::App;
use crate::screens::{self, List, Pane, Screen};
use crate::widgets::text;

/// Rows that one notch of the wheel moves.
const NOTCH: isize = 3;

impl App {
    /// The screens as they stand in the second line, padded; the current one in brackets. Names give way to numbers
    /// where there is no room.
    pub fn tabs(&self, width: u16, window: &str) -> Vec<(Screen, String)> {
        let findings = self.picture.findings.len();
        let count = if findings > 0 { format!(" {findings}") } else { String::new() };
        let room = usize::from(width).saturating_sub(text::width(window) + 1);
        let full: usize = Screen::ALL.iter().map(|screen| screen.title().len() + 4).sum();
        let (names, counted) = (full <= room, full + count.len() <= room);
        let label = |(index, screen): (usize, Screen)| {
            let current = screen == self.screen;
            let name = if names || current { format!(" {}", screen.title()) } else { String::new() };
            let count = if screen == Screen::Problems && counted { count.as_str() } else { "" };
            let [open, close] = if current { ["[", "]"] } else { [" ", " "] };
            (screen, format!("{open}{}{name}{count}{close}", index + 1))
        };
        Screen::ALL.into_iter().enumerate().map(label).collect()
    }

    /// Something happened with the mouse.
    pub fn mouse(&mut self, event: MouseEvent) {
        let at = Position { x: event.column, y: event.row };
        match event.kind {
            MouseEventKind::ScrollUp => self.wheel(at, -NOTCH),
            MouseEventKind::ScrollDown => self.wheel(at, NOTCH),
            MouseEventKind::Down(MouseButton::Left) => self.click(at),
            _ => return,
        }
        self.stale = true;
        self.dirty = true;
    }

    fn wheel(&mut self, at: Position, rows: isize) {
        if let Some(scroll) = self.help {
            self.scroll_help(scroll.saturating_add_signed(rows));
        } else if let Some((pane, _)) = self.pane_at(at) {
            self.focus = pane;
            self.move_cursor(rows);
        }
    }

    fn click(&mut self, at: Position) {
        if self.help.take().is_some() || self.palette.take().is_some() {
            return;
        }
        let Some(parts) = screens::parts(self.size, self.prompt.is_some()) else { return };
        if parts.tabs.contains(at) {
            self.click_tab(at.x, parts.tabs.width);
        } else if let Some((pane, area)) = self.pane_at(at) {
            self.click_pane(pane, area, at.y);
        }
    }

    fn click_tab(&mut self, x: u16, width: u16) {
        let mut end = 0;
        for (screen, label) in self.tabs(width, &self.window_label()) {
            end += text::width(&label) as u16;
            if x < end {
                self.show(screen);
                return;
            }
        }
    }

    fn click_pane(&mut self, pane: Pane, area: Rect, y: u16) {
        let had_focus = self.focus == pane;
        self.focus = pane;
        let (Some(list), Some(row)) = (pane.list(), pane.row_at(area, y)) else { return };
        let index = self.cursor(list).top + row;
        if index >= self.length(list) {
            return;
        }
        let is_chosen =
            self.cursor(list).index == index && (list != List::Exchanges || self.cursor(list).key.is_some());
        if had_focus && is_chosen {
            self.open();
        } else {
            self.choose_row(list, index);
        }
    }

    fn pane_at(&self, at: Position) -> Option<(Pane, Rect)> {
        self.panes().into_iter().find(|(_, area)| area.contains(at))
    }
}
