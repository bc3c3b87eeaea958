//! What the cluster's own parts ask for in the way of a client, so that webhooks see it.

use std::sync::Arc;

use http::{HeaderMap, Method};
use serde_json::Value;

use super::call::Call;
use super::path::Target;
use super::query::{Query, WriteOptions};
use super::{Api, Asked};
use crate::credentials::User;
use crate::failure::Failure;
use crate::objects::{Object, Resource};

const WHO: &str = "kube-controller-manager";

impl Api {
    /// Makes an object of a built-in kind.
    pub(crate) async fn create(self: Arc<Api>, resource: Resource, object: Value) -> Result<Object, Failure> {
        let table = self.objects.kinds().now();
        let kind = table.stored(&resource).ok_or_else(Failure::no_such_resource)?;
        let text = |value: &Value| value.as_str().map(str::to_owned);
        let target = Target {
            group: resource.group.to_string(),
            version: kind.version.to_string(),
            namespace: text(&object["metadata"]["namespace"]),
            plural: resource.plural.to_string(),
            ..Target::default()
        };
        let user = User { name: format!("system:{WHO}"), ..User::default() };
        let query = Query::parse(&format!("fieldManager={WHO}"));
        let asked =
            Asked { method: Method::POST, path: String::new(), query, headers: HeaderMap::new(), user };
        let options = WriteOptions::read(&asked.query, "CreateOptions", WHO, false)?;
        let call = Call::new(&self, &table, asked, target, false)?.ok_or_else(Failure::no_such_resource)?;
        let made = call.create_object(object, &options, Call::author(&options, ""), false).await;
        made.map(|(object, _)| object)
    }
}
