use proptest::prelude::*;

use super::*;
use crate::resources::Kinds;

fn kind(group: &str, plural: &str) -> std::sync::Arc<Kind> {
    let resource = crate::objects::Resource::new(group, plural);
    std::sync::Arc::clone(Kinds::default().now().stored(&resource).unwrap())
}

fn by(manager: &str) -> Author {
    Author { manager: manager.to_owned(), subresource: "" }
}

fn map(data: Value) -> Value {
    json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a", "namespace": "n"}, "data": data})
}

fn fields(object: &Value, manager: &str) -> Value {
    let entries = object["metadata"]["managedFields"].as_array().into_iter().flatten();
    entries
        .filter(|entry| entry["manager"] == manager)
        .map(|entry| entry["fieldsV1"].clone())
        .next()
        .unwrap_or_default()
}

#[test]
fn a_created_object_belongs_to_its_maker() {
    let mut object = map(json!({"a": "1", "b.c": "2"}));
    object["metadata"]["labels"] = json!({"x": "y"});
    track(&kind("", "configmaps"), None, &mut object, &by("maker"));
    let expected = json!({
        "f:data": {".": {}, "f:a": {}, "f:b.c": {}},
        "f:metadata": {"f:labels": {".": {}, "f:x": {}}},
    });
    assert_eq!(fields(&object, "maker"), expected);
}

#[test]
fn an_applier_shares_conflicts_and_gives_up() {
    let maps = kind("", "configmaps");
    let apply = |live: Option<&Value>, data: Value, manager: &str, force: bool| {
        apply(&maps, live, &map(data), &by(manager), force)
    };
    let one = apply(None, json!({"a": "1", "b": "1"}), "alpha", false).unwrap();
    assert_eq!(fields(&one, "alpha"), json!({"f:data": {"f:a": {}, "f:b": {}}}));
    let shared = apply(Some(&one), json!({"a": "1"}), "beta", false).unwrap();
    let conflict = apply(Some(&shared), json!({"a": "2"}), "beta", false).unwrap_err();
    assert_eq!(conflict.message, "Apply failed with 1 conflict: conflict with \"alpha\": .data.a");
    let forced = apply(Some(&shared), json!({"a": "2"}), "beta", true).unwrap();
    assert_eq!(fields(&forced, "alpha"), json!({"f:data": {"f:b": {}}}));
    let gone = apply(Some(&forced), json!({"c": "3"}), "alpha", false).unwrap();
    assert_eq!(gone["data"], json!({"a": "2", "c": "3"}));
}

#[test]
fn items_are_owned_by_their_keys() {
    let deployments = kind("apps", "deployments");
    let with = |containers: Value| {
        json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "d", "namespace": "n"},
            "spec": {"template": {"spec": {"containers": containers}}}})
    };
    let one = with(json!([{"name": "c", "image": "i:1", "ports": [{"containerPort": 80}], "args": ["a"]}]));
    let live = apply(&deployments, None, &one, &by("alpha"), false).unwrap();
    let ports = r#"k:{"containerPort":80,"protocol":"TCP"}"#;
    let owned =
        &fields(&live, "alpha")["f:spec"]["f:template"]["f:spec"]["f:containers"][r#"k:{"name":"c"}"#];
    assert_eq!(
        *owned,
        json!({".": {}, "f:name": {}, "f:image": {}, "f:args": {}, "f:ports": {ports: {".": {}, "f:containerPort": {}}}})
    );
    let two =
        with(json!([{"name": "side", "image": "s"}, {"name": "c", "env": [{"name": "E", "value": "1"}]}]));
    let live = apply(&deployments, Some(&live), &two, &by("beta"), false).unwrap();
    let containers = live["spec"]["template"]["spec"]["containers"].as_array().unwrap();
    assert_eq!(containers.iter().map(|c| c["name"].as_str().unwrap()).collect::<Vec<_>>(), ["side", "c"]);
    assert_eq!(containers[1]["image"], "i:1");
    let doubled = with(json!([{"name": "z"}, {"name": "z"}]));
    let error = apply(&deployments, Some(&live), &doubled, &by("beta"), false).unwrap_err();
    assert!(
        error.message.ends_with(".spec.template.spec.containers: duplicate entries for key [name=\"z\"]")
    );
}

#[test]
fn applying_what_is_there_changes_nothing_however_old_it_is() {
    let maps = kind("", "configmaps");
    let apply = |live: Option<&Value>, data: Value, manager: &str| {
        apply(&maps, live, &map(data), &by(manager), true).unwrap()
    };
    let one = apply(None, json!({"a": "2", "c": "2", "d": "2"}), "alpha");
    let two = apply(Some(&one), json!({"a": "1", "b": "2"}), "beta");
    let mut three = apply(Some(&two), json!({"c": "1"}), "alpha");
    // Appliers stand in the order of their times; a new time would be another order.
    for (entry, time) in three["metadata"]["managedFields"].as_array_mut().unwrap().iter_mut().zip([1, 2]) {
        entry["time"] = format!("2020-01-01T00:00:0{time}Z").into();
    }
    assert_eq!(three["metadata"]["managedFields"][0]["manager"], "alpha");
    assert_eq!(apply(Some(&three), json!({"c": "1"}), "alpha"), three);
    assert_eq!(apply(Some(&three), json!({"a": "1", "b": "2"}), "beta"), three);
}

fn data() -> impl Strategy<Value = Value> {
    prop::collection::btree_map("[a-d]", "[12]", 1..4).prop_map(|data| json!(data))
}

proptest! {
    /// Whoever applies last without a conflict has all it asked for, and applying it again changes nothing.
    #[test]
    fn an_apply_holds_and_repeats(first in data(), second in data(), third in data()) {
        let maps = kind("", "configmaps");
        let mut live = apply(&maps, None, &map(first), &by("alpha"), false).unwrap();
        for (data, manager) in [(second, "beta"), (third, "alpha")] {
            let applied = apply(&maps, Some(&live), &map(data.clone()), &by(manager), true).unwrap();
            for (key, value) in data.as_object().unwrap() {
                prop_assert_eq!(&applied["data"][key], value);
            }
            let again = apply(&maps, Some(&applied), &map(data), &by(manager), false).unwrap();
            prop_assert_eq!(&again, &applied);
            live = applied;
        }
    }
}
