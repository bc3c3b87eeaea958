//! The kinds of Kubernetes that are served. A new one is one row here and one root in `schemas/generate.go`.

use serde_json::Value;

use super::rules::{
    access, definitions, ingresses, namespaces, pods, secrets, services, webhooks, workloads,
};
use super::{Kind, NameRule, Origin};
use crate::failure::Causes;
use crate::objects::Resource;
use crate::schema;

/// A kind of Kubernetes.
#[derive(Debug)]
pub(crate) struct BuiltIn {
    pub(crate) group: &'static str,
    pub(crate) version: &'static str,
    pub(crate) kind: &'static str,
    pub(crate) plural: &'static str,
    pub(crate) short_names: &'static [&'static str],
    pub(crate) categories: &'static [&'static str],
    pub(crate) namespaced: bool,
    /// Asked with a create and answered at once, never kept: the reviews.
    pub(crate) question: bool,
    pub(crate) subresources: &'static [&'static str],
    pub(crate) names: NameRule,
    pub(crate) generation: bool,
    /// A PUT of what is not there creates it.
    pub(crate) create_on_update: bool,
    /// An update must name the version that it changes.
    pub(crate) conditional_update: bool,
    /// A deletion answers the object instead of a Status.
    pub(crate) returns_deleted: bool,
    /// Fields besides name and namespace that field selectors know, as paths.
    pub(crate) selectable: &'static [&'static str],
    pub(crate) rules: Rules,
}

/// What is particular to a kind.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Rules {
    /// Fills in what was not said, at every write.
    pub(crate) default: fn(&mut Value),
    /// Sets what only the server says, when the object is made.
    pub(crate) on_create: fn(&mut Value),
    pub(crate) validate: fn(&Value, &mut Causes),
    /// New and old.
    pub(crate) validate_update: fn(&Value, &Value, &mut Causes),
}

impl Rules {
    pub(crate) const NONE: Rules =
        Rules { default: |_| {}, on_create: |_| {}, validate: |_, _| {}, validate_update: |_, _, _| {} };
}

impl BuiltIn {
    const fn new(
        group: &'static str,
        version: &'static str,
        kind: &'static str,
        plural: &'static str,
    ) -> Self {
        BuiltIn {
            group,
            version,
            kind,
            plural,
            short_names: &[],
            categories: &[],
            namespaced: true,
            question: false,
            subresources: &[],
            names: NameRule::Subdomain,
            generation: false,
            create_on_update: false,
            conditional_update: false,
            returns_deleted: false,
            selectable: &[],
            rules: Rules::NONE,
        }
    }

    const fn short(mut self, short_names: &'static [&'static str]) -> Self {
        self.short_names = short_names;
        self
    }

    const fn category(mut self, categories: &'static [&'static str]) -> Self {
        self.categories = categories;
        self
    }

    const fn cluster(mut self) -> Self {
        self.namespaced = false;
        self
    }

    const fn question(mut self) -> Self {
        self.question = true;
        self
    }

    const fn with(mut self, subresources: &'static [&'static str]) -> Self {
        self.subresources = subresources;
        self
    }

    const fn named(mut self, names: NameRule) -> Self {
        self.names = names;
        self
    }

    const fn counted(mut self) -> Self {
        self.generation = true;
        self
    }

    const fn created_on_update(mut self) -> Self {
        self.create_on_update = true;
        self
    }

    const fn conditional(mut self) -> Self {
        self.conditional_update = true;
        self
    }

    const fn returned(mut self) -> Self {
        self.returns_deleted = true;
        self
    }

    const fn ruled(mut self, rules: Rules) -> Self {
        self.rules = rules;
        self
    }

    const fn selectable(mut self, fields: &'static [&'static str]) -> Self {
        self.selectable = fields;
        self
    }

    /// The name of its definition in the `OpenAPI` documents.
    pub(crate) fn definition(&self) -> String {
        let package = match self.group {
            "" => "io.k8s.api.core".to_owned(),
            "apiextensions.k8s.io" => "io.k8s.apiextensions-apiserver.pkg.apis.apiextensions".to_owned(),
            group => format!("io.k8s.api.{}", group.split('.').next().unwrap_or_default()),
        };
        format!("{package}.{}.{}", self.version, self.kind)
    }

    pub(super) fn kind(&'static self) -> Kind {
        let owned = |texts: &[&str]| texts.iter().map(|&text| text.to_owned()).collect();
        Kind {
            resource: Resource::new(self.group, self.plural),
            version: self.version.into(),
            kind: self.kind.to_owned(),
            list_kind: format!("{}List", self.kind),
            singular: self.kind.to_lowercase(),
            short_names: owned(self.short_names),
            categories: owned(self.categories),
            namespaced: self.namespaced,
            schema: schema::named(&self.definition()),
            origin: Origin::BuiltIn(self),
        }
    }
}

const fn core(kind: &'static str, plural: &'static str) -> BuiltIn {
    BuiltIn::new("", "v1", kind, plural)
}

const STATUS: &[&str] = &["status"];
const SCALED: &[&str] = &["scale", "status"];
const ALL: &[&str] = &["all"];
const EXTENSIONS: &[&str] = &["api-extensions"];
const EVENT_FIELDS: &[&str] = &[
    "involvedObject.kind",
    "involvedObject.namespace",
    "involvedObject.name",
    "involvedObject.uid",
    "involvedObject.apiVersion",
    "involvedObject.resourceVersion",
    "involvedObject.fieldPath",
    "reason",
    "reportingComponent",
    "source",
    "type",
];
const POD_FIELDS: &[&str] = &[
    "spec.nodeName",
    "spec.restartPolicy",
    "spec.schedulerName",
    "spec.serviceAccountName",
    "spec.hostNetwork",
    "status.phase",
    "status.podIP",
    "status.nominatedNodeName",
];

const AUTHENTICATION: &str = "authentication.k8s.io";
const AUTHORIZATION: &str = "authorization.k8s.io";
const NETWORKING: &str = "networking.k8s.io";
const WEBHOOKS: &str = "admissionregistration.k8s.io";
const RBAC: &str = "rbac.authorization.k8s.io";

/// In the order in which discovery tells them.
pub(crate) static TABLE: &[BuiltIn] = &[
    core("ConfigMap", "configmaps").short(&["cm"]).ruled(secrets::CONFIG_MAP),
    core("Endpoints", "endpoints").short(&["ep"]).created_on_update().ruled(services::ENDPOINTS),
    core("Event", "events").short(&["ev"]).created_on_update().selectable(EVENT_FIELDS),
    core("Namespace", "namespaces")
        .short(&["ns"])
        .cluster()
        .with(&["finalize", "status"])
        .named(NameRule::Label)
        .returned()
        .selectable(&["status.phase"])
        .ruled(namespaces::NAMESPACE),
    core("Node", "nodes").short(&["no"]).cluster().with(STATUS).selectable(&["spec.unschedulable"]),
    core("PersistentVolumeClaim", "persistentvolumeclaims")
        .short(&["pvc"])
        .with(STATUS)
        .returned()
        .ruled(workloads::CLAIM),
    core("Pod", "pods")
        .short(&["po"])
        .category(ALL)
        .with(&["binding", "eviction", "log", "status"])
        .counted()
        .returned()
        .selectable(POD_FIELDS)
        .ruled(pods::POD),
    core("Secret", "secrets").selectable(&["type"]).ruled(secrets::SECRET),
    core("Service", "services")
        .short(&["svc"])
        .category(ALL)
        .with(STATUS)
        .named(NameRule::Service)
        .created_on_update()
        .returned()
        .selectable(&["spec.clusterIP", "spec.type"])
        .ruled(services::SERVICE),
    core("ServiceAccount", "serviceaccounts").short(&["sa"]).with(&["token"]).returned(),
    BuiltIn::new("apps", "v1", "DaemonSet", "daemonsets")
        .short(&["ds"])
        .category(ALL)
        .with(STATUS)
        .counted()
        .ruled(workloads::DAEMON_SET),
    BuiltIn::new("apps", "v1", "Deployment", "deployments")
        .short(&["deploy"])
        .category(ALL)
        .with(SCALED)
        .counted()
        .ruled(workloads::DEPLOYMENT),
    BuiltIn::new("apps", "v1", "ReplicaSet", "replicasets")
        .short(&["rs"])
        .category(ALL)
        .with(SCALED)
        .counted()
        .selectable(&["status.replicas"])
        .ruled(workloads::REPLICA_SET),
    BuiltIn::new("apps", "v1", "StatefulSet", "statefulsets")
        .short(&["sts"])
        .category(ALL)
        .with(SCALED)
        .counted()
        .ruled(workloads::STATEFUL_SET),
    BuiltIn::new("events.k8s.io", "v1", "Event", "events").short(&["ev"]).created_on_update().selectable(&[
        "regarding.kind",
        "regarding.namespace",
        "regarding.name",
        "regarding.uid",
        "regarding.apiVersion",
        "regarding.resourceVersion",
        "regarding.fieldPath",
        "reason",
        "reportingController",
        "type",
    ]),
    BuiltIn::new(AUTHENTICATION, "v1", "SelfSubjectReview", "selfsubjectreviews").cluster().question(),
    BuiltIn::new(AUTHENTICATION, "v1", "TokenReview", "tokenreviews").cluster().question(),
    BuiltIn::new(AUTHORIZATION, "v1", "LocalSubjectAccessReview", "localsubjectaccessreviews").question(),
    BuiltIn::new(AUTHORIZATION, "v1", "SelfSubjectAccessReview", "selfsubjectaccessreviews")
        .cluster()
        .question(),
    BuiltIn::new(AUTHORIZATION, "v1", "SelfSubjectRulesReview", "selfsubjectrulesreviews")
        .cluster()
        .question(),
    BuiltIn::new(AUTHORIZATION, "v1", "SubjectAccessReview", "subjectaccessreviews").cluster().question(),
    BuiltIn::new("autoscaling", "v2", "HorizontalPodAutoscaler", "horizontalpodautoscalers")
        .short(&["hpa"])
        .category(ALL)
        .with(STATUS)
        .ruled(workloads::AUTOSCALER),
    BuiltIn::new("batch", "v1", "CronJob", "cronjobs")
        .short(&["cj"])
        .category(ALL)
        .with(STATUS)
        .counted()
        .ruled(workloads::CRON_JOB),
    BuiltIn::new("batch", "v1", "Job", "jobs")
        .category(ALL)
        .with(STATUS)
        .counted()
        .selectable(&["status.successful"])
        .ruled(workloads::JOB),
    BuiltIn::new(NETWORKING, "v1", "IngressClass", "ingressclasses")
        .cluster()
        .counted()
        .ruled(ingresses::CLASS),
    BuiltIn::new(NETWORKING, "v1", "Ingress", "ingresses")
        .short(&["ing"])
        .with(STATUS)
        .counted()
        .ruled(ingresses::INGRESS),
    BuiltIn::new(NETWORKING, "v1", "NetworkPolicy", "networkpolicies")
        .short(&["netpol"])
        .counted()
        .ruled(ingresses::POLICY),
    BuiltIn::new("policy", "v1", "PodDisruptionBudget", "poddisruptionbudgets")
        .short(&["pdb"])
        .with(STATUS)
        .conditional()
        .counted(),
    BuiltIn::new(RBAC, "v1", "ClusterRoleBinding", "clusterrolebindings")
        .cluster()
        .named(NameRule::Path)
        .created_on_update()
        .ruled(access::BINDING),
    BuiltIn::new(RBAC, "v1", "ClusterRole", "clusterroles")
        .cluster()
        .named(NameRule::Path)
        .created_on_update(),
    BuiltIn::new(RBAC, "v1", "RoleBinding", "rolebindings")
        .named(NameRule::Path)
        .created_on_update()
        .ruled(access::BINDING),
    BuiltIn::new(RBAC, "v1", "Role", "roles").named(NameRule::Path).created_on_update(),
    BuiltIn::new(WEBHOOKS, "v1", "MutatingWebhookConfiguration", "mutatingwebhookconfigurations")
        .category(EXTENSIONS)
        .cluster()
        .conditional()
        .counted()
        .ruled(webhooks::MUTATING),
    BuiltIn::new(WEBHOOKS, "v1", "ValidatingWebhookConfiguration", "validatingwebhookconfigurations")
        .category(EXTENSIONS)
        .cluster()
        .conditional()
        .counted()
        .ruled(webhooks::VALIDATING),
    BuiltIn::new("apiextensions.k8s.io", "v1", "CustomResourceDefinition", "customresourcedefinitions")
        .short(&["crd", "crds"])
        .category(EXTENSIONS)
        .cluster()
        .conditional()
        .with(STATUS)
        .counted()
        .returned()
        .ruled(definitions::DEFINITION),
    BuiltIn::new("coordination.k8s.io", "v1", "Lease", "leases").created_on_update().conditional(),
    BuiltIn::new("discovery.k8s.io", "v1", "EndpointSlice", "endpointslices")
        .counted()
        .ruled(services::SLICE),
];
