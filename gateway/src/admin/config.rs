//! `GET /config`: the model that serves. `POST /config`: a new declarative configuration, with Kong's answers to
//! bad ones.

use axum::Json;
use axum::body::Bytes;
use axum::extract::{RawQuery, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

use super::{Admin, message};

/// Takes declarative configurations.
pub trait Declarative: Send + Sync {
    /// Judges a request's body and makes it live.
    ///
    /// # Errors
    /// Kong's answer to a body that can't be used.
    fn replace(&self, body: &[u8], content_type: Option<&str>, flatten_errors: bool) -> Result<(), Refusal>;
}

/// Kong's answer to a bad configuration.
#[derive(Debug, Clone, PartialEq)]
pub struct Refusal {
    pub status: u16,
    pub body: Value,
}

pub(super) async fn show(State(admin): State<Admin>) -> Json<Value> {
    let snapshot = admin.publisher.live().load_full();
    Json(json!({ "generation": snapshot.generation, "config": *snapshot.model }))
}

pub(super) async fn replace(
    State(admin): State<Admin>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let Some(declarative) = admin.declarative.clone() else {
        let text = format!("the configuration comes from {}: change it there", admin.source);
        return message(StatusCode::METHOD_NOT_ALLOWED, &text);
    };
    let content_type =
        headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).map(str::to_owned);
    let flatten = query.is_some_and(|query| query.split('&').any(|part| part == "flatten_errors=1"));
    let judged =
        tokio::task::spawn_blocking(move || declarative.replace(&body, content_type.as_deref(), flatten));
    match judged.await {
        Ok(Ok(())) => (StatusCode::CREATED, Json(json!({}))).into_response(),
        Ok(Err(refusal)) => {
            let status = StatusCode::from_u16(refusal.status).unwrap_or(StatusCode::BAD_REQUEST);
            // Kong's encoder escapes slashes, and in JSON they only occur within texts.
            let body = refusal.body.to_string().replace('/', "\\/");
            (status, [(header::CONTENT_TYPE, "application/json; charset=utf-8")], body).into_response()
        }
        Err(error) => message(StatusCode::INTERNAL_SERVER_ERROR, &format!("failed to load: {error}")),
    }
}
