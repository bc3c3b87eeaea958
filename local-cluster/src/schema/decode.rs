//! Reading an object of a built-in kind as its Go type reads it: unknown fields fall away and are told, a wrong
//! type is refused in Go's words, and what is empty is written or left out as Go does.

use jiff::Timestamp;
use serde_json::{Map, Value, json};

use super::built_in::{Definition, Emptiness};
use super::{Additional, Schema, Type};

/// What a strict reader would refuse: unknown fields, in the order in which they stand.
pub(crate) type Unknown = Vec<String>;

/// Gives the object in its canonical form; an error is what Go would say of a wrong type.
pub(crate) fn decode(schema: &Schema, value: Value) -> Result<(Value, Unknown), String> {
    decode_at(schema, value, "")
}

/// The same for a part, such as the metadata.
pub(crate) fn decode_at(schema: &Schema, value: Value, path: &str) -> Result<(Value, Unknown), String> {
    let mut reader = Reader {
        unknown: Vec::new(),
        names: path.split('.').filter(|p| !p.is_empty()).map(str::to_owned).collect(),
    };
    let owner = schema.definition().map_or("", Definition::short_name).to_owned();
    let value = reader.read(schema, value, path, &owner)?.unwrap_or(Value::Null);
    Ok((value, reader.unknown))
}

struct Reader {
    unknown: Unknown,
    /// Names of fields from the root, without indices: how Go names a place.
    names: Vec<String>,
}

impl Reader {
    /// Nothing for what is null, which is the same as absent.
    fn read(
        &mut self,
        schema: &Schema,
        value: Value,
        path: &str,
        owner: &str,
    ) -> Result<Option<Value>, String> {
        if value.is_null() {
            return Ok(None);
        }
        let shape = schema.shape();
        if let Some(definition) = schema.definition()
            && let Some(value) = scalar(definition.short_name(), &value)
        {
            return value.map(Some);
        }
        if shape.int_or_string {
            let fits = value.is_i64() || value.is_u64() || value.is_string();
            return if fits {
                Ok(Some(value))
            } else {
                Err(self.mismatch(&value, "intstr.IntOrString", owner))
            };
        }
        if schema.is_open() {
            return Ok(Some(value));
        }
        let wanted = go_type(schema);
        match (shape.kind, value) {
            (Some(Type::Object) | None, Value::Object(fields)) => {
                self.object(schema, fields, path, owner).map(Some)
            }
            (Some(Type::Array), Value::Array(items)) => {
                let Some(item) = shape.items.as_deref() else { return Ok(Some(Value::Array(items))) };
                let mut read = Vec::with_capacity(items.len());
                for (index, value) in items.into_iter().enumerate() {
                    let value = self.read(item, value, &format!("{path}[{index}]"), owner)?;
                    read.push(value.unwrap_or_else(|| zero(item)));
                }
                Ok(Some(Value::Array(read)))
            }
            (Some(Type::String), value @ Value::String(_))
            | (Some(Type::Boolean), value @ Value::Bool(_)) => Ok(Some(value)),
            (Some(Type::Number), Value::Number(number)) => Ok(Some(Value::Number(number))),
            (Some(Type::Integer), Value::Number(number)) => match whole(&number) {
                Some(number) => Ok(Some(json!(number))),
                None => Err(self.mismatch(&Value::Number(number), &wanted, owner)),
            },
            (_, value) => Err(self.mismatch(&value, &wanted, owner)),
        }
    }

    fn object(
        &mut self,
        schema: &Schema,
        fields: Map<String, Value>,
        path: &str,
        owner: &str,
    ) -> Result<Value, String> {
        let shape = schema.shape();
        let definition = schema.definition();
        let owner = match definition {
            Some(definition) => definition.short_name(),
            None => owner,
        };
        let mut read = Map::new();
        for (name, value) in fields {
            let below = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
            let is_map = matches!(shape.additional, Additional::Of(_));
            let Some(field) = schema.field(&name) else {
                self.unknown.push(format!("unknown field {below:?}"));
                continue;
            };
            if !is_map {
                self.names.push(name.clone());
            }
            let found = self.read(field, value, &below, owner)?;
            if !is_map {
                self.names.pop();
            }
            match found {
                Some(value) => drop(read.insert(name, value)),
                // In Go a map keeps a key whose value is null, with the zero value.
                None if is_map => drop(read.insert(name, zero(field))),
                None => {}
            }
        }
        if let Some(definition) = definition {
            settle(definition, &mut read);
        }
        Ok(Value::Object(read))
    }

    fn mismatch(&self, value: &Value, wanted: &str, owner: &str) -> String {
        let found = match value {
            Value::Null => "null".to_owned(),
            Value::Bool(_) => "bool".to_owned(),
            Value::Number(number) if number.is_f64() && wanted.starts_with("int") => {
                format!("number {number}")
            }
            Value::Number(_) => "number".to_owned(),
            Value::String(_) => "string".to_owned(),
            Value::Array(_) => "array".to_owned(),
            Value::Object(_) => "object".to_owned(),
        };
        if self.names.is_empty() {
            return format!("json: cannot unmarshal {found} into Go value of type {wanted}");
        }
        let place = self.names.join(".");
        format!("json: cannot unmarshal {found} into Go struct field {owner}.{place} of type {wanted}")
    }
}

/// Types that are read from a text or number, in one canonical form.
fn scalar(name: &str, value: &Value) -> Option<Result<Value, String>> {
    match (name, value) {
        ("Time", Value::String(text)) => Some(time(text)),
        ("MicroTime", Value::String(text)) => Some(micro_time(text)),
        ("Quantity", Value::Number(number)) => Some(Ok(json!(number.to_string()))),
        ("Quantity", Value::String(text)) => Some(Ok(json!(text))),
        _ => None,
    }
}

fn time(text: &str) -> Result<Value, String> {
    instant(text, "2006-01-02T15:04:05Z07:00")
        .map(|time| json!(time.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()))
}

/// Go reads this one strictly, with six digits of fraction.
fn micro_time(text: &str) -> Result<Value, String> {
    const FORM: &str = "2006-01-02T15:04:05.000000Z07:00";
    let time = instant(text, FORM)?;
    let rest = text.get("2006-01-02T15:04:05".len()..).unwrap_or_default();
    let digits = rest.strip_prefix('.').map(|rest| rest.len() - rest.trim_start_matches(digit).len());
    match digits {
        Some(6) => Ok(json!(time.strftime("%Y-%m-%dT%H:%M:%S.%6fZ").to_string())),
        Some(7..) => Err(unreadable(text, FORM, &rest[7..], "Z07:00")),
        _ => Err(unreadable(text, FORM, rest, ".000000")),
    }
}

fn digit(character: char) -> bool {
    character.is_ascii_digit()
}

fn instant(text: &str, form: &str) -> Result<Timestamp, String> {
    text.parse().map_err(|_| unreadable(text, form, text, "2006"))
}

fn unreadable(text: &str, form: &str, rest: &str, part: &str) -> String {
    format!("parsing time {text:?} as {form:?}: cannot parse {rest:?} as {part:?}")
}

fn whole(number: &serde_json::Number) -> Option<i64> {
    let float = || number.as_f64().filter(|float| float.fract() == 0.0 && float.abs() < 9.0e15);
    number.as_i64().or_else(|| float().map(|float| float as i64))
}

/// Leaves out what Go leaves out when it is empty, and writes what Go always writes.
fn settle(definition: &Definition, fields: &mut Map<String, Value>) {
    fields.retain(|name, value| {
        let omitted = definition.fields.get(name).is_some_and(|field| field.emptiness == Emptiness::Omitted);
        !(omitted && is_zero(value))
    });
    for (name, schema) in &definition.schema.properties {
        let written = definition.fields.get(name).is_some_and(|field| field.emptiness == Emptiness::Written);
        if written && !fields.contains_key(name) {
            fields.insert(name.clone(), zero(schema));
        }
    }
}

fn is_zero(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Bool(flag) => !flag,
        Value::Number(number) => number.as_f64() == Some(0.0),
        Value::String(text) => text.is_empty(),
        Value::Array(items) => items.is_empty(),
        Value::Object(fields) => fields.is_empty(),
    }
}

/// What Go writes for a field that nobody set.
fn zero(schema: &Schema) -> Value {
    if let Some(definition) = schema.definition() {
        match definition.short_name() {
            "Time" | "MicroTime" => return Value::Null,
            "Quantity" => return json!("0"),
            "IntOrString" => return json!(0),
            _ if definition.fields.is_empty() => return Value::Null,
            _ => {
                let mut fields = Map::new();
                settle(definition, &mut fields);
                return Value::Object(fields);
            }
        }
    }
    match schema.kind {
        Some(Type::String) => json!(""),
        Some(Type::Integer | Type::Number) => json!(0),
        Some(Type::Boolean) => json!(false),
        _ => Value::Null,
    }
}

fn go_type(schema: &Schema) -> String {
    if let Some(definition) = schema.definition() {
        let package = definition.name.rsplit('.').nth(1).unwrap_or_default();
        return format!("{package}.{}", definition.short_name());
    }
    match schema.kind {
        Some(Type::String) => "string".to_owned(),
        Some(Type::Integer) => schema.checks.format.clone().unwrap_or_else(|| "int64".to_owned()),
        Some(Type::Number) => "float64".to_owned(),
        Some(Type::Boolean) => "bool".to_owned(),
        Some(Type::Array) => format!("[]{}", schema.items.as_deref().map(go_type).unwrap_or_default()),
        Some(Type::Object) | None => match &schema.additional {
            Additional::Of(value) => format!("map[string]{}", go_type(value)),
            Additional::Any | Additional::Unsaid => "map[string]interface {}".to_owned(),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::super::named;
    use super::*;

    fn read(name: &str, value: Value) -> Result<(Value, Unknown), String> {
        decode(&named(name), value)
    }

    #[test]
    fn unknown_fields_fall_away_and_are_told() {
        let map = json!({"metadata": {"name": "a", "nonsense": 1}, "data": {"a": "1"}, "immutable": false});
        let (value, unknown) = read("io.k8s.api.core.v1.ConfigMap", map).unwrap();
        assert_eq!(value, json!({"metadata": {"name": "a"}, "data": {"a": "1"}, "immutable": false}));
        assert_eq!(unknown, ["unknown field \"metadata.nonsense\""]);
    }

    #[test]
    fn wrong_types_are_named_as_go_names_them() {
        let error = read("io.k8s.api.core.v1.ConfigMap", json!({"data": {"a": 1}})).unwrap_err();
        assert_eq!(error, "json: cannot unmarshal number into Go struct field ConfigMap.data of type string");
        let error = read("io.k8s.api.apps.v1.Deployment", json!({"spec": {"replicas": "x"}})).unwrap_err();
        let expected =
            "json: cannot unmarshal string into Go struct field DeploymentSpec.spec.replicas of type int32";
        assert_eq!(error, expected);
    }

    #[test]
    fn empty_fields_are_written_as_go_writes_them() {
        let service = json!({"metadata": {"labels": {}}, "spec": {"ports": [{"port": 80, "name": ""}]}});
        let (value, _) = read("io.k8s.api.core.v1.Service", service).unwrap();
        let ports = json!([{"port": 80, "targetPort": 0}]);
        assert_eq!(value, json!({"metadata": {}, "spec": {"ports": ports}, "status": {"loadBalancer": {}}}));
    }

    #[test]
    fn times_have_one_form() {
        let lease = |time: &str| {
            let lease = json!({"spec": {"renewTime": time}});
            read("io.k8s.api.coordination.v1.Lease", lease)
                .map(|(value, _)| value["spec"]["renewTime"].clone())
        };
        assert_eq!(lease("2026-01-01T01:00:03.000000+01:00").unwrap(), "2026-01-01T00:00:03.000000Z");
        let error = lease("2026-01-01T00:00:03Z").unwrap_err();
        assert!(
            error.ends_with(r#"as "2006-01-02T15:04:05.000000Z07:00": cannot parse "Z" as ".000000""#),
            "{error}"
        );
        let error = lease("2026-01-01T00:00:03.0000001Z").unwrap_err();
        assert!(error.ends_with(r#"cannot parse "1Z" as "Z07:00""#), "{error}");
    }
}
