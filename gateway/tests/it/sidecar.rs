//! The gateway with a real Envoy at its side, and another one before the backend, set up as Istio sets up sidecars:
//! virtual hosts by the Service's names, mTLS between the two, what is unknown passed through in clear, spans of their
//! own. What the backend receives, and whether the trace is one.

use std::net::SocketAddr;
use std::path::Path;

use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    SanType,
};
use serde_json::{Value, json};

use crate::support::client::{Client, Response};
use crate::support::dataplane::DataPlane;
use crate::support::envoy::{self, Envoy, address, cluster, typed};
use crate::support::origin::{Message, Origin, answer};
use crate::tracing::{collector, hex, spans};

const GATEWAY: &str = "spiffe://cluster.local/ns/kong-istio/sa/kong-istio-kong";
const ECHO: &str = "spiffe://cluster.local/ns/echo/sa/default";
const NAME: &str = "http-echo.echo.svc.cluster.local";
const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
/// A sidecar writes into the 15th digit why it traces a request, and traces none whose id has no place for that.
const REQUEST: &str = "e1e53643-a74a-4def-9fb3-73b0593af36f";
const CALLER: &str = "00f067aa0ba902b7";

/// A gateway, the sidecars of it and of a backend, the backend, and whoever takes the spans.
struct Mesh {
    gateway: DataPlane,
    sidecars: [Envoy; 2],
    origin: Origin,
    collector: Origin,
}

/// Writes an authority, and for each identity a certificate and a key, as PEM files.
fn write_certificates(folder: &Path, identities: &[(&str, &str)]) {
    let (mut authority, key) = (CertificateParams::default(), KeyPair::generate().unwrap());
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    std::fs::write(folder.join("ca.pem"), authority.self_signed(&key).unwrap().pem()).unwrap();
    let issuer = Issuer::new(authority, key);
    for (name, identity) in identities {
        let (mut leaf, key) = (CertificateParams::default(), KeyPair::generate().unwrap());
        // As in a mesh: who it is stands in the URI alone.
        leaf.distinguished_name = DistinguishedName::new();
        leaf.subject_alt_names = vec![SanType::URI((*identity).try_into().unwrap())];
        leaf.extended_key_usages =
            vec![ExtendedKeyUsagePurpose::ClientAuth, ExtendedKeyUsagePurpose::ServerAuth];
        let certificate = leaf.signed_by(&key, &issuer).unwrap();
        std::fs::write(folder.join(format!("{name}.pem")), certificate.pem()).unwrap();
        std::fs::write(folder.join(format!("{name}.key")), key.serialize_pem()).unwrap();
    }
}

/// What both ends of mTLS have: who they are, and that they believe nobody but `peer`.
fn identity(folder: &Path, name: &str, peer: &str) -> Value {
    let file = |name: String| json!({"filename": folder.join(name).to_str().unwrap()});
    let is_peer = json!({"san_type": "URI", "matcher": {"exact": peer}});
    json!({
        "tls_certificates": [{
            "certificate_chain": file(format!("{name}.pem")),
            "private_key": file(format!("{name}.key")),
        }],
        "validation_context": {"trusted_ca": file("ca.pem".to_owned()), "match_typed_subject_alt_names": [is_peer]},
    })
}

/// A listener as sidecars have it: addresses of clients are left as they are told, spans go to the collector.
fn listener(service: &str, direction: &str, hosts: &Value, more: &Value, mut chain: Value) -> Value {
    let tracer = typed(
        "envoy.tracers.opentelemetry",
        "envoy.config.trace.v3.OpenTelemetryConfig",
        json!({
            "service_name": service,
            "http_service": {"http_uri": {"uri": "http://collector/v1/traces", "cluster": "collector", "timeout": "5s"}},
        }),
    );
    let router =
        typed("envoy.filters.http.router", "envoy.extensions.filters.http.router.v3.Router", json!({}));
    let mut manager = json!({
        "stat_prefix": service,
        "use_remote_address": false,
        "route_config": {"virtual_hosts": hosts, "ignore_port_in_host_matching": true},
        "http_filters": [router],
        "tracing": {"provider": tracer},
    });
    manager.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    let manager = typed(
        "envoy.filters.network.http_connection_manager",
        "envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
        manager,
    );
    chain["filters"] = json!([manager]);
    json!({
        "name": service,
        "address": address("127.0.0.1:0".parse().unwrap()),
        "traffic_direction": direction,
        "filter_chains": [chain],
    })
}

fn virtual_host(name: &str, domains: &[&str], cluster: &str) -> Value {
    json!({
        "name": name,
        "domains": domains,
        "include_request_attempt_count": true,
        "routes": [{"match": {"prefix": "/"}, "route": {"cluster": cluster}, "decorator": {"operation": name}}],
    })
}

async fn echos_sidecar(program: &str, folder: &Path, origin: SocketAddr, collector: SocketAddr) -> Envoy {
    let context = json!({
        "common_tls_context": identity(folder, "echo", GATEWAY),
        "require_client_certificate": true,
    });
    let tls = typed(
        "envoy.transport_sockets.tls",
        "envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext",
        context,
    );
    let told = json!({
        "forward_client_cert_details": "APPEND_FORWARD",
        "set_current_client_cert_details": {"subject": true, "uri": true},
    });
    let hosts = json!([virtual_host("inbound", &["*"], "echo")]);
    let listener = listener("http-echo.echo", "INBOUND", &hosts, &told, json!({"transport_socket": tls}));
    Envoy::start(program, &listener, &[cluster("echo", origin), cluster("collector", collector)]).await
}

async fn gateways_sidecar(program: &str, folder: &Path, echo: SocketAddr, collector: SocketAddr) -> Envoy {
    let context = json!({"common_tls_context": identity(folder, "gateway", ECHO)});
    let tls = typed(
        "envoy.transport_sockets.tls",
        "envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext",
        context,
    );
    let mut known = cluster("outbound", echo);
    known["transport_socket"] = tls;
    let names = [NAME, "http-echo.echo", "http-echo.echo.svc"];
    let hosts = json!([
        virtual_host(NAME, &names, "outbound"),
        virtual_host("allow_any", &["*"], "PassthroughCluster")
    ]);
    let listener = listener("kong-istio-kong.kong-istio", "OUTBOUND", &hosts, &json!({}), json!({}));
    let clusters = [known, cluster("PassthroughCluster", echo), cluster("collector", collector)];
    Envoy::start(program, &listener, &clusters).await
}

impl Mesh {
    /// `None`, with a word, where there is no Envoy.
    async fn start() -> Option<Mesh> {
        let program = envoy::program()?;
        let folder = tempfile::tempdir().unwrap();
        write_certificates(folder.path(), &[("gateway", GATEWAY), ("echo", ECHO)]);
        let origin =
            Origin::with(|_| answer(b"HTTP/1.1 200 OK\r\nX-Echo: one\r\nContent-Length: 3\r\n\r\nok\n"))
                .await;
        let collector = collector().await;
        let echo = echos_sidecar(&program, folder.path(), origin.address, collector.address).await;
        let own = gateways_sidecar(&program, folder.path(), echo.address, collector.address).await;
        // In a pod the way to the Service leads through the sidecar; here its address is the sidecar's.
        let config = format!(
            "services:\n\
             - {{name: echo, host: echo, routes: [\n\
                 {{name: named, paths: [/named], strip_path: false}},\n\
                 {{name: kept, paths: [/kept], strip_path: false, preserve_host: true}}]}}\n\
             upstreams: [{{name: echo, host_header: {NAME}, targets: [{{target: '{}'}}]}}]\n\
             plugins: [{{name: correlation-id, config: {{header_name: X-Correlation, generator: uuid}}}}]\n",
            own.address
        );
        let endpoint = format!("http://{}", collector.address);
        let arguments = ["--otlp-endpoint", &endpoint, "--service-name", "kong-istio-kong"];
        let gateway = DataPlane::start_with(&config, &arguments).await;
        Some(Mesh { gateway, sidecars: [echo, own], origin, collector })
    }

    async fn ask(&self, path: &str, host: &str) -> Response {
        let mut client = Client::connect(self.gateway.http()).await;
        let lines =
            format!("traceparent: 00-{TRACE}-{CALLER}-01\r\nX-Request-Id: {REQUEST}\r\nX-Custom: kept\r\n");
        client.send(format!("GET {path} HTTP/1.1\r\nHost: {host}\r\n{lines}\r\n")).await;
        client.response().await
    }
}

fn only(messages: &[Message]) -> &Message {
    let [message] = messages else { panic!("one request arrives: {messages:?}") };
    message
}

#[tokio::test(flavor = "multi_thread")]
async fn headers_identity_and_trace_arrive_behind_two_sidecars() {
    let Some(mesh) = Mesh::start().await else { return };
    let answer = mesh.ask("/named", "shop.test").await;
    assert_eq!((answer.status, answer.text().as_str()), (200, "ok\n"));
    assert_eq!(answer.header("x-echo").unwrap(), "one");
    assert!(
        answer.header("x-envoy-upstream-service-time").is_some(),
        "what the mesh says of an answer is told"
    );

    let messages = mesh.origin.messages();
    let arrived = only(&messages);
    let header = |name: &str| arrived.header(name).unwrap_or_else(|| panic!("no {name} in {arrived:?}"));
    assert_eq!(arrived.target(), "/named");
    // As Kong has it: with the port that is connected to.
    assert_eq!(header("host"), format!("{NAME}:{}", mesh.sidecars[1].address.port()));
    assert_eq!(header("x-custom"), "kept");
    assert_eq!(header("x-request-id").split_at(14).0, REQUEST.split_at(14).0);
    assert_eq!(header("x-correlation").len(), 36, "a plugin's header");
    assert_eq!(arrived.all("x-forwarded-for"), ["127.0.0.1"], "the client's address, and no sidecar's");
    assert_eq!(header("x-forwarded-host"), "shop.test");
    assert_eq!(header("x-forwarded-proto"), "http");
    // Nobody but the gateway has this certificate, and the sidecar behind takes no other.
    let peer = header("x-forwarded-client-cert");
    assert!(peer.contains(&format!("URI={GATEWAY}")), "{peer}");

    mesh.gateway.stop().await;
    let told = header("traceparent");
    let mut all = spans(&mesh.collector, 6).await;
    all.retain(|span| hex(&span.trace_id) == TRACE);
    // From the backend back to the caller, each span is the child of the one before it.
    let (mut chain, mut parent) = (Vec::new(), told.split('-').nth(2).unwrap().to_owned());
    while parent != CALLER {
        let span = all.iter().find(|span| hex(&span.span_id) == parent);
        let span = span.unwrap_or_else(|| panic!("no span {parent} behind {chain:?}: {all:#?}"));
        chain.push((span.name.clone(), span.kind));
        parent = hex(&span.parent_span_id);
    }
    let (server, client) = (2, 3);
    let kinds: Vec<i32> = chain.iter().map(|(_, kind)| *kind).collect();
    assert_eq!(kinds, [server, client, client, server], "{chain:?}");
    assert_eq!([&*chain[0].0, &*chain[1].0, &*chain[3].0], [NAME, NAME, "GET /named"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_that_the_mesh_does_not_know_is_passed_on_in_clear_and_refused() {
    let Some(mesh) = Mesh::start().await else { return };
    let answer = mesh.ask("/kept", "shop.test").await;
    assert_eq!(answer.status, 503, "{}", answer.text());
    assert!(answer.text().contains("connection termination"), "{}", answer.text());
    assert_eq!(answer.header("server").as_deref(), Some("envoy"), "the sidecar's word, not the gateway's");
    assert!(mesh.origin.messages().is_empty());
    // The same route is good for who asks by a name of the Service.
    assert_eq!(mesh.ask("/kept", "http-echo.echo:8080").await.status, 200);
    assert_eq!(only(&mesh.origin.messages()).header("host").unwrap(), "http-echo.echo:8080");
    mesh.gateway.stop().await;
}
