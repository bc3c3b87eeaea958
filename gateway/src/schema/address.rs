//! Hosts as Kong accepts them in settings: a name or an IP address, with or without a port.

use std::net::{Ipv4Addr, Ipv6Addr};

/// A host and perhaps a port.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Address {
    pub kind: AddressKind,
    /// A name as written, or an address without brackets.
    pub host: String,
    pub port: Option<u16>,
}

/// What a host is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AddressKind {
    Name,
    V4,
    V6,
}

/// Why a text is no address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NotAnAddress {
    /// The host part is neither a name nor an address.
    Host,
    /// The port is above 65535.
    Port,
}

impl Address {
    /// Reads `name`, `name:port`, `1.2.3.4`, `1.2.3.4:port`, `::1`, `[::1]` or `[::1]:port`.
    pub fn parse(text: &str) -> Result<Address, NotAnAddress> {
        if text.bytes().filter(|byte| *byte == b':').count() > 1 {
            return v6(text);
        }
        let (host, port) = match text.rsplit_once(':') {
            Some((host, digits)) if is_digits(digits) => (host, Some(digits)),
            Some(_) => return Err(NotAnAddress::Host),
            None => (text, None),
        };
        let kind = if host.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.') {
            host.parse::<Ipv4Addr>().map_err(|_| NotAnAddress::Host)?;
            AddressKind::V4
        } else if is_name(host) {
            AddressKind::Name
        } else {
            return Err(NotAnAddress::Host);
        };
        Ok(Address { kind, host: host.to_owned(), port: parse_port(port)? })
    }
}

fn v6(text: &str) -> Result<Address, NotAnAddress> {
    let (host, port) = match text.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((host, "")) => (host, None),
        Some((host, port)) => {
            let digits = port.strip_prefix(':').filter(|digits| is_digits(digits));
            (host, Some(digits.ok_or(NotAnAddress::Host)?))
        }
        None => (text, None),
    };
    host.parse::<Ipv6Addr>().map_err(|_| NotAnAddress::Host)?;
    Ok(Address { kind: AddressKind::V6, host: host.to_owned(), port: parse_port(port)? })
}

fn parse_port(digits: Option<&str>) -> Result<Option<u16>, NotAnAddress> {
    digits.map(|digits| digits.parse().map_err(|_| NotAnAddress::Port)).transpose()
}

fn is_digits(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// Labels of letters, digits, `-` and `_`, none ending in `-`, none empty but the last.
fn is_name(text: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_');
    let labels: Vec<&str> = text.split('.').collect();
    let (last, rest) = labels.split_last().unwrap_or((&"", &[]));
    !text.is_empty()
        && text.bytes().all(allowed)
        && !rest.iter().any(|label| label.is_empty() || label.ends_with('-'))
        && !last.ends_with('-')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_with_and_without_ports() {
        let good = [
            ("a.test", AddressKind::Name, "a.test", None),
            ("a_b.test:80", AddressKind::Name, "a_b.test", Some(80)),
            ("fqdn.test.", AddressKind::Name, "fqdn.test.", None),
            ("1.2.3.4", AddressKind::V4, "1.2.3.4", None),
            ("1.2.3.4:5", AddressKind::V4, "1.2.3.4", Some(5)),
            ("::1", AddressKind::V6, "::1", None),
            ("[::1]", AddressKind::V6, "::1", None),
            ("[fe80::1]:8080", AddressKind::V6, "fe80::1", Some(8080)),
        ];
        for (text, kind, host, port) in good {
            let expected = Address { kind, host: host.to_owned(), port };
            assert_eq!(Address::parse(text), Ok(expected), "{text}");
        }
        let bad = [
            "",
            "a b",
            "a-.test",
            "a..b",
            ":80",
            "1.2.3",
            "256.1.1.1",
            "a:b:c",
            "[::1",
            "[::1]x",
            "a:",
            "é.test",
        ];
        for text in bad {
            assert_eq!(Address::parse(text), Err(NotAnAddress::Host), "{text}");
        }
        assert_eq!(Address::parse("a:70000"), Err(NotAnAddress::Port));
    }
}
