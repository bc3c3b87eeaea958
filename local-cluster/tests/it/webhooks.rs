//! Programs that are asked before objects are written.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use k8s_openapi::api::core::v1::ConfigMap;
use kube::api::{Api, PostParams};
use local_cluster::objects::{Objects, Resource};
use rustls::pki_types::PrivatePkcs8KeyDer;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;

use crate::machine::{PATIENCE, pods};
use crate::server::{client, start};

/// Adds a label to what it is shown; refuses what is named "no".
fn verdict(request: &Value) -> Value {
    let mut response = json!({"uid": request["uid"], "allowed": request["name"] != "no"});
    if response["allowed"] == true {
        let patch = json!([{"op": "add", "path": "/metadata/labels/seen", "value": "yes"}]);
        response["patchType"] = json!("JSONPatch");
        response["patch"] = json!(STANDARD.encode(patch.to_string()));
    } else {
        response["status"] = json!({"message": "not that name"});
    }
    json!({"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "response": response})
}

async fn answer(request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    let body = request.into_body().collect().await.unwrap().to_bytes();
    let review: Value = serde_json::from_slice(&body).unwrap();
    Ok(Response::new(Full::new(Bytes::from(verdict(&review["request"]).to_string()))))
}

/// Its address, and its certificate, which it signed itself.
async fn serve() -> (SocketAddr, String) {
    let made = rcgen::generate_simple_self_signed(vec!["127.0.0.1".to_owned()]).unwrap();
    let key = PrivatePkcs8KeyDer::from(made.signing_key.serialize_der());
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![made.cert.der().clone()], key.into())
        .unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let Ok(stream) = acceptor.accept(stream).await else { continue };
            let connection = hyper::server::conn::http1::Builder::new();
            tokio::spawn(connection.serve_connection(TokioIo::new(stream), service_fn(answer)));
        }
    });
    (address, made.cert.pem())
}

fn configure(objects: &Objects, address: SocketAddr, certificate: &str) {
    let rule = json!({
        "apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["pods", "configmaps"],
    });
    let webhook = json!({
        "name": "labels.example.test", "sideEffects": "None", "admissionReviewVersions": ["v1"],
        "clientConfig": {"url": format!("https://{address}/"), "caBundle": STANDARD.encode(certificate)},
        "objectSelector": {"matchExpressions": [{"key": "app", "operator": "Exists"}]},
        "rules": [rule],
    });
    let resource = Resource::new("admissionregistration.k8s.io", "mutatingwebhookconfigurations");
    objects.create(&resource, json!({"metadata": {"name": "labels"}, "webhooks": [webhook]})).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn they_change_and_refuse_what_anybody_makes() {
    let cluster = start().await;
    let (address, certificate) = serve().await;
    let objects = cluster.objects();
    configure(&objects, address, &certificate);

    let maps: Api<ConfigMap> = Api::default_namespaced(client(&cluster).await);
    let map = |name: &str, labels: Value| -> ConfigMap {
        serde_json::from_value(json!({"metadata": {"name": name, "labels": labels}})).unwrap()
    };
    let made = maps.create(&PostParams::default(), &map("a", json!({"app": "a"}))).await.unwrap();
    assert_eq!(made.metadata.labels.unwrap().get("seen").map(String::as_str), Some("yes"));
    let other = maps.create(&PostParams::default(), &map("b", json!({"other": "b"}))).await.unwrap();
    assert_eq!(other.metadata.labels.unwrap().get("seen"), None);
    let refused = maps.create(&PostParams::default(), &map("no", json!({"app": "a"}))).await.unwrap_err();
    let refused = refused.to_string();
    assert!(refused.contains("\"labels.example.test\" denied the request: not that name"), "{refused}");

    // The pods of a Deployment are made by the cluster itself.
    let labels = json!({"app": "d"});
    let deployment = json!({
        "metadata": {"name": "d", "namespace": "default"},
        "spec": {
            "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": {"containers": [{"name": "c", "image": "i"}]}},
        },
    });
    let mut changes = objects.watch(&pods());
    objects.create(&Resource::new("apps", "deployments"), deployment).unwrap();
    let change = timeout(PATIENCE, changes.next()).await.unwrap().unwrap();
    let local_cluster::objects::Change::Added(pod) = change else { panic!("no pod was made") };
    assert_eq!(pod["metadata"]["labels"]["seen"], "yes");
    cluster.stop().await;
}
