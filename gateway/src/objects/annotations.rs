//! Every annotation understood: its key, the kinds it belongs on, what it does.
//!
//! A key that is not in the table but looks like it was meant to be is reported with the nearest one that is.
//! What a value means is judged where it is used, in `translate`.

use std::collections::BTreeMap;

use super::Kind;

/// The prefix of Kong's annotations.
pub const PREFIX: &str = "konghq.com/";

/// Which controller an object is meant for, the old way.
pub const INGRESS_CLASS: &str = "kubernetes.io/ingress.class";
/// On an `IngressClass`: objects without a class belong to it.
pub const DEFAULT_CLASS: &str = "ingressclass.kubernetes.io/is-default-class";

pub const PLUGINS: &str = "konghq.com/plugins";
pub const TAGS: &str = "konghq.com/tags";

pub const STRIP_PATH: &str = "konghq.com/strip-path";
pub const PRESERVE_HOST: &str = "konghq.com/preserve-host";
pub const PROTOCOLS: &str = "konghq.com/protocols";
pub const METHODS: &str = "konghq.com/methods";
pub const HTTPS_REDIRECT_STATUS_CODE: &str = "konghq.com/https-redirect-status-code";
pub const FORCE_SSL_REDIRECT: &str = "ingress.kubernetes.io/force-ssl-redirect";
pub const REGEX_PRIORITY: &str = "konghq.com/regex-priority";
pub const REGEX_PREFIX: &str = "konghq.com/regex-prefix";
pub const SNIS: &str = "konghq.com/snis";
pub const REQUEST_BUFFERING: &str = "konghq.com/request-buffering";
pub const RESPONSE_BUFFERING: &str = "konghq.com/response-buffering";
pub const HOST_ALIASES: &str = "konghq.com/host-aliases";
/// Followed by the name of a header.
pub const HEADERS: &str = "konghq.com/headers.";
pub const HEADERS_SEPARATOR: &str = "konghq.com/headers-separator";
pub const PATH_HANDLING: &str = "konghq.com/path-handling";
pub const REWRITE: &str = "konghq.com/rewrite";
pub const OVERRIDE: &str = "konghq.com/override";

pub const PROTOCOL: &str = "konghq.com/protocol";
pub const PATH: &str = "konghq.com/path";
pub const CONNECT_TIMEOUT: &str = "konghq.com/connect-timeout";
pub const READ_TIMEOUT: &str = "konghq.com/read-timeout";
pub const WRITE_TIMEOUT: &str = "konghq.com/write-timeout";
pub const RETRIES: &str = "konghq.com/retries";
pub const HOST_HEADER: &str = "konghq.com/host-header";
pub const CLIENT_CERT: &str = "konghq.com/client-cert";
pub const TLS_VERIFY: &str = "konghq.com/tls-verify";
pub const TLS_VERIFY_DEPTH: &str = "konghq.com/tls-verify-depth";
pub const CA_SECRETS: &str = "konghq.com/ca-certificates-secrets";
pub const CA_CONFIGMAPS: &str = "konghq.com/ca-certificates-configmaps";
pub const UPSTREAM_POLICY: &str = "konghq.com/upstream-policy";
pub const SERVICE_UPSTREAM: &str = "ingress.kubernetes.io/service-upstream";

/// The label that says what kind of credential a Secret holds.
pub const CREDENTIAL_LABEL: &str = "konghq.com/credential";
/// The label that makes a `KongClusterPlugin` run for every request.
pub const GLOBAL_LABEL: &str = "global";
/// The label by which an `EndpointSlice` names its Service.
pub const SERVICE_NAME_LABEL: &str = "kubernetes.io/service-name";

/// One row of the table.
#[derive(Debug, Clone, Copy)]
pub struct Annotation {
    /// The whole key; a trailing dot means that the rest is free.
    pub key: &'static str,
    pub on: &'static [Kind],
    pub about: &'static str,
}

const INGRESS: &[Kind] = &[Kind::Ingress];
const SERVICE: &[Kind] = &[Kind::Service];

/// The table, in the order in which people look for things.
pub const ALL: &[Annotation] = &[
    row(PLUGINS, &[Kind::Ingress, Kind::Service, Kind::KongConsumer], "plugins that run, by object name"),
    row(
        TAGS,
        &[
            Kind::Ingress,
            Kind::Service,
            Kind::Secret,
            Kind::KongPlugin,
            Kind::KongClusterPlugin,
            Kind::KongConsumer,
        ],
        "tags shown in logs and in the configuration",
    ),
    row(
        INGRESS_CLASS,
        &[Kind::Ingress, Kind::KongConsumer, Kind::KongClusterPlugin, Kind::Service],
        "which gateway the object is meant for",
    ),
    row(STRIP_PATH, INGRESS, "remove the matched path before forwarding"),
    row(PRESERVE_HOST, INGRESS, "send the client's Host on"),
    row(PROTOCOLS, INGRESS, "protocols that are served"),
    row(METHODS, INGRESS, "methods that match"),
    row(HTTPS_REDIRECT_STATUS_CODE, INGRESS, "answer to plain HTTP where only HTTPS is served"),
    row(FORCE_SSL_REDIRECT, INGRESS, "serve HTTPS only and redirect plain HTTP"),
    row(REGEX_PRIORITY, INGRESS, "order among regular expressions"),
    row(REGEX_PREFIX, INGRESS, "what marks a path as a regular expression"),
    row(SNIS, INGRESS, "TLS server names that match"),
    row(REQUEST_BUFFERING, INGRESS, "read the request's body before forwarding"),
    row(RESPONSE_BUFFERING, INGRESS, "read the response's body before answering"),
    row(HOST_ALIASES, INGRESS, "further hosts"),
    row(HEADERS, INGRESS, "values of a request header that match"),
    row(HEADERS_SEPARATOR, INGRESS, "separates the values of header matches"),
    row(PATH_HANDLING, INGRESS, "how paths are joined"),
    row(REWRITE, INGRESS, "path to forward to"),
    row(PROTOCOL, SERVICE, "protocol of the pods"),
    row(PATH, SERVICE, "put before the forwarded path"),
    row(CONNECT_TIMEOUT, SERVICE, "milliseconds to connect within"),
    row(READ_TIMEOUT, SERVICE, "milliseconds between reads"),
    row(WRITE_TIMEOUT, SERVICE, "milliseconds between writes"),
    row(RETRIES, SERVICE, "further attempts after a failed one"),
    row(HOST_HEADER, SERVICE, "Host sent to the pods where the client's isn't kept"),
    row(CLIENT_CERT, SERVICE, "Secret with the certificate shown to the pods"),
    row(TLS_VERIFY, SERVICE, "verify the pods' certificate"),
    row(TLS_VERIFY_DEPTH, SERVICE, "longest chain that is accepted"),
    row(CA_SECRETS, SERVICE, "Secrets with certificates to verify against"),
    row(CA_CONFIGMAPS, SERVICE, "ConfigMaps with certificates to verify against"),
    row(UPSTREAM_POLICY, SERVICE, "KongUpstreamPolicy that applies"),
    row(SERVICE_UPSTREAM, SERVICE, "forward to the Service's own address"),
    row(OVERRIDE, &[Kind::Ingress, Kind::Service], "KongIngress with further settings (not read)"),
];

const fn row(key: &'static str, on: &'static [Kind], about: &'static str) -> Annotation {
    Annotation { key, on, about }
}

/// Why an annotation has no effect.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stray {
    pub key: String,
    /// What is wrong and what was probably meant.
    pub message: String,
}

/// The annotations of an object that look like ours but do nothing on its kind.
pub fn strays(kind: Kind, annotations: Option<&BTreeMap<String, String>>) -> Vec<Stray> {
    annotations
        .into_iter()
        .flatten()
        .filter_map(|(key, _)| judge(kind, key).map(|message| Stray { key: key.clone(), message }))
        .collect()
}

fn judge(kind: Kind, key: &str) -> Option<String> {
    if let Some(row) = ALL.iter().find(|row| row.is(key)) {
        return (!row.on.contains(&kind))
            .then(|| format!("has no effect on {kind}, it belongs on {}", row.kinds()));
    }
    let lower = key.to_ascii_lowercase();
    if let Some(row) = ALL.iter().find(|row| row.is(&lower)) {
        return Some(format!("keys are case-sensitive, did you mean {:?}?", row.shown(&lower)));
    }
    if !lower.contains("konghq.com") || is_kongs_own(&lower) {
        return None;
    }
    Some(match nearest(kind, &lower) {
        Some(known) => format!("unknown annotation, did you mean {known:?}?"),
        None => "unknown annotation".to_owned(),
    })
}

/// Keys that Kong's other programs write or read; not ours to judge.
fn is_kongs_own(key: &str) -> bool {
    ["konghq.com/gatewayclass-unmanaged", "konghq.com/publish-service", "konghq.com/instance-id"]
        .contains(&key)
        || key.contains("operator.konghq.com")
}

/// The known key most like this one, if it is like one at all; keys of the kind at hand are preferred.
fn nearest(kind: Kind, key: &str) -> Option<&'static str> {
    let name = key.rsplit('/').next().unwrap_or(key);
    ALL.iter()
        .map(|row| (strsim::jaro_winkler(name, row.name()), row.on.contains(&kind), row.key))
        .filter(|(likeness, ..)| *likeness > 0.85)
        .max_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)))
        .map(|(.., key)| key)
}

impl Annotation {
    fn is(&self, key: &str) -> bool {
        if self.key.ends_with('.') {
            key.len() > self.key.len() && key.starts_with(self.key)
        } else {
            key == self.key
        }
    }

    /// The key as it should have been written, with its free part.
    fn shown(&self, lower: &str) -> String {
        if self.key.ends_with('.') { lower.to_owned() } else { self.key.to_owned() }
    }

    fn name(&self) -> &'static str {
        self.key.rsplit('/').next().unwrap_or(self.key)
    }

    fn kinds(&self) -> String {
        self.on.iter().map(|kind| kind.as_str()).collect::<Vec<_>>().join(", ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verdict(kind: Kind, key: &str) -> Option<String> {
        let annotations = BTreeMap::from([(key.to_owned(), String::new())]);
        strays(kind, Some(&annotations)).pop().map(|stray| stray.message)
    }

    #[test]
    fn what_is_understood_is_no_stray() {
        assert_eq!(verdict(Kind::Ingress, "konghq.com/strip-path"), None);
        assert_eq!(verdict(Kind::Ingress, "konghq.com/headers.X-Version"), None);
        assert_eq!(verdict(Kind::Ingress, "cert-manager.io/cluster-issuer"), None);
        assert_eq!(verdict(Kind::Service, SERVICE_UPSTREAM), None);
    }

    #[test]
    fn a_typo_names_the_nearest_key() {
        let message = verdict(Kind::Ingress, "konghq.com/plugin").unwrap();
        assert_eq!(message, "unknown annotation, did you mean \"konghq.com/plugins\"?");
        let message = verdict(Kind::Ingress, "konghq.com/strippath").unwrap();
        assert_eq!(message, "unknown annotation, did you mean \"konghq.com/strip-path\"?");
        let message = verdict(Kind::Ingress, "configuration.konghq.com/plugins").unwrap();
        assert_eq!(message, "unknown annotation, did you mean \"konghq.com/plugins\"?");
        assert_eq!(verdict(Kind::Ingress, "konghq.com/zzz").unwrap(), "unknown annotation");
    }

    #[test]
    fn wrong_case_is_pointed_out() {
        let message = verdict(Kind::Service, "Ingress.kubernetes.io/service-upstream").unwrap();
        assert!(message.contains("case-sensitive") && message.contains(SERVICE_UPSTREAM), "{message}");
        let message = verdict(Kind::Ingress, "konghq.com/Strip-Path").unwrap();
        assert!(message.contains("\"konghq.com/strip-path\""), "{message}");
    }

    #[test]
    fn the_right_key_on_the_wrong_kind_says_where_it_belongs() {
        let message = verdict(Kind::Service, STRIP_PATH).unwrap();
        assert_eq!(message, "has no effect on Service, it belongs on Ingress");
    }

    #[test]
    fn near_misses_prefer_the_kind_at_hand() {
        let message = verdict(Kind::Service, "konghq.com/protoco").unwrap();
        assert_eq!(message, "unknown annotation, did you mean \"konghq.com/protocol\"?");
    }
}
