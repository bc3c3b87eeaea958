use std::fs;

use serde_json::json;

use super::*;
use crate::failure::Failure;
use crate::objects::Part;

struct Minter;

impl Credentials for Minter {
    fn token(&self, request: &TokenRequest) -> Result<Token, Failure> {
        let token = format!("token of {} for {:?}", request.service_account, request.audience);
        Ok(Token { token, renew_at: Timestamp::MAX })
    }
}

struct Pod {
    objects: Objects,
    object: Value,
    folder: tempfile::TempDir,
    volumes: Volumes,
}

impl Pod {
    fn new(volumes: Value) -> Pod {
        let objects = Objects::default();
        let map = json!({"metadata": {"namespace": "default", "name": "settings"}, "data": {"one": "1", "two": "2"}});
        objects.create(&kinds::config_maps(), map).unwrap();
        let container = json!({
            "name": "c",
            "volumeMounts": [
                {"name": "v", "mountPath": "/etc/v"},
                {"name": "v", "mountPath": "/etc/only", "subPath": "one"},
            ],
        });
        let pod = json!({
            "metadata": {"namespace": "default", "name": "p", "labels": {"app": "echo"}},
            "spec": {"containers": [container], "volumes": volumes, "serviceAccountName": "robot"},
        });
        let folder = tempfile::tempdir().unwrap();
        let volumes = Volumes::new(folder.path().to_owned(), Arc::new(Minter), "PEM".to_owned());
        Pod { objects, object: pod, folder, volumes }
    }

    fn spec(&self) -> PodSpec {
        serde_json::from_value(self.object["spec"].clone()).unwrap()
    }

    fn write(&self) -> Result<(), Missing> {
        self.volumes.write(&self.objects, &self.object, &self.spec())
    }

    fn read(&self, path: &str) -> String {
        fs::read_to_string(self.folder.path().join(path)).unwrap()
    }
}

#[test]
fn a_config_map_is_a_folder_that_follows_it() {
    let pod = Pod::new(json!([{"name": "v", "configMap": {"name": "settings"}}]));
    pod.write().unwrap();
    assert_eq!((pod.read("v/one"), pod.read("v/two")), ("1".to_owned(), "2".to_owned()));
    let change = |map: &mut Value| map["data"] = json!({"one": "new"});
    pod.objects.modify(&kinds::config_maps(), "default", "settings", Part::AllButStatus, change).unwrap();
    pod.write().unwrap();
    assert_eq!(pod.read("v/one"), "new");
    assert!(!pod.folder.path().join("v/two").exists());
}

#[test]
fn projections_stand_side_by_side() {
    let sources = json!([
        {"configMap": {"name": "settings", "items": [{"key": "two", "path": "sub/renamed"}]}},
        {"secret": {"name": "none", "optional": true}},
        {"downwardAPI": {"items": [{"path": "labels", "fieldRef": {"fieldPath": "metadata.labels"}}]}},
        {"serviceAccountToken": {"path": "token", "audience": "vault"}},
    ]);
    let pod = Pod::new(json!([{"name": "v", "projected": {"sources": sources}}]));
    pod.write().unwrap();
    assert_eq!(pod.read("v/sub/renamed"), "2");
    assert_eq!(pod.read("v/labels"), "app=\"echo\"");
    assert_eq!(pod.read("v/token"), "token of robot for Some(\"vault\")");
}

#[test]
fn the_service_account_is_there_unless_unwanted() {
    let mut pod = Pod::new(json!([]));
    pod.write().unwrap();
    let token = pod.volumes.account_token(&pod.objects, &pod.object).unwrap();
    assert_eq!(fs::read_to_string(token).unwrap(), "token of robot for None");
    pod.object["spec"]["automountServiceAccountToken"] = json!(false);
    assert_eq!(pod.volumes.account_token(&pod.objects, &pod.object), None);
}

#[test]
fn what_is_missing_or_unsupported_is_named() {
    let missing = |volume: Value| Pod::new(json!([volume])).write().unwrap_err().to_string();
    assert_eq!(
        missing(json!({"name": "v", "secret": {"secretName": "no"}})),
        "volume \"v\": secret \"no\" not found"
    );
    let claim = json!({"name": "v", "persistentVolumeClaim": {"claimName": "c"}});
    assert_eq!(missing(claim), "volume \"v\": volumes of this kind are not supported in this cluster");
    let outside =
        json!({"name": "v", "configMap": {"name": "settings", "items": [{"key": "one", "path": "../x"}]}});
    assert!(missing(outside).contains("leads out of the volume"));
}

#[test]
fn containers_find_volumes_at_their_paths() {
    let pod = Pod::new(json!([{"name": "v", "emptyDir": {}}]));
    pod.write().unwrap();
    let spec = pod.spec();
    let mounts = pod.volumes.mounts(&spec, &spec.containers[0], |_| None);
    let of = |path: &str| mounts.iter().find(|mount| mount.container_path == path).unwrap().path.clone();
    assert_eq!(of("/etc/v"), pod.folder.path().join("v"));
    assert_eq!(of("/etc/only"), pod.folder.path().join("v/one"));
    assert!(of("/etc/v").is_dir());
}
