//! A look by gRPC's health protocol (`grpc.health.v1.Health/Check`), in clear text.

use std::net::SocketAddr;

use bytes::{BufMut, Bytes, BytesMut};
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http2;
use hyper_util::rt::{TokioExecutor, TokioIo};

/// `HealthCheckResponse.ServingStatus.SERVING`.
const SERVING: u8 = 1;

pub(super) async fn check(address: SocketAddr, service: &str) -> Result<(), String> {
    let stream = super::connect(address).await?;
    let failed = |error: hyper::Error| format!("health check at {address}: {error}");
    let (mut sender, connection) =
        http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await.map_err(failed)?;
    let request = hyper::Request::post(format!("http://{address}/grpc.health.v1.Health/Check"))
        .header("content-type", "application/grpc")
        .header("te", "trailers")
        .header("user-agent", "kube-probe/1.33")
        .body(Full::new(request(service)?))
        .map_err(|error| error.to_string())?;
    let answer = async {
        let answer = sender.send_request(request).await.map_err(failed)?;
        let in_head = status(answer.headers());
        let collected = answer.into_body().collect().await.map_err(failed)?;
        let in_trailers = collected.trailers().and_then(status);
        Ok::<_, String>((in_head.or(in_trailers), collected.to_bytes()))
    };
    let (status, body) = tokio::select! {
        answer = answer => answer?,
        ended = connection => {
            return Err(ended.err().map_or_else(|| format!("health check at {address}: no answer"), failed));
        }
    };
    match status {
        Some(0) | None if is_serving(&body) => Ok(()),
        Some(0) | None => Err("service unhealthy: it answered, but not SERVING".to_owned()),
        Some(code) => Err(format!("health check at {address}: gRPC status {code}")),
    }
}

fn status(headers: &hyper::HeaderMap) -> Option<u32> {
    headers.get("grpc-status")?.to_str().ok()?.parse().ok()
}

/// One message, uncompressed: `HealthCheckRequest{service = 1}`.
fn request(service: &str) -> Result<Bytes, String> {
    let length = u8::try_from(service.len()).ok().filter(|length| *length < 128);
    let length = length.ok_or_else(|| format!("service name \"{service}\" is longer than 127 bytes"))?;
    let mut message = BytesMut::new();
    if length > 0 {
        message.put_slice(&[0x0a, length]);
        message.put_slice(service.as_bytes());
    }
    let mut framed = BytesMut::new();
    framed.put_u8(0);
    framed.put_u32(message.len() as u32);
    framed.put_slice(&message);
    Ok(framed.freeze())
}

/// `HealthCheckResponse{status = 1}` in a message without compression.
fn is_serving(body: &[u8]) -> bool {
    body.first() == Some(&0) && body.get(5..) == Some(&[0x08, SERVING])
}
