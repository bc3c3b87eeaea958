use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::schema::named;

fn json_patch(mut target: Value, steps: Value) -> Result<Value, json::Unfit> {
    let steps: JsonPatch = serde_json::from_value(steps).unwrap();
    steps.iter().try_for_each(|step| step.apply(&mut target)).map(|()| target)
}

fn deployment(mut target: Value, patch: Value) -> Value {
    strategic_merge(&named("io.k8s.api.apps.v1.Deployment"), &mut target, &patch).unwrap();
    target
}

#[test]
fn json_patches() {
    let steps = json!([
        {"op": "add", "path": "/k/-", "value": 3},
        {"op": "replace", "path": "/k/0", "value": 9},
        {"op": "remove", "path": "/k/1"},
        {"op": "copy", "from": "/k", "path": "/k2"},
        {"op": "move", "from": "/k2", "path": "/a~1b"},
        {"op": "replace", "path": "/new", "value": 1},
        {"op": "test", "path": "/new", "value": 1},
    ]);
    assert_eq!(json_patch(json!({"k": [1, 2]}), steps), Ok(json!({"k": [9, 3], "a/b": [9, 3], "new": 1})));
    for wrong in [
        json!([{"op": "remove", "path": "/nope"}]),
        json!([{"op": "add", "path": "/a/b", "value": 1}]),
        json!([{"op": "test", "path": "/k", "value": 1}]),
        json!([{"op": "grow", "path": "/k"}]),
        json!([{"op": "add", "path": "/k/7", "value": 1}]),
    ] {
        assert_eq!(json_patch(json!({"k": [1, 2]}), wrong), Err(json::Unfit));
    }
}

#[test]
fn lists_merge_by_their_keys() {
    let target = json!({"spec": {"template": {"spec": {"containers": [
        {"name": "c", "image": "i:1", "env": [{"name": "A", "value": "1"}, {"name": "B", "value": "2"}], "args": ["x"]},
    ]}}}});
    let patch = json!({"spec": {"template": {"spec": {
        "$setElementOrder/containers": [{"name": "side"}, {"name": "c"}],
        "containers": [
            {"name": "side", "image": "s:1"},
            {"name": "c", "env": [{"name": "A", "$patch": "delete"}, {"name": "C", "value": "3"}], "args": ["y"]},
        ],
    }}}});
    let containers = json!([
        {"name": "side", "image": "s:1"},
        {"name": "c", "image": "i:1", "env": [{"name": "C", "value": "3"}, {"name": "B", "value": "2"}], "args": ["y"]},
    ]);
    assert_eq!(deployment(target, patch)["spec"]["template"]["spec"]["containers"], containers);
}

#[test]
fn directives() {
    let rolling = json!({"spec": {"strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1}}}});
    let retain = json!({"spec": {"strategy": {"$retainKeys": ["type"], "type": "Recreate"}}});
    assert_eq!(deployment(rolling, retain), json!({"spec": {"strategy": {"type": "Recreate"}}}));
    let labels = json!({"metadata": {"labels": {"a": "1", "b": "2"}, "finalizers": ["x/a"]}});
    let replace = json!({"metadata": {"labels": {"$patch": "replace", "z": "9"}, "finalizers": ["x/b"]}});
    let replaced = json!({"metadata": {"labels": {"z": "9"}, "finalizers": ["x/b", "x/a"]}});
    assert_eq!(deployment(labels, replace), replaced);
    let delete = json!({"metadata": {"$deleteFromPrimitiveList/finalizers": ["x/a"]}});
    assert_eq!(deployment(replaced, delete)["metadata"]["finalizers"], json!(["x/b"]));
}

fn value() -> impl Strategy<Value = Value> {
    let leaf =
        prop_oneof![Just(Value::Null), any::<bool>().prop_map(Value::from), (0..9).prop_map(Value::from)];
    leaf.prop_recursive(3, 16, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..3).prop_map(Value::from),
            prop::collection::btree_map("[a-c]", inner, 0..4).prop_map(|map| json!(map)),
        ]
    })
}

proptest! {
    #[test]
    fn merging_twice_is_merging_once(target in value(), patch in value()) {
        let mut once = target;
        merge(&mut once, &patch);
        let mut twice = once.clone();
        merge(&mut twice, &patch);
        prop_assert_eq!(once, twice);
    }

    /// The crate that everybody uses agrees.
    #[test]
    fn merging_as_others_merge(target in value(), patch in value()) {
        let (mut ours, mut theirs) = (target.clone(), target);
        merge(&mut ours, &patch);
        json_patch::merge(&mut theirs, &patch);
        prop_assert_eq!(ours, theirs);
    }
}
