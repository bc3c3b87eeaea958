//! A Kubernetes API server in memory: objects, versions, lists in pages, watches, patches of status, and faults
//! on demand. Only what the gateway asks for.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::{Arc, Mutex, MutexGuard};

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{Request, State};
use axum::http::{Method, StatusCode};
use axum::response::{IntoResponse, Response};
use futures_util::StreamExt;
use serde_json::{Value, json};
use tokio::sync::broadcast;
use tokio::sync::watch;
use tokio::task::JoinSet;

/// Cloned handles lead to the same server.
#[derive(Clone)]
pub(crate) struct Api {
    state: Arc<Mutex<Inner>>,
    events: broadcast::Sender<Happening>,
    /// Moves with every request and every change, so that a test can wait for one.
    moved: watch::Sender<u64>,
}

struct Inner {
    version: u64,
    objects: BTreeMap<Place, Value>,
    history: Vec<Event>,
    /// Versions up to this one are forgotten.
    expired: u64,
    faults: Vec<Fault>,
    page: usize,
    /// Method, path and query of each, in order.
    requests: Vec<String>,
}

/// Collection (`apis/group/version/plural`), namespace, name.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
struct Place {
    collection: String,
    namespace: String,
    name: String,
}

#[derive(Clone)]
struct Event {
    version: u64,
    kind: &'static str,
    place: Place,
    object: Value,
}

#[derive(Clone)]
enum Happening {
    Event(Event),
    /// Every watch breaks off.
    Cut,
    /// Every watch is told that its version is gone.
    Gone,
}

struct Fault {
    /// In method and path.
    part: String,
    code: u16,
    left: usize,
}

impl Api {
    pub(crate) fn new() -> Api {
        let inner = Inner {
            version: 100,
            objects: BTreeMap::new(),
            history: Vec::new(),
            expired: 0,
            faults: Vec::new(),
            page: 500,
            requests: Vec::new(),
        };
        Api {
            state: Arc::new(Mutex::new(inner)),
            events: broadcast::channel(10_000).0,
            moved: watch::channel(0).0,
        }
    }

    /// A client that calls the server without a connection between them.
    pub(crate) fn client(&self) -> kube::Client {
        kube::Client::new(self.router(), "default")
    }

    /// Serves on a real port until the result is dropped.
    pub(crate) async fn listen(&self, port: u16) -> JoinSet<()> {
        let listener = tokio::net::TcpListener::bind(("127.0.0.1", port)).await.unwrap();
        let router = self.router();
        let mut server = JoinSet::new();
        server.spawn(async move { axum::serve(listener, router).await.unwrap() });
        server
    }

    fn router(&self) -> Router {
        Router::new().fallback(handle).with_state(self.clone())
    }

    /// Creates or replaces an object, with a new version, and a new generation if more than metadata changed.
    pub(crate) fn put(&self, object: Value) -> Value {
        let place = Place::of(&object);
        let mut state = self.lock();
        let old = state.objects.get(&place).cloned();
        self.store(&mut state, place, object, old.as_ref())
    }

    pub(crate) fn delete(&self, object: &Value) {
        let place = Place::of(object);
        let mut state = self.lock();
        let mut object = state.objects.remove(&place).unwrap();
        state.version += 1;
        object["metadata"]["resourceVersion"] = json!(state.version.to_string());
        self.happen(&mut state, "DELETED", place, object);
    }

    /// Removes an object without telling anybody: an event that got lost.
    pub(crate) fn delete_silently(&self, object: &Value) {
        let mut state = self.lock();
        state.version += 1;
        state.objects.remove(&Place::of(object)).unwrap();
    }

    pub(crate) fn get(&self, object: &Value) -> Value {
        self.lock().objects.get(&Place::of(object)).cloned().unwrap_or(Value::Null)
    }

    /// All objects of a collection, for example `api/v1/events`.
    pub(crate) fn all(&self, collection: &str) -> Vec<Value> {
        let state = self.lock();
        state
            .objects
            .iter()
            .filter(|(place, _)| place.collection == collection)
            .map(|(_, object)| object.clone())
            .collect()
    }

    /// The next requests whose method and path contain a text are answered with a status.
    pub(crate) fn fail(&self, part: &str, code: u16, times: usize) {
        self.lock().faults.push(Fault { part: part.to_owned(), code, left: times });
    }

    /// Nothing fails any more.
    pub(crate) fn heal(&self) {
        self.lock().faults.clear();
    }

    pub(crate) fn page(&self, size: usize) {
        self.lock().page = size;
    }

    pub(crate) fn cut_watches(&self) {
        let _ = self.events.send(Happening::Cut);
    }

    /// Forgets its history, as a server does after some minutes.
    pub(crate) fn expire(&self) {
        let mut state = self.lock();
        state.expired = state.version;
        state.history.clear();
        let _ = self.events.send(Happening::Gone);
    }

    /// Requests so far whose method and path contain a text.
    pub(crate) fn asked(&self, part: &str) -> Vec<String> {
        self.lock().requests.iter().filter(|line| line.contains(part)).cloned().collect()
    }

    /// Waits until so many requests contain a text.
    pub(crate) async fn until_asked(&self, part: &str, times: usize) {
        self.until(part, || (self.asked(part).len() >= times).then_some(())).await;
    }

    /// Waits until an object is as asked for.
    pub(crate) async fn until_object(
        &self,
        object: &Value,
        what: &str,
        is_so: impl Fn(&Value) -> bool,
    ) -> Value {
        self.until(what, || Some(self.get(object)).filter(&is_so)).await
    }

    /// Waits until something can be found.
    pub(crate) async fn until<T>(&self, what: &str, find: impl Fn() -> Option<T>) -> T {
        let mut moved = self.moved.subscribe();
        let search = async {
            loop {
                if let Some(found) = find() {
                    return found;
                }
                moved.changed().await.unwrap();
            }
        };
        let found = tokio::time::timeout(std::time::Duration::from_secs(30), search).await;
        found.unwrap_or_else(|_| {
            let state = self.lock();
            let last: Vec<_> = state.requests.iter().rev().take(10).collect();
            panic!("no {what}; objects {:#?}, last requests {last:#?}", state.objects)
        })
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.state.lock().unwrap()
    }

    fn store(&self, state: &mut Inner, place: Place, mut object: Value, old: Option<&Value>) -> Value {
        state.version += 1;
        let body = |object: &Value| {
            let mut body = object.clone();
            body.as_object_mut().unwrap().remove("metadata");
            body.as_object_mut().unwrap().remove("status");
            body
        };
        let generation = old.map_or(1, |old| {
            let before = old["metadata"]["generation"].as_i64().unwrap();
            if body(old) == body(&object) { before } else { before + 1 }
        });
        let uid = old.map_or_else(
            || json!(uuid::Uuid::from_u128(u128::from(state.version)).to_string()),
            |old| old["metadata"]["uid"].clone(),
        );
        let meta = object["metadata"].as_object_mut().unwrap();
        meta.insert("resourceVersion".to_owned(), json!(state.version.to_string()));
        meta.insert("generation".to_owned(), json!(generation));
        meta.insert("uid".to_owned(), uid);
        if let Some(old) = old
            && object.get("status").is_none()
            && let Some(status) = old.get("status")
        {
            object["status"] = status.clone();
        }
        state.objects.insert(place.clone(), object.clone());
        let kind = if old.is_some() { "MODIFIED" } else { "ADDED" };
        self.happen(state, kind, place, object.clone());
        object
    }

    fn happen(&self, state: &mut Inner, kind: &'static str, place: Place, object: Value) {
        let event = Event { version: state.version, kind, place, object };
        state.history.push(event.clone());
        self.moved.send_modify(|count| *count += 1);
        let _ = self.events.send(Happening::Event(event));
    }
}

impl Place {
    fn of(object: &Value) -> Place {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let (version, kind) = (text(&object["apiVersion"]), text(&object["kind"]));
        let root = if version.contains('/') { "apis" } else { "api" };
        let plural = match kind.as_str() {
            "IngressClassParameters" => "ingressclassparameterses".to_owned(),
            "KongUpstreamPolicy" => "kongupstreampolicies".to_owned(),
            kind if kind.ends_with("ss") => format!("{}es", kind.to_lowercase()),
            kind => format!("{}s", kind.to_lowercase()),
        };
        Place {
            collection: format!("{root}/{version}/{plural}"),
            namespace: text(&object["metadata"]["namespace"]),
            name: text(&object["metadata"]["name"]),
        }
    }

    /// Of a path; the name is empty for a collection, the rest is a sub-resource.
    fn parse(path: &str) -> (Place, String) {
        let parts: Vec<&str> = path.trim_start_matches('/').split('/').collect();
        let base = if parts[0] == "api" { 2 } else { 3 };
        let mut rest = &parts[base..];
        let mut namespace = String::new();
        if rest[0] == "namespaces" && rest.len() > 2 {
            rest[1].clone_into(&mut namespace);
            rest = &rest[2..];
        }
        let collection = format!("{}/{}", parts[..base].join("/"), rest[0]);
        let name = rest.get(1).copied().unwrap_or_default().to_owned();
        let sub = rest.get(2).copied().unwrap_or_default().to_owned();
        (Place { collection, namespace, name }, sub)
    }

    fn is_in(&self, scope: &Place) -> bool {
        self.collection == scope.collection
            && (scope.namespace.is_empty() || self.namespace == scope.namespace)
    }
}

async fn handle(State(api): State<Api>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let body = axum::body::to_bytes(body, usize::MAX).await.unwrap();
    let body: Value = serde_json::from_slice(&body).unwrap_or(Value::Null);
    let query = parts.uri.query().unwrap_or_default().to_owned();
    let line = format!("{} {}?{query}", parts.method, parts.uri.path());
    let fault = {
        let mut state = api.lock();
        state.requests.push(line.clone());
        let fault = state.faults.iter_mut().find(|fault| fault.left > 0 && line.contains(&fault.part));
        fault.map(|fault| {
            fault.left -= 1;
            fault.code
        })
    };
    api.moved.send_modify(|count| *count += 1);
    if let Some(code) = fault {
        return failure(code, "on demand");
    }
    let (place, sub) = Place::parse(parts.uri.path());
    match (parts.method, place.name.is_empty()) {
        (Method::GET, true) if query.contains("watch=true") => watch_stream(&api, place, &query),
        (Method::GET, true) => list(&api, &place, &query),
        (Method::GET, false) => match api.lock().objects.get(&place) {
            Some(object) => axum::Json(object.clone()).into_response(),
            None => failure(404, "not found"),
        },
        (Method::POST, _) => create(&api, &place, body),
        (Method::PUT, _) => replace(&api, place, body),
        (Method::PATCH, _) => patch(&api, place, &sub, &body, &query),
        _ => failure(405, "no"),
    }
}

fn parameter<'a>(query: &'a str, name: &str) -> Option<&'a str> {
    query.split('&').find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='))
}

fn list(api: &Api, scope: &Place, query: &str) -> Response {
    let state = api.lock();
    let start: usize = parameter(query, "continue").map_or(0, |token| token.parse().unwrap());
    let name =
        parameter(query, "fieldSelector").and_then(|selector| selector.strip_prefix("metadata.name%3D"));
    let all: Vec<&Value> = state
        .objects
        .iter()
        .filter(|(place, _)| place.is_in(scope) && name.is_none_or(|name| place.name == name))
        .map(|(_, object)| object)
        .collect();
    let end = (start + state.page).min(all.len());
    let more = if end < all.len() { json!(end.to_string()) } else { json!("") };
    let meta = json!({"resourceVersion": state.version.to_string(), "continue": more});
    axum::Json(json!({"kind": "List", "apiVersion": "v1", "metadata": meta, "items": all[start..end]}))
        .into_response()
}

fn watch_stream(api: &Api, scope: Place, query: &str) -> Response {
    let since: u64 = parameter(query, "resourceVersion").unwrap().parse().unwrap();
    // Under the lock nothing happens between the past and the present.
    let state = api.lock();
    let present = api.events.subscribe();
    let mut past: Vec<Result<Bytes, std::io::Error>> = Vec::new();
    if since < state.expired {
        past.push(Ok(gone()));
    } else {
        let missed = state.history.iter().filter(|event| event.version > since && event.place.is_in(&scope));
        past.extend(missed.map(|event| Ok(event.line())));
    }
    drop(state);
    let present =
        futures_util::stream::unfold((present, scope, false), |(mut present, scope, over)| async move {
            if over {
                return None;
            }
            loop {
                match present.recv().await {
                    Ok(Happening::Event(event)) if event.place.is_in(&scope) => {
                        return Some((Ok(event.line()), (present, scope, false)));
                    }
                    Ok(Happening::Event(_)) => {}
                    Ok(Happening::Cut) => {
                        return Some((
                            Err(std::io::Error::other("connection reset")),
                            (present, scope, true),
                        ));
                    }
                    Ok(Happening::Gone) => return Some((Ok(gone()), (present, scope, true))),
                    Err(_) => return None,
                }
            }
        });
    let stream = futures_util::stream::iter(past).chain(present);
    Body::from_stream(stream).into_response()
}

impl Event {
    fn line(&self) -> Bytes {
        let mut line = serde_json::to_vec(&json!({"type": self.kind, "object": self.object})).unwrap();
        line.push(b'\n');
        line.into()
    }
}

fn gone() -> Bytes {
    let status = json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
        "message": "too old resource version", "reason": "Expired", "code": 410});
    format!("{}\n", json!({"type": "ERROR", "object": status})).into()
}

fn create(api: &Api, scope: &Place, mut body: Value) -> Response {
    if !scope.namespace.is_empty() {
        body["metadata"]["namespace"] = json!(scope.namespace);
    }
    let place = Place::of(&body);
    let mut state = api.lock();
    if state.objects.contains_key(&place) {
        return failure(409, "already exists");
    }
    (StatusCode::CREATED, axum::Json(api.store(&mut state, place, body, None))).into_response()
}

fn replace(api: &Api, place: Place, body: Value) -> Response {
    let mut state = api.lock();
    let Some(old) = state.objects.get(&place).cloned() else { return failure(404, "not found") };
    if body["metadata"]["resourceVersion"] != old["metadata"]["resourceVersion"] {
        return failure(409, "the object has been modified");
    }
    axum::Json(api.store(&mut state, place, body, Some(&old))).into_response()
}

/// Good enough for a status that one writer owns, and for merging two fields.
fn patch(api: &Api, place: Place, sub: &str, body: &Value, query: &str) -> Response {
    let mut state = api.lock();
    let Some(old) = state.objects.get(&place).cloned() else { return failure(404, "not found") };
    let mut object = old.clone();
    let parts = body.as_object().unwrap();
    for (key, value) in
        parts.iter().filter(|(key, _)| !["apiVersion", "kind", "metadata"].contains(&key.as_str()))
    {
        assert!(sub != "status" || key == "status", "only the status may be written: {body}");
        object[key] = value.clone();
    }
    if let Some(manager) = parameter(query, "fieldManager") {
        let entry = json!({"manager": manager, "operation": "Apply", "subresource": sub, "fieldsType": "FieldsV1", "fieldsV1": {}});
        object["metadata"]["managedFields"] = json!([entry]);
    }
    axum::Json(api.store(&mut state, place, object, Some(&old))).into_response()
}

fn failure(code: u16, message: &str) -> Response {
    let reason = match code {
        403 => "Forbidden",
        404 => "NotFound",
        409 => "Conflict",
        _ => "InternalError",
    };
    let status = json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
        "message": message, "reason": reason, "code": code});
    let code = StatusCode::from_u16(code).unwrap();
    let answer: Result<_, Infallible> = Ok((code, axum::Json(status)));
    answer.into_response()
}
