//! The shape that the gateway meets: a Deployment of an HTTP server behind Services, reached by address and name.

use std::net::SocketAddr;
use std::path::Path;

use hickory_proto::op::{Message, MessageType, OpCode, Query};
use hickory_proto::rr::{Name, RData, RecordType};
use local_cluster::node::{Program, Sharing, port_map::PortMap};
use local_cluster::objects::{Object, Part, Resource};
use serde_json::{Value, json};
use tokio::net::UdpSocket;

use crate::machine::{Machine, pods};

/// The echo service's program, which a build of the whole workspace leaves beside ours.
fn echo_program() -> Option<std::path::PathBuf> {
    let path = Path::new(env!("CARGO_BIN_EXE_local-cluster")).with_file_name("echo-service");
    let found = path.is_file();
    if !found {
        eprintln!("skipped: {} isn't built; cargo build -p echo-service makes it", path.display());
    }
    found.then_some(path)
}

fn start(sharing: Sharing) -> Option<Machine> {
    let path = echo_program()?;
    Some(Machine::start_with(|settings| {
        settings.sharing = sharing;
        settings.images.insert("http-echo", Program { path, arguments: Vec::new(), environment: Vec::new() });
    }))
}

fn deployment(name: &str, word: &str) -> Value {
    let container = json!({
        "name": "http-echo", "image": "http-echo:latest", "args": ["8080", word],
        "ports": [{"containerPort": 8080}],
        "readinessProbe": {"httpGet": {"path": "/", "port": 8080}},
    });
    let labels = json!({"app": name});
    json!({
        "apiVersion": "apps/v1", "kind": "Deployment",
        "metadata": {"name": name, "namespace": "default"},
        "spec": {
            "replicas": 1, "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": {"containers": [container]}},
        },
    })
}

fn service(name: &str) -> Value {
    let port = json!({"name": "http", "port": 8080, "targetPort": 8080, "protocol": "TCP"});
    json!({
        "apiVersion": "v1", "kind": "Service",
        "metadata": {"name": name, "namespace": "default"},
        "spec": {"type": "LoadBalancer", "selector": {"app": name}, "ports": [port]},
    })
}

async fn deploy(machine: &Machine, name: &str, word: &str) -> Object {
    let services = Resource::new("", "services");
    machine.objects.create(&services, service(name)).unwrap();
    machine.objects.create(&Resource::new("apps", "deployments"), deployment(name, word)).unwrap();
    let available = |one: &Value| one["status"]["availableReplicas"] == 1;
    machine.wait(&Resource::new("apps", "deployments"), name, "available", available).await;
    let slices = Resource::new("discovery.k8s.io", "endpointslices");
    let mut changes = machine.objects.watch(&slices);
    let serves = |slice: &Value| {
        slice["metadata"]["labels"]["kubernetes.io/service-name"] == name
            && slice["endpoints"][0]["conditions"]["ready"] == true
    };
    while !machine.objects.list(&slices, None).iter().any(|slice| serves(slice)) {
        changes.next().await.unwrap();
    }
    let reachable = |one: &Value| !one["status"]["loadBalancer"]["ingress"][0]["ports"][0].is_null();
    machine.wait(&services, name, "reachable", reachable).await
}

async fn get(url: &str) -> String {
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    client.get(url).send().await.unwrap().text().await.unwrap()
}

/// Asks until the answer says so: a Service aims at new pods a moment after they are told to be ready.
async fn hears(url: &str, word: &str) {
    let mut pace = tokio::time::interval(std::time::Duration::from_millis(20));
    let heard = tokio::time::timeout(crate::machine::PATIENCE, async {
        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        loop {
            pace.tick().await;
            let Ok(answer) = client.get(url).send().await else { continue };
            if answer.text().await.is_ok_and(|text| text.contains(word)) {
                return;
            }
        }
    });
    heard.await.unwrap_or_else(|_| panic!("{url} never said {word}"));
}

#[tokio::test]
async fn two_servers_at_the_same_port_each_behind_its_service() {
    for sharing in [Sharing::Automatic, Sharing::Shared] {
        let Some(machine) = start(sharing) else { return };
        let one = deploy(&machine, "one", "one").await;
        let two = deploy(&machine, "two", "two").await;
        for (service, word) in [(&one, "one says OK"), (&two, "two says OK")] {
            let port = PortMap::of(service).outside(8080);
            hears(&format!("http://{}:{port}/", service["spec"]["clusterIP"].as_str().unwrap()), word).await;
            let ingress = &service["status"]["loadBalancer"]["ingress"][0];
            let url = format!("http://{}:{}/", ingress["ip"].as_str().unwrap(), ingress["ports"][0]["port"]);
            hears(&url, word).await;
            let node_port = &service["spec"]["ports"][0]["nodePort"];
            hears(&format!("http://127.0.0.1:{node_port}/"), word).await;
        }
        machine.stop().await;
    }
}

#[tokio::test]
async fn names_lead_to_services() {
    let Some(machine) = start(Sharing::Automatic) else { return };
    let one = deploy(&machine, "one", "one").await;
    let found = look_up(machine.node.name_server(), "one.default.svc.cluster.local.").await;
    assert_eq!(found, one["spec"]["clusterIP"].as_str().unwrap());
    machine.stop().await;
}

async fn look_up(server: SocketAddr, name: &str) -> String {
    let socket = UdpSocket::bind((server.ip(), 0)).await.unwrap();
    let mut question = Message::new(1, MessageType::Query, OpCode::Query);
    question.add_query(Query::query(Name::from_ascii(name).unwrap(), RecordType::A));
    socket.send_to(&question.to_vec().unwrap(), server).await.unwrap();
    let mut answer = [0; 512];
    let length = socket.recv(&mut answer).await.unwrap();
    let answer = Message::from_vec(&answer[..length]).unwrap();
    match &answer.answers[0].data {
        RData::A(address) => address.to_string(),
        other => panic!("{other}"),
    }
}

#[tokio::test]
async fn a_rollout_loses_no_request() {
    let Some(machine) = start(Sharing::Automatic) else { return };
    let service = deploy(&machine, "one", "before").await;
    let url = format!(
        "http://{}:{}/",
        service["spec"]["clusterIP"].as_str().unwrap(),
        PortMap::of(&service).outside(8080)
    );
    hears(&url, "before").await;
    let deployments = Resource::new("apps", "deployments");
    machine
        .objects
        .modify(&deployments, "default", "one", Part::AllButStatus, |one| {
            one["spec"]["template"]["spec"]["containers"][0]["args"][1] = json!("after");
        })
        .unwrap();
    let mut asked = 0;
    loop {
        asked += 1;
        if get(&url).await.contains("after says OK") && machine.objects.list(&pods(), None).len() == 1 {
            break;
        }
    }
    eprintln!("{asked} requests, none lost");
    machine.stop().await;
}
