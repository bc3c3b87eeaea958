//! An HTTP/1.1 client that sends the bytes it is given and shows what came
//! back, so that tests see what a well-behaved client library would hide.

use std::{future::Future, net::SocketAddr, time::Duration};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

const DEADLINE: Duration = Duration::from_secs(20);

pub(crate) struct Client {
    stream: TcpStream,
    received: Vec<u8>,
}

#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

/// Waits for what `future` waits for, but not for ever.
pub(crate) async fn within<F: Future>(what: &str, future: F) -> F::Output {
    let Ok(output) = tokio::time::timeout(DEADLINE, future).await else {
        panic!("no {what} in {DEADLINE:?}")
    };
    output
}

impl Client {
    pub(crate) async fn connect(address: SocketAddr) -> Self {
        Self::over(TcpStream::connect(address).await.unwrap())
    }

    pub(crate) fn over(stream: TcpStream) -> Self {
        Self { stream, received: Vec::new() }
    }

    pub(crate) async fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.stream.write_all(bytes.as_ref()).await.unwrap();
    }

    pub(crate) async fn get(address: SocketAddr, target: &str) -> Answer {
        let mut client = Self::connect(address).await;
        client.send(format!("GET {target} HTTP/1.1\r\nHost: h\r\n\r\n")).await;
        client.answer("GET").await
    }

    /// Reads a whole answer; a final one, not 100.
    pub(crate) async fn answer(&mut self, method: &str) -> Answer {
        let (status, headers) = self.head().await;
        let of =
            |name: &str| headers.iter().find(|(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, v)| v.as_str());
        let body = match (of("transfer-encoding"), of("content-length")) {
            _ if method == "HEAD" || status == 204 => Vec::new(),
            (Some("chunked"), _) => self.chunks().await,
            (_, Some(length)) => self.take(length.parse().unwrap()).await,
            _ => self.rest().await,
        };
        Answer { status, headers, body }
    }

    pub(crate) async fn head(&mut self) -> (u16, Vec<(String, String)>) {
        loop {
            let head = self.through("\r\n\r\n").await;
            let mut lines = head.lines();
            let status = lines.next().unwrap().split(' ').nth(1).unwrap().parse().unwrap();
            let headers = lines.filter_map(|line| line.split_once(": "));
            if status != 100 {
                return (status, headers.map(|(n, v)| (n.to_owned(), v.to_owned())).collect());
            }
        }
    }

    pub(crate) async fn chunks(&mut self) -> Vec<u8> {
        let mut body = Vec::new();
        loop {
            let chunk = self.chunk().await;
            if chunk.is_empty() {
                while self.through("\r\n").await != "\r\n" {}
                return body;
            }
            body.extend(chunk);
        }
    }

    /// One chunk; that of no length is the last.
    pub(crate) async fn chunk(&mut self) -> Vec<u8> {
        let size = usize::from_str_radix(self.through("\r\n").await.trim(), 16).unwrap();
        let chunk = self.take(size).await;
        if size > 0 {
            self.take(2).await;
        }
        chunk
    }

    /// Everything until the server closes; a reset counts as that.
    pub(crate) async fn rest(&mut self) -> Vec<u8> {
        while self.more().await {}
        std::mem::take(&mut self.received)
    }

    pub(crate) async fn through(&mut self, end: &str) -> String {
        let found = |bytes: &[u8]| bytes.windows(end.len()).position(|window| window == end.as_bytes());
        loop {
            if let Some(start) = found(&self.received) {
                return String::from_utf8(self.received.drain(..start + end.len()).collect()).unwrap();
            }
            assert!(
                self.more().await,
                "closed before {end:?}: {:?}",
                String::from_utf8_lossy(&self.received)
            );
        }
    }

    pub(crate) async fn take(&mut self, length: usize) -> Vec<u8> {
        while self.received.len() < length {
            assert!(self.more().await, "closed after {} of {length} bytes", self.received.len());
        }
        self.received.drain(..length).collect()
    }

    async fn more(&mut self) -> bool {
        let read = within("more bytes", self.stream.read_buf(&mut self.received)).await;
        read.is_ok_and(|read| read > 0)
    }
}

impl Answer {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }

    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }
}
