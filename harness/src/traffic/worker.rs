//! One client: a connection, and its share of the schedule.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio_util::sync::CancellationToken;

use super::KEPT_FAILURES;
use super::plan::{Plan, Planned};
use super::summary::{Failed, Row};
use crate::http_client::{Answer, Connection};

/// What a client did.
pub(super) struct Tally {
    /// By kind of request.
    pub(super) rows: Vec<Row>,
    pub(super) failures: Vec<Failed>,
}

/// Sends what is due when it is due, until told to stop.
pub(super) async fn run(plan: Arc<Plan>, client: u32, started: Instant, stop: CancellationToken) -> Tally {
    let mut tally = Tally { rows: plan.mix.iter().map(Row::new).collect(), failures: Vec::new() };
    let mut connection = None;
    for turn in 0.. {
        let due = plan.due(client, turn);
        tokio::select! {
            biased;
            () = stop.cancelled() => break,
            () = tokio::time::sleep_until((started + due).into()) => {}
        }
        if plan.duration.is_some_and(|duration| due >= duration) {
            break;
        }
        let kind = plan.kind(client, turn);
        let outcome = exchange(&mut connection, &plan.mix[kind]).await;
        let latency = started.elapsed().saturating_sub(due);
        let row = &mut tally.rows[kind];
        let cause = match outcome {
            Ok(answer) => {
                row.count(Some(answer.status), latency);
                if plan.is_good(answer.status) {
                    continue;
                }
                let body = crate::expect::check::shorten(answer.text().trim_end());
                format!("status {}, body `{body}`", answer.status)
            }
            Err(cause) => {
                row.count(None, latency);
                cause
            }
        };
        row.failed += 1;
        if tally.failures.len() < KEPT_FAILURES {
            tally.failures.push(Failed { at: due, took: latency, request: row.title.clone(), cause });
        }
    }
    tally
}

/// Sends one request, on the connection there is if it is still good for it.
async fn exchange(connection: &mut Option<Connection>, planned: &Planned) -> Result<Answer, String> {
    let limit = planned.timeout;
    let work = async {
        let fits = |open: &Connection| open.is_open() && *open.target() == planned.target;
        let mut open = match connection.take().filter(fits) {
            Some(open) => open,
            None => Connection::open(&planned.target).await?,
        };
        let answer = open.send(&planned.outgoing).await?;
        *connection = Some(open);
        Ok(answer)
    };
    tokio::time::timeout(limit, work).await.unwrap_or_else(|_| Err(no_reply(limit)))
}

fn no_reply(limit: Duration) -> String {
    format!("no whole reply within {:.1} s", limit.as_secs_f64())
}
