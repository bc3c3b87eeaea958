//! Kubernetes Events: what `kubectl describe` shows under an object that was refused.
//!
//! Kong's reasons, types and component name are kept. A problem is said once when it comes up and again every
//! half hour while it lasts; what is said again counts up instead of adding another Event.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use k8s_openapi::api::core::v1::{Event, EventSource, ObjectReference};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, Time};
use k8s_openapi::jiff::Timestamp;
use kube::api::{Patch, PatchParams, PostParams};
use kube::{Api, Client};
use serde_json::json;
use tokio::sync::watch;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::warn;

use super::Published;
use super::status::cut;
use crate::model::Problem;
use crate::objects::ObjectKey;
use crate::store::Store;

/// The name Kong's controller speaks under.
const COMPONENT: &str = "kong-client";
const TRANSLATION_FAILED: &str = "KongConfigurationTranslationFailed";
/// Kong has no word for it.
const ADVICE: &str = "KongConfigurationAdvice";
const APPLY_FAILED: &str = "KongConfigurationApplyFailed";
const SUCCEEDED: &str = "KongConfigurationSucceeded";

/// Events live for an hour in a cluster: a problem that lasts is said again before that.
const REMIND: Duration = Duration::from_mins(30);
/// But not every time when it comes and goes.
const COMES_AND_GOES: Duration = Duration::from_secs(10);
/// What couldn't be written is tried again, but not in a loop.
const TRY_AGAIN: Duration = Duration::from_mins(1);
/// A configuration that changes all the time is not reported all the time.
const SUCCESS_AT_MOST_EVERY: Duration = Duration::from_secs(30);
/// An API server is not flooded, however much is wrong.
const PACE: Duration = Duration::from_millis(20);
const PATIENCE: Duration = Duration::from_secs(10);
const LONGEST_MESSAGE: usize = 1024;
/// How many Events are remembered to be counted up.
const REMEMBERED: usize = 10_000;

/// What there is to say.
#[derive(Debug, Clone, Default)]
pub(super) struct Plan {
    warnings: Vec<Warning>,
    /// The configuration that serves; 0 before the first.
    generation: u64,
}

/// Something wrong with an object that exists.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Warning {
    object: ObjectKey,
    uid: Option<String>,
    reason: &'static str,
    message: String,
}

impl Plan {
    pub(super) fn new(store: &Store, problems: &[Problem], published: &Published) -> Plan {
        let warning = |problem: &Problem, reason| {
            let object = ObjectKey::parse(problem.origin.as_str())?;
            let uid = store.meta(&object)?.uid.clone();
            Some(Warning { object, uid, reason, message: message(problem) })
        };
        let reason = |problem: &Problem| if problem.advice { ADVICE } else { TRANSLATION_FAILED };
        let translation = problems.iter().filter_map(|problem| warning(problem, reason(problem)));
        let compilation = published.problems.iter().filter_map(|problem| warning(problem, APPLY_FAILED));
        Plan { warnings: translation.chain(compilation).collect(), generation: published.generation }
    }
}

fn message(problem: &Problem) -> String {
    let Problem { field, message, effect, .. } = problem;
    let mut text = if field.is_empty() { message.clone() } else { format!("{field}: {message}") };
    if !effect.is_empty() {
        text = format!("{text} ({effect})");
    }
    cut(&text, LONGEST_MESSAGE)
}

/// Says what plans contain.
pub(super) struct Scribe {
    client: Client,
    pod: Option<(String, String)>,
    leads: watch::Receiver<bool>,
    said: HashMap<Warning, Said>,
    success: Option<(u64, Said)>,
    serial: u64,
}

/// An Event that exists as far as we know.
struct Said {
    namespace: String,
    name: String,
    /// How often it was said; 0 when it couldn't be.
    count: i32,
    at: Instant,
    /// The problem is still there; one that comes back is said again.
    lasts: bool,
}

impl Said {
    /// Whether it needn't be said again yet.
    fn holds(&mut self) -> bool {
        let limit = match (self.count, self.lasts) {
            (0, _) => TRY_AGAIN,
            (_, true) => REMIND,
            (_, false) => COMES_AND_GOES,
        };
        let holds = self.at.elapsed() < limit;
        self.lasts |= holds;
        holds
    }
}

impl Scribe {
    pub(super) fn new(client: Client, pod: Option<(String, String)>, leads: watch::Receiver<bool>) -> Scribe {
        Scribe { client, pod, leads, said: HashMap::new(), success: None, serial: 0 }
    }

    pub(super) async fn run(mut self, mut plans: watch::Receiver<Plan>, stop: CancellationToken) {
        loop {
            let plan = plans.borrow_and_update().clone();
            let leads = *self.leads.borrow_and_update();
            tokio::select! {
                () = stop.cancelled() => return,
                () = self.say(&plan, leads, &plans) => {}
            }
            let pause = self.next(&plan);
            tokio::select! {
                () = stop.cancelled() => return,
                changed = plans.changed() => if changed.is_err() { return },
                changed = self.leads.changed() => if changed.is_err() { return },
                () = tokio::time::sleep(pause) => {}
            }
        }
    }

    /// When something is to be said again, if nothing changes.
    fn next(&self, plan: &Plan) -> Duration {
        let unreported = self.success.as_ref().is_some_and(|(generation, _)| *generation != plan.generation);
        if unreported && self.pod.is_some() {
            SUCCESS_AT_MOST_EVERY
        } else if self.said.values().any(|said| said.count == 0) {
            TRY_AGAIN
        } else {
            REMIND
        }
    }

    /// Says what is due. A newer plan cuts it short: what is left is due in that as well.
    async fn say(&mut self, plan: &Plan, leads: bool, plans: &watch::Receiver<Plan>) {
        self.report_success(plan.generation).await;
        if !leads {
            return;
        }
        let present: HashSet<&Warning> = plan.warnings.iter().collect();
        for (warning, said) in &mut self.said {
            said.lasts &= present.contains(warning);
        }
        for warning in &plan.warnings {
            if self.said.get_mut(warning).is_some_and(Said::holds) {
                continue;
            }
            if plans.has_changed().unwrap_or(true) {
                break;
            }
            let earlier = self.said.remove(warning);
            let said = self.warn(warning, earlier).await;
            self.said.insert(warning.clone(), said);
            tokio::time::sleep(PACE).await;
        }
        self.forget();
    }

    async fn warn(&mut self, warning: &Warning, earlier: Option<Said>) -> Said {
        let kind = warning.object.kind;
        let regarding = ObjectReference {
            api_version: Some(kind.api_version().to_owned()),
            kind: Some(kind.as_str().to_owned()),
            namespace: Some(warning.object.namespace.clone()).filter(|namespace| !namespace.is_empty()),
            name: Some(warning.object.name.clone()),
            uid: warning.uid.clone(),
            ..ObjectReference::default()
        };
        self.emit(regarding, "Warning", warning.reason, &warning.message, earlier).await
    }

    /// Told by every replica of itself, whoever leads.
    async fn report_success(&mut self, generation: u64) {
        let Some((namespace, name)) = self.pod.clone().filter(|_| generation > 0) else { return };
        let earlier = self.success.take();
        if let Some((reported, said)) = &earlier
            && (*reported == generation || said.at.elapsed() < SUCCESS_AT_MOST_EVERY)
        {
            self.success = earlier;
            return;
        }
        let pod = ObjectReference {
            api_version: Some("v1".to_owned()),
            kind: Some("Pod".to_owned()),
            namespace: Some(namespace),
            name: Some(name),
            ..ObjectReference::default()
        };
        let message = "successfully applied the configuration";
        let said = self.emit(pod, "Normal", SUCCEEDED, message, earlier.map(|(_, said)| said)).await;
        self.success = Some((generation, said));
    }

    /// Counts an earlier Event up, or makes a new one.
    async fn emit(
        &mut self,
        regarding: ObjectReference,
        type_: &str,
        reason: &str,
        message: &str,
        earlier: Option<Said>,
    ) -> Said {
        if let Some(earlier) = earlier.filter(|earlier| earlier.count > 0)
            && let Some(said) = self.count_up(earlier).await
        {
            return said;
        }
        self.serial += 1;
        let now = Timestamp::now();
        let namespace = regarding.namespace.clone().unwrap_or_else(|| "default".to_owned());
        let object = regarding.name.clone().unwrap_or_default();
        let name = format!("{}.{:x}{:x}", cut_name(&object), now.as_nanosecond(), self.serial);
        let event = Event {
            metadata: ObjectMeta {
                namespace: Some(namespace.clone()),
                name: Some(name.clone()),
                ..ObjectMeta::default()
            },
            involved_object: regarding,
            type_: Some(type_.to_owned()),
            reason: Some(reason.to_owned()),
            message: Some(message.to_owned()),
            source: Some(EventSource { component: Some(COMPONENT.to_owned()), host: None }),
            first_timestamp: Some(Time(now)),
            last_timestamp: Some(Time(now)),
            count: Some(1),
            ..Event::default()
        };
        let api: Api<Event> = Api::namespaced(self.client.clone(), &namespace);
        let params = PostParams::default();
        let failed = match tokio::time::timeout(PATIENCE, api.create(&params, &event)).await {
            Ok(Ok(_)) => None,
            Ok(Err(error)) => Some(error.to_string()),
            Err(_) => Some(format!("no answer within {PATIENCE:?}")),
        };
        if let Some(cause) = &failed {
            warn!(object, reason, cause, "can't write an Event; trying again in {TRY_AGAIN:?}");
        }
        let count = i32::from(failed.is_none());
        Said { namespace, name, count, at: Instant::now(), lasts: true }
    }

    /// Nothing when the Event is gone.
    async fn count_up(&self, earlier: Said) -> Option<Said> {
        let count = earlier.count.saturating_add(1);
        let patch = json!({"count": count, "lastTimestamp": Time(Timestamp::now())});
        let api: Api<Event> = Api::namespaced(self.client.clone(), &earlier.namespace);
        let params = PatchParams::default();
        let patch = Patch::Merge(&patch);
        match tokio::time::timeout(PATIENCE, api.patch(&earlier.name, &params, &patch)).await {
            Ok(Ok(_)) => Some(Said { count, at: Instant::now(), lasts: true, ..earlier }),
            Ok(Err(_)) | Err(_) => None,
        }
    }

    /// Keeps the memory bounded: what lasts, and the latest of the rest.
    fn forget(&mut self) {
        if self.said.len() <= REMEMBERED {
            return;
        }
        let mut passed: Vec<(Instant, Warning)> = self
            .said
            .iter()
            .filter(|(_, said)| !said.lasts)
            .map(|(warning, said)| (said.at, warning.clone()))
            .collect();
        passed.sort_by_key(|(at, _)| *at);
        for (_, warning) in passed.into_iter().take(self.said.len() - REMEMBERED) {
            self.said.remove(&warning);
        }
    }
}

/// An object's name, short enough for a serial number behind it.
fn cut_name(name: &str) -> &str {
    name.get(..200).unwrap_or(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_problem_is_said_again_when_it_lasts_and_when_it_comes_back() {
        let said = |ago: u64, lasts: bool| Said {
            namespace: String::new(),
            name: String::new(),
            count: 1,
            at: Instant::now().checked_sub(Duration::from_secs(ago)).unwrap(),
            lasts,
        };
        assert!(said(60, true).holds(), "it was said a minute ago and nothing changed");
        assert!(!said(31 * 60, true).holds(), "it lasts");
        assert!(!said(60, false).holds(), "it was gone and is back");
        assert!(said(1, false).holds(), "it comes and goes");
    }
}
