//! What puts sidecars into pods of namespaces that ask for them. A real one lives in istiod; this one lives with the cluster.

use std::convert::Infallible;
use std::path::Path;
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use rustls::pki_types::PrivatePkcs8KeyDer;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

fn verdict(request: &Value) -> Value {
    let wanted = request["object"]["metadata"]["labels"]["sidecar.istio.io/inject"] != "false";
    let mut response = json!({"uid": request["uid"], "allowed": true});
    if wanted {
        let sidecar =
            json!({"name": "istio-proxy", "image": "docker.io/istio/proxyv2:1.29.0", "args": ["proxy"]});
        let patch = json!([{"op": "add", "path": "/spec/containers/-", "value": sidecar}]);
        response["patchType"] = json!("JSONPatch");
        response["patch"] = json!(STANDARD.encode(patch.to_string()));
    }
    json!({"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "response": response})
}

async fn answer(request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    let body = request.into_body().collect().await.unwrap().to_bytes();
    let review: Value = serde_json::from_slice(&body).unwrap();
    Ok(Response::new(Full::new(Bytes::from(verdict(&review["request"]).to_string()))))
}

/// Serves, and writes down where, with a certificate of its own.
pub(crate) async fn serve(file: &Path) {
    let made = rcgen::generate_simple_self_signed(vec!["127.0.0.1".to_owned()]).unwrap();
    let key = PrivatePkcs8KeyDer::from(made.signing_key.serialize_der());
    let config = rustls::ServerConfig::builder().with_no_client_auth();
    let config = config.with_single_cert(vec![made.cert.der().clone()], key.into()).unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("https://{}/inject", listener.local_addr().unwrap());
    let told = json!({"url": url, "caBundle": STANDARD.encode(made.cert.pem())});
    std::fs::write(file, told.to_string()).unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let Ok(stream) = acceptor.accept(stream).await else { continue };
            let connection = hyper::server::conn::http1::Builder::new();
            tokio::spawn(connection.serve_connection(TokioIo::new(stream), service_fn(answer)));
        }
    });
}

/// What makes the API server ask it.
pub(crate) fn configuration(file: &Path) -> Value {
    let client: Value = serde_json::from_str(&std::fs::read_to_string(file).unwrap()).unwrap();
    json!({
        "apiVersion": "admissionregistration.k8s.io/v1", "kind": "MutatingWebhookConfiguration",
        "metadata": {"name": "istio-sidecar-injector"},
        "webhooks": [{
            "name": "namespace.sidecar-injector.istio.io", "sideEffects": "None", "admissionReviewVersions": ["v1"],
            "clientConfig": client,
            "namespaceSelector": {"matchLabels": {"istio-injection": "enabled"}},
            "rules": [{"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["pods"]}],
        }],
    })
}
