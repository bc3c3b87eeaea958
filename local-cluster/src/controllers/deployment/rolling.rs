//! How pods go from one template to the next, and how a change of size is shared among templates.

use std::sync::Arc;

use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use serde_json::Value;

use super::{Rollout, number, replicas_of, revision};
use crate::failure::Failure;
use crate::kinds::{self, namespace};
use crate::objects::Object;

use super::super::ownership::controller_of;
use super::super::pod_control::has_ended;

impl Rollout<'_> {
    /// How many pods there may be beyond the wanted ones.
    pub(super) fn surge(&self) -> i32 {
        if self.recreates() { 0 } else { self.limits().0 }
    }

    /// How many pods may be missing from the wanted ones.
    pub(super) fn missing(&self) -> i32 {
        if self.recreates() { 0 } else { self.limits().1.min(self.wanted()) }
    }

    /// Surge is rounded up, missing is rounded down; both zero would never get anywhere, so one may then be missing.
    fn limits(&self) -> (i32, i32) {
        let rolling = self.spec.strategy.as_ref().and_then(|strategy| strategy.rolling_update.as_ref());
        let quarter = IntOrString::String("25%".to_owned());
        let surge = rolling.and_then(|rolling| rolling.max_surge.as_ref()).unwrap_or(&quarter);
        let missing = rolling.and_then(|rolling| rolling.max_unavailable.as_ref()).unwrap_or(&quarter);
        let surge = share(surge, self.wanted(), true);
        let missing = share(missing, self.wanted(), false);
        if surge == 0 && missing == 0 { (0, 1) } else { (surge, missing) }
    }

    /// The size of a ReplicaSet that is made now.
    pub(super) fn first_size(&self) -> i32 {
        if self.recreates() { self.wanted() } else { self.grown(0) }
    }

    /// The size to which the newest ReplicaSet may grow from `size`, with all the others as they are.
    fn grown(&self, size: i32) -> i32 {
        let all: i32 = self.sets.iter().map(|set| replicas_of(set)).sum();
        let room = (self.wanted() + self.surge() - all).max(0);
        size + room.min((self.wanted() - size).max(0))
    }

    pub(super) fn roll(&mut self) -> Result<(), Failure> {
        let newest = self.ensure_newest()?;
        let size = replicas_of(&newest);
        let target = if size > self.wanted() { self.wanted() } else { self.grown(size) };
        self.resize(&newest, target)?;
        if target != size {
            // The old ones are looked at when the new pods have come.
            return Ok(());
        }
        self.shrink_old(&newest)
    }

    fn shrink_old(&self, newest: &Value) -> Result<(), Failure> {
        let mut old: Vec<Object> = self.old().filter(|set| replicas_of(set) > 0).cloned().collect();
        let all: i32 = self.sets.iter().map(|set| replicas_of(set)).sum();
        let least = self.wanted() - self.missing();
        let newest_missing = replicas_of(newest) - number(newest, "/status/availableReplicas", 0);
        let mut room = all - least - newest_missing.max(0);
        if room <= 0 {
            return Ok(());
        }
        // First those that serve nobody …
        for set in &mut old {
            let size = replicas_of(set);
            let dead = (size - number(set, "/status/availableReplicas", 0)).clamp(0, room);
            if dead > 0 {
                self.resize(set, size - dead)?;
                room -= dead;
                Arc::make_mut(set)["spec"]["replicas"] = (size - dead).into();
            }
        }
        // … then as many of the others as are not needed any more.
        let available: i32 = self.sets.iter().map(|set| number(set, "/status/availableReplicas", 0)).sum();
        let mut spare = (available - least).min(room);
        for set in &old {
            let size = replicas_of(set);
            let less = size.min(spare);
            if less <= 0 {
                continue;
            }
            self.resize(set, size - less)?;
            spare -= less;
        }
        Ok(())
    }

    pub(super) fn recreate(&mut self) -> Result<(), Failure> {
        let running: Vec<Object> = self.old().filter(|set| replicas_of(set) > 0).cloned().collect();
        for set in &running {
            self.resize(set, 0)?;
        }
        if !running.is_empty() || self.old_pods_remain() {
            return Ok(());
        }
        let newest = self.ensure_newest()?;
        self.resize(&newest, self.wanted())
    }

    fn old_pods_remain(&self) -> bool {
        let old: Vec<&str> = self.old().map(|set| kinds::uid(set)).collect();
        self.objects.list(&kinds::pods(), Some(namespace(&self.deployment))).iter().any(|pod| {
            let owner = controller_of(pod).map(|owner| kinds::text(owner, "/uid"));
            owner.is_some_and(|owner| old.contains(&owner)) && !has_ended(pod)
        })
    }

    /// Whether the Deployment's size has changed since its ReplicaSets were last sized.
    pub(super) fn is_resized(&self) -> bool {
        self.sets.iter().filter(|set| replicas_of(set) > 0).any(|set| {
            let noted = set["metadata"]["annotations"][revision::DESIRED].as_str();
            noted.and_then(|noted| noted.parse::<i32>().ok()).is_some_and(|noted| noted != self.wanted())
        })
    }

    /// Shares a new size among the ReplicaSets that have pods, each in proportion to its present size, so that a
    /// rollout under way (or paused) keeps its place.
    pub(super) fn scale_in_proportion(&self) -> Result<(), Failure> {
        let active: Vec<&Object> = self.sets.iter().filter(|set| replicas_of(set) > 0).collect();
        let newest = self.newest();
        if let [only] = active[..] {
            return self.resize(only, self.wanted());
        }
        if active.is_empty() {
            return newest.or(self.sets.last()).map_or(Ok(()), |set| self.resize(set, self.wanted()));
        }
        let saturated = newest.is_some_and(|set| {
            let annotated = set["metadata"]["annotations"][revision::DESIRED].as_str();
            let desired = annotated.and_then(|text| text.parse().ok()).unwrap_or(0);
            replicas_of(set) == desired && number(set, "/status/availableReplicas", 0) == desired
        });
        if saturated {
            for set in self.old().filter(|set| replicas_of(set) > 0) {
                self.resize(set, 0)?;
            }
            return newest.map_or(Ok(()), |set| self.resize(set, self.wanted()));
        }
        if self.recreates() {
            return Ok(());
        }
        let sizes: Vec<i32> = active.iter().map(|set| replicas_of(set)).collect();
        let all: i32 = sizes.iter().sum();
        let most = if self.wanted() > 0 { self.wanted() + self.surge() } else { 0 };
        let mut left = most - all;
        let mut shared: Vec<(i32, &Object)> = Vec::new();
        for (size, set) in sizes.iter().zip(&active) {
            let part = (f64::from(most - all) * f64::from(*size) / f64::from(all)).round() as i32;
            let part = if left >= 0 { part.clamp(0, left) } else { part.clamp(left, 0) };
            left -= part;
            shared.push((size + part, set));
        }
        // What rounding left goes to the newest.
        if let Some((size, _)) = shared.last_mut() {
            *size = (*size + left).max(0);
        }
        for (size, set) in shared {
            self.resize(set, size)?;
        }
        Ok(())
    }
}

/// A number, or a percentage of `total`.
fn share(value: &IntOrString, total: i32, up: bool) -> i32 {
    match value {
        IntOrString::Int(number) => (*number).max(0),
        IntOrString::String(text) => {
            let percent: f64 = text.trim_end_matches('%').parse().unwrap_or(0.0);
            let exact = percent * f64::from(total) / 100.0;
            (if up { exact.ceil() } else { exact.floor() }).max(0.0) as i32
        }
    }
}
