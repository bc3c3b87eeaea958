//! Kong's `correlation-id`: a header with an id that request, answer and log share.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use serde::Deserialize;
use uuid::Uuid;

use super::registry::Build;
use super::{Flow, Phases, Plugin};
use crate::clock::Clock;
use crate::exchange::Exchange;
use crate::schema::Literal::{Bool, Text};
use crate::schema::{PluginSchema, Record, boolean, field, string};

static CONFIG: Record = Record::new(&[
    field("header_name", string().default(Text("Kong-Request-ID")).about("the header")),
    field(
        "generator",
        string()
            .required()
            .default(Text("uuid#counter"))
            .one_of(&[Text("uuid"), Text("uuid#counter"), Text("tracker")])
            .about("what an id looks like that the client has not given"),
    ),
    field(
        "echo_downstream",
        boolean().required().default(Bool(false)).about("put the header on the answer too"),
    ),
]);
pub static SCHEMA: PluginSchema = PluginSchema::new("correlation-id", &CONFIG)
    .about("gives requests an id that the upstream and the log see");

pub const PHASES: Phases = Phases::ACCESS.and(Phases::HEADER_FILTER);

struct CorrelationId {
    header: String,
    generator: Generator,
    echo: bool,
}

enum Generator {
    Uuid,
    Counter {
        prefix: Uuid,
        count: AtomicU64,
    },
    /// Address, port, process, serial number of the request, 1, time. Kong's fourth and fifth parts count
    /// connections and requests on them; here the serial number alone makes the id unique.
    Tracker {
        count: AtomicU64,
        clock: Clock,
    },
}

#[derive(Deserialize)]
struct Settings {
    header_name: String,
    generator: String,
    echo_downstream: bool,
}

pub fn build(build: &Build<'_>) -> Result<Arc<dyn Plugin>, String> {
    let settings: Settings = build.settings()?;
    let count = AtomicU64::new(0);
    Ok(Arc::new(CorrelationId {
        header: settings.header_name,
        generator: match settings.generator.as_str() {
            "uuid" => Generator::Uuid,
            "tracker" => Generator::Tracker { count, clock: build.environment.clock.clone() },
            _ => Generator::Counter { prefix: Uuid::new_v4(), count },
        },
        echo: settings.echo_downstream,
    }))
}

impl Plugin for CorrelationId {
    fn phases(&self) -> Phases {
        if self.echo { PHASES } else { Phases::ACCESS }
    }

    fn access<'a>(&'a self, exchange: &'a mut Exchange) -> Flow<'a> {
        let id = self.given(exchange).unwrap_or_else(|| {
            let id = self.generator.next(exchange);
            exchange.request.fields.set(self.header.as_str(), &id);
            id
        });
        exchange.correlation_id = Some(id);
        Flow::Next
    }

    fn header_filter(&self, exchange: &mut Exchange) {
        let known = exchange.correlation_id.clone().or_else(|| self.given(exchange));
        let id = known.unwrap_or_else(|| self.generator.next(exchange));
        exchange.response.fields.set(self.header.as_str(), id);
    }
}

impl CorrelationId {
    fn given(&self, exchange: &Exchange) -> Option<String> {
        let value = exchange.request.fields.get(self.header.as_str())?.trim_ascii();
        (!value.is_empty()).then(|| String::from_utf8_lossy(value).into_owned())
    }
}

impl Generator {
    fn next(&self, exchange: &Exchange) -> String {
        let following = |count: &AtomicU64| count.fetch_add(1, Ordering::Relaxed) + 1;
        match self {
            Generator::Uuid => Uuid::new_v4().to_string(),
            Generator::Counter { prefix, count } => format!("{prefix}#{}", following(count)),
            Generator::Tracker { count, clock } => {
                let local = exchange.client.local;
                let now = clock.unix();
                format!(
                    "{}-{}-{}-{}-1-{}.{:03}",
                    local.ip(),
                    local.port(),
                    std::process::id(),
                    following(count),
                    now.as_secs(),
                    now.subsec_millis()
                )
            }
        }
    }
}

#[cfg(test)]
mod tests;
