//! WebSocket over HTTP/1.1 (RFC 6455): every message comes back as it was
//! received, text as text, binary as binary. Pings are answered; a server that
//! stops says so with 1001. Extensions are not negotiated.

use futures_util::{SinkExt, StreamExt};
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode, Version, header};
use hyper::upgrade::{OnUpgrade, Upgraded};
use hyper_util::rt::TokioIo;
use tokio_tungstenite::{
    WebSocketStream,
    tungstenite::{
        Error,
        handshake::derive_accept_key,
        protocol::{CloseFrame, Role, WebSocketConfig, frame::coding::CloseCode},
    },
};

use crate::{
    answer,
    body::{self, Body},
    server::Lifetime,
};

/// The longest message that is echoed; a longer one ends the connection with 1009.
const LONGEST_MESSAGE: usize = 16 << 20;
const READ_AT_ONCE: usize = 16 << 10;

/// Whether a request opens a WebSocket. One without a key is an echo like any other.
pub(crate) fn is_asked_for<B>(request: &Request<B>) -> bool {
    let headers = request.headers();
    request.method() == Method::GET
        && request.version() == Version::HTTP_11
        && has_token(headers, &header::CONNECTION, "upgrade")
        && has_token(headers, &header::UPGRADE, "websocket")
        && headers.contains_key(header::SEC_WEBSOCKET_KEY)
}

/// Switches protocols and echoes until either side closes.
pub(crate) fn open(mut request: Request<Body>, lifetime: &Lifetime) -> Response<Body> {
    let version = request.headers().get(header::SEC_WEBSOCKET_VERSION);
    if version.is_none_or(|version| version != "13") {
        let mut refusal =
            answer::text(StatusCode::UPGRADE_REQUIRED, "failed to open a WebSocket: ask for version 13\n");
        refusal.headers_mut().insert(header::SEC_WEBSOCKET_VERSION, HeaderValue::from_static("13"));
        return refusal;
    }
    let upgrade = hyper::upgrade::on(&mut request);
    let task = converse(upgrade, lifetime.clone());
    lifetime.tasks.spawn(lifetime.cut_off.clone().run_until_cancelled_owned(task));
    switching(request.headers())
}

fn switching(asked: &HeaderMap) -> Response<Body> {
    let mut response = Response::new(body::full(""));
    *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    let headers = response.headers_mut();
    headers.insert(header::CONNECTION, HeaderValue::from_static("Upgrade"));
    headers.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
    let key = asked.get(header::SEC_WEBSOCKET_KEY).map_or(b"".as_slice(), HeaderValue::as_bytes);
    if let Ok(accept) = HeaderValue::try_from(derive_accept_key(key)) {
        headers.insert(header::SEC_WEBSOCKET_ACCEPT, accept);
    }
    if let Some(protocol) = first_protocol(asked) {
        headers.insert(header::SEC_WEBSOCKET_PROTOCOL, protocol);
    }
    response
}

/// An echo speaks every protocol; the client's first choice it is.
fn first_protocol(asked: &HeaderMap) -> Option<HeaderValue> {
    let offered = asked.get(header::SEC_WEBSOCKET_PROTOCOL)?.to_str().ok()?;
    HeaderValue::from_str(offered.split(',').next()?.trim()).ok()
}

async fn converse(upgrade: OnUpgrade, lifetime: Lifetime) {
    // An error is the client leaving before the switch was done.
    if let Ok(upgraded) = upgrade.await {
        let limits = WebSocketConfig::default()
            .read_buffer_size(READ_AT_ONCE)
            .write_buffer_size(0)
            .max_frame_size(Some(LONGEST_MESSAGE))
            .max_message_size(Some(LONGEST_MESSAGE));
        let stream =
            WebSocketStream::from_raw_socket(TokioIo::new(upgraded), Role::Server, Some(limits)).await;
        echo(stream, &lifetime).await;
    }
}

async fn echo(mut stream: WebSocketStream<TokioIo<Upgraded>>, lifetime: &Lifetime) {
    let mut closing = false;
    loop {
        let message = tokio::select! {
            message = stream.next() => message,
            () = lifetime.stopping.cancelled(), if !closing => {
                closing = true;
                let leaving = CloseFrame { code: CloseCode::Away, reason: "stopping".into() };
                if stream.close(Some(leaving)).await.is_err() { return }
                continue;
            }
        };
        let message = match message {
            Some(Ok(message)) => message,
            Some(Err(Error::Capacity(_))) => {
                let too_long = CloseFrame { code: CloseCode::Size, reason: "message too long".into() };
                let _ = stream.close(Some(too_long)).await; // the end, whether it arrives or not
                return;
            }
            Some(Err(_)) | None => return,
        };
        if (message.is_text() || message.is_binary()) && !closing && stream.send(message).await.is_err() {
            return;
        }
    }
}

fn has_token(headers: &HeaderMap, name: &header::HeaderName, token: &str) -> bool {
    headers
        .get_all(name)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .any(|part| part.trim().eq_ignore_ascii_case(token))
}
