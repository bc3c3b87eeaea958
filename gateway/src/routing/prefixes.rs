//! Values by path prefix: all stored prefixes of a path, the longest first, by one binary search.
//!
//! The keys are sorted. Everything between a prefix of a path and that path in this order begins with the prefix too,
//! so all stored prefixes of a path are prefixes of the greatest key that doesn't exceed it: a chain of parents.

/// An immutable map from prefixes to values.
#[derive(Debug)]
pub(super) struct Prefixes<T> {
    nodes: Box<[Node<T>]>,
}

#[derive(Debug)]
struct Node<T> {
    key: Box<[u8]>,
    /// The longest other key that this one begins with.
    parent: Option<u32>,
    value: T,
}

impl<T> Prefixes<T> {
    /// The parent of each key has been made when `make` is called for it, and is passed along.
    pub(super) fn new<V>(
        mut entries: Vec<(Box<[u8]>, V)>,
        mut make: impl FnMut(V, Option<&T>) -> T,
    ) -> Prefixes<T> {
        entries.sort_by(|(a, _), (b, _)| a.cmp(b));
        let mut nodes: Vec<Node<T>> = Vec::with_capacity(entries.len());
        for (key, value) in entries {
            let mut parent = nodes.len().checked_sub(1);
            while let Some(at) = parent
                && !key.starts_with(&nodes[at].key)
            {
                parent = nodes[at].parent.map(|at| at as usize);
            }
            let value = make(value, parent.map(|at| &nodes[at].value));
            nodes.push(Node { key, parent: parent.map(|at| at as u32), value });
        }
        Prefixes { nodes: nodes.into() }
    }

    /// The values of all keys that the path begins with, the longest key first.
    pub(super) fn covering<'a>(&'a self, path: &'a [u8]) -> impl Iterator<Item = &'a T> + 'a {
        let last = self.nodes.partition_point(|node| *node.key <= *path).checked_sub(1);
        let chain = std::iter::successors(last.map(|at| &self.nodes[at]), |node| {
            node.parent.map(|at| &self.nodes[at as usize])
        });
        chain.filter(|node| path.starts_with(&node.key)).map(|node| &node.value)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn prefixes(keys: &[&str]) -> Prefixes<String> {
        let entries = keys.iter().map(|key| (key.as_bytes().into(), (*key).to_owned())).collect();
        Prefixes::new(entries, |value, _| value)
    }

    #[test]
    fn the_longest_comes_first() {
        let prefixes = prefixes(&["/", "/v2", "/v2/", "/v20", "/z"]);
        let found = |path: &str| prefixes.covering(path.as_bytes()).cloned().collect::<Vec<_>>().join(" ");
        assert_eq!(found("/v2/x"), "/v2/ /v2 /");
        assert_eq!(found("/v200"), "/v20 /v2 /");
        assert_eq!(found("/v"), "/");
        assert_eq!(found("/zz"), "/z /");
        assert_eq!(found(""), "");
    }

    #[test]
    fn a_value_can_build_on_its_parents() {
        let entries = ["/a/b", "/", "/a", "/c"].map(|key| (key.as_bytes().into(), key)).into();
        let depths = Prefixes::new(entries, |_, parent| parent.map_or(0, |depth: &u32| depth + 1));
        assert_eq!(depths.covering(b"/a/b/c").copied().collect::<Vec<_>>(), [2, 1, 0]);
        assert_eq!(depths.covering(b"/c").copied().collect::<Vec<_>>(), [1, 0]);
    }

    proptest! {
        #[test]
        fn agrees_with_asking_every_key(
            keys in prop::collection::btree_set("[ab/]{0,5}", 0..20),
            path in "[abc/]{0,7}",
        ) {
            let keys: Vec<&str> = keys.iter().map(String::as_str).collect();
            let mut expected: Vec<&str> = keys.iter().copied().filter(|key| path.starts_with(key)).collect();
            expected.sort_by_key(|key| std::cmp::Reverse(key.len()));
            let prefixes = prefixes(&keys);
            prop_assert_eq!(prefixes.covering(path.as_bytes()).collect::<Vec<_>>(), expected);
        }
    }
}
