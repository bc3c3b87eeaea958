//! One request and its answer, top to bottom.

use std::{
    io,
    num::NonZeroU64,
    sync::atomic::{AtomicU64, Ordering},
};

use http::{Request, Response, StatusCode};

use crate::{
    answer,
    behaviour::{self, Behaviour, Format},
    body::{self, Body},
    record,
    reply::Instance,
    server::{Handler, Origin},
    spans::{self, Spans},
    websocket,
    wire::{self, Voice, refusal::refusal},
};

pub(crate) struct Echo {
    pub(crate) instance: Instance,
    pub(crate) voice: Voice,
    /// How every `every`th request is answered, unless it asks otherwise.
    pub(crate) defaults: Behaviour,
    pub(crate) every: NonZeroU64,
    pub(crate) requests: AtomicU64,
    pub(crate) spans: Option<Spans>,
}

impl Handler for Echo {
    async fn answer(&self, request: Request<Body>, from: Origin) -> io::Result<Response<Body>> {
        let Some(spans) = &self.spans else { return self.respond(request, from).await };
        let span = spans.begin(&request, &from.connection);
        match self.respond(request, from).await {
            Ok(response) => Ok(spans::answered(span, response)),
            Err(error) => {
                spans::broken_off(span, &error);
                Err(error)
            }
        }
    }
}

impl Echo {
    async fn respond(&self, request: Request<Body>, from: Origin) -> io::Result<Response<Body>> {
        let (parts, body) = request.into_parts();
        let behaviour = match self.defaults_in_turn().asked_by(&parts) {
            Ok(behaviour) => behaviour,
            Err(bad) => return Ok(answer::text(StatusCode::BAD_REQUEST, format!("{bad}\n"))),
        };
        behaviour.before_headers().await?;
        if let Some(refusal) = refusal(&parts) {
            return Ok(refusal);
        }
        let format = behaviour::format(&behaviour, &parts);
        let request = Request::from_parts(parts, body);
        let response = if let Some(size) = behaviour.size {
            answer::text(StatusCode::OK, "").map(|_| body::fill(size, request.into_body()))
        } else if behaviour.status.is_none() && websocket::is_asked_for(&request) {
            websocket::open(request, &from.lifetime)
        } else {
            match format {
                Format::Wire => wire::echo(request, &self.voice).await?,
                Format::Json => {
                    let reply = record::reply(request, self.instance.clone(), from.connection).await?;
                    answer::json(StatusCode::OK, &reply)
                }
            }
        };
        Ok(behaviour.shape(response))
    }

    fn defaults_in_turn(&self) -> Behaviour {
        let turn = self.requests.fetch_add(1, Ordering::Relaxed) + 1;
        if turn.is_multiple_of(self.every.get()) { self.defaults.clone() } else { Behaviour::default() }
    }
}
