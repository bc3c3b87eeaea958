//! What is installed into a cluster before any scenario: Kong's CRDs and the gateway. Names are those of the
//! article's Helm release.

use std::path::Path;

use crate::cluster::Cluster;
use crate::manifest;
use crate::scenario::values::ObjectName;

pub const NAMESPACE: &str = "kong-istio";
/// Where Istio and what observes it are, in clusters that have them.
pub const MESH_NAMESPACE: &str = "istio-system";
/// Of the proxy Service, as clients see it.
pub const HTTP_PORT: u16 = 80;
pub const HTTPS_PORT: u16 = 443;
/// Of every gateway pod.
pub const ADMIN_PORT: u16 = 8001;

/// In the order in which they are applied.
const FOLDERS: [&str; 2] = ["manifests/crds", "manifests/gateway"];

/// The gateway's Deployment.
pub fn gateway() -> ObjectName {
    name("Deployment", "kong-istio-kong")
}

/// The Service that clients use.
pub fn proxy_service() -> ObjectName {
    name("Service", "kong-istio-kong-proxy")
}

fn name(kind: &str, name: &str) -> ObjectName {
    ObjectName { kind: kind.to_owned(), namespace: NAMESPACE.to_owned(), name: name.to_owned() }
}

/// Applies all of it.
///
/// # Errors
/// What the API server refused.
pub async fn install(cluster: &dyn Cluster, root: &Path) -> Result<(), String> {
    for folder in FOLDERS {
        for object in manifest::read(&root.join(folder))? {
            cluster.apply(object.value()).await?;
        }
    }
    Ok(())
}
