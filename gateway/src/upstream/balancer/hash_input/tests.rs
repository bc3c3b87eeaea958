//! Where the hashed value comes from. Which target it leads to is tested with the balancer.

use std::net::SocketAddr;
use std::sync::Arc;

use super::*;
use crate::exchange::{Client, Matched, RequestId};
use crate::http::head::RequestHead;
use crate::model::{Consumer, Route};

pub(crate) fn exchange(target: &str, lines: &[(&str, &str)]) -> Exchange {
    let mut request = RequestHead::default();
    request.set_target(target.as_bytes());
    for (name, value) in lines {
        request.fields.append(*name, value);
    }
    let peer = SocketAddr::from(([127, 0, 0, 1], 40000));
    let client = Client { peer, address: peer.ip(), local: peer, trusted: false, secure: false, tls: None };
    let mut exchange = Exchange::new(RequestId::random(), client, request, 0);
    exchange.path = target.split('?').next().unwrap_or_default().to_owned();
    exchange
}

pub(crate) fn ask() -> Exchange {
    exchange("/r", &[])
}

pub(crate) fn consumer(id: &str) -> Arc<Consumer> {
    Arc::new(Consumer {
        id: id.parse().unwrap(),
        username: None,
        custom_id: None,
        tags: None,
        created_at: 0,
        updated_at: 0,
        groups: vec![],
        credentials: vec![],
        origin: None,
    })
}

impl Exchange {
    pub(crate) fn captured(mut self, name: &str, text: &str) -> Exchange {
        self.matched = Some(Matched {
            route: Arc::new(Route::new(Uuid::nil())),
            service: None,
            captures: vec![format!("/c/{text}"), text.to_owned()],
            named_captures: vec![(name.to_owned(), text.to_owned())],
        });
        self
    }

    pub(crate) fn authenticated(mut self, consumer: Arc<Consumer>) -> Exchange {
        self.consumer = Some(consumer);
        self
    }
}

/// The value as text, `-` when there is none.
fn read(hash_on: HashOn, exchange: &Exchange) -> String {
    value(&hash_on, exchange).map_or("-".to_owned(), |value| String::from_utf8(value.into_owned()).unwrap())
}

#[test]
fn headers_are_joined() {
    let on = |name: &str| HashOn::Header(name.to_owned());
    let exchange = exchange("/", &[("X-H", "a"), ("x-h", "b"), ("empty", "")]);
    assert_eq!(read(on("x-h"), &exchange), "a, b");
    assert_eq!(read(on("empty"), &exchange), "");
    assert_eq!(read(on("absent"), &exchange), "-");
}

#[test]
fn query_arguments_are_decoded_and_sorted() {
    let on = |target| read(HashOn::QueryArg("q x".to_owned()), &exchange(target, &[]));
    assert_eq!(on("/?q+x=2&a=b&q%20x=1"), "1,2");
    assert_eq!(on("/?q+x"), "true");
    assert_eq!(on("/?q+x="), "");
    assert_eq!(on("/?q+x=%41+%2B%zz"), "A +%zz");
    assert_eq!(on("/?q=1"), "-");
    assert_eq!(on("/"), "-");
}

#[test]
fn cookies_are_found_on_any_line() {
    let on = |name: &str| HashOn::Cookie(name.to_owned());
    let exchange = exchange("/", &[("Cookie", "a=1;sess=x=y; sessy=2"), ("Cookie", "b=3")]);
    assert_eq!(read(on("sess"), &exchange), "x=y");
    assert_eq!(read(on("sessy"), &exchange), "2");
    assert_eq!(read(on("b"), &exchange), "3");
    assert_eq!(read(on("ses"), &exchange), "-");
}

#[test]
fn the_path_is_decoded_as_a_whole() {
    assert_eq!(read(HashOn::Path, &exchange("/a%2Fb", &[])), "/a/b");
}

#[test]
fn captures_go_by_name_or_number() {
    let exchange = ask().captured("id", "7");
    assert_eq!(read(HashOn::UriCapture("id".to_owned()), &exchange), "7");
    assert_eq!(read(HashOn::UriCapture("1".to_owned()), &exchange), "7");
    assert_eq!(read(HashOn::UriCapture("2".to_owned()), &exchange), "-");
    assert_eq!(read(HashOn::UriCapture("id".to_owned()), &ask()), "-");
}

#[test]
fn a_credential_stands_in_for_a_consumer() {
    let id = "00000000-0000-4000-8000-000000000001";
    let mut exchange = ask();
    assert_eq!(read(HashOn::Consumer, &exchange), "-");
    exchange.credential = Some(Uuid::from_u128(2));
    assert_eq!(read(HashOn::Consumer, &exchange), Uuid::from_u128(2).to_string());
    assert_eq!(read(HashOn::Consumer, &exchange.authenticated(consumer(id))), id);
}

#[test]
fn a_client_without_the_cookie_is_given_one() {
    let mut upstream = Upstream::new(Uuid::nil(), "u");
    upstream.hash_on = HashOn::Header("x".to_owned());
    upstream.hash_fallback = HashOn::Cookie("sess".to_owned());
    upstream.hash_on_cookie_path = "/p".to_owned();
    let given = hash_input(&upstream, &ask());
    let cookie = given.set_cookie.unwrap();
    let value =
        cookie.strip_prefix("sess=").unwrap().strip_suffix("; Path=/p; SameSite=Lax; HttpOnly").unwrap();
    assert!(value.parse::<Uuid>().is_ok(), "{cookie}");
    let again = hash_input(&upstream, &exchange("/", &[("Cookie", &format!("sess={value}"))]));
    assert_eq!(again, HashInput { hash: given.hash, set_cookie: None });
    let by_header = hash_input(&upstream, &exchange("/", &[("X", "1")]));
    assert_eq!(by_header, HashInput { hash: hash(b"1"), set_cookie: None });
}

#[test]
fn requests_without_a_value_share_one_hash() {
    let mut upstream = Upstream::new(Uuid::nil(), "u");
    let nothing = HashInput { hash: hash(b""), set_cookie: None };
    assert_eq!(hash_input(&upstream, &ask()), nothing);
    upstream.hash_on = HashOn::Header("x".to_owned());
    upstream.hash_fallback = HashOn::Consumer;
    assert_eq!(hash_input(&upstream, &ask()), nothing);
}
