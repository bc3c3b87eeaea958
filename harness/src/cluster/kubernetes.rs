//! The verbs, spoken to a real API by `kube`.

use std::path::Path;

use async_trait::async_trait;
use kube::api::{DeleteParams, DynamicObject, ListParams, LogParams, Patch, PatchParams, PostParams};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::discovery::{ApiCapabilities, ApiResource, Discovery, Scope};
use kube::{Api, Client, Config};
use serde_json::Value;
use tokio::sync::RwLock;

use super::Cluster;
use crate::scenario::values::ObjectName;

/// Who owns the fields that are applied.
const MANAGER: &str = "harness";

/// A cluster behind an API server.
pub struct Kubernetes {
    client: Client,
    /// Kinds known so far; read anew when one is missing, as CRDs come later.
    kinds: RwLock<Vec<(ApiResource, ApiCapabilities)>>,
}

impl Kubernetes {
    /// # Errors
    /// The kubeconfig can't be used.
    pub async fn open(kubeconfig: &Path) -> Result<Kubernetes, String> {
        let failed =
            |error: &dyn std::fmt::Display| format!("failed to use {}: {error}", kubeconfig.display());
        let file = Kubeconfig::read_from(kubeconfig).map_err(|error| failed(&error))?;
        let mut config = Config::from_custom_kubeconfig(file, &KubeConfigOptions::default())
            .await
            .map_err(|error| failed(&error))?;
        // Nothing of the environment's proxies between us and a cluster on this machine.
        config.proxy_url = None;
        let client = Client::try_from(config).map_err(|error| failed(&error))?;
        Ok(Kubernetes { client, kinds: RwLock::new(Vec::new()) })
    }

    pub fn client(&self) -> &Client {
        &self.client
    }

    /// Whether objects of a kind are in namespaces.
    ///
    /// # Errors
    /// There is no such kind.
    pub async fn is_namespaced(&self, kind: &str) -> Result<bool, String> {
        self.kind(kind).await.map(|(_, capabilities)| capabilities.scope == Scope::Namespaced)
    }

    /// Puts an object back as it was; its version and what the server keeps about it don't count.
    ///
    /// # Errors
    /// What the API server refused.
    pub async fn put_back(&self, object: &Value) -> Result<(), String> {
        let name = crate::manifest::name_of(object);
        let refused =
            |error: kube::Error| format!("the API server refused to put {name} back: {}", words(&error));
        let api = self.api_of(&name).await?;
        let mut was: DynamicObject =
            serde_json::from_value(object.clone()).map_err(|error| format!("{name}: {error}"))?;
        was.metadata.managed_fields = None;
        was.metadata.uid = None;
        was.metadata.creation_timestamp = None;
        let now = api.get_opt(&name.name).await.map_err(refused)?;
        was.metadata.resource_version = now.as_ref().and_then(|now| now.metadata.resource_version.clone());
        let params = PostParams { field_manager: Some(MANAGER.to_owned()), ..PostParams::default() };
        let put = match now {
            Some(_) => api.replace(&name.name, &params, &was).await,
            None => api.create(&params, &was).await,
        };
        put.map(drop).map_err(refused)
    }

    /// What would be stored if this object were made, with all that admission adds to it.
    ///
    /// # Errors
    /// What the API server refused.
    pub async fn try_out(&self, object: &Value) -> Result<Value, String> {
        let name = crate::manifest::name_of(object);
        let api = self.api_of(&name).await?;
        let tried: DynamicObject =
            serde_json::from_value(object.clone()).map_err(|error| format!("{name}: {error}"))?;
        let params = PostParams { dry_run: true, field_manager: Some(MANAGER.to_owned()) };
        let made = api.create(&params, &tried).await;
        let made = made.map_err(|error| format!("the API server refused {name}: {}", words(&error)))?;
        to_value(&made)
    }

    /// A merge patch of an object's status.
    ///
    /// # Errors
    /// What the API server refused.
    pub async fn merge_status(&self, name: &ObjectName, patch: &Value) -> Result<(), String> {
        let api = self.api_of(name).await?;
        let params = PatchParams { field_manager: Some(MANAGER.to_owned()), ..PatchParams::default() };
        let merged = api.patch_status(&name.name, &params, &Patch::Merge(patch)).await;
        merged.map(drop).map_err(|error| {
            format!("the API server refused to change the status of {name}: {}", words(&error))
        })
    }

    async fn kind(&self, kind: &str) -> Result<(ApiResource, ApiCapabilities), String> {
        if let Some(known) = self.kinds.read().await.iter().find(|(resource, _)| resource.kind == kind) {
            return Ok(known.clone());
        }
        let discovery = Discovery::new(self.client.clone())
            .run_aggregated()
            .await
            .map_err(|error| format!("failed to ask the API server for its kinds: {error}"))?;
        // The core group first: its kinds are meant where others have the same name.
        let mut groups: Vec<_> = discovery.groups().collect();
        groups.sort_by_key(|group| group.name().to_owned());
        let found: Vec<_> =
            groups.into_iter().flat_map(kube::discovery::ApiGroup::recommended_resources).collect();
        let mut kinds = self.kinds.write().await;
        *kinds = found;
        let known = kinds.iter().find(|(resource, _)| resource.kind == kind).cloned();
        known.ok_or_else(|| {
            let names: Vec<&str> = kinds.iter().map(|(resource, _)| resource.kind.as_str()).collect();
            let hint = crate::scenario::fault::nearest(kind, names).map_or_else(
                || "is its CustomResourceDefinition applied?".to_owned(),
                |name| format!("did you mean {name}?"),
            );
            format!("the cluster has no kind {kind}; {hint}")
        })
    }

    async fn api(&self, kind: &str, namespace: &str) -> Result<(Api<DynamicObject>, ApiResource), String> {
        let (resource, capabilities) = self.kind(kind).await?;
        let namespaced = capabilities.scope == Scope::Namespaced;
        let api = match (namespaced, namespace) {
            (true, "") => Api::all_with(self.client.clone(), &resource),
            (true, namespace) => Api::namespaced_with(self.client.clone(), namespace, &resource),
            (false, _) => Api::all_with(self.client.clone(), &resource),
        };
        Ok((api, resource))
    }

    /// The API of one object; a namespaced kind without a namespace is in `default`.
    async fn api_of(&self, name: &ObjectName) -> Result<Api<DynamicObject>, String> {
        let namespace = if name.namespace.is_empty() { "default" } else { &name.namespace };
        self.api(&name.kind, namespace).await.map(|(api, _)| api)
    }
}

#[async_trait]
impl Cluster for Kubernetes {
    async fn apply(&self, object: &Value) -> Result<Value, String> {
        let name = crate::manifest::name_of(object);
        let api = self.api_of(&name).await?;
        let params = PatchParams::apply(MANAGER).force();
        let stored = api.patch(&name.name, &params, &Patch::Apply(object)).await;
        let stored = stored.map_err(|error| format!("the API server refused {name}: {}", words(&error)))?;
        to_value(&stored)
    }

    async fn merge(&self, name: &ObjectName, patch: &Value) -> Result<Value, String> {
        let api = self.api_of(name).await?;
        let params = PatchParams { field_manager: Some(MANAGER.to_owned()), ..PatchParams::default() };
        let stored = api.patch(&name.name, &params, &Patch::Merge(patch)).await;
        let stored =
            stored.map_err(|error| format!("the API server refused to change {name}: {}", words(&error)))?;
        to_value(&stored)
    }

    async fn delete(&self, name: &ObjectName, now: bool) -> Result<bool, String> {
        let api = self.api_of(name).await?;
        let params = if now { DeleteParams::default().grace_period(0) } else { DeleteParams::default() };
        match api.delete(&name.name, &params).await {
            Ok(_) => Ok(true),
            Err(kube::Error::Api(status)) if status.code == 404 => Ok(false),
            Err(error) => Err(format!("the API server refused to delete {name}: {}", words(&error))),
        }
    }

    async fn get(&self, name: &ObjectName) -> Result<Option<Value>, String> {
        let api = self.api_of(name).await?;
        let found = match api.get_opt(&name.name).await {
            // Its kind is gone, and all of that kind with it.
            Err(kube::Error::Api(status)) if status.code == 404 => Ok(None),
            found => found,
        };
        let found = found.map_err(|error| format!("failed to read {name}: {}", words(&error)))?;
        found.as_ref().map(to_value).transpose()
    }

    async fn list(&self, kind: &str, namespace: &str, selector: &str) -> Result<Vec<Value>, String> {
        let (api, resource) = self.api(kind, namespace).await?;
        let params = ListParams::default().labels(selector);
        let found = api.list(&params).await;
        let found = found.map_err(|error| format!("failed to list {kind}: {}", words(&error)))?;
        let mut objects = found.items.iter().map(to_value).collect::<Result<Vec<_>, _>>()?;
        for object in &mut objects {
            // Items of a list don't repeat what the list is of.
            object["apiVersion"] = resource.api_version.clone().into();
            object["kind"] = resource.kind.clone().into();
        }
        Ok(objects)
    }

    async fn logs(
        &self,
        namespace: &str,
        pod: &str,
        container: &str,
        previous: bool,
    ) -> Result<String, String> {
        let pods: Api<k8s_openapi::api::core::v1::Pod> = Api::namespaced(self.client.clone(), namespace);
        let params = LogParams {
            container: Some(container.to_owned()),
            previous,
            tail_lines: Some(2_000),
            ..LogParams::default()
        };
        pods.logs(pod, &params).await.map_err(|error| words(&error))
    }

    async fn group(&self, kind: &str) -> Result<String, String> {
        self.kind(kind).await.map(|(resource, _)| resource.group)
    }
}

fn to_value(object: &DynamicObject) -> Result<Value, String> {
    serde_json::to_value(object).map_err(|error| error.to_string())
}

/// The API server's own message where there is one.
fn words(error: &kube::Error) -> String {
    match error {
        kube::Error::Api(status) => format!("{} ({} {})", status.message, status.code, status.reason),
        other => {
            let mut text = other.to_string();
            let mut source = std::error::Error::source(other);
            while let Some(cause) = source {
                let cause_text = cause.to_string();
                if !text.contains(&cause_text) {
                    text = format!("{text}: {cause_text}");
                }
                source = cause.source();
            }
            text
        }
    }
}
