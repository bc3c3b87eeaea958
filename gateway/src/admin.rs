//! The admin port: which configuration serves, what is wrong, what is going on. Plain HTTP, for loopback or a
//! pod's inside; never on the ports that carry traffic, and slow answers here slow nothing there.

mod config;
mod feed;
mod health;
mod metrics;
mod status;
mod upstreams;
mod wait;

use std::future::Future;
use std::sync::Arc;

use admin_api::status::Listener;
use axum::Router;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post, put};
use serde_json::json;
use tokio::net::TcpListener;

pub use self::config::{Declarative, Refusal};
pub use self::feed::FeedHub;
use crate::clock::Clock;
use crate::plugins::Environment;
use crate::readiness::Readiness;
use crate::snapshot::publish::Publisher;
use crate::telemetry::access_log::AccessLog;
use crate::telemetry::stats::Stats;

/// What the admin port tells about.
#[derive(Clone)]
pub struct Admin {
    pub instance: Arc<str>,
    pub source: &'static str,
    pub started_at_ms: u64,
    pub clock: Clock,
    pub publisher: Arc<Publisher>,
    pub stats: Arc<Stats>,
    pub access_log: Option<Arc<AccessLog>>,
    pub environment: Environment,
    pub readiness: Readiness,
    pub listeners: Arc<[Listener]>,
    pub feed: FeedHub,
    /// Takes `POST /config`; `None` when the configuration comes from elsewhere.
    pub declarative: Option<Arc<dyn Declarative>>,
}

/// Serves the admin port until told to stop; feeds are ended then.
pub async fn serve(admin: Admin, listener: TcpListener, stop: impl Future<Output = ()> + Send + 'static) {
    serve_router("admin", everything(admin), listener, stop).await;
}

/// Serves what probes and scrapers ask for until told to stop: nothing that shows or changes the configuration.
pub async fn serve_health(
    admin: Admin,
    listener: TcpListener,
    stop: impl Future<Output = ()> + Send + 'static,
) {
    serve_router("health", finished(vital_signs(), admin), listener, stop).await;
}

async fn serve_router(
    name: &str,
    router: Router,
    listener: TcpListener,
    stop: impl Future<Output = ()> + Send + 'static,
) {
    let served = axum::serve(listener, router).with_graceful_shutdown(stop).await;
    if let Err(error) = served {
        tracing::error!("the {name} port failed: {error}");
    }
}

fn vital_signs() -> Router<Admin> {
    Router::new()
        .route("/live", get(|| async { "alive\n" }))
        .route("/ready", get(health::ready))
        .route("/metrics", get(metrics::show))
}

fn everything(admin: Admin) -> Router {
    let router = vital_signs()
        .route("/", get(index))
        .route("/status", get(status::show))
        .route("/config", get(config::show).post(config::replace))
        .route("/upstreams/{upstream}/health", get(upstreams::health))
        .route("/upstreams/{upstream}/targets/{target}/healthy", put(upstreams::set_healthy))
        .route("/upstreams/{upstream}/targets/{target}/unhealthy", put(upstreams::set_unhealthy))
        .route("/wait", post(wait::until_live))
        .route("/feed", get(feed::stream));
    finished(router, admin)
}

fn finished(router: Router<Admin>, admin: Admin) -> Router {
    router
        .fallback(|| async { message(StatusCode::NOT_FOUND, "Not found") })
        .method_not_allowed_fallback(|| async {
            message(StatusCode::METHOD_NOT_ALLOWED, "Method not allowed")
        })
        .with_state(admin)
}

async fn index() -> Response {
    axum::Json(json!({
        "product": "limen",
        "version": env!("CARGO_PKG_VERSION"),
        "paths": {
            "GET /live": "the process runs",
            "GET /ready": "it serves a configuration; else what is pending",
            "GET /status": "generation, problems, objects, listeners, targets",
            "GET /config": "the model that serves",
            "POST /config": "replaces it, when it came from a declarative file",
            "GET /upstreams/{upstream}/health": "how its targets are doing",
            "PUT /upstreams/{upstream}/targets/{target}/healthy": "overrules what checks say; or …/unhealthy",
            "POST /wait": "answers when the objects named are live",
            "GET /metrics": "OpenMetrics; with a prometheus plugin Kong's, in Prometheus' text format",
            "GET /feed": "live traffic as newline-delimited JSON",
        },
    }))
    .into_response()
}

/// A short answer in Kong's form.
fn message(status: StatusCode, text: &str) -> Response {
    (status, axum::Json(json!({ "message": text }))).into_response()
}
