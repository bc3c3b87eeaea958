//! The dashboard, on the gateways of the environment that is up.

use super::{Failed, print};
use crate::environment::up::Up;
use crate::project;
use crate::runner::{INTERNAL, PASSED, UNAVAILABLE};

pub(super) async fn watch() -> Result<u8, Failed> {
    let root = project::root().map_err(Failed::usage)?;
    let unavailable = |error: String| Failed::new(UNAVAILABLE, error);
    let up = Up::find(&project::target(&root)).map_err(unavailable)?;
    let environment = up.attach().await.map_err(unavailable)?;
    let ports = environment.admin_ports().await.map_err(unavailable)?;
    if ports.is_empty() {
        return Err(unavailable("no gateway pod is ready in the environment that is up".to_owned()));
    }
    let source = tui::Source::Admin(ports.into_iter().map(|port| port.url).collect());
    let ended = tui::run(source, tui::Options::of_environment())
        .await
        .map_err(|error| Failed::new(INTERNAL, format!("{error:#}")))?;
    if !ended.parting.is_empty() {
        print(&format!("{}\n", ended.parting));
    }
    Ok(match ended.by {
        tui::Ending::Signal(number) => 128 + number as u8,
        _ => PASSED,
    })
}
