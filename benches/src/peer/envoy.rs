//! Envoy: one worker thread, access log to a file. Its routes are a list that is searched in order, which is
//! how people write them.

use std::process::Command;

use serde_json::{Value, json};

use super::{Peer, Ports, Running, Start, write};
use crate::process::{Program, local};

pub(super) fn start(start: &Start<'_>, mut ports: Ports) -> anyhow::Result<Running> {
    // One listener takes both versions of HTTP.
    ports.h2c = ports.http;
    let configuration = json!({
        "static_resources": {
            "listeners": [
                listener("clear", ports.http, start, None),
                listener("tls", ports.tls, start, Some(tls(start))),
            ],
            "clusters": [{
                "name": "upstream",
                "connect_timeout": "5s",
                "type": "STATIC",
                "load_assignment": {"cluster_name": "upstream", "endpoints": [{"lb_endpoints": [
                    {"endpoint": {"address": address(start.upstream)}}
                ]}]},
            }],
        },
    });
    let file = write(start, "envoy.json", &serde_json::to_string(&configuration)?)?;
    let mut command = Command::new("envoy");
    command.args(["--concurrency", "1", "--use-dynamic-base-id", "--log-level", "error", "-c"]).arg(file);
    let program = Program::start("envoy", &mut command, start.folder, local(ports.http))?;
    Ok(Running { peer: Peer::Envoy, program, ports, viewer: None })
}

fn address(port: u16) -> Value {
    json!({"socket_address": {"address": "127.0.0.1", "port_value": port}})
}

fn listener(name: &str, port: u16, start: &Start<'_>, transport: Option<Value>) -> Value {
    let routes: Vec<Value> = (0..start.setup.routes)
        .map(|route| json!({"match": {"prefix": format!("/r{route}/")}, "route": {"cluster": "upstream"}}))
        .collect();
    let manager = json!({
        "@type": "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": name,
        "use_remote_address": true,
        "generate_request_id": true,
        "access_log": [{
            "name": "envoy.access_loggers.file",
            "typed_config": {
                "@type": "type.googleapis.com/envoy.extensions.access_loggers.file.v3.FileAccessLog",
                "path": start.folder.join("access.log"),
            },
        }],
        "route_config": {"name": "routes", "virtual_hosts": [
            {"name": "all", "domains": ["*"], "routes": routes}
        ]},
        "http_filters": [{
            "name": "envoy.filters.http.router",
            "typed_config": {"@type": "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router"},
        }],
    });
    let mut chain = json!({"filters": [
        {"name": "envoy.filters.network.http_connection_manager", "typed_config": manager}
    ]});
    if let Some(transport) = transport {
        chain["transport_socket"] = transport;
    }
    json!({"name": name, "address": address(port), "filter_chains": [chain]})
}

fn tls(start: &Start<'_>) -> Value {
    json!({
        "name": "envoy.transport_sockets.tls",
        "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext",
            "common_tls_context": {
                "alpn_protocols": ["h2", "http/1.1"],
                "tls_certificates": [{
                    "certificate_chain": {"filename": start.certificate.chain},
                    "private_key": {"filename": start.certificate.key},
                }],
            },
        },
    })
}
