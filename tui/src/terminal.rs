//! The terminal as we found it: entered by a guard, left by the same, whatever happens in between.
//!
//! Leaving is idempotent and ignores errors, since it runs where errors can no longer be told: on return, on an error,
//! in the panic hook of any thread, before a stop. Raw mode and the alternate screen are not all: the cursor, pasting
//! and an unfinished frame are undone, too.

use std::io::{self, IsTerminal, Write};
use std::sync::Once;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::{Result, bail};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use crossterm::cursor::{Hide, Show};
use crossterm::event::{DisableBracketedPaste, EnableBracketedPaste};
use crossterm::terminal::{
    EndSynchronizedUpdate, EnterAlternateScreen, LeaveAlternateScreen, disable_raw_mode, enable_raw_mode,
};
use crossterm::{queue, style};
use parking_lot::{ReentrantMutex, ReentrantMutexGuard};
use ratatui::layout::Size;

/// Whether the terminal is ours now.
static ENTERED: AtomicBool = AtomicBool::new(false);
/// Whether a thread panicked while it was.
static PANICKED: AtomicBool = AtomicBool::new(false);
/// Held while entering, leaving and drawing: a panic elsewhere leaves while the owner may be about to draw.
static IN_USE: ReentrantMutex<()> = ReentrantMutex::new(());
const PATIENCE: Duration = Duration::from_secs(1);
static HOOK: Once = Once::new();

/// Reports of buttons and the wheel, and no motion: crossterm's own command asks for every motion.
const MOUSE_ON: &[u8] = b"\x1b[?1000h\x1b[?1006h";
const MOUSE_OFF: &[u8] = b"\x1b[?1006l\x1b[?1000l";

/// The terminal is ours until this is dropped.
pub struct Guard(());

impl Guard {
    /// Takes the terminal over. There is one at a time.
    pub fn enter() -> Result<Guard> {
        if ENTERED.load(Ordering::SeqCst) {
            bail!("failed to open the dashboard: this process shows one already; end that one first");
        }
        HOOK.call_once(install_hook);
        PANICKED.store(false, Ordering::SeqCst);
        // Whether there is colour is the theme's decision alone.
        style::force_color_output(true);
        enter()?;
        Ok(Guard(()))
    }

    /// Takes the mouse, or gives it back; leaving the terminal gives it back in any case.
    pub fn mouse(&self, on: bool) -> io::Result<()> {
        send(if on { MOUSE_ON } else { MOUSE_OFF })
    }

    /// Gives the terminal back for a while.
    pub fn pause(&self) {
        leave();
    }

    /// Takes it over again, also when somebody else has changed it meanwhile.
    pub fn resume(&self) -> Result<()> {
        leave();
        enter()
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        leave();
    }
}

fn enter() -> Result<()> {
    let _alone = alone();
    if has_panicked() {
        bail!("failed to set up the terminal: a part of the program panicked; the message is above");
    }
    // First the mark, so that a failure halfway is undone.
    ENTERED.store(true, Ordering::SeqCst);
    let entered = enable_raw_mode().and_then(|()| {
        let mut bytes = Vec::new();
        queue!(bytes, EnterAlternateScreen, EnableBracketedPaste, Hide)?;
        send(&bytes)
    });
    if let Err(cause) = entered {
        leave();
        bail!("failed to set up the terminal: {cause}; --once and --json need none");
    }
    Ok(())
}

fn leave() {
    let _alone = alone();
    if !ENTERED.swap(false, Ordering::SeqCst) {
        return;
    }
    let mut bytes = Vec::new();
    let _ = queue!(bytes, EndSynchronizedUpdate);
    bytes.extend_from_slice(MOUSE_OFF);
    let _ = queue!(bytes, DisableBracketedPaste, Show, LeaveAlternateScreen);
    let _ = send(&bytes);
    let _ = disable_raw_mode();
}

/// Keeps other threads from entering, leaving and drawing meanwhile. A thread that panics in here gets in again, and
/// one that waits for a terminal that takes nothing is not waited for.
fn alone() -> Option<ReentrantMutexGuard<'static, ()>> {
    IN_USE.try_lock_for(PATIENCE)
}

/// Writes a frame, unless the terminal is no longer ours.
pub fn frame(bytes: &[u8]) -> io::Result<()> {
    let _alone = alone();
    if is_entered() { send(bytes) } else { Ok(()) }
}

/// A panic is told on the terminal as it was before.
fn install_hook() {
    let earlier = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        let _alone = alone();
        if is_entered() {
            PANICKED.store(true, Ordering::SeqCst);
            leave();
        }
        earlier(panic);
    }));
}

/// Whether the terminal is taken over now.
pub fn is_entered() -> bool {
    ENTERED.load(Ordering::SeqCst)
}

/// Whether a thread of this process panicked since the terminal was taken over; nothing may be drawn then.
pub fn has_panicked() -> bool {
    PANICKED.load(Ordering::SeqCst)
}

/// Writes all bytes at once.
fn send(bytes: &[u8]) -> io::Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(bytes)?;
    out.flush()
}

/// Asks the terminal to put a text into the clipboard (OSC 52); it works over SSH, and terminals that do not know or
/// allow it take no notice.
pub fn copy(text: &str) -> io::Result<()> {
    send(format!("\x1b]52;c;{}\x07", BASE64_STANDARD.encode(text)).as_bytes())
}

/// The terminal's size; the usual one when it does not say.
pub fn size() -> Size {
    match crossterm::terminal::size() {
        Ok((width, height)) if width > 0 && height > 0 => Size { width, height },
        _ => Size { width: 80, height: 24 },
    }
}

/// Refuses politely where a dashboard cannot be shown.
pub fn check() -> Result<()> {
    let hint = "use --once for a summary, --plain or --json for a stream of them";
    if !io::stdout().is_terminal() {
        bail!("failed to open the dashboard: the output is not a terminal; {hint}");
    }
    if std::env::var_os("TERM").is_some_and(|term| term == "dumb") {
        bail!("failed to open the dashboard: this terminal (TERM=dumb) cannot move its cursor; {hint}");
    }
    if !io::stdin().is_terminal() && std::fs::File::open("/dev/tty").is_err() {
        bail!("failed to open the dashboard: there is no keyboard to read from; {hint}");
    }
    Ok(())
}
