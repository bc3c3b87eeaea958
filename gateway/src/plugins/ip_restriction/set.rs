//! A set of addresses given as single ones and networks: disjoint ranges in order, found by bisection.
//!
//! An IPv4 address that is written as IPv6 (`::ffff:10.0.0.1`, or a network of such with /96 and more) means
//! the IPv4 address, in the list as well as asked for. `::/0` is every IPv6 address and no IPv4 one.

use std::net::{IpAddr, Ipv6Addr};

/// The set.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AddressSet {
    v4: Ranges,
    v6: Ranges,
}

/// First and last address of each range, ascending, with a gap between any two.
type Ranges = Vec<(u128, u128)>;

impl AddressSet {
    /// Reads addresses and networks; bits behind a network's prefix are ignored.
    pub fn parse<T: AsRef<str>>(entries: &[T]) -> Result<AddressSet, String> {
        let mut set = AddressSet::default();
        for entry in entries {
            let (v4, range) = range(entry.as_ref())?;
            if v4 { set.v4.push(range) } else { set.v6.push(range) }
        }
        join(&mut set.v4);
        join(&mut set.v6);
        Ok(set)
    }

    pub fn contains(&self, address: IpAddr) -> bool {
        let (ranges, number) = match address.to_canonical() {
            IpAddr::V4(address) => (&self.v4, u128::from(address.to_bits())),
            IpAddr::V6(address) => (&self.v6, address.to_bits()),
        };
        let after = ranges.partition_point(|(first, _)| *first <= number);
        after > 0 && number <= ranges[after - 1].1
    }

    pub fn is_empty(&self) -> bool {
        self.v4.is_empty() && self.v6.is_empty()
    }
}

/// Whether it is IPv4, and its first and last address.
fn range(entry: &str) -> Result<(bool, (u128, u128)), String> {
    let invalid = || format!("invalid ip or cidr range: '{entry}'");
    let (address, prefix) = match entry.split_once('/') {
        None => (entry, None),
        Some((address, prefix)) => (address, Some(prefix)),
    };
    let address: IpAddr = address.parse().map_err(|_| invalid())?;
    let bits: u8 = if address.is_ipv4() { 32 } else { 128 };
    let prefix = match prefix {
        None => bits,
        Some(digits) if digits.bytes().all(|byte| byte.is_ascii_digit()) => {
            digits.parse().ok().filter(|prefix| *prefix <= bits).ok_or_else(invalid)?
        }
        Some(_) => return Err(invalid()),
    };
    Ok(match address {
        IpAddr::V4(address) => (true, network(u128::from(address.to_bits()), 32, prefix)),
        IpAddr::V6(address) => match mapped(address, prefix) {
            Some(range) => (true, range),
            None => (false, network(address.to_bits(), 128, prefix)),
        },
    })
}

fn mapped(address: Ipv6Addr, prefix: u8) -> Option<(u128, u128)> {
    let address = address.to_ipv4_mapped().filter(|_| prefix >= 96)?;
    Some(network(u128::from(address.to_bits()), 32, prefix - 96))
}

fn network(address: u128, bits: u8, prefix: u8) -> (u128, u128) {
    let ones = |count: u8| u128::MAX.checked_shr(128 - u32::from(count)).unwrap_or_default();
    let host = ones(bits - prefix);
    (address & !host, address | host)
}

/// Sorts, and makes one range of those that overlap or touch.
fn join(ranges: &mut Ranges) {
    ranges.sort_unstable();
    ranges.dedup_by(|(first, last), (_, joined)| {
        let touches = *first <= joined.saturating_add(1);
        if touches {
            *joined = (*joined).max(*last);
        }
        touches
    });
    ranges.shrink_to_fit();
}

#[cfg(test)]
mod tests {
    use ipnet::IpNet;
    use proptest::prelude::*;

    use super::*;

    fn set(entries: &[&str]) -> AddressSet {
        AddressSet::parse(entries).unwrap()
    }

    fn has(set: &AddressSet, address: &str) -> bool {
        set.contains(address.parse().unwrap())
    }

    #[test]
    fn networks_addresses_and_families() {
        let set = set(&["10.0.0.77/8", "192.168.1.1", "2001:db8::/32", "::ffff:172.16.0.0/108"]);
        for inside in ["10.255.255.255", "192.168.1.1", "2001:db8:ffff::1", "172.16.5.5", "::ffff:10.1.2.3"] {
            assert!(has(&set, inside), "{inside}");
        }
        for outside in ["11.0.0.0", "9.255.255.255", "192.168.1.2", "2001:db9::", "172.32.0.0", "::10.0.0.1"]
        {
            assert!(!has(&set, outside), "{outside}");
        }
    }

    #[test]
    fn everything_of_one_family_is_nothing_of_the_other() {
        let (all4, all6) = (set(&["0.0.0.0/0"]), set(&["::/0"]));
        for v4 in ["0.0.0.0", "255.255.255.255", "127.0.0.1", "::ffff:127.0.0.1"] {
            assert!(has(&all4, v4) && !has(&all6, v4), "{v4}");
        }
        for v6 in ["::", "::1", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "64:ff9b::a00:1"] {
            assert!(!has(&all4, v6) && has(&all6, v6), "{v6}");
        }
    }

    #[test]
    fn what_is_no_address_is_named() {
        for bad in [
            "",
            "foo",
            "1.2.3",
            "1.2.3.4/33",
            "1.2.3.4/-1",
            "1.2.3.4/+8",
            "1.2.3.4/",
            "::1/129",
            "256.1.1.1",
            "1.2.3.4-1.2.3.9",
            "*",
            "fe80::1%eth0",
            "0177.0.0.1",
            " 1.2.3.4",
            "1.2.3.4/8/8",
            "1.2.3.4/256",
        ] {
            assert_eq!(AddressSet::parse(&[bad]), Err(format!("invalid ip or cidr range: '{bad}'")));
        }
    }

    #[test]
    fn touching_ranges_become_one() {
        let joined = set(&["10.0.0.0/25", "10.0.0.128/25", "10.0.0.7", "10.0.1.0/24"]);
        assert_eq!(joined, set(&["10.0.0.0/23"]));
        assert_eq!(joined.v4.len(), 1);
    }

    fn entry() -> impl Strategy<Value = String> {
        // Few distinct bits, so that networks meet.
        let v4 = (any::<[bool; 4]>(), 0u8..=32).prop_map(|(bits, prefix)| {
            let octets = bits.map(|bit| if bit { 129 } else { 1 });
            format!("{}/{prefix}", std::net::Ipv4Addr::from(octets))
        });
        let v6 = (any::<[bool; 8]>(), 0u8..=128).prop_map(|(bits, prefix)| {
            let groups = bits.map(|bit| if bit { 0x8001 } else { 1 });
            format!("{}/{prefix}", Ipv6Addr::from(groups))
        });
        prop_oneof![v4, v6]
    }

    proptest! {
        #[test]
        fn agrees_with_looking_at_every_network(entries in prop::collection::vec(entry(), 0..12), asked in entry()) {
            let set = AddressSet::parse(&entries).unwrap();
            let networks: Vec<IpNet> = entries.iter().map(|entry| entry.parse().unwrap()).collect();
            let asked: IpNet = asked.parse().unwrap();
            for address in [asked.network(), asked.addr(), asked.broadcast()] {
                prop_assert_eq!(set.contains(address), networks.iter().any(|network| network.contains(&address)));
            }
            for ranges in [&set.v4, &set.v6] {
                prop_assert!(ranges.windows(2).all(|pair| pair[0].1 + 1 < pair[1].0));
            }
        }
    }
}
