//! The names of a cluster, as Kubernetes' DNS specification 1.1.0 has them: `svc.ns.svc.cluster.local` and its
//! relatives. What `/etc/resolv.conf` of a pod would complete (`svc.ns.svc`) is known without the cluster's
//! domain too, because a process has no such file of its own.

use std::net::{IpAddr, Ipv4Addr};

use hickory_proto::op::Query;
use hickory_proto::rr::rdata::{A, CNAME, SRV};
use hickory_proto::rr::{DNSClass, Name, RData, Record, RecordType};
use serde_json::Value;

use super::TTL;
use crate::kinds::{self, text};
use crate::node::port_map::PortMap;
use crate::objects::{Object, Objects};

const DOMAIN: &str = "cluster.local";

pub(super) enum Answer {
    /// A name of the world outside.
    NotOurs,
    NoSuchName,
    /// None of the kind asked for, perhaps; the name exists.
    Records(Vec<Record>),
    /// The record of an alias, and the name it stands for.
    Alias(Box<Record>, Name),
}

pub(super) fn answer(objects: &Objects, query: &Query) -> Answer {
    let asked = query.name().to_lowercase().to_ascii();
    let asked = asked.trim_end_matches('.');
    if asked == "localhost" {
        return addresses(query, [Ipv4Addr::LOCALHOST]);
    }
    let inside = asked
        .strip_suffix(DOMAIN)
        .and_then(|rest| rest.strip_suffix('.').or(Some(rest).filter(|rest| rest.is_empty())));
    let name = match inside {
        Some("") => return Answer::Records(Vec::new()),
        Some(inside) => inside,
        None if asked.rsplit('.').next() == Some("svc") => asked,
        None => return Answer::NotOurs,
    };
    if query.query_class() != DNSClass::IN {
        return Answer::NoSuchName;
    }
    let labels: Vec<&str> = name.split('.').collect();
    let found = match labels[..] {
        ["svc" | "pod"] => Some(Answer::Records(Vec::new())),
        [space, "svc" | "pod"] => has_namespace(objects, space).then(|| Answer::Records(Vec::new())),
        [dashed, space, "pod"] => pod(objects, query, dashed, space),
        [service, space, "svc"] => find(objects, space, service).map(|found| whole(objects, query, &found)),
        [host, service, space, "svc"] if !host.starts_with('_') => {
            find(objects, space, service).and_then(|found| one_endpoint(objects, query, &found, host))
        }
        [port, protocol, service, space, "svc"] => {
            find(objects, space, service).and_then(|found| one_port(objects, query, &found, port, protocol))
        }
        _ => None,
    };
    found.unwrap_or(Answer::NoSuchName)
}

fn has_namespace(objects: &Objects, space: &str) -> bool {
    objects.get(&kinds::namespaces(), "", space).is_some()
}

fn find(objects: &Objects, space: &str, name: &str) -> Option<Object> {
    objects.get(&kinds::services(), space, name)
}

/// `127-83-128-1` as an address.
fn dashed_address(dashed: &str) -> Option<Ipv4Addr> {
    dashed.replace('-', ".").parse().ok()
}

fn dashed_name(address: Ipv4Addr) -> String {
    address.to_string().replace('.', "-")
}

fn pod(objects: &Objects, query: &Query, dashed: &str, space: &str) -> Option<Answer> {
    let address = dashed_address(dashed)?;
    has_namespace(objects, space).then(|| addresses(query, [address]))
}

fn addresses(query: &Query, addresses: impl IntoIterator<Item = Ipv4Addr>) -> Answer {
    if query.query_type() != RecordType::A {
        return Answer::Records(Vec::new());
    }
    let record = |address| Record::from_rdata(query.name().clone(), TTL, RData::A(A(address)));
    Answer::Records(addresses.into_iter().map(record).collect())
}

/// What the name of a Service itself stands for.
fn whole(objects: &Objects, query: &Query, service: &Value) -> Answer {
    if text(service, "/spec/type") == "ExternalName" {
        let target = text(service, "/spec/externalName").trim_end_matches('.');
        return match Name::from_ascii(format!("{target}.")) {
            Ok(target) => {
                let alias =
                    Record::from_rdata(query.name().clone(), TTL, RData::CNAME(CNAME(target.clone())));
                Answer::Alias(Box::new(alias), target)
            }
            Err(_) => Answer::NoSuchName,
        };
    }
    let endpoints = endpoints(objects, service);
    match (query.query_type(), cluster_address(service)) {
        (RecordType::SRV, _) => {
            let ports = service["spec"]["ports"].as_array().into_iter().flatten();
            Answer::Records(ports.flat_map(|port| pointers(query, service, &endpoints, port)).collect())
        }
        (_, Some(address)) => addresses(query, [address]),
        // A headless Service without pods is a name that nobody knows, yet.
        (_, None) if endpoints.is_empty() => Answer::NoSuchName,
        (_, None) => addresses(query, endpoints.iter().map(|endpoint| endpoint.address)),
    }
}

fn cluster_address(service: &Value) -> Option<Ipv4Addr> {
    text(service, "/spec/clusterIP").parse().ok()
}

struct Endpoint {
    address: Ipv4Addr,
    /// Its own host name, or its address with dashes.
    host: String,
    /// Number by name.
    ports: Vec<(String, u16)>,
}

/// What stands behind a Service and is ready.
fn endpoints(objects: &Objects, service: &Value) -> Vec<Endpoint> {
    let slices = objects.list(&kinds::endpoint_slices(), Some(kinds::namespace(service)));
    let mut found = Vec::new();
    for slice in slices {
        if slice["metadata"]["labels"]["kubernetes.io/service-name"] != kinds::name(service) {
            continue;
        }
        let ports = slice["ports"].as_array().into_iter().flatten().filter_map(|port| {
            let name = port["name"].as_str().unwrap_or_default().to_owned();
            Some((name, u16::try_from(port["port"].as_u64()?).ok()?))
        });
        let ports: Vec<(String, u16)> = ports.collect();
        for endpoint in slice["endpoints"].as_array().into_iter().flatten() {
            if endpoint["conditions"]["ready"] == false {
                continue;
            }
            let addresses = endpoint["addresses"].as_array().into_iter().flatten();
            for address in addresses.filter_map(|address| address.as_str()?.parse::<IpAddr>().ok()) {
                let IpAddr::V4(address) = address else { continue };
                let host =
                    endpoint["hostname"].as_str().map_or_else(|| dashed_name(address), ToOwned::to_owned);
                found.push(Endpoint { address, host, ports: ports.clone() });
            }
        }
    }
    found
}

/// `pod-1.service.namespace.svc`
fn one_endpoint(objects: &Objects, query: &Query, service: &Value, host: &str) -> Option<Answer> {
    let endpoints = endpoints(objects, service);
    let found: Vec<Ipv4Addr> =
        endpoints.iter().filter(|endpoint| endpoint.host == host).map(|endpoint| endpoint.address).collect();
    (!found.is_empty()).then(|| addresses(query, found))
}

/// `_http._tcp.service.namespace.svc`
fn one_port(objects: &Objects, query: &Query, service: &Value, port: &str, protocol: &str) -> Option<Answer> {
    let (name, protocol) = (port.strip_prefix('_')?, protocol.strip_prefix('_')?);
    let mut ports = service["spec"]["ports"].as_array()?.iter();
    let port = ports.find(|one| {
        let spoken = one["protocol"].as_str().unwrap_or("TCP");
        one["name"] == name && spoken.eq_ignore_ascii_case(protocol)
    })?;
    if query.query_type() != RecordType::SRV {
        return Some(Answer::Records(Vec::new()));
    }
    Some(Answer::Records(pointers(query, service, &endpoints(objects, service), port)))
}

/// SRV records of a port: to the cluster address, or to every endpoint of a headless Service.
fn pointers(query: &Query, service: &Value, endpoints: &[Endpoint], port: &Value) -> Vec<Record> {
    let home = format!("{}.{}.svc.{DOMAIN}.", kinds::name(service), kinds::namespace(service));
    let record = |port: u16, target: String| {
        let target = Name::from_ascii(target).ok()?;
        Some(Record::from_rdata(query.name().clone(), TTL, RData::SRV(SRV::new(0, 100, port, target))))
    };
    if cluster_address(service).is_some() {
        let number = port["port"].as_i64().and_then(|port| i32::try_from(port).ok()).unwrap_or_default();
        let real = PortMap::of(service).outside(number);
        return u16::try_from(real).ok().and_then(|real| record(real, home)).into_iter().collect();
    }
    let name = port["name"].as_str().unwrap_or_default();
    let pointers = endpoints.iter().filter_map(|endpoint| {
        let (_, number) = endpoint.ports.iter().find(|(one, _)| one == name)?;
        record(*number, format!("{}.{home}", endpoint.host))
    });
    pointers.collect()
}
