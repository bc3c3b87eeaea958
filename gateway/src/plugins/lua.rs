//! Lua for settings that hold code: Kong's sandbox, its plugin development kit as far as it makes sense here,
//! and limits.
//!
//! A [`Script`] is some chunks with a pool of interpreters for them. A call moves what is known of the exchange
//! into an interpreter, runs one chunk, and moves it back. A chunk reaches nothing else: no files, no network,
//! no other chunk's state but that of its own script. It is stopped after [`INSTRUCTIONS`], and can't have
//! more than [`MEMORY`]; `pcall` does not help it. One C function with a malicious pattern can still take long:
//! the code is the operator's, the limits are against accidents.

mod kit;
mod sandbox;
mod subject;

use mlua::{Function, Lua, Table, Value};
use parking_lot::Mutex;

pub use self::subject::{Phase, Subject};

/// Instructions of one call; some ten milliseconds.
pub const INSTRUCTIONS: u32 = 1_000_000;
/// Bytes of one interpreter.
pub const MEMORY: usize = 16 * 1024 * 1024;

/// Chunks that belong together, compiled as often as they run at the same time.
pub struct Script {
    sources: Vec<String>,
    idle: Mutex<Vec<Interpreter>>,
}

/// What a call came to.
#[derive(Debug)]
pub enum Outcome {
    /// It returned this.
    Value(Result<Option<serde_json::Value>, String>),
    /// It made the answer, which is in the subject.
    Ended,
}

struct Interpreter {
    lua: Lua,
    chunks: Vec<Chunk>,
}

/// A compiled chunk. One that returns a function when it is first run is replaced by that function, as in
/// Kong: a place for what is to be computed once.
struct Chunk {
    function: Function,
    ran: bool,
}

impl Script {
    /// Compiles the chunks. The error names the one at fault.
    pub fn new(sources: Vec<String>) -> Result<Script, String> {
        let first = Interpreter::new(&sources)?;
        Ok(Script { sources, idle: Mutex::new(vec![first]) })
    }

    /// Runs a chunk on a subject, which comes back changed.
    pub fn run(&self, chunk: usize, subject: Subject) -> (Subject, Outcome) {
        let idle = self.idle.lock().pop();
        let mut interpreter = match idle.map_or_else(|| Interpreter::new(&self.sources), Ok) {
            Ok(interpreter) => interpreter,
            Err(error) => return (subject, Outcome::Value(Err(error))),
        };
        let (subject, outcome) = interpreter.run(chunk, subject);
        self.idle.lock().push(interpreter);
        (subject, outcome)
    }
}

impl Script {
    /// Runs the chunks in order for what they do, until one fails or makes the answer.
    pub fn run_all(&self, mut subject: Subject) -> (Subject, Result<(), String>) {
        for chunk in 0..self.sources.len() {
            let (back, outcome) = self.run(chunk, subject);
            subject = back;
            match outcome {
                // What it returns is of no interest, so anything may be returned.
                Outcome::Value(Ok(_)) => {}
                Outcome::Value(Err(error)) => return (subject, Err(error)),
                Outcome::Ended => break,
            }
        }
        (subject, Ok(()))
    }

    /// Whether the text occurs in the code.
    pub fn mentions(&self, text: &str) -> bool {
        self.sources.iter().any(|source| source.contains(text))
    }
}

impl Interpreter {
    fn new(sources: &[String]) -> Result<Interpreter, String> {
        let text = |error: mlua::Error| error_text(&error);
        let lua = sandbox::interpreter(kit::install).map_err(text)?;
        let compile = |source: &String| {
            let environment = sandbox::environment(&lua).map_err(text)?;
            let function = compile(&lua, source, environment)?;
            Ok(Chunk { function, ran: false })
        };
        let chunks = sources.iter().map(compile).collect::<Result<_, String>>()?;
        Ok(Interpreter { lua, chunks })
    }

    fn run(&mut self, chunk: usize, subject: Subject) -> (Subject, Outcome) {
        let spare = Subject::new(subject.phase);
        sandbox::refill(&self.lua);
        self.lua.set_app_data(subject);
        let result = self.chunks[chunk].call();
        let subject = self.lua.remove_app_data().unwrap_or(spare);
        let outcome = if subject.answer.is_some() {
            Outcome::Ended
        } else if sandbox::is_spent(&self.lua) {
            Outcome::Value(Err(format!("stopped after {INSTRUCTIONS} instructions: make the code do less")))
        } else {
            Outcome::Value(result.map_err(|error| error_text(&error)).and_then(|value| to_json(&value, 0)))
        };
        (subject, outcome)
    }
}

impl Chunk {
    fn call(&mut self) -> mlua::Result<Value> {
        let result = self.function.call::<Value>(())?;
        if std::mem::replace(&mut self.ran, true) {
            return Ok(result);
        }
        let Value::Function(function) = result else { return Ok(result) };
        self.function = function;
        self.function.call(())
    }
}

/// Whether a chunk compiles, for settings that hold code.
pub fn check_syntax(source: &str) -> Result<(), String> {
    let lua =
        Lua::new_with(mlua::StdLib::NONE, mlua::LuaOptions::default()).map_err(|error| error_text(&error))?;
    let environment = lua.create_table().map_err(|error| error_text(&error))?;
    compile(&lua, source, environment).map(|_| ())
}

fn compile(lua: &Lua, source: &str, environment: Table) -> Result<Function, String> {
    // Text only: crafted bytecode could break the interpreter.
    let chunk =
        lua.load(source).set_name(source).set_mode(mlua::chunk::ChunkMode::Text).set_environment(environment);
    chunk.into_function().map_err(|error| format!("Error parsing function: {}", error_text(&error)))
}

/// What went wrong, without the stack.
fn error_text(error: &mlua::Error) -> String {
    match error {
        mlua::Error::SyntaxError { message, .. } | mlua::Error::RuntimeError(message) => {
            message.split("\nstack traceback:").next().unwrap_or_default().to_owned()
        }
        mlua::Error::CallbackError { cause, .. } => error_text(cause),
        mlua::Error::MemoryError(_) => format!("more than {MEMORY} bytes of memory: make the code keep less"),
        other => other.to_string(),
    }
}

/// A Lua value as JSON, the way Kong's encoder decides: a table with the keys 1 to n is a list. `None` is nil.
fn to_json(value: &Value, depth: usize) -> Result<Option<serde_json::Value>, String> {
    /// Deeper tables are taken for endless ones.
    const DEEPEST: usize = 32;
    Ok(Some(match value {
        Value::Nil => return Ok(None),
        Value::Boolean(bool) => serde_json::Value::Bool(*bool),
        Value::Integer(integer) => serde_json::Value::from(*integer),
        Value::Number(number) if number.fract() == 0.0 && number.abs() < 1e15 => {
            serde_json::Value::from(*number as i64)
        }
        Value::Number(number) if number.is_finite() => serde_json::Value::from(*number),
        Value::String(text) => serde_json::Value::String(text.to_string_lossy()),
        Value::Table(_) if depth >= DEEPEST => {
            return Err("the table is nested too deeply or holds itself".to_owned());
        }
        Value::Table(table) => table_to_json(table, depth)?,
        other => return Err(format!("a {} is no value for a field", other.type_name())),
    }))
}

fn table_to_json(table: &Table, depth: usize) -> Result<serde_json::Value, String> {
    let mut entries = Vec::new();
    for pair in table.pairs::<Value, Value>() {
        let (key, value) = pair.map_err(|error| error_text(&error))?;
        if let Some(value) = to_json(&value, depth + 1)? {
            entries.push((key, value));
        }
    }
    let position = |key: &Value| match key {
        Value::Integer(at) => usize::try_from(*at).ok(),
        Value::Number(at) if at.fract() == 0.0 && *at > 0.0 => Some(*at as usize),
        _ => None,
    };
    let mut places: Vec<_> = entries.iter().filter_map(|(key, _)| position(key)).collect();
    places.sort_unstable();
    let is_list = !entries.is_empty()
        && places.len() == entries.len()
        && places.iter().enumerate().all(|(at, place)| *place == at + 1);
    if is_list {
        entries.sort_by_key(|(key, _)| position(key));
        return Ok(entries.into_iter().map(|(_, value)| value).collect());
    }
    let mut object = serde_json::Map::new();
    for (key, value) in entries {
        let name = match &key {
            Value::String(name) => name.to_string_lossy(),
            key => position(key)
                .ok_or_else(|| format!("a {} is no key for a field", key.type_name()))?
                .to_string(),
        };
        object.insert(name, value);
    }
    Ok(serde_json::Value::Object(object))
}

#[cfg(test)]
mod tests;
