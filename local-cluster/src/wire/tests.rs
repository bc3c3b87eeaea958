use super::*;

#[test]
fn what_is_written_is_read_again() {
    let pod = json!({
        "apiVersion": "v1", "kind": "Pod",
        "metadata": {"name": "a", "labels": {"x": "y", "z": ""}, "creationTimestamp": "2026-01-01T00:00:00Z"},
        "spec": {
            "containers": [{
                "name": "c", "image": "i", "env": [{"name": "E", "value": "1"}], "args": ["a", "b"],
                "ports": [{"containerPort": 80, "protocol": "TCP"}],
                "resources": {"limits": {"cpu": "100m"}},
                "readinessProbe": {"httpGet": {"path": "/", "port": "http"}, "periodSeconds": 5},
            }],
            "volumes": [{"name": "v", "configMap": {"name": "m", "defaultMode": 420}}, {"name": "e", "emptyDir": {}}],
            "hostNetwork": true,
        },
        "status": {"phase": "Running"},
    });
    let decoded = decode(&encode(&pod).unwrap(), ("", "")).unwrap();
    assert_eq!(decoded, pod);
    let secret =
        json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s"}, "data": {"k": "AAEC"}});
    assert_eq!(decode(&encode(&secret).unwrap(), ("", "")).unwrap(), secret);
}

#[test]
fn a_message_as_a_client_sends_it() {
    // A ConfigMap named `c` with `data: {a: "2"}`.
    let hex = "6b3873000a0f0a0276311209436f6e6669674d617012110a070a016312001a0012060a01611201321a002200";
    let bytes: Vec<u8> =
        (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap()).collect();
    let map = decode(&bytes, ("", "")).unwrap();
    assert_eq!((&map["metadata"]["name"], &map["data"]), (&json!("c"), &json!({"a": "2"})));
}

#[test]
fn bad_messages_are_refused() {
    assert!(decode(b"nonsense", ("", "")).is_err());
    assert!(decode(b"k8s\0\x0a\xff", ("", "")).is_err());
    let cyclic = [b"k8s\0".as_slice(), &[0x12; 300]].concat();
    assert!(decode(&cyclic, ("v1", "Pod")).is_err());
    assert_eq!(encode(&json!({"apiVersion": "example.test/v1", "kind": "Widget"})), None);
}
