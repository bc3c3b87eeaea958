//! Reads annotation values. A value that can't be used is dropped, as Kong's controller does, but never in
//! silence.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

use super::problems::{Problems, annotation};
use crate::objects::{ObjectKey, annotations};

/// The annotations of one object.
pub(super) struct Values<'a> {
    key: &'a ObjectKey,
    annotations: Option<&'a BTreeMap<String, String>>,
}

impl<'a> Values<'a> {
    pub(super) fn of(key: &'a ObjectKey, meta: &'a ObjectMeta) -> Values<'a> {
        Values { key, annotations: meta.annotations.as_ref() }
    }

    pub(super) fn key(&self) -> &'a ObjectKey {
        self.key
    }

    /// Reports annotations that look like ours and do nothing on this kind.
    pub(super) fn report_strays(&self, problems: &mut Problems) {
        for stray in annotations::strays(self.key.kind, self.annotations) {
            problems.add(self.key, annotation(&stray.key), stray.message, "the annotation is ignored");
        }
    }

    /// The value as written.
    pub(super) fn raw(&self, name: &str) -> Option<&'a str> {
        self.annotations?.get(name).map(String::as_str)
    }

    /// All annotations whose key starts with a prefix, without it.
    pub(super) fn with_prefix(&self, prefix: &'a str) -> impl Iterator<Item = (&'a str, &'a str)> {
        self.annotations
            .into_iter()
            .flatten()
            .filter_map(move |(key, value)| Some((key.strip_prefix(prefix)?, value.as_str())))
    }

    /// `true` or `false`, in any case.
    pub(super) fn flag(&self, name: &str, problems: &mut Problems) -> Option<bool> {
        let value = self.raw(name)?;
        match value.to_ascii_lowercase().as_str() {
            "true" => Some(true),
            "false" => Some(false),
            _ => {
                self.drop_value(name, value, "expected \"true\" or \"false\"", problems);
                None
            }
        }
    }

    /// A whole number within bounds.
    pub(super) fn number(
        &self,
        name: &str,
        bounds: RangeInclusive<i64>,
        problems: &mut Problems,
    ) -> Option<i64> {
        let value = self.raw(name)?;
        match value.trim().parse::<i64>() {
            Ok(number) if bounds.contains(&number) => Some(number),
            _ => {
                let expected = format!("expected a whole number from {} to {}", bounds.start(), bounds.end());
                self.drop_value(name, value, &expected, problems);
                None
            }
        }
    }

    /// Items separated by commas, trimmed, without empty ones.
    pub(super) fn list(&self, name: &str) -> Vec<String> {
        comma_list(self.annotations.and_then(|all| all.get(name)))
    }

    /// Says that a value is not used.
    pub(super) fn drop_value(&self, name: &str, value: &str, expected: &str, problems: &mut Problems) {
        problems.add(
            self.key,
            annotation(name),
            format!("{expected}, got {value:?}"),
            "the annotation is ignored",
        );
    }
}

/// Items separated by commas, trimmed, without empty ones.
pub(super) fn comma_list(text: Option<&String>) -> Vec<String> {
    text.into_iter()
        .flat_map(|text| text.split(','))
        .map(str::trim)
        .filter(|item| !item.is_empty())
        .map(str::to_owned)
        .collect()
}
