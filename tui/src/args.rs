//! The command line, and what it means.

use std::path::PathBuf;
use std::time::Duration;

use clap::Parser;

use crate::screens::Screen;
use crate::source::Source;
use crate::theme::ThemeName;
use crate::window::Window;
use crate::{Options, headless::Form};

/// What is going through the gateway right now, and why a request was refused.
#[derive(Debug, Parser)]
#[command(name = "tui", version, about, max_term_width = 100)]
pub struct Args {
    /// Admin port of a gateway; give it several times for several gateways. Not asked with --demo or --replay
    #[arg(
        long,
        value_name = "URL",
        env = "LIMEN_ADMIN",
        value_delimiter = ',',
        default_value = "http://127.0.0.1:8001"
    )]
    admin: Vec<String>,

    /// Look at a made-up gateway; needs none
    #[arg(long, conflicts_with = "replay")]
    demo: bool,

    /// Which story the demo tells; the same number tells the same
    #[arg(long, value_name = "N", default_value_t = 7, requires = "demo")]
    seed: u64,

    /// Requests per second of the demo
    #[arg(long, value_name = "N", default_value_t = 1_200.0, requires = "demo", value_parser = rate)]
    rate: f64,

    /// Play a recording
    #[arg(long, value_name = "FILE")]
    replay: Option<PathBuf>,

    /// How fast to play it
    #[arg(long, value_name = "X", default_value_t = 1.0, requires = "replay", value_parser = speed)]
    speed: f64,

    /// Record the feed to a new file
    #[arg(long, value_name = "FILE", conflicts_with_all = ["replay", "once", "plain", "json"])]
    record: Option<PathBuf>,

    /// Print one summary after watching for some seconds (3 if not given), and end
    #[arg(long, value_name = "SECONDS", num_args = 0..=1, default_missing_value = "default", value_parser = watch)]
    once: Option<Watch>,

    /// Print a summary again and again, as lines of text
    #[arg(long, conflicts_with_all = ["once", "json"])]
    plain: bool,

    /// Print snapshots as JSON, one a line
    #[arg(long)]
    json: bool,

    /// Seconds between two summaries or snapshots
    #[arg(long, value_name = "SECONDS", value_parser = seconds, default_value = "1")]
    every: Duration,

    /// Print all keys, and end
    #[arg(long)]
    print_keys: bool,

    /// Seconds between two frames that show new numbers; keys are answered at once
    #[arg(long, value_name = "SECONDS", value_parser = refresh, default_value = "0.25")]
    refresh: Duration,

    /// The time that numbers are taken over: 10s, 1m, 5m, 15m or start [default: 1m; 10s for --plain and --json]
    #[arg(long, value_parser = window)]
    window: Option<Window>,

    /// The screen to begin with: overview, stream, routes, plugins, targets, problems
    #[arg(long, value_parser = screen, default_value = "overview")]
    screen: Screen,

    /// The filter to begin with on that screen, for example 'status>=500'
    #[arg(long, value_name = "FILTER")]
    filter: Option<String>,

    /// Colours; a non-empty `NO_COLOR` in the environment means mono
    #[arg(long, value_enum, default_value_t)]
    theme: ThemeName,

    /// Use ASCII characters only
    #[arg(long)]
    ascii: bool,
}

/// How long `--once` watches; nothing given means what suits the source.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Watch(Option<Duration>);

/// What to do.
#[derive(Debug, Clone, PartialEq)]
pub enum Job {
    Show(Source, Box<Options>),
    Once { source: Source, window: Window, watch: Option<Duration>, form: Form },
    Stream { source: Source, window: Window, every: Duration, form: Form },
    PrintKeys,
}

impl Args {
    /// What was typed, as a job.
    pub fn job(self) -> Job {
        let source = if let Some(file) = self.replay {
            Source::Replay { file, speed: self.speed }
        } else if self.demo {
            Source::Demo { seed: self.seed, rate: self.rate }
        } else {
            Source::Admin(self.admin)
        };
        if self.print_keys {
            return Job::PrintKeys;
        }
        let form = if self.json { Form::Json } else { Form::Text };
        if let Some(Watch(watch)) = self.once {
            return Job::Once { source, window: self.window.unwrap_or_default(), watch, form };
        }
        if self.plain || self.json {
            let window = self.window.unwrap_or(Window::TenSeconds);
            return Job::Stream { source, window, every: self.every, form };
        }
        let surroundings = Options::of_environment();
        let options = Options {
            refresh: self.refresh,
            theme: self.theme,
            ascii: self.ascii || surroundings.ascii,
            screen: self.screen,
            window: self.window.unwrap_or_default(),
            filter: self.filter,
            record: self.record,
            ..surroundings
        };
        Job::Show(source, Box::new(options))
    }
}

fn number(text: &str, least: f64, most: f64) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(number) if (least..=most).contains(&number) => Ok(number),
        _ => Err(format!("give a number from {least} to {most}")),
    }
}

fn rate(text: &str) -> Result<f64, String> {
    number(text, 0.0, 1_000_000.0)
}

fn speed(text: &str) -> Result<f64, String> {
    number(text, 0.01, 1_000.0)
}

fn seconds(text: &str) -> Result<Duration, String> {
    number(text, 0.1, 86_400.0).map(Duration::from_secs_f64)
}

fn refresh(text: &str) -> Result<Duration, String> {
    number(text, 0.1, 60.0).map(Duration::from_secs_f64)
}

fn watch(text: &str) -> Result<Watch, String> {
    if text == "default" { Ok(Watch(None)) } else { seconds(text).map(|watch| Watch(Some(watch))) }
}

fn window(text: &str) -> Result<Window, String> {
    let names: Vec<&str> = Window::ALL.iter().map(|window| window.name()).collect();
    Window::ALL
        .into_iter()
        .find(|window| window.name() == text)
        .ok_or_else(|| format!("give one of {}", names.join(", ")))
}

fn screen(text: &str) -> Result<Screen, String> {
    let names: Vec<String> = Screen::ALL.iter().map(|screen| screen.title().to_lowercase()).collect();
    Screen::ALL
        .into_iter()
        .find(|screen| screen.title().eq_ignore_ascii_case(text))
        .ok_or_else(|| format!("give one of {}", names.join(", ")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn job(words: &[&str]) -> Result<Job, String> {
        let words = ["tui"].iter().chain(words);
        Args::try_parse_from(words).map(Args::job).map_err(|error| error.to_string())
    }

    #[test]
    fn the_table_of_flags_is_consistent() {
        <Args as clap::CommandFactory>::command().debug_assert();
    }

    #[test]
    fn sources() {
        let Ok(Job::Show(source, _)) = job(&["--admin", "http://a:1", "--admin", "b:2"]) else { panic!() };
        assert_eq!(source, Source::Admin(vec!["http://a:1".to_owned(), "b:2".to_owned()]));
        let Ok(Job::Show(source, _)) = job(&["--demo", "--seed", "3", "--rate", "50000"]) else { panic!() };
        assert_eq!(source, Source::Demo { seed: 3, rate: 50_000.0 });
        assert!(job(&["--demo", "--replay", "x"]).is_err());
        assert!(job(&["--seed", "3"]).is_err());
    }

    #[test]
    fn outputs() {
        let once = |words: &[&str]| match job(words) {
            Ok(Job::Once { watch, form, .. }) => (watch, form),
            other => panic!("{other:?}"),
        };
        assert_eq!(once(&["--once"]), (None, Form::Text));
        assert_eq!(once(&["--once", "2"]), (Some(Duration::from_secs(2)), Form::Text));
        assert_eq!(once(&["--once", "2", "--json"]), (Some(Duration::from_secs(2)), Form::Json));
        assert!(job(&["--plain", "--json"]).is_err());
        assert!(matches!(job(&["--json"]), Ok(Job::Stream { form: Form::Json, .. })));
        assert_eq!(job(&["--print-keys"]), Ok(Job::PrintKeys));
    }

    #[test]
    fn wrong_values_are_told_what_is_right() {
        for (words, hint) in [
            (&["--refresh", "0"][..], "from 0.1 to 60"),
            (&["--window", "2h"], "10s, 1m, 5m, 15m, start"),
            (&["--screen", "x"], "overview, stream"),
            (&["--theme", "x"], "contrast"),
            (&["--once", "never"], "from 0.1"),
        ] {
            let error = job(words).unwrap_err();
            assert!(error.contains(hint), "{error}");
        }
    }
}
