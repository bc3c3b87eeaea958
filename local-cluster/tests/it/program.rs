//! The program from its start to its end.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Output, Stdio};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::process::Command;
use tokio::time::timeout;

use crate::machine::PATIENCE;

fn program(kubeconfig: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_local-cluster"));
    command.arg("--no-node").arg("--kubeconfig").arg(kubeconfig).kill_on_drop(true);
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

async fn ended(mut command: Command) -> (Output, String) {
    let output = timeout(PATIENCE, command.output()).await.unwrap().unwrap();
    let text = String::from_utf8(output.stderr.clone()).unwrap();
    (output, text)
}

#[tokio::test]
async fn it_serves_until_it_is_told_to_stop() {
    let folder = tempfile::tempdir().unwrap();
    let kubeconfig = folder.path().join("kubeconfig");
    let mut child = program(&kubeconfig).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let line = timeout(PATIENCE, lines.next_line()).await.unwrap().unwrap().unwrap();
    let url = line.strip_prefix("serving on ").unwrap().to_owned();
    let mode = std::fs::metadata(&kubeconfig).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    assert!(std::fs::read_to_string(&kubeconfig).unwrap().contains(&url));

    let taken = url.strip_prefix("https://").unwrap();
    let mut second = program(&folder.path().join("other"));
    second.args(["--listen", taken]);
    let (output, text) = ended(second).await;
    assert!(!output.status.success());
    assert!(text.contains(&format!("failed to listen on {taken}: ")), "{text}");
    assert!(text.contains("end the program that listens there, or choose another address"), "{text}");
    assert!(!folder.path().join("other").exists());

    let id = Pid::from_raw(child.id().unwrap().cast_signed());
    kill(id, Signal::SIGTERM).unwrap();
    assert!(timeout(PATIENCE, child.wait()).await.unwrap().unwrap().success());
    assert!(!kubeconfig.exists());
}

#[tokio::test]
async fn it_takes_traces_where_it_is_told_to() {
    let folder = tempfile::tempdir().unwrap();
    let mut command = program(&folder.path().join("kubeconfig"));
    let mut child = command.arg("--traces").spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let _ = timeout(PATIENCE, lines.next_line()).await.unwrap();
    let line = timeout(PATIENCE, lines.next_line()).await.unwrap().unwrap().unwrap();
    let address = line.strip_prefix("traces on http://").unwrap().split_once(':').unwrap();
    let port: u16 = address.1.split(':').next().unwrap().parse().unwrap();
    let mut stream = tokio::net::TcpStream::connect((address.0, port)).await.unwrap();
    let ask = b"GET /api/services HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
    stream.write_all(ask).await.unwrap();
    let mut answer = String::new();
    timeout(PATIENCE, stream.read_to_string(&mut answer)).await.unwrap().unwrap();
    assert!(answer.starts_with("HTTP/1.1 200") && answer.contains("\"data\":[]"), "{answer}");

    let taken = format!("{}:{port}", address.0);
    let mut second = program(&folder.path().join("other"));
    second.args(["--traces", &taken]);
    let (output, text) = ended(second).await;
    assert!(!output.status.success());
    assert!(text.contains(&format!("failed to listen on {taken}: ")), "{text}");
    assert!(!folder.path().join("other").exists());
}

#[tokio::test]
async fn a_kubeconfig_that_cannot_be_written_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let (output, text) = ended(program(&folder.path().join("missing/kubeconfig"))).await;
    assert!(!output.status.success());
    assert!(text.contains("failed to write the kubeconfig") && text.contains("missing/kubeconfig"), "{text}");
    // Somebody's own file stays.
    let own = folder.path().join("own");
    std::fs::write(&own, "apiVersion: v1\n").unwrap();
    let (output, text) = ended(program(&own)).await;
    assert!(!output.status.success());
    assert!(text.contains("a file is there that no local cluster wrote"), "{text}");
    assert_eq!(std::fs::read_to_string(&own).unwrap(), "apiVersion: v1\n");
}
