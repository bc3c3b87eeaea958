//! Lists: which state, which objects, which page.

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Map, Value, json};

use super::Answered;
use super::answer::{Answer, Content};
use super::call::Call;
use super::media::{View, Wanted, for_errors};
use super::query::{At, ListOptions};
use super::table::{self, Include};
use crate::failure::Failure;
use crate::objects::Object;
use crate::selector::{FieldSelector, LabelSelector};

/// How long a list waits for a version that is yet to come.
const PATIENCE: Duration = Duration::from_secs(3);

/// Labels and fields that objects must have.
#[derive(Debug, Clone, Default)]
pub(super) struct Selection {
    labels: LabelSelector,
    fields: FieldSelector,
}

impl Selection {
    pub(super) fn read(call: &Call) -> Result<Selection, Failure> {
        Ok(Selection {
            labels: LabelSelector::parse(call.query().get("labelSelector").unwrap_or_default())?,
            fields: FieldSelector::parse(call.query().get("fieldSelector").unwrap_or_default(), &call.kind)?,
        })
    }

    /// `object` as it is shown.
    pub(super) fn takes(&self, object: &Value) -> bool {
        self.labels.selects(object) && self.fields.selects(object)
    }

    fn is_everything(&self) -> bool {
        self.labels.is_empty() && self.fields.is_empty()
    }
}

impl Call {
    pub(super) async fn list(self) -> Answered {
        let wanted = self.wanted()?;
        let options = ListOptions::read(self.query(), false)?;
        let selection = Selection::read(&self)?;
        let include = Include::read(self.query())?;
        let (objects, revision, start) = if let Some(token) = &options.continue_token {
            let token = Token::read(token)?;
            if options.version.is_some_and(|version| version > 0) {
                let why = "specifying resource version is not allowed when using continue";
                return Err(Failure::bad_request(why));
            }
            let Ok((objects, revision)) = self.at_token(&token) else {
                return Ok((token.expired(), for_errors(self.asked.accept())));
            };
            (objects, revision, token.start.trim_start_matches('/').to_owned())
        } else {
            let (objects, revision) = self.at(options.at).await?;
            (objects, revision, String::new())
        };
        let limit = if options.at == At::Any { 0 } else { options.limit };
        let mut shown = Vec::new();
        let mut metadata = Map::from_iter([("resourceVersion".to_owned(), json!(revision.to_string()))]);
        let mut candidates =
            objects.iter().filter(|object| self.key(object) >= start).map(|object| self.show(object));
        for object in candidates.by_ref().filter(|object| selection.takes(object)) {
            if limit > 0 && shown.len() == limit {
                let last = shown.last().map(|last: &Value| self.key(last)).unwrap_or_default();
                metadata.insert("continue".to_owned(), json!(Token::after(revision, &last)));
                if selection.is_everything() {
                    metadata.insert("remainingItemCount".to_owned(), json!(candidates.count() + 1));
                }
                break;
            }
            shown.push(object.into_owned());
        }
        let metadata = Value::Object(metadata);
        let content = match wanted.view {
            View::Table(version) => table::table(&self.kind, version, metadata, &shown, include),
            _ => self.list_of(shown, metadata, wanted)?,
        };
        Ok((Answer::object(content), Call::format(wanted)))
    }

    /// A list in the form of its kind.
    pub(super) fn list_of(
        &self,
        mut items: Vec<Value>,
        mut metadata: Value,
        wanted: Wanted,
    ) -> Result<Value, Failure> {
        match wanted.view {
            View::Metadata => {
                let found = match self.kind.custom() {
                    Some(_) => "*unstructured.UnstructuredList".to_owned(),
                    None => format!("*{}.{}", self.kind.version, self.kind.list_kind),
                };
                let why = format!(
                    "you requested PartialObjectMetadata, but the requested object is a list ({found})"
                );
                return Err(Failure::new(406, "NotAcceptable", why));
            }
            View::MetadataList => {
                let items: Vec<_> = items.iter().map(|item| table::partial(item, "v1")).collect();
                return Ok(json!({
                    "kind": "PartialObjectMetadataList",
                    "apiVersion": "meta.k8s.io/v1",
                    "metadata": metadata,
                    "items": items,
                }));
            }
            View::Whole | View::Table(_) => {}
        }
        if self.kind.custom().is_some() {
            if metadata["continue"].is_null() {
                metadata["continue"] = json!("");
            }
        } else {
            for fields in items.iter_mut().filter_map(Value::as_object_mut) {
                fields.shift_remove("apiVersion");
                fields.shift_remove("kind");
            }
        }
        Ok(json!({
            "kind": self.kind.list_kind,
            "apiVersion": self.kind.api_version(),
            "metadata": metadata,
            "items": items,
        }))
    }

    /// What selectors take, newest state, as shown.
    pub(super) fn selected(&self) -> Result<(Vec<Value>, u64), Failure> {
        let selection = Selection::read(self)?;
        let (objects, revision) =
            self.api.objects.store().list(&self.rules.resource, self.target.namespace.as_deref());
        let shown = objects.iter().map(|object| self.show(object).into_owned());
        Ok((shown.filter(|object| selection.takes(object)).collect(), revision))
    }

    async fn at(&self, at: At) -> Result<(Vec<Object>, u64), Failure> {
        let store = self.api.objects.store();
        let namespace = self.target.namespace.as_deref();
        if let At::NotBefore(version) | At::Exactly(version) = at
            && !store.reached(version, PATIENCE).await
        {
            return Err(too_large(version, store.revision()));
        }
        match at {
            At::Exactly(version) => match store.list_at(&self.rules.resource, namespace, version) {
                Ok(objects) => Ok((objects, version)),
                Err(_) => Err(Failure::expired("The resourceVersion for the provided list is too old.")),
            },
            At::Now | At::Any | At::NotBefore(_) => Ok(store.list(&self.rules.resource, namespace)),
        }
    }

    fn at_token(&self, token: &Token) -> Result<(Vec<Object>, u64), ()> {
        let store = self.api.objects.store();
        let namespace = self.target.namespace.as_deref();
        match u64::try_from(token.revision) {
            Err(_) => Ok(store.list(&self.rules.resource, namespace)),
            Ok(revision) => match store.list_at(&self.rules.resource, namespace, revision) {
                Ok(objects) => Ok((objects, revision)),
                Err(_) => Err(()),
            },
        }
    }

    /// The place of an object in this list.
    fn key(&self, object: &Value) -> String {
        let text = |field: &str| object["metadata"][field].as_str().unwrap_or_default();
        if self.kind.namespaced && self.target.namespace.is_none() {
            format!("{}/{}", text("namespace"), text("name"))
        } else {
            text("name").to_owned()
        }
    }
}

fn too_large(version: u64, current: u64) -> Failure {
    let message = format!("Timeout: Too large resource version: {version}, current: {current}");
    let details = json!({
        "causes": [{"reason": "ResourceVersionTooLarge", "message": "Too large resource version"}],
        "retryAfterSeconds": 1,
    });
    Failure { details: Some(details.into()), ..Failure::new(504, "Timeout", message) }
}

/// Where a page ended.
struct Token {
    /// -1 for any.
    revision: i64,
    start: String,
}

impl Token {
    /// For what comes after a key.
    fn after(revision: u64, last: &str) -> String {
        encode(&json!({"v": "meta.k8s.io/v1", "rv": revision, "start": format!("/{last}\0")}))
    }

    fn read(text: &str) -> Result<Token, Failure> {
        let wrong = |why: String| {
            Failure::bad_request(format!("invalid continue token: continue key is not valid: {why}"))
        };
        let decoded =
            URL_SAFE_NO_PAD.decode(text.trim_end_matches('=')).map_err(|error| wrong(error.to_string()))?;
        let token = crate::json::read(&decoded).map_err(wrong)?.value;
        match (token["rv"].as_i64(), token["start"].as_str()) {
            (Some(revision), Some(start)) if token["v"] == "meta.k8s.io/v1" => {
                Ok(Token { revision, start: start.to_owned() })
            }
            _ => Err(wrong("server does not recognize this encoded version".to_owned())),
        }
    }

    /// The refusal, with a token to go on from any state.
    fn expired(&self) -> Answer {
        let message = "The provided continue parameter is too old to display a consistent list result. You can start a \
            new list without the continue parameter, or use the continue token in this response to retrieve the \
            remainder of the results. Continuing with the provided token results in an inconsistent list - objects \
            that were created, modified, or deleted between the time the first chunk was returned and now may show \
            up in the list.";
        let start = self.start.trim_start_matches('/');
        let mut status = Failure::expired(message).status();
        let token = encode(&json!({"v": "meta.k8s.io/v1", "rv": -1, "start": start}));
        status["metadata"] = json!({"continue": token});
        Answer::new(410, Content::Object(status))
    }
}

fn encode(token: &Value) -> String {
    URL_SAFE_NO_PAD.encode(token.to_string())
}
