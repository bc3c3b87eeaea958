//! A scripted backend that frames strictly (RFC 9112), keeps every byte it is sent and points out whatever a careful
//! sender would not have written.

use std::net::SocketAddr;
use std::sync::Arc;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::soon;

/// What it does with a request, step by step.
#[derive(Clone)]
pub(crate) enum Act {
    /// Reads the request's body.
    ReadBody,
    Send(Vec<u8>),
    /// Waits until the gate is open.
    Wait(Gate),
    /// Waits for the connection to end.
    WaitForEnd,
    Close,
    Reset,
    /// Sends back whatever comes, until the other side has had enough.
    Echo,
}

/// Opened once, by the test.
#[derive(Clone)]
pub(crate) struct Gate(Arc<watch::Sender<bool>>);

/// A request as it arrived.
#[derive(Clone, Debug)]
pub(crate) struct Message {
    /// Connections count from 0.
    pub(crate) connection: usize,
    pub(crate) head: Vec<u8>,
    /// Without its framing.
    pub(crate) body: Vec<u8>,
    pub(crate) complete: bool,
    /// Bytes that no careful sender sends.
    pub(crate) faults: Vec<String>,
}

/// Everything so far.
#[derive(Clone, Debug, Default)]
pub(crate) struct Seen {
    pub(crate) messages: Vec<Message>,
    pub(crate) connections: usize,
    pub(crate) ended: usize,
}

type Script = dyn Fn(&Message) -> Vec<Act> + Send + Sync;

/// Runs until dropped.
pub(crate) struct Origin {
    pub(crate) address: SocketAddr,
    seen: Arc<watch::Sender<Seen>>,
    task: JoinHandle<()>,
}

pub(crate) const OK: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nok\n";

impl Gate {
    pub(crate) fn new() -> Gate {
        Gate(Arc::new(watch::channel(false).0))
    }

    pub(crate) fn open(&self) {
        self.0.send_replace(true);
    }

    pub(crate) async fn wait(&self) {
        let _ = self.0.subscribe().wait_for(|open| *open).await;
    }
}

impl Message {
    /// Method, target and version.
    pub(crate) fn line(&self) -> String {
        text(&self.head).lines().next().unwrap_or_default().to_owned()
    }

    pub(crate) fn target(&self) -> String {
        self.line().split(' ').nth(1).unwrap_or_default().to_owned()
    }

    /// The values of a header, in order.
    pub(crate) fn all(&self, name: &str) -> Vec<String> {
        header_values(&self.head, name)
    }

    pub(crate) fn header(&self, name: &str) -> Option<String> {
        self.all(name).into_iter().next()
    }
}

impl Origin {
    /// One that answers everything with [`OK`].
    pub(crate) async fn start() -> Origin {
        Origin::with(|_| answer(OK)).await
    }

    pub(crate) async fn with(script: impl Fn(&Message) -> Vec<Act> + Send + Sync + 'static) -> Origin {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        Origin::on(listener, script)
    }

    /// At a given address, for one that comes back.
    pub(crate) fn at(address: SocketAddr) -> Origin {
        let socket = tokio::net::TcpSocket::new_v4().unwrap();
        socket.set_reuseaddr(true).unwrap();
        socket.bind(address).unwrap();
        Origin::on(socket.listen(1024).unwrap(), |_| answer(OK))
    }

    fn on(listener: TcpListener, script: impl Fn(&Message) -> Vec<Act> + Send + Sync + 'static) -> Origin {
        let address = listener.local_addr().unwrap();
        let seen = Arc::new(watch::channel(Seen::default()).0);
        let script: Arc<Script> = Arc::new(script);
        let told = Arc::clone(&seen);
        let task = tokio::spawn(async move {
            let mut all = tokio::task::JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                let mut connection = 0;
                told.send_modify(|seen| {
                    connection = seen.connections;
                    seen.connections += 1;
                });
                let (told, script) = (Arc::clone(&told), Arc::clone(&script));
                all.spawn(async move {
                    let mut one = Connection { number: connection, stream, input: Vec::new(), told };
                    one.serve(&*script).await;
                    let told = Arc::clone(&one.told);
                    drop(one);
                    told.send_modify(|seen| seen.ended += 1);
                });
                while all.try_join_next().is_some() {}
            }
        });
        Origin { address, seen, task }
    }

    /// Closes everything; its address is free when this returns.
    pub(crate) async fn end(mut self) {
        self.task.abort();
        // It was told to.
        let _ = (&mut self.task).await;
    }

    pub(crate) fn seen(&self) -> Seen {
        self.seen.borrow().clone()
    }

    pub(crate) fn messages(&self) -> Vec<Message> {
        self.seen().messages
    }

    pub(crate) fn forget(&self) {
        self.seen.send_modify(|seen| seen.messages.clear());
    }

    /// Waits until what it has seen is as asked for.
    pub(crate) async fn until(&self, what: &str, is_so: impl FnMut(&Seen) -> bool) -> Seen {
        let mut seen = self.seen.subscribe();
        let met = soon(what, seen.wait_for(is_so)).await;
        met.unwrap().clone()
    }
}

impl Drop for Origin {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Reads the body and answers.
pub(crate) fn answer(bytes: impl AsRef<[u8]>) -> Vec<Act> {
    vec![Act::ReadBody, Act::Send(bytes.as_ref().to_vec())]
}

/// The values of a header of a head, in order.
pub(crate) fn header_values(head: &[u8], name: &str) -> Vec<String> {
    text(head)
        .lines()
        .skip(1)
        .filter_map(|line| line.split_once(':'))
        .filter(|(given, _)| given.trim().eq_ignore_ascii_case(name))
        .map(|(_, value)| value.trim().to_owned())
        .collect()
}

fn text(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| char::from(*byte)).collect()
}

struct Connection {
    number: usize,
    stream: TcpStream,
    input: Vec<u8>,
    told: Arc<watch::Sender<Seen>>,
}

/// The connection is over.
struct End;

impl Connection {
    async fn serve(&mut self, script: &Script) {
        loop {
            let Ok(head) = self.head().await else { return };
            let mut message = Message {
                connection: self.number,
                faults: faults(&head),
                head,
                body: Vec::new(),
                complete: false,
            };
            let mut place = 0;
            self.told.send_modify(|seen| {
                place = seen.messages.len();
                seen.messages.push(message.clone());
            });
            for act in script(&message) {
                if self.act(act, &mut message, place).await.is_err() {
                    return;
                }
            }
        }
    }

    async fn act(&mut self, act: Act, message: &mut Message, place: usize) -> Result<(), End> {
        match act {
            Act::ReadBody => {
                let body = self.body(message).await;
                message.complete = body.is_ok();
                self.tell(place, message);
                body
            }
            Act::Send(bytes) => self.stream.write_all(&bytes).await.map_err(|_| End),
            Act::Wait(gate) => {
                gate.wait().await;
                Ok(())
            }
            Act::WaitForEnd => loop {
                self.more().await?;
            },
            Act::Close => {
                // What is unread would turn the end into a reset.
                let _ = self.stream.shutdown().await;
                while self.more().await.is_ok() {}
                Err(End)
            }
            Act::Reset => {
                let _ = socket2::SockRef::from(&self.stream).set_linger(Some(std::time::Duration::ZERO));
                Err(End)
            }
            Act::Echo => loop {
                let bytes = std::mem::take(&mut self.input);
                self.stream.write_all(&bytes).await.map_err(|_| End)?;
                if self.more().await.is_err() {
                    let _ = self.stream.shutdown().await;
                    return Err(End);
                }
            },
        }
    }

    fn tell(&self, place: usize, message: &Message) {
        self.told.send_modify(|seen| {
            if let Some(known) = seen.messages.get_mut(place) {
                *known = message.clone();
            }
        });
    }

    async fn more(&mut self) -> Result<(), End> {
        self.input.reserve(16 << 10);
        match self.stream.read_buf(&mut self.input).await {
            Ok(count) if count > 0 => Ok(()),
            _ => Err(End),
        }
    }

    async fn head(&mut self) -> Result<Vec<u8>, End> {
        loop {
            if let Some(end) = find(&self.input, b"\r\n\r\n") {
                return Ok(self.input.drain(..end + 4).collect());
            }
            self.more().await?;
        }
    }

    async fn take(&mut self, count: usize) -> Result<Vec<u8>, End> {
        while self.input.len() < count {
            self.more().await?;
        }
        Ok(self.input.drain(..count).collect())
    }

    async fn line(&mut self) -> Result<Vec<u8>, End> {
        loop {
            if let Some(end) = find(&self.input, b"\r\n") {
                let line = self.input.drain(..end).collect();
                self.input.drain(..2);
                return Ok(line);
            }
            self.more().await?;
        }
    }

    /// Reads the body into the message, as far as it comes.
    async fn body(&mut self, message: &mut Message) -> Result<(), End> {
        if !message.all("transfer-encoding").is_empty() {
            return self.chunked(message).await;
        }
        let mut left: usize =
            message.header("content-length").map_or(0, |length| length.parse().unwrap_or(0));
        while left > 0 {
            if self.input.is_empty() {
                self.more().await?;
            }
            let take = left.min(self.input.len());
            message.body.extend(self.input.drain(..take));
            left -= take;
        }
        Ok(())
    }

    async fn chunked(&mut self, message: &mut Message) -> Result<(), End> {
        loop {
            let line = self.line().await?;
            let size = std::str::from_utf8(&line).ok().and_then(|line| usize::from_str_radix(line, 16).ok());
            let plain = !line.is_empty() && line.iter().all(u8::is_ascii_hexdigit);
            let (Some(size), true) = (size, plain) else {
                message.faults.push(format!("a chunk size {}", line.escape_ascii()));
                return Err(End);
            };
            if size == 0 {
                let line = self.line().await?;
                if !line.is_empty() {
                    message.faults.push(format!("a trailer {}", line.escape_ascii()));
                    return Err(End);
                }
                return Ok(());
            }
            message.body.extend(self.take(size).await?);
            if self.take(2).await? != b"\r\n" {
                message.faults.push("a chunk that doesn't end with its size".to_owned());
                return Err(End);
            }
        }
    }
}

pub(crate) fn find(bytes: &[u8], what: &[u8]) -> Option<usize> {
    bytes.windows(what.len()).position(|window| window == what)
}

/// What is wrong with a head that was sent to an origin server.
fn faults(head: &[u8]) -> Vec<String> {
    let mut faults = Vec::new();
    let lines: Vec<&[u8]> = head[..head.len() - 4].split(|byte| *byte == b'\n').collect();
    let count = lines.len();
    let mut names = Vec::new();
    for (at, line) in lines.into_iter().enumerate() {
        let line = if at + 1 == count { Some(line) } else { line.strip_suffix(b"\r") };
        let Some(line) = line else {
            faults.push("a line that ends with LF only".to_owned());
            continue;
        };
        let shown = line.escape_ascii();
        if line.iter().any(|byte| byte.is_ascii_control() && *byte != b'\t') {
            faults.push(format!("a control character in {shown}"));
        }
        if at == 0 {
            let words: Vec<&[u8]> = line.split(|byte| *byte == b' ').collect();
            let canonical = matches!(words[..], [method, target, b"HTTP/1.1"]
                if !method.is_empty()
                    && (target.starts_with(b"/") || target == b"*")
                    && target.iter().all(|byte| byte.is_ascii_graphic() && *byte != b'#'));
            if !canonical {
                faults.push(format!("the request line {shown}"));
            }
            continue;
        }
        let Some(colon) = line.iter().position(|byte| *byte == b':') else {
            faults.push(format!("a line without a colon: {shown}"));
            continue;
        };
        let (name, value) = (&line[..colon], line[colon + 1..].trim_ascii());
        let is_token = |byte: &u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(byte);
        if name.is_empty() || !name.iter().all(is_token) {
            faults.push(format!("a name that is no token: {shown}"));
        }
        names.push((text(name).to_ascii_lowercase(), text(value)));
    }
    let values = |wanted: &str| -> Vec<&String> {
        names.iter().filter(|(name, _)| name == wanted).map(|(_, value)| value).collect()
    };
    if values("host").len() != 1 {
        faults.push(format!("{} Host lines", values("host").len()));
    }
    match (&values("content-length")[..], &values("transfer-encoding")[..]) {
        ([], []) => {}
        ([], [coding]) if *coding == "chunked" => {}
        ([length], []) if !length.is_empty() && length.bytes().all(|byte| byte.is_ascii_digit()) => {}
        (lengths, codings) => faults.push(format!("framing by {lengths:?} and {codings:?}")),
    }
    for name in ["keep-alive", "proxy-connection", "expect"] {
        if !values(name).is_empty() {
            faults.push(format!("a {name} line"));
        }
    }
    for nominated in values("connection").iter().flat_map(|value| value.split(',')) {
        let nominated = nominated.trim().to_ascii_lowercase();
        let is_ours = matches!(&*nominated, "keep-alive" | "close" | "upgrade" | "te");
        if !is_ours && names.iter().any(|(name, _)| *name == nominated) {
            faults.push(format!("the line {nominated}, which Connection nominates"));
        }
    }
    faults
}
