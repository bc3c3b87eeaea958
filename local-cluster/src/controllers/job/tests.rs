use super::*;
use crate::kinds::name;

struct Cluster {
    objects: Objects,
}

impl Cluster {
    fn new(spec: Value) -> Cluster {
        let template =
            json!({"spec": {"containers": [{"name": "c", "image": "i"}], "restartPolicy": "Never"}});
        let mut job = json!({
            "apiVersion": "batch/v1", "kind": "Job",
            "metadata": {"namespace": "default", "name": "work"},
            "spec": {"completions": 1, "parallelism": 1, "template": template},
        });
        for (key, value) in spec.as_object().unwrap() {
            job["spec"][key] = value.clone();
        }
        let objects = Objects::default();
        objects.create(&kinds::jobs(), job).unwrap();
        Cluster { objects }
    }

    fn look(&self, at: &str) -> Option<Duration> {
        let key = Key { namespace: "default".to_owned(), name: "work".to_owned() };
        Jobs::new(&self.objects).reconcile(&self.objects, &key, at.parse().unwrap()).unwrap()
    }

    fn active(&self) -> Vec<Object> {
        let pods = self.objects.list(&kinds::pods(), None);
        pods.into_iter().filter(|pod| is_active(pod)).collect()
    }

    fn finish(&self, pod: &Value, phase: &str, at: &str) {
        let status =
            json!({"phase": phase, "containerStatuses": [{"state": {"terminated": {"finishedAt": at}}}]});
        self.objects
            .modify(&kinds::pods(), "default", name(pod), Part::Status, |pod| pod["status"] = status)
            .unwrap();
    }

    fn status(&self) -> Value {
        self.objects.get(&kinds::jobs(), "default", "work").unwrap()["status"].clone()
    }

    fn conditions(&self) -> Vec<String> {
        let status = self.status();
        let conditions = status["conditions"].as_array().cloned().unwrap_or_default();
        conditions.iter().map(|one| format!("{} {}", text(one, "/type"), text(one, "/reason"))).collect()
    }
}

#[test]
fn completes_when_its_pods_have_ended_well() {
    let cluster = Cluster::new(json!({"completions": 2, "parallelism": 2}));
    cluster.look("2026-01-01T00:00:00Z");
    let pods = cluster.active();
    assert_eq!(pods.len(), 2);
    assert_eq!(pods[0]["metadata"]["labels"]["job-name"], "work");
    cluster.finish(&pods[0], "Succeeded", "2026-01-01T00:00:01Z");
    cluster.look("2026-01-01T00:00:01Z");
    assert_eq!(cluster.active().len(), 1, "one success left to come: no third pod");
    cluster.finish(&pods[1], "Succeeded", "2026-01-01T00:00:02Z");
    cluster.look("2026-01-01T00:00:02Z");
    assert_eq!(
        cluster.conditions(),
        ["SuccessCriteriaMet CompletionsReached", "Complete CompletionsReached"]
    );
    let status = cluster.status();
    assert_eq!(
        (&status["succeeded"], &status["completionTime"]),
        (&json!(2), &json!("2026-01-01T00:00:02Z"))
    );
}

#[test]
fn waits_longer_after_each_failure_and_gives_up_at_the_limit() {
    let cluster = Cluster::new(json!({"backoffLimit": 1}));
    cluster.look("2026-01-01T00:00:00Z");
    cluster.finish(&cluster.active()[0], "Failed", "2026-01-01T00:00:01Z");
    assert_eq!(cluster.look("2026-01-01T00:00:01Z"), Some(Duration::from_secs(10)));
    assert!(cluster.active().is_empty());
    cluster.look("2026-01-01T00:00:11Z");
    cluster.finish(&cluster.active()[0], "Failed", "2026-01-01T00:00:12Z");
    cluster.look("2026-01-01T00:00:12Z");
    assert_eq!(cluster.conditions(), ["FailureTarget BackoffLimitExceeded", "Failed BackoffLimitExceeded"]);
    assert!(cluster.active().is_empty());
}

#[test]
fn a_deadline_ends_it() {
    let cluster = Cluster::new(json!({"activeDeadlineSeconds": 5}));
    assert_eq!(cluster.look("2026-01-01T00:00:00Z"), Some(Duration::from_secs(5)));
    cluster.look("2026-01-01T00:00:05Z");
    assert_eq!(cluster.conditions()[1], "Failed DeadlineExceeded");
    assert!(cluster.active().is_empty());
}

#[test]
fn indexes_are_each_done_once() {
    let cluster = Cluster::new(json!({"completions": 2, "completionMode": "Indexed"}));
    for (index, at) in ["2026-01-01T00:00:00Z", "2026-01-01T00:00:01Z"].iter().enumerate() {
        cluster.look(at);
        let pod = cluster.active().remove(0);
        assert_eq!(index_of(&pod), Some(index as i32));
        assert_eq!(pod["spec"]["containers"][0]["env"][0]["value"], index.to_string());
        cluster.finish(&pod, "Succeeded", at);
    }
    cluster.look("2026-01-01T00:00:02Z");
    assert_eq!(cluster.conditions()[1], "Complete CompletionsReached");
}

#[test]
fn suspended_it_has_no_pods() {
    let cluster = Cluster::new(json!({"suspend": true}));
    cluster.look("2026-01-01T00:00:00Z");
    assert!(cluster.active().is_empty());
    assert_eq!(cluster.conditions(), ["Suspended JobSuspended"]);
}

#[test]
fn is_forgotten_when_its_time_is_over() {
    let cluster = Cluster::new(json!({"ttlSecondsAfterFinished": 60}));
    cluster.look("2026-01-01T00:00:00Z");
    cluster.finish(&cluster.active()[0], "Succeeded", "2026-01-01T00:00:01Z");
    cluster.look("2026-01-01T00:00:01Z");
    assert_eq!(cluster.look("2026-01-01T00:00:31Z"), Some(Duration::from_secs(30)));
    cluster.look("2026-01-01T00:01:01Z");
    let job = cluster.objects.get(&kinds::jobs(), "default", "work").unwrap();
    assert!(is_going(&job), "goes in the foreground: after its pods");
}
