//! The `format` keyword, as far as Kubernetes checks it.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::LazyLock;

use base64::Engine;
use regex::Regex;

static DURATION: LazyLock<Option<Regex>> =
    LazyLock::new(|| Regex::new(r"^-?(\d+(\.\d+)?(ns|us|µs|μs|ms|s|m|h|d|w))+$").ok());
static HOST: LazyLock<Option<Regex>> = LazyLock::new(|| {
    Regex::new(r"^([a-zA-Z0-9\p{L}]([-a-zA-Z0-9\p{L}]*[a-zA-Z0-9\p{L}])?)(\.[a-zA-Z0-9\p{L}]([-a-zA-Z0-9\p{L}]*[a-zA-Z0-9\p{L}])?)*$").ok()
});

/// Formats that are not known say nothing.
pub(super) fn fits(format: &str, text: &str) -> bool {
    match format {
        "date-time" | "datetime" => text.parse::<jiff::Timestamp>().is_ok(),
        "date" => text.parse::<jiff::civil::Date>().is_ok(),
        "duration" => text == "0" || matches(&DURATION, text),
        "byte" => base64::engine::general_purpose::STANDARD.decode(text).is_ok(),
        "ipv4" => text.parse::<Ipv4Addr>().is_ok(),
        "ipv6" => text.parse::<Ipv6Addr>().is_ok(),
        "ip" => text.parse::<IpAddr>().is_ok(),
        "cidr" => text.parse::<ipnet::IpNet>().is_ok(),
        "hostname" => text.len() <= 255 && matches(&HOST, text),
        "email" => text.split_once('@').is_some_and(|(user, host)| !user.is_empty() && !host.is_empty()),
        "uri" => text.contains(':') && text.parse::<http::Uri>().is_ok() || text.starts_with('/'),
        "uuid" | "uuid3" | "uuid4" | "uuid5" => uuid::Uuid::parse_str(text).is_ok(),
        _ => true,
    }
}

fn matches(pattern: &Option<Regex>, text: &str) -> bool {
    pattern.as_ref().is_none_or(|pattern| pattern.is_match(text))
}
