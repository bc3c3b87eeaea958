//! Looking whether a container is well: one look, and the rules by which looks become a verdict.

mod grpc;
mod http;

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use k8s_openapi::api::core::v1::{Container, ExecAction, HTTPGetAction, Probe};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep_until, timeout};

use super::runtime::{ContainerStart, Runtime};

/// Until a container has first been found well it is also looked at between the times its probe names, so that
/// what is ready in milliseconds is seen so. Such looks can only do good: their failures don't count. They get
/// rarer the longer it takes.
const EARLY: Duration = Duration::from_millis(100);
const EARLY_SHARE: u32 = 8;

/// The container that is looked at.
#[derive(Clone, Copy)]
pub(super) struct Patient<'a> {
    pub(super) runtime: &'a dyn Runtime,
    pub(super) start: &'a ContainerStart,
    pub(super) container: &'a Container,
}

/// When to look, and how many looks make a verdict.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Pace {
    delay: Duration,
    period: Duration,
    limit: Duration,
    successes: u32,
    failures: u32,
}

/// What a series of looks has come to.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Verdict {
    Well,
    /// With what the last look saw.
    Unwell(String),
}

impl Pace {
    pub(super) fn of(probe: &Probe) -> Pace {
        let seconds = |given: Option<i32>, default: u64| {
            Duration::from_secs(given.and_then(|given| u64::try_from(given).ok()).unwrap_or(default))
        };
        let count = |given: Option<i32>, default: u32| {
            given.and_then(|given| u32::try_from(given).ok()).unwrap_or(default).max(1)
        };
        Pace {
            delay: seconds(probe.initial_delay_seconds, 0),
            period: seconds(probe.period_seconds, 10).max(Duration::from_secs(1)),
            limit: seconds(probe.timeout_seconds, 1).max(Duration::from_secs(1)),
            successes: count(probe.success_threshold, 1),
            failures: count(probe.failure_threshold, 3),
        }
    }
}

/// A series of looks: tells each change of the verdict. The container is taken for neither well nor unwell at first.
pub(super) struct Looks {
    pace: Pace,
    began: Instant,
    next: Instant,
    /// Of the same outcome in a row.
    successes: u32,
    failures: u32,
    verdict: Option<bool>,
    has_been_well: bool,
}

impl Looks {
    /// The first look is due when the probe's delay has passed.
    pub(super) fn new(pace: Pace) -> Looks {
        let began = Instant::now() + pace.delay;
        Looks { pace, began, next: began, successes: 0, failures: 0, verdict: None, has_been_well: false }
    }

    /// Looks until the verdict changes. `failed` hears of each failure that counts.
    pub(super) async fn verdict<F: Future<Output = Result<(), String>>>(
        &mut self,
        mut look: impl FnMut() -> F,
        mut failed: impl FnMut(&str),
    ) -> Verdict {
        loop {
            let counts = self.wait().await;
            let seen = match timeout(self.pace.limit, look()).await {
                Ok(seen) => seen,
                Err(_) => Err(format!("no answer within {:?}", self.pace.limit)),
            };
            match seen {
                Ok(()) => {
                    self.failures = 0;
                    self.successes += 1;
                    if self.successes >= self.pace.successes && self.verdict != Some(true) {
                        self.verdict = Some(true);
                        self.has_been_well = true;
                        return Verdict::Well;
                    }
                }
                Err(_) if !counts => {}
                Err(why) => {
                    failed(&why);
                    self.successes = 0;
                    self.failures += 1;
                    if self.failures >= self.pace.failures && self.verdict != Some(false) {
                        self.verdict = Some(false);
                        return Verdict::Unwell(why);
                    }
                }
            }
        }
    }

    /// Waits for the next look, and says whether it is one whose failure counts.
    async fn wait(&mut self) -> bool {
        let now = Instant::now();
        if now >= self.next {
            self.next = now + self.pace.period;
            return true;
        }
        let early = now + EARLY.max(now.saturating_duration_since(self.began) / EARLY_SHARE);
        if now >= self.began && !self.has_been_well && early < self.next {
            sleep_until(early).await;
            return false;
        }
        sleep_until(self.next).await;
        self.next += self.pace.period;
        true
    }
}

/// One look by whatever means the probe names.
pub(super) async fn look(probe: &Probe, patient: Patient<'_>) -> Result<(), String> {
    if let Some(get) = &probe.http_get {
        http_get(get, patient).await
    } else if let Some(tcp) = &probe.tcp_socket {
        let address = address(patient, tcp.host.as_deref(), &tcp.port)?;
        connect(address).await.map(drop)
    } else if let Some(grpc) = &probe.grpc {
        let address = address(patient, None, &IntOrString::Int(grpc.port))?;
        grpc::check(address, grpc.service.as_deref().unwrap_or_default()).await
    } else if let Some(exec) = &probe.exec {
        execute(exec, patient, Pace::of(probe).limit).await
    } else {
        Ok(())
    }
}

pub(super) async fn http_get(get: &HTTPGetAction, patient: Patient<'_>) -> Result<(), String> {
    let address = address(patient, get.host.as_deref(), &get.port)?;
    http::get(address, get).await
}

pub(super) async fn execute(exec: &ExecAction, patient: Patient<'_>, limit: Duration) -> Result<(), String> {
    let variable = |name: &str| {
        let found = patient.start.environment.iter().find(|(known, _)| known == name);
        found.map(|(_, value)| value.clone())
    };
    let words = exec.command.iter().flatten().map(|word| super::expansion::expand(word, variable));
    let (code, output) = patient.runtime.execute(patient.start, &words.collect::<Vec<_>>(), limit).await?;
    if code == 0 { Ok(()) } else { Err(format!("command exited with {code}: {}", output.trim_end())) }
}

/// Where a port of the container listens.
fn address(patient: Patient<'_>, host: Option<&str>, port: &IntOrString) -> Result<SocketAddr, String> {
    let number = match port {
        IntOrString::Int(number) => *number,
        IntOrString::String(name) => {
            let mut ports = patient.container.ports.iter().flatten();
            let named = ports.find(|port| port.name.as_ref() == Some(name)).map(|port| port.container_port);
            let unknown = || format!("the container has no port \"{name}\"");
            named.or_else(|| name.parse().ok()).ok_or_else(unknown)?
        }
    };
    let place = &patient.start.pod;
    let host: IpAddr = match host.filter(|host| !host.is_empty()) {
        Some(host) => host.parse().map_err(|_| format!("host \"{host}\" is not an address"))?,
        None => place.address.ok_or("the pod has no address")?.into(),
    };
    let number = place.ports.outside(number);
    let number = u16::try_from(number).map_err(|_| format!("{number} is not a port"))?;
    Ok(SocketAddr::new(host, number))
}

async fn connect(address: SocketAddr) -> Result<TcpStream, String> {
    TcpStream::connect(address).await.map_err(|error| format!("dial tcp {address}: {error}"))
}

#[cfg(test)]
mod tests;
