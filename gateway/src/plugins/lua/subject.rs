//! What a chunk is about: an exchange under way, or a finished one.

use std::sync::Arc;

use bytes::Bytes;
use uuid::Uuid;

use crate::exchange::{Answer, Client, Exchange, Matched, Record, RequestId, Source};
use crate::http::fields::Fields;
use crate::http::head::{RequestHead, ResponseHead};
use crate::model::Consumer;

/// When a chunk runs, which decides about what it may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    Access,
    HeaderFilter,
    Log,
}

/// The parts of an exchange that chunks see. Moved into the interpreter for a call and back after it.
pub struct Subject {
    pub phase: Phase,
    pub id: Option<RequestId>,
    pub client: Option<Client>,
    pub request: RequestHead,
    pub path: String,
    pub body: Option<Bytes>,
    pub response: ResponseHead,
    pub on_response: Fields,
    pub matched: Option<Matched>,
    pub consumer: Option<Arc<Consumer>>,
    pub credential: Option<Uuid>,
    pub source: Source,
    /// Milliseconds since 1970.
    pub started_ms: u64,
    /// The answer that a chunk made; it ends there.
    pub answer: Option<Answer>,
}

impl Subject {
    /// Nothing is known yet.
    pub fn new(phase: Phase) -> Subject {
        Subject {
            phase,
            id: None,
            client: None,
            request: RequestHead::default(),
            path: String::new(),
            body: None,
            response: ResponseHead::default(),
            on_response: Fields::default(),
            matched: None,
            consumer: None,
            credential: None,
            source: Source::Service,
            started_ms: 0,
            answer: None,
        }
    }

    /// Takes out of an exchange what a chunk may change, and copies what it may see.
    pub fn take(phase: Phase, exchange: &mut Exchange) -> Subject {
        Subject {
            phase,
            id: Some(exchange.id),
            client: Some(exchange.client.clone()),
            request: std::mem::take(&mut exchange.request),
            path: exchange.path.clone(),
            body: exchange.body.take(),
            response: std::mem::take(&mut exchange.response),
            on_response: std::mem::take(&mut exchange.on_response),
            matched: exchange.matched.clone(),
            consumer: exchange.consumer.clone(),
            credential: exchange.credential,
            source: exchange.outcome.source,
            started_ms: exchange.times.started_us / 1_000,
            answer: None,
        }
    }

    /// Gives it back, with what was changed. Returns the answer, if one was made.
    pub fn give_back(self, exchange: &mut Exchange) -> Option<Answer> {
        exchange.request = self.request;
        exchange.body = self.body;
        exchange.response = self.response;
        exchange.on_response = self.on_response;
        self.answer
    }

    /// A finished exchange, to be looked at.
    pub fn of(record: &Record) -> Subject {
        let mut request = record.request.clone();
        request.set_target(&record.target);
        Subject {
            id: Some(record.id),
            client: Some(record.client.clone()),
            path: String::from_utf8_lossy(request.path()).into_owned(),
            request,
            response: record.response.clone(),
            matched: record.matched.clone(),
            consumer: record.consumer.clone(),
            credential: record.credential,
            source: record.outcome.source,
            started_ms: record.times.started_us / 1_000,
            ..Subject::new(Phase::Log)
        }
    }
}
