//! Why an exchange failed on the way to the upstream or back: whose fault, whether another attempt may be made,
//! and the answer it leads to.

use std::borrow::Cow;

use admin_api::Reason;

use crate::exchange::Answer;

/// A failure of one attempt, or of the exchange as a whole.
#[derive(Debug, Clone, PartialEq)]
pub struct Failure {
    pub reason: Reason,
    /// For the log and the feed; never shown to the client.
    pub detail: Cow<'static, str>,
    /// How far the attempt had come.
    pub progress: Progress,
}

/// How far an attempt had come when it failed: decides whether another one is safe.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Progress {
    /// No byte of the request was sent: always safe to try elsewhere.
    NotSent,
    /// The target says that it has not looked at the request: as safe.
    Refused,
    /// Something was sent and no byte of an answer came: safe for idempotent requests whose body can be sent again.
    Sent,
    /// The answer had begun: never safe.
    Answered,
}

impl Failure {
    pub fn new(reason: Reason, detail: impl Into<Cow<'static, str>>, progress: Progress) -> Failure {
        Failure { reason, detail: detail.into(), progress }
    }

    /// Whether the client is to blame: no other attempt can help, and no target has failed.
    pub fn is_clients(&self) -> bool {
        use Reason as R;
        matches!(self.reason, R::ClientGone | R::RequestTimeout | R::BadRequest | R::BodyTooLarge)
    }

    /// What the client gets; `None` when there is nobody left to answer.
    pub fn answer(&self) -> Option<Answer> {
        use Reason as R;
        let reason = self.reason;
        Some(match reason {
            R::ClientGone => return None,
            R::NoTarget => error(503, "failure to get a peer from the ring-balancer", reason),
            R::NameResolution => error(503, "name resolution failed", reason),
            R::ConnectTimeout | R::UpstreamTimeout => Answer::FrontEnd { status: 504, reason },
            R::RequestTimeout => Answer::FrontEnd { status: 408, reason },
            R::BadRequest => Answer::FrontEnd { status: 400, reason },
            R::BodyTooLarge => error(413, "Request size limit exceeded", reason),
            R::Overloaded => Answer::FrontEnd { status: 503, reason },
            R::Internal => error(500, "An unexpected error occurred", reason),
            _ => Answer::FrontEnd { status: 502, reason },
        })
    }

    /// The status Kong's log gives to a failed attempt.
    pub fn attempt_code(&self) -> u16 {
        match self.reason {
            Reason::ConnectTimeout | Reason::UpstreamTimeout => 504,
            _ => 502,
        }
    }
}

/// An answer of the gateway's core.
pub fn error(status: u16, message: &'static str, reason: Reason) -> Answer {
    Answer::Error { status, message: Cow::Borrowed(message), reason }
}
