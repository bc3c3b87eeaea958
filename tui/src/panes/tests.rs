//! Every screen as a picture at several sizes, and what must hold for any picture.

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers, MouseButton, MouseEvent, MouseEventKind};
use proptest::prelude::*;
use ratatui::Terminal;
use ratatui::backend::TestBackend;
use ratatui::layout::Size;
use ratatui::style::Modifier;

use super::*;
use crate::app::tests::{app, press, watch, watching};
use crate::app::{Effect, Origin};
use crate::frames;
use crate::keys::BINDINGS;
use crate::screens::Screen;
use crate::source::demo::Demo;
use crate::source::{Event, Link, News};
use crate::theme::{Theme, ThemeName};

const SIZES: [(u16, u16); 3] = [(80, 24), (120, 40), (200, 60)];

fn buffer(app: &App) -> Buffer {
    let Size { width, height } = app.size;
    let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
    terminal
        .draw(|frame| {
            let area = frame.area();
            draw(app, area, frame.buffer_mut());
        })
        .unwrap();
    terminal.backend().buffer().clone()
}

fn picture(app: &App) -> String {
    frames::text(&buffer(app))
}

/// The styles of a picture: for each row its runs of equal style, by the name of what the theme calls it.
fn styles(app: &App) -> String {
    let buffer = buffer(app);
    let theme = &app.theme;
    let names = [
        ("selection", theme.selection),
        ("bad", theme.bad),
        ("warn", theme.warn),
        ("refused", theme.refused),
        ("ok", theme.ok),
        ("heading", theme.heading),
        ("strong", theme.strong),
        ("quiet", theme.quiet),
        ("plot", theme.plot),
    ];
    let name = |style: ratatui::style::Style| {
        names
            .iter()
            .find(|(_, known)| {
                let modifiers = known.add_modifier;
                style.fg == known.fg.or(Some(ratatui::style::Color::Reset)) && style.add_modifier == modifiers
            })
            .map_or("text", |(name, _)| name)
    };
    let mut text = String::new();
    for y in 0..buffer.area.height {
        let mut runs: Vec<(&str, usize)> = Vec::new();
        for x in 0..buffer.area.width {
            let cell = &buffer[(x, y)];
            let this = if cell.symbol() == " " && !cell.modifier.contains(Modifier::REVERSED) {
                "text"
            } else {
                name(cell.style())
            };
            match runs.last_mut() {
                Some((last, length)) if *last == this => *length += 1,
                _ => runs.push((this, 1)),
            }
        }
        let runs: Vec<String> = runs.into_iter().map(|(name, length)| format!("{name}:{length}")).collect();
        text.push_str(&runs.join(" "));
        text.push('\n');
    }
    text
}

fn snapshot(name: &str, app: &App) {
    insta::with_settings!({ omit_expression => true, prepend_module_to_snapshot => false }, {
        insta::assert_snapshot!(name, picture(app));
    });
}

#[test]
fn every_screen_full() {
    for (width, height) in SIZES {
        for screen in Screen::ALL {
            let mut app = watching(width, height, 68);
            press(&mut app, &(screen as usize + 1).to_string());
            snapshot(&format!("{}-full-{width}x{height}", screen.title().to_lowercase()), &app);
        }
    }
}

#[test]
fn every_screen_empty() {
    for (width, height) in SIZES {
        for screen in Screen::ALL {
            let mut app = app(width, height);
            app.feed(&Event { at_ms: 0, gateway: 0, news: News::Link(Link::Live) });
            let totals = admin_api::Totals { generation: 1, ..Default::default() };
            let message = admin_api::FeedMessage::Totals(Box::new(totals));
            app.feed(&Event { at_ms: 0, gateway: 0, news: News::Message(message) });
            press(&mut app, &(screen as usize + 1).to_string());
            snapshot(&format!("{}-empty-{width}x{height}", screen.title().to_lowercase()), &app);
        }
    }
}

#[test]
fn states_of_the_connection() {
    let mut connecting = app(80, 24);
    connecting.refresh();
    snapshot("connecting", &connecting);
    let lost = |app: &mut App| {
        let cause = "failed to reach the admin port at http://127.0.0.1:8001/feed: Connection refused (os error 111); \
                     is the gateway running there?"
            .to_owned();
        let at_ms = app.now_ms;
        let link = Link::Lost { cause, retry_at_ms: at_ms + 5_000 };
        app.feed(&Event { at_ms, gateway: 0, news: News::Link(link) });
        app.tick(at_ms + 3_000);
        app.refresh();
    };
    let mut never = app(80, 24);
    lost(&mut never);
    snapshot("never-reached", &never);
    let mut after = watching(80, 24, 30);
    lost(&mut after);
    snapshot("lost", &after);
    let dimmed = buffer(&after);
    assert!((0..80).all(|x| dimmed[(x, 10)].modifier.contains(Modifier::DIM)), "an old picture is dim");
}

#[test]
fn overlays_and_details() {
    let mut help = watching(120, 40, 68);
    press(&mut help, "2 ?");
    snapshot("help-120x40", &help);
    let mut detail = watching(120, 40, 68);
    press(&mut detail, "2 Down Down Down");
    snapshot("stream-chosen-120x40", &detail);
    let mut zoomed = watching(80, 24, 68);
    press(&mut zoomed, "2 Down Down Enter");
    snapshot("exchange-80x24", &zoomed);
    let mut masked = watching(120, 40, 68);
    press(&mut masked, "2 p Down");
    snapshot("masked-120x40", &masked);
    let mut palette = watching(120, 40, 68);
    press(&mut palette, ": s t o");
    snapshot("palette-120x40", &palette);
    let mut paused = watching(120, 40, 30);
    press(&mut paused, "Space");
    watch(&mut paused, 68);
    assert!(picture(&paused).contains("PAUSED"));
}

#[test]
fn a_filter_being_typed() {
    let mut app = watching(80, 24, 68);
    press(&mut app, "2 / s t a t u s > = 5 0 0");
    snapshot("filter-80x24", &app);
    app.paste(" rout~x");
    app.refresh();
    snapshot("filter-mistake-80x24", &app);
}

#[test]
fn styles_of_a_screen() {
    let mut app = watching(120, 40, 68);
    press(&mut app, "2 Down Down");
    insta::with_settings!({ omit_expression => true, prepend_module_to_snapshot => false }, {
        insta::assert_snapshot!("stream-styles-120x40", styles(&app));
    });
}

#[test]
fn ascii_is_ascii() {
    for screen in Screen::ALL {
        let mut app = watching(120, 40, 68);
        app.theme = Theme::new(ThemeName::Default, true);
        press(&mut app, &(screen as usize + 1).to_string());
        let text = picture(&app);
        assert!(text.is_ascii(), "{screen:?}: {:?}", text.chars().find(|c| !c.is_ascii()));
    }
    let mut app = watching(120, 40, 68);
    app.theme = Theme::new(ThemeName::Default, true);
    press(&mut app, "2 Down ?");
    assert!(picture(&app).is_ascii());
    snapshot("help-ascii-120x40", &app);
    press(&mut app, "Esc 1");
    snapshot("overview-ascii-120x40", &app);
}

/// Without any style the pictures of different states still differ.
#[test]
fn states_differ_without_colour() {
    let base = watching(120, 40, 40);
    let mut pictures = vec![picture(&base)];
    let mut paused = watching(120, 40, 40);
    press(&mut paused, "Space");
    pictures.push(picture(&paused));
    let mut lost = watching(120, 40, 40);
    let link = Link::Lost { cause: "x".to_owned(), retry_at_ms: 0 };
    lost.feed(&Event { at_ms: lost.now_ms, gateway: 0, news: News::Link(link) });
    lost.refresh();
    pictures.push(picture(&lost));
    let mut focus = watching(120, 40, 40);
    press(&mut focus, "Tab");
    pictures.push(picture(&focus));
    for (index, one) in pictures.iter().enumerate() {
        assert!(pictures[index + 1..].iter().all(|other| other != one), "picture {index} has a double");
    }
}

#[test]
fn small_terminals_say_what_they_need() {
    for (width, height) in [(1, 1), (2, 1), (5, 2), (20, 5), (59, 40), (200, 15), (0, 0)] {
        let mut app = watching(width, height, 5);
        app.refresh();
        let text = picture(&app);
        if width >= 20 && height >= 5 {
            assert!(text.replace('\n', " ").contains("60x16"), "{width}x{height}: {text}");
        }
    }
    let mut app = watching(20, 5, 5);
    assert_eq!(press(&mut app, "q"), Some(Effect::Quit { keep: false }), "and q still works");
}

#[test]
fn hostile_requests_reach_no_terminal_unescaped() {
    let mut hostile = crate::source::demo::tests::exchange(200, admin_api::Reason::Proxied);
    for part in [&mut hostile.target, &mut hostile.host, &mut hostile.client, &mut hostile.method] {
        "/\u{1b}]52;c;AAAA\u{7}\u{9b}2J\u{202e}日本".clone_into(part);
    }
    let sample = admin_api::feed::Sample { exchanges: vec![hostile; 3], ..Default::default() };
    let mut message = admin_api::FeedMessage::Sample(sample);
    crate::sanitize::message(&mut message);
    let mut app = watching(120, 40, 5);
    app.feed(&Event { at_ms: app.now_ms, gateway: 0, news: News::Message(message) });
    press(&mut app, "2 Down");
    let text = picture(&app);
    assert!(text.contains("\\x1b]52"), "{text}");
    assert!(text.contains("日"), "{text}");
    assert!(!text.contains('\u{202e}') && !text.chars().any(|c| c.is_control() && c != '\n'));
    let mut frames = frames::Frames::new();
    let bytes = frames.bytes(buffer(&app), None).unwrap();
    assert!(!bytes.windows(5).any(|window| window == b"\x1b]52;"), "no sequence of a client's making");
}

fn any_event() -> impl Strategy<Value = (usize, u64)> {
    (0usize..1_000, 0u64..100)
}

#[derive(Debug, Clone)]
enum Happening {
    Key(usize),
    Letter(char),
    Size(u16, u16),
    Feed(usize),
    Lost,
    Restart,
    Paste(String),
    Mouse(u16, u16, bool),
}

fn happening() -> impl Strategy<Value = Happening> {
    prop_oneof![
        6 => (0..BINDINGS.len()).prop_map(Happening::Key),
        2 => proptest::char::any().prop_map(Happening::Letter),
        2 => (0u16..220, 0u16..70).prop_map(|(width, height)| Happening::Size(width, height)),
        4 => (1usize..40).prop_map(Happening::Feed),
        1 => Just(Happening::Lost),
        1 => Just(Happening::Restart),
        1 => "[a-z0-9>=~ ()\"]{0,12}".prop_map(Happening::Paste),
        2 => (0u16..220, 0u16..70, any::<bool>()).prop_map(|(x, y, click)| Happening::Mouse(x, y, click)),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    /// Random keys, sizes and events: the state stays drawable.
    #[test]
    fn nothing_panics(happenings in proptest::collection::vec(happening(), 1..60), (seed, rate) in any_event()) {
        let mut app = app(80, 24);
        let mut demo = Demo::new(seed as u64, rate as f64 * 20.0, 1_700_000_000_000);
        if rate % 3 == 0 {
            app.origin = Origin::Replay;
        }
        for happening in happenings {
            match happening {
                Happening::Key(index) => {
                    let key = BINDINGS[index].keys[0];
                    let modifiers = if key.control { KeyModifiers::CONTROL } else { KeyModifiers::NONE };
                    app.key(KeyEvent::new(key.code, modifiers));
                }
                Happening::Letter(c) => {
                    app.key(KeyEvent::new(KeyCode::Char(c), KeyModifiers::NONE));
                }
                Happening::Size(width, height) => app.resize(Size { width, height }),
                Happening::Feed(count) => {
                    for event in demo.by_ref().take(count) {
                        app.feed(&event);
                        app.tick(event.at_ms);
                    }
                }
                Happening::Lost => {
                    let link = Link::Lost { cause: "gone".to_owned(), retry_at_ms: 1 };
                    app.feed(&Event { at_ms: app.now_ms, gateway: 0, news: News::Link(link) });
                }
                Happening::Restart => {
                    demo = Demo::new(seed as u64 + 1, rate as f64, app.now_ms.max(1_700_000_000_000));
                }
                Happening::Paste(text) => app.paste(&text),
                Happening::Mouse(column, row, click) => {
                    let kind = if click {
                        MouseEventKind::Down(MouseButton::Left)
                    } else {
                        MouseEventKind::ScrollDown
                    };
                    app.mouse(MouseEvent { kind, column, row, modifiers: KeyModifiers::NONE });
                }
            }
            app.refresh();
            buffer(&app);
        }
    }
}
