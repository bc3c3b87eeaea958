//! The record of a request, read back into its type.

use base64::{Engine, prelude::BASE64_STANDARD};
use echo_service::{EchoSettings, Instance, ReceivedBody, Reply, serve};

use super::{echo, raw::Client};

#[tokio::test]
async fn tells_what_was_received_by_whom_and_over_what() {
    let instance = Instance {
        name: "two".into(),
        pod_name: Some("http-echo-v2-x".into()),
        pod_namespace: Some("echo".into()),
        pod_ip: Some("127.1.0.4".into()),
        hostname: None,
    };
    let settings = EchoSettings { instance: instance.clone(), ..EchoSettings::named("") };
    let echo = serve(settings).await.unwrap();
    Client::get(echo.address(), "/").await;

    let mut client = Client::connect(echo.address()).await;
    let before = jiff::Timestamp::now();
    for number in 1..=2 {
        client
            .send(
                "POST /a%2Fb?c=d&e HTTP/1.1\r\nHost: h:1\r\nX-B: 1\r\nAccept: application/json\r\nx-b: 2\r\n\
                 Transfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n3\r\nabc\r\n0\r\nX-Sum: 6\r\n\r\n",
            )
            .await;
        let answer = client.answer("POST").await;
        assert_eq!(answer.header("content-type"), Some("application/json"));
        let reply: Reply = serde_json::from_slice(&answer.body).unwrap();
        assert_eq!(reply.instance, instance);
        assert_eq!((reply.connection.number, reply.connection.request), (2, number));
        assert!(reply.connection.client_address.starts_with("127.0.0.1:"));
        assert!(before <= reply.received_at && reply.received_at <= jiff::Timestamp::now());
        assert_eq!((reply.method.as_str(), reply.http_version.as_str()), ("POST", "HTTP/1.1"));
        assert_eq!((reply.target.as_str(), reply.path.as_str()), ("/a%2Fb?c=d&e", "/a%2Fb"));
        assert_eq!((reply.query.as_deref(), reply.host.as_str()), (Some("c=d&e"), "h:1"));
        let headers: Vec<_> = reply.headers.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
        assert_eq!(
            headers,
            [
                ("host", "h:1"),
                ("x-b", "1"),
                ("x-b", "2"),
                ("accept", "application/json"),
                ("transfer-encoding", "chunked"),
                ("trailer", "X-Sum")
            ]
        );
        assert_eq!(reply.header("X-B"), Some("1"));
        assert_eq!(reply.trailers, [("x-sum".to_owned(), "6".to_owned())]);
        assert_eq!((reply.body.text.as_deref(), reply.body.length), (Some("abc"), 3));
    }
}

#[tokio::test]
async fn a_long_body_is_shown_in_part_and_measured_whole() {
    let echo = echo().await;
    let body = vec![0xfe_u8; 1 << 20];
    let answer = reqwest::Client::new()
        .put(format!("{}/?echo-format=json", echo.url()))
        .body(body)
        .send()
        .await
        .unwrap();
    let reply: Reply = answer.json().await.unwrap();
    assert!(reply.body.truncated);
    assert_eq!(reply.body.length, 1 << 20);
    let shown = BASE64_STANDARD.decode(reply.body.base64.unwrap()).unwrap();
    assert_eq!(shown, vec![0xfe; ReceivedBody::SHOWN]);
    // printf '\376%.0s' $(seq 1048576) | sha256sum
    assert_eq!(reply.body.sha256, "35db195bad45fbe13c80d76d0a87f99b6c23d200d8525ea270216215c5517f99");
}
