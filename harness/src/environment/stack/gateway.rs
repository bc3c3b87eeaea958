//! The gateway: by its chart where helm is, by the manifests made from that where it is not. Both give the same objects under
//! the article's names.

use std::path::Path;
use std::time::Duration;

use serde_json::{Value, json};

use super::{FOLDERS, GATEWAY, Ground, NAMESPACE, RELEASE, gateway, istio, proxy_service, rolled_out};
use crate::cluster::Cluster;
use crate::cluster::changes::Change;
use crate::cluster::facts::{must_get, pods_of};
use crate::environment::images::gateway_name;
use crate::environment::maker::{NODE_HTTP, NODE_HTTPS};
use crate::manifest::{self, Object};
use crate::process::{Call, Caller};
use crate::versions::GATEWAY as GATEWAY_IMAGE;

const HELM: Duration = Duration::from_mins(8);
/// Where spans go.
const COLLECTOR: &str = "http://jaeger-collector.istio-system:4318";

pub(super) async fn install(ground: &Ground<'_>) -> Result<(), String> {
    let [crds, plain] = FOLDERS;
    for object in manifest::read(&ground.root.join(crds))? {
        ground.changes.apply(object.value()).await?;
    }
    if ground.helm {
        by_chart(ground).await?;
    } else {
        ground.run.tell("the gateway, from manifests/gateway: helm is not here");
        for mut object in manifest::read(&ground.root.join(plain))? {
            adapt(ground, &mut object)?;
            ground.changes.apply(object.value()).await?;
        }
    }
    if ground.refresh {
        // The images have the names that the running ones have.
        let deployment = must_get(&**ground.changes, &gateway()).await?;
        for pod in pods_of(&**ground.changes, &deployment).await? {
            ground.changes.delete(&manifest::name_of(&pod), false).await?;
        }
    }
    rolled_out(ground, &gateway()).await?;
    if ground.mesh {
        let deployment = must_get(&**ground.changes, &gateway()).await?;
        let pods = pods_of(&**ground.changes, &deployment).await?;
        let bare = pods
            .iter()
            .find(|pod| pod["metadata"]["deletionTimestamp"].is_null() && !istio::has_sidecar(pod));
        if let Some(pod) = bare {
            return Err(format!(
                "{} has no sidecar, although the mesh gives one to new pods",
                manifest::name_of(pod)
            ));
        }
    }
    Ok(())
}

async fn by_chart(ground: &Ground<'_>) -> Result<(), String> {
    ground.run.tell("the gateway, by helm from charts/gateway");
    ground.changes.note(Change::Release { namespace: NAMESPACE.to_owned(), name: RELEASE.to_owned() })?;
    let mut helm = Call::new("helm upgrade --install").arg(RELEASE);
    helm = helm.arg(ground.root.join("charts/gateway").display().to_string());
    // Without `--wait`: that would also wait for a load balancer, which not every cluster has.
    helm = helm.args(["--namespace", NAMESPACE, "--skip-crds", "--timeout", "6m"]);
    for (value, set) in values(ground) {
        // A tag such as `1.0` is no number.
        let flag = if value.starts_with("image.") { "--set-string" } else { "--set" };
        helm = helm.arg(flag).arg(format!("{value}={set}"));
    }
    helm = helm.arg("--kubeconfig").arg(ground.kubeconfig.display().to_string());
    if let Err(error) = ground.caller.done(helm.within(HELM)).await {
        let deployment = ground.changes.get(&gateway()).await.ok().flatten();
        let why = match &deployment {
            Some(deployment) => crate::cluster::facts::why_not_ready(&**ground.changes, deployment).await,
            None => "there is no Deployment of it".to_owned(),
        };
        return Err(format!("{error}\n{why}"));
    }
    Ok(())
}

/// Values of the chart.
fn values(ground: &Ground<'_>) -> Vec<(&'static str, String)> {
    let mut values = vec![("shutdown.delay", "1".to_owned())];
    let image = ground.versions.image(GATEWAY_IMAGE).unwrap_or_else(gateway_name);
    let (repository, rest) = split_image(&image);
    values.push(("image.repository", repository.to_owned()));
    if let Some((key, value)) = rest {
        values.push((key, value.to_owned()));
    }
    if ground.node_ports {
        values.push(("service.httpNodePort", NODE_HTTP.to_string()));
        values.push(("service.httpsNodePort", NODE_HTTPS.to_string()));
    }
    if ground.traced {
        values.push(("tracing.endpoint", COLLECTOR.to_owned()));
    }
    values
}

/// An image's name, and the value of the chart that takes the rest.
fn split_image(image: &str) -> (&str, Option<(&'static str, &str)>) {
    if let Some((name, digest)) = image.split_once('@') {
        return (name, Some(("image.digest", digest)));
    }
    match image.rsplit_once(':') {
        Some((name, tag)) if !tag.contains('/') => (name, Some(("image.tag", tag))),
        _ => (image, None),
    }
}

/// What the chart's values would do.
fn adapt(ground: &Ground<'_>, object: &mut Object) -> Result<(), String> {
    if object.name() == proxy_service() && ground.node_ports {
        object.set("/spec/ports/0/nodePort", NODE_HTTP.into())?;
        object.set("/spec/ports/1/nodePort", NODE_HTTPS.into())?;
    }
    if object.name() == gateway() && ground.traced {
        let mut variables =
            object.value().pointer("/spec/template/spec/containers/0/env").cloned().unwrap_or(json!([]));
        let ours = [
            ("OTEL_EXPORTER_OTLP_ENDPOINT", COLLECTOR),
            ("OTEL_SERVICE_NAME", GATEWAY),
            ("OTEL_TRACES_SAMPLER_ARG", "1"),
        ];
        if let Value::Array(variables) = &mut variables {
            variables.extend(ours.map(|(name, value)| json!({"name": name, "value": value})));
        }
        object.set("/spec/template/spec/containers/0/env", variables)?;
    }
    Ok(())
}

pub(super) async fn uninstall(
    caller: &Caller,
    kubeconfig: &Path,
    namespace: &str,
    name: &str,
) -> Result<(), String> {
    let helm = Call::new("helm uninstall --ignore-not-found --wait --timeout 4m")
        .arg(name)
        .args(["--namespace", namespace]);
    caller.done(helm.arg("--kubeconfig").arg(kubeconfig.display().to_string()).within(HELM)).await.map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn images_are_split_as_the_chart_takes_them() {
        assert_eq!(split_image("limen/gateway:0.1.0"), ("limen/gateway", Some(("image.tag", "0.1.0"))));
        assert_eq!(split_image("r:5000/gateway"), ("r:5000/gateway", None));
        assert_eq!(split_image("r/g@sha256:1"), ("r/g", Some(("image.digest", "sha256:1"))));
    }
}
