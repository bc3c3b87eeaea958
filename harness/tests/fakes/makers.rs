//! kind and k3d: both make the same clusters.

use std::process::ExitCode;

use crate::keeper;
use crate::state::{State, Words, add, lines, recorded, refused};

pub(crate) async fn kind(state: &State, words: &Words) -> ExitCode {
    let name = words.flag("--name").unwrap_or_default().to_owned();
    let folder = state.cluster("kind", &name);
    if words.are("version") {
        return recorded("kind: version", "");
    }
    if words.are("create cluster") {
        if folder.exists() {
            return recorded("kind: name taken", &name);
        }
        for fault in ["kind: no privileged containers", "kind: no log line"] {
            if state.fault(fault) {
                // The node is retained.
                std::fs::create_dir_all(&folder).unwrap();
                return match fault {
                    "kind: no log line" => refused(
                        "ERROR: failed to create cluster: could not find a log line that matches \"Reached target .*Multi-User System.*|detected cgroup v1\"",
                    ),
                    recorded_too => recorded(recorded_too, &name),
                };
            }
        }
        let config = std::fs::read_to_string(words.flag("--config").unwrap()).unwrap();
        assert!(
            config.contains("apiVersion: kind.x-k8s.io/v1alpha4") && config.contains("hostPort: -1"),
            "{config}"
        );
        keeper::start(&folder).await;
        std::fs::copy(folder.join("kubeconfig"), words.flag("--kubeconfig").unwrap()).unwrap();
        eprintln!(
            "Creating cluster \"{name}\" ...\n ✓ Ensuring node image ({}) 🖼\n ✓ Preparing nodes 📦",
            words.flag("--image").unwrap()
        );
        // It waits for nodes in vain, and says 0.
        eprintln!(
            " • Waiting ≤ 3m0s for control-plane = Ready ⏳  ...\n ✗ Waiting ≤ 3m0s for control-plane = Ready ⏳\n • WARNING: Timed out waiting for Ready ⚠️"
        );
        return ExitCode::SUCCESS;
    }
    if words.are("load image-archive") {
        if !folder.exists() {
            return refused(&format!("ERROR: no nodes found for cluster \"{name}\""));
        }
        if state.fault("kind: node without containerd") {
            return recorded("kind: node without containerd", &name);
        }
        add(&folder.join("images"), &lines(words.0[2].as_ref()));
        return ExitCode::SUCCESS;
    }
    if words.are("export logs") {
        println!("{}", words.0[2]);
        return ExitCode::SUCCESS;
    }
    if words.are("delete cluster") {
        eprintln!("Deleting cluster \"{name}\" ...");
        if state.fault("kind: delete fails") {
            return refused(&format!(
                "ERROR: failed to delete cluster \"{name}\": error listing nodes: failed to list nodes"
            ));
        }
        keeper::end(&folder).await;
        return ExitCode::SUCCESS;
    }
    panic!("kind {:?}", words.0)
}

pub(crate) async fn k3d(state: &State, words: &Words) -> ExitCode {
    if words.are("version") {
        return recorded("k3d: version", "");
    }
    if words.are("cluster create") {
        let name = &words.0[2];
        if state.fault("k3d: rollback failed") {
            state.add("stray-network", &format!("k3d-{name}"));
            state.add("stray-volume", &format!("k3d-{name}-images"));
            return recorded("k3d: rollback failed", name);
        }
        if state.fault("k3d: no privileged containers") {
            return recorded("k3d: no privileged containers", name);
        }
        if state.fault("k3d: hangs") {
            println!("\u{1b}[36mINFO\u{1b}[0m[0001] Starting node 'k3d-{name}-server-0'");
            std::future::pending::<()>().await;
        }
        assert_eq!(words.flag("--timeout"), Some("300s"), "it would wait for ever");
        keeper::start(&state.cluster("k3d", name)).await;
        println!("\u{1b}[36mINFO\u{1b}[0m[0009] Cluster '{name}' created successfully!");
        return ExitCode::SUCCESS;
    }
    if words.are("kubeconfig get") {
        let text = lines(&state.cluster("k3d", words.last()).join("kubeconfig")).join("\n");
        println!("---\n{}", text.replace("https://127.0.0.1:", "https://0.0.0.0:"));
        return ExitCode::SUCCESS;
    }
    if words.are("image import") {
        let name = words.flag("--cluster").unwrap();
        assert_eq!(words.flag("--mode"), Some("direct"), "other ways hide failures");
        if state.fault("k3d: import into a dead server") {
            return recorded("k3d: import into a dead server", name);
        }
        if !state.fault("k3d: import is lost") {
            add(&state.cluster("k3d", name).join("images"), &lines(words.0[2].as_ref()));
        }
        println!("\u{1b}[36mINFO\u{1b}[0m[0002] Successfully imported image(s)");
        return ExitCode::SUCCESS;
    }
    if words.are("cluster delete") {
        if state.fault("k3d: delete without daemon") {
            return recorded("k3d: delete without daemon", words.last());
        }
        keeper::end(&state.cluster("k3d", words.last())).await;
        return ExitCode::SUCCESS;
    }
    panic!("k3d {:?}", words.0)
}
