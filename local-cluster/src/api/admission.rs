//! Admission webhooks: programs that are asked before an object is written, and may change it or refuse.

mod client;
mod trust;

use std::collections::HashMap;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

pub(crate) use self::client::Webhooks;
use super::body;
use super::call::Call;
use crate::cel::{Program, Val};
use crate::failure::Failure;
use crate::objects::Resource;
use crate::patch::JsonPatch;
use crate::resources::Kind;
use crate::schema;
use crate::selector::object_selects;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Operation {
    Create,
    Update,
    Delete,
}

impl Operation {
    fn name(self) -> &'static str {
        match self {
            Operation::Create => "CREATE",
            Operation::Update => "UPDATE",
            Operation::Delete => "DELETE",
        }
    }

    fn options(self) -> &'static str {
        match self {
            Operation::Create => "CreateOptions",
            Operation::Update => "UpdateOptions",
            Operation::Delete => "DeleteOptions",
        }
    }
}

/// What is to be judged.
struct Subject<'a> {
    operation: Operation,
    old: Option<&'a Value>,
    new: Option<&'a Value>,
    dry_run: bool,
}

/// What a webhook said.
struct Verdict {
    /// Steps that change the object.
    patch: JsonPatch,
    warnings: Vec<String>,
}

/// Why there is no verdict: a refusal stands; a failure may be ignored.
enum Trouble {
    Refused(Failure),
    Failed(String),
}

impl Call {
    /// Lets mutating webhooks change a new state.
    pub(super) async fn admit(
        &self,
        operation: Operation,
        old: Option<&Value>,
        mut new: Value,
        dry_run: bool,
        warnings: &mut Vec<String>,
    ) -> Result<Value, Failure> {
        for webhook in self.webhooks("mutatingwebhookconfigurations") {
            let subject = Subject { operation, old, new: Some(&new), dry_run };
            let Some(verdict) = self.ask(&webhook, &subject).await? else { continue };
            warnings.extend(verdict.warnings);
            if verdict.patch.is_empty() {
                continue;
            }
            let mut changed = new.clone();
            for step in &verdict.patch {
                step.apply(&mut changed).map_err(|_| {
                    let (operation, path) = step.named();
                    let why = format!(
                        "{operation} operation does not apply: doc is missing path: {path}: missing value"
                    );
                    Failure::internal(why)
                })?;
            }
            new = body::canonical(&self.rules, changed).map_err(|(_, why)| Failure::internal(why))?.0;
        }
        Ok(new)
    }

    /// Asks validating webhooks.
    pub(super) async fn validate(
        &self,
        operation: Operation,
        old: Option<&Value>,
        new: Option<&Value>,
        dry_run: bool,
        warnings: &mut Vec<String>,
    ) -> Result<(), Failure> {
        for webhook in self.webhooks("validatingwebhookconfigurations") {
            let subject = Subject { operation, old, new, dry_run };
            if let Some(verdict) = self.ask(&webhook, &subject).await? {
                warnings.extend(verdict.warnings);
            }
        }
        Ok(())
    }

    /// Both kinds of webhook may refuse a deletion.
    pub(super) async fn admit_delete(
        &self,
        old: &Value,
        dry_run: bool,
        warnings: &mut Vec<String>,
    ) -> Result<(), Failure> {
        for plural in ["mutatingwebhookconfigurations", "validatingwebhookconfigurations"] {
            for webhook in self.webhooks(plural) {
                let subject = Subject { operation: Operation::Delete, old: Some(old), new: None, dry_run };
                if let Some(verdict) = self.ask(&webhook, &subject).await? {
                    warnings.extend(verdict.warnings);
                }
            }
        }
        Ok(())
    }

    /// All of one kind, in order of name. Their own configurations are out of their reach.
    fn webhooks(&self, plural: &str) -> Vec<Value> {
        const GROUP: &str = "admissionregistration.k8s.io";
        if self.kind.group() == GROUP {
            return Vec::new();
        }
        let configurations = self.api.objects.list(&Resource::new(GROUP, plural), None);
        let webhooks =
            configurations.iter().flat_map(|one| one["webhooks"].as_array().into_iter().flatten().cloned());
        webhooks.collect()
    }

    /// Nothing when the webhook doesn't care, or can't say and needn't.
    async fn ask(&self, webhook: &Value, subject: &Subject<'_>) -> Result<Option<Verdict>, Failure> {
        let Some(version) = self.matched_version(webhook, subject.operation) else { return Ok(None) };
        if !self.selected_by(webhook, subject) {
            return Ok(None);
        }
        let name = webhook["name"].as_str().unwrap_or_default();
        let ignore = webhook["failurePolicy"] == "Ignore";
        let review = self.review(subject, &version);
        let verdict = match conditions(webhook, &review) {
            Ok(true) => self.call_webhook(webhook, review).await,
            Ok(false) => return Ok(None),
            Err(why) => Err(Trouble::Failed(why)),
        };
        match verdict {
            Ok(verdict) => Ok(Some(verdict)),
            Err(Trouble::Refused(failure)) => Err(failure),
            Err(Trouble::Failed(why)) if ignore => {
                tracing::warn!("failed calling webhook {name}, which may be ignored: {why}");
                Ok(None)
            }
            Err(Trouble::Failed(why)) => {
                Err(Failure::internal(format!("failed calling webhook {name:?}: {why}")))
            }
        }
    }

    /// The version of the kind in which a rule of the webhook asks for it.
    fn matched_version(&self, webhook: &Value, operation: Operation) -> Option<String> {
        let listed = |rule: &Value, field: &str, wanted: &str| {
            rule[field].as_array().into_iter().flatten().any(|entry| entry == "*" || entry == wanted)
        };
        let equivalent = webhook["matchPolicy"] != "Exact";
        let served = self.api.objects.kinds().now();
        let versions: Vec<String> = if equivalent {
            let others = served
                .iter()
                .filter(|kind| kind.resource == self.kind.resource && kind.version != self.kind.version);
            std::iter::once(self.kind.version.to_string())
                .chain(others.map(|kind| kind.version.to_string()))
                .collect()
        } else {
            vec![self.kind.version.to_string()]
        };
        let part = self.target.subresource.as_deref();
        let rules = || webhook["rules"].as_array().into_iter().flatten();
        versions.into_iter().find(|version| {
            rules().any(|rule| {
                let scope = match rule["scope"].as_str() {
                    Some("Namespaced") => self.kind.namespaced,
                    Some("Cluster") => !self.kind.namespaced,
                    _ => true,
                };
                let resources = rule["resources"].as_array().into_iter().flatten().filter_map(Value::as_str);
                let resource = resources.into_iter().any(|pattern| names(pattern, &self.kind, part));
                scope
                    && resource
                    && listed(rule, "operations", operation.name())
                    && listed(rule, "apiGroups", self.kind.group())
                    && listed(rule, "apiVersions", version)
            })
        })
    }

    fn selected_by(&self, webhook: &Value, subject: &Subject<'_>) -> bool {
        let labels = |object: &Value| object["metadata"]["labels"].clone();
        let in_namespace = match (self.kind.namespaced, self.rules.kind == "Namespace") {
            (true, _) => self
                .api
                .objects
                .get(&Resource::new("", "namespaces"), "", self.subject_namespace(subject))
                .map(|n| labels(&n)),
            (false, true) => subject.new.or(subject.old).map(labels),
            (false, false) => None,
        };
        let namespace =
            in_namespace.is_none_or(|labels| object_selects(&webhook["namespaceSelector"], &labels));
        let objects = [subject.new, subject.old].into_iter().flatten();
        let object =
            objects.into_iter().any(|object| object_selects(&webhook["objectSelector"], &labels(object)));
        namespace && object
    }

    fn subject_namespace<'a>(&'a self, subject: &Subject<'a>) -> &'a str {
        let object = subject.new.or(subject.old);
        object.and_then(|object| object["metadata"]["namespace"].as_str()).unwrap_or_else(|| self.namespace())
    }

    fn review(&self, subject: &Subject<'_>, version: &str) -> Value {
        let kind =
            |version: &str| json!({"group": self.kind.group(), "version": version, "kind": self.kind.kind});
        let resource = |version: &str| json!({"group": self.kind.group(), "version": version, "resource": &*self.kind.resource.plural});
        let shown = |object: Option<&Value>| match object {
            None => Value::Null,
            Some(object) if *self.kind.version == *version => object.clone(),
            Some(object) => schema::in_version(object, &format!("{}/{version}", self.kind.group())),
        };
        let object = subject.new.or(subject.old);
        let name =
            object.and_then(|object| object["metadata"]["name"].as_str()).unwrap_or_else(|| self.name());
        let mut options = json!({"kind": subject.operation.options(), "apiVersion": "meta.k8s.io/v1"});
        if let Some(manager) = self.query().get("fieldManager") {
            options["fieldManager"] = json!(manager);
        }
        if subject.dry_run {
            options["dryRun"] = json!(["All"]);
        }
        let mut request = json!({
            "uid": uuid::Uuid::new_v4().to_string(),
            "kind": kind(version),
            "resource": resource(version),
            "requestKind": kind(&self.kind.version),
            "requestResource": resource(&self.kind.version),
            "operation": subject.operation.name(),
            "userInfo": self.asked.user.info(),
            "object": shown(subject.new),
            "oldObject": shown(subject.old),
            "dryRun": subject.dry_run,
            "options": options,
        });
        if let Some(part) = &self.target.subresource {
            request["subResource"] = json!(part);
            request["requestSubResource"] = json!(part);
        }
        for (field, value) in [("name", name), ("namespace", self.subject_namespace(subject))] {
            if !value.is_empty() {
                request[field] = json!(value);
            }
        }
        json!({"kind": "AdmissionReview", "apiVersion": "admission.k8s.io/v1", "request": request})
    }

    async fn call_webhook(&self, webhook: &Value, review: Value) -> Result<Verdict, Trouble> {
        let name = webhook["name"].as_str().unwrap_or_default();
        let seconds = webhook["timeoutSeconds"].as_u64().unwrap_or(10);
        let patience = Duration::from_secs(seconds);
        let config = &webhook["clientConfig"];
        let answer = self.api.webhooks.ask(&self.api.objects, config, &review, patience).await;
        let answer = answer.map_err(|why| Trouble::Failed(format!("failed to call webhook: {why}")))?;
        if answer["apiVersion"] != "admission.k8s.io/v1" {
            let found =
                answer["apiVersion"].as_str().and_then(|text| text.rsplit('/').next()).unwrap_or_default();
            return Err(Trouble::Failed(format!(
                "failed to call webhook: converting ({found}.AdmissionReview) to (v1.AdmissionReview): unknown conversion"
            )));
        }
        let invalid = |why: &str| Trouble::Failed(format!("received invalid webhook response: {why}"));
        let response = &answer["response"];
        if !response.is_object() {
            return Err(invalid("webhook response was absent"));
        }
        let (expected, found) = (&review["request"]["uid"], &response["uid"]);
        if expected != found {
            return Err(invalid(&format!("expected response.uid={expected}, got {found}")));
        }
        let warnings = response["warnings"].as_array().into_iter().flatten();
        let warnings = warnings.filter_map(Value::as_str).map(str::to_owned).collect();
        if response["allowed"] != true {
            return Err(Trouble::Refused(refusal(name, &response["status"])));
        }
        let patch = match response["patch"].as_str() {
            None | Some("") => JsonPatch::default(),
            Some(text) => {
                let bytes = STANDARD.decode(text).map_err(|error| invalid(&error.to_string()))?;
                serde_json::from_slice(&bytes).map_err(|error| invalid(&error.to_string()))?
            }
        };
        Ok(Verdict { patch, warnings })
    }
}

/// Whether a pattern such as `pods`, `pods/*` or `*/status` means this.
fn names(pattern: &str, kind: &Kind, part: Option<&str>) -> bool {
    let (resource, wanted) = match pattern.split_once('/') {
        Some((resource, part)) => (resource, Some(part)),
        None => (pattern, None),
    };
    let resource = resource == "*" || *resource == *kind.resource.plural;
    // `*` alone means resources, `*/*` also their parts.
    resource
        && match (wanted, part) {
            (None, None) | (Some("*"), _) => true,
            (Some(wanted), Some(part)) => wanted == part,
            _ => false,
        }
}

/// Whether all conditions of the webhook hold.
fn conditions(webhook: &Value, review: &Value) -> Result<bool, String> {
    let request = &review["request"];
    let variables = HashMap::from([
        ("object", Val::from_json(&request["object"])),
        ("oldObject", Val::from_json(&request["oldObject"])),
        ("request", Val::from_json(request)),
    ]);
    for condition in webhook["matchConditions"].as_array().into_iter().flatten() {
        let source = condition["expression"].as_str().unwrap_or_default();
        let program = Program::compile(source).map_err(|error| error.shown(source))?;
        if program.evaluate(&variables)? != Val::Bool(true) {
            return Ok(false);
        }
    }
    Ok(true)
}

fn refusal(webhook: &str, status: &Value) -> Failure {
    let message = status["message"].as_str().unwrap_or_default();
    let reason = status["reason"].as_str().unwrap_or_default();
    let message = match (message, reason) {
        ("", "") => format!("admission webhook {webhook:?} denied the request without explanation"),
        ("", reason) => format!("admission webhook {webhook:?} denied the request: {reason}"),
        (message, _) => format!("admission webhook {webhook:?} denied the request: {message}"),
    };
    let code = status["code"].as_u64().and_then(|code| u16::try_from(code).ok()).filter(|code| *code >= 400);
    Failure {
        code: code.unwrap_or(400),
        reason: reason.to_owned().into(),
        message,
        details: status.get("details").filter(|details| details.is_object()).cloned().map(Box::new),
    }
}
