//! Whether a value is what a scenario says it must be.

use serde_json::Value;

use crate::scenario::values::{Check, Rules};

/// An expectation that was not met.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Miss {
    pub expected: String,
    pub got: String,
}

/// Texts are shown up to this length.
const SHOWN: usize = 400;

/// Judges a value that may be absent; `what` names it.
pub fn judge(what: &str, check: &Check, value: Option<&Value>) -> Vec<Miss> {
    match check {
        Check::Is(wanted) => one(what, equal(value, wanted), || format!("is {}", show(wanted)), value),
        Check::Rules(rules) => judge_rules(what, rules, value),
    }
}

/// Judges a text.
pub fn judge_text(what: &str, check: &Check, text: Option<&str>) -> Vec<Miss> {
    judge(what, check, text.map(Value::from).as_ref())
}

fn judge_rules(what: &str, rules: &Rules, value: Option<&Value>) -> Vec<Miss> {
    let mut misses = Vec::new();
    let text = value.map(as_text);
    if let Some(present) = rules.present {
        let wanted = || if present { "is present" } else { "is absent" }.to_owned();
        misses.extend(one(what, value.is_some() == present, wanted, value));
    }
    if let Some(wanted) = &rules.is {
        misses.extend(one(what, equal(value, wanted), || format!("is {}", show(wanted)), value));
    }
    if let Some(unwanted) = &rules.is_not {
        misses.extend(one(what, !equal(value, unwanted), || format!("is not {}", show(unwanted)), value));
    }
    for part in rules.contains.iter().flat_map(|parts| &parts.0) {
        let holds = match value {
            Some(Value::Array(items)) => items.iter().any(|item| as_text(item) == *part),
            _ => text.as_ref().is_some_and(|text| text.contains(part.as_str())),
        };
        misses.extend(one(what, holds, || format!("contains `{part}`"), value));
    }
    for part in rules.lacks.iter().flat_map(|parts| &parts.0) {
        let lacks = text.as_ref().is_none_or(|text| !text.contains(part.as_str()));
        misses.extend(one(what, lacks, || format!("does not contain `{part}`"), value));
    }
    if let Some(pattern) = &rules.matches {
        let holds = text.as_ref().is_some_and(|text| pattern.0.is_match(text));
        misses.extend(one(what, holds, || format!("matches `{}`", pattern.0), value));
    }
    let number = value.and_then(as_number);
    if let Some(least) = rules.at_least {
        let holds = number.is_some_and(|number| number >= least);
        misses.extend(one(what, holds, || format!("is at least {least}"), value));
    }
    if let Some(most) = rules.at_most {
        let holds = number.is_some_and(|number| number <= most);
        misses.extend(one(what, holds, || format!("is at most {most}"), value));
    }
    if let Some(length) = rules.length {
        let holds = value.and_then(Value::as_array).is_some_and(|items| items.len() as u64 == length);
        misses.extend(one(what, holds, || format!("has {length} items"), value));
    }
    misses
}

fn one(what: &str, holds: bool, wanted: impl FnOnce() -> String, value: Option<&Value>) -> Vec<Miss> {
    if holds {
        return Vec::new();
    }
    let got = value.map_or_else(|| "it is absent".to_owned(), show);
    vec![Miss { expected: format!("{what} {}", wanted()), got }]
}

/// A number and its text are equal: headers have no numbers.
fn equal(value: Option<&Value>, wanted: &Value) -> bool {
    let Some(value) = value else { return wanted.is_null() };
    match (value, wanted) {
        (Value::Number(_), Value::Number(_)) => value.as_f64() == wanted.as_f64(),
        (Value::String(text), plain @ (Value::Number(_) | Value::Bool(_)))
        | (plain @ (Value::Number(_) | Value::Bool(_)), Value::String(text)) => as_text(plain) == *text,
        _ => value == wanted,
    }
}

fn as_text(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

fn as_number(value: &Value) -> Option<f64> {
    value.as_f64().or_else(|| value.as_str()?.trim().parse().ok())
}

/// A value as shown to a person.
pub fn show(value: &Value) -> String {
    let text = match value {
        Value::String(text) => format!("`{}`", text.trim_end()),
        other => other.to_string(),
    };
    shorten(&text)
}

/// The beginning of a long text.
pub fn shorten(text: &str) -> String {
    match text.char_indices().nth(SHOWN) {
        Some((at, _)) => format!("{}… ({} bytes)", &text[..at], text.len()),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::scenario::{decode::decode, node::Node};

    fn misses(check: &str, value: Option<Value>) -> Vec<String> {
        let check: Check = decode(&Node::read(check).unwrap()).unwrap();
        judge("it", &check, value.as_ref())
            .into_iter()
            .map(|miss| format!("{}; {}", miss.expected, miss.got))
            .collect()
    }

    #[test]
    fn checks() {
        for (check, value, expected) in [
            ("1", Some(json!("1")), None),
            ("'1'", Some(json!(1)), None),
            ("1", Some(json!(1.0)), None),
            ("a", Some(json!("b")), Some("it is `a`; `b`")),
            ("a", None, Some("it is `a`; it is absent")),
            ("{present: false}", None, None),
            ("{present: false}", Some(json!("x")), Some("it is absent; `x`")),
            ("{present: true}", None, Some("it is present; it is absent")),
            ("{contains: [a, b]}", Some(json!("xay")), Some("it contains `b`; `xay`")),
            ("{contains: a}", Some(json!(["a", "b"])), None),
            ("{lacks: a}", Some(json!("xay")), Some("it does not contain `a`; `xay`")),
            ("{matches: '^[0-9]+$'}", Some(json!("12")), None),
            ("{matches: '^[0-9]+$'}", Some(json!("x")), Some("it matches `^[0-9]+$`; `x`")),
            ("{at_least: 2, at_most: 3}", Some(json!("4")), Some("it is at most 3; `4`")),
            ("{at_least: 2}", Some(json!("x")), Some("it is at least 2; `x`")),
            ("{length: 0}", Some(json!([])), None),
            ("{is_not: 3}", Some(json!(3)), Some("it is not 3; 3")),
            ("[1, 2]", Some(json!([1, 2])), None),
        ] {
            let found = misses(check, value);
            assert_eq!(found.first().map(String::as_str), expected, "{check}");
        }
    }
}
