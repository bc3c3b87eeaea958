//! The part of Kong's plugin development kit that chunks get: reading request and response, who and what was
//! matched, changing what the upstream and the client see, answering, logging; and the `ngx` that usual
//! snippets use.
//!
//! Left out are functions that would need another process, the network, or a body under way
//! (`kong.cache`, `kong.db`, `kong.service.set_target`, `kong.response.set_raw_body`, …): they are nil.

mod client;
mod ngx;
mod request;
mod response;
mod upstream;

use mlua::{AppDataRef, AppDataRefMut, FromLuaMulti, IntoLuaMulti, Lua, Result, Table, Value, Variadic};

use super::{Phase, Subject};
use crate::http::fields::Fields;

/// Adds `kong` and `ngx` to what chunks see.
pub(super) fn install(lua: &Lua, visible: &Table) -> Result<()> {
    let kong = lua.create_table()?;
    kong.set("request", request::table(lua)?)?;
    kong.set("response", response::table(lua)?)?;
    kong.set("service", upstream::table(lua)?)?;
    kong.set("client", client::client(lua)?)?;
    kong.set("router", client::router(lua)?)?;
    kong.set("log", log(lua)?)?;
    visible.set("kong", kong)?;
    visible.set("ngx", ngx::table(lua)?)
}

/// The functions of one table.
struct Functions<'lua> {
    lua: &'lua Lua,
    table: Table,
}

impl<'lua> Functions<'lua> {
    fn new(lua: &'lua Lua) -> Result<Functions<'lua>> {
        Ok(Functions { lua, table: lua.create_table()? })
    }

    /// A function that looks at the subject.
    fn reads<A, R>(self, name: &str, read: fn(&Lua, &Subject, A) -> Result<R>) -> Result<Self>
    where
        A: FromLuaMulti + 'static,
        R: IntoLuaMulti + 'static,
    {
        let function =
            self.lua.create_function(move |lua, arguments: A| read(lua, &*subject(lua)?, arguments))?;
        self.table.set(name, function)?;
        Ok(self)
    }

    /// A function that changes the subject, in some phases only.
    fn changes<A>(
        self,
        name: &'static str,
        phases: &'static [Phase],
        change: fn(&mut Subject, A) -> Result<()>,
    ) -> Result<Self>
    where
        A: FromLuaMulti + 'static,
    {
        let function = self.lua.create_function(move |lua, arguments: A| {
            let mut subject = subject_mut(lua)?;
            if !phases.contains(&subject.phase) {
                return Err(mlua::Error::runtime(format!("{name} can't be called in this phase")));
            }
            change(&mut subject, arguments)
        })?;
        self.table.set(name, function)?;
        Ok(self)
    }
}

fn subject(lua: &Lua) -> Result<AppDataRef<'_, Subject>> {
    lua.app_data_ref::<Subject>().ok_or_else(|| mlua::Error::runtime("there is no request"))
}

fn subject_mut(lua: &Lua) -> Result<AppDataRefMut<'_, Subject>> {
    lua.app_data_mut::<Subject>().ok_or_else(|| mlua::Error::runtime("there is no request"))
}

/// The first value of a header. `_` in the name stands for `-`.
fn header<'a>(fields: &'a Fields, name: &str) -> Option<&'a [u8]> {
    fields.get(name).or_else(|| fields.get(&*name.replace('_', "-")))
}

/// What can be a header's name or a method. Chunks work with what clients sent, which may try to add lines.
fn token(text: &str) -> Result<&str> {
    let is_token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    if !text.is_empty() && text.bytes().all(is_token) {
        return Ok(text);
    }
    Err(mlua::Error::runtime(format!("{text:?} can't be a name")))
}

/// What can be a header's value: text, a number or a boolean, on one line.
fn text(value: &Value) -> Result<Vec<u8>> {
    let text = match value {
        Value::String(text) => text.as_bytes().to_vec(),
        Value::Integer(_) | Value::Number(_) | Value::Boolean(_) => value.to_string()?.into_bytes(),
        other => return Err(mlua::Error::runtime(format!("a {} can't be sent", other.type_name()))),
    };
    if text.iter().any(|byte| matches!(byte, b'\r' | b'\n' | 0)) {
        return Err(mlua::Error::runtime("a header's value can't have more than one line"));
    }
    Ok(text)
}

/// Sets headers by name; a list makes several lines.
fn set_all(fields: &mut Fields, values: &Table) -> Result<()> {
    for pair in values.pairs::<String, Value>() {
        let (name, value) = pair?;
        let name = token(&name)?;
        match value {
            Value::Table(lines) => {
                fields.remove(name);
                for line in lines.sequence_values::<Value>() {
                    fields.append(name, text(&line?)?);
                }
            }
            one => fields.set(name, text(&one)?),
        }
    }
    Ok(())
}

/// All headers by lower-case name; a repeated one is a list.
fn headers(lua: &Lua, fields: &Fields) -> Result<Table> {
    let lines = fields.iter().map(|field| (field.name.to_ascii_lowercase(), Some(field.value)));
    grouped(lua, lines)
}

/// A table of names and values; a value that is missing is true, a name that comes again makes a list.
fn grouped<N: AsRef<[u8]>, V: AsRef<[u8]>>(
    lua: &Lua,
    items: impl Iterator<Item = (N, Option<V>)>,
) -> Result<Table> {
    let table = lua.create_table()?;
    for (name, value) in items {
        let name = lua.create_string(name)?;
        let value = match value {
            Some(value) => Value::String(lua.create_string(value)?),
            None => Value::Boolean(true),
        };
        match table.raw_get(&name)? {
            Value::Nil => table.raw_set(name, value)?,
            Value::Table(list) => list.raw_push(value)?,
            first => table.raw_set(name, lua.create_sequence_from([first, value])?)?,
        }
    }
    Ok(table)
}

/// `kong.log(…)`, `kong.log.warn(…)` and so on.
fn log(lua: &Lua) -> Result<Table> {
    const LEVELS: &[(&str, tracing::Level)] = &[
        ("debug", tracing::Level::DEBUG),
        ("info", tracing::Level::INFO),
        ("notice", tracing::Level::INFO),
        ("warn", tracing::Level::WARN),
        ("err", tracing::Level::ERROR),
        ("crit", tracing::Level::ERROR),
        ("alert", tracing::Level::ERROR),
        ("emerg", tracing::Level::ERROR),
    ];
    let log = lua.create_table()?;
    for (name, level) in LEVELS {
        log.set(*name, lua.create_function(move |_, parts: Variadic<Value>| say(*level, &parts))?)?;
    }
    log.set("inspect", lua.create_function(|_, parts: Variadic<Value>| say(tracing::Level::DEBUG, &parts))?)?;
    let call =
        lua.create_function(|_, (_, parts): (Value, Variadic<Value>)| say(tracing::Level::INFO, &parts))?;
    let behind = lua.create_table()?;
    behind.set("__call", call)?;
    log.set_metatable(Some(behind))?;
    Ok(log)
}

fn say(level: tracing::Level, parts: &[Value]) -> Result<()> {
    let texts = parts.iter().map(Value::to_string).collect::<Result<Vec<_>>>()?;
    let text = texts.concat();
    match level {
        tracing::Level::ERROR => tracing::error!("{text}"),
        tracing::Level::WARN => tracing::warn!("{text}"),
        tracing::Level::INFO => tracing::info!("{text}"),
        _ => tracing::debug!("{text}"),
    }
    Ok(())
}
