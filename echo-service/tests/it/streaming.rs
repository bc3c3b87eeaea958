//! Bodies of any size pass through while they come.

use super::{echo, raw::Client};

const PIECE: usize = 256 << 10;
const PIECES: usize = 64;

#[tokio::test]
async fn what_was_sent_comes_back_before_more_is_sent() {
    let echo = echo().await;
    let mut client = Client::connect(echo.address()).await;
    client.send("POST /up HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n").await;
    let (status, _) = client.head().await;
    assert_eq!(status, 200);
    assert!(String::from_utf8(client.chunk().await).unwrap().starts_with("POST /up HTTP/1.1\r\n"));
    for piece in ["first", "second"] {
        client.send(format!("{:x}\r\n{piece}\r\n", piece.len())).await;
        let echoed = String::from_utf8(client.chunk().await).unwrap();
        assert_eq!(echoed, format!("{:x}\r\n{piece}\r\n", piece.len()));
    }
    client.send("0\r\n\r\n").await;
    let end = String::from_utf8(client.chunks().await).unwrap();
    assert!(end.starts_with("0\r\n\r\none says OK at "), "{end}");
}

#[tokio::test]
async fn a_large_body_of_known_length_comes_back_in_step() {
    let echo = echo().await;
    let mut client = Client::connect(echo.address()).await;
    let length = PIECE * PIECES;
    client.send(format!("PUT /up HTTP/1.1\r\nHost: h\r\nContent-Length: {length}\r\n\r\n")).await;
    client.head().await;
    let head = client.chunk().await;
    assert!(head.ends_with(b"\r\n\r\n"));
    for number in 0..PIECES {
        client.send(vec![number as u8; PIECE]).await;
        let mut echoed = 0;
        while echoed < PIECE {
            let chunk = client.chunk().await;
            assert!(chunk.iter().all(|byte| *byte == number as u8));
            echoed += chunk.len();
        }
        assert_eq!(echoed, PIECE);
    }
    assert!(client.chunks().await.starts_with(b"one says OK at "));
}

#[tokio::test]
async fn a_body_of_asked_for_size_is_made_up_on_the_way() {
    let echo = echo().await;
    let mut client = Client::connect(echo.address()).await;
    client.send("GET /?echo-size=1GiB HTTP/1.1\r\nHost: h\r\n\r\n").await;
    let (_, headers) = client.head().await;
    assert!(headers.contains(&("Content-Length".to_owned(), (1_u64 << 30).to_string())));
    let start = client.take(1 << 20).await;
    assert!(start.chunks(64).all(|line| line == &start[..64]));
}
