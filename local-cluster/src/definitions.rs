//! The life of `CustomResourceDefinitions`: their names are accepted, their kinds are served, and when they go their
//! objects go first.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use serde_json::{Value, json};

use crate::objects::{AllChanges, Deletion, Object, Objects, Part, Resource, is_being_deleted, now};
use crate::resources::{Kind, custom_kinds};

pub(crate) const CLEANUP: &str = "customresourcecleanup.apiextensions.k8s.io";

fn definitions() -> Resource {
    Resource::new("apiextensions.k8s.io", "customresourcedefinitions")
}

fn edition(definition: &Value) -> Edition {
    let metadata = &definition["metadata"];
    let uid = metadata["uid"].as_str().unwrap_or_default().to_owned();
    (uid, metadata["generation"].as_i64(), is_being_deleted(definition))
}

/// Runs until the cluster stops.
pub(crate) async fn run(objects: Objects) {
    let mut keeper = Keeper {
        objects: objects.clone(),
        established: Vec::new(),
        read: HashMap::new(),
        going: BTreeSet::new(),
    };
    let mut changes: AllChanges = objects.watch_all();
    keeper.sync();
    while let Some((resource, _)) = changes.next().await {
        if resource == definitions() || keeper.going.contains(&resource) {
            keeper.sync();
        }
    }
}

/// What tells a definition from what it was before: its uid, its generation and whether it is being deleted.
type Edition = (String, Option<i64>, bool);

struct Keeper {
    objects: Objects,
    /// Names of definitions in the order in which their kinds came.
    established: Vec<String>,
    /// Kinds of definitions, which take a while to read.
    read: HashMap<Edition, Vec<Arc<Kind>>>,
    /// Resources whose definitions wait for the last of their objects.
    going: BTreeSet<Resource>,
}

impl Keeper {
    fn sync(&mut self) {
        let all = self.objects.list(&definitions(), None);
        for definition in all.iter().filter(|definition| !is_being_deleted(definition)) {
            self.accept(definition);
        }
        self.serve();
        for definition in all.iter().filter(|definition| is_being_deleted(definition)) {
            self.clean_up(definition);
        }
    }

    /// Gives a definition its names, as far as no other has them.
    fn accept(&self, definition: &Object) {
        let wanted = &definition["spec"]["names"];
        if *wanted == definition["status"]["acceptedNames"] {
            return;
        }
        let others: Vec<_> = self.objects.list(&definitions(), None);
        let taken = names_taken(definition, &others);
        let (accepted, conflict) = accepted_names(definition, &taken);
        let names = match &conflict {
            None => condition("NamesAccepted", true, "NoConflicts", "no conflicts found"),
            Some((reason, name)) => {
                condition("NamesAccepted", false, reason, &format!("{name:?} is already in use"))
            }
        };
        let was = definition["status"]["conditions"].as_array().into_iter().flatten();
        let was_established = was.into_iter().any(|c| c["type"] == "Established" && c["status"] == "True");
        let established = if conflict.is_none() || was_established {
            condition("Established", true, "InitialNamesAccepted", "the initial names have been accepted")
        } else {
            condition("Established", false, "NotAccepted", "not all names are accepted")
        };
        self.write_status(definition, |status| {
            status["acceptedNames"] = accepted;
            set_condition(status, names);
            set_condition(status, established);
        });
    }

    fn write_status(&self, definition: &Value, edit: impl FnOnce(&mut Value)) {
        let name = definition["metadata"]["name"].as_str().unwrap_or_default();
        let edit = |object: &mut Value| edit(&mut object["status"]);
        if let Err(failure) = self.objects.modify(&definitions(), "", name, Part::Status, edit)
            && failure.code != 404
        {
            tracing::warn!("failed to write the status of definition {name}: {failure}");
        }
    }

    /// Serves the kinds of all that are established, and no others.
    fn serve(&mut self) {
        let all = self.objects.list(&definitions(), None);
        let is_established = |definition: &Object| {
            let mut conditions = definition["status"]["conditions"].as_array().into_iter().flatten();
            conditions.any(|c| c["type"] == "Established" && c["status"] == "True")
        };
        let name =
            |definition: &Object| definition["metadata"]["name"].as_str().unwrap_or_default().to_owned();
        let mut served: Vec<_> = all.into_iter().filter(is_established).collect();
        let names: Vec<_> = served.iter().map(name).collect();
        self.established.retain(|known| names.contains(known));
        for name in names {
            if !self.established.contains(&name) {
                self.established.push(name);
            }
        }
        served.sort_by_key(|definition| self.established.iter().position(|known| *known == name(definition)));
        let before: BTreeSet<_> = self.objects.resources().into_iter().collect();
        let mut kinds = Vec::new();
        let mut read = HashMap::new();
        for definition in &served {
            let edition = edition(definition);
            let its = self.read.remove(&edition).unwrap_or_else(|| custom_kinds(definition));
            kinds.extend(its.iter().cloned());
            read.insert(edition, its);
        }
        self.read = read;
        self.objects.kinds().replace_custom(kinds);
        let after: BTreeSet<_> = self.objects.resources().into_iter().collect();
        for gone in before.difference(&after) {
            self.objects.store().discontinue(gone);
        }
    }

    /// Deletes the objects of a definition that is going; when none is left, lets it go.
    fn clean_up(&mut self, definition: &Object) {
        let finalizers = definition["metadata"]["finalizers"].as_array().cloned().unwrap_or_default();
        if !finalizers.iter().any(|name| name == CLEANUP) {
            return;
        }
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let resource =
            Resource::new(&text(&definition["spec"]["group"]), &text(&definition["spec"]["names"]["plural"]));
        for object in self.objects.list(&resource, None) {
            let (namespace, name) =
                (text(&object["metadata"]["namespace"]), text(&object["metadata"]["name"]));
            if !is_being_deleted(&object)
                && let Err(failure) = self.objects.delete(&resource, &namespace, &name, &Deletion::default())
            {
                tracing::debug!("failed to delete {} {namespace}/{name}: {failure}", resource.plural);
            }
        }
        if !self.objects.list(&resource, None).is_empty() {
            self.going.insert(resource);
            let why = "CustomResource deletion is in progress";
            let terminating = condition("Terminating", true, "InstanceDeletionInProgress", why);
            self.write_status(definition, |status| set_condition(status, terminating));
            return;
        }
        self.going.remove(&resource);
        let name = text(&definition["metadata"]["name"]);
        let release = |object: &mut Value| {
            if let Some(names) = object["metadata"]["finalizers"].as_array_mut() {
                names.retain(|name| name != CLEANUP);
            }
        };
        if let Err(failure) = self.objects.modify(&definitions(), "", &name, Part::AllButStatus, release) {
            tracing::debug!("failed to let definition {name} go: {failure}");
        }
    }
}

/// Names of resources and of kinds that other definitions of the group have.
struct Taken {
    resources: BTreeSet<String>,
    kinds: BTreeSet<String>,
}

fn names_taken(definition: &Value, all: &[Object]) -> Taken {
    let mut taken = Taken { resources: BTreeSet::new(), kinds: BTreeSet::new() };
    let others = all.iter().filter(|other| {
        other["spec"]["group"] == definition["spec"]["group"]
            && other["metadata"]["uid"] != definition["metadata"]["uid"]
    });
    for other in others {
        let names = &other["status"]["acceptedNames"];
        let text = |name: &str| names[name].as_str().map(str::to_owned);
        taken.resources.extend(["plural", "singular"].into_iter().filter_map(text));
        let short = names["shortNames"].as_array().into_iter().flatten();
        taken.resources.extend(short.filter_map(|name| name.as_str().map(str::to_owned)));
        taken.kinds.extend(["kind", "listKind"].into_iter().filter_map(text));
    }
    taken
}

/// The names that can be had, and the last conflict.
fn accepted_names(definition: &Value, taken: &Taken) -> (Value, Option<(&'static str, String)>) {
    let wanted = &definition["spec"]["names"];
    let mut accepted = definition["status"]["acceptedNames"].clone();
    if !accepted.is_object() {
        accepted = json!({});
    }
    let mut conflict = None;
    let single = [
        ("plural", "PluralConflict", &taken.resources),
        ("singular", "SingularConflict", &taken.resources),
        ("kind", "KindConflict", &taken.kinds),
        ("listKind", "ListKindConflict", &taken.kinds),
    ];
    for (field, reason, taken) in single {
        let name = wanted[field].as_str().unwrap_or_default();
        if accepted[field] == *name || !taken.contains(name) {
            accepted[field] = json!(name);
        } else {
            conflict = Some((reason, name.to_owned()));
        }
        // Short names are looked at between the names of the resource and those of the kind.
        if field == "singular" {
            let short: Vec<_> =
                wanted["shortNames"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
            match short.iter().find(|name| taken.contains(**name)) {
                Some(name) => conflict = Some(("ShortNamesConflict", (*name).to_owned())),
                None if short.is_empty() => {
                    drop(accepted.as_object_mut().map(|names| names.shift_remove("shortNames")));
                }
                None => accepted["shortNames"] = wanted["shortNames"].clone(),
            }
        }
    }
    match &wanted["categories"] {
        Value::Null => drop(accepted.as_object_mut().map(|names| names.shift_remove("categories"))),
        categories => accepted["categories"] = categories.clone(),
    }
    if let Some(names) = accepted.as_object_mut() {
        let required = |name: &str| name == "plural" || name == "kind";
        names.retain(|name, value| required(name) || !value.is_null() && value != "");
    }
    for field in ["plural", "kind"] {
        if accepted[field].is_null() {
            accepted[field] = json!("");
        }
    }
    (accepted, conflict)
}

fn condition(kind: &str, holds: bool, reason: &str, message: &str) -> Value {
    json!({
        "type": kind,
        "status": if holds { "True" } else { "False" },
        "lastTransitionTime": now(),
        "reason": reason,
        "message": message,
    })
}

/// Replaces a condition of the same type; the time stays while the status stays.
pub(crate) fn set_condition(status: &mut Value, mut condition: Value) {
    if !status["conditions"].is_array() {
        status["conditions"] = json!([]);
    }
    let Some(conditions) = status["conditions"].as_array_mut() else { return };
    match conditions.iter_mut().find(|known| known["type"] == condition["type"]) {
        Some(known) => {
            if known["status"] == condition["status"] {
                condition["lastTransitionTime"] = known["lastTransitionTime"].clone();
            }
            *known = condition;
        }
        None => conditions.push(condition),
    }
}

/// What the first deletion does to a definition: its objects must go before it.
pub(crate) fn mark_deleted(definition: &mut Value) {
    let metadata = &mut definition["metadata"];
    if !metadata["finalizers"].is_array() {
        metadata["finalizers"] = json!([]);
    }
    if let Some(names) = metadata["finalizers"].as_array_mut()
        && !names.iter().any(|name| name == CLEANUP)
    {
        names.push(json!(CLEANUP));
    }
    let why = "CustomResourceDefinition marked for deletion; CustomResource deletion will begin soon";
    set_condition(&mut definition["status"], condition("Terminating", true, "InstanceDeletionPending", why));
}
