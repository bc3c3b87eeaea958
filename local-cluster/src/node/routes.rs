//! Which addresses Services lead to now. A pod that is to end waits until none leads to it any more, so that no
//! connection is made to a server that has just been told to stop.

use std::collections::{BTreeSet, HashMap};
use std::net::SocketAddr;

use parking_lot::Mutex;

use super::runtime::PodPlace;
use crate::controllers::reconciler::Key;

/// By Service: what is ready behind it.
#[derive(Debug, Default)]
pub(super) struct Routes(Mutex<HashMap<Key, BTreeSet<SocketAddr>>>);

impl Routes {
    pub(super) fn set(&self, service: &Key, addresses: BTreeSet<SocketAddr>) {
        self.0.lock().insert(service.clone(), addresses);
    }

    pub(super) fn forget(&self, service: &Key) {
        self.0.lock().remove(service);
    }

    /// Whether a Service leads to this pod; where pods share an address, to one of its ports.
    pub(super) fn lead_to(&self, pod: &PodPlace) -> bool {
        let Some(address) = pod.address else { return false };
        let own = |found: &SocketAddr| {
            found.ip() == address && (pod.ports.is_empty() || pod.ports.has_outside(found.port().into()))
        };
        self.0.lock().values().flatten().any(own)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::node::port_map::PortMap;

    #[test]
    fn a_pod_is_known_by_its_address_or_by_its_ports() {
        let routes = Routes::default();
        let key = Key { namespace: "default".to_owned(), name: "echo".to_owned() };
        routes.set(
            &key,
            BTreeSet::from(["127.9.128.1:8080".parse().unwrap(), "127.0.0.1:41234".parse().unwrap()]),
        );
        let pod = |address: &str, ports: PortMap| {
            let address = Some(address.parse().unwrap());
            PodPlace { address, ports, ..PodPlace::default() }
        };
        assert!(routes.lead_to(&pod("127.9.128.1", PortMap::default())));
        assert!(!routes.lead_to(&pod("127.9.128.2", PortMap::default())));
        assert!(routes.lead_to(&pod("127.0.0.1", PortMap::new([(8080, 41_234)]))));
        assert!(!routes.lead_to(&pod("127.0.0.1", PortMap::new([(8080, 41_235)]))));
        routes.forget(&key);
        assert!(!routes.lead_to(&pod("127.9.128.1", PortMap::default())));
    }
}
