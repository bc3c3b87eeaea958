//! Kong's `ip-restriction`: who may pass by the address they come from. A denied address is refused, then one
//! that a given list of allowed ones doesn't have.
//!
//! The address is the client's as the connection or a trusted proxy states it; no header is looked at here.

pub mod set;

use std::borrow::Cow;
use std::sync::Arc;

use admin_api::Reason;
use serde::Deserialize;

use self::set::AddressSet;
use super::registry::Build;
use super::{Flow, Phases, Plugin, refuse};
use crate::exchange::Exchange;
use crate::model::Protocol;
use crate::schema::{Check, PluginSchema, Record, Type, array, field, number, string, typedefs};

static CONFIG: Record = Record::new(&[
    field(
        "allow",
        array(&ADDRESS).about("addresses and networks that may pass; without it all that are not denied"),
    ),
    field("deny", array(&ADDRESS).about("addresses and networks that may not pass")),
    field("status", number().about("status of a refusal; 403 without it")),
    field("message", string().about("message of a refusal; names the address without it")),
]);
static ADDRESS: Type = typedefs::ip_or_cidr();
pub static SCHEMA: PluginSchema = PluginSchema::new("ip-restriction", &CONFIG)
    .protocols(&[
        Protocol::Http,
        Protocol::Https,
        Protocol::Tcp,
        Protocol::Tls,
        Protocol::Grpc,
        Protocol::Grpcs,
    ])
    .checks(&[Check::AtLeastOneOf(&["config.allow", "config.deny"])])
    .about("lets clients pass by their address");

struct IpRestriction {
    /// `None` lets everybody pass.
    allow: Option<AddressSet>,
    deny: AddressSet,
    status: f64,
    message: Option<String>,
}

#[derive(Deserialize)]
struct Settings {
    allow: Option<Vec<String>>,
    deny: Option<Vec<String>>,
    status: Option<f64>,
    message: Option<String>,
}

pub fn build(build: &Build<'_>) -> Result<Arc<dyn Plugin>, String> {
    let settings: Settings = build.settings()?;
    let allow = settings.allow.unwrap_or_default();
    Ok(Arc::new(IpRestriction {
        allow: if allow.is_empty() { None } else { Some(AddressSet::parse(&allow)?) },
        deny: AddressSet::parse(&settings.deny.unwrap_or_default())?,
        status: settings.status.unwrap_or(403.0),
        message: settings.message,
    }))
}

impl Plugin for IpRestriction {
    fn phases(&self) -> Phases {
        Phases::ACCESS
    }

    fn access<'a>(&'a self, exchange: &'a mut Exchange) -> Flow<'a> {
        let address = exchange.client.address;
        let allowed = || self.allow.as_ref().is_none_or(|allow| allow.contains(address));
        if !self.deny.contains(address) && allowed() {
            return Flow::Next;
        }
        let message = match &self.message {
            Some(message) => message.clone(),
            None => format!("IP address not allowed: {}", address.to_canonical()),
        };
        refuse(self.status, Cow::Owned(message), Reason::IpDenied)
    }
}

#[cfg(test)]
mod tests;
