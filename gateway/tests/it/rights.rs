//! The rights in the install manifests are those the gateway uses: none is missing, none is left over.

use std::collections::BTreeSet;
use std::path::Path;

use gateway::objects::{Kind, yaml};

#[test]
fn the_cluster_role_reads_exactly_the_kinds_that_are_watched() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../manifests/gateway/rbac.yaml");
    let text = std::fs::read_to_string(path).unwrap();
    let documents = yaml::documents(&text).unwrap();
    let role = &documents.iter().find(|document| document.value["kind"] == "ClusterRole").unwrap().value;
    let mut may_watch = BTreeSet::new();
    for rule in role["rules"].as_array().unwrap() {
        let verbs: Vec<&str> =
            rule["verbs"].as_array().unwrap().iter().filter_map(|verb| verb.as_str()).collect();
        assert!(!verbs.contains(&"*"), "{rule}");
        if verbs != ["get", "list", "watch"] {
            continue;
        }
        for resource in rule["resources"].as_array().unwrap() {
            let group = rule["apiGroups"][0].as_str().unwrap().to_owned();
            may_watch.insert((group, resource.as_str().unwrap().to_owned()));
        }
    }
    let watches: BTreeSet<_> =
        Kind::ALL.iter().map(|kind| (kind.group().to_owned(), kind.plural().to_owned())).collect();
    assert_eq!(may_watch, watches);
}
