use super::*;

fn pods() -> Resource {
    Resource::new("", "pods")
}

fn pod(name: &str) -> Value {
    let spec = json!({"nodeName": "here", "containers": [{"name": "c", "image": "i"}]});
    json!({"metadata": {"namespace": "default", "name": name}, "spec": spec})
}

#[test]
fn a_created_object_is_complete() {
    let objects = Objects::default();
    let mut unnamed = pod("");
    unnamed["metadata"]["generateName"] = json!("web-");
    let made = objects.create(&pods(), unnamed).unwrap();
    let name = made["metadata"]["name"].as_str().unwrap();
    assert!(name.starts_with("web-") && name.len() == "web-".len() + 5, "{name}");
    assert_eq!((&made["kind"], &made["apiVersion"]), (&json!("Pod"), &json!("v1")));
    assert!(made["metadata"]["uid"].is_string() && made["metadata"]["resourceVersion"].is_string());
    assert_eq!(objects.create(&pods(), pod(name)).unwrap_err().reason, "AlreadyExists");
    let mut elsewhere = pod("x");
    elsewhere["metadata"]["namespace"] = json!("nowhere");
    assert_eq!(objects.create(&pods(), elsewhere).unwrap_err().message, "namespaces \"nowhere\" not found");
}

#[test]
fn each_part_is_edited_alone() {
    let objects = Objects::default();
    let made = objects.create(&pods(), pod("a")).unwrap();
    let both = |object: &mut Value| {
        object["metadata"]["labels"] = json!({"x": "y"});
        object["status"]["phase"] = json!("Running");
    };
    let status = objects.modify(&pods(), "default", "a", Part::Status, both).unwrap();
    assert!(status["metadata"]["labels"].is_null());
    assert_eq!(status["status"]["phase"], "Running");
    assert_eq!(status["metadata"]["generation"], made["metadata"]["generation"]);
    let again = objects.modify(&pods(), "default", "a", Part::Status, |_| {}).unwrap();
    assert_eq!(again["metadata"]["resourceVersion"], status["metadata"]["resourceVersion"]);
}

#[test]
fn a_running_pod_is_given_time_and_then_goes() {
    let objects = Objects::default();
    objects.create(&pods(), pod("a")).unwrap();
    let asked = objects.delete(&pods(), "default", "a", &Deletion::default()).unwrap();
    assert_eq!(asked["metadata"]["deletionGracePeriodSeconds"], 30);
    let sooner = Deletion { grace_seconds: Some(5), ..Deletion::default() };
    let asked = objects.delete(&pods(), "default", "a", &sooner).unwrap();
    assert_eq!(asked["metadata"]["deletionGracePeriodSeconds"], 5);
    let later = objects.delete(&pods(), "default", "a", &Deletion::default()).unwrap();
    assert_eq!(later["metadata"]["deletionGracePeriodSeconds"], 5);
    let now = Deletion { grace_seconds: Some(0), ..Deletion::default() };
    objects.delete(&pods(), "default", "a", &now).unwrap();
    assert!(objects.get(&pods(), "default", "a").is_none());
}

#[test]
fn finalizers_hold_an_object() {
    let objects = Objects::default();
    let maps = Resource::new("", "configmaps");
    let held = json!({"metadata": {"namespace": "default", "name": "a", "finalizers": ["example.test/x"]}});
    objects.create(&maps, held).unwrap();
    let deleted = objects.delete(&maps, "default", "a", &Deletion::default()).unwrap();
    assert!(deleted["metadata"]["deletionTimestamp"].is_string());
    let release = |object: &mut Value| object["metadata"]["finalizers"] = json!([]);
    objects.modify(&maps, "default", "a", Part::AllButStatus, release).unwrap();
    assert!(objects.get(&maps, "default", "a").is_none());
}

#[test]
fn a_namespace_goes_when_its_controller_is_done() {
    let objects = Objects::default();
    let namespaces = Resource::new("", "namespaces");
    objects.create(&namespaces, json!({"metadata": {"name": "n"}})).unwrap();
    let deleted = objects.delete(&namespaces, "", "n", &Deletion::default()).unwrap();
    assert_eq!(deleted["status"]["phase"], "Terminating");
    let map = json!({"metadata": {"namespace": "n", "name": "late"}});
    assert_eq!(objects.create(&Resource::new("", "configmaps"), map).unwrap_err().code, 403);
    let finish = |object: &mut Value| object["spec"]["finalizers"] = json!([]);
    objects.modify(&namespaces, "", "n", Part::AllButStatus, finish).unwrap();
    assert!(objects.get(&namespaces, "", "n").is_none());
}

#[tokio::test]
async fn changes_are_told_in_order() {
    let objects = Objects::default();
    objects.create(&pods(), pod("a")).unwrap();
    let mut changes = objects.watch(&pods());
    objects
        .modify(&pods(), "default", "a", Part::Status, |pod| pod["status"]["phase"] = json!("Failed"))
        .unwrap();
    objects.delete(&pods(), "default", "a", &Deletion::default()).unwrap();
    assert!(
        matches!(changes.next().await, Some(Change::Added(object)) if object["status"]["phase"] != "Failed")
    );
    assert!(
        matches!(changes.next().await, Some(Change::Modified(object)) if object["status"]["phase"] == "Failed")
    );
    assert!(matches!(changes.next().await, Some(Change::Deleted(_))));
    objects.store().close();
    assert!(changes.next().await.is_none());
}
