//! Sockets that accept: one per address and worker, so that the kernel spreads connections and workers share
//! nothing. What comes before the first request (PROXY header, TLS) has to be done within the time for a head.

use std::future::{Future, poll_fn};
use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use rustls::ServerConfig;
use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

use super::proxy_protocol;
use super::rewind::Rewind;
use super::worker::Worker;
use super::{http1, http2, tls};
use crate::exchange::Client;
use crate::net::io::Io;
use crate::overload::Level;

/// Connections the kernel may hold for us.
const BACKLOG: i32 = 4_096;
/// How long accepting rests when the system has no descriptor left.
const EXHAUSTED: Duration = Duration::from_millis(50);

/// An address to accept requests on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListenAddress {
    pub address: SocketAddr,
    pub tls: bool,
    /// Connections begin with a PROXY header.
    pub proxy_protocol: bool,
}

/// Binds an address for one worker. All workers of one process bind the same one.
///
/// # Errors
/// Names the address and says what to do.
pub fn bind(listen: &ListenAddress) -> Result<std::net::TcpListener, String> {
    let address = listen.address;
    bind_shared(address).map_err(|error| match error.kind() {
        io::ErrorKind::AddrInUse => {
            format!("failed to listen on {address}: another process does; stop it or choose another port")
        }
        io::ErrorKind::PermissionDenied => {
            format!("failed to listen on {address}: ports below 1024 need privileges; choose a higher one")
        }
        io::ErrorKind::AddrNotAvailable => {
            format!("failed to listen on {address}: this machine has no such address")
        }
        _ => format!("failed to listen on {address}: {error}"),
    })
}

fn bind_shared(address: SocketAddr) -> io::Result<std::net::TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_reuse_address(true)?;
    #[cfg(unix)]
    socket.set_reuse_port(true)?;
    socket.set_nonblocking(true)?;
    // Linux hands it on to accepted connections. A socket that refuses still works.
    let _ = socket.set_tcp_nodelay(true);
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

/// Refuses an address that another process listens on: with shared ports binding alone would succeed, and the
/// kernel would hand half of the connections to a stranger.
pub fn ensure_free(address: SocketAddr) -> Result<(), String> {
    if address.port() == 0 {
        return Ok(());
    }
    match std::net::TcpListener::bind(address) {
        Ok(_) => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::AddrInUse => Err(format!(
            "failed to listen on {address}: another process does; stop it or choose another port"
        )),
        // Whatever else is wrong shows when the address is bound for good.
        Err(_) => Ok(()),
    }
}

/// Accepts until `closing` resolves; what waits in the kernel's queue by then is taken too.
pub async fn run(
    worker: Rc<Worker>,
    listener: TcpListener,
    listen: ListenAddress,
    tls: Arc<ServerConfig>,
    closing: impl Future<Output = ()>,
) {
    let mut closing = pin!(closing);
    let mut closed = false;
    loop {
        let accepted = poll_fn(|context| match listener.poll_accept(context) {
            Poll::Ready(accepted) => Poll::Ready(Some(accepted)),
            Poll::Pending if closed || closing.as_mut().poll(context).is_ready() => Poll::Ready(None),
            Poll::Pending => Poll::Pending,
        })
        .await;
        match accepted {
            Some(Ok((stream, peer))) => take(&worker, stream, peer, &listen, &tls),
            Some(Err(error)) if is_exhausted(&error) => {
                tracing::warn!("failed to accept a connection: {error}; raise the limit of open files");
                tokio::time::sleep(EXHAUSTED).await;
            }
            // A connection that was gone before we took it is nobody's loss.
            Some(Err(_)) => {}
            // Once more, for what arrived in the meantime.
            None if !closed => closed = true,
            None => return,
        }
    }
}

/// Too many open files, in this process or in the system.
fn is_exhausted(error: &io::Error) -> bool {
    const EMFILE: i32 = 24;
    const ENFILE: i32 = 23;
    matches!(error.raw_os_error(), Some(EMFILE | ENFILE))
}

fn take(
    worker: &Rc<Worker>,
    stream: TcpStream,
    peer: SocketAddr,
    listen: &ListenAddress,
    tls: &Arc<ServerConfig>,
) {
    worker.counters.connections_accepted.add(1);
    let full = worker.counters.connections_open.get() >= worker.settings.connection_limits.open;
    if full || worker.overload.level() >= Level::Connections {
        worker.counters.connections_refused.add(1);
        return;
    }
    let local = if listen.address.ip().is_unspecified() {
        stream.local_addr().unwrap_or(listen.address)
    } else {
        listen.address
    };
    if cfg!(not(target_os = "linux")) {
        let _ = stream.set_nodelay(true);
    }
    worker.counters.connections_open.add(1);
    let open = Open(Rc::clone(worker));
    let (worker, listen, tls) = (Rc::clone(worker), listen.clone(), Arc::clone(tls));
    tokio::task::spawn_local(async move {
        serve(worker, stream, Client::new(peer, local), &listen, tls).await;
        drop(open);
    });
}

/// Counts a connection as open until it is dropped.
struct Open(Rc<Worker>);

impl Drop for Open {
    fn drop(&mut self) {
        self.0.counters.connections_open.subtract(1);
    }
}

async fn serve(
    worker: Rc<Worker>,
    mut stream: TcpStream,
    mut client: Client,
    listen: &ListenAddress,
    config: Arc<ServerConfig>,
) {
    // One deadline for everything up to the end of the first request's head.
    let deadline = worker.deadlines.register();
    deadline.set_idle(worker.settings.timeouts.head_ms);
    if listen.proxy_protocol {
        if !worker.settings.trust.lets_introduce(client.peer.ip()) {
            return;
        }
        match deadline.cut_off(proxy_protocol::read(&mut stream)).await {
            Ok(Some(header)) => client.introduced(header),
            _ => return,
        }
    }
    if !listen.tls {
        return http1::serve(worker, Io::Tcp(stream), client, deadline).await;
    }
    let mut first = [0];
    let Ok(Ok(1)) = deadline.cut_off(stream.peek(&mut first)).await else { return };
    // A TLS handshake begins with 22; a letter is HTTP in clear, which deserves an answer.
    if first[0].is_ascii_uppercase() {
        return Box::pin(http1::refuse_clear_text(worker, Io::Tcp(stream), client, deadline)).await;
    }
    // In boxes, as all that is over soon or seldom begun: every open connection keeps the room for the rest.
    let handshake = Box::pin(TlsAcceptor::from(config).accept(stream));
    let Ok(Ok(stream)) = deadline.cut_off(handshake).await else { return };
    client.tls = Some(Arc::new(tls::describe(&stream)));
    client.secure = true;
    let speaks_http2 = stream.get_ref().1.alpn_protocol() == Some(b"h2");
    let io = Io::Accepted(Box::new(stream));
    if speaks_http2 {
        Box::pin(http2::serve(worker, Rewind::new(Vec::new(), io), client)).await;
    } else {
        http1::serve(worker, io, client, deadline).await;
    }
}

impl Client {
    /// Takes over what a PROXY header says.
    fn introduced(&mut self, header: proxy_protocol::Header) {
        if let (Some(source), Some(destination)) = (header.source, header.destination) {
            *self = Client::new(source, destination);
        }
    }
}
