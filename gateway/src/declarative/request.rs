//! Configurations that come by HTTP: the forms in which `POST /config` takes them.

use serde_json::Value;

use super::{Format, Refusal};

/// The configuration's text in a request body, and how it is written.
///
/// JSON may be the configuration itself or hold it as a text under `config`; forms have it under `config`; YAML
/// is taken as it is.
pub(super) fn text(body: &[u8], content_type: Option<&str>) -> Result<(String, Format), Refusal> {
    let kind = content_type.unwrap_or_default();
    let kind_is =
        |prefix: &str| kind.get(..prefix.len()).is_some_and(|start| start.eq_ignore_ascii_case(prefix));
    let found = if kind_is("application/json") {
        return json(body);
    } else if kind_is("multipart/form-data") {
        multipart(body, kind)
    } else if kind_is("application/x-www-form-urlencoded") {
        form(body)
    } else if kind_is("application/yaml") || kind_is("text/yaml") || (kind.is_empty() && body.is_empty()) {
        Some(body.to_vec())
    } else {
        return Err(Refusal::of_request(415, "Unsupported media type"));
    };
    let text = found.filter(|text| !text.is_empty()).ok_or_else(missing)?;
    Ok((utf8(text)?, Format::Yaml))
}

fn missing() -> Refusal {
    Refusal::of_request(400, "expected a declarative configuration")
}

fn utf8(text: Vec<u8>) -> Result<String, Refusal> {
    String::from_utf8(text).map_err(|error| {
        let message = format!("not UTF-8 after {} bytes", error.utf8_error().valid_up_to());
        Refusal::of_text(None, &message)
    })
}

fn json(body: &[u8]) -> Result<(String, Format), Refusal> {
    if body.is_empty() {
        return Err(missing());
    }
    let parsed: Value =
        serde_json::from_slice(body).map_err(|_| Refusal::of_request(400, "Cannot parse JSON body"))?;
    match (parsed.get("_format_version"), parsed.get("config")) {
        (None, Some(Value::String(text))) => Ok((text.clone(), Format::Yaml)),
        (None, Some(config)) if !config.is_null() => Ok((config.to_string(), Format::Json)),
        _ => Ok((utf8(body.to_vec())?, Format::Json)),
    }
}

fn form(body: &[u8]) -> Option<Vec<u8>> {
    let (_, text) = url::form_urlencoded::parse(body).find(|(name, _)| name == "config")?;
    Some(text.into_owned().into_bytes())
}

/// The part named `config` (RFC 7578), a field or a file.
fn multipart(body: &[u8], content_type: &str) -> Option<Vec<u8>> {
    let (_, boundary) = content_type.split_once("boundary=")?;
    let boundary = boundary.split(';').next()?.trim().trim_matches('"');
    let delimiter = format!("\r\n--{boundary}").into_bytes();
    // The first delimiter need not follow a line.
    let body = [b"\r\n", body].concat();
    let starts: Vec<usize> = memchr::memmem::find_iter(&body, &delimiter).collect();
    starts.windows(2).find_map(|ends| {
        let part = &body[ends[0] + delimiter.len()..ends[1]];
        let head_end = memchr::memmem::find(part, b"\r\n\r\n")?;
        let head = std::str::from_utf8(&part[..head_end]).ok()?;
        let named = head.lines().any(|line| {
            let mut params = line.split(';').map(str::trim);
            params.next().is_some_and(|name| name.to_ascii_lowercase().starts_with("content-disposition:"))
                && params.any(|param| param == "name=\"config\"" || param == "name=config")
        });
        named.then(|| part[head_end + 4..].to_vec())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(body: &str, content_type: &str) -> Result<(String, Format), (u16, Value)> {
        text(body.as_bytes(), Some(content_type).filter(|kind| !kind.is_empty()))
            .map_err(|refusal| (refusal.status, refusal.body(false).clone()))
    }

    #[test]
    fn every_form_holds_the_same_text() {
        let yaml = "_format_version: \"3.0\"\n";
        let multipart = "--XX\r\nContent-Disposition: form-data; name=\"other\"\r\n\r\nx\r\n--XX\r\n\
                         content-disposition: form-data; name=\"config\"; filename=\"kong.yml\"\r\n\
                         Content-Type: application/x-yaml\r\n\r\n_format_version: \"3.0\"\n\r\n--XX--\r\n";
        let bodies = [
            (r#"{"config": "_format_version: \"3.0\"\n"}"#, "application/json; charset=utf-8"),
            ("config=_format_version%3A+%223.0%22%0A", "application/x-www-form-urlencoded"),
            (multipart, "multipart/form-data; boundary=XX"),
            (multipart, "multipart/form-data; boundary=\"XX\"; charset=utf-8"),
            (yaml, "text/yaml"),
            (yaml, "application/yaml"),
        ];
        for (body, kind) in bodies {
            assert_eq!(read(body, kind), Ok((yaml.to_owned(), Format::Yaml)), "{kind}");
        }
        let json = r#"{"_format_version":"3.0"}"#;
        assert_eq!(read(json, "application/json"), Ok((json.to_owned(), Format::Json)));
        let nested = r#"{"config":{"_format_version":"3.0"}}"#;
        assert_eq!(read(nested, "application/json"), Ok((json.to_owned(), Format::Json)));
    }

    #[test]
    fn bodies_without_a_configuration() {
        let says = |status: u16, message: &str| Err((status, serde_json::json!({"message": message})));
        let bodies = [
            ("{x", "application/json", says(400, "Cannot parse JSON body")),
            ("", "application/json", says(400, "expected a declarative configuration")),
            ("", "", says(400, "expected a declarative configuration")),
            (
                "other=1",
                "application/x-www-form-urlencoded",
                says(400, "expected a declarative configuration"),
            ),
            ("--XX--", "multipart/form-data; boundary=XX", says(400, "expected a declarative configuration")),
            ("x", "multipart/form-data", says(400, "expected a declarative configuration")),
            ("a: 1", "text/plain", says(415, "Unsupported media type")),
            ("a: 1", "", says(415, "Unsupported media type")),
        ];
        for (body, kind, answer) in bodies {
            assert_eq!(read(body, kind), answer, "{kind} {body}");
        }
    }
}
