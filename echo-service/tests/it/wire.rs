//! The wire form against the article's Go program. `same-as-go.json` holds
//! what that program, built with Go 1.26 and named "one", answered; what
//! changes from run to run stands there as TIME. `other-than-go.json` holds
//! where we answer otherwise on purpose, and why.

use serde::Deserialize;

use super::{
    echo,
    raw::{Answer, Client},
};

#[derive(Debug, Deserialize, PartialEq)]
struct Case {
    name: String,
    /// One character per byte, like the body.
    request: String,
    status: u16,
    content_type: String,
    closes: bool,
    body: String,
    why: Option<String>,
    /// The body of Go's answer, where it is another.
    go: Option<String>,
}

#[tokio::test]
async fn prints_what_go_prints() {
    let cases: Vec<Case> = serde_json::from_str(include_str!("wire/same-as-go.json")).unwrap();
    assert!(cases.len() > 60);
    check(&cases).await;
}

#[tokio::test]
async fn differs_from_go_only_where_it_says_so() {
    let cases: Vec<Case> = serde_json::from_str(include_str!("wire/other-than-go.json")).unwrap();
    for case in &cases {
        assert!(case.why.is_some() && (case.closes || case.go.as_ref() != Some(&case.body)), "{case:?}");
    }
    check(&cases).await;
}

async fn check(cases: &[Case]) {
    let echo = echo().await;
    for case in cases {
        let mut client = Client::connect(echo.address()).await;
        client.send(latin1_bytes(&case.request)).await;
        let answer = client.answer(case.request.split(' ').next().unwrap()).await;
        let seen = Case {
            name: case.name.clone(),
            request: case.request.clone(),
            status: answer.status,
            content_type: answer.header("content-type").unwrap_or_default().to_owned(),
            closes: answer.header("connection") == Some("close"),
            body: timeless(&answer.body),
            why: case.why.clone(),
            go: case.go.clone(),
        };
        assert_eq!(&seen, case);
    }
}

/// The body with the time at its end, whose form is checked, replaced by TIME.
fn timeless(body: &[u8]) -> String {
    let body: String = body.iter().copied().map(char::from).collect();
    let Some((before, time)) = body.rsplit_once(" says OK at ") else { return body };
    let [date, clock, offset, _zone, monotonic] = time.split(' ').collect::<Vec<_>>()[..] else {
        panic!("not as Go prints time: {time}")
    };
    let shape = |text: &str| text.replace(|c: char| c.is_ascii_digit(), "0");
    assert_eq!(shape(date), "0000-00-00");
    assert!(shape(clock).starts_with("00:00:00") && clock.len() <= "00:00:00.000000000".len(), "{clock}");
    assert_eq!(shape(&offset[1..]), "0000");
    let (seconds, nanos) = monotonic.strip_prefix("m=+").unwrap().split_once('.').unwrap();
    assert!(seconds.parse::<u64>().is_ok() && nanos.len() == 9, "{monotonic}");
    format!("{before} says OK at TIME")
}

fn latin1_bytes(text: &str) -> Vec<u8> {
    text.chars().map(|c| u8::try_from(u32::from(c)).unwrap()).collect()
}

#[tokio::test]
async fn a_short_answer_has_its_length_and_a_long_one_is_whole() {
    let echo = echo().await;
    let framing = |answer: &Answer| {
        (answer.header("content-length").is_some(), answer.header("transfer-encoding").is_some())
    };
    for (length, framed) in [(1500, (true, false)), (2500, (false, true)), (100_000, (false, true))] {
        let mut client = Client::connect(echo.address()).await;
        let body = "x".repeat(length);
        client.send(format!("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: {length}\r\n\r\n{body}")).await;
        let answer = client.answer("POST").await;
        assert_eq!(framing(&answer), framed, "{length}");
        assert!(answer.text().contains(&format!("\r\n\r\n{body}one says OK at ")), "{length}");
    }
}

#[tokio::test]
async fn expect_continue_is_met() {
    let echo = echo().await;
    let mut client = Client::connect(echo.address()).await;
    client.send("POST / HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n").await;
    assert_eq!(client.through("\r\n\r\n").await, "HTTP/1.1 100 Continue\r\n\r\n");
    client.send("hi").await;
    assert!(client.answer("POST").await.text().contains("Expect: 100-continue\r\n\r\nhione says OK"));
}
