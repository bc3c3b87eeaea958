//! A failure in words, the same on the terminal and in files.

use crate::runner::event::Failure;

/// The lines after the first: what was expected, what came, since when, what may explain it.
pub fn lines(failure: &Failure) -> Vec<String> {
    let mut lines = Vec::new();
    for miss in &failure.misses {
        lines.push(format!("expected: {}", miss.expected));
        lines.push(format!("     got: {}", miss.got));
    }
    if let Some(tries) = failure.tries {
        let seconds = tries.waited_ms as f64 / 1_000.0;
        lines.push(format!("   since: {} tries in {seconds:.1} s, never true", tries.count));
    }
    lines.extend(failure.hints.iter().map(|hint| format!("    hint: {hint}")));
    lines
}
