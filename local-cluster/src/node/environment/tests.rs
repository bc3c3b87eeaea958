use serde_json::json;

use super::*;

fn cluster() -> Objects {
    let objects = Objects::default();
    let map = json!({"metadata": {"namespace": "default", "name": "settings"}, "data": {"MODE": "fast", "LEVEL": "debug"}});
    objects.create(&kinds::config_maps(), map).unwrap();
    let secret = json!({"metadata": {"namespace": "default", "name": "keys"}, "data": {"key": "c2VjcmV0"}});
    objects.create(&kinds::secrets(), secret).unwrap();
    let service = json!({
        "metadata": {"namespace": "default", "name": "http-echo"},
        "spec": {"clusterIP": "127.9.64.1", "ports": [{"name": "http", "port": 8080, "protocol": "TCP"}]},
    });
    objects.create(&kinds::services(), service).unwrap();
    objects
}

fn pod() -> Value {
    json!({"metadata": {"namespace": "default", "name": "p"}, "spec": {}, "status": {"podIP": "127.9.128.1"}})
}

fn environment(container: Value) -> Result<Environment, Missing> {
    let mut container = container;
    container["name"] = json!("c");
    let api = ApiAccess { url: "https://127.0.0.1:6443".to_owned(), ..ApiAccess::default() };
    Environment::of(&cluster(), &api, &pod(), &serde_json::from_value(container).unwrap())
}

#[test]
fn values_come_from_where_they_are_asked_for() {
    let environment = environment(json!({
        "envFrom": [{"configMapRef": {"name": "settings"}, "prefix": "APP_"}, {"secretRef": {"name": "none", "optional": true}}],
        "env": [
            {"name": "POD_NAME", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}},
            {"name": "KEY", "valueFrom": {"secretKeyRef": {"name": "keys", "key": "key"}}},
            {"name": "APP_MODE", "valueFrom": {"configMapKeyRef": {"name": "settings", "key": "LEVEL"}}},
            {"name": "NONE", "valueFrom": {"configMapKeyRef": {"name": "settings", "key": "no", "optional": true}}},
            {"name": "GREETING", "value": "I am $(POD_NAME), not $(OTHER)"},
        ],
    }))
    .unwrap();
    for (name, value) in [
        ("POD_NAME", Some("p")),
        ("KEY", Some("secret")),
        ("APP_MODE", Some("debug")),
        ("APP_LEVEL", Some("debug")),
        ("NONE", None),
        ("GREETING", Some("I am p, not $(OTHER)")),
        ("KUBERNETES_SERVICE_HOST", Some("127.0.0.1")),
        ("KUBERNETES_SERVICE_PORT", Some("6443")),
        ("HTTP_ECHO_SERVICE_HOST", Some("127.9.64.1")),
        ("HTTP_ECHO_SERVICE_PORT_HTTP", Some("8080")),
        ("HTTP_ECHO_PORT", Some("tcp://127.9.64.1:8080")),
        ("HTTP_ECHO_PORT_8080_TCP_ADDR", Some("127.9.64.1")),
    ] {
        assert_eq!(environment.get(name).as_deref(), value, "{name}");
    }
}

#[test]
fn what_is_missing_is_named() {
    let missing = |env: Value| environment(json!({"env": [env]})).unwrap_err().to_string();
    let of = |kind: &str, name: &str, key: &str| json!({"name": "X", "valueFrom": {kind: {"name": name, "key": key}}});
    assert_eq!(missing(of("configMapKeyRef", "no", "k")), "configmap \"no\" not found");
    assert_eq!(missing(of("secretKeyRef", "keys", "no")), "couldn't find key no in secret default/keys");
}
