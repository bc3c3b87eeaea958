//! What can't be seen from outside: how much of a request is held.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use super::*;

const FRAME: usize = 64 << 10;

/// A request that counts how many frames of its body were taken.
fn endless_request() -> (Request<Body>, Arc<AtomicUsize>) {
    let taken = Arc::new(AtomicUsize::new(0));
    let counter = taken.clone();
    let frames = stream::repeat_with(move || {
        counter.fetch_add(1, Ordering::Relaxed);
        Ok(Frame::data(Bytes::from(vec![b'x'; FRAME])))
    });
    let request = Request::post("/").header("host", "h").body(body::from_frames(frames)).unwrap();
    (request, taken)
}

fn voice() -> Voice {
    Voice { name: "one".into(), clock: GoClock::start() }
}

#[tokio::test]
async fn no_frame_is_taken_before_the_one_before_it_was_given() {
    let (request, taken) = endless_request();
    let mut answer = echo(request, &voice()).await.unwrap().into_body();
    assert_eq!(taken.load(Ordering::Relaxed), 0, "the answer begins before the body");
    answer.frame().await.unwrap().unwrap();
    for given in 1..100 {
        let data = answer.frame().await.unwrap().unwrap().into_data().unwrap();
        assert_eq!(data.len(), "10000\r\n".len() + FRAME + "\r\n".len());
        assert_eq!(taken.load(Ordering::Relaxed), given);
    }
}

#[tokio::test]
async fn a_body_that_breaks_off_breaks_off_the_answer() {
    let frames = stream::iter([Ok(Frame::data(Bytes::from("half"))), Err(io::Error::other("gone"))]);
    let request = Request::post("/").header("host", "h").body(body::from_frames(frames)).unwrap();
    let answer = echo(request, &voice()).await.unwrap().into_body().collect().await;
    assert_eq!(answer.unwrap_err().to_string(), "gone");
}

#[tokio::test]
async fn an_empty_frame_does_not_end_a_chunked_body() {
    let frames = ["a", "", "b"].map(|data| Ok(Frame::data(Bytes::from(data))));
    let request =
        Request::post("/").header("host", "h").body(body::from_frames(stream::iter(frames))).unwrap();
    let answer = echo(request, &voice()).await.unwrap().into_body().collect().await.unwrap().to_bytes();
    let text = String::from_utf8(answer.to_vec()).unwrap();
    assert!(text.contains("\r\n\r\n1\r\na\r\n1\r\nb\r\n0\r\n\r\none says OK at "), "{text}");
}
