//! One connection to one Redis server, shared by everybody who asks it; made when it is needed and again when
//! it is lost.
//!
//! Commands are sent as they come and answered in order. A server that does not answer within the time limit
//! costs the connection and all who wait for it: counting must not hold up traffic.

use std::collections::VecDeque;
use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use rustls::ClientConfig;
use rustls::crypto::aws_lc_rs;
use rustls_pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::runtime::Handle;
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, timeout, timeout_at};
use tokio_rustls::TlsConnector;

use super::protocol::{Command, Reply};
use super::unexpected;
use crate::model::Secret;
use crate::net::trust;
use crate::plugins::environment::Resolve;

/// Requests that may wait for one server.
const WAITING: usize = 4_096;

/// Which server, and as whom.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Server {
    pub host: String,
    pub port: u16,
    /// For connecting, and for each answer.
    pub timeout: Duration,
    pub username: Option<String>,
    pub password: Option<Secret>,
    pub database: u32,
    pub tls: bool,
    /// Whether its certificate has to be valid.
    pub verify: bool,
    /// The name to ask for and to verify; the host without it.
    pub server_name: Option<String>,
}

/// A way to talk to a server.
pub(super) struct Client {
    calls: mpsc::Sender<Call>,
}

/// Commands that go together, and who waits for their answers.
struct Call {
    bytes: Vec<u8>,
    answers: usize,
    done: oneshot::Sender<Result<Vec<Reply>, String>>,
}

struct Link {
    server: Server,
    resolver: Option<Arc<dyn Resolve>>,
    tls: Option<TlsConnector>,
}

/// A call that has been sent.
struct Sent {
    call: Call,
    answers: Vec<Reply>,
    deadline: Instant,
}

trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<S: AsyncRead + AsyncWrite + Send + Unpin> Stream for S {}

impl Client {
    pub(super) fn start(
        server: Server,
        resolver: Option<Arc<dyn Resolve>>,
        runtime: &Handle,
    ) -> Result<Arc<Client>, String> {
        let (calls, received) = mpsc::channel(WAITING);
        let tls = if server.tls { Some(tls(server.verify)?) } else { None };
        runtime.spawn(Link { server, resolver, tls }.run(received));
        Ok(Arc::new(Client { calls }))
    }

    /// Sends commands and waits for their answers.
    pub(super) async fn call(&self, commands: Vec<Command>) -> Result<Vec<Reply>, String> {
        let mut bytes = Vec::new();
        for command in &commands {
            command.write(&mut bytes);
        }
        let (done, answers) = oneshot::channel();
        let call = Call { bytes, answers: commands.len(), done };
        self.calls.try_send(call).map_err(|_| format!("{WAITING} requests wait for redis already"))?;
        answers.await.unwrap_or_else(|_| Err("the connection to redis has ended".to_owned()))
    }
}

impl Link {
    async fn run(self, mut calls: mpsc::Receiver<Call>) {
        while let Some(first) = calls.recv().await {
            let error = match timeout(self.server.timeout, self.connect()).await {
                Ok(Ok(stream)) => {
                    self.serve(stream, first, &mut calls).await;
                    continue;
                }
                Ok(Err(error)) => error,
                Err(_) => "timeout".to_owned(),
            };
            let error = format!("failed to connect to redis at {}: {error}", self.server);
            // Those who have come meanwhile would only wait for the same.
            let others = std::iter::from_fn(|| calls.try_recv().ok());
            for call in std::iter::once(first).chain(others) {
                let _ = call.done.send(Err(error.clone()));
            }
        }
    }

    async fn connect(&self) -> Result<Box<dyn Stream>, String> {
        let stream = self.connect_tcp().await?;
        stream.set_nodelay(true).map_err(|error| error.to_string())?;
        let mut stream: Box<dyn Stream> = match &self.tls {
            None => Box::new(stream),
            Some(tls) => {
                let name = self.server.server_name.as_ref().unwrap_or(&self.server.host);
                let name =
                    ServerName::try_from(name.clone()).map_err(|_| format!("{name:?} is no server name"))?;
                Box::new(tls.connect(name, stream).await.map_err(|error| error.to_string())?)
            }
        };
        for command in self.greeting() {
            let mut bytes = Vec::new();
            command.write(&mut bytes);
            stream.write_all(&bytes).await.map_err(|error| error.to_string())?;
            match read(&mut stream, &mut Vec::new()).await? {
                Reply::Error(error) => return Err(unexpected(Some(Reply::Error(error)))),
                _ok => {}
            }
        }
        Ok(stream)
    }

    async fn connect_tcp(&self) -> Result<TcpStream, String> {
        let Server { host, port, .. } = &self.server;
        let text = |error: std::io::Error| error.to_string();
        let Some(resolver) = &self.resolver else {
            return TcpStream::connect((host.as_str(), *port)).await.map_err(text);
        };
        let addresses = match host.parse() {
            Ok(address) => vec![address],
            Err(_) => resolver.resolve(host.clone()).await.map_err(text)?,
        };
        let addresses: Vec<_> =
            addresses.into_iter().map(|address| SocketAddr::new(address, *port)).collect();
        TcpStream::connect(addresses.as_slice()).await.map_err(text)
    }

    fn greeting(&self) -> Vec<Command> {
        let Server { username, password, database, .. } = &self.server;
        let mut commands = Vec::new();
        if let Some(password) = password.as_ref().filter(|password| !password.expose().is_empty()) {
            let auth = username.iter().fold(Command::new("AUTH"), Command::argument);
            commands.push(auth.argument(password.expose()));
        }
        if *database != 0 {
            commands.push(Command::new("SELECT").argument(database));
        }
        commands
    }

    /// Serves calls until the connection is of no more use.
    async fn serve(&self, mut stream: Box<dyn Stream>, first: Call, calls: &mut mpsc::Receiver<Call>) {
        let mut sent: VecDeque<Sent> = VecDeque::new();
        let mut next = Some(first);
        let mut unread = Vec::new();
        let ended = loop {
            if let Some(call) = next.take() {
                let deadline = Instant::now() + self.server.timeout;
                let written = timeout_at(deadline, stream.write_all(&call.bytes)).await;
                sent.push_back(Sent { call, answers: Vec::new(), deadline });
                match written {
                    Ok(Ok(())) => {}
                    Ok(Err(error)) => break error.to_string(),
                    Err(_) => break "timeout".to_owned(),
                }
            }
            let deadline = sent.front().map(|sent| sent.deadline);
            let expired = async {
                match deadline {
                    Some(deadline) => tokio::time::sleep_until(deadline).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                call = calls.recv() => match call {
                    Some(call) => next = Some(call),
                    // Nobody is left to ask.
                    None => return,
                },
                read = stream.read_buf(&mut unread) => match read {
                    Ok(0) => break "closed".to_owned(),
                    Ok(_) => if let Err(error) = settle(&mut sent, &mut unread) {
                        break error;
                    },
                    Err(error) => break error.to_string(),
                },
                () = expired => break "timeout".to_owned(),
            }
        };
        for sent in sent {
            let _ =
                sent.call.done.send(Err(format!("lost the connection to redis at {}: {ended}", self.server)));
        }
    }
}

/// Hands out the answers that have come.
fn settle(sent: &mut VecDeque<Sent>, unread: &mut Vec<u8>) -> Result<(), String> {
    while let Some((reply, length)) = Reply::read(unread)? {
        unread.drain(..length);
        let first = sent.front_mut().ok_or("an answer that nobody asked for")?;
        first.answers.push(reply);
        if first.answers.len() == first.call.answers
            && let Some(Sent { call, answers, .. }) = sent.pop_front()
        {
            // Who asked may have gone.
            let _ = call.done.send(Ok(answers));
        }
    }
    Ok(())
}

async fn read(stream: &mut Box<dyn Stream>, unread: &mut Vec<u8>) -> Result<Reply, String> {
    loop {
        if let Some((reply, length)) = Reply::read(unread)? {
            unread.drain(..length);
            return Ok(reply);
        }
        if stream.read_buf(unread).await.map_err(|error| error.to_string())? == 0 {
            return Err("closed".to_owned());
        }
    }
}

fn tls(verify: bool) -> Result<TlsConnector, String> {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let builder = ClientConfig::builder_with_provider(provider.clone())
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?;
    let builder = if verify {
        builder.with_root_certificates(trust::system()?)
    } else {
        builder.dangerous().with_custom_certificate_verifier(Arc::new(trust::Anyone::new(&provider)))
    };
    Ok(TlsConnector::from(Arc::new(builder.with_no_client_auth())))
}

impl fmt::Display for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.host, self.port)
    }
}
