use super::*;
use crate::controllers::replica_set::ReplicaSets;

/// A cluster with one Deployment, in which pods become ready when the test says so.
struct Cluster {
    objects: Objects,
    now: Timestamp,
}

impl Cluster {
    fn new(spec: &Value) -> Cluster {
        let mut deployment = json!({
            "apiVersion": "apps/v1", "kind": "Deployment",
            "metadata": {"namespace": "default", "name": "echo"},
            "spec": {
                "replicas": 4,
                "selector": {"matchLabels": {"app": "echo"}},
                "template": {"metadata": {"labels": {"app": "echo"}}, "spec": {"containers": [{"name": "c", "image": "one"}]}},
            },
        });
        for (key, value) in spec.as_object().unwrap() {
            deployment["spec"][key] = value.clone();
        }
        let objects = Objects::default();
        objects.create(&kinds::deployments(), deployment).unwrap();
        Cluster { objects, now: "2026-01-01T00:00:00Z".parse().unwrap() }
    }

    fn edit(&self, edit: impl FnOnce(&mut Value)) {
        self.objects.modify(&kinds::deployments(), "default", "echo", Part::AllButStatus, edit).unwrap();
    }

    fn image(&self, image: &str) {
        self.edit(|deployment| {
            deployment["spec"]["template"]["spec"]["containers"][0]["image"] = json!(image);
        });
    }

    /// Lets both controllers look until nothing changes; says in how long the Deployment wants to be looked at again.
    fn settle(&self) -> Option<Duration> {
        let (deployments, sets) = (Deployments::new(&self.objects), ReplicaSets::new(&self.objects));
        let key = Key { namespace: "default".to_owned(), name: "echo".to_owned() };
        for _ in 0..50 {
            let before = self.versions();
            let again = deployments.reconcile(&self.objects, &key, self.now).unwrap();
            for set in self.sets() {
                sets.reconcile(&self.objects, &Key::of(&set), self.now).unwrap();
            }
            if self.versions() == before {
                return again;
            }
        }
        panic!("the controllers never come to rest: {:?}", self.sizes());
    }

    fn versions(&self) -> Vec<String> {
        let all = [kinds::deployments(), kinds::replica_sets(), kinds::pods()];
        let objects = all.iter().flat_map(|kind| self.objects.list(kind, None));
        objects.map(|object| kinds::text(&object, "/metadata/resourceVersion").to_owned()).collect()
    }

    fn sets(&self) -> Vec<Object> {
        self.objects.list(&kinds::replica_sets(), None)
    }

    /// Image and size of each ReplicaSet with pods.
    fn sizes(&self) -> Vec<(String, i32)> {
        let image = |set: &Value| {
            set["spec"]["template"]["spec"]["containers"][0]["image"].as_str().unwrap().to_owned()
        };
        let mut sizes: Vec<_> = self.sets().iter().map(|set| (image(set), replicas_of(set))).collect();
        sizes.retain(|(_, size)| *size > 0);
        sizes.sort();
        sizes
    }

    /// Makes up to `count` unready pods ready.
    fn make_ready(&self, count: usize) {
        let pods = self.objects.list(&kinds::pods(), None);
        let unready = pods.iter().filter(|pod| !crate::controllers::pod_control::is_ready(pod));
        let ready = json!({"type": "Ready", "status": "True", "lastTransitionTime": "2026-01-01T00:00:00Z"});
        for pod in unready.take(count) {
            self.objects
                .modify(&kinds::pods(), "default", name(pod), Part::Status, |pod| {
                    pod["status"] = json!({"phase": "Running", "conditions": [ready]});
                })
                .unwrap();
        }
    }

    fn status(&self) -> Value {
        self.objects.get(&kinds::deployments(), "default", "echo").unwrap()["status"].clone()
    }

    fn condition(&self, kind: &str) -> (String, String) {
        let status = self.status();
        let found = status["conditions"].as_array().unwrap().iter().find(|one| one["type"] == kind).unwrap();
        (found["status"].as_str().unwrap().to_owned(), found["reason"].as_str().unwrap().to_owned())
    }

    fn revision(&self) -> u64 {
        revision::of(&self.objects.get(&kinds::deployments(), "default", "echo").unwrap())
    }
}

fn sizes(expected: &[(&str, i32)]) -> Vec<(String, i32)> {
    expected.iter().map(|(image, size)| ((*image).to_owned(), *size)).collect()
}

fn condition(status: &str, reason: &str) -> (String, String) {
    (status.to_owned(), reason.to_owned())
}

#[test]
fn a_new_deployment_becomes_available() {
    let cluster = Cluster::new(&json!({}));
    cluster.settle();
    assert_eq!(cluster.sizes(), sizes(&[("one", 4)]));
    assert_eq!(cluster.condition("Available"), condition("False", "MinimumReplicasUnavailable"));
    assert_eq!(cluster.condition("Progressing"), condition("True", "ReplicaSetUpdated"));
    cluster.make_ready(4);
    cluster.settle();
    assert_eq!(cluster.condition("Available"), condition("True", "MinimumReplicasAvailable"));
    assert_eq!(cluster.condition("Progressing"), condition("True", "NewReplicaSetAvailable"));
    let status = cluster.status();
    let counts = ["replicas", "updatedReplicas", "readyReplicas", "availableReplicas"];
    assert!(counts.iter().all(|field| status[field] == 4), "{status}");
    assert_eq!(status["observedGeneration"], 1);
    assert!(status["unavailableReplicas"].is_null());
    assert_eq!(cluster.revision(), 1);
}

#[test]
fn rolls_within_surge_and_unavailable() {
    let strategy = json!({"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 1}});
    let cluster = Cluster::new(&json!({"strategy": strategy}));
    cluster.settle();
    cluster.make_ready(4);
    cluster.settle();
    cluster.image("two");
    cluster.settle();
    assert_eq!(cluster.sizes(), sizes(&[("one", 3), ("two", 2)]), "five in all, three of which serve");
    cluster.make_ready(1);
    cluster.settle();
    assert_eq!(cluster.sizes(), sizes(&[("one", 2), ("two", 3)]));
    for _ in 0..10 {
        cluster.make_ready(1);
        cluster.settle();
    }
    assert_eq!(cluster.sizes(), sizes(&[("two", 4)]));
    assert_eq!(cluster.revision(), 2);
    assert_eq!(cluster.condition("Progressing"), condition("True", "NewReplicaSetAvailable"));
}

#[test]
fn a_template_that_comes_back_takes_the_newest_revision() {
    let cluster = Cluster::new(&json!({"replicas": 1}));
    for image in ["one", "two", "one"] {
        cluster.image(image);
        for _ in 0..3 {
            cluster.settle();
            cluster.make_ready(4);
        }
    }
    assert_eq!(cluster.sizes(), sizes(&[("one", 1)]));
    assert_eq!(cluster.revision(), 3);
    assert_eq!(cluster.sets().len(), 2);
    let history = cluster.sets().iter().find_map(|set| {
        set["metadata"]["annotations"]["deployment.kubernetes.io/revision-history"]
            .as_str()
            .map(ToOwned::to_owned)
    });
    assert_eq!(history.as_deref(), Some("1"));
}

#[test]
fn recreate_waits_for_the_last_old_pod() {
    let cluster = Cluster::new(&json!({"strategy": {"type": "Recreate"}}));
    cluster.settle();
    // Placed pods end only when the node says so.
    for pod in cluster.objects.list(&kinds::pods(), None) {
        let place = |pod: &mut Value| pod["spec"]["nodeName"] = json!("here");
        cluster.objects.modify(&kinds::pods(), "default", name(&pod), Part::AllButStatus, place).unwrap();
    }
    cluster.make_ready(4);
    cluster.settle();
    cluster.image("two");
    cluster.settle();
    assert_eq!(cluster.sizes(), sizes(&[]), "nothing new while old pods end");
    let now = crate::objects::Deletion { grace_seconds: Some(0), ..Default::default() };
    for pod in cluster.objects.list(&kinds::pods(), None) {
        cluster.objects.delete(&kinds::pods(), "default", name(&pod), &now).unwrap();
    }
    cluster.settle();
    assert_eq!(cluster.sizes(), sizes(&[("two", 4)]));
}

#[test]
fn no_progress_in_time_is_told_and_stays_told() {
    let mut cluster = Cluster::new(&json!({"replicas": 1, "progressDeadlineSeconds": 10}));
    assert_eq!(cluster.settle(), Some(Duration::from_secs(11)));
    cluster.now = "2026-01-01T00:00:11Z".parse().unwrap();
    cluster.settle();
    assert_eq!(cluster.condition("Progressing"), condition("False", "ProgressDeadlineExceeded"));
    cluster.now = "2026-01-01T00:00:12Z".parse().unwrap();
    cluster.settle();
    assert_eq!(cluster.condition("Progressing"), condition("False", "ProgressDeadlineExceeded"));
    cluster.make_ready(1);
    cluster.settle();
    assert_eq!(cluster.condition("Progressing"), condition("True", "NewReplicaSetAvailable"));
}

#[test]
fn a_pod_lost_later_does_not_undo_the_success() {
    let cluster = Cluster::new(&json!({"replicas": 1}));
    cluster.settle();
    cluster.make_ready(1);
    cluster.settle();
    let pod = cluster.objects.list(&kinds::pods(), None).remove(0);
    cluster
        .objects
        .modify(&kinds::pods(), "default", name(&pod), Part::Status, |pod| pod["status"] = json!({}))
        .unwrap();
    cluster.settle();
    assert_eq!(cluster.condition("Progressing"), condition("True", "NewReplicaSetAvailable"));
    assert_eq!(cluster.condition("Available"), condition("False", "MinimumReplicasUnavailable"));
}

#[test]
fn a_new_size_in_a_rollout_is_shared() {
    let strategy = json!({"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 2, "maxUnavailable": 0}});
    let cluster = Cluster::new(&json!({"strategy": strategy}));
    cluster.settle();
    cluster.make_ready(4);
    cluster.settle();
    cluster.image("two");
    cluster.settle();
    assert_eq!(cluster.sizes(), sizes(&[("one", 4), ("two", 2)]));
    cluster.edit(|deployment| deployment["spec"]["replicas"] = json!(7));
    cluster.settle();
    assert_eq!(cluster.sizes(), sizes(&[("one", 6), ("two", 3)]), "nine: seven and a surge of two");
}

#[test]
fn paused_takes_a_size_but_no_template() {
    let cluster = Cluster::new(&json!({}));
    cluster.settle();
    cluster.make_ready(4);
    cluster.settle();
    cluster.edit(|deployment| {
        deployment["spec"]["paused"] = json!(true);
        deployment["spec"]["replicas"] = json!(2);
        deployment["spec"]["template"]["spec"]["containers"][0]["image"] = json!("two");
    });
    cluster.settle();
    assert_eq!(cluster.sizes(), sizes(&[("one", 2)]));
    assert_eq!(cluster.condition("Progressing"), condition("Unknown", "DeploymentPaused"));
    cluster.edit(|deployment| deployment["spec"]["paused"] = json!(false));
    for _ in 0..4 {
        cluster.settle();
        cluster.make_ready(4);
    }
    assert_eq!(cluster.sizes(), sizes(&[("two", 2)]));
}

#[test]
fn forgets_more_history_than_wanted() {
    let cluster = Cluster::new(&json!({"replicas": 1, "revisionHistoryLimit": 1}));
    for image in ["one", "two", "three", "four"] {
        cluster.image(image);
        for _ in 0..3 {
            cluster.settle();
            cluster.make_ready(4);
        }
        cluster.settle();
    }
    let mut revisions: Vec<_> = cluster.sets().iter().map(|set| revision::of(set)).collect();
    revisions.sort_unstable();
    assert_eq!(revisions, [3, 4]);
}
