//! A folder as the source: what changes, what breaks, what comes back.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use gateway::controller::{Controller, ControllerSettings};
use gateway::source::directory;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::support::checks::checks;
use crate::support::gateway::settings;
use crate::support::recorder::Recorder;

/// A control plane over a folder; runs until dropped.
struct Folder {
    root: tempfile::TempDir,
    recorder: Recorder,
    _tasks: JoinSet<()>,
}

fn ingress(name: &str) -> String {
    format!(
        "apiVersion: networking.k8s.io/v1\nkind: Ingress\nmetadata: {{name: {name}}}\nspec:\n  ingressClassName: kong\n  \
         rules:\n  - http: {{paths: [{{path: /{name}, pathType: Prefix, backend: {{service: {{name: one, port: {{number: 80}}}}}}}}]}}\n---\n"
    )
}

impl Folder {
    fn start(files: &[(&str, &str)]) -> Folder {
        let folder = tempfile::tempdir().unwrap();
        for (name, text) in files {
            write(folder.path(), name, text);
        }
        let recorder = Recorder::new();
        let stop = CancellationToken::new();
        let (source, feed) = directory::open(folder.path()).unwrap();
        let settings = ControllerSettings { publish_service: None, ..settings() };
        let publish = Arc::new(recorder.clone());
        let controller = Controller {
            settings,
            checks: checks(),
            publish,
            client: None,
            retire: CancellationToken::new(),
        };
        let mut tasks = JoinSet::new();
        tasks.spawn(source.run(stop.clone()));
        tasks.spawn(controller.run(feed, stop));
        Folder { root: folder, recorder, _tasks: tasks }
    }

    fn write(&self, name: &str, text: &str) {
        write(self.root.path(), name, text);
    }

    /// Waits until exactly these Ingresses have routes, and gives what is wrong.
    async fn until_routes(&self, names: &[&str]) -> Vec<String> {
        let offer = self
            .recorder
            .until_offer(&format!("routes of {names:?}"), |offer| {
                let mut paths: Vec<String> = offer
                    .model
                    .routes
                    .values()
                    .flat_map(|route| &route.paths)
                    .map(|paths| paths[0].to_string())
                    .collect();
                paths.sort();
                paths == names.iter().map(|name| format!("/{name}/")).collect::<Vec<_>>()
            })
            .await;
        let ours = offer.problems.iter().filter(|problem| !problem.message.starts_with("can't add target"));
        ours.map(|problem| format!("{}: {} -> {}", problem.origin, problem.message, problem.effect)).collect()
    }

    /// Waits for a problem that contains a text.
    async fn until_problem(&self, text: &str) -> String {
        let is_it = |offer: &gateway::controller::Offer| {
            offer.problems.iter().find(|problem| problem.message.contains(text)).cloned()
        };
        let offer = self.recorder.until_offer(text, |offer| is_it(offer).is_some()).await;
        let problem = is_it(&offer).unwrap();
        format!("{} -> {}", problem.origin, problem.effect)
    }
}

/// As editors that care do it: the name changes to the new content in one step.
fn write(folder: &Path, name: &str, text: &str) {
    let path = folder.join(name);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    let draft = path.with_extension("draft");
    fs::write(&draft, text).unwrap();
    fs::rename(draft, path).unwrap();
}

#[tokio::test]
async fn files_come_change_and_go() {
    let folder = Folder::start(&[
        ("a.yaml", &ingress("a")),
        ("notes.txt", "no objects"),
        (".hidden.yaml", "{"),
        ("b.yaml~", "{"),
    ]);
    assert_eq!(folder.until_routes(&["a"]).await, [""; 0]);
    folder.write("more/b.yml", &ingress("b"));
    folder.until_routes(&["a", "b"]).await;
    folder.write("a.yaml", &(ingress("c") + &ingress("d")));
    folder.until_routes(&["b", "c", "d"]).await;
    fs::remove_dir_all(folder.root.path().join("more")).unwrap();
    folder.until_routes(&["c", "d"]).await;
}

#[tokio::test]
async fn a_broken_file_keeps_its_last_content_and_names_the_line() {
    let folder = Folder::start(&[("a.yaml", &ingress("a")), ("b.yaml", &ingress("b"))]);
    folder.until_routes(&["a", "b"]).await;
    folder.write("a.yaml", "kind: Ingress\nmetadata: {\n");
    let said = folder.until_problem("unclosed bracket").await;
    assert_eq!(said, "a.yaml:2 -> the last good content of the file still serves");
    folder.write("b.yaml", &ingress("c"));
    folder.until_routes(&["a", "c"]).await;
    folder.write("a.yaml", &ingress("d"));
    assert_eq!(folder.until_routes(&["c", "d"]).await, [""; 0]);
}

#[tokio::test]
async fn a_file_that_was_never_good_is_left_out() {
    let folder = Folder::start(&[("a.yaml", &ingress("a")), ("b.yaml", "a: [")]);
    let problems = folder.until_routes(&["a"]).await;
    assert_eq!(problems.len(), 1);
    assert!(
        problems[0].starts_with("b.yaml:") && problems[0].ends_with("-> the file is left out"),
        "{problems:?}"
    );
}

#[tokio::test]
async fn the_first_of_two_files_has_the_object() {
    let folder = Folder::start(&[("a.yaml", &ingress("a")), ("b.yaml", &ingress("a"))]);
    let problems = folder.until_routes(&["a"]).await;
    assert_eq!(problems, ["b.yaml:1: Ingress default/a is already in a.yaml:1 -> it is left out"]);
}

#[tokio::test]
async fn versions_count_up_with_every_change() {
    let folder = Folder::start(&[("a.yaml", &ingress("a"))]);
    folder.until_routes(&["a"]).await;
    let version = |offer: &gateway::controller::Offer| offer.objects[0].resource_version.clone().unwrap();
    assert_eq!(version(folder.recorder.seen().offers.last().unwrap()), "1");
    folder.write("a.yaml", &ingress("a").replace("/a", "/b"));
    let offer = folder.recorder.until_offer("another version", |offer| version(offer) == "2").await;
    assert_eq!(offer.objects[0].to_string(), "Ingress default/a");
}

#[tokio::test]
async fn a_mounted_config_map_is_followed_through_its_links() {
    let folder = Folder::start(&[("..v1/a.yaml", &ingress("a"))]);
    let root = folder.root.path();
    std::os::unix::fs::symlink("..v1", root.join("..data")).unwrap();
    std::os::unix::fs::symlink("..data/a.yaml", root.join("a.yaml")).unwrap();
    folder.until_routes(&["a"]).await;
    write(root, "..v2/a.yaml", &ingress("b"));
    std::os::unix::fs::symlink("..v2", root.join("..tmp")).unwrap();
    fs::rename(root.join("..tmp"), root.join("..data")).unwrap();
    folder.until_routes(&["b"]).await;
}

#[test]
fn a_folder_that_is_none_is_refused_at_once() {
    let error = directory::open(Path::new("/nowhere/at/all")).err().unwrap().to_string();
    assert!(error.starts_with("failed to read the objects in /nowhere/at/all: No such file"), "{error}");
}
