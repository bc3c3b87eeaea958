//! The article's echo, in Rust: a backend that tells what it received and
//! misbehaves on request; and a bin that keeps what is posted to it.
//!
//! As a library it gives the types of its answers ([`Reply`], [`har`]) to
//! those who read them, and the servers ([`serve`], [`serve_bin`]) to tests
//! that want one in their own process.
//!
//! A request: `server` → `echo` → `behaviour` (what is asked of the answer)
//! → `wire` (Go's form), `record` (JSON), `body::fill` or `websocket`
//! → `behaviour` (shapes the answer). In a bin server `request_bin` takes the
//! place of `echo`.

mod answer;
pub mod args;
pub mod behaviour;
mod body;
mod echo;
mod go_time;
mod health;
mod record;
mod reply;
mod request_bin;
mod running;
mod server;
mod settings;
mod spans;
mod websocket;
mod wire;

pub use reply::{Connection, Instance, ReceivedBody, Reply};
pub use request_bin::{Limits, har};
pub use running::{Running, serve, serve_bin};
pub use server::{ListenError, Stopped};
pub use settings::{BinSettings, EchoSettings, Listening};
pub use spans::SpanSettings;
