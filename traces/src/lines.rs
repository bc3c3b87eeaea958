//! The header lines of a request that speak of its trace, found in one pass.

/// Header names that any format knows, with a number each.
macro_rules! headers {
    ($($name:ident = $text:literal,)+) => {
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub(crate) enum Header { $($name,)+ }

        const NAMES: &[(&str, Header)] = &[$(($text, Header::$name),)+];
    };
}

headers! {
    TraceParent = "traceparent",
    TraceState = "tracestate",
    B3 = "b3",
    B3TraceId = "x-b3-traceid",
    B3SpanId = "x-b3-spanid",
    B3ParentSpanId = "x-b3-parentspanid",
    B3Sampled = "x-b3-sampled",
    B3Flags = "x-b3-flags",
    Jaeger = "uber-trace-id",
    OtTraceId = "ot-tracer-traceid",
    OtSpanId = "ot-tracer-spanid",
    OtSampled = "ot-tracer-sampled",
    DatadogTraceId = "x-datadog-trace-id",
    DatadogParentId = "x-datadog-parent-id",
    DatadogPriority = "x-datadog-sampling-priority",
    Aws = "x-amzn-trace-id",
    Gcp = "x-cloud-trace-context",
    InstanaTrace = "x-instana-t",
    InstanaSpan = "x-instana-s",
    InstanaLevel = "x-instana-l",
}

/// Prefixes of the names under which baggage travels.
pub(crate) const JAEGER_BAGGAGE: &str = "uberctx-";
pub(crate) const OT_BAGGAGE: &str = "ot-baggage-";

/// What a request says about its trace, line by line.
#[derive(Debug, Default)]
pub struct Lines<'a> {
    /// A name that comes twice says nothing: two parents are none.
    known: [Said<'a>; NAMES.len()],
    /// Whole names and values.
    baggage: Vec<(&'a str, &'a str)>,
}

#[derive(Debug, Clone, Copy, Default)]
enum Said<'a> {
    #[default]
    Nothing,
    Once(&'a str),
    Twice,
}

impl<'a> Lines<'a> {
    /// Looks through a request's header lines.
    pub fn of(fields: impl Iterator<Item = (&'a [u8], &'a [u8])>) -> Lines<'a> {
        let mut lines = Lines::default();
        for (name, value) in fields.filter(|(name, _)| is_possible(name)) {
            let (Ok(name), Ok(value)) = (std::str::from_utf8(name), std::str::from_utf8(value)) else {
                continue;
            };
            let value = value.trim_ascii();
            if let Some((_, header)) = NAMES.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)) {
                let said = &mut lines.known[*header as usize];
                *said = if matches!(said, Said::Nothing) { Said::Once(value) } else { Said::Twice };
            } else if is_baggage(name, JAEGER_BAGGAGE) || is_baggage(name, OT_BAGGAGE) {
                lines.baggage.push((name, value));
            }
        }
        lines
    }

    pub(crate) fn get(&self, header: Header) -> Option<&'a str> {
        match self.known[header as usize] {
            Said::Once(value) => Some(value),
            Said::Nothing | Said::Twice => None,
        }
    }

    /// Baggage under a prefix: keys and values as they were written.
    pub(crate) fn baggage(&self, prefix: &str) -> Vec<(String, String)> {
        let of_prefix = self.baggage.iter().filter(|(name, _)| is_baggage(name, prefix));
        of_prefix.map(|(name, value)| (name[prefix.len()..].to_owned(), (*value).to_owned())).collect()
    }
}

/// Nearly all names that are of no interest end here.
fn is_possible(name: &[u8]) -> bool {
    match name {
        [b'x' | b'X', b'-', third, ..] => matches!(third | 0x20, b'b' | b'd' | b'a' | b'c' | b'i'),
        [b't' | b'T', b'r' | b'R', ..] | [b'o' | b'O', b't' | b'T', ..] => true,
        [b'u' | b'U', b'b' | b'B', ..] => true,
        [b'b' | b'B', b'3'] => true,
        _ => false,
    }
}

fn is_baggage(name: &str, prefix: &str) -> bool {
    name.get(..prefix.len()).is_some_and(|start| start.eq_ignore_ascii_case(prefix))
}
