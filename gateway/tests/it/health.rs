//! The health port and `gateway probe`, of the program as it is installed.

use std::net::SocketAddr;
use std::process::{Output, Stdio};
use std::time::Duration;

use serde_json::Value;
use tokio::io::{AsyncBufReadExt, BufReader, Lines};
use tokio::process::{Child, ChildStderr, Command};

const PROGRAM: &str = env!("CARGO_BIN_EXE_gateway");
const PATIENCE: Duration = Duration::from_secs(30);

/// Ends with the test.
struct Process {
    child: Child,
    log: Lines<BufReader<ChildStderr>>,
    folder: tempfile::TempDir,
}

impl Process {
    fn start(health: &str) -> Process {
        let folder = tempfile::tempdir().unwrap();
        let config = folder.path().join("kong.yml");
        std::fs::write(&config, "_format_version: '3.0'\n").unwrap();
        let mut child = Command::new(PROGRAM)
            .args(["run", "--http", "127.0.0.1:0", "--https", "off", "--admin", "127.0.0.1:0"])
            .args(["--listen-address", "127.0.0.1", "--health", health, "--log-format", "json"])
            .args(["--shutdown-delay", "600", "--workers", "1", "--config"])
            .arg(&config)
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let log = BufReader::new(child.stderr.take().unwrap()).lines();
        Process { child, log, folder }
    }

    /// The first line of the log with this field and value.
    async fn logged(&mut self, field: &str, value: &str) -> Value {
        let read = async {
            while let Some(line) = self.log.next_line().await.unwrap() {
                let line: Value = serde_json::from_str(&line).unwrap();
                if line["fields"][field].as_str().is_some_and(|text| text.starts_with(value)) {
                    return line["fields"].clone();
                }
            }
            panic!("the gateway ended without logging {field}={value}");
        };
        tokio::time::timeout(PATIENCE, read).await.expect("the line comes in time")
    }

    async fn address(&mut self, protocol: &str) -> SocketAddr {
        self.logged("protocol", protocol).await["address"].as_str().unwrap().parse().unwrap()
    }
}

async fn probe(url: &str, wait: &str) -> Output {
    Command::new(PROGRAM).args(["probe", url, "--wait", wait]).output().await.unwrap()
}

fn said(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

#[tokio::test]
async fn the_health_port_tells_of_health_and_nothing_else() {
    let mut gateway = Process::start("0");
    let health = gateway.address("health").await;
    assert_eq!(health.ip().to_string(), "127.0.0.1", "a port alone is one of the listen address");
    let admin = gateway.address("admin").await;

    let ready = probe(&format!("http://{health}/ready"), "20").await;
    assert!(ready.status.success(), "{}", said(&ready));
    assert!(said(&ready).contains("200 OK"), "{}", said(&ready));
    for (path, expected) in [("/live", "alive\n"), ("/metrics", "# EOF\n")] {
        let answer = reqwest::get(format!("http://{health}{path}")).await.unwrap();
        assert_eq!(answer.status(), 200, "{path}");
        assert!(answer.text().await.unwrap().ends_with(expected), "{path}");
    }
    for path in ["/", "/config", "/status", "/feed", "/upstreams/a/health"] {
        let answer = reqwest::get(format!("http://{health}{path}")).await.unwrap();
        assert_eq!(answer.status(), 404, "{path}");
    }
    let config = reqwest::get(format!("http://{admin}/config")).await.unwrap();
    assert_eq!(config.status(), 200, "the admin port has it all");

    let id = gateway.child.id().unwrap().to_string();
    assert!(std::process::Command::new("kill").args(["-TERM", &id]).status().unwrap().success());
    gateway.logged("message", "stopping: still accepting").await;
    let ready = probe(&format!("http://{health}/ready"), "0").await;
    assert_eq!(ready.status.code(), Some(1));
    assert!(said(&ready).contains("the gateway is stopping"), "{}", said(&ready));
    assert!(probe(&format!("http://{health}/live"), "0").await.status.success(), "it must not be restarted");
    drop(gateway.folder);
}

#[tokio::test]
async fn a_probe_without_an_answer_says_why() {
    let nobody = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let asked = probe(&format!("http://{nobody}/live"), "0").await;
    assert_eq!(asked.status.code(), Some(1));
    assert!(said(&asked).contains("refused"), "{}", said(&asked));
}

#[tokio::test]
async fn a_bad_health_address_names_the_flag() {
    let mut gateway = Process::start("localhost");
    let line = gateway.log.next_line().await.unwrap().unwrap();
    assert!(line.contains("--health localhost: expected a port"), "{line}");
    assert_eq!(gateway.child.wait().await.unwrap().code(), Some(2));
}
