//! Which module may know which: read from every `crate::` in the sources, so that an arrow that bends the wrong way
//! fails here and not in somebody's head.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// A module and those it may import. Whoever may know everything is left out of the left side.
const MAY_IMPORT: &[(&str, &[&str])] = &[
    // What everybody speaks.
    ("model", &[]),
    ("clock", &[]),
    ("readiness", &[]),
    ("overload", &[]),
    ("args", &[]),
    ("http", &[]),
    ("exchange", &["clock", "http", "model"]),
    ("schema", &["model"]),
    // The control plane, which ends in a model.
    ("objects", &[]),
    ("source", &["objects"]),
    ("store", &["objects", "source"]),
    ("translate", &["model", "objects", "store"]),
    ("controller", &["model", "objects", "source", "store", "translate"]),
    ("declarative", &["model", "schema"]),
    // The data plane, which begins with one.
    ("net", &["http"]),
    ("routing", &["http", "model"]),
    ("plugins", &["clock", "exchange", "http", "model", "net", "schema", "telemetry"]),
    ("upstream", &["clock", "exchange", "http", "model", "net", "telemetry"]),
    ("telemetry", &["exchange", "http", "model"]),
    ("snapshot", &["clock", "exchange", "http", "model", "plugins", "routing", "telemetry", "upstream"]),
    (
        "proxy",
        &[
            "clock",
            "exchange",
            "http",
            "model",
            "net",
            "overload",
            "plugins",
            "routing",
            "snapshot",
            "telemetry",
            "upstream",
        ],
    ),
    // What joins them. Settings fill in what the data plane declares.
    ("settings", &["args", "exchange", "http", "plugins", "proxy", "telemetry", "upstream"]),
    ("threads", &["clock", "overload", "proxy", "settings", "snapshot", "telemetry", "upstream"]),
    ("admin", &["clock", "model", "plugins", "readiness", "schema", "snapshot", "telemetry", "upstream"]),
    (
        "control",
        &[
            "admin",
            "args",
            "controller",
            "declarative",
            "model",
            "plugins",
            "readiness",
            "routing",
            "schema",
            "settings",
            "snapshot",
            "source",
            "translate",
        ],
    ),
    ("check", &["args", "control", "model", "source", "store", "translate"]),
    ("probe", &["upstream"]),
];

const MAY_KNOW_ALL: &[&str] = &["app", "lib", "main"];

/// Crates that only some may touch, by the beginning of the path of the file.
const SEAMS: &[(&str, &[&str])] = &[
    ("kube", &["control", "controller", "source"]),
    ("k8s_openapi", &["controller", "objects", "source", "store", "translate"]),
    ("h2", &["upstream/http2"]),
    ("hyper", &["net/http2", "proxy/http2", "upstream/http2"]),
    ("hyper_util", &["proxy/http2", "upstream/http2"]),
    ("axum", &["admin"]),
    ("httparse", &["http/http1"]),
    ("prometheus_client", &["telemetry/metrics"]),
    ("mlua", &["plugins/lua"]),
    ("hickory_resolver", &["upstream/dns"]),
    ("arc_swap", &["proxy", "snapshot", "threads", "upstream"]),
];

struct Source {
    /// Below `src`, with `/`.
    path: String,
    module: String,
    text: String,
}

#[test]
fn arrows_point_one_way() {
    let may_import: BTreeMap<&str, BTreeSet<&str>> =
        MAY_IMPORT.iter().map(|(module, others)| (*module, others.iter().copied().collect())).collect();
    let mut wrong = Vec::new();
    for source in sources() {
        if MAY_KNOW_ALL.contains(&&*source.module) {
            continue;
        }
        let Some(allowed) = may_import.get(&*source.module) else {
            wrong.push(format!("{}: the module {} is not in the table", source.path, source.module));
            continue;
        };
        for other in mentioned(&source.text, "crate::") {
            if other != source.module && !allowed.contains(&*other) {
                wrong.push(format!("{}: {} must not know {other}", source.path, source.module));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn the_table_has_no_circle_and_no_module_that_is_gone() {
    let modules: BTreeSet<String> = sources().into_iter().map(|source| source.module).collect();
    let mut left: BTreeMap<&str, BTreeSet<&str>> =
        MAY_IMPORT.iter().map(|(module, others)| (*module, others.iter().copied().collect())).collect();
    for module in left.keys() {
        assert!(modules.contains(*module), "{module} is gone");
    }
    while !left.is_empty() {
        let leaf = left.iter().find(|(_, others)| others.iter().all(|other| !left.contains_key(other)));
        let Some((leaf, _)) = leaf else { panic!("a circle among {:?}", left.keys()) };
        let leaf = *leaf;
        left.remove(leaf);
    }
}

#[test]
fn foreign_crates_stay_where_they_belong() {
    let mut wrong = Vec::new();
    for source in sources() {
        if MAY_KNOW_ALL.contains(&&*source.module) {
            continue;
        }
        for (name, places) in SEAMS {
            let used = mentioned(&source.text, "").contains(*name);
            if used && !places.iter().any(|place| source.path.starts_with(place)) {
                wrong.push(format!("{} must not touch {name}", source.path));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// The first words of paths that begin with this.
fn mentioned(text: &str, prefix: &str) -> BTreeSet<String> {
    let is_word = |character: char| character.is_ascii_alphanumeric() || character == '_';
    let mut found = BTreeSet::new();
    if prefix.is_empty() {
        for (at, _) in text.match_indices("::") {
            let word: Vec<char> =
                text[..at].chars().rev().take_while(|character| is_word(*character)).collect();
            found.insert(word.into_iter().rev().collect());
        }
        return found;
    }
    for (at, _) in text.match_indices(prefix) {
        let rest = &text[at + prefix.len()..];
        found.insert(rest.chars().take_while(|character| is_word(*character)).collect());
    }
    found
}

/// What is built into the program: tests may know more.
fn sources() -> Vec<Source> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut sources = Vec::new();
    visit(&root, &mut |path| {
        let below = path.strip_prefix(&root).unwrap().to_str().unwrap().replace('\\', "/");
        if below.ends_with("tests.rs") || below.contains("tests/") || below == "plugins/testing.rs" {
            return;
        }
        let text = std::fs::read_to_string(path).unwrap();
        let code = text.split("#[cfg(test)]\nmod tests {").next().unwrap().to_owned();
        let module = below.split('/').next().unwrap().trim_end_matches(".rs").to_owned();
        let code: String =
            code.lines().filter(|line| !line.trim_start().starts_with("//")).collect::<Vec<_>>().join("\n");
        sources.push(Source { path: below, module, text: code });
    });
    assert!(sources.len() > 100, "only {} files", sources.len());
    sources
}

fn visit(folder: &Path, found: &mut impl FnMut(&PathBuf)) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            visit(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found(&path);
        }
    }
}
