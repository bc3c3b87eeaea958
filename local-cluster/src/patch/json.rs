//! JSON patch. Two leniences of Kubernetes: replacing what an object doesn't have adds it, and a `-` at the end of a
//! list adds.

use serde::Deserialize;
use serde_json::Value;

/// Operations in order; all are done or none.
pub(crate) type JsonPatch = Vec<Step>;

/// One operation. An unknown one is refused when it is its turn.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Step {
    #[serde(default)]
    op: String,
    #[serde(default)]
    path: String,
    #[serde(default)]
    from: String,
    #[serde(default)]
    value: Value,
}

/// The patch doesn't fit the object.
#[derive(Debug, PartialEq)]
pub(crate) struct Unfit;

impl Step {
    /// What it does, and where.
    pub(crate) fn named(&self) -> (&str, &str) {
        (&self.op, &self.path)
    }

    pub(crate) fn apply(&self, target: &mut Value) -> Result<(), Unfit> {
        match self.op.as_str() {
            "add" => add(target, &self.path, self.value.clone()),
            "replace" => {
                if self.path.is_empty() {
                    *target = self.value.clone();
                    return Ok(());
                }
                let (parent, key) = parent(target, &self.path)?;
                match parent {
                    Value::Object(fields) => drop(fields.insert(key, self.value.clone())),
                    Value::Array(items) => *items.get_mut(index(&key)?).ok_or(Unfit)? = self.value.clone(),
                    _ => return Err(Unfit),
                }
                Ok(())
            }
            "remove" => remove(target, &self.path).map(drop),
            "move" => {
                let value = remove(target, &self.from)?;
                add(target, &self.path, value)
            }
            "copy" => {
                let value = target.pointer(&self.from).cloned().ok_or(Unfit)?;
                add(target, &self.path, value)
            }
            "test" => {
                let found = target.pointer(&self.path).unwrap_or(&Value::Null);
                if *found == self.value { Ok(()) } else { Err(Unfit) }
            }
            _ => Err(Unfit),
        }
    }
}

fn add(target: &mut Value, path: &str, value: Value) -> Result<(), Unfit> {
    if path.is_empty() {
        *target = value;
        return Ok(());
    }
    let (parent, key) = parent(target, path)?;
    match parent {
        Value::Object(fields) => drop(fields.insert(key, value)),
        Value::Array(items) if key == "-" => items.push(value),
        Value::Array(items) => {
            let index = index(&key)?;
            if index > items.len() {
                return Err(Unfit);
            }
            items.insert(index, value);
        }
        _ => return Err(Unfit),
    }
    Ok(())
}

fn remove(target: &mut Value, path: &str) -> Result<Value, Unfit> {
    let (parent, key) = parent(target, path)?;
    match parent {
        Value::Object(fields) => fields.shift_remove(&key).ok_or(Unfit),
        Value::Array(items) => {
            let index = index(&key)?;
            if index < items.len() { Ok(items.remove(index)) } else { Err(Unfit) }
        }
        _ => Err(Unfit),
    }
}

fn parent<'a>(target: &'a mut Value, path: &str) -> Result<(&'a mut Value, String), Unfit> {
    let (parent, key) = path.rsplit_once('/').ok_or(Unfit)?;
    let key = key.replace("~1", "/").replace("~0", "~");
    Ok((target.pointer_mut(parent).ok_or(Unfit)?, key))
}

fn index(key: &str) -> Result<usize, Unfit> {
    key.parse().map_err(|_| Unfit)
}
