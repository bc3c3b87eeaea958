//! The spans of one trace in the order of its calls, and what is odd about them.

use std::collections::HashMap;

use super::go_text;
use super::span::Span;

/// A span in its place, with what somebody who looks at it should know.
pub(super) struct Placed<'a> {
    pub(super) span: &'a Span,
    pub(super) warnings: Vec<String>,
}

/// Every span after the one that called it; those with the same caller in the order in which they came. (Jaeger has
/// them in the order in which they came, whoever called: a caller often comes last.)
pub(super) fn in_call_order(spans: &[Span]) -> Vec<Placed<'_>> {
    let by_id: HashMap<u64, &Span> = spans.iter().map(|span| (span.id, span)).collect();
    let caller =
        |span: &Span| by_id.get(&span.parent).copied().filter(|_| span.parent != 0 && span.parent != span.id);
    let mut callees: HashMap<u64, Vec<&Span>> = HashMap::new();
    let mut roots = Vec::new();
    for span in spans {
        match caller(span) {
            Some(caller) => callees.entry(caller.id).or_default().push(span),
            None => roots.push(span),
        }
    }
    // The next to be placed is taken from the end.
    roots.reverse();
    let mut placed = Vec::new();
    let mut next = roots;
    while let Some(span) = next.pop() {
        placed.push(Placed { span, warnings: warnings(span, caller(span)) });
        // Taken out, so that spans that share an id don't have their callees twice.
        let own = callees.remove(&span.id).unwrap_or_default();
        next.extend(own.into_iter().rev());
    }
    // Spans that call each other in a circle have no root.
    let mut left: Vec<&Span> = callees.into_values().flatten().collect();
    left.sort_by_key(|span| span.id);
    placed.extend(left.into_iter().map(|span| Placed { span, warnings: warnings(span, caller(span)) }));
    placed
}

fn warnings(span: &Span, caller: Option<&Span>) -> Vec<String> {
    let mut warnings = Vec::new();
    if span.end <= span.start {
        warnings.push(format!(
            "Negative duration detected, sanitizing end timestamp. Original end timestamp: {}, adjusted to: {}",
            go_text::time(span.end),
            go_text::time(span.start + 1)
        ));
    }
    match caller {
        Some(caller) => {
            let skew = skew(span, caller);
            if skew != 0 {
                let skew = go_text::duration(skew);
                warnings
                    .push(format!("clock skew adjustment disabled; not applying calculated delta of {skew}"));
            }
        }
        None if span.parent != 0 => warnings.push(format!(
            "parent span ID={:016x} is not in the trace; skipping clock skew adjustment",
            span.parent
        )),
        None => {}
    }
    warnings
}

/// By how much the clocks of the two seem to differ: what would bring the span into the middle of its caller.
fn skew(span: &Span, caller: &Span) -> i128 {
    let (start, length) = (i128::from(span.start), i128::from(span.duration()));
    let (caller_start, caller_length) = (i128::from(caller.start), i128::from(caller.duration()));
    if length > caller_length {
        return if start < caller_start { caller_start - start } else { 0 };
    }
    if start >= caller_start && start + length <= caller_start + caller_length {
        return 0;
    }
    caller_start + (caller_length - length) / 2 - start
}

#[cfg(test)]
mod tests {
    use super::*;

    fn span(id: u64, parent: u64, start: u64, end: u64) -> Span {
        Span { trace: 1, id, parent, start, end, ..Span::default() }
    }

    #[test]
    fn callers_come_before_callees() {
        let spans = [
            span(4, 3, 15, 16),
            span(3, 1, 12, 18),
            span(1, 0, 10, 20),
            span(2, 1, 11, 12),
            span(9, 8, 5, 6),
        ];
        let order: Vec<_> = in_call_order(&spans).iter().map(|placed| placed.span.id).collect();
        assert_eq!(order, [1, 3, 4, 2, 9]);
    }

    #[test]
    fn a_circle_loses_nobody() {
        let spans = [span(1, 2, 1, 2), span(2, 1, 1, 2), span(3, 3, 0, 1)];
        assert_eq!(in_call_order(&spans).len(), 3);
    }

    #[test]
    fn oddities_are_told() {
        let spans = [span(1, 0, 10_000, 14_000), span(2, 1, 1_000, 3_000), span(3, 7, 1, 1)];
        let warnings: Vec<_> = in_call_order(&spans).into_iter().flat_map(|placed| placed.warnings).collect();
        assert_eq!(warnings.len(), 3, "{warnings:?}");
        assert_eq!(warnings[0], "clock skew adjustment disabled; not applying calculated delta of 10µs");
        assert!(warnings[1].starts_with("Negative duration"), "{warnings:?}");
        assert!(
            warnings[2].starts_with("parent span ID=0000000000000007 is not in the trace"),
            "{warnings:?}"
        );
    }
}
