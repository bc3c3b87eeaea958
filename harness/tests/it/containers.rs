//! Our images, as `.ci/images` makes them, on a network of Docker's: a gateway with objects from a folder, two echoes, and a
//! client. Each runs as a pod would: without rights, with nothing it could write to. Skipped with a word where there is no
//! Docker, or no images.

use std::process::Command;
use std::time::Duration;

use harness::expect::eventually::eventually;
use harness::http_client::{Outgoing, Target, once};

const CONFINED: [&str; 5] = ["--read-only", "--cap-drop", "ALL", "--security-opt", "no-new-privileges"];
const OBJECTS: &str = "
apiVersion: v1
kind: Service
metadata: {name: one, namespace: echo}
spec: {type: ExternalName, externalName: echo-one, ports: [{name: http, port: 8080}]}
---
apiVersion: v1
kind: Service
metadata: {name: two, namespace: echo}
spec: {type: ExternalName, externalName: echo-two, ports: [{name: http, port: 8080}]}
---
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {name: both, namespace: echo}
spec:
  ingressClassName: kong
  rules:
  - http:
      paths:
      - {path: /, pathType: Prefix, backend: {service: {name: one, port: {number: 8080}}}}
      - {path: /v2, pathType: Prefix, backend: {service: {name: two, port: {number: 8080}}}}
";

fn docker(arguments: &[&str]) -> Result<String, String> {
    let output = Command::new("docker").args(arguments).output().map_err(|error| error.to_string())?;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim().to_owned();
    if output.status.success() { Ok(text(&output.stdout)) } else { Err(text(&output.stderr)) }
}

/// A network and what is on it; all of it goes when this is dropped.
struct Network {
    name: String,
    containers: Vec<String>,
}

impl Network {
    fn new() -> Network {
        let name = format!("limen-test-{:08x}", fastrand::u32(..));
        docker(&["network", "create", &name]).unwrap();
        Network { name, containers: Vec::new() }
    }

    fn run(&mut self, alias: &str, settings: &[&str], image: &str, arguments: &[&str]) -> String {
        let name = format!("{}-{alias}", self.name);
        let mut all =
            vec!["run", "--detach", "--name", &name, "--network", &self.name, "--network-alias", alias];
        all.extend(CONFINED);
        all.extend(settings);
        all.push(image);
        all.extend(arguments);
        docker(&all).unwrap();
        self.containers.push(name.clone());
        name
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        for container in &self.containers {
            let _ = docker(&["rm", "--force", container]);
        }
        let _ = docker(&["network", "rm", &self.name]);
    }
}

#[tokio::test]
async fn the_images_serve_each_other_on_a_network() {
    let images = ["limen/gateway:0.1.0", "limen/echo-service:latest"];
    for image in images {
        if let Err(error) = docker(&["image", "inspect", image]) {
            eprintln!("skipped: image {image} can't be had; `.ci/images` makes it: {error}");
            return;
        }
        assert_eq!(
            docker(&["image", "inspect", "--format", "{{.Config.User}}", image]).unwrap(),
            "65532:65532"
        );
    }
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("objects.yaml"), OBJECTS).unwrap();
    // Temporary folders are their owner's alone, who the gateway is not.
    let open = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(folder.path(), open).unwrap();
    let mut network = Network::new();
    network.run("echo-one", &[], images[1], &["8080", "one"]);
    network.run("echo-two", &[], images[1], &["8080", "two"]);
    let mount = format!("{}:/objects:ro", folder.path().display());
    let settings = ["--publish", "127.0.0.1::8000", "--volume", &mount];
    let gateway =
        network.run("gateway", &settings, images[0], &["run", "--objects", "/objects", "--http", "8000"]);
    let published = docker(&["port", &gateway, "8000/tcp"]).unwrap();
    let to = published.lines().find_map(|line| line.parse().ok()).unwrap();
    let target = Target { to, from: None, tls: None, http2: false };
    for (path, words) in [("/", "one says OK"), ("/v2", "two says OK")] {
        let outgoing = Outgoing {
            method: "GET".to_owned(),
            path: path.to_owned(),
            host: "any.example".to_owned(),
            headers: Vec::new(),
            body: bytes::Bytes::new(),
        };
        let served = eventually(Duration::from_mins(1), Duration::from_millis(50), || async {
            let answer = once(&target, &outgoing, Duration::from_secs(5)).await?;
            let text = answer.text();
            if answer.status == 200 && text.contains(words) {
                Ok(())
            } else {
                Err(format!("{} {text}", answer.status))
            }
        });
        let logs = || docker(&["logs", &gateway]).unwrap_or_else(|error| error);
        served.await.unwrap_or_else(|missed| panic!("{missed}\n{}", logs()));
    }
}
