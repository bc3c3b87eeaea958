//! Programs that make clusters in Docker: what is asked of each, and what holds for all. An exit code is no proof of
//! anything here: whoever calls looks afterwards whether it is so.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::docker::{Docker, Engine};
use super::{k3d, kind};
use crate::process::Caller;
use crate::versions::{Versions, full_name};

/// Ports of the node behind which the gateway is. They are published on ports of this machine that Docker chooses, so
/// that clusters can be side by side.
pub const NODE_HTTP: u16 = 30_080;
pub const NODE_HTTPS: u16 = 30_443;
/// How names of clusters begin.
pub const PREFIX: &str = "limen-";
/// How long making a cluster may take.
pub const CREATE: Duration = Duration::from_mins(10);

/// The programs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Maker {
    Kind,
    K3d,
}

/// A cluster to be made, or made.
pub struct Site<'a> {
    pub maker: Maker,
    pub caller: &'a Caller,
    pub engine: &'a Engine,
    /// Its name.
    pub name: String,
    /// Takes what belongs to it.
    pub folder: PathBuf,
    /// Where its kubeconfig is written to; never the user's.
    pub kubeconfig: PathBuf,
    /// An archive of images that the node shall have before it starts.
    pub seed: Option<PathBuf>,
}

impl Maker {
    pub fn name(self) -> &'static str {
        match self {
            Maker::Kind => "kind",
            Maker::K3d => "k3d",
        }
    }

    /// The command that removes a cluster of this name.
    pub fn removal(self, name: &str) -> String {
        match self {
            Maker::Kind => format!("kind delete cluster --name {name}"),
            Maker::K3d => format!("k3d cluster delete {name}"),
        }
    }

    /// Its version, such as `0.32.0`.
    ///
    /// # Errors
    /// It is not there, and how to get it.
    pub async fn version(self, caller: &Caller) -> Result<String, String> {
        match self {
            Maker::Kind => kind::version(caller).await,
            Maker::K3d => k3d::version(caller).await.map(|(k3d, _)| k3d),
        }
    }

    /// The image of its nodes; nothing where only the program knows.
    ///
    /// # Errors
    /// The program is not there.
    pub async fn node(
        self,
        caller: &Caller,
        engine: &Engine,
        versions: &Versions,
    ) -> Result<Option<String>, String> {
        match self {
            Maker::Kind => kind::node(caller, engine, versions).await,
            Maker::K3d => k3d::node(caller, versions).await.map(Some),
        }
    }

    /// Images that it starts beside nodes.
    ///
    /// # Errors
    /// The program is not there.
    pub async fn helpers(self, caller: &Caller, versions: &Versions) -> Result<Vec<String>, String> {
        match self {
            Maker::Kind => Ok(Vec::new()),
            Maker::K3d => k3d::tools(caller, versions).await.map(|tools| vec![tools]),
        }
    }

    /// Names of the clusters that it has.
    ///
    /// # Errors
    /// Docker doesn't answer.
    pub async fn clusters(self, caller: &Caller) -> Result<Vec<String>, String> {
        Docker(caller).values(self.label()).await
    }

    /// The label by which it knows its containers.
    fn label(self) -> &'static str {
        match self {
            Maker::Kind => "io.x-k8s.kind.cluster",
            Maker::K3d => "k3d.cluster",
        }
    }
}

impl Site<'_> {
    /// The container that is its only node.
    pub fn container(&self) -> String {
        match self.maker {
            Maker::Kind => format!("{}-control-plane", self.name),
            Maker::K3d => format!("k3d-{}-server-0", self.name),
        }
    }

    /// Makes it, with a second attempt where the first one failed: slow machines let the first one run out of time.
    ///
    /// # Errors
    /// What the program said last; logs of the node are in the folder where there are any.
    pub async fn create(&self, node: Option<&str>, tools: &[String]) -> Result<(), String> {
        let Err(first) = self.try_create(node, tools).await else { return Ok(()) };
        if is_final(&first) {
            return Err(first);
        }
        self.caller.tell(format!("{} failed to make the cluster; one more attempt", self.maker.name()));
        self.try_create(node, tools)
            .await
            .map_err(|second| if second == first { first } else { format!("{second}\nbefore that: {first}") })
    }

    async fn try_create(&self, node: Option<&str>, tools: &[String]) -> Result<(), String> {
        let made = match self.maker {
            Maker::Kind => kind::create(self, node).await,
            Maker::K3d => k3d::create(self, node, tools).await,
        };
        let Err(mut error) = made else { return Ok(()) };
        if error.contains("already exist") {
            return Err(error);
        }
        if self.maker == Maker::Kind {
            kind::export_logs(self).await;
        }
        if let Err(left) = self.delete().await {
            error = format!("{error}\nand what it made could not be removed: {left}");
        }
        Err(error)
    }

    /// Where its gateway ports are published.
    ///
    /// # Errors
    /// They are not.
    pub async fn published(&self) -> Result<(SocketAddr, SocketAddr), String> {
        let (docker, container) = (Docker(self.caller), self.container());
        Ok((docker.port(&container, NODE_HTTP).await?, docker.port(&container, NODE_HTTPS).await?))
    }

    /// Gives it the images of an archive, and looks whether it has them.
    ///
    /// # Errors
    /// What was said, or which images are missing.
    pub async fn load(&self, archive: &Path, images: &[String]) -> Result<(), String> {
        match self.maker {
            Maker::Kind => kind::load(self, archive).await?,
            Maker::K3d => k3d::load(self, archive).await?,
        }
        let missing = self.missing(images).await?;
        if missing.is_empty() {
            return Ok(());
        }
        // A program that failed to load them said nothing of it; the node's own may say why.
        let import = ["ctr", "--namespace=k8s.io", "images", "import", "--all-platforms", "-"];
        Docker(self.caller).feed(&self.container(), &import, archive).await?;
        match self.missing(images).await? {
            missing if missing.is_empty() => Ok(()),
            missing => Err(format!(
                "{} says that it loaded the images, but the node does not have {}",
                self.maker.name(),
                missing.join(", ")
            )),
        }
    }

    /// Those of the images that its node doesn't have.
    ///
    /// # Errors
    /// The node doesn't answer.
    pub async fn missing(&self, images: &[String]) -> Result<Vec<String>, String> {
        let there = Docker(self.caller).images_of_node(&self.container()).await?;
        let lacks = |image: &&String| !there.iter().any(|name| full_name(name) == full_name(image));
        Ok(images.iter().filter(lacks).cloned().collect())
    }

    /// Ends the containers of a pod as if they had crashed; those of a mesh live on.
    ///
    /// # Errors
    /// There are none.
    pub async fn crash(&self, namespace: &str, pod: &str) -> Result<(), String> {
        let (docker, node) = (Docker(self.caller), self.container());
        let listed = docker
            .exec(
                &node,
                &[
                    "crictl",
                    "ps",
                    "--output",
                    "json",
                    "--label",
                    &format!("io.kubernetes.pod.namespace={namespace}"),
                    "--label",
                    &format!("io.kubernetes.pod.name={pod}"),
                ],
            )
            .await?
            .ok()?;
        let listed: serde_json::Value = serde_json::from_str(&listed.stdout)
            .map_err(|_| format!("failed to read the containers of node {node}: {}", listed.last_words()))?;
        let containers = listed["containers"].as_array().into_iter().flatten();
        let ours = containers.filter(|container| {
            let name = container["labels"]["io.kubernetes.container.name"].as_str().unwrap_or_default();
            !name.starts_with("istio-")
        });
        let ids: Vec<&str> = ours.filter_map(|container| container["id"].as_str()).collect();
        if ids.is_empty() {
            return Err(format!("Pod {namespace}/{pod} has no running container to kill"));
        }
        // Without any time to end in it is killed.
        let stop = ["crictl", "stop", "--timeout", "0"].into_iter().chain(ids).collect::<Vec<_>>();
        docker.exec(&node, &stop).await?.ok().map(drop)
    }

    /// Deletes it, and looks whether it is gone: some programs say 0 although they could not.
    ///
    /// # Errors
    /// What is left, and the commands that remove it.
    pub async fn delete(&self) -> Result<(), String> {
        let said = match self.maker {
            Maker::Kind => kind::delete(self).await,
            Maker::K3d => k3d::delete(self).await,
        };
        let docker = Docker(self.caller);
        let label = format!("{}={}", self.maker.label(), self.name);
        let clean = async {
            docker.remove("container", &docker.containers(&label).await?).await?;
            if self.maker == Maker::K3d {
                // What a rollback that failed leaves, and deleting doesn't find.
                let beginning = format!("k3d-{}", self.name);
                docker.remove("network", &docker.names("network", &beginning).await?).await?;
                docker.remove("volume", &docker.names("volume", &beginning).await?).await?;
            }
            Ok::<_, String>(())
        };
        clean.await.map_err(|error| {
            let said = said.err().map(|said| format!("\n{said}")).unwrap_or_default();
            format!("{} could not be removed: {error}{said}\nto remove it: {}", self.name, self.removal())
        })
    }

    /// The command that removes it.
    pub fn removal(&self) -> String {
        self.maker.removal(&self.name)
    }
}

/// Whether one more attempt would come to the same end.
fn is_final(error: &str) -> bool {
    ["already exist", "not found in PATH", "operation not permitted", "unable to decode", "permission denied"]
        .iter()
        .any(|words| error.contains(words))
}
