//! A listening socket, its connections, and how they end. HTTP/1.1 and
//! cleartext HTTP/2 share the port; which it is, the first bytes tell.
//!
//! Stopping is graceful: connections that are made already get their first
//! answer, idle ones close, exchanges under way finish, and what is left at the
//! deadline is cut off and counted.
//! A client that leaves ends its exchange, so that nothing waits out a delay
//! for nobody; one that closes only its half counts as leaving. Deliberately
//! absent are time limits on clients: like Go's server in the article, an echo
//! waits for a slow client as long as it takes.

use std::{
    io,
    net::SocketAddr,
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use http::{Request, Response};
use http_body_util::BodyExt;
use hyper::{body::Incoming, service::service_fn};
use hyper_util::{
    rt::{TokioExecutor, TokioIo},
    server::conn::auto,
};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{body::Body, reply::Connection};

/// As many fields and as long a header as Go takes.
const MOST_FIELDS: usize = 1000;
const LARGEST_HEADER: usize = 1 << 20;

/// How long accepting pauses when the system has nothing left to accept with.
const EXHAUSTED_PAUSE: Duration = Duration::from_millis(100);

/// How long a connection that has brought no request yet is waited for when the server stops, as in Go: its request
/// may be on the way.
const FIRST_REQUEST: Duration = Duration::from_secs(5);

/// Answers requests. An error closes the connection, or resets the HTTP/2 stream.
pub(crate) trait Handler: Send + Sync + 'static {
    fn answer(
        &self,
        request: Request<Body>,
        from: Origin,
    ) -> impl Future<Output = io::Result<Response<Body>>> + Send;
}

/// Where a request came from, and the server it came to.
pub(crate) struct Origin {
    pub(crate) connection: Connection,
    pub(crate) lifetime: Lifetime,
}

/// The life of a server, for those who must end with it.
#[derive(Clone, Debug)]
pub(crate) struct Lifetime {
    pub(crate) stopping: CancellationToken,
    pub(crate) cut_off: CancellationToken,
    pub(crate) tasks: TaskTracker,
}

/// A server at work. Dropped, it is cut off.
#[derive(Debug)]
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    pub(crate) lifetime: Lifetime,
}

/// How a server ended.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Stopped {
    /// Everything under way was finished.
    Drained,
    /// So many connections were still busy at the deadline.
    CutOff(usize),
}

/// An address that can't be listened on.
#[derive(Debug, thiserror::Error)]
#[error("failed to listen on {address}: {cause}; {hint}")]
pub struct ListenError {
    address: SocketAddr,
    cause: io::Error,
    hint: &'static str,
}

impl Server {
    pub(crate) async fn start(address: SocketAddr, handler: impl Handler) -> Result<Self, ListenError> {
        let failed = |cause| ListenError::new(address, cause);
        let listener = TcpListener::bind(address).await.map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        let lifetime = Lifetime {
            stopping: CancellationToken::new(),
            cut_off: CancellationToken::new(),
            tasks: TaskTracker::new(),
        };
        // Tracked, so that what it accepts last is waited for too.
        lifetime.tasks.spawn(accept(listener, Arc::new(handler), lifetime.clone()));
        Ok(Self { address, lifetime })
    }

    pub(crate) async fn stop(self, deadline: Duration) -> Stopped {
        let Lifetime { stopping, cut_off, tasks } = &self.lifetime;
        stopping.cancel();
        tasks.close();
        if tokio::time::timeout(deadline, tasks.wait()).await.is_ok() {
            return Stopped::Drained;
        }
        let left = tasks.len();
        cut_off.cancel();
        tasks.wait().await;
        Stopped::CutOff(left)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.lifetime.stopping.cancel();
        self.lifetime.cut_off.cancel();
    }
}

impl ListenError {
    fn new(address: SocketAddr, cause: io::Error) -> Self {
        let hint = match cause.kind() {
            io::ErrorKind::AddrInUse => "end the program that has it, or choose another port (0 takes any)",
            io::ErrorKind::PermissionDenied => "choose a port above 1023",
            io::ErrorKind::AddrNotAvailable => "choose an address of this machine",
            _ => "choose another address or port",
        };
        Self { address, cause, hint }
    }
}

async fn accept<H: Handler>(listener: TcpListener, handler: Arc<H>, lifetime: Lifetime) {
    let mut numbers = 1..;
    let mut begin = |stream, from| {
        if let Some(number) = numbers.next() {
            let connection = converse(stream, from, number, handler.clone(), lifetime.clone());
            lifetime.tasks.spawn(lifetime.cut_off.clone().run_until_cancelled_owned(connection));
        }
    };
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = lifetime.stopping.cancelled() => break,
        };
        match accepted {
            Ok((stream, from)) => begin(stream, from),
            Err(error) if of_one_connection(&error) => {}
            Err(error) => {
                eprintln!("failed to accept a connection: {error}; trying again");
                tokio::time::sleep(EXHAUSTED_PAUSE).await;
            }
        }
    }
    // The system has made these already: to their clients it looks as if they were accepted.
    let Ok(listener) = listener.into_std() else { return };
    while let Ok((stream, from)) = listener.accept() {
        if stream.set_nonblocking(true).is_ok()
            && let Ok(stream) = TcpStream::from_std(stream)
        {
            begin(stream, from);
        }
    }
}

/// The client gave up before it was accepted: nothing is wrong with the listener.
fn of_one_connection(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset)
}

async fn converse<H: Handler>(
    stream: TcpStream,
    from: SocketAddr,
    number: u64,
    handler: Arc<H>,
    lifetime: Lifetime,
) {
    let _ = stream.set_nodelay(true); // without it answers are late, but right
    let requests = AtomicU64::new(1);
    let client_address = from.to_string();
    let stopping = lifetime.stopping.clone();
    let used = CancellationToken::new();
    let first = used.clone();
    let service = service_fn(move |request: Request<Incoming>| {
        first.cancel();
        let origin = Origin {
            connection: Connection {
                number,
                request: requests.fetch_add(1, Ordering::Relaxed),
                client_address: client_address.clone(),
            },
            lifetime: lifetime.clone(),
        };
        let handler = handler.clone();
        async move {
            let request = request.map(|body| body.map_err(io::Error::other).boxed_unsync());
            handler.answer(request, origin).await
        }
    });
    let protocols = protocols();
    let mut connection = pin!(protocols.serve_connection_with_upgrades(TokioIo::new(stream), service));
    // How a connection ends is its client's affair, or was asked for.
    tokio::select! {
        _ = connection.as_mut() => return,
        () = stopping.cancelled() => {}
    }
    tokio::select! {
        _ = connection.as_mut() => return,
        () = used.cancelled() => {}
        () = tokio::time::sleep(FIRST_REQUEST) => {}
    }
    connection.as_mut().graceful_shutdown();
    let _ = connection.await;
}

fn protocols() -> auto::Builder<TokioExecutor> {
    let mut protocols = auto::Builder::new(TokioExecutor::new());
    protocols.http1().title_case_headers(true).max_headers(MOST_FIELDS).max_buf_size(LARGEST_HEADER);
    protocols.http2().max_header_list_size(LARGEST_HEADER as u32);
    protocols
}
