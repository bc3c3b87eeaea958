//! `kong.client` and `kong.router`: who is asking, and which route took it.

use mlua::{Lua, Result, Table, Value};
use serde_json::{Value as Json, json};

use super::request::{from_json, scheme};
use super::{Functions, Subject};
use crate::plugins::log_entry::as_in_kong;

pub(super) fn client(lua: &Lua) -> Result<Table> {
    let functions = Functions::new(lua)?
        .reads("get_ip", |_, it, ()| {
            Ok(it.client.as_ref().map(|client| client.peer.ip().to_canonical().to_string()))
        })?
        .reads("get_forwarded_ip", |_, it, ()| Ok(address(it)))?
        .reads("get_port", |_, it, ()| Ok(it.client.as_ref().map(|client| client.peer.port())))?
        .reads("get_forwarded_port", |_, it, ()| Ok(it.client.as_ref().map(|client| client.peer.port())))?
        .reads("get_protocol", |_, it, _trusted: Option<bool>| Ok(scheme(it)))?
        .reads("get_consumer", |lua, it, ()| {
            let Some(consumer) = &it.consumer else { return Ok(Value::Nil) };
            let consumer = json!({
                "id": consumer.id,
                "username": consumer.username,
                "custom_id": consumer.custom_id,
                "tags": consumer.tags,
            });
            from_json(lua, &consumer)
        })?
        .reads("get_credential", |lua, it, ()| match it.credential {
            Some(id) => from_json(lua, &json!({ "id": id })),
            None => Ok(Value::Nil),
        })?;
    Ok(functions.table)
}

pub(super) fn router(lua: &Lua) -> Result<Table> {
    let functions = Functions::new(lua)?
        .reads("get_route", |lua, it, ()| {
            from_json(lua, &it.matched.as_ref().map_or(Json::Null, |matched| as_in_kong(&*matched.route)))
        })?
        .reads("get_service", |lua, it, ()| {
            let service = it.matched.as_ref().and_then(|matched| matched.service.as_deref());
            from_json(lua, &service.map_or(Json::Null, as_in_kong))
        })?;
    Ok(functions.table)
}

/// The address that a trusted proxy states, else the peer's.
pub(super) fn address(it: &Subject) -> Option<String> {
    it.client.as_ref().map(|client| client.address.to_canonical().to_string())
}
