//! Configurations that differ in everything a change can touch: targets, routes, plugins. Every answer shows which
//! one it was made by.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context;

/// The header lines by which answers show their configuration: each has one of them, never both.
pub(super) const MARKS: [&str; 2] = ["x-soak-even", "x-soak-odd"];
/// Routes that come and go.
const ROUTES: usize = 20;

/// The part of the configuration that changes.
pub(super) struct Swaps {
    file: PathBuf,
    /// Written beside it and then moved into its place, so that nobody reads half of it. The gateway passes over it.
    draft: PathBuf,
    second_upstream: u16,
    written: u64,
}

impl Swaps {
    /// Writes the first configuration into the folder.
    pub(super) fn new(folder: &Path, second_upstream: u16) -> anyhow::Result<Swaps> {
        let file = folder.join("swaps.yaml");
        let draft = folder.join("swaps.draft");
        let mut swaps = Swaps { file, draft, second_upstream, written: 0 };
        swaps.write()?;
        Ok(swaps)
    }

    /// How many configurations there were.
    pub(super) fn written(&self) -> u64 {
        self.written
    }

    /// Writes so many a second. Ends only by failing.
    pub(super) async fn run(&mut self, rate: f64) -> anyhow::Result<()> {
        let mut turns = tokio::time::interval(Duration::from_secs_f64(1.0 / rate));
        turns.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        turns.tick().await;
        loop {
            turns.tick().await;
            self.write()?;
        }
    }

    fn write(&mut self) -> anyhow::Result<()> {
        std::fs::write(&self.draft, objects(self.written, self.second_upstream))
            .and_then(|()| std::fs::rename(&self.draft, &self.file))
            .with_context(|| format!("failed to write {}", self.file.display()))?;
        self.written += 1;
        Ok(())
    }
}

fn objects(number: u64, second_upstream: u16) -> String {
    let mark = MARKS[usize::from(number % 2 == 1)];
    let mut text = format!(
        "apiVersion: configuration.konghq.com/v1
kind: KongClusterPlugin
metadata:
  name: mark
  labels: {{global: \"true\"}}
  annotations: {{kubernetes.io/ingress.class: kong}}
plugin: correlation-id
config: {{header_name: {mark}, generator: \"uuid#counter\", echo_downstream: true}}
---
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {{name: passing, namespace: default}}
spec:
  ingressClassName: kong
  rules:
  - http:
      paths:
"
    );
    for route in 0..ROUTES {
        let _ = writeln!(
            text,
            "      - {{path: /passing-{}/, pathType: Prefix, backend: {{service: {{name: upstream, port: {{number: 80}}}}}}}}",
            number as usize * ROUTES + route
        );
    }
    // A target that comes and goes.
    if !number.is_multiple_of(3) {
        let _ = write!(
            text,
            "---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {{name: upstream-2, namespace: default, labels: {{kubernetes.io/service-name: upstream}}}}
addressType: IPv4
ports: [{{name: http, port: {second_upstream}, protocol: TCP}}]
endpoints: [{{addresses: [127.0.0.1], conditions: {{ready: true}}}}]
"
        );
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_configuration_differs_from_the_one_before_and_marks_answers_once() {
        for number in 0..6 {
            let (one, next) = (objects(number, 1), objects(number + 1, 1));
            assert_ne!(one, next);
            assert_eq!(MARKS.iter().filter(|mark| one.contains(**mark)).count(), 1);
        }
    }
}
