//! What a URL names.

use percent_encoding::percent_decode_str;

/// A path below `/api/v1` or `/apis/GROUP/VERSION`.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Target {
    pub(crate) group: String,
    pub(crate) version: String,
    /// Only when the path names one.
    pub(crate) namespace: Option<String>,
    pub(crate) plural: String,
    pub(crate) name: Option<String>,
    pub(crate) subresource: Option<String>,
    /// The old way to ask for a watch, by the path.
    pub(crate) watch: bool,
}

impl Target {
    /// Nothing for a path that names no resource.
    pub(crate) fn parse(path: &str) -> Option<Target> {
        let mut parts = path
            .trim_matches('/')
            .split('/')
            .map(|part| percent_decode_str(part).decode_utf8_lossy().into_owned());
        let (group, version) = match parts.next()?.as_str() {
            "api" => (String::new(), parts.next()?),
            "apis" => (parts.next()?, parts.next()?),
            _ => return None,
        };
        let mut rest: Vec<String> = parts.collect();
        let mut target = Target { group, version, ..Target::default() };
        if rest.first().is_some_and(|part| part == "watch") && rest.len() > 1 {
            target.watch = true;
            rest.remove(0);
        }
        if rest.first().is_some_and(|part| part == "namespaces") && rest.len() > 2 {
            // A namespace's own parts are not kinds.
            let own = rest.len() == 3 && matches!(rest[2].as_str(), "status" | "finalize");
            if !own {
                target.namespace = Some(rest[1].clone());
                rest.drain(..2);
            }
        }
        let mut rest = rest.into_iter();
        target.plural = rest.next().filter(|plural| !plural.is_empty())?;
        target.name = rest.next();
        target.subresource = rest.next();
        rest.next().is_none().then_some(target)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_name_resources() {
        let name = |path: &str| {
            let target = Target::parse(path)?;
            let text = |part: Option<String>| part.unwrap_or_else(|| "-".to_owned());
            Some(format!(
                "{} {} {} {} {} {} {}",
                target.group,
                target.version,
                text(target.namespace),
                target.plural,
                text(target.name),
                text(target.subresource),
                target.watch
            ))
        };
        assert_eq!(name("/api/v1/pods").unwrap(), " v1 - pods - - false");
        assert_eq!(name("/api/v1/namespaces/a").unwrap(), " v1 - namespaces a - false");
        assert_eq!(name("/api/v1/namespaces/a/finalize").unwrap(), " v1 - namespaces a finalize false");
        assert_eq!(
            name("/apis/apps/v1/namespaces/a/deployments/b/scale").unwrap(),
            "apps v1 a deployments b scale false"
        );
        assert_eq!(name("/api/v1/watch/namespaces/a/pods/b").unwrap(), " v1 a pods b - true");
        assert_eq!(name("/apis/apps/v1"), None);
        assert_eq!(name("/version"), None);
    }
}
