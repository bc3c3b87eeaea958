//! Host names to addresses. Answers are kept as long as they are valid; an expired one is used once more while
//! a new one is fetched, so a slow name server never slows a request that had an answer before.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use hickory_resolver::TokioResolver;
use hickory_resolver::config::{NameServerConfig, ResolverConfig};
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::proto::rr::Name;
use parking_lot::Mutex;
use tokio::runtime::Handle;
use tokio::sync::watch;

/// How long a failure is remembered.
const FAILURE_KEPT: Duration = Duration::from_secs(1);
/// Answers are asked for again after this time at the latest, and not before the second one.
const LONGEST: Duration = Duration::from_mins(5);
const SHORTEST: Duration = Duration::from_secs(1);
/// Names come from the configuration; this bound only guards against one that never stops changing.
const MOST_NAMES: usize = 10_000;

/// Addresses of a name, or why there are none.
pub type Answer = Result<Arc<[IpAddr]>, DnsError>;

/// Why a name has no address.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DnsError {
    #[error("there is no such name")]
    NoSuchName,
    #[error("{0}")]
    Failed(Arc<str>),
}

/// A resolver with its cache, shared by all workers. Queries run on the control runtime.
#[derive(Clone)]
pub struct Resolver {
    shared: Arc<Shared>,
}

struct Shared {
    resolver: TokioResolver,
    runtime: Handle,
    names: Mutex<HashMap<Arc<str>, Known>>,
}

struct Known {
    answer: Option<Answer>,
    fresh_until: Instant,
    /// Set while a query is under way; whoever has no answer waits for it.
    asking: Option<watch::Receiver<Option<Answer>>>,
}

impl Resolver {
    /// Uses `server`, else what the system is configured with. With a server of a cluster the cluster's search
    /// domains apply.
    pub fn new(runtime: Handle, server: Option<SocketAddr>) -> Result<Resolver, String> {
        let failed = |error| format!("failed to set up the resolver: {error}; check /etc/resolv.conf");
        let entered = runtime.enter();
        let builder = match server {
            Some(server) => {
                let mut name_server = NameServerConfig::udp_and_tcp(server.ip());
                for connection in &mut name_server.connections {
                    connection.port = server.port();
                }
                let mut config = ResolverConfig::from_name_servers(vec![name_server]);
                for domain in ["svc.cluster.local.", "cluster.local."] {
                    config.add_search(Name::from_ascii(domain).map_err(|error| error.to_string())?);
                }
                let mut builder = TokioResolver::builder_with_config(config, TokioRuntimeProvider::default());
                // With more the resolver would look up address literals as names.
                builder.options_mut().ndots = 4;
                builder
            }
            None => TokioResolver::builder_tokio().map_err(failed)?,
        };
        let resolver = builder.build().map_err(failed)?;
        drop(entered);
        Ok(Resolver { shared: Arc::new(Shared { resolver, runtime, names: Mutex::default() }) })
    }

    /// The addresses of a name.
    pub async fn lookup(&self, name: &str) -> Answer {
        if let Ok(address) = name.parse::<IpAddr>() {
            return Ok([address].into());
        }
        let mut asking = match self.known_or_ask(name) {
            Ok(answer) => return answer,
            Err(asking) => asking,
        };
        match Box::pin(asking.wait_for(Option::is_some)).await {
            Ok(answer) => answer.clone().unwrap_or(Err(DnsError::NoSuchName)),
            Err(_) => Err(DnsError::Failed("the query was abandoned".into())),
        }
    }

    /// What is known, if it is still good enough to use; else where the answer will appear.
    fn known_or_ask(&self, name: &str) -> Result<Answer, watch::Receiver<Option<Answer>>> {
        let now = Instant::now();
        let mut names = self.shared.names.lock();
        if let Some(known) = names.get(name) {
            let usable = match &known.answer {
                Some(Ok(_)) => known.answer.clone(),
                Some(Err(_)) if known.fresh_until > now => known.answer.clone(),
                _ => None,
            };
            if known.fresh_until > now || known.asking.is_some() {
                if let Some(answer) = usable {
                    return Ok(answer);
                }
                if let Some(asking) = &known.asking {
                    return Err(asking.clone());
                }
            }
        }
        if names.len() >= MOST_NAMES && !names.contains_key(name) {
            names.retain(|_, known| known.asking.is_some() || known.fresh_until > now);
        }
        let (tell, asking) = watch::channel(None);
        let name: Arc<str> = name.into();
        let known = names.entry(Arc::clone(&name)).or_insert_with(|| Known {
            answer: None,
            fresh_until: now,
            asking: None,
        });
        known.asking = Some(asking.clone());
        let stale = known.answer.clone().filter(Result::is_ok);
        drop(names);
        let shared = Arc::clone(&self.shared);
        self.shared.runtime.spawn(async move { shared.ask(name, tell).await });
        stale.ok_or(asking)
    }
}

impl Shared {
    async fn ask(&self, name: Arc<str>, tell: watch::Sender<Option<Answer>>) {
        let (answer, kept) = match self.resolver.lookup_ip(&*name).await {
            Ok(found) => {
                let addresses: Arc<[IpAddr]> = found.iter().collect();
                let valid = found.valid_until().saturating_duration_since(Instant::now());
                let answer = if addresses.is_empty() { Err(DnsError::NoSuchName) } else { Ok(addresses) };
                (answer, valid.clamp(SHORTEST, LONGEST))
            }
            Err(error) if error.is_nx_domain() || error.is_no_records_found() => {
                (Err(DnsError::NoSuchName), FAILURE_KEPT)
            }
            Err(error) => (Err(DnsError::Failed(error.to_string().into())), FAILURE_KEPT),
        };
        let mut names = self.names.lock();
        if let Some(known) = names.get_mut(&name) {
            known.asking = None;
            known.fresh_until = Instant::now() + kept;
            // A name server that fails doesn't take away the addresses it gave before.
            let failed = matches!(answer, Err(DnsError::Failed(_)));
            if !(failed && matches!(known.answer, Some(Ok(_)))) {
                known.answer = Some(answer.clone());
            }
        }
        drop(names);
        tell.send_replace(Some(answer));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn addresses_and_localhost_need_no_server() {
        let resolver = Resolver::new(Handle::current(), Some("127.0.0.1:9".parse().unwrap())).unwrap();
        let found = resolver.lookup("127.0.0.7").await.unwrap();
        assert_eq!(&*found, ["127.0.0.7".parse::<IpAddr>().unwrap()]);
    }

    #[tokio::test]
    async fn an_expired_answer_is_used_while_a_new_one_is_fetched() {
        let resolver = Resolver::new(Handle::current(), Some("127.0.0.1:9".parse().unwrap())).unwrap();
        let address: IpAddr = "192.0.2.1".parse().unwrap();
        resolver.shared.names.lock().insert(
            "old.test".into(),
            Known { answer: Some(Ok([address].into())), fresh_until: Instant::now(), asking: None },
        );
        assert_eq!(&*resolver.lookup("old.test").await.unwrap(), [address]);
    }
}
