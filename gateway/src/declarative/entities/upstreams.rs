//! Upstreams and their targets.

use serde_json::{Value, json};

use super::super::document::to_number;
use super::super::entity::Entity;
use super::Fields;
use crate::model::upstream::{ActiveChecks, HealthChecks, HealthRules, PassiveChecks, ProbeKind};
use crate::model::{Algorithm, HashOn, Target, Upstream};
use crate::schema::Literal::{self, Bool, Int, List, Text};
use crate::schema::{
    Address, AddressKind, Check, Legacy, Record, Type, any, array, boolean, field, foreign, integer, number,
    record, string, typedefs,
};

/// What a target without a port listens on.
const DEFAULT_PORT: u16 = 8000;

pub(in crate::declarative) static UPSTREAM: Record = Record::new(&[
    field("id", typedefs::uuid()),
    field("created_at", integer().timestamp()),
    field("name", string().required().check(check_name)),
    field("updated_at", any()),
    field("algorithm", string().default(Text("round-robin")).one_of(ALGORITHMS)),
    field("hash_on", HASH),
    field("hash_fallback", HASH),
    field("hash_on_header", typedefs::header_name()),
    field("hash_fallback_header", typedefs::header_name()),
    field("hash_on_cookie", typedefs::cookie_name()),
    field("hash_on_cookie_path", typedefs::path().default(Text("/"))),
    field("hash_on_query_arg", string()),
    field("hash_fallback_query_arg", string()),
    field("hash_on_uri_capture", string()),
    field("hash_fallback_uri_capture", string()),
    field("slots", integer().default(Int(10_000)).between(10.0, 65_536.0)),
    field("healthchecks", record(&HEALTH_CHECKS)),
    field("tags", typedefs::tags()),
    field("host_header", typedefs::host_with_optional_port()),
    field("client_certificate", foreign("certificates")),
    field("use_srv_name", boolean().default(Bool(false))),
])
.legacy(&[
    Legacy::shorthand("algorithm", string(), algorithm_decides),
    Legacy::shorthand("hash_on", string(), hash_decides),
])
.checks(&[
    needs("hash_on", &IS_HEADER, "hash_on_header"),
    needs("hash_fallback", &IS_HEADER, "hash_fallback_header"),
    needs("hash_on", &IS_COOKIE, "hash_on_cookie"),
    needs("hash_fallback", &IS_COOKIE, "hash_on_cookie"),
    falls_back(&IS_NONE, &NONE),
    falls_back(&IS_COOKIE, &NONE),
    falls_back(&IS_CONSUMER, &NOT_CONSUMER),
    falls_back(&IS_IP, &NOT_IP),
    falls_back(&IS_PATH, &NOT_PATH),
    Check::Distinct(&["hash_on_header", "hash_fallback_header"]),
    needs("hash_on", &IS_QUERY_ARG, "hash_on_query_arg"),
    needs("hash_fallback", &IS_QUERY_ARG, "hash_fallback_query_arg"),
    Check::Distinct(&["hash_on_query_arg", "hash_fallback_query_arg"]),
    needs("hash_on", &IS_URI_CAPTURE, "hash_on_uri_capture"),
    needs("hash_fallback", &IS_URI_CAPTURE, "hash_fallback_uri_capture"),
    Check::Distinct(&["hash_on_uri_capture", "hash_fallback_uri_capture"]),
]);

pub(in crate::declarative) static TARGET: Record = Record::new(&[
    field("id", typedefs::uuid()),
    field("created_at", number().timestamp()),
    field("updated_at", any()),
    field("upstream", foreign("upstreams").required()),
    field("target", string().required().check(check_target)),
    field("weight", integer().default(Int(100)).between(0.0, 65_535.0)),
    field("tags", typedefs::tags()),
]);

const ALGORITHMS: &[Literal] =
    &[Text("consistent-hashing"), Text("least-connections"), Text("round-robin"), Text("latency")];
const HASH: Type = string().default(Text("none")).one_of(&[
    Text("none"),
    Text("consumer"),
    Text("ip"),
    Text("header"),
    Text("cookie"),
    Text("path"),
    Text("query_arg"),
    Text("uri_capture"),
]);
static IS_NONE: Type = any().equals(Text("none"));
static IS_CONSUMER: Type = any().equals(Text("consumer"));
static IS_IP: Type = any().equals(Text("ip"));
static IS_HEADER: Type = any().equals(Text("header"));
static IS_COOKIE: Type = any().equals(Text("cookie"));
static IS_PATH: Type = any().equals(Text("path"));
static IS_QUERY_ARG: Type = any().equals(Text("query_arg"));
static IS_URI_CAPTURE: Type = any().equals(Text("uri_capture"));
static REQUIRED: Type = any().required();
static NONE: Type = any().one_of(&[Text("none")]);
static NOT_CONSUMER: Type = any().one_of(&[
    Text("none"),
    Text("ip"),
    Text("header"),
    Text("cookie"),
    Text("path"),
    Text("query_arg"),
    Text("uri_capture"),
]);
static NOT_IP: Type = any().one_of(&[
    Text("none"),
    Text("consumer"),
    Text("header"),
    Text("cookie"),
    Text("path"),
    Text("query_arg"),
    Text("uri_capture"),
]);
static NOT_PATH: Type = any().one_of(&[
    Text("none"),
    Text("consumer"),
    Text("header"),
    Text("cookie"),
    Text("query_arg"),
    Text("ip"),
    Text("uri_capture"),
]);

static HEALTH_CHECKS: Record = Record::new(&[
    field("active", record(&ACTIVE)),
    field("passive", record(&PASSIVE)),
    field("threshold", number().default(Int(0)).between(0.0, 100.0)),
]);
static ACTIVE: Record = Record::new(&[
    field("type", PROBE),
    field("timeout", SECONDS.default(Int(1))),
    field("concurrency", integer().default(Int(10)).between(1.0, 2_147_483_648.0)),
    field("http_path", typedefs::path().default(Text("/"))),
    field("https_sni", typedefs::sni()),
    field("https_verify_certificate", boolean().required().default(Bool(true))),
    field("headers", typedefs::headers()),
    field("healthy", record(&ACTIVE_HEALTHY)),
    field("unhealthy", record(&ACTIVE_UNHEALTHY)),
]);
static ACTIVE_HEALTHY: Record = Record::new(&[
    field("interval", SECONDS.default(Int(0))),
    field("http_statuses", STATUSES.default(List(&[Int(200), Int(302)]))),
    field("successes", COUNT),
]);
static ACTIVE_UNHEALTHY: Record = Record::new(&[
    field("interval", SECONDS.default(Int(0))),
    field(
        "http_statuses",
        STATUSES.default(List(&[
            Int(429),
            Int(404),
            Int(500),
            Int(501),
            Int(502),
            Int(503),
            Int(504),
            Int(505),
        ])),
    ),
    field("tcp_failures", COUNT),
    field("timeouts", COUNT),
    field("http_failures", COUNT),
]);
static PASSIVE: Record = Record::new(&[
    field("type", PROBE),
    field("healthy", record(&PASSIVE_HEALTHY)),
    field("unhealthy", record(&PASSIVE_UNHEALTHY)),
]);
static PASSIVE_HEALTHY: Record = Record::new(&[
    field(
        "http_statuses",
        STATUSES.default(List(&[
            Int(200),
            Int(201),
            Int(202),
            Int(203),
            Int(204),
            Int(205),
            Int(206),
            Int(207),
            Int(208),
            Int(226),
            Int(300),
            Int(301),
            Int(302),
            Int(303),
            Int(304),
            Int(305),
            Int(306),
            Int(307),
            Int(308),
        ])),
    ),
    field("successes", COUNT),
]);
static PASSIVE_UNHEALTHY: Record = Record::new(&[
    field("http_statuses", STATUSES.default(List(&[Int(429), Int(500), Int(503)]))),
    field("tcp_failures", COUNT),
    field("timeouts", COUNT),
    field("http_failures", COUNT),
]);
const PROBE: Type = string().default(Text("http")).one_of(&[
    Text("tcp"),
    Text("http"),
    Text("https"),
    Text("grpc"),
    Text("grpcs"),
]);
const SECONDS: Type = number().between(0.0, 65_535.0);
const COUNT: Type = integer().default(Int(0)).between(0.0, 255.0);
const STATUSES: Type = array(&STATUS);
static STATUS: Type = integer().between(100.0, 999.0);

const fn needs(field: &'static str, is: &'static Type, then: &'static str) -> Check {
    Check::If { field, is, then, must: &REQUIRED, error: None }
}

const fn falls_back(is: &'static Type, must: &'static Type) -> Check {
    Check::If { field: "hash_on", is, then: "hash_fallback", must, error: None }
}

/// Some algorithms don't hash, whatever else is said.
fn algorithm_decides(algorithm: &Value) -> Vec<(&'static str, Value)> {
    let mut settings = vec![("algorithm", algorithm.clone())];
    if algorithm == "least-connections" || algorithm == "latency" {
        settings.push(("hash_on", Value::Null));
    }
    settings
}

/// What is hashed decides the algorithm.
fn hash_decides(hash_on: &Value) -> Vec<(&'static str, Value)> {
    match hash_on.as_str() {
        None => vec![("hash_on", json!("none"))],
        Some("none") => vec![("hash_on", json!("none")), ("algorithm", json!("round-robin"))],
        Some(other) => vec![("hash_on", json!(other)), ("algorithm", json!("consistent-hashing"))],
    }
}

fn check_name(name: &str) -> Result<(), String> {
    let refuse = |why: &str| Err(format!("Invalid name ('{name}'); {why}"));
    match Address::parse(name) {
        Err(_) => refuse("must be a valid hostname"),
        Ok(address) if address.kind != AddressKind::Name => refuse("no ip addresses allowed"),
        Ok(address) if address.port.is_some() => refuse("no port allowed"),
        Ok(_) => Ok(()),
    }
}

fn check_target(target: &str) -> Result<(), String> {
    let invalid = |_| format!("Invalid target ('{target}'); not a valid hostname or ip address");
    Address::parse(target).map(|_| ()).map_err(invalid)
}

pub(in crate::declarative) fn to_model(entity: &Entity, targets: Vec<Target>, now: i64) -> Upstream {
    let fields = entity.fields();
    let checks = fields.record("healthchecks");
    Upstream {
        algorithm: match fields.text("algorithm").as_deref() {
            Some("consistent-hashing") => Algorithm::ConsistentHashing,
            Some("least-connections") => Algorithm::LeastConnections,
            Some("latency") => Algorithm::Latency,
            _ => Algorithm::RoundRobin,
        },
        hash_on: hash(fields, "hash_on"),
        hash_fallback: hash(fields, "hash_fallback"),
        slots: fields.int("slots").unwrap_or(10_000),
        hash_on_cookie_path: fields.text("hash_on_cookie_path").unwrap_or_else(|| "/".to_owned()),
        host_header: fields.text("host_header"),
        healthchecks: HealthChecks {
            threshold: checks.number("threshold").unwrap_or_default(),
            active: active(checks.record("active")),
            passive: passive(checks.record("passive")),
        },
        targets,
        tags: fields.texts("tags"),
        created_at: fields.int("created_at").unwrap_or(now),
        origin: Some(entity.origin()),
        ..Upstream::new(entity.id, fields.text("name").unwrap_or_default())
    }
}

pub(in crate::declarative) fn target(entity: &Entity) -> Option<Target> {
    let fields = entity.fields();
    let address = Address::parse(&fields.text("target")?).ok()?;
    Some(Target {
        host: address.host,
        port: address.port.unwrap_or(DEFAULT_PORT),
        weight: fields.int("weight").unwrap_or(100),
    })
}

/// `which` is `hash_on` or `hash_fallback`; both share the cookie.
fn hash(fields: Fields, which: &str) -> HashOn {
    let named = |what: &str| fields.text(&format!("{which}_{what}")).unwrap_or_default();
    match fields.text(which).as_deref() {
        Some("consumer") => HashOn::Consumer,
        Some("ip") => HashOn::Ip,
        Some("path") => HashOn::Path,
        Some("header") => HashOn::Header(named("header")),
        Some("cookie") => HashOn::Cookie(fields.text("hash_on_cookie").unwrap_or_default()),
        Some("query_arg") => HashOn::QueryArg(named("query_arg")),
        Some("uri_capture") => HashOn::UriCapture(named("uri_capture")),
        _ => HashOn::None,
    }
}

fn active(fields: Fields) -> ActiveChecks {
    let (healthy, unhealthy) = (fields.record("healthy"), fields.record("unhealthy"));
    ActiveChecks {
        kind: probe(fields),
        http_path: fields.text("http_path").unwrap_or_else(|| "/".to_owned()),
        timeout: fields.number("timeout").unwrap_or(1.0),
        concurrency: fields.int("concurrency").unwrap_or(10),
        https_verify_certificate: fields.flag("https_verify_certificate").unwrap_or(true),
        https_sni: fields.text("https_sni"),
        headers: fields.lists("headers").unwrap_or_default(),
        healthy_interval: healthy.number("interval").unwrap_or_default(),
        unhealthy_interval: unhealthy.number("interval").unwrap_or_default(),
        rules: rules(healthy, unhealthy),
    }
}

fn passive(fields: Fields) -> PassiveChecks {
    PassiveChecks { kind: probe(fields), rules: rules(fields.record("healthy"), fields.record("unhealthy")) }
}

fn probe(fields: Fields) -> ProbeKind {
    match fields.text("type").as_deref() {
        Some("https") => ProbeKind::Https,
        Some("tcp") => ProbeKind::Tcp,
        Some("grpc") => ProbeKind::Grpc,
        Some("grpcs") => ProbeKind::Grpcs,
        _ => ProbeKind::Http,
    }
}

fn rules(healthy: Fields, unhealthy: Fields) -> HealthRules {
    HealthRules {
        healthy_statuses: healthy.ints("http_statuses"),
        successes: healthy.int("successes").unwrap_or(0),
        unhealthy_statuses: unhealthy.ints("http_statuses"),
        tcp_failures: unhealthy.int("tcp_failures").unwrap_or(0),
        timeouts: unhealthy.int("timeouts").unwrap_or(0),
        http_failures: unhealthy.int("http_failures").unwrap_or(0),
    }
}

/// All of it but the targets, in Kong's field names.
pub(in crate::declarative) fn print(upstream: &Upstream) -> Value {
    let mut fields = json!({
        "id": upstream.id,
        "created_at": upstream.created_at,
        "name": upstream.name,
        "algorithm": upstream.algorithm,
        "hash_on_cookie_path": upstream.hash_on_cookie_path,
        "slots": upstream.slots,
        "host_header": upstream.host_header,
        "tags": upstream.tags,
        "use_srv_name": false,
        "healthchecks": {
            "threshold": to_number(upstream.healthchecks.threshold),
            "active": print_active(&upstream.healthchecks.active),
            "passive": print_passive(&upstream.healthchecks.passive),
        },
    });
    for (which, hash) in [("hash_on", &upstream.hash_on), ("hash_fallback", &upstream.hash_fallback)] {
        let (word, named) = match hash {
            HashOn::None => ("none", None),
            HashOn::Consumer => ("consumer", None),
            HashOn::Ip => ("ip", None),
            HashOn::Path => ("path", None),
            HashOn::Header(name) => ("header", Some((format!("{which}_header"), name))),
            HashOn::Cookie(name) => ("cookie", Some(("hash_on_cookie".to_owned(), name))),
            HashOn::QueryArg(name) => ("query_arg", Some((format!("{which}_query_arg"), name))),
            HashOn::UriCapture(name) => ("uri_capture", Some((format!("{which}_uri_capture"), name))),
        };
        fields[which] = json!(word);
        if let Some((field, name)) = named {
            fields[field] = json!(name);
        }
    }
    fields
}

fn print_active(checks: &ActiveChecks) -> Value {
    let mut healthy = print_healthy(&checks.rules);
    let mut unhealthy = print_unhealthy(&checks.rules);
    healthy["interval"] = to_number(checks.healthy_interval);
    unhealthy["interval"] = to_number(checks.unhealthy_interval);
    json!({
        "type": checks.kind,
        "timeout": to_number(checks.timeout),
        "concurrency": checks.concurrency,
        "http_path": checks.http_path,
        "https_sni": checks.https_sni,
        "https_verify_certificate": checks.https_verify_certificate,
        "headers": (!checks.headers.is_empty()).then_some(&checks.headers),
        "healthy": healthy,
        "unhealthy": unhealthy,
    })
}

fn print_passive(checks: &PassiveChecks) -> Value {
    json!({
        "type": checks.kind,
        "healthy": print_healthy(&checks.rules),
        "unhealthy": print_unhealthy(&checks.rules),
    })
}

fn print_healthy(rules: &HealthRules) -> Value {
    json!({"http_statuses": rules.healthy_statuses, "successes": rules.successes})
}

fn print_unhealthy(rules: &HealthRules) -> Value {
    json!({
        "http_statuses": rules.unhealthy_statuses,
        "tcp_failures": rules.tcp_failures,
        "timeouts": rules.timeouts,
        "http_failures": rules.http_failures,
    })
}
