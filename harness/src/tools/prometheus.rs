//! Prometheus, asked for one thing: what the mesh has counted. It tells a graph that is empty because nothing was
//! counted from one that is empty for a reason of Kiali's.

use serde_json::Value;

use super::ToolUrl;
use super::ask::{ask, escaped};

/// How many series the mesh's count of requests has, by the workload they came from, in a sentence.
///
/// # Errors
/// Prometheus can't be asked, or refuses.
pub async fn counted(url: &ToolUrl) -> Result<String, String> {
    let query = "count by (source_workload, reporter) (istio_requests_total)";
    let (status, answer) = ask("Prometheus", url, &format!("/api/v1/query?query={}", escaped(query))).await?;
    if status != 200 {
        let message = answer["error"].as_str().map_or_else(|| answer.to_string(), str::to_owned);
        return Err(format!("Prometheus answered {status}: {message}"));
    }
    let result = answer.pointer("/data/result").and_then(Value::as_array);
    let result = result.ok_or("what answered is not Prometheus: its JSON has no result")?;
    if result.is_empty() {
        return Ok(
            "Prometheus has no series of istio_requests_total: no sidecar has counted, or none is scraped"
                .to_owned(),
        );
    }
    let told = result.iter().map(|series| {
        let label = |name: &str| series["metric"][name].as_str().unwrap_or("unknown");
        let count = series.pointer("/value/1").and_then(Value::as_str).unwrap_or("?");
        format!("{count} from {} told by the {}", label("source_workload"), label("reporter"))
    });
    Ok(format!("Prometheus has series of istio_requests_total: {}", told.collect::<Vec<_>>().join(", ")))
}
