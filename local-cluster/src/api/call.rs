//! A request about objects: which kind, which view of it, and what is asked to be done.

use std::borrow::Cow;
use std::sync::Arc;

use http::Method;
use hyper::body::Incoming;
use serde_json::{Value, json};

use super::answer::{Answer, Content};
use super::media::{self, Format, View, Wanted};
use super::path::Target;
use super::query::{Query, WriteOptions};
use super::table::{self, Include};
use super::{Answered, Api, Asked, event_view};
use crate::failure::Failure;
use crate::objects::{Object, Resource};
use crate::ownership::Author;
use crate::resources::{Kind, Table};
use crate::schema;

pub(crate) struct Call {
    pub(super) api: Arc<Api>,
    pub(super) asked: Asked,
    pub(super) target: Target,
    /// The kind as the URL names it.
    pub(super) kind: Arc<Kind>,
    /// The kind by whose rules objects are kept.
    pub(super) rules: Arc<Kind>,
    pub(super) watch: bool,
}

impl Call {
    /// Nothing for what isn't served, and isn't ours to say anything about.
    pub(super) fn new(
        api: &Arc<Api>,
        table: &Table,
        asked: Asked,
        target: Target,
        watch: bool,
    ) -> Result<Option<Call>, Failure> {
        let kinds = table.of(&target.group, &target.version);
        let Some(kind) = table.find(&target.group, &target.version, &target.plural) else {
            let ours = kinds.iter().any(|kind| kind.built_in().is_some());
            return if ours { Err(Failure::no_such_resource()) } else { Ok(None) };
        };
        let kind = Arc::clone(kind);
        let custom = kind.custom().is_some();
        // One object, or a new one, must be looked for in the right place.
        let placed = match (kind.namespaced, target.namespace.is_some()) {
            (true, true) | (false, false) => true,
            (false, true) => false,
            (true, false) => {
                target.name.is_none() && matches!(asked.method, Method::GET | Method::HEAD | Method::DELETE)
            }
        };
        if !placed {
            return if custom { Ok(None) } else { Err(Failure::no_such_resource()) };
        }
        if let Some(part) = &target.subresource
            && !kind.has_subresource(part)
        {
            let name = target.name.as_deref().unwrap_or_default();
            return Err(if custom {
                Failure::not_found(&kind.resource, name)
            } else {
                Failure::no_such_resource()
            });
        }
        let rules = match kind.group() {
            "events.k8s.io" => table.stored(&Resource::new("", "events")).cloned(),
            _ => None,
        };
        let rules = rules.unwrap_or_else(|| Arc::clone(&kind));
        let watch = watch && target.subresource.is_none() && (target.watch || target.name.is_none());
        Ok(Some(Call { api: Arc::clone(api), asked, target, kind, rules, watch }))
    }

    pub(super) async fn answer(self, body: Incoming) -> Answered {
        let method = self.asked.method.clone();
        let one = self.target.name.is_some();
        let question = self.kind.built_in().is_some_and(|row| row.question);
        let deprecation = self.kind.custom().and_then(|custom| custom.deprecation.clone());
        let answered = match (&method, self.target.subresource.as_deref()) {
            (&Method::POST, None) if question => self.question(body).await,
            _ if question => Err(self.not_allowed("")),
            (_, Some(part)) => {
                let part = part.to_owned();
                self.subresource(&part, body).await
            }
            (&Method::GET | &Method::HEAD, _) if self.watch => self.stream(),
            (&Method::GET | &Method::HEAD, _) if one => self.get(),
            (&Method::GET | &Method::HEAD, _) => self.list().await,
            (&Method::POST, _) if one && self.kind.custom().is_none() => Err(self.not_allowed("create")),
            (&Method::POST, _) => self.create(body).await,
            (&Method::PUT, _) if one => self.update(body).await,
            (&Method::PUT, _) if self.kind.custom().is_some() => {
                Err(Failure::bad_request("name must be provided"))
            }
            (&Method::PATCH, _) if one => self.patch(body).await,
            (&Method::DELETE, _) if one => self.delete(body).await,
            (&Method::DELETE, _) if self.kind.kind != "Namespace" => self.delete_collection(body).await,
            _ => Err(self.not_allowed("")),
        };
        answered.map(|(answer, format)| (answer.warned(deprecation), format))
    }

    /// In the words of the two halves of the API: the one for custom kinds names the verb.
    pub(super) fn not_allowed(&self, verb: &str) -> Failure {
        let (message, details) = match self.kind.custom() {
            Some(_) => {
                let subject = self.kind.resource.qualified();
                let message = format!("{verb} is not supported on resources of kind {subject:?}");
                (message, self.kind.resource.details(""))
            }
            None => ("the server does not allow this method on the requested resource".to_owned(), json!({})),
        };
        Failure { details: Some(details.into()), ..Failure::new(405, "MethodNotAllowed", message) }
    }

    pub(super) fn query(&self) -> &Query {
        &self.asked.query
    }

    /// Empty for what is in none.
    pub(super) fn namespace(&self) -> &str {
        self.target.namespace.as_deref().unwrap_or_default()
    }

    pub(super) fn name(&self) -> &str {
        self.target.name.as_deref().unwrap_or_default()
    }

    pub(super) fn stored(&self) -> Option<Object> {
        self.api.objects.get(&self.rules.resource, self.namespace(), self.name())
    }

    pub(super) fn not_found(&self) -> Failure {
        Failure::not_found(&self.kind.resource, self.name())
    }

    pub(super) fn wanted(&self) -> Result<Wanted, Failure> {
        media::negotiate(self.asked.accept(), self.kind.built_in().is_some())
    }

    pub(super) fn author(options: &WriteOptions, subresource: &'static str) -> Author {
        Author { manager: options.manager.clone(), subresource }
    }

    /// An object as the URL's version of its kind shows it.
    pub(super) fn show<'a>(&self, object: &'a Value) -> Cow<'a, Value> {
        if !Arc::ptr_eq(&self.kind, &self.rules) {
            return Cow::Owned(event_view::newer(object));
        }
        if self.kind.custom().is_none() {
            return Cow::Borrowed(object);
        }
        let mut shown = schema::in_version(object, &self.kind.api_version());
        schema::default(&self.kind.schema, &mut shown);
        Cow::Owned(shown)
    }

    /// An object as it is worked on: in the URL's version, except for what is only a view.
    pub(super) fn worked_on(&self, object: Value) -> Value {
        if Arc::ptr_eq(&self.kind, &self.rules) { object } else { event_view::older(&object) }
    }

    /// An object as it is kept.
    pub(super) fn kept(&self, object: Value) -> Value {
        match self.kind.custom() {
            Some(custom) if custom.storage_version != *self.kind.version => {
                schema::in_version(&object, &format!("{}/{}", self.kind.group(), custom.storage_version))
            }
            _ => object,
        }
    }

    /// The answer that is one object, in the view that was asked for.
    pub(super) fn one(&self, status: u16, object: &Value, wanted: Wanted) -> Answered {
        let shown = self.show(object);
        let content = match wanted.view {
            View::Whole => shown.into_owned(),
            View::Metadata => table::partial(&shown, "v1"),
            View::MetadataList => return Err(Failure::unexplained("content is not a list")),
            View::Table(version) => {
                let include = Include::read(self.query())?;
                let metadata = table::metadata_of(&shown);
                table::table(&self.kind, version, metadata, &[shown.into_owned()], include)
            }
        };
        Ok((Answer::new(status, Content::Object(content)), Call::format(wanted)))
    }

    /// Tables and metadata are JSON or YAML only here.
    pub(super) fn format(wanted: Wanted) -> Format {
        match (wanted.format, wanted.view) {
            (Format::Protobuf, view) if view != View::Whole => Format::Json,
            (format, _) => format,
        }
    }
}
