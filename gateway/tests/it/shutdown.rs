//! How it ends: nothing that was taken is lost, nothing stays behind, and what can't start says why.

use std::process::{Output, Stdio};

use tokio::io::{AsyncBufReadExt, AsyncReadExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::process::{Child, Command};

use crate::support::client::Client;
use crate::support::dataplane::{DataPlane, proxy_to};
use crate::support::origin::{Act, Gate, OK, Origin};
use crate::support::soon;

async fn slow_origin() -> (Origin, Gate) {
    let gate = Gate::new();
    let opened = gate.clone();
    let origin = Origin::with(move |message| {
        let mut acts = vec![Act::ReadBody];
        match &*message.target() {
            "/slow" => acts.push(Act::Wait(opened.clone())),
            "/never" => acts.push(Act::WaitForEnd),
            _ => {}
        }
        acts.push(Act::Send(OK.to_vec()));
        acts
    })
    .await;
    (origin, gate)
}

/// Waits until nobody accepts at the address any more.
async fn until_closed(address: std::net::SocketAddr) {
    soon("end of accepting", async {
        while TcpStream::connect(address).await.is_ok() {
            tokio::task::yield_now().await;
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_under_way_is_finished_and_the_idle_are_sent_home() {
    let (origin, gate) = slow_origin().await;
    let gateway = DataPlane::start(&proxy_to(origin.address)).await;
    let (http, https) = (gateway.http(), gateway.https());
    let (mut idle, mut fresh, mut busy) =
        (Client::connect(http).await, Client::connect(http).await, Client::connect(http).await);
    let (mut idle_tls, _) = Client::connect_tls(https, None, "http/1.1").await.unwrap();
    let (mut fresh_tls, _) = Client::connect_tls(https, None, "http/1.1").await.unwrap();
    assert_eq!(idle.get("/").await.status, 200);
    assert_eq!(idle_tls.get("/").await.status, 200);
    busy.send("GET /slow HTTP/1.1\r\nHost: a\r\n\r\n").await;
    origin.until("the slow request", |seen| seen.messages.len() == 3).await;
    assert_eq!(gateway.ask("GET", "/ready", None).await.status, 200);

    let admin = gateway.admin();
    let stopping = tokio::spawn(gateway.stop());
    for client in [&mut idle, &mut idle_tls, &mut fresh, &mut fresh_tls] {
        assert_eq!(client.rest().await, b"");
    }
    until_closed(http).await;
    let ready = crate::support::client::get(admin, "/ready").await;
    assert_eq!(ready.status, 503);
    assert!(ready.text().contains("the gateway is stopping"));
    assert!(!stopping.is_finished(), "a request is under way");
    gate.open();
    let response = busy.response().await;
    assert_eq!((response.status, response.header("connection").as_deref()), (200, Some("close")));
    assert_eq!(busy.rest().await, b"");
    soon("end of the gateway", stopping).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_that_never_ends_is_cut_off_at_the_deadline() {
    let (origin, _gate) = slow_origin().await;
    let gateway = DataPlane::start_with(&proxy_to(origin.address), &["--drain-deadline", "1"]).await;
    let mut busy = Client::connect(gateway.http()).await;
    busy.send("GET /never HTTP/1.1\r\nHost: a\r\n\r\n").await;
    origin.until("the slow request", |seen| seen.messages.len() == 1).await;
    gateway.stop().await;
    assert_eq!(busy.rest().await, b"");
    origin.until("the end of its connection", |seen| seen.ended == 1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_is_in_a_hurry_waits_for_nobody() {
    let (origin, _gate) = slow_origin().await;
    let arguments = ["--drain-deadline", "600", "--shutdown-delay", "600"];
    let gateway = DataPlane::start_with(&proxy_to(origin.address), &arguments).await;
    let mut busy = Client::connect(gateway.http()).await;
    busy.send("GET /slow HTTP/1.1\r\nHost: a\r\n\r\n").await;
    origin.until("the slow request", |seen| seen.messages.len() == 1).await;
    soon("end of the gateway", gateway.into_running().stop(|| std::future::ready(()))).await;
    assert_eq!(busy.rest().await, b"");
}

#[tokio::test(flavor = "multi_thread")]
async fn during_the_delay_requests_are_still_taken() {
    let (origin, _gate) = slow_origin().await;
    let gateway = DataPlane::start_with(&proxy_to(origin.address), &["--shutdown-delay", "600"]).await;
    let (http, admin) = (gateway.http(), gateway.admin());
    let enough = Gate::new();
    let running = gateway.into_running();
    let hurry = enough.clone();
    let stopping = tokio::spawn(async move {
        running
            .stop(|| {
                let hurry = hurry.clone();
                async move { hurry.wait().await }
            })
            .await;
    });
    soon("readiness to go", async {
        while crate::support::client::get(admin, "/ready").await.status == 200 {
            tokio::task::yield_now().await;
        }
    })
    .await;
    let response = crate::support::client::get(http, "/").await;
    assert_eq!((response.status, response.header("connection").as_deref()), (200, Some("close")));
    enough.open();
    soon("end of the gateway", stopping).await.unwrap();
}

/// Clients that use their connection until they are told to take another.
#[tokio::test(flavor = "multi_thread")]
async fn under_load_no_request_is_lost_when_it_stops() {
    let origin = Origin::start().await;
    let gateway = DataPlane::start_with(&proxy_to(origin.address), &["--shutdown-delay", "2"]).await;
    let http = gateway.http();
    let mut clients = tokio::task::JoinSet::new();
    for _ in 0..16 {
        clients.spawn(async move {
            let mut client = Client::connect(http).await;
            loop {
                let response = client.get("/").await;
                assert_eq!(response.status, 200);
                if response.header("connection").as_deref() == Some("close") {
                    return client.rest().await;
                }
            }
        });
    }
    origin.until("traffic", |seen| seen.messages.len() >= 200).await;
    let stopping = tokio::spawn(gateway.stop());
    for rest in soon("end of the clients", clients.join_all()).await {
        assert_eq!(rest, b"");
    }
    soon("end of the gateway", stopping).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn log_entries_are_delivered_before_it_ends() {
    let (origin, sink) = (Origin::start().await, Origin::start().await);
    let config = format!(
        "{}plugins: [{{name: http-log, config: {{http_endpoint: 'http://{}', \
         queue: {{max_batch_size: 100, max_coalescing_delay: 600}}}}}}]",
        proxy_to(origin.address),
        sink.address
    );
    let gateway = DataPlane::start(&config).await;
    for _ in 0..5 {
        assert_eq!(gateway.get("/").await.status, 200);
    }
    assert!(sink.messages().is_empty(), "they wait for others");
    gateway.stop().await;
    let entries: Vec<serde_json::Value> = serde_json::from_slice(&sink.messages()[0].body).unwrap();
    assert_eq!(entries.len(), 5);
}

/// The program itself.
fn program(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_gateway"));
    command.args(arguments).env_remove("KUBECONFIG").kill_on_drop(true);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

async fn outcome(arguments: &[&str]) -> (i32, String) {
    let Output { status, stderr, .. } = soon("exit", program(arguments).output()).await.unwrap();
    (status.code().unwrap(), String::from_utf8(stderr).unwrap())
}

fn config(folder: &tempfile::TempDir, text: &str) -> String {
    let file = folder.path().join("kong.yml");
    std::fs::write(&file, text).unwrap();
    file.to_str().unwrap().to_owned()
}

const EMPTY: &str = "_format_version: \"3.0\"\n";

#[tokio::test]
async fn what_cannot_start_says_why_and_what_to_do() {
    let folder = tempfile::tempdir().unwrap();
    let file = config(&folder, EMPTY);
    let other = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let taken = other.local_addr().unwrap().to_string();
    let free = "127.0.0.1:0";
    let run = |http: &'static str, admin: &'static str, file: &str| -> Vec<String> {
        let all = ["run", "--config", file, "--http", http, "--https", "off", "--admin", admin];
        all.map(str::to_owned).to_vec()
    };
    let (http, admin) = (run("TAKEN", free, &file), run(free, "TAKEN", &file));
    for (arguments, hint) in [(http, "choose another port"), (admin, "--admin")] {
        let arguments: Vec<&str> =
            arguments.iter().map(|text| if text == "TAKEN" { taken.as_str() } else { text }).collect();
        let (code, said) = outcome(&arguments).await;
        assert_eq!(code, 3, "{said}");
        assert!(said.contains(&taken) && said.contains("another process") && said.contains(hint), "{said}");
    }

    let bad = config(&folder, "_format_version: \"3.0\"\nservices: [{nmae: x, host: h}]\n");
    let (code, said) =
        outcome(&["run", "--config", &bad, "--http", free, "--https", "off", "--admin", free]).await;
    assert_eq!(code, 3, "{said}");
    assert!(said.contains("nmae") && said.contains("unknown field"), "{said}");

    let nowhere = ["run", "--config", "/nowhere.yml", "--http", free, "--https", "off", "--admin", free];
    let (code, said) = outcome(&nowhere).await;
    assert_eq!(code, 3, "{said}");
    assert!(said.contains("failed to read /nowhere.yml"), "{said}");

    let (code, said) = outcome(&["run", "--config", &file, "--http", "nonsense"]).await;
    assert_eq!(code, 2, "{said}");
    assert!(said.contains("--http nonsense") && said.contains("0.0.0.0:"), "{said}");
}

#[tokio::test]
async fn a_configuration_is_judged_without_serving_it() {
    let folder = tempfile::tempdir().unwrap();
    let good = config(&folder, EMPTY);
    assert_eq!(outcome(&["check", &good]).await, (0, String::new()));
    let bad = config(&folder, "_format_version: \"3.0\"\nservices: [{nmae: x, host: h}]\n");
    let (code, said) = outcome(&["check", &bad]).await;
    assert!(code == 1 && said.contains("nmae"), "{said}");

    let objects = tempfile::tempdir().unwrap();
    let plugin = |name: &str, limit: &str| {
        let file = objects.path().join(format!("{name}.yaml"));
        let text = format!(
            "apiVersion: configuration.konghq.com/v1\nkind: KongPlugin\nmetadata: {{name: {name}, namespace: a}}\n\
             plugin: rate-limiting\nconfig: {{{limit}}}\n"
        );
        std::fs::write(&file, text).unwrap();
        file.to_str().unwrap().to_owned()
    };
    let good = plugin("good", "minute: 5");
    let all = objects.path().to_str().unwrap();
    assert_eq!(outcome(&["check", all]).await, (0, String::new()));
    let bad = plugin("bad", "minute: -5");
    assert_eq!(outcome(&["check", &good]).await.0, 0);
    for path in [all, &bad] {
        let (code, said) = outcome(&["check", path]).await;
        assert!(code == 1 && said.contains("KongPlugin a/bad: ") && said.contains("config.minute"), "{said}");
    }
    let (code, said) = outcome(&["check", "/nowhere"]).await;
    assert!(code == 1 && said.contains("failed to read /nowhere"), "{said}");
}

/// Starts the program and waits until it listens.
async fn listening(file: &str) -> (Child, BufReader<tokio::process::ChildStderr>) {
    let arguments =
        ["run", "--config", file, "--http", "127.0.0.1:0", "--https", "off", "--admin", "127.0.0.1:0"];
    let mut child = program(&arguments).spawn().unwrap();
    let mut stderr = BufReader::new(child.stderr.take().unwrap());
    let mut said = String::new();
    soon("a configuration that serves", async {
        while !said.contains("a new configuration serves") {
            assert!(stderr.read_line(&mut said).await.unwrap() > 0, "{said}");
        }
    })
    .await;
    (child, stderr)
}

#[cfg(unix)]
#[tokio::test]
async fn a_signal_to_stop_is_a_success() {
    let folder = tempfile::tempdir().unwrap();
    let file = config(&folder, EMPTY);
    for signal in ["TERM", "INT"] {
        let (mut child, mut stderr) = listening(&file).await;
        let id = child.id().unwrap().to_string();
        std::process::Command::new("kill").args(["-s", signal, &id]).status().unwrap();
        let status = soon("exit", child.wait()).await.unwrap();
        let mut said = String::new();
        stderr.read_to_string(&mut said).await.unwrap();
        assert_eq!(status.code(), Some(0), "{signal}: {said}");
    }
}
