//! Strategic merge patch: lists merge by the key that the published type names, with directives for what can't be
//! said by merging (`$patch`, `$retainKeys`, `$setElementOrder/…`, `$deleteFromPrimitiveList/…`).

use serde_json::{Map, Value};

use crate::schema::Schema;

const PATCH: &str = "$patch";
const RETAIN: &str = "$retainKeys";
const ORDER: &str = "$setElementOrder/";
const DELETE: &str = "$deleteFromPrimitiveList/";

/// The error tells what is wrong with the patch.
pub(crate) fn merge(schema: &Schema, target: &mut Value, patch: &Value) -> Result<(), String> {
    let Value::Object(patch) = patch else { return Err("expected an object as a patch".to_owned()) };
    if !target.is_object() {
        *target = Value::Object(Map::new());
    }
    match target {
        Value::Object(fields) => merge_map(Some(schema), fields, patch),
        _ => Ok(()),
    }
}

fn merge_map(
    schema: Option<&Schema>,
    target: &mut Map<String, Value>,
    patch: &Map<String, Value>,
) -> Result<(), String> {
    match patch.get(PATCH).map(|directive| directive.as_str().unwrap_or_default()) {
        Some("replace") => {
            target.clone_from(patch);
            target.shift_remove(PATCH);
            return Ok(());
        }
        Some("delete") => {
            target.clear();
            return Ok(());
        }
        None | Some("merge") => {}
        Some(other) => return Err(format!("unknown patch type: {other} found in map")),
    }
    if let Some(Value::Array(kept)) = patch.get(RETAIN) {
        target.retain(|name, _| kept.iter().any(|kept| kept == name));
    }
    for (name, removed) in patch.iter().filter_map(|(name, value)| Some((name.strip_prefix(DELETE)?, value)))
    {
        if let (Some(Value::Array(items)), Value::Array(removed)) = (target.get_mut(name), removed) {
            items.retain(|item| !removed.contains(item));
        }
    }
    for (name, value) in patch {
        if name.starts_with('$') {
            continue;
        }
        let field = schema.and_then(|schema| schema.field(name));
        let order = patch.get(&format!("{ORDER}{name}")).and_then(Value::as_array);
        match (target.get_mut(name), value) {
            (_, Value::Null) => drop(target.shift_remove(name)),
            (Some(Value::Object(old)), Value::Object(new)) => {
                merge_map(field, old, new)?;
            }
            (old, Value::Array(new)) => {
                let old = match old {
                    Some(Value::Array(old)) => std::mem::take(old),
                    _ => Vec::new(),
                };
                let merged = merge_list(field, old, new, order)?;
                target.insert(name.clone(), Value::Array(merged));
            }
            (_, Value::Object(new)) => {
                // Nothing to merge with, but directives inside must not stay.
                let mut fresh = Map::new();
                merge_map(field, &mut fresh, new)?;
                if new.get(PATCH).is_none_or(|directive| directive != "delete") {
                    target.insert(name.clone(), Value::Object(fresh));
                }
            }
            (_, value) => drop(target.insert(name.clone(), value.clone())),
        }
    }
    // An order may come without a list of its own.
    for (name, order) in
        patch.iter().filter_map(|(name, order)| Some((name.strip_prefix(ORDER)?, order.as_array()?)))
    {
        if let (false, Some(Value::Array(items))) = (patch.contains_key(name), target.get_mut(name)) {
            let key =
                schema.and_then(|schema| schema.field(name)).and_then(|field| field.strategy.key.clone());
            let old = items.clone();
            *items = arrange(std::mem::take(items), order, &old, key.as_deref());
        }
    }
    Ok(())
}

fn merge_list(
    schema: Option<&Schema>,
    old: Vec<Value>,
    patch: &[Value],
    order: Option<&Vec<Value>>,
) -> Result<Vec<Value>, String> {
    let strategy = schema.map(|schema| schema.strategy.clone()).unwrap_or_default();
    if !strategy.merge {
        return Ok(patch.to_vec());
    }
    let item = schema.and_then(|schema| schema.shape().items.as_deref());
    let is_map = |values: &[Value]| values.iter().any(Value::is_object);
    if !is_map(&old) && !is_map(patch) {
        let mut merged = old.clone();
        merged.extend(patch.iter().filter(|value| !old.contains(value)).cloned());
        return Ok(arrange(merged, order.map_or(patch, Vec::as_slice), &old, None));
    }
    let key = strategy.key.ok_or("a list of objects has no merge key")?;
    let mut merged = old.clone();
    let mut plain = Vec::new();
    for entry in patch {
        let directive = entry.get(PATCH).and_then(Value::as_str);
        if directive == Some("replace") {
            // The other items of the patch are the whole list.
            merged.clear();
            continue;
        }
        let value = entry
            .get(&key)
            .ok_or_else(|| format!("map: {entry} does not contain declared merge key: {key}"))?;
        let place = merged.iter().position(|other| other.get(&key) == Some(value));
        match (directive, place) {
            (Some("delete"), Some(place)) => drop(merged.remove(place)),
            (Some("delete"), None) => {}
            (_, place) => {
                plain.push(entry.clone());
                let Value::Object(fields) = entry else {
                    return Err("a list of objects has an item that is none".to_owned());
                };
                let mut target = match place.map(|place| merged[place].take()) {
                    Some(Value::Object(fields)) => fields,
                    _ => Map::new(),
                };
                merge_map(item, &mut target, fields)?;
                match place {
                    Some(place) => merged[place] = Value::Object(target),
                    None => merged.push(Value::Object(target)),
                }
            }
        }
    }
    Ok(arrange(merged, order.map_or(&plain, |order| order), &old, Some(&key)))
}

/// What is in the order stands as the order says; the rest stands as it stood, before what it stood before.
fn arrange(items: Vec<Value>, order: &[Value], old: &[Value], key: Option<&str>) -> Vec<Value> {
    let place = |list: &[Value], item: &Value| {
        list.iter().position(|other| match key {
            Some(key) => other.get(key) == item.get(key),
            None => other == item,
        })
    };
    let (mut ordered, rest): (Vec<_>, Vec<_>) =
        items.into_iter().partition(|item| place(order, item).is_some());
    ordered.sort_by_key(|item| place(order, item));
    let mut arranged = Vec::with_capacity(ordered.len() + rest.len());
    let (mut ordered, mut rest) = (ordered.into_iter().peekable(), rest.into_iter().peekable());
    loop {
        match (rest.peek(), ordered.peek()) {
            (Some(left), Some(right)) => {
                let before = matches!((place(old, left), place(old, right)), (Some(left), Some(right)) if left < right);
                arranged.extend(if before { rest.next() } else { ordered.next() });
            }
            (Some(_), None) => arranged.extend(rest.next()),
            (None, Some(_)) => arranged.extend(ordered.next()),
            (None, None) => return arranged,
        }
    }
}
