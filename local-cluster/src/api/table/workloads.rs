//! Columns of pods and of what makes pods.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::built_in::{Printer, column, count, items, number, selector, text_or, wide};
use super::{age, age_of};

pub(super) const POD: Printer = Printer {
    columns: &[
        column("Ready"),
        column("Status"),
        column("Restarts"),
        column("Age"),
        wide("IP"),
        wide("Node"),
        wide("Nominated Node"),
        wide("Readiness Gates"),
    ],
    cells: pod,
};

fn pod(pod: &Value, now: Timestamp) -> Vec<Value> {
    let status = &pod["status"];
    let ready = items(&status["containerStatuses"]).filter(|container| container["ready"] == true).count();
    let all = count(&pod["spec"]["containers"]);
    let statuses = items(&status["containerStatuses"]);
    let restarts: i64 = statuses.clone().filter_map(|container| container["restartCount"].as_i64()).sum();
    let last = statuses
        .filter_map(|container| container["lastState"]["terminated"]["finishedAt"].as_str())
        .filter_map(|time| time.parse::<Timestamp>().ok())
        .max();
    let restarts = match last.filter(|_| restarts > 0) {
        Some(last) => format!("{restarts} ({} ago)", age(last, now)),
        None => restarts.to_string(),
    };
    vec![
        json!(format!("{ready}/{all}")),
        json!(reason(pod)),
        json!(restarts),
        age_of(pod, now),
        text_or(&status["podIP"], "<none>"),
        text_or(&pod["spec"]["nodeName"], "<none>"),
        text_or(&status["nominatedNodeName"], "<none>"),
        json!("<none>"),
    ]
}

/// One word for how a pod is: why its containers wait or ended, before what phase it is in.
fn reason(pod: &Value) -> String {
    let status = &pod["status"];
    let mut reason = status["reason"].as_str().or(status["phase"].as_str()).unwrap_or_default().to_owned();
    let of = |state: &Value| {
        let (waiting, ended) = (&state["waiting"], &state["terminated"]);
        if let Some(why) = waiting["reason"].as_str().filter(|why| !why.is_empty()) {
            return Some(why.to_owned());
        }
        if ended.is_null() {
            return None;
        }
        match (ended["reason"].as_str(), ended["signal"].as_i64(), ended["exitCode"].as_i64()) {
            (Some(why), _, _) if !why.is_empty() => Some(why.to_owned()),
            (_, Some(signal), _) if signal != 0 => Some(format!("Signal:{signal}")),
            (_, _, code) => Some(format!("ExitCode:{}", code.unwrap_or(0))),
        }
    };
    let all = count(&pod["spec"]["initContainers"]);
    let mut initializing = false;
    for (index, container) in items(&status["initContainerStatuses"]).enumerate() {
        let state = &container["state"];
        if state["terminated"]["exitCode"] == 0 || container["started"] == true && !state["running"].is_null()
        {
            continue;
        }
        reason = match of(state) {
            Some(why) if why != "PodInitializing" => format!("Init:{why}"),
            _ => format!("Init:{index}/{all}"),
        };
        initializing = true;
        break;
    }
    if !initializing {
        let mut running = false;
        for container in items(&status["containerStatuses"]).collect::<Vec<_>>().into_iter().rev() {
            match of(&container["state"]) {
                Some(why) => reason = why,
                None => running |= container["ready"] == true && !container["state"]["running"].is_null(),
            }
        }
        if reason == "Completed" && running {
            let ready = items(&status["conditions"]).any(|c| c["type"] == "Ready" && c["status"] == "True");
            reason = String::from(if ready { "Running" } else { "NotReady" });
        }
    }
    let going = !pod["metadata"]["deletionTimestamp"].is_null();
    let ended = matches!(status["phase"].as_str(), Some("Succeeded" | "Failed"));
    match (going, status["reason"].as_str()) {
        (true, Some("NodeLost")) => "Unknown".to_owned(),
        (true, _) if !ended => "Terminating".to_owned(),
        _ => reason,
    }
}

fn replicas(value: &Value) -> i64 {
    value.as_i64().unwrap_or(0)
}

/// Names and images of the containers, and the selector.
fn made_of(spec: &Value) -> [Value; 3] {
    let containers = || items(&spec["template"]["spec"]["containers"]);
    let list = |field: &str| {
        let texts: Vec<_> =
            containers().map(|container| container[field].as_str().unwrap_or_default()).collect();
        json!(texts.join(","))
    };
    [list("name"), list("image"), json!(selector(&spec["selector"]["matchLabels"]))]
}

pub(super) const DEPLOYMENT: Printer = Printer {
    columns: &[
        column("Ready"),
        number("Up-to-date"),
        number("Available"),
        column("Age"),
        wide("Containers"),
        wide("Images"),
        wide("Selector"),
    ],
    cells: |deployment, now| {
        let (spec, status) = (&deployment["spec"], &deployment["status"]);
        let ready = format!("{}/{}", replicas(&status["readyReplicas"]), replicas(&spec["replicas"]));
        let mut cells = vec![
            json!(ready),
            json!(replicas(&status["updatedReplicas"])),
            json!(replicas(&status["availableReplicas"])),
            age_of(deployment, now),
        ];
        cells.extend(made_of(spec));
        cells
    },
};

pub(super) const REPLICA_SET: Printer = Printer {
    columns: &[
        number("Desired"),
        number("Current"),
        number("Ready"),
        column("Age"),
        wide("Containers"),
        wide("Images"),
        wide("Selector"),
    ],
    cells: |set, now| {
        let (spec, status) = (&set["spec"], &set["status"]);
        let mut cells = vec![
            json!(replicas(&spec["replicas"])),
            json!(replicas(&status["replicas"])),
            json!(replicas(&status["readyReplicas"])),
            age_of(set, now),
        ];
        cells.extend(made_of(spec));
        cells
    },
};

pub(super) const STATEFUL_SET: Printer = Printer {
    columns: &[column("Ready"), column("Age"), wide("Containers"), wide("Images")],
    cells: |set, now| {
        let ready =
            format!("{}/{}", replicas(&set["status"]["readyReplicas"]), replicas(&set["spec"]["replicas"]));
        let [containers, images, _] = made_of(&set["spec"]);
        vec![json!(ready), age_of(set, now), containers, images]
    },
};

pub(super) const DAEMON_SET: Printer = Printer {
    columns: &[
        number("Desired"),
        number("Current"),
        number("Ready"),
        number("Up-to-date"),
        number("Available"),
        column("Node Selector"),
        column("Age"),
        wide("Containers"),
        wide("Images"),
        wide("Selector"),
    ],
    cells: |set, now| {
        let status = &set["status"];
        let mut cells: Vec<_> = [
            "desiredNumberScheduled",
            "currentNumberScheduled",
            "numberReady",
            "updatedNumberScheduled",
            "numberAvailable",
        ]
        .into_iter()
        .map(|field| json!(replicas(&status[field])))
        .collect();
        cells.push(json!(selector(&set["spec"]["template"]["spec"]["nodeSelector"])));
        cells.push(age_of(set, now));
        cells.extend(made_of(&set["spec"]));
        cells
    },
};

pub(super) const JOB: Printer = Printer {
    columns: &[
        column("Status"),
        column("Completions"),
        column("Duration"),
        column("Age"),
        wide("Containers"),
        wide("Images"),
        wide("Selector"),
    ],
    cells: |job, now| {
        let (spec, status) = (&job["spec"], &job["status"]);
        let done = format!("{}/{}", replicas(&status["succeeded"]), replicas(&spec["completions"]));
        let time = |field: &str| status[field].as_str().and_then(|time| time.parse::<Timestamp>().ok());
        let duration = match (time("startTime"), time("completionTime")) {
            (Some(start), end) => age(start, end.unwrap_or(now)),
            (None, _) => String::new(),
        };
        let holds =
            |kind: &str| items(&status["conditions"]).any(|c| c["type"] == kind && c["status"] == "True");
        let word = match () {
            () if holds("Complete") => "Complete",
            () if holds("Failed") => "Failed",
            () if !job["metadata"]["deletionTimestamp"].is_null() => "Terminating",
            () if holds("Suspended") => "Suspended",
            () if holds("FailureTarget") => "FailureTarget",
            () if holds("SuccessCriteriaMet") => "SuccessCriteriaMet",
            () => "Running",
        };
        let mut cells = vec![json!(word), json!(done), json!(duration), age_of(job, now)];
        cells.extend(made_of(spec));
        cells
    },
};

pub(super) const CRON_JOB: Printer = Printer {
    columns: &[
        column("Schedule"),
        column("Timezone"),
        column("Suspend"),
        number("Active"),
        column("Last Schedule"),
        column("Age"),
    ],
    cells: |job, now| {
        let last = job["status"]["lastScheduleTime"].as_str().and_then(|time| time.parse().ok());
        let suspended = if job["spec"]["suspend"] == true { "True" } else { "False" };
        vec![
            job["spec"]["schedule"].clone(),
            text_or(&job["spec"]["timeZone"], "<none>"),
            json!(suspended),
            json!(count(&job["status"]["active"])),
            json!(last.map_or_else(|| "<none>".to_owned(), |last| age(last, now))),
            age_of(job, now),
        ]
    },
};

pub(super) const AUTOSCALER: Printer = Printer {
    columns: &[
        column("Reference"),
        column("Targets"),
        column("MinPods"),
        column("MaxPods"),
        number("Replicas"),
        column("Age"),
    ],
    cells: |scaler, now| {
        let target = &scaler["spec"]["scaleTargetRef"];
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        vec![
            json!(format!("{}/{}", text(&target["kind"]), text(&target["name"]))),
            json!(if count(&scaler["spec"]["metrics"]) == 0 { "<none>" } else { "<unknown>" }),
            json!(replicas(&scaler["spec"]["minReplicas"]).to_string()),
            json!(replicas(&scaler["spec"]["maxReplicas"])),
            json!(replicas(&scaler["status"]["currentReplicas"])),
            age_of(scaler, now),
        ]
    },
};

pub(super) const DISRUPTION_BUDGET: Printer = Printer {
    columns: &[
        column("Min Available"),
        column("Max Unavailable"),
        number("Allowed Disruptions"),
        column("Age"),
    ],
    cells: |budget, now| {
        let limit = |field: &str| match &budget["spec"][field] {
            Value::Null => json!("N/A"),
            Value::String(text) => json!(text),
            other => json!(other.to_string()),
        };
        let allowed = replicas(&budget["status"]["disruptionsAllowed"]);
        vec![limit("minAvailable"), limit("maxUnavailable"), json!(allowed), age_of(budget, now)]
    },
};
