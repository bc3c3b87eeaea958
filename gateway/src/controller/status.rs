//! What the status of objects should say, and writing it where it says something else.
//!
//! Ingresses get the gateway's addresses once they serve; plugins and consumers a condition `Programmed`. Only
//! differences are written, by server-side apply, so that other writers keep what is theirs. Whoever writes the
//! same fields against us meets growing pauses instead of a loop.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use futures_util::StreamExt;
use k8s_openapi::api::core::v1::Service;
use k8s_openapi::api::networking::v1::{Ingress, IngressLoadBalancerIngress};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, ObjectMeta, Time};
use k8s_openapi::jiff::Timestamp;
use kube::api::{ApiResource, DynamicObject, Patch, PatchParams};
use kube::{Api, Client};
use serde_json::{Value, json};
use tokio::sync::watch;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::{debug, warn};

use super::{ControllerSettings, Published};
use crate::model::{Origin, Problem};
use crate::objects::{Kind, KongClusterPlugin, KongConsumer, KongPlugin, ObjectKey, Status};
use crate::store::Store;
use crate::translate::{Programmed, Translation, Verdict};

/// Writes under way at once.
const AT_ONCE: usize = 4;
/// An answer that takes longer is none.
const PATIENCE: Duration = Duration::from_secs(10);
/// The pause before the same thing is written to the same object again; doubles each time.
const AGAIN: Duration = Duration::from_secs(2);
const AGAIN_AT_MOST: Duration = Duration::from_mins(5);
/// What stayed as we wrote it for so long has no past.
const FORGET: Duration = Duration::from_mins(5);
/// Longer messages are cut; nobody reads on, and objects have a limit.
const LONGEST_MESSAGE: usize = 4096;
const PROGRAMMED: &str = "Programmed";

/// All statuses that are not as they should be.
#[derive(Debug, Clone, Default)]
pub(super) struct Plan {
    writes: Vec<Write>,
}

/// One of them.
#[derive(Debug, Clone, PartialEq)]
struct Write {
    key: ObjectKey,
    /// The whole of what we say about the object.
    status: Value,
}

/// Our name among the writers. Gateways of different classes are different writers.
pub(super) fn field_manager(ingress_class: &str) -> String {
    format!("limen-{ingress_class}")
}

/// What is wrong with the settings of status writing, as far as objects show.
pub(super) fn problems(store: &Store, settings: &ControllerSettings) -> Option<Problem> {
    let (namespace, name) =
        settings.publish_service.as_ref().filter(|_| settings.publish_addresses.is_empty())?;
    if store.get::<Service>(namespace, name).is_some() {
        return None;
    }
    Some(Problem {
        origin: Origin::new(ObjectKey::new(Kind::Service, namespace.as_str(), name.as_str()).to_string()),
        field: String::new(),
        message: "there is no such Service; it is the one whose address Ingresses should show".to_owned(),
        effect: "the status of Ingresses shows no address".to_owned(),
        advice: false,
    })
}

impl Plan {
    pub(super) fn new(
        store: &Store,
        translation: &Translation,
        published: &Published,
        settings: &ControllerSettings,
    ) -> Plan {
        let mut writes = Vec::new();
        let addresses = addresses(store, settings);
        if !addresses.is_empty() {
            let serving = translation.serving.iter();
            writes.extend(serving.filter_map(|key| ingress_write(store, key, &addresses)));
        }
        let manager = field_manager(&settings.translate.ingress_class);
        for (key, verdict) in &translation.verdicts {
            let verdict = after_publishing(key, verdict, published);
            writes.extend(condition_write(store, key, &verdict, &manager));
        }
        Plan { writes }
    }
}

/// Where clients reach the gateway.
fn addresses(store: &Store, settings: &ControllerSettings) -> Vec<IngressLoadBalancerIngress> {
    let of_text = |text: &String| match text.parse::<std::net::IpAddr>() {
        Ok(_) => {
            IngressLoadBalancerIngress { ip: Some(text.clone()), ..IngressLoadBalancerIngress::default() }
        }
        Err(_) => IngressLoadBalancerIngress {
            hostname: Some(text.clone()),
            ..IngressLoadBalancerIngress::default()
        },
    };
    if !settings.publish_addresses.is_empty() {
        return settings.publish_addresses.iter().map(of_text).collect();
    }
    let service =
        settings.publish_service.as_ref().and_then(|(namespace, name)| store.get::<Service>(namespace, name));
    let Some(service) = service else { return Vec::new() };
    let balancer = service.status.as_ref().and_then(|status| status.load_balancer.as_ref());
    let given: Vec<_> = balancer
        .and_then(|balancer| balancer.ingress.as_ref())
        .into_iter()
        .flatten()
        .map(|point| IngressLoadBalancerIngress {
            ip: point.ip.clone(),
            hostname: point.hostname.clone(),
            ports: None,
        })
        .collect();
    if !given.is_empty() {
        return given;
    }
    let spec = service.spec.as_ref();
    let cluster_ips =
        spec.and_then(|spec| spec.cluster_ips.clone().or_else(|| Some(vec![spec.cluster_ip.clone()?])));
    cluster_ips.unwrap_or_default().iter().filter(|ip| *ip != "None" && !ip.is_empty()).map(of_text).collect()
}

fn ingress_write(store: &Store, key: &ObjectKey, addresses: &[IngressLoadBalancerIngress]) -> Option<Write> {
    let ingress = store.get::<Ingress>(&key.namespace, &key.name)?;
    let status = ingress.status.as_ref();
    let shown = status
        .and_then(|status| status.load_balancer.as_ref())
        .and_then(|balancer| balancer.ingress.as_deref())
        .unwrap_or_default();
    let same = shown.len() == addresses.len()
        && shown.iter().zip(addresses).all(|(a, b)| a.ip == b.ip && a.hostname == b.hostname);
    let status = json!({"loadBalancer": {"ingress": addresses}});
    (!same).then(|| Write { key: key.clone(), status })
}

/// What can't be compiled is not programmed, whatever translation thought.
fn after_publishing(key: &ObjectKey, verdict: &Verdict, published: &Published) -> Verdict {
    let origin = key.to_string();
    let faults: Vec<&str> = published
        .problems
        .iter()
        .filter(|problem| problem.origin.as_str() == origin)
        .map(|problem| problem.message.as_str())
        .collect();
    if faults.is_empty() {
        return verdict.clone();
    }
    Verdict { programmed: Programmed::Invalid, message: faults.join("; "), used: verdict.used }
}

fn condition_write(store: &Store, key: &ObjectKey, verdict: &Verdict, manager: &str) -> Option<Write> {
    let meta = store.meta(key)?;
    let shown = conditions(store, key)?.iter().find(|condition| condition.type_ == PROGRAMMED);
    if !is_ours_to_say(meta, shown, verdict, manager) {
        return None;
    }
    let message = cut(&verdict.message, LONGEST_MESSAGE);
    let (status, reason) = (verdict.programmed.status(), verdict.programmed.reason());
    if let Some(shown) = shown
        && shown.status == status
        && shown.reason == reason
        && shown.message == message
        && shown.observed_generation == meta.generation
    {
        return None;
    }
    let since = shown.filter(|shown| shown.status == status && !is_default(shown));
    let condition = Condition {
        type_: PROGRAMMED.to_owned(),
        status: status.to_owned(),
        reason: reason.to_owned(),
        message,
        observed_generation: meta.generation,
        last_transition_time: since
            .map_or_else(|| Time(Timestamp::now()), |shown| shown.last_transition_time.clone()),
    };
    Some(Write { key: key.clone(), status: json!({"conditions": [condition]}) })
}

/// Several gateways may see the same plugin. Who uses it says so; who doesn't only speaks of its faults, or
/// takes back what it said itself.
fn is_ours_to_say(meta: &ObjectMeta, shown: Option<&Condition>, verdict: &Verdict, manager: &str) -> bool {
    let silent = shown.is_none_or(is_default);
    let mut managers = meta.managed_fields.iter().flatten().filter_map(|entry| entry.manager.as_deref());
    let ours = managers.any(|name| name == manager);
    match verdict.programmed {
        _ if verdict.used => true,
        Programmed::Pending => ours && !silent,
        Programmed::Invalid | Programmed::Programmed => ours || silent,
    }
}

/// The condition that the resource's definition puts on new objects.
fn is_default(condition: &Condition) -> bool {
    condition.reason == "Pending" && condition.observed_generation.is_none()
}

fn conditions<'a>(store: &'a Store, key: &ObjectKey) -> Option<&'a [Condition]> {
    fn of(status: Option<&Status>) -> &[Condition] {
        status.map_or(&[], |status| &status.conditions)
    }
    let (namespace, name) = (key.namespace.as_str(), key.name.as_str());
    match key.kind {
        Kind::KongPlugin => store.get::<KongPlugin>(namespace, name).map(|object| of(object.status.as_ref())),
        Kind::KongClusterPlugin => {
            store.get::<KongClusterPlugin>("", name).map(|object| of(object.status.as_ref()))
        }
        Kind::KongConsumer => {
            store.get::<KongConsumer>(namespace, name).map(|object| of(object.status.as_ref()))
        }
        _ => None,
    }
}

/// At most so many bytes, with a mark where something is missing.
pub(super) fn cut(text: &str, longest: usize) -> String {
    if text.len() <= longest {
        return text.to_owned();
    }
    let mut end = longest - '…'.len_utf8();
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    format!("{}…", &text[..end])
}

/// Writes what plans ask for.
pub(super) struct Scribe {
    client: Client,
    manager: String,
    leads: watch::Receiver<bool>,
    written: HashMap<ObjectKey, Written>,
}

/// What was last written to an object. Kept for a while also when it shows: someone may write it back.
struct Written {
    status: Value,
    tries: u32,
    not_before: Instant,
}

impl Scribe {
    pub(super) fn new(client: Client, manager: String, leads: watch::Receiver<bool>) -> Scribe {
        Scribe { client, manager, leads, written: HashMap::new() }
    }

    pub(super) async fn run(mut self, mut plans: watch::Receiver<Plan>, stop: CancellationToken) {
        loop {
            let plan = plans.borrow_and_update().clone();
            let leads = *self.leads.borrow_and_update();
            let plan = if leads { plan } else { Plan::default() };
            let next = tokio::select! {
                next = self.write(plan, &plans) => next,
                () = stop.cancelled() => return,
            };
            let later = async {
                match next {
                    Some(at) => tokio::time::sleep_until(at).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                () = stop.cancelled() => return,
                changed = plans.changed() => if changed.is_err() { return },
                changed = self.leads.changed() => if changed.is_err() { return },
                () = later => {}
            }
        }
    }

    /// Writes what is due, unless a newer plan comes. Gives back when the rest is due.
    async fn write(&mut self, plan: Plan, plans: &watch::Receiver<Plan>) -> Option<Instant> {
        let wanted: HashSet<&ObjectKey> = plan.writes.iter().map(|write| &write.key).collect();
        let now = Instant::now();
        self.written.retain(|key, written| wanted.contains(key) || written.not_before + FORGET > now);
        let due: Vec<Write> = plan.writes.iter().filter(|write| self.is_due(write, now)).cloned().collect();
        let mut answers = futures_util::stream::iter(due)
            .take_while(|_| std::future::ready(!plans.has_changed().unwrap_or(true)))
            .map(|write| {
                let (client, manager) = (self.client.clone(), self.manager.clone());
                async move {
                    let answer = patch(client, &manager, &write).await;
                    (write, answer)
                }
            })
            .buffer_unordered(AT_ONCE);
        let mut done = Vec::new();
        while let Some(answer) = answers.next().await {
            done.push(answer);
        }
        drop(answers);
        for (write, answer) in done {
            match answer {
                Ok(()) => debug!(object = %write.key, "status written"),
                Err(reason) => {
                    warn!(object = %write.key, reason, "can't write the status; trying again later");
                }
            }
            self.note(write);
        }
        let left = plan.writes.iter().filter_map(|write| self.written.get(&write.key));
        left.map(|written| written.not_before).min()
    }

    fn is_due(&self, write: &Write, now: Instant) -> bool {
        self.written
            .get(&write.key)
            .is_none_or(|written| !says_same(&written.status, &write.status) || written.not_before <= now)
    }

    fn note(&mut self, write: Write) {
        let before = self.written.get(&write.key).filter(|written| says_same(&written.status, &write.status));
        let tries = before.map_or(0, |written| written.tries.saturating_add(1));
        let pause = AGAIN.saturating_mul(2_u32.saturating_pow(tries)).min(AGAIN_AT_MOST);
        let written = Written { status: write.status, tries, not_before: Instant::now() + pause };
        self.written.insert(write.key, written);
    }
}

/// The time of the change doesn't count: each round makes its own.
fn says_same(a: &Value, b: &Value) -> bool {
    let timeless = |status: &Value| {
        let mut status = status.clone();
        if let Some(condition) = status.pointer_mut("/conditions/0").and_then(Value::as_object_mut) {
            condition.remove("lastTransitionTime");
        }
        status
    };
    timeless(a) == timeless(b)
}

async fn patch(client: Client, manager: &str, write: &Write) -> Result<(), String> {
    let Write { key, status } = write;
    let kind = key.kind;
    let resource = ApiResource {
        group: kind.group().to_owned(),
        version: kind.version().to_owned(),
        api_version: kind.api_version().to_owned(),
        kind: kind.as_str().to_owned(),
        plural: kind.plural().to_owned(),
    };
    let api: Api<DynamicObject> = if kind.is_namespaced() {
        Api::namespaced_with(client, &key.namespace, &resource)
    } else {
        Api::all_with(client, &resource)
    };
    let body = json!({
        "apiVersion": kind.api_version(),
        "kind": kind.as_str(),
        "metadata": {"name": key.name},
        "status": status,
    });
    let params = PatchParams::apply(manager).force();
    let body = Patch::Apply(&body);
    let asked = api.patch_status(&key.name, &params, &body);
    match tokio::time::timeout(PATIENCE, asked).await {
        Ok(Ok(_)) => Ok(()),
        // Gone meanwhile: the watch will say so.
        Ok(Err(kube::Error::Api(status))) if status.code == 404 => Ok(()),
        Ok(Err(kube::Error::Api(status))) => Err(format!("{} {}", status.code, status.message)),
        Ok(Err(error)) => Err(error.to_string()),
        Err(_) => Err(format!("no answer within {PATIENCE:?}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn condition(reason: &str, generation: Option<i64>) -> Condition {
        Condition {
            type_: PROGRAMMED.to_owned(),
            status: "Unknown".to_owned(),
            reason: reason.to_owned(),
            message: String::new(),
            observed_generation: generation,
            last_transition_time: Time(Timestamp::UNIX_EPOCH),
        }
    }

    #[test]
    fn gateways_that_share_a_plugin_do_not_argue() {
        let manager = field_manager("kong");
        let by = |name: &str| {
            let entry = json!({"manager": name, "operation": "Apply", "subresource": "status"});
            serde_json::from_value::<ObjectMeta>(json!({"managedFields": [entry]})).unwrap()
        };
        let ours = |programmed, used, meta: &ObjectMeta, shown: &Condition| {
            let verdict = Verdict { programmed, message: String::new(), used };
            is_ours_to_say(meta, Some(shown), &verdict, &manager)
        };
        let (nobody, us, other) = (ObjectMeta::default(), by("limen-kong"), by("limen-internal"));
        let (fresh, said) = (condition("Pending", None), condition("Programmed", Some(1)));
        assert!(ours(Programmed::Programmed, true, &other, &said), "who uses it speaks");
        assert!(!ours(Programmed::Pending, false, &other, &said), "who doesn't use it is silent");
        assert!(!ours(Programmed::Pending, false, &nobody, &fresh), "there is nothing to add to the default");
        assert!(ours(Programmed::Pending, false, &us, &said), "what was said is taken back");
        assert!(ours(Programmed::Invalid, false, &nobody, &fresh), "faults are told before anybody uses it");
        assert!(!ours(Programmed::Invalid, false, &other, &said));
    }

    #[tokio::test]
    async fn writing_against_someone_gets_slower_and_slower() {
        let client = Client::try_from(kube::Config::new("http://127.0.0.1:1".parse().unwrap())).unwrap();
        let mut scribe = Scribe::new(client, field_manager("kong"), watch::channel(true).1);
        let key = ObjectKey::new(Kind::KongPlugin, "a", "b");
        let write = |status: &str, since: &str| {
            let condition = json!({"type": PROGRAMMED, "status": status, "lastTransitionTime": since});
            Write { key: key.clone(), status: json!({"conditions": [condition]}) }
        };
        let mut pauses = Vec::new();
        for since in ["1", "2", "3", "4"] {
            let now = Instant::now();
            scribe.note(write("True", since));
            assert!(!scribe.is_due(&write("True", "x"), now), "another time is not another status");
            assert!(scribe.is_due(&write("False", "x"), now), "another status is written at once");
            pauses.push(scribe.written[&key].not_before.duration_since(now).as_secs_f64().round());
        }
        assert_eq!(pauses, [2.0, 4.0, 8.0, 16.0]);
        scribe.note(write("False", "5"));
        assert!(scribe.is_due(&write("False", "6"), Instant::now() + Duration::from_secs(3)));
    }

    #[test]
    fn long_texts_are_cut_between_characters() {
        assert_eq!(cut("short", 10), "short");
        assert_eq!(cut("ääääää", 9), "äää…");
    }
}
