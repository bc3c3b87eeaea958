//! Pods as local processes, from outside: what their objects, files, logs and processes show.

use std::time::Duration;

use futures_util::StreamExt;
use local_cluster::node::{LogOptions, Program};
use local_cluster::objects::{Deletion, Part, Resource};
use nix::sys::signal::kill;
use nix::unistd::Pid;
use serde_json::{Value, json};

use crate::machine::{Machine, pods};

fn shell(name: &str, script: &str) -> Value {
    json!({"name": name, "image": "shell:latest", "command": ["sh", "-c", script]})
}

fn pod(name: &str, spec: Value) -> Value {
    json!({
        "apiVersion": "v1", "kind": "Pod",
        "metadata": {"name": name, "namespace": "default", "labels": {"app": name}},
        "spec": spec,
    })
}

fn phase(wanted: &'static str) -> impl Fn(&Value) -> bool {
    move |pod| pod["status"]["phase"] == wanted
}

fn is_ready(pod: &Value) -> bool {
    let conditions = pod["status"]["conditions"].as_array().into_iter().flatten();
    conditions.into_iter().any(|one| one["type"] == "Ready" && one["status"] == "True")
}

fn restarts(pod: &Value) -> u64 {
    pod["status"]["containerStatuses"][0]["restartCount"].as_u64().unwrap_or(0)
}

async fn log(machine: &Machine, pod: &str, options: LogOptions) -> String {
    let mut stream = machine.node.logs().logs("default", pod, &options).unwrap();
    let mut all = Vec::new();
    while let Some(bytes) = stream.next().await {
        all.extend_from_slice(&bytes);
    }
    String::from_utf8(all).unwrap()
}

fn is_alive(process: i32) -> bool {
    let state = std::fs::read_to_string(format!("/proc/{process}/stat")).unwrap_or_default();
    // A process that has ended and that nobody has asked about yet is no longer alive.
    kill(Pid::from_raw(process), None).is_ok() && !state.contains(") Z ")
}

#[tokio::test]
async fn containers_run_in_order_to_their_end() {
    let machine = Machine::start();
    let spec = json!({
        "restartPolicy": "Never",
        "volumes": [{"name": "work", "emptyDir": {}}],
        "initContainers": [with_work(shell("first", "echo one > $FILE"))],
        "containers": [with_work(shell("then", "cat $FILE; echo two"))],
    });
    machine.objects.create(&pods(), pod("p", spec)).unwrap();
    let done = machine.wait(&pods(), "p", "Succeeded", phase("Succeeded")).await;
    assert_eq!(done["status"]["containerStatuses"][0]["state"]["terminated"]["reason"], "Completed");
    assert_eq!(done["status"]["initContainerStatuses"][0]["ready"], true);
    assert_eq!(done["spec"]["nodeName"], "local-cluster");
    assert_eq!(
        log(&machine, "p", LogOptions { container: "then".to_owned(), ..Default::default() }).await,
        "one\ntwo\n"
    );
    machine.stop().await;
}

fn with_work(mut container: Value) -> Value {
    container["volumeMounts"] = json!([{"name": "work", "mountPath": "/work"}]);
    container["env"] = json!([{"name": "FILE", "value": "/work/file"}]);
    container
}

#[tokio::test]
async fn a_pod_is_told_what_it_needs_to_know() {
    let machine = Machine::start();
    let script = "echo $LISTEN_ADDRESS $POD_IP $HOSTNAME; cat $KUBECONFIG; stat -c %a $KUBECONFIG";
    let mut container = shell("c", script);
    container["env"] = json!([{"name": "POD_IP", "valueFrom": {"fieldRef": {"fieldPath": "status.podIP"}}}]);
    let spec = json!({"restartPolicy": "Never", "serviceAccountName": "robot", "containers": [container]});
    machine.objects.create(&pods(), pod("p", spec)).unwrap();
    let done = machine.wait(&pods(), "p", "Succeeded", phase("Succeeded")).await;
    let address = done["status"]["podIP"].as_str().unwrap();
    let told = log(&machine, "p", LogOptions::default()).await;
    assert!(told.starts_with(&format!("{address} {address} p\n")), "{told}");
    assert!(told.ends_with("600\n"), "{told}");
    let config = told.lines().nth(1).unwrap().trim_end_matches("600");
    let config: Value = serde_json::from_str(config).unwrap();
    assert_eq!(config["clusters"][0]["cluster"]["server"], "https://127.0.0.1:1");
    let token = config["users"][0]["user"]["tokenFile"].as_str().unwrap();
    assert_eq!(std::fs::read_to_string(token).unwrap(), "token-of-robot");
    machine.stop().await;
}

#[tokio::test]
async fn what_an_image_sets_is_there_unless_the_container_sets_it_too() {
    let machine = Machine::start_with(|settings| {
        let environment = [("FIRST", "image"), ("SECOND", "image")]
            .map(|(name, value)| (name.to_owned(), value.to_owned()));
        let path = "/bin/sh".into();
        let program = Program { path, arguments: Vec::new(), environment: environment.into() };
        settings.images.insert("shell", program);
    });
    let mut container = shell("c", "echo $FIRST $SECOND");
    container["env"] = json!([{"name": "SECOND", "value": "container"}]);
    let spec = json!({"restartPolicy": "Never", "containers": [container]});
    machine.objects.create(&pods(), pod("p", spec)).unwrap();
    machine.wait(&pods(), "p", "Succeeded", phase("Succeeded")).await;
    assert_eq!(log(&machine, "p", LogOptions::default()).await, "image container\n");
    machine.stop().await;
}

#[tokio::test]
async fn what_fails_is_started_again_and_its_last_output_kept() {
    let machine = Machine::start();
    let spec = json!({"containers": [shell("c", "echo run; exit 3")]});
    machine.objects.create(&pods(), pod("p", spec)).unwrap();
    let in_back_off = |pod: &Value| {
        restarts(pod) >= 2
            && pod["status"]["containerStatuses"][0]["state"]["waiting"]["reason"] == "CrashLoopBackOff"
    };
    let seen = machine.wait(&pods(), "p", "in back-off", in_back_off).await;
    let last = &seen["status"]["containerStatuses"][0]["lastState"]["terminated"];
    assert_eq!((&last["exitCode"], &last["reason"]), (&json!(3), &json!("Error")));
    assert_eq!(seen["status"]["phase"], "Running");
    assert_eq!(log(&machine, "p", LogOptions { previous: true, ..Default::default() }).await, "run\n");
    let events = machine.events("p");
    assert!(
        events
            .iter()
            .any(|event| event
                .starts_with("BackOff: Back-off restarting failed container c in pod p_default(")),
        "{events:?}"
    );
    machine.stop().await;
}

#[tokio::test]
async fn an_unknown_image_says_how_to_add_it() {
    let machine = Machine::start();
    let spec = json!({"containers": [{"name": "c", "image": "registry.example/nginx:1"}]});
    machine.objects.create(&pods(), pod("p", spec)).unwrap();
    let waiting = |reason: &'static str| {
        move |pod: &Value| pod["status"]["containerStatuses"][0]["state"]["waiting"]["reason"] == reason
    };
    let seen = machine.wait(&pods(), "p", "in want of its image", waiting("ImagePullBackOff")).await;
    let message = seen["status"]["containerStatuses"][0]["state"]["waiting"]["message"].as_str().unwrap();
    assert!(
        message.contains("registry.example/nginx:1") && message.contains("--image nginx=PROGRAM"),
        "{message}"
    );
    assert!(machine.events("p").iter().any(|event| event.starts_with("Failed: Failed to pull image")));
    machine.stop().await;
}

#[tokio::test]
async fn asked_to_stop_a_pod_ends_with_everything_it_started() {
    let machine = Machine::start();
    let told = machine.folder.path().join("told");
    // The child ignores the request to end.
    let script = format!(
        "trap 'echo bye; exit 0' TERM; (trap '' TERM; while :; do sleep 1; done) & echo $! > {}; while :; do sleep 0.05; done",
        told.display()
    );
    machine.objects.create(&pods(), pod("p", json!({"containers": [shell("c", &script)]}))).unwrap();
    machine.wait(&pods(), "p", "ready", is_ready).await;
    let child: i32 = machine.wait_for_file(&told, |text| text.ends_with('\n')).await.trim().parse().unwrap();
    assert!(is_alive(child));
    let mut follow =
        machine.node.logs().logs("default", "p", &LogOptions { follow: true, ..Default::default() }).unwrap();
    machine.objects.delete(&pods(), "default", "p", &Deletion::default()).unwrap();
    let mut said = Vec::new();
    while let Some(bytes) = follow.next().await {
        said.extend_from_slice(&bytes);
    }
    assert!(String::from_utf8(said).unwrap().ends_with("bye\n"), "a follower hears all to the end");
    machine.wait_gone(&pods(), "p").await;
    assert!(!is_alive(child));
    std::fs::remove_file(told).unwrap();
    machine.stop().await;
}

#[tokio::test]
async fn what_does_not_end_in_its_time_is_killed() {
    let machine = Machine::start();
    let spec = json!({
        "terminationGracePeriodSeconds": 1,
        "containers": [shell("c", "trap '' TERM; echo up; while :; do sleep 0.05; done")],
    });
    machine.objects.create(&pods(), pod("p", spec)).unwrap();
    machine.wait(&pods(), "p", "ready", is_ready).await;
    machine.objects.delete(&pods(), "default", "p", &Deletion::default()).unwrap();
    machine.wait_gone(&pods(), "p").await;
    machine.stop().await;
}

#[tokio::test]
async fn probes_decide_who_is_ready_and_who_lives() {
    let machine = Machine::start();
    let (ready, well) = (machine.folder.path().join("ready"), machine.folder.path().join("well"));
    std::fs::write(&well, "").unwrap();
    let mut container = shell("c", "while :; do sleep 0.05; done");
    let file = |path: &std::path::Path| json!({"exec": {"command": ["cat", path]}, "periodSeconds": 1, "failureThreshold": 1});
    container["readinessProbe"] = file(&ready);
    container["livenessProbe"] = file(&well);
    machine
        .objects
        .create(&pods(), pod("p", json!({"terminationGracePeriodSeconds": 1, "containers": [container]})))
        .unwrap();
    machine
        .wait(&pods(), "p", "running and not ready", |pod| {
            pod["status"]["phase"] == "Running" && !is_ready(pod)
        })
        .await;
    std::fs::write(&ready, "").unwrap();
    machine.wait(&pods(), "p", "ready", is_ready).await;
    std::fs::remove_file(&well).unwrap();
    machine.wait(&pods(), "p", "restarted", |pod| restarts(pod) > 0).await;
    let events = machine.events("p");
    assert!(
        events.iter().any(|event| event == "Killing: Container c failed liveness probe, will be restarted"),
        "{events:?}"
    );
    assert!(
        events
            .iter()
            .any(|event| event.starts_with("Unhealthy: Liveness probe failed: command exited with 1")),
        "{events:?}"
    );
    std::fs::remove_file(&ready).unwrap();
    machine.stop().await;
}

#[tokio::test]
async fn changed_config_maps_reach_running_pods() {
    let machine = Machine::start();
    let config_maps = Resource::new("", "configmaps");
    let map = |text: &str| json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "m", "namespace": "default"}, "data": {"key": text}});
    machine.objects.create(&config_maps, map("old")).unwrap();
    let seen = machine.folder.path().join("seen");
    let mut container = shell("c", &format!("while :; do cat $FILE > {}; sleep 0.05; done", seen.display()));
    container["env"] = json!([{"name": "FILE", "value": "/etc/settings/key"}]);
    container["volumeMounts"] = json!([{"name": "m", "mountPath": "/etc/settings"}]);
    let volumes = json!([{"name": "m", "configMap": {"name": "m"}}]);
    machine
        .objects
        .create(
            &pods(),
            pod(
                "p",
                json!({"terminationGracePeriodSeconds": 0, "containers": [container], "volumes": volumes}),
            ),
        )
        .unwrap();
    machine.wait_for_file(&seen, |text| text == "old").await;
    machine
        .objects
        .modify(&config_maps, "default", "m", Part::AllButStatus, |map| map["data"]["key"] = json!("new"))
        .unwrap();
    machine.wait_for_file(&seen, |text| text == "new").await;
    machine.objects.delete(&pods(), "default", "p", &Deletion::default()).unwrap();
    machine.wait_gone(&pods(), "p").await;
    std::fs::remove_file(seen).unwrap();
    machine.stop().await;
}

#[tokio::test]
async fn a_pod_waits_for_what_it_names() {
    let machine = Machine::start();
    let mut container = shell("c", "echo $KEY");
    container["env"] =
        json!([{"name": "KEY", "valueFrom": {"configMapKeyRef": {"name": "late", "key": "key"}}}]);
    machine
        .objects
        .create(&pods(), pod("p", json!({"restartPolicy": "Never", "containers": [container]})))
        .unwrap();
    let reason = |pod: &Value| pod["status"]["containerStatuses"][0]["state"]["waiting"].clone();
    let waiting = machine
        .wait(&pods(), "p", "waiting", |pod| reason(pod)["reason"] == "CreateContainerConfigError")
        .await;
    assert_eq!(reason(&waiting)["message"], "configmap \"late\" not found");
    let map = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "late", "namespace": "default"}, "data": {"key": "value"}});
    machine.objects.create(&Resource::new("", "configmaps"), map).unwrap();
    machine.wait(&pods(), "p", "Succeeded", phase("Succeeded")).await;
    assert_eq!(log(&machine, "p", LogOptions::default()).await, "value\n");
    machine.stop().await;
}

#[tokio::test]
async fn sidecars_start_first_and_end_last() {
    let machine = Machine::start();
    let order = machine.folder.path().join("order");
    let note = |word: &str| format!("echo {word} >> {}", order.display());
    let mut sidecar = shell(
        "side",
        &format!("{}; trap '{}; exit 0' TERM; while :; do sleep 0.05; done", note("side"), note("side-end")),
    );
    sidecar["restartPolicy"] = json!("Always");
    let spec = json!({
        "restartPolicy": "Never",
        "initContainers": [sidecar],
        "containers": [shell("main", &format!("sleep 0.2; {}", note("main")))],
    });
    machine.objects.create(&pods(), pod("p", spec)).unwrap();
    machine.wait(&pods(), "p", "Succeeded", phase("Succeeded")).await;
    let seen = machine.wait_for_file(&order, |text| text.contains("side-end")).await;
    assert_eq!(seen, "side\nmain\nside-end\n");
    std::fs::remove_file(order).unwrap();
    machine.stop().await;
}

#[tokio::test]
async fn stopping_the_node_ends_all_pods() {
    let machine = Machine::start();
    let told = machine.folder.path().join("told");
    let script = format!("echo $$$$ > {}; while :; do sleep 0.05; done", told.display());
    machine.objects.create(&pods(), pod("p", json!({"containers": [shell("c", &script)]}))).unwrap();
    let process: i32 =
        machine.wait_for_file(&told, |text| text.ends_with('\n')).await.trim().parse().unwrap();
    std::fs::remove_file(told).unwrap();
    machine.stop().await;
    assert!(!is_alive(process));
}

#[tokio::test]
async fn a_node_that_is_dropped_kills_its_pods() {
    let machine = Machine::start();
    let told = machine.folder.path().join("told");
    let script = format!("trap '' TERM; echo $$$$ > {}; while :; do sleep 0.05; done", told.display());
    machine.objects.create(&pods(), pod("p", json!({"containers": [shell("c", &script)]}))).unwrap();
    let process: i32 =
        machine.wait_for_file(&told, |text| text.ends_with('\n')).await.trim().parse().unwrap();
    drop(machine);
    let mut pace = tokio::time::interval(Duration::from_millis(10));
    let gone = tokio::time::timeout(crate::machine::PATIENCE, async {
        while is_alive(process) {
            pace.tick().await;
        }
    });
    gone.await.expect("the process ends with the node");
}

#[tokio::test]
async fn deployments_become_ready_and_replace_what_dies() {
    let machine = Machine::start();
    let deployments = Resource::new("apps", "deployments");
    let template = json!({
        "metadata": {"labels": {"app": "echo"}},
        "spec": {"terminationGracePeriodSeconds": 1, "containers": [shell("c", "while :; do sleep 0.05; done")]},
    });
    let deployment = json!({
        "apiVersion": "apps/v1", "kind": "Deployment",
        "metadata": {"name": "echo", "namespace": "default"},
        "spec": {"replicas": 2, "selector": {"matchLabels": {"app": "echo"}}, "template": template},
    });
    machine.objects.create(&deployments, deployment).unwrap();
    let available = |count: u64| {
        move |one: &Value| {
            one["status"]["availableReplicas"].as_u64() == Some(count)
                && one["status"]["replicas"].as_u64() == Some(count)
        }
    };
    machine.wait(&deployments, "echo", "available", available(2)).await;
    let addresses: std::collections::BTreeSet<String> = machine
        .objects
        .list(&pods(), None)
        .iter()
        .map(|pod| pod["status"]["podIP"].as_str().unwrap().to_owned())
        .collect();
    assert!(addresses.len() == 2 || addresses.contains("127.0.0.1"), "{addresses:?}");
    machine
        .objects
        .modify(&deployments, "default", "echo", Part::AllButStatus, |one| one["spec"]["replicas"] = json!(1))
        .unwrap();
    machine.wait(&deployments, "echo", "scaled down", available(1)).await;
    machine.stop().await;
}
