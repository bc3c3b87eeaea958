//! The program: what it prints, and the codes it ends with.

use std::process::Stdio;

use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, BufReader},
    process::{Child, Command},
};

use super::raw::{Client, within};

fn program(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_echo-service"));
    command.args(arguments).env("LISTEN_ADDRESS", "127.0.0.1").kill_on_drop(true);
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// Its first line, with the address in it.
async fn listening(child: &mut Child) -> String {
    let mut lines = BufReader::new(child.stdout.as_mut().unwrap()).lines();
    within("line", lines.next_line()).await.unwrap().unwrap()
}

fn address(line: &str) -> std::net::SocketAddr {
    line.split(' ').nth(3).unwrap().parse().unwrap()
}

#[cfg(unix)]
async fn signal(child: &Child, signal: &str) {
    let pid = child.id().unwrap().to_string();
    assert!(Command::new("kill").args([signal, &pid]).status().await.unwrap().success());
}

#[cfg(unix)]
#[tokio::test]
async fn it_says_where_it_listens_and_ends_on_a_signal() {
    for (arguments, name, ending) in [(&["0", "one"][..], "one", "-TERM"), (&["bin", "0"], "bin", "-INT")] {
        let mut child = program(arguments).spawn().unwrap();
        let line = listening(&mut child).await;
        assert!(line.starts_with(&format!("{name} listens on 127.0.0.1:")), "{line}");
        let answer = Client::get(address(&line), "/bin/:id").await;
        assert_eq!(answer.status, 200);
        signal(&child, ending).await;
        assert_eq!(within("end", child.wait()).await.unwrap().code(), Some(0));
    }
}

#[cfg(unix)]
#[tokio::test]
async fn a_second_signal_does_not_wait() {
    let mut child = program(&["0", "one", "--drain-deadline", "1h"]).spawn().unwrap();
    let line = listening(&mut child).await;
    let mut client = Client::connect(address(&line)).await;
    client.send("POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n").await;
    client.head().await;
    signal(&child, "-TERM").await;
    let refused = async { while tokio::net::TcpStream::connect(address(&line)).await.is_ok() {} };
    within("stop", refused).await;
    signal(&child, "-TERM").await;
    assert_eq!(within("end", child.wait()).await.unwrap().code(), Some(4));
}

#[tokio::test]
async fn what_is_wrong_is_said_and_in_the_exit_code() {
    let holder = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = holder.local_addr().unwrap().port().to_string();
    for (arguments, code, says) in [
        (&["eighty"][..], 2, "invalid value 'eighty' for '[PORT]'"),
        (
            &["0", "one", "--status", "700"],
            2,
            "failed to read --status \"700\": give it a number from 200 to 599",
        ),
        (&["0", "one", "--every", "3"], 2, "failed to apply --every: it needs one of"),
        (&[&taken], 3, "end the program that has it, or choose another port"),
        (&["bin", "0", "--max-bins", "0"], 2, "give it a number from 1"),
    ] {
        let mut child = program(arguments).spawn().unwrap();
        assert_eq!(within("end", child.wait()).await.unwrap().code(), Some(code), "{arguments:?}");
        let mut said = String::new();
        child.stderr.take().unwrap().read_to_string(&mut said).await.unwrap();
        assert!(said.contains(says), "{said}");
    }
}
