//! The cluster's name server, over UDP and TCP: names of Services and pods from the objects themselves, every
//! other name from this machine's hosts file and resolver.

mod upstream;
mod zone;

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use hickory_proto::op::{Edns, Message, MessageType, OpCode, Query, ResponseCode};
use hickory_proto::rr::rdata::SOA;
use hickory_proto::rr::{DNSClass, Name, RData, Record, RecordType};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, UdpSocket};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::timeout;

use self::upstream::Upstream;
use self::zone::Answer;
use crate::objects::Objects;

/// How long an answer may be kept, in seconds: things change fast here.
const TTL: u32 = 5;
/// The largest answer over UDP, whatever the client could take.
const UDP_LIMIT: u16 = 1232;
/// Questions worked on at a time; more are dropped, as a busy name server does.
const AT_ONCE: usize = 512;
const TCP_IDLE: Duration = Duration::from_secs(10);
/// The usual port needs a privilege.
const PORT: u16 = 53;

/// The name server. It ends when dropped.
pub(super) struct NameServer {
    pub(super) address: SocketAddr,
    _tasks: JoinSet<()>,
}

struct Resolver {
    objects: Objects,
    upstream: Upstream,
    room: Arc<Semaphore>,
}

impl NameServer {
    /// Listens at port 53 of the address if this user may, else at any free one. Must be called within a tokio
    /// runtime.
    pub(super) fn start(objects: &Objects, address: IpAddr) -> io::Result<NameServer> {
        let (udp, tcp) = bind(SocketAddr::new(address, PORT)).or_else(|_| bind_any(address))?;
        let address = udp.local_addr()?;
        let resolver = Arc::new(Resolver {
            objects: objects.clone(),
            upstream: Upstream::of_system(address),
            room: Arc::new(Semaphore::new(AT_ONCE)),
        });
        let mut tasks = JoinSet::new();
        tasks.spawn(serve_udp(UdpSocket::from_std(udp)?, Arc::clone(&resolver)));
        tasks.spawn(serve_tcp(TcpListener::from_std(tcp)?, resolver));
        Ok(NameServer { address, _tasks: tasks })
    }
}

fn bind(address: SocketAddr) -> io::Result<(std::net::UdpSocket, std::net::TcpListener)> {
    let udp = std::net::UdpSocket::bind(address)?;
    let tcp = std::net::TcpListener::bind(udp.local_addr()?)?;
    udp.set_nonblocking(true)?;
    tcp.set_nonblocking(true)?;
    Ok((udp, tcp))
}

/// A port that is free for both protocols.
fn bind_any(address: IpAddr) -> io::Result<(std::net::UdpSocket, std::net::TcpListener)> {
    let mut last = None;
    for _ in 0..20 {
        match bind(SocketAddr::new(address, 0)) {
            Ok(bound) => return Ok(bound),
            Err(error) => last = Some(error),
        }
    }
    Err(last.unwrap_or_else(|| io::ErrorKind::AddrInUse.into()))
}

async fn serve_udp(socket: UdpSocket, resolver: Arc<Resolver>) {
    let socket = Arc::new(socket);
    let mut buffer = [0; 4096];
    loop {
        // Errors here tell of earlier answers that nobody took.
        let Ok((length, client)) = socket.recv_from(&mut buffer).await else { continue };
        let Ok(place) = Arc::clone(&resolver.room).try_acquire_owned() else { continue };
        let (socket, resolver, question) =
            (Arc::clone(&socket), Arc::clone(&resolver), buffer[..length].to_vec());
        tokio::spawn(async move {
            if let Some(answer) = resolver.answer(&question, true).await {
                let _ = socket.send_to(&answer, client).await;
            }
            drop(place);
        });
    }
}

async fn serve_tcp(listener: TcpListener, resolver: Arc<Resolver>) {
    loop {
        let Ok((client, _)) = listener.accept().await else {
            tokio::time::sleep(Duration::from_millis(100)).await;
            continue;
        };
        let Ok(place) = Arc::clone(&resolver.room).try_acquire_owned() else { continue };
        let resolver = Arc::clone(&resolver);
        tokio::spawn(async move {
            let _ = converse(client, &resolver).await;
            drop(place);
        });
    }
}

async fn converse(mut client: TcpStream, resolver: &Resolver) -> io::Result<()> {
    loop {
        let length = timeout(TCP_IDLE, client.read_u16()).await??;
        let mut question = vec![0; usize::from(length)];
        timeout(TCP_IDLE, client.read_exact(&mut question)).await??;
        let Some(answer) = resolver.answer(&question, false).await else { return Ok(()) };
        let length = u16::try_from(answer.len()).map_err(|_| io::ErrorKind::InvalidData)?;
        let framed = [&length.to_be_bytes()[..], &answer].concat();
        timeout(TCP_IDLE, client.write_all(&framed)).await??;
    }
}

impl Resolver {
    /// The answer to a question as it came; `None` to what is no question at all.
    async fn answer(&self, question: &[u8], udp: bool) -> Option<Vec<u8>> {
        let asked = match Message::from_vec(question) {
            Ok(asked) if asked.metadata.message_type == MessageType::Query => asked,
            Ok(_) => return None,
            Err(_) => {
                let id = u16::from_be_bytes([*question.first()?, *question.get(1)?]);
                return Message::error_msg(id, OpCode::Query, ResponseCode::FormErr).to_vec().ok();
            }
        };
        let [query] = &asked.queries[..] else { return refusal(&asked, ResponseCode::FormErr) };
        if asked.metadata.op_code != OpCode::Query {
            return refusal(&asked, ResponseCode::NotImp);
        }
        match zone::answer(&self.objects, query) {
            Answer::NotOurs => match upstream::hosts(query) {
                Some(records) => written(&asked, records, ResponseCode::NoError, udp),
                None => match self.upstream.ask(question, udp).await {
                    Some(answer) => Some(answer),
                    None => refusal(&asked, ResponseCode::ServFail),
                },
            },
            Answer::Alias(alias, target) => {
                let mut records = vec![*alias];
                if query.query_type() != RecordType::CNAME {
                    records.extend(self.follow(target, query.query_type()).await);
                }
                written(&asked, records, ResponseCode::NoError, udp)
            }
            Answer::Records(records) => written(&asked, records, ResponseCode::NoError, udp),
            Answer::NoSuchName => written(&asked, Vec::new(), ResponseCode::NXDomain, udp),
        }
    }

    /// What the name behind an alias has: clients expect the whole answer.
    async fn follow(&self, target: Name, kind: RecordType) -> Vec<Record> {
        let query = Query::query(target, kind);
        match zone::answer(&self.objects, &query) {
            Answer::Records(records) => records,
            Answer::NotOurs => {
                if let Some(records) = upstream::hosts(&query) {
                    return records;
                }
                let mut question = Message::new(fastrand::u16(..), MessageType::Query, OpCode::Query);
                question.metadata.recursion_desired = true;
                question.add_query(query);
                let Ok(question) = question.to_vec() else { return Vec::new() };
                let answer = self.upstream.ask(&question, true).await;
                answer
                    .and_then(|answer| Message::from_vec(&answer).ok())
                    .map_or_else(Vec::new, |answer| answer.answers)
            }
            Answer::Alias(..) | Answer::NoSuchName => Vec::new(),
        }
    }
}

fn written(asked: &Message, records: Vec<Record>, code: ResponseCode, udp: bool) -> Option<Vec<u8>> {
    let mut answer = reply(asked, code);
    answer.metadata.authoritative = true;
    if records.is_empty() {
        answer.add_authority(authority());
    }
    answer.add_answers(records);
    let bytes = answer.to_vec().ok()?;
    let limit =
        if udp { usize::from(asked.max_payload().clamp(512, UDP_LIMIT)) } else { usize::from(u16::MAX) };
    if bytes.len() <= limit { Some(bytes) } else { answer.truncate().to_vec().ok() }
}

fn reply(asked: &Message, code: ResponseCode) -> Message {
    let mut answer = Message::response(asked.metadata.id, asked.metadata.op_code);
    answer.metadata.recursion_desired = asked.metadata.recursion_desired;
    answer.metadata.recursion_available = true;
    answer.metadata.response_code = code;
    answer.add_queries(asked.queries.iter().cloned());
    if asked.edns.is_some() {
        let mut edns = Edns::new();
        edns.set_max_payload(UDP_LIMIT);
        answer.set_edns(edns);
    }
    answer
}

fn refusal(asked: &Message, code: ResponseCode) -> Option<Vec<u8>> {
    reply(asked, code).to_vec().ok()
}

/// Says for how long a name that isn't there may be taken for missing.
fn authority() -> Record {
    let name = |text: &str| Name::from_ascii(text).unwrap_or_default();
    let soa = SOA::new(
        name("ns.dns.cluster.local."),
        name("hostmaster.cluster.local."),
        1,
        7200,
        1800,
        86_400,
        TTL,
    );
    let mut record = Record::from_rdata(name("cluster.local."), TTL, RData::SOA(soa));
    record.dns_class = DNSClass::IN;
    record
}

#[cfg(test)]
mod tests;
