//! What stands behind every proxy: answers at once, with as many bytes as the path's last segment says, and
//! takes whatever is posted. It checks nothing; it is here to cost little.

use anyhow::Context;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::process::local;

/// Serves until the process is ended.
pub(crate) fn serve(port: u16) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build()?;
    runtime.block_on(async {
        let listener = TcpListener::bind(local(port)).await.context("failed to listen")?;
        loop {
            let (connection, _) = listener.accept().await?;
            connection.set_nodelay(true)?;
            tokio::spawn(converse(connection));
        }
    })
}

async fn converse(mut connection: TcpStream) {
    let mut buffer = Vec::with_capacity(16 << 10);
    loop {
        match next_request(&mut buffer) {
            Some(size) => {
                if connection.write_all(&answer(size)).await.is_err() {
                    return;
                }
            }
            None => match connection.read_buf(&mut buffer).await {
                Ok(1..) => {}
                _ => return,
            },
        }
    }
}

/// Takes a whole request off the buffer and says how many bytes it asks for; `None` when more has to come.
fn next_request(buffer: &mut Vec<u8>) -> Option<usize> {
    let head = find(buffer, b"\r\n\r\n")? + 4;
    let text = String::from_utf8_lossy(&buffer[..head]).to_ascii_lowercase();
    let body = match text.split("\r\ncontent-length:").nth(1) {
        Some(rest) => rest.split("\r\n").next().and_then(|length| length.trim().parse().ok()).unwrap_or(0),
        None if text.contains("\r\ntransfer-encoding: chunked") => find(&buffer[head..], b"0\r\n\r\n")? + 5,
        None => 0,
    };
    if buffer.len() < head + body {
        return None;
    }
    let path = text.split(' ').nth(1).unwrap_or_default();
    let size = path.rsplit('/').next().and_then(|size| size.parse().ok()).unwrap_or(2);
    buffer.drain(..head + body);
    Some(size)
}

fn find(bytes: &[u8], what: &[u8]) -> Option<usize> {
    bytes.windows(what.len()).position(|window| window == what)
}

fn answer(size: usize) -> Vec<u8> {
    let mut answer = format!(
        "HTTP/1.1 200 OK\r\nDate: Sat, 28 Nov 2026 12:00:00 GMT\r\nServer: upstream\r\n\
         Content-Type: application/octet-stream\r\nContent-Length: {size}\r\n\r\n"
    )
    .into_bytes();
    answer.resize(answer.len() + size, b'x');
    answer
}
