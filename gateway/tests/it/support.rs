//! What the cases share.

use std::future::Future;
use std::time::Duration;

pub(crate) mod api;
pub(crate) mod checks;
pub(crate) mod client;
pub(crate) mod dataplane;
pub(crate) mod envoy;
pub(crate) mod frames;
pub(crate) mod gateway;
pub(crate) mod objects;
pub(crate) mod origin;
pub(crate) mod recorder;

/// Longer than anything takes, also on a busy machine.
const DEADLINE: Duration = Duration::from_secs(30);

/// Waits for something that is bound to come.
pub(crate) async fn soon<T>(what: &str, future: impl Future<Output = T>) -> T {
    let Ok(value) = tokio::time::timeout(DEADLINE, future).await else {
        panic!("no {what} within {DEADLINE:?}")
    };
    value
}
