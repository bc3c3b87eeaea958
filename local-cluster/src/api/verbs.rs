//! Create, get, update, patch and delete.

use std::sync::Arc;

use hyper::body::Incoming;
use serde_json::{Value, json};

use super::admission::Operation;
use super::answer::{Answer, Content};
use super::apply;
use super::body::{self, Received};
use super::call::Call;
use super::media::View;
use super::query::{self, FieldValidation, WriteOptions, bad_version, refuse};
use super::table;
use super::{Answered, media};
use crate::failure::{Cause, Causes, Failure};
use crate::objects::{Deletion, NewObject, Object, Part, Propagation, prepare_update, restore};
use crate::ownership::{self, Author};
use crate::patch::{JsonPatch, merge, strategic_merge};

/// After so many lost races a client may as well try again itself.
const ATTEMPTS: usize = 50;
const MOST_OPERATIONS: usize = 10_000;

/// How a write came to its new state.
pub(super) struct Write<'a> {
    pub(super) options: &'a WriteOptions,
    pub(super) part: Part,
    pub(super) author: Author,
    /// The field owners are as the object says, not to be found out.
    pub(super) owned: bool,
}

/// What a change came to.
pub(super) enum Outcome {
    Done {
        object: Object,
        warnings: Vec<String>,
    },
    /// Somebody else was faster.
    Raced,
}

impl Call {
    pub(super) fn get(&self) -> Answered {
        let wanted = self.wanted()?;
        if let Some(version) = self.query().get("resourceVersion")
            && version.parse::<u64>().is_err()
        {
            return Err(Failure::unexplained(bad_version(version)));
        }
        let object = self.stored().ok_or_else(|| self.not_found())?;
        self.one(200, &object, wanted)
    }

    pub(super) async fn create(self, body: Incoming) -> Answered {
        let wanted = self.wanted()?;
        media::body_format(self.asked.content_type())?;
        let body = body::read(body).await?;
        let options = WriteOptions::read(self.query(), "CreateOptions", self.asked.agent(), false)?;
        let received = body::object(&self.kind, self.asked.content_type(), &body, options.validation)?;
        let (object, warnings) = match self.create_received(received, &options).await {
            Ok(created) => created,
            Err((failure, warnings)) => {
                return Ok((Answer::from(failure).warned(warnings), media::for_errors(self.asked.accept())));
            }
        };
        let (answer, format) = self.one(201, &object, wanted)?;
        Ok((answer.warned(warnings), format))
    }

    /// Warnings are told with a refusal too.
    async fn create_received(
        &self,
        received: Received,
        options: &WriteOptions,
    ) -> Result<(Object, Vec<String>), (Failure, Vec<String>)> {
        let Received { object, mut warnings } = received;
        match self.create_object(object, options, Call::author(options, ""), false).await {
            Ok((object, more)) => {
                warnings.extend(more);
                Ok((object, warnings))
            }
            Err(failure) => Err((failure, warnings)),
        }
    }

    /// Makes the object of a body, an apply, or an update of what isn't there.
    pub(super) async fn create_object(
        &self,
        object: Value,
        options: &WriteOptions,
        author: Author,
        owned: bool,
    ) -> Result<(Object, Vec<String>), Failure> {
        body::check_type(&self.kind, &object)?;
        self.check_namespace(&object)?;
        if self.kind.custom().is_some_and(|custom| custom.terminating) {
            let name = object["metadata"]["name"].as_str().unwrap_or_default();
            let why = "create not allowed while custom resource definition is terminating";
            return Err(Failure::forbidden(&self.kind.resource, name, why));
        }
        let mut object = self.worked_on(object);
        self.place(&mut object);
        self.api.objects.check_namespace(&self.rules, &object)?;
        let mut warnings = Vec::new();
        self.fill_defaults(&mut object);
        // What webhooks change belongs to nobody.
        if !owned {
            if let Some(metadata) = object["metadata"].as_object_mut() {
                metadata.shift_remove("managedFields");
            }
            ownership::track(&self.rules, None, &mut object, &author);
        }
        let object = self.admit(Operation::Create, None, object, options.dry_run, &mut warnings).await?;
        let new = NewObject::prepare(&self.rules, object, self.namespace(), None)?;
        warnings.extend(new.warnings);
        self.validate(Operation::Create, None, Some(&new.object), options.dry_run, &mut warnings).await?;
        let object = self.api.objects.insert(&self.rules, self.kept(new.object), options.dry_run)?;
        Ok((object, warnings))
    }

    /// An object that doesn't say its namespace is in that of the URL.
    fn place(&self, object: &mut Value) {
        if let Some(metadata) = object["metadata"].as_object_mut()
            && self.kind.namespaced
        {
            metadata.insert("namespace".to_owned(), json!(self.namespace()));
        }
    }

    fn fill_defaults(&self, object: &mut Value) {
        if let Some(row) = self.rules.built_in() {
            (row.rules.default)(object);
        }
    }

    pub(super) fn check_namespace(&self, object: &Value) -> Result<(), Failure> {
        let named = object["metadata"]["namespace"].as_str().unwrap_or_default();
        if self.kind.namespaced && !named.is_empty() && named != self.namespace() {
            let why = "the namespace of the provided object does not match the namespace sent on the request";
            return Err(Failure::bad_request(why));
        }
        Ok(())
    }

    pub(super) fn check_name(&self, object: &Value) -> Result<(), Failure> {
        let url = self.name();
        match object["metadata"]["name"].as_str().unwrap_or_default() {
            "" => Err(Failure::bad_request(format!(
                "the name of the object ({url} based on URL) was undeterminable: name must be provided"
            ))),
            name if name != url => Err(Failure::bad_request(format!(
                "the name of the object ({name}) does not match the name on the URL ({url})"
            ))),
            _ => Ok(()),
        }
    }

    pub(super) async fn update(self, body: Incoming) -> Answered {
        self.replace(body, Part::AllButStatus, "").await
    }

    /// A PUT of the object or of its status.
    pub(super) async fn replace(self, body: Incoming, part: Part, subresource: &'static str) -> Answered {
        let wanted = self.wanted()?;
        media::body_format(self.asked.content_type())?;
        let body = body::read(body).await?;
        let options = WriteOptions::read(self.query(), "UpdateOptions", self.asked.agent(), false)?;
        let Received { mut object, warnings } =
            body::object(&self.kind, self.asked.content_type(), &body, options.validation)?;
        body::check_type(&self.kind, &object)?;
        self.check_name(&object)?;
        self.check_namespace(&object)?;
        self.place(&mut object);
        let (created, object, more) = self.put(object, &options, part, subresource).await?;
        let (answer, format) = self.one(if created { 201 } else { 200 }, &object, wanted)?;
        Ok((answer.warned(warnings).warned(more), format))
    }

    async fn put(
        &self,
        object: Value,
        options: &WriteOptions,
        part: Part,
        subresource: &'static str,
    ) -> Result<(bool, Object, Vec<String>), Failure> {
        let text = |field: &str| object["metadata"][field].as_str().unwrap_or_default().to_owned();
        let (uid, asked) = (text("uid"), text("resourceVersion"));
        let version = match asked.as_str() {
            "" => 0,
            text => text.parse::<u64>().map_err(|_| {
                Failure::unexplained(format!("strconv.ParseUint: parsing {text:?}: invalid syntax"))
            })?,
        };
        for _ in 0..ATTEMPTS {
            let Some(old) = self.stored() else {
                let may =
                    self.kind.built_in().is_some_and(|row| row.create_on_update) && subresource.is_empty();
                if !may || version > 0 {
                    return Err(self.not_found());
                }
                let author = Call::author(options, "");
                let (object, warnings) = self.create_object(object, options, author, false).await?;
                return Ok((true, object, warnings));
            };
            if version == 0 && self.kind.built_in().is_none_or(|row| row.conditional_update) {
                let mut causes = Causes::default();
                let why = "must be specified for an update";
                causes.add(Cause::invalid("metadata.resourceVersion", &json!(0), why));
                return Err(Failure::invalid(
                    self.kind.group(),
                    &self.kind.resource.plural,
                    self.name(),
                    causes,
                ));
            }
            let found = old["metadata"]["uid"].as_str().unwrap_or_default();
            if !uid.is_empty() && uid != found {
                let key =
                    [&*self.kind.resource.group, &*self.kind.resource.plural, self.namespace(), self.name()];
                let key = key.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join("/");
                let why = format!(
                    "StorageError: invalid object, Code: 4, Key: /registry/{key}, ResourceVersion: 0, \
                     AdditionalErrorMsg: Precondition failed: UID in precondition: {uid}, UID in object meta: {found}"
                );
                return Err(Failure::conflict(&self.kind.resource, self.name(), &why));
            }
            if version > 0 && old["metadata"]["resourceVersion"].as_str() != Some(&asked) {
                return Err(Failure::modified_since(&self.kind.resource, self.name()));
            }
            let write = Write { options, part, author: Call::author(options, subresource), owned: false };
            match self.change(&old, self.worked_on(object.clone()), &write).await? {
                Outcome::Done { object, warnings } => return Ok((false, object, warnings)),
                Outcome::Raced if version > 0 => {
                    return Err(Failure::modified_since(&self.kind.resource, self.name()));
                }
                Outcome::Raced => {}
            }
        }
        Err(Failure::modified_since(&self.kind.resource, self.name()))
    }

    /// Takes an object from one state to another, through all checks.
    pub(super) async fn change(
        &self,
        old: &Object,
        new: Value,
        write: &Write<'_>,
    ) -> Result<Outcome, Failure> {
        let mut new = new;
        // Only its controller lets a namespace go, and through another door.
        if self.rules.kind == "Namespace" && self.target.subresource.as_deref() != Some("finalize") {
            new["spec"] = old["spec"].clone();
        }
        let shown_old =
            if Arc::ptr_eq(&self.kind, &self.rules) { self.show(old).into_owned() } else { (**old).clone() };
        let mut warnings = Vec::new();
        let dry_run = write.options.dry_run;
        restore(&self.rules, &mut new, &shown_old, write.part);
        self.fill_defaults(&mut new);
        if !write.owned {
            ownership::track(&self.rules, Some(&shown_old), &mut new, &write.author);
        }
        let new = self.admit(Operation::Update, Some(&shown_old), new, dry_run, &mut warnings).await?;
        let changed = prepare_update(&self.rules, new, &shown_old, write.part, None)?;
        warnings.extend(changed.warnings);
        self.validate(Operation::Update, Some(&shown_old), Some(&changed.object), dry_run, &mut warnings)
            .await?;
        let mut object = changed.object;
        object["metadata"]["resourceVersion"] = old["metadata"]["resourceVersion"].clone();
        if object == shown_old {
            return Ok(Outcome::Done { object: Arc::clone(old), warnings });
        }
        Ok(match self.api.objects.replace(&self.rules, old, self.kept(object), dry_run) {
            Some(object) => Outcome::Done { object, warnings },
            None => Outcome::Raced,
        })
    }

    pub(super) async fn patch(self, body: Incoming) -> Answered {
        self.patch_part(body, Part::AllButStatus, "").await
    }

    /// A patch of the object or of its status.
    pub(super) async fn patch_part(self, body: Incoming, part: Part, subresource: &'static str) -> Answered {
        let wanted = self.wanted()?;
        let form = PatchForm::read(&self)?;
        let body = body::read(body).await?;
        let is_apply = form == PatchForm::Apply;
        let options = WriteOptions::read(self.query(), "PatchOptions", self.asked.agent(), is_apply)?;
        if is_apply {
            return apply::answer(&self, &body, &options, part, subresource, wanted).await;
        }
        let patch = Patch::read(form, &body)?;
        let mut duplicates = patch.duplicates.clone();
        for _ in 0..ATTEMPTS {
            let old = self.stored().ok_or_else(|| self.not_found())?;
            let (new, warnings) = patch.patched(&self, &old, options.validation)?;
            self.check_name(&new)?;
            self.check_namespace(&new)?;
            if new["metadata"]["resourceVersion"] != old["metadata"]["resourceVersion"]
                && !new["metadata"]["resourceVersion"].is_null()
            {
                return Err(Failure::modified_since(&self.kind.resource, self.name()));
            }
            let author = Call::author(&options, subresource);
            let write = Write { options: &options, part, author, owned: false };
            if let Outcome::Done { object, warnings: more } =
                self.change(&old, self.worked_on(new), &write).await?
            {
                let (answer, format) = self.one(200, &object, wanted)?;
                if options.validation != FieldValidation::Warn {
                    duplicates.clear();
                }
                return Ok((answer.warned(duplicates).warned(warnings).warned(more), format));
            }
        }
        Err(Failure::modified_since(&self.kind.resource, self.name()))
    }

    pub(super) async fn delete(self, body: Incoming) -> Answered {
        let wanted = self.wanted()?;
        let body = body::read(body).await?;
        let (deletion, dry_run) = self.deletion(&body)?;
        let object = self.stored().ok_or_else(|| self.not_found())?;
        let mut warnings = Vec::new();
        let shown = self.show(&object).into_owned();
        self.admit_delete(&shown, dry_run, &mut warnings).await?;
        let deleted = self.remove(self.namespace(), self.name(), &deletion, dry_run)?;
        let whole = !deleted.gone || self.kind.built_in().is_some_and(|row| row.returns_deleted);
        if whole {
            let (answer, format) = self.one(200, &deleted.object, wanted)?;
            return Ok((answer.warned(warnings), format));
        }
        let mut details = self.kind.resource.details(self.name());
        details["uid"] = deleted.object["metadata"]["uid"].clone();
        let status = json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "details": details});
        Ok((Answer::object(status).warned(warnings), Call::format(wanted)))
    }

    pub(super) fn remove(
        &self,
        namespace: &str,
        name: &str,
        deletion: &Deletion,
        dry_run: bool,
    ) -> Result<crate::objects::Deleted, Failure> {
        const KEPT: [&str; 3] = ["default", "kube-system", "kube-public"];
        if self.rules.kind == "Namespace" && KEPT.contains(&name) {
            return Err(Failure::forbidden(&self.kind.resource, name, "this namespace may not be deleted"));
        }
        self.api.objects.remove(&self.rules, namespace, name, deletion, dry_run)
    }

    /// Options come in the body, in the URL, or not at all.
    pub(super) fn deletion(&self, body: &[u8]) -> Result<(Deletion, bool), Failure> {
        let mut options = if body.is_empty() { json!({}) } else { self.delete_options(body)? };
        for field in ["propagationPolicy", "orphanDependents", "gracePeriodSeconds"] {
            let Some(text) = self.query().get(field) else { continue };
            options[field] = match field {
                "gracePeriodSeconds" => json!(self.query().number(field)?),
                "orphanDependents" => json!(self.query().flag(field)),
                _ => json!(text),
            };
        }
        let mut causes = Causes::default();
        let policy = options["propagationPolicy"].as_str();
        let orphan = options["orphanDependents"].as_bool();
        let propagation = match (policy, orphan) {
            (Some(_), Some(_)) => {
                let why = "orphanDependents and deletionPropagation cannot be both set";
                causes.add(Cause::invalid("propagationPolicy", &options["propagationPolicy"], why));
                Propagation::Unsaid
            }
            (Some("Foreground"), _) => Propagation::Foreground,
            (Some("Background"), _) | (None, Some(false)) => Propagation::Background,
            (Some("Orphan"), _) | (None, Some(true)) => Propagation::Orphan,
            (Some(_), _) => {
                let supported = ["Foreground", "Background", "Orphan", "nil"];
                causes.add(Cause::unsupported(
                    "propagationPolicy",
                    &options["propagationPolicy"],
                    &supported,
                ));
                Propagation::Unsaid
            }
            (None, None) => Propagation::Unsaid,
        };
        let mut dry_runs: Vec<&str> =
            options["dryRun"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
        dry_runs.extend(self.query().dry_run());
        let dry_run = query::dry_run(dry_runs, &mut causes);
        refuse("DeleteOptions", causes)?;
        let text = |field: &str| options["preconditions"][field].as_str().map(str::to_owned);
        let deletion = Deletion {
            grace_seconds: options["gracePeriodSeconds"]
                .as_i64()
                .map(|seconds| u64::try_from(seconds).unwrap_or(1)),
            uid: text("uid"),
            resource_version: text("resourceVersion"),
            propagation,
        };
        Ok((deletion, dry_run))
    }

    fn delete_options(&self, body: &[u8]) -> Result<Value, Failure> {
        let content = self.asked.content_type();
        let options = match media::body_format(content)? {
            media::BodyFormat::Json => crate::json::read(body).map(|read| read.value),
            media::BodyFormat::Yaml => crate::yaml::read(body),
            media::BodyFormat::Protobuf => crate::wire::decode(body, ("v1", "DeleteOptions")),
        };
        let options = options.map_err(Failure::bad_request)?;
        match options["kind"].as_str() {
            None | Some("" | "DeleteOptions") => Ok(options),
            Some(kind) => {
                let version = options["apiVersion"].as_str().unwrap_or_default();
                Err(Failure::unexplained(format!(
                    "no kind {kind:?} is registered for version {version:?} in scheme \"pkg/runtime/scheme.go:110\""
                )))
            }
        }
    }

    pub(super) async fn delete_collection(self, body: Incoming) -> Answered {
        let wanted = self.wanted()?;
        let body = body::read(body).await?;
        let (deletion, dry_run) = self.deletion(&body)?;
        let (found, _) = self.selected()?;
        let mut deleted = Vec::new();
        let mut warnings = Vec::new();
        for object in found {
            let text = |field: &str| object["metadata"][field].as_str().unwrap_or_default();
            let one = Deletion { uid: Some(text("uid").to_owned()), ..deletion.clone() };
            self.admit_delete(&object, dry_run, &mut warnings).await?;
            match self.remove(text("namespace"), text("name"), &one, dry_run) {
                Ok(gone) => deleted.push(self.show(&gone.object).into_owned()),
                // Somebody else deleted it.
                Err(failure) if failure.code == 404 || failure.code == 409 => {}
                Err(failure) => return Err(failure),
            }
        }
        let revision = self.api.objects.store().revision();
        let (answer, format) = if let View::Table(version) = wanted.view {
            let metadata = json!({"resourceVersion": revision.to_string()});
            let include = table::Include::read(self.query())?;
            let table = table::table(&self.kind, version, metadata, &deleted, include);
            (Answer::new(200, Content::Object(table)), Call::format(wanted))
        } else {
            let list = self.list_of(deleted, json!({"resourceVersion": revision.to_string()}), wanted)?;
            (Answer::object(list), Call::format(wanted))
        };
        Ok((answer.warned(warnings), format))
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum PatchForm {
    Json,
    Merge,
    Strategic,
    Apply,
}

impl PatchForm {
    fn read(call: &Call) -> Result<PatchForm, Failure> {
        let media_type =
            call.asked.content_type().unwrap_or_default().split(';').next().unwrap_or_default().trim();
        let custom = call.kind.custom().is_some();
        match media_type {
            "application/json-patch+json" => Ok(PatchForm::Json),
            "application/merge-patch+json" => Ok(PatchForm::Merge),
            "application/apply-patch+yaml" => Ok(PatchForm::Apply),
            "application/strategic-merge-patch+json" if !custom => Ok(PatchForm::Strategic),
            _ if custom => Err(Failure::new(
                415,
                "UnsupportedMediaType",
                "the body of the request was in an unknown format - accepted media types include: \
                 application/json-patch+json, application/merge-patch+json, application/apply-patch+yaml",
            )),
            _ => Err(Failure {
                details: Some(json!({}).into()),
                ..Failure::new(415, "UnsupportedMediaType", "415: Unsupported Media Type")
            }),
        }
    }
}

/// A patch that isn't an apply.
struct Patch {
    steps: JsonPatch,
    value: Value,
    form: PatchForm,
    duplicates: Vec<String>,
}

impl Patch {
    fn read(form: PatchForm, body: &[u8]) -> Result<Patch, Failure> {
        let wrong = |why: String| Failure::bad_request(format!("error decoding patch: {why}"));
        let read = crate::json::read(body).map_err(wrong)?;
        let kind = |value: &Value| match value {
            Value::Null => "null",
            Value::Bool(_) => "bool",
            Value::Number(_) => "number",
            Value::String(_) => "string",
            Value::Array(_) => "array",
            Value::Object(_) => "object",
        };
        let mut steps = Vec::new();
        match form {
            PatchForm::Json => {
                if !read.value.is_array() {
                    let found = kind(&read.value);
                    return Err(wrong(format!(
                        "json: cannot unmarshal {found} into Go value of type []handlers.jsonPatchOp"
                    )));
                }
                steps =
                    serde_json::from_value(read.value.clone()).map_err(|error| wrong(error.to_string()))?;
                if steps.len() > MOST_OPERATIONS {
                    return Err(body::too_large(&format!(
                        "The allowed maximum operations in a JSON patch is {MOST_OPERATIONS}, got {}",
                        steps.len()
                    )));
                }
            }
            _ if !read.value.is_object() => {
                let found = kind(&read.value);
                return Err(wrong(format!(
                    "json: cannot unmarshal {found} into Go value of type map[string]interface {{}}"
                )));
            }
            _ => {}
        }
        Ok(Patch { steps, value: read.value, form, duplicates: read.duplicates })
    }

    /// The object as patched, in its canonical form, and what the client should be warned of.
    fn patched(
        &self,
        call: &Call,
        old: &Value,
        validation: FieldValidation,
    ) -> Result<(Value, Vec<String>), Failure> {
        let mut object = call.show(old).into_owned();
        match self.form {
            PatchForm::Json => {
                let fits = self.steps.iter().try_for_each(|step| step.apply(&mut object));
                let message = "the server rejected our request due to an error in our request";
                let refusal =
                    || Failure { details: Some(json!({}).into()), ..Failure::new(422, "Invalid", message) };
                fits.map_err(|_| refusal())?;
            }
            PatchForm::Merge => merge(&mut object, &self.value),
            PatchForm::Strategic | PatchForm::Apply => {
                strategic_merge(&call.kind.schema, &mut object, &self.value).map_err(Failure::bad_request)?;
            }
        }
        let refused = |object: &Value, why: &str| {
            let shown = if self.form == PatchForm::Strategic {
                go_map(&self.value)
            } else {
                let mut sorted = object.clone();
                sorted.sort_all_objects();
                sorted.to_string()
            };
            let mut causes = Causes::default();
            causes.add(Cause::invalid("patch", &json!(shown), why));
            Failure::invalid("", "", "", causes)
        };
        let patched = object.clone();
        let (object, mut strict) = body::canonical(&call.kind, object).map_err(|(_, why)| {
            let why = match self.form {
                PatchForm::Strategic => {
                    let kind = why.rsplit(" of type ").next().unwrap_or_default();
                    format!("unrecognized type: {kind}")
                }
                _ => why,
            };
            refused(&patched, &why)
        })?;
        if validation == FieldValidation::Strict {
            strict.extend(self.duplicates.iter().cloned());
            if !strict.is_empty() {
                return Err(refused(&patched, &format!("strict decoding error: {}", strict.join(", "))));
            }
        }
        if validation != FieldValidation::Warn {
            strict.clear();
        }
        Ok((object, strict))
    }
}

/// A value as Go prints maps.
fn go_map(value: &Value) -> String {
    match value {
        Value::Object(fields) => {
            let mut fields: Vec<_> = fields.iter().collect();
            fields.sort_by(|a, b| a.0.cmp(b.0));
            let fields: Vec<_> =
                fields.into_iter().map(|(name, value)| format!("{name}:{}", go_map(value))).collect();
            format!("map[{}]", fields.join(" "))
        }
        Value::Array(items) => {
            let items: Vec<_> = items.iter().map(go_map).collect();
            format!("[{}]", items.join(" "))
        }
        Value::String(text) => text.clone(),
        Value::Null => "<nil>".to_owned(),
        other => other.to_string(),
    }
}
