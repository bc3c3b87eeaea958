//! Connections that speak HTTP/2 with targets, for gRPC: one per target and worker, shared by all its requests.
//!
//! hyper drives them; a request that finds its connection closed makes a new one.

mod call;

use std::cell::RefCell;
use std::rc::Rc;

use foldhash::HashMap;
use hyper::client::conn::http2::{Builder, SendRequest};
use hyper_util::rt::{TokioIo, TokioTimer};

pub use self::call::Call;
use super::pool::Destination;
use crate::net::deadline::Deadlines;
use crate::net::http2::{OnThisThread, Outgoing, QUEUED};
use crate::net::io::Io;
use crate::net::metered::{Metered, Role};

/// What sends requests over a connection.
pub type Sender = SendRequest<Outgoing<()>>;

/// Windows for what targets send: per stream, and per connection.
const STREAM_WINDOW: u32 = 256 << 10;
const CONNECTION_WINDOW: u32 = 1 << 20;
/// Bytes of a target's head.
const HEAD: u32 = 32 << 10;

/// One worker's connections.
pub struct Shared {
    connections: RefCell<HashMap<Destination, Sender>>,
    deadlines: Rc<Deadlines>,
    /// Frames that carry nothing, which a target may send in ten seconds.
    control_frames: u32,
}

impl Shared {
    pub fn new(deadlines: Rc<Deadlines>, control_frames: u32) -> Shared {
        Shared { connections: RefCell::default(), deadlines, control_frames }
    }

    /// A live connection, if there is one.
    pub fn get(&self, destination: Destination) -> Option<Sender> {
        let mut all = self.connections.borrow_mut();
        let sender = all.get(&destination)?;
        if sender.is_closed() {
            all.remove(&destination);
            return None;
        }
        Some(sender.clone())
    }

    /// Begins to speak HTTP/2 over a new connection, and shares it.
    ///
    /// # Errors
    /// Why the target doesn't.
    pub async fn begin(&self, destination: Destination, io: Io) -> Result<Sender, hyper::Error> {
        let io = Metered::new(io, Role::Client, self.control_frames, Rc::clone(&self.deadlines));
        let (sender, connection) = Builder::new(OnThisThread)
            .timer(TokioTimer::new())
            .initial_stream_window_size(STREAM_WINDOW)
            .initial_connection_window_size(CONNECTION_WINDOW)
            .max_header_list_size(HEAD)
            .max_send_buf_size(QUEUED)
            .handshake(TokioIo::new(io))
            .await?;
        tokio::task::spawn_local(async move {
            if let Err(error) = connection.await {
                tracing::debug!("an HTTP/2 connection to a target ended: {error}");
            }
        });
        self.connections.borrow_mut().insert(destination, sender.clone());
        Ok(sender)
    }

    /// Forgets what has ended.
    pub fn evict(&self) {
        self.connections.borrow_mut().retain(|_, sender| !sender.is_closed());
    }
}
