//! Routes. What a route may say depends on its protocols; Kong tells three families apart.

use serde_json::{Map, Value};

use super::super::entity::Entity;
use super::super::route_path;
use super::regex;
use crate::model::{PathHandling, Route, RoutePath};
use crate::schema::Literal::{self, Bool, Int, Text};
use crate::schema::{
    Check, Field, Pattern, Record, Type, array, boolean, field, foreign, integer, map, record, set, string,
    typedefs,
};

pub(in crate::declarative) static ROUTE: Record = Record::new(&[
    field("id", typedefs::uuid()),
    field("created_at", integer().timestamp()),
    field("updated_at", crate::schema::any()),
    field("name", typedefs::name()),
    field(
        "protocols",
        set(&PROTOCOL)
            .len_min(1)
            .required()
            .exclusive(&[
                &["http", "https"],
                &["tcp", "tls", "udp"],
                &["tls_passthrough"],
                &["grpc", "grpcs"],
            ])
            .default(Literal::List(&[Text("http"), Text("https")])),
    ),
    field(
        "https_redirect_status_code",
        integer().one_of(&[Int(426), Int(301), Int(302), Int(307), Int(308)]).default(Int(426)).required(),
    ),
    field("strip_path", boolean().required().default(Bool(true))),
    field("preserve_host", boolean().required().default(Bool(false))),
    field("request_buffering", boolean().required().default(Bool(true))),
    field("response_buffering", boolean().required().default(Bool(true))),
    field("tags", typedefs::tags()),
    field("service", foreign("services")),
    field("snis", set(&SNI)),
    field("sources", ENDPOINTS),
    field("destinations", ENDPOINTS),
    field("methods", METHODS),
    field("hosts", HOSTS),
    field("paths", PATHS),
    field("headers", HEADERS),
    field("regex_priority", integer().default(Int(0))),
    field("path_handling", string().default(Text("v0")).one_of(&[Text("v0"), Text("v1")])),
])
.checks(&[
    Check::If {
        field: "protocols",
        is: &WITHOUT_SNI,
        then: "snis",
        must: &EMPTY,
        error: Some(
            "'snis' can only be set when 'protocols' is 'grpcs', 'https', 'tls' or 'tls_passthrough'",
        ),
    },
    Check::Custom { fields: &["headers"], check: header_patterns },
]);

static PROTOCOL: Type = typedefs::protocol();
static SNI: Type = typedefs::wildcard_host();
static EMPTY: Type = crate::schema::any().len_eq(0);
static WITHOUT_SNI: Type = set(&NOT_TLS);
static NOT_TLS: Type = string().not_one_of(&["grpcs", "https", "tls", "tls_passthrough"]);

const ENDPOINTS: Type = set(&ENDPOINT);
static ENDPOINT: Type = record(&ENDPOINT_RECORD);
static ENDPOINT_RECORD: Record =
    Record::new(&[field("ip", typedefs::ip_or_cidr()), field("port", typedefs::port())])
        .checks(&[Check::AtLeastOneOf(&["ip", "port"])]);

const METHODS: Type = set(&METHOD);
static METHOD: Type = typedefs::http_method();

const HOSTS: Type = array(&HOST);
static HOST: Type = string()
    .matches(&[
        Pattern {
            test: |host| host.matches('*').count() <= 1,
            error: "invalid wildcard: must have at most one wildcard",
        },
        Pattern {
            test: |host| !host.contains('*') || host.starts_with("*.") || host.ends_with(".*"),
            error: "invalid wildcard: must be placed at leftmost or rightmost label",
        },
    ])
    .check(|host| typedefs::check_host_with_optional_port(&host.replace('*', "abc")));

const PATHS: Type = array(&PATH);
static PATH: Type = string()
    .forbids(&[Pattern { test: typedefs::has_empty_segment, error: "must not have empty segments" }])
    .matches(&[Pattern {
        test: |path| path.starts_with('/') || path.starts_with("~/"),
        error: "should start with: / (fixed path) or ~/ (regex path)",
    }])
    .check(check_path);

const HEADERS: Type = map(&HEADER, &VALUES);
static HEADER: Type = typedefs::header_name().forbids(&[Pattern {
    test: |name| name.eq_ignore_ascii_case("host"),
    error: "cannot contain 'host' header, which must be specified in the 'hosts' attribute",
}]);
static VALUES: Type = array(&VALUE);
static VALUE: Type = string();

/// What changes with the protocols.
pub(in crate::declarative) struct Family {
    pub fields: &'static [Field],
    pub checks: &'static [Check],
}

static HTTP: Family = Family {
    fields: &[
        field(
            "sources",
            ENDPOINTS.null_only().error("cannot set 'sources' when 'protocols' is 'http' or 'https'"),
        ),
        field(
            "destinations",
            ENDPOINTS.null_only().error("cannot set 'destinations' when 'protocols' is 'http' or 'https'"),
        ),
    ],
    checks: &[Check::Custom { fields: &[], check: http_attributes }],
};

static STREAM: Family = Family {
    fields: &[
        field(
            "methods",
            METHODS
                .null_only()
                .error("cannot set 'methods' when 'protocols' is 'tcp', 'tls', 'tls_passthrough' or 'udp'"),
        ),
        field(
            "hosts",
            HOSTS
                .null_only()
                .error("cannot set 'hosts' when 'protocols' is 'tcp', 'tls', 'tls_passthrough' or 'udp'"),
        ),
        field(
            "paths",
            PATHS
                .null_only()
                .error("cannot set 'paths' when 'protocols' is 'tcp', 'tls', 'tls_passthrough' or 'udp'"),
        ),
        field(
            "headers",
            HEADERS
                .null_only()
                .error("cannot set 'headers' when 'protocols' is 'tcp', 'tls', 'tls_passthrough' or 'udp'"),
        ),
    ],
    checks: &[Check::Custom { fields: &[], check: stream_attributes }],
};

static GRPC: Family = Family {
    fields: &[
        field(
            "strip_path",
            boolean()
                .required()
                .default(Bool(false))
                .not_equal(Bool(true))
                .error("cannot set 'strip_path' when 'protocols' is 'grpc' or 'grpcs'"),
        ),
        field(
            "methods",
            METHODS.null_only().error("cannot set 'methods' when 'protocols' is 'grpc' or 'grpcs'"),
        ),
        field(
            "sources",
            ENDPOINTS.null_only().error("cannot set 'sources' when 'protocols' is 'grpc' or 'grpcs'"),
        ),
        field(
            "destinations",
            ENDPOINTS.null_only().error("cannot set 'destinations' when 'protocols' is 'grpc' or 'grpcs'"),
        ),
    ],
    checks: &[Check::Custom { fields: &[], check: grpc_attributes }],
};

/// The family of a route by its first protocol that is one; none given means http and https.
pub(in crate::declarative) fn family(route: &Map<String, Value>) -> Result<&'static Family, String> {
    let words: Vec<&str> = match route.get("protocols") {
        None => return Ok(&HTTP),
        Some(Value::String(word)) => vec![word],
        Some(Value::Array(items)) => items.iter().filter_map(Value::as_str).collect(),
        Some(Value::Null) => return Err("required field missing".to_owned()),
        Some(_) => Vec::new(),
    };
    let known = words.iter().find_map(|word| match *word {
        "http" | "https" => Some(&HTTP),
        "grpc" | "grpcs" => Some(&GRPC),
        "tcp" | "tls" | "udp" | "tls_passthrough" => Some(&STREAM),
        _ => None,
    });
    match (known, words.first()) {
        (Some(family), _) => Ok(family),
        (None, Some(word)) => Err(format!("unknown type: {word}")),
        (None, None) => Ok(&HTTP),
    }
}

/// Whether any of these attributes is set.
fn sets_one_of(route: &Map<String, Value>, names: &[&str]) -> bool {
    let filled = |value: &Value| match value {
        Value::Null => false,
        Value::String(text) => !text.is_empty(),
        Value::Array(items) => !items.is_empty(),
        Value::Object(entries) => !entries.is_empty(),
        _ => true,
    };
    names.iter().any(|name| route.get(*name).is_some_and(filled))
}

fn names_protocol(route: &Map<String, Value>, word: &str) -> bool {
    route
        .get("protocols")
        .and_then(Value::as_array)
        .is_some_and(|items| items.iter().any(|item| item == word))
}

fn http_attributes(route: &Map<String, Value>) -> Result<(), String> {
    if names_protocol(route, "https") {
        if !sets_one_of(route, &["methods", "hosts", "headers", "paths", "snis"]) {
            return Err(
                "must set one of 'methods', 'hosts', 'headers', 'paths', 'snis' when 'protocols' is \
                        'https'"
                    .to_owned(),
            );
        }
    } else if names_protocol(route, "http") && !sets_one_of(route, &["methods", "hosts", "headers", "paths"])
    {
        return Err(
            "must set one of 'methods', 'hosts', 'headers', 'paths' when 'protocols' is 'http'".to_owned()
        );
    }
    Ok(())
}

fn grpc_attributes(route: &Map<String, Value>) -> Result<(), String> {
    if names_protocol(route, "grpcs") {
        if !sets_one_of(route, &["hosts", "headers", "paths", "snis"]) {
            return Err(
                "must set one of 'hosts', 'headers', 'paths', 'snis' when 'protocols' is 'grpcs'".to_owned()
            );
        }
    } else if names_protocol(route, "grpc") && !sets_one_of(route, &["hosts", "headers", "paths"]) {
        return Err("must set one of 'hosts', 'headers', 'paths' when 'protocols' is 'grpc'".to_owned());
    }
    Ok(())
}

fn stream_attributes(route: &Map<String, Value>) -> Result<(), String> {
    if names_protocol(route, "tls_passthrough") {
        if !sets_one_of(route, &["snis"]) {
            return Err("must set snis when 'protocols' is 'tls_passthrough'".to_owned());
        }
    } else if !sets_one_of(route, &["sources", "destinations", "snis"]) {
        return Err("must set one of 'sources', 'destinations', 'snis' when 'protocols' is 'tcp', 'tls' or \
                    'udp'"
            .to_owned());
    }
    Ok(())
}

fn check_path(path: &str) -> Result<(), String> {
    if let Err(message) = typedefs::check_path(path)
        && message.starts_with("invalid url-encoded")
    {
        return Err(message);
    }
    let Some(pattern) = path.strip_prefix('~') else {
        let normal = route_path::normalize(path);
        return if normal == path.as_bytes() {
            Ok(())
        } else {
            Err(format!("non-normalized path, consider use '{}' instead", String::from_utf8_lossy(&normal)))
        };
    };
    regex::check(pattern).map_err(|cause| format!("invalid regex: '{pattern}' ({cause})"))
}

/// A header value that starts with `~*` is a regular expression, lower-cased before use.
fn header_patterns(route: &Map<String, Value>) -> Result<(), String> {
    let headers = route.get("headers").and_then(Value::as_object);
    let values = headers.into_iter().flat_map(Map::values).filter_map(Value::as_array).flatten();
    for pattern in values.filter_map(Value::as_str).filter_map(|value| value.strip_prefix("~*")) {
        regex::check(&pattern.to_lowercase())
            .map_err(|cause| format!("Router Expression failed validation: '{pattern}' ({cause})"))?;
    }
    Ok(())
}

pub(in crate::declarative) fn to_model(entity: &Entity, now: i64) -> Route {
    let fields = entity.fields();
    let paths = fields.texts("paths");
    Route {
        name: fields.text("name"),
        protocols: fields.protocols(),
        methods: fields.texts("methods"),
        hosts: fields.texts("hosts"),
        paths: paths.map(|paths| paths.iter().map(|path| RoutePath::parse(path)).collect()),
        headers: fields.lists("headers"),
        snis: fields.texts("snis"),
        https_redirect_status_code: fields.int("https_redirect_status_code").unwrap_or(426),
        regex_priority: fields.int("regex_priority").unwrap_or(0),
        strip_path: fields.flag("strip_path").unwrap_or(true),
        path_handling: if fields.text("path_handling").as_deref() == Some("v1") {
            PathHandling::V1
        } else {
            PathHandling::V0
        },
        preserve_host: fields.flag("preserve_host").unwrap_or(false),
        request_buffering: fields.flag("request_buffering").unwrap_or(true),
        response_buffering: fields.flag("response_buffering").unwrap_or(true),
        tags: fields.texts("tags"),
        service: entity.reference("service"),
        created_at: fields.int("created_at").unwrap_or(now),
        updated_at: now,
        origin: Some(entity.origin()),
        ..Route::new(entity.id)
    }
}
