//! The validation of custom objects: schema, list keys, rules.

use serde_json::Value;

use crate::failure::{Cause, Causes};
use crate::resources::Kind;
use crate::schema;

/// Reasons for which an object is too far from its schema to be judged by rules.
const BLOCKING: [&str; 5] = [
    "FieldValueNotSupported",
    "FieldValueRequired",
    "FieldValueTooLong",
    "FieldValueTooMany",
    "FieldValueTypeInvalid",
];

pub(super) fn validate(kind: &Kind, object: &Value, old: Option<&Value>, causes: &mut Causes) {
    schema::validate(&kind.schema, object, old, causes);
    schema::validate_lists(&kind.schema, object, old, causes);
    if !kind.schema.has_rules() {
        return;
    }
    if causes.0.iter().any(|cause| BLOCKING.contains(&cause.reason)) {
        let why = "some validation rules were not checked because the object was invalid; correct the existing \
                   errors to complete validation";
        causes.add(Cause::invalid("", &Value::Null, why));
    } else {
        schema::validate_rules(&kind.schema, object, old, causes);
    }
}
