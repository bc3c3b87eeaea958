//! How a server starts, tells of its health and stops.

use std::time::Duration;

use echo_service::{EchoSettings, Stopped, serve};
use tokio::net::TcpStream;

use super::{
    echo,
    raw::{Client, within},
};

fn settings(drain: Duration) -> EchoSettings {
    let mut settings = EchoSettings::named("one");
    settings.listening.drain_deadline = drain;
    settings
}

#[tokio::test]
async fn what_is_under_way_when_it_stops_is_finished() {
    let echo = serve(settings(Duration::from_secs(20))).await.unwrap();
    let address = echo.address();
    let mut idle = Client::connect(address).await;
    idle.send("GET / HTTP/1.1\r\nHost: h\r\n\r\n").await;
    idle.answer("GET").await;
    let mut upload = Client::connect(address).await;
    upload.send("POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n").await;
    upload.head().await;

    let stopping = tokio::spawn(echo.stop());
    assert_eq!(idle.rest().await, b"", "an idle connection is closed");
    assert!(TcpStream::connect(address).await.is_err(), "no new connections");
    upload.send("5\r\nhello\r\n0\r\n\r\n").await;
    let body = String::from_utf8(upload.chunks().await).unwrap();
    assert!(body.contains("5\r\nhello\r\n0\r\n\r\none says OK at "), "{body}");
    assert_eq!(within("end", stopping).await.unwrap(), Stopped::Drained);
}

#[tokio::test]
async fn a_connection_that_is_made_gets_its_first_answer() {
    let echo = serve(settings(Duration::from_secs(20))).await.unwrap();
    let mut accepted = Client::connect(echo.address()).await;
    let mut early = Client::connect(echo.address()).await;
    early.send("GET /early HTTP/1.1\r\nHost: h\r\n").await;
    // This one waits in the system's queue: the server gets no turn before it is asked to stop.
    let queued = std::net::TcpStream::connect(echo.address()).unwrap();

    let stopping = tokio::spawn(echo.stop());
    accepted.send("GET / HTTP/1.1\r\nHost: h\r\n\r\n").await;
    accepted.answer("GET").await;
    assert_eq!(accepted.rest().await, b"", "the first answer is the last one");
    early.send("\r\n").await;
    early.answer("GET").await;
    queued.set_nonblocking(true).unwrap();
    let mut queued = Client::over(TcpStream::from_std(queued).unwrap());
    queued.send("GET / HTTP/1.1\r\nHost: h\r\n\r\n").await;
    queued.answer("GET").await;
    assert_eq!(within("end", stopping).await.unwrap(), Stopped::Drained);
}

#[tokio::test]
async fn a_connection_that_stays_unused_holds_nothing_up() {
    let echo = serve(settings(Duration::from_hours(1))).await.unwrap();
    let mut unused = Client::connect(echo.address()).await;
    assert_eq!(within("end", echo.stop()).await, Stopped::Drained);
    assert_eq!(unused.rest().await, b"");
}

#[tokio::test]
async fn http2_streams_are_finished_too() {
    let echo = serve(settings(Duration::from_secs(20))).await.unwrap();
    let client = reqwest::Client::builder().http2_prior_knowledge().build().unwrap();
    let url = format!("{}/?echo-size=1000&echo-slow-body=100+bytes+every+20ms", echo.url());
    let answer = client.get(url).send().await.unwrap();
    let (stopped, body) = tokio::join!(echo.stop(), answer.bytes());
    assert_eq!((stopped, body.unwrap().len()), (Stopped::Drained, 1000));
}

#[tokio::test]
async fn what_is_left_at_the_deadline_is_cut_off_and_counted() {
    let echo = serve(settings(Duration::from_millis(50))).await.unwrap();
    let mut client = Client::connect(echo.address()).await;
    client.send("POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n").await;
    client.head().await;
    assert_eq!(within("end", echo.stop()).await, Stopped::CutOff(1));
    client.rest().await;
}

#[tokio::test]
async fn a_client_that_left_is_not_waited_for() {
    let echo = serve(settings(Duration::from_hours(1))).await.unwrap();
    for fields in ["X-Echo-Delay: 1h", "X-Echo-Slow-Body: 1 byte every 1h", "X-Echo-Size: 1GiB"] {
        let mut client = Client::connect(echo.address()).await;
        client.send(format!("GET / HTTP/1.1\r\nHost: h\r\n{fields}\r\n\r\n")).await;
    }
    assert_eq!(within("end", echo.stop()).await, Stopped::Drained);
}

#[tokio::test]
async fn dropped_it_ends() {
    let echo = echo().await;
    let mut client = Client::connect(echo.address()).await;
    client.send("GET /?echo-delay=1h HTTP/1.1\r\nHost: h\r\n\r\n").await;
    drop(echo);
    assert_eq!(client.rest().await, b"");
}

#[tokio::test]
async fn a_port_in_use_is_named() {
    let echo = echo().await;
    let mut settings = EchoSettings::named("second");
    settings.listening.address = echo.address();
    let error = serve(settings).await.unwrap_err().to_string();
    assert!(error.starts_with(&format!("failed to listen on {}: ", echo.address())), "{error}");
    assert!(error.ends_with("end the program that has it, or choose another port (0 takes any)"), "{error}");
}

#[tokio::test]
async fn health_is_told_on_a_port_of_its_own() {
    let mut settings = settings(Duration::from_secs(20));
    settings.listening.health = Some((std::net::Ipv4Addr::LOCALHOST, 0).into());
    settings.listening.unready_for = Duration::from_millis(200);
    let echo = serve(settings).await.unwrap();
    let health = echo.health_address().unwrap();

    assert_eq!(Client::get(health, "/live").await.status, 200);
    let early = Client::get(health, "/ready").await;
    assert_eq!(early.status, 503);
    assert!(early.text().starts_with("not ready: told to be so for another "), "{}", early.text());
    assert!(Client::get(echo.address(), "/ready").await.text().starts_with("GET /ready HTTP/1.1"));
    let ready = async { while Client::get(health, "/ready").await.status != 200 {} };
    within("readiness", ready).await;
    assert_eq!(Client::get(health, "/").await.status, 404);

    let mut upload = Client::connect(echo.address()).await;
    upload.send("POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n").await;
    upload.head().await;
    let stopping = tokio::spawn(echo.stop());
    let unready = async { while Client::get(health, "/ready").await.text() != "not ready: stopping\n" {} };
    within("unreadiness", unready).await;
    upload.send("0\r\n\r\n").await;
    assert_eq!(within("end", stopping).await.unwrap(), Stopped::Drained);
}
