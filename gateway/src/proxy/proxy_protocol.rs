//! The PROXY protocol, versions 1 and 2: a load balancer in front says who the client is before the first byte
//! of the request (HAProxy's proxy-protocol.txt). Only read where a listener is told to expect it; there a
//! connection without it is refused, because anybody could otherwise claim to be anybody.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use tokio::io::{AsyncRead, AsyncReadExt};

const SIGNATURE: &[u8; 12] = b"\r\n\r\n\0\r\nQUIT\n";
/// Longest line of version 1, CRLF included.
const LONGEST_LINE: usize = 107;
/// Longest header of version 2 that is accepted; TLVs beyond it are nobody's.
const LONGEST_HEADER: usize = 16 + 1_024;

/// A complete header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header {
    /// How many bytes it took.
    pub length: usize,
    /// The client, unless the balancer speaks for itself (health checks).
    pub source: Option<SocketAddr>,
    pub destination: Option<SocketAddr>,
}

/// The bytes are no PROXY header.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the connection does not begin with a PROXY header")]
pub struct NotProxy;

/// Reads a header from a connection and not a byte more. `None` when it has none.
pub async fn read(stream: &mut (impl AsyncRead + Unpin)) -> Option<Header> {
    let mut bytes = vec![0; SIGNATURE.len()];
    stream.read_exact(&mut bytes).await.ok()?;
    loop {
        let known = bytes.len();
        match parse(&bytes).ok()? {
            Some(header) => return Some(header),
            None if bytes[..12] == SIGNATURE[..] && known >= 16 => {
                let body = usize::from(u16::from_be_bytes([bytes[14], bytes[15]]));
                bytes.resize(16 + body, 0);
            }
            None if bytes[..12] == SIGNATURE[..] => bytes.resize(16, 0),
            // Version 1 says nowhere how long it is, so it is read byte by byte.
            None => bytes.resize(known + 1, 0),
        }
        stream.read_exact(&mut bytes[known..]).await.ok()?;
    }
}

/// Judges the beginning of a connection; `None` when more bytes are needed.
pub fn parse(bytes: &[u8]) -> Result<Option<Header>, NotProxy> {
    let common = bytes.len().min(SIGNATURE.len());
    if bytes[..common] == SIGNATURE[..common] {
        return if common < SIGNATURE.len() { Ok(None) } else { version2(bytes) };
    }
    version1(bytes)
}

fn version1(bytes: &[u8]) -> Result<Option<Header>, NotProxy> {
    let common = bytes.len().min(6);
    if bytes[..common] != b"PROXY "[..common] {
        return Err(NotProxy);
    }
    let Some(end) = bytes.iter().take(LONGEST_LINE).position(|byte| *byte == b'\n') else {
        return if bytes.len() < LONGEST_LINE { Ok(None) } else { Err(NotProxy) };
    };
    let line = bytes[..end].strip_suffix(b"\r").ok_or(NotProxy)?;
    let line = std::str::from_utf8(line).map_err(|_| NotProxy)?;
    let words: Vec<&str> = line.split(' ').collect();
    let length = end + 1;
    let address = |ip: &str, port: &str, wants_v4: bool| {
        let ip: IpAddr = ip.parse().ok()?;
        (ip.is_ipv4() == wants_v4).then_some(SocketAddr::new(ip, port.parse().ok()?))
    };
    match words[..] {
        ["PROXY", "UNKNOWN", ..] => Ok(Some(Header { length, source: None, destination: None })),
        ["PROXY", family @ ("TCP4" | "TCP6"), from, to, from_port, to_port] => {
            let v4 = family == "TCP4";
            let source = address(from, from_port, v4).ok_or(NotProxy)?;
            let destination = address(to, to_port, v4).ok_or(NotProxy)?;
            Ok(Some(Header { length, source: Some(source), destination: Some(destination) }))
        }
        _ => Err(NotProxy),
    }
}

fn version2(bytes: &[u8]) -> Result<Option<Header>, NotProxy> {
    let Some(fixed) = bytes.get(..16) else { return Ok(None) };
    let (command, family) = (fixed[12], fixed[13]);
    let length = 16 + usize::from(u16::from_be_bytes([fixed[14], fixed[15]]));
    if command >> 4 != 2 || length > LONGEST_HEADER {
        return Err(NotProxy);
    }
    let Some(body) = bytes.get(16..length) else { return Ok(None) };
    let nobody = Header { length, source: None, destination: None };
    let port = |at: usize| Some(u16::from_be_bytes([*body.get(at)?, *body.get(at + 1)?]));
    match (command & 15, family) {
        (0, _) => Ok(Some(nobody)),
        (1, 0x11) => {
            let ip = |at: usize| {
                let octets: [u8; 4] = body.get(at..at + 4)?.try_into().ok()?;
                Some(IpAddr::from(Ipv4Addr::from(octets)))
            };
            pair(length, ip(0), ip(4), port(8), port(10))
        }
        (1, 0x21) => {
            let ip = |at: usize| {
                let octets: [u8; 16] = body.get(at..at + 16)?.try_into().ok()?;
                Some(IpAddr::from(Ipv6Addr::from(octets)))
            };
            pair(length, ip(0), ip(16), port(32), port(34))
        }
        // Other families carry no address that means something here.
        (1, _) => Ok(Some(nobody)),
        _ => Err(NotProxy),
    }
}

fn pair(
    length: usize,
    from: Option<IpAddr>,
    to: Option<IpAddr>,
    from_port: Option<u16>,
    to_port: Option<u16>,
) -> Result<Option<Header>, NotProxy> {
    let address = |ip: Option<IpAddr>, port: Option<u16>| Some(SocketAddr::new(ip?, port?));
    let source = address(from, from_port).ok_or(NotProxy)?;
    let destination = address(to, to_port).ok_or(NotProxy)?;
    Ok(Some(Header { length, source: Some(source), destination: Some(destination) }))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn v2(family: u8, body: &[u8]) -> Vec<u8> {
        let mut bytes = SIGNATURE.to_vec();
        bytes.extend([0x21, family]);
        bytes.extend((body.len() as u16).to_be_bytes());
        bytes.extend(body);
        bytes
    }

    #[test]
    fn version_1() {
        let bytes = b"PROXY TCP4 192.0.2.1 198.51.100.1 5000 80\r\nGET /";
        let header = parse(bytes).unwrap().unwrap();
        assert_eq!(header.length, bytes.len() - 5);
        assert_eq!(header.source, Some("192.0.2.1:5000".parse().unwrap()));
        for cut in 0..header.length {
            assert_eq!(parse(&bytes[..cut]), Ok(None), "{cut}");
        }
        assert_eq!(parse(b"PROXY UNKNOWN\r\n").unwrap().unwrap().source, None);
        for wrong in ["GET / HTTP/1.1\r\n", "PROXY TCP4 ::1 ::1 1 2\r\n", "PROXY TCP4 1.1.1.1 1.1.1.1 1\r\n"]
        {
            assert_eq!(parse(wrong.as_bytes()), Err(NotProxy), "{wrong}");
        }
    }

    #[test]
    fn version_2() {
        let bytes = v2(0x11, &[192, 0, 2, 1, 198, 51, 100, 1, 0x13, 0x88, 0, 80]);
        let header = parse(&bytes).unwrap().unwrap();
        assert_eq!(header.source, Some("192.0.2.1:5000".parse().unwrap()));
        assert_eq!(header.length, bytes.len());
        for cut in 0..bytes.len() {
            assert_eq!(parse(&bytes[..cut]), Ok(None), "{cut}");
        }
        assert_eq!(parse(&v2(0x11, &[1, 2])), Err(NotProxy));
        assert_eq!(parse(&v2(0, &[])).unwrap().unwrap().source, None);
        assert_eq!(parse(&v2(0x11, &[0; 2_000])), Err(NotProxy));
    }

    #[tokio::test]
    async fn reading_stops_at_the_end_of_the_header() {
        for header in [
            b"PROXY TCP4 192.0.2.1 198.51.100.1 5000 80\r\n".to_vec(),
            v2(0x11, &[192, 0, 2, 1, 198, 51, 100, 1, 0x13, 0x88, 0, 80]),
        ] {
            let bytes = [&header[..], b"GET / HTTP/1.1"].concat();
            let mut rest = &bytes[..];
            assert_eq!(read(&mut rest).await.unwrap().source, Some("192.0.2.1:5000".parse().unwrap()));
            assert_eq!(rest, b"GET / HTTP/1.1");
        }
        assert_eq!(read(&mut &b"GET / HTTP/1.1\r\n\r\n"[..]).await, None);
    }

    proptest! {
        #[test]
        fn any_bytes_are_judged(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            if let Ok(Some(header)) = parse(&bytes) {
                prop_assert!(header.length <= bytes.len());
            }
        }
    }
}
