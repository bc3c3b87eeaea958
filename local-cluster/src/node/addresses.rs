//! The addresses of one cluster on this machine.
//!
//! On Linux all of 127.0.0.0/8 is there without asking. A cluster takes a block `127.N.0.0/16` for itself and
//! proves it by listening on the block's first address: the kernel frees that when the process ends, however
//! it ends, so clusters side by side never meet and nothing has to be cleaned up. Elsewhere there is only
//! 127.0.0.1, and everything shares it (see `port_map`).

use std::collections::BTreeSet;
use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};

use parking_lot::Mutex;

/// The port of the block's first address that says whose the block is.
const CLAIM_PORT: u16 = 17_071;

/// Whether pods have addresses of their own.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Sharing {
    /// If the system has them.
    #[default]
    Automatic,
    /// All share 127.0.0.1, also where they need not.
    Shared,
}

/// What an address is for; each use has a part of the block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Use {
    /// Cluster addresses of Services: 127.N.64.0 to 127.N.127.255.
    Service,
    /// What a load balancer shows to clients: 127.N.32.0 to 127.N.63.255.
    LoadBalancer,
    /// 127.N.128.0 to 127.N.255.255.
    Pod,
}

#[derive(Debug)]
pub(crate) struct Addresses {
    /// The second number of the block; `None` when 127.0.0.1 is shared.
    block: Option<u8>,
    _claim: Option<TcpListener>,
    taken: Mutex<Taken>,
}

#[derive(Debug, Default)]
struct Taken {
    addresses: BTreeSet<Ipv4Addr>,
    /// Where the search for the next one begins, so that a freed address rests before it is used again.
    next: [u16; 3],
}

impl Addresses {
    /// # Errors
    /// When every block is in use.
    pub(crate) fn claim(sharing: Sharing) -> io::Result<Addresses> {
        let shared = Addresses { block: None, _claim: None, taken: Mutex::default() };
        if sharing == Sharing::Shared {
            return Ok(shared);
        }
        // Below 16 are the addresses that people and distributions use by hand.
        let mut blocks: Vec<u8> = (16..=254).collect();
        fastrand::shuffle(&mut blocks);
        for block in blocks {
            match TcpListener::bind((Ipv4Addr::new(127, block, 0, 1), CLAIM_PORT)) {
                Ok(claim) => return Ok(Addresses { block: Some(block), _claim: Some(claim), ..shared }),
                Err(error) if error.kind() == io::ErrorKind::AddrInUse => {}
                Err(error) if error.kind() == io::ErrorKind::AddrNotAvailable => return Ok(shared),
                Err(error) => return Err(error),
            }
        }
        Err(io::Error::new(
            io::ErrorKind::AddrInUse,
            format!("every block 127.16.0.0/16 to 127.254.0.0/16 has port {CLAIM_PORT} in use"),
        ))
    }

    pub(crate) fn is_shared(&self) -> bool {
        self.block.is_none()
    }

    /// The address of the node itself.
    pub(crate) fn node(&self) -> Ipv4Addr {
        self.block.map_or(Ipv4Addr::LOCALHOST, |block| Ipv4Addr::new(127, block, 0, 1))
    }

    /// The address of the name server.
    pub(crate) fn name_server(&self) -> Ipv4Addr {
        self.block.map_or(Ipv4Addr::LOCALHOST, |block| Ipv4Addr::new(127, block, 0, 10))
    }

    /// An address that nobody else has until it is released; 127.0.0.1 for everybody where it is shared.
    /// `None` when all are taken.
    pub(crate) fn take(&self, purpose: Use) -> Option<Ipv4Addr> {
        let Some(block) = self.block else { return Some(Ipv4Addr::LOCALHOST) };
        let (first, count) = purpose.range();
        let mut taken = self.taken.lock();
        let start = taken.next[purpose as usize];
        for step in 0..count {
            let offset = (start + step) % count;
            let [third, fourth] = (first + offset).to_be_bytes();
            // The first and the last of each 256 look like the network and the broadcast address.
            if fourth == 0 || fourth == 255 {
                continue;
            }
            let address = Ipv4Addr::new(127, block, third, fourth);
            if taken.addresses.insert(address) {
                taken.next[purpose as usize] = (offset + 1) % count;
                return Some(address);
            }
        }
        None
    }

    /// Takes this very address, if it is free and for this use.
    pub(crate) fn take_this(&self, purpose: Use, address: Ipv4Addr) -> bool {
        let Some(block) = self.block else { return address == Ipv4Addr::LOCALHOST };
        let [_, second, third, fourth] = address.octets();
        let (first, count) = purpose.range();
        let number = u16::from_be_bytes([third, fourth]);
        address.is_loopback()
            && second == block
            && (first..=first + (count - 1)).contains(&number)
            && self.taken.lock().addresses.insert(address)
    }

    pub(crate) fn release(&self, address: Ipv4Addr) {
        self.taken.lock().addresses.remove(&address);
    }

    /// A port of `address` that was free a moment ago.
    pub(crate) fn free_port(address: Ipv4Addr) -> io::Result<u16> {
        TcpListener::bind(SocketAddr::new(address.into(), 0))?.local_addr().map(|address| address.port())
    }
}

impl Use {
    /// The first of its addresses and how many there are, as the lower half of the address.
    fn range(self) -> (u16, u16) {
        match self {
            Use::Service => (64 << 8, 64 << 8),
            Use::LoadBalancer => (32 << 8, 32 << 8),
            Use::Pod => (128 << 8, 127 << 8),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_clusters_never_have_the_same_block() {
        let (one, two) = (Addresses::claim(Sharing::Automatic), Addresses::claim(Sharing::Automatic));
        let (one, two) = (one.unwrap(), two.unwrap());
        if one.is_shared() {
            eprintln!("skipped: this system has no loopback addresses but 127.0.0.1");
            return;
        }
        assert_ne!(one.node(), two.node());
    }

    #[test]
    fn an_address_is_taken_once_and_rests_when_freed() {
        let addresses = Addresses { block: Some(99), _claim: None, taken: Mutex::default() };
        let first = addresses.take(Use::Pod).unwrap();
        assert_eq!(first, Ipv4Addr::new(127, 99, 128, 1));
        addresses.release(first);
        assert_eq!(addresses.take(Use::Pod), Some(Ipv4Addr::new(127, 99, 128, 2)));
        assert_eq!(addresses.take(Use::Service), Some(Ipv4Addr::new(127, 99, 64, 1)));
        assert!(addresses.take_this(Use::Service, Ipv4Addr::new(127, 99, 64, 9)));
        assert!(!addresses.take_this(Use::Service, Ipv4Addr::new(127, 99, 64, 9)), "taken");
        assert!(!addresses.take_this(Use::Service, Ipv4Addr::new(127, 98, 64, 9)), "not ours");
        assert!(!addresses.take_this(Use::Service, Ipv4Addr::new(127, 99, 128, 9)), "a pod's");
    }

    #[test]
    fn a_block_has_an_end() {
        let addresses = Addresses { block: Some(99), _claim: None, taken: Mutex::default() };
        let all = std::iter::from_fn(|| addresses.take(Use::LoadBalancer)).count();
        assert_eq!(all, 32 * 254);
    }

    #[test]
    fn shared_is_always_the_same() {
        let addresses = Addresses::claim(Sharing::Shared).unwrap();
        assert_eq!(
            (addresses.take(Use::Pod), addresses.take(Use::Pod)),
            (Some(Ipv4Addr::LOCALHOST), Some(Ipv4Addr::LOCALHOST))
        );
    }
}
