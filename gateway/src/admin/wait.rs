//! `POST /wait`: answers when what was asked for serves, so that nobody has to guess how long a change takes.

use std::collections::HashMap;
use std::time::Duration;

use admin_api::ObjectVersion;
use admin_api::status::{WaitAnswer, WaitRequest};
use axum::Json;
use axum::extract::State;
use axum::extract::rejection::JsonRejection;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};

use super::status::problem;
use super::{Admin, message};
use crate::snapshot::publish::Published;

const USUAL: Duration = Duration::from_secs(10);
const LONGEST: Duration = Duration::from_mins(1);

pub(super) async fn until_live(
    State(admin): State<Admin>,
    request: Result<Json<WaitRequest>, JsonRejection>,
) -> Response {
    let request = match request {
        Ok(Json(request)) => request,
        Err(rejection) => return message(StatusCode::BAD_REQUEST, &rejection.body_text()),
    };
    let patience = request.timeout_ms.map_or(USUAL, Duration::from_millis).min(LONGEST);
    let mut published = admin.publisher.subscribe();
    let live = published.wait_for(|published| missing(published, &request).is_empty());
    let in_time = tokio::time::timeout(patience, live).await.is_ok_and(|result| result.is_ok());
    let last = published.borrow().clone();
    let status = if in_time { StatusCode::OK } else { StatusCode::GATEWAY_TIMEOUT };
    (status, Json(answer(&last, &request))).into_response()
}

fn answer(published: &Published, request: &WaitRequest) -> WaitAnswer {
    let asked: Vec<String> = request.objects.iter().map(ToString::to_string).collect();
    let concerned = |problem: &&crate::model::Problem| {
        asked.iter().any(|object| object.as_str() == problem.origin.as_str())
    };
    WaitAnswer {
        generation: published.generation,
        missing: missing(published, request),
        problems: published.problems.iter().filter(concerned).map(problem).collect(),
    }
}

/// What of the request is not live yet, in words.
fn missing(published: &Published, request: &WaitRequest) -> Vec<String> {
    let mut missing = Vec::new();
    if published.generation < request.generation {
        missing.push(format!("generation {} (serving is {})", request.generation, published.generation));
    }
    if request.objects.is_empty() {
        return missing;
    }
    let key = |object: &ObjectVersion| {
        (object.group.clone(), object.kind.clone(), object.namespace.clone(), object.name.clone())
    };
    let live: HashMap<_, _> =
        published.objects.iter().map(|object| (key(object), object.resource_version.as_deref())).collect();
    for wanted in &request.objects {
        match (live.get(&key(wanted)), wanted.resource_version.as_deref()) {
            (None, None) => {}
            (Some(_), None) => missing.push(format!("{wanted} is still there")),
            (None, Some(_)) => missing.push(format!("{wanted} has not been seen")),
            (Some(seen), Some(version)) if reaches(*seen, version) => {}
            (Some(seen), Some(version)) => {
                let seen = seen.unwrap_or("none");
                missing.push(format!("{wanted} in version {version} (serving is {seen})"));
            }
        }
    }
    missing
}

/// Whether a version is the one wanted or a later one. Versions are compared as the numbers they are, and
/// where they aren't any, for equality.
fn reaches(seen: Option<&str>, wanted: &str) -> bool {
    let Some(seen) = seen else { return false };
    match (seen.parse::<u64>(), wanted.parse::<u64>()) {
        (Ok(seen), Ok(wanted)) => seen >= wanted,
        _ => seen == wanted,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn object(name: &str, version: Option<&str>) -> ObjectVersion {
        ObjectVersion {
            kind: "Ingress".to_owned(),
            namespace: "echo".to_owned(),
            name: name.to_owned(),
            resource_version: version.map(str::to_owned),
            ..ObjectVersion::default()
        }
    }

    #[test]
    fn later_versions_count_and_deletions_are_awaited() {
        let published = Published {
            generation: 4,
            objects: vec![object("a", Some("12")), object("b", Some("x"))],
            ..Published::default()
        };
        let waits_for = |objects: &[ObjectVersion], generation| {
            let request = WaitRequest { objects: objects.to_vec(), generation, timeout_ms: None };
            missing(&published, &request)
        };
        assert!(
            waits_for(&[object("a", Some("9")), object("b", Some("x")), object("c", None)], 4).is_empty()
        );
        assert_eq!(
            waits_for(&[object("a", Some("13"))], 0),
            ["Ingress echo/a in version 13 (serving is 12)"]
        );
        assert_eq!(waits_for(&[object("a", None)], 0), ["Ingress echo/a is still there"]);
        assert_eq!(waits_for(&[object("c", Some("1"))], 0), ["Ingress echo/c has not been seen"]);
        assert_eq!(waits_for(&[], 5), ["generation 5 (serving is 4)"]);
    }
}
