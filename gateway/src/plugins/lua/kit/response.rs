//! `kong.response`: what the client gets.

use std::borrow::Cow;

use admin_api::Reason;
use bytes::Bytes;
use mlua::{Lua, Result, Table, Value};

use super::super::to_json;
use super::{Functions, Phase, Subject, header, headers, set_all, text, token};
use crate::exchange::{Answer, Source};
use crate::http::fields::Fields;
use crate::plugins::json;

/// Phases in which the answer's head can be changed.
const HEAD: &[Phase] = &[Phase::Access, Phase::HeaderFilter];

pub(super) fn table(lua: &Lua) -> Result<Table> {
    let functions = Functions::new(lua)?
        .reads("get_status", |_, it, ()| Ok(it.response.status))?
        .reads("get_header", |lua, it, name: String| {
            header(&it.response.fields, &name).map(|value| lua.create_string(value)).transpose()
        })?
        .reads("get_headers", |lua, it, _most: Option<usize>| headers(lua, &it.response.fields))?
        .reads("get_source", |_, it, ()| {
            Ok(match it.source {
                Source::Service => "service",
                Source::Exit => "exit",
                Source::Error => "error",
            })
        })?
        .changes("set_status", &[Phase::HeaderFilter], |it, status: u16| {
            it.response.status = status;
            Ok(())
        })?
        .changes("set_header", HEAD, |it, (name, value): (String, Value)| {
            head(it).set(token(&name)?, text(&value)?);
            Ok(())
        })?
        .changes("add_header", HEAD, |it, (name, value): (String, Value)| {
            head(it).append(token(&name)?, text(&value)?);
            Ok(())
        })?
        .changes("clear_header", HEAD, |it, name: String| {
            head(it).remove(name.as_str());
            Ok(())
        })?
        .changes("set_headers", HEAD, |it, values: Table| set_all(head(it), &values))?
        .changes("exit", &[Phase::Access], exit)?
        .changes("error", &[Phase::Access], error)?;
    Ok(functions.table)
}

/// Before there is an answer, headers are noted for whatever it will be.
fn head(it: &mut Subject) -> &mut Fields {
    match it.phase {
        Phase::Access => &mut it.on_response,
        _ => &mut it.response.fields,
    }
}

/// Ends the request with this answer. A table as body is sent as JSON.
fn exit(it: &mut Subject, (status, body, headers): (u16, Value, Option<Table>)) -> Result<()> {
    if !(100..=599).contains(&status) {
        return Err(mlua::Error::runtime(format!("code must be a number between 100 and 599, not {status}")));
    }
    let (content_type, body) = match &body {
        Value::Nil => (None, Bytes::new()),
        Value::Table(_) => {
            let value = to_json(&body, 0).map_err(mlua::Error::runtime)?.unwrap_or_default();
            (Some("application/json; charset=utf-8"), Bytes::from(json::text(&value)))
        }
        Value::String(text) => (None, Bytes::copy_from_slice(&text.as_bytes())),
        other => (None, Bytes::from(text(other)?)),
    };
    if let Some(headers) = headers {
        set_all(&mut it.on_response, &headers)?;
    }
    let content_type = content_type.map(Cow::Borrowed);
    it.answer = Some(Answer::Exit { status, content_type, body, reason: Reason::Answered });
    Err(mlua::Error::runtime("the request has ended"))
}

/// Ends the request with Kong's error answer.
fn error(it: &mut Subject, (status, message, headers): (u16, Option<String>, Option<Table>)) -> Result<()> {
    if !(400..=599).contains(&status) {
        return Err(mlua::Error::runtime(format!("code must be a number between 400 and 599, not {status}")));
    }
    if let Some(headers) = headers {
        set_all(&mut it.on_response, &headers)?;
    }
    let message = message.map_or(Cow::Borrowed("An unexpected error occurred"), Cow::Owned);
    it.answer = Some(Answer::Error { status, message, reason: Reason::Answered });
    Err(mlua::Error::runtime("the request has ended"))
}
