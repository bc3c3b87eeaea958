//! Which port of a Service a backend means.

use std::fmt;

use k8s_openapi::api::core::v1::{Service, ServicePort};
use k8s_openapi::api::networking::v1::ServiceBackendPort;
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

/// How a backend names a port.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum PortRef {
    Number(i32),
    Name(String),
    /// Not at all: the Service has only one.
    Implicit,
}

/// A port that was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Port {
    pub(super) number: u16,
    /// By which `EndpointSlices` know it; empty for the only port of a Service.
    pub(super) name: String,
    pub(super) protocol: String,
}

impl PortRef {
    pub(super) fn of(port: Option<&ServiceBackendPort>) -> PortRef {
        let Some(port) = port else { return PortRef::Implicit };
        match (&port.name, port.number) {
            (Some(name), _) if !name.is_empty() => PortRef::Name(name.clone()),
            (_, Some(number)) if number != 0 => PortRef::Number(number),
            _ => PortRef::Implicit,
        }
    }

    /// Finds it, or says why not in Kong's words.
    pub(super) fn find(&self, service: &Service) -> Result<Port, String> {
        let spec = service.spec.as_ref();
        let external = spec.is_some_and(|spec| spec.type_.as_deref() == Some("ExternalName"));
        let ports = spec.and_then(|spec| spec.ports.as_deref()).unwrap_or_default();
        let found = match self {
            // An ExternalName Service declares no ports: the backend's number is all there is.
            PortRef::Number(number) if external => {
                return u16::try_from(*number)
                    .map(|number| Port { number, name: String::new(), protocol: "TCP".to_owned() })
                    .map_err(|_| format!("{number} is no port number"));
            }
            _ if external => {
                return Err("rules with an ExternalName service must specify numeric ports".to_owned());
            }
            PortRef::Number(number) => ports.iter().find(|port| port.port == *number),
            PortRef::Name(name) => ports.iter().find(|port| is_called(port, name)),
            PortRef::Implicit => match ports {
                [only] => Some(only),
                _ => {
                    return Err(format!(
                        "in implicit mode, service must have exactly 1 port, has {}",
                        ports.len()
                    ));
                }
            },
        };
        found.and_then(Port::of).ok_or_else(|| format!("no suitable port found{}", offered(ports)))
    }
}

/// The text in names of entities.
impl fmt::Display for PortRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            PortRef::Number(number) => write!(f, "{number}"),
            PortRef::Name(name) => f.write_str(name),
            PortRef::Implicit => f.write_str("implicitPort"),
        }
    }
}

impl Port {
    fn of(port: &ServicePort) -> Option<Port> {
        Some(Port {
            number: u16::try_from(port.port).ok()?,
            name: port.name.clone().unwrap_or_default(),
            protocol: port.protocol.clone().unwrap_or_else(|| "TCP".to_owned()),
        })
    }
}

/// A port is called by its own name or by that of the container port it leads to.
fn is_called(port: &ServicePort, name: &str) -> bool {
    port.name.as_deref() == Some(name)
        || matches!(&port.target_port, Some(IntOrString::String(target)) if target == name)
}

fn offered(ports: &[ServicePort]) -> String {
    if ports.is_empty() {
        return String::new();
    }
    let list: Vec<String> = ports
        .iter()
        .map(|port| match &port.name {
            Some(name) => format!("{name} ({})", port.port),
            None => port.port.to_string(),
        })
        .collect();
    format!(", it has {}", list.join(", "))
}
