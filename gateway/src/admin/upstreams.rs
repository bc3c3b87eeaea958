//! `GET /upstreams/{upstream}/health` and `PUT /upstreams/{upstream}/targets/{target}/healthy` or `…/unhealthy`: how
//! targets are doing, and an operator's word on it, in the form of Kong's Admin API.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

use super::{Admin, message};
use crate::upstream::group::{Group, TargetHealth};

pub(super) async fn health(State(admin): State<Admin>, Path(upstream): Path<String>) -> Response {
    let Some(group) = admin.group(&upstream) else { return not_found() };
    let targets: Vec<Value> = group
        .target_health()
        .into_iter()
        .map(|(target, health)| {
            json!({
                "target": target.to_string(),
                "weight": target.weight,
                "health": word(health),
                "upstream": { "id": group.upstream.id },
            })
        })
        .collect();
    Json(json!({ "data": targets, "next": null })).into_response()
}

pub(super) async fn set_healthy(
    State(admin): State<Admin>,
    Path((upstream, target)): Path<(String, String)>,
) -> Response {
    set(&admin, &upstream, &target, true)
}

pub(super) async fn set_unhealthy(
    State(admin): State<Admin>,
    Path((upstream, target)): Path<(String, String)>,
) -> Response {
    set(&admin, &upstream, &target, false)
}

fn set(admin: &Admin, upstream: &str, target: &str, healthy: bool) -> Response {
    let Some(group) = admin.group(upstream) else { return not_found() };
    if !group.set_health(target, healthy) {
        return not_found();
    }
    let word = if healthy { "healthy" } else { "unhealthy" };
    tracing::info!(upstream = group.upstream.name, target, "target set to {word} by hand");
    StatusCode::NO_CONTENT.into_response()
}

fn not_found() -> Response {
    message(StatusCode::NOT_FOUND, "Not found")
}

fn word(health: TargetHealth) -> &'static str {
    match health {
        TargetHealth::Healthy => "HEALTHY",
        TargetHealth::Unhealthy => "UNHEALTHY",
        TargetHealth::Unchecked => "HEALTHCHECKS_OFF",
        TargetHealth::NoAddress => "DNS_ERROR",
    }
}

impl Admin {
    /// The upstream of a name or an id.
    fn group(&self, key: &str) -> Option<Arc<Group>> {
        let snapshot = self.publisher.live().load_full();
        let is_meant = |group: &&Arc<Group>| {
            group.upstream.name == key || uuid::Uuid::parse_str(key).is_ok_and(|id| id == group.upstream.id)
        };
        snapshot.groups().iter().find(is_meant).cloned()
    }
}
