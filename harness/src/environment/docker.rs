//! The Docker Engine, asked through its own command line: whether it answers, images, containers, networks.

use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use serde::Deserialize;
use serde_json::Value;

use crate::process::{Call, Caller, Said};

const LONG: Duration = Duration::from_mins(10);
/// A whole build from sources, on a small machine.
const BUILD: Duration = Duration::from_hours(1);
const ANSWER: Duration = Duration::from_secs(10);

/// What an engine is.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct Engine {
    pub server_version: String,
    /// `1` or `2`.
    pub cgroup_version: String,
    /// Such as `x86_64`.
    pub architecture: String,
    #[serde(rename = "NCPU")]
    pub cpus: u64,
    /// Bytes.
    #[serde(rename = "MemTotal")]
    pub memory: u64,
    pub docker_root_dir: String,
}

impl Engine {
    /// As images call it: `linux/amd64`.
    pub fn platform(&self) -> String {
        let architecture = match self.architecture.as_str() {
            "x86_64" | "" => "amd64",
            "aarch64" => "arm64",
            other => other,
        };
        format!("linux/{architecture}")
    }
}

/// It, through a caller.
pub struct Docker<'a>(pub &'a Caller);

/// A call that keeps the user's home: contexts and credentials are there.
fn call(words: &str) -> Call {
    Call::new(&format!("docker {words}")).at_home()
}

impl Docker<'_> {
    /// Whether it answers, and what it is.
    ///
    /// # Errors
    /// Why not, and what to do.
    pub async fn engine(&self) -> Result<Engine, String> {
        let asked = call("info --format").arg("{{json .}}").within(ANSWER);
        let host = std::env::var("DOCKER_HOST").unwrap_or_else(|_| "its usual place".to_owned());
        let said = self.0.call(asked).await.map_err(|error| {
            if error.contains("not found in PATH") {
                "docker is not found in PATH; install it (https://docs.docker.com/engine/install), or use `--env local`, which needs none".to_owned()
            } else {
                format!("Docker at {host} did not answer within {} s; is its daemon well? {error}", ANSWER.as_secs())
            }
        })?;
        let words = said.last_words();
        if words.contains("permission denied") {
            return Err(format!(
                "permission denied on the socket of Docker: add yourself to the group docker (`sudo usermod -aG docker $USER`, then log in again), or use `--env local`\n{words}"
            ));
        }
        let engine: Engine = serde_json::from_str(said.stdout.trim()).unwrap_or_default();
        // With a format it prints a document, and in some versions says 0, even when no daemon answered.
        if said.code != Some(0) || engine.server_version.is_empty() {
            return Err(format!(
                "failed to reach the Docker daemon at {host}: is it running? `sudo systemctl start docker` starts it\n{words}"
            ));
        }
        Ok(engine)
    }

    /// Whether an image is there.
    ///
    /// # Errors
    /// The engine doesn't answer.
    pub async fn has(&self, image: &str) -> Result<bool, String> {
        let asked = call("image inspect --format {{.Id}}").arg(image);
        Ok(self.0.call(asked).await?.code == Some(0))
    }

    /// Gets an image that is not there yet; a registry that fails gets a second chance.
    ///
    /// # Errors
    /// It can't be had, and what to do.
    pub async fn need(&self, image: &str) -> Result<(), String> {
        if self.has(image).await? {
            return Ok(());
        }
        self.0.tell(format!("docker pull {image}"));
        let pull = || self.0.call(call("pull --quiet").arg(image).within(LONG));
        let mut said = pull().await?;
        if said.code != Some(0) {
            said = pull().await?;
        }
        said.ok().map(drop).map_err(|error| {
            format!(
                "image {image} is not here and could not be pulled: reach its registry, name a mirror (`--mirror`), another image (`--use`), or an archive made by `harness bundle` (`--bundle`)\n{error}"
            )
        })
    }

    /// Makes an image of a folder with a Dockerfile, plain enough to be loaded anywhere: nothing but the image itself.
    ///
    /// # Errors
    /// What Docker said.
    pub async fn build(&self, folder: &Path, file: &Path, image: &str) -> Result<(), String> {
        let build = call("build --quiet --tag").arg(image).arg("--file").arg(file.display().to_string());
        let build = build.arg(folder.display().to_string()).env("BUILDX_NO_DEFAULT_ATTESTATIONS", "1");
        self.0.done(build.within(BUILD)).await.map(drop)
    }

    /// # Errors
    /// What Docker said.
    pub async fn tag(&self, image: &str, name: &str) -> Result<(), String> {
        self.0.done(call("tag").arg(image).arg(name)).await.map(drop)
    }

    /// Writes images into one archive, for one platform where Docker can: of an image for several, the others may
    /// not be there, and whoever reads the archive would miss them.
    ///
    /// # Errors
    /// What Docker said.
    pub async fn save(&self, images: &[String], platform: &str, archive: &Path) -> Result<(), String> {
        let archive = archive.display().to_string();
        let save = |words: &str| call(words).arg(&archive).args(images).within(LONG);
        let said = self.0.call(save(&format!("image save --platform {platform} --output"))).await?;
        if said.code == Some(0) {
            return Ok(());
        }
        self.0.done(save("image save --output")).await.map(drop)
    }

    /// Reads an archive of images.
    ///
    /// # Errors
    /// What Docker said.
    pub async fn load(&self, archive: &Path) -> Result<(), String> {
        let load = call("image load --quiet --input").arg(archive.display().to_string());
        self.0.done(load.within(LONG)).await.map(drop)
    }

    /// Where a port of a container is published on this machine.
    ///
    /// # Errors
    /// It is not.
    pub async fn port(&self, container: &str, port: u16) -> Result<SocketAddr, String> {
        let said = self.0.done(call("port").arg(container).arg(format!("{port}/tcp"))).await?;
        let address = said.stdout.lines().find_map(|line| line.trim().parse::<SocketAddr>().ok());
        address.ok_or_else(|| {
            format!(
                "port {port} of container {container} is not published on this machine: {}",
                said.stdout.trim()
            )
        })
    }

    /// Runs a program in a container.
    ///
    /// # Errors
    /// It can't be run.
    pub async fn exec(&self, container: &str, words: &[&str]) -> Result<Said, String> {
        self.0.call(call("exec").arg(container).args(words.iter().copied())).await
    }

    /// Gives a program in a container a file to read.
    ///
    /// # Errors
    /// It failed, and what it said.
    pub async fn feed(&self, container: &str, words: &[&str], file: &Path) -> Result<(), String> {
        let fed = call("exec --interactive").arg(container).args(words.iter().copied()).input(file);
        self.0.done(fed.within(LONG)).await.map(drop)
    }

    /// Names of containers, running or not, with a label.
    ///
    /// # Errors
    /// The engine doesn't answer.
    pub async fn containers(&self, label: &str) -> Result<Vec<String>, String> {
        let list = call("ps --all --format {{.Names}} --filter").arg(format!("label={label}"));
        self.0.done(list).await.map(|said| lines(&said.stdout))
    }

    /// The values of a label over all containers, each once.
    ///
    /// # Errors
    /// The engine doesn't answer.
    pub async fn values(&self, label: &str) -> Result<Vec<String>, String> {
        let list = call("ps --all --filter").arg(format!("label={label}"));
        let list = list.arg("--format").arg(format!("{{{{.Label \"{label}\"}}}}"));
        let mut values = self.0.done(list).await.map(|said| lines(&said.stdout))?;
        values.sort();
        values.dedup();
        Ok(values)
    }

    /// Names of the images that fit a pattern.
    ///
    /// # Errors
    /// The engine doesn't answer.
    pub async fn all(&self, pattern: &str) -> Result<Vec<String>, String> {
        let list = call("image ls --format {{.Repository}}:{{.Tag}}").arg("--filter");
        let said = self.0.done(list.arg(format!("reference={pattern}"))).await?;
        Ok(lines(&said.stdout).into_iter().filter(|name| !name.contains("<none>")).collect())
    }

    /// Names of networks or volumes (`what`) that begin so.
    ///
    /// # Errors
    /// The engine doesn't answer.
    pub async fn names(&self, what: &str, beginning: &str) -> Result<Vec<String>, String> {
        let list = call(what).arg("ls").arg("--format").arg("{{.Name}}");
        let said = self.0.done(list.arg("--filter").arg(format!("name={beginning}"))).await?;
        Ok(lines(&said.stdout).into_iter().filter(|name| name.starts_with(beginning)).collect())
    }

    /// Removes containers with their volumes, networks, or volumes; that one is gone already is no failure.
    ///
    /// # Errors
    /// What Docker said.
    pub async fn remove(&self, what: &str, names: &[String]) -> Result<(), String> {
        for name in names {
            let words =
                if what == "container" { "container rm --force --volumes" } else { &format!("{what} rm") };
            let said = self.0.call(call(words).arg(name)).await?;
            if said.code != Some(0)
                && !said.says("No such")
                && !said.says("no such")
                && !said.says("not found")
            {
                return Err(said.failure());
            }
        }
        Ok(())
    }

    /// The images a node has, by all their names.
    ///
    /// # Errors
    /// The node doesn't answer.
    pub async fn images_of_node(&self, node: &str) -> Result<Vec<String>, String> {
        let said = self.exec(node, &["crictl", "images", "--output", "json"]).await?.ok()?;
        let failed = || format!("failed to read the images of node {node}: {}", said.last_words());
        let listed: Value = serde_json::from_str(&said.stdout).map_err(|_| failed())?;
        let images = listed["images"].as_array().ok_or_else(failed)?;
        let names = images.iter().flat_map(|image| image["repoTags"].as_array().into_iter().flatten());
        Ok(names.filter_map(|name| name.as_str().map(str::to_owned)).collect())
    }
}

fn lines(text: &str) -> Vec<String> {
    text.lines().map(str::trim).filter(|line| !line.is_empty()).map(str::to_owned).collect()
}
