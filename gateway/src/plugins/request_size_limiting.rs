//! Kong's `request-size-limiting`: no body longer than so much.
//!
//! A stated length is judged here; a body that comes in chunks is measured as it is read, so that it need not
//! be kept to be measured.

use std::sync::Arc;

use admin_api::Reason;
use serde::Deserialize;

use super::registry::Build;
use super::{Flow, Phases, Plugin, refuse};
use crate::exchange::Exchange;
use crate::http::name::Name;
use crate::schema::Literal::{Bool, Int, Text};
use crate::schema::{PluginSchema, Record, boolean, field, integer, string};

static CONFIG: Record = Record::new(&[
    field("allowed_payload_size", integer().default(Int(128)).about("the longest body, in `size_unit`")),
    field(
        "size_unit",
        string()
            .required()
            .default(Text("megabytes"))
            .one_of(&[Text("megabytes"), Text("kilobytes"), Text("bytes")])
            .about("megabytes and kilobytes are powers of 1024"),
    ),
    field(
        "require_content_length",
        boolean().required().default(Bool(false)).about("refuse requests that state no length"),
    ),
]);
pub static SCHEMA: PluginSchema =
    PluginSchema::new("request-size-limiting", &CONFIG).about("refuses requests with a long body");

struct RequestSizeLimiting {
    bytes: u64,
    require_content_length: bool,
}

#[derive(Deserialize)]
struct Settings {
    allowed_payload_size: i64,
    size_unit: String,
    require_content_length: bool,
}

pub fn build(build: &Build<'_>) -> Result<Arc<dyn Plugin>, String> {
    let settings: Settings = build.settings()?;
    let unit = match settings.size_unit.as_str() {
        "bytes" => 1,
        "kilobytes" => 1024,
        _ => 1024 * 1024,
    };
    Ok(Arc::new(RequestSizeLimiting {
        bytes: u64::try_from(settings.allowed_payload_size).unwrap_or_default().saturating_mul(unit),
        require_content_length: settings.require_content_length,
    }))
}

impl Plugin for RequestSizeLimiting {
    fn phases(&self) -> Phases {
        Phases::ACCESS
    }

    fn access<'a>(&'a self, exchange: &'a mut Exchange) -> Flow<'a> {
        let headers = &exchange.request.fields;
        let stated = headers.get_str(Name::ContentLength).and_then(|length| length.parse::<u64>().ok());
        match stated {
            Some(length) if length > self.bytes => {
                let waits = headers
                    .get(Name::Expect)
                    .is_some_and(|value| value.eq_ignore_ascii_case(b"100-continue"));
                let status = if waits { 417.0 } else { 413.0 };
                refuse(status, "Request size limit exceeded", Reason::BodyTooLarge)
            }
            None if self.require_content_length && !headers.contains(Name::TransferEncoding) => {
                refuse(411.0, "A valid Content-Length header is required", Reason::BadRequest)
            }
            _ => {
                let limit = exchange.body_limit.map_or(self.bytes, |limit| limit.min(self.bytes));
                exchange.body_limit = Some(limit);
                Flow::Next
            }
        }
    }
}

#[cfg(test)]
mod tests;
