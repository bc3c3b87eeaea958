//! Each case folder: objects in, model and problems out, in whatever order the objects arrive.
//!
//! `objects.yaml` is what `kubectl apply -f` would take. Run with `INSTA_UPDATE=always` after a change that is
//! meant to change what is recorded, and read the difference. Cases whose name begins with `mesh-` are translated as
//! beside a sidecar.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use gateway::model::Problem;
use gateway::objects::{Kind, Object};
use gateway::source::{Change, directory};
use gateway::store::Store;
use gateway::translate::{Remembered, TranslateSettings, Translation, translate};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use crate::support::checks::checks;
use crate::support::objects::{ingress, service};

pub(crate) fn settings() -> TranslateSettings {
    TranslateSettings {
        ingress_class: "kong".to_owned(),
        cluster_domain: None,
        drain_support: false,
        beside_sidecar: false,
    }
}

/// What a folder of objects says, as the directory source reads it.
pub(crate) async fn changes_of(folder: &Path) -> Vec<Change> {
    let (directory, mut feed) = directory::open(folder).unwrap();
    let stop = CancellationToken::new();
    let reader = tokio::spawn(directory.run(stop.clone()));
    let mut changes = Vec::new();
    while !matches!(changes.last(), Some(Change::Listed(_))) {
        changes.push(feed.changes.recv().await.unwrap());
    }
    stop.cancel();
    reader.await.unwrap();
    changes
}

fn translated(case: &Path, store: &Store) -> Translation {
    let beside_sidecar = case.file_name().unwrap().to_str().unwrap().starts_with("mesh-");
    let settings = TranslateSettings { beside_sidecar, ..settings() };
    translate(store, &Remembered::default(), &settings, &checks())
}

fn cases() -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/translate");
    let mut cases: Vec<PathBuf> = std::fs::read_dir(root)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.join("objects.yaml").is_file())
        .collect();
    cases.sort();
    cases
}

/// Problems and verdicts as people read them.
fn report(translation: &Translation) -> String {
    let mut out = String::new();
    for problem in &translation.problems {
        let field = if problem.field.is_empty() { String::new() } else { format!(" {}", problem.field) };
        let advice = if problem.advice { " (advice)" } else { "" };
        let Problem { origin, message, effect, .. } = problem;
        writeln!(out, "{origin}{field}{advice}\n    {message}\n    -> {effect}").unwrap();
    }
    for (key, verdict) in &translation.verdicts {
        let (status, reason) = (verdict.programmed.status(), verdict.programmed.reason());
        writeln!(out, "{key}: Programmed={status} ({reason}) {}", verdict.message).unwrap();
    }
    let serving: Vec<String> = translation.serving.iter().map(ToString::to_string).collect();
    writeln!(out, "serving: {}", serving.join(", ")).unwrap();
    out
}

#[tokio::test]
async fn each_case_gives_what_is_recorded() {
    for case in cases() {
        let mut store = Store::default();
        for change in changes_of(&case).await {
            store.apply(change);
        }
        let translation = translated(&case, &store);
        let mut settings = insta::Settings::clone_current();
        settings.set_snapshot_path(&case);
        settings.set_prepend_module_to_snapshot(false);
        settings.set_omit_expression(true);
        settings.bind(|| {
            insta::assert_json_snapshot!("model", translation.model);
            insta::assert_snapshot!("problems", report(&translation));
        });
    }
}

/// Strings that mean something to a shell, a template, a header, a path or a YAML file.
const HOSTILE: &[&str] = &[
    "}",
    "{",
    "$(id)",
    "${HOME}",
    "#",
    "\"",
    "'",
    "`",
    "\\",
    "\n",
    "\r\nX-Injected: 1",
    "\0",
    ",",
    ";",
    "..",
    "/../",
    "%0d%0a",
    "{{ .Values }}",
    "<script>",
    "- a: b\n",
    "!!python/object:x",
    "\u{202e}",
    "~",
    "~(",
    "*",
    "'||'",
    "null",
    "true",
    "1e999",
];

/// What an object says changes nothing but what comes of it.
#[tokio::test]
async fn hostile_text_stays_within_its_object() {
    const ANNOTATIONS: &[&str] = &[
        "konghq.com/plugins",
        "konghq.com/strip-path",
        "konghq.com/preserve-host",
        "konghq.com/protocols",
        "konghq.com/methods",
        "konghq.com/headers.x-a",
        "konghq.com/snis",
        "konghq.com/host-aliases",
        "konghq.com/rewrite",
        "konghq.com/regex-prefix",
        "konghq.com/regex-priority",
        "konghq.com/https-redirect-status-code",
        "konghq.com/request-buffering",
        "konghq.com/tags",
        "konghq.com/path",
        "konghq.com/override",
        "nonsense/nonsense",
    ];
    let route = |translation: &Translation, name: &str| {
        let name = format!("echo.{name}.one..80");
        translation.model.routes.values().find(|route| route.name.as_deref() == Some(&name)).cloned()
    };
    let beside = |hostile: Option<Value>| {
        let mut store = Store::default();
        let objects = [(Kind::Service, service("echo", "one")), (Kind::Ingress, ingress("good", ""))];
        for (kind, value) in objects.into_iter().chain(hostile.map(|value| (Kind::Ingress, value))) {
            store.apply(Change::Applied(Object::read(kind, value).unwrap()));
        }
        translate(&store, &Remembered::default(), &settings(), &checks())
    };
    let good = route(&beside(None), "good");
    assert!(good.is_some());
    for text in HOSTILE {
        let long = text.repeat(2_000);
        for text in [*text, &*long] {
            for annotation in ANNOTATIONS {
                let mut hostile = ingress("hostile", "");
                hostile["metadata"]["annotations"] = json!({*annotation: text});
                let seen = beside(Some(hostile));
                assert_eq!(route(&seen, "good"), good, "{annotation}: {}", text.escape_debug());
            }
            for pointer in ["/spec/rules/0/http/paths/0/path", "/spec/rules/0/host", "/spec/ingressClassName"]
            {
                let mut hostile = ingress("hostile", "");
                hostile["spec"]["rules"][0]["host"] = json!("a.test");
                *hostile.pointer_mut(pointer).unwrap() = json!(text);
                let seen = beside(Some(hostile));
                assert_eq!(route(&seen, "good"), good, "{pointer}: {}", text.escape_debug());
            }
        }
    }
}

/// The objects of a case, one change each, as a watch would send them.
async fn single_changes(case: &Path) -> Vec<Change> {
    let mut changes = Vec::new();
    for change in changes_of(case).await {
        match change {
            Change::Listed(listings) => {
                for listing in listings {
                    changes.extend(listing.objects.into_iter().map(Change::Applied));
                    changes.extend(listing.unreadable.into_iter().map(Change::Unreadable));
                }
            }
            other => changes.push(other),
        }
    }
    changes
}

#[tokio::test]
async fn the_order_of_arrival_never_shows() {
    for case in cases() {
        let mut expected = None;
        for round in 0..8 {
            let mut changes = single_changes(&case).await;
            fastrand::Rng::with_seed(round).shuffle(&mut changes);
            let mut store = Store::default();
            for change in changes {
                store.apply(change);
            }
            let translation = translated(&case, &store);
            let seen = (translation.model, translation.problems, translation.verdicts);
            match &expected {
                None => expected = Some(seen),
                Some(expected) => assert_eq!(*expected, seen, "{} in order {round}", case.display()),
            }
        }
    }
}
