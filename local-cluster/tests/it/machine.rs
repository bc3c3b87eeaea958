//! A node on this machine with programs to run, and waiting for facts about its objects.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use local_cluster::controllers::{ControllerSettings, Controllers};
use local_cluster::failure::Failure;
use local_cluster::node::{
    ApiAccess, Credentials, Images, Keeper, Node, NodeSettings, Program, Sharing, Token, TokenRequest,
};
use local_cluster::objects::{Change, Object, Objects, Resource};
use serde_json::Value;
use tokio::time::timeout;

/// Generous: a busy machine is no failure.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

struct Minter;

impl Credentials for Minter {
    fn token(&self, request: &TokenRequest) -> Result<Token, Failure> {
        let token = format!("token-of-{}", request.service_account);
        Ok(Token { token, renew_at: Timestamp::MAX })
    }
}

/// A cluster without its HTTP API.
pub(crate) struct Machine {
    pub(crate) objects: Objects,
    pub(crate) node: Node,
    pub(crate) folder: tempfile::TempDir,
    controllers: Controllers,
}

pub(crate) fn pods() -> Resource {
    Resource::new("", "pods")
}

impl Machine {
    pub(crate) fn start() -> Machine {
        Machine::start_with(|_| ())
    }

    /// With `shell`, `sh` and `cat` to run.
    pub(crate) fn start_with(change: impl FnOnce(&mut NodeSettings)) -> Machine {
        let folder = tempfile::tempdir().unwrap();
        let mut images = Images::default();
        for (name, path) in [("shell", "/bin/sh"), ("sh", "/bin/sh"), ("cat", "/bin/cat")] {
            images.insert(
                name,
                Program { path: PathBuf::from(path), arguments: Vec::new(), environment: Vec::new() },
            );
        }
        let api = ApiAccess { url: "https://127.0.0.1:1".to_owned(), ca_certificate: "PEM".to_owned() };
        let mut settings = NodeSettings::new(folder.path().to_owned(), images, api, Arc::new(Minter));
        settings.keeper = Keeper::At(env!("CARGO_BIN_EXE_local-cluster").into());
        settings.restart_delay = Duration::from_millis(50);
        settings.sharing = Sharing::Automatic;
        change(&mut settings);
        let objects = Objects::default();
        let node = Node::start(&objects, settings).unwrap();
        let controllers = Controllers::start(&objects, ControllerSettings::default());
        Machine { objects, node, folder, controllers }
    }

    pub(crate) async fn stop(self) {
        self.controllers.stop().await;
        self.node.stop(Duration::from_secs(5)).await;
        let left: Vec<_> =
            std::fs::read_dir(self.folder.path()).unwrap().flatten().map(|entry| entry.path()).collect();
        assert!(left.is_empty(), "left behind: {left:?}");
    }

    /// The object once the fact holds; the last state seen is told when that takes too long.
    pub(crate) async fn wait(
        &self,
        resource: &Resource,
        name: &str,
        what: &str,
        fact: impl Fn(&Value) -> bool,
    ) -> Object {
        let mut changes = self.objects.watch(resource);
        let mut last = None;
        let found = timeout(PATIENCE, async {
            loop {
                match changes.next().await.expect("the cluster runs") {
                    Change::Added(object) | Change::Modified(object)
                        if object["metadata"]["name"] == name =>
                    {
                        if fact(&object) {
                            return object;
                        }
                        last = Some(object);
                    }
                    _ => {}
                }
            }
        });
        found.await.unwrap_or_else(|_| panic!("waited for {name} to be {what}; last seen: {last:#?}"))
    }

    pub(crate) async fn wait_gone(&self, resource: &Resource, name: &str) {
        let mut changes = self.objects.watch(resource);
        let gone = timeout(PATIENCE, async {
            while self.objects.list(resource, None).iter().any(|object| object["metadata"]["name"] == name) {
                changes.next().await.expect("the cluster runs");
            }
        });
        gone.await.unwrap_or_else(|_| panic!("{name} never went"));
    }

    /// Waits until the file has this text.
    pub(crate) async fn wait_for_file(&self, path: &std::path::Path, fact: impl Fn(&str) -> bool) -> String {
        let mut last = String::new();
        let mut pace = tokio::time::interval(Duration::from_millis(10));
        let found = timeout(PATIENCE, async {
            loop {
                pace.tick().await;
                last = std::fs::read_to_string(path).unwrap_or_default();
                if fact(&last) {
                    return;
                }
            }
        });
        assert!(found.await.is_ok(), "waited for {}; last seen: {last:?}", path.display());
        last
    }

    /// Reasons of Events about an object, in no order.
    pub(crate) fn events(&self, name: &str) -> Vec<String> {
        let events = self.objects.list(&Resource::new("", "events"), None);
        let about = events.iter().filter(|event| event["involvedObject"]["name"] == name);
        about
            .map(|event| {
                format!("{}: {}", event["reason"].as_str().unwrap(), event["message"].as_str().unwrap())
            })
            .collect()
    }
}
