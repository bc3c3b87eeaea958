//! Group, kind, namespace and name as one typed key, and its one form as text.

use std::fmt;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

use super::{Kind, Readable};

/// Which object.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ObjectKey {
    pub kind: Kind,
    /// Empty for cluster-scoped kinds.
    pub namespace: String,
    pub name: String,
}

impl ObjectKey {
    pub fn new(kind: Kind, namespace: impl Into<String>, name: impl Into<String>) -> ObjectKey {
        ObjectKey { kind, namespace: namespace.into(), name: name.into() }
    }

    /// The key of an object of this kind with this metadata. A cluster-scoped object has no namespace, also
    /// when its author wrote one.
    pub fn of(kind: Kind, meta: &ObjectMeta) -> ObjectKey {
        let namespace =
            if kind.is_namespaced() { meta.namespace.clone().unwrap_or_default() } else { String::new() };
        ObjectKey { kind, namespace, name: meta.name.clone().unwrap_or_default() }
    }

    pub fn of_object<T: Readable>(object: &T) -> ObjectKey {
        ObjectKey::of(T::OBJECT_KIND, object.metadata())
    }

    /// Reads what `Display` writes; nothing for other text, such as a place in a file.
    pub fn parse(text: &str) -> Option<ObjectKey> {
        let (kind, rest) = text.split_once(' ')?;
        let kind = *Kind::ALL.iter().find(|known| known.as_str() == kind)?;
        match (kind.is_namespaced(), rest.split_once('/')) {
            (true, Some((namespace, name))) => Some(ObjectKey::new(kind, namespace, name)),
            (false, None) => Some(ObjectKey::new(kind, "", rest)),
            _ => None,
        }
    }
}

impl fmt::Display for ObjectKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ", self.kind)?;
        if !self.namespace.is_empty() {
            write!(f, "{}/", self.namespace)?;
        }
        f.write_str(&self.name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_form_reads_back() {
        for key in [
            ObjectKey::new(Kind::Ingress, "echo", "kong-ingress"),
            ObjectKey::new(Kind::KongClusterPlugin, "", "ip-restriction"),
        ] {
            assert_eq!(ObjectKey::parse(&key.to_string()), Some(key));
        }
        assert_eq!(ObjectKey::parse("objects/a.yaml:12"), None);
        assert_eq!(ObjectKey::parse("Ingress nowhere"), None);
    }

    #[test]
    fn a_namespace_on_a_cluster_scoped_object_is_cleared() {
        let meta = ObjectMeta {
            name: Some("ip-restriction".to_owned()),
            namespace: Some("echo".to_owned()),
            ..ObjectMeta::default()
        };
        assert_eq!(ObjectKey::of(Kind::KongClusterPlugin, &meta).namespace, "");
    }
}
