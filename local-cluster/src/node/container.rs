//! The life of one container: from its image to its last end, with probes, restarts and back-off.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use jiff::Timestamp;
use k8s_openapi::api::core::v1::{Container, LifecycleHandler};
use tokio::time::{Instant, sleep, sleep_until, timeout_at};

use super::environment::Environment;
use super::pod::{Pod, Stop};
use super::pod_status::{Role, State};
use super::probe::{self, Looks, Pace, Patient, Verdict, look};
use super::runtime::{ContainerStart, Signals, Started};

/// The longest wait before a restart, and how long a container must run for the waits to begin anew; both are
/// the kubelet's.
const LONGEST_WAIT: Duration = Duration::from_mins(5);
const FORGIVEN_AFTER: Duration = Duration::from_mins(10);
/// The last wait for what a container needs and doesn't find.
const LAST_LOOK: Duration = Duration::from_secs(20);

/// How long to wait before a restart: not at all at first, then twice as long each time.
pub(super) struct BackOff {
    first: Duration,
    next: Option<Duration>,
}

impl BackOff {
    pub(super) fn new(first: Duration) -> BackOff {
        BackOff { first, next: None }
    }

    /// The wait before the next run, after one that took `ran`.
    pub(super) fn after(&mut self, ran: Duration) -> Duration {
        if ran >= FORGIVEN_AFTER {
            self.next = None;
        }
        let wait = self.next.unwrap_or(Duration::ZERO);
        self.next = Some(self.next.map_or(self.first, |wait| wait * 2).min(LONGEST_WAIT));
        wait
    }
}

/// Why a run ended.
struct Ended {
    code: i32,
    /// The pod is to stop; there will be no other run.
    stopped: bool,
}

/// Runs the container until it has ended for good: the exit code of its last run, if there was one.
pub(super) async fn live(pod: Arc<Pod>, container: Container, role: Role, mut stop: Stop) -> Option<i32> {
    let mut back_off = BackOff::new(pod.node.settings.restart_delay);
    let mut last = None;
    loop {
        let start = tokio::select! {
            start = prepare(&pod, &container) => start,
            () = stop.asked() => return last,
        };
        let began = Instant::now();
        match pod.node.runtime.start(&start) {
            Ok(started) => {
                let ended = attend(&pod, &container, role, &start, started, &mut stop).await;
                last = Some(ended.code);
                if ended.stopped || !runs_again(&pod, role, ended.code) {
                    return last;
                }
            }
            Err(why) => {
                start.log.end();
                pod.warning(&container.name, "Failed", &format!("Error: {why}"));
                pod.see(&container.name, |seen| seen.wait("RunContainerError", Some(why)));
                if role == Role::Init && !runs_again(&pod, role, 1) {
                    return Some(128);
                }
            }
        }
        let wait = back_off.after(began.elapsed());
        if !wait.is_zero() {
            tell_back_off(&pod, &container, wait);
            tokio::select! {
                () = sleep(wait) => {}
                () = stop.asked() => return last,
            }
        }
    }
}

fn tell_back_off(pod: &Pod, container: &Container, wait: Duration) {
    let who = format!("failed container={} pod={}_{}({})", container.name, pod.name, pod.namespace, pod.uid);
    let message = format!("back-off {}s restarting {who}", wait.as_secs_f64());
    let failed_to_start = pod.seen(&container.name, |seen| {
        matches!(&seen.state, State::Waiting { reason: "RunContainerError", .. })
    });
    // What kept it from starting says more than that it will be tried again.
    if failed_to_start != Some(true) {
        pod.see(&container.name, |seen| seen.wait("CrashLoopBackOff", Some(message)));
    }
    let event = format!(
        "Back-off restarting failed container {} in pod {}_{}({})",
        container.name, pod.name, pod.namespace, pod.uid
    );
    pod.warning(&container.name, "BackOff", &event);
}

fn runs_again(pod: &Pod, role: Role, code: i32) -> bool {
    let policy = pod.spec.restart_policy.as_deref().unwrap_or("Always");
    match role {
        Role::Sidecar => true,
        Role::Init => code != 0 && policy != "Never",
        Role::Main => policy == "Always" || (policy == "OnFailure" && code != 0),
    }
}

/// Finds the image and everything that the container's environment names; looks again until all is there.
async fn prepare(pod: &Arc<Pod>, container: &Container) -> ContainerStart {
    let name = &container.name;
    let mut wait = pod.node.settings.restart_delay;
    let mut pulls = 0;
    loop {
        let refreshed = pod.refreshed.notified();
        let image = container.image.as_deref().unwrap_or_default();
        match pod.node.runtime.image(image) {
            Err(why) => {
                let reason = if pulls == 0 { "ErrImagePull" } else { "ImagePullBackOff" };
                pulls += 1;
                let message = if pulls == 1 {
                    why.clone()
                } else {
                    format!("Back-off pulling image \"{image}\": {why}")
                };
                pod.see(name, |seen| seen.wait(reason, Some(message.clone())));
                if pulls == 1 {
                    pod.warning(name, "Failed", &format!("Failed to pull image \"{image}\": {why}"));
                    pod.warning(name, "Failed", "Error: ErrImagePull");
                } else {
                    pod.normal(name, "BackOff", &format!("Back-off pulling image \"{image}\""));
                }
            }
            Ok(id) => match assemble(pod, container) {
                Ok(start) => {
                    pod.see(name, |seen| seen.image_id = id);
                    let message = format!("Container image \"{image}\" already present on machine");
                    pod.normal(name, "Pulled", &message);
                    return start;
                }
                Err(why) => {
                    pod.warning(name, "Failed", &format!("Error: {why}"));
                    pod.see(name, |seen| seen.wait("CreateContainerConfigError", Some(why)));
                }
            },
        }
        tokio::select! {
            () = sleep(wait) => {}
            () = refreshed => {}
        }
        wait = (wait * 2).min(LAST_LOOK.max(pod.node.settings.restart_delay));
    }
}

fn assemble(pod: &Arc<Pod>, container: &Container) -> Result<ContainerStart, String> {
    let object = pod.object();
    let environment = Environment::of(&pod.node.objects, &pod.node.settings.api, &object, container)
        .map_err(|missing| missing.to_string())?;
    let expand = |words: &Option<Vec<String>>| {
        words.iter().flatten().map(|word| environment.expand(word)).collect::<Vec<_>>()
    };
    let mounts = pod.volumes.mounts(&pod.spec, container, |name| environment.get(name));
    let log = pod.new_log(&container.name).map_err(|error| format!("failed to make its log: {error}"))?;
    Ok(ContainerStart {
        title: format!("{}/{}/{}", pod.namespace, pod.name, container.name),
        image: container.image.clone().unwrap_or_default(),
        command: expand(&container.command),
        arguments: expand(&container.args),
        working_folder: container.working_dir.clone(),
        mounts,
        environment: environment.into_vec(),
        pod: pod.place(),
        log,
    })
}

/// Stays with one run to its end.
async fn attend(
    pod: &Arc<Pod>,
    container: &Container,
    role: Role,
    start: &ContainerStart,
    started: Started,
    stop: &mut Stop,
) -> Ended {
    let name = &container.name;
    let Started { id, signals, mut exit } = started;
    pod.see(name, |seen| {
        seen.begin(&id, Timestamp::now());
        // What has nothing to wait for is so at once, without a moment of being unready.
        seen.started = container.startup_probe.is_none();
        seen.ready = seen.started && role != Role::Init && container.readiness_probe.is_none();
    });
    pod.normal(name, "Created", &format!("Created container: {name}"));
    pod.normal(name, "Started", &format!("Started container {name}"));
    let patient = Patient { runtime: &*pod.node.runtime, start, container };
    let ended = tokio::select! {
        code = &mut exit => Ok(code),
        ill = watch_health(pod, role, patient) => Err(Some(ill)),
        () = stop.asked() => Err(None),
    };
    let stopped = matches!(ended, Err(None));
    let code = match ended {
        Ok(code) => code,
        Err(None) => {
            pod.normal(name, "Killing", &format!("Stopping container {name}"));
            make_end(pod, patient, &*signals, exit, stop.clone()).await
        }
        Err(Some(ill)) => {
            pod.normal(name, "Killing", &ill.message);
            let deadline = Instant::now() + ill.grace.unwrap_or_else(|| pod.grace());
            make_end(pod, patient, &*signals, exit, Stop::at(deadline)).await
        }
    };
    let message = termination_message(start, container, code);
    pod.see(name, |seen| seen.end(code, message, Timestamp::now()));
    Ended { code, stopped }
}

/// Lets a container say goodbye, asks it to end, and kills it at the deadline.
async fn make_end(
    pod: &Pod,
    patient: Patient<'_>,
    signals: &dyn Signals,
    mut exit: BoxFuture<'static, i32>,
    mut until: Stop,
) -> i32 {
    let deadline = until.deadline();
    let ask = async {
        before_stop(pod, patient, deadline).await;
        signals.terminate();
        std::future::pending::<()>().await;
    };
    tokio::select! {
        code = &mut exit => return code,
        () = ask => {}
        () = until.passed() => {}
    }
    signals.kill();
    exit.await
}

/// The last lines of a container that failed, where it wants them to be its message.
fn termination_message(start: &ContainerStart, container: &Container, code: i32) -> Option<String> {
    let fall_back = container.termination_message_policy.as_deref() == Some("FallbackToLogsOnError");
    if !fall_back || code == 0 {
        return None;
    }
    let mut reader = start.log.reader();
    let mut lines: Vec<Vec<u8>> = Vec::new();
    while let Ok(Some(piece)) = reader.next() {
        lines.push(piece.text);
        if lines.len() > 80 {
            lines.remove(0);
        }
    }
    let text = lines.join(&b'\n');
    let text = String::from_utf8_lossy(&text[text.len().saturating_sub(2048)..]).into_owned();
    Some(text).filter(|text| !text.is_empty())
}

/// A container that must not go on running.
struct Ill {
    message: String,
    grace: Option<Duration>,
}

/// Watches until the container is found ill, and tells whether it is ready meanwhile.
async fn watch_health(pod: &Pod, role: Role, patient: Patient<'_>) -> Ill {
    let container = patient.container;
    let name = &container.name;
    let hooked = after_start(pod, patient).await;
    if let Err(why) = hooked {
        pod.warning(name, "FailedPostStartHook", &why);
        return Ill { message: format!("FailedPostStartHook: {why}"), grace: None };
    }
    if let Some(probe) = &container.startup_probe {
        let mut looks = Looks::new(Pace::of(probe));
        let failed = |why: &str| pod.warning(name, "Unhealthy", &format!("Startup probe failed: {why}"));
        match looks.verdict(|| look(probe, patient), failed).await {
            Verdict::Well => pod.see(name, |seen| {
                seen.started = true;
                seen.ready = role != Role::Init && container.readiness_probe.is_none();
            }),
            Verdict::Unwell(_) => return ill(container, "startup", probe.termination_grace_period_seconds),
        }
    }
    let readiness = async {
        let Some(probe) = &container.readiness_probe else { return std::future::pending().await };
        let mut looks = Looks::new(Pace::of(probe));
        let failed = |why: &str| pod.warning(name, "Unhealthy", &format!("Readiness probe failed: {why}"));
        loop {
            let verdict = looks.verdict(|| look(probe, patient), failed).await;
            pod.see(name, |seen| seen.ready = verdict == Verdict::Well);
        }
    };
    let liveness = async {
        let Some(probe) = &container.liveness_probe else { return std::future::pending().await };
        let mut looks = Looks::new(Pace::of(probe));
        let failed = |why: &str| pod.warning(name, "Unhealthy", &format!("Liveness probe failed: {why}"));
        while looks.verdict(|| look(probe, patient), failed).await == Verdict::Well {}
        ill(container, "liveness", probe.termination_grace_period_seconds)
    };
    tokio::select! {
        ill = liveness => ill,
        () = readiness => std::future::pending().await,
    }
}

fn ill(container: &Container, probe: &str, grace: Option<i64>) -> Ill {
    Ill {
        message: format!("Container {} failed {probe} probe, will be restarted", container.name),
        grace: grace.and_then(|seconds| u64::try_from(seconds).ok()).map(Duration::from_secs),
    }
}

async fn after_start(pod: &Pod, patient: Patient<'_>) -> Result<(), String> {
    let handler = patient.container.lifecycle.as_ref().and_then(|lifecycle| lifecycle.post_start.as_ref());
    match handler {
        Some(handler) => run_hook(handler, patient, pod.grace()).await,
        None => Ok(()),
    }
}

async fn before_stop(pod: &Pod, patient: Patient<'_>, deadline: Option<Instant>) {
    let handler = patient.container.lifecycle.as_ref().and_then(|lifecycle| lifecycle.pre_stop.as_ref());
    let Some(handler) = handler else { return };
    let deadline = deadline.unwrap_or_else(|| Instant::now() + pod.grace());
    let limit = deadline.saturating_duration_since(Instant::now());
    let ran = timeout_at(deadline, run_hook(handler, patient, limit)).await;
    let why = match ran {
        Ok(Ok(())) => return,
        Ok(Err(why)) => why,
        Err(_) => "it took longer than the pod's grace period".to_owned(),
    };
    pod.warning(&patient.container.name, "FailedPreStopHook", &why);
}

async fn run_hook(handler: &LifecycleHandler, patient: Patient<'_>, limit: Duration) -> Result<(), String> {
    if let Some(exec) = &handler.exec {
        probe::execute(exec, patient, limit).await
    } else if let Some(get) = &handler.http_get {
        probe::http_get(get, patient).await
    } else if let Some(pause) = &handler.sleep {
        sleep_until(Instant::now() + Duration::from_secs(pause.seconds.max(0).unsigned_abs())).await;
        Ok(())
    } else {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_a_bound_and_begin_anew_after_a_long_run() {
        let mut back_off = BackOff::new(Duration::from_secs(10));
        let mut waits = |ran: u64, times: usize| -> Vec<u64> {
            (0..times).map(|_| back_off.after(Duration::from_secs(ran)).as_secs()).collect()
        };
        assert_eq!(waits(1, 8), [0, 10, 20, 40, 80, 160, 300, 300]);
        assert_eq!(waits(600, 1), [0]);
        assert_eq!(waits(1, 2), [10, 20]);
    }
}
