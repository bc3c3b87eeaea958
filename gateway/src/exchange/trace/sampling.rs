//! Which requests are sampled: by what the caller decided, else by the trace id, so that everybody who sees the trace
//! and samples at the same rate decides alike.

use traces::{Context, TraceId};

/// How it is decided.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Sampler {
    pub parent: Parent,
    /// The share of traces that is sampled, 0 to 1, where the caller's decision doesn't count.
    pub rate: f64,
    pub share: Share,
}

/// What the caller's decision counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Parent {
    Ignored,
    /// It can't be sampled if the caller decided against it; else the rate decides. Kong's
    /// `parent_drop_probability_fallback`.
    Veto,
    /// It is as the caller decided; the rate decides for requests without a decision.
    Followed,
}

/// Which trace ids belong to a share.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Share {
    /// The first 8 bytes, little-endian, are below it.
    Kong,
    /// The last 63 bits are below it.
    OpenTelemetry,
}

impl Sampler {
    pub(super) fn samples(&self, trace_id: TraceId, received: &Context) -> bool {
        match (self.parent, received.sampled) {
            // Somebody is looking for something.
            _ if received.debug => true,
            (Parent::Veto | Parent::Followed, Some(false)) => false,
            (Parent::Followed, Some(true)) => true,
            _ => self.is_in_share(trace_id),
        }
    }

    fn is_in_share(&self, trace_id: TraceId) -> bool {
        if self.rate >= 1.0 {
            return true;
        }
        let id = u128::from_be_bytes(trace_id.to_bytes());
        // Both share a scale of 2⁶⁴; a cast of a float stops at the ends of the type.
        let number = match self.share {
            Share::Kong => ((id >> 64) as u64).swap_bytes(),
            Share::OpenTelemetry => (id as u64) << 1,
        };
        number < (self.rate * 18_446_744_073_709_551_616.0) as u64
    }
}
