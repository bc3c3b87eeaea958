//! Kong's `acl`: which groups of consumers may pass.

use std::borrow::Cow;
use std::sync::Arc;

use admin_api::Reason;
use serde::Deserialize;

use super::registry::Build;
use super::{Flow, Phases, Plugin, refuse};
use crate::exchange::Exchange;
use crate::schema::Literal::Bool;
use crate::schema::{Check, PluginSchema, Record, Type, array, boolean, field, string};

static CONFIG: Record = Record::new(&[
    field("allow", array(&GROUP).about("groups that may pass")),
    field("deny", array(&GROUP).about("groups that may not")),
    field(
        "hide_groups_header",
        boolean().required().default(Bool(false)).about("don't tell the upstream the consumer's groups"),
    ),
    field(
        "always_use_authenticated_groups",
        boolean()
            .required()
            .default(Bool(false))
            .about("prefer groups that an authentication plugin found; none here does"),
    ),
]);
static GROUP: Type = string();
pub static SCHEMA: PluginSchema = PluginSchema::new("acl", &CONFIG)
    .no_consumer_scope()
    .checks(&[
        Check::OnlyOneOf(&["config.allow", "config.deny"]),
        Check::AtLeastOneOf(&["config.allow", "config.deny"]),
    ])
    .about("lets consumers pass by their groups");

const GROUPS_HEADER: &str = "X-Consumer-Groups";

struct Acl {
    list: List,
    hide_groups_header: bool,
}

enum List {
    Allow(Vec<String>),
    Deny(Vec<String>),
}

#[derive(Deserialize)]
struct Settings {
    allow: Option<Vec<String>>,
    deny: Option<Vec<String>>,
    hide_groups_header: bool,
}

pub fn build(build: &Build<'_>) -> Result<Arc<dyn Plugin>, String> {
    let settings: Settings = build.settings()?;
    let list = match settings.allow.filter(|allow| !allow.is_empty()) {
        Some(allow) => List::Allow(allow),
        None => List::Deny(settings.deny.unwrap_or_default()),
    };
    Ok(Arc::new(Acl { list, hide_groups_header: settings.hide_groups_header }))
}

impl Plugin for Acl {
    fn phases(&self) -> Phases {
        Phases::ACCESS
    }

    fn access<'a>(&'a self, exchange: &'a mut Exchange) -> Flow<'a> {
        let Some(consumer) = &exchange.consumer else { return refusal(exchange.credential.is_some()) };
        let is_in = |list: &[String]| consumer.groups.iter().any(|group| list.contains(group));
        match &self.list {
            List::Deny(deny) if is_in(deny) => return refusal(true),
            // Who has no group at all might only have failed to identify themselves.
            List::Allow(_) if consumer.groups.is_empty() => return refusal(exchange.credential.is_some()),
            List::Allow(allow) if !is_in(allow) => return refusal(true),
            _ => {}
        }
        let groups = consumer.groups.join(", ");
        let headers = &mut exchange.request.fields;
        headers.retain(|field| !field.name.eq_ignore_ascii_case(GROUPS_HEADER.as_bytes()));
        if !self.hide_groups_header {
            headers.append(GROUPS_HEADER, groups);
        }
        Flow::Next
    }
}

fn refusal<'a>(known: bool) -> Flow<'a> {
    if known {
        refuse(403.0, Cow::Borrowed("You cannot consume this service"), Reason::Forbidden)
    } else {
        refuse(401.0, Cow::Borrowed("Unauthorized"), Reason::Unauthorized)
    }
}

#[cfg(test)]
mod tests;
