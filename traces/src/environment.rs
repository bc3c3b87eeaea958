//! The settings that all OpenTelemetry programs take from their environment, as texts.

use percent_encoding::percent_decode_str;

/// Where traces go. `traces` is the endpoint for traces alone and is taken as it is; `all` is the one for every kind of
/// data, to which the path is added.
pub fn endpoint(traces: Option<&str>, all: Option<&str>) -> Option<String> {
    let said = |text: Option<&str>| text.map(str::trim).filter(|text| !text.is_empty()).map(str::to_owned);
    let of_all = |base: String| format!("{}/v1/traces", base.trim_end_matches('/'));
    said(traces).or_else(|| said(all).map(of_all))
}

/// A list of `key=value`, separated by commas, values percent-encoded.
///
/// # Errors
/// The part that has no `=` or no key.
pub fn pairs(text: &str) -> Result<Vec<(String, String)>, String> {
    let parts = text.split(',').map(str::trim).filter(|part| !part.is_empty());
    parts
        .map(|part| {
            let (key, value) = part.split_once('=').ok_or(part)?;
            let (key, value) = (key.trim(), percent_decode_str(value.trim()).decode_utf8_lossy());
            if key.is_empty() { Err(part) } else { Ok((key.to_owned(), value.into_owned())) }
        })
        .collect::<Result<_, &str>>()
        .map_err(|part| format!("{part:?} is not key=value"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_endpoint_for_everything_gets_the_path_of_traces() {
        let at = |traces, all| endpoint(traces, all);
        assert_eq!(at(None, Some("http://j:4318/")).as_deref(), Some("http://j:4318/v1/traces"));
        assert_eq!(at(Some("http://j/x"), Some("http://k")).as_deref(), Some("http://j/x"));
        assert_eq!(at(Some(""), Some(" ")), None);
    }

    #[test]
    fn pairs_are_decoded_and_a_bad_one_is_named() {
        let all = pairs("a=b, authorization=Bearer%20x=y ,").unwrap();
        assert_eq!(all, [("a".into(), "b".into()), ("authorization".into(), "Bearer x=y".into())]);
        assert_eq!(pairs("a=b,c").unwrap_err(), "\"c\" is not key=value");
        assert!(pairs("=b").is_err());
    }
}
