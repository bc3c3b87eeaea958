//! Values by path prefix: all stored prefixes of a path, the longest first, by one binary search.
//!
//! The keys are sorted. Everything between a prefix of a path and that path in this order begins with the prefix too,
//! so all stored prefixes of a path are prefixes of the greatest key that doesn't exceed it: a chain of parents.

/// An immutable map from prefixes to values.
#[derive(Debug)]
pub(super) struct Prefixes<T> {
    /// All keys in order, in one piece: a search touches many of them.
    text: Box<[u8]>,
    /// Where each key ends.
    ends: Box<[u32]>,
    /// The longest other key that each key begins with.
    parents: Box<[Option<u32>]>,
    values: Box<[T]>,
}

impl<T> Prefixes<T> {
    /// Makes the values in the order of the keys. `make` is given the value of the key's parent, which is there by then.
    pub(super) fn new<V>(
        mut entries: Vec<(&[u8], V)>,
        mut make: impl FnMut(V, Option<&T>) -> T,
    ) -> Prefixes<T> {
        entries.sort_by_key(|(key, _)| *key);
        let keys: Vec<&[u8]> = entries.iter().map(|(key, _)| *key).collect();
        let mut end = 0;
        let ends = keys.iter().map(|key| {
            end += key.len() as u32;
            end
        });
        let ends = ends.collect();
        let (mut parents, mut values): (Vec<Option<u32>>, Vec<T>) = Default::default();
        for (at, (key, value)) in entries.into_iter().enumerate() {
            let mut parent = at.checked_sub(1).map(|before| before as u32);
            while let Some(before) = parent
                && !key.starts_with(keys[before as usize])
            {
                parent = parents[before as usize];
            }
            let value = make(value, parent.map(|parent| &values[parent as usize]));
            parents.push(parent);
            values.push(value);
        }
        Prefixes { text: keys.concat().into(), ends, parents: parents.into(), values: values.into() }
    }

    /// The values of all keys that the path begins with, the longest key first.
    pub(super) fn covering<'a>(&'a self, path: &'a [u8]) -> impl Iterator<Item = &'a T> + 'a {
        let chain = std::iter::successors(self.last_up_to(path), |at| self.parents[*at as usize]);
        chain
            .filter(|at| self.key(*at).is_none_or(|key| path.starts_with(key)))
            .map(|at| &self.values[at as usize])
    }

    /// The greatest key that doesn't exceed the path.
    fn last_up_to(&self, path: &[u8]) -> Option<u32> {
        let (mut low, mut high) = (0, self.ends.len() as u32);
        while low < high {
            let middle = low.midpoint(high);
            if self.key(middle).is_none_or(|key| key <= path) {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        low.checked_sub(1)
    }

    /// `None` is the empty key. Comparing nothing with something may cost more than comparing something: where the
    /// processor compares by masked loads, an address without memory behind it is dear even under an empty mask.
    fn key(&self, at: u32) -> Option<&[u8]> {
        let start = at.checked_sub(1).map_or(0, |before| self.ends[before as usize]);
        let end = self.ends[at as usize];
        (start < end).then(|| &self.text[start as usize..end as usize])
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn prefixes(keys: &[&str]) -> Prefixes<String> {
        let entries = keys.iter().map(|key| (key.as_bytes(), (*key).to_owned())).collect();
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
        let entries = ["/a/b", "/", "/a", "/c"].map(|key| (key.as_bytes(), key)).into();
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
