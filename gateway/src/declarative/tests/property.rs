//! Random files: none makes the reader fall over, every refusal says where, and what is valid survives being
//! printed and loaded again.

use proptest::collection::{btree_map, vec};
use proptest::option;
use proptest::prelude::*;
use serde_json::{Map, Value, json};

use super::*;

/// Names that mean something somewhere, so that random files get past the first check.
const NAMES: &[&str] = &[
    "_format_version",
    "_transform",
    "_comment",
    "_ignore",
    "services",
    "routes",
    "plugins",
    "consumers",
    "upstreams",
    "targets",
    "certificates",
    "snis",
    "ca_certificates",
    "acls",
    "keyauth_credentials",
    "jwt_secrets",
    "id",
    "name",
    "host",
    "url",
    "port",
    "path",
    "paths",
    "protocol",
    "protocols",
    "methods",
    "headers",
    "service",
    "route",
    "consumer",
    "upstream",
    "target",
    "weight",
    "config",
    "minute",
    "redis",
    "redis_host",
    "hash_on",
    "algorithm",
    "healthchecks",
    "active",
    "tags",
    "username",
    "custom_id",
    "key",
    "instance_name",
    "enabled",
    "<<",
    "",
];
const WORDS: &[&str] = &[
    "3.0",
    "2.1",
    "a",
    "b",
    "/a",
    "~/a(",
    "http",
    "https",
    "grpc",
    "tcp",
    "GET",
    "rate-limiting",
    "cors",
    "acl",
    "header",
    "http://h:80/x",
    "10.0.0.1:80",
    "a.test",
    "*",
    "*.a",
    "1cd7cc6a-7c1f-4b5e-8d3f-3a0a4d9b2f11",
    "{vault://env/x}",
    "",
    "é",
    "%zz",
];

fn anything() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i32>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        prop::sample::select(WORDS).prop_map(Value::from),
        ".{0,6}".prop_map(Value::from),
    ];
    leaf.prop_recursive(6, 64, 6, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..4).prop_map(Value::from),
            btree_map(prop::sample::select(NAMES).prop_map(str::to_owned), inner, 0..6)
                .prop_map(|entries| Value::Object(entries.into_iter().collect())),
        ]
    })
}

/// A file whose sections are lists of records, filled with anything.
fn likely() -> impl Strategy<Value = Value> {
    let entity = btree_map(prop::sample::select(NAMES).prop_map(str::to_owned), anything(), 0..6)
        .prop_map(|entries| Value::Object(entries.into_iter().collect::<Map<_, _>>()));
    btree_map(prop::sample::select(&NAMES[4..16]).prop_map(str::to_owned), vec(entity, 0..4), 0..5).prop_map(
        |sections| {
            let mut file: Map<_, _> =
                sections.into_iter().map(|(name, list)| (name, Value::from(list))).collect();
            file.insert("_format_version".to_owned(), json!("3.0"));
            Value::Object(file)
        },
    )
}

/// Either a model, or a refusal that says where and what.
fn is_judged(result: Result<Model, Refusal>) -> Result<(), TestCaseError> {
    let Err(refusal) = result else { return Ok(()) };
    prop_assert_eq!(refusal.status, 400);
    prop_assert!(!refusal.notes().is_empty());
    for note in refusal.notes() {
        prop_assert!(!note.message.is_empty());
        let placed = !note.path.is_empty() || note.message.contains("parsing") || note.position.is_some();
        prop_assert!(placed || note.message == "expected an object", "no place: {:?}", note);
    }
    prop_assert_eq!(&refusal.body(false)["code"], &json!(14));
    prop_assert!(refusal.body(true)["message"].is_string());
    Ok(())
}

fn valid() -> impl Strategy<Value = Value> {
    let name = |prefix: &'static str| (0..40_u8).prop_map(move |n| format!("{prefix}{n}"));
    let route = (
        option::of(name("r")),
        vec(prop::sample::select(&["/", "/a", "/b/c", "~/x/\\d+"][..]), 1..3),
        option::of(vec(prop::sample::select(&["a.test", "*.b.test", "c.*", "d.test:81"][..]), 0..3)),
        any::<(bool, bool)>(),
        -5..5_i8,
    )
        .prop_map(|(name, paths, hosts, (strip, keep), priority)| {
            json!({
                "name": name, "paths": paths, "hosts": hosts, "strip_path": strip, "preserve_host": keep,
                "regex_priority": priority,
            })
        });
    let plugin = prop_oneof![
        (1..100_u8).prop_map(|n| json!({"name": "rate-limiting", "config": {"minute": n}})),
        Just(json!({"name": "cors"})),
        Just(json!({"name": "ip-restriction", "config": {"deny": ["::1"]}, "enabled": false})),
    ];
    let service = (option::of(name("s")), vec(route.clone(), 0..3), option::of(plugin.clone()), any::<u16>()).prop_map(
        |(name, routes, plugin, port)| {
            json!({"name": name, "host": "h", "port": port, "routes": routes, "plugins": Vec::from_iter(plugin)})
        },
    );
    let target = (0..9_u8, any::<u16>(), any::<u16>()).prop_map(
        |(host, port, weight)| json!({"target": format!("10.0.0.{host}:{port}"), "weight": weight}),
    );
    let hash = prop::sample::select(&["none", "ip", "path", "header", "cookie", "consumer"][..]);
    let upstream = (name("u"), vec(target, 0..4), hash, 0.0..10.0_f64).prop_map(|(name, targets, hash, interval)| {
        json!({
            "name": name, "targets": targets, "hash_on": hash, "hash_on_header": "x", "hash_on_cookie": "c",
            "healthchecks": {"active": {"healthy": {"interval": interval}}},
        })
    });
    let consumer =
        (name("c"), option::of(name("k")), vec(name("g"), 0..3)).prop_map(|(username, key, groups)| {
            let keys = key.map(|key| json!({"key": key}));
            let groups: Vec<_> = groups.iter().map(|group| json!({"group": group})).collect();
            json!({"username": username, "keyauth_credentials": Vec::from_iter(keys), "acls": groups})
        });
    (vec(service, 0..4), vec(route, 0..3), vec(upstream, 0..3), vec(consumer, 0..3), option::of(plugin))
        .prop_map(|(services, routes, upstreams, consumers, plugin)| {
            json!({
                "_format_version": "3.0", "services": services, "routes": routes, "upstreams": upstreams,
                "consumers": consumers, "plugins": Vec::from_iter(plugin),
            })
        })
}

proptest! {
    #[test]
    fn no_text_makes_the_reader_fall_over(text in "\\PC{0,80}|[a-z_:\\-\\[\\]{}&*!#'\"|>%@ \n0-9]{0,120}") {
        for format in [Format::Yaml, Format::Json] {
            is_judged(load_at(&text, format, &Samples, NOW))?;
        }
        let _ = load_request(text.as_bytes(), Some("multipart/form-data; boundary=a"), &Samples);
    }

    #[test]
    fn no_document_makes_the_reader_fall_over(file in prop_oneof![anything(), likely()]) {
        is_judged(load_at(&file.to_string(), Format::Json, &Samples, NOW))?;
        is_judged(load_at(&serde_saphyr::to_string(&file).unwrap(), Format::Yaml, &Samples, NOW))?;
    }

    #[test]
    fn json_reads_as_it_was_written(file in anything()) {
        let read = document::Node::read(&file.to_string()).map_err(|error| TestCaseError::fail(error.to_string()))?;
        prop_assert!(same(&read.to_value(), &file), "{} / {}", read.to_value(), file);
    }

    #[test]
    fn what_is_valid_survives_being_printed_and_loaded_again(file in valid()) {
        match load_at(&file.to_string(), Format::Json, &Samples, NOW) {
            Ok(model) => prop_assert_eq!(reloaded(&model), without_origins(model)),
            // Names may clash; nothing else is wrong with these files.
            Err(refusal) => {
                let clash = |note: &Note| note.message.starts_with("uniqueness violation");
                prop_assert!(refusal.notes().iter().all(clash), "{}", refusal.text("file"));
            }
        }
    }
}

/// Equal up to how numbers are written.
fn same(one: &Value, other: &Value) -> bool {
    match (one, other) {
        (Value::Number(one), Value::Number(other)) => {
            let (one, other) = (one.as_f64().unwrap(), other.as_f64().unwrap());
            (one - other).abs() <= one.abs() * 1e-12
        }
        (Value::Array(one), Value::Array(other)) => {
            one.len() == other.len() && one.iter().zip(other).all(|(one, other)| same(one, other))
        }
        (Value::Object(one), Value::Object(other)) => {
            one.len() == other.len()
                && one.iter().zip(other).all(|(one, other)| one.0 == other.0 && same(one.1, other.1))
        }
        _ => one == other,
    }
}
