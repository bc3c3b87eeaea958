//! Server-side apply.

use serde_json::Value;

use super::Answered;
use super::body;
use super::call::Call;
use super::media::Wanted;
use super::query::WriteOptions;
use super::verbs::{Outcome, Write};
use crate::failure::Failure;
use crate::objects::Part;
use crate::ownership;

const ATTEMPTS: usize = 50;

pub(super) async fn answer(
    call: &Call,
    body: &[u8],
    options: &WriteOptions,
    part: Part,
    subresource: &'static str,
    wanted: Wanted,
) -> Answered {
    let applied = read(call, body)?;
    let force = call.query().flag("force") == Some(true);
    let author = Call::author(options, subresource);
    for _ in 0..ATTEMPTS {
        let live = call.stored();
        let shown = live.as_deref().map(|live| call.show(live).into_owned());
        check_versions(call, &applied, shown.as_ref(), subresource)?;
        let merged = ownership::apply(&call.kind, shown.as_ref(), &applied, &author, force)?;
        let (mut object, _) =
            body::canonical(&call.kind, merged).map_err(|(_, why)| Failure::unexplained(why))?;
        let Some(live) = live else {
            if let Some(metadata) = object["metadata"].as_object_mut() {
                metadata.shift_remove("resourceVersion");
            }
            match call.create_object(object, options, author.clone(), true).await {
                Ok((object, warnings)) => {
                    let (answer, format) = call.one(201, &object, wanted)?;
                    return Ok((answer.warned(warnings), format));
                }
                // Somebody else made it.
                Err(failure) if failure.reason == "AlreadyExists" => continue,
                Err(failure) => return Err(failure),
            }
        };
        if shown.is_some_and(|shown| ownership::same_but_times(&shown, &object)) {
            return call.one(200, &live, wanted);
        }
        let write = Write { options, part, author: author.clone(), owned: true };
        if let Outcome::Done { object, warnings } = call.change(&live, call.worked_on(object), &write).await?
        {
            let (answer, format) = call.one(200, &object, wanted)?;
            return Ok((answer.warned(warnings), format));
        }
    }
    Err(Failure::modified_since(&call.kind.resource, call.name()))
}

/// The applied fields; YAML is a superset of what most clients send, which is JSON.
fn read(call: &Call, body: &[u8]) -> Result<Value, Failure> {
    let looks_like_json = body.iter().find(|byte| !byte.is_ascii_whitespace()) == Some(&b'{');
    let applied = if looks_like_json {
        crate::json::read(body).map(|read| read.value)
    } else {
        crate::yaml::read(body)
    };
    let mut applied = applied.map_err(|why| Failure::bad_request(format!("error decoding YAML: {why}")))?;
    let text = |field: &str| applied[field].as_str().unwrap_or_default().to_owned();
    let (api_version, kind) = (text("apiVersion"), text("kind"));
    if api_version != call.kind.api_version() || kind != call.kind.kind {
        let group_version = if api_version.is_empty() { "/".to_owned() } else { api_version };
        return Err(Failure::bad_request(format!("invalid object type: {group_version}, Kind={kind}")));
    }
    call.check_name(&applied)?;
    call.check_namespace(&applied)?;
    if !applied["metadata"]["managedFields"].is_null() {
        return Err(Failure::bad_request("metadata.managedFields must be nil"));
    }
    // A namespace on what is in none is cleared.
    if let Some(metadata) = applied["metadata"].as_object_mut()
        && !call.kind.namespaced
    {
        metadata.shift_remove("namespace");
    }
    Ok(applied)
}

fn check_versions(
    call: &Call,
    applied: &Value,
    live: Option<&Value>,
    subresource: &str,
) -> Result<(), Failure> {
    let version = applied["metadata"]["resourceVersion"].as_str().unwrap_or_default();
    let uid = applied["metadata"]["uid"].as_str().unwrap_or_default();
    let Some(live) = live else {
        if !subresource.is_empty() {
            return Err(call.not_found());
        }
        if uid.is_empty() {
            return Ok(());
        }
        let why = format!(
            "uid mismatch: the provided object specified uid {uid}, and no existing object was found"
        );
        return Err(Failure::conflict(&call.kind.resource, call.name(), &why));
    };
    if !version.is_empty() && live["metadata"]["resourceVersion"] != *version {
        return Err(Failure::modified_since(&call.kind.resource, call.name()));
    }
    if !uid.is_empty() && live["metadata"]["uid"] != *uid {
        let found = &live["metadata"]["uid"];
        let why = format!(
            "uid mismatch: the provided object specified uid {uid}, and the existing object has uid {found}"
        );
        return Err(Failure::conflict(&call.kind.resource, call.name(), &why));
    }
    Ok(())
}
