//! An environment without a cluster: objects in a map, a gateway that answers by a few fixed rules, an admin
//! port that says what it is told to.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use async_trait::async_trait;
use bytes::Bytes;
use harness::cluster::Cluster;
use harness::environment::{Addresses, AdminPort, Environment, Provider, Run, Unavailable};
use harness::scenario::document::Ability;
use harness::scenario::values::ObjectName;
use http::{Request, Response};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use parking_lot::Mutex;
use serde_json::{Value, json};

/// What tests look at and set.
#[derive(Default)]
pub(crate) struct Shared {
    pub(crate) objects: Mutex<BTreeMap<String, Value>>,
    pub(crate) versions: AtomicU64,
    /// Requests that the gateway has seen, by path.
    pub(crate) requests: Mutex<BTreeMap<String, u64>>,
    /// Bodies of `POST /wait`.
    pub(crate) waits: Mutex<Vec<Value>>,
    /// Problems that the admin port tells at every wait.
    pub(crate) problems: Mutex<Vec<Value>>,
    pub(crate) started: AtomicUsize,
    pub(crate) stopped: AtomicUsize,
    /// Environments can't be had, and this is why.
    pub(crate) unavailable: Mutex<Option<String>>,
}

pub(crate) struct Fake(pub(crate) Arc<Shared>);

#[async_trait]
impl Provider for Fake {
    fn name(&self) -> &'static str {
        "fake"
    }

    fn abilities(&self) -> Vec<Ability> {
        vec![Ability::LoadBalancer]
    }

    fn side_by_side(&self) -> usize {
        2
    }

    async fn prepare(&self, run: &Run) -> Result<(), Unavailable> {
        run.tell("nothing to prepare");
        Ok(())
    }

    async fn start(&self, folder: PathBuf) -> Result<Arc<dyn Environment>, Unavailable> {
        if let Some(why) = self.0.unavailable.lock().clone() {
            return Err(Unavailable(why));
        }
        self.0.started.fetch_add(1, Ordering::SeqCst);
        let (gateway, admin) =
            (serve(Arc::clone(&self.0), gateway).await, serve(Arc::clone(&self.0), admin).await);
        Ok(Arc::new(Running {
            shared: Arc::clone(&self.0),
            kubeconfig: folder.join("kubeconfig"),
            gateway,
            admin,
        }))
    }
}

struct Running {
    shared: Arc<Shared>,
    kubeconfig: PathBuf,
    gateway: SocketAddr,
    admin: SocketAddr,
}

#[async_trait]
impl Environment for Running {
    fn kubeconfig(&self) -> &Path {
        &self.kubeconfig
    }

    fn cluster(&self) -> &dyn Cluster {
        self
    }

    fn gateway(&self) -> Addresses {
        Addresses { http: self.gateway, https: self.gateway }
    }

    async fn admin_ports(&self) -> Result<Vec<AdminPort>, String> {
        Ok(vec![AdminPort { pod: "gateway-0".to_owned(), url: format!("http://{}", self.admin) }])
    }

    async fn service_url(&self, _: &str, name: &str, _: u16) -> Result<String, String> {
        assert_ne!(name, "request-bin", "the fake has no bin, on purpose");
        Err("no such service".to_owned())
    }

    async fn crash(&self, _: &str, _: &str) -> Result<(), String> {
        Err("nothing runs here".to_owned())
    }

    async fn stop(&self) {
        self.shared.stopped.fetch_add(1, Ordering::SeqCst);
    }
}

#[async_trait]
impl Cluster for Running {
    async fn apply(&self, object: &Value) -> Result<Value, String> {
        let name = harness::manifest::name_of(object);
        if name.name == "refused" {
            return Err(format!("the API server refused {name}: not this one (422 Invalid)"));
        }
        let mut object = object.clone();
        let version = self.shared.versions.fetch_add(1, Ordering::SeqCst) + 1;
        object["metadata"]["resourceVersion"] = version.to_string().into();
        self.shared.objects.lock().insert(name.to_string(), object.clone());
        Ok(object)
    }

    async fn merge(&self, name: &ObjectName, patch: &Value) -> Result<Value, String> {
        let old = self.get(name).await?.ok_or_else(|| format!("{name} is not there"))?;
        let mut new = old;
        merge(&mut new, patch);
        self.apply(&new).await
    }

    async fn delete(&self, name: &ObjectName, _now: bool) -> Result<bool, String> {
        Ok(self.shared.objects.lock().remove(&name.to_string()).is_some())
    }

    async fn get(&self, name: &ObjectName) -> Result<Option<Value>, String> {
        Ok(self.shared.objects.lock().get(&name.to_string()).cloned())
    }

    async fn list(&self, kind: &str, _namespace: &str, _selector: &str) -> Result<Vec<Value>, String> {
        let objects = self.shared.objects.lock();
        Ok(objects.values().filter(|object| object["kind"] == kind).cloned().collect())
    }

    async fn logs(&self, _: &str, _: &str, _: &str, _: bool) -> Result<String, String> {
        Ok(String::new())
    }

    async fn group(&self, kind: &str) -> Result<String, String> {
        Ok(if kind == "Ingress" { "networking.k8s.io" } else { "" }.to_owned())
    }
}

fn merge(value: &mut Value, patch: &Value) {
    let (Value::Object(fields), Value::Object(changes)) = (&mut *value, patch) else {
        *value = patch.clone();
        return;
    };
    for (name, change) in changes {
        if change.is_null() {
            fields.remove(name);
        } else {
            merge(fields.entry(name.clone()).or_insert(Value::Null), change);
        }
    }
}

type Handler = fn(&Shared, &str, &str, Value) -> Response<Full<Bytes>>;

async fn serve(shared: Arc<Shared>, handler: Handler) -> SocketAddr {
    serve_by(move |head, body| {
        let accept = head.headers.get("accept").map(|value| value.to_str().unwrap());
        handler(&shared, head.uri.path(), accept.unwrap_or(""), body)
    })
    .await
}

/// Serves on a port of its own until the test ends. A body that is no JSON is given as null.
pub(crate) async fn serve_by(
    handler: impl Fn(http::request::Parts, Value) -> Response<Full<Bytes>> + Send + Sync + 'static,
) -> SocketAddr {
    let handler = Arc::new(handler);
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let handler = Arc::clone(&handler);
            let service = service_fn(move |request: Request<Incoming>| {
                let handler = Arc::clone(&handler);
                async move {
                    let (head, body) = request.into_parts();
                    let body = body.collect().await.unwrap().to_bytes();
                    let body = serde_json::from_slice(&body).unwrap_or(Value::Null);
                    Ok::<_, Infallible>(handler(head, body))
                }
            });
            tokio::spawn(
                hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service),
            );
        }
    });
    address
}

fn answer(status: u16, body: impl Into<Bytes>) -> Response<Full<Bytes>> {
    let answer =
        Response::builder().status(status).header("x-kong-request-id", "0123456789abcdef0123456789abcdef");
    answer.body(Full::new(body.into())).unwrap()
}

/// `/limited` admits one request, `/late` answers as it should from the third on, `/bad` never does.
fn gateway(shared: &Shared, path: &str, accept: &str, _body: Value) -> Response<Full<Bytes>> {
    let mut requests = shared.requests.lock();
    let count = requests.entry(path.to_owned()).or_default();
    *count += 1;
    match path {
        "/limited" if *count > 1 => answer(429, r#"{"message":"API rate limit exceeded"}"#),
        "/late" if *count < 3 => answer(503, "not yet"),
        "/bad" => answer(500, r#"{"message":"An unexpected error occurred"}"#),
        "/missing" => answer(404, r#"{"message":"no Route matched with those values"}"#),
        _ if accept == "application/json" => {
            let record = json!({"instance": {"name": "one", "pod_name": "one-0"}, "method": "GET", "path": path,
                                "host": "gateway", "headers": [["x-forwarded-for", "127.0.0.1"]], "body": {}});
            answer(200, record.to_string())
        }
        _ => answer(200, format!("GET {path} HTTP/1.1\r\n\r\none says OK at 2026-01-01\n")),
    }
}

fn admin(shared: &Shared, path: &str, _accept: &str, body: Value) -> Response<Full<Bytes>> {
    match path {
        "/wait" => {
            shared.waits.lock().push(body);
            let problems = shared.problems.lock().clone();
            answer(200, json!({"generation": 7, "missing": [], "problems": problems}).to_string())
        }
        "/metrics" => answer(200, "x_total{reason=\"proxied\"} 3\nx_total{reason=\"rate_limited\"} 1\n"),
        _ => answer(404, "{}"),
    }
}
