use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

use super::*;
use crate::source::demo::Demo;
use crate::source::{Link, News};
use crate::theme::ThemeName;

const START_MS: u64 = 1_700_000_000_000;

/// A dashboard over nothing.
pub fn app(width: u16, height: u16) -> App {
    let mut app = App::new(Setup {
        addresses: vec!["http://127.0.0.1:8001".to_owned()],
        origin: Origin::Live,
        theme: Theme::new(ThemeName::Default, false),
        zone: TimeZone::UTC,
        size: Size { width, height },
        screen: Screen::Overview,
        window: Window::Minute,
        speed: 1.0,
        now_ms: START_MS,
    });
    app.refresh();
    app
}

/// A dashboard that has watched the demo for so many seconds.
pub fn watching(width: u16, height: u16, seconds: u64) -> App {
    let mut app = app(width, height);
    watch(&mut app, seconds);
    app
}

/// Lets the demo go on up to so many seconds after its start.
pub fn watch(app: &mut App, until_second: u64) {
    let from_ms = app.data.heard_ms().unwrap_or(0);
    for event in Demo::new(7, 1_200.0, START_MS) {
        if event.at_ms > START_MS + until_second * 1_000 {
            break;
        }
        if event.at_ms > from_ms || from_ms == 0 {
            app.feed(&event);
            app.tick(event.at_ms);
        }
    }
    app.refresh();
}

/// Presses keys by their names; a single character is itself.
pub fn press(app: &mut App, keys: &str) -> Option<Effect> {
    let mut last = None;
    for key in keys.split_whitespace() {
        let (code, modifiers) = match key {
            "Enter" => (KeyCode::Enter, KeyModifiers::NONE),
            "Esc" => (KeyCode::Esc, KeyModifiers::NONE),
            "Tab" => (KeyCode::Tab, KeyModifiers::NONE),
            "Up" => (KeyCode::Up, KeyModifiers::NONE),
            "Down" => (KeyCode::Down, KeyModifiers::NONE),
            "Home" => (KeyCode::Home, KeyModifiers::NONE),
            "End" => (KeyCode::End, KeyModifiers::NONE),
            "PageDown" => (KeyCode::PageDown, KeyModifiers::NONE),
            "Space" => (KeyCode::Char(' '), KeyModifiers::NONE),
            "Ctrl-c" => (KeyCode::Char('c'), KeyModifiers::CONTROL),
            key => (KeyCode::Char(key.chars().next().unwrap()), KeyModifiers::NONE),
        };
        last = app.key(KeyEvent::new(code, modifiers));
        app.refresh();
    }
    last
}

fn type_text(app: &mut App, text: &str) {
    for c in text.chars() {
        app.key(KeyEvent::new(KeyCode::Char(c), KeyModifiers::NONE));
    }
    app.refresh();
}

fn chosen(app: &App) -> u64 {
    app.chosen_exchange().expect("an exchange is chosen").number
}

#[test]
fn the_stream_follows_until_a_row_is_chosen_and_then_stands_still() {
    let mut app = watching(120, 40, 10);
    press(&mut app, "2");
    assert!(app.chosen_exchange().is_none(), "following chooses nothing");
    press(&mut app, "Down");
    let newest = chosen(&app);
    press(&mut app, "Down Down");
    let row = chosen(&app);
    assert!(row < newest);
    watch(&mut app, 14);
    assert_eq!(chosen(&app), row);
    assert_eq!(app.exchange(0).unwrap().number, newest, "the list stands still");
    assert!(app.lists.newer > 0);
    press(&mut app, "Esc");
    assert!(app.anchor.is_none() && app.chosen_exchange().is_none());
    assert!(app.exchange(0).unwrap().number > newest);
}

#[test]
fn pausing_holds_the_picture_and_loses_nothing() {
    let mut app = watching(120, 40, 30);
    let before = app.picture.clone();
    press(&mut app, "Space");
    watch(&mut app, 60);
    assert_eq!(app.picture, before);
    assert!(app.is_paused());
    press(&mut app, "Space");
    let straight = watching(120, 40, 60);
    assert_eq!(app.picture, straight.picture, "as if it had never been paused");
}

#[test]
fn while_paused_events_ask_for_no_frame() {
    let mut app = watching(120, 40, 10);
    press(&mut app, "Space");
    app.take_dirty();
    watch(&mut app, 20);
    assert!(!app.take_dirty());
}

#[test]
fn an_idle_gateway_asks_for_a_frame_once_a_second() {
    let mut app = app(80, 24);
    app.feed(&Event { at_ms: START_MS, gateway: 0, news: News::Link(Link::Live) });
    let mut frames = 0;
    for quarter in 0..=40 {
        let at_ms = START_MS + quarter * 250;
        let totals = admin_api::Totals { at_ms, generation: 1, ..Default::default() };
        let message = admin_api::FeedMessage::Totals(Box::new(totals));
        app.feed(&Event { at_ms, gateway: 0, news: News::Message(message) });
        app.tick(at_ms);
        app.refresh();
        frames += usize::from(app.take_dirty());
    }
    assert!(frames <= 11, "{frames} frames in ten idle seconds");
}

#[test]
fn filters_work_while_they_are_typed() {
    let mut app = watching(120, 40, 20);
    press(&mut app, "2 /");
    type_text(&mut app, "reason=rate_limited");
    let limited = app.length(List::Exchanges);
    assert!(limited > 0 && limited < app.data().exchanges.len());
    type_text(&mut app, " (");
    assert!(app.prompt.as_ref().unwrap().mistake.is_some());
    assert_eq!(app.length(List::Exchanges), limited, "a broken filter leaves the last good one in place");
    press(&mut app, "Enter");
    assert!(app.prompt.is_some(), "a broken filter cannot be kept");
    for _ in 0.." (".len() {
        app.key(KeyEvent::new(KeyCode::Backspace, KeyModifiers::NONE));
    }
    press(&mut app, "Enter");
    assert!(app.prompt.is_none());
    assert_eq!(app.filter(Screen::Stream).text(), "reason=rate_limited");
    press(&mut app, "/ Esc");
    assert!(app.filter(Screen::Stream).is_empty());
    press(&mut app, "/ Up");
    assert_eq!(app.prompt.as_ref().unwrap().text(), "reason=rate_limited");
}

#[test]
fn enter_goes_down_and_escape_comes_back() {
    let mut app = watching(120, 40, 65);
    press(&mut app, "Down Enter");
    assert_eq!(app.screen, Screen::Routes);
    let route = app.chosen_route().unwrap().route.clone();
    assert_eq!(route, "shop.storefront.orders.shop.example.80", "the second worst");
    press(&mut app, "Enter");
    assert_eq!(app.screen, Screen::Stream);
    assert_eq!(app.filter(Screen::Stream).text(), format!("route={route}"));
    assert!(app.lists.exchanges.iter().all(|row| row.exchange.route == route));
    press(&mut app, "Enter");
    assert_eq!((app.focus, app.zoomed), (Pane::Exchange, true));
    press(&mut app, "Esc Esc Esc");
    assert_eq!(app.screen, Screen::Overview);
    assert!(
        app.filter(Screen::Stream).is_empty(),
        "the filter came with the way down and goes with the way up"
    );
    assert_eq!(press(&mut app, "Esc Esc Esc"), None, "Esc never quits");
}

#[test]
fn a_finding_leads_to_what_it_is_about() {
    let mut app = watching(120, 40, 65);
    press(&mut app, "6");
    let at = (0..app.length(List::Findings))
        .find(|index| app.finding(*index).unwrap().text == "unhealthy")
        .expect("an unhealthy target");
    for _ in 0..at {
        press(&mut app, "Down");
    }
    press(&mut app, "Enter");
    assert_eq!(app.screen, Screen::Targets);
    assert_eq!(app.target(app.cursor(List::Targets).index).unwrap().address, "10.2.4.11:8080");
}

#[test]
fn small_terminals_show_details_instead_of_the_list() {
    let mut app = watching(80, 24, 20);
    press(&mut app, "3 Enter");
    assert_eq!(app.panes().iter().map(|(pane, _)| *pane).collect::<Vec<_>>(), [Pane::RouteFacts]);
    press(&mut app, "Down");
    assert_eq!(app.cursor(List::Routes).index, 1, "the arrows go on through the list");
    press(&mut app, "Esc");
    assert_eq!((app.focus, app.zoomed), (Pane::Routes, false));
}

#[test]
fn copying_needs_a_row_and_says_so() {
    let mut app = watching(120, 40, 20);
    assert_eq!(press(&mut app, "y"), None);
    assert!(app.flash.as_ref().unwrap().text.contains("2 shows them"));
    assert_eq!(press(&mut app, "2 y"), None);
    let Some(Effect::Copy(command)) = press(&mut app, "Down y") else { panic!() };
    assert!(command.starts_with("curl -i"), "{command}");
    let Some(Effect::Copy(json)) = press(&mut app, "Y") else { panic!() };
    assert_eq!(
        serde_json::from_str::<admin_api::Exchange>(&json).unwrap(),
        app.chosen_exchange().unwrap().exchange
    );
}

#[test]
fn orders_change_and_turn_around() {
    let mut app = watching(120, 40, 20);
    press(&mut app, "3");
    let first = |app: &App| app.route(0).unwrap().route.clone();
    let busiest = first(&app);
    press(&mut app, "S");
    assert_ne!(first(&app), busiest);
    press(&mut app, "S s");
    assert_eq!(RouteRow::ORDERS[app.sorting(List::Routes).order].name, "p50");
    press(&mut app, "h h h");
    assert_eq!(first(&app), "", "by name, the unnamed one is first");
}

#[test]
fn windows_stop_at_both_ends() {
    let mut app = watching(120, 40, 20);
    press(&mut app, "+ + +");
    assert_eq!(app.window, Window::TenSeconds);
    assert_eq!(app.picture.span_ms, 10_000);
    press(&mut app, "- - - - - - -");
    assert_eq!(app.window, Window::SinceStart);
    assert!(app.picture.classes.total() > 0);
    press(&mut app, "=");
    assert_eq!(app.window, Window::Minute);
}

#[test]
fn masked_identities_have_steady_stand_ins() {
    let mut app = watching(120, 40, 20);
    assert_eq!(app.identity("10.1.2.3"), "10.1.2.3");
    press(&mut app, "p");
    let stand_in = app.identity("10.1.2.3").into_owned();
    assert!(!stand_in.contains("10.1"));
    assert_eq!(app.identity("10.1.2.3"), stand_in);
    assert_ne!(app.identity("10.1.2.4"), stand_in);
    assert_eq!(app.request_target("/a?key=secret"), "/a?...");
}

#[test]
fn keys_of_a_replay_go_to_the_source() {
    let mut app = watching(120, 40, 5);
    assert_eq!(press(&mut app, "."), None);
    assert_eq!(press(&mut app, ">"), None, "live traffic has one speed");
    app.origin = Origin::Replay;
    let Some(Effect::Playback(paused)) = press(&mut app, "Space") else { panic!() };
    assert!(paused.paused && app.is_paused());
    let Some(Effect::Playback(step)) = press(&mut app, ".") else { panic!() };
    assert_eq!(step.steps, 1);
    let Some(Effect::Playback(faster)) = press(&mut app, ">") else { panic!() };
    assert_eq!(faster.speed.to_bits(), 2.0_f64.to_bits());
}

#[test]
fn the_help_scrolls_to_its_end_and_no_further() {
    let mut app = watching(80, 24, 5);
    press(&mut app, "? End");
    let end = app.help.unwrap();
    press(&mut app, "Down Down Down Up");
    assert_eq!(app.help, Some(end - 1));
    press(&mut app, "Esc");
    assert_eq!(app.help, None);
    press(&mut app, "? 3");
    assert_eq!((app.help, app.screen), (None, Screen::Routes), "other keys close it and act");
}

#[test]
fn quitting() {
    let mut app = app(80, 24);
    assert_eq!(press(&mut app, "q"), Some(Effect::Quit { keep: false }));
    assert_eq!(press(&mut app, "Q"), Some(Effect::Quit { keep: true }));
    assert_eq!(press(&mut app, "Ctrl-c"), Some(Effect::Quit { keep: false }));
    press(&mut app, "2 /");
    assert_eq!(press(&mut app, "q"), None, "while typing, q is a letter");
}

#[test]
fn a_paste_goes_into_the_filter_and_never_to_the_keys() {
    let mut app = watching(80, 24, 5);
    app.paste("q\nq");
    assert!(app.prompt.is_none());
    press(&mut app, "2 /");
    app.paste("status>=500\n");
    assert_eq!(app.prompt.as_ref().unwrap().text(), "status>=500");
    assert_eq!(app.filter(Screen::Stream).text(), "status>=500");
}

fn click(app: &mut App, column: u16, row: u16) {
    use crossterm::event::{MouseButton, MouseEvent, MouseEventKind};
    let kind = MouseEventKind::Down(MouseButton::Left);
    app.mouse(MouseEvent { kind, column, row, modifiers: KeyModifiers::NONE });
    app.refresh();
}

fn wheel(app: &mut App, column: u16, row: u16, down: bool) {
    use crossterm::event::{MouseEvent, MouseEventKind};
    let kind = if down { MouseEventKind::ScrollDown } else { MouseEventKind::ScrollUp };
    app.mouse(MouseEvent { kind, column, row, modifiers: KeyModifiers::NONE });
    app.refresh();
}

#[test]
fn the_mouse_chooses_and_opens_once_it_is_asked_for() {
    let mut app = watching(120, 40, 20);
    assert_eq!(press(&mut app, "m"), Some(Effect::Mouse(true)));
    // " 1 Overview ", then "2 Stream".
    click(&mut app, 16, 1);
    assert_eq!(app.screen, Screen::Stream);
    // Below the header, the tabs, the frame and the column titles: the third row.
    click(&mut app, 30, 6);
    assert_eq!(app.cursor(List::Exchanges).index, 2);
    assert!(app.anchor.is_some(), "the list stands still once a row is chosen");
    click(&mut app, 30, 6);
    assert_eq!((app.focus, app.zoomed), (Pane::Exchange, true));
    press(&mut app, "Esc 3");
    wheel(&mut app, 30, 10, true);
    assert_eq!(app.cursor(List::Routes).index, 3);
    wheel(&mut app, 30, 10, false);
    assert_eq!(app.cursor(List::Routes).index, 0);
    click(&mut app, 100, 36);
    assert_eq!(app.focus, Pane::RouteLatency);
    assert_eq!(press(&mut app, "m"), Some(Effect::Mouse(false)));
}

#[test]
fn the_palette_goes_to_what_is_named() {
    let mut app = watching(120, 40, 20);
    press(&mut app, ":");
    type_text(&mut app, "rate-lim");
    press(&mut app, "Enter");
    assert_eq!(app.screen, Screen::Plugins);
    assert_eq!(app.chosen_plugin().unwrap().plugin, "rate-limiting");
    press(&mut app, "Esc");
    assert_eq!(app.screen, Screen::Overview);
    press(&mut app, ":");
    type_text(&mut app, "quit");
    assert_eq!(press(&mut app, "Enter"), Some(Effect::Quit { keep: false }));
    press(&mut app, ": Down Down Up");
    assert_eq!(app.palette.as_ref().unwrap().chosen, 1);
    press(&mut app, "Esc");
    assert!(app.palette.is_none());
    press(&mut app, ":");
    type_text(&mut app, "nothing is called this");
    assert_eq!(press(&mut app, "Enter"), None);
}
