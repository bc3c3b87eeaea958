//! Names, ids, tags and times of entities, as Kong's own ingress controller makes them.
//!
//! Ids are version-5 UUIDs of names in Kong's namespaces, so they are the same after every restart and on
//! every replica, and the same that Kong would have used.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use uuid::{Uuid, uuid};

use super::annotation_values::comma_list;
use crate::model::Origin;
use crate::objects::{ObjectKey, annotations};

/// The namespace Kong derives its own from, one per type of entity.
const ENTITIES: Uuid = uuid!("fd02801f-0957-4a15-a55a-c8d9606f30b5");

/// The id of an entity of a type, for example `routes`, by what names it.
pub(super) fn entity_id(entity: &str, name: &str) -> Uuid {
    Uuid::new_v5(&Uuid::new_v5(&ENTITIES, entity.as_bytes()), name.as_bytes())
}

/// The object's own id, or one made of its name where it has none (objects from files).
pub(super) fn object_id(entity: &str, key: &ObjectKey, meta: &ObjectMeta) -> Uuid {
    meta.uid
        .as_deref()
        .and_then(|uid| Uuid::try_parse(uid).ok())
        .unwrap_or_else(|| entity_id(entity, &format!("{}/{}", key.namespace, key.name)))
}

/// Where the entity came from and what its author put on it.
pub(super) fn tags(key: &ObjectKey, meta: &ObjectMeta) -> Vec<String> {
    let mut tags = vec![format!("k8s-name:{}", key.name)];
    if !key.namespace.is_empty() {
        tags.push(format!("k8s-namespace:{}", key.namespace));
    }
    tags.push(format!("k8s-kind:{}", key.kind));
    if let Some(uid) = &meta.uid {
        tags.push(format!("k8s-uid:{uid}"));
    }
    if !key.kind.group().is_empty() {
        tags.push(format!("k8s-group:{}", key.kind.group()));
    }
    tags.push(format!("k8s-version:{}", key.kind.version()));
    for tag in comma_list(meta.annotations.as_ref().and_then(|all| all.get(annotations::TAGS))) {
        if !tags.contains(&tag) {
            tags.push(tag);
        }
    }
    tags
}

/// When the object was made, in Unix seconds; 0 when nobody knows.
pub(super) fn created(meta: &ObjectMeta) -> i64 {
    meta.creation_timestamp.as_ref().map_or(0, |time| time.0.as_second())
}

/// The object as an origin.
pub(super) fn origin(key: &ObjectKey) -> Origin {
    Origin::new(key.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_kongs() {
        let id = |entity, name| entity_id(entity, name).to_string();
        assert_eq!(id("services", "foo-namespace.foo-svc.80"), "fe1e2edc-5479-52fe-b0f4-b90d8d5f83ba");
        assert_eq!(id("routes", "default.httpbin.httpbin..80"), "5df756b2-ceba-55e3-b9dc-a7e4dfbe6947");
        assert_eq!(id("consumers", "consumer"), "7deb6e70-60be-5dd2-b374-06551479ea5e");
        let plugin = "correlation-id:route/default.httpbin.httpbin..80";
        assert_eq!(id("plugins", plugin), "61a22b86-f859-5c8a-a23c-97b92b14b635");
    }
}
