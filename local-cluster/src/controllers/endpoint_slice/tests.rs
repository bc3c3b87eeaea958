use super::*;

fn service(spec: Value) -> Value {
    let mut service = json!({
        "apiVersion": "v1", "kind": "Service",
        "metadata": {"namespace": "a", "name": "echo", "labels": {"app": "echo"}},
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
        "metadata": {"namespace": "a", "name": name, "labels": {"app": "echo"}},
        "spec": {"nodeName": "here", "containers": [{"name": "c", "ports": [port]}]},
        "status": {
            "phase": "Running", "podIP": address,
            "conditions": [{"type": "Ready", "status": if ready { "True" } else { "False" }}],
        },
    })
}

fn look(objects: &Objects) -> Vec<Object> {
    let key = Key { namespace: "a".to_owned(), name: "echo".to_owned() };
    EndpointSlices.reconcile(objects, &key, Timestamp::UNIX_EPOCH).unwrap();
    objects.list(&kinds::endpoint_slices(), Some("a"))
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
        objects.create(&kinds::pods(), pod(name, address, ready)).unwrap();
    }
    objects.delete(&kinds::pods(), "a", "p3", &Deletion::default()).unwrap();
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
    objects.create(&kinds::pods(), pod("p1", "127.1.1.1", true)).unwrap();
    let mut other = pod("p2", "127.1.1.2", true);
    other["metadata"]["annotations"] = json!({"local-cluster/ports": "{\"8080\":41234}"});
    objects.create(&kinds::pods(), other).unwrap();
    let mut ports: Vec<_> = look(&objects).iter().map(|slice| slice["ports"][0]["port"].as_i64()).collect();
    ports.sort_unstable();
    assert_eq!(ports, [Some(8080), Some(41_234)]);
}

#[test]
fn a_service_may_want_pods_before_they_are_ready() {
    let objects = cluster(json!({"publishNotReadyAddresses": true, "clusterIP": "None"}));
    objects.create(&kinds::pods(), pod("p1", "127.1.1.1", false)).unwrap();
    let slices = look(&objects);
    assert_eq!(endpoints(&slices[0]), [("127.1.1.1".to_owned(), true, true, false)]);
    assert_eq!(slices[0]["metadata"]["labels"]["service.kubernetes.io/headless"], "");
}

#[test]
fn endpoints_written_by_hand_are_mirrored() {
    let objects = cluster(json!({"selector": null}));
    assert!(look(&objects).is_empty());
    let subset = json!({"addresses": [{"ip": "10.0.0.1"}], "ports": [{"port": 9000, "protocol": "TCP"}]});
    let endpoints = json!({"metadata": {"namespace": "a", "name": "echo"}, "subsets": [subset]});
    objects.create(&kinds::endpoints(), endpoints).unwrap();
    let slices = look(&objects);
    assert_eq!(slices[0]["endpoints"], json!([{"addresses": ["10.0.0.1"], "conditions": {"ready": true}}]));
    assert_eq!(slices[0]["ports"], json!([{"port": 9000, "protocol": "TCP", "name": ""}]));
    objects.delete(&kinds::endpoints(), "a", "echo", &Deletion::default()).unwrap();
    assert!(look(&objects).is_empty());
}
