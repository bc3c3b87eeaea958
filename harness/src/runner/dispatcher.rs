//! Puts what happens into one order and hands it to every report.

use std::sync::Arc;
use std::time::Instant;

use parking_lot::Mutex;

use super::event::{Event, What};
use crate::report::Report;

/// Where events go. Cheap to clone.
#[derive(Clone)]
pub struct Events {
    inner: Arc<Mutex<Reports>>,
    started: Instant,
}

struct Reports {
    all: Vec<Box<dyn Report>>,
    /// What reports could not write; told once, at the end.
    failures: Vec<String>,
}

impl Events {
    pub fn new(reports: Vec<Box<dyn Report>>) -> Events {
        let reports = Reports { all: reports, failures: Vec::new() };
        Events { inner: Arc::new(Mutex::new(reports)), started: Instant::now() }
    }

    /// Tells all reports, in the order in which this is called.
    pub fn tell(&self, what: What) {
        let event = Event { at_ms: self.elapsed_ms(), what };
        let mut reports = self.inner.lock();
        let Reports { all, failures } = &mut *reports;
        for report in all {
            if let Err(error) = report.event(&event)
                && !failures.contains(&error)
            {
                failures.push(error);
            }
        }
    }

    pub fn elapsed_ms(&self) -> u64 {
        self.started.elapsed().as_millis() as u64
    }

    /// Lets reports write what they keep for the end, and gives what could not be written.
    pub fn finish(&self) -> Vec<String> {
        let mut reports = self.inner.lock();
        let Reports { all, failures } = &mut *reports;
        for report in all {
            if let Err(error) = report.finish() {
                failures.push(error);
            }
        }
        std::mem::take(failures)
    }
}
