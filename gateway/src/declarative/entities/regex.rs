//! Regular expressions of routes.

/// Whether a pattern compiles; otherwise the cause in a few words.
pub(super) fn check(pattern: &str) -> Result<(), String> {
    let Err(error) = regex::Regex::new(pattern) else { return Ok(()) };
    let text = error.to_string();
    let cause = text.lines().rev().find_map(|line| line.strip_prefix("error: "));
    Err(cause.unwrap_or(&text).to_owned())
}
