//! How replies are shared among those that answered.

use std::collections::BTreeMap;

use super::check::Miss;
use super::response::Outcome;
use crate::http_client::Answer;
use crate::scenario::document::{ShareKey, Shares};

/// Judges how many of the replies came from whom.
pub fn judge_shares(wanted: &Shares, outcomes: &[Outcome]) -> Vec<Miss> {
    let mut found: BTreeMap<String, usize> = BTreeMap::new();
    for answer in outcomes.iter().filter_map(|outcome| outcome.as_ref().ok()) {
        *found.entry(who(answer, wanted.by).unwrap_or_else(|| "unknown".to_owned())).or_default() += 1;
    }
    let told: Vec<String> = found.iter().map(|(who, count)| format!("{count} × {who}")).collect();
    let told = told.join(", ");
    let total = outcomes.len().max(1) as f64;
    let share = |count: usize| count as f64 / total;
    let tolerance = wanted.tolerance.0 + 1e-9;
    let percent = |share: f64| format!("{:.0} %", share * 100.0);
    let mut misses = Vec::new();
    if let Some(among) = wanted.among {
        let equal = 1.0 / f64::from(among.max(1));
        let even = found.values().all(|count| (share(*count) - equal).abs() <= tolerance);
        if found.len() != among as usize || !even {
            misses.push(Miss {
                expected: format!(
                    "{} each from {among}, give or take {}",
                    percent(equal),
                    percent(tolerance)
                ),
                got: told.clone(),
            });
        }
    }
    for (name, wanted) in &wanted.of {
        let got = share(found.get(name).copied().unwrap_or(0));
        if (got - wanted.0).abs() > tolerance {
            misses.push(Miss {
                expected: format!("{} from {name}, give or take {}", percent(wanted.0), percent(tolerance)),
                got: told.clone(),
            });
        }
    }
    misses
}

/// Who answered, as the echo service tells it in either of its forms.
fn who(answer: &Answer, by: ShareKey) -> Option<String> {
    let record: Option<serde_json::Value> = serde_json::from_slice(&answer.body).ok();
    let said = |pointer: &str| Some(record.as_ref()?.pointer(pointer)?.as_str()?.to_owned());
    match by {
        // A pod is called so by its host name too, unless somebody changed that.
        ShareKey::Pod => said("/instance/pod_name").or_else(|| said("/instance/hostname")),
        ShareKey::Name => said("/instance/name").or_else(|| {
            let text = answer.text();
            let at = text.rfind(" says OK at ")?;
            text[..at].rsplit('\n').next().map(|name| name.trim().to_owned())
        }),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use bytes::Bytes;
    use proptest::prelude::*;

    use super::*;
    use crate::scenario::values::Share;

    fn answers(names: &[&str]) -> Vec<Outcome> {
        let answer = |name: &&str| {
            Ok(Answer {
                status: 200,
                version: "HTTP/1.1",
                headers: http::HeaderMap::new(),
                body: Bytes::from(format!("GET / HTTP/1.1\r\nHost: x\r\n\r\n{name} says OK at now\n")),
                took: Duration::ZERO,
            })
        };
        names.iter().map(answer).collect()
    }

    fn wanted(of: &[(&str, f64)], among: Option<u32>) -> Shares {
        let of = of.iter().map(|(name, share)| ((*name).to_owned(), Share(*share))).collect();
        Shares { by: ShareKey::Name, of, among, tolerance: Share(0.1) }
    }

    #[test]
    fn named_and_equal_shares() {
        let outcomes = answers(&["one", "one", "one", "two"]);
        assert!(judge_shares(&wanted(&[("one", 0.75), ("two", 0.25)], None), &outcomes).is_empty());
        let misses = judge_shares(&wanted(&[("one", 0.5)], None), &outcomes);
        assert_eq!(misses[0].got, "3 × one, 1 × two");
        assert_eq!(judge_shares(&wanted(&[], Some(2)), &outcomes).len(), 1);
        assert_eq!(judge_shares(&wanted(&[], Some(3)), &answers(&["one", "two"])).len(), 1);
    }

    proptest! {
        #[test]
        fn the_shares_that_came_are_always_right_and_far_ones_never(one in 0_usize..50, two in 1_usize..50) {
            let mut names = vec!["one"; one];
            names.extend(vec!["two"; two]);
            let share = one as f64 / (one + two) as f64;
            prop_assert!(judge_shares(&wanted(&[("one", share)], None), &answers(&names)).is_empty());
            let far = if share > 0.5 { share - 0.11 } else { share + 0.11 };
            prop_assert_eq!(judge_shares(&wanted(&[("one", far)], None), &answers(&names)).len(), 1);
        }
    }
}
