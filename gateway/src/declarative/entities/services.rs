//! Services.

use serde_json::Value;

use super::super::entity::Entity;
use crate::model::{Protocol, Service};
use crate::schema::Literal::{Bool, Int, Text};
use crate::schema::{
    Check, Legacy, Record, Type, Url, any, array, boolean, field, foreign, integer, string, typedefs,
};

pub(in crate::declarative) static SERVICE: Record = Record::new(&[
    field("id", typedefs::uuid()),
    field("created_at", integer().timestamp()),
    field("updated_at", any()),
    field("name", typedefs::name()),
    field("retries", integer().default(Int(5)).between(0.0, 32_767.0)),
    field("protocol", typedefs::protocol().required().default(Text("http"))),
    field("host", typedefs::host().required()),
    field("port", typedefs::port().required().default(Int(80))),
    field("path", typedefs::path()),
    field("connect_timeout", TIMEOUT),
    field("write_timeout", TIMEOUT),
    field("read_timeout", TIMEOUT),
    field("tags", typedefs::tags()),
    field("client_certificate", foreign("certificates")),
    field("tls_verify", boolean()),
    field("tls_verify_depth", integer().between(0.0, 64.0)),
    field("ca_certificates", array(&ID)),
    field("enabled", boolean().required().default(Bool(true))),
])
.legacy(&[Legacy::shorthand("url", string(), parts_of_url)])
.checks(&[
    Check::If { field: "protocol", is: &WITHOUT_PATH, then: "path", must: &NULL, error: None },
    Check::If { field: "protocol", is: &WITHOUT_TLS, then: "client_certificate", must: &NULL, error: None },
    Check::If { field: "protocol", is: &WITHOUT_TLS, then: "tls_verify", must: &NULL, error: None },
    Check::If { field: "protocol", is: &WITHOUT_TLS, then: "tls_verify_depth", must: &NULL, error: None },
    Check::If { field: "protocol", is: &WITHOUT_TLS, then: "ca_certificates", must: &NULL, error: None },
]);

const TIMEOUT: Type = integer().default(Int(60_000)).between(1.0, 2_147_483_646.0);
static ID: Type = string().uuid();
static NULL: Type = any().null_only();
static WITHOUT_PATH: Type =
    any().one_of(&[Text("tcp"), Text("tls"), Text("udp"), Text("grpc"), Text("grpcs")]);
static WITHOUT_TLS: Type = any().not_one_of(&["https", "tls"]);

/// `url` is protocol, host, port and path in one.
fn parts_of_url(url: &Value) -> Vec<(&'static str, Value)> {
    let url = Url::parse(url.as_str().unwrap_or_default());
    let number = url.port.and_then(|port| port.parse::<u32>().ok());
    let protocol = url.scheme.unwrap_or(if number == Some(443) { "https" } else { "http" });
    let port = match (number, url.port, protocol) {
        (Some(number), _, _) => Value::from(number),
        (None, Some(text), _) => Value::from(text),
        (None, None, "https") => Value::from(443),
        (None, None, _) => Value::from(80),
    };
    vec![
        ("protocol", Value::from(protocol)),
        ("host", url.host.map_or(Value::Null, Value::from)),
        ("port", port),
        ("path", url.path.map_or(Value::Null, Value::from)),
    ]
}

pub(in crate::declarative) fn to_model(entity: &Entity, now: i64) -> Service {
    let fields = entity.fields();
    let certificates = fields.texts("ca_certificates");
    Service {
        name: fields.text("name"),
        protocol: fields.text("protocol").and_then(|word| Protocol::parse(&word)).unwrap_or(Protocol::Http),
        port: fields.int("port").unwrap_or(80),
        path: fields.text("path"),
        retries: fields.int("retries").unwrap_or(5),
        connect_timeout: fields.int("connect_timeout").unwrap_or(60_000),
        write_timeout: fields.int("write_timeout").unwrap_or(60_000),
        read_timeout: fields.int("read_timeout").unwrap_or(60_000),
        enabled: fields.flag("enabled").unwrap_or(true),
        tls_verify: fields.flag("tls_verify"),
        tls_verify_depth: fields.int("tls_verify_depth"),
        client_certificate: entity.reference("client_certificate"),
        ca_certificates: certificates.map(|ids| ids.iter().filter_map(|id| id.parse().ok()).collect()),
        tags: fields.texts("tags"),
        created_at: fields.int("created_at").unwrap_or(now),
        updated_at: now,
        origin: Some(entity.origin()),
        ..Service::new(entity.id, fields.text("host").unwrap_or_default())
    }
}
