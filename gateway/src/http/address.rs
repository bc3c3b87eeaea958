//! IP addresses as they stand in header lines and logs.

use std::io::Write;
use std::net::IpAddr;

/// Appends an address in its usual form; IPv4 in IPv6 as IPv4.
pub fn write(out: &mut Vec<u8>, address: IpAddr) {
    match address.to_canonical() {
        IpAddr::V4(address) => {
            let [first, rest @ ..] = address.octets();
            octet(out, first);
            for next in rest {
                out.push(b'.');
                octet(out, next);
            }
        }
        IpAddr::V6(address) => {
            // Writing to a vector can't fail.
            let _ = write!(out, "{address}");
        }
    }
}

fn octet(out: &mut Vec<u8>, value: u8) {
    if value >= 100 {
        out.push(b'0' + value / 100);
    }
    if value >= 10 {
        out.push(b'0' + value / 10 % 10);
    }
    out.push(b'0' + value % 10);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_octet_and_both_families_are_written_as_usual() {
        let octets = (0..=255).map(|octet| IpAddr::from([octet, 9, 10, 255 - octet]));
        let others = ["::1", "2001:db8::7"].map(|text| text.parse().unwrap());
        for address in octets.chain(others) {
            let mut out = Vec::new();
            write(&mut out, address);
            assert_eq!(String::from_utf8(out).unwrap(), address.to_string());
        }
        let mut out = Vec::new();
        write(&mut out, "::ffff:10.0.0.1".parse().unwrap());
        assert_eq!(out, b"10.0.0.1");
    }
}
