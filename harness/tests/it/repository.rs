//! What lies in the repository is fit for use: scenarios, manifests, and the reference made from the types.

use std::path::{Path, PathBuf};

use harness::manifest;
use harness::scenario::{schema, select};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

#[test]
fn every_scenario_file_is_fine() {
    let files = select::files(&root()).unwrap();
    assert!(!files.is_empty());
    let faulty: Vec<String> = files
        .iter()
        .filter_map(|file| select::read(&root(), file).err())
        .map(|faulty| faulty.render(false))
        .collect();
    assert!(faulty.is_empty(), "{}", faulty.join("\n"));
}

#[test]
fn every_manifest_is_readable() {
    for folder in ["article", "bin", "crds", "gateway", "mesh"] {
        let objects = manifest::read(&root().join("manifests").join(folder)).unwrap();
        assert!(!objects.is_empty(), "{folder}");
    }
}

#[test]
fn custom_resources_are_called_as_in_kong() {
    let crds = manifest::read(&root().join("manifests/crds")).unwrap();
    for (plural, kind, version, scope, short) in [
        ("kongplugins", "KongPlugin", "v1", "Namespaced", Some("kp")),
        ("kongclusterplugins", "KongClusterPlugin", "v1", "Cluster", Some("kcp")),
        ("kongconsumers", "KongConsumer", "v1", "Namespaced", Some("kc")),
        ("kongupstreampolicies", "KongUpstreamPolicy", "v1beta1", "Namespaced", Some("kup")),
        ("ingressclassparameterses", "IngressClassParameters", "v1alpha1", "Namespaced", None),
    ] {
        let name = format!("{plural}.configuration.konghq.com");
        let crd = crds.iter().find(|crd| crd.name().name == name).unwrap_or_else(|| panic!("no {name}"));
        let spec = &crd.value()["spec"];
        assert_eq!(spec["group"], "configuration.konghq.com");
        assert_eq!((&spec["names"]["kind"], &spec["names"]["plural"]), (&kind.into(), &plural.into()));
        assert_eq!((&spec["versions"][0]["name"], &spec["scope"]), (&version.into(), &scope.into()));
        assert_eq!(spec["names"]["shortNames"][0].as_str(), short);
        assert_eq!(spec["names"]["categories"][0], "kong-ingress-controller");
    }
}

/// `UPDATE=1 cargo test -p harness reference` writes it anew.
#[test]
fn the_reference_in_the_readme_is_that_of_the_types() {
    let file = root().join("scenarios/README.md");
    let text = std::fs::read_to_string(&file).unwrap();
    let marker = "<!-- made from harness/src/scenario/document.rs -->\n\n";
    let (before, after) = text.split_once(marker).unwrap();
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(&file, format!("{before}{marker}{}", schema::reference())).unwrap();
        return;
    }
    assert!(after == schema::reference(), "scenarios/README.md is out of date; write it anew with UPDATE=1");
}
