//! The JSON schema of scenario files, for editors, and the same as tables for people.

use std::fmt::Write;

use schemars::generate::SchemaSettings;
use serde_json::Value;

use super::document::ScenarioDocument;

fn schema() -> Value {
    let generator = SchemaSettings::draft2020_12().into_generator();
    generator.into_root_schema_for::<ScenarioDocument>().to_value()
}

/// The schema, as text.
pub fn text() -> String {
    serde_json::to_string_pretty(&schema()).unwrap_or_default()
}

/// Every type with its fields, in Markdown.
pub fn reference() -> String {
    let schema = schema();
    let mut out = String::new();
    table(&mut out, "A scenario", &schema);
    for (name, definition) in schema["$defs"].as_object().into_iter().flatten() {
        if definition.get("properties").is_some() {
            table(&mut out, &title(name), definition);
        } else if let Some(words) = words(definition) {
            let _ = writeln!(out, "### {}\n\n{}\n\n{words}\n", title(name), sentence(definition));
        }
    }
    out.trim_end().to_owned() + "\n"
}

fn title(name: &str) -> String {
    match name {
        "StepDocument" => "Step".to_owned(),
        other => other.to_owned(),
    }
}

fn table(out: &mut String, title: &str, definition: &Value) {
    let _ = writeln!(out, "### {title}\n\n{}\n", sentence(definition));
    out.push_str("| field | is | meaning |\n|---|---|---|\n");
    let required = definition["required"].as_array().cloned().unwrap_or_default();
    for (name, field) in definition["properties"].as_object().into_iter().flatten() {
        let must = if required.iter().any(|required| required == name) { " (required)" } else { "" };
        let _ = writeln!(out, "| `{name}`{must} | {} | {} |", kind(field), sentence(field));
    }
    out.push('\n');
}

fn sentence(schema: &Value) -> String {
    schema["description"].as_str().unwrap_or_default().replace('\n', " ")
}

/// The words that may be written, if it is a choice of words.
fn words(definition: &Value) -> Option<String> {
    let plain = definition["enum"].as_array().map(|words| words.iter().collect::<Vec<_>>());
    let told = definition["oneOf"].as_array();
    let lines: Vec<String> = match (plain, told) {
        (Some(words), _) => words.iter().filter_map(|word| Some(format!("- `{}`", word.as_str()?))).collect(),
        (_, Some(choices)) => choices.iter().flat_map(choice).collect(),
        _ => return None,
    };
    (!lines.is_empty()).then(|| lines.join("\n"))
}

fn choice(choice: &Value) -> Vec<String> {
    let one = choice["const"].as_str().into_iter();
    let several = choice["enum"].as_array().into_iter().flatten().filter_map(Value::as_str);
    let said = sentence(choice);
    let said = if said.is_empty() { said } else { format!(": {said}") };
    one.chain(several).map(|word| format!("- `{word}`{said}")).collect()
}

/// What a field is, in a few words.
fn kind(field: &Value) -> String {
    if let Some(name) = field["$ref"].as_str().and_then(|reference| reference.rsplit('/').next()) {
        let short = name.strip_suffix("OrShort");
        let many = name.strip_prefix("OneOrMore");
        return match (short, many) {
            (Some(name), _) => format!("a text, or [{0}](#{1})", title(name), title(name).to_lowercase()),
            (_, Some(name)) => format!("one or several of {}", plain(name)),
            _ => plain(name),
        };
    }
    if let Some(choices) = field["anyOf"].as_array() {
        let some: Vec<String> = choices.iter().filter(|choice| choice["type"] != "null").map(kind).collect();
        return some.join(" or ");
    }
    match (&field["type"], field.get("items"), field.get("additionalProperties")) {
        (kind_of, Some(items), _) if kind_of == "array" => format!("list of {}", kind(items)),
        (kind_of, _, Some(values)) if kind_of == "object" && values.is_object() => {
            format!("map to {}", kind(values))
        }
        (Value::String(word), ..) => word_for(word).to_owned(),
        (Value::Array(words), ..) => {
            let words = words.iter().filter_map(Value::as_str).filter(|word| *word != "null");
            words.map(word_for).collect::<Vec<_>>().join(" or ")
        }
        _ => "anything".to_owned(),
    }
}

fn plain(name: &str) -> String {
    match name {
        "string" => "text".to_owned(),
        "uint16" => "number".to_owned(),
        "EitherRequest" | "RequestOrShort" => "[Request](#request)".to_owned(),
        "Span" => "duration".to_owned(),
        "Pattern" => "regular expression".to_owned(),
        "ObjectName" => "object".to_owned(),
        "Share" => "percentage".to_owned(),
        "Check" => "a value, or [Rules](#rules)".to_owned(),
        name => format!("[{0}](#{1})", title(name), title(name).to_lowercase()),
    }
}

fn word_for(word: &str) -> &str {
    match word {
        "string" => "text",
        "integer" | "number" => "number",
        "boolean" => "true or false",
        "object" => "map",
        "array" => "list",
        other => other,
    }
}
