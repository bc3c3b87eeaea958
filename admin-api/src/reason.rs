//! Why an exchange ended the way it did: one closed set of words, the same in the log, the metrics,
//! the feed and the dashboard.

use serde::{Deserialize, Serialize};

macro_rules! reasons {
    ($($(#[$doc:meta])* $name:ident = $word:literal: $meaning:literal,)+) => {
        /// The one-word cause of an exchange's outcome. `Proxied` is the only one that is not a refusal or a failure.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(rename_all = "snake_case")]
        #[repr(u8)]
        pub enum Reason { $($(#[$doc])* #[serde(rename = $word)] $name,)+ }

        impl Reason {
            /// Every reason, in a stable order: `ALL[r as usize] == r`.
            pub const ALL: &'static [Reason] = &[$(Reason::$name,)+];

            /// The word used in logs, metrics and the feed.
            pub fn as_str(self) -> &'static str {
                match self { $(Reason::$name => $word,)+ }
            }

            /// One sentence for a person who meets the word for the first time.
            pub fn meaning(self) -> &'static str {
                match self { $(Reason::$name => $meaning,)+ }
            }
        }
    };
}

reasons! {
    Proxied = "proxied": "the upstream's answer was passed on",
    Answered = "answered": "a plugin answered on purpose, without the upstream",
    RateLimited = "rate_limited": "a rate limit was used up",
    IpDenied = "ip_denied": "the client's address is not allowed here",
    Unauthorized = "unauthorized": "no valid credential was presented",
    Forbidden = "forbidden": "the consumer may not use this route",
    BodyTooLarge = "body_too_large": "the request body is larger than a plugin allows",
    PluginFailed = "plugin_failed": "a plugin failed while handling the request",
    NoRoute = "no_route": "no route matches the request",
    NoService = "no_service": "the matched route leads to no service",
    Misconfigured = "misconfigured": "the objects behind the matched route are invalid; see /status",
    HttpsRequired = "https_required": "the matched route is served over TLS only",
    NotGrpc = "not_grpc": "a request that is not gRPC matched a gRPC route, or the other way round",
    BadRequest = "bad_request": "the request breaks the rules of HTTP",
    HeaderTooLarge = "header_too_large": "the request line or the header is larger than the limit",
    MethodNotAllowed = "method_not_allowed": "the method is never served (TRACE, CONNECT)",
    RequestTimeout = "request_timeout": "the client took too long to send its request",
    ClientGone = "client_gone": "the client closed the connection before the answer was complete",
    Overloaded = "overloaded": "the gateway is at a limit of its own and sheds load",
    NoTarget = "no_target": "no healthy target is left for the service",
    NameResolution = "name_resolution": "the service's host name does not resolve",
    ConnectFailed = "connect_failed": "no connection to the target could be made",
    ConnectTimeout = "connect_timeout": "connecting to the target took too long",
    TlsFailed = "tls_failed": "the TLS handshake with the target failed",
    UpstreamReset = "upstream_reset": "the target closed the connection before its answer",
    UpstreamTimeout = "upstream_timeout": "the target took too long to answer",
    UpstreamInvalid = "upstream_invalid": "the target's answer is not valid HTTP",
    UpstreamTruncated = "upstream_truncated": "the target's answer ended before it was complete",
    Internal = "internal": "the gateway itself failed",
}

impl std::fmt::Display for Reason {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Reason {
    /// Whether the gateway said no although it was able to serve: what the dashboard calls *denied*.
    pub fn is_refusal(self) -> bool {
        use Reason as R;
        matches!(
            self,
            R::RateLimited
                | R::IpDenied
                | R::Unauthorized
                | R::Forbidden
                | R::BodyTooLarge
                | R::HttpsRequired
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_unique_and_indexable() {
        let mut seen = std::collections::BTreeSet::new();
        for (index, reason) in Reason::ALL.iter().enumerate() {
            assert_eq!(*reason as usize, index);
            assert!(seen.insert(reason.as_str()), "{reason} appears twice");
            assert_eq!(serde_json::to_string(reason).unwrap(), format!("\"{reason}\""));
        }
    }

    #[test]
    fn every_reason_is_explained_in_the_docs() {
        let page = include_str!("../../docs/troubleshooting.md");
        for reason in Reason::ALL {
            assert!(page.contains(&format!("\n| `{reason}` |")), "docs/troubleshooting.md lacks `{reason}`");
        }
    }
}
