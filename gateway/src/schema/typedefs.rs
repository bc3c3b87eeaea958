//! Types that many settings share, with Kong's names, rules and words.

use std::net::{Ipv4Addr, Ipv6Addr};

use super::address::NotAnAddress;
use super::{Address, AddressKind, Literal, Pattern, Type, Url, array, integer, map, set, string};

/// The protocols an entity may name, in the order of Kong's message.
pub const PROTOCOLS: &[Literal] = &[
    Literal::Text("grpc"),
    Literal::Text("grpcs"),
    Literal::Text("http"),
    Literal::Text("https"),
    Literal::Text("tcp"),
    Literal::Text("tls"),
    Literal::Text("tls_passthrough"),
    Literal::Text("udp"),
];

pub const HTTP_PROTOCOLS: &[Literal] =
    &[Literal::Text("grpc"), Literal::Text("grpcs"), Literal::Text("http"), Literal::Text("https")];

pub const fn protocol() -> Type {
    string().one_of(PROTOCOLS)
}

pub const fn port() -> Type {
    integer().between(0.0, 65_535.0).about("a port, 0 to 65535")
}

/// Milliseconds.
pub const fn timeout() -> Type {
    integer().between(0.0, 2_147_483_646.0).about("milliseconds")
}

/// A host name or an address without a port.
pub const fn host() -> Type {
    string().check(check_host)
}

pub const fn host_with_optional_port() -> Type {
    string().check(check_host_with_optional_port)
}

/// A server name, exact.
pub const fn sni() -> Type {
    string().check(check_sni)
}

/// A server name with at most one `*`, at an end.
pub const fn wildcard_host() -> Type {
    string().check(check_wildcard_host)
}

/// An absolute URL; what the scheme means is for the setting to say.
pub const fn url() -> Type {
    string().check(check_url)
}

pub const fn ip_or_cidr() -> Type {
    string().check(check_ip_or_cidr)
}

/// A path of unencoded segments.
pub const fn path() -> Type {
    string()
        .starts_with("/")
        .forbids(&[Pattern { test: has_empty_segment, error: "must not have empty segments" }])
        .check(check_path)
}

pub const fn header_name() -> Type {
    string().check(check_header_name)
}

pub const fn cookie_name() -> Type {
    string().check(check_token)
}

/// Upper-case letters.
pub const fn http_method() -> Type {
    string().matches(&[Pattern { test: is_upper_case, error: "" }])
}

/// A name that several entities of a kind can't share.
pub const fn name() -> Type {
    string().check(check_name)
}

pub const fn tags() -> Type {
    static TAG: Type = string().check(check_tag);
    set(&TAG)
}

/// Header name → values.
pub const fn headers() -> Type {
    static NAME: Type = header_name();
    static VALUES: Type = array(&VALUE);
    static VALUE: Type = string();
    map(&NAME, &VALUES)
}

pub const fn uuid() -> Type {
    string().uuid()
}

fn says(right: bool, message: impl FnOnce() -> String) -> Result<(), String> {
    if right { Ok(()) } else { Err(message()) }
}

fn check_host(text: &str) -> Result<(), String> {
    match Address::parse(text) {
        Ok(Address { port: None, .. }) => Ok(()),
        Ok(_) | Err(NotAnAddress::Port) => Err("must not have a port".to_owned()),
        Err(NotAnAddress::Host) => Err(format!("invalid value: {text}")),
    }
}

/// Also serves route hosts, where the wildcard has been put aside.
pub(crate) fn check_host_with_optional_port(text: &str) -> Result<(), String> {
    match Address::parse(text) {
        Ok(_) => Ok(()),
        Err(NotAnAddress::Port) => Err("invalid port number".to_owned()),
        Err(NotAnAddress::Host) => Err(format!("invalid {}: {text}", looks_like(text))),
    }
}

/// What a text that is no address was meant to be.
fn looks_like(text: &str) -> &'static str {
    if text.matches(':').count() > 1 {
        "ipv6 address"
    } else if text.bytes().all(|byte| byte.is_ascii_digit() || matches!(byte, b'.' | b':')) {
        "ipv4 address"
    } else {
        "hostname"
    }
}

fn check_sni(text: &str) -> Result<(), String> {
    check_host(text)?;
    let named = Address::parse(text).is_ok_and(|address| address.kind == AddressKind::Name);
    says(named, || "must not be an IP".to_owned())
}

fn check_wildcard_host(text: &str) -> Result<(), String> {
    let Some(at) = text.find('*') else { return check_sni(text) };
    if at != 0 && at + 1 != text.len() {
        return Err("wildcard must be leftmost or rightmost character".to_owned());
    }
    if text.matches('*').count() > 1 {
        return Err("only one wildcard must be specified".to_owned());
    }
    check_sni(&text.replace('*', "wildcard"))
}

fn check_url(text: &str) -> Result<(), String> {
    let url = Url::parse(text);
    says(url.host.is_some(), || "missing host in url".to_owned())?;
    says(url.scheme.is_some(), || "missing scheme in url".to_owned())
}

fn check_ip_or_cidr(text: &str) -> Result<(), String> {
    says(is_ip_or_cidr(text), || format!("invalid ip or cidr range: '{text}'"))
}

fn is_ip_or_cidr(text: &str) -> bool {
    let (address, prefix) =
        text.split_once('/').map_or((text, None), |(address, prefix)| (address, Some(prefix)));
    let up_to = |max: u8| prefix.is_none_or(|prefix| (0..=max).any(|bits| bits.to_string() == prefix));
    (address.parse::<Ipv4Addr>().is_ok() && up_to(32)) || (address.parse::<Ipv6Addr>().is_ok() && up_to(128))
}

/// RFC 3986's characters of a path, with whole percent escapes.
pub(crate) fn check_path(text: &str) -> Result<(), String> {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b".-_~/%:@!$&'()*+,;=".contains(&byte);
    says(text.bytes().all(allowed), || {
        format!("invalid path: '{text}' (characters outside of the reserved list of RFC 3986 found)")
    })?;
    check_escapes(text)
}

/// Every `%` is followed by two hexadecimal digits.
pub(crate) fn check_escapes(text: &str) -> Result<(), String> {
    let broken = text.match_indices('%').find(|(at, _)| {
        let digits = text.as_bytes().get(at + 1..at + 3);
        !digits.is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit))
    });
    broken.map_or(Ok(()), |(at, _)| {
        let shown: String = text[at..].chars().take(3).collect();
        Err(format!("invalid url-encoded value: '{shown}'"))
    })
}

pub(crate) fn has_empty_segment(text: &str) -> bool {
    text.contains("//")
}

fn check_header_name(text: &str) -> Result<(), String> {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    says(text.bytes().all(allowed), || {
        format!("bad header name '{text}', allowed characters are A-Z, a-z, 0-9, '_', and '-'")
    })
}

fn check_token(text: &str) -> Result<(), String> {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    says(text.bytes().all(allowed), || {
        "contains one or more invalid characters. ASCII control characters (0-31;127), space, tab and the \
         characters ()<>@,;:\\\"/?={}[] are not allowed."
            .to_owned()
    })
}

fn check_name(text: &str) -> Result<(), String> {
    let allowed = |char: char| !char.is_ascii() || char.is_ascii_alphanumeric() || ".-_~".contains(char);
    says(text.chars().all(allowed), || {
        format!(
            "invalid value '{text}': the only accepted ascii characters are alphanumerics or ., -, _, and ~"
        )
    })
}

fn check_tag(text: &str) -> Result<(), String> {
    let allowed = |char: char| !char.is_ascii() || (matches!(char, ' '..='~') && !matches!(char, ',' | '/'));
    says(text.chars().all(allowed), || {
        format!(
            "invalid tag '{text}': expected printable ascii (except `,` and `/`) or valid utf-8 sequences"
        )
    })
}

fn is_upper_case(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_uppercase())
}
