//! The servers from outside, over real sockets.

#![expect(clippy::unwrap_used, clippy::panic, reason = "tests")]

mod behaviour;
mod bin;
mod http2;
mod json;
mod lifecycle;
mod process;
mod raw;
mod spans;
mod streaming;
mod websocket;
mod wire;

use echo_service::{EchoSettings, Running, serve};

async fn echo() -> Running {
    serve(EchoSettings::named("one")).await.unwrap()
}
