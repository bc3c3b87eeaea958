//! Names of the world outside: this machine's hosts file, then the name servers that it asks itself.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use hickory_proto::op::Query;
use hickory_proto::rr::rdata::{A, AAAA};
use hickory_proto::rr::{RData, Record, RecordType};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UdpSocket};
use tokio::time::timeout;

use super::TTL;

/// How long one server is waited for.
const PATIENCE: Duration = Duration::from_secs(2);
const RESOLV: &str = "/etc/resolv.conf";
const HOSTS: &str = "/etc/hosts";

pub(super) struct Upstream {
    servers: Vec<SocketAddr>,
}

impl Upstream {
    /// The system's name servers; never ourselves, if somebody has made us the system's.
    pub(super) fn of_system(ourselves: SocketAddr) -> Upstream {
        let text = std::fs::read_to_string(RESOLV).unwrap_or_default();
        let servers = servers(&text).map(|address| SocketAddr::new(address, 53));
        Upstream { servers: servers.filter(|server| *server != ourselves).collect() }
    }

    /// Passes a question on as it is; the first answer counts.
    pub(super) async fn ask(&self, question: &[u8], udp: bool) -> Option<Vec<u8>> {
        for server in &self.servers {
            let asked = async {
                if udp { ask_by_udp(*server, question).await } else { ask_by_tcp(*server, question).await }
            };
            if let Ok(Ok(answer)) = timeout(PATIENCE, asked).await {
                return Some(answer);
            }
        }
        None
    }
}

/// What the hosts file says to a question for an address; `None` when it doesn't know the name.
pub(super) fn hosts(query: &Query) -> Option<Vec<Record>> {
    let name = query.name().to_lowercase().to_ascii();
    let text = std::fs::read_to_string(HOSTS).ok()?;
    let addresses = addresses(&text, name.trim_end_matches('.'));
    if addresses.is_empty() || !matches!(query.query_type(), RecordType::A | RecordType::AAAA) {
        return None;
    }
    let records = addresses.into_iter().filter_map(|address| {
        let data = match (address, query.query_type()) {
            (IpAddr::V4(address), RecordType::A) => RData::A(A(address)),
            (IpAddr::V6(address), RecordType::AAAA) => RData::AAAA(AAAA(address)),
            _ => return None,
        };
        Some(Record::from_rdata(query.name().clone(), TTL, data))
    });
    Some(records.collect())
}

async fn ask_by_udp(server: SocketAddr, question: &[u8]) -> io::Result<Vec<u8>> {
    let any: SocketAddr = if server.is_ipv4() { ([0, 0, 0, 0], 0).into() } else { ([0_u16; 8], 0).into() };
    let socket = UdpSocket::bind(any).await?;
    socket.connect(server).await?;
    socket.send(question).await?;
    let mut answer = vec![0; 4096];
    loop {
        let length = socket.recv(&mut answer).await?;
        // A late answer to somebody else's question is not ours.
        if length >= 12 && answer[..2] == question[..2] {
            answer.truncate(length);
            return Ok(answer);
        }
    }
}

async fn ask_by_tcp(server: SocketAddr, question: &[u8]) -> io::Result<Vec<u8>> {
    let mut stream = TcpStream::connect(server).await?;
    let length = u16::try_from(question.len()).map_err(|_| io::ErrorKind::InvalidInput)?;
    stream.write_all(&[&length.to_be_bytes()[..], question].concat()).await?;
    let mut answer = vec![0; usize::from(stream.read_u16().await?)];
    stream.read_exact(&mut answer).await?;
    Ok(answer)
}

/// The `nameserver` lines of a resolver file.
fn servers(text: &str) -> impl Iterator<Item = IpAddr> + '_ {
    text.lines().filter_map(|line| {
        let mut words = line.split_whitespace();
        (words.next() == Some("nameserver")).then(|| words.next()?.parse().ok()).flatten()
    })
}

/// The addresses of a name in a hosts file.
fn addresses(text: &str, name: &str) -> Vec<IpAddr> {
    let lines = text.lines().filter_map(|line| {
        let mut words = line.split('#').next().unwrap_or_default().split_whitespace();
        let address: IpAddr = words.next()?.parse().ok()?;
        words.any(|word| word.eq_ignore_ascii_case(name)).then_some(address)
    });
    lines.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_of_the_system() {
        let resolv = "# comment\nsearch example\nnameserver 10.0.0.1\nnameserver ::1\nnameserver bad\n";
        let found: Vec<String> = servers(resolv).map(|address| address.to_string()).collect();
        assert_eq!(found, ["10.0.0.1", "::1"]);
        let hosts = "127.0.0.1 localhost here # not there\n::1 localhost\n10.0.0.2 other\n";
        let of = |name: &str| addresses(hosts, name).iter().map(ToString::to_string).collect::<Vec<_>>();
        assert_eq!(of("LocalHost"), ["127.0.0.1", "::1"]);
        assert_eq!(of("here"), ["127.0.0.1"]);
        assert!(of("there").is_empty());
    }
}
