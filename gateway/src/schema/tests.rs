//! The engine on its own: rules, defaults, names of old, descriptions. Refused configurations as Kong answers
//! them are tables of `declarative`.

use serde_json::{Value, json};

use super::samples::Samples;
use super::*;

fn check(plugin: &str, config: Value) -> Result<Value, Errors> {
    Samples.schema(plugin).unwrap().check(&config)
}

fn faults(plugin: &str, config: Value) -> Vec<(String, String)> {
    let findings = check(plugin, config).unwrap_err().flat();
    findings.into_iter().map(|finding| (finding.path, finding.message)).collect()
}

#[test]
fn defaults_fill_what_is_left_out_and_null_stands_for_what_has_none() {
    let config = check("rate-limiting", json!({"minute": 5, "limit_by": null})).unwrap();
    assert_eq!(
        config,
        json!({
            "second": null, "minute": 5, "hour": null, "day": null, "month": null, "year": null,
            "limit_by": "consumer", "header_name": null, "path": null, "policy": "local",
            "fault_tolerant": true,
            "redis": {"host": null, "port": 6379, "timeout": 2000},
            "hide_client_headers": false, "error_code": 429,
            "error_message": "API rate limit exceeded", "sync_rate": -1,
        })
    );
}

#[test]
fn all_faults_are_found_with_their_paths() {
    let config = json!({
        "second": 0, "limit_by": "nothing", "redis": {"port": 70_000, "hots": "x"}, "fault_tolerant": "yes",
        "error_code": null, "header_name": "a b",
    });
    assert_eq!(
        faults("rate-limiting", config),
        [
            ("config.fault_tolerant", "expected a boolean"),
            (
                "config.header_name",
                "bad header name 'a b', allowed characters are A-Z, a-z, 0-9, '_', and '-'"
            ),
            ("config.limit_by", "expected one of: consumer, credential, ip, service, header, path"),
            ("config.redis.hots", "unknown field"),
            ("config.redis.port", "value should be between 0 and 65535"),
            ("config.second", "value must be greater than 0"),
        ]
        .map(|(path, message)| (path.to_owned(), message.to_owned()))
    );
}

#[test]
fn errors_are_shown_as_a_tree_a_table_and_a_sentence() {
    let errors = check("ip-restriction", json!({"allow": ["1.2.3.4", "x"], "status": "y"})).unwrap_err();
    assert_eq!(
        errors.to_json(),
        json!({"config": {"allow": [null, "invalid ip or cidr range: 'x'"], "status": "expected a number"}})
    );
    assert_eq!(
        errors.to_lua(),
        r#"{config={allow={[2]="invalid ip or cidr range: 'x'"},status="expected a number"}}"#
    );
    assert_eq!(
        errors.message(),
        "2 schema violations (config.allow: {\n  [2] = \"invalid ip or cidr range: 'x'\"\n}; \
         config.status: expected a number)"
    );
    let errors = check("rate-limiting", json!({})).unwrap_err();
    assert_eq!(
        errors.message(),
        "schema violation (at least one of these fields must be non-empty: 'config.second', 'config.minute', \
         'config.hour', 'config.day', 'config.month', 'config.year')"
    );
}

#[test]
fn a_name_of_old_means_the_new_one_and_must_agree_with_it() {
    let limit = |more: Value| {
        let mut config = json!({"minute": 1, "policy": "redis"});
        config.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        check("rate-limiting", config)
    };
    let config = limit(json!({"redis_host": "old", "redis_port": 1})).unwrap();
    assert_eq!(config["redis"], json!({"host": "old", "port": 1, "timeout": 2000}));
    assert_eq!(config.get("redis_host"), None);
    let echoed = Samples.schema("rate-limiting").unwrap().echo(&config);
    assert_eq!((&echoed["redis_host"], &echoed["redis_port"]), (&json!("old"), &json!(1)));

    assert!(limit(json!({"redis_host": "same", "redis": {"host": "same"}})).is_ok());
    let config = limit(json!({"redis_host": null, "redis": {"host": "new"}})).unwrap();
    assert_eq!(config["redis"]["host"], "new");
    let errors = limit(json!({"redis_host": "old", "redis": {"host": "new"}})).unwrap_err();
    assert_eq!(
        errors.flat()[0].message,
        "both deprecated and new field are used but their values mismatch: redis_host = old vs redis.host = new"
    );
    let errors = limit(json!({"redis_host": "a", "redis_port": "x"})).unwrap_err();
    assert_eq!((errors.flat()[0].path.as_str(), errors.flat().len()), ("config.redis_port", 1));
}

#[test]
fn lists_sets_and_maps() {
    static SET: Type = set(&WORD);
    static WORD: Type = string();
    static MAP: Type = map(&WORD, &COUNT);
    static COUNT: Type = integer();
    static RECORD: Record = Record::new(&[
        field("set", SET.len_min(1).exclusive(&[&["a", "b"], &["c"]])),
        field("map", MAP.len_max(2)),
        field("list", array(&WORD)),
    ]);
    let conform = |value: Value| RECORD.conform(&value).map_err(|errors| errors.to_json());
    assert_eq!(
        conform(json!({"set": ["a", "b", "a"], "map": {"x": 1}, "list": {}})).unwrap(),
        json!({"set": ["a", "b"], "map": {"x": 1}, "list": []})
    );
    assert_eq!(
        conform(json!({"set": ["a", "c"], "map": {"x": 1.5, "y": "z"}, "list": [null, ""]})).unwrap_err(),
        json!({
            "set": "these sets are mutually exclusive: ('a', 'b'), ('c')",
            "map": "expected an integer",
            "list": ["required field missing", "length must be at least 1"],
        })
    );
    assert_eq!(
        conform(json!({"set": [], "map": {"a": 1, "b": 2, "c": 3}, "list": {"a": 1}})).unwrap_err(),
        json!({"set": "length must be at least 1", "map": "length must be at most 2", "list": "expected an array"})
    );
    assert_eq!(conform(json!([1])).unwrap_err(), json!({"@entity": ["expected a record"]}));
}

#[test]
fn rules_over_several_fields() {
    static WORD: Type = string();
    static RECORD: Record = Record::new(&[
        field("a", WORD),
        field("b", WORD),
        field("c", WORD),
        field("secret", WORD.referenceable()),
    ])
    .checks(&[
        Check::MutuallyRequired(&["a", "b"]),
        Check::MutuallyExclusive(&["b", "c"]),
        Check::Distinct(&["a", "b"]),
        Check::MutuallyExclusiveSets(&["a"], &["c"]),
        Check::Distinct(&["a", "secret"]),
    ]);
    let entity = |value: Value| RECORD.conform(&value).map_or_else(|errors| errors.entity, |_| Vec::new());
    assert!(entity(json!({})).is_empty());
    assert_eq!(entity(json!({"a": "x"})), ["all or none of these fields must be set: 'a', 'b'"]);
    assert_eq!(entity(json!({"a": "x", "b": "x"})), ["values of these fields must be distinct: 'a', 'b'"]);
    assert_eq!(
        entity(json!({"a": "x", "b": "y", "c": "z"})),
        [
            "only one or none of these fields must be set: 'b', 'c'",
            "these sets are mutually exclusive: ('a'), ('c')"
        ]
    );
    assert!(entity(json!({"a": "{vault://env/a}", "b": "y", "secret": "{vault://env/a}"})).is_empty());
}

#[test]
fn a_vault_reference_is_not_judged() {
    assert!(check("http-log", json!({"http_endpoint": "{vault://env/log-url}"})).is_ok());
    assert!(check("http-log", json!({"http_endpoint": "vault://env/log-url"})).is_ok());
    assert!(check("http-log", json!({"http_endpoint": "{vault://env"})).is_err());
}

#[test]
fn settings_are_described_for_people_and_programs() {
    let schema = Samples.schema("rate-limiting").unwrap();
    let names: Vec<String> = schema.settings().into_iter().map(|setting| setting.name).collect();
    assert_eq!(names[10..15], ["fault_tolerant", "redis", "redis.host", "redis.port", "redis.timeout"]);
    assert_eq!(names[names.len() - 2..], ["redis_host", "redis_port"]);
    let table = schema.markdown();
    assert!(
        table.contains("| `redis.port` | integer | `6379` | 0 to 65535 | a port, 0 to 65535 |"),
        "{table}"
    );

    let json = Samples.schema("ip-restriction").unwrap().to_json();
    assert_eq!(
        json,
        json!({
            "fields": [
                {"protocols": {
                    "type": "set", "required": true,
                    "default": ["http", "https", "tcp", "tls", "grpc", "grpcs"],
                    "elements": {"type": "string", "one_of": [
                        "grpc", "grpcs", "http", "https", "tcp", "tls", "tls_passthrough", "udp"]},
                }},
                {"config": {"type": "record", "fields": [
                    {"allow": {"type": "array", "elements": {"type": "string"}}},
                    {"deny": {"type": "array", "elements": {"type": "string"}}},
                    {"status": {"type": "number"}},
                    {"message": {"type": "string"}},
                ], "required": true}},
            ],
            "entity_checks": [{"at_least_one_of": ["config.allow", "config.deny"]}],
        })
    );
}
