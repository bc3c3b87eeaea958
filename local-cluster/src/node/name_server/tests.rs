use hickory_proto::serialize::binary::BinEncodable;
use serde_json::{Value, json};

use super::*;
use crate::kinds;

fn cluster() -> Objects {
    let objects = Objects::default();
    let put = |resource, object: Value| objects.create(&resource, object).map(drop).unwrap();
    let _ = objects.create(
        &kinds::namespaces(),
        json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "echo"}}),
    );
    let service = |name: &str, spec: Value| json!({"apiVersion": "v1", "kind": "Service", "metadata": {"namespace": "echo", "name": name}, "spec": spec});
    let ports = json!([{"name": "http", "port": 8080, "protocol": "TCP"}]);
    put(kinds::services(), service("http-echo", json!({"clusterIP": "127.9.64.1", "ports": ports})));
    put(kinds::services(), service("db", json!({"clusterIP": "None", "ports": ports})));
    put(kinds::services(), service("empty", json!({"clusterIP": "None", "ports": ports})));
    put(
        kinds::services(),
        service("alias", json!({"type": "ExternalName", "externalName": "http-echo.echo.svc.cluster.local"})),
    );
    let slice = json!({
        "apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice",
        "metadata": {"namespace": "echo", "name": "db-1", "labels": {"kubernetes.io/service-name": "db"}},
        "addressType": "IPv4",
        "ports": [{"name": "http", "port": 9000, "protocol": "TCP"}],
        "endpoints": [
            {"addresses": ["127.9.128.1"], "conditions": {"ready": true}, "hostname": "db-0"},
            {"addresses": ["127.9.128.2"], "conditions": {"ready": true}},
            {"addresses": ["127.9.128.3"], "conditions": {"ready": false}},
        ],
    });
    put(kinds::endpoint_slices(), slice);
    objects
}

async fn ask_by_udp(server: &NameServer, name: &str, kind: RecordType) -> Message {
    let socket = UdpSocket::bind((server.address.ip(), 0)).await.unwrap();
    let mut question = Message::new(7, MessageType::Query, OpCode::Query);
    question.add_query(Query::query(Name::from_ascii(name).unwrap(), kind));
    socket.send_to(&question.to_bytes().unwrap(), server.address).await.unwrap();
    let mut answer = vec![0; 4096];
    let length = socket.recv(&mut answer).await.unwrap();
    Message::from_vec(&answer[..length]).unwrap()
}

/// The data of the answers, or the code of a refusal.
fn said(answer: &Message) -> Vec<String> {
    if answer.metadata.response_code != ResponseCode::NoError {
        return vec![format!("{:?}", answer.metadata.response_code)];
    }
    let mut said: Vec<String> = answer.answers.iter().map(|record| record.data.to_string()).collect();
    said.sort();
    said
}

#[tokio::test]
async fn names_of_the_cluster() {
    let server = NameServer::start(&cluster(), [127, 0, 0, 1].into()).unwrap();
    for (name, kind, expected) in [
        ("http-echo.echo.svc.cluster.local.", RecordType::A, vec!["127.9.64.1"]),
        ("HTTP-Echo.echo.svc.cluster.local.", RecordType::A, vec!["127.9.64.1"]),
        ("http-echo.echo.svc.", RecordType::A, vec!["127.9.64.1"]),
        ("http-echo.echo.svc.cluster.local.", RecordType::AAAA, vec![]),
        (
            "http-echo.echo.svc.cluster.local.",
            RecordType::SRV,
            vec!["0 100 8080 http-echo.echo.svc.cluster.local."],
        ),
        (
            "_http._tcp.http-echo.echo.svc.cluster.local.",
            RecordType::SRV,
            vec!["0 100 8080 http-echo.echo.svc.cluster.local."],
        ),
        ("_none._tcp.http-echo.echo.svc.cluster.local.", RecordType::SRV, vec!["NXDomain"]),
        ("db.echo.svc.cluster.local.", RecordType::A, vec!["127.9.128.1", "127.9.128.2"]),
        ("db-0.db.echo.svc.cluster.local.", RecordType::A, vec!["127.9.128.1"]),
        ("127-9-128-2.db.echo.svc.cluster.local.", RecordType::A, vec!["127.9.128.2"]),
        (
            "_http._tcp.db.echo.svc.cluster.local.",
            RecordType::SRV,
            vec![
                "0 100 9000 127-9-128-2.db.echo.svc.cluster.local.",
                "0 100 9000 db-0.db.echo.svc.cluster.local.",
            ],
        ),
        ("empty.echo.svc.cluster.local.", RecordType::A, vec!["NXDomain"]),
        (
            "alias.echo.svc.cluster.local.",
            RecordType::A,
            vec!["127.9.64.1", "http-echo.echo.svc.cluster.local."],
        ),
        ("127-9-128-2.echo.pod.cluster.local.", RecordType::A, vec!["127.9.128.2"]),
        ("127-9-128-2.nowhere.pod.cluster.local.", RecordType::A, vec!["NXDomain"]),
        ("none.echo.svc.cluster.local.", RecordType::A, vec!["NXDomain"]),
        ("echo.svc.cluster.local.", RecordType::A, vec![]),
        ("x.cluster.local.", RecordType::A, vec!["NXDomain"]),
        ("localhost.", RecordType::A, vec!["127.0.0.1"]),
    ] {
        let answer = ask_by_udp(&server, name, kind).await;
        assert_eq!(answer.metadata.id, 7);
        assert_eq!(said(&answer), expected, "{name} {kind}");
        if said(&answer) == ["NXDomain"] {
            assert_eq!(answer.authorities.len(), 1, "{name}: says how long it stays so");
        }
    }
}

#[tokio::test]
async fn what_is_too_long_for_udp_is_asked_again_by_tcp() {
    let objects = cluster();
    let endpoints: Vec<Value> = (1..=200)
        .map(|last| json!({"addresses": [format!("127.9.129.{last}")], "conditions": {"ready": true}}))
        .collect();
    let slice = json!({
        "apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice",
        "metadata": {"namespace": "echo", "name": "db-2", "labels": {"kubernetes.io/service-name": "db"}},
        "addressType": "IPv4", "ports": [], "endpoints": endpoints,
    });
    objects.create(&kinds::endpoint_slices(), slice).unwrap();
    let server = NameServer::start(&objects, [127, 0, 0, 1].into()).unwrap();
    let name = "db.echo.svc.cluster.local.";
    let short = ask_by_udp(&server, name, RecordType::A).await;
    assert!(short.metadata.truncation && short.answers.is_empty());
    let mut client = TcpStream::connect(server.address).await.unwrap();
    let mut question = Message::new(9, MessageType::Query, OpCode::Query);
    question.add_query(Query::query(Name::from_ascii(name).unwrap(), RecordType::A));
    let question = question.to_bytes().unwrap();
    client.write_all(&[&(question.len() as u16).to_be_bytes()[..], &question].concat()).await.unwrap();
    let mut answer = vec![0; usize::from(client.read_u16().await.unwrap())];
    client.read_exact(&mut answer).await.unwrap();
    assert_eq!(Message::from_vec(&answer).unwrap().answers.len(), 202);
}

#[tokio::test]
async fn nonsense_is_refused() {
    let server = NameServer::start(&cluster(), [127, 0, 0, 1].into()).unwrap();
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    socket.send_to(&[1, 2, 3, 4], server.address).await.unwrap();
    let mut answer = [0; 512];
    let length = socket.recv(&mut answer).await.unwrap();
    let answer = Message::from_vec(&answer[..length]).unwrap();
    assert_eq!((answer.metadata.id, answer.metadata.response_code), (0x0102, ResponseCode::FormErr));
}
