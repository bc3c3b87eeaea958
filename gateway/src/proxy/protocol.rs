//! What a client is told whose request matched a route that is not served over its protocol.

use std::borrow::Cow;

use admin_api::Reason;
use bytes::Bytes;

use super::failure::error;
use super::headers::forwarded_host;
use crate::exchange::{Answer, Exchange};
use crate::http::name::Name;
use crate::model::Route;
use crate::routing::{Verdict, protocol_verdict};

/// The answer to a request that the matched route does not serve; `None` when it does.
pub fn refusal(route: &Route, exchange: &mut Exchange) -> Option<Answer> {
    let content_type = exchange.request.fields.get(Name::ContentType);
    let version = exchange.request.version;
    let lines = &mut exchange.on_response;
    Some(match protocol_verdict(route, exchange.client.secure, content_type, version) {
        Verdict::Proceed => return None,
        Verdict::HttpsRequired => {
            lines.append(Name::Upgrade, "TLS/1.2, HTTP/1.1");
            lines.append(Name::Connection, "Upgrade");
            error(426, "Please use HTTPS protocol", Reason::HttpsRequired)
        }
        Verdict::HttpsRedirect(status) => {
            let target = String::from_utf8_lossy(exchange.request.target()).into_owned();
            let location = format!("https://{}{target}", forwarded_host(exchange));
            exchange.on_response.append(Name::Location, location);
            exit(status, Reason::HttpsRequired)
        }
        Verdict::Http2Required => {
            lines.append(Name::Upgrade, "HTTP/2");
            lines.append(Name::Connection, "Upgrade");
            error(426, "Please use HTTP2 protocol", Reason::NotGrpc)
        }
        Verdict::NotGrpc => error(415, "Non-gRPC request matched gRPC route", Reason::NotGrpc),
        Verdict::GrpcsRequired => {
            lines.append(Name::ContentType, "application/grpc");
            lines.append("grpc-status", "1");
            lines.append("grpc-message", "gRPC request matched gRPCs route");
            exit(200, Reason::NotGrpc)
        }
    })
}

fn exit(status: u16, reason: Reason) -> Answer {
    Answer::Exit { status, content_type: None::<Cow<'static, str>>, body: Bytes::new(), reason }
}
