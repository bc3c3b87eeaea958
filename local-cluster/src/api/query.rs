//! The query of a request: options of reads and writes, checked as Kubernetes checks them.

use percent_encoding::percent_decode_str;
use serde_json::json;

use crate::failure::{Cause, Causes, Failure};

/// Parameters in the order in which they were given.
#[derive(Debug, Clone, Default)]
pub(crate) struct Query(Vec<(String, String)>);

impl Query {
    pub(crate) fn parse(text: &str) -> Query {
        let decode =
            |part: &str| percent_decode_str(&part.replace('+', " ")).decode_utf8_lossy().into_owned();
        let pairs = text.split('&').filter(|pair| !pair.is_empty());
        Query(
            pairs
                .map(|pair| pair.split_once('=').unwrap_or((pair, "")))
                .map(|(k, v)| (decode(k), decode(v)))
                .collect(),
        )
    }

    /// The first value, unless it is empty.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.0
            .iter()
            .find(|(known, _)| known == name)
            .map(|(_, value)| value.as_str())
            .filter(|value| !value.is_empty())
    }

    pub(crate) fn has(&self, name: &str) -> bool {
        self.0.iter().any(|(known, _)| known == name)
    }

    fn all(&self, name: &str) -> Vec<&str> {
        self.0.iter().filter(|(known, _)| known == name).map(|(_, value)| value.as_str()).collect()
    }

    /// As Go reads flags: everything but `false` and `0` is true.
    pub(crate) fn flag(&self, name: &str) -> Option<bool> {
        let value = self.0.iter().find(|(known, _)| known == name)?;
        Some(!matches!(value.1.to_lowercase().as_str(), "false" | "0"))
    }

    pub(crate) fn number(&self, name: &str) -> Result<Option<i64>, Failure> {
        let Some(text) = self.get(name) else { return Ok(None) };
        let wrong = || Failure::bad_request(format!("strconv.ParseInt: parsing {text:?}: invalid syntax"));
        text.parse().map(Some).map_err(|_| wrong())
    }
}

/// What is done about fields that nobody knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum FieldValidation {
    Ignore,
    Warn,
    Strict,
}

/// Options of every write.
#[derive(Debug, Clone)]
pub(crate) struct WriteOptions {
    pub(crate) dry_run: bool,
    pub(crate) manager: String,
    pub(crate) validation: FieldValidation,
}

impl WriteOptions {
    /// `kind` is `CreateOptions`, `UpdateOptions` or `PatchOptions`; `apply` says whether a patch is one.
    pub(crate) fn read(query: &Query, kind: &str, agent: &str, apply: bool) -> Result<WriteOptions, Failure> {
        let mut causes = Causes::default();
        let force = query.flag("force");
        let manager = query.get("fieldManager").unwrap_or_default();
        if kind == "PatchOptions" {
            if apply && manager.is_empty() {
                causes.add(Cause::required("fieldManager", "is required for apply patch"));
            }
            if !apply && force == Some(true) {
                causes.add(Cause::forbidden("force", "may not be specified for non-apply patch"));
            }
        }
        if manager.len() > 128 {
            causes.add(Cause::too_long("fieldManager", 128));
        } else if manager.chars().any(char::is_control) {
            causes.add(Cause::invalid(
                "fieldManager",
                &json!(manager),
                "should only contain printable characters",
            ));
        }
        let dry_run = dry_run(query.all("dryRun"), &mut causes);
        let validation = match query.get("fieldValidation") {
            None | Some("Warn") => FieldValidation::Warn,
            Some("Ignore") => FieldValidation::Ignore,
            Some("Strict") => FieldValidation::Strict,
            Some(other) => {
                let supported = ["", "Ignore", "Strict", "Warn"];
                causes.add(Cause::unsupported("fieldValidation", &json!(other), &supported));
                FieldValidation::Warn
            }
        };
        refuse(kind, causes)?;
        let manager = if manager.is_empty() { default_manager(agent) } else { manager.to_owned() };
        Ok(WriteOptions { dry_run, manager, validation })
    }
}

pub(crate) fn dry_run(values: Vec<&str>, causes: &mut Causes) -> bool {
    let values: Vec<_> = values.into_iter().filter(|value| !value.is_empty()).collect();
    if values.iter().any(|value| *value != "All") {
        causes.add(Cause::unsupported("dryRun", &json!(values), &["All"]));
    }
    !values.is_empty()
}

impl Query {
    pub(crate) fn dry_run(&self) -> Vec<&str> {
        self.all("dryRun")
    }
}

/// The name of the program, as it calls itself before the first slash.
fn default_manager(agent: &str) -> String {
    let name = agent.split('/').next().unwrap_or_default();
    let name: String = name.chars().filter(|c| !c.is_control()).take(128).collect();
    if name.is_empty() { "unknown".to_owned() } else { name }
}

pub(crate) fn refuse(kind: &str, causes: Causes) -> Result<(), Failure> {
    if causes.0.is_empty() { Ok(()) } else { Err(Failure::invalid("meta.k8s.io", kind, "", causes)) }
}

/// From which state a list is answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum At {
    /// The newest.
    Now,
    /// Any, which the newest is too; limits don't count then.
    Any,
    /// At least this one.
    NotBefore(u64),
    /// This very one.
    Exactly(u64),
}

/// Options of a list or watch.
#[derive(Debug, Clone)]
pub(crate) struct ListOptions {
    pub(crate) at: At,
    /// Only when it was given; `0` too.
    pub(crate) version: Option<u64>,
    pub(crate) limit: usize,
    pub(crate) continue_token: Option<String>,
    pub(crate) timeout_seconds: Option<u64>,
    pub(crate) bookmarks: bool,
    pub(crate) send_initial: Option<bool>,
}

impl ListOptions {
    pub(crate) fn read(query: &Query, watch: bool) -> Result<ListOptions, Failure> {
        let limit = query.number("limit")?.unwrap_or(0);
        let timeout = query.number("timeoutSeconds")?;
        let version = query.get("resourceVersion");
        let matching = query.get("resourceVersionMatch");
        let send_initial = query.flag("sendInitialEvents").filter(|_| query.has("sendInitialEvents"));
        let mut causes = Causes::default();
        check_match(watch, version, matching, send_initial, &mut causes);
        refuse("ListOptions", causes)?;
        let version = match version {
            None => None,
            Some(text) => Some(parse_version(text, watch)?),
        };
        let limit = usize::try_from(limit).unwrap_or(0);
        let at = match (version, matching) {
            (None, _) => At::Now,
            (Some(0), _) => At::Any,
            (Some(version), Some("Exact")) => At::Exactly(version),
            (Some(version), None) if limit > 0 => At::Exactly(version),
            (Some(version), _) => At::NotBefore(version),
        };
        Ok(ListOptions {
            at,
            version,
            limit,
            continue_token: query.get("continue").map(str::to_owned),
            timeout_seconds: timeout.and_then(|seconds| u64::try_from(seconds).ok()),
            bookmarks: query.flag("allowWatchBookmarks") == Some(true),
            send_initial,
        })
    }
}

fn check_match(
    watch: bool,
    version: Option<&str>,
    matching: Option<&str>,
    send_initial: Option<bool>,
    causes: &mut Causes,
) {
    let field = "resourceVersionMatch";
    if watch {
        match (send_initial, matching) {
            (None, Some(_)) => {
                let why = "resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided";
                causes.add(Cause::forbidden(field, why));
            }
            (Some(_), None) => {
                let why = "sendInitialEvents requires setting resourceVersionMatch to NotOlderThan";
                causes.add(Cause::forbidden(field, why));
            }
            (Some(_), Some(other)) if other != "NotOlderThan" => {
                causes.add(Cause::unsupported(field, &json!(other), &["NotOlderThan"]));
            }
            _ => {}
        }
        return;
    }
    match matching {
        Some(_) if version.is_none() => {
            let why = "resourceVersionMatch is forbidden unless resourceVersion is provided";
            causes.add(Cause::forbidden(field, why));
        }
        Some("Exact") if version == Some("0") => {
            let why = "resourceVersionMatch \"exact\" is forbidden for resourceVersion \"0\"";
            causes.add(Cause::forbidden(field, why));
        }
        None | Some("Exact" | "NotOlderThan") => {}
        Some(other) => causes.add(Cause::unsupported(field, &json!(other), &["Exact", "NotOlderThan", ""])),
    }
    if send_initial.is_some() {
        causes.add(Cause::forbidden("sendInitialEvents", "sendInitialEvents is forbidden for list"));
    }
}

fn parse_version(text: &str, watch: bool) -> Result<u64, Failure> {
    text.parse().map_err(|_| {
        let why = bad_version(text);
        if watch {
            Failure::unexplained(why)
        } else {
            Failure::bad_request(format!("invalid resource version: {why}"))
        }
    })
}

pub(crate) fn bad_version(text: &str) -> String {
    format!("resourceVersion: Invalid value: {text:?}: strconv.ParseUint: parsing {text:?}: invalid syntax")
}
