//! A bin that keeps what is posted to it and gives it back: what mockbin.org
//! was to the article's http-log plugin.
//!
//! | request                                    | does                                                              |
//! |--------------------------------------------|-------------------------------------------------------------------|
//! | `POST`, `PUT`, `PATCH` `/bin/ID` and below | keeps the request as an entry and gives the bin's answer          |
//! | any other method there                     | gives the bin's answer: 200 and nothing else, unless created so   |
//! | `POST /bin/create`                         | makes a bin that answers with the HAR response posted, and says its id as JSON and in `Location` |
//! | `GET /bin/ID/view`                         | that HAR response                                                 |
//! | `GET /bin/ID/log`                          | the entries, as HAR; of them, if so asked, only those with `since=SEQUENCE` (later ones), `method=`, `path=` (beginning of the path below the bin), `contains=` (part of the text), and the newest `limit=` of those |
//! | `DELETE /bin/ID/log`                       | empties it                                                        |
//! | `PUT /bin/ID/outage`                       | from now on the bin fails: as the fields of `behaviour` in header or query say, else with 503; for `requests=N` requests, for `for=DURATION`, or until it is deleted |
//! | `GET`, `DELETE /bin/ID/outage`             | says what it is and what is left of it; ends it                   |
//! | `GET /bin`                                 | the bins, what they hold, what was dropped, and the limits        |
//!
//! An ID is any segment of a path; a bin comes into being when it is first
//! written to, so that the article's literal `/bin/:id` works as well.
//! A request that an outage or its own `echo-` fields make fail is not kept,
//! but counted as refused.

mod control;
pub mod har;
mod limits;
mod outage;
mod store;

use std::io;

use http::{Method, Request, Response, StatusCode, header, request::Parts};
use jiff::Timestamp;

use crate::{
    answer,
    body::{self, Body},
    record,
    server::{Handler, Origin},
};
pub use limits::Limits;
use store::Store;

pub(crate) struct RequestBin {
    store: Store,
}

/// Where below `/bin` a request goes.
enum Place<'a> {
    Index,
    Create,
    Control(&'a str, Control),
    Bin(&'a str),
    Elsewhere,
}

#[derive(Clone, Copy, Debug)]
enum Control {
    Log,
    View,
    Outage,
}

impl RequestBin {
    pub(crate) fn new(limits: Limits) -> Self {
        Self { store: Store::new(limits) }
    }

    /// A request to the bin itself: kept if it is of that kind and nothing makes it fail.
    async fn deposit(&self, id: &str, request: Request<Body>, from: Origin) -> io::Result<Response<Body>> {
        let (parts, body) = request.into_parts();
        let behaviour = match self.store.outage(id).unwrap_or_default().asked_by(&parts) {
            Ok(behaviour) => behaviour,
            Err(bad) => return Ok(answer::text(StatusCode::BAD_REQUEST, format!("{bad}\n"))),
        };
        let keeps = matches!(parts.method, Method::POST | Method::PUT | Method::PATCH);
        if keeps && behaviour.fails() {
            self.store.refuse(id);
        }
        let started = Timestamp::now();
        behaviour.before_headers().await?;
        let taken = record::take(body, self.store.limits().entry_bytes).await?;
        if keeps && !behaviour.fails() {
            self.store.keep(id, har::entry(&parts, taken, started, &from.connection.client_address));
        }
        let mut response = self.store.answer(id);
        if let Some(size) = behaviour.size {
            response = response.map(|_| body::fill(size, body::full("")));
        }
        Ok(behaviour.shape(response))
    }
}

impl Handler for RequestBin {
    async fn answer(&self, request: Request<Body>, from: Origin) -> io::Result<Response<Body>> {
        let path = request.uri().path().to_owned();
        match place(&path) {
            Place::Bin(id) => self.deposit(id, request, from).await,
            Place::Control(id, control) => {
                let (parts, _) = request.into_parts();
                Ok(match control {
                    Control::Log => control::log(&self.store, id, &parts),
                    Control::View => control::view(&self.store, id, &parts),
                    Control::Outage => control::outage(&self.store, id, &parts),
                })
            }
            Place::Create => control::create(&self.store, request).await,
            Place::Index => Ok(control::index(&self.store, &request.into_parts().0)),
            Place::Elsewhere => Ok(answer::text(
                StatusCode::NOT_FOUND,
                "failed to find that: there are /bin, /bin/create, /bin/ID, /bin/ID/log, /bin/ID/view and /bin/ID/outage\n",
            )),
        }
    }
}

fn place(path: &str) -> Place<'_> {
    let Some(below) = path.strip_prefix("/bin") else { return Place::Elsewhere };
    match below.split('/').collect::<Vec<_>>()[..] {
        [""] | ["", ""] => Place::Index,
        ["", "", ..] => Place::Elsewhere,
        ["", "create"] => Place::Create,
        ["", id, "log"] => Place::Control(id, Control::Log),
        ["", id, "view"] => Place::Control(id, Control::View),
        ["", id, "outage"] => Place::Control(id, Control::Outage),
        ["", id, ..] => Place::Bin(id),
        _ => Place::Elsewhere,
    }
}

/// The answer to a method that a place doesn't know.
fn not_allowed(parts: &Parts, allowed: &'static str) -> Response<Body> {
    let text = format!("failed to do {} here: there are {allowed}\n", parts.method);
    let mut response = answer::text(StatusCode::METHOD_NOT_ALLOWED, text);
    response.headers_mut().insert(header::ALLOW, http::HeaderValue::from_static(allowed));
    response
}
