//! The clients that programs in Rust use.

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use futures_util::{StreamExt, TryStreamExt};
use k8s_openapi::api::authentication::v1::{SelfSubjectReview, TokenRequest};
use k8s_openapi::api::core::v1::{ConfigMap, Namespace, ServiceAccount};
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::api::{
    Api, DeleteParams, DynamicObject, ListParams, ObjectMeta, Patch, PatchParams, PostParams,
    ValidationDirective, WatchEvent, WatchParams,
};
use kube::core::{ApiResource, GroupVersionKind};
use kube::runtime::wait::{await_condition, conditions};
use kube::runtime::{WatchStreamExt, reflector, watcher};
use kube::{Client, Error, ResourceExt};
use local_cluster::{Fault, LocalCluster};
use serde_json::{Value, json};
use tokio::time::timeout;

use crate::machine::PATIENCE;
use crate::server::{client, start, widgets};

fn config_map(name: &str, data: &Value) -> ConfigMap {
    serde_json::from_value(json!({"metadata": {"name": name, "labels": {"app": name}}, "data": data}))
        .unwrap()
}

fn value<'a>(object: &'a ConfigMap, key: &str) -> Option<&'a str> {
    object.data.as_ref().and_then(|data| data.get(key)).map(String::as_str)
}

async fn config_maps() -> (LocalCluster, Client, Api<ConfigMap>) {
    let cluster = start().await;
    let client = client(&cluster).await;
    let api = Api::default_namespaced(client.clone());
    // Each namespace gets one by itself.
    timeout(PATIENCE, await_condition(api.clone(), "kube-root-ca.crt", exists())).await.unwrap().unwrap();
    (cluster, client, api)
}

fn exists() -> impl kube::runtime::wait::Condition<ConfigMap> {
    |object: Option<&ConfigMap>| object.is_some()
}

fn code(error: &Error) -> u16 {
    match error {
        Error::Api(status) => status.code,
        other => panic!("not an answer of the API: {other}"),
    }
}

#[tokio::test]
async fn objects_come_change_and_go() {
    let (cluster, _, api) = config_maps().await;
    let made = api.create(&PostParams::default(), &config_map("a", &json!({"k": "1"}))).await.unwrap();
    assert_eq!(made.namespace().as_deref(), Some("default"));
    assert!(made.uid().is_some());
    let again = api.create(&PostParams::default(), &made).await.unwrap_err();
    assert!(again.to_string().contains("resourceVersion should not be set"), "{again}");
    let again = api.create(&PostParams::default(), &config_map("a", &json!({}))).await.unwrap_err();
    assert_eq!(code(&again), 409);

    let mut changed = made.clone();
    changed.data.as_mut().unwrap().insert("k".to_owned(), "2".to_owned());
    let changed = api.replace("a", &PostParams::default(), &changed).await.unwrap();
    assert_ne!(changed.resource_version(), made.resource_version());
    let late = api.replace("a", &PostParams::default(), &made).await.unwrap_err();
    assert_eq!(code(&late), 409, "the object has been modified: {late}");

    let merge = Patch::Merge(json!({"data": {"k": null, "other": "3"}}));
    let merged = api.patch("a", &PatchParams::default(), &merge).await.unwrap();
    assert_eq!((value(&merged, "k"), value(&merged, "other")), (None, Some("3")));
    let dry = PatchParams { dry_run: true, ..PatchParams::default() };
    api.patch("a", &dry, &Patch::Merge(json!({"data": {"other": "4"}}))).await.unwrap();
    assert_eq!(value(&api.get("a").await.unwrap(), "other"), Some("3"));

    api.create(&PostParams::default(), &config_map("b", &json!({}))).await.unwrap();
    let labelled = api.list(&ListParams::default().labels("app in (a, b)")).await.unwrap();
    assert_eq!(labelled.items.len(), 2);
    let first = api.list(&ListParams::default().labels("app").limit(1)).await.unwrap();
    assert_eq!(first.items[0].name_any(), "a");
    let rest = ListParams::default().labels("app").continue_token(&first.metadata.continue_.unwrap());
    assert_eq!(api.list(&rest).await.unwrap().items[0].name_any(), "b");

    api.delete("a", &DeleteParams::default()).await.unwrap();
    assert_eq!(code(&api.get("a").await.unwrap_err()), 404);
    api.delete_collection(&DeleteParams::default(), &ListParams::default().labels("app")).await.unwrap();
    assert!(api.list(&ListParams::default().labels("app")).await.unwrap().items.is_empty());
    cluster.stop().await;
}

#[tokio::test]
async fn appliers_share_an_object() {
    let (cluster, _, api) = config_maps().await;
    let applied = |data: Value| {
        Patch::Apply(
            json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}, "data": data}),
        )
    };
    let (one, two) = (PatchParams::apply("one"), PatchParams::apply("two"));
    api.patch("a", &one, &applied(json!({"shared": "1", "mine": "1"}))).await.unwrap();
    let conflict = api.patch("a", &two, &applied(json!({"shared": "2"}))).await.unwrap_err();
    assert_eq!(code(&conflict), 409);
    assert!(conflict.to_string().contains("conflict with \"one\": .data.shared"), "{conflict}");
    let forced = api.patch("a", &two.clone().force(), &applied(json!({"shared": "2"}))).await.unwrap();
    assert_eq!(value(&forced, "shared"), Some("2"));
    // What an applier names no longer goes, unless another has it.
    let less = api.patch("a", &one, &applied(json!({}))).await.unwrap();
    assert_eq!((value(&less, "mine"), value(&less, "shared")), (None, Some("2")));
    cluster.stop().await;
}

#[tokio::test]
async fn watches_go_on_where_they_broke_off() {
    let (cluster, _, api) = config_maps().await;
    let list = api.list(&ListParams::default()).await.unwrap();
    let from = list.metadata.resource_version.unwrap();
    let parameters = WatchParams::default().labels("app=a").timeout(20);
    let mut events = api.watch(&parameters, &from).await.unwrap().boxed();
    api.create(&PostParams::default(), &config_map("b", &json!({}))).await.unwrap();
    api.create(&PostParams::default(), &config_map("a", &json!({"k": "1"}))).await.unwrap();
    let next = timeout(PATIENCE, events.try_next()).await.unwrap().unwrap().unwrap();
    let WatchEvent::Added(seen) = next else { panic!("{next:?}") };
    assert_eq!(seen.name_any(), "a");
    cluster.faults().break_watches();
    while let Ok(Some(Ok(_))) = timeout(PATIENCE, events.next()).await {}

    api.patch("a", &PatchParams::default(), &Patch::Merge(json!({"data": {"k": "2"}}))).await.unwrap();
    let mut events = api.watch(&parameters, &seen.resource_version().unwrap()).await.unwrap().boxed();
    let next = timeout(PATIENCE, events.try_next()).await.unwrap().unwrap().unwrap();
    let WatchEvent::Modified(seen) = next else { panic!("{next:?}") };
    assert_eq!(value(&seen, "k"), Some("2"));

    cluster.faults().expire_history();
    api.create(&PostParams::default(), &config_map("c", &json!({}))).await.unwrap();
    let mut events = api.watch(&parameters, &from).await.unwrap().boxed();
    let next = timeout(PATIENCE, events.try_next()).await.unwrap().unwrap().unwrap();
    let WatchEvent::Error(error) = next else { panic!("{next:?}") };
    assert_eq!((error.code, error.reason.as_str()), (410, "Expired"));
    cluster.stop().await;
}

#[tokio::test]
async fn a_reflector_survives_whatever_happens() {
    let (cluster, _, api) = config_maps().await;
    let faults = cluster.faults();
    faults.add(Fault { watch: Some(true), status: Some(500), times: Some(1), ..Fault::default() });
    let (store, writer) = reflector::store();
    let watched = watcher(api.clone(), watcher::Config::default().labels("app"));
    let stream = reflector(writer, watched.default_backoff()).touched_objects();
    let running = tokio::spawn(stream.for_each(|_| std::future::ready(())));
    let holds = |wanted: Vec<&'static str>| {
        let store = store.clone();
        async move {
            let mut found = Vec::new();
            let same = async {
                loop {
                    found = store.state().iter().map(|object| object.name_any()).collect();
                    found.sort();
                    if found == wanted {
                        return;
                    }
                    tokio::time::sleep(Duration::from_millis(20)).await;
                }
            };
            let outcome = timeout(PATIENCE, same).await;
            assert!(outcome.is_ok(), "{found:?} instead of {wanted:?}");
        }
    };
    let create = async |name: &str| {
        api.create(&PostParams::default(), &config_map(name, &json!({}))).await.unwrap();
    };
    create("a").await;
    holds(vec!["a"]).await;
    faults.break_watches();
    create("b").await;
    holds(vec!["a", "b"]).await;
    // The watcher has to list again.
    faults.add(Fault { watch: Some(true), status: Some(410), times: Some(1), ..Fault::default() });
    faults.break_watches();
    api.delete("a", &DeleteParams::default()).await.unwrap();
    faults.expire_history();
    create("c").await;
    holds(vec!["b", "c"]).await;
    running.abort();
    cluster.stop().await;
}

#[tokio::test]
async fn streaming_lists_end_with_a_bookmark() {
    let (cluster, _, api) = config_maps().await;
    api.create(&PostParams::default(), &config_map("a", &json!({}))).await.unwrap();
    let config = watcher::Config::default().streaming_lists().labels("app");
    let mut events = watcher(api, config).applied_objects().boxed();
    let seen = timeout(PATIENCE, events.try_next()).await.unwrap().unwrap().unwrap();
    assert_eq!(seen.name_any(), "a");
    cluster.stop().await;
}

#[tokio::test]
async fn custom_kinds_live_as_long_as_their_definition() {
    let cluster = start().await;
    let client = client(&cluster).await;
    let definitions: Api<CustomResourceDefinition> = Api::all(client.clone());
    let definition = serde_json::from_value(widgets()).unwrap();
    definitions.create(&PostParams::default(), &definition).await.unwrap();
    let name = "widgets.example.test";
    let established = await_condition(definitions.clone(), name, conditions::is_crd_established());
    timeout(PATIENCE, established).await.unwrap().unwrap();

    let kind = ApiResource::from_gvk(&GroupVersionKind::gvk("example.test", "v1", "Widget"));
    let api: Api<DynamicObject> = Api::default_namespaced_with(client.clone(), &kind);
    let widget = |name: &str, spec: Value| {
        let mut object = DynamicObject::new(name, &kind);
        object.data = json!({"spec": spec, "status": {"phase": "Mine"}});
        object
    };
    let made =
        api.create(&PostParams::default(), &widget("w", json!({"size": 3, "nothing": 1}))).await.unwrap();
    assert_eq!(made.data, json!({"spec": {"size": 3, "color": "blue"}}), "pruned, defaulted, without status");
    assert_eq!(made.metadata.generation, Some(1));
    let refused = |object: DynamicObject| {
        let api = api.clone();
        async move { api.create(&PostParams::default(), &object).await.unwrap_err().to_string() }
    };
    let text = refused(widget("x", json!({"size": 11}))).await;
    assert!(text.contains("a widget is at most 10"), "{text}");
    let text = refused(widget("x", json!({"size": "big"}))).await;
    assert!(text.contains("spec.size: Invalid value: \"string\""), "{text}");
    let strict =
        PatchParams { field_validation: Some(ValidationDirective::Strict), ..PatchParams::default() };
    let nothing = Patch::Merge(json!({"spec": {"nothing": 1}}));
    let text = api.patch("w", &strict, &nothing).await.unwrap_err().to_string();
    assert!(text.contains("unknown field \"spec.nothing\""), "{text}");

    let phase = Patch::Merge(json!({"spec": {"size": 4}, "status": {"phase": "Ready"}}));
    let ready = api.patch_status("w", &PatchParams::default(), &phase).await.unwrap();
    assert_eq!(ready.data, json!({"spec": {"size": 3, "color": "blue"}, "status": {"phase": "Ready"}}));
    assert_eq!(ready.metadata.generation, Some(1));

    // The definition goes after its objects, and they after their finalizers.
    let hold = Patch::Merge(json!({"metadata": {"finalizers": ["example.test/hold"]}}));
    let held = api.patch("w", &PatchParams::default(), &hold).await.unwrap();
    definitions.delete(name, &DeleteParams::default()).await.unwrap();
    let terminating = |object: Option<&DynamicObject>| {
        object.is_some_and(|object| object.metadata.deletion_timestamp.is_some())
    };
    timeout(PATIENCE, await_condition(api.clone(), "w", terminating)).await.unwrap().unwrap();
    assert!(definitions.get_opt(name).await.unwrap().is_some());
    let release = Patch::Merge(json!({"metadata": {"finalizers": null}}));
    api.patch("w", &PatchParams::default(), &release).await.unwrap();
    let uid = held.uid().unwrap();
    timeout(PATIENCE, await_condition(api.clone(), "w", conditions::is_deleted(&uid))).await.unwrap().ok();
    let uid = definitions.get_opt(name).await.unwrap().and_then(|definition| definition.uid());
    if let Some(uid) = uid {
        let gone = await_condition(definitions, name, conditions::is_deleted(&uid));
        timeout(PATIENCE, gone).await.unwrap().unwrap();
    }
    assert_eq!(code(&api.list(&ListParams::default()).await.unwrap_err()), 404);
    cluster.stop().await;
}

#[tokio::test]
async fn namespaces_take_what_is_in_them_along() {
    let (cluster, client, _) = config_maps().await;
    let namespaces: Api<Namespace> = Api::all(client.clone());
    let metadata = ObjectMeta { name: Some("n".to_owned()), ..ObjectMeta::default() };
    let namespace = Namespace { metadata, ..Namespace::default() };
    let namespace = namespaces.create(&PostParams::default(), &namespace).await.unwrap();
    let inside: Api<ConfigMap> = Api::namespaced(client, "n");
    inside.create(&PostParams::default(), &config_map("a", &json!({}))).await.unwrap();
    namespaces.delete("n", &DeleteParams::default()).await.unwrap();
    let uid = namespace.uid().unwrap();
    let gone = await_condition(namespaces, "n", conditions::is_deleted(&uid));
    timeout(PATIENCE, gone).await.unwrap().unwrap();
    assert!(inside.list(&ListParams::default()).await.unwrap().items.is_empty());
    let late = inside.create(&PostParams::default(), &config_map("b", &json!({}))).await.unwrap_err();
    assert_eq!(code(&late), 404);
    cluster.stop().await;
}

#[tokio::test]
async fn tokens_stand_for_their_accounts() {
    let (cluster, client, _) = config_maps().await;
    let accounts: Api<ServiceAccount> = Api::default_namespaced(client.clone());
    let account = |object: Option<&ServiceAccount>| object.is_some();
    timeout(PATIENCE, await_condition(accounts.clone(), "default", account)).await.unwrap().unwrap();
    let request = TokenRequest::default();
    let issued = accounts.create_token_request("default", &PostParams::default(), &request).await.unwrap();
    let token = issued.status.unwrap().token;

    let certificate = reqwest::Certificate::from_pem(&certificate(&cluster)).unwrap();
    let https = reqwest::Client::builder().tls_certs_only([certificate]).build().unwrap();
    let url = format!("{}/apis/authentication.k8s.io/v1/selfsubjectreviews", cluster.url());
    let ask = |token: &str| {
        let body = json!({"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"});
        https.post(&url).bearer_auth(token).json(&body).send()
    };
    let review: SelfSubjectReview = ask(&token).await.unwrap().json().await.unwrap();
    let user = review.status.unwrap().user_info.unwrap();
    assert_eq!(user.username.as_deref(), Some("system:serviceaccount:default:default"));
    assert_eq!(ask("somebody").await.unwrap().status(), 401);
    let anonymous =
        async |path: &str| https.get(format!("{}{path}", cluster.url())).send().await.unwrap().status();
    assert_eq!(anonymous("/readyz").await, 200);
    assert_eq!(anonymous("/api/v1/namespaces").await, 403);
    cluster.stop().await;
}

fn certificate(cluster: &LocalCluster) -> Vec<u8> {
    let kubeconfig = kube::config::Kubeconfig::from_yaml(&cluster.kubeconfig()).unwrap();
    let data = kubeconfig.clusters[0].cluster.as_ref().unwrap().certificate_authority_data.as_ref();
    STANDARD.decode(data.unwrap()).unwrap()
}

#[tokio::test]
async fn faults_are_met_and_pass() {
    let (cluster, _, api) = config_maps().await;
    let faults = cluster.faults();
    faults.add(Fault {
        method: Some("PATCH".to_owned()),
        status: Some(409),
        times: Some(1),
        ..Fault::default()
    });
    api.create(&PostParams::default(), &config_map("a", &json!({}))).await.unwrap();
    let patch = Patch::Merge(json!({"data": {"k": "1"}}));
    let refused = api.patch("a", &PatchParams::default(), &patch).await.unwrap_err();
    assert_eq!(code(&refused), 409);
    api.patch("a", &PatchParams::default(), &patch).await.unwrap();
    faults.add(Fault { name: Some("a".to_owned()), status: Some(500), ..Fault::default() });
    assert_eq!(code(&api.get("a").await.unwrap_err()), 500);
    faults.clear();
    api.get("a").await.unwrap();
    cluster.stop().await;
}
