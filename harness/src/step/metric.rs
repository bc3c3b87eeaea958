//! Reads a metric, added up over all gateway pods.

use std::time::Duration;

use admin_api::client::AdminClient;
use serde_json::Value;

use super::{missed, tries};
use crate::expect::check::judge;
use crate::expect::eventually::eventually;
use crate::expect::metric::sum;
use crate::runner::context::Context;
use crate::runner::event::Failure;
use crate::scenario::document::Metric;

const PACE: Duration = Duration::from_millis(100);

pub(super) async fn metric(
    context: &mut Context,
    metric: &Metric,
    patience: Option<Duration>,
) -> Result<String, Failure> {
    let last = parking_lot::Mutex::new(Vec::new());
    let waited = eventually(patience.unwrap_or_default(), PACE, || async {
        let value = read(context, metric).await?;
        let found = judge(&metric.name, &metric.value, value.map(Value::from).as_ref());
        let Some(miss) = found.first() else { return Ok(value) };
        let seen = format!("{} was expected, got {}", miss.expected, miss.got);
        *last.lock() = found;
        Err(seen)
    })
    .await;
    match waited {
        Ok(value) => Ok(format!("{} = {}", metric.name, value.unwrap_or_default())),
        Err(late) => {
            let mut failure = missed(&late.last, last.into_inner());
            failure.message = format!("metric {}: {}", metric.name, late.last);
            failure.tries = patience.map(|_| tries(&late));
            Err(failure)
        }
    }
}

async fn read(context: &Context, metric: &Metric) -> Result<Option<f64>, String> {
    let mut total = None;
    for port in context.environment.admin_ports().await? {
        let client = AdminClient::new(&port.url).map_err(|error| error.to_string())?;
        let text = client.metrics().await.map_err(|error| format!("gateway pod {}: {error}", port.pod))?;
        if let Some(value) = sum(&text, &metric.name, &metric.labels) {
            total = Some(total.unwrap_or(0.0) + value);
        }
    }
    Ok(total)
}
