//! What the node writes into the status of a pod, from what it has seen of the containers; as the kubelet does.

use jiff::Timestamp;
use serde_json::{Value, json};

use crate::kinds::{stamp, text};

/// How a run of a container ended.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct End {
    pub(super) code: i32,
    /// `Completed`, `Error`.
    pub(super) reason: &'static str,
    pub(super) message: Option<String>,
    pub(super) started: Timestamp,
    pub(super) finished: Timestamp,
    pub(super) id: String,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) enum State {
    Waiting { reason: &'static str, message: Option<String> },
    Running { since: Timestamp },
    Ended(End),
}

/// When a container runs within its pod.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    /// To its end, before those after it.
    Init,
    /// From its place among the init containers to the end of the pod.
    Sidecar,
    Main,
}

/// A container as the node has seen it.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Seen {
    pub(super) name: String,
    pub(super) role: Role,
    pub(super) image: String,
    pub(super) image_id: String,
    pub(super) id: String,
    pub(super) state: State,
    pub(super) last: Option<End>,
    pub(super) restarts: u32,
    pub(super) started: bool,
    pub(super) ready: bool,
}

/// What of a pod doesn't follow from its containers.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Whole {
    pub(super) address: Option<String>,
    pub(super) host: String,
    pub(super) started: Option<Timestamp>,
    /// The pod has been ended from outside: reason and message.
    pub(super) ended: Option<(&'static str, String)>,
    /// Volumes and address are there.
    pub(super) prepared: bool,
}

impl Seen {
    pub(super) fn new(name: &str, role: Role, image: &str) -> Seen {
        Seen {
            name: name.to_owned(),
            role,
            image: image.to_owned(),
            image_id: String::new(),
            id: String::new(),
            state: State::Waiting { reason: "ContainerCreating", message: None },
            last: None,
            restarts: 0,
            started: false,
            ready: false,
        }
    }

    /// A new run has begun.
    pub(super) fn begin(&mut self, id: &str, now: Timestamp) {
        if let Some(end) = self.last_end() {
            self.last = Some(end);
            self.restarts += 1;
        }
        id.clone_into(&mut self.id);
        self.state = State::Running { since: now };
        (self.started, self.ready) = (false, false);
    }

    pub(super) fn end(&mut self, code: i32, message: Option<String>, now: Timestamp) {
        let State::Running { since } = self.state else { return };
        let reason = if code == 0 { "Completed" } else { "Error" };
        self.state =
            State::Ended(End { code, reason, message, started: since, finished: now, id: self.id.clone() });
        self.started = false;
        // An init container that has done its work counts as ready.
        self.ready = self.role == Role::Init && code == 0;
    }

    pub(super) fn wait(&mut self, reason: &'static str, message: Option<String>) {
        if let State::Ended(end) = &self.state {
            self.last = Some(end.clone());
        }
        self.state = State::Waiting { reason, message };
    }

    /// What keeps it from running now.
    pub(super) fn waiting_for(&self) -> Option<&'static str> {
        match self.state {
            State::Waiting { reason, .. } => Some(reason),
            _ => None,
        }
    }

    /// How the newest run that has ended did.
    fn last_end(&self) -> Option<End> {
        match &self.state {
            State::Ended(end) => Some(end.clone()),
            State::Waiting { .. } => self.last.clone(),
            State::Running { .. } => None,
        }
    }

    fn is_done(&self) -> bool {
        match self.role {
            Role::Init => matches!(&self.state, State::Ended(end) if end.code == 0),
            Role::Sidecar => self.started,
            Role::Main => matches!(self.state, State::Ended(_)),
        }
    }

    fn written(&self) -> Value {
        let mut status = json!({
            "name": self.name, "image": self.image, "imageID": self.image_id, "containerID": self.id,
            "ready": self.ready, "started": self.started, "restartCount": self.restarts,
            "state": self.state.written(),
            "lastState": {},
        });
        if let Some(last) = &self.last {
            status["lastState"] = State::Ended(last.clone()).written();
        }
        status
    }
}

impl State {
    fn written(&self) -> Value {
        match self {
            State::Waiting { reason, message } => {
                let mut waiting = json!({"reason": reason});
                if let Some(message) = message {
                    waiting["message"] = json!(message);
                }
                json!({"waiting": waiting})
            }
            State::Running { since } => json!({"running": {"startedAt": stamp(*since)}}),
            State::Ended(end) => {
                let mut ended = json!({
                    "exitCode": end.code, "reason": end.reason,
                    "startedAt": stamp(end.started), "finishedAt": stamp(end.finished),
                    "containerID": end.id,
                });
                if let Some(message) = &end.message {
                    ended["message"] = json!(message);
                }
                json!({"terminated": ended})
            }
        }
    }
}

/// Writes the status of a pod; conditions that others keep there stay.
pub(super) fn write(pod: &mut Value, seen: &[Seen], whole: &Whole, now: Timestamp) {
    let of_role = |main: bool| {
        let chosen = seen.iter().filter(move |one| (one.role == Role::Main) == main);
        chosen.map(Seen::written).collect::<Vec<_>>()
    };
    let phase = phase(pod, seen, whole);
    let conditions = conditions(pod, seen, whole, phase, now);
    let qos = qos(pod);
    if pod["status"].is_null() {
        pod["status"] = json!({});
    }
    let status = &mut pod["status"];
    status["phase"] = json!(phase);
    status["conditions"] = json!(conditions);
    status["hostIP"] = json!(whole.host);
    status["hostIPs"] = json!([{"ip": whole.host}]);
    if let Some(address) = &whole.address {
        status["podIP"] = json!(address);
        status["podIPs"] = json!([{"ip": address}]);
    }
    if let Some(started) = whole.started {
        status["startTime"] = json!(stamp(started));
    }
    if let Some((reason, message)) = &whole.ended {
        status["reason"] = json!(reason);
        status["message"] = json!(message);
    }
    if seen.iter().any(|one| one.role != Role::Main) {
        status["initContainerStatuses"] = json!(of_role(false));
    }
    status["containerStatuses"] = json!(of_role(true));
    status["qosClass"] = json!(qos);
}

fn phase(pod: &Value, seen: &[Seen], whole: &Whole) -> &'static str {
    if whole.ended.is_some() {
        return "Failed";
    }
    let policy = text(pod, "/spec/restartPolicy");
    let initialised = seen
        .iter()
        .filter(|one| one.role != Role::Main)
        .all(|one| one.is_done() || one.role == Role::Sidecar);
    if !initialised {
        let failed = seen.iter().any(|one| {
            one.role == Role::Init
                && policy == "Never"
                && matches!(&one.state, State::Ended(end) if end.code != 0)
        });
        return if failed { "Failed" } else { "Pending" };
    }
    let mains: Vec<&Seen> = seen.iter().filter(|one| one.role == Role::Main).collect();
    let ends: Vec<i32> = mains.iter().filter_map(|one| one.last_end()).map(|end| end.code).collect();
    let never_ran = |one: &&&Seen| matches!(one.state, State::Waiting { .. }) && one.last.is_none();
    if mains.iter().any(|one| never_ran(&one)) {
        return "Pending";
    }
    if ends.len() < mains.len() {
        return "Running";
    }
    match policy {
        "Never" if ends.iter().any(|code| *code != 0) => "Failed",
        "Never" => "Succeeded",
        "OnFailure" if ends.iter().all(|code| *code == 0) => "Succeeded",
        // It runs again, or waits to.
        _ => "Running",
    }
}

fn conditions(pod: &Value, seen: &[Seen], whole: &Whole, phase: &str, now: Timestamp) -> Vec<Value> {
    let finished = matches!(phase, "Succeeded" | "Failed");
    let quoted = |names: Vec<&str>| format!("[{}]", names.join(" "));
    let incomplete: Vec<&str> = seen
        .iter()
        .filter(|one| one.role != Role::Main && !one.is_done())
        .map(|one| one.name.as_str())
        .collect();
    let unready: Vec<&str> =
        seen.iter().filter(|one| one.role != Role::Init && !one.ready).map(|one| one.name.as_str()).collect();
    let initialised = match (incomplete.is_empty(), phase) {
        (_, "Succeeded") => Ok("PodCompleted"),
        (true, _) => Ok(""),
        (false, _) => Err((
            "ContainersNotInitialized",
            format!("containers with incomplete status: {}", quoted(incomplete)),
        )),
    };
    let containers_ready = match (unready.is_empty(), phase) {
        (_, "Succeeded") => Err(("PodCompleted", String::new())),
        (_, "Failed") => Err(("PodFailed", String::new())),
        (true, _) => Ok(""),
        (false, _) => {
            Err(("ContainersNotReady", format!("containers with unready status: {}", quoted(unready))))
        }
    };
    let ready = containers_ready.clone().and_then(|_| gates(pod));
    let sandbox = if whole.prepared && !finished { Ok("") } else { Err(("", String::new())) };
    let wanted = [
        ("PodReadyToStartContainers", sandbox),
        ("Initialized", initialised),
        ("Ready", ready),
        ("ContainersReady", containers_ready),
        ("PodScheduled", Ok("")),
    ];
    let before = pod["status"]["conditions"].as_array().cloned().unwrap_or_default();
    let mut conditions: Vec<Value> =
        wanted.iter().map(|(kind, verdict)| condition(&before, kind, verdict, now)).collect();
    let ours = |kind: &Value| wanted.iter().any(|(known, _)| kind == known);
    conditions.extend(before.iter().filter(|one| !ours(&one["type"])).cloned());
    conditions
}

fn condition(
    before: &[Value],
    kind: &str,
    verdict: &Result<&'static str, (&'static str, String)>,
    now: Timestamp,
) -> Value {
    let (status, reason, message) = match verdict {
        Ok(reason) => ("True", *reason, ""),
        Err((reason, message)) => ("False", *reason, message.as_str()),
    };
    let same = before.iter().find(|one| one["type"] == kind && one["status"] == status);
    let since = same.map_or_else(|| json!(stamp(now)), |one| one["lastTransitionTime"].clone());
    let mut condition =
        json!({"type": kind, "status": status, "lastProbeTime": null, "lastTransitionTime": since});
    if !reason.is_empty() {
        condition["reason"] = json!(reason);
    }
    if !message.is_empty() {
        condition["message"] = json!(message);
    }
    condition
}

/// Conditions that others write and that the pod wants to wait for.
fn gates(pod: &Value) -> Result<&'static str, (&'static str, String)> {
    let conditions = pod["status"]["conditions"].as_array().cloned().unwrap_or_default();
    for gate in pod["spec"]["readinessGates"].as_array().into_iter().flatten() {
        let kind = &gate["conditionType"];
        let found = conditions.iter().find(|one| one["type"] == *kind);
        match found {
            Some(one) if one["status"] == "True" => {}
            Some(_) => {
                let message = format!("the status of pod readiness gate {kind} is not \"True\"");
                return Err(("ReadinessGatesNotReady", message));
            }
            None => {
                let message = format!("corresponding condition of pod readiness gate {kind} does not exist.");
                return Err(("ReadinessGatesNotReady", message));
            }
        }
    }
    Ok("")
}

/// `Guaranteed` when every container's limits are its requests, `BestEffort` when none has either.
fn qos(pod: &Value) -> &'static str {
    let containers: Vec<&Value> = ["containers", "initContainers"]
        .iter()
        .flat_map(|field| pod["spec"][field].as_array().into_iter().flatten())
        .collect();
    let given =
        |one: &Value, list: &str, kind: &str| one["resources"][list][kind].as_str().map(ToOwned::to_owned);
    let kinds = ["cpu", "memory"];
    let any = containers.iter().any(|one| {
        kinds.iter().any(|kind| given(one, "limits", kind).or(given(one, "requests", kind)).is_some())
    });
    let guaranteed = containers.iter().all(|one| {
        kinds.iter().all(|kind| {
            let limit = given(one, "limits", kind);
            limit.is_some() && given(one, "requests", kind).is_none_or(|request| Some(request) == limit)
        })
    });
    match (any, guaranteed) {
        (false, _) => "BestEffort",
        (true, true) => "Guaranteed",
        (true, false) => "Burstable",
    }
}

#[cfg(test)]
mod tests;
