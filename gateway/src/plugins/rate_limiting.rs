//! Kong's `rate-limiting` with policy `local`: so many requests in a second, minute, hour, day, month or year,
//! by consumer, credential, address, service, header or path.
//!
//! Counting is exact and atomic over all windows of a key ([`counters`]). What is not here: policy `redis`,
//! which the schema refuses.

pub mod counters;
mod number;
mod window;

use std::borrow::Cow;
use std::net::IpAddr;
use std::sync::Arc;

use admin_api::Reason;
use serde::Deserialize;
use serde_json::Value;

use self::counters::{Counters, Key, Kind, Limits, ScopeKey, Usage};
use self::number::Number;
use self::window::Period;
use super::registry::Build;
use super::{Flow, Phases, Plugin, refuse};
use crate::exchange::Exchange;
use crate::http::fields::Fields;
use crate::http::name::Name;
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
            .about("where is counted: `local`, in this process; `redis` is not available"),
    ),
    field(
        "fault_tolerant",
        boolean()
            .required()
            .default(Bool(true))
            .about("let requests pass when they can't be counted; `local` always can"),
    ),
    field("redis", record(&REDIS)),
    field(
        "hide_client_headers",
        boolean().required().default(Bool(false)).about("don't tell clients limits and what remains"),
    ),
    field("error_code", number().default(Int(429)).greater_than(0.0).about("status of a refusal")),
    field("error_message", string().default(Text("API rate limit exceeded")).about("message of a refusal")),
    field("sync_rate", number().required().default(Int(-1)).about("only for policy `redis`")),
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
    counters: Arc<Counters>,
    scope: ScopeKey,
    limits: Limits,
    /// The limits as headers show them, in the order of `limits`.
    texts: Vec<String>,
    by: By,
    hide_client_headers: bool,
    error_code: f64,
    error_message: Cow<'static, str>,
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
}

pub fn build(build: &Build<'_>) -> Result<Arc<dyn Plugin>, String> {
    let settings: Settings = build.settings()?;
    let limits = settings.limits();
    Ok(Arc::new(RateLimiting {
        counters: build.environment.counters.clone(),
        scope: ScopeKey::of(build.scope),
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
        _ if redis => Err("policy redis is not available in this version; use local".to_owned()),
        _ => Ok(()),
    }
}

impl Settings {
    fn limits(&self) -> Limits {
        let given = [self.second, self.minute, self.hour, self.day, self.month, self.year];
        Period::ALL.into_iter().zip(given).filter_map(|(period, limit)| Some((period, limit?))).collect()
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
        let usage = self.counters.admit(&self.key(exchange), &self.limits);
        if !self.hide_client_headers {
            self.set_headers(&usage, &mut exchange.on_response);
        }
        match usage.stopped_by {
            None => Flow::Next,
            Some(_) => refuse(self.error_code, self.error_message.clone(), Reason::RateLimited),
        }
    }
}

impl RateLimiting {
    /// Who asks. Whatever the setting finds nothing for is counted by address, never not at all.
    fn key(&self, exchange: &Exchange) -> Key {
        let key = |kind, identifier: &[u8]| Key::new(self.scope, kind, identifier);
        let credential = || exchange.credential.map(|id| key(Kind::Credential, id.as_bytes()));
        let found = match &self.by {
            By::Address => None,
            By::Consumer => match &exchange.consumer {
                Some(consumer) => Some(key(Kind::Consumer, consumer.id.as_bytes())),
                None => credential(),
            },
            By::Credential => credential(),
            By::Service => exchange.service().map(|service| key(Kind::Service, service.id.as_bytes())),
            By::Header(name) => {
                exchange.request.fields.get(name.as_str()).map(|value| key(Kind::Header, value))
            }
            By::Path(path) => (exchange.path == *path).then(|| key(Kind::Path, exchange.path.as_bytes())),
        };
        found.unwrap_or_else(|| match exchange.client.address {
            IpAddr::V4(address) => key(Kind::Address, &address.octets()),
            IpAddr::V6(address) => key(Kind::Address, &address.octets()),
        })
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

#[cfg(test)]
mod tests;
