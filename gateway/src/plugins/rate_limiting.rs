//! Kong's `rate-limiting`: so many requests in a second, minute, hour, day, month or year, by consumer,
//! credential, address, service, header or path.
//!
//! Counting is exact and atomic over all windows of a client: in this process ([`counters`]), or in Redis for
//! gateways that share their limits ([`redis`]).

pub mod counters;
mod number;
pub mod redis;
mod window;

use std::borrow::Cow;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use admin_api::Reason;
use serde::Deserialize;
use serde_json::Value;
use uuid::Uuid;

use self::counters::{Counters, Key, Kind, Limits, ScopeKey, Usage};
use self::number::Number;
use self::redis::{Server, SharedCounters};
use self::window::Period;
use super::registry::Build;
use super::{Flow, Phases, Plugin, refuse};
use crate::exchange::Exchange;
use crate::http::fields::Fields;
use crate::http::name::Name;
use crate::model::{Scope, Secret};
use crate::schema::Literal::{Bool, Int, Text};
use crate::schema::{
    Check, Legacy, PluginSchema, Record, Type, any, boolean, field, integer, number, record, string, typedefs,
};

static CONFIG: Record = Record::new(&[
    field("second", limit("requests a second")),
    field("minute", limit("requests a minute")),
    field("hour", limit("requests an hour")),
    field("day", limit("requests a day")),
    field("month", limit("requests a month")),
    field("year", limit("requests a year")),
    field(
        "limit_by",
        string()
            .default(Text("consumer"))
            .one_of(&[
                Text("consumer"),
                Text("credential"),
                Text("ip"),
                Text("service"),
                Text("header"),
                Text("path"),
            ])
            .about("what is counted; where it is missing, the client's address"),
    ),
    field("header_name", typedefs::header_name().about("the header of `limit_by: header`")),
    field("path", typedefs::path().about("the path of `limit_by: path`")),
    field(
        "policy",
        string()
            .default(Text("local"))
            .len_min(0)
            .one_of(&[Text("local"), Text("redis")])
            .about("where is counted: `local`, in this process, or `redis`, for several gateways together"),
    ),
    field(
        "fault_tolerant",
        boolean()
            .required()
            .default(Bool(true))
            .about("let requests pass while Redis can't be asked; else they are answered 500"),
    ),
    field("redis", record(&REDIS)),
    field(
        "hide_client_headers",
        boolean().required().default(Bool(false)).about("don't tell clients limits and what remains"),
    ),
    field("error_code", number().default(Int(429)).greater_than(0.0).about("status of a refusal")),
    field("error_message", string().default(Text("API rate limit exceeded")).about("message of a refusal")),
    field(
        "sync_rate",
        number()
            .required()
            .default(Int(-1))
            .about("seconds between two exchanges with Redis; -1 asks it for every request"),
    ),
])
.legacy(&[
    Legacy::alias("redis_host", string(), "redis.host"),
    Legacy::alias("redis_port", integer(), "redis.port"),
    Legacy::alias("redis_password", string().len_min(0), "redis.password"),
    Legacy::alias("redis_username", string(), "redis.username"),
    Legacy::alias("redis_ssl", boolean(), "redis.ssl"),
    Legacy::alias("redis_ssl_verify", boolean(), "redis.ssl_verify"),
    Legacy::alias("redis_server_name", string(), "redis.server_name"),
    Legacy::alias("redis_timeout", integer(), "redis.timeout"),
    Legacy::alias("redis_database", integer(), "redis.database"),
])
.check(check);
static REDIS: Record = Record::new(&[
    field("host", typedefs::host().about("host of the Redis server")),
    field("port", typedefs::port().default(Int(6379))),
    field("timeout", typedefs::timeout().default(Int(2000))),
    field("username", string()),
    field("password", string().len_min(0).secret()),
    field("database", integer().default(Int(0))),
    field("ssl", boolean().default(Bool(false))),
    field("ssl_verify", boolean().default(Bool(false))),
    field("server_name", typedefs::sni()),
]);
static REQUIRED: Type = any().required();
static IS_REDIS: Type = any().equals(Text("redis"));
static IS_HEADER: Type = any().equals(Text("header"));
static IS_PATH: Type = any().equals(Text("path"));
pub static SCHEMA: PluginSchema = PluginSchema::new("rate-limiting", &CONFIG)
    .checks(&[
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
        Check::If {
            field: "config.limit_by",
            is: &IS_PATH,
            then: "config.path",
            must: &REQUIRED,
            error: None,
        },
    ])
    .about("refuses requests beyond so many in a time");

const fn limit(about: &'static str) -> Type {
    number().greater_than(0.0).about(about)
}

struct RateLimiting {
    policy: Policy,
    limits: Limits,
    /// The limits as headers show them, in the order of `limits`.
    texts: Vec<String>,
    by: By,
    hide_client_headers: bool,
    error_code: f64,
    error_message: Cow<'static, str>,
}

/// Where is counted.
enum Policy {
    Local { counters: Arc<Counters>, scope: ScopeKey },
    Redis { counters: SharedCounters, prefix: String, fault_tolerant: bool },
}

/// What tells one client from another.
enum By {
    Consumer,
    Credential,
    Address,
    Service,
    Header(String),
    Path(String),
}

/// Who asks.
enum Identifier<'a> {
    Address(IpAddr),
    Consumer(Uuid),
    Credential(Uuid),
    Service(Uuid),
    Header(&'a [u8]),
    Path(&'a str),
}

#[derive(Deserialize)]
struct Settings {
    second: Option<f64>,
    minute: Option<f64>,
    hour: Option<f64>,
    day: Option<f64>,
    month: Option<f64>,
    year: Option<f64>,
    limit_by: String,
    header_name: Option<String>,
    path: Option<String>,
    hide_client_headers: bool,
    error_code: f64,
    error_message: String,
    policy: String,
    fault_tolerant: bool,
    sync_rate: f64,
    redis: RedisSettings,
}

#[derive(Deserialize)]
struct RedisSettings {
    host: Option<String>,
    port: u16,
    timeout: u64,
    username: Option<String>,
    password: Option<String>,
    database: u32,
    ssl: bool,
    ssl_verify: bool,
    server_name: Option<String>,
}

pub fn build(build: &Build<'_>) -> Result<Arc<dyn Plugin>, String> {
    let settings: Settings = build.settings()?;
    let limits = settings.limits();
    Ok(Arc::new(RateLimiting {
        policy: settings.policy(build)?,
        texts: limits.iter().map(|(_, limit)| Number(*limit).to_string()).collect(),
        limits,
        by: settings.by()?,
        hide_client_headers: settings.hide_client_headers,
        error_code: settings.error_code,
        error_message: Cow::Owned(settings.error_message),
    }))
}

/// Kong's rules over several settings, and what is not available here.
fn check(config: &serde_json::Map<String, Value>) -> Result<(), String> {
    let number = |name: &str| config.get(name).and_then(Value::as_f64);
    for (at, shorter) in Period::ALL.iter().enumerate() {
        for longer in &Period::ALL[at + 1..] {
            if let (Some(low), Some(high)) = (number(shorter.as_str()), number(longer.as_str()))
                && high < low
            {
                return Err(format!(
                    "The limit for {}({high:.1}) cannot be lower than the limit for {}({low:.1})",
                    longer.as_str(),
                    shorter.as_str()
                ));
            }
        }
    }
    let redis = config.get("policy").is_some_and(|policy| policy == "redis");
    let sync_rate = number("sync_rate").filter(|rate| (rate + 1.0).abs() > f64::EPSILON);
    match sync_rate {
        Some(_) if !redis => Err("sync_rate can only be used with the redis policy".to_owned()),
        Some(rate) if rate < 0.02 => Err("sync_rate must be greater than 0.02, or -1 to disable".to_owned()),
        _ => Ok(()),
    }
}

impl Settings {
    fn limits(&self) -> Limits {
        let given = [self.second, self.minute, self.hour, self.day, self.month, self.year];
        Period::ALL.into_iter().zip(given).filter_map(|(period, limit)| Some((period, limit?))).collect()
    }

    fn policy(&self, build: &Build<'_>) -> Result<Policy, String> {
        if self.policy != "redis" {
            let (counters, scope) = (build.environment.counters.clone(), ScopeKey::of(build.scope));
            return Ok(Policy::Local { counters, scope });
        }
        let Scope { route, service, .. } = build.scope;
        let sync = (self.sync_rate > 0.0).then(|| Duration::from_secs_f64(self.sync_rate));
        Ok(Policy::Redis {
            counters: build.environment.redis.counters(&self.redis.server()?, sync)?,
            // Kong's keys know nothing of the consumer that an instance is for.
            prefix: format!("ratelimit:{}:{}", route.unwrap_or_default(), service.unwrap_or_default()),
            fault_tolerant: self.fault_tolerant,
        })
    }

    fn by(&self) -> Result<By, String> {
        let missing = |field: &str| format!("limit_by {} needs {field}: set it", self.limit_by);
        Ok(match self.limit_by.as_str() {
            "consumer" => By::Consumer,
            "credential" => By::Credential,
            "ip" => By::Address,
            "service" => By::Service,
            "header" => By::Header(self.header_name.clone().ok_or_else(|| missing("header_name"))?),
            "path" => By::Path(self.path.clone().ok_or_else(|| missing("path"))?),
            other => return Err(format!("limit_by {other:?} is unknown: use consumer or ip")),
        })
    }
}

impl Plugin for RateLimiting {
    fn phases(&self) -> Phases {
        Phases::ACCESS
    }

    fn access<'a>(&'a self, exchange: &'a mut Exchange) -> Flow<'a> {
        let identifier = self.identifier(exchange);
        match &self.policy {
            Policy::Local { counters, scope } => {
                let usage = counters.admit(&identifier.key(*scope), &self.limits);
                self.decide(&usage, exchange)
            }
            Policy::Redis { counters, prefix, fault_tolerant } => {
                let prefix = format!("{prefix}:{identifier}");
                Flow::Wait(Box::pin(async move {
                    match counters.admit(&prefix, &self.limits).await {
                        Ok(usage) => self.decide(&usage, exchange),
                        Err(error) if *fault_tolerant => {
                            counters.miss(&error);
                            Flow::Next
                        }
                        Err(error) => Flow::Fail(format!("failed to count a request: {error}").into()),
                    }
                }))
            }
        }
    }
}

impl RateLimiting {
    fn decide<'a>(&self, usage: &Usage, exchange: &mut Exchange) -> Flow<'a> {
        if !self.hide_client_headers {
            self.set_headers(usage, &mut exchange.on_response);
        }
        match usage.stopped_by {
            None => Flow::Next,
            Some(_) => refuse(self.error_code, self.error_message.clone(), Reason::RateLimited),
        }
    }

    /// Whatever the setting finds nothing for is counted by address, never not at all.
    fn identifier<'a>(&self, exchange: &'a Exchange) -> Identifier<'a> {
        let credential = || exchange.credential.map(Identifier::Credential);
        let found = match &self.by {
            By::Address => None,
            By::Consumer => match &exchange.consumer {
                Some(consumer) => Some(Identifier::Consumer(consumer.id)),
                None => credential(),
            },
            By::Credential => credential(),
            By::Service => exchange.service().map(|service| Identifier::Service(service.id)),
            By::Header(name) => exchange.request.fields.get(name.as_str()).map(Identifier::Header),
            By::Path(path) => (exchange.path == *path).then_some(Identifier::Path(&exchange.path)),
        };
        found.unwrap_or(Identifier::Address(exchange.client.address))
    }

    /// Per period limit and rest; then the same for the period with the smallest rest, of equal ones the
    /// longest. What remains is shown after this request; on a refused one, which counts nowhere, only the
    /// period that stopped it shows one less.
    fn set_headers(&self, usage: &Usage, headers: &mut Fields) {
        let mut headline: Option<(Period, f64, &str)> = None;
        for ((period, limit), text) in self.limits.iter().zip(&self.texts) {
            let counted = usage.stopped_by.is_none_or(|stopped| stopped == *period);
            let rest = limit - usage.before[*period as usize] as f64 - f64::from(u8::from(counted));
            let rest = rest.max(0.0);
            headers.set(period.limit_header(), text);
            headers.set(period.remaining_header(), Number(rest).text(&mut Number::buffer()));
            if headline.is_none_or(|(_, least, _)| rest <= least) {
                headline = Some((*period, rest, text));
            }
        }
        let Some((period, rest, limit)) = headline else { return };
        let into = usage.at - period.start(usage.at);
        let reset = period.length().saturating_sub(into).max(1);
        let mut digits = itoa::Buffer::new();
        headers.set(Name::RateLimitLimit, limit);
        headers.set(Name::RateLimitRemaining, Number(rest).text(&mut Number::buffer()));
        headers.set(Name::RateLimitReset, digits.format(reset));
        if usage.stopped_by.is_some() {
            headers.set(Name::RetryAfter, digits.format(reset));
        }
    }
}

impl Identifier<'_> {
    fn key(&self, scope: ScopeKey) -> Key {
        match self {
            Identifier::Address(IpAddr::V4(address)) => Key::new(scope, Kind::Address, &address.octets()),
            Identifier::Address(IpAddr::V6(address)) => Key::new(scope, Kind::Address, &address.octets()),
            Identifier::Consumer(id) => Key::new(scope, Kind::Consumer, id.as_bytes()),
            Identifier::Credential(id) => Key::new(scope, Kind::Credential, id.as_bytes()),
            Identifier::Service(id) => Key::new(scope, Kind::Service, id.as_bytes()),
            Identifier::Header(value) => Key::new(scope, Kind::Header, value),
            Identifier::Path(path) => Key::new(scope, Kind::Path, path.as_bytes()),
        }
    }
}

/// As it stands in Kong's keys.
impl std::fmt::Display for Identifier<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Identifier::Address(address) => write!(f, "{}", address.to_canonical()),
            Identifier::Consumer(id) | Identifier::Credential(id) | Identifier::Service(id) => {
                write!(f, "{id}")
            }
            Identifier::Header(value) => f.write_str(&String::from_utf8_lossy(value)),
            Identifier::Path(path) => f.write_str(path),
        }
    }
}

impl RedisSettings {
    fn server(&self) -> Result<Server, String> {
        Ok(Server {
            host: self.host.clone().ok_or("policy redis needs redis.host: set it")?,
            port: self.port,
            timeout: Duration::from_millis(self.timeout),
            username: self.username.clone(),
            password: self.password.as_ref().map(Secret::new),
            database: self.database,
            tls: self.ssl,
            verify: self.ssl_verify,
            server_name: self.server_name.clone(),
        })
    }
}

#[cfg(test)]
mod tests;
