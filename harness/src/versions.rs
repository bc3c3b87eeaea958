//! Versions of everything that an environment is made of, in one table: what is taken unless something else is asked
//! for, and from which registry.

use std::collections::BTreeMap;

/// One line of the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Component {
    pub name: &'static str,
    /// An image; empty where a program brings the one that fits it.
    pub default: &'static str,
    /// What it is, and who brings it.
    pub what: &'static str,
}

pub const KIND_NODE: &str = "kind-node";
pub const K3S: &str = "k3s";
pub const K3D_TOOLS: &str = "k3d-tools";
pub const ISTIO: &str = "istio";
pub const PROMETHEUS: &str = "prometheus";
pub const KIALI: &str = "kiali";
pub const JAEGER: &str = "jaeger";
pub const GATEWAY: &str = "gateway";
pub const ECHO: &str = "echo";

/// The table.
pub const COMPONENTS: [Component; 9] = [
    Component { name: KIND_NODE, default: "", what: "node of kind; as kind brings it" },
    Component { name: K3S, default: "", what: "node of k3d; as k3d brings it" },
    Component { name: K3D_TOOLS, default: "", what: "helper of k3d; of k3d's version" },
    Component {
        name: ISTIO,
        default: "",
        what: "registry and version of Istio's images; as istioctl brings them",
    },
    Component { name: PROMETHEUS, default: "docker.io/prom/prometheus:v3.10.0", what: "numbers of the mesh" },
    Component { name: KIALI, default: "quay.io/kiali/kiali:v2.27", what: "graph of the mesh" },
    Component { name: JAEGER, default: "docker.io/jaegertracing/jaeger:2.17.0", what: "traces" },
    Component { name: GATEWAY, default: "", what: "the gateway; made here unless another is named" },
    Component {
        name: ECHO,
        default: "",
        what: "the echo service and the bin; made here unless another is named",
    },
];

/// Node images that versions of kind bring, newest first. What is not here, kind knows by itself.
const KIND_NODES: [(&str, &str); 4] = [
    ("0.32.", "kindest/node:v1.36.1"),
    ("0.31.", "kindest/node:v1.35.0"),
    ("0.30.", "kindest/node:v1.34.0"),
    ("0.29.", "kindest/node:v1.33.1"),
];
/// The newest that starts on a machine with the first version of cgroups.
pub const KIND_NODE_FOR_CGROUP_1: &str = "kindest/node:v1.34.0";

/// The node image of a version of kind, such as `0.32.0`, if it is known.
pub fn kind_node(kind: &str) -> Option<&'static str> {
    KIND_NODES.iter().find(|(version, _)| kind.starts_with(version)).map(|(_, image)| *image)
}

/// What was asked for instead of the table's.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Versions {
    named: BTreeMap<&'static str, String>,
    mirrors: Vec<(String, String)>,
}

impl Versions {
    /// `used` are `NAME=IMAGE`, `mirrors` are `BEGINNING=BEGINNING` of image names.
    ///
    /// # Errors
    /// What is wrong with one of them.
    pub fn new(used: &[String], mirrors: &[String]) -> Result<Versions, String> {
        let mut versions = Versions::default();
        for text in used {
            let (name, image) =
                pair(text, "--use", "NAME=IMAGE, such as jaeger=docker.io/jaegertracing/jaeger:2.17.0")?;
            let component = COMPONENTS.iter().find(|component| component.name == name).ok_or_else(|| {
                let names = COMPONENTS.map(|component| component.name);
                format!("--use {text}: there is no component {name}; they are {}", names.join(", "))
            })?;
            versions.named.insert(component.name, image.to_owned());
        }
        for text in mirrors {
            let (from, to) =
                pair(text, "--mirror", "BEGINNING=BEGINNING, such as docker.io/=mirror.example/hub/")?;
            versions.mirrors.push((from.to_owned(), to.to_owned()));
        }
        // The one that says most about a name is meant.
        versions.mirrors.sort_by_key(|(from, _)| std::cmp::Reverse(from.len()));
        Ok(versions)
    }

    /// What was named for a component, mirrors aside.
    pub fn named(&self, name: &str) -> Option<&str> {
        self.named.get(name).map(String::as_str)
    }

    /// The image of a component: what was named, else the table's, from a mirror where there is one. Nothing where a
    /// program brings it.
    pub fn image(&self, name: &str) -> Option<String> {
        let default = COMPONENTS.iter().find(|component| component.name == name)?.default;
        let image = self.named(name).unwrap_or(default);
        (!image.is_empty()).then(|| self.mirrored(image))
    }

    /// An image as the mirrors have it.
    pub fn mirrored(&self, image: &str) -> String {
        let full = full_name(image);
        let mirror = self.mirrors.iter().find_map(|(from, to)| Some((full.strip_prefix(from)?, to)));
        mirror.map_or_else(|| image.to_owned(), |(rest, to)| format!("{to}{rest}"))
    }

    /// Registry and version of Istio's images for an istioctl of `version`, such as `1.30.3`, if they are known.
    pub fn istio(&self, version: &str) -> Option<Istio> {
        let named = self.named(ISTIO);
        let (hub, tag) = match named {
            Some(named) => match named.rsplit_once(':') {
                Some((hub, tag)) if !tag.contains('/') => (Some(hub.to_owned()), tag.to_owned()),
                _ if named.contains('/') => (Some(named.to_owned()), version.to_owned()),
                _ => (None, named.to_owned()),
            },
            None => (None, version.to_owned()),
        };
        let own = hub.is_none();
        let hub = match hub {
            Some(hub) => hub,
            None => istio_hub(&tag)?.to_owned(),
        };
        // Names of registries are whole words up to a slash.
        let mirrored = self.mirrored(&format!("{hub}/pilot:{tag}"));
        let mirrored = mirrored.strip_suffix(&format!("/pilot:{tag}")).unwrap_or(&hub).to_owned();
        let brought = own && mirrored == hub && named.is_none();
        Some(Istio { hub: mirrored, tag, brought })
    }
}

/// Where Istio's images come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Istio {
    pub hub: String,
    pub tag: String,
    /// What istioctl would take without being told.
    pub brought: bool,
}

impl Istio {
    pub fn images(&self) -> [String; 2] {
        ["pilot", "proxyv2"].map(|name| format!("{}/{name}:{}", self.hub, self.tag))
    }
}

/// The registry that releases of a version name; nothing for what is no release.
fn istio_hub(version: &str) -> Option<&'static str> {
    let mut parts = version.split('.');
    let (major, minor) = (parts.next()?.parse::<u32>().ok()?, parts.next()?.parse::<u32>().ok()?);
    parts.next()?.split('-').next()?.parse::<u32>().ok()?;
    Some(if (major, minor) >= (1, 30) { "registry.istio.io/release" } else { "docker.io/istio" })
}

fn pair<'a>(text: &'a str, flag: &str, form: &str) -> Result<(&'a str, &'a str), String> {
    text.split_once('=')
        .filter(|(name, value)| !name.is_empty() && !value.is_empty())
        .ok_or_else(|| format!("{flag} {text}: expected {form}"))
}

/// An image by its whole name: with its registry, and a tag unless it has a digest.
pub fn full_name(image: &str) -> String {
    let (first, rest) = image.split_once('/').unwrap_or(("", image));
    let registry = first.contains(['.', ':']) || first == "localhost";
    let named = match (registry, first) {
        (true, _) => image.to_owned(),
        (false, "") => format!("docker.io/library/{rest}"),
        (false, _) => format!("docker.io/{image}"),
    };
    let last = named.rsplit('/').next().unwrap_or_default();
    if last.contains([':', '@']) { named } else { format!("{named}:latest") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_images_are_made_whole() {
        for (short, full) in [
            ("http-echo", "docker.io/library/http-echo:latest"),
            ("limen/gateway:0.1.0", "docker.io/limen/gateway:0.1.0"),
            ("quay.io/kiali/kiali:v2.27", "quay.io/kiali/kiali:v2.27"),
            ("localhost:5000/a@sha256:0", "localhost:5000/a@sha256:0"),
        ] {
            assert_eq!(full_name(short), full);
        }
    }

    #[test]
    fn what_is_named_and_mirrored_is_taken() {
        let all = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>();
        let used = all(&["kiali=quay.io/kiali/kiali:v2.30"]);
        let mirrors = all(&["docker.io/=m.example/hub/", "docker.io/prom/=p.example/"]);
        let versions = Versions::new(&used, &mirrors).unwrap();
        assert_eq!(versions.image(KIALI).unwrap(), "quay.io/kiali/kiali:v2.30");
        assert_eq!(versions.image(JAEGER).unwrap(), "m.example/hub/jaegertracing/jaeger:2.17.0");
        assert_eq!(versions.image(PROMETHEUS).unwrap(), "p.example/prometheus:v3.10.0");
        assert_eq!(versions.image(K3S), None);
        assert_eq!(versions.mirrored("kindest/node:v1.34.0"), "m.example/hub/kindest/node:v1.34.0");
        assert!(Versions::new(&all(&["kialy=x"]), &[]).unwrap_err().contains("they are kind-node, k3s"));
        assert!(Versions::new(&[], &all(&["x"])).unwrap_err().contains("expected BEGINNING"));
    }

    #[test]
    fn istio_comes_from_where_its_version_is() {
        let istio = |used: &[&str], mirrors: &[&str], version: &str| {
            let all = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>();
            let found = Versions::new(&all(used), &all(mirrors)).unwrap().istio(version)?;
            Some((found.images()[0].clone(), found.brought))
        };
        let image = |text: &str| text.to_owned();
        assert_eq!(istio(&[], &[], "1.29.0"), Some((image("docker.io/istio/pilot:1.29.0"), true)));
        assert_eq!(istio(&[], &[], "1.30.3"), Some((image("registry.istio.io/release/pilot:1.30.3"), true)));
        assert_eq!(istio(&[], &[], "1.32-alpha.abc"), None);
        assert_eq!(
            istio(&["istio=1.30.4"], &[], "1.30.3"),
            Some((image("registry.istio.io/release/pilot:1.30.4"), false))
        );
        assert_eq!(istio(&["istio=r.example/i:9"], &[], "x"), Some((image("r.example/i/pilot:9"), false)));
        let mirrored = istio(&[], &["docker.io/=m.example/"], "1.29.0");
        assert_eq!(mirrored, Some((image("m.example/istio/pilot:1.29.0"), false)));
    }
}
