//! After a change: waits until pods run and every gateway serves what was changed, so that no assertion has to
//! try again.

use std::collections::BTreeSet;
use std::time::Duration;

use admin_api::client::AdminClient;
use admin_api::status::WaitAnswer;
use admin_api::{ObjectVersion, Problem, WaitRequest};
use serde_json::Value;

use super::facts::{is_ready, pods_of, runs, why_not_ready};
use crate::environment::Environment;
use crate::expect::eventually::eventually;
use crate::manifest::name_of;

/// How long a change may take to be served: far more than a healthy gateway needs.
pub const SERVED: Duration = Duration::from_secs(15);
const PACE: Duration = Duration::from_millis(40);

/// Kinds that a gateway reads; others are not waited for.
const READ: [&str; 9] = [
    "Ingress",
    "IngressClass",
    "IngressClassParameters",
    "Service",
    "EndpointSlice",
    "Secret",
    "KongPlugin",
    "KongClusterPlugin",
    "KongConsumer",
];
const POLICY: &str = "KongUpstreamPolicy";

/// What was changed: objects as stored, and names of those that were deleted.
#[derive(Debug, Default)]
pub struct Changed {
    pub stored: Vec<Value>,
    pub deleted: Vec<Value>,
}

/// What it took.
#[derive(Debug, Default)]
pub struct Settled {
    /// Problems that gateways report about the changed objects, each once.
    pub problems: Vec<Problem>,
    /// The lowest generation that serves the change.
    pub generation: u64,
}

/// Waits until the change is live everywhere.
///
/// # Errors
/// What is still missing, and why.
pub async fn settle(environment: &dyn Environment, changed: &Changed) -> Result<Settled, String> {
    for object in of_kind(&changed.stored, "CustomResourceDefinition") {
        established(environment, object).await?;
    }
    let mut versions = Vec::new();
    let deployments: Vec<&Value> = of_kind(&changed.stored, "Deployment").collect();
    for deployment in &deployments {
        wait_rolled_out(environment, deployment).await?;
    }
    versions.extend(endpoints(environment, changed, &deployments).await?);
    for object in &changed.stored {
        versions.extend(version(environment, object, false).await?);
    }
    for object in &changed.deleted {
        versions.extend(version(environment, object, true).await?);
    }
    served(environment, versions).await
}

fn of_kind<'a>(objects: &'a [Value], kind: &'a str) -> impl Iterator<Item = &'a Value> {
    objects.iter().filter(move |object| object["kind"] == kind)
}

async fn established(environment: &dyn Environment, object: &Value) -> Result<(), String> {
    let name = name_of(object);
    eventually(Duration::from_secs(10), PACE, || async {
        let crd = super::facts::must_get(environment.cluster(), &name).await?;
        let established = super::facts::condition(&crd, "Established");
        if established.is_some_and(|condition| condition["status"] == "True") {
            return Ok(());
        }
        Err(format!("{name} is not established: {}", crd["status"]))
    })
    .await
    .map_err(|missed| missed.to_string())
}

/// Waits until a Deployment is rolled out; on failure its pods' states are told.
///
/// # Errors
/// As said.
pub async fn wait_rolled_out(environment: &dyn Environment, deployment: &Value) -> Result<(), String> {
    let (cluster, name) = (environment.cluster(), name_of(deployment));
    let waited = eventually(environment.patience(), PACE, || async {
        let now = super::facts::must_get(cluster, &name).await?;
        runs(cluster, &now).await.map_err(|missing| format!("{name} is not rolled out: {missing}"))
    });
    match waited.await {
        Ok(()) => Ok(()),
        Err(missed) => Err(format!("{missed}; {}", why_not_ready(cluster, deployment).await)),
    }
}

/// Waits until the `EndpointSlices` of every Service that is concerned list exactly the pods that are ready, and
/// gives their versions.
async fn endpoints(
    environment: &dyn Environment,
    changed: &Changed,
    deployments: &[&Value],
) -> Result<Vec<ObjectVersion>, String> {
    let services = of_kind(&changed.stored, "Service");
    let namespaces: BTreeSet<&str> = deployments
        .iter()
        .copied()
        .chain(services)
        .filter_map(|object| object.pointer("/metadata/namespace")?.as_str())
        .collect();
    let mut versions = Vec::new();
    for namespace in namespaces {
        let found = eventually(SERVED, PACE, || slices_in_step(environment, namespace));
        versions.extend(found.await.map_err(|missed| missed.to_string())?);
    }
    Ok(versions)
}

async fn slices_in_step(
    environment: &dyn Environment,
    namespace: &str,
) -> Result<Vec<ObjectVersion>, String> {
    let cluster = environment.cluster();
    let pods = cluster.list("Pod", namespace, "").await?;
    let slices = cluster.list("EndpointSlice", namespace, "").await?;
    for service in cluster.list("Service", namespace, "").await? {
        let Some(selector) = service.pointer("/spec/selector").and_then(Value::as_object) else { continue };
        let selected = |pod: &&Value| {
            let labels = &pod["metadata"]["labels"];
            is_ready(pod) && selector.iter().all(|(label, value)| labels.get(label) == Some(value))
        };
        let wanted: BTreeSet<&str> =
            pods.iter().filter(selected).filter_map(|pod| pod.pointer("/status/podIP")?.as_str()).collect();
        let name = &service["metadata"]["name"];
        let listed: BTreeSet<&str> = slices
            .iter()
            .filter(|slice| slice["metadata"]["labels"]["kubernetes.io/service-name"] == *name)
            .filter_map(|slice| slice["endpoints"].as_array())
            .flatten()
            .filter(|endpoint| endpoint["conditions"]["ready"] != false)
            .filter_map(|endpoint| endpoint["addresses"][0].as_str())
            .collect();
        if wanted != listed {
            return Err(format!(
                "the endpoints of Service {namespace}/{} are {listed:?}, its ready pods {wanted:?}",
                name.as_str().unwrap_or_default()
            ));
        }
    }
    let mut versions = Vec::new();
    for slice in &slices {
        versions.extend(version(environment, slice, false).await?);
    }
    Ok(versions)
}

/// The version of an object to wait for, if gateways read its kind.
async fn version(
    environment: &dyn Environment,
    object: &Value,
    gone: bool,
) -> Result<Option<ObjectVersion>, String> {
    let name = name_of(object);
    if !READ.contains(&name.kind.as_str()) && name.kind != POLICY {
        return Ok(None);
    }
    let resource_version = object.pointer("/metadata/resourceVersion").and_then(Value::as_str);
    Ok(Some(ObjectVersion {
        group: environment.cluster().group(&name.kind).await?,
        kind: name.kind,
        namespace: name.namespace,
        name: name.name,
        resource_version: if gone { None } else { resource_version.map(str::to_owned) },
    }))
}

/// Waits at the admin port of every gateway pod.
async fn served(environment: &dyn Environment, objects: Vec<ObjectVersion>) -> Result<Settled, String> {
    if objects.is_empty() {
        return Ok(Settled::default());
    }
    let request = WaitRequest { objects, generation: 0, timeout_ms: Some(SERVED.as_millis() as u64) };
    let ports = environment.admin_ports().await?;
    if ports.is_empty() {
        return Err("no gateway pod is ready, so nothing can be served".to_owned());
    }
    let mut settled = Settled { generation: u64::MAX, ..Settled::default() };
    let mut problems = BTreeSet::new();
    for port in ports {
        let client = AdminClient::new(&port.url).map_err(|error| error.to_string())?;
        let answer: WaitAnswer =
            client.wait(&request).await.map_err(|error| format!("gateway pod {}: {error}", port.pod))?;
        if !answer.missing.is_empty() {
            return Err(format!(
                "gateway pod {} does not serve the change after {} s: {}",
                port.pod,
                SERVED.as_secs(),
                answer.missing.join("; ")
            ));
        }
        settled.generation = settled.generation.min(answer.generation);
        problems.extend(answer.problems);
    }
    settled.problems = problems.into_iter().collect();
    Ok(settled)
}

/// The names of the ready pods of a Deployment, and of all of them.
///
/// # Errors
/// The cluster doesn't answer, or there is no such Deployment.
pub async fn pods(
    environment: &dyn Environment,
    name: &crate::scenario::values::ObjectName,
) -> Result<Vec<Value>, String> {
    let deployment = super::facts::must_get(environment.cluster(), name).await?;
    pods_of(environment.cluster(), &deployment).await
}
