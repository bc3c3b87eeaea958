//! Ctrl-C and its like: the first asks everything to stop, the second stops at once.

use tokio_util::sync::CancellationToken;

/// A token that the first signal cancels; the second ends the process with exit code 130, after `last_words`
/// told what may be left. Without `hangup` a terminal that goes away is no such signal.
///
/// # Errors
/// The system gives no signals.
#[cfg(unix)]
pub fn stop_token(
    hangup: bool,
    last_words: impl Fn() -> String + Send + 'static,
) -> Result<CancellationToken, String> {
    use tokio::signal::unix::{SignalKind, signal};

    let failed = |error: std::io::Error| format!("failed to listen for signals: {error}");
    let mut interrupt = signal(SignalKind::interrupt()).map_err(failed)?;
    let mut terminate = signal(SignalKind::terminate()).map_err(failed)?;
    // Listened to in any case: unheard it would end the process.
    let mut gone = signal(SignalKind::hangup()).map_err(failed)?;
    let token = CancellationToken::new();
    let cancel = token.clone();
    tokio::spawn(async move {
        loop {
            tokio::select! {
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
                _ = gone.recv() => if !hangup { continue },
            }
            if cancel.is_cancelled() {
                eprintln!("{}", last_words());
                std::process::exit(i32::from(crate::runner::INTERRUPTED));
            }
            cancel.cancel();
        }
    });
    Ok(token)
}

/// As on Unix, for Ctrl-C only.
///
/// # Errors
/// None here.
#[cfg(not(unix))]
pub fn stop_token(
    _hangup: bool,
    last_words: impl Fn() -> String + Send + 'static,
) -> Result<CancellationToken, String> {
    let token = CancellationToken::new();
    let cancel = token.clone();
    tokio::spawn(async move {
        while tokio::signal::ctrl_c().await.is_ok() {
            if cancel.is_cancelled() {
                eprintln!("{}", last_words());
                std::process::exit(i32::from(crate::runner::INTERRUPTED));
            }
            cancel.cancel();
        }
    });
    Ok(token)
}
