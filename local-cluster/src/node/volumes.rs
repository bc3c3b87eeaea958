//! The volumes of a pod as folders on this machine: what is in them, and where containers find them.
//!
//! ConfigMaps, Secrets, the downward API, projected volumes and `emptyDir` are folders of the pod's own;
//! `hostPath` is that path. Any other kind keeps the pod from starting, with an Event that names it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::{
    Container, DownwardAPIVolumeFile, KeyToPath, PodSpec, ServiceAccountTokenProjection, Volume,
    VolumeProjection,
};
use parking_lot::Mutex;
use serde_json::Value;

use super::expansion::expand;
use super::pod_fields::{field, resource};
use super::published_files::{Files, publish};
use super::runtime::Mount;
use super::settings_data::{Data, DataKind, Missing};
use super::{Credentials, Token, TokenRequest};
use crate::kinds::{self, name, namespace, text, uid};
use crate::objects::Objects;

/// Where clients in pods look for their service account.
const ACCOUNT_PATH: &str = "/var/run/secrets/kubernetes.io/serviceaccount";
const ACCOUNT_VOLUME: &str = "..service-account";
/// As the kubelet asks for it.
const TOKEN_LIFE: Duration = Duration::from_secs(3607);

/// The volumes of one pod.
pub(super) struct Volumes {
    folder: PathBuf,
    credentials: Arc<dyn Credentials>,
    ca_certificate: String,
    tokens: Mutex<BTreeMap<String, Token>>,
}

impl Volumes {
    pub(super) fn new(folder: PathBuf, credentials: Arc<dyn Credentials>, ca_certificate: String) -> Volumes {
        Volumes { folder, credentials, ca_certificate, tokens: Mutex::default() }
    }

    /// Makes every volume, and brings those made from objects to what these say now.
    ///
    /// # Errors
    /// Names the volume and what it needs.
    pub(super) fn write(&self, objects: &Objects, pod: &Value, spec: &PodSpec) -> Result<(), Missing> {
        for volume in spec.volumes.iter().flatten() {
            let failed =
                |what: &dyn std::fmt::Display| Missing(format!("volume \"{}\": {what}", volume.name));
            let path = self.folder.join(&volume.name);
            match self.files(objects, pod, spec, volume).map_err(|missing| failed(&missing))? {
                Some(files) => publish(&path, &files).map(drop),
                None if volume.empty_dir.is_some() || volume.ephemeral.is_some() => {
                    std::fs::create_dir_all(&path)
                }
                None => host_folder(volume).map_err(|missing| failed(&missing))?,
            }
            .map_err(|error| failed(&error))?;
        }
        if has_account(objects, pod) {
            let files = self.account(pod)?;
            publish(&self.folder.join(ACCOUNT_VOLUME), &files)
                .map_err(|error| Missing(format!("failed to write the service account's files: {error}")))?;
        }
        Ok(())
    }

    /// The file with the token of the pod's service account, when it has one.
    pub(super) fn account_token(&self, objects: &Objects, pod: &Value) -> Option<PathBuf> {
        has_account(objects, pod).then(|| self.folder.join(ACCOUNT_VOLUME).join("token"))
    }

    /// Where a container finds its volumes; `value` gives the variables that `subPathExpr` may name.
    pub(super) fn mounts(
        &self,
        spec: &PodSpec,
        container: &Container,
        value: impl Fn(&str) -> Option<String>,
    ) -> Vec<Mount> {
        let host_path = |wanted: &str| {
            let volume = spec.volumes.iter().flatten().find(|volume| volume.name == wanted)?;
            volume.host_path.as_ref().map(|host| PathBuf::from(&host.path))
        };
        let account =
            Mount { container_path: ACCOUNT_PATH.to_owned(), path: self.folder.join(ACCOUNT_VOLUME) };
        let mounts = container.volume_mounts.iter().flatten().map(|mount| {
            let volume = host_path(&mount.name).unwrap_or_else(|| self.folder.join(&mount.name));
            let sub_path = mount.sub_path_expr.as_ref().map(|sub_path| expand(sub_path, &value));
            let path = match sub_path.or_else(|| mount.sub_path.clone()) {
                Some(sub_path) => volume.join(sub_path.trim_start_matches('/')),
                None => volume,
            };
            Mount { container_path: mount.mount_path.clone(), path }
        });
        std::iter::once(account).chain(mounts).collect()
    }

    /// What is in a volume that is made of objects; `None` for one that is made otherwise.
    fn files(
        &self,
        objects: &Objects,
        pod: &Value,
        spec: &PodSpec,
        volume: &Volume,
    ) -> Result<Option<Files>, Missing> {
        let space = namespace(pod);
        let mut files = Files::new();
        if let Some(source) = &volume.config_map {
            let optional = source.optional == Some(true);
            let mode = mode(source.default_mode);
            keys(
                objects,
                DataKind::ConfigMap,
                space,
                &source.name,
                &source.items,
                optional,
                mode,
                &mut files,
            )?;
        } else if let Some(source) = &volume.secret {
            let name = source.secret_name.as_deref().unwrap_or_default();
            let optional = source.optional == Some(true);
            let mode = mode(source.default_mode);
            keys(objects, DataKind::Secret, space, name, &source.items, optional, mode, &mut files)?;
        } else if let Some(source) = &volume.downward_api {
            described(pod, spec, source.items.iter().flatten(), mode(source.default_mode), &mut files)?;
        } else if let Some(source) = &volume.projected {
            for projection in source.sources.iter().flatten() {
                self.project(objects, pod, spec, projection, mode(source.default_mode), &mut files)?;
            }
        } else {
            return Ok(None);
        }
        Ok(Some(files))
    }

    fn project(
        &self,
        objects: &Objects,
        pod: &Value,
        spec: &PodSpec,
        projection: &VolumeProjection,
        mode: u32,
        files: &mut Files,
    ) -> Result<(), Missing> {
        let space = namespace(pod);
        if let Some(one) = &projection.config_map {
            let optional = one.optional == Some(true);
            keys(objects, DataKind::ConfigMap, space, &one.name, &one.items, optional, mode, files)?;
        }
        if let Some(one) = &projection.secret {
            let optional = one.optional == Some(true);
            keys(objects, DataKind::Secret, space, &one.name, &one.items, optional, mode, files)?;
        }
        if let Some(one) = &projection.downward_api {
            described(pod, spec, one.items.iter().flatten(), mode, files)?;
        }
        if let Some(one) = &projection.service_account_token {
            files.insert(one.path.clone(), (self.token(pod, one)?.into_bytes(), 0o600));
        }
        if projection.cluster_trust_bundle.is_some() {
            return Err(Missing("clusterTrustBundle is not supported in this cluster".to_owned()));
        }
        Ok(())
    }

    fn account(&self, pod: &Value) -> Result<Files, Missing> {
        let wanted = ServiceAccountTokenProjection { path: "token".to_owned(), ..Default::default() };
        let token = self.token(pod, &wanted)?;
        Ok(Files::from([
            ("token".to_owned(), (token.into_bytes(), 0o600)),
            ("ca.crt".to_owned(), (self.ca_certificate.clone().into_bytes(), 0o644)),
            ("namespace".to_owned(), (namespace(pod).as_bytes().to_vec(), 0o644)),
        ]))
    }

    /// A token that holds for some time yet: the one there is, or a new one when four fifths of its life are over.
    fn token(&self, pod: &Value, wanted: &ServiceAccountTokenProjection) -> Result<String, Missing> {
        let audience = wanted.audience.clone().unwrap_or_default();
        let now = Timestamp::now();
        let mut tokens = self.tokens.lock();
        if let Some(token) = tokens.get(&audience).filter(|token| token.renew_at > now) {
            return Ok(token.token.clone());
        }
        let seconds = wanted.expiration_seconds.and_then(|seconds| u64::try_from(seconds).ok());
        let account = text(pod, "/spec/serviceAccountName");
        let request = TokenRequest {
            namespace: namespace(pod).to_owned(),
            service_account: if account.is_empty() { "default" } else { account }.to_owned(),
            audience: wanted.audience.clone(),
            life: seconds.map_or(TOKEN_LIFE, Duration::from_secs),
            pod_name: name(pod).to_owned(),
            pod_uid: uid(pod).to_owned(),
        };
        let minted = self.credentials.token(&request).map_err(|failure| {
            Missing(format!("no token for service account {}: {failure}", request.service_account))
        })?;
        let token = minted.token.clone();
        tokens.insert(audience, minted);
        Ok(token)
    }
}

fn host_folder(volume: &Volume) -> Result<std::io::Result<()>, Missing> {
    let Some(host) = &volume.host_path else {
        return Err(Missing("volumes of this kind are not supported in this cluster".to_owned()));
    };
    let path = Path::new(&host.path);
    match host.type_.as_deref() {
        Some("DirectoryOrCreate") => Ok(std::fs::create_dir_all(path)),
        None | Some("") => Ok(Ok(())),
        Some(_) if path.exists() => Ok(Ok(())),
        Some(kind) => Err(Missing(format!("hostPath {} is not a {kind}", host.path))),
    }
}

fn mode(given: Option<i32>) -> u32 {
    given.and_then(|mode| u32::try_from(mode).ok()).unwrap_or(0o644)
}

/// Whether the pod gets the token of its service account.
fn has_account(objects: &Objects, pod: &Value) -> bool {
    let asked = |object: &Value, pointer: &str| object.pointer(pointer).and_then(Value::as_bool);
    let account = text(pod, "/spec/serviceAccountName");
    let account = if account.is_empty() { "default" } else { account };
    asked(pod, "/spec/automountServiceAccountToken").unwrap_or_else(|| {
        let account = objects.get(&kinds::service_accounts(), namespace(pod), account);
        account.and_then(|account| asked(&account, "/automountServiceAccountToken")).unwrap_or(true)
    })
}

#[expect(
    clippy::too_many_arguments,
    reason = "ConfigMaps and Secrets name the same things in three forms each"
)]
fn keys(
    objects: &Objects,
    kind: DataKind,
    space: &str,
    name: &str,
    items: &Option<Vec<KeyToPath>>,
    optional: bool,
    default_mode: u32,
    files: &mut Files,
) -> Result<(), Missing> {
    let data = match Data::read(objects, kind, space, name) {
        Err(_) if optional => return Ok(()),
        data => data?,
    };
    match items {
        None => files.extend(data.values.into_iter().map(|(key, bytes)| (key, (bytes, default_mode)))),
        Some(items) => {
            for item in items {
                match data.bytes(&item.key) {
                    Ok(bytes) => {
                        let mode = item.mode.map_or(default_mode, |given| mode(Some(given)));
                        files.insert(item.path.clone(), (bytes, mode));
                    }
                    Err(_) if optional => {}
                    Err(missing) => return Err(missing),
                }
            }
        }
    }
    Ok(())
}

fn described<'a>(
    pod: &Value,
    spec: &PodSpec,
    items: impl Iterator<Item = &'a DownwardAPIVolumeFile>,
    default_mode: u32,
    files: &mut Files,
) -> Result<(), Missing> {
    for item in items {
        let told = match (&item.field_ref, &item.resource_field_ref) {
            (Some(wanted), _) => field(pod, &wanted.field_path)?,
            (None, Some(wanted)) => {
                let named = wanted.container_name.as_ref();
                let container = spec.containers.iter().find(|one| Some(&one.name) == named);
                let container =
                    container.ok_or_else(|| Missing(format!("file {} names no container", item.path)))?;
                resource(pod, container, wanted)?
            }
            (None, None) => continue,
        };
        let mode = item.mode.map_or(default_mode, |given| mode(Some(given)));
        files.insert(item.path.clone(), (told.into_bytes(), mode));
    }
    Ok(())
}

#[cfg(test)]
mod tests;
