//! Kubernetes objects in YAML files, as `kubectl apply -f` would read them. The only place here that knows how.

use std::path::Path;

use serde_json::Value;

use crate::scenario::values::ObjectName;

/// An object that says what it is: apiVersion, kind and a name.
#[derive(Debug, Clone, PartialEq)]
pub struct Object(Value);

impl Object {
    /// # Errors
    /// What is missing.
    pub fn new(value: Value) -> Result<Object, String> {
        for pointer in ["/apiVersion", "/kind", "/metadata/name"] {
            if value.pointer(pointer).and_then(Value::as_str).is_none_or(str::is_empty) {
                let kind = value.get("kind").and_then(Value::as_str).unwrap_or("no kind");
                return Err(format!("an object ({kind}) without {}", pointer[1..].replace('/', ".")));
            }
        }
        Ok(Object(value))
    }

    pub fn name(&self) -> ObjectName {
        name_of(&self.0)
    }

    pub fn value(&self) -> &Value {
        &self.0
    }

    pub fn kind(&self) -> &str {
        self.0["kind"].as_str().unwrap_or_default()
    }

    /// Sets a field; maps on the way to it are made.
    ///
    /// # Errors
    /// The pointer leads through something that is no map.
    pub fn set(&mut self, pointer: &str, value: Value) -> Result<(), String> {
        let mut place = &mut self.0;
        for part in pointer.split('/').skip(1) {
            let part = part.replace("~1", "/").replace("~0", "~");
            if place.is_null() {
                *place = Value::Object(serde_json::Map::new());
            }
            place = match place {
                Value::Object(fields) => fields.entry(part).or_insert(Value::Null),
                Value::Array(items) => part
                    .parse::<usize>()
                    .ok()
                    .and_then(|index| items.get_mut(index))
                    .ok_or_else(|| format!("failed to set {pointer}: the list has no item {part}"))?,
                _ => return Err(format!("failed to set {pointer}: what holds {part} is no map")),
            };
        }
        *place = value;
        Ok(())
    }
}

/// Kind, namespace and name of a whole object.
pub fn name_of(object: &Value) -> ObjectName {
    let text = |pointer: &str| object.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_owned();
    ObjectName { kind: text("/kind"), namespace: text("/metadata/namespace"), name: text("/metadata/name") }
}

/// All objects of a file, or of the YAML files of a folder in the order of their names; lists are taken apart.
///
/// # Errors
/// Names the file, with the line where there is one.
pub fn read(path: &Path) -> Result<Vec<Object>, String> {
    let failed = |cause: &dyn std::fmt::Display| format!("failed to read {}: {cause}", path.display());
    if path.is_dir() {
        let entries = std::fs::read_dir(path).map_err(|error| failed(&error))?;
        let mut files: Vec<_> = entries.filter_map(|entry| Some(entry.ok()?.path())).collect();
        files.retain(|file| file.extension().is_some_and(|ending| ending == "yaml" || ending == "yml"));
        files.sort();
        if files.is_empty() {
            return Err(failed(&"the folder has no YAML file"));
        }
        return files.iter().map(|file| read(file)).collect::<Result<Vec<_>, _>>().map(|all| all.concat());
    }
    let text = std::fs::read_to_string(path).map_err(|error| failed(&error))?;
    objects(&text).map_err(|(line, message)| {
        if line == 0 { failed(&message) } else { format!("{}:{line}: {message}", path.display()) }
    })
}

/// All objects of a text, or the line of the fault (0 if unknown) and what it is.
///
/// # Errors
/// As said.
pub fn objects(text: &str) -> Result<Vec<Object>, (u64, String)> {
    use serde_saphyr::{Spanned, UserMessageFormatter};
    let options = serde_saphyr::options! {
        strict_booleans: true,
        legacy_octal_numbers: true,
        with_snippet: false,
    };
    let documents: Vec<Spanned<Value>> =
        serde_saphyr::from_multiple_with_options(text, options).map_err(|error| {
            let line = error.location().map_or(0, |location| location.line());
            (line, error.without_snippet().render_with_formatter(&UserMessageFormatter))
        })?;
    let mut objects = Vec::new();
    for document in documents.into_iter().filter(|document| !document.value.is_null()) {
        let line = document.referenced.line();
        let items = match document.value.get("items").and_then(Value::as_array) {
            Some(items) if document.value["kind"].as_str().is_some_and(|kind| kind.ends_with("List")) => {
                items.clone()
            }
            _ => vec![document.value],
        };
        for item in items {
            objects.push(Object::new(item).map_err(|message| (line, message))?);
        }
    }
    Ok(objects)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_file_of_several_objects() {
        let text = "apiVersion: v1\nkind: Namespace\nmetadata: {name: a}\n---\n---\napiVersion: v1\nkind: List\nitems:\n- {apiVersion: v1, kind: Secret, metadata: {name: b, namespace: a}}\n";
        let names: Vec<String> =
            objects(text).unwrap().iter().map(|object| object.name().to_string()).collect();
        assert_eq!(names, ["Namespace a", "Secret a/b"]);
    }

    #[test]
    fn what_is_no_object_is_refused_with_its_line() {
        assert_eq!(objects("a: 1\n").unwrap_err(), (1, "an object (no kind) without apiVersion".to_owned()));
        let (line, message) = objects("apiVersion: v1\nkind: Secret\n---\na: [\n").unwrap_err();
        assert!(line >= 4, "{line} {message}");
    }

    #[test]
    fn fields_are_set_and_made() {
        let mut object =
            Object::new(json!({"apiVersion": "v1", "kind": "K", "metadata": {"name": "n"}, "a": [1]}))
                .unwrap();
        object.set("/config/x~1y", json!(2)).unwrap();
        object.set("/a/0", json!(3)).unwrap();
        assert_eq!(object.value()["config"]["x/y"], 2);
        assert_eq!(object.value()["a"][0], 3);
        assert!(object.set("/kind/x", json!(1)).unwrap_err().contains("is no map"));
        assert!(object.set("/a/7", json!(1)).unwrap_err().contains("no item 7"));
    }
}
