//! Passing TCP connections on to the pods behind a Service.
//!
//! A pod sees the client's own address: the connection to it is made from the address of the client, which on
//! Linux any process may do within 127.0.0.0/8. Where that fails the pod sees this machine's address.
//! Half-closed directions, resets and slow readers are passed on as they are. A connection stays with its pod
//! until one of the two ends it, whatever becomes of the Service.

use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::io::copy_bidirectional_with_sizes;
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;

/// Bytes on their way in each direction of a connection.
const BUFFER: usize = 32 * 1024;
/// A pod that doesn't take a connection by then is passed over.
const CONNECT_LIMIT: Duration = Duration::from_secs(3);
/// Clients remembered for session affinity.
const REMEMBERED: usize = 10_000;

/// Connections passed on at a time, in the whole cluster; more wait to be accepted.
pub(super) const CONNECTIONS: usize = 4096;

/// Where connections go.
#[derive(Debug, Default)]
pub(super) struct Targets {
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    addresses: Vec<SocketAddr>,
    next: usize,
    /// How long a client stays with its pod after its last connection.
    affinity: Option<Duration>,
    clients: HashMap<IpAddr, (SocketAddr, Instant)>,
}

impl Targets {
    pub(super) fn set(&self, addresses: Vec<SocketAddr>, affinity: Option<Duration>) {
        let mut inner = self.inner.lock();
        if affinity.is_none() {
            inner.clients.clear();
        }
        inner.affinity = affinity;
        inner.addresses = addresses;
    }

    /// All targets in the order in which they should be tried: the client's own pod first, else in turn.
    fn order(&self, client: IpAddr) -> Vec<SocketAddr> {
        let mut inner = self.inner.lock();
        let count = inner.addresses.len();
        if count == 0 {
            return Vec::new();
        }
        let mut order = inner.addresses.clone();
        order.rotate_left(inner.next % count);
        inner.next = (inner.next + 1) % count;
        let own = inner.affinity.and_then(|affinity| {
            let (target, last) = inner.clients.get(&client)?;
            (last.elapsed() < affinity).then_some(*target)
        });
        if let Some(at) = own.and_then(|own| order.iter().position(|target| *target == own)) {
            order[..=at].rotate_right(1);
        }
        order
    }

    fn remember(&self, client: IpAddr, target: SocketAddr) {
        let mut inner = self.inner.lock();
        if inner.affinity.is_none() {
            return;
        }
        if inner.clients.len() >= REMEMBERED {
            inner.clients.clear();
        }
        inner.clients.insert(client, (target, Instant::now()));
    }
}

/// Takes connections at one address until dropped; those it has passed on go on.
#[derive(Debug)]
pub(super) struct Forwarder {
    pub(super) address: SocketAddr,
    task: JoinHandle<()>,
}

impl Forwarder {
    /// Must be called within a tokio runtime. `end` ends the connections too.
    pub(super) fn listen(
        address: SocketAddr,
        targets: Arc<Targets>,
        room: Arc<Semaphore>,
        end: CancellationToken,
    ) -> io::Result<Forwarder> {
        let listener = std::net::TcpListener::bind(address)?;
        listener.set_nonblocking(true)?;
        let listener = TcpListener::from_std(listener)?;
        let address = listener.local_addr()?;
        let task = tokio::spawn(accept(listener, targets, room, end));
        Ok(Forwarder { address, task })
    }
}

impl Drop for Forwarder {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn accept(listener: TcpListener, targets: Arc<Targets>, room: Arc<Semaphore>, end: CancellationToken) {
    loop {
        let Ok(place) = Arc::clone(&room).acquire_owned().await else { return };
        match listener.accept().await {
            Ok((client, peer)) => {
                let (targets, end) = (Arc::clone(&targets), end.clone());
                tokio::spawn(async move {
                    end.run_until_cancelled(forward(client, peer, &targets)).await;
                    drop(place);
                });
            }
            Err(error) => {
                // Mostly out of file descriptors; others give theirs back.
                tracing::warn!("failed to accept a connection: {error}");
                sleep(Duration::from_millis(100)).await;
            }
        }
    }
}

async fn forward(mut client: TcpStream, peer: SocketAddr, targets: &Targets) {
    let mut server = None;
    for target in targets.order(peer.ip()) {
        if let Ok(Ok(stream)) = timeout(CONNECT_LIMIT, connect(peer.ip(), target)).await {
            targets.remember(peer.ip(), target);
            server = Some(stream);
            break;
        }
    }
    let Some(mut server) = server else {
        // As near as an accepted connection comes to a refused one.
        let _ = client.set_zero_linger();
        return;
    };
    let _ = (client.set_nodelay(true), server.set_nodelay(true));
    if copy_bidirectional_with_sizes(&mut client, &mut server, BUFFER, BUFFER).await.is_err() {
        // One side was reset: the other learns it the same way, not as an orderly end.
        let _ = (client.set_zero_linger(), server.set_zero_linger());
    }
}

/// Connects from the client's address if that is one of this machine.
async fn connect(client: IpAddr, target: SocketAddr) -> io::Result<TcpStream> {
    if client.is_loopback() && client.is_ipv4() == target.is_ipv4() {
        let socket = if client.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
        choose_port_when_connecting(&socket);
        if socket.bind(SocketAddr::new(client, 0)).is_ok() {
            match socket.connect(target).await {
                Err(error) if error.kind() == io::ErrorKind::AddrNotAvailable => {}
                connected => return connected,
            }
        }
    }
    TcpStream::connect(target).await
}

/// Otherwise each connection would take a port of the client's address for itself alone.
#[cfg(target_os = "linux")]
fn choose_port_when_connecting(socket: &TcpSocket) {
    use nix::sys::socket::{setsockopt, sockopt::IpBindAddressNoPort};
    let _ = setsockopt(socket, IpBindAddressNoPort, &true);
}

#[cfg(not(target_os = "linux"))]
fn choose_port_when_connecting(_: &TcpSocket) {}

#[cfg(test)]
mod tests;
