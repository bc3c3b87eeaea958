//! `kong.service`: what the upstream gets, and what it answered.

use mlua::{Lua, Result, Table, Value};

use super::{Functions, Phase, Subject, header, headers, request, set_all, text, token};
use crate::exchange::Source;

const ACCESS: &[Phase] = &[Phase::Access];

pub(super) fn table(lua: &Lua) -> Result<Table> {
    let request = Functions::new(lua)?
        .changes("set_method", ACCESS, |it, method: String| {
            it.request.set_method(token(&method)?.as_bytes());
            Ok(())
        })?
        .changes("set_header", ACCESS, |it, (name, value): (String, Value)| {
            it.request.fields.set(token(&name)?, text(&value)?);
            Ok(())
        })?
        .changes("add_header", ACCESS, |it, (name, value): (String, Value)| {
            it.request.fields.append(token(&name)?, text(&value)?);
            Ok(())
        })?
        .changes("clear_header", ACCESS, |it, name: String| {
            it.request.fields.remove(name.as_str());
            Ok(())
        })?
        .changes("set_headers", ACCESS, |it, values: Table| set_all(&mut it.request.fields, &values))?
        .changes("set_raw_query", ACCESS, |it, query: String| {
            if query.bytes().any(|byte| byte <= b' ' || byte == 0x7f) {
                return Err(mlua::Error::runtime("a query can't have blanks: encode them"));
            }
            set_query(it, &query);
            Ok(())
        })?
        .changes("set_query", ACCESS, |it, arguments: Table| {
            let query = query_text(&arguments)?;
            set_query(it, &query);
            Ok(())
        })?;
    let response = Functions::new(lua)?
        .reads("get_status", |_, it, ()| Ok(answered(it).then_some(it.response.status)))?
        .reads("get_header", |lua, it, name: String| {
            let value = header(&it.response.fields, &name).filter(|_| answered(it));
            value.map(|value| lua.create_string(value)).transpose()
        })?
        .reads("get_headers", |lua, it, _most: Option<usize>| headers(lua, &it.response.fields))?;
    lua.create_table_from([("request", request.table), ("response", response.table)])
}

fn answered(it: &Subject) -> bool {
    it.source == Source::Service && it.response.status != 0
}

fn set_query(it: &mut Subject, query: &str) {
    let mut target = it.request.path().to_vec();
    if !query.is_empty() {
        target.push(b'?');
        target.extend_from_slice(query.as_bytes());
    }
    it.request.set_target(&target);
}

fn query_text(arguments: &Table) -> Result<String> {
    let mut parts = Vec::new();
    for pair in arguments.pairs::<mlua::LuaString, Value>() {
        let (name, value) = pair?;
        let name = request::encode(&name.as_bytes()).into_owned();
        let mut part = |value: &Value| {
            parts.push(match value {
                Value::Boolean(true) => name.clone(),
                other => format!("{name}={}", request::encode(&text(other)?)),
            });
            Ok::<_, mlua::Error>(())
        };
        match &value {
            Value::Boolean(false) => {}
            Value::Table(list) => {
                for item in list.sequence_values::<Value>() {
                    part(&item?)?;
                }
            }
            one => part(one)?,
        }
    }
    // The order of a table is arbitrary; that of a request should not be.
    parts.sort();
    Ok(parts.join("&"))
}
