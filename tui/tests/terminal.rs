//! The program in a terminal: whatever ends it, the terminal is as it was before.

#![expect(clippy::unwrap_used, clippy::panic, reason = "tests")]

use std::fs::File;
use std::io::{Read, Write};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::Mutex;
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use nix::fcntl::{FcntlArg, FdFlag, fcntl};
use nix::pty::{Winsize, openpty};
use nix::sys::signal::{Signal, kill};
use nix::sys::termios::{LocalFlags, Termios, tcgetattr};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;

const DEADLINE: Duration = Duration::from_secs(20);
static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
const ENTER: &str = "\x1b[?1049h";
const LEAVE: &str = "\x1b[?1049l";

/// A program in a terminal of its own.
struct Session {
    child: Child,
    keyboard: File,
    output: Receiver<Vec<u8>>,
    seen: String,
    before: Termios,
    terminal: File,
}

impl Session {
    fn start(mut command: Command) -> Session {
        let size = Winsize { ws_row: 40, ws_col: 120, ws_xpixel: 0, ws_ypixel: 0 };
        // No other session's program may inherit this terminal, or it would never be closed.
        let alone = ONE_AT_A_TIME.lock().unwrap();
        let pty = openpty(Some(&size), None).unwrap();
        for end in [&pty.master, &pty.slave] {
            fcntl(end, FcntlArg::F_SETFD(FdFlag::FD_CLOEXEC)).unwrap();
        }
        let terminal = File::from(pty.slave);
        let before = tcgetattr(&terminal).unwrap();
        let end = || Stdio::from(terminal.try_clone().unwrap());
        // A group of its own: what it does to its job must not reach this test.
        command.stdin(end()).stdout(end()).stderr(end()).process_group(0).env("TERM", "xterm-256color");
        let child = command.spawn().unwrap();
        drop(alone);
        let keyboard = File::from(pty.master);
        let mut screen = keyboard.try_clone().unwrap();
        let (sender, output) = channel();
        std::thread::spawn(move || {
            let mut bytes = [0; 8_192];
            while let Ok(count) = screen.read(&mut bytes) {
                if count == 0 || sender.send(bytes[..count].to_vec()).is_err() {
                    break;
                }
            }
        });
        Session { child, keyboard, output, seen: String::new(), before, terminal }
    }

    fn demo(args: &[&str]) -> Session {
        let mut command = Command::new(env!("CARGO_BIN_EXE_tui"));
        command.args(["--demo"]).args(args).env_remove("NO_COLOR").env("LC_ALL", "C.UTF-8");
        Session::start(command)
    }

    /// Waits until the output since the last wait contains a text, and forgets it up to there.
    fn wait_for(&mut self, text: &str) -> String {
        let deadline = Instant::now() + DEADLINE;
        loop {
            if let Some(at) = self.seen.find(text) {
                return self.seen.drain(..at + text.len()).collect();
            }
            let left = deadline.saturating_duration_since(Instant::now());
            match self.output.recv_timeout(left) {
                Ok(bytes) => self.seen.push_str(&String::from_utf8_lossy(&bytes)),
                Err(why) => panic!("waited for {text:?}, {why}; last seen: {:?}", tail(&self.seen)),
            }
        }
    }

    fn press(&mut self, keys: &str) {
        self.keyboard.write_all(keys.as_bytes()).unwrap();
    }

    fn signal(&self, signal: Signal) {
        kill(self.pid(), signal).unwrap();
    }

    fn pid(&self) -> Pid {
        Pid::from_raw(self.child.id().cast_signed())
    }

    fn is_raw(&self) -> bool {
        !tcgetattr(&self.terminal).unwrap().local_flags.contains(LocalFlags::ICANON)
    }

    /// Waits for the end; the terminal must be as it was.
    fn ended(mut self) -> (ExitStatus, String) {
        let left = self.wait_for(LEAVE);
        assert!(left.contains("\x1b[?25h"), "the cursor is shown again: {:?}", tail(&left));
        let status = wait_child(&mut self.child);
        assert_eq!(tcgetattr(&self.terminal).unwrap(), self.before, "modes of the terminal");
        while let Ok(bytes) = self.output.recv_timeout(Duration::from_millis(100)) {
            self.seen.push_str(&String::from_utf8_lossy(&bytes));
        }
        assert!(
            !self.seen.contains(ENTER) && !self.seen.contains("\x1b[?2026h"),
            "nothing is drawn after the end"
        );
        (status, self.seen)
    }
}

fn tail(text: &str) -> String {
    text.chars().skip(text.chars().count().saturating_sub(300)).collect()
}

fn wait_child(child: &mut Child) -> ExitStatus {
    let deadline = Instant::now() + DEADLINE;
    loop {
        if let Some(status) = child.try_wait().unwrap() {
            return status;
        }
        if Instant::now() > deadline {
            child.kill().unwrap();
            panic!("the program did not end within {DEADLINE:?}");
        }
        std::thread::yield_now();
    }
}

#[test]
fn a_key_ends_it() {
    let mut session = Session::demo(&[]);
    session.wait_for(ENTER);
    session.wait_for("Requests/s");
    assert!(session.is_raw());
    session.press("q");
    let (status, after) = session.ended();
    assert_eq!(status.code(), Some(0));
    assert_eq!(after.trim(), "");
}

#[test]
fn the_last_picture_can_be_kept() {
    let mut session = Session::demo(&[]);
    session.wait_for("Requests/s");
    session.press("Q");
    let (status, after) = session.ended();
    assert_eq!(status.code(), Some(0));
    assert!(after.contains("[1 Overview]") && !after.contains('\x1b'), "{after:?}");
}

#[test]
fn signals_end_it() {
    for (signal, code) in [(Signal::SIGTERM, 143), (Signal::SIGINT, 130), (Signal::SIGHUP, 129)] {
        let mut session = Session::demo(&[]);
        session.wait_for("Requests/s");
        session.signal(signal);
        let (status, _) = session.ended();
        assert_eq!((status.code(), status.signal()), (Some(code), None), "{signal}");
    }
}

#[test]
fn it_can_be_suspended_and_comes_back() {
    let mut session = Session::demo(&[]);
    session.wait_for("Requests/s");
    session.press("\x1a");
    session.wait_for(LEAVE);
    let deadline = Instant::now() + DEADLINE;
    loop {
        let flags = WaitPidFlag::WUNTRACED | WaitPidFlag::WNOHANG;
        if let WaitStatus::Stopped(_, signal) = waitpid(session.pid(), Some(flags)).unwrap() {
            assert_eq!(signal, Signal::SIGTSTP);
            break;
        }
        assert!(Instant::now() < deadline, "it did not stop");
        std::thread::yield_now();
    }
    assert!(!session.is_raw(), "the shell finds its terminal as it was");
    session.signal(Signal::SIGCONT);
    session.wait_for(ENTER);
    session.wait_for("Requests/s");
    assert!(session.is_raw());
    session.press("q");
    assert_eq!(session.ended().0.code(), Some(0));
}

#[test]
fn a_terminal_that_goes_away_ends_it() {
    let mut session = Session::demo(&[]);
    session.wait_for("Requests/s");
    let Session { mut child, keyboard, output, terminal, .. } = session;
    drop((keyboard, output, terminal));
    // The reader's end is closed by its next read, which a frame brings about.
    wait_child(&mut child);
}

#[test]
fn without_colour_there_is_none_and_the_selection_is_visible() {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tui"));
    command.args(["--demo"]).env("NO_COLOR", "1").env("LC_ALL", "C.UTF-8");
    let mut session = Session::start(command);
    session.wait_for(ENTER);
    let frame = session.wait_for(" quit");
    let rest = session.wait_for("\x1b[?2026l");
    for sequence in (frame + &rest).split('\x1b').filter(|sequence| sequence.starts_with('[')) {
        let Some((codes, _)) = sequence[1..].split_once('m').filter(|(codes, _)| is_codes(codes)) else {
            continue;
        };
        for code in codes.split(';').filter_map(|code| code.parse::<u32>().ok()) {
            let colour = matches!(code, 30..=38 | 40..=48 | 90..=107);
            assert!(!colour, "a colour: {codes}");
        }
    }
    session.press("q");
    session.ended();
    let mut command = Command::new(env!("CARGO_BIN_EXE_tui"));
    command.args(["--demo", "--screen", "routes"]).env("NO_COLOR", "1").env("LC_ALL", "C.UTF-8");
    let mut session = Session::start(command);
    let frame = session.wait_for(" quit");
    assert!(frame.contains("\x1b[7m") || frame.contains(";7m"), "the chosen row is reversed");
    session.press("q");
    session.ended();
}

fn is_codes(text: &str) -> bool {
    text.chars().all(|c| c.is_ascii_digit() || c == ';')
}

#[test]
fn where_nothing_listens_it_says_so_and_waits() {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tui"));
    command.args(["--admin", "http://127.0.0.1:9"]).env("LC_ALL", "C.UTF-8");
    let mut session = Session::start(command);
    session.wait_for("LOST");
    session.wait_for("no gateway at http://127.0.0.1:9");
    session.press("q");
    assert_eq!(session.ended().0.code(), Some(0));
}

/// This test binary again, running only one of the parts below in a terminal.
fn part(name: &str) -> Session {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", name, "--ignored", "--nocapture", "--test-threads=1"]);
    Session::start(command)
}

/// Waits until the dashboard has the terminal.
async fn entered() {
    let deadline = Instant::now() + DEADLINE;
    while !tui::terminal::is_entered() {
        assert!(Instant::now() < deadline, "the dashboard did not open within {DEADLINE:?}");
        tokio::task::yield_now().await;
    }
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
}

#[test]
#[ignore = "a part: run in a terminal by the test after it"]
fn part_panics_elsewhere() {
    runtime().block_on(async {
        let shown =
            tokio::spawn(tui::run(tui::Source::Demo { seed: 1, rate: 10.0 }, tui::Options::default()));
        entered().await;
        let _ = std::thread::spawn(|| panic!("something broke elsewhere")).join();
        let error = shown.await.unwrap().unwrap_err();
        println!("ended: {error}");
    });
}

#[test]
fn a_panic_of_any_thread_is_told_on_the_restored_terminal() {
    let mut session = part("part_panics_elsewhere");
    session.wait_for(ENTER);
    let (status, after) = session.ended();
    assert!(after.contains("something broke elsewhere"), "{after:?}");
    assert!(after.contains("ended: failed to go on"), "{after:?}");
    assert_eq!(status.code(), Some(0));
}

#[test]
#[ignore = "a part: run in a terminal by the test after it"]
fn part_drops_it() {
    runtime().block_on(async {
        let shown = tui::run(tui::Source::Demo { seed: 1, rate: 10.0 }, tui::Options::default());
        tokio::select! { ended = shown => panic!("{ended:?}"), () = entered() => {} }
        println!("dropped and printing");
        let again = tui::run(tui::Source::Demo { seed: 1, rate: 10.0 }, tui::Options::default());
        tokio::select! { ended = again => panic!("{ended:?}"), () = entered() => {} }
    });
}

#[test]
fn dropping_the_future_restores_the_terminal_before_the_caller_goes_on() {
    let mut session = part("part_drops_it");
    session.wait_for(ENTER);
    session.wait_for(LEAVE);
    let after = session.wait_for("dropped and printing");
    assert!(!after.contains(ENTER), "{after:?}");
    session.wait_for(ENTER);
    assert_eq!(session.ended().0.code(), Some(0));
}

fn output(args: &[&str]) -> (Option<i32>, String, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tui"));
    // A gateway named by the environment must not be in the way of the demo and of recordings.
    command.env("LIMEN_ADMIN", "http://127.0.0.1:9");
    let output = command.args(args).stdin(Stdio::null()).output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (output.status.code(), text(output.stdout), text(output.stderr))
}

#[test]
fn without_a_terminal_it_refuses_and_says_what_works() {
    let (code, out, err) = output(&["--demo"]);
    assert_eq!((code, out.as_str()), (Some(1), ""));
    assert!(err.contains("not a terminal") && err.contains("--once"), "{err}");
}

#[test]
fn a_summary_needs_no_terminal() {
    let (code, out, _) = output(&["--demo", "--once", "0.2"]);
    assert_eq!(code, Some(0));
    assert!(out.contains("p99") && out.contains("rate_limited") && !out.contains('\x1b'), "{out}");
    let (code, out, _) = output(&["--demo", "--once", "0.2", "--json"]);
    let value: serde_json::Value = serde_json::from_str(&out).unwrap();
    assert_eq!((code, &value["schema"]), (Some(0), &serde_json::json!(1)));
    assert!(value["requests"]["total"].as_u64().unwrap() > 0);
}

#[test]
fn nobody_there_is_exit_code_3() {
    let (code, out, err) = output(&["--admin", "127.0.0.1:9", "--once", "0.1"]);
    assert_eq!((code, out.as_str()), (Some(3), ""));
    assert!(err.contains("is the gateway running there?"), "{err}");
}

#[test]
fn a_reader_that_leaves_ends_the_stream_quietly() {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tui"));
    command.args(["--demo", "--json", "--every", "0.1"]).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut first = [0; 16];
    child.stdout.take().unwrap().read_exact(&mut first).unwrap();
    let status = wait_child(&mut child);
    let mut err = String::new();
    child.stderr.take().unwrap().read_to_string(&mut err).unwrap();
    assert_eq!((status.code(), err.as_str()), (Some(0), ""));
}

#[test]
fn a_recording_plays_and_is_summed_up_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("feed.rec");
    let path = file.to_str().unwrap();
    let mut session = Session::demo(&["--record", path]);
    session.wait_for("REC");
    session.press("q");
    let (_, after) = session.ended();
    assert!(after.contains("play it with --replay"), "{after:?}");
    let (code, once, _) = output(&["--replay", path, "--once"]);
    assert_eq!(code, Some(0));
    assert!(once.contains("rate_limited"), "{once}");
    assert_eq!(output(&["--replay", path, "--once"]).1, once, "the same each time");
    let (code, _, err) = output(&["--replay", "/does/not/exist", "--once"]);
    assert_eq!(code, Some(1));
    assert!(err.contains("is the path right?"), "{err}");
}
