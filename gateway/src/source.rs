//! What a source of objects is: a bounded stream of changes, and the list of things it will have listed
//! before anything may be published.
//!
//! A source reads; it doesn't judge. Whatever it can't read it hands on as a fact with a reason.

pub mod directory;
pub mod kubernetes;

use std::fmt;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use tokio::sync::mpsc;

use crate::objects::{Kind, Object, ObjectKey};

/// How many changes may wait for the controller; a source that is faster waits.
const WAITING_CHANGES: usize = 1024;

/// The controller's end of a source.
pub struct Feed {
    /// Each of these must have been listed once before the first configuration is made.
    pub scopes: Vec<Scope>,
    pub changes: mpsc::Receiver<Change>,
}

/// The source's end.
pub type Changes = mpsc::Sender<Change>;

/// What one watch covers: a kind, in one namespace or everywhere.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Scope {
    pub kind: Kind,
    pub namespace: Option<String>,
    /// Only the object of this name.
    pub name: Option<String>,
}

/// Something that happened.
#[derive(Debug)]
pub enum Change {
    /// All there is in these scopes, replacing what was known of them, in one step.
    Listed(Vec<Listing>),
    Applied(Object),
    /// An object of this key is there, but can't be read.
    Unreadable(Unreadable),
    Deleted(ObjectKey),
    /// A scope can't be read at present, and why. What was read before stays.
    Trouble(Scope, String),
    /// A scope can be read again.
    Restored(Scope),
    /// Everything that is wrong with the source itself, replacing what was said before.
    Faults(Vec<Fault>),
}

/// Something wrong in a source, for example in a file.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Fault {
    /// An object's key, or a place such as `objects/a.yaml:12`.
    pub place: String,
    /// The field at fault; empty when it is about the whole.
    pub field: String,
    pub message: String,
    /// What happens meanwhile.
    pub effect: String,
}

/// The content of a scope.
#[derive(Debug)]
pub struct Listing {
    pub scope: Scope,
    pub objects: Vec<Object>,
    pub unreadable: Vec<Unreadable>,
}

/// An object that is not of the shape its kind has.
#[derive(Debug, Clone)]
pub struct Unreadable {
    pub key: ObjectKey,
    pub meta: Box<ObjectMeta>,
    pub error: String,
}

impl Scope {
    pub fn everywhere(kind: Kind) -> Scope {
        Scope { kind, namespace: None, name: None }
    }

    /// Whether an object belongs to it.
    pub fn covers(&self, key: &ObjectKey) -> bool {
        self.kind == key.kind
            && self.namespace.as_ref().is_none_or(|namespace| *namespace == key.namespace)
            && self.name.as_ref().is_none_or(|name| *name == key.name)
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.kind.as_str())?;
        match (&self.namespace, &self.name) {
            (Some(namespace), Some(name)) => write!(f, " {namespace}/{name}"),
            (Some(namespace), None) => write!(f, " in {namespace}"),
            (None, _) => Ok(()),
        }
    }
}

/// Both ends of a source that covers `scopes`.
pub fn channel(scopes: Vec<Scope>) -> (Changes, Feed) {
    let (sender, changes) = mpsc::channel(WAITING_CHANGES);
    (sender, Feed { scopes, changes })
}
