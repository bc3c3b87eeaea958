//! Who owns which field. Every write notes in `metadata.managedFields` what it changed; a server-side apply sets
//! its fields, is refused where another manager set them otherwise, and takes out what it no longer sets.

mod field_set;
mod last_applied;
mod managers;
mod typed;

use serde_json::{Value, json};

use self::field_set::{FieldSet, Step};
use self::managers::{Manager, Managers};
use crate::failure::Failure;
use crate::objects::now;
use crate::resources::Kind;
use crate::schema;

/// Who writes, and through which door.
#[derive(Debug, Clone, Default)]
pub(crate) struct Author {
    /// The field manager; empty for a write that is not tracked.
    pub(crate) manager: String,
    /// `status`, `scale`, or empty.
    pub(crate) subresource: &'static str,
}

/// What every object has and nobody owns.
const UNOWNED: [&[&str]; 11] = [
    &["apiVersion"],
    &["kind"],
    &["metadata"],
    &["metadata", "name"],
    &["metadata", "namespace"],
    &["metadata", "creationTimestamp"],
    &["metadata", "selfLink"],
    &["metadata", "uid"],
    &["metadata", "generation"],
    &["metadata", "managedFields"],
    &["metadata", "resourceVersion"],
];

impl Author {
    fn manager(&self, kind: &Kind, applied: bool) -> Manager {
        Manager {
            name: self.manager.clone(),
            applied,
            api_version: kind.api_version(),
            subresource: self.subresource.to_owned(),
            // As Kubernetes has it, a change of scale has no time.
            time: (self.subresource != "scale").then(now),
            fields: FieldSet::default(),
        }
    }
}

/// Notes what a plain write changed. `old` is nothing for a new object.
pub(crate) fn track(kind: &Kind, old: Option<&Value>, new: &mut Value, author: &Author) {
    let cleared = new["metadata"]["managedFields"].as_array().is_some_and(|entries| entries == &[json!({})]);
    let mut managers = match (old, cleared) {
        (_, true) => Managers::default(),
        // A client may edit the entries, and leaves them out when it knows nothing of them.
        (old, false) => {
            if new["metadata"]["managedFields"].is_array() {
                Managers::read(new)
            } else {
                old.map(Managers::read).unwrap_or_default()
            }
        }
    };
    let untracked = old.is_some() && managers.0.is_empty();
    if !author.manager.is_empty() && !untracked {
        let blank = blank(kind);
        let writer = author.manager(kind, false);
        note(kind, &mut managers, old.unwrap_or(&blank), new, writer);
    }
    managers.write(new);
}

/// An object of the kind that nobody has said anything about.
fn blank(kind: &Kind) -> Value {
    let blank = json!({"metadata": {}});
    match kind.built_in() {
        Some(_) => schema::decode(&kind.schema, blank.clone()).map_or(blank, |(value, _)| value),
        None => blank,
    }
}

fn note(kind: &Kind, managers: &mut Managers, old: &Value, new: &Value, mut writer: Manager) {
    let mut difference = typed::compare(Some(&kind.schema), old, new);
    for set in [&mut difference.added, &mut difference.modified, &mut difference.removed] {
        strip(set, &writer.subresource, kind);
    }
    let mut touched = difference.added.clone();
    touched.union(&difference.modified);
    for manager in &mut managers.0 {
        let lost = manager.fields.difference(&touched).difference(&difference.removed);
        // Its own fields stay its own.
        manager.fields =
            if manager.is(&writer) { manager.fields.difference(&difference.removed) } else { lost };
    }
    if touched.is_empty() {
        return;
    }
    if let Some(manager) = managers.0.iter_mut().find(|manager| manager.is(&writer)) {
        manager.fields.union(&touched);
        manager.time = writer.time;
    } else {
        writer.fields = touched;
        managers.0.push(writer);
    }
}

/// Takes out what nobody can own, and for an apply to the object itself the status, which it can't set.
fn strip(set: &mut FieldSet, subresource: &str, kind: &Kind) {
    for path in UNOWNED {
        let path: Vec<_> = path.iter().map(|name| Step::Field((*name).to_owned())).collect();
        set.remove(&path);
    }
    if subresource.is_empty() && kind.has_subresource("status") {
        set.prune(&Step::Field("status".to_owned()));
    }
}

/// Sets the applied fields on the live object, or on a new one.
pub(crate) fn apply(
    kind: &Kind,
    live: Option<&Value>,
    applied: &Value,
    author: &Author,
    force: bool,
) -> Result<Value, Failure> {
    let blank = blank_for(kind, applied);
    let mut base = live.cloned().unwrap_or(blank);
    let mut managers = Managers::read(&base);
    if live.is_some() && managers.0.is_empty() {
        let first = Author { manager: "before-first-apply".to_owned(), ..author.clone() };
        note(kind, &mut managers, &json!({"metadata": {}}), &base, first.manager(kind, false));
    }
    if let Some(metadata) = base["metadata"].as_object_mut() {
        metadata.shift_remove("managedFields");
    }
    check_fit(kind, applied)?;
    let writer = author.manager(kind, true);
    let result = attempt(kind, &base, applied, managers.clone(), writer.clone(), force);
    let (mut object, managers) = match result {
        Ok(done) => done,
        Err(conflicts) if last_applied::permits(kind, &base, author, &conflicts) => {
            attempt(kind, &base, applied, managers, writer, true).map_err(Conflicts::failure)?
        }
        Err(conflicts) => return Err(conflicts.failure()),
    };
    last_applied::refresh(&mut object, applied, author);
    match live {
        // Whoever asks for what is there already has written nothing, so there is no time of it either.
        Some(live) if object == base && managers.hold_the_same(&Managers::read(live)) => Ok(live.clone()),
        _ => {
            managers.write(&mut object);
            Ok(object)
        }
    }
}

/// Whether two states differ in nothing but the times at which their managers wrote.
pub(crate) fn same_but_times(a: &Value, b: &Value) -> bool {
    let timeless = |object: &Value| {
        let mut object = object.clone();
        for entry in object["metadata"]["managedFields"].as_array_mut().into_iter().flatten() {
            entry["time"] = Value::Null;
        }
        object
    };
    timeless(a) == timeless(b)
}

/// A new object begins with its names only.
fn blank_for(kind: &Kind, applied: &Value) -> Value {
    let mut blank = json!({"apiVersion": kind.api_version(), "kind": kind.kind, "metadata": {}});
    blank["metadata"]["name"] = applied["metadata"]["name"].clone();
    if let Some(namespace) = applied["metadata"].get("namespace") {
        blank["metadata"]["namespace"] = namespace.clone();
    }
    blank
}

fn check_fit(kind: &Kind, applied: &Value) -> Result<(), Failure> {
    let wrong = typed::unfit(&kind.schema, applied);
    let why = match wrong.as_slice() {
        [] => return Ok(()),
        [one] => one.clone(),
        several => {
            let lines: Vec<_> = several.iter().map(|line| format!("  {line}")).collect();
            format!("errors:\n{}", lines.join("\n"))
        }
    };
    let text = |field: &str| applied["metadata"][field].as_str().unwrap_or_default().to_owned();
    Err(Failure::unexplained(format!(
        "failed to create typed patch object ({}/{}; {}, Kind={}): {why}",
        text("namespace"),
        text("name"),
        kind.api_version(),
        kind.kind
    )))
}

/// Managers that set fields otherwise.
struct Conflicts(Vec<(Manager, FieldSet)>);

fn attempt(
    kind: &Kind,
    base: &Value,
    applied: &Value,
    mut managers: Managers,
    mut writer: Manager,
    force: bool,
) -> Result<(Value, Managers), Conflicts> {
    let guide = Some(&kind.schema);
    let mut fields = typed::fields(guide, applied);
    // What an object must have counts as held, too.
    let mut owned = fields.clone();
    strip(&mut fields, &writer.subresource, kind);
    if !writer.subresource.is_empty() && writer.subresource != "scale" {
        fields = fields.only(&Step::Field(writer.subresource.clone()));
    }
    let last = managers.find(&writer).map(|manager| manager.fields.clone()).unwrap_or_default();
    writer.fields = fields;
    managers.0.retain(|manager| !manager.is(&writer));
    managers.0.push(writer.clone());

    let merged = typed::merge(guide, base, applied);
    managers.0.iter().for_each(|manager| owned.union(&manager.fields));
    let dropped = last.with_parents().difference(&owned.with_parents());
    let object = typed::remove(guide, &merged, &dropped).unwrap_or(merged);

    let mut difference = typed::compare(guide, base, &object);
    for set in [&mut difference.added, &mut difference.modified, &mut difference.removed] {
        strip(set, &writer.subresource, kind);
    }
    let mut touched = difference.added;
    touched.union(&difference.modified);
    let others = || managers.0.iter().filter(|manager| !manager.is(&writer));
    let conflicts: Vec<_> = others()
        .map(|manager| (manager.clone(), manager.fields.intersection(&touched)))
        .filter(|(_, fields)| !fields.is_empty())
        .collect();
    if !force && !conflicts.is_empty() {
        return Err(Conflicts(conflicts));
    }
    for manager in managers.0.iter_mut().filter(|manager| !manager.is(&writer)) {
        manager.fields = manager.fields.difference(&touched).difference(&difference.removed);
    }
    Ok((object, managers))
}

impl Conflicts {
    fn failure(mut self) -> Failure {
        self.0.sort_by(|a, b| a.0.name.cmp(&b.0.name));
        let count: usize = self.0.iter().map(|(_, fields)| fields.paths().len()).sum();
        let mut causes = Vec::new();
        let mut lines = Vec::new();
        for (manager, fields) in &self.0 {
            let paths = fields.paths();
            let with = manager.shown();
            match paths.as_slice() {
                [path] if count == 1 => lines.push(format!("conflict with {with}: {path}")),
                paths => {
                    let list: Vec<_> = paths.iter().map(|path| format!("\n- {path}")).collect();
                    lines.push(format!("conflicts with {with}:{}", list.concat()));
                }
            }
            causes.extend(paths.into_iter().map(|path| {
                json!({"reason": "FieldManagerConflict", "message": format!("conflict with {with}"), "field": path})
            }));
        }
        let plural = if count == 1 { "" } else { "s" };
        let message = format!("Apply failed with {count} conflict{plural}: {}", lines.join("\n"));
        Failure { details: Some(json!({"causes": causes}).into()), ..Failure::new(409, "Conflict", message) }
    }
}

#[cfg(test)]
mod tests;
