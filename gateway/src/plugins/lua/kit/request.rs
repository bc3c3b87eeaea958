//! `kong.request`: what the client sent.

use std::borrow::Cow;

use mlua::{Lua, LuaString, Result, Table, Value};
use serde_json::Value as Json;

use super::{Functions, Subject, grouped, header, headers};
use crate::http::head::Version;
use crate::http::name::Name;
use crate::http::{query, target};

pub(super) fn table(lua: &Lua) -> Result<Table> {
    let functions = Functions::new(lua)?
        .reads("get_method", |lua, it, ()| lua.create_string(it.request.method_bytes()))?
        .reads("get_scheme", |_, it, ()| Ok(scheme(it)))?
        .reads("get_host", |_, it, ()| Ok(host(it)))?
        .reads("get_port", |_, it, ()| Ok(port(it)))?
        .reads("get_forwarded_scheme", |_, it, ()| Ok(forwarded_scheme(it)))?
        .reads("get_forwarded_host", |_, it, ()| Ok(host(it)))?
        .reads("get_forwarded_port", |_, it, ()| Ok(port(it)))?
        .reads("get_forwarded_path", |lua, it, ()| lua.create_string(it.request.path()))?
        .reads("get_http_version", |_, it, ()| {
            Ok(match it.request.version {
                Version::Http10 => 1.0,
                Version::Http11 => 1.1,
                Version::Http2 => 2.0,
            })
        })?
        .reads("get_path", |_, it, ()| Ok(it.path.clone()))?
        .reads("get_raw_path", |lua, it, ()| lua.create_string(it.request.path()))?
        .reads("get_path_with_query", |lua, it, ()| lua.create_string(target::resource(it.request.target())))?
        .reads("get_raw_query", |lua, it, ()| lua.create_string(it.request.query().unwrap_or_default()))?
        .reads("get_query", |lua, it, _most: Option<usize>| {
            let arguments = query::arguments(it.request.query().unwrap_or_default());
            grouped(lua, arguments.map(|argument| (argument.name, argument.value)))
        })?
        .reads("get_query_arg", |lua, it, name: LuaString| argument(lua, it, &name))?
        .reads("get_header", |lua, it, name: String| {
            header(&it.request.fields, &name).map(|value| lua.create_string(value)).transpose()
        })?
        .reads("get_headers", |lua, it, _most: Option<usize>| headers(lua, &it.request.fields))?
        .reads("get_raw_body", |lua, it, ()| {
            it.body.as_deref().map(|body| lua.create_string(body)).transpose()
        })?
        .reads("get_body", |lua, it, _type: Option<String>| body(lua, it))?
        .reads("get_uri_captures", |lua, it, ()| captures(lua, it))?
        .reads("get_start_time", |_, it, ()| Ok(it.started_ms as f64))?;
    Ok(functions.table)
}

pub(super) fn scheme(it: &Subject) -> &'static str {
    if it.client.as_ref().is_some_and(|client| client.tls.is_some()) { "https" } else { "http" }
}

pub(super) fn host(it: &Subject) -> String {
    target::host(it.request.target(), &it.request.fields)
}

pub(super) fn port(it: &Subject) -> Option<u16> {
    it.client.as_ref().map(|client| client.local.port())
}

fn forwarded_scheme(it: &Subject) -> &'static str {
    if it.client.as_ref().is_some_and(|client| client.secure) { "https" } else { "http" }
}

/// The first value of an argument; true for one without a `=`.
pub(super) fn argument(lua: &Lua, it: &Subject, name: &LuaString) -> Result<Value> {
    let mut arguments = query::arguments(it.request.query().unwrap_or_default());
    Ok(match arguments.find(|argument| *argument.name == *name.as_bytes()) {
        None => Value::Nil,
        Some(query::Argument { value: None, .. }) => Value::Boolean(true),
        Some(query::Argument { value: Some(value), .. }) => Value::String(lua.create_string(value)?),
    })
}

/// Forms and JSON; nil and a message for what can't be read.
fn body(lua: &Lua, it: &Subject) -> Result<(Value, Option<&'static str>)> {
    let Some(body) = it.body.as_deref() else { return Ok((Value::Nil, Some("there is no body to be seen"))) };
    let kind = it.request.fields.get_str(Name::ContentType).unwrap_or_default();
    if kind.starts_with("application/x-www-form-urlencoded") {
        let arguments = query::arguments(body).map(|argument| (argument.name, argument.value));
        return Ok((Value::Table(grouped(lua, arguments)?), None));
    }
    if kind.starts_with("application/json") {
        return Ok(match serde_json::from_slice(body) {
            Ok(value) => (from_json(lua, &value)?, None),
            Err(_) => (Value::Nil, Some("invalid json body")),
        });
    }
    Ok((Value::Nil, Some("the body's content type is not supported")))
}

fn captures(lua: &Lua, it: &Subject) -> Result<Table> {
    let (named, unnamed) = (lua.create_table()?, lua.create_table()?);
    if let Some(matched) = &it.matched {
        for (name, text) in &matched.named_captures {
            named.set(name.as_str(), text.as_str())?;
        }
        for text in matched.captures.iter().skip(1) {
            unnamed.raw_push(text.as_str())?;
        }
    }
    lua.create_table_from([("named", named), ("unnamed", unnamed)])
}

/// JSON as Lua values; null is nil.
pub(super) fn from_json(lua: &Lua, value: &Json) -> Result<Value> {
    Ok(match value {
        Json::Null => Value::Nil,
        Json::Bool(bool) => Value::Boolean(*bool),
        Json::Number(number) => Value::Number(number.as_f64().unwrap_or_default()),
        Json::String(text) => Value::String(lua.create_string(text)?),
        Json::Array(items) => {
            let list = lua.create_table()?;
            for item in items {
                list.raw_push(from_json(lua, item)?)?;
            }
            Value::Table(list)
        }
        Json::Object(object) => {
            let table = lua.create_table()?;
            for (key, item) in object {
                table.raw_set(key.as_str(), from_json(lua, item)?)?;
            }
            Value::Table(table)
        }
    })
}

/// Percent-encodes what can't stand in a query argument.
pub(super) fn encode(text: &[u8]) -> Cow<'_, str> {
    percent_encoding::percent_encode(text, percent_encoding::NON_ALPHANUMERIC).into()
}
