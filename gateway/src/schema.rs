//! What settings may look like: Kong's schema language as static data.
//!
//! Every entity of a declarative file and every plugin's settings are described by a [`Record`]. One engine
//! checks values against it with Kong's words, fills in defaults, and prints the description for people and
//! programs. A plugin declares its own record next to its code:
//!
//! ```
//! use gateway::schema::{Check, Literal, PluginSchema, Record, array, field, number, string, typedefs};
//!
//! static CONFIG: Record = Record::new(&[
//!     field("allow", array(&IP).about("addresses that may pass")),
//!     field("deny", array(&IP).about("addresses that may not")),
//!     field("status", number().between(400.0, 599.0).default(Literal::Int(403))),
//!     field("message", string().about("what a refused client reads")),
//! ]);
//! static IP: gateway::schema::Type = typedefs::ip_or_cidr();
//! pub static SCHEMA: PluginSchema = PluginSchema::new("ip-restriction", &CONFIG)
//!     .checks(&[Check::AtLeastOneOf(&["config.allow", "config.deny"])]);
//!
//! let refused = SCHEMA.check(&serde_json::json!({"deny": ["1.2.3.4", "nonsense"]})).unwrap_err();
//! assert_eq!(refused.flat()[0].path, "config.deny.2");
//! ```
//!
//! Deliberately absent: reading files, ids and references (`declarative`), and anything about Kubernetes.

mod address;
mod check;
mod cross;
mod describe;
mod errors;
mod legacy;
mod literal;
mod lua;
mod plugin;
pub mod typedefs;
mod url;
mod vault;

#[cfg(test)]
pub(crate) mod samples;
#[cfg(test)]
mod tests;

use serde_json::{Map, Value};

pub use address::{Address, AddressKind};
pub use describe::Setting;
pub use errors::{Errors, Fault, Finding};
pub use legacy::{Becomes, Legacy};
pub use literal::Literal;
pub use plugin::{PluginSchema, PluginSchemas};
pub use url::Url;

/// A set of named fields with the rules between them.
#[derive(Debug, Clone, Copy)]
pub struct Record {
    fields: &'static [Field],
    checks: &'static [Check],
    legacy: &'static [Legacy],
    check: Option<RecordCheck>,
}

/// One named setting.
#[derive(Debug, Clone, Copy)]
pub struct Field {
    pub name: &'static str,
    pub ty: Type,
}

/// A kind of value with the rules it has to keep. Rules are tried in Kong's order, whatever order they are
/// declared in; the first that fails speaks.
#[derive(Debug, Clone, Copy)]
pub struct Type {
    kind: Kind,
    required: bool,
    null_only: bool,
    default: Option<Literal>,
    equals: Option<Literal>,
    not_equal: Option<Literal>,
    one_of: &'static [Literal],
    not_one_of: &'static [&'static str],
    greater_than: Option<f64>,
    between: Option<(f64, f64)>,
    len_eq: Option<usize>,
    len_min: Option<usize>,
    len_max: Option<usize>,
    uuid: bool,
    timestamp: bool,
    regex: bool,
    starts_with: Option<&'static str>,
    forbids: &'static [Pattern],
    matches: &'static [Pattern],
    contains: Option<Literal>,
    custom: Option<Custom>,
    exclusive: &'static [&'static [&'static str]],
    error: Option<&'static str>,
    about: &'static str,
    secret: bool,
    referenceable: bool,
    deprecated: Option<&'static str>,
}

/// The shapes a value can have.
#[derive(Debug, Clone, Copy)]
pub enum Kind {
    String,
    Number,
    Integer,
    Boolean,
    Array(&'static Type),
    /// As an array; repeated values are dropped.
    Set(&'static Type),
    Map {
        keys: &'static Type,
        values: &'static Type,
    },
    Record(&'static Record),
    /// Another entity, by the section it stands in: its id or name, or `{"id": …}`.
    Foreign(&'static str),
    /// Whatever there is; only the rules count.
    Any,
}

/// A test of a string and what to say when it decides against it.
#[derive(Debug, Clone, Copy)]
pub struct Pattern {
    pub test: fn(&str) -> bool,
    /// Empty: `invalid value: …`.
    pub error: &'static str,
}

/// A rule over several fields, named by path (`config.redis.host`).
#[derive(Debug, Clone, Copy)]
pub enum Check {
    AtLeastOneOf(&'static [&'static str]),
    /// One, neither none nor several.
    OnlyOneOf(&'static [&'static str]),
    /// At most one.
    MutuallyExclusive(&'static [&'static str]),
    /// All or none.
    MutuallyRequired(&'static [&'static str]),
    /// Fields of both sets at once are refused.
    MutuallyExclusiveSets(&'static [&'static str], &'static [&'static str]),
    /// Set values differ.
    Distinct(&'static [&'static str]),
    /// When `field` is as `is` describes, `then` must be as `must` describes. Both add to what the fields'
    /// own types say.
    If {
        field: &'static str,
        is: &'static Type,
        then: &'static str,
        must: &'static Type,
        error: Option<&'static str>,
    },
    /// Code, with the top-level fields it looks at; skipped while one of them is wrong in itself.
    Custom {
        fields: &'static [&'static str],
        check: RecordCheck,
    },
}

/// A test of a whole record, with defaults filled in.
pub type RecordCheck = fn(&Map<String, Value>) -> Result<(), String>;

/// A test of one value.
#[derive(Debug, Clone, Copy)]
enum Custom {
    Text(fn(&str) -> Result<(), String>),
    Value(fn(&Value) -> Result<(), String>),
}

pub const fn field(name: &'static str, ty: Type) -> Field {
    Field { name, ty }
}

/// A string; the empty one is refused unless `len_min(0)` is said.
pub const fn string() -> Type {
    Type::of(Kind::String)
}

pub const fn number() -> Type {
    Type::of(Kind::Number)
}

pub const fn integer() -> Type {
    Type::of(Kind::Integer)
}

pub const fn boolean() -> Type {
    Type::of(Kind::Boolean)
}

pub const fn array(elements: &'static Type) -> Type {
    Type::of(Kind::Array(elements))
}

pub const fn set(elements: &'static Type) -> Type {
    Type::of(Kind::Set(elements))
}

pub const fn map(keys: &'static Type, values: &'static Type) -> Type {
    Type::of(Kind::Map { keys, values })
}

/// A nested record. It is always there: left out, it is filled with its own defaults.
pub const fn record(of: &'static Record) -> Type {
    Type::of(Kind::Record(of)).required()
}

pub const fn foreign(section: &'static str) -> Type {
    Type::of(Kind::Foreign(section))
}

/// For the two sides of [`Check::If`]: the field's own type plus what is said here.
pub const fn any() -> Type {
    Type::of(Kind::Any)
}

impl Record {
    pub const fn new(fields: &'static [Field]) -> Record {
        Record { fields, checks: &[], legacy: &[], check: None }
    }

    /// Rules between fields; their messages are listed under `@entity`.
    #[must_use]
    pub const fn checks(mut self, checks: &'static [Check]) -> Record {
        self.checks = checks;
        self
    }

    /// Names of old that stand for something else.
    #[must_use]
    pub const fn legacy(mut self, legacy: &'static [Legacy]) -> Record {
        self.legacy = legacy;
        self
    }

    /// A last look at the whole record, when everything in it is right; its message replaces the record's
    /// (Kong's `custom_validator` on `config`).
    #[must_use]
    pub const fn check(mut self, check: RecordCheck) -> Record {
        self.check = Some(check);
        self
    }

    pub const fn fields(&self) -> &'static [Field] {
        self.fields
    }

    /// The type at a dotted path.
    pub fn ty(&self, path: &str) -> Option<&'static Type> {
        let (head, rest) = path.split_once('.').map_or((path, None), |(head, rest)| (head, Some(rest)));
        let ty = &self.fields.iter().find(|field| field.name == head)?.ty;
        match (rest, ty.kind) {
            (None, _) => Some(ty),
            (Some(rest), Kind::Record(inner)) => inner.ty(rest),
            _ => None,
        }
    }

    /// As [`conform`](Record::conform), with some fields specialised and further rules, and with the value also
    /// when there are faults.
    pub(crate) fn conform_as(
        &self,
        overrides: &[Field],
        checks: &[Check],
        input: &Map<String, Value>,
    ) -> (Map<String, Value>, Errors) {
        check::record(&check::Shape { record: self, overrides, checks }, input)
    }

    /// Checks a value and fills in defaults. All faults are found, not only the first.
    pub fn conform(&'static self, value: &Value) -> Result<Value, Errors> {
        match check::value(&record(self), value) {
            (value, None) => Ok(value),
            (_, Some(Fault::Record(errors))) => Err(errors),
            (_, Some(other)) => {
                Err(Errors { entity: vec![lua::text(&other.to_json())], ..Errors::default() })
            }
        }
    }
}

impl Type {
    const fn of(kind: Kind) -> Type {
        Type {
            kind,
            required: false,
            null_only: false,
            default: None,
            equals: None,
            not_equal: None,
            one_of: &[],
            not_one_of: &[],
            greater_than: None,
            between: None,
            len_eq: None,
            len_min: None,
            len_max: None,
            uuid: false,
            timestamp: false,
            regex: false,
            starts_with: None,
            forbids: &[],
            matches: &[],
            contains: None,
            custom: None,
            exclusive: &[],
            error: None,
            about: "",
            secret: false,
            referenceable: false,
            deprecated: None,
        }
    }

    pub const fn kind(&self) -> Kind {
        self.kind
    }

    pub const fn is_required(&self) -> bool {
        self.required
    }

    pub const fn is_secret(&self) -> bool {
        self.secret
    }

    /// Must be given, or have a default, and must not be null.
    #[must_use]
    pub const fn required(mut self) -> Type {
        self.required = true;
        self
    }

    /// For a record that is null unless it is given.
    #[must_use]
    pub const fn optional(mut self) -> Type {
        self.required = false;
        self
    }

    /// `value must be null`.
    #[must_use]
    pub const fn null_only(mut self) -> Type {
        self.null_only = true;
        self
    }

    #[must_use]
    pub const fn default(mut self, value: Literal) -> Type {
        self.default = Some(value);
        self
    }

    #[must_use]
    pub const fn equals(mut self, value: Literal) -> Type {
        self.equals = Some(value);
        self
    }

    #[must_use]
    pub const fn not_equal(mut self, value: Literal) -> Type {
        self.not_equal = Some(value);
        self
    }

    #[must_use]
    pub const fn one_of(mut self, values: &'static [Literal]) -> Type {
        self.one_of = values;
        self
    }

    #[must_use]
    pub const fn not_one_of(mut self, values: &'static [&'static str]) -> Type {
        self.not_one_of = values;
        self
    }

    #[must_use]
    pub const fn greater_than(mut self, limit: f64) -> Type {
        self.greater_than = Some(limit);
        self
    }

    /// Both ends included.
    #[must_use]
    pub const fn between(mut self, from: f64, to: f64) -> Type {
        self.between = Some((from, to));
        self
    }

    /// Bytes of a string, entries of a list or map.
    #[must_use]
    pub const fn len_eq(mut self, len: usize) -> Type {
        self.len_eq = Some(len);
        self
    }

    #[must_use]
    pub const fn len_min(mut self, len: usize) -> Type {
        self.len_min = Some(len);
        self
    }

    #[must_use]
    pub const fn len_max(mut self, len: usize) -> Type {
        self.len_max = Some(len);
        self
    }

    #[must_use]
    pub const fn uuid(mut self) -> Type {
        self.uuid = true;
        self
    }

    #[must_use]
    pub const fn timestamp(mut self) -> Type {
        self.timestamp = true;
        self
    }

    /// A regular expression of the `regex` crate.
    #[must_use]
    pub const fn regex(mut self) -> Type {
        self.regex = true;
        self
    }

    #[must_use]
    pub const fn starts_with(mut self, prefix: &'static str) -> Type {
        self.starts_with = Some(prefix);
        self
    }

    /// None of these tests may succeed.
    #[must_use]
    pub const fn forbids(mut self, patterns: &'static [Pattern]) -> Type {
        self.forbids = patterns;
        self
    }

    /// All of these tests must succeed.
    #[must_use]
    pub const fn matches(mut self, patterns: &'static [Pattern]) -> Type {
        self.matches = patterns;
        self
    }

    /// A list that has this entry.
    #[must_use]
    pub const fn contains(mut self, value: Literal) -> Type {
        self.contains = Some(value);
        self
    }

    /// Entries from one of these groups only.
    #[must_use]
    pub const fn exclusive(mut self, groups: &'static [&'static [&'static str]]) -> Type {
        self.exclusive = groups;
        self
    }

    /// A test of a string beyond the rules.
    #[must_use]
    pub const fn check(mut self, check: fn(&str) -> Result<(), String>) -> Type {
        self.custom = Some(Custom::Text(check));
        self
    }

    /// A test of a value beyond the rules.
    #[must_use]
    pub const fn check_value(mut self, check: fn(&Value) -> Result<(), String>) -> Type {
        self.custom = Some(Custom::Value(check));
        self
    }

    /// Said instead of the rules' own messages.
    #[must_use]
    pub const fn error(mut self, message: &'static str) -> Type {
        self.error = Some(message);
        self
    }

    /// One sentence for the settings table.
    #[must_use]
    pub const fn about(mut self, text: &'static str) -> Type {
        self.about = text;
        self
    }

    /// Not to be shown in messages meant for a log.
    #[must_use]
    pub const fn secret(mut self) -> Type {
        self.secret = true;
        self
    }

    /// May be a vault reference (`{vault://…}`) instead, which is not checked further.
    #[must_use]
    pub const fn referenceable(mut self) -> Type {
        self.referenceable = true;
        self
    }

    /// Still accepted; what to use instead.
    #[must_use]
    pub const fn deprecated(mut self, instead: &'static str) -> Type {
        self.deprecated = Some(instead);
        self
    }

    /// This type with what `own` says wherever this one is silent.
    fn over(self, own: &Type) -> Type {
        fn list<T>(mine: &'static [T], own: &'static [T]) -> &'static [T] {
            if mine.is_empty() { own } else { mine }
        }
        Type {
            kind: if matches!(self.kind, Kind::Any) { own.kind } else { self.kind },
            required: self.required || own.required,
            null_only: self.null_only || own.null_only,
            default: self.default.or(own.default),
            equals: self.equals.or(own.equals),
            not_equal: self.not_equal.or(own.not_equal),
            one_of: list(self.one_of, own.one_of),
            not_one_of: list(self.not_one_of, own.not_one_of),
            greater_than: self.greater_than.or(own.greater_than),
            between: self.between.or(own.between),
            len_eq: self.len_eq.or(own.len_eq),
            len_min: self.len_min.or(own.len_min),
            len_max: self.len_max.or(own.len_max),
            uuid: self.uuid || own.uuid,
            timestamp: self.timestamp || own.timestamp,
            regex: self.regex || own.regex,
            starts_with: self.starts_with.or(own.starts_with),
            forbids: list(self.forbids, own.forbids),
            matches: list(self.matches, own.matches),
            contains: self.contains.or(own.contains),
            custom: self.custom.or(own.custom),
            exclusive: list(self.exclusive, own.exclusive),
            error: self.error.or(own.error),
            about: own.about,
            secret: own.secret,
            referenceable: own.referenceable,
            deprecated: own.deprecated,
        }
    }
}
