//! The source that watches an API server: what it makes of lists, watches, and everything that goes wrong with
//! them.

use std::path::{Path, PathBuf};

use gateway::controller::Offer;
use gateway::source::kubernetes::{self, WatchSettings};
use serde_json::json;

use crate::support::api::Api;
use crate::support::gateway::{ControlPlane, settings, watch_settings};
use crate::support::objects::{ingress, plugin, service};

fn routes(offer: &Offer) -> Vec<String> {
    let mut names: Vec<String> = offer.model.routes.values().filter_map(|route| route.name.clone()).collect();
    names.sort();
    names
}

fn has_route(offer: &Offer, ingress: &str) -> bool {
    routes(offer).contains(&format!("echo.{ingress}.one..80"))
}

#[tokio::test]
async fn lists_then_watches() {
    let api = Api::new();
    api.put(ingress("a", ""));
    let plane = ControlPlane::start(&api);
    plane.recorder.until_offer("first route", |offer| has_route(offer, "a")).await;
    api.put(ingress("b", ""));
    plane.recorder.until_offer("second route", |offer| has_route(offer, "b")).await;
    api.delete(&ingress("a", ""));
    let offer = plane.recorder.until_offer("no first route", |offer| !has_route(offer, "a")).await;
    assert_eq!(routes(&offer), ["echo.b.one..80"]);
    plane.stop().await;
}

#[tokio::test]
async fn every_object_taken_in_is_named_in_its_version_and_absent_when_gone() {
    let api = Api::new();
    let plane = ControlPlane::start(&api);
    // A Service that nobody uses changes nothing but is taken in.
    let unused = api.put(service("other", "unused"));
    let version = unused["metadata"]["resourceVersion"].as_str();
    let named = |offer: &Offer| {
        offer.objects.iter().find(|object| object.to_string() == "Service other/unused").cloned()
    };
    let offer = plane.recorder.until_offer("unused Service", |offer| named(offer).is_some()).await;
    assert_eq!(named(&offer).unwrap().resource_version.as_deref(), version);
    api.delete(&unused);
    plane.recorder.until_offer("no unused Service", |offer| named(offer).is_none()).await;
}

#[tokio::test]
async fn lists_come_in_pages() {
    let api = Api::new();
    api.page(2);
    for number in 0..7 {
        api.put(ingress(&format!("i{number}"), ""));
    }
    let plane = ControlPlane::start(&api);
    let offer = plane.recorder.until_offer("an offer", |_| true).await;
    assert_eq!(routes(&offer).len(), 7, "the first offer has everything");
    assert_eq!(api.asked("GET /apis/networking.k8s.io/v1/ingresses?&limit=500").len(), 4);
}

#[tokio::test]
async fn an_unreadable_object_costs_only_itself() {
    let api = Api::new();
    api.put(ingress("a", ""));
    api.put(ingress("b", "broken"));
    let mut broken = plugin("broken", &json!({"minute": 1}));
    broken["protocols"] = json!("http");
    api.put(broken);
    let plane = ControlPlane::start(&api);
    let offer = plane
        .recorder
        .until_offer("both routes", |offer| has_route(offer, "a") && has_route(offer, "b"))
        .await;
    let problem =
        offer.problems.iter().find(|problem| problem.origin.as_str() == "KongPlugin echo/broken").unwrap();
    assert!(problem.message.contains("can't be read"), "{problem:?}");
    assert!(offer.model.plugins.values().all(|plugin| plugin.broken.is_some()));
    api.put(plugin("broken", &json!({"minute": 1})));
    plane
        .recorder
        .until_offer("a working plugin", |offer| offer.model.plugins.values().all(|p| p.broken.is_none()))
        .await;
}

#[tokio::test]
async fn a_watch_that_breaks_off_goes_on_where_it_was() {
    let api = Api::new();
    api.put(ingress("a", ""));
    let plane = ControlPlane::start(&api);
    plane.recorder.until_offer("first route", |offer| has_route(offer, "a")).await;
    let lists = api.asked("ingresses?&limit").len();
    api.until_asked("ingresses?&watch", 1).await;
    api.cut_watches();
    api.put(ingress("b", ""));
    plane.recorder.until_offer("second route", |offer| has_route(offer, "b")).await;
    assert_eq!(api.asked("ingresses?&limit").len(), lists, "nothing was listed again");
    let seen = plane.recorder.seen();
    assert!(seen.offers.iter().all(|offer| has_route(offer, "a")), "no route flapped");
}

#[tokio::test]
async fn an_expired_watch_lists_again_and_notices_what_went_meanwhile() {
    let api = Api::new();
    api.put(ingress("a", ""));
    api.put(ingress("b", ""));
    let plane = ControlPlane::start(&api);
    plane.recorder.until_offer("both routes", |offer| has_route(offer, "a") && has_route(offer, "b")).await;
    api.until_asked("ingresses?&watch", 1).await;
    api.delete_silently(&ingress("a", ""));
    api.put(ingress("c", ""));
    api.expire();
    let gone = |offer: &Offer| !has_route(offer, "a") && has_route(offer, "c");
    plane.recorder.until_offer("the new list", gone).await;
    let seen = plane.recorder.seen();
    assert!(seen.offers.iter().all(|offer| has_route(offer, "b")), "no route flapped");
    assert_eq!(api.asked("/ingresses?&limit").len(), 2, "one list more");
}

#[tokio::test]
async fn a_missing_definition_counts_as_empty_until_it_is_there() {
    let api = Api::new();
    api.put(ingress("a", "limit"));
    api.fail("/kongplugins?", 404, usize::MAX);
    let plane = ControlPlane::start(&api);
    let offer = plane.recorder.until_offer("a route", |offer| has_route(offer, "a")).await;
    let problem = offer.problems.iter().find(|problem| problem.origin.as_str() == "KongPlugin").unwrap();
    let expected = "the API server doesn't know kongplugins.configuration.konghq.com; install its CustomResourceDefinition";
    assert_eq!(problem.message, expected);
    api.heal();
    api.put(plugin("limit", &json!({"minute": 1})));
    let offer = plane.recorder.until_offer("the plugin", |offer| !offer.model.plugins.is_empty()).await;
    let gone = |offer: &Offer| offer.problems.iter().all(|problem| problem.origin.as_str() != "KongPlugin");
    assert!(gone(&offer) || gone(&plane.recorder.until_offer("no problem", gone).await));
}

#[tokio::test]
async fn nothing_is_offered_before_every_kind_was_listed() {
    let api = Api::new();
    api.put(ingress("a", ""));
    api.fail("/api/v1/secrets?", 403, usize::MAX);
    let plane = ControlPlane::start(&api);
    let expected = "waiting for Secret: not allowed to list and watch secrets; add it to the gateway's role";
    let seen = plane
        .recorder
        .until("a reason", |seen| seen.pending.last().is_some_and(|last| last == &[expected]))
        .await;
    assert!(seen.offers.is_empty());
    api.until_asked("/api/v1/secrets?", 4).await;
    assert!(plane.recorder.seen().offers.is_empty(), "still nothing, however often it fails");
    api.heal();
    plane.recorder.until_offer("a route", |offer| has_route(offer, "a")).await;
    plane.recorder.until("readiness", |seen| seen.pending.last().unwrap().is_empty()).await;
}

#[tokio::test]
async fn what_is_optional_may_be_forbidden() {
    let api = Api::new();
    api.put(ingress("a", ""));
    api.fail("/ingressclasses?", 403, usize::MAX);
    let plane = ControlPlane::start(&api);
    let offer = plane.recorder.until_offer("a route", |offer| has_route(offer, "a")).await;
    let problem = offer.problems.iter().find(|problem| problem.origin.as_str() == "IngressClass").unwrap();
    assert!(problem.message.starts_with("not allowed to list and watch ingressclasses.networking.k8s.io"));
}

#[tokio::test]
async fn a_server_that_is_away_is_waited_for() {
    let api = Api::new();
    api.put(ingress("a", ""));
    api.fail("GET", 503, usize::MAX);
    let plane = ControlPlane::start(&api);
    let expected = "waiting for all objects: the API server answered 503: on demand";
    plane
        .recorder
        .until("a reason", |seen| seen.pending.last().is_some_and(|last| last == &[expected]))
        .await;
    api.heal();
    plane.recorder.until_offer("a route", |offer| has_route(offer, "a")).await;
}

#[tokio::test]
async fn a_server_that_goes_away_changes_nothing() {
    let api = Api::new();
    api.put(ingress("a", ""));
    let plane = ControlPlane::start(&api);
    plane.recorder.until_offer("a route", |offer| has_route(offer, "a")).await;
    api.until_asked("ingresses?&watch", 1).await;
    api.fail("GET", 500, usize::MAX);
    api.cut_watches();
    let is_told = |offer: &Offer| offer.problems.iter().any(|p| p.message.contains("answered 500"));
    let offer = plane.recorder.until_offer("a problem", is_told).await;
    assert!(has_route(&offer, "a"));
    api.put(ingress("b", ""));
    api.heal();
    plane.recorder.until_offer("what happened meanwhile", |offer| has_route(offer, "b")).await;
    plane.recorder.until_offer("no problem", |offer| !is_told(offer)).await;
    assert!(plane.recorder.seen().offers.iter().all(|offer| has_route(offer, "a")), "no route flapped");
}

/// A kubeconfig for a server on a port.
fn kubeconfig(folder: &Path, port: u16) -> PathBuf {
    let file = folder.join("config");
    let config = json!({
        "apiVersion": "v1", "kind": "Config", "current-context": "c",
        "clusters": [{"name": "c", "cluster": {"server": format!("http://127.0.0.1:{port}")}}],
        "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u"}}],
        "users": [{"name": "u", "user": {}}],
    });
    std::fs::write(&file, config.to_string()).unwrap();
    file
}

#[tokio::test]
async fn over_real_connections_the_server_may_come_late_and_restart() {
    // A port that was free a moment ago.
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let folder = tempfile::tempdir().unwrap();
    let access = kubernetes::connect(Some(&kubeconfig(folder.path(), port)), None).await.unwrap();
    assert_eq!(access.server, format!("http://127.0.0.1:{port}/"));
    let plane = ControlPlane::start_on(access.client, settings(), watch_settings());
    let refused = |reasons: &Vec<String>| {
        reasons.iter().any(|reason| reason.contains("can't be reached: Connection refused"))
    };
    plane.recorder.until("a reason", |seen| seen.pending.last().is_some_and(refused)).await;

    let api = Api::new();
    api.put(ingress("a", ""));
    let server = api.listen(port).await;
    plane.recorder.until_offer("a route", |offer| has_route(offer, "a")).await;
    api.until_asked("ingresses?&watch", 1).await;
    api.put(ingress("b", ""));
    plane.recorder.until_offer("another route", |offer| has_route(offer, "b")).await;

    drop(server);
    api.cut_watches();
    let told =
        |offer: &Offer| offer.problems.iter().any(|problem| problem.message.contains("Connection refused"));
    plane.recorder.until_offer("a problem", told).await;
    api.put(ingress("c", ""));
    let _server = api.listen(port).await;
    let offer = plane.recorder.until_offer("what happened meanwhile", |offer| has_route(offer, "c")).await;
    assert!(has_route(&offer, "a") && has_route(&offer, "b"));
    plane.recorder.until_offer("no problem", |offer| !told(offer)).await;
    plane.stop().await;
}

#[tokio::test]
async fn a_kubeconfig_that_is_none_is_named() {
    let missing = kubernetes::connect(Some(Path::new("/nowhere/config")), None).await.err().unwrap();
    assert!(missing.to_string().starts_with("failed to read the kubeconfig /nowhere/config"), "{missing}");
}

#[tokio::test]
async fn only_the_namespaces_asked_for_are_read() {
    let api = Api::new();
    api.put(ingress("a", ""));
    let mut elsewhere = ingress("b", "");
    elsewhere["metadata"]["namespace"] = json!("other");
    api.put(elsewhere);
    api.fail("/kongclusterplugins?", 403, usize::MAX);
    let watch = WatchSettings {
        namespaces: vec!["echo".to_owned()],
        publish_service: Some(("kong-istio".to_owned(), "proxy".to_owned())),
        secret_selector: Some("konghq.com/managed=true".to_owned()),
        ..watch_settings()
    };
    let plane = ControlPlane::start_with(&api, settings(), watch);
    let offer = plane.recorder.until_offer("a route", |offer| has_route(offer, "a")).await;
    assert_eq!(routes(&offer).len(), 1);
    assert!(api.asked("GET /apis/networking.k8s.io/v1/ingresses?").is_empty());
    assert!(!api.asked("GET /apis/networking.k8s.io/v1/namespaces/echo/ingresses?").is_empty());
    assert!(
        !api.asked("/namespaces/kong-istio/services?&limit=500&fieldSelector=metadata.name%3Dproxy")
            .is_empty()
            || !api
                .asked("/namespaces/kong-istio/services?&fieldSelector=metadata.name%3Dproxy&limit=500")
                .is_empty()
    );
    assert!(
        api.asked("/namespaces/echo/secrets?").iter().all(|asked| asked.contains("labelSelector=konghq.com"))
    );
}
