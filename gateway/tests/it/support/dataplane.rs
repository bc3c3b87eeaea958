//! A whole gateway in this process, on ports of the system's choice, fed by a declarative file.

use std::net::SocketAddr;

use clap::Parser;
use gateway::app::Running;
use gateway::args::{Cli, Command};
use gateway::overload::Overload;
use gateway::settings::Settings;
use serde_json::Value;

use super::client::{Client, Response, get};
use super::soon;

/// Stop it with [`stop`](DataPlane::stop), unless the test ends with it.
pub(crate) struct DataPlane {
    running: Running,
    _folder: tempfile::TempDir,
}

impl DataPlane {
    pub(crate) async fn start(config: &str) -> DataPlane {
        DataPlane::start_with(config, &[]).await
    }

    /// With further arguments.
    pub(crate) async fn start_with(config: &str, arguments: &[&str]) -> DataPlane {
        // Another test of this process may have been first.
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("kong.yml");
        std::fs::write(&file, complete(config)).unwrap();
        let file = file.to_str().unwrap();
        let fixed = ["gateway", "run", "--config", file, "--admin", "127.0.0.1:0", "--access-log", "off"];
        let ports = ["--http", "127.0.0.1:0", "--https", "127.0.0.1:0"];
        let workers: &[&str] = if arguments.contains(&"--workers") { &[] } else { &["--workers", "2"] };
        let all = fixed.iter().chain(&ports).chain(workers).chain(arguments);
        let Command::Run(arguments) = Cli::parse_from(all).command else {
            unreachable!("`run` was asked for")
        };
        let running = Running::start(Settings::new(*arguments).unwrap()).await.unwrap();
        DataPlane { running, _folder: folder }
    }

    fn address(&self, protocol: &str) -> SocketAddr {
        let found = self.running.listeners.iter().find(|listener| listener.protocol == protocol);
        found.unwrap().address.parse().unwrap()
    }

    pub(crate) fn http(&self) -> SocketAddr {
        self.address("http")
    }

    pub(crate) fn https(&self) -> SocketAddr {
        self.address("https")
    }

    pub(crate) fn admin(&self) -> SocketAddr {
        self.address("admin")
    }

    /// Makes another configuration serve.
    pub(crate) async fn replace(&self, config: &str) {
        let answer = self.try_replace(&complete(config)).await;
        assert_eq!(answer.status, 201, "{}", answer.text());
    }

    pub(crate) async fn try_replace(&self, config: &str) -> Response {
        self.ask("POST", "/config?flatten_errors=1", Some(("text/yaml", config))).await
    }

    /// A request to the admin port.
    pub(crate) async fn ask(&self, method: &str, target: &str, body: Option<(&str, &str)>) -> Response {
        let (kind, body) = body.unwrap_or_default();
        let mut client = Client::connect(self.admin()).await;
        let kind = if kind.is_empty() { String::new() } else { format!("Content-Type: {kind}\r\n") };
        let length = body.len();
        client
            .send(format!(
                "{method} {target} HTTP/1.1\r\nHost: admin\r\n{kind}Content-Length: {length}\r\n\r\n{body}"
            ))
            .await;
        client.response().await
    }

    /// A JSON answer of the admin port.
    pub(crate) async fn json(&self, target: &str) -> Value {
        serde_json::from_slice(&self.ask("GET", target, None).await.body).unwrap()
    }

    pub(crate) async fn get(&self, target: &str) -> Response {
        get(self.http(), target).await
    }

    pub(crate) fn overload(&self) -> Overload {
        self.running.overload.clone()
    }

    /// Stops it in order.
    pub(crate) async fn stop(self) {
        soon("end of the gateway", self.running.stop(std::future::pending)).await;
    }

    /// The gateway itself.
    pub(crate) fn into_running(self) -> Running {
        self.running
    }
}

fn complete(config: &str) -> String {
    format!("_format_version: \"3.0\"\n{config}")
}

/// A configuration: every path leads to a service at the address.
pub(crate) fn proxy_to(address: SocketAddr) -> String {
    format!("services: [{{name: up, url: 'http://{address}', routes: [{{name: all, paths: [/]}}]}}]\n")
}
