//! WebSocket: after a real 101 to a request that asked for it, bytes pass both ways untouched.

use std::future::poll_fn;
use std::task::{Context, Poll};

use super::headers::connection_lists;
use super::worker::Worker;
use crate::http::fields::Fields;
use crate::http::name::Name;
use crate::net::deadline::Deadline;
use crate::net::wire::Wire;

/// Whether a request asks for WebSocket. Other protocols are not offered.
pub fn wants_websocket(fields: &Fields) -> bool {
    fields.get(Name::Upgrade).is_some_and(|value| value.eq_ignore_ascii_case(b"websocket"))
        && connection_lists(fields, b"upgrade")
}

/// Carries bytes until both sides have closed, or nothing moved for `idle_ms`.
pub async fn tunnel(
    worker: &Worker,
    client: &mut Wire,
    upstream: &mut Wire,
    deadline: &Deadline,
    idle_ms: u64,
) {
    let (mut there, mut back) = (Direction::default(), Direction::default());
    deadline.set(idle_ms);
    poll_fn(|context| {
        let mut scratch = worker.scratch.borrow_mut();
        let moved = there.advance(context, &mut scratch, client, upstream, deadline)
            | back.advance(context, &mut scratch, upstream, client, deadline);
        if there.failed || back.failed || (there.closed && back.closed) {
            return Poll::Ready(());
        }
        if moved {
            deadline.set(idle_ms);
        }
        if deadline.check(context).is_ok() { Poll::Pending } else { Poll::Ready(()) }
    })
    .await;
}

#[derive(Default)]
struct Direction {
    ended: bool,
    closed: bool,
    failed: bool,
}

impl Direction {
    /// Moves what can be moved now. Says whether anything was.
    fn advance(
        &mut self,
        context: &mut Context<'_>,
        scratch: &mut [u8],
        from: &mut Wire,
        to: &mut Wire,
        deadline: &Deadline,
    ) -> bool {
        let mut moved = false;
        while !self.closed && !self.failed {
            match to.poll_flush(context, deadline) {
                Poll::Ready(Ok(())) => {}
                Poll::Ready(Err(_)) => self.failed = true,
                Poll::Pending => break,
            }
            if self.failed {
                break;
            }
            if self.ended {
                match to.poll_shutdown(context) {
                    Poll::Ready(_) => self.closed = true,
                    Poll::Pending => {}
                }
                break;
            }
            match from.poll_raw(context, scratch) {
                Poll::Ready(Ok(0)) => self.ended = true,
                Poll::Ready(Ok(count)) => {
                    moved = true;
                    to.output().extend_from_slice(&scratch[..count]);
                }
                Poll::Ready(Err(_)) => self.failed = true,
                Poll::Pending => break,
            }
        }
        moved
    }
}
