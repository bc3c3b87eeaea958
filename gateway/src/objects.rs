//! The closed list of kinds the gateway reads, as one enum: where each is found, which type holds it.
//!
//! A new kind is one row of [`kinds!`] and, if it is not one of Kubernetes' own, one file below. What the
//! objects mean is `translate`'s business; nothing here knows the model.

pub mod annotations;
mod class_parameters;
mod consumer_object;
mod custom;
mod key;
mod plugin_object;
mod upstream_policy;
pub mod yaml;

use std::fmt;
use std::sync::Arc;

use k8s_openapi::api::core::v1::{Secret, Service};
use k8s_openapi::api::discovery::v1::EndpointSlice;
use k8s_openapi::api::networking::v1::{Ingress, IngressClass};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

pub use class_parameters::{IngressClassParameters, IngressClassParametersSpec};
pub use consumer_object::{ConsumerSpec, ControlPlaneRef, KongConsumer};
pub use custom::Status;
pub use key::ObjectKey;
pub use plugin_object::{ConfigPatch, ConfigSource, KongClusterPlugin, KongPlugin, PluginSpec, SecretKeyRef};
pub use upstream_policy::{
    ActiveHealthcheck, Hash, HealthyRules, KongUpstreamPolicy, PassiveHealthcheck, UnhealthyRules,
    UpstreamHealthchecks, UpstreamPolicySpec,
};

/// A type of object the gateway reads.
pub trait Readable:
    k8s_openapi::Resource
    + k8s_openapi::Metadata<Ty = ObjectMeta>
    + serde::de::DeserializeOwned
    + serde::Serialize
    + Clone
    + Send
    + Sync
    + 'static
{
    const OBJECT_KIND: Kind;

    /// Wraps it for transport to the store.
    fn into_object(self) -> Object;

    /// The object as this type, if it is one.
    fn of(object: &Object) -> Option<&Arc<Self>>;

    /// Drops what nobody here reads, so that a large cluster stays small in memory.
    fn trim(&mut self) {}
}

macro_rules! kinds {
    ($($name:ident, $scope:ident, $plural:literal;)+) => {
        /// The kinds, in the order in which they are watched and listed.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Kind {
            $($name,)+
        }

        /// One object of any of the kinds.
        #[derive(Clone)]
        pub enum Object {
            $($name(Arc<$name>),)+
        }

        impl Kind {
            pub const ALL: &'static [Kind] = &[$(Kind::$name,)+];

            pub fn as_str(self) -> &'static str {
                match self {
                    $(Kind::$name => <$name as k8s_openapi::Resource>::KIND,)+
                }
            }

            /// API group; empty for the core group.
            pub fn group(self) -> &'static str {
                match self {
                    $(Kind::$name => <$name as k8s_openapi::Resource>::GROUP,)+
                }
            }

            pub fn version(self) -> &'static str {
                match self {
                    $(Kind::$name => <$name as k8s_openapi::Resource>::VERSION,)+
                }
            }

            /// `v1`, or `group/v1`.
            pub fn api_version(self) -> &'static str {
                match self {
                    $(Kind::$name => <$name as k8s_openapi::Resource>::API_VERSION,)+
                }
            }

            /// The word in URLs and in RBAC rules.
            pub fn plural(self) -> &'static str {
                match self {
                    $(Kind::$name => $plural,)+
                }
            }

            pub fn is_namespaced(self) -> bool {
                match self {
                    $(Kind::$name => kinds!(@namespaced $scope),)+
                }
            }
        }

        impl Object {
            pub fn kind(&self) -> Kind {
                match self {
                    $(Object::$name(_) => Kind::$name,)+
                }
            }

            pub fn meta(&self) -> &ObjectMeta {
                match self {
                    $(Object::$name(object) => &object.metadata,)+
                }
            }

            /// Changes its metadata; other holders of the object keep theirs.
            pub fn change_meta(&mut self, change: impl FnOnce(&mut ObjectMeta)) {
                match self {
                    $(Object::$name(object) => change(&mut Arc::make_mut(object).metadata),)+
                }
            }

            /// Reads an object of this kind from its JSON form.
            pub fn read(kind: Kind, value: serde_json::Value) -> Result<Object, serde_json::Error> {
                Ok(match kind {
                    $(Kind::$name => {
                        let mut object: $name = serde_json::from_value(value)?;
                        object.trim();
                        object.into_object()
                    })+
                })
            }

            /// Its JSON form: what of the input was understood.
            pub fn to_value(&self) -> Result<serde_json::Value, serde_json::Error> {
                match self {
                    $(Object::$name(object) => serde_json::to_value(&**object),)+
                }
            }
        }
    };
    (@namespaced Namespaced) => { true };
    (@namespaced Cluster) => { false };
}

kinds! {
    Ingress,                Namespaced, "ingresses";
    IngressClass,           Cluster,    "ingressclasses";
    IngressClassParameters, Namespaced, "ingressclassparameterses";
    Service,                Namespaced, "services";
    EndpointSlice,          Namespaced, "endpointslices";
    Secret,                 Namespaced, "secrets";
    KongPlugin,             Namespaced, "kongplugins";
    KongClusterPlugin,      Cluster,    "kongclusterplugins";
    KongConsumer,           Namespaced, "kongconsumers";
    KongUpstreamPolicy,     Namespaced, "kongupstreampolicies";
}

macro_rules! readable {
    ($($name:ident $(, trim = $trim:expr)?;)+) => {
        $(impl Readable for $name {
            const OBJECT_KIND: Kind = Kind::$name;

            fn into_object(self) -> Object {
                Object::$name(Arc::new(self))
            }

            fn of(object: &Object) -> Option<&Arc<Self>> {
                match object {
                    Object::$name(object) => Some(object),
                    _ => None,
                }
            }

            fn trim(&mut self) {
                trim_meta(&mut self.metadata);
                $(($trim)(self);)?
            }
        })+
    };
}

readable! {
    Ingress;
    IngressClass;
    IngressClassParameters;
    Service;
    EndpointSlice, trim = trim_slice;
    Secret, trim = trim_secret;
    KongPlugin;
    KongClusterPlugin;
    KongConsumer;
    KongUpstreamPolicy;
}

/// The annotation in which `kubectl apply` keeps a second copy of the object.
const LAST_APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";

/// Who wrote the status is all that is read of `managedFields`.
fn trim_meta(meta: &mut ObjectMeta) {
    if let Some(annotations) = &mut meta.annotations {
        annotations.remove(LAST_APPLIED);
    }
    if let Some(mut fields) = meta.managed_fields.take() {
        fields.retain(|entry| entry.subresource.as_deref() == Some("status"));
        for entry in &mut fields {
            entry.fields_v1 = None;
        }
        meta.managed_fields = (!fields.is_empty()).then_some(fields);
    }
    meta.owner_references = None;
}

/// Secrets of these types are never ours and can be large.
fn trim_secret(secret: &mut Secret) {
    let foreign = matches!(
        secret.type_.as_deref(),
        Some("helm.sh/release.v1" | "kubernetes.io/service-account-token" | "kubernetes.io/dockerconfigjson")
    );
    if foreign {
        secret.data = None;
    }
    secret.string_data = None;
}

fn trim_slice(slice: &mut EndpointSlice) {
    for endpoint in &mut slice.endpoints {
        endpoint.target_ref = None;
        endpoint.node_name = None;
        endpoint.zone = None;
        endpoint.hints = None;
        endpoint.deprecated_topology = None;
    }
}

impl Kind {
    /// The kind of an object as written, by `kind` and API group. Its version may still be a wrong one.
    pub fn find(kind: &str, group: &str) -> Option<Kind> {
        Self::ALL.iter().copied().find(|known| known.as_str() == kind && known.group() == group)
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Object {
    pub fn key(&self) -> ObjectKey {
        ObjectKey::of(self.kind(), self.meta())
    }
}

/// Never the contents: they may be Secrets.
impl fmt::Debug for Object {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.key())
    }
}
