//! Operators and functions.

use std::cmp::Ordering;
use std::sync::Arc;

use jiff::tz::TimeZone;
use regex::Regex;

use super::evaluate::{no_overload, overflow};
use super::network::{self, Url};
use super::quantity::Quantity;
use super::value::{Val, parse_duration};

type Outcome = Result<Val, String>;

const GLOBAL: [&str; 25] = [
    "size",
    "int",
    "uint",
    "double",
    "string",
    "bool",
    "bytes",
    "dyn",
    "type",
    "duration",
    "timestamp",
    "matches",
    "isURL",
    "url",
    "isIP",
    "ip",
    "isCIDR",
    "cidr",
    "isQuantity",
    "quantity",
    "contains",
    "startsWith",
    "endsWith",
    "has",
    "exists",
];
const METHODS: [&str; 74] = [
    "size",
    "contains",
    "startsWith",
    "endsWith",
    "matches",
    "charAt",
    "indexOf",
    "lastIndexOf",
    "lowerAscii",
    "upperAscii",
    "replace",
    "split",
    "substring",
    "trim",
    "join",
    "reverse",
    "isSorted",
    "sum",
    "min",
    "max",
    "find",
    "findAll",
    "flatten",
    "distinct",
    "slice",
    "sort",
    "first",
    "last",
    "getScheme",
    "getHost",
    "getHostname",
    "getPort",
    "getEscapedPath",
    "getQuery",
    "family",
    "isUnspecified",
    "isLoopback",
    "isLinkLocalMulticast",
    "isLinkLocalUnicast",
    "isGlobalUnicast",
    "containsIP",
    "containsCIDR",
    "ip",
    "masked",
    "prefixLength",
    "isGreaterThan",
    "isLessThan",
    "compareTo",
    "add",
    "sub",
    "sign",
    "isInteger",
    "asInteger",
    "asApproximateFloat",
    "hasValue",
    "value",
    "orValue",
    "or",
    "getFullYear",
    "getMonth",
    "getDate",
    "getDayOfMonth",
    "getDayOfWeek",
    "getDayOfYear",
    "getHours",
    "getMinutes",
    "getSeconds",
    "getMilliseconds",
    "isCanonical",
    "of",
    "none",
    "ofNonZeroValue",
    "intersects",
    "equivalent",
];
const TYPES: [&str; 10] =
    ["bool", "int", "uint", "double", "string", "bytes", "list", "map", "null_type", "type"];
const NAMESPACES: [&str; 4] = ["optional", "ip", "sets", "cel"];

pub(super) fn is_known(name: &str, method: bool) -> bool {
    if method { METHODS.contains(&name) } else { GLOBAL.contains(&name) }
}

pub(super) fn is_type(name: &str) -> bool {
    type_named(name).is_some()
}

pub(super) fn type_named(name: &str) -> Option<&'static str> {
    TYPES.into_iter().find(|known| *known == name)
}

pub(super) fn is_namespace(name: &str) -> bool {
    NAMESPACES.contains(&name)
}

/// A field's name as the schema has it: characters that names can't have are spelled out in expressions.
pub(super) fn unescape(name: &str) -> String {
    const SPELLED: [(&str, &str); 4] =
        [("__underscores__", "__"), ("__dot__", "."), ("__dash__", "-"), ("__slash__", "/")];
    if let Some(reserved) = name.strip_prefix("__").and_then(|rest| rest.strip_suffix("__"))
        && !reserved.is_empty()
        && !SPELLED.iter().any(|(spelled, _)| *spelled == name)
        && !reserved.contains("__")
    {
        return reserved.to_owned();
    }
    SPELLED.iter().fold(name.to_owned(), |name, (spelled, meant)| name.replace(spelled, meant))
}

pub(super) fn operate(operator: &str, left: &Val, right: &Val) -> Outcome {
    let ordered = |test: fn(Ordering) -> bool| {
        let order = left.compare(right);
        order.map(|order| Val::Bool(test(order))).ok_or_else(|| unfit(operator, left, right))
    };
    match operator {
        "==" => Ok(Val::Bool(left.equals(right))),
        "!=" => Ok(Val::Bool(!left.equals(right))),
        "<" => ordered(Ordering::is_lt),
        "<=" => ordered(Ordering::is_le),
        ">" => ordered(Ordering::is_gt),
        ">=" => ordered(Ordering::is_ge),
        "in" => match right {
            Val::List(items) => Ok(Val::Bool(items.iter().any(|item| item.equals(left)))),
            Val::Map(map) => Ok(Val::Bool(left.key().is_some_and(|key| map.contains_key(&key)))),
            _ => Err(unfit(operator, left, right)),
        },
        _ => arithmetic(operator, left, right),
    }
}

fn arithmetic(operator: &str, left: &Val, right: &Val) -> Outcome {
    let zero = || if operator == "%" { "modulus by zero" } else { "division by zero" }.to_owned();
    match (left, right) {
        (Val::Int(a), Val::Int(b)) => match operator {
            "+" => a.checked_add(*b),
            "-" => a.checked_sub(*b),
            "*" => a.checked_mul(*b),
            _ if *b == 0 => return Err(zero()),
            "/" => a.checked_div(*b),
            _ => a.checked_rem(*b),
        }
        .map(Val::Int)
        .ok_or_else(overflow),
        (Val::Uint(a), Val::Uint(b)) => match operator {
            "+" => a.checked_add(*b),
            "-" => a.checked_sub(*b),
            "*" => a.checked_mul(*b),
            _ if *b == 0 => return Err(zero()),
            "/" => a.checked_div(*b),
            _ => a.checked_rem(*b),
        }
        .map(Val::Uint)
        .ok_or_else(overflow),
        (Val::Double(a), Val::Double(b)) => match operator {
            "+" => Ok(Val::Double(a + b)),
            "-" => Ok(Val::Double(a - b)),
            "*" => Ok(Val::Double(a * b)),
            "/" => Ok(Val::Double(a / b)),
            _ => Err(unfit(operator, left, right)),
        },
        (Val::Text(a), Val::Text(b)) if operator == "+" => Ok(Val::text(format!("{a}{b}"))),
        (Val::Bytes(a), Val::Bytes(b)) if operator == "+" => Ok(Val::Bytes([&**a, &**b].concat().into())),
        (Val::List(a), Val::List(b)) if operator == "+" => {
            Ok(Val::List(a.iter().chain(b.iter()).cloned().collect()))
        }
        (Val::Duration(a), Val::Duration(b)) => match operator {
            "+" => a.checked_add(*b),
            "-" => a.checked_sub(*b),
            _ => return Err(unfit(operator, left, right)),
        }
        .map(Val::Duration)
        .ok_or_else(overflow),
        (Val::Time(time), Val::Duration(step)) if matches!(operator, "+" | "-") => {
            let moved = if operator == "+" { time.checked_add(*step) } else { time.checked_sub(*step) };
            moved.map(Val::Time).map_err(|_| overflow())
        }
        (Val::Duration(step), Val::Time(time)) if operator == "+" => {
            time.checked_add(*step).map(Val::Time).map_err(|_| overflow())
        }
        (Val::Time(a), Val::Time(b)) if operator == "-" => Ok(Val::Duration(a.duration_since(*b))),
        _ => Err(unfit(operator, left, right)),
    }
}

fn unfit(operator: &str, left: &Val, right: &Val) -> String {
    no_overload(&format!("{} {operator} {}", left.type_name(), right.type_name()))
}

/// Functions of a library that are called by its name.
pub(super) fn call_in(namespace: &str, name: &str, arguments: &[Val]) -> Outcome {
    let contains = |list: &[Val], item: &Val| list.iter().any(|other| other.equals(item));
    match (namespace, name, arguments) {
        ("optional", "of", [value]) => Ok(Val::Optional(Some(Arc::new(value.clone())))),
        ("optional", "none", []) => Ok(Val::Optional(None)),
        ("optional", "ofNonZeroValue", [value]) => {
            Ok(Val::Optional((!is_zero(value)).then(|| Arc::new(value.clone()))))
        }
        ("ip", "isCanonical", [Val::Text(text)]) => match network::address(text) {
            Some(address) => Ok(Val::Bool(address.0.to_string() == **text)),
            None => Err(format!("IP Address {text:?} parse error during conversion from string")),
        },
        ("sets", "contains", [Val::List(all), Val::List(part)]) => {
            Ok(Val::Bool(part.iter().all(|item| contains(all, item))))
        }
        ("sets", "equivalent", [Val::List(a), Val::List(b)]) => {
            Ok(Val::Bool(a.iter().all(|item| contains(b, item)) && b.iter().all(|item| contains(a, item))))
        }
        ("sets", "intersects", [Val::List(a), Val::List(b)]) => {
            Ok(Val::Bool(a.iter().any(|item| contains(b, item))))
        }
        _ => Err(no_overload(&format!("{namespace}.{name}"))),
    }
}

pub(super) fn call(name: &str, of: Option<&Val>, arguments: &[Val]) -> Outcome {
    match of {
        None => global(name, arguments),
        Some(Val::Text(text)) => on_text(name, text, arguments),
        Some(Val::List(items)) => on_list(name, items, arguments),
        Some(Val::Quantity(quantity)) => quantity.call(name, arguments.first()),
        Some(Val::Address(address)) => address.call(name),
        Some(Val::Network(network)) => network.call(name, arguments.first()),
        Some(Val::Url(url)) => url.call(name),
        Some(Val::Optional(inner)) => match (name, inner, arguments) {
            ("hasValue", inner, []) => Ok(Val::Bool(inner.is_some())),
            ("value", Some(inner), []) => Ok((**inner).clone()),
            ("value", None, []) => Err("optional.none() dereference".to_owned()),
            ("orValue", Some(inner), [_]) => Ok((**inner).clone()),
            ("orValue", None, [other]) => Ok(other.clone()),
            ("or", Some(_), [_]) => Ok(Val::Optional(inner.clone())),
            ("or", None, [other]) => Ok(other.clone()),
            _ => Err(no_overload(&format!("optional.{name}"))),
        },
        Some(Val::Time(time)) => on_time(name, *time, arguments),
        Some(Val::Duration(duration)) => Ok(Val::Int(match name {
            "getHours" => duration.as_hours(),
            "getMinutes" => duration.as_mins(),
            "getSeconds" => duration.as_secs(),
            "getMilliseconds" => i64::from(duration.subsec_millis()),
            _ => return Err(no_overload(&format!("duration.{name}"))),
        })),
        Some(value) if name == "size" && arguments.is_empty() => global("size", std::slice::from_ref(value)),
        Some(other) => Err(no_overload(&format!("{}.{name}", other.type_name()))),
    }
}

fn global(name: &str, arguments: &[Val]) -> Outcome {
    let wrong = || {
        let types: Vec<_> = arguments.iter().map(Val::type_name).collect();
        no_overload(&format!("{name}({})", types.join(", ")))
    };
    let failed =
        |what: &str, text: &str| format!("{what} {text:?} parse error during conversion from string");
    match (name, arguments) {
        ("size", [Val::Text(text)]) => Ok(Val::Int(text.chars().count() as i64)),
        ("size", [Val::Bytes(bytes)]) => Ok(Val::Int(bytes.len() as i64)),
        ("size", [Val::List(items)]) => Ok(Val::Int(items.len() as i64)),
        ("size", [Val::Map(map)]) => Ok(Val::Int(map.len() as i64)),
        ("dyn", [value]) => Ok(value.clone()),
        ("type", [value]) => Ok(Val::Type(value.type_name())),
        ("matches" | "contains" | "startsWith" | "endsWith", [Val::Text(text), rest @ ..]) => {
            on_text(name, text, rest)
        }
        ("int", [value]) => to_int(value).ok_or_else(wrong),
        ("uint", [Val::Uint(value)]) => Ok(Val::Uint(*value)),
        ("uint", [Val::Int(value)]) => u64::try_from(*value).map(Val::Uint).map_err(|_| overflow()),
        ("uint", [Val::Double(value)]) if *value >= 0.0 => Ok(Val::Uint(*value as u64)),
        ("uint", [Val::Text(text)]) => text.parse().map(Val::Uint).map_err(|_| wrong()),
        ("double", [Val::Int(value)]) => Ok(Val::Double(*value as f64)),
        ("double", [Val::Uint(value)]) => Ok(Val::Double(*value as f64)),
        ("double", [Val::Double(value)]) => Ok(Val::Double(*value)),
        ("double", [Val::Text(text)]) => text.parse().map(Val::Double).map_err(|_| wrong()),
        ("bool", [Val::Bool(value)]) => Ok(Val::Bool(*value)),
        ("bool", [Val::Text(text)]) => match &**text {
            "true" | "True" | "TRUE" | "t" | "1" => Ok(Val::Bool(true)),
            "false" | "False" | "FALSE" | "f" | "0" => Ok(Val::Bool(false)),
            _ => Err(wrong()),
        },
        ("bytes", [Val::Text(text)]) => Ok(Val::Bytes(text.as_bytes().into())),
        ("bytes", [value @ Val::Bytes(_)]) => Ok(value.clone()),
        ("string", [value]) => Ok(Val::text(shown(value))),
        ("duration", [Val::Text(text)]) => {
            parse_duration(text).map(Val::Duration).ok_or_else(|| format!("time: invalid duration {text:?}"))
        }
        ("duration", [value @ Val::Duration(_)]) | ("timestamp", [value @ Val::Time(_)]) => Ok(value.clone()),
        ("timestamp", [Val::Text(text)]) => {
            text.parse().map(Val::Time).map_err(|_| failed("timestamp", text))
        }
        ("timestamp", [Val::Int(seconds)]) => {
            jiff::Timestamp::from_second(*seconds).map(Val::Time).map_err(|_| overflow())
        }
        ("isURL", [Val::Text(text)]) => Ok(Val::Bool(Url::parse(text).is_some())),
        ("url", [Val::Text(text)]) => {
            Url::parse(text).map(|url| Val::Url(Arc::new(url))).ok_or_else(|| failed("URL", text))
        }
        ("isIP", [Val::Text(text)]) => Ok(Val::Bool(network::address(text).is_some())),
        ("ip", [Val::Text(text)]) => {
            network::address(text).map(Val::Address).ok_or_else(|| failed("IP Address", text))
        }
        ("isCIDR", [Val::Text(text)]) => Ok(Val::Bool(network::network(text).is_some())),
        ("cidr", [Val::Text(text)]) => {
            network::network(text).map(Val::Network).ok_or_else(|| failed("CIDR", text))
        }
        ("isQuantity", [Val::Text(text)]) => Ok(Val::Bool(Quantity::parse(text).is_some())),
        ("quantity", [Val::Text(text)]) => {
            Quantity::parse(text).map(Val::Quantity).ok_or_else(|| failed("quantity", text))
        }
        _ => Err(wrong()),
    }
}

fn to_int(value: &Val) -> Option<Val> {
    Some(Val::Int(match value {
        Val::Int(value) => *value,
        Val::Uint(value) => i64::try_from(*value).ok()?,
        Val::Double(value) if value.abs() < 9.2e18 => *value as i64,
        Val::Text(text) => text.parse().ok()?,
        Val::Time(time) => time.as_second(),
        Val::Duration(duration) => duration.as_nanos().try_into().ok()?,
        _ => return None,
    }))
}

fn pattern(text: &str) -> Result<Regex, String> {
    Regex::new(text).map_err(|error| format!("error parsing regexp: {error}"))
}

fn on_text(name: &str, text: &str, arguments: &[Val]) -> Outcome {
    let position = |found: Option<usize>| Val::Int(found.map_or(-1, |at| text[..at].chars().count() as i64));
    let slice = |from: i64, to: i64| -> Outcome {
        let length = text.chars().count() as i64;
        if from < 0 || to > length || from > to {
            return Err(format!("index out of range: {}", if from < 0 || from > to { from } else { to }));
        }
        Ok(Val::text(text.chars().skip(from as usize).take((to - from) as usize).collect::<String>()))
    };
    Ok(match (name, arguments) {
        ("size", []) => Val::Int(text.chars().count() as i64),
        ("contains", [Val::Text(part)]) => Val::Bool(text.contains(&**part)),
        ("startsWith", [Val::Text(part)]) => Val::Bool(text.starts_with(&**part)),
        ("endsWith", [Val::Text(part)]) => Val::Bool(text.ends_with(&**part)),
        ("matches", [Val::Text(regex)]) => Val::Bool(pattern(regex)?.is_match(text)),
        ("find", [Val::Text(regex)]) => {
            Val::text(pattern(regex)?.find(text).map_or("", |found| found.as_str()))
        }
        ("findAll", [Val::Text(regex), rest @ ..]) => {
            let limit = match rest {
                [Val::Int(limit)] if *limit >= 0 => *limit as usize,
                _ => usize::MAX,
            };
            Val::List(
                pattern(regex)?.find_iter(text).take(limit).map(|found| Val::text(found.as_str())).collect(),
            )
        }
        ("charAt", [Val::Int(at)]) => match usize::try_from(*at) {
            Ok(at) if at <= text.chars().count() => {
                Val::text(text.chars().nth(at).map(String::from).unwrap_or_default())
            }
            _ => return Err(format!("index out of range: {at}")),
        },
        ("indexOf", [Val::Text(part)]) => position(text.find(&**part)),
        ("indexOf", [Val::Text(part), Val::Int(from)]) => {
            let start =
                text.char_indices().nth(usize::try_from(*from).unwrap_or(0)).map_or(text.len(), |(at, _)| at);
            position(text[start..].find(&**part).map(|at| at + start))
        }
        ("lastIndexOf", [Val::Text(part)]) => position(text.rfind(&**part)),
        ("lowerAscii", []) => Val::text(text.to_ascii_lowercase()),
        ("upperAscii", []) => Val::text(text.to_ascii_uppercase()),
        ("trim", []) => Val::text(text.trim()),
        ("reverse", []) => Val::text(text.chars().rev().collect::<String>()),
        ("replace", [Val::Text(from), Val::Text(to)]) => Val::text(text.replace(&**from, to)),
        ("replace", [Val::Text(from), Val::Text(to), Val::Int(limit)]) => match usize::try_from(*limit) {
            Ok(limit) => Val::text(text.replacen(&**from, to, limit)),
            Err(_) => Val::text(text.replace(&**from, to)),
        },
        ("split", [Val::Text(separator)]) => Val::List(split(text, separator, -1)),
        ("split", [Val::Text(separator), Val::Int(limit)]) => Val::List(split(text, separator, *limit)),
        ("substring", [Val::Int(from)]) => return slice(*from, text.chars().count() as i64),
        ("substring", [Val::Int(from), Val::Int(to)]) => return slice(*from, *to),
        _ => return Err(no_overload(&format!("string.{name}"))),
    })
}

fn split(text: &str, separator: &str, limit: i64) -> Arc<[Val]> {
    let parts: Vec<&str> = match (limit, separator) {
        (0, _) => Vec::new(),
        (_, "") => text.split("").filter(|part| !part.is_empty()).collect(),
        (limit, separator) if limit > 0 => text.splitn(limit as usize, separator).collect(),
        (_, separator) => text.split(separator).collect(),
    };
    parts.into_iter().map(Val::text).collect()
}

fn on_list(name: &str, items: &Arc<[Val]>, arguments: &[Val]) -> Outcome {
    let position = |found: Option<usize>| Val::Int(found.map_or(-1, |at| at as i64));
    let extreme = |wanted: Ordering| {
        let mut best: Option<&Val> = None;
        for item in items.iter() {
            if best.is_none_or(|best| item.compare(best) == Some(wanted)) {
                best = Some(item);
            }
        }
        best.cloned().ok_or_else(|| format!("{name} called on empty list"))
    };
    Ok(match (name, arguments) {
        ("size", []) => Val::Int(items.len() as i64),
        ("join", rest) => {
            let separator = match rest {
                [] => "",
                [Val::Text(separator)] => separator,
                _ => return Err(no_overload("list.join")),
            };
            let texts = items.iter().map(|item| match item {
                Val::Text(text) => Ok(&**text),
                other => Err(no_overload(&format!("join of {}", other.type_name()))),
            });
            Val::text(texts.collect::<Result<Vec<_>, _>>()?.join(separator))
        }
        ("contains", [item]) => Val::Bool(items.iter().any(|other| other.equals(item))),
        ("isSorted", []) => {
            Val::Bool(items.windows(2).all(|pair| pair[0].compare(&pair[1]).is_some_and(Ordering::is_le)))
        }
        ("sum", []) => {
            let mut items = items.iter();
            let Some(first) = items.next().cloned() else { return Ok(Val::Int(0)) };
            return items.try_fold(first, |sum, item| arithmetic("+", &sum, item));
        }
        ("min", []) => return extreme(Ordering::Less),
        ("max", []) => return extreme(Ordering::Greater),
        ("indexOf", [item]) => position(items.iter().position(|other| other.equals(item))),
        ("lastIndexOf", [item]) => position(items.iter().rposition(|other| other.equals(item))),
        ("reverse", []) => Val::List(items.iter().rev().cloned().collect()),
        ("flatten", []) => {
            let flat = items.iter().flat_map(|item| match item {
                Val::List(inner) => inner.to_vec(),
                other => vec![other.clone()],
            });
            Val::List(flat.collect())
        }
        ("distinct", []) => {
            let mut distinct: Vec<Val> = Vec::new();
            for item in items.iter() {
                if !distinct.iter().any(|other| other.equals(item)) {
                    distinct.push(item.clone());
                }
            }
            Val::List(distinct.into())
        }
        ("sort", []) => {
            let mut sorted = items.to_vec();
            sorted.sort_by(|a, b| a.compare(b).unwrap_or(Ordering::Equal));
            Val::List(sorted.into())
        }
        ("slice", [Val::Int(from), Val::Int(to)]) => {
            let range = usize::try_from(*from).ok().zip(usize::try_from(*to).ok());
            let slice = range.and_then(|(from, to)| items.get(from..to));
            Val::List(
                slice
                    .ok_or_else(|| format!("cannot slice({from}, {to}), list is length {}", items.len()))?
                    .into(),
            )
        }
        ("first", []) => Val::Optional(items.first().map(|item| Arc::new(item.clone()))),
        ("last", []) => Val::Optional(items.last().map(|item| Arc::new(item.clone()))),
        _ => return Err(no_overload(&format!("list.{name}"))),
    })
}

fn on_time(name: &str, time: jiff::Timestamp, arguments: &[Val]) -> Outcome {
    let zone = match arguments {
        [] => TimeZone::UTC,
        [Val::Text(name)] => TimeZone::get(name).map_err(|_| format!("unknown time zone {name}"))?,
        _ => return Err(no_overload(&format!("timestamp.{name}"))),
    };
    let zoned = time.to_zoned(zone);
    Ok(Val::Int(match name {
        "getFullYear" => i64::from(zoned.year()),
        "getMonth" => i64::from(zoned.month()) - 1,
        "getDate" => i64::from(zoned.day()),
        "getDayOfMonth" => i64::from(zoned.day()) - 1,
        "getDayOfWeek" => i64::from(zoned.weekday().to_sunday_zero_offset()),
        "getDayOfYear" => i64::from(zoned.day_of_year()) - 1,
        "getHours" => i64::from(zoned.hour()),
        "getMinutes" => i64::from(zoned.minute()),
        "getSeconds" => i64::from(zoned.second()),
        "getMilliseconds" => i64::from(zoned.millisecond()),
        _ => return Err(no_overload(&format!("timestamp.{name}"))),
    }))
}

fn is_zero(value: &Val) -> bool {
    match value {
        Val::Null => true,
        Val::Bool(value) => !value,
        Val::Int(value) => *value == 0,
        Val::Uint(value) => *value == 0,
        Val::Double(value) => *value == 0.0,
        Val::Text(text) => text.is_empty(),
        Val::Bytes(bytes) => bytes.is_empty(),
        Val::List(items) => items.is_empty(),
        Val::Map(map) => map.is_empty(),
        _ => false,
    }
}

/// As text.
pub(super) fn shown(value: &Val) -> String {
    match value {
        Val::Null => "null".to_owned(),
        Val::Bool(value) => value.to_string(),
        Val::Int(value) => value.to_string(),
        Val::Uint(value) => value.to_string(),
        Val::Double(value) => value.to_string(),
        Val::Text(text) => text.to_string(),
        Val::Bytes(bytes) => String::from_utf8_lossy(bytes).into_owned(),
        Val::Duration(duration) => format!("{}s", duration.as_secs_f64()),
        Val::Time(time) => time.to_string(),
        Val::Type(name) => (*name).to_owned(),
        Val::Address(address) => address.0.to_string(),
        Val::Network(network) => network.0.to_string(),
        other => other.type_name().to_owned(),
    }
}
