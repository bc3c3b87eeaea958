//! WebSocket: messages come back, and the ways a connection ends.

use echo_service::{EchoSettings, Running, Stopped};
use futures_util::{SinkExt, StreamExt};
use tokio::net::TcpStream;
use tokio_tungstenite::{
    WebSocketStream, client_async,
    tungstenite::{Message, protocol::frame::coding::CloseCode},
};

use super::{
    echo,
    raw::{Client, within},
};

const HANDSHAKE: &str =
    "GET / HTTP/1.1\r\nHost: h\r\nConnection: keep-alive, Upgrade\r\nUpgrade: websocket\r\n";
/// The one of RFC 6455's example.
const KEY: &str = "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";

async fn open(echo: &Running) -> WebSocketStream<TcpStream> {
    let stream = TcpStream::connect(echo.address()).await.unwrap();
    client_async(format!("ws://{}/chat?x", echo.address()), stream).await.unwrap().0
}

async fn next(socket: &mut WebSocketStream<TcpStream>) -> Message {
    within("message", socket.next()).await.unwrap().unwrap()
}

#[tokio::test]
async fn messages_come_back_as_they_were() {
    let echo = echo().await;
    let mut socket = open(&echo).await;
    for message in [
        Message::text("hello"),
        Message::binary(vec![0, 255]),
        Message::text("x".repeat(1 << 20)),
        Message::text(""),
    ] {
        socket.send(message.clone()).await.unwrap();
        assert_eq!(next(&mut socket).await, message);
    }
    socket.send(Message::Ping("p".into())).await.unwrap();
    assert_eq!(next(&mut socket).await, Message::Pong("p".into()));
    socket.close(None).await.unwrap();
    assert!(matches!(next(&mut socket).await, Message::Close(_)));
    assert!(within("end", socket.next()).await.is_none());
}

#[tokio::test]
async fn stopping_says_so() {
    let mut settings = EchoSettings::named("one");
    settings.listening.drain_deadline = std::time::Duration::from_secs(20);
    let echo = echo_service::serve(settings).await.unwrap();
    let mut socket = open(&echo).await;
    socket.send(Message::text("hello")).await.unwrap();
    assert_eq!(next(&mut socket).await, Message::text("hello"));
    let client = async {
        let Message::Close(Some(frame)) = next(&mut socket).await else { panic!("no close") };
        assert_eq!(frame.code, CloseCode::Away);
        assert!(within("end", socket.next()).await.is_none());
    };
    let (stopped, ()) = tokio::join!(echo.stop(), client);
    assert_eq!(stopped, Stopped::Drained);
}

#[tokio::test]
async fn a_message_too_long_is_refused_with_1009() {
    let echo = echo().await;
    let mut client = Client::connect(echo.address()).await;
    client.send(format!("{HANDSHAKE}{KEY}Sec-WebSocket-Version: 13\r\n\r\n")).await;
    assert_eq!(client.head().await.0, 101);
    let length = (16_u64 << 20) + 1;
    client.send([&[0x82, 0xff][..], &length.to_be_bytes(), &[0; 4]].concat()).await;
    assert_eq!(client.take(4).await, [&[0x88, 18][..], &1009_u16.to_be_bytes()].concat());
}

#[tokio::test]
async fn the_handshake_is_that_of_the_rfc() {
    let echo = echo().await;
    let ask = async |fields: &str| {
        let mut client = Client::connect(echo.address()).await;
        client.send(format!("{HANDSHAKE}{fields}\r\n")).await;
        client.head().await
    };
    let (status, headers) =
        ask(&format!("{KEY}Sec-WebSocket-Version: 13\r\nSec-WebSocket-Protocol: chat, other\r\n")).await;
    assert_eq!(status, 101);
    let of = |name: &str| headers.iter().find(|(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, v)| v.as_str());
    assert_eq!(of("sec-websocket-accept"), Some("s3pPLMBiTxaQ9kYGzzhZRbK+xOo="));
    assert_eq!(of("sec-websocket-protocol"), Some("chat"));
    assert_eq!(ask(&format!("{KEY}Sec-WebSocket-Version: 8\r\n")).await.0, 426);
    assert_eq!(ask(&format!("{KEY}Sec-WebSocket-Version: 13\r\nX-Echo-Status: 403\r\n")).await.0, 403);
    assert_eq!(ask("").await.0, 200, "without a key it is an echo");
}
