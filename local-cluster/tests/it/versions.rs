//! A write that names a version is taken if that is the version there is.

use k8s_openapi::api::core::v1::ConfigMap;
use kube::api::PostParams;
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Api, Client, Config};
use local_cluster::{LocalCluster, Options};

#[tokio::test]
async fn the_version_read_may_be_replaced_and_an_older_one_not() {
    let cluster = LocalCluster::start(Options::default()).await.unwrap();
    let file = Kubeconfig::from_yaml(&cluster.kubeconfig()).unwrap();
    let config = Config::from_custom_kubeconfig(file, &KubeConfigOptions::default()).await.unwrap();
    let maps: Api<ConfigMap> = Api::namespaced(Client::try_from(config).unwrap(), "default");
    let named = |name: &str| ConfigMap {
        metadata: kube::core::ObjectMeta { name: Some(name.to_owned()), ..Default::default() },
        ..Default::default()
    };
    let first = maps.create(&PostParams::default(), &named("m")).await.unwrap();
    let mut second = first.clone();
    second.data = Some([("a".to_owned(), "b".to_owned())].into());
    maps.replace("m", &PostParams::default(), &second).await.unwrap();
    let stale = maps.replace("m", &PostParams::default(), &second).await.unwrap_err();
    assert!(matches!(stale, kube::Error::Api(status) if status.is_conflict()));
    cluster.stop().await;
}
