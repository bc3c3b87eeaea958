//! Where pods share one address: which port of that address stands for which port of the pod.
//!
//! It is kept in an annotation of the pod, so that whoever connects to pods (probes, Services, port-forward)
//! reads it there. A pod with an address of its own has none, and every port stands for itself.

use std::collections::BTreeMap;

use serde_json::Value;

/// `{"8080": 41234}`: the pod's port, and the port at which it really listens.
pub const ANNOTATION: &str = "local-cluster/ports";

#[derive(Debug, Clone, Default, PartialEq)]
pub struct PortMap(BTreeMap<i32, i32>);

impl PortMap {
    pub fn new(ports: impl IntoIterator<Item = (i32, i32)>) -> PortMap {
        PortMap(ports.into_iter().collect())
    }

    /// The map in a pod's annotation.
    pub fn of(pod: &Value) -> PortMap {
        let annotation = pod["metadata"]["annotations"][ANNOTATION].as_str();
        PortMap(annotation.and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default())
    }

    /// The port to connect to for a port of the pod.
    pub fn outside(&self, port: i32) -> i32 {
        self.0.get(&port).copied().unwrap_or(port)
    }

    /// Whether this is the port to connect to for one of the pod's ports.
    pub fn has_outside(&self, port: i32) -> bool {
        self.0.values().any(|outside| *outside == port)
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// As the annotation carries it.
    pub fn to_annotation(&self) -> String {
        let ports: Vec<String> = self.0.iter().map(|(from, to)| format!("\"{from}\":{to}")).collect();
        format!("{{{}}}", ports.join(","))
    }

    /// A word of a command line or an environment with the pod's port replaced: `8080` alone, or as the end of
    /// an address such as `0.0.0.0:8080` or `--listen=:8080`. Anything else is left alone.
    pub fn rewrite(&self, word: &str) -> String {
        let (before, number) = word
            .rsplit_once([':', '='])
            .map_or(("", word), |(before, number)| (&word[..=before.len()], number));
        let plain = !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit());
        let port = number.parse().ok().filter(|_| plain).and_then(|port: i32| self.0.get(&port));
        port.map_or_else(|| word.to_owned(), |port| format!("{before}{port}"))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn replaces_ports_and_nothing_else() {
        let map = PortMap::new([(8080, 41_234)]);
        for (word, expected) in [
            ("8080", "41234"),
            ("0.0.0.0:8080", "0.0.0.0:41234"),
            ("--port=8080", "--port=41234"),
            ("--listen=:8080", "--listen=:41234"),
            ("18080", "18080"),
            ("v8080", "v8080"),
            ("http://other:8080/path", "http://other:8080/path"),
            ("8081", "8081"),
            ("", ""),
        ] {
            assert_eq!(map.rewrite(word), expected, "{word}");
        }
    }

    #[test]
    fn survives_its_annotation() {
        let map = PortMap::new([(8080, 41_234), (8443, 41_235)]);
        let pod = json!({"metadata": {"annotations": {ANNOTATION: map.to_annotation()}}});
        assert_eq!(PortMap::of(&pod), map);
        assert_eq!(PortMap::of(&json!({"metadata": {}})).outside(80), 80);
    }
}
