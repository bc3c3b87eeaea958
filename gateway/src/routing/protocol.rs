//! Whether the route that matched is served over the protocol that the request came with.
//!
//! This is asked after matching: a request that fails here is answered, it doesn't fall through to another route. The
//! check has one direction, so a route for `http` alone is served over TLS as well.

use crate::http::head::Version;
use crate::model::{Protocol, Route};

/// What to do about the protocol. The answers themselves are made elsewhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    Proceed,
    /// 426 with `Upgrade: TLS/1.2, HTTP/1.1`.
    HttpsRequired,
    /// This status, and a `Location` with the same host and target under `https`.
    HttpsRedirect(u16),
    /// 426 with `Upgrade: HTTP/2`: gRPC needs HTTP/2.
    Http2Required,
    /// 415: the route is for gRPC only.
    NotGrpc,
    /// gRPC in clear on a route for `grpcs` only: 200 with `grpc-status: 1`.
    GrpcsRequired,
}

/// Judges a request by whether the client's connection counts as encrypted, its first `Content-Type` and its version.
pub fn protocol_verdict(
    route: &Route,
    secure: bool,
    content_type: Option<&[u8]>,
    version: Version,
) -> Verdict {
    let serves = |protocol| route.protocols.contains(&protocol);
    if !secure && serves(Protocol::Https) && !serves(Protocol::Http) {
        return match route.https_redirect_status_code {
            status @ (301 | 302 | 307 | 308) => Verdict::HttpsRedirect(status),
            _ => Verdict::HttpsRequired,
        };
    }
    if !serves(Protocol::Grpc) && !serves(Protocol::Grpcs) {
        return Verdict::Proceed;
    }
    if !content_type.is_some_and(|value| value.starts_with(b"application/grpc")) {
        Verdict::NotGrpc
    } else if version != Version::Http2 {
        Verdict::Http2Required
    } else if !secure && !serves(Protocol::Grpc) {
        Verdict::GrpcsRequired
    } else {
        Verdict::Proceed
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    fn verdict(
        protocols: &[Protocol],
        secure: bool,
        content_type: Option<&str>,
        version: Version,
    ) -> Verdict {
        let mut route = Route::new(Uuid::nil());
        route.protocols = protocols.to_vec();
        protocol_verdict(&route, secure, content_type.map(str::as_bytes), version)
    }

    #[test]
    fn https_alone_is_refused_or_redirected_in_clear() {
        use Protocol::{Http, Https};
        assert_eq!(verdict(&[Https], false, None, Version::Http11), Verdict::HttpsRequired);
        assert_eq!(verdict(&[Https], true, None, Version::Http11), Verdict::Proceed);
        assert_eq!(verdict(&[Http, Https], false, None, Version::Http11), Verdict::Proceed);
        assert_eq!(verdict(&[Http], true, None, Version::Http2), Verdict::Proceed);
        let mut route = Route::new(Uuid::nil());
        route.protocols = vec![Https];
        for (status, expected) in [
            (301, Verdict::HttpsRedirect(301)),
            (302, Verdict::HttpsRedirect(302)),
            (307, Verdict::HttpsRedirect(307)),
            (308, Verdict::HttpsRedirect(308)),
            (426, Verdict::HttpsRequired),
        ] {
            route.https_redirect_status_code = status;
            assert_eq!(protocol_verdict(&route, false, None, Version::Http11), expected);
        }
    }

    #[test]
    fn grpc_routes_serve_nothing_else() {
        use Protocol::{Grpc, Grpcs};
        let both = &[Grpc, Grpcs];
        let grpc = Some("application/grpc+proto");
        assert_eq!(verdict(both, true, None, Version::Http2), Verdict::NotGrpc);
        assert_eq!(verdict(both, true, Some("application/json"), Version::Http11), Verdict::NotGrpc);
        assert_eq!(verdict(both, true, Some("Application/grpc"), Version::Http2), Verdict::NotGrpc);
        assert_eq!(verdict(both, true, grpc, Version::Http11), Verdict::Http2Required);
        assert_eq!(verdict(&[Grpcs], false, grpc, Version::Http11), Verdict::Http2Required);
        assert_eq!(verdict(&[Grpcs], false, grpc, Version::Http2), Verdict::GrpcsRequired);
        assert_eq!(verdict(&[Grpcs], true, grpc, Version::Http2), Verdict::Proceed);
        assert_eq!(verdict(both, false, grpc, Version::Http2), Verdict::Proceed);
    }
}
