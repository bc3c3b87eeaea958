//! Secrets that a configuration names instead of holding: `{vault://env/NAME}`.
//!
//! A checked configuration keeps the reference, so that printing it gives nothing away. Who makes a plugin from
//! it resolves the references first. The environment is the only vault there is.

use serde_json::Value;

use super::{Kind, PluginSchema, Record, Type};

impl PluginSchema {
    /// Settings with references replaced by what `environment` has for them. The error names the reference and
    /// says what to do.
    pub fn resolve(
        &self,
        config: &Value,
        environment: &dyn Fn(&str) -> Option<String>,
    ) -> Result<Value, String> {
        let mut config = config.clone();
        resolve_record(self.config, &mut config, environment)?;
        Ok(config)
    }
}

const START: &str = "{vault://";

type Environment<'e> = &'e dyn Fn(&str) -> Option<String>;

fn resolve_record(record: &Record, value: &mut Value, environment: Environment) -> Result<(), String> {
    for field in record.fields {
        if let Some(value) = value.get_mut(field.name) {
            resolve_value(&field.ty, value, environment)?;
        }
    }
    Ok(())
}

fn resolve_value(ty: &Type, value: &mut Value, environment: Environment) -> Result<(), String> {
    match (ty.kind, &mut *value) {
        (Kind::Record(record), _) => resolve_record(record, value, environment),
        (Kind::Array(elements) | Kind::Set(elements), Value::Array(items)) => {
            items.iter_mut().try_for_each(|item| resolve_value(elements, item, environment))
        }
        (Kind::Map { values, .. }, Value::Object(entries)) => {
            entries.values_mut().try_for_each(|entry| resolve_value(values, entry, environment))
        }
        (Kind::String, Value::String(text)) if ty.referenceable && is_reference(text) => {
            *text = look_up(text, environment)?;
            Ok(())
        }
        _ => Ok(()),
    }
}

/// Whether a text names a secret in a vault instead of being it.
pub(super) fn is_reference(text: &str) -> bool {
    text.starts_with(START) && text.ends_with('}')
}

/// `{vault://env/NAME}`, or `{vault://env/NAME/KEY}` for one value of a JSON object.
fn look_up(reference: &str, environment: Environment) -> Result<String, String> {
    let inner = reference.strip_prefix(START).and_then(|inner| inner.strip_suffix('}')).unwrap_or_default();
    let mut parts = inner.split('?').next().unwrap_or_default().split('/');
    let (vault, name, key) =
        (parts.next().unwrap_or_default(), parts.next().unwrap_or_default(), parts.next());
    if vault != "env" {
        return Err(format!("{reference}: there is no vault '{vault}': use env, the environment"));
    }
    let name = name.to_ascii_uppercase().replace('-', "_");
    let value =
        environment(&name).ok_or_else(|| format!("{reference}: set the environment variable {name}"))?;
    let Some(key) = key else { return Ok(value) };
    let object: Value = serde_json::from_str(&value).unwrap_or_default();
    match object.get(key) {
        Some(Value::String(text)) => Ok(text.clone()),
        Some(other) if !other.is_null() => Ok(other.to_string()),
        _ => {
            Err(format!("{reference}: the environment variable {name} is no JSON object with '{key}' in it"))
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::PluginSchemas;
    use super::super::samples::Samples;

    #[test]
    fn references_become_what_the_environment_has() {
        let schema = Samples.schema("http-log").unwrap();
        let environment = |name: &str| match name {
            "LOG_URL" => Some("http://log.test/".to_owned()),
            "LOG" => Some(r#"{"url": "http://log.test/", "n": 1}"#.to_owned()),
            _ => None,
        };
        let resolve = |url: &str| {
            let config = schema.check(&json!({"http_endpoint": url})).unwrap();
            schema.resolve(&config, &environment).map(|config| config["http_endpoint"].clone())
        };
        assert_eq!(resolve("{vault://env/log-url}"), Ok(json!("http://log.test/")));
        assert_eq!(resolve("{vault://env/log/url}"), Ok(json!("http://log.test/")));
        assert_eq!(resolve("{vault://env/log/n}"), Ok(json!("1")));
        assert_eq!(resolve("http://h/"), Ok(json!("http://h/")));
        assert_eq!(
            resolve("{vault://env/none}"),
            Err("{vault://env/none}: set the environment variable NONE".to_owned())
        );
        assert!(
            resolve("{vault://env/log/none}").unwrap_err().ends_with("is no JSON object with 'none' in it")
        );
        assert!(resolve("{vault://aws/x}").unwrap_err().contains("there is no vault 'aws'"));
        // Other settings are taken as they are.
        let config = json!({"http_endpoint": "http://h/", "content_type": "{vault://env/log-url}"});
        assert_eq!(schema.resolve(&config, &environment), Ok(config));
    }
}
