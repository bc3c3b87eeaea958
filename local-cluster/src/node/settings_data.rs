//! The data of ConfigMaps and Secrets, for variables and files of pods.

use std::collections::BTreeMap;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::kinds;
use crate::objects::Objects;

/// What a pod needs and doesn't find; says in words what.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error("{0}")]
pub(super) struct Missing(pub(super) String);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum DataKind {
    ConfigMap,
    Secret,
}

/// Values by key.
#[derive(Debug, PartialEq)]
pub(super) struct Data {
    named: String,
    pub(super) values: BTreeMap<String, Vec<u8>>,
}

impl Data {
    pub(super) fn read(
        objects: &Objects,
        kind: DataKind,
        namespace: &str,
        name: &str,
    ) -> Result<Data, Missing> {
        let (resource, word) = match kind {
            DataKind::ConfigMap => (kinds::config_maps(), "configmap"),
            DataKind::Secret => (kinds::secrets(), "secret"),
        };
        let found = objects.get(&resource, namespace, name);
        let object = found.ok_or_else(|| Missing(format!("{word} \"{name}\" not found")))?;
        let texts = |field: &str| {
            let entries = object[field].as_object().into_iter().flatten();
            entries
                .map(|(key, value)| (key.clone(), value.as_str().unwrap_or_default().to_owned()))
                .collect::<Vec<_>>()
        };
        let decode = |text: String| STANDARD.decode(text).unwrap_or_default();
        let values = match kind {
            DataKind::ConfigMap => {
                let plain = texts("data").into_iter().map(|(key, text)| (key, text.into_bytes()));
                plain.chain(texts("binaryData").into_iter().map(|(key, text)| (key, decode(text)))).collect()
            }
            DataKind::Secret => texts("data").into_iter().map(|(key, text)| (key, decode(text))).collect(),
        };
        Ok(Data { named: format!("{word} {namespace}/{name}"), values })
    }

    pub(super) fn bytes(&self, key: &str) -> Result<Vec<u8>, Missing> {
        let missing = || Missing(format!("couldn't find key {key} in {}", self.named));
        self.values.get(key).cloned().ok_or_else(missing)
    }

    pub(super) fn text(&self, key: &str) -> Result<String, Missing> {
        self.bytes(key).map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
    }

    pub(super) fn texts(&self) -> impl Iterator<Item = (String, String)> + '_ {
        self.values.iter().map(|(key, value)| (key.clone(), String::from_utf8_lossy(value).into_owned()))
    }
}
