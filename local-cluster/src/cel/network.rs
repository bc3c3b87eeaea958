//! Addresses, networks and URLs in expressions.

use std::net::IpAddr;

use ipnet::IpNet;

use super::evaluate::no_overload;
use super::value::Val;

#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Address(pub(super) IpAddr);

#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Network(pub(super) IpNet);

/// Its parts, as written.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Url {
    scheme: String,
    host: String,
    path: String,
    query: Vec<(String, String)>,
}

pub(super) fn address(text: &str) -> Option<Address> {
    // Addresses with a zone and IPv4 in IPv6 form are refused, as Kubernetes does.
    let address: IpAddr = text.parse().ok()?;
    let mapped = matches!(address, IpAddr::V6(v6) if v6.to_ipv4_mapped().is_some());
    (!mapped).then_some(Address(address))
}

pub(super) fn network(text: &str) -> Option<Network> {
    text.parse().ok().map(Network)
}

impl Address {
    pub(super) fn call(self, name: &str) -> Result<Val, String> {
        let Address(address) = self;
        Ok(Val::Bool(match (name, address) {
            ("family", IpAddr::V4(_)) => return Ok(Val::Int(4)),
            ("family", IpAddr::V6(_)) => return Ok(Val::Int(6)),
            ("isUnspecified", _) => address.is_unspecified(),
            ("isLoopback", _) => address.is_loopback(),
            ("isLinkLocalMulticast", IpAddr::V4(v4)) => v4.octets()[..3] == [224, 0, 0],
            ("isLinkLocalMulticast", IpAddr::V6(v6)) => v6.segments()[0] & 0xff0f == 0xff02,
            ("isLinkLocalUnicast", IpAddr::V4(v4)) => v4.is_link_local(),
            ("isLinkLocalUnicast", IpAddr::V6(v6)) => v6.segments()[0] & 0xffc0 == 0xfe80,
            ("isGlobalUnicast", _) => {
                let v4_broadcast =
                    matches!(address, IpAddr::V4(v4) if v4.is_broadcast() || v4.is_link_local());
                let v6_local = matches!(address, IpAddr::V6(v6) if v6.segments()[0] & 0xffc0 == 0xfe80);
                !(address.is_unspecified()
                    || address.is_loopback()
                    || address.is_multicast()
                    || v4_broadcast
                    || v6_local)
            }
            _ => return Err(no_overload(&format!("net.IP.{name}"))),
        }))
    }
}

impl Network {
    pub(super) fn call(self, name: &str, argument: Option<&Val>) -> Result<Val, String> {
        let Network(network) = self;
        Ok(match (name, argument) {
            ("containsIP", Some(Val::Address(Address(other)))) => Val::Bool(network.contains(other)),
            ("containsIP", Some(Val::Text(text))) => {
                Val::Bool(address(text).is_some_and(|Address(other)| network.contains(&other)))
            }
            ("containsCIDR", Some(Val::Network(Network(other)))) => Val::Bool(network.contains(other)),
            ("containsCIDR", Some(Val::Text(text))) => {
                Val::Bool(self::network(text).is_some_and(|Network(other)| network.contains(&other)))
            }
            ("ip", None) => Val::Address(Address(network.addr())),
            ("masked", None) => Val::Network(Network(network.trunc())),
            ("prefixLength", None) => Val::Int(i64::from(network.prefix_len())),
            _ => return Err(no_overload(&format!("net.CIDR.{name}"))),
        })
    }
}

impl Url {
    /// Absolute URLs and absolute paths.
    pub(super) fn parse(text: &str) -> Option<Url> {
        let (rest, fragmentless) = (text, text.split('#').next()?);
        let _ = rest;
        let (front, query) = fragmentless.split_once('?').unwrap_or((fragmentless, ""));
        let (scheme, host, path) = match front.split_once("://") {
            Some((scheme, rest)) if !scheme.is_empty() => {
                let slash = rest.find('/').unwrap_or(rest.len());
                (scheme, &rest[..slash], &rest[slash..])
            }
            None if front.starts_with('/') => ("", "", front),
            _ => return None,
        };
        let valid = |c: char| c.is_ascii_graphic() && !"<>\"{}|\\^`".contains(c) || !c.is_ascii();
        if !text.chars().all(valid) {
            return None;
        }
        let pairs = query.split('&').filter(|pair| !pair.is_empty());
        let query = pairs.map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            (name.to_owned(), value.to_owned())
        });
        Some(Url {
            scheme: scheme.to_owned(),
            host: host.to_owned(),
            path: path.to_owned(),
            query: query.collect(),
        })
    }

    pub(super) fn call(&self, name: &str) -> Result<Val, String> {
        let without_user = self.host.rsplit('@').next().unwrap_or_default();
        let port_at = without_user.rfind(':').filter(|at| !without_user[*at..].contains(']'));
        Ok(match name {
            "getScheme" => Val::text(&self.scheme),
            "getHost" => Val::text(without_user),
            "getHostname" => {
                Val::text(without_user[..port_at.unwrap_or(without_user.len())].trim_matches(['[', ']']))
            }
            "getPort" => Val::text(port_at.map_or("", |at| &without_user[at + 1..])),
            "getEscapedPath" => Val::text(&self.path),
            "getQuery" => {
                let mut query = indexmap::IndexMap::<_, Vec<Val>>::new();
                for (name, value) in &self.query {
                    query
                        .entry(super::value::Key::Text(name.as_str().into()))
                        .or_default()
                        .push(Val::text(value));
                }
                let lists = query.into_iter().map(|(name, values)| (name, Val::List(values.into())));
                Val::Map(std::sync::Arc::new(lists.collect()))
            }
            _ => return Err(no_overload(&format!("URL.{name}"))),
        })
    }
}
