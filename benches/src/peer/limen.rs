//! The gateway, as anyone runs it: from a folder of Kubernetes objects, with metrics on and its feed watched.

use std::fmt::Write as _;
use std::process::Command;
use std::time::Duration;

use admin_api::client::AdminClient;
use anyhow::Context;
use futures_util::StreamExt;

use super::{Peer, Ports, Running, Start, write};
use crate::case::Plugin;
use crate::process::{Program, free_port, local};

/// How long the gateway may take until it serves: ten thousand routes under valgrind take a while.
const PATIENCE: Duration = Duration::from_mins(5);
/// Paths of one Ingress.
const PATHS: usize = 100;

pub(super) fn start(start: &Start<'_>, mut ports: Ports) -> anyhow::Result<Running> {
    ports.h2c = ports.http;
    write(start, "objects.yaml", &objects(start))?;
    let admin = free_port()?;
    let mut command = Command::new(start.gateway);
    command
        .args(["run", "--workers", &start.workers.to_string(), "--log-level", "warn", "--objects"])
        .arg(start.folder)
        .args(["--http", &local(ports.http).to_string()])
        .args(["--https", &local(ports.tls).to_string()])
        .args(["--admin", &local(admin).to_string()]);
    let logs = start.folder.with_extension("output");
    std::fs::create_dir_all(&logs)?;
    let program = Program::start("gateway", &mut command, &logs, local(ports.http))?;
    let viewer = Viewer::watch(&format!("http://{}", local(admin)), start.watched)?;
    Ok(Running { peer: Peer::Limen, program, ports, viewer: Some(viewer) })
}

/// Somebody who watches the feed while the load runs.
pub(super) struct Viewer {
    client: AdminClient,
    runtime: Option<tokio::runtime::Runtime>,
}

impl Viewer {
    /// Returns when the configuration serves and, if it is to be watched, the feed has begun.
    fn watch(admin: &str, watched: bool) -> anyhow::Result<Viewer> {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
        let client = AdminClient::new(admin)?;
        let feed = runtime.block_on(async {
            let patience = tokio::time::timeout(PATIENCE, async {
                while !client.ready().await.unwrap_or(false) {
                    tokio::time::sleep(Duration::from_millis(20)).await;
                }
            });
            patience.await.with_context(|| format!("the gateway is not ready after {PATIENCE:?}"))?;
            if watched { client.feed().await.map(Some).context("failed to watch the feed") } else { Ok(None) }
        })?;
        if let Some(mut feed) = feed {
            runtime.spawn(async move { while feed.next().await.is_some() {} });
        }
        Ok(Viewer { client, runtime: Some(runtime) })
    }
}

impl Viewer {
    pub(super) fn generation(&self) -> anyhow::Result<u64> {
        let runtime = self.runtime.as_ref().context("the viewer is gone")?;
        Ok(runtime.block_on(self.client.status())?.generation)
    }
}

impl Drop for Viewer {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

fn objects(start: &Start<'_>) -> String {
    let upstream = start.upstream;
    let mut text = format!(
        "apiVersion: networking.k8s.io/v1
kind: IngressClass
metadata: {{name: kong}}
spec: {{controller: ingress-controllers.konghq.com/kong}}
---
apiVersion: v1
kind: Service
metadata: {{name: upstream, namespace: default}}
spec: {{ports: [{{name: http, port: 80, targetPort: {upstream}}}]}}
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {{name: upstream-1, namespace: default, labels: {{kubernetes.io/service-name: upstream}}}}
addressType: IPv4
ports: [{{name: http, port: {upstream}, protocol: TCP}}]
endpoints: [{{addresses: [127.0.0.1], conditions: {{ready: true}}}}]
---
apiVersion: v1
kind: Secret
metadata: {{name: certificate, namespace: default}}
type: kubernetes.io/tls
stringData:
  tls.crt: |
{chain}  tls.key: |
{key}",
        chain = indented(&start.certificate.chain_pem),
        key = indented(&start.certificate.key_pem),
    );
    for plugin in start.setup.plugins {
        text.push_str(&plugin_object(*plugin, upstream));
    }
    let plugins: Vec<&str> = start.setup.plugins.iter().copied().map(plugin_name).collect();
    for first in (0..start.setup.routes).step_by(PATHS) {
        let _ = write!(
            text,
            "---
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata:
  name: routes-{first}
  namespace: default
  annotations: {{konghq.com/plugins: \"{plugins}\"}}
spec:
  ingressClassName: kong
  tls: [{{hosts: [localhost], secretName: certificate}}]
  rules:
  - http:
      paths:
",
            plugins = plugins.join(","),
        );
        for route in first..start.setup.routes.min(first + PATHS) {
            let _ = writeln!(
                text,
                "      - {{path: /r{route}/, pathType: Prefix, backend: {{service: {{name: upstream, port: {{number: 80}}}}}}}}"
            );
        }
    }
    text
}

fn indented(pem: &str) -> String {
    pem.lines().fold(String::new(), |mut text, line| {
        let _ = writeln!(text, "    {line}");
        text
    })
}

fn plugin_name(plugin: Plugin) -> &'static str {
    match plugin {
        Plugin::RateLimiting => "rate-limiting",
        Plugin::IpRestriction => "ip-restriction",
        Plugin::HttpLog => "http-log",
    }
}

fn plugin_object(plugin: Plugin, upstream: u16) -> String {
    let name = plugin_name(plugin);
    let config = match plugin {
        Plugin::RateLimiting => "{minute: 1000000000, policy: local}".to_owned(),
        Plugin::IpRestriction => "{allow: [127.0.0.0/8]}".to_owned(),
        Plugin::HttpLog => format!(
            "{{http_endpoint: \"http://127.0.0.1:{upstream}/log/2\", \
             queue: {{max_batch_size: 200, max_coalescing_delay: 1, max_entries: 100000}}}}"
        ),
    };
    format!(
        "---
apiVersion: configuration.konghq.com/v1
kind: KongPlugin
metadata: {{name: {name}, namespace: default}}
plugin: {name}
config: {config}
"
    )
}
