use tokio::io::AsyncReadExt;
use tokio::net::{TcpListener, TcpStream};

use super::*;
use crate::node::addresses::Sharing;
use crate::objects::Deletion;

struct Cluster {
    objects: Objects,
    services: ServiceAddresses,
}

impl Cluster {
    fn new(sharing: Sharing, spec: Value) -> Cluster {
        let objects = Objects::default();
        let addresses = Arc::new(Addresses::claim(sharing).unwrap());
        let services = ServiceAddresses::new(&objects, addresses, Arc::default(), CancellationToken::new());
        let mut service = json!({
            "apiVersion": "v1", "kind": "Service", "metadata": {"namespace": "default", "name": "echo"},
            "spec": {"ports": [{"name": "http", "port": 18_080, "protocol": "TCP"}]},
        });
        for (key, value) in spec.as_object().unwrap() {
            service["spec"][key] = value.clone();
        }
        objects.create(&kinds::services(), service).unwrap();
        Cluster { objects, services }
    }

    fn look(&self) -> Object {
        let key = Key { namespace: "default".to_owned(), name: "echo".to_owned() };
        self.services.reconcile(&self.objects, &key, Timestamp::UNIX_EPOCH).unwrap();
        self.objects.get(&kinds::services(), "default", "echo").unwrap()
    }

    fn add_slice(&self, name: &str, address: SocketAddr, conditions: Value) {
        let slice = json!({
            "apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice",
            "metadata": {"namespace": "default", "name": name, "labels": {SERVICE_NAME: "echo"}},
            "addressType": "IPv4",
            "ports": [{"name": "http", "port": address.port(), "protocol": "TCP"}],
            "endpoints": [{"addresses": [address.ip().to_string()], "conditions": conditions}],
        });
        self.objects.create(&kinds::endpoint_slices(), slice).unwrap();
    }
}

fn port(service: &Value) -> u16 {
    let asked = service["spec"]["ports"][0]["port"].as_i64().unwrap();
    u16::try_from(PortMap::of(service).outside(asked as i32)).unwrap()
}

async fn heard_at(address: &str, port: u16) -> String {
    let mut client = TcpStream::connect((address, port)).await.unwrap();
    let mut heard = String::new();
    client.read_to_string(&mut heard).await.unwrap();
    heard
}

/// A server that tells each client its name.
async fn server(name: &'static str) -> SocketAddr {
    use tokio::io::AsyncWriteExt;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut client, _)) = listener.accept().await {
            let _ = client.write_all(name.as_bytes()).await;
        }
    });
    address
}

#[tokio::test]
async fn a_service_is_reachable_in_every_way_it_asks_for() {
    let cluster = Cluster::new(Sharing::Automatic, json!({"type": "LoadBalancer"}));
    cluster.add_slice("s1", server("one").await, json!({"ready": true}));
    let service = cluster.look();
    let address = text(&service, "/spec/clusterIP").to_owned();
    assert_eq!(service["spec"]["clusterIPs"], json!([address]));
    assert_eq!(heard_at(&address, port(&service)).await, "one");
    let node_port = u16::try_from(service["spec"]["ports"][0]["nodePort"].as_u64().unwrap()).unwrap();
    assert!(NODE_PORTS.contains(&node_port));
    assert_eq!(heard_at("127.0.0.1", node_port).await, "one");
    let ingress = &service["status"]["loadBalancer"]["ingress"][0];
    let real = u16::try_from(ingress["ports"][0]["port"].as_u64().unwrap()).unwrap();
    assert_eq!(heard_at(ingress["ip"].as_str().unwrap(), real).await, "one");
}

#[tokio::test]
async fn only_ready_pods_are_asked_or_ending_ones_when_there_is_none() {
    let cluster = Cluster::new(Sharing::Automatic, json!({}));
    cluster.add_slice(
        "ending",
        server("ending").await,
        json!({"ready": false, "serving": true, "terminating": true}),
    );
    cluster.add_slice("unready", server("unready").await, json!({"ready": false, "serving": false}));
    let service = cluster.look();
    let address = text(&service, "/spec/clusterIP").to_owned();
    assert_eq!(heard_at(&address, port(&service)).await, "ending");
    cluster.add_slice("ready", server("ready").await, json!({"ready": true}));
    cluster.look();
    for _ in 0..3 {
        assert_eq!(heard_at(&address, port(&service)).await, "ready");
    }
}

#[tokio::test]
async fn a_service_that_goes_leaves_nothing() {
    let cluster = Cluster::new(Sharing::Automatic, json!({}));
    let service = cluster.look();
    let address = text(&service, "/spec/clusterIP").to_owned();
    cluster.objects.delete(&kinds::services(), "default", "echo", &Deletion::default()).unwrap();
    let key = Key { namespace: "default".to_owned(), name: "echo".to_owned() };
    cluster.services.reconcile(&cluster.objects, &key, Timestamp::UNIX_EPOCH).unwrap();
    tokio::task::yield_now().await;
    assert!(std::net::TcpListener::bind((address.as_str(), port(&service))).is_ok());
}

#[tokio::test]
async fn where_addresses_are_shared_a_taken_port_is_replaced_and_told() {
    let taken = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let number = taken.local_addr().unwrap().port();
    let ports = json!([{"name": "http", "port": number, "protocol": "TCP"}]);
    let cluster = Cluster::new(Sharing::Shared, json!({"ports": ports}));
    cluster.add_slice("s1", server("one").await, json!({"ready": true}));
    let service = cluster.look();
    assert_eq!(text(&service, "/spec/clusterIP"), "127.0.0.1");
    assert_ne!(port(&service), number);
    assert_eq!(heard_at("127.0.0.1", port(&service)).await, "one");
    let events = cluster.objects.list(&kinds::events(), None);
    assert!(events.iter().any(|event| text(event, "/reason") == "PortReplaced"));
}

#[tokio::test]
async fn headless_and_external_services_have_no_address() {
    for spec in [json!({"clusterIP": "None"}), json!({"type": "ExternalName", "externalName": "example.com"})]
    {
        let cluster = Cluster::new(Sharing::Automatic, spec);
        let service = cluster.look();
        assert!(matches!(text(&service, "/spec/clusterIP"), "" | "None"));
        let running = cluster.services.running.lock();
        assert!(running.values().all(|one| one.forwarders.is_empty()));
    }
}
