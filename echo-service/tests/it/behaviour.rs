//! What can be asked of an answer, asked for.

use std::time::{Duration, Instant};

use echo_service::{EchoSettings, behaviour::Behaviour, serve};

use super::{
    echo,
    raw::{Answer, Client},
};

async fn asked(query: &str) -> Answer {
    Client::get(echo().await.address(), &format!("/?{query}")).await
}

#[tokio::test]
async fn delay_waits_before_the_head() {
    let started = Instant::now();
    assert_eq!(asked("echo-delay=150ms").await.status, 200);
    assert!(started.elapsed() >= Duration::from_millis(150));
}

#[tokio::test]
async fn status_and_headers_change_the_head_and_spare_the_echo() {
    let answer =
        asked("echo-status=503&echo-header=x-a:1&echo-header=x-a:2&echo-header=content-type:x/y").await;
    assert_eq!(answer.status, 503);
    let of = |name| answer.headers.iter().filter(|(n, _)| n.eq_ignore_ascii_case(name)).count();
    assert_eq!((of("x-a"), of("content-type")), (2, 1));
    assert_eq!(answer.header("content-type"), Some("x/y"));
    assert!(answer.text().contains("one says OK at "));
    assert_eq!(asked("echo-status=204").await.body, b"");
}

#[tokio::test]
async fn abort_before_headers_sends_nothing() {
    let echo = echo().await;
    let mut client = Client::connect(echo.address()).await;
    client.send("GET /?echo-abort=before-headers HTTP/1.1\r\nHost: h\r\n\r\n").await;
    assert_eq!(client.rest().await, b"");
}

#[tokio::test]
async fn abort_in_body_sends_half() {
    let echo = echo().await;
    for (query, announced, sent) in [("echo-size=1000", "1000", 500), ("echo-size=1MiB", "1048576", 524_288)]
    {
        let mut client = Client::connect(echo.address()).await;
        client.send(format!("GET /?echo-abort=in-body&{query} HTTP/1.1\r\nHost: h\r\n\r\n")).await;
        let (_, headers) = client.head().await;
        assert!(headers.contains(&("Content-Length".to_owned(), announced.to_owned())));
        assert_eq!(client.rest().await.len(), sent);
    }
}

#[tokio::test]
async fn slow_body_comes_piece_by_piece() {
    let started = Instant::now();
    let answer = asked("echo-slow-body=100+bytes+every+20ms&echo-size=1000").await;
    assert_eq!(answer.body.len(), 1000);
    assert!(started.elapsed() >= Duration::from_millis(9 * 20), "{:?}", started.elapsed());
}

#[tokio::test]
async fn size_has_that_size_after_the_request_was_read() {
    let echo = echo().await;
    let mut client = Client::connect(echo.address()).await;
    for size in [0, 1, 64 << 10, 100_001] {
        let request =
            format!("POST /?echo-size={size} HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nhello");
        client.send(request).await;
        let answer = client.answer("POST").await;
        assert_eq!((answer.body.len(), answer.header("content-length")), (size, Some(&*size.to_string())));
    }
}

#[tokio::test]
async fn trailers_follow_the_body() {
    let echo = echo().await;
    let mut client = Client::connect(echo.address()).await;
    client.send("GET /?echo-trailer=X-Sum:7 HTTP/1.1\r\nHost: h\r\nTE: trailers\r\n\r\n").await;
    let (_, headers) = client.head().await;
    assert!(headers.contains(&("Trailer".to_owned(), "x-sum".to_owned())));
    while !client.chunk().await.is_empty() {}
    assert_eq!(client.through("\r\n\r\n").await.to_lowercase(), "x-sum: 7\r\n\r\n");
}

#[tokio::test]
async fn a_bad_value_is_answered_with_what_is_accepted() {
    let answer = asked("echo-delay=soon").await;
    assert_eq!(answer.status, 400);
    assert_eq!(
        answer.text(),
        "failed to read echo-delay \"soon\": give it a duration up to 1h, such as 250ms or 1.5s\n"
    );
}

#[tokio::test]
async fn defaults_apply_to_every_nth_request() {
    let mut defaults = Behaviour::default();
    defaults.ask("--status", "--", "502").unwrap();
    let settings = EchoSettings { defaults, every: 3.try_into().unwrap(), ..EchoSettings::named("flaps") };
    let echo = serve(settings).await.unwrap();
    let mut seen = Vec::new();
    for query in ["", "", "", "", "", "echo-status=201"] {
        seen.push(Client::get(echo.address(), &format!("/?{query}")).await.status);
    }
    assert_eq!(seen, [200, 200, 502, 200, 200, 201]);
}
