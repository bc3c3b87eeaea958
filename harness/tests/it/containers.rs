//! Our images, as `.ci/images` makes them, on a network of Docker's: a gateway with objects from a folder, two echoes, and a
//! client. Each runs as a pod would: without rights, with nothing it could write to. Skipped with a word where there is no
//! Docker, or no images.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use harness::expect::eventually::eventually;
use harness::http_client::{Outgoing, Target, once};
use testcontainers::core::{IntoContainerPort, Mount};
use testcontainers::runners::AsyncRunner;
use testcontainers::{ContainerAsync, GenericImage, ImageExt};

const OBJECTS: &str = "
apiVersion: v1
kind: Service
metadata: {name: one, namespace: echo}
spec: {type: ExternalName, externalName: NETWORK-one, ports: [{name: http, port: 8080}]}
---
apiVersion: v1
kind: Service
metadata: {name: two, namespace: echo}
spec: {type: ExternalName, externalName: NETWORK-two, ports: [{name: http, port: 8080}]}
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

/// A container on a network, confined as a pod's would be.
async fn run(
    image: GenericImage,
    network: &str,
    name: &str,
    arguments: &[&str],
    objects: Option<&Path>,
) -> ContainerAsync<GenericImage> {
    let mut container = image
        .with_network(network)
        .with_container_name(format!("{network}-{name}"))
        .with_hostname(name)
        .with_cmd(arguments.iter().copied())
        .with_readonly_rootfs(true)
        .with_cap_drop("ALL")
        .with_security_opt("no-new-privileges");
    if let Some(objects) = objects {
        container = container.with_mount(Mount::bind_mount(objects.display().to_string(), "/objects"));
    }
    container.start().await.unwrap()
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
    // Temporary folders are their owner's alone, who the gateway is not.
    let open = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(folder.path(), open).unwrap();
    let network = format!("limen-test-{:08x}", fastrand::u32(..));
    let image = |name: &str| {
        let (name, tag) = name.split_once(':').unwrap();
        GenericImage::new(name, tag)
    };
    let objects = OBJECTS.replace("NETWORK", &network);
    std::fs::write(folder.path().join("objects.yaml"), objects).unwrap();
    let one = run(image(images[1]), &network, "one", &["8080", "one"], None).await;
    let two = run(image(images[1]), &network, "two", &["8080", "two"], None).await;
    let gateway = image(images[0]).with_exposed_port(8000.tcp());
    let arguments = ["run", "--objects", "/objects", "--http", "8000"];
    let gateway = run(gateway, &network, "gateway", &arguments, Some(folder.path())).await;
    let port = gateway.get_host_port_ipv4(8000.tcp()).await.unwrap();
    let to = (std::net::Ipv4Addr::LOCALHOST, port).into();
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
        let logs = || docker(&["logs", gateway.id()]).unwrap_or_else(|error| error);
        served.await.unwrap_or_else(|missed| panic!("{missed}\n{}", logs()));
    }
    for container in [gateway, one, two] {
        container.rm().await.unwrap();
    }
}
