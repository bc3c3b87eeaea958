//! The screens, the panes on them, and where each pane goes at which size. Pure geometry: the one table of
//! breakpoints is here, and everything that depends on a pane's height asks here.

use ratatui::layout::{Rect, Size};

/// Below this there is only a sentence that names the size needed.
pub const LEAST: Size = Size { width: 60, height: 16 };

/// A page full of panes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub enum Screen {
    #[default]
    Overview,
    Stream,
    Routes,
    Plugins,
    Targets,
    Problems,
}

/// A part of a screen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Pane {
    /// Requests per second over time, by class.
    Traffic,
    /// Percentiles over time.
    Latency,
    /// Gauges.
    Now,
    /// What plugins did, short.
    Decisions,
    /// How requests ended.
    Reasons,
    /// Routes by share of failures.
    WorstRoutes,
    /// Findings, short.
    Findings,
    Exchanges,
    Exchange,
    /// The latency histogram of the selected exchange's route.
    ExchangeRoute,
    Routes,
    RouteLatency,
    RouteFacts,
    Plugins,
    PluginExchanges,
    Targets,
    Problems,
    Problem,
}

/// A list with a cursor.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum List {
    WorstRoutes,
    Exchanges,
    Routes,
    Plugins,
    Targets,
    Findings,
}

impl Screen {
    pub const ALL: [Screen; 6] = [
        Screen::Overview,
        Screen::Stream,
        Screen::Routes,
        Screen::Plugins,
        Screen::Targets,
        Screen::Problems,
    ];

    pub fn title(self) -> &'static str {
        match self {
            Screen::Overview => "Overview",
            Screen::Stream => "Stream",
            Screen::Routes => "Routes",
            Screen::Plugins => "Plugins",
            Screen::Targets => "Targets",
            Screen::Problems => "Problems",
        }
    }

    /// The pane that has the keys when the screen opens.
    pub fn main_pane(self) -> Pane {
        match self {
            Screen::Overview => Pane::WorstRoutes,
            Screen::Stream => Pane::Exchanges,
            Screen::Routes => Pane::Routes,
            Screen::Plugins => Pane::Plugins,
            Screen::Targets => Pane::Targets,
            Screen::Problems => Pane::Problems,
        }
    }

    /// The list that the screen's filter is about; the overview has none.
    pub fn list(self) -> Option<List> {
        (self != Screen::Overview).then(|| self.main_pane().list()).flatten()
    }
}

impl Pane {
    /// The list whose cursor the arrow keys move while this pane has the keys.
    pub fn list(self) -> Option<List> {
        match self {
            Pane::WorstRoutes => Some(List::WorstRoutes),
            Pane::Exchanges | Pane::Exchange | Pane::ExchangeRoute => Some(List::Exchanges),
            Pane::Routes | Pane::RouteLatency | Pane::RouteFacts => Some(List::Routes),
            Pane::Plugins | Pane::Decisions | Pane::PluginExchanges => Some(List::Plugins),
            Pane::Targets => Some(List::Targets),
            Pane::Findings | Pane::Problems | Pane::Problem => Some(List::Findings),
            Pane::Traffic | Pane::Latency | Pane::Now | Pane::Reasons => None,
        }
    }

    /// How many rows of its list a pane of this size shows; panes that show one row count as one page of ten.
    pub fn rows(self, area: Rect) -> usize {
        let framed = usize::from(area.height.saturating_sub(2));
        match self {
            // Below column titles.
            Pane::WorstRoutes
            | Pane::Exchanges
            | Pane::Routes
            | Pane::Plugins
            | Pane::Targets
            | Pane::Decisions => framed.saturating_sub(1),
            Pane::Findings | Pane::Problems => framed / finding_lines(area.width),
            _ => 10,
        }
    }
}

impl Pane {
    /// Which row of its list, counted from the first one shown, is at this line of the terminal.
    pub fn row_at(self, area: Rect, y: u16) -> Option<usize> {
        let above = match self {
            Pane::WorstRoutes
            | Pane::Exchanges
            | Pane::Routes
            | Pane::Plugins
            | Pane::Targets
            | Pane::Decisions => 2,
            Pane::Findings | Pane::Problems => 1,
            _ => return None,
        };
        let line = usize::from(y.checked_sub(area.y + above)?);
        let lines = if above == 1 { finding_lines(area.width) } else { 1 };
        Some(line / lines).filter(|row| *row < self.rows(area))
    }
}

/// A finding takes one line, or two in a pane too narrow for both its name and its text.
pub fn finding_lines(pane_width: u16) -> usize {
    if pane_width < 70 { 2 } else { 1 }
}

/// The panes of a screen on an area of this size.
pub fn panes(screen: Screen, area: Rect) -> Vec<(Pane, Rect)> {
    // Breakpoints are those of the whole terminal: a header of two lines and a footer of one are not in the area.
    let wide = area.width >= 100;
    let tall = area.height >= 27;
    match screen {
        Screen::Overview => overview(area, wide, tall),
        Screen::Stream => stream(area, tall),
        Screen::Routes => routes(area, tall),
        Screen::Plugins => {
            let (list, detail) = split_rows(area, if tall { below(area, 12) } else { 0 });
            present(vec![(Pane::Plugins, list), (Pane::PluginExchanges, detail)])
        }
        Screen::Targets => vec![(Pane::Targets, area)],
        Screen::Problems => {
            let (list, detail) = split_rows(area, if area.height >= 18 { 9 } else { 0 });
            present(vec![(Pane::Problems, list), (Pane::Problem, detail)])
        }
    }
}

fn overview(area: Rect, wide: bool, tall: bool) -> Vec<(Pane, Rect)> {
    if wide {
        let (left, right) = split_columns(area, if area.width >= 160 { area.width * 3 / 10 } else { 40 });
        if tall {
            let traffic = (area.height * 2 / 5).clamp(11, 22);
            let latency = (area.height / 4).clamp(7, 14);
            let [traffic, latency, routes] = split_three(left, traffic, latency);
            let [now, decisions, rest] = split_three(right, traffic.height.min(11), latency.height.min(9));
            let (reasons, findings) =
                split_rows(rest, if rest.height >= 24 { rest.height - 12 } else { rest.height });
            return present(vec![
                (Pane::Traffic, traffic),
                (Pane::Now, now),
                (Pane::Latency, latency),
                (Pane::Decisions, decisions),
                (Pane::WorstRoutes, routes),
                (Pane::Reasons, reasons),
                (Pane::Findings, findings),
            ]);
        }
        let [traffic, routes, _] = split_three(left, 9.min(area.height), area.height.saturating_sub(9));
        let [now, findings, _] = split_three(right, 9.min(area.height), area.height.saturating_sub(9));
        return present(vec![
            (Pane::Traffic, traffic),
            (Pane::Now, now),
            (Pane::WorstRoutes, routes),
            (Pane::Findings, findings),
        ]);
    }
    if tall {
        let [traffic, latency, rest] = split_three(area, 9, 8);
        let (routes, findings) = split_rows(rest, (rest.height / 3).max(4));
        return present(vec![
            (Pane::Traffic, traffic),
            (Pane::Latency, latency),
            (Pane::WorstRoutes, routes),
            (Pane::Findings, findings),
        ]);
    }
    let findings = if area.height >= 20 { 5 } else { 0 };
    let (rest, findings) = split_rows(area, findings);
    let (routes, traffic) = (rest.height.saturating_sub(7), 7.min(rest.height));
    let (traffic, routes) = split_rows(rest, if routes >= 4 { rest.height - traffic } else { 0 });
    present(vec![(Pane::Traffic, traffic), (Pane::WorstRoutes, routes), (Pane::Findings, findings)])
}

fn stream(area: Rect, tall: bool) -> Vec<(Pane, Rect)> {
    let (list, detail) = split_rows(area, if tall { 13 } else { 0 });
    let (exchange, route) = split_columns(detail, if area.width >= 116 { 44 } else { 0 });
    present(vec![(Pane::Exchanges, list), (Pane::Exchange, exchange), (Pane::ExchangeRoute, route)])
}

fn routes(area: Rect, tall: bool) -> Vec<(Pane, Rect)> {
    let (list, detail) = split_rows(area, if tall { below(area, 14) } else { 0 });
    let (facts, latency) = split_columns(detail, if area.width >= 100 { detail.width / 2 } else { 0 });
    present(vec![(Pane::Routes, list), (Pane::RouteFacts, facts), (Pane::RouteLatency, latency)])
}

/// A detail pane of at least so many rows, or a third of the area.
fn below(area: Rect, least: u16) -> u16 {
    least.max(area.height / 3)
}

/// What is above, and the lowest `bottom` rows.
fn split_rows(area: Rect, bottom: u16) -> (Rect, Rect) {
    let bottom = bottom.min(area.height);
    let top = area.height - bottom;
    (Rect { height: top, ..area }, Rect { y: area.y + top, height: bottom, ..area })
}

/// What is on the left, and the rightmost `right` columns.
fn split_columns(area: Rect, right: u16) -> (Rect, Rect) {
    let right = right.min(area.width);
    let left = area.width - right;
    (Rect { width: left, ..area }, Rect { x: area.x + left, width: right, ..area })
}

/// Two parts of the given heights and the rest.
fn split_three(area: Rect, first: u16, second: u16) -> [Rect; 3] {
    let first = first.min(area.height);
    let second = second.min(area.height - first);
    [
        Rect { height: first, ..area },
        Rect { y: area.y + first, height: second, ..area },
        Rect { y: area.y + first + second, height: area.height - first - second, ..area },
    ]
}

/// Without panes that have no room for a frame and a line.
fn present(mut panes: Vec<(Pane, Rect)>) -> Vec<(Pane, Rect)> {
    panes.retain(|(_, area)| area.width > 2 && area.height > 2);
    panes
}

/// The parts of the terminal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Parts {
    pub header: Rect,
    pub tabs: Rect,
    pub body: Rect,
    pub footer: Rect,
}

/// Divides the terminal; `None` when it is too small. The footer is two lines high while a filter is typed.
pub fn parts(size: Size, typing: bool) -> Option<Parts> {
    if size.width < LEAST.width || size.height < LEAST.height {
        return None;
    }
    let footer = if typing { 2 } else { 1 };
    let line = |y, height| Rect { x: 0, y, width: size.width, height };
    Some(Parts {
        header: line(0, 1),
        tabs: line(1, 1),
        body: line(2, size.height - 2 - footer),
        footer: line(size.height - footer, footer),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn panes_tile_their_screen_at_every_size() {
        for screen in Screen::ALL {
            for width in (60..=220).step_by(4) {
                for height in 16..=70 {
                    let body = parts(Size { width, height }, false).unwrap().body;
                    let panes = panes(screen, body);
                    let covered: u32 = panes.iter().map(|(_, area)| area.area()).sum();
                    assert_eq!(covered, body.area(), "{screen:?} at {width}x{height}: {panes:?}");
                    for (index, (_, a)) in panes.iter().enumerate() {
                        assert_eq!(a.intersection(body), *a);
                        assert!(panes[index + 1..].iter().all(|(_, b)| a.intersection(*b).is_empty()));
                    }
                    assert!(panes.iter().any(|(pane, _)| *pane == screen.main_pane()));
                }
            }
        }
    }

    #[test]
    fn bigger_terminals_show_more() {
        let shown =
            |width, height| panes(Screen::Overview, parts(Size { width, height }, false).unwrap().body).len();
        assert_eq!(
            [shown(60, 16), shown(80, 24), shown(80, 40), shown(100, 24), shown(120, 36)],
            [2, 3, 4, 4, 6]
        );
    }

    #[test]
    fn too_small_is_nothing() {
        assert_eq!(parts(Size { width: 59, height: 40 }, false), None);
        assert_eq!(parts(Size { width: 200, height: 15 }, false), None);
    }
}
