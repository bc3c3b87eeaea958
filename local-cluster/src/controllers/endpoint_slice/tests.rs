use super::*;

fn service(spec: Value) -> Value {
    let mut service = json!({
        "apiVersion": "v1", "kind": "Service",
        "metadata": {"namespace": "default", "name": "echo", "labels": {"app": "echo"}},
        "spec": {"selector": {"app": "echo"}, "ports": [{"name": "http", "port": 80, "targetPort": "web"}]},
    });
    for (key, value) in spec.as_object().unwrap() {
        service["spec"][key] = value.clone();
    }
    service
}

fn pod(name: &str, address: &str, ready: bool) -> Value {
    let port = json!({"name": "web", "containerPort": 8080});
    json!({
        "apiVersion": "v1", "kind": "Pod",
        "metadata": {"namespace": "default", "name": name, "labels": {"app": "echo"}},
        "spec": {"nodeName": "here", "containers": [{"name": "c", "image": "i", "ports": [port]}]},
        "status": {
            "phase": "Running", "podIP": address,
            "conditions": [{"type": "Ready", "status": if ready { "True" } else { "False" }}],
        },
    })
}

/// The API takes no status from who creates a pod.
fn add(objects: &Objects, pod: Value) {
    let (name, status) = (name(&pod).to_owned(), pod["status"].clone());
    objects.create(&kinds::pods(), pod).unwrap();
    objects.modify(&kinds::pods(), "default", &name, Part::Status, |pod| pod["status"] = status).unwrap();
}

fn look(objects: &Objects) -> Vec<Object> {
    let key = Key { namespace: "default".to_owned(), name: "echo".to_owned() };
    EndpointSlices.reconcile(objects, &key, Timestamp::UNIX_EPOCH).unwrap();
    objects.list(&kinds::endpoint_slices(), Some("default"))
}

/// Address, ready, serving and terminating of each endpoint.
fn endpoints(slice: &Value) -> Vec<(String, bool, bool, bool)> {
    let endpoints = slice["endpoints"].as_array().unwrap().iter();
    let condition = |endpoint: &Value, name: &str| endpoint["conditions"][name].as_bool().unwrap();
    endpoints
        .map(|one| {
            let address = one["addresses"][0].as_str().unwrap().to_owned();
            (address, condition(one, "ready"), condition(one, "serving"), condition(one, "terminating"))
        })
        .collect()
}

fn cluster(spec: Value) -> Objects {
    let objects = Objects::default();
    objects.create(&kinds::services(), service(spec)).unwrap();
    objects
}

#[test]
fn says_which_pods_serve_and_which_are_ending() {
    let objects = cluster(json!({}));
    assert_eq!(look(&objects)[0]["endpoints"], json!([]));
    for (name, address, ready) in
        [("p1", "127.1.1.1", true), ("p2", "127.1.1.2", false), ("p3", "127.1.1.3", true)]
    {
        add(&objects, pod(name, address, ready));
    }
    objects.delete(&kinds::pods(), "default", "p3", &Deletion::default()).unwrap();
    let slices = look(&objects);
    assert_eq!(slices.len(), 1);
    assert_eq!(slices[0]["ports"], json!([{"name": "http", "port": 8080, "protocol": "TCP"}]));
    assert_eq!(
        endpoints(&slices[0]),
        [
            ("127.1.1.1".to_owned(), true, true, false),
            ("127.1.1.2".to_owned(), false, false, false),
            ("127.1.1.3".to_owned(), false, true, true),
        ]
    );
    assert_eq!(slices[0]["metadata"]["labels"][SERVICE_NAME], "echo");
    let version = slices[0]["metadata"]["resourceVersion"].clone();
    assert_eq!(look(&objects)[0]["metadata"]["resourceVersion"], version, "nothing new, nothing written");
}

#[test]
fn pods_with_other_ports_have_a_slice_of_their_own() {
    let objects = cluster(json!({}));
    add(&objects, pod("p1", "127.1.1.1", true));
    let mut other = pod("p2", "127.1.1.2", true);
    other["metadata"]["annotations"] = json!({"local-cluster/ports": "{\"8080\":41234}"});
    add(&objects, other);
    let mut ports: Vec<_> = look(&objects).iter().map(|slice| slice["ports"][0]["port"].as_i64()).collect();
    ports.sort_unstable();
    assert_eq!(ports, [Some(8080), Some(41_234)]);
}

#[test]
fn a_service_may_want_pods_before_they_are_ready() {
    let objects = cluster(json!({"publishNotReadyAddresses": true, "clusterIP": "None"}));
    add(&objects, pod("p1", "127.1.1.1", false));
    let slices = look(&objects);
    assert_eq!(endpoints(&slices[0]), [("127.1.1.1".to_owned(), true, true, false)]);
    assert_eq!(slices[0]["metadata"]["labels"]["service.kubernetes.io/headless"], "");
}

#[test]
fn endpoints_written_by_hand_are_mirrored() {
    let objects = cluster(json!({"selector": null}));
    assert!(look(&objects).is_empty());
    let subset = json!({"addresses": [{"ip": "10.0.0.1"}], "ports": [{"port": 9000, "protocol": "TCP"}]});
    let endpoints = json!({"metadata": {"namespace": "default", "name": "echo"}, "subsets": [subset]});
    objects.create(&kinds::endpoints(), endpoints).unwrap();
    let slices = look(&objects);
    assert_eq!(slices[0]["endpoints"], json!([{"addresses": ["10.0.0.1"], "conditions": {"ready": true}}]));
    assert_eq!(slices[0]["ports"], json!([{"port": 9000, "protocol": "TCP", "name": ""}]));
    objects.delete(&kinds::endpoints(), "default", "echo", &Deletion::default()).unwrap();
    assert!(look(&objects).is_empty());
}
