//! Which objects are ours: the class rule.

use std::sync::Arc;

use k8s_openapi::api::networking::v1::{Ingress, IngressClass};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

use super::problems::Problems;
use crate::objects::{
    IngressClassParameters, IngressClassParametersSpec, Kind, ObjectKey, Readable, annotations,
};
use crate::store::Store;

/// The class this gateway serves.
pub(super) struct Class<'a> {
    name: &'a str,
    /// The `IngressClass` object; matching is by name and works without it.
    object: Option<&'a Arc<IngressClass>>,
}

impl<'a> Class<'a> {
    pub(super) fn find(store: &'a Store, name: &'a str) -> Class<'a> {
        Class { name, object: store.get::<IngressClass>("", name) }
    }

    /// Ours, oldest first.
    pub(super) fn ingresses(&self, store: &'a Store) -> Vec<&'a Arc<Ingress>> {
        let mut ours: Vec<_> = store.all::<Ingress>().filter(|ingress| self.takes_ingress(ingress)).collect();
        ours.sort_by_cached_key(|ingress| age(&***ingress));
        ours
    }

    /// Whether an object that names its class in an annotation is ours.
    pub(super) fn takes(&self, meta: &ObjectMeta) -> bool {
        match class_annotation(meta) {
            Some(class) => class == self.name,
            None => self.is_default(),
        }
    }

    /// Settings for every Ingress of the class.
    pub(super) fn parameters(&self, store: &Store, problems: &mut Problems) -> IngressClassParametersSpec {
        let none = IngressClassParametersSpec::default();
        let Some(reference) =
            self.object.and_then(|class| class.spec.as_ref()).and_then(|spec| spec.parameters.as_ref())
        else {
            return none;
        };
        let key = ObjectKey::new(Kind::IngressClass, "", self.name);
        let field = "spec.parameters";
        let effect = "the class has no settings of its own";
        let kind = Kind::IngressClassParameters;
        if reference.kind != kind.as_str() || reference.api_group.as_deref() != Some(kind.group()) {
            let message = format!("expected {kind} of {}, got {}", kind.group(), reference.kind);
            problems.add(&key, field, message, effect);
            return none;
        }
        let Some(namespace) = &reference.namespace else {
            problems.add(&key, field, "scope Namespace and a namespace are needed", effect);
            return none;
        };
        if let Some(parameters) = store.get::<IngressClassParameters>(namespace, &reference.name) {
            parameters.spec
        } else {
            problems.add(&key, field, format!("no {kind} {namespace}/{}", reference.name), effect);
            none
        }
    }

    fn takes_ingress(&self, ingress: &Ingress) -> bool {
        if let Some(class) = class_annotation(&ingress.metadata) {
            return class == self.name;
        }
        let named = ingress.spec.as_ref().and_then(|spec| spec.ingress_class_name.as_deref());
        match named.filter(|name| !name.is_empty()) {
            Some(class) => class == self.name,
            None => self.is_default(),
        }
    }

    /// Objects without a class belong to the class whose `IngressClass` is marked as the default.
    fn is_default(&self) -> bool {
        let annotations = self.object.and_then(|class| class.metadata.annotations.as_ref());
        annotations.and_then(|all| all.get(annotations::DEFAULT_CLASS)).is_some_and(|mark| mark == "true")
    }
}

fn class_annotation(meta: &ObjectMeta) -> Option<&str> {
    let class = meta.annotations.as_ref()?.get(annotations::INGRESS_CLASS)?;
    (!class.is_empty()).then_some(class)
}

/// Sorts older objects first; those that don't know their age come before, by name.
pub(super) fn age<T: Readable>(object: &T) -> (i64, ObjectKey) {
    (super::names::created(object.metadata()), ObjectKey::of_object(object))
}
