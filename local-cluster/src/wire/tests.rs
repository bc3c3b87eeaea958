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
fn schemas_are_written_by_their_numbers() {
    let either = json!({"type": "object", "additionalProperties": {"type": "string", "pattern": "^a$"}});
    let schema = json!({
        "type": "object", "x-kubernetes-preserve-unknown-fields": true,
        "properties": {
            "list": {"type": "array", "items": {"type": "integer", "minimum": 1.5, "enum": [1, 2], "default": 2}},
            "closed": {"additionalProperties": false},
            "pair": {"items": [{"type": "string"}, either]},
        },
        "dependencies": {"a": ["b", "c"], "d": {"required": ["e"]}},
    });
    let definition = json!({
        "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition", "metadata": {"name": "a"},
        "spec": {"group": "g", "versions": [{
            "name": "v1", "served": true, "storage": true,
            "schema": {"openAPIV3Schema": schema}, "subresources": {"status": {}},
        }]},
    });
    let bytes = encode(&definition).unwrap();
    assert_eq!(decode(&bytes, ("", "")).unwrap(), definition);
    // `additionalProperties` (30): allowed (1), and of this schema (2), whose `type` is 5 and whose `pattern` is 15.
    let expected = b"\xf2\x01\x11\x08\x01\x12\x0d\x2a\x06string\x7a\x03^a$";
    assert!(bytes.windows(expected.len()).any(|window| window == expected));
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
