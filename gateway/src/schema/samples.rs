//! Plugin schemas for tests: the settings of Kong's plugins as far as the tables of refused configurations
//! need them.

use serde_json::Value;

use super::Literal::{Bool, Float, Int, List, Text};
use super::{
    Check, Legacy, Pattern, PluginSchema, PluginSchemas, Record, Type, any, array, boolean, field, integer,
    map, number, record, set, string, typedefs,
};
use crate::model::Protocol;

/// All of them.
pub(crate) struct Samples;

impl PluginSchemas for Samples {
    fn schema(&self, plugin: &str) -> Option<&PluginSchema> {
        ALL.iter().find(|schema| schema.name == plugin)
    }

    fn names(&self) -> Vec<&'static str> {
        ALL.iter().map(|schema| schema.name).collect()
    }
}

static ALL: &[PluginSchema] = &[
    PluginSchema::new("acl", &ACL).no_consumer_scope().checks(&[
        Check::OnlyOneOf(&["config.allow", "config.deny"]),
        Check::AtLeastOneOf(&["config.allow", "config.deny"]),
    ]),
    PluginSchema::new("basic-auth", &BASIC_AUTH).no_consumer_scope(),
    PluginSchema::new("bot-detection", &BOT_DETECTION).no_consumer_scope(),
    PluginSchema::new("correlation-id", &CORRELATION_ID),
    PluginSchema::new("cors", &CORS).no_consumer_scope(),
    PluginSchema::new("http-log", &HTTP_LOG).protocols(HTTP),
    PluginSchema::new("ip-restriction", &IP_RESTRICTION)
        .protocols(&[
            Protocol::Http,
            Protocol::Https,
            Protocol::Tcp,
            Protocol::Tls,
            Protocol::Grpc,
            Protocol::Grpcs,
        ])
        .checks(&[Check::AtLeastOneOf(&["config.allow", "config.deny"])]),
    PluginSchema::new("jwt", &JWT).no_consumer_scope().checks(&[Check::If {
        field: "config.maximum_expiration",
        is: &ABOVE_ZERO,
        then: "config.claims_to_verify",
        must: &HAS_EXP,
        error: None,
    }]),
    PluginSchema::new("key-auth", &KEY_AUTH).no_consumer_scope(),
    PluginSchema::new("opentelemetry", &OPENTELEMETRY),
    PluginSchema::new("prometheus", &PROMETHEUS),
    PluginSchema::new("rate-limiting", &RATE_LIMITING).checks(RATE_LIMITING_CHECKS),
    PluginSchema::new("request-size-limiting", &REQUEST_SIZE_LIMITING),
    PluginSchema::new("request-termination", &REQUEST_TERMINATION),
    PluginSchema::new("request-transformer", &REQUEST_TRANSFORMER).protocols(HTTP),
    PluginSchema::new("response-transformer", &RESPONSE_TRANSFORMER).protocols(HTTP),
];

const HTTP: &[Protocol] = &[Protocol::Grpc, Protocol::Grpcs, Protocol::Http, Protocol::Https];

static ANY_STRING: Type = string();
static STRINGS: Type = array(&ANY_STRING);
static REQUIRED: Type = any().required();

static IP_RESTRICTION: Record = Record::new(&[
    field("allow", array(&IP)),
    field("deny", array(&IP)),
    field("status", number()),
    field("message", string()),
]);
static IP: Type = typedefs::ip_or_cidr();

static RATE_LIMITING: Record = Record::new(&[
    field("second", number().greater_than(0.0)),
    field("minute", number().greater_than(0.0)),
    field("hour", number().greater_than(0.0)),
    field("day", number().greater_than(0.0)),
    field("month", number().greater_than(0.0)),
    field("year", number().greater_than(0.0)),
    field(
        "limit_by",
        string().default(Text("consumer")).one_of(&[
            Text("consumer"),
            Text("credential"),
            Text("ip"),
            Text("service"),
            Text("header"),
            Text("path"),
        ]),
    ),
    field("header_name", typedefs::header_name()),
    field("path", typedefs::path()),
    field("policy", string().default(Text("local")).len_min(0).one_of(&[Text("local"), Text("redis")])),
    field("fault_tolerant", boolean().required().default(Bool(true))),
    field("redis", record(&REDIS)),
    field("hide_client_headers", boolean().required().default(Bool(false))),
    field("error_code", number().default(Int(429)).greater_than(0.0)),
    field("error_message", string().default(Text("API rate limit exceeded"))),
    field("sync_rate", number().required().default(Int(-1))),
])
.legacy(&[
    Legacy::alias("redis_host", string(), "redis.host"),
    Legacy::alias("redis_port", integer(), "redis.port"),
])
.check(|config| {
    let number = |name: &str| config.get(name).and_then(Value::as_f64);
    for (at, lower) in PERIODS.iter().enumerate() {
        for upper in &PERIODS[at + 1..] {
            if let (Some(low), Some(up)) = (number(lower), number(upper))
                && up < low
            {
                return Err(format!(
                    "The limit for {upper}({up:.1}) cannot be lower than the limit for {lower}({low:.1})"
                ));
            }
        }
    }
    let rate = number("sync_rate").filter(|rate| (*rate + 1.0).abs() > f64::EPSILON);
    if config["policy"] != "redis" && rate.is_some() {
        return Err("sync_rate can only be used with the redis policy".to_owned());
    }
    if rate.is_some_and(|rate| rate < 0.02) {
        return Err("sync_rate must be greater than 0.02, or -1 to disable".to_owned());
    }
    Ok(())
});
const PERIODS: [&str; 6] = ["second", "minute", "hour", "day", "month", "year"];
static REDIS: Record = Record::new(&[
    field("host", typedefs::host()),
    field("port", typedefs::port().default(Int(6379))),
    field("timeout", typedefs::timeout().default(Int(2000))),
]);
static IS_REDIS: Type = any().equals(Text("redis"));
static IS_HEADER: Type = any().equals(Text("header"));
static IS_PATH: Type = any().equals(Text("path"));
const RATE_LIMITING_CHECKS: &[Check] = &[
    Check::AtLeastOneOf(&[
        "config.second",
        "config.minute",
        "config.hour",
        "config.day",
        "config.month",
        "config.year",
    ]),
    Check::If {
        field: "config.policy",
        is: &IS_REDIS,
        then: "config.redis.host",
        must: &REQUIRED,
        error: None,
    },
    Check::If {
        field: "config.limit_by",
        is: &IS_HEADER,
        then: "config.header_name",
        must: &REQUIRED,
        error: None,
    },
    Check::If { field: "config.limit_by", is: &IS_PATH, then: "config.path", must: &REQUIRED, error: None },
];

static HTTP_LOG: Record = Record::new(&[
    field("http_endpoint", typedefs::url().required().referenceable()),
    field("method", string().default(Text("POST")).one_of(&[Text("POST"), Text("PUT"), Text("PATCH")])),
    field(
        "content_type",
        string()
            .default(Text("application/json"))
            .one_of(&[Text("application/json"), Text("application/json; charset=utf-8")]),
    ),
    field("timeout", number().default(Int(10_000))),
    field("headers", map(&LOG_HEADER, &ANY_STRING)),
    field("queue", record(&QUEUE)),
])
.check(|config| {
    let url = config.get("http_endpoint").and_then(Value::as_str).unwrap_or_default();
    let named = |headers: &serde_json::Map<String, Value>| {
        headers.keys().any(|name| name.eq_ignore_ascii_case("authorization"))
    };
    let header = config.get("headers").and_then(Value::as_object).is_some_and(named);
    if header && super::Url::parse(url).userinfo.is_some() {
        return Err(
            "specifying both an 'Authorization' header and user info in 'http_endpoint' is not allowed"
                .into(),
        );
    }
    Ok(())
});
static LOG_HEADER: Type = typedefs::header_name().forbids(&[
    Pattern { test: |name| name.eq_ignore_ascii_case("host"), error: "cannot contain 'Host' header" },
    Pattern {
        test: |name| name.eq_ignore_ascii_case("content-type"),
        error: "cannot contain 'Content-Type' header",
    },
]);
static QUEUE: Record = Record::new(&[
    field("max_batch_size", integer().default(Int(1)).between(1.0, 1_000_000.0)),
    field("initial_retry_delay", number().default(Float(0.01)).between(0.001, 1_000_000.0)),
    field("concurrency_limit", integer().default(Int(1)).one_of(&[Int(-1), Int(1)])),
]);

static CORS: Record = Record::new(&[
    field("origins", array(&ORIGIN)),
    field("methods", array(&METHOD).default(List(METHODS))),
    field("credentials", boolean().required().default(Bool(false))),
]);
static ORIGIN: Type = string().check(|origin| match origin {
    "*" => Ok(()),
    _ => regex::Regex::new(origin).map(|_| ()).map_err(|_| format!("'{origin}' is not a valid regex")),
});
const METHODS: &[super::Literal] = &[
    Text("GET"),
    Text("HEAD"),
    Text("PUT"),
    Text("PATCH"),
    Text("POST"),
    Text("DELETE"),
    Text("OPTIONS"),
    Text("TRACE"),
    Text("CONNECT"),
];
static METHOD: Type = string().one_of(METHODS);

static KEY_AUTH: Record = Record::new(&[
    field("key_names", array(&KEY_NAME).required().default(List(&[Text("apikey")]))),
    field("hide_credentials", boolean().required().default(Bool(false))),
    field("anonymous", string()),
]);
static KEY_NAME: Type = typedefs::header_name();
static BASIC_AUTH: Record = Record::new(&[field("anonymous", string())]);
static ACL: Record = Record::new(&[field("allow", STRINGS), field("deny", STRINGS)]);

static JWT: Record = Record::new(&[
    field("claims_to_verify", set(&CLAIM)),
    field("maximum_expiration", number().default(Int(0)).between(0.0, 31_536_000.0)),
]);
static CLAIM: Type = string().one_of(&[Text("exp"), Text("nbf")]);
static ABOVE_ZERO: Type = any().greater_than(0.0);
static HAS_EXP: Type = any().contains(Text("exp"));

static REQUEST_TERMINATION: Record = Record::new(&[
    field("status_code", integer().required().default(Int(503)).between(100.0, 599.0)),
    field("message", string()),
    field("content_type", string()),
    field("body", string()),
    field("echo", boolean().required().default(Bool(false))),
])
.check(|config| {
    let set = |name: &str| config.get(name).is_some_and(Value::is_string);
    if set("message") && (set("content_type") || set("body")) {
        return Err("message cannot be used with content_type or body".to_owned());
    }
    if set("content_type") && !set("body") {
        return Err("content_type requires a body".to_owned());
    }
    if config["echo"] == true && (set("content_type") || set("body")) {
        return Err("echo cannot be used with content_type and body".to_owned());
    }
    Ok(())
});

static CORRELATION_ID: Record = Record::new(&[
    field("header_name", string().default(Text("Kong-Request-ID"))),
    field(
        "generator",
        string().default(Text("uuid#counter")).one_of(&[Text("uuid"), Text("uuid#counter"), Text("tracker")]),
    ),
]);
static REQUEST_SIZE_LIMITING: Record = Record::new(&[
    field("allowed_payload_size", integer().default(Int(128))),
    field(
        "size_unit",
        string().default(Text("megabytes")).one_of(&[Text("megabytes"), Text("kilobytes"), Text("bytes")]),
    ),
]);
static BOT_DETECTION: Record = Record::new(&[field("deny", array(&PATTERN).default(List(&[])))]);
static PATTERN: Type = string().regex();
static PROMETHEUS: Record = Record::new(&[field("per_consumer", boolean().default(Bool(false)))]);
static OPENTELEMETRY: Record = Record::new(&[
    field("traces_endpoint", typedefs::url().referenceable()),
    field("logs_endpoint", typedefs::url().referenceable()),
])
.checks(&[Check::AtLeastOneOf(&["traces_endpoint", "logs_endpoint"])]);

static REQUEST_TRANSFORMER: Record = Record::new(&[
    field("http_method", typedefs::http_method()),
    field("replace", record(&REPLACE)),
    field("add", record(&ADD)),
]);
static REPLACE: Record = Record::new(&[field("uri", string())]);
static ADD: Record = Record::new(&[
    field("headers", array(&PAIR).required().default(List(&[]))),
    field("querystring", array(&VALUED).required().default(List(&[]))),
]);
static PAIR: Type =
    string().matches(&[Pattern { test: |text| text.find(':').is_some_and(|at| at > 0), error: "" }]);
static VALUED: Type = string().check(|entry| match entry.split_once(':') {
    Some((_, value)) if !value.is_empty() => Ok(()),
    other => Err(format!("key '{}' has no value", other.map_or(entry, |(name, _)| name))),
});
static RESPONSE_TRANSFORMER: Record = Record::new(&[field("add", record(&RESPONSE_ADD))]);
static RESPONSE_ADD: Record = Record::new(&[
    field("headers", array(&PAIR).required().default(List(&[]))),
    field("json_types", array(&JSON_TYPE).required().default(List(&[]))),
]);
static JSON_TYPE: Type = string().one_of(&[Text("boolean"), Text("number"), Text("string")]);
