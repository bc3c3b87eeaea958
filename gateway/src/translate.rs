//! Kubernetes' words to Kong's: a pure function from the objects last seen to a model and a list of problems.
//!
//! One bad object costs itself, visibly: it is left out, answers 500 or 503 where Kong would, or keeps serving
//! in its last good form, and a [`Problem`] says so. Names, ids and tags are those of Kong's own ingress
//! controller, so that dashboards and logs keep their meaning. The order in which objects arrived never shows.
//!
//! The only folder that knows both vocabularies.

mod annotation_values;
mod certificates;
mod class;
mod consumers;
mod endpoints;
mod ingress;
mod mesh_host;
mod names;
mod paths;
mod plugin_settings;
mod plugins;
mod ports;
mod problems;
mod routes;
mod service_tls;
mod services;
mod upstream_policy;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde_json::Value;

use crate::model::{Model, Problem, Protocol, RoutePath};
use crate::objects::{IngressClassParametersSpec, ObjectKey};
use crate::store::Store;

use class::Class;
use endpoints::Slices;
use paths::{CheckedPaths, PathVerdicts};
use problems::Problems;

/// What an operator decides about translation.
#[derive(Debug, Clone)]
pub struct TranslateSettings {
    /// Objects of this class are ours.
    pub ingress_class: String,
    /// Put behind `<service>.<namespace>.svc` where a Service's own address is used.
    pub cluster_domain: Option<String>,
    /// Keep terminating pods as targets of weight 0, so that sticky requests may still reach them.
    pub drain_support: bool,
    /// Connections to backends pass the sidecar of a mesh.
    pub beside_sidecar: bool,
}

/// The data plane's own judgement: settings are checked by the code that will run them.
#[derive(Clone)]
pub struct Checks {
    pub plugins: Arc<dyn PluginSchemas>,
    /// Whether the router can match a path, in Kong's words if not.
    pub path: fn(&RoutePath) -> Result<(), String>,
    /// Whether a certificate chain and a key (PEM) parse and belong together.
    pub certificate: fn(&str, &str) -> Result<(), String>,
    /// Whether a PEM text is one certificate of an authority that is valid today.
    pub authority: fn(&str) -> Result<(), String>,
}

/// What the plugins say of settings.
pub trait PluginSchemas: Send + Sync {
    /// The settings with defaults filled in, or everything that is wrong with them.
    fn check(&self, plugin: &str, config: &Value) -> Result<Value, Vec<FieldError>>;

    /// The protocols it runs on unless told otherwise.
    fn protocols(&self, plugin: &str) -> Vec<Protocol>;

    /// Whether it can be meant for one consumer. One that finds out who is calling can't.
    fn takes_consumer(&self, plugin: &str) -> bool;

    /// The names of all plugins.
    fn known(&self) -> Vec<&str>;
}

/// What is wrong with one setting.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FieldError {
    /// For example `config.minute`; empty when it is about several.
    pub field: String,
    pub message: String,
}

/// What one translation leaves to the next: the last good form of objects, and verdicts that needn't be found
/// again.
#[derive(Debug, Clone, Default)]
pub struct Remembered {
    plugins: BTreeMap<ObjectKey, plugin_settings::Settings>,
    certificates: BTreeMap<ObjectKey, certificates::Pair>,
    paths: PathVerdicts,
}

/// What became of the objects.
#[derive(Debug, Clone, Default)]
pub struct Translation {
    pub model: Model,
    /// Ordered by object; nothing twice.
    pub problems: Vec<Problem>,
    /// Ingresses that at least one route came from.
    pub serving: BTreeSet<ObjectKey>,
    /// What to say of plugins and consumers in their status.
    pub verdicts: BTreeMap<ObjectKey, Verdict>,
    /// To be given to the next translation.
    pub remembered: Remembered,
}

/// Whether an object is in use as its author wrote it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verdict {
    pub programmed: Programmed,
    pub message: String,
    /// An object of our class uses it; another gateway may have other users of the same object.
    pub used: bool,
}

/// The condition's three values, with Kong's reasons.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Programmed {
    /// In use.
    Programmed,
    /// Refused, in whole or in part.
    Invalid,
    /// Nothing to say yet.
    Pending,
}

/// What every step of a translation looks at.
struct Context<'a> {
    store: &'a Store,
    settings: &'a TranslateSettings,
    checks: &'a Checks,
    class: Class<'a>,
    parameters: IngressClassParametersSpec,
    slices: Slices<'a>,
}

/// Translates everything, whole, from scratch.
pub fn translate(
    store: &Store,
    remembered: &Remembered,
    settings: &TranslateSettings,
    checks: &Checks,
) -> Translation {
    let mut problems = Problems::new(store);
    let class = Class::find(store, &settings.ingress_class);
    let parameters = class.parameters(store, &mut problems);
    let slices = Slices::index(store);
    let context = Context { store, settings, checks, class, parameters, slices };

    let mut out = Translation::default();
    let ingresses = context.class.ingresses(store);
    let mut checked = CheckedPaths::new(checks.path, &remembered.paths);
    let drafts = ingress::drafts(&context, &ingresses, &mut checked, &mut problems);
    let mut pairs = certificates::Pairs::new(remembered);
    let services = services::build(&context, &drafts, &mut pairs, &mut out.model, &mut problems);
    let routes = routes::build(&drafts, &services, &mut out.model, &mut problems);
    mesh_host::report(&context, &routes, &services, &out.model, &mut problems);
    out.serving = routes.iter().map(|route| route.ingress.clone()).collect();
    certificates::build(&context, &ingresses, &mut pairs, &mut out.model, &mut problems);
    let consumers = consumers::build(&context, &mut out, &mut problems);

    let judged = plugin_settings::judge_all(&context, &remembered.plugins);
    let attached = plugins::Attachments { routes: &routes, services: &services, consumers: &consumers };
    plugins::build(&context, &attached, &judged, &mut out, &mut problems);

    out.remembered = Remembered {
        plugins: judged.remembered(),
        certificates: pairs.into_remembered(),
        paths: checked.into_verdicts(),
    };
    out.problems = problems.into_sorted();
    out
}

impl Programmed {
    /// The condition's `status`.
    pub fn status(self) -> &'static str {
        match self {
            Programmed::Programmed => "True",
            Programmed::Invalid => "False",
            Programmed::Pending => "Unknown",
        }
    }

    /// The condition's `reason`.
    pub fn reason(self) -> &'static str {
        match self {
            Programmed::Programmed => "Programmed",
            Programmed::Invalid => "Invalid",
            Programmed::Pending => "Pending",
        }
    }
}
