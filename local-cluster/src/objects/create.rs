//! Making an object.

use serde_json::{Value, json};

use super::metadata::{self, is_being_deleted, text};
use super::{Object, Objects, Resource, custom};
use crate::failure::{Causes, Failure};
use crate::ownership::{self, Author};
use crate::resources::Kind;
use crate::store::key_of;

/// An object that is complete and valid, but not yet stored.
pub(crate) struct NewObject {
    pub(crate) object: Value,
    pub(crate) warnings: Vec<String>,
}

impl NewObject {
    /// Sets what only the server says, fills in defaults and checks everything. Without an author the ownership
    /// of fields is as the object says.
    pub(crate) fn prepare(
        kind: &Kind,
        mut object: Value,
        namespace: &str,
        author: Option<&Author>,
    ) -> Result<NewObject, Failure> {
        if !text(&object, "resourceVersion").is_empty() {
            return Err(Failure::unexplained("resourceVersion should not be set on objects to be created"));
        }
        let uid = uuid::Uuid::new_v4().to_string();
        let fields = metadata::of(&mut object);
        for field in ["deletionTimestamp", "deletionGracePeriodSeconds", "selfLink", "generation"] {
            fields.shift_remove(field);
        }
        fields.insert("uid".to_owned(), json!(uid));
        fields.insert("creationTimestamp".to_owned(), json!(metadata::now()));
        // The namespace of an object that is in none is cleared, whoever wrote it.
        fields.shift_remove("namespace");
        if kind.namespaced {
            fields.insert("namespace".to_owned(), json!(namespace));
        }
        if kind.has_generation() {
            fields.insert("generation".to_owned(), json!(1));
        }
        let prefix = text(&object, "generateName").to_owned();
        if text(&object, "name").is_empty() && !prefix.is_empty() {
            object["metadata"]["name"] = json!(metadata::generated_name(&prefix));
        }
        if kind.custom().is_some_and(|custom| custom.status)
            && let Some(fields) = object.as_object_mut()
        {
            fields.shift_remove("status");
        }
        let mut causes = Causes::default();
        if let Some(row) = kind.built_in() {
            (row.rules.on_create)(&mut object);
            (row.rules.default)(&mut object);
            (row.rules.validate)(&object, &mut causes);
        }
        metadata::validate(kind, &object, &mut causes);
        if kind.custom().is_some() {
            custom::validate(kind, &object, None, &mut causes);
        }
        if !causes.0.is_empty() {
            return Err(Failure::invalid(kind.group(), &kind.kind, text(&object, "name"), causes));
        }
        if let Some(author) = author {
            ownership::track(kind, None, &mut object, author);
        }
        let warnings = metadata::warnings(&object, None);
        Ok(NewObject { object, warnings })
    }
}

impl Objects {
    /// Stores a new object, unless it is there already or its namespace can't take it.
    pub(crate) fn insert(&self, kind: &Kind, object: Value, dry_run: bool) -> Result<Object, Failure> {
        let writer = self.store().write();
        self.check_namespace(kind, &object)?;
        let name = text(&object, "name");
        if let Some(existing) = self.store().get(&kind.resource, &key_of(&object)) {
            let mut failure = Failure::already_exists(&kind.resource, name);
            if is_being_deleted(&existing) {
                failure.message = format!("object is being deleted: {}", failure.message);
            }
            return Err(failure);
        }
        if dry_run { Ok(object.into()) } else { Ok(writer.put(&kind.resource, object)) }
    }

    /// Nothing can be made in a namespace that is not there, or is going.
    pub(crate) fn check_namespace(&self, kind: &Kind, object: &Value) -> Result<(), Failure> {
        if !kind.namespaced {
            return Ok(());
        }
        let namespaces = Resource::new("", "namespaces");
        let name = text(object, "namespace");
        let Some(namespace) = self.get(&namespaces, "", name) else {
            return Err(Failure::not_found(&namespaces, name));
        };
        if !is_being_deleted(&namespace) {
            return Ok(());
        }
        let why = format!("unable to create new content in namespace {name} because it is being terminated");
        let mut failure = Failure::forbidden(&kind.resource, text(object, "name"), &why);
        if let Some(details) = &mut failure.details {
            details["causes"] = json!([{
                "reason": "NamespaceTerminating",
                "message": format!("namespace {name} is being terminated"),
                "field": "metadata.namespace",
            }]);
        }
        Err(failure)
    }
}
