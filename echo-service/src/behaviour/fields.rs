//! The one table of fields. Flags, `--help`, the answers to bad values and the
//! table at the top of `behaviour.rs` are made from it or checked against it.

use super::{Abort, Behaviour, Format, values};

/// One thing that can be asked for.
pub struct Field {
    /// `delay` in `X-Echo-Delay`, `echo-delay` and `--delay`.
    pub name: &'static str,
    /// Completes "give it …".
    pub accepts: &'static str,
    /// What comes of it.
    pub effect: &'static str,
    /// Sets it, unless the value is not one of those accepted.
    pub(super) set: fn(&mut Behaviour, &str) -> Option<()>,
}

pub static FIELDS: [Field; 8] = [
    Field {
        name: "delay",
        accepts: "a duration up to 1h, such as 250ms or 1.5s",
        effect: "waits so long before it answers",
        set: |asked, value| values::duration(value).map(|delay| asked.delay = Some(delay)),
    },
    Field {
        name: "status",
        accepts: "a number from 200 to 599",
        effect: "answers with this status",
        set: |asked, value| values::status(value).map(|status| asked.status = Some(status)),
    },
    Field {
        name: "abort",
        accepts: "before-headers or in-body",
        effect: "breaks off without an answer, or in the midst of its body",
        set: |asked, value| {
            asked.abort = Some(match value {
                "before-headers" => Abort::BeforeHeaders,
                "in-body" => Abort::InBody,
                _ => return None,
            });
            Some(())
        },
    },
    Field {
        name: "slow-body",
        accepts: "a piece and a pause, such as 10 bytes every 100ms",
        effect: "sends the body piece by piece",
        set: |asked, value| values::pace(value).map(|pace| asked.slow_body = Some(pace)),
    },
    Field {
        name: "size",
        accepts: "a length up to 1TiB, such as 500, 64KiB, 1MB",
        effect: "answers with a text of this length, not with the echo",
        set: |asked, value| values::size(value).map(|size| asked.size = Some(size)),
    },
    Field {
        name: "header",
        accepts: "Name: value, but no framing field",
        effect: "adds a field to the answer's header",
        set: |asked, value| values::field(value).map(|field| asked.headers.push(field)),
    },
    Field {
        name: "trailer",
        accepts: "Name: value, but no framing field",
        effect: "adds a field after the answer's body (HTTP/1.1: if asked with `TE: trailers`)",
        set: |asked, value| values::field(value).map(|field| asked.trailers.push(field)),
    },
    Field {
        name: "format",
        accepts: "wire or json",
        effect: "outranks `Accept` in the choice of the echo's form",
        set: |asked, value| {
            asked.format = Some(match value {
                "wire" => Format::Wire,
                "json" => Format::Json,
                _ => return None,
            });
            Some(())
        },
    },
];
