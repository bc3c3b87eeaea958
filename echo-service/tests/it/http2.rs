//! Cleartext HTTP/2 with prior knowledge, on the same port.

use echo_service::Reply;

use super::echo;

fn client() -> reqwest::Client {
    reqwest::Client::builder().http2_prior_knowledge().build().unwrap()
}

#[tokio::test]
async fn the_same_port_speaks_both() {
    let echo = echo().await;
    for (client, version) in [(client(), "HTTP/2.0"), (reqwest::Client::new(), "HTTP/1.1")] {
        let url = format!("{}/a?b", echo.url());
        let reply: Reply =
            client.get(url).header("accept", "application/json").send().await.unwrap().json().await.unwrap();
        assert_eq!((reply.http_version.as_str(), reply.path.as_str()), (version, "/a"));
        assert_eq!(reply.host, echo.address().to_string());
    }
}

#[tokio::test]
async fn the_wire_form_is_that_of_http11() {
    let echo = echo().await;
    let answer = client().post(format!("{}/p?q", echo.url())).header("x-a", "1").body("hello").send().await;
    let answer = answer.unwrap();
    assert_eq!(answer.version(), reqwest::Version::HTTP_2);
    let text = answer.text().await.unwrap();
    let expected = format!(
        "POST /p?q HTTP/1.1\r\nHost: {}\r\nUser-Agent: Go-http-client/1.1\r\nContent-Length: 5\r\n\
         Accept: */*\r\nX-A: 1\r\n\r\nhelloone says OK at ",
        echo.address()
    );
    assert!(text.starts_with(&expected), "{text}");
}

#[tokio::test]
async fn requests_share_a_connection_and_one_broken_off_spares_the_others() {
    let echo = echo().await;
    let client = client();
    let ask = |query: &str| client.get(format!("{}/?echo-format=json&{query}", echo.url())).send();
    let slow = ask("echo-slow-body=100+bytes+every+10ms");
    let broken_before = ask("echo-abort=before-headers");
    let broken_within = async { ask("echo-abort=in-body&echo-size=1000").await.unwrap().bytes().await };
    let (slow, before, within) = tokio::join!(slow, broken_before, broken_within);
    assert!(before.is_err());
    assert!(within.is_err());
    let reply: Reply = slow.unwrap().json().await.unwrap();
    assert_eq!(reply.connection.number, 1);
}
