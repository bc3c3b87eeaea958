//! Idle connections to targets, one pool per worker. The one used last is used next, so that a quiet pool
//! shrinks; asking whether one is still good costs no system call.

use std::cell::RefCell;
use std::net::SocketAddr;

use foldhash::HashMap;

use crate::net::wire::Wire;

/// Which connections are interchangeable.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Destination {
    pub address: SocketAddr,
    /// 0 without TLS, else a number that stands for the server name and the way it is verified.
    pub tls: u64,
}

/// How many connections are kept, and how long.
#[derive(Debug, Clone, Copy)]
pub struct PoolLimits {
    /// Per destination and worker.
    pub idle: usize,
    pub idle_ms: u64,
    /// Requests over one connection.
    pub requests: u32,
}

/// One worker's idle connections.
pub struct Pool {
    #[expect(clippy::vec_box, reason = "they come in boxes and leave in them")]
    idle: RefCell<HashMap<Destination, Vec<Box<Connection>>>>,
    limits: PoolLimits,
}

/// A connection to a target.
pub struct Connection {
    pub wire: Wire,
    pub destination: Destination,
    /// Requests it has carried, the present one included.
    pub requests: u32,
    idle_since_ms: u64,
}

impl Connection {
    /// A new one.
    pub fn new(wire: Wire, destination: Destination) -> Box<Connection> {
        Box::new(Connection { wire, destination, requests: 1, idle_since_ms: 0 })
    }
}

impl Default for PoolLimits {
    fn default() -> Self {
        PoolLimits { idle: 512, idle_ms: 60_000, requests: 10_000 }
    }
}

impl Pool {
    pub fn new(limits: PoolLimits) -> Pool {
        Pool { idle: RefCell::default(), limits }
    }

    /// A live connection, if there is one.
    pub fn take(&self, destination: Destination) -> Option<Box<Connection>> {
        let mut all = self.idle.borrow_mut();
        let idle = all.get_mut(&destination)?;
        while let Some(mut connection) = idle.pop() {
            if !connection.wire.io().is_stale() {
                connection.requests += 1;
                return Some(connection);
            }
        }
        None
    }

    /// Keeps a connection for later, unless it has done its share or there are enough.
    pub fn put(&self, mut connection: Box<Connection>, now_ms: u64) {
        if !connection.wire.is_clean() || connection.requests >= self.limits.requests {
            return;
        }
        let mut all = self.idle.borrow_mut();
        let idle = all.entry(connection.destination).or_default();
        if idle.len() < self.limits.idle {
            connection.wire.shrink();
            connection.idle_since_ms = now_ms;
            idle.push(connection);
        }
    }

    /// Closes what has been idle too long, or was closed by the other side.
    pub fn evict(&self, now_ms: u64) {
        self.idle.borrow_mut().retain(|_, idle| {
            idle.retain(|one| {
                now_ms.saturating_sub(one.idle_since_ms) < self.limits.idle_ms && !one.wire.io().is_stale()
            });
            !idle.is_empty()
        });
    }

    /// How many connections are idle.
    pub fn len(&self) -> usize {
        self.idle.borrow().values().map(Vec::len).sum()
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

#[cfg(test)]
mod tests {
    use tokio::net::{TcpListener, TcpStream};

    use super::*;
    use crate::net::io::Io;

    #[tokio::test]
    async fn the_last_one_in_is_the_first_out_and_closed_ones_are_skipped() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let destination = Destination { address, tls: 0 };
        let pool = Pool::new(PoolLimits { idle: 2, idle_ms: 100, requests: 5 });
        let mut others = Vec::new();
        for requests in [1, 2, 3] {
            let wire = Wire::new(Io::Tcp(TcpStream::connect(address).await.unwrap()));
            others.push(listener.accept().await.unwrap().0);
            let mut connection = Connection::new(wire, destination);
            connection.requests = requests;
            pool.put(connection, 0);
        }
        assert_eq!(pool.len(), 2, "the third is over the limit");
        let second = pool.take(destination).unwrap();
        assert_eq!(second.requests, 3);
        drop(others.remove(0));
        // The reactor has to see the end first.
        second.wire.io().tcp().writable().await.unwrap();
        tokio::time::timeout(std::time::Duration::from_secs(5), async {
            while !pool.is_empty() {
                pool.evict(0);
                tokio::task::yield_now().await;
            }
        })
        .await
        .unwrap();
        assert!(pool.take(destination).is_none());
    }
}
