use super::*;

const NOW: Timestamp = Timestamp::UNIX_EPOCH;

fn pod(policy: &str) -> Value {
    json!({"spec": {"restartPolicy": policy, "containers": [{"name": "c"}]}})
}

fn running(name: &str, role: Role, ready: bool) -> Seen {
    let mut seen = Seen::new(name, role, "image");
    seen.begin("process://1", NOW);
    (seen.started, seen.ready) = (true, ready);
    seen
}

fn ended(name: &str, role: Role, code: i32) -> Seen {
    let mut seen = running(name, role, true);
    seen.end(code, None, NOW);
    seen
}

fn phase_of(policy: &str, seen: &[Seen]) -> &'static str {
    phase(&pod(policy), seen, &Whole::default())
}

#[test]
fn phases() {
    let new = || Seen::new("c", Role::Main, "image");
    let main = |code| ended("c", Role::Main, code);
    assert_eq!(phase_of("Always", &[new()]), "Pending");
    assert_eq!(phase_of("Always", &[running("c", Role::Main, false)]), "Running");
    assert_eq!(phase_of("Always", &[main(0)]), "Running");
    assert_eq!(phase_of("Never", &[main(0)]), "Succeeded");
    assert_eq!(phase_of("Never", &[main(0), main(1)]), "Failed");
    assert_eq!(phase_of("Never", &[main(1), running("d", Role::Main, true)]), "Running");
    assert_eq!(phase_of("OnFailure", &[main(1)]), "Running");
    assert_eq!(phase_of("OnFailure", &[main(0)]), "Succeeded");
    let mut waiting = main(1);
    waiting.wait("CrashLoopBackOff", None);
    assert_eq!(phase_of("Always", &[waiting]), "Running");
    assert_eq!(phase_of("Always", &[running("i", Role::Init, false), new()]), "Pending");
    assert_eq!(phase_of("Never", &[ended("i", Role::Init, 1), new()]), "Failed");
    assert_eq!(
        phase_of("Always", &[running("s", Role::Sidecar, true), running("c", Role::Main, true)]),
        "Running"
    );
}

/// Status and message of a condition.
fn told(pod: &Value, kind: &str) -> (String, String) {
    let conditions = pod["status"]["conditions"].as_array().unwrap();
    let found = conditions.iter().find(|one| one["type"] == kind).unwrap();
    (text(found, "/status").to_owned(), text(found, "/message").to_owned())
}

fn is(status: &str, message: &str) -> (String, String) {
    (status.to_owned(), message.to_owned())
}

#[test]
fn conditions_name_who_is_not_ready_and_keep_their_times() {
    let mut pod = pod("Always");
    let whole = Whole { address: Some("127.1.128.1".to_owned()), prepared: true, ..Whole::default() };
    let unready = [running("c", Role::Main, true), running("d", Role::Main, false)];
    write(&mut pod, &unready, &whole, NOW);
    assert_eq!(told(&pod, "Ready"), is("False", "containers with unready status: [d]"));
    assert_eq!(told(&pod, "PodScheduled"), is("True", ""));
    let later: Timestamp = "2026-01-01T00:00:00Z".parse().unwrap();
    write(&mut pod, &[running("c", Role::Main, true), running("d", Role::Main, true)], &whole, later);
    assert_eq!(told(&pod, "Ready"), is("True", ""));
    let conditions = pod["status"]["conditions"].as_array().unwrap();
    let times: Vec<_> = conditions.iter().map(|one| text(one, "/lastTransitionTime")).collect();
    let (first, second) = ("1970-01-01T00:00:00Z", "2026-01-01T00:00:00Z");
    assert_eq!(times, [first, first, second, second, first]);
    assert_eq!(pod["status"]["podIPs"], json!([{"ip": "127.1.128.1"}]));
}

#[test]
fn waits_for_init_containers_and_for_gates() {
    let mut pod = pod("Always");
    pod["spec"]["readinessGates"] = json!([{"conditionType": "example.com/go"}]);
    let whole = Whole::default();
    write(&mut pod, &[running("i", Role::Init, false), Seen::new("c", Role::Main, "image")], &whole, NOW);
    assert_eq!(told(&pod, "Initialized"), is("False", "containers with incomplete status: [i]"));
    assert_eq!(pod["status"]["initContainerStatuses"][0]["name"], "i");
    let all = [ended("i", Role::Init, 0), running("c", Role::Main, true)];
    write(&mut pod, &all, &whole, NOW);
    assert_eq!(told(&pod, "ContainersReady").0, "True");
    assert_eq!(told(&pod, "Ready").0, "False");
    let gate = json!({"type": "example.com/go", "status": "True"});
    pod["status"]["conditions"].as_array_mut().unwrap().push(gate);
    write(&mut pod, &all, &whole, NOW);
    assert_eq!(told(&pod, "Ready").0, "True");
    assert_eq!(told(&pod, "example.com/go").0, "True");
}

#[test]
fn a_restart_is_counted_and_the_run_before_remembered() {
    let mut seen = ended("c", Role::Main, 3);
    assert_eq!((seen.restarts, &seen.last), (0, &None));
    seen.wait("CrashLoopBackOff", Some("back-off".to_owned()));
    assert_eq!(seen.written()["lastState"]["terminated"]["exitCode"], 3);
    seen.begin("process://2", NOW);
    assert_eq!(seen.restarts, 1);
    let written = seen.written();
    assert_eq!(written["lastState"]["terminated"]["containerID"], "process://1");
    assert!(written["state"]["running"].is_object());
    seen.wait("RunContainerError", None);
}

#[test]
fn quality_of_service() {
    let with = |resources: Value| json!({"spec": {"containers": [{"name": "c", "resources": resources}]}});
    assert_eq!(qos(&with(json!({}))), "BestEffort");
    assert_eq!(qos(&with(json!({"requests": {"cpu": "1"}}))), "Burstable");
    let same = json!({"cpu": "1", "memory": "1Gi"});
    assert_eq!(qos(&with(json!({"requests": same, "limits": same}))), "Guaranteed");
    assert_eq!(
        qos(&with(json!({"requests": {"cpu": "500m", "memory": "1Gi"}, "limits": same}))),
        "Burstable"
    );
}
