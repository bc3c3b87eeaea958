//! What there is: health, version, groups, resources.

mod resources;

use http::header::{ETAG, IF_NONE_MATCH, VARY};
use http::{HeaderName, Method};
use serde_json::{Value, json};
use sha2::{Digest, Sha512};

use self::resources::{aggregated, listed};
use super::answer::{Answer, Content};
use super::media;
use super::query::Query;
use super::{Api, Asked, openapi, text};
use crate::failure::Failure;
use crate::resources::Table;

/// The version of Kubernetes whose API this is.
const MAJOR: &str = "1";
const MINOR: &str = "34";
const VERSION: &str = "v1.34.1";
const AGGREGATED: &str = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList";
const CHECKS: [&str; 4] = ["ping", "log", "store", "poststarthook/start-definitions-controller"];

/// What anybody may know.
pub(super) fn open_to_all(api: &Api, path: &str, query: &Query) -> Option<Answer> {
    let mut parts = path.trim_matches('/').splitn(2, '/');
    let (first, rest) = (parts.next()?, parts.next());
    match (first, rest) {
        ("version", None) => Some(Answer::new(200, Content::Json(version(api)))),
        ("healthz" | "livez" | "readyz", rest) => Some(match rest {
            Some(check) if !CHECKS.contains(&check) => Answer::page_not_found(),
            Some(_) => Answer::text(200, "ok"),
            None if query.has("verbose") => {
                let lines: Vec<_> = CHECKS.iter().map(|check| format!("[+]{check} ok\n")).collect();
                Answer::text(200, format!("{}{first} check passed\n", lines.concat()))
            }
            None => Answer::text(200, "ok"),
        }),
        _ => None,
    }
}

fn version(api: &Api) -> Value {
    json!({
        "major": MAJOR,
        "minor": MINOR,
        "emulationMajor": MAJOR,
        "emulationMinor": MINOR,
        "minCompatibilityMajor": MAJOR,
        "minCompatibilityMinor": "33",
        "gitVersion": VERSION,
        "gitCommit": concat!("local-cluster-", env!("CARGO_PKG_VERSION")),
        "gitTreeState": "clean",
        "buildDate": crate::objects::timestamp(api.started),
        "goVersion": "none",
        "compiler": "rustc",
        "platform": format!("{}/{}", std::env::consts::OS, std::env::consts::ARCH),
    })
}

/// Nothing for a path that names objects, or nothing at all.
pub(super) fn answer(api: &Api, asked: &Asked) -> Result<Option<Answer>, Failure> {
    let table = api.objects.kinds().now();
    let path = asked.path.trim_end_matches('/');
    let parts: Vec<_> = path.trim_start_matches('/').split('/').collect();
    let found = match parts.as_slice() {
        [""] => paths(&table),
        ["openapi", "v2"] => return Ok(Some(openapi::version_2(&table, asked))),
        ["openapi", "v3", rest @ ..] => {
            return Ok(Some(openapi::version_3(&api.documents, &table, asked, &rest.join("/"))));
        }
        ["api"] => return Ok(Some(root(api, &table, asked)?)),
        ["apis"] => return Ok(Some(groups(&table, asked)?)),
        ["api", version] => match table.of("", version) {
            [] => return Ok(Some(Answer::page_not_found())),
            kinds => listed("", version, kinds),
        },
        ["apis", group] => match table.groups().get(group) {
            None => return Ok(Some(Answer::page_not_found())),
            Some(versions) => {
                let mut found = group_entry(group, versions);
                found["kind"] = json!("APIGroup");
                found["apiVersion"] = json!("v1");
                found
            }
        },
        ["apis", group, version] => match table.of(group, version) {
            [] => return Ok(Some(Answer::page_not_found())),
            kinds => listed(group, version, kinds),
        },
        _ => return Ok(None),
    };
    only_reads(asked)?;
    let wanted = media::negotiate(asked.accept(), false)?;
    let content = if wanted.format == media::Format::Yaml {
        Content::Raw("application/yaml", crate::yaml::write(&found).into())
    } else {
        Content::Json(found)
    };
    Ok(Some(Answer::new(200, content)))
}

fn only_reads(asked: &Asked) -> Result<(), Failure> {
    if matches!(asked.method, Method::GET | Method::HEAD) {
        return Ok(());
    }
    let message = "the server does not allow this method on the requested resource";
    Err(Failure { details: Some(json!({}).into()), ..Failure::new(405, "MethodNotAllowed", message) })
}

fn root(api: &Api, table: &Table, asked: &Asked) -> Result<Answer, Failure> {
    if let Some(answer) = in_one_document(asked, || aggregated(table, true)) {
        return Ok(answer);
    }
    media::negotiate(asked.accept(), false)?;
    Ok(Answer::new(
        200,
        Content::Json(json!({
            "kind": "APIVersions",
            "versions": ["v1"],
            "serverAddressByClientCIDRs": [{"clientCIDR": "0.0.0.0/0", "serverAddress": api.address.to_string()}],
        })),
    ))
}

fn groups(table: &Table, asked: &Asked) -> Result<Answer, Failure> {
    if let Some(answer) = in_one_document(asked, || aggregated(table, false)) {
        return Ok(answer);
    }
    media::negotiate(asked.accept(), false)?;
    let groups = table.groups();
    let groups: Vec<_> = groups
        .iter()
        .filter(|(group, _)| !group.is_empty())
        .map(|(group, versions)| group_entry(group, versions))
        .collect();
    Ok(Answer::new(200, Content::Json(json!({"kind": "APIGroupList", "apiVersion": "v1", "groups": groups}))))
}

fn group_entry(group: &str, versions: &[&str]) -> Value {
    let entry = |version: &&str| json!({"groupVersion": format!("{group}/{version}"), "version": version});
    json!({
        "name": group,
        "versions": versions.iter().map(entry).collect::<Value>(),
        "preferredVersion": versions.first().map(entry),
    })
}

/// All groups with their resources, for clients that ask for it; with an `ETag`, so that they needn't read it again.
fn in_one_document(asked: &Asked, document: impl FnOnce() -> Value) -> Option<Answer> {
    let accept = asked.accept()?;
    let wants = |clause: &str| {
        clause.contains("as=APIGroupDiscoveryList")
            && clause.contains("v=v2")
            && !clause.contains("v=v2beta1")
    };
    let first =
        accept.split(',').find(|clause| wants(clause) || !clause.contains("as=APIGroupDiscoveryList"))?;
    if !wants(first) {
        return None;
    }
    let body = document().to_string();
    let etag = format!("\"{}\"", hash(body.as_bytes()));
    if text(&asked.headers, &IF_NONE_MATCH) == Some(&etag) {
        return Some(tagged(Answer::new(304, Content::Empty), ETAG, &etag));
    }
    let answer = Answer::new(200, Content::Raw(AGGREGATED, format!("{body}\n").into()));
    Some(tagged(answer, ETAG, &etag))
}

fn tagged(answer: Answer, name: HeaderName, value: &str) -> Answer {
    answer.header(name, value).header(VARY, "Accept").header(http::header::CACHE_CONTROL, "public")
}

pub(super) fn hash(bytes: &[u8]) -> String {
    use std::fmt::Write;
    Sha512::digest(bytes).iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02X}");
        text
    })
}

fn paths(table: &Table) -> Value {
    let mut paths = vec!["/api".to_owned(), "/api/v1".to_owned(), "/apis".to_owned(), "/apis/".to_owned()];
    for (group, versions) in table.groups().into_iter().filter(|(group, _)| !group.is_empty()) {
        paths.push(format!("/apis/{group}"));
        paths.extend(versions.into_iter().map(|version| format!("/apis/{group}/{version}")));
    }
    for health in ["/healthz", "/livez", "/readyz"] {
        paths.push(health.to_owned());
        paths.extend(CHECKS.iter().map(|check| format!("{health}/{check}")));
    }
    paths.extend(["/openapi/v2", "/openapi/v3", "/openapi/v3/", "/version"].map(str::to_owned));
    paths.sort();
    json!({"paths": paths})
}
