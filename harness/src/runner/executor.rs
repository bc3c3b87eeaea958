//! One scenario from start to end: its environment, its steps, the evidence if it fails, and the end of its
//! environment, however it went.

use std::collections::{HashMap, VecDeque};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use tokio_util::sync::CancellationToken;

use super::context::Context;
use super::dispatcher::Events;
use super::event::{Verdict, What};
use super::{Selected, Settings, steps};
use crate::environment::{Environment, Provider};
use crate::evidence;
use crate::scenario::Scenario;

/// How long an environment that is just being started may take to be up, so that it can be stopped.
const HALF_STARTED: Duration = Duration::from_secs(10);
/// How long gathering evidence may take.
const EVIDENCE: Duration = Duration::from_secs(20);

/// Runs a scenario in a task of its own: a fault of ours breaks this scenario only, and its environment is
/// stopped all the same.
pub(super) async fn guarded(
    provider: Arc<dyn Provider>,
    selected: Selected,
    settings: Settings,
    events: Events,
    stop: CancellationToken,
) -> Verdict {
    let name = selected.scenario.name.clone();
    let started = Instant::now();
    let verdict = if stop.is_cancelled() {
        Verdict::Interrupted
    } else {
        events.tell(What::ScenarioStarted { scenario: name.clone() });
        let work = whole(provider, selected.scenario, settings, events.clone(), stop);
        tokio::spawn(work).await.unwrap_or_else(|error| Verdict::Broken { why: panic_text(error) })
    };
    let took_ms = started.elapsed().as_millis() as u64;
    events.tell(What::ScenarioFinished { scenario: name, took_ms, verdict: verdict.clone() });
    verdict
}

fn panic_text(error: tokio::task::JoinError) -> String {
    match error.try_into_panic() {
        Ok(panic) => {
            let text = panic.downcast_ref::<String>().map(String::as_str);
            let text = text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("no message");
            format!("the harness failed: {text}; please report this")
        }
        Err(_) => "the harness failed: a task was cancelled; please report this".to_owned(),
    }
}

async fn whole(
    provider: Arc<dyn Provider>,
    scenario: Arc<Scenario>,
    settings: Settings,
    events: Events,
    stop: CancellationToken,
) -> Verdict {
    let mut abilities = provider.abilities();
    abilities.extend(settings.tools.abilities());
    let lacking: Vec<String> = scenario
        .requires
        .iter()
        .filter(|ability| !abilities.contains(ability))
        .map(|ability| ability.word())
        .collect();
    if !lacking.is_empty() {
        return Verdict::Unsupported { needs: lacking };
    }
    let folder = settings.folder.join(scenario.name.replace('/', "-"));
    if let Err(error) = std::fs::create_dir_all(&folder) {
        return Verdict::Unavailable {
            why: format!("failed to make the folder {}: {error}", folder.display()),
        };
    }
    let started = Instant::now();
    let mut starting = tokio::spawn({
        let folder = folder.clone();
        async move { provider.start(folder).await }
    });
    let environment = tokio::select! {
        environment = &mut starting => environment,
        () = stop.cancelled() => {
            // Stopped once it has started: what is given up half-way goes on writing into the folder.
            if let Ok(Ok(Ok(environment))) = tokio::time::timeout(HALF_STARTED, starting).await {
                environment.stop().await;
            }
            return Verdict::Interrupted;
        }
    };
    let environment = match environment {
        Ok(Ok(environment)) => environment,
        Ok(Err(error)) => return Verdict::Unavailable { why: error.0 },
        Err(error) => return Verdict::Broken { why: panic_text(error) },
    };
    let took_ms = started.elapsed().as_millis() as u64;
    let gateway = environment.gateway().http.to_string();
    events.tell(What::EnvironmentReady { scenario: scenario.name.clone(), took_ms, gateway });
    // Evidence and the end come after the steps even if these panic.
    let replies = Arc::new(Mutex::new(VecDeque::new()));
    let work = tokio::spawn(perform(
        Arc::clone(&environment),
        scenario,
        settings.clone(),
        events,
        stop,
        Arc::clone(&replies),
    ));
    let mut verdict = work.await.unwrap_or_else(|error| Verdict::Broken { why: panic_text(error) });
    if let Verdict::Failed { evidence } = &mut verdict {
        *evidence = gather(&*environment, &folder, &replies).await;
    }
    environment.stop().await;
    verdict
}

async fn perform(
    environment: Arc<dyn Environment>,
    scenario: Arc<Scenario>,
    settings: Settings,
    events: Events,
    stop: CancellationToken,
    last_replies: Arc<Mutex<VecDeque<String>>>,
) -> Verdict {
    let mut variables = scenario.variables.clone();
    variables.insert("run".to_owned(), format!("{:08x}", fastrand::u32(..)));
    let us = environment.client().unwrap_or(std::net::Ipv4Addr::LOCALHOST.into());
    variables.insert("us".to_owned(), us.to_string());
    let mut context = Context {
        environment,
        root: settings.root,
        tools: settings.tools,
        scenario: scenario.name.clone(),
        variables,
        replies: HashMap::new(),
        events,
        last_replies,
    };
    tokio::select! {
        result = steps::run(&mut context, &scenario.steps, "") => match result {
            Ok(()) => Verdict::Passed,
            Err(_) => Verdict::Failed { evidence: String::new() },
        },
        () = stop.cancelled() => Verdict::Interrupted,
    }
}

async fn gather(environment: &dyn Environment, folder: &Path, replies: &Mutex<VecDeque<String>>) -> String {
    let replies: Vec<String> = replies.lock().iter().cloned().collect();
    let gathered = tokio::time::timeout(EVIDENCE, evidence::gather(environment, folder, &replies)).await;
    match gathered {
        Ok(Ok(())) => folder.display().to_string(),
        Ok(Err(error)) => format!("{} (incomplete: {error})", folder.display()),
        Err(_) => format!("{} (incomplete: it took too long)", folder.display()),
    }
}
