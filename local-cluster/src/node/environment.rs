//! The environment of a container, as its pod asks for it.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{Container, EnvVar, EnvVarSource};
use serde_json::Value;

use super::ApiAccess;
use super::expansion::expand;
use super::pod_fields::{field, resource};
use super::settings_data::{Data, DataKind, Missing};
use crate::kinds::{self, namespace, text};
use crate::objects::Objects;

/// Variables in the order in which they were defined; later ones win.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Environment(Vec<(String, String)>);

impl Environment {
    /// # Errors
    /// Names what a variable needs and doesn't find.
    pub(super) fn of(
        objects: &Objects,
        api: &ApiAccess,
        pod: &Value,
        container: &Container,
    ) -> Result<Environment, Missing> {
        let mut environment = Environment::default();
        let linked = pod["spec"]["enableServiceLinks"] != false;
        for (name, value) in service_variables(objects, namespace(pod), linked) {
            environment.set(name, value);
        }
        // The API itself: its certificate is for this address, not for that of its Service.
        if let Some((host, port)) = api.host_and_port() {
            environment.set("KUBERNETES_SERVICE_HOST".to_owned(), host.to_owned());
            for name in ["KUBERNETES_SERVICE_PORT", "KUBERNETES_SERVICE_PORT_HTTPS"] {
                environment.set(name.to_owned(), port.to_string());
            }
        }
        for source in container.env_from.iter().flatten() {
            let prefix = source.prefix.as_deref().unwrap_or_default();
            let config_map =
                source.config_map_ref.as_ref().map(|one| (DataKind::ConfigMap, &one.name, one.optional));
            let secret = source.secret_ref.as_ref().map(|one| (DataKind::Secret, &one.name, one.optional));
            for (kind, name, optional) in config_map.into_iter().chain(secret) {
                let data = Data::read(objects, kind, namespace(pod), name);
                let data = match data {
                    Err(_) if optional == Some(true) => continue,
                    data => data?,
                };
                for (key, value) in data.texts() {
                    environment.set(format!("{prefix}{key}"), value);
                }
            }
        }
        for variable in container.env.iter().flatten() {
            if let Some(value) = environment.value(objects, pod, container, variable)? {
                environment.set(variable.name.clone(), value);
            }
        }
        Ok(environment)
    }

    pub(super) fn get(&self, name: &str) -> Option<String> {
        self.0.iter().find(|(known, _)| known == name).map(|(_, value)| value.clone())
    }

    /// A word with the variables in it replaced by their values.
    pub(super) fn expand(&self, word: &str) -> String {
        expand(word, |name| self.get(name))
    }

    pub(super) fn into_vec(self) -> Vec<(String, String)> {
        self.0
    }

    fn set(&mut self, name: String, value: String) {
        match self.0.iter_mut().find(|(known, _)| *known == name) {
            Some((_, old)) => *old = value,
            None => self.0.push((name, value)),
        }
    }

    fn value(
        &self,
        objects: &Objects,
        pod: &Value,
        container: &Container,
        variable: &EnvVar,
    ) -> Result<Option<String>, Missing> {
        match &variable.value_from {
            None => Ok(Some(self.expand(variable.value.as_deref().unwrap_or_default()))),
            Some(source) => from_source(objects, pod, container, source),
        }
    }
}

fn from_source(
    objects: &Objects,
    pod: &Value,
    container: &Container,
    source: &EnvVarSource,
) -> Result<Option<String>, Missing> {
    if let Some(wanted) = &source.field_ref {
        return field(pod, &wanted.field_path).map(Some);
    }
    if let Some(wanted) = &source.resource_field_ref {
        return resource(pod, container, wanted).map(Some);
    }
    let config_map = source
        .config_map_key_ref
        .as_ref()
        .map(|one| (DataKind::ConfigMap, &one.name, &one.key, one.optional));
    let secret =
        source.secret_key_ref.as_ref().map(|one| (DataKind::Secret, &one.name, &one.key, one.optional));
    let Some((kind, name, key, optional)) = config_map.or(secret) else { return Ok(None) };
    let found = Data::read(objects, kind, namespace(pod), name).and_then(|data| data.text(key));
    match found {
        Err(_) if optional == Some(true) => Ok(None),
        found => found.map(Some),
    }
}

/// `ECHO_SERVICE_HOST` and its relatives for each Service of the namespace, and always those of the API itself.
fn service_variables(objects: &Objects, space: &str, linked: bool) -> BTreeMap<String, String> {
    let mut variables = BTreeMap::new();
    let mut services =
        objects.get(&kinds::services(), "default", "kubernetes").into_iter().collect::<Vec<_>>();
    if linked {
        let others = objects.list(&kinds::services(), Some(space));
        services.extend(others.into_iter().filter(|service| text(service, "/metadata/name") != "kubernetes"));
    }
    for service in services {
        let address = text(&service, "/spec/clusterIP");
        if matches!(address, "" | "None") {
            continue;
        }
        let name = kinds::name(&service).to_uppercase().replace('-', "_");
        variables.insert(format!("{name}_SERVICE_HOST"), address.to_owned());
        for (index, port) in service["spec"]["ports"].as_array().into_iter().flatten().enumerate() {
            let number = port["port"].as_i64().unwrap_or_default();
            let protocol = port["protocol"].as_str().unwrap_or("TCP");
            let lower = protocol.to_lowercase();
            if index == 0 {
                variables.insert(format!("{name}_SERVICE_PORT"), number.to_string());
                variables.insert(format!("{name}_PORT"), format!("{lower}://{address}:{number}"));
            }
            if let Some(port_name) = port["name"].as_str().filter(|name| !name.is_empty()) {
                let port_name = port_name.to_uppercase().replace('-', "_");
                variables.insert(format!("{name}_SERVICE_PORT_{port_name}"), number.to_string());
            }
            let prefix = format!("{name}_PORT_{number}_{protocol}");
            variables.insert(prefix.clone(), format!("{lower}://{address}:{number}"));
            variables.insert(format!("{prefix}_PROTO"), lower);
            variables.insert(format!("{prefix}_PORT"), number.to_string());
            variables.insert(format!("{prefix}_ADDR"), address.to_owned());
        }
    }
    variables
}

#[cfg(test)]
mod tests;
