//! The border: what a client wrote into a request may reach a terminal only after passing here.
//!
//! Control characters would let a request move the cursor, set the clipboard or answer queries in its reader's
//! terminal; direction marks and invisible characters would let it lie. All of them become their escaped
//! form (`\x1b`, `\u{202e}`), so that a reader sees that somebody tried. Everything from the feed is cleaned when
//! it arrives, before it is shown, printed or recorded.

use std::collections::BTreeMap;

use admin_api::status::Problem;
use admin_api::{Exchange, FeedMessage};
use ratatui::buffer::CellWidth;

/// Longer texts are cut: nothing on a screen needs more, and the rings stay small.
const LONGEST: usize = 1_024;
/// Marks that sit on the character before them; more of them pile up into other rows.
const MOST_MARKS: usize = 2;

/// Cleans every text of a message.
pub fn message(message: &mut FeedMessage) {
    match message {
        FeedMessage::Hello(hello) => {
            text(&mut hello.instance);
            text(&mut hello.version);
        }
        FeedMessage::Totals(totals) => {
            keys(&mut totals.routes);
            keys(&mut totals.plugins);
            keys(&mut totals.targets);
            for route in totals.routes.values_mut() {
                text(&mut route.service);
                route.plugins.iter_mut().for_each(text);
            }
            for target in totals.targets.values_mut() {
                text(&mut target.health);
            }
        }
        FeedMessage::Sample(sample) => sample.exchanges.iter_mut().for_each(exchange),
        FeedMessage::Config(change) => change.problems.iter_mut().for_each(problem),
    }
}

fn exchange(exchange: &mut Exchange) {
    for part in [
        &mut exchange.id,
        &mut exchange.client,
        &mut exchange.method,
        &mut exchange.host,
        &mut exchange.target,
        &mut exchange.protocol,
        &mut exchange.detail,
        &mut exchange.route,
        &mut exchange.service,
        &mut exchange.target_address,
        &mut exchange.consumer,
        &mut exchange.ended_by,
        &mut exchange.trace_id,
    ] {
        text(part);
    }
}

fn problem(problem: &mut Problem) {
    for part in [&mut problem.object, &mut problem.field, &mut problem.message, &mut problem.effect] {
        text(part);
    }
}

fn keys<T>(map: &mut BTreeMap<String, T>) {
    if !map.keys().all(|key| is_clean(key)) {
        *map = std::mem::take(map)
            .into_iter()
            .map(|(mut key, value)| {
                text(&mut key);
                (key, value)
            })
            .collect();
    }
}

fn is_clean(text: &str) -> bool {
    text.len() <= LONGEST && text.bytes().all(|byte| (0x20..0x7f).contains(&byte))
}

/// Makes a text safe to write to a terminal, in place.
pub fn text(text: &mut String) {
    if is_clean(text) {
        return;
    }
    let mut clean = String::with_capacity(text.len());
    let mut marks = 0;
    for c in text.chars() {
        if clean.len() >= LONGEST {
            clean.push_str("...");
            break;
        }
        if is_harmful(c) {
            marks = 0;
            clean.push_str(&escaped(c));
        } else if c.encode_utf8(&mut [0; 4]).cell_width() > 0 {
            marks = 0;
            clean.push(c);
        } else if marks < MOST_MARKS && !clean.is_empty() {
            marks += 1;
            clean.push(c);
        }
    }
    *text = clean;
}

fn escaped(c: char) -> String {
    match u32::from(c) {
        code @ 0..0x100 => format!("\\x{code:02x}"),
        code => format!("\\u{{{code:x}}}"),
    }
}

/// Control characters, and those that turn the direction of text, join characters or show nothing.
fn is_harmful(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{ad}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{180e}' | '\u{200b}'..='\u{200f}'
            | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{3164}' | '\u{fe00}'..='\u{fe0f}'
            | '\u{feff}' | '\u{ffa0}' | '\u{fff0}'..='\u{fffb}' | '\u{e0000}'..='\u{e0fff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn clean(dirty: &str) -> String {
        let mut cleaned = dirty.to_owned();
        text(&mut cleaned);
        cleaned
    }

    #[test]
    fn ordinary_text_stays() {
        for ordinary in ["/orders?id=1&x=%00", "日本語", "naïve", "e\u{301}", "🦀", ""] {
            assert_eq!(clean(ordinary), ordinary);
        }
    }

    #[test]
    fn escape_sequences_become_visible() {
        assert_eq!(clean("/\u{1b}[2J\u{1b}]52;c;AAAA\u{7}"), "/\\x1b[2J\\x1b]52;c;AAAA\\x07");
        assert_eq!(clean("a\u{9b}31mb"), "a\\x9b31mb", "C1 controls are escape sequences, too");
        assert_eq!(clean("a\r\nb\tc\u{7f}"), "a\\x0d\\x0ab\\x09c\\x7f");
    }

    #[test]
    fn invisible_and_turning_characters_become_visible() {
        assert_eq!(clean("user\u{202e}nimda"), "user\\u{202e}nimda");
        assert_eq!(clean("a\u{200b}b\u{feff}"), "a\\u{200b}b\\u{feff}");
    }

    #[test]
    fn piles_of_marks_and_endless_text_are_cut() {
        assert_eq!(clean(&format!("a{}b", "\u{301}".repeat(50))), "a\u{301}\u{301}b");
        assert!(clean(&"é".repeat(5_000)).len() <= LONGEST + 8);
    }

    #[test]
    fn every_text_of_every_message_passes() {
        let dirty = "\u{1b}[31m".to_owned();
        let samples = [
            serde_json::json!({"type": "hello", "instance": dirty, "version": dirty, "started_at_ms": 1}),
            serde_json::json!({"type": "totals", "at_ms": 1, "generation": 1, "connections_open": 0,
                "exchanges_in_flight": 0, "bytes_in": 0, "bytes_out": 0, "latency": [], "gateway_latency": [],
                "routes": {dirty.clone(): {"service": dirty, "plugins": [dirty], "classes": [0,0,0,0,0],
                    "reasons": {}, "latency": []}},
                "plugins": {dirty.clone(): {"passed": 0, "ended": 0, "failed": 0}},
                "targets": {dirty.clone(): {"attempts": 0, "failures": 0, "in_flight": 0, "health": dirty}},
                "events_dropped": 0, "log_entries_dropped": 0}),
            serde_json::json!({"type": "sample", "seen": {"failed":0,"refused":0,"slow":0,"other":0},
                "shown": {"failed":0,"refused":0,"slow":0,"other":0},
                "exchanges": [{"started_at_ms": 1, "id": dirty, "client": dirty, "method": dirty, "host": dirty,
                    "target": dirty, "protocol": dirty, "status": 200, "reason": "proxied", "detail": dirty,
                    "route": dirty, "service": dirty, "target_address": dirty, "attempts": 1, "consumer": dirty,
                    "ended_by": dirty, "total_us": 1, "upstream_us": 1, "request_bytes": 1, "response_bytes": 1,
                    "trace_id": dirty}]}),
            serde_json::json!({"type": "config", "at_ms": 1, "generation": 1, "routes": 1, "services": 1,
                "plugins": 1, "problems": [{"object": dirty, "field": dirty, "message": dirty, "effect": dirty}]}),
        ];
        for sample in samples {
            let mut parsed: FeedMessage = serde_json::from_value(sample).unwrap();
            message(&mut parsed);
            let back = serde_json::to_string(&parsed).unwrap();
            assert!(!back.contains("\\u001b"), "{back}");
            assert!(back.contains("\\\\x1b[31m"), "{back}");
        }
    }
}
