//! The contract of a node: it starts pods, stops them, and tells their addresses, health and logs. Nothing
//! outside this folder knows how a pod is run.

pub mod port_map;

use bytes::Bytes;
use futures_util::stream::BoxStream;

use crate::failure::Failure;

/// What `kubectl logs` asks for.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct LogOptions {
    /// Empty for the pod's only container.
    pub container: String,
    pub follow: bool,
    /// The run before the last restart.
    pub previous: bool,
    pub since_seconds: Option<u64>,
    pub tail_lines: Option<usize>,
    pub limit_bytes: Option<usize>,
    /// Each line begins with its time in RFC 3339.
    pub timestamps: bool,
}

/// Where the API finds the logs of pods.
pub trait Logs: Send + Sync + 'static {
    /// Ends when what there is has been sent, or with `follow` when the container has ended.
    fn logs(
        &self,
        namespace: &str,
        pod: &str,
        options: &LogOptions,
    ) -> Result<BoxStream<'static, Bytes>, Failure>;
}
