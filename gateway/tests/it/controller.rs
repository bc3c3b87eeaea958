//! The control loop from an object's change to an offer, and what is written back.

use std::time::{Duration, Instant};

use gateway::controller::{ControllerSettings, Offer};
use gateway::model::{Origin, Problem};
use gateway::translate::{Checks, TranslateSettings};
use serde_json::{Value, json};

use crate::support::api::Api;
use crate::support::checks::checks;
use crate::support::gateway::{ControlPlane, election, settings, watch_settings};
use crate::support::objects::{ingress, plugin, programmed, service};

fn has_route(offer: &Offer, ingress: &str) -> bool {
    let name = format!("echo.{ingress}.one..80");
    offer.model.routes.values().any(|route| route.name.as_deref() == Some(&name))
}

fn balancer(address: &str) -> Value {
    let mut service = service("kong-istio", "proxy");
    service["status"] = json!({"loadBalancer": {"ingress": [{"ip": address}]}});
    service
}

/// A small cluster in which everything is well.
fn cluster() -> Api {
    let api = Api::new();
    api.put(service("echo", "one"));
    api.put(balancer("192.0.2.1"));
    api
}

fn address(ingress: &Value) -> &Value {
    &ingress["status"]["loadBalancer"]["ingress"]
}

#[tokio::test]
async fn a_burst_becomes_few_configurations_and_loses_nothing() {
    let api = cluster();
    let plane = ControlPlane::start(&api);
    plane.recorder.until_offer("an offer", |_| true).await;
    let before = plane.recorder.seen().offers.len();
    for number in 0..300 {
        api.put(ingress(&format!("i{number}"), ""));
    }
    plane.recorder.until_offer("all routes", |offer| offer.model.routes.len() == 300).await;
    let offers = plane.recorder.seen().offers.len() - before;
    assert!(offers < 60, "{offers} offers for 300 changes");
}

#[tokio::test]
async fn a_stream_of_changes_without_an_end_is_not_waited_for() {
    let api = cluster();
    let plane = ControlPlane::start(&api);
    plane.recorder.until_offer("an offer", |_| true).await;
    let busy = tokio::spawn({
        let api = api.clone();
        async move {
            loop {
                api.put(service("echo", "restless"));
                tokio::time::sleep(Duration::from_micros(500)).await;
            }
        }
    });
    api.put(ingress("a", ""));
    plane.recorder.until_offer("a route", |offer| has_route(offer, "a")).await;
    busy.abort();
}

/// Each is offered before the next comes. Prints how long that takes from the watch event on.
#[tokio::test]
async fn a_change_on_its_own_is_offered_at_once() {
    let api = cluster();
    for number in 0..100 {
        api.put(ingress(&format!("i{number}"), ""));
    }
    let plane = ControlPlane::start(&api);
    plane.recorder.until_offer("all routes", |offer| offer.model.routes.len() == 100).await;
    let before = plane.recorder.seen().offers.len();
    let mut took: Vec<Duration> = Vec::new();
    for number in 0..40 {
        let name = format!("new{number}");
        let started = Instant::now();
        api.put(ingress(&name, ""));
        plane.recorder.until_offer("the new route", |offer| has_route(offer, &name)).await;
        took.push(started.elapsed());
    }
    took.sort();
    println!("watch event to offer, over 100 Ingresses: median {:?}, slowest {:?}", took[20], took[39]);
    assert_eq!(plane.recorder.seen().offers.len() - before, 40);
}

#[tokio::test]
async fn a_fault_of_ours_leaves_what_serves() {
    let api = cluster();
    api.put(ingress("a", ""));
    let checks = Checks {
        path: |path| {
            assert!(!path.to_string().contains("poison"), "a fault of ours");
            Ok(())
        },
        ..checks()
    };
    let plane = ControlPlane::start_judging(api.client(), settings(), watch_settings(), checks);
    plane.recorder.until_offer("a route", |offer| has_route(offer, "a")).await;
    api.put(ingress("poison", ""));
    api.put(ingress("b", ""));
    api.delete(&ingress("poison", ""));
    let offer = plane.recorder.until_offer("another route", |offer| has_route(offer, "b")).await;
    assert!(has_route(&offer, "a"));
}

#[tokio::test]
async fn objects_without_a_class_follow_the_default_mark() {
    let api = cluster();
    let class = |default: &str| {
        json!({"apiVersion": "networking.k8s.io/v1", "kind": "IngressClass",
            "metadata": {"name": "kong", "annotations": {"ingressclass.kubernetes.io/is-default-class": default}},
            "spec": {"controller": "ingress-controllers.konghq.com/kong"}})
    };
    let mut classless = ingress("a", "");
    classless["spec"].as_object_mut().unwrap().remove("ingressClassName");
    api.put(classless);
    api.put(class("false"));
    let plane = ControlPlane::start(&api);
    let offer = plane.recorder.until_offer("an offer", |_| true).await;
    assert!(!has_route(&offer, "a"));
    api.put(class("true"));
    plane.recorder.until_offer("the route", |offer| has_route(offer, "a")).await;
    api.put(class("false"));
    plane.recorder.until_offer("no route", |offer| !has_route(offer, "a")).await;
}

#[tokio::test]
async fn ingresses_that_serve_show_the_gateways_address() {
    let api = cluster();
    let (serving, lost) = (ingress("a", ""), {
        let mut lost = ingress("b", "");
        lost["spec"]["rules"][0]["http"]["paths"][0]["path"] = json!("/~/(");
        lost["spec"]["rules"][0]["http"]["paths"][0]["pathType"] = json!("ImplementationSpecific");
        lost
    });
    api.put(lost.clone());
    let plane = ControlPlane::start(&api);
    plane.recorder.until_offer("an offer", |_| true).await;
    api.put(serving.clone());
    let shown = api
        .until_object(&serving, "address", |object| *address(object) == json!([{"ip": "192.0.2.1"}]))
        .await;
    assert!(
        plane.recorder.seen().offers.iter().any(|offer| has_route(offer, "a")),
        "it serves before it says so"
    );
    assert_eq!(shown["metadata"]["managedFields"][0]["manager"], "limen-kong");
    assert!(address(&api.get(&lost)).is_null(), "what doesn't serve has no address");

    api.put(balancer("192.0.2.2"));
    api.until_object(&serving, "new address", |object| *address(object) == json!([{"ip": "192.0.2.2"}]))
        .await;
    api.put(ingress("c", ""));
    api.until_object(&ingress("c", ""), "address", |object| !address(object).is_null()).await;
    assert_eq!(api.asked("PATCH /apis/networking.k8s.io/v1/namespaces/echo/ingresses/a/status").len(), 2);
}

#[tokio::test]
async fn an_address_given_by_hand_wins() {
    let api = cluster();
    api.put(ingress("a", ""));
    let publish_addresses = vec!["192.0.2.9".to_owned(), "gateway.example".to_owned()];
    let settings = ControllerSettings { publish_addresses, ..settings() };
    let _plane = ControlPlane::start_with(&api, settings, watch_settings());
    let expected = json!([{"ip": "192.0.2.9"}, {"hostname": "gateway.example"}]);
    api.until_object(&ingress("a", ""), "addresses", |object| *address(object) == expected).await;
}

#[tokio::test]
async fn without_a_load_balancer_the_cluster_address_is_shown() {
    let api = cluster();
    api.put(service("kong-istio", "proxy"));
    let mut plain = service("kong-istio", "proxy");
    plain["status"] = json!({});
    api.put(plain);
    api.put(ingress("a", ""));
    let _plane = ControlPlane::start(&api);
    api.until_object(&ingress("a", ""), "address", |object| *address(object) == json!([{"ip": "10.96.0.1"}]))
        .await;
}

#[tokio::test]
async fn plugins_say_whether_they_are_programmed() {
    let api = cluster();
    let limit = plugin("limit", &json!({"minute": 5}));
    api.put(limit.clone());
    let plane = ControlPlane::start(&api);
    plane.recorder.until_offer("an offer", |_| true).await;
    assert_eq!(programmed(&api.get(&limit))["message"], "Waiting for controller", "nobody uses it yet");

    api.put(ingress("a", "limit"));
    let shown = api.until_object(&limit, "Programmed", |object| programmed(object)["status"] == "True").await;
    assert_eq!(programmed(&shown)["observedGeneration"], shown["metadata"]["generation"]);
    let since = programmed(&shown)["lastTransitionTime"].clone();
    assert_ne!(since, "1970-01-01T00:00:00Z");

    let mut still_good = plugin("limit", &json!({"minute": 6}));
    still_good.as_object_mut().unwrap().remove("status");
    api.put(still_good.clone());
    let shown = api
        .until_object(&limit, "new generation", |object| programmed(object)["observedGeneration"] == 2)
        .await;
    assert_eq!(programmed(&shown)["lastTransitionTime"], since, "it was programmed all the time");

    still_good["config"] = json!({"minute": "six"});
    api.put(still_good);
    let shown = api.until_object(&limit, "refusal", |object| programmed(object)["status"] == "False").await;
    let expected = "config.minute: expected a number (generation 3 refused; generation 2 still serves)";
    assert_eq!(programmed(&shown)["message"], expected);
    assert_eq!(programmed(&shown)["reason"], "Invalid");

    api.put(plugin("unused", &json!({"minute": "x"})));
    api.until_object(&plugin("unused", &Value::Null), "refusal", |object| {
        programmed(object)["status"] == "False"
    })
    .await;
}

#[tokio::test]
async fn what_cannot_be_compiled_is_not_programmed() {
    let api = cluster();
    let limit = plugin("limit", &json!({"minute": 5}));
    api.put(limit.clone());
    api.put(ingress("a", "limit"));
    let plane = ControlPlane::start(&api);
    api.until_object(&limit, "Programmed", |object| programmed(object)["status"] == "True").await;
    plane.recorder.fail_compiling(vec![Problem {
        origin: Origin::new("KongPlugin echo/limit"),
        field: "config".to_owned(),
        message: "no such counter store".to_owned(),
        effect: "requests are answered 500".to_owned(),
        advice: false,
    }]);
    api.put(ingress("b", ""));
    let shown = api.until_object(&limit, "refusal", |object| programmed(object)["status"] == "False").await;
    assert_eq!(programmed(&shown)["message"], "no such counter store");
    let event = until_event(&api, "KongConfigurationApplyFailed", "no such counter store").await;
    assert_eq!(event["involvedObject"]["name"], "limit");
}

#[tokio::test]
async fn idle_means_no_writes() {
    let api = cluster();
    let limit = plugin("limit", &json!({"minute": 5}));
    api.put(limit.clone());
    api.put(ingress("a", "limit"));
    let plane = ControlPlane::start(&api);
    api.until_object(&limit, "Programmed", |object| programmed(object)["status"] == "True").await;
    api.until_object(&ingress("a", ""), "address", |object| !address(object).is_null()).await;
    // What was written comes back by the watch, and nothing follows from it.
    let version = api.get(&ingress("a", ""))["metadata"]["resourceVersion"].as_str().unwrap().to_owned();
    let came_back = |offer: &Offer| {
        offer.objects.iter().any(|object| object.resource_version.as_deref() == Some(&version))
    };
    plane.recorder.until_offer("what was written", came_back).await;
    for number in 0..5 {
        let name = format!("unused{number}");
        api.put(service("other", &name));
        let taken_in = |offer: &Offer| offer.objects.iter().any(|object| object.name == name);
        plane.recorder.until_offer("an unused Service", taken_in).await;
    }
    assert_eq!(api.asked("PATCH").len(), 2, "{:?}", api.asked("PATCH"));
}

/// The first event with a reason whose message contains a text.
async fn until_event(api: &Api, reason: &str, text: &str) -> Value {
    let is_it =
        |event: &Value| event["reason"] == reason && event["message"].as_str().unwrap().contains(text);
    api.until(text, || api.all("api/v1/events").into_iter().find(is_it)).await
}

#[tokio::test]
async fn the_author_of_a_fault_gets_an_event() {
    let api = cluster();
    let put = api.put(ingress("a", "nowhere"));
    let plane = ControlPlane::start(&api);
    let text = "referenced KongPlugin or KongClusterPlugin \"nowhere\" does not exist";
    let event = until_event(&api, "KongConfigurationTranslationFailed", text).await;
    assert_eq!(event["type"], "Warning");
    assert_eq!(event["source"]["component"], "kong-client");
    assert_eq!(event["involvedObject"]["kind"], "Ingress");
    assert_eq!(event["involvedObject"]["uid"], put["metadata"]["uid"]);
    assert_eq!(event["metadata"]["namespace"], "echo");
    // A problem that stays is not said again with every configuration.
    api.put(ingress("b", ""));
    plane.recorder.until_offer("another route", |offer| has_route(offer, "b")).await;
    api.put(ingress("c", "nowhere-else"));
    until_event(&api, "KongConfigurationTranslationFailed", "nowhere-else").await;
    assert_eq!(api.asked("POST /api/v1/namespaces/echo/events").len(), 2);
    assert!(api.asked("PATCH /api/v1/namespaces/echo/events").is_empty());
}

#[tokio::test]
async fn a_host_that_the_mesh_does_not_know_is_said_as_advice() {
    let api = cluster();
    api.put(ingress("a", ""));
    let translate = TranslateSettings { beside_sidecar: true, ..settings().translate };
    let plane =
        ControlPlane::start_with(&api, ControllerSettings { translate, ..settings() }, watch_settings());
    let event = until_event(&api, "KongConfigurationAdvice", "konghq.com/preserve-host").await;
    assert_eq!(event["involvedObject"]["name"], "a");
    plane.recorder.until_offer("it serves all the same", |offer| has_route(offer, "a")).await;
}

#[tokio::test]
async fn the_pod_tells_that_it_serves() {
    let api = cluster();
    let settings =
        ControllerSettings { pod: Some(("kong-istio".to_owned(), "gateway-0".to_owned())), ..settings() };
    api.put(ingress("a", ""));
    let _plane = ControlPlane::start_with(&api, settings, watch_settings());
    let event = until_event(&api, "KongConfigurationSucceeded", "").await;
    assert_eq!(event["type"], "Normal");
    assert_eq!(event["involvedObject"]["name"], "gateway-0");
}

#[tokio::test]
async fn a_refused_write_is_tried_again() {
    let api = cluster();
    api.put(ingress("a", ""));
    api.fail("PATCH", 500, 1);
    let _plane = ControlPlane::start(&api);
    api.until_object(&ingress("a", ""), "address", |object| !address(object).is_null()).await;
    assert_eq!(api.asked("PATCH").len(), 2);
}

#[tokio::test]
async fn nothing_is_written_where_that_is_switched_off() {
    let api = cluster();
    api.put(ingress("a", "nowhere"));
    let settings = ControllerSettings { update_status: false, emit_events: false, ..settings() };
    let plane = ControlPlane::start_with(&api, settings, watch_settings());
    plane.recorder.until_offer("a route", |offer| has_route(offer, "a")).await;
    plane.stop().await;
    assert!(api.asked("PATCH").is_empty());
    assert!(api.asked("POST").is_empty());
}

fn with_election(identity: &str) -> ControllerSettings {
    ControllerSettings { election: Some(election(identity)), ..settings() }
}

fn lease() -> Value {
    json!({"apiVersion": "coordination.k8s.io/v1", "kind": "Lease",
        "metadata": {"namespace": "kong-istio", "name": "5b374a9e.konghq.com"}})
}

fn held_by(holder: &'static str) -> impl Fn(&Value) -> bool {
    move |lease| lease["spec"]["holderIdentity"] == holder
}

#[tokio::test]
async fn only_the_leader_writes_and_hands_over_when_it_stops() {
    let api = cluster();
    let first = ControlPlane::start_with(&api, with_election("first"), watch_settings());
    api.until_object(&lease(), "leader", held_by("first")).await;
    let second = ControlPlane::start_with(&api, with_election("second"), watch_settings());
    api.put(ingress("a", ""));
    second.recorder.until_offer("a route", |offer| has_route(offer, "a")).await;
    api.until_object(&ingress("a", ""), "address", |object| !address(object).is_null()).await;
    api.until_asked("GET /apis/coordination.k8s.io/v1/namespaces/kong-istio/leases", 10).await;
    assert_eq!(api.asked("ingresses/a/status").len(), 1, "both saw it, one wrote");
    assert_eq!(api.get(&lease())["spec"]["leaseTransitions"], 0);

    first.stop().await;
    api.until_object(&lease(), "new leader", held_by("second")).await;
    api.put(ingress("b", ""));
    api.until_object(&ingress("b", ""), "address", |object| !address(object).is_null()).await;
    second.stop().await;
    assert_eq!(api.get(&lease())["spec"]["holderIdentity"], "");
}

#[tokio::test]
async fn who_is_about_to_stop_leaves_writing_to_others() {
    let api = cluster();
    let first = ControlPlane::start_with(&api, with_election("first"), watch_settings());
    api.until_object(&lease(), "leader", held_by("first")).await;
    let second = ControlPlane::start_with(&api, with_election("second"), watch_settings());
    first.retire.cancel();
    api.until_object(&lease(), "new leader", held_by("second")).await;
    api.put(ingress("a", ""));
    first.recorder.until_offer("a route", |offer| has_route(offer, "a")).await;
    api.until_object(&ingress("a", ""), "address", |object| !address(object).is_null()).await;
    first.stop().await;
    assert_eq!(api.get(&lease())["spec"]["holderIdentity"], "second");
    second.stop().await;
}

#[tokio::test]
async fn a_lease_that_is_taken_away_is_not_made_anew_at_once() {
    let api = cluster();
    let plane = ControlPlane::start_with(&api, with_election("first"), watch_settings());
    api.until_object(&lease(), "leader", held_by("first")).await;
    api.delete(&lease());
    let gone = Instant::now();
    api.until_object(&lease(), "leader again", held_by("first")).await;
    assert!(gone.elapsed() > Duration::from_millis(1500), "not before its time: {:?}", gone.elapsed());
    plane.stop().await;
}

#[tokio::test]
async fn a_leader_that_vanishes_is_replaced_after_its_time() {
    let api = cluster();
    let first = ControlPlane::start_with(&api, with_election("first"), watch_settings());
    api.until_object(&lease(), "leader", held_by("first")).await;
    let second = ControlPlane::start_with(&api, with_election("second"), watch_settings());
    second.recorder.until_offer("an offer", |_| true).await;
    drop(first);
    let gone = Instant::now();
    api.until_object(&lease(), "new leader", held_by("second")).await;
    assert!(gone.elapsed() > Duration::from_millis(1500), "not before its time: {:?}", gone.elapsed());
    assert_eq!(api.get(&lease())["spec"]["leaseTransitions"], 1);
}

#[tokio::test]
async fn a_leader_cut_off_from_the_lease_stops_writing() {
    let api = cluster();
    let plane = ControlPlane::start_with(&api, with_election("first"), watch_settings());
    api.until_object(&lease(), "leader", held_by("first")).await;
    api.fail("/leases", 500, usize::MAX);
    let failures = api.asked("/leases").len();
    // It gives up after a second; ten looks take one.
    api.until_asked("/leases", failures + 14).await;
    api.put(ingress("a", ""));
    plane.recorder.until_offer("a route", |offer| has_route(offer, "a")).await;
    plane.stop().await;
    assert!(api.asked("ingresses/a/status").is_empty());
}
