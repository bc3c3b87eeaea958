//! Traces, and the graph of services that follows from them: whether what should be in them is.

use serde_json::Value;

use super::check::{Miss, judge, judge_text};
use crate::scenario::document::{LinkCheck, SpanCheck, TraceCheck};
use crate::scenario::values::Check;
use crate::tools::jaeger::{Link, Span, Trace};

/// Spans and links that are shown of a longer list.
const SHOWN: usize = 12;

/// Judges one trace.
pub fn judge_trace(check: &TraceCheck, trace: &Trace) -> Vec<Miss> {
    let mut misses = Vec::new();
    if let Some(services) = &check.services {
        let names: Value = trace.services().into_iter().collect();
        misses.extend(judge("the list of services", services, Some(&names)));
    }
    misses.extend(check.spans.0.iter().filter_map(|wanted| judge_span(wanted, trace)));
    if check.unbroken {
        misses.extend(judge_unbroken(check.caller.as_deref(), trace));
    }
    misses
}

/// Whether as many spans as wanted, at least one when nothing is said, are like this.
fn judge_span(wanted: &SpanCheck, trace: &Trace) -> Option<Miss> {
    let judged: Vec<(&Span, Vec<Miss>)> =
        trace.spans.iter().map(|span| (span, misfit(wanted, span, trace))).collect();
    let fitting = judged.iter().filter(|(_, misses)| misses.is_empty()).count();
    let like = described(wanted);
    match &wanted.count {
        Some(count) => {
            let what = format!("the number of spans whose {like}");
            let miss = judge(&what, count, Some(&fitting.into())).into_iter().next()?;
            Some(Miss { got: format!("{}, of {}", miss.got, shown(trace)), ..miss })
        }
        None if fitting > 0 => None,
        None => {
            let of_service = |span: &Span| {
                wanted
                    .service
                    .as_ref()
                    .is_none_or(|check| judge_text("", check, Some(&span.service)).is_empty())
            };
            let nearest = judged.iter().min_by_key(|(span, misses)| (misses.len(), !of_service(span)));
            let got = match nearest {
                Some((span, misses)) if misses.len() < parts(wanted) => {
                    let off: Vec<String> = misses
                        .iter()
                        .map(|miss| format!("{} was expected, got {}", miss.expected, miss.got))
                        .collect();
                    format!("the nearest is {}: {}", named(span), off.join("; "))
                }
                _ => shown(trace),
            };
            Some(Miss { expected: format!("a span whose {like}"), got })
        }
    }
}

/// In what a span is not as wanted.
fn misfit(wanted: &SpanCheck, span: &Span, trace: &Trace) -> Vec<Miss> {
    let mut misses = Vec::new();
    for (what, check, text) in own(wanted, Some(span)) {
        misses.extend(judge_text(what, check, text.filter(|text| !text.is_empty())));
    }
    for (name, check) in &wanted.tags {
        misses.extend(judge(&format!("tag {name}"), check, span.tags.get(name)));
    }
    if let Some(below) = &wanted.below {
        let above = || trace.ancestors(span).map(|span| span.service.as_str());
        if !above().any(|service| judge_text("", below, Some(service)).is_empty()) {
            let names: Value = above().collect();
            misses.extend(judge_text("a service above it", below, None).into_iter().map(|miss| Miss {
                got: if names.as_array().is_some_and(Vec::is_empty) {
                    "there is none".to_owned()
                } else {
                    names.to_string()
                },
                ..miss
            }));
        }
    }
    misses
}

/// The checks of a span's own texts, with those of a span.
fn own<'a>(
    wanted: &'a SpanCheck,
    span: Option<&'a Span>,
) -> impl Iterator<Item = (&'static str, &'a Check, Option<&'a str>)> {
    let checks = [
        ("service", &wanted.service, span.map(|span| span.service.as_str())),
        ("name", &wanted.name, span.map(|span| span.name.as_str())),
        ("kind", &wanted.kind, span.map(|span| span.kind.as_str())),
    ];
    checks.into_iter().filter_map(|(what, check, text)| Some((what, check.as_ref()?, text)))
}

fn parts(wanted: &SpanCheck) -> usize {
    own(wanted, None).count() + wanted.tags.len() + usize::from(wanted.below.is_some())
}

/// What is wanted of a span, in words.
fn described(wanted: &SpanCheck) -> String {
    let own = own(wanted, None).flat_map(|(what, check, _)| judge_text(what, check, None));
    let tags = wanted.tags.iter().flat_map(|(name, check)| judge(&format!("tag {name}"), check, None));
    let below = wanted.below.iter().flat_map(|check| judge_text("a service above it", check, None));
    let words: Vec<String> = own.chain(tags).chain(below).map(|miss| miss.expected).collect();
    words.join(" and ")
}

/// Every span hangs under another one, except for the one that began the trace; or, if the caller is known, for
/// those that hang under the caller's.
fn judge_unbroken(caller: Option<&str>, trace: &Trace) -> Option<Miss> {
    let tops: Vec<&Span> = trace.spans.iter().filter(|span| trace.parent(span).is_none()).collect();
    let is_callers = |span: &&&Span| {
        span.parent.as_deref().zip(caller).is_some_and(|(parent, caller)| parent.eq_ignore_ascii_case(caller))
    };
    let (expected, good) = if let Some(caller) = caller {
        let expected = format!("every span's parent is in the trace, or is the caller's span {caller}");
        (expected, tops.iter().all(|top| is_callers(&top)) && !tops.is_empty())
    } else {
        let expected = "every span's parent is in the trace, except for the first one, which has none";
        (expected.to_owned(), tops.len() == 1 && tops.iter().all(|top| top.parent.is_none()))
    };
    if good {
        return None;
    }
    let hanging = tops.iter().filter(|top| !is_callers(top)).take(SHOWN).map(|top| match &top.parent {
        Some(parent) => format!("{} hangs under {parent}, which is not there", named(top)),
        None => format!("{} has no parent", named(top)),
    });
    let hanging: Vec<String> = hanging.collect();
    Some(Miss { expected, got: if hanging.is_empty() { shown(trace) } else { hanging.join("; ") } })
}

fn named(span: &Span) -> String {
    let kind = if span.kind.is_empty() { "internal" } else { &span.kind };
    format!("`{}` of {} ({kind})", span.name, span.service)
}

/// A trace in words.
fn shown(trace: &Trace) -> String {
    let spans: Vec<String> = trace.spans.iter().take(SHOWN).map(named).collect();
    let more = trace.spans.len().saturating_sub(SHOWN);
    match (spans.len(), more) {
        (0, _) => "no spans".to_owned(),
        (_, 0) => format!("{} spans: {}", trace.spans.len(), spans.join(", ")),
        _ => format!("{} spans: {}, and {more} more", trace.spans.len(), spans.join(", ")),
    }
}

/// Judges the calls between services.
pub fn judge_links(wanted: &[LinkCheck], links: &[Link]) -> Vec<Miss> {
    wanted.iter().filter_map(|wanted| judge_link(wanted, links)).collect()
}

fn judge_link(wanted: &LinkCheck, links: &[Link]) -> Option<Miss> {
    let fits = |link: &&Link| {
        judge_text("", &wanted.parent, Some(&link.parent)).is_empty()
            && judge_text("", &wanted.child, Some(&link.child)).is_empty()
    };
    let calls: u64 = links.iter().filter(fits).map(|link| link.calls).sum();
    let words = |what: &str, check: &Check| {
        let said = judge_text(what, check, None);
        said.first().map_or_else(|| what.to_owned(), |miss| miss.expected.clone())
    };
    let what = format!(
        "the number of calls where {} and {}",
        words("the caller", &wanted.parent),
        words("the called", &wanted.child)
    );
    let miss = match &wanted.calls {
        Some(check) => judge(&what, check, Some(&calls.into())).into_iter().next()?,
        None if calls > 0 => return None,
        None => Miss { expected: format!("{what} is at least 1"), got: "0".to_owned() },
    };
    let all: Vec<String> = links
        .iter()
        .take(SHOWN)
        .map(|link| format!("{} → {} ({})", link.parent, link.child, link.calls))
        .collect();
    let all = if all.is_empty() { "no service calls another".to_owned() } else { all.join(", ") };
    Some(Miss { got: format!("{}; {all}", miss.got), ..miss })
}

#[cfg(test)]
mod tests;
