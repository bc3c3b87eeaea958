//! Who the client is when other proxies stand before this one: only trusted peers are believed
//! (Kong's `trusted_ips`, `real_ip_header`, `real_ip_recursive`).

use std::net::{IpAddr, SocketAddr};

use ipnet::IpNet;

use super::headers::tokens;
use crate::exchange::Client;
use crate::http::head::RequestHead;
use crate::http::name::Name;

/// Whose word counts, and where it stands.
#[derive(Debug, Clone)]
pub struct Trust {
    pub peers: Vec<IpNet>,
    /// The header that names the client.
    pub header: String,
    /// Look further left for the last address that is not trusted itself.
    pub recursive: bool,
}

impl Default for Trust {
    fn default() -> Self {
        Trust { peers: Vec::new(), header: Name::XRealIp.as_str().to_owned(), recursive: false }
    }
}

impl Trust {
    /// Whether a peer may speak for others in a PROXY header: those that are trusted, or anybody while nobody is named.
    pub fn lets_introduce(&self, peer: IpAddr) -> bool {
        self.peers.is_empty() || self.covers(peer)
    }

    fn covers(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        self.peers.iter().any(|net| net.contains(&address))
    }
}

/// The client of one request: the connection's, corrected by what a trusted peer says.
pub fn of_request(connection: &Client, head: &RequestHead, trust: &Trust) -> Client {
    let mut client = connection.clone();
    if trust.peers.is_empty() || !trust.covers(client.peer.ip()) {
        return client;
    }
    client.trusted = true;
    if head.fields.get(Name::XForwardedProto).is_some_and(|scheme| scheme == b"https") {
        client.secure = true;
    }
    if let Some(address) = named_address(head, trust) {
        client.address = address;
    }
    client
}

fn named_address(head: &RequestHead, trust: &Trust) -> Option<IpAddr> {
    let lines: Vec<&[u8]> = head.fields.get_all(trust.header.as_str()).collect();
    let mut found = None;
    for token in lines.iter().rev().flat_map(|line| tokens(line).collect::<Vec<_>>().into_iter().rev()) {
        let Some(address) = parse(token) else { return found };
        found = Some(address);
        if !trust.recursive || !trust.covers(address) {
            break;
        }
    }
    found
}

/// An address, with or without a port.
fn parse(token: &[u8]) -> Option<IpAddr> {
    let text = std::str::from_utf8(token).ok()?;
    let address = text
        .parse::<IpAddr>()
        .or_else(|_| text.parse::<SocketAddr>().map(|address| address.ip()))
        .or_else(|_| text.trim_start_matches('[').trim_end_matches(']').parse())
        .ok()?;
    Some(address.to_canonical())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client(peer: &str, trust: &Trust, header: &str, lines: &[&str]) -> IpAddr {
        let mut head = RequestHead::default();
        for line in lines {
            head.fields.append(header, line);
        }
        let peer: SocketAddr = peer.parse().unwrap();
        of_request(&Client::new(peer, "127.0.0.1:80".parse().unwrap()), &head, trust).address
    }

    #[test]
    fn only_trusted_peers_are_believed() {
        let mut trust = Trust { peers: vec!["10.0.0.0/8".parse().unwrap()], ..Trust::default() };
        let of = |peer, trust: &Trust, lines: &[&str]| client(peer, trust, &trust.header, lines).to_string();
        assert_eq!(of("192.0.2.1:5", &trust, &["1.1.1.1"]), "192.0.2.1");
        assert_eq!(of("10.0.0.1:5", &trust, &["1.1.1.1"]), "1.1.1.1");
        assert_eq!(of("10.0.0.1:5", &trust, &[]), "10.0.0.1");
        trust.header = "X-Forwarded-For".to_owned();
        assert_eq!(of("10.0.0.1:5", &trust, &["1.1.1.1, 2.2.2.2"]), "2.2.2.2");
        assert_eq!(of("10.0.0.1:5", &trust, &["1.1.1.1", "2.2.2.2"]), "2.2.2.2");
        assert_eq!(of("10.0.0.1:5", &trust, &["1.1.1.1:77"]), "1.1.1.1");
        assert_eq!(of("10.0.0.1:5", &trust, &["1.1.1.1, 10.9.9.9"]), "10.9.9.9");
        trust.recursive = true;
        assert_eq!(of("10.0.0.1:5", &trust, &["1.1.1.1, 10.9.9.9"]), "1.1.1.1");
        assert_eq!(of("10.0.0.1:5", &trust, &["unknown, 10.9.9.9"]), "10.9.9.9");
        assert_eq!(of("10.0.0.1:5", &trust, &["10.1.1.1, 10.9.9.9"]), "10.1.1.1");
        // A dual-stack socket shows an IPv4 peer in another guise.
        assert_eq!(of("[::ffff:10.0.0.1]:5", &trust, &["1.1.1.1"]), "1.1.1.1");
        assert_eq!(of("10.0.0.1:5", &trust, &["1.1.1.1, ::ffff:10.9.9.9"]), "1.1.1.1");
        let many = "9.9.9.9, ".repeat(2_000) + "1.1.1.1, 10.9.9.9";
        assert_eq!(of("10.0.0.1:5", &trust, &[&many]), "1.1.1.1");
    }

    /// Whatever is no address ends the search: what stands left of it is nobody's word.
    #[test]
    fn only_addresses_are_addresses() {
        let trust = Trust {
            peers: vec!["10.0.0.0/8".parse().unwrap()],
            header: "X-Forwarded-For".to_owned(),
            recursive: true,
        };
        let of = |line: &str| client("10.0.0.1:5", &trust, &trust.header, &[line]).to_string();
        for (token, address) in [
            ("1.2.3.4:5678", "1.2.3.4"),
            ("[2001:db8::1]:443", "2001:db8::1"),
            ("[2001:db8::1]", "2001:db8::1"),
            ("2001:DB8::1", "2001:db8::1"),
            (" 1.2.3.4 ", "1.2.3.4"),
            // These are IPv6, whatever is embedded in them.
            ("64:ff9b::a00:1", "64:ff9b::a00:1"),
            ("2002:a00:1::", "2002:a00:1::"),
        ] {
            assert_eq!(of(token), address, "{token}");
        }
        for token in [
            "0177.0.0.1",
            "0x7f.1",
            "127.1",
            "2130706433",
            "1.2.3.256",
            "1.2.3.4.5",
            "unknown",
            "_hidden",
            "\"[::1]\"",
            "fe80::1%eth0",
            "fe80::1%25eth0",
            "1.2.3.4:99999",
            "a.test",
        ] {
            assert_eq!(of(token), "10.0.0.1", "{token}");
            assert_eq!(of(&format!("6.6.6.6, {token}, 10.9.9.9")), "10.9.9.9", "{token}");
        }
    }
}
