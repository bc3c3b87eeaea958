//! What every namespace has from its first moment: a service account `default`, and the certificate that pods
//! check the API server against.

use std::time::Duration;

use jiff::Timestamp;
use serde_json::{Value, json};

use crate::failure::Failure;
use crate::kinds::{self, is_going, name, namespace};
use crate::objects::{Objects, Part, Resource};

use super::reconciler::{Key, Reconciler, Source};

const CERTIFICATE: &str = "kube-root-ca.crt";

pub(crate) struct NamespaceDefaults {
    pub(crate) ca_certificate: String,
}

impl Reconciler for NamespaceDefaults {
    fn name(&self) -> &'static str {
        "namespace-defaults"
    }

    fn sources(&self) -> Vec<Source> {
        vec![
            Source::own(kinds::namespaces()),
            Source::new(kinds::service_accounts(), |_, account| home_of(account, "default")),
            Source::new(kinds::config_maps(), |_, map| home_of(map, CERTIFICATE)),
        ]
    }

    fn reconcile(&self, objects: &Objects, key: &Key, _: Timestamp) -> Result<Option<Duration>, Failure> {
        let space = objects.get(&kinds::namespaces(), "", &key.name);
        if space.is_none_or(|space| is_going(&space)) {
            return Ok(None);
        }
        let metadata = |name: &str| json!({"name": name, "namespace": key.name});
        let account = json!({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": metadata("default")});
        ensure(objects, &kinds::service_accounts(), account)?;
        let data = json!({"ca.crt": self.ca_certificate});
        let certificate =
            json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata(CERTIFICATE), "data": data});
        ensure(objects, &kinds::config_maps(), certificate)?;
        objects.modify(&kinds::config_maps(), &key.name, CERTIFICATE, Part::AllButStatus, |map| {
            map["data"] = data;
        })?;
        Ok(None)
    }
}

/// The namespace of an object of the given name.
fn home_of(object: &Value, wanted: &str) -> Vec<Key> {
    let key = Key { namespace: String::new(), name: namespace(object).to_owned() };
    Some(key).filter(|_| name(object) == wanted).into_iter().collect()
}

fn ensure(objects: &Objects, resource: &Resource, object: Value) -> Result<(), Failure> {
    if objects.get(resource, namespace(&object), name(&object)).is_some() {
        return Ok(());
    }
    match objects.create(resource, object) {
        Err(failure) if failure.reason != "AlreadyExists" => Err(failure),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::objects::Deletion;

    #[test]
    fn what_is_deleted_comes_back() {
        let objects = Objects::default();
        objects.create(&kinds::namespaces(), json!({"metadata": {"name": "a"}})).unwrap();
        let defaults = NamespaceDefaults { ca_certificate: "PEM".to_owned() };
        let look = || {
            let key = Key { namespace: String::new(), name: "a".to_owned() };
            defaults.reconcile(&objects, &key, Timestamp::UNIX_EPOCH).unwrap();
        };
        look();
        assert!(objects.get(&kinds::service_accounts(), "a", "default").is_some());
        objects.delete(&kinds::config_maps(), "a", CERTIFICATE, &Deletion::default()).unwrap();
        look();
        assert_eq!(objects.get(&kinds::config_maps(), "a", CERTIFICATE).unwrap()["data"]["ca.crt"], "PEM");
    }
}
