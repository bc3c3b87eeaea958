//! The spans of the last traces, within bounds: when there are too many the oldest trace goes whole.

use std::collections::{BTreeSet, HashMap, HashSet, VecDeque};

use super::span::{Kind, Span};

/// Spans kept in all.
const MOST_SPANS: usize = 500_000;
/// Traces kept, and the most that one search may ask for.
pub(super) const MOST_TRACES: usize = 100_000;
/// Spans kept of one trace.
const MOST_OF_ONE: usize = 50_000;

#[derive(Debug)]
pub(super) struct Store {
    traces: HashMap<u128, Trace>,
    /// In the order in which their first spans came.
    order: VecDeque<u128>,
    spans: usize,
    most_spans: usize,
    lost: u64,
}

#[derive(Debug, Default)]
struct Trace {
    spans: Vec<Span>,
    /// To see at a glance that a span is new.
    ids: HashSet<u64>,
}

impl Default for Store {
    fn default() -> Store {
        Store { traces: HashMap::new(), order: VecDeque::new(), spans: 0, most_spans: MOST_SPANS, lost: 0 }
    }
}

impl Store {
    /// Takes spans; gives how many were refused because they belong to no trace.
    pub(super) fn add(&mut self, spans: Vec<Span>) -> usize {
        let mut refused = 0;
        for span in spans {
            if span.trace == 0 {
                refused += 1;
                continue;
            }
            let order = &mut self.order;
            let trace = self.traces.entry(span.trace).or_insert_with(|| {
                order.push_back(span.trace);
                Trace::default()
            });
            if trace.spans.len() >= MOST_OF_ONE {
                self.lost += 1;
                continue;
            }
            // What is sent again after a lost answer is the same span.
            if trace.ids.insert(span.id) || !trace.spans.contains(&span) {
                trace.spans.push(span);
                self.spans += 1;
            }
            while self.spans > self.most_spans || self.order.len() > MOST_TRACES {
                self.forget_oldest();
            }
        }
        refused
    }

    fn forget_oldest(&mut self) {
        let Some(oldest) = self.order.pop_front() else { return };
        let gone = self.traces.remove(&oldest).map_or(0, |trace| trace.spans.len());
        self.spans -= gone;
        self.lost += gone as u64;
    }

    /// Spans that had to go to keep within the bounds.
    pub(super) fn lost(&self) -> u64 {
        self.lost
    }

    pub(super) fn clear(&mut self) {
        *self = Store::default();
    }

    pub(super) fn trace(&self, id: u128) -> Option<&[Span]> {
        self.traces.get(&id).map(|trace| trace.spans.as_slice())
    }

    /// The newest first.
    pub(super) fn traces(&self) -> impl Iterator<Item = &[Span]> {
        self.order.iter().rev().filter_map(|id| self.trace(*id))
    }

    fn all(&self) -> impl Iterator<Item = &Span> {
        self.traces.values().flat_map(|trace| &trace.spans)
    }

    pub(super) fn services(&self) -> BTreeSet<&str> {
        self.all().map(|span| span.resource.service.as_str()).collect()
    }

    /// Names and kinds of a service's spans.
    pub(super) fn operations(&self, service: &str) -> BTreeSet<(&str, Kind)> {
        let spans = self.all().filter(|span| span.resource.service == service);
        spans.map(|span| (span.operation(), span.kind)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn span(trace: u128, id: u64) -> Span {
        Span { trace, id, ..Span::default() }
    }

    #[test]
    fn the_oldest_trace_goes_whole_and_is_counted() {
        let mut store = Store { most_spans: 3, ..Store::default() };
        store.add(vec![span(1, 1), span(1, 2), span(2, 1), span(2, 2)]);
        assert!(store.trace(1).is_none());
        assert_eq!(store.trace(2).unwrap().len(), 2);
        assert_eq!(store.lost(), 2);
    }

    #[test]
    fn the_same_span_is_kept_once_and_one_without_a_trace_is_refused() {
        let mut store = Store::default();
        assert_eq!(store.add(vec![span(1, 1), span(1, 1), span(0, 1)]), 1);
        assert_eq!(store.trace(1).unwrap().len(), 1);
    }

    #[test]
    fn the_newest_comes_first() {
        let mut store = Store::default();
        store.add(vec![span(1, 1), span(2, 1), span(1, 2)]);
        assert_eq!(store.traces().map(|spans| spans[0].trace).collect::<Vec<_>>(), [2, 1]);
    }
}
