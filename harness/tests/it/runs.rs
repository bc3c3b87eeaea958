//! What runs come to.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use harness::report::Report;
use harness::runner::dispatcher::Events;
use harness::runner::event::{Event, Failure, Verdict, What};
use harness::runner::{self, Selected, Settings};
use harness::scenario::parse::parse;
use harness::tools::Tools;
use parking_lot::Mutex;
use serde_json::json;
use tokio_util::sync::CancellationToken;

use super::fake::{Fake, Shared};

/// Keeps events for a look at them.
#[derive(Clone, Default)]
pub(crate) struct Recorded(pub(crate) Arc<Mutex<Vec<Event>>>);

impl Report for Recorded {
    fn event(&mut self, event: &Event) -> Result<(), String> {
        self.0.lock().push(event.clone());
        Ok(())
    }
}

impl Recorded {
    pub(crate) fn events(&self) -> Vec<What> {
        self.0.lock().iter().map(|event| event.what.clone()).collect()
    }

    pub(crate) fn verdicts(&self) -> Vec<Verdict> {
        let verdicts = self.events().into_iter().filter_map(|what| match what {
            What::ScenarioFinished { verdict, .. } => Some(verdict),
            _ => None,
        });
        verdicts.collect()
    }

    pub(crate) fn failure(&self) -> Failure {
        let failure = self.events().into_iter().find_map(|what| match what {
            What::StepFailed { failure, .. } => Some(failure),
            _ => None,
        });
        failure.expect("no step failed")
    }
}

pub(crate) fn selected(name: &str, root: &Path, text: &str) -> Selected {
    let scenario = parse(name, text, root).unwrap_or_else(|faults| panic!("{faults:?}"));
    Selected { scenario: Arc::new(scenario), file: format!("scenarios/{name}.yaml") }
}

/// A scenario with these steps.
fn steps(root: &Path, steps: &str) -> Selected {
    selected("tried", root, &format!("format: scenario/v1\ntitle: tried\nsteps:\n{steps}\n"))
}

pub(crate) struct Tried {
    pub(crate) code: u8,
    pub(crate) recorded: Recorded,
    pub(crate) shared: Arc<Shared>,
    pub(crate) folder: tempfile::TempDir,
}

pub(crate) async fn run(shared: Arc<Shared>, selected: Vec<Selected>, stop: CancellationToken) -> Tried {
    run_with(Tools::default(), shared, selected, stop).await
}

/// The same with tools that the environment doesn't have.
pub(crate) async fn run_with(
    tools: Tools,
    shared: Arc<Shared>,
    selected: Vec<Selected>,
    stop: CancellationToken,
) -> Tried {
    let folder = tempfile::tempdir().unwrap();
    let recorded = Recorded::default();
    let settings = Settings {
        run: "run".to_owned(),
        folder: folder.path().to_owned(),
        root: folder.path().to_owned(),
        tools,
        keep: false,
    };
    let events = Events::new(vec![Box::new(recorded.clone())]);
    let provider = Arc::new(Fake(Arc::clone(&shared)));
    let code = runner::run(provider, selected, settings, events, stop).await;
    Tried { code, recorded, shared, folder }
}

async fn try_steps(text: &str) -> Tried {
    try_with(Arc::default(), text).await
}

async fn try_with(shared: Arc<Shared>, text: &str) -> Tried {
    let root = std::env::temp_dir();
    run(shared, vec![steps(&root, text)], CancellationToken::new()).await
}

#[tokio::test]
async fn what_holds_passes_and_what_does_not_fails_with_both_sides() {
    let good = try_steps(
        "- request: GET /\n  expect: {status: 200, body: {contains: one says OK}, received: {by: one}}",
    )
    .await;
    assert_eq!(good.code, 1, "a body can't be text and a record at once");
    let good = try_steps(
        "- request: GET /\n  expect: {status: 200, body: {contains: one says OK}}\n- request: GET /\n  expect: {received: {by: one, headers: {X-Forwarded-For: 127.0.0.1}}}\n- request: {path: /limited, times: 3}\n  expect: {counts: {200: 1, 429: 2}}",
    )
    .await;
    assert_eq!(good.code, 0, "{:?}", good.recorded.events());
    let bad = try_steps("- request: GET /missing\n  expect: {status: 200, headers: {x-none: a}, json: {/message: b}}\n- request: GET /").await;
    assert_eq!(bad.code, 1);
    let failure = bad.recorded.failure();
    let told: Vec<(&str, &str)> =
        failure.misses.iter().map(|miss| (miss.expected.as_str(), miss.got.as_str())).collect();
    assert_eq!(
        told,
        [
            ("status 200", "status 404, body `{\"message\":\"no Route matched with those values\"}`"),
            ("header x-none is `a`", "it is absent"),
            ("/message in the body is `b`", "`no Route matched with those values`"),
        ]
    );
    assert_eq!(bad.shared.requests.lock().get("/"), None, "the first step that fails is the last");
    assert!(bad.folder.path().join("tried/replies.txt").is_file(), "evidence");
    assert_eq!(bad.shared.stopped.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn only_what_says_eventually_is_tried_again() {
    let once = try_steps("- request: GET /late\n  expect: {status: 200}").await;
    assert_eq!((once.code, once.shared.requests.lock()["/late"]), (1, 1));
    let patient = try_steps("- request: GET /late\n  expect: {status: 200}\n  eventually: 60s").await;
    assert_eq!((patient.code, patient.shared.requests.lock()["/late"]), (0, 3));
    let vain = try_steps("- request: GET /bad\n  expect: {status: 200}\n  eventually: 200ms").await;
    assert_eq!(vain.code, 1);
    let tries = vain.recorded.failure().tries.unwrap();
    assert_eq!(u64::from(tries.count), vain.shared.requests.lock()["/bad"]);
    assert!(tries.waited_ms >= 200);
}

#[tokio::test]
async fn a_change_is_waited_for_by_the_versions_it_made() {
    let tried = try_steps(
        "- apply:\n    objects:\n    - {apiVersion: networking.k8s.io/v1, kind: Ingress, metadata: {name: a, namespace: n}}\n    - {apiVersion: v1, kind: Namespace, metadata: {name: n}}\n- annotate: {object: Ingress n/a, set: {k: v}}\n- delete: Ingress n/a",
    )
    .await;
    assert_eq!(tried.code, 0, "{:?}", tried.recorded.events());
    let objects: Vec<_> = tried.shared.waits.lock().iter().map(|wait| wait["objects"].clone()).collect();
    let ingress = |version: Option<&str>| {
        let mut object =
            json!({"group": "networking.k8s.io", "kind": "Ingress", "namespace": "n", "name": "a"});
        if let Some(version) = version {
            object["resource_version"] = version.into();
        }
        json!([object])
    };
    assert_eq!(
        objects,
        [ingress(Some("1")), ingress(Some("3")), ingress(None)],
        "namespaces are nothing to a gateway"
    );
}

#[tokio::test]
async fn problems_are_a_failure_unless_they_are_expected() {
    let apply = "- apply:\n    objects:\n    - {apiVersion: networking.k8s.io/v1, kind: Ingress, metadata: {name: a, namespace: n}}\n";
    let shared = || {
        let shared = Shared::default();
        let problem = json!({"object": "Ingress n/a", "field": "spec", "message": "no such plugin x"});
        shared.problems.lock().push(problem);
        Arc::new(shared)
    };
    let unexpected = try_with(shared(), apply).await;
    assert_eq!(unexpected.code, 1);
    assert_eq!(
        unexpected.recorded.failure().message,
        "the gateway reports a problem: Ingress n/a, spec: no such plugin x"
    );
    let expected = format!("{apply}    problems: [{{object: Ingress n/a, message: {{contains: plugin x}}}}]");
    assert_eq!(try_with(shared(), &expected).await.code, 0);
    let other = format!("{apply}    problems: [{{object: Ingress n/a, message: {{contains: plugin y}}}}]");
    assert_eq!(try_with(shared(), &other).await.recorded.failure().misses.len(), 2);
    let none = try_with(Arc::default(), &expected).await;
    assert_eq!(none.recorded.failure().misses[0].got, "none");
}

#[tokio::test]
async fn refused_objects_are_told_in_the_api_servers_words() {
    let tried = try_steps(
        "- apply:\n    objects: [{apiVersion: v1, kind: Secret, metadata: {name: refused, namespace: n}}]",
    )
    .await;
    assert_eq!(
        tried.recorded.failure().message,
        "the API server refused Secret n/refused: not this one (422 Invalid)"
    );
}

#[tokio::test]
async fn captured_values_travel_and_metrics_are_added_up() {
    let tried = try_steps(
        "- request: GET /\n  capture: {id: {header: x-kong-request-id}, name: {matches: '(\\w+) says'}}\n- request: GET /${name}/${id}\n- metric: {name: x_total, value: 4}\n- metric: {name: x_total, labels: {reason: rate_limited}, value: 1}",
    )
    .await;
    assert_eq!(tried.code, 0, "{:?}", tried.recorded.events());
    assert!(tried.shared.requests.lock().contains_key("/one/0123456789abcdef0123456789abcdef"));
}

#[tokio::test]
async fn traffic_that_breaks_its_contract_is_told_with_the_step_it_met() {
    let tried = try_steps(
        "- traffic: {rate: 200, clients: 4, requests: [GET /, GET /bad]}\n  steps:\n  - request: GET /late\n    expect: {status: 200}\n    eventually: 60s",
    )
    .await;
    assert_eq!(tried.code, 1);
    let failures: Vec<Failure> = tried
        .recorded
        .events()
        .into_iter()
        .filter_map(|what| match what {
            What::StepFailed { failure, .. } => Some(failure),
            _ => None,
        })
        .collect();
    let failure = failures.last().unwrap();
    assert_eq!(failure.misses[0].expected, "no failed request");
    assert!(failure.hints[0].contains("GET /bad: status 500"), "{failure:?}");
    let fine = try_steps(
        "- traffic: {rate: 200, clients: 4, requests: [GET /bad], contract: {statuses: [500], at_least: 2}}\n  steps:\n  - request: GET /late\n    expect: {status: 200}\n    eventually: 60s",
    )
    .await;
    assert_eq!(fine.code, 0, "{:?}", fine.recorded.events());
}

#[tokio::test]
async fn what_the_environment_cannot_do_is_unsupported_and_no_failure() {
    let root = std::env::temp_dir();
    let text = "format: scenario/v1\ntitle: t\nrequires: [mesh]\nsteps: [{say: x}]";
    let tried = run(Arc::default(), vec![selected("a", &root, text)], CancellationToken::new()).await;
    assert_eq!(tried.recorded.verdicts(), [Verdict::Unsupported { needs: vec!["mesh".to_owned()] }]);
    assert_eq!((tried.code, tried.shared.started.load(Ordering::SeqCst)), (3, 0), "nothing could be shown");
    let both = vec![selected("a", &root, text), steps(&root, "- request: GET /")];
    assert_eq!(run(Arc::default(), both, CancellationToken::new()).await.code, 0);
}

#[tokio::test]
async fn an_environment_that_does_not_come_is_not_a_failure_of_the_scenario() {
    let shared = Shared::default();
    *shared.unavailable.lock() = Some("port 80 is in use".to_owned());
    let tried = try_with(Arc::new(shared), "- request: GET /").await;
    assert_eq!(tried.code, 3);
    assert_eq!(tried.recorded.verdicts(), [Verdict::Unavailable { why: "port 80 is in use".to_owned() }]);
}

#[tokio::test]
async fn an_interrupted_run_stops_what_it_started() {
    let stop = CancellationToken::new();
    let root = std::env::temp_dir();
    let waiting = "- request: GET /bad\n  expect: {status: 200}\n  eventually: 1h";
    let shared: Arc<Shared> = Arc::default();
    let work = run(Arc::clone(&shared), vec![steps(&root, waiting)], stop.clone());
    let stopper = async {
        let begun = harness::expect::eventually::eventually(
            Duration::from_mins(1),
            Duration::from_millis(5),
            || async {
                if shared.requests.lock().is_empty() { Err("no request yet".to_owned()) } else { Ok(()) }
            },
        );
        begun.await.unwrap();
        stop.cancel();
    };
    let (tried, ()) = tokio::join!(work, stopper);
    assert_eq!((tried.code, tried.recorded.verdicts()), (130, vec![Verdict::Interrupted]));
    assert_eq!(shared.stopped.load(Ordering::SeqCst), 1);
    assert!(tried.recorded.events().contains(&What::Interrupted));
}

#[tokio::test]
async fn a_fault_of_ours_breaks_one_scenario_and_stops_its_environment() {
    let root = std::env::temp_dir();
    let scenarios = vec![
        steps(&root, "- bin: {id: x, empty: true}"),
        selected("b", &root, "format: scenario/v1\ntitle: b\nsteps: [{request: GET /}]"),
    ];
    let tried = run(Arc::default(), scenarios, CancellationToken::new()).await;
    let verdicts = tried.recorded.verdicts();
    assert!(
        verdicts
            .iter()
            .any(|verdict| matches!(verdict, Verdict::Broken { why } if why.contains("on purpose"))),
        "{verdicts:?}"
    );
    assert!(verdicts.contains(&Verdict::Passed));
    assert_eq!((tried.code, tried.shared.stopped.load(Ordering::SeqCst)), (4, 2));
}

#[tokio::test]
async fn steps_in_a_window_run_in_one() {
    let tried = try_steps("- within: {window: second, leaving: 500ms}\n  steps:\n  - request: GET /limited\n    expect: {status: 200}\n  - request: GET /limited\n    expect: {status: 429}").await;
    assert_eq!(tried.code, 0, "{:?}", tried.recorded.events());
}
