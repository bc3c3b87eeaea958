//! A number out of the gateway's metrics: all samples of a name that have the labels, added up.

use indexmap::IndexMap;

/// Adds up the samples of an exposition; `None` when there is none.
pub fn sum(exposition: &str, name: &str, labels: &IndexMap<String, String>) -> Option<f64> {
    let matching = exposition.lines().filter_map(|line| sample(line, name, labels));
    matching.fold(None, |sum, value| Some(sum.unwrap_or(0.0) + value))
}

fn sample(line: &str, name: &str, labels: &IndexMap<String, String>) -> Option<f64> {
    let rest = line.strip_prefix(name)?;
    let (inside, value) = match rest.strip_prefix('{') {
        Some(rest) => rest.split_at(label_end(rest)?),
        None => ("", rest.strip_prefix(' ')?),
    };
    let has = |(label, wanted): (&String, &String)| {
        inside.split(&format!("{label}=\"")).skip(1).any(|rest| rest.split('"').next() == Some(wanted))
    };
    if !labels.iter().all(has) {
        return None;
    }
    value.trim_start_matches('}').split_whitespace().next()?.parse().ok()
}

/// Where the labels end: a brace outside of quotes.
fn label_end(text: &str) -> Option<usize> {
    let mut quoted = false;
    let mut escaped = false;
    text.char_indices().find_map(|(at, char)| {
        match char {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '"' => quoted = !quoted,
            '}' if !quoted => return Some(at),
            _ => {}
        }
        None
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_are_added_up_by_their_labels() {
        let text = "# HELP x\nx_total{route=\"a\",class=\"2xx\"} 3\nx_total{route=\"b}\",class=\"2xx\"} 4 171\nx_total_more 9\ny 2\n";
        let labels =
            |pairs: &[(&str, &str)]| pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        assert_eq!(sum(text, "x_total", &labels(&[("class", "2xx")])), Some(7.0));
        assert_eq!(sum(text, "x_total", &labels(&[("route", "b}")])), Some(4.0));
        assert_eq!(sum(text, "x_total", &labels(&[("route", "c")])), None);
        assert_eq!(sum(text, "y", &labels(&[])), Some(2.0));
    }
}
