//! The HTTP API: who asks, what for, and how the answer is put. What may be done to objects is `objects`' affair.

mod admission;
mod answer;
mod apply;
mod body;
mod call;
mod discovery;
mod event_view;
pub(crate) mod faults;
mod inside;
mod list;
mod media;
mod openapi;
mod path;
mod query;
mod reviews;
mod server;
mod subresources;
mod table;
mod verbs;
mod watch;

use std::net::SocketAddr;
use std::sync::Arc;

use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, USER_AGENT};
use http::request::Parts;
use http::{HeaderMap, Method, Request, Response};
use hyper::body::Incoming;
use tokio_util::sync::CancellationToken;

pub(crate) use self::admission::Webhooks;
use self::answer::{Answer, Body, Content, respond};
use self::call::Call;
pub use self::faults::{Fault, Faults};
pub(crate) use self::openapi::Documents;
use self::path::Target;
use self::query::Query;
pub(crate) use self::server::serve;
use crate::credentials::{AUDIENCE, Credentials, User};
use crate::failure::Failure;
use crate::node::Logs;
use crate::objects::Objects;

/// All that requests need.
pub(crate) struct Api {
    pub(crate) objects: Objects,
    pub(crate) credentials: Arc<Credentials>,
    pub(crate) faults: Faults,
    pub(crate) documents: Documents,
    pub(crate) webhooks: Webhooks,
    /// Nothing without a node.
    pub(crate) logs: Option<Arc<dyn Logs>>,
    pub(crate) address: SocketAddr,
    pub(crate) started: jiff::Timestamp,
    /// Ends watches and streams of logs.
    pub(crate) stopping: CancellationToken,
}

/// A request before its body is read.
pub(crate) struct Asked {
    pub(crate) method: Method,
    pub(crate) path: String,
    pub(crate) query: Query,
    pub(crate) headers: HeaderMap,
    pub(crate) user: User,
}

impl Asked {
    pub(crate) fn accept(&self) -> Option<&str> {
        text(&self.headers, &ACCEPT)
    }

    pub(crate) fn content_type(&self) -> Option<&str> {
        text(&self.headers, &CONTENT_TYPE)
    }

    pub(crate) fn agent(&self) -> &str {
        text(&self.headers, &USER_AGENT).unwrap_or_default()
    }
}

fn text<'a>(headers: &'a HeaderMap, name: &http::HeaderName) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}

/// Answers one request, whatever happens.
pub(crate) async fn handle(api: Arc<Api>, request: Request<Incoming>) -> Response<Body> {
    let (parts, body) = request.into_parts();
    let accept = text(&parts.headers, &ACCEPT).map(str::to_owned);
    let headers = parts.headers.clone();
    match answer(&api, parts, body).await {
        Ok((answer, format)) => respond(answer, format, &headers),
        Err(failure) => {
            let format = media::for_errors(accept.as_deref());
            respond(failure.into(), format, &headers)
        }
    }
}

type Answered = Result<(Answer, media::Format), Failure>;

async fn answer(api: &Arc<Api>, parts: Parts, body: Incoming) -> Answered {
    let path = parts.uri.path().to_owned();
    let query = Query::parse(parts.uri.query().unwrap_or_default());
    let target = Target::parse(&path);
    let watch = target.as_ref().is_some_and(|target| target.watch) || query.flag("watch") == Some(true);
    if let Some(met) = api.faults.meet(parts.method.as_str(), target.as_ref(), watch) {
        tokio::time::sleep(met.delay).await;
        if let Some(failure) = met.failure {
            return match failure.code {
                410 if watch => Ok((watch::expired(&failure), media::Format::Json)),
                _ => Err(failure),
            };
        }
    }
    let json = |answer: Answer| Ok((answer, media::Format::Json));
    if let Some(open) = discovery::open_to_all(api, &path, &query) {
        return json(open);
    }
    let user = user(api, &parts.headers)?;
    let asked = Asked { method: parts.method, path, query, headers: parts.headers, user };
    if asked.user == User::anonymous() {
        return Err(forbidden_to_anonymous(&asked, target.as_ref(), watch));
    }
    if asked.path == "/faults" {
        return json(faults_by_hand(api, &asked, body).await?);
    }
    if let Some(found) = discovery::answer(api, &asked)? {
        return json(found);
    }
    let Some(target) = target else { return json(Answer::page_not_found()) };
    let table = api.objects.kinds().now();
    let Some(call) = Call::new(api, &table, asked, target, watch)? else {
        return json(Answer::page_not_found());
    };
    call.answer(body).await
}

/// Who asks, or in whose name an administrator asks.
fn user(api: &Api, headers: &HeaderMap) -> Result<User, Failure> {
    let asking = match text(headers, &AUTHORIZATION) {
        None => return Ok(User::anonymous()),
        Some(header) => {
            let token = header.strip_prefix("Bearer ").or_else(|| header.strip_prefix("bearer "));
            let user = token.and_then(|token| api.credentials.user(token.trim(), &[AUDIENCE.to_owned()]));
            user.ok_or_else(|| Failure::new(401, "Unauthorized", "Unauthorized"))?
        }
    };
    let values = |name: &str| -> Vec<String> {
        headers.get_all(name).iter().filter_map(|value| value.to_str().ok()).map(str::to_owned).collect()
    };
    let Some(name) = values("impersonate-user").into_iter().next() else { return Ok(asking) };
    let mut groups = values("impersonate-group");
    if let Some(account) = name.strip_prefix("system:serviceaccount:").filter(|_| groups.is_empty()) {
        let namespace = account.split(':').next().unwrap_or_default();
        groups.push("system:serviceaccounts".to_owned());
        groups.push(format!("system:serviceaccounts:{namespace}"));
    }
    if name != "system:anonymous" && !groups.iter().any(|group| group == "system:authenticated") {
        groups.push("system:authenticated".to_owned());
    }
    let extra = headers.keys().filter_map(|key| {
        let field = key.as_str().strip_prefix("impersonate-extra-")?;
        Some((field.to_owned(), values(key.as_str())))
    });
    Ok(User { name, uid: values("impersonate-uid").concat(), groups, extra: extra.collect() })
}

/// Without a token nothing can be done: any other user of the machine could start programs.
fn forbidden_to_anonymous(asked: &Asked, target: Option<&Target>, watch: bool) -> Failure {
    let name = &asked.user.name;
    let Some(target) = target else {
        let verb = asked.method.as_str().to_lowercase();
        let message = format!("forbidden: User {name:?} cannot {verb} path {:?}", asked.path);
        return Failure {
            details: Some(serde_json::json!({}).into()),
            ..Failure::new(403, "Forbidden", message)
        };
    };
    let verb = match (&asked.method, target.name.is_some()) {
        (_, _) if watch => "watch",
        (&Method::GET | &Method::HEAD, true) => "get",
        (&Method::GET | &Method::HEAD, false) => "list",
        (&Method::POST, _) => "create",
        (&Method::PUT, _) => "update",
        (&Method::PATCH, _) => "patch",
        (&Method::DELETE, true) => "delete",
        (&Method::DELETE, false) => "deletecollection",
        _ => "",
    };
    let resource = crate::objects::Resource::new(&target.group, &target.plural);
    let part = target.subresource.as_ref().map(|part| format!("/{part}")).unwrap_or_default();
    let place = match &target.namespace {
        Some(namespace) => format!("in the namespace {namespace:?}"),
        None => "at the cluster scope".to_owned(),
    };
    let why = format!(
        "User {name:?} cannot {verb} resource \"{}{part}\" in API group {:?} {place}",
        target.plural, target.group
    );
    Failure::forbidden(&resource, target.name.as_deref().unwrap_or_default(), &why)
}

/// `POST /faults` adds one, `DELETE /faults` removes all; `?breakWatches` and `?expireHistory` act at once.
async fn faults_by_hand(api: &Api, asked: &Asked, body: Incoming) -> Result<Answer, Failure> {
    let body = body::read(body).await?;
    if asked.query.has("breakWatches") {
        api.faults.break_watches();
    }
    if asked.query.has("expireHistory") {
        api.faults.expire_history();
    }
    match asked.method {
        Method::DELETE => api.faults.clear(),
        Method::POST if !body.is_empty() => {
            let fault = serde_json::from_slice(&body);
            api.faults.add(
                fault.map_err(|error| Failure::bad_request(format!("failed to read the fault: {error}")))?,
            );
        }
        Method::POST => {}
        _ => {
            return Err(Failure::new(
                405,
                "MethodNotAllowed",
                "faults are added by POST and removed by DELETE",
            ));
        }
    }
    Ok(Answer::new(204, Content::Empty))
}
