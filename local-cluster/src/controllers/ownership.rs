//! Who owns an object, and taking in orphans that a selector names.

use serde_json::{Value, json};

use crate::failure::Failure;
use crate::kinds::{is_going, name, namespace, text, uid};
use crate::objects::{Object, Objects, Part, Resource};

use super::reconciler::Key;

/// The reference that makes `owner` the controller of an object.
pub(crate) fn controller_reference(owner: &Value) -> Value {
    json!({
        "apiVersion": text(owner, "/apiVersion"), "kind": text(owner, "/kind"),
        "name": name(owner), "uid": uid(owner),
        "controller": true, "blockOwnerDeletion": true,
    })
}

/// The reference to the controller of an object.
pub(crate) fn controller_of(object: &Value) -> Option<&Value> {
    let owners = object.pointer("/metadata/ownerReferences")?.as_array()?;
    owners.iter().find(|owner| owner["controller"] == json!(true))
}

/// The name of the controller, when it is of this kind.
pub(crate) fn controller_name<'a>(object: &'a Value, kind: &str) -> Option<&'a str> {
    controller_of(object).filter(|owner| text(owner, "/kind") == kind).map(|owner| text(owner, "/name"))
}

/// The controller of an object, when it is of this kind, as what a change of the object concerns.
pub(crate) fn concerned_controller(object: &Value, kind: &str) -> Vec<Key> {
    let key = |name: &str| Key { namespace: namespace(object).to_owned(), name: name.to_owned() };
    controller_name(object, kind).map(key).into_iter().collect()
}

/// The objects in the owner's namespace that it controls; those that nobody controls and that it `selects` are
/// taken in.
pub(crate) fn claim(
    objects: &Objects,
    resource: &Resource,
    owner: &Value,
    selects: impl Fn(&Value) -> bool,
) -> Result<Vec<Object>, Failure> {
    let mut claimed = Vec::new();
    for object in objects.list(resource, Some(namespace(owner))) {
        match controller_of(&object) {
            Some(reference) if text(reference, "/uid") == uid(owner) => claimed.push(object),
            Some(_) => {}
            None if is_going(owner) || is_going(&object) || !selects(&object) => {}
            None => claimed.push(adopt(objects, resource, owner, &object)?),
        }
    }
    Ok(claimed)
}

fn adopt(objects: &Objects, resource: &Resource, owner: &Value, object: &Value) -> Result<Object, Failure> {
    let reference = controller_reference(owner);
    objects.modify(resource, namespace(object), name(object), Part::AllButStatus, |object| {
        match object["metadata"]["ownerReferences"].as_array_mut() {
            Some(owners) => owners.push(reference),
            None => object["metadata"]["ownerReferences"] = json!([reference]),
        }
    })
}
