//! The Service `kubernetes`, by which pods know the API.

use serde_json::json;

use super::ApiAccess;
use crate::failure::Failure;
use crate::kinds;
use crate::objects::Objects;

/// Creates it, with the API as its only endpoint, unless it is there.
pub(super) fn register(objects: &Objects, api: &ApiAccess) -> Result<(), Failure> {
    let Some((host, port)) = api.host_and_port() else { return Ok(()) };
    let metadata = json!({
        "name": "kubernetes", "namespace": "default",
        "labels": {"component": "apiserver", "provider": "kubernetes"},
    });
    let service = json!({
        "apiVersion": "v1", "kind": "Service", "metadata": metadata,
        "spec": {"type": "ClusterIP", "ports": [{"name": "https", "port": 443, "targetPort": port, "protocol": "TCP"}]},
    });
    let endpoints = json!({
        "apiVersion": "v1", "kind": "Endpoints", "metadata": metadata,
        "subsets": [{"addresses": [{"ip": host}], "ports": [{"name": "https", "port": port, "protocol": "TCP"}]}],
    });
    for (resource, object) in [(kinds::services(), service), (kinds::endpoints(), endpoints)] {
        match objects.create(&resource, object) {
            Err(failure) if failure.reason != "AlreadyExists" => return Err(failure),
            _ => {}
        }
    }
    Ok(())
}
