//! The `ngx` of usual snippets: variables of the request, the time, and encodings.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use mlua::{Lua, LuaString, Result, Table, Value};

use super::client::address;
use super::request::{argument, encode, host, port, scheme};
use super::{Subject, header, subject};
use crate::http::{query, target};

pub(super) fn table(lua: &Lua) -> Result<Table> {
    let ngx = lua.create_table()?;
    ngx.set("var", variables(lua)?)?;
    ngx.set("null", Value::NULL)?;
    let seconds = |lua: &Lua| Ok::<_, mlua::Error>(subject(lua)?.started_ms as f64 / 1_000.0);
    // One time for all of a request: that at which it came.
    ngx.set("now", lua.create_function(move |lua, ()| seconds(lua))?)?;
    ngx.set("time", lua.create_function(move |lua, ()| Ok(seconds(lua)?.floor()))?)?;
    ngx.set(
        "encode_base64",
        lua.create_function(|_, text: LuaString| Ok(BASE64_STANDARD.encode(text.as_bytes())))?,
    )?;
    ngx.set(
        "decode_base64",
        lua.create_function(|lua, text: LuaString| {
            BASE64_STANDARD.decode(text.as_bytes()).ok().map(|bytes| lua.create_string(bytes)).transpose()
        })?,
    )?;
    ngx.set(
        "escape_uri",
        lua.create_function(|_, text: LuaString| Ok(encode(&text.as_bytes()).into_owned()))?,
    )?;
    ngx.set(
        "unescape_uri",
        lua.create_function(|lua, text: LuaString| lua.create_string(query::decode(&text.as_bytes())))?,
    )?;
    Ok(ngx)
}

/// Read-only; what is not known is nil.
fn variables(lua: &Lua) -> Result<Table> {
    let index =
        lua.create_function(|lua, (_, name): (Value, String)| variable(lua, &*subject(lua)?, &name))?;
    let newindex = lua.create_function(|_, (_, name): (Value, String)| -> Result<()> {
        Err(mlua::Error::runtime(format!(
            "ngx.var.{name} can't be set: use kong.service.request or kong.response"
        )))
    })?;
    let behind = lua.create_table()?;
    behind.set("__index", index)?;
    behind.set("__newindex", newindex)?;
    let variables = lua.create_table()?;
    variables.set_metatable(Some(behind))?;
    Ok(variables)
}

fn variable(lua: &Lua, it: &Subject, name: &str) -> Result<Value> {
    let bytes = |bytes: &[u8]| lua.create_string(bytes).map(Value::String);
    let optional = |text: Option<String>| text.map_or(Ok(Value::Nil), |text| bytes(text.as_bytes()));
    if let Some(name) = name.strip_prefix("http_") {
        return header(&it.request.fields, name).map_or(Ok(Value::Nil), bytes);
    }
    if let Some(name) = name.strip_prefix("sent_http_") {
        return header(&it.response.fields, name).map_or(Ok(Value::Nil), bytes);
    }
    if let Some(name) = name.strip_prefix("arg_") {
        return argument(lua, it, &lua.create_string(name)?);
    }
    match name {
        "request_method" => bytes(it.request.method_bytes()),
        "request_uri" => bytes(target::resource(it.request.target())),
        "uri" => bytes(it.path.as_bytes()),
        "args" | "query_string" => it.request.query().map_or(Ok(Value::Nil), bytes),
        "scheme" => bytes(scheme(it).as_bytes()),
        "host" => bytes(host(it).as_bytes()),
        "server_port" => optional(port(it).map(|port| port.to_string())),
        "remote_addr" => optional(address(it)),
        "remote_port" => optional(it.client.as_ref().map(|client| client.peer.port().to_string())),
        "request_id" | "kong_request_id" => optional(it.id.as_ref().map(|id| id.as_str().to_owned())),
        "status" if it.response.status != 0 => optional(Some(it.response.status.to_string())),
        _ => Ok(Value::Nil),
    }
}
