//! The small values that scenario files are made of: durations, patterns, names of objects, checks. Each is
//! read from what a person would write and refused with a hint.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::value::MapAccessDeserializer;
use serde::de::{self, Deserialize, Deserializer, IntoDeserializer, MapAccess, SeqAccess, Visitor};
use serde_json::Value;

/// A duration such as `250ms`, `10s` or `2m`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Span(pub Duration);

impl FromStr for Span {
    type Err = String;

    fn from_str(text: &str) -> Result<Span, String> {
        let refused =
            || format!("`{text}` is no duration — write a number with a unit, such as 250ms, 10s or 2m");
        let unit_at = text.find(|char: char| char.is_ascii_alphabetic()).ok_or_else(refused)?;
        let (number, unit) = text.split_at(unit_at);
        let number: f64 = number.parse().map_err(|_| refused())?;
        let seconds = match unit {
            "ms" => number / 1_000.0,
            "s" => number,
            "m" => number * 60.0,
            "h" => number * 3_600.0,
            _ => return Err(refused()),
        };
        if !(0.0..=86_400.0).contains(&seconds) {
            return Err(format!("`{text}` is too long — a day is the most"));
        }
        Ok(Span(Duration::from_secs_f64(seconds)))
    }
}

/// A regular expression; it may match anywhere.
#[derive(Debug, Clone)]
pub struct Pattern(pub regex::Regex);

impl FromStr for Pattern {
    type Err = String;

    fn from_str(text: &str) -> Result<Pattern, String> {
        regex::Regex::new(text).map(Pattern).map_err(|error| {
            let reason = error.to_string();
            let reason = reason.lines().last().unwrap_or_default().trim_start_matches("error: ").to_owned();
            format!("`{text}` is no regular expression: {reason}")
        })
    }
}

impl PartialEq for Pattern {
    fn eq(&self, other: &Pattern) -> bool {
        self.0.as_str() == other.0.as_str()
    }
}

/// An object as the gateway names it in its problems: `Ingress echo/kong-ingress`, `Namespace echo`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ObjectName {
    pub kind: String,
    /// Empty for kinds that are in none.
    pub namespace: String,
    pub name: String,
}

impl FromStr for ObjectName {
    type Err = String;

    fn from_str(text: &str) -> Result<ObjectName, String> {
        let refused = || {
            format!(
                "`{text}` names no object — write `Kind namespace/name`, or `Kind name` for what is in no namespace"
            )
        };
        let (kind, rest) = text.split_once(' ').ok_or_else(refused)?;
        let (namespace, name) = rest.split_once('/').unwrap_or(("", rest));
        let whole = !kind.is_empty() && !name.is_empty() && !rest.contains(' ') && !rest.starts_with('/');
        if !whole {
            return Err(refused());
        }
        Ok(ObjectName { kind: kind.to_owned(), namespace: namespace.to_owned(), name: name.to_owned() })
    }
}

impl ObjectName {
    /// Whether this names that object. Of a kind that is in no namespace a manifest may give one all the same,
    /// without meaning, so leaving it out is right too.
    pub fn means(&self, object: &ObjectName) -> bool {
        let same = self.kind == object.kind && self.name == object.name;
        same && (self.namespace == object.namespace || self.namespace.is_empty())
    }
}

impl fmt::Display for ObjectName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ", self.kind)?;
        if !self.namespace.is_empty() {
            write!(f, "{}/", self.namespace)?;
        }
        f.write_str(&self.name)
    }
}

/// A share of a whole, written `50%`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Share(pub f64);

impl FromStr for Share {
    type Err = String;

    fn from_str(text: &str) -> Result<Share, String> {
        let number = text.strip_suffix('%').and_then(|number| number.trim().parse::<f64>().ok());
        number
            .filter(|number| (0.0..=100.0).contains(number))
            .map(|number| Share(number / 100.0))
            .ok_or_else(|| format!("`{text}` is no share — write a percentage such as 50%"))
    }
}

/// Makes types that are written as one text readable from it.
macro_rules! written_as_text {
    ($($type:ident: $pattern:literal, $description:literal;)+) => {$(
        impl<'de> Deserialize<'de> for $type {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<$type, D::Error> {
                String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
            }
        }

        impl JsonSchema for $type {
            fn schema_name() -> std::borrow::Cow<'static, str> {
                stringify!($type).into()
            }

            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                json_schema!({ "type": "string", "pattern": $pattern, "description": $description })
            }
        }
    )+};
}

written_as_text! {
    Span: r"^[0-9.]+(ms|s|m|h)$", "A duration such as `250ms`, `10s` or `2m`.";
    Pattern: "", "A regular expression that may match anywhere.";
    ObjectName: r"^\S+ \S+$", "`Kind namespace/name`, or `Kind name` for what is in no namespace.";
    Share: r"^[0-9.]+ *%$", "A percentage such as `50%`.";
}

/// One or several of something; one may stand without a list around it.
#[derive(Debug, Clone, PartialEq)]
pub struct Many<T>(pub Vec<T>);

impl<T> Default for Many<T> {
    fn default() -> Many<T> {
        Many(Vec::new())
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Many<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Many<T>, D::Error> {
        struct OneOrList<T>(std::marker::PhantomData<T>);

        impl<'de, T: Deserialize<'de>> Visitor<'de> for OneOrList<T> {
            type Value = Many<T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("one value or a list")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Many<T>, E> {
                T::deserialize(text.into_deserializer()).map(|one| Many(vec![one]))
            }

            fn visit_u64<E: de::Error>(self, number: u64) -> Result<Many<T>, E> {
                T::deserialize(number.into_deserializer()).map(|one| Many(vec![one]))
            }

            fn visit_i64<E: de::Error>(self, number: i64) -> Result<Many<T>, E> {
                T::deserialize(number.into_deserializer()).map(|one| Many(vec![one]))
            }

            fn visit_bool<E: de::Error>(self, value: bool) -> Result<Many<T>, E> {
                T::deserialize(value.into_deserializer()).map(|one| Many(vec![one]))
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Many<T>, A::Error> {
                T::deserialize(MapAccessDeserializer::new(map)).map(|one| Many(vec![one]))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Many<T>, A::Error> {
                let mut all = Vec::new();
                while let Some(item) = items.next_element()? {
                    all.push(item);
                }
                if all.is_empty() {
                    return Err(de::Error::invalid_length(0, &"at least one"));
                }
                Ok(Many(all))
            }
        }

        deserializer.deserialize_any(OneOrList(std::marker::PhantomData))
    }
}

impl<T: JsonSchema> JsonSchema for Many<T> {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        format!("OneOrMore{}", T::schema_name()).into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let one = generator.subschema_for::<T>();
        json_schema!({ "anyOf": [one, { "type": "array", "items": one, "minItems": 1 }] })
    }
}

/// Something with a short form: one text instead of a map.
pub trait Short: Sized {
    /// # Errors
    /// What the text should be.
    fn from_text(text: &str) -> Result<Self, String>;
}

/// A `T` in its short or its long form.
#[derive(Debug, Clone, PartialEq)]
pub struct Either<T>(pub T);

impl<'de, T: Deserialize<'de> + Short> Deserialize<'de> for Either<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Either<T>, D::Error> {
        struct TextOrMap<T>(std::marker::PhantomData<T>);

        impl<'de, T: Deserialize<'de> + Short> Visitor<'de> for TextOrMap<T> {
            type Value = Either<T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a text or a map")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Either<T>, E> {
                T::from_text(text).map(Either).map_err(E::custom)
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Either<T>, A::Error> {
                T::deserialize(MapAccessDeserializer::new(map)).map(Either)
            }
        }

        deserializer.deserialize_any(TextOrMap(std::marker::PhantomData))
    }
}

impl<T: JsonSchema> JsonSchema for Either<T> {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        format!("{}OrShort", T::schema_name()).into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let long = generator.subschema_for::<T>();
        json_schema!({ "anyOf": [{ "type": "string" }, long] })
    }
}

/// What a value must be. A plain value means: equal to it. A number and its text are equal, as headers have no
/// numbers.
#[derive(Debug, Clone, PartialEq)]
pub enum Check {
    Is(Value),
    Rules(Box<Rules>),
}

/// All that are given must hold.
#[derive(Debug, Clone, Default, PartialEq, serde::Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Rules {
    /// Equal to this.
    pub is: Option<Value>,
    /// Anything but this.
    pub is_not: Option<Value>,
    /// Has each of these in it.
    pub contains: Option<Many<String>>,
    /// Has none of these in it.
    pub lacks: Option<Many<String>>,
    /// A regular expression matches somewhere.
    pub matches: Option<Pattern>,
    /// `true`: there is one, `false`: there is none.
    pub present: Option<bool>,
    pub at_least: Option<f64>,
    pub at_most: Option<f64>,
    /// How many items a list has.
    pub length: Option<u64>,
}

impl<'de> Deserialize<'de> for Check {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Check, D::Error> {
        struct ValueOrRules;

        impl<'de> Visitor<'de> for ValueOrRules {
            type Value = Check;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a value, or a map of rules such as `contains`, `matches`, `present`")
            }

            fn visit_bool<E: de::Error>(self, value: bool) -> Result<Check, E> {
                Ok(Check::Is(value.into()))
            }

            fn visit_i64<E: de::Error>(self, value: i64) -> Result<Check, E> {
                Ok(Check::Is(value.into()))
            }

            fn visit_u64<E: de::Error>(self, value: u64) -> Result<Check, E> {
                Ok(Check::Is(value.into()))
            }

            fn visit_f64<E: de::Error>(self, value: f64) -> Result<Check, E> {
                Ok(Check::Is(value.into()))
            }

            fn visit_str<E: de::Error>(self, value: &str) -> Result<Check, E> {
                Ok(Check::Is(value.into()))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, items: A) -> Result<Check, A::Error> {
                Value::deserialize(de::value::SeqAccessDeserializer::new(items)).map(Check::Is)
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Check, A::Error> {
                let rules = Rules::deserialize(MapAccessDeserializer::new(map))?;
                if rules == Rules::default() {
                    return Err(de::Error::custom(
                        "a check without a rule — give `is`, `contains`, `matches`, `present`, `at_least` or `at_most`",
                    ));
                }
                Ok(Check::Rules(Box::new(rules)))
            }
        }

        deserializer.deserialize_any(ValueOrRules)
    }
}

impl JsonSchema for Check {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Check".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let rules = generator.subschema_for::<Rules>();
        json_schema!({
            "description": "A value to be equal to, or a map of rules.",
            "anyOf": [{ "type": ["boolean", "number", "string", "array"] }, rules],
        })
    }
}
