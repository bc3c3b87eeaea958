//! Parts of objects with a URL of their own: status, scale, a pod's logs and binding, a namespace's end, tokens.

use std::time::Duration;

use futures_util::StreamExt;
use http::Method;
use hyper::body::Incoming;
use serde_json::{Value, json};

use super::answer::{Answer, Content};
use super::call::Call;
use super::media;
use super::query::WriteOptions;
use super::verbs::{Outcome, Write};
use super::{Answered, body};
use crate::credentials::{AUDIENCE, Account};
use crate::failure::Failure;
use crate::node::LogOptions;
use crate::objects::{Deletion, Part, timestamp};
use crate::patch::{JsonPatch, merge};
use crate::resources::ScalePaths;
use crate::selector::object_text;

const ATTEMPTS: usize = 50;

impl Call {
    pub(super) async fn subresource(self, part: &str, body: Incoming) -> Answered {
        let method = self.asked.method.clone();
        match (part, &method) {
            ("status", &Method::GET | &Method::HEAD) => self.get(),
            ("status", &Method::PUT) => self.replace(body, Part::Status, "status").await,
            ("status", &Method::PATCH) => self.patch_part(body, Part::Status, "status").await,
            ("scale", &Method::GET | &Method::HEAD) => self.get_scale(),
            ("scale", &Method::PUT | &Method::PATCH) => self.write_scale(body).await,
            ("finalize", &Method::PUT) => self.replace(body, Part::AllButStatus, "").await,
            ("log", &Method::GET) => self.logs(),
            ("binding", &Method::POST) => self.bind(body).await,
            ("eviction", &Method::POST) => self.evict(body).await,
            ("token", &Method::POST) => self.token(body).await,
            (_, method) => {
                let verb = match *method {
                    Method::POST => "create",
                    Method::DELETE => "delete",
                    Method::PATCH => "patch",
                    Method::PUT => "update",
                    _ => "",
                };
                Err(self.not_allowed(verb))
            }
        }
    }

    fn scale_paths(&self) -> ScalePaths {
        let custom = self.kind.custom().and_then(|custom| custom.scale.clone());
        custom.unwrap_or_else(|| ScalePaths {
            replicas: "spec.replicas".to_owned(),
            status_replicas: "status.replicas".to_owned(),
            selector: None,
        })
    }

    fn scale_of(&self, object: &Value) -> Value {
        let paths = self.scale_paths();
        let at = |path: &str| path.split('.').fold(object, |value, part| &value[part]);
        let mut metadata = json!({});
        for field in ["name", "namespace", "uid", "resourceVersion", "creationTimestamp"] {
            metadata[field] = object["metadata"][field].clone();
        }
        let mut status = json!({"replicas": at(&paths.status_replicas).as_i64().unwrap_or(0)});
        let selector = match &paths.selector {
            Some(path) => at(path).as_str().unwrap_or_default().to_owned(),
            None if self.kind.custom().is_none() => object_text(&object["spec"]["selector"]),
            None => String::new(),
        };
        if !selector.is_empty() {
            status["selector"] = json!(selector);
        }
        let mut spec = json!({});
        if let Some(replicas) = at(&paths.replicas).as_i64().filter(|replicas| *replicas != 0) {
            spec["replicas"] = json!(replicas);
        }
        json!({"kind": "Scale", "apiVersion": "autoscaling/v1", "metadata": metadata, "spec": spec, "status": status})
    }

    fn get_scale(&self) -> Answered {
        let wanted = self.wanted()?;
        let object = self.stored().ok_or_else(|| self.not_found())?;
        Ok((Answer::object(self.scale_of(&self.show(&object))), Call::format(wanted)))
    }

    async fn write_scale(self, body: Incoming) -> Answered {
        let wanted = self.wanted()?;
        let patching = self.asked.method == Method::PATCH;
        let kind = if patching { "PatchOptions" } else { "UpdateOptions" };
        let content = self.asked.content_type().unwrap_or_default().to_owned();
        let apply = content.starts_with("application/apply-patch");
        let body = body::read(body).await?;
        let options = WriteOptions::read(self.query(), kind, self.asked.agent(), apply)?;
        let given = match media::body_format(Some(&content)) {
            Ok(media::BodyFormat::Protobuf) => crate::wire::decode(&body, ("autoscaling/v1", "Scale")),
            _ if apply => crate::yaml::read(&body),
            _ => crate::json::read(&body).map(|read| read.value),
        };
        let given = given.map_err(|why| Failure::bad_request(format!("error decoding the body: {why}")))?;
        for _ in 0..ATTEMPTS {
            let old = self.stored().ok_or_else(|| self.not_found())?;
            let mut scale = self.scale_of(&self.show(&old));
            match (patching, content.starts_with("application/json-patch")) {
                (true, true) => {
                    let steps: JsonPatch = serde_json::from_value(given.clone())
                        .map_err(|error| Failure::bad_request(error.to_string()))?;
                    let refused = "the server rejected our request due to an error in our request";
                    let applied = steps.iter().try_for_each(|step| step.apply(&mut scale));
                    applied.map_err(|_| Failure::new(422, "Invalid", refused))?;
                }
                (true, false) => merge(&mut scale, &given),
                (false, _) => scale = given.clone(),
            }
            let version = scale["metadata"]["resourceVersion"].as_str().unwrap_or_default();
            if !version.is_empty() && old["metadata"]["resourceVersion"] != *version {
                return Err(Failure::modified_since(&self.kind.resource, self.name()));
            }
            let replicas = match &scale["spec"]["replicas"] {
                Value::Null => 0,
                value => {
                    value.as_i64().ok_or_else(|| Failure::bad_request("spec.replicas must be a number"))?
                }
            };
            if replicas < 0 {
                let mut causes = crate::failure::Causes::default();
                let why = "must be greater than or equal to 0";
                causes.add(crate::failure::Cause::invalid("spec.replicas", &json!(replicas), why));
                return Err(Failure::invalid("autoscaling", "Scale", self.name(), causes));
            }
            let mut new = self.show(&old).into_owned();
            let pointer = format!("/{}", self.scale_paths().replicas.replace('.', "/"));
            set(&mut new, &pointer, json!(replicas));
            let author = Call::author(&options, "scale");
            let write = Write { options: &options, part: Part::AllButStatus, author, owned: false };
            if let Outcome::Done { object, warnings } = self.change(&old, new, &write).await? {
                let answer = Answer::object(self.scale_of(&self.show(&object))).warned(warnings);
                return Ok((answer, Call::format(wanted)));
            }
        }
        Err(Failure::modified_since(&self.kind.resource, self.name()))
    }

    fn logs(self) -> Answered {
        let pod = self.stored().ok_or_else(|| self.not_found())?;
        let number = |name: &str| -> Result<Option<u64>, Failure> {
            Ok(self.query().number(name)?.and_then(|number| u64::try_from(number).ok()))
        };
        let flag = |name: &str| self.query().flag(name) == Some(true);
        let mut container = self.query().get("container").unwrap_or_default().to_owned();
        let names = |list: &str| -> Vec<String> {
            let containers = pod["spec"][list].as_array().into_iter().flatten();
            containers.filter_map(|container| container["name"].as_str().map(str::to_owned)).collect()
        };
        let (usual, init) = (names("containers"), names("initContainers"));
        if container.is_empty() {
            match usual.as_slice() {
                [only] => container.clone_from(only),
                several => {
                    let init = if init.is_empty() {
                        String::new()
                    } else {
                        format!(" or one of the init containers: [{}]", init.join(" "))
                    };
                    return Err(Failure::bad_request(format!(
                        "a container name must be specified for pod {}, choose one of: [{}]{init}",
                        self.name(),
                        several.join(" ")
                    )));
                }
            }
        } else if !usual.contains(&container) && !init.contains(&container) {
            return Err(Failure::bad_request(format!(
                "container {container} is not valid for pod {}",
                self.name()
            )));
        }
        let options = LogOptions {
            container,
            follow: flag("follow"),
            previous: flag("previous"),
            since_seconds: number("sinceSeconds")?,
            tail_lines: number("tailLines")?.map(|lines| lines as usize),
            limit_bytes: number("limitBytes")?.map(|bytes| bytes as usize),
            timestamps: flag("timestamps"),
        };
        let Some(logs) = &self.api.logs else {
            return Err(Failure::new(503, "ServiceUnavailable", "there is no node that runs pods"));
        };
        let stream = logs.logs(self.namespace(), self.name(), &options)?;
        let stopping = self.api.stopping.clone();
        let stream = stream.take_until(async move { stopping.cancelled().await }).boxed();
        Ok((Answer::new(200, Content::Stream("text/plain", stream)), media::Format::Json))
    }

    /// Puts a pod on a node.
    async fn bind(self, body: Incoming) -> Answered {
        let binding = self.given(body, "Binding").await?;
        let node = binding["target"]["name"].as_str().unwrap_or_default();
        if node.is_empty() {
            let mut causes = crate::failure::Causes::default();
            causes.add(crate::failure::Cause::required("target.name", ""));
            return Err(Failure::invalid("", "Binding", self.name(), causes));
        }
        let node = node.to_owned();
        let pod = self.stored().ok_or_else(|| self.not_found())?;
        if let Some(already) = pod["spec"]["nodeName"].as_str().filter(|name| !name.is_empty()) {
            let why = format!("pod {} is already assigned to node {already:?}", self.name());
            return Err(Failure::conflict(
                &crate::objects::Resource::new("", "pods/binding"),
                self.name(),
                &why,
            ));
        }
        let edit = |pod: &mut Value| pod["spec"]["nodeName"] = json!(node);
        self.api.objects.modify(
            &self.rules.resource,
            self.namespace(),
            self.name(),
            Part::AllButStatus,
            edit,
        )?;
        let now = timestamp(jiff::Timestamp::now());
        let scheduled = json!({"type": "PodScheduled", "status": "True", "lastProbeTime": null, "lastTransitionTime": now});
        let edit = |pod: &mut Value| pod["status"]["conditions"] = json!([scheduled]);
        self.api.objects.modify(&self.rules.resource, self.namespace(), self.name(), Part::Status, edit)?;
        Ok((Answer::new(201, Content::Object(success(201))), media::Format::Json))
    }

    /// Deletes a pod as a drain does. Disruption budgets are kept, not enforced.
    async fn evict(self, body: Incoming) -> Answered {
        let eviction = self.given(body, "Eviction").await?;
        self.stored().ok_or_else(|| self.not_found())?;
        let grace = eviction["deleteOptions"]["gracePeriodSeconds"].as_u64();
        let deletion = Deletion { grace_seconds: grace, ..Deletion::default() };
        self.remove(self.namespace(), self.name(), &deletion, false)?;
        Ok((Answer::new(201, Content::Object(success(201))), media::Format::Json))
    }

    /// A token of a service account.
    async fn token(self, body: Incoming) -> Answered {
        const DEFAULT_SECONDS: u64 = 3600;
        let request = self.given(body, "TokenRequest").await?;
        let account = self.stored().ok_or_else(|| self.not_found())?;
        let audiences: Vec<String> = request["spec"]["audiences"]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(|audience| audience.as_str().map(str::to_owned))
            .collect();
        let audiences = if audiences.is_empty() { vec![AUDIENCE.to_owned()] } else { audiences };
        let seconds = request["spec"]["expirationSeconds"].as_u64().unwrap_or(DEFAULT_SECONDS);
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let bound = &request["spec"]["boundObjectRef"];
        let account = Account {
            namespace: self.namespace().to_owned(),
            name: self.name().to_owned(),
            uid: text(&account["metadata"]["uid"]),
            pod: (bound["kind"] == "Pod").then(|| (text(&bound["name"]), text(&bound["uid"]))),
        };
        let (token, end) =
            self.api.credentials.account_token(&account, &audiences, Duration::from_secs(seconds));
        let answer = json!({
            "kind": "TokenRequest",
            "apiVersion": "authentication.k8s.io/v1",
            "metadata": {"name": self.name(), "namespace": self.namespace(), "creationTimestamp": timestamp(jiff::Timestamp::now())},
            "spec": {"audiences": audiences, "expirationSeconds": seconds, "boundObjectRef": bound},
            "status": {"token": token, "expirationTimestamp": timestamp(end)},
        });
        let format = media::negotiate(self.asked.accept(), true)?.format;
        Ok((Answer::new(201, Content::Object(answer)), format))
    }

    /// The body of a question or order, which may be in any form.
    pub(super) async fn given(&self, body: Incoming, kind: &str) -> Result<Value, Failure> {
        let format = media::body_format(self.asked.content_type())?;
        let body = body::read(body).await?;
        let read = match format {
            media::BodyFormat::Json => crate::json::read(&body).map(|read| read.value),
            media::BodyFormat::Yaml => crate::yaml::read(&body),
            media::BodyFormat::Protobuf => crate::wire::decode(&body, ("v1", kind)),
        };
        let unrecognized = |why: String| {
            Failure::bad_request(format!(
                "the object provided is unrecognized (must be of type {kind}): {why}"
            ))
        };
        let value = read.map_err(unrecognized)?;
        match value["kind"].as_str() {
            None | Some("") => Ok(value),
            Some(found) if found == kind => Ok(value),
            Some(found) => Err(unrecognized(format!("it is a {found}"))),
        }
    }
}

fn success(code: u16) -> Value {
    json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "code": code})
}

fn set(object: &mut Value, pointer: &str, value: Value) {
    let mut place = object;
    for part in pointer.split('/').filter(|part| !part.is_empty()) {
        place = &mut place[part];
    }
    *place = value;
}
