//! A control plane between an in-memory API server and a recording data plane.

use std::sync::Arc;
use std::time::Duration;

use gateway::controller::{Controller, ControllerSettings, Election, LeasePace};
use gateway::source::kubernetes::{self, Pace, WatchSettings};
use gateway::translate::Checks;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::api::Api;
use super::checks::checks;
use super::recorder::Recorder;
use crate::translate::settings as translate_settings;

/// Runs until dropped.
pub(crate) struct ControlPlane {
    pub(crate) recorder: Recorder,
    /// Has it leave writing to others.
    pub(crate) retire: CancellationToken,
    stop: CancellationToken,
    tasks: JoinSet<()>,
}

pub(crate) fn settings() -> ControllerSettings {
    ControllerSettings {
        translate: translate_settings(),
        publish_addresses: Vec::new(),
        publish_service: Some(("kong-istio".to_owned(), "proxy".to_owned())),
        update_status: true,
        emit_events: true,
        pod: None,
        election: None,
    }
}

pub(crate) fn election(identity: &str) -> Election {
    Election {
        namespace: "kong-istio".to_owned(),
        name: "5b374a9e.konghq.com".to_owned(),
        identity: identity.to_owned(),
        pace: LeasePace {
            duration: Duration::from_secs(2),
            give_up: Duration::from_secs(1),
            look: Duration::from_millis(100),
        },
    }
}

/// Like the real ones, with shorter pauses.
pub(crate) fn watch_settings() -> WatchSettings {
    let (first, longest) = (Duration::from_millis(20), Duration::from_millis(100));
    WatchSettings {
        pace: Pace { first, longest, missing: first, settled: longest },
        ..WatchSettings::default()
    }
}

impl ControlPlane {
    pub(crate) fn start(api: &Api) -> ControlPlane {
        ControlPlane::start_with(api, settings(), watch_settings())
    }

    pub(crate) fn start_with(api: &Api, settings: ControllerSettings, watch: WatchSettings) -> ControlPlane {
        ControlPlane::start_on(api.client(), settings, watch)
    }

    pub(crate) fn start_on(
        client: kube::Client,
        settings: ControllerSettings,
        watch: WatchSettings,
    ) -> ControlPlane {
        ControlPlane::start_judging(client, settings, watch, checks())
    }

    /// With another judgement of settings than [`checks`].
    pub(crate) fn start_judging(
        client: kube::Client,
        settings: ControllerSettings,
        watch: WatchSettings,
        checks: Checks,
    ) -> ControlPlane {
        let recorder = Recorder::new();
        let stop = CancellationToken::new();
        let (source, feed) = kubernetes::open(client.clone(), watch);
        let publish = Arc::new(recorder.clone());
        let retire = CancellationToken::new();
        let controller =
            Controller { settings, checks, publish, client: Some(client), retire: retire.clone() };
        let mut tasks = JoinSet::new();
        tasks.spawn(source.run(stop.clone()));
        tasks.spawn(controller.run(feed, stop.clone()));
        ControlPlane { recorder, retire, stop, tasks }
    }

    /// Ends it in order.
    pub(crate) async fn stop(mut self) {
        self.stop.cancel();
        while let Some(ended) = self.tasks.join_next().await {
            ended.unwrap();
        }
    }
}
