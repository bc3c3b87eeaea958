//! `${name}` in the texts of a step: what it stands for is known when the step runs.

use indexmap::IndexMap;

use super::node::Node;

/// Variables that are always there: `run`, an id of this run of the scenario, and `us`, the address at which the gateway
/// sees our requests.
pub const BUILT_IN: [&str; 2] = ["run", "us"];

/// The names used in a text, in order.
pub fn names(text: &str) -> impl Iterator<Item = &str> {
    text.match_indices("${").filter_map(|(at, _)| {
        let rest = &text[at + 2..];
        rest.find('}').map(|end| &rest[..end]).filter(|name| is_name(name))
    })
}

fn is_name(text: &str) -> bool {
    !text.is_empty() && text.chars().all(|char| char.is_ascii_alphanumeric() || char == '_' || char == '-')
}

/// Whether any text of a node uses a variable.
pub fn used(node: &Node) -> bool {
    let mut used = false;
    node.texts(&mut |text, _| used |= names(text).next().is_some());
    used
}

/// The text with every known variable replaced; what is unknown stays.
pub fn expand(text: &str, variables: &IndexMap<String, String>) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find("${") {
        out.push_str(&rest[..at]);
        let after = &rest[at + 2..];
        let value = after.find('}').and_then(|end| Some((end, variables.get(&after[..end])?)));
        if let Some((end, value)) = value {
            out.push_str(value);
            rest = &after[end + 1..];
        } else {
            out.push_str("${");
            rest = after;
        }
    }
    out.push_str(rest);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_names_are_replaced_once_and_others_stay() {
        let variables: IndexMap<String, String> =
            [("a", "1"), ("b-c", "${a}")].map(|(name, value)| (name.to_owned(), value.to_owned())).into();
        assert_eq!(expand("x${a}y${b-c}${d}${", &variables), "x1y${a}${d}${");
        assert_eq!(names("${a} $b ${c d} ${e}").collect::<Vec<_>>(), ["a", "e"]);
    }
}
