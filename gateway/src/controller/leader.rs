//! The lease that lets one replica write status and Events.
//!
//! Every replica serves traffic; only writing is led. A lease that wasn't renewed for its whole duration, by
//! this replica's own clock, may be taken over: clocks of different machines are never compared.
//!
//! One that vanishes is made anew only after its time: whoever removes an installation removes its lease, and must
//! not find a new one in its place, made by a replica that hasn't been told to stop yet.

use std::time::Duration;

use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{MicroTime, ObjectMeta};
use k8s_openapi::jiff::Timestamp;
use kube::api::PostParams;
use kube::{Api, Client};
use tokio::sync::watch;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

const PATIENCE: Duration = Duration::from_secs(5);

/// Which lease, and as whom.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Election {
    pub namespace: String,
    pub name: String,
    /// Different for every replica.
    pub identity: String,
    pub pace: LeasePace,
}

/// The times of a lease.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LeasePace {
    /// Others may take over when the lease hasn't been renewed for so long.
    pub duration: Duration,
    /// A leader that couldn't renew for so long stops writing, well before others start.
    pub give_up: Duration,
    /// How often everyone looks.
    pub look: Duration,
}

impl Default for LeasePace {
    fn default() -> Self {
        LeasePace {
            duration: Duration::from_secs(15),
            give_up: Duration::from_secs(10),
            look: Duration::from_secs(2),
        }
    }
}

/// A candidate's view of the lease.
struct Candidate {
    api: Api<Lease>,
    election: Election,
    /// The holder's last sign of life, and when it was seen here.
    seen: Option<(LeaseSpec, Instant)>,
    renewed: Option<Instant>,
    /// Whether there has been a lease, and since when there is none.
    met: bool,
    missing_since: Option<Instant>,
}

/// Takes part until told to stop; then gives the lease back, so that another replica needn't wait.
pub(super) async fn run(
    client: Client,
    election: Election,
    leads: watch::Sender<bool>,
    stop: CancellationToken,
) {
    let api = Api::namespaced(client, &election.namespace);
    let mut candidate =
        Candidate { api, election, seen: None, renewed: None, met: false, missing_since: None };
    let mut failed = None;
    loop {
        let tried = tokio::select! {
            tried = tokio::time::timeout(PATIENCE, candidate.try_lead()) => tried,
            () = stop.cancelled() => break,
        };
        let held = match tried {
            Ok(Ok(held)) => {
                failed = None;
                held
            }
            Ok(Err(error)) => candidate.report(error.to_string(), &mut failed),
            Err(_) => candidate.report(format!("no answer within {PATIENCE:?}"), &mut failed),
        };
        leads.send_if_modified(|leads| {
            let changed = *leads != held;
            if changed {
                info!(lease = candidate.election.name, leads = held, "writes status and Events");
            }
            *leads = held;
            changed
        });
        tokio::select! {
            () = tokio::time::sleep(candidate.election.pace.look) => {}
            () = stop.cancelled() => break,
        }
    }
    if *leads.borrow() {
        leads.send_replace(false);
        let _ = tokio::time::timeout(PATIENCE, candidate.release()).await;
    }
}

impl Candidate {
    /// Takes, renews or watches the lease. True when it is held.
    async fn try_lead(&mut self) -> Result<bool, kube::Error> {
        let Some(lease) = self.api.get_opt(&self.election.name).await? else {
            if self.has_just_vanished() {
                return Ok(false);
            }
            let lease = self.claimed(None);
            let made = self.api.create(&PostParams::default(), &lease).await;
            return self.settle(made);
        };
        self.met = true;
        self.missing_since = None;
        let spec = lease.spec.clone().unwrap_or_default();
        let holder = spec.holder_identity.clone().unwrap_or_default();
        if holder != self.election.identity && !holder.is_empty() && !self.has_expired(&spec) {
            self.renewed = None;
            return Ok(false);
        }
        let lease = self.claimed(Some(lease));
        let put = self.api.replace(&self.election.name, &PostParams::default(), &lease).await;
        self.settle(put)
    }

    fn has_just_vanished(&mut self) -> bool {
        if !self.met {
            return false;
        }
        let since = *self.missing_since.get_or_insert_with(Instant::now);
        self.renewed = None;
        since.elapsed() < self.election.pace.duration
    }

    /// Somebody else being faster is no error.
    fn settle(&mut self, answer: Result<Lease, kube::Error>) -> Result<bool, kube::Error> {
        match answer {
            Ok(_) => {
                self.met = true;
                self.renewed = Some(Instant::now());
                Ok(true)
            }
            Err(kube::Error::Api(status)) if status.code == 409 => Ok(self.still_holds()),
            Err(error) => Err(error),
        }
    }

    /// Whether the holder has shown no sign of life for as long as it promised to.
    fn has_expired(&mut self, spec: &LeaseSpec) -> bool {
        let now = Instant::now();
        match &self.seen {
            Some((last, since)) if last == spec => {
                let seconds = spec.lease_duration_seconds.and_then(|seconds| u64::try_from(seconds).ok());
                now.duration_since(*since) > seconds.map_or(self.election.pace.duration, Duration::from_secs)
            }
            _ => {
                self.seen = Some((spec.clone(), now));
                false
            }
        }
    }

    /// The lease as it should be with us as the holder.
    fn claimed(&self, old: Option<Lease>) -> Lease {
        let now = MicroTime(Timestamp::now());
        let old = old.unwrap_or_else(|| Lease {
            metadata: ObjectMeta { name: Some(self.election.name.clone()), ..ObjectMeta::default() },
            spec: None,
        });
        let spec = old.spec.clone().unwrap_or_default();
        let ours = spec.holder_identity.as_ref() == Some(&self.election.identity);
        let transitions = spec.lease_transitions.unwrap_or(0);
        Lease {
            metadata: old.metadata,
            spec: Some(LeaseSpec {
                holder_identity: Some(self.election.identity.clone()),
                lease_duration_seconds: i32::try_from(self.election.pace.duration.as_secs()).ok(),
                acquire_time: if ours { spec.acquire_time } else { Some(now.clone()) },
                renew_time: Some(now),
                lease_transitions: Some(if ours || old.spec.is_none() {
                    transitions
                } else {
                    transitions + 1
                }),
                ..LeaseSpec::default()
            }),
        }
    }

    /// Lets everyone know that nobody holds it.
    async fn release(&self) -> Result<(), kube::Error> {
        let Some(mut lease) = self.api.get_opt(&self.election.name).await? else { return Ok(()) };
        let Some(spec) = &mut lease.spec else { return Ok(()) };
        if spec.holder_identity.as_ref() == Some(&self.election.identity) {
            spec.holder_identity = Some(String::new());
            spec.lease_duration_seconds = Some(1);
            self.api.replace(&self.election.name, &PostParams::default(), &lease).await?;
        }
        Ok(())
    }

    fn still_holds(&self) -> bool {
        self.renewed.is_some_and(|at| at.elapsed() < self.election.pace.give_up)
    }

    /// Logs a failure once as long as it stays the same. A leader goes on for a while.
    fn report(&self, reason: String, failed: &mut Option<String>) -> bool {
        if failed.as_ref() != Some(&reason) {
            warn!(
                lease = self.election.name,
                namespace = self.election.namespace,
                reason,
                "can't renew or take the lease"
            );
            *failed = Some(reason);
        }
        self.still_holds()
    }
}
