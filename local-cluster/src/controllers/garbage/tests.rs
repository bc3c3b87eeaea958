use futures_util::FutureExt;

use super::*;
use crate::kinds;

struct Cluster {
    objects: Objects,
    changes: AllChanges,
    garbage: Garbage,
}

impl Cluster {
    fn new() -> Cluster {
        let objects = Objects::default();
        Cluster { changes: objects.watch_all(), garbage: Garbage::new(objects.clone()), objects }
    }

    /// Makes a ConfigMap that these own.
    fn add(&self, name: &str, owners: &[&str]) {
        let owners = owners.iter().map(|owner| {
            let uid = self.objects.get(&kinds::config_maps(), "default", owner).map(|owner| uid(&owner).to_owned());
            json!({"apiVersion": "v1", "kind": "ConfigMap", "name": owner, "uid": uid.unwrap_or("none".to_owned()), "blockOwnerDeletion": true})
        });
        let owners: Vec<Value> = owners.collect();
        let object = json!({"metadata": {"namespace": "default", "name": name, "ownerReferences": owners}});
        self.objects.create(&kinds::config_maps(), object).unwrap();
    }

    fn delete(&self, name: &str, propagation: Propagation) {
        let deletion = Deletion { propagation, ..Deletion::default() };
        self.objects.delete(&kinds::config_maps(), "default", name, &deletion).unwrap();
    }

    fn settle(&mut self) -> Vec<String> {
        while let Some(Some((resource, change))) = self.changes.next().now_or_never() {
            self.garbage.see(&resource, &change);
        }
        self.objects.list(&kinds::config_maps(), None).iter().map(|object| name(object).to_owned()).collect()
    }
}

#[test]
fn what_an_object_owns_goes_after_it() {
    let mut cluster = Cluster::new();
    cluster.add("set", &[]);
    cluster.add("other", &[]);
    cluster.add("pod", &["set"]);
    cluster.add("child", &["pod"]);
    cluster.add("shared", &["set", "other"]);
    assert_eq!(cluster.settle().len(), 5);
    cluster.delete("set", Propagation::Background);
    assert_eq!(cluster.settle(), ["other", "shared"]);
    let shared = cluster.objects.get(&kinds::config_maps(), "default", "shared").unwrap();
    assert_eq!(shared["metadata"]["ownerReferences"].as_array().unwrap().len(), 1);
}

#[test]
fn in_the_foreground_the_owner_goes_last() {
    let mut cluster = Cluster::new();
    cluster.add("set", &[]);
    cluster.add("pod", &["set"]);
    cluster.settle();
    let hold = |object: &mut Value| object["metadata"]["finalizers"] = json!(["example.com/keep"]);
    cluster.add("child", &["pod"]);
    cluster.objects.modify(&kinds::config_maps(), "default", "child", Part::AllButStatus, hold).unwrap();
    cluster.delete("set", Propagation::Foreground);
    assert_eq!(cluster.settle().last().map(String::as_str), Some("set"), "waits");
    let free = |object: &mut Value| object["metadata"]["finalizers"] = json!([]);
    cluster.objects.modify(&kinds::config_maps(), "default", "child", Part::AllButStatus, free).unwrap();
    assert!(cluster.settle().is_empty());
}

#[test]
fn orphans_stay_and_forget_their_owner() {
    let mut cluster = Cluster::new();
    cluster.add("set", &[]);
    cluster.add("pod", &["set"]);
    cluster.settle();
    cluster.delete("set", Propagation::Orphan);
    assert_eq!(cluster.settle(), ["pod"]);
    let pod = cluster.objects.get(&kinds::config_maps(), "default", "pod").unwrap();
    assert!(pod["metadata"]["ownerReferences"].is_null());
}

#[test]
fn an_owner_that_never_was_is_as_one_that_went() {
    let mut cluster = Cluster::new();
    cluster.add("pod", &["nobody"]);
    assert!(cluster.settle().is_empty());
}
