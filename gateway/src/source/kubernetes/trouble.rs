//! Why a watch fails, in words that say what to do.

use std::error::Error;
use std::time::Duration;

use kube::core::Status;
use kube::runtime::watcher;

use crate::objects::Kind;
use crate::source::Scope;

/// One failure.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Trouble {
    text: String,
    code: u16,
}

impl Trouble {
    pub(super) fn of(scope: &Scope, error: &watcher::Error) -> Trouble {
        match error {
            watcher::Error::InitialListFailed(error)
            | watcher::Error::WatchStartFailed(error)
            | watcher::Error::WatchFailed(error) => match error {
                kube::Error::Api(status) => Trouble::answered(scope, status),
                kube::Error::ReadEvents(_) | kube::Error::HyperError(_) => Trouble::broken_off(error),
                other => {
                    Trouble { text: format!("the API server can't be reached: {}", deepest(other)), code: 0 }
                }
            },
            watcher::Error::WatchError(status) => Trouble::answered(scope, status),
            watcher::Error::NoResourceVersion => {
                Trouble { text: "the API server's answer has no resourceVersion".to_owned(), code: 0 }
            }
        }
    }

    pub(super) fn stuck(scope: &Scope, limit: Duration) -> Trouble {
        Trouble { text: format!("the list of {} stood still for {limit:?}", resource(scope.kind)), code: 0 }
    }

    pub(super) fn text(&self) -> &str {
        &self.text
    }

    /// The server doesn't know the kind.
    pub(super) fn is_missing(&self) -> bool {
        self.code == 404
    }

    pub(super) fn is_forbidden(&self) -> bool {
        self.code == 403
    }

    /// Part of a watch's normal life: it starts over and nobody needs to know.
    pub(super) fn is_passing(&self) -> bool {
        self.code == 410 || self.code == BROKEN_OFF
    }

    fn answered(scope: &Scope, status: &Status) -> Trouble {
        let resource = resource(scope.kind);
        let text = match status.code {
            401 => {
                "the API server doesn't accept our credentials; check the kubeconfig or the service account"
                    .to_owned()
            }
            403 => format!("not allowed to list and watch {resource}; add it to the gateway's role"),
            404 => format!("the API server doesn't know {resource}; install its CustomResourceDefinition"),
            code => format!("the API server answered {code}: {}", status.message),
        };
        Trouble { text, code: status.code }
    }

    fn broken_off(error: &kube::Error) -> Trouble {
        Trouble { text: deepest(error), code: BROKEN_OFF }
    }
}

/// No status code: a connection that ended early.
const BROKEN_OFF: u16 = 1;

/// As RBAC and error messages write it: `ingresses.networking.k8s.io`.
fn resource(kind: Kind) -> String {
    if kind.group().is_empty() {
        kind.plural().to_owned()
    } else {
        format!("{}.{}", kind.plural(), kind.group())
    }
}

/// The cause behind the causes: outer ones only repeat that something failed.
fn deepest(error: &dyn Error) -> String {
    let mut last = error;
    while let Some(source) = last.source() {
        last = source;
    }
    last.to_string()
}
