//! `gateway probe`: asks a gateway whether it serves, where there is no shell and no curl: in its own image, as a
//! health check, and in the pod that tests an installation.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use reqwest::redirect::Policy;
use reqwest::{Client, Url};
use tokio::runtime::Handle;
use tokio::time::{Instant, sleep};

use crate::upstream::dns::Resolver;

/// An answer that takes longer is none.
const PATIENCE: Duration = Duration::from_secs(5);
/// Between two attempts.
const PAUSE: Duration = Duration::from_millis(500);

/// Names are looked up as traffic looks them up, so that a name that serves there serves here.
struct Names(Resolver);

/// Asks until an answer's status is below 500 or `wait` is over, at least once. Gives back that answer's status.
/// `dns` is the name server to ask, else the system's.
///
/// # Errors
/// What was seen last.
pub async fn ask(url: &Url, wait: Duration, dns: Option<SocketAddr>) -> Result<String, String> {
    let client = Client::builder()
        .timeout(PATIENCE)
        .redirect(Policy::none())
        .no_proxy()
        .dns_resolver(Arc::new(Names(Resolver::new(Handle::current(), dns)?)))
        // It is asked whether it answers, not who it is.
        .tls_danger_accept_invalid_certs(true)
        .build()
        .map_err(|error| format!("failed to make a client: {error}"))?;
    let deadline = Instant::now() + wait;
    loop {
        let seen = match client.get(url.clone()).send().await {
            Ok(answer) if answer.status().as_u16() < 500 => return Ok(format!("{url}: {}", answer.status())),
            Ok(answer) => {
                let status = answer.status();
                let body = answer.text().await.unwrap_or_default();
                format!("{status} {}", body.trim())
            }
            Err(error) => innermost(&error),
        };
        if Instant::now() >= deadline {
            return Err(format!("failed to get a good answer from {url}: {}", seen.trim()));
        }
        sleep(PAUSE.min(deadline - Instant::now())).await;
    }
}

impl Resolve for Names {
    fn resolve(&self, name: Name) -> Resolving {
        let resolver = self.0.clone();
        Box::pin(async move {
            let found = resolver.lookup(name.as_str()).await?;
            let addresses: Vec<_> = found.iter().map(|ip| SocketAddr::new(*ip, 0)).collect();
            Ok(Box::new(addresses.into_iter()) as Addrs)
        })
    }
}

/// The cause behind the causes: outer ones only repeat the URL.
fn innermost(error: &dyn std::error::Error) -> String {
    let mut last = error;
    while let Some(source) = last.source() {
        last = source;
    }
    last.to_string()
}
