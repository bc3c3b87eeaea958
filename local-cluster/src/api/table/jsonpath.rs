//! `JSONPath` as columns, selectable fields and scale paths use it: fields, indices, wildcards and simple filters.

use serde_json::Value;

/// Steps from the root.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct JsonPath(Vec<Step>);

#[derive(Debug, Clone, PartialEq)]
enum Step {
    Field(String),
    Index(i64),
    All,
    /// `[?(@.type=="Ready")]`: items whose field at a path compares so with a value.
    Filter(JsonPath, Comparison, Value),
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Comparison {
    Equal,
    Unequal,
}

impl JsonPath {
    /// Nothing for what is no path.
    pub(crate) fn parse(text: &str) -> Option<JsonPath> {
        let mut rest = text.trim().trim_start_matches('{').trim_end_matches('}').trim_start_matches('$');
        let mut steps = Vec::new();
        while !rest.is_empty() {
            if let Some(tail) = rest.strip_prefix('[') {
                let end = bracket_end(tail)?;
                steps.push(bracket(&tail[..end])?);
                rest = &tail[end + 1..];
                continue;
            }
            let tail = rest.strip_prefix('.').unwrap_or(rest);
            let (name, length) = field(tail);
            if !name.is_empty() {
                steps.push(if name == "*" { Step::All } else { Step::Field(name) });
            }
            if length == 0 && tail.len() == rest.len() {
                return None;
            }
            rest = &tail[length..];
        }
        Some(JsonPath(steps))
    }

    /// All that it leads to.
    pub(crate) fn find<'a>(&self, root: &'a Value) -> Vec<&'a Value> {
        let mut found = vec![root];
        for step in &self.0 {
            found = found.into_iter().flat_map(|value| step.from(value)).collect();
        }
        found
    }
}

impl Step {
    fn from<'a>(&self, value: &'a Value) -> Vec<&'a Value> {
        match self {
            Step::Field(name) => value.get(name).into_iter().collect(),
            Step::Index(index) => {
                let items = value.as_array();
                let place = |items: &Vec<Value>| {
                    usize::try_from(if *index < 0 { items.len() as i64 + index } else { *index }).ok()
                };
                items.and_then(|items| items.get(place(items)?)).into_iter().collect()
            }
            Step::All => match value {
                Value::Array(items) => items.iter().collect(),
                Value::Object(fields) => fields.values().collect(),
                _ => Vec::new(),
            },
            Step::Filter(path, comparison, wanted) => {
                let items = value.as_array().into_iter().flatten();
                let fits = |item: &&Value| {
                    let equal = path.find(item).first().is_some_and(|found| *found == wanted);
                    equal == (*comparison == Comparison::Equal)
                };
                items.filter(fits).collect()
            }
        }
    }
}

/// A name, in which a backslash takes the dot behind it for part of the name; with its length.
fn field(text: &str) -> (String, usize) {
    let mut name = String::new();
    let mut escaped = false;
    for (at, character) in text.char_indices() {
        match character {
            '\\' if !escaped => escaped = true,
            '.' | '[' if !escaped => return (name, at),
            other => {
                name.push(other);
                escaped = false;
            }
        }
    }
    (name, text.len())
}

fn bracket_end(text: &str) -> Option<usize> {
    let mut quote = None;
    let mut depth = 0;
    for (at, character) in text.char_indices() {
        match (character, quote) {
            (c, Some(open)) if c == open => quote = None,
            (_, Some(_)) => {}
            ('"' | '\'', None) => quote = Some(character),
            ('[', None) => depth += 1,
            (']', None) if depth == 0 => return Some(at),
            (']', None) => depth -= 1,
            _ => {}
        }
    }
    None
}

fn bracket(text: &str) -> Option<Step> {
    let text = text.trim();
    if text == "*" {
        return Some(Step::All);
    }
    if let Some(filter) = text.strip_prefix("?(").and_then(|rest| rest.strip_suffix(')')) {
        let (operator, comparison) =
            if filter.contains("!=") { ("!=", Comparison::Unequal) } else { ("==", Comparison::Equal) };
        let (path, wanted) = filter.split_once(operator)?;
        let path = JsonPath::parse(path.trim().strip_prefix('@')?)?;
        let wanted = wanted.trim();
        let value = match wanted.strip_prefix(['"', '\'']).and_then(|rest| rest.strip_suffix(['"', '\''])) {
            Some(text) => Value::from(text),
            None => serde_json::from_str(wanted).ok()?,
        };
        return Some(Step::Filter(path, comparison, value));
    }
    if let Some(name) = text.strip_prefix(['"', '\'']).and_then(|rest| rest.strip_suffix(['"', '\''])) {
        return Some(Step::Field(name.to_owned()));
    }
    text.parse().ok().map(Step::Index)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn paths_lead_to_values() {
        let object = json!({
            "spec": {"a": [1, 2, 3], "x.y/z": "dotted"},
            "status": {"conditions": [{"type": "A", "status": "no"}, {"type": "Ready", "status": "yes"}]},
        });
        let find = |path: &str| -> Vec<Value> {
            JsonPath::parse(path).unwrap().find(&object).into_iter().cloned().collect()
        };
        assert_eq!(find(".spec.a[-1]"), [json!(3)]);
        assert_eq!(find(".spec.a[*]"), [json!(1), json!(2), json!(3)]);
        assert_eq!(find(".status.conditions[?(@.type==\"Ready\")].status"), [json!("yes")]);
        assert_eq!(find(".status.conditions[?(@.type!='Ready')].status"), [json!("no")]);
        assert_eq!(find(r".spec.x\.y/z"), [json!("dotted")]);
        assert_eq!(find(".nothing.here"), Vec::<Value>::new());
        assert_eq!(JsonPath::parse(".a[b"), None);
    }
}
