//! The request as the echo service received it: what the gateway made of what we sent.

use serde_json::Value;

use super::check::{Miss, judge};
use crate::scenario::document::Received;

/// Judges the echo's record; `None` when the body is no such record.
pub fn judge_received(wanted: &Received, record: Option<&Value>) -> Vec<Miss> {
    let Some(record) = record.filter(|record| record.pointer("/instance/name").is_some()) else {
        return vec![Miss {
            expected: "the echo service's record of the request".to_owned(),
            got: "the body is none".to_owned(),
        }];
    };
    let places = [
        ("the echo that answered", &wanted.by, "/instance/name"),
        ("the method received", &wanted.method, "/method"),
        ("the path received", &wanted.path, "/path"),
        ("the query received", &wanted.query, "/query"),
        ("the host received", &wanted.host, "/host"),
        ("the body received", &wanted.body, "/body/text"),
    ];
    let mut misses: Vec<Miss> = places
        .iter()
        .filter_map(|(what, check, pointer)| Some((what, check.as_ref()?, pointer)))
        .flat_map(|(what, check, pointer)| judge(what, check, record.pointer(pointer)))
        .collect();
    for (name, check) in &wanted.headers {
        let value = header(record, name).map(Value::from);
        misses.extend(judge(&format!("the header {name} received"), check, value.as_ref()));
    }
    misses
}

/// The values of a field in the record, joined as if they were one line.
fn header(record: &Value, name: &str) -> Option<String> {
    let fields = record["headers"].as_array()?;
    let values: Vec<&str> = fields
        .iter()
        .filter(|field| field[0].as_str().is_some_and(|field| field.eq_ignore_ascii_case(name)))
        .filter_map(|field| field[1].as_str())
        .collect();
    (!values.is_empty()).then(|| values.join(", "))
}
