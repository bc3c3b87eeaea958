//! Active health checks: asks targets how they are, on a schedule, whether or not there is traffic.
//!
//! One task per checked upstream, on the control runtime; workers only read what it finds. A task ends with the
//! generation that changes or removes its upstream, so that nobody is probed who is no longer a target. What a
//! finding means is for `health` to say.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::stream;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::task::AbortHandle;
use uuid::Uuid;

use super::connect::{TlsWishes, UpstreamTls};
use super::dns::Resolver;
use super::group::{Group, Members};
use super::health::Sign;
use crate::clock::Clock;
use crate::http::http1::encode;
use crate::model::upstream::{ActiveChecks, ProbeKind};

/// Bytes within which an answer's first line has to end.
const LONGEST_STATUS_LINE: usize = 1 << 10;

/// Keeps one task per checked upstream.
pub struct Prober {
    resolver: Resolver,
    clock: Clock,
    tasks: HashMap<Uuid, Task>,
}

struct Task {
    group: Arc<Group>,
    running: AbortHandle,
}

/// What every probe of one upstream needs.
struct Probe {
    group: Arc<Group>,
    resolver: Resolver,
    tls: HashMap<Arc<str>, Result<UpstreamTls, String>>,
}

impl Prober {
    pub fn new(resolver: Resolver, clock: Clock) -> Prober {
        Prober { resolver, clock, tasks: HashMap::new() }
    }

    /// Probes these upstreams from now on, and no others. Must be called within a runtime.
    pub fn follow(&mut self, groups: &[Arc<Group>]) {
        let wanted: HashMap<Uuid, &Arc<Group>> =
            groups.iter().filter(|group| is_probed(group)).map(|group| (group.upstream.id, group)).collect();
        self.tasks.retain(|id, task| wanted.get(id).is_some_and(|group| Arc::ptr_eq(group, &task.group)));
        for (id, group) in wanted {
            self.tasks.entry(id).or_insert_with(|| {
                let group = Arc::clone(group);
                let run = run(Arc::clone(&group), self.resolver.clone(), self.clock.clone());
                Task { group, running: tokio::spawn(run).abort_handle() }
            });
        }
    }
}

impl Drop for Task {
    fn drop(&mut self) {
        self.running.abort();
    }
}

fn is_probed(group: &Group) -> bool {
    let checks = &group.upstream.healthchecks.active;
    checks.healthy_interval > 0.0 || checks.unhealthy_interval > 0.0
}

/// Probes an upstream until it is aborted: healthy targets at one pace, unhealthy ones at the other.
async fn run(group: Arc<Group>, resolver: Resolver, clock: Clock) {
    let checks = group.upstream.healthchecks.active.clone();
    let mut probe = Probe { group, resolver, tls: HashMap::new() };
    let interval = |seconds: f64| (seconds > 0.0).then(|| Duration::from_secs_f64(seconds));
    let paces = [(true, interval(checks.healthy_interval)), (false, interval(checks.unhealthy_interval))];
    let start = clock.now();
    let mut due = paces.map(|(_, pace)| pace);
    loop {
        let Some(next) = due.iter().flatten().min().copied() else { return };
        clock.sleep(next.saturating_sub(clock.now().since(start))).await;
        let mut wanted = [false; 2];
        for (at, (healthy, pace)) in paces.into_iter().enumerate() {
            if let (Some(pace), Some(when)) = (pace, due[at])
                && when <= next
            {
                wanted[usize::from(healthy)] = true;
                // From now on, so that a slow round is not followed by several at once.
                due[at] = Some(clock.now().since(start).max(when) + pace);
            }
        }
        probe.round(&checks, |healthy| wanted[usize::from(healthy)]).await;
    }
}

impl Probe {
    /// Asks all targets in the wanted state.
    async fn round(&mut self, checks: &ActiveChecks, wanted: impl Fn(bool) -> bool) {
        // A name that can't be resolved now may be at the next round.
        let Ok(members) = self.group.members(&self.resolver).await else { return };
        let places = (0..members.health.len()).filter(|place| {
            members.balancer.endpoints()[*place].weight > 0 && wanted(members.health[*place].is_available())
        });
        let places: Vec<usize> = places.collect();
        if matches!(checks.kind, ProbeKind::Https | ProbeKind::Grpcs) {
            for place in &places {
                let name = Arc::clone(&members.balancer.endpoints()[*place].name);
                self.tls.entry(name).or_insert_with_key(|name| tls(checks, name));
            }
        }
        let concurrency = checks.concurrency.max(1) as usize;
        let this = &*self;
        stream::iter(places)
            .for_each_concurrent(concurrency, |place| this.ask(checks, &members, place))
            .await;
    }

    async fn ask(&self, checks: &ActiveChecks, members: &Members, place: usize) {
        let endpoint = &members.balancer.endpoints()[place];
        let limit = Duration::from_secs_f64(checks.timeout.max(0.001));
        let asked = self.sign(checks, endpoint.address, &endpoint.name);
        let sign = tokio::time::timeout(limit, asked).await.unwrap_or(Sign::Timeout);
        if let Some(change) = members.health[place].record(sign, &checks.rules) {
            let (upstream, address) = (&self.group.upstream.name, endpoint.address);
            tracing::info!(upstream, %address, "target {change:?} by a probe: {sign:?}");
        }
    }

    async fn sign(&self, checks: &ActiveChecks, address: SocketAddr, name: &Arc<str>) -> Sign {
        let Ok(stream) = TcpStream::connect(address).await else { return Sign::TcpFailure };
        match checks.kind {
            ProbeKind::Tcp | ProbeKind::Grpc => Sign::Connected,
            ProbeKind::Http => self.request(stream, checks, name).await,
            ProbeKind::Https | ProbeKind::Grpcs => {
                let Some(Ok(tls)) = self.tls.get(name) else { return Sign::TcpFailure };
                match tls.handshake(stream).await {
                    Err(_) => Sign::TcpFailure,
                    Ok(_) if checks.kind == ProbeKind::Grpcs => Sign::Connected,
                    Ok(stream) => self.request(stream, checks, name).await,
                }
            }
        }
    }

    async fn request(
        &self,
        mut stream: impl AsyncRead + AsyncWrite + Unpin,
        checks: &ActiveChecks,
        name: &str,
    ) -> Sign {
        let host = self.group.upstream.host_header.as_deref().unwrap_or(name);
        if stream.write_all(&request(checks, host)).await.is_err() || stream.flush().await.is_err() {
            return Sign::TcpFailure;
        }
        let mut line = Vec::new();
        let mut piece = [0; 256];
        while !line.contains(&b'\n') && line.len() < LONGEST_STATUS_LINE {
            match stream.read(&mut piece).await {
                Ok(0) | Err(_) => return Sign::TcpFailure,
                Ok(count) => line.extend_from_slice(&piece[..count]),
            }
        }
        status(&line).map_or(Sign::InvalidAnswer, Sign::Status)
    }
}

fn tls(checks: &ActiveChecks, name: &str) -> Result<UpstreamTls, String> {
    let wishes = TlsWishes {
        name: checks.https_sni.as_deref().unwrap_or(name),
        verify: checks.https_verify_certificate,
        http2: checks.kind == ProbeKind::Grpcs,
        authorities: &[],
        client: None,
    };
    let made = UpstreamTls::new(&wishes);
    if let Err(cause) = &made {
        tracing::warn!("failed to prepare TLS for health checks of {name}: {cause}");
    }
    made
}

/// Kong's probe: HTTP/1.0, so that the target closes, and nothing but what is configured.
fn request(checks: &ActiveChecks, host: &str) -> Vec<u8> {
    let host = match host.parse::<IpAddr>() {
        Ok(IpAddr::V6(address)) => format!("[{address}]"),
        _ => host.to_owned(),
    };
    let mut head = format!("GET {} HTTP/1.0\r\nHost: {host}\r\n", checks.http_path).into_bytes();
    for (name, values) in &checks.headers {
        for value in values {
            encode::line(&mut head, name.as_bytes(), value.as_bytes());
        }
    }
    head.extend_from_slice(b"\r\n");
    head
}

/// The status of an answer, from its first line.
fn status(line: &[u8]) -> Option<u16> {
    let rest = line.strip_prefix(b"HTTP/1.").or_else(|| line.strip_prefix(b"HTTP/2"))?;
    let mut words = rest.split(u8::is_ascii_whitespace);
    let code = words.nth(1)?;
    (code.len() == 3 && code.iter().all(u8::is_ascii_digit))
        .then(|| std::str::from_utf8(code).ok()?.parse().ok())
        .flatten()
}

#[cfg(test)]
mod tests;
