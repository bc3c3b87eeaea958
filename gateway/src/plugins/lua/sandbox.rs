//! An interpreter in which code can do little harm.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use mlua::{HookTriggers, Lua, LuaOptions, Result, StdLib, Table, Value, VmState};

use super::{INSTRUCTIONS, MEMORY, Subject};

/// How often the count of instructions is looked at.
const STRIDE: u32 = 1_000;

/// Where the table of all that chunks see is kept.
const VISIBLE: &str = "visible";

/// The functions of Lua that chunks see: Kong's list without coroutines, whose instructions would go uncounted.
const FUNCTIONS: &[(&str, &[&str])] = &[
    ("", &["assert", "error", "ipairs", "next", "pairs", "select", "tonumber", "tostring", "type", "unpack"]),
    (
        "math",
        &[
            "abs", "acos", "asin", "atan", "atan2", "ceil", "cos", "cosh", "deg", "exp", "floor", "fmod",
            "frexp", "huge", "ldexp", "log", "log10", "max", "min", "modf", "pi", "pow", "rad", "random",
            "sin", "sinh", "sqrt", "tan", "tanh",
        ],
    ),
    ("os", &["clock", "date", "difftime", "time"]),
    (
        "string",
        &[
            "byte", "char", "find", "format", "gmatch", "gsub", "len", "lower", "match", "rep", "reverse",
            "sub", "upper",
        ],
    ),
    ("table", &["concat", "insert", "maxn", "remove", "sort"]),
];

/// `pcall` and `xpcall` that don't keep a chunk alive that is to end.
const CALLS: &str = r"
local pcall, xpcall, error, is_over = pcall, xpcall, error, ...
local function checked(...)
    if is_over() then error('over', 0) end
    return ...
end
return function(...) return checked(pcall(...)) end, function(...) return checked(xpcall(...)) end
";

/// Instructions that the call under way may still take.
struct Fuel(Arc<AtomicU32>);

/// Makes an interpreter; `install` adds to what chunks see.
pub(super) fn interpreter(install: impl FnOnce(&Lua, &Table) -> Result<()>) -> Result<Lua> {
    let libraries = StdLib::STRING | StdLib::TABLE | StdLib::MATH | StdLib::OS;
    let lua = Lua::new_with(libraries, LuaOptions::default())?;
    let visible = lua.create_table()?;
    for (library, names) in FUNCTIONS {
        let (from, to) = if library.is_empty() {
            (lua.globals(), visible.clone())
        } else {
            let to = lua.create_table()?;
            visible.set(*library, &to)?;
            (lua.globals().get(*library)?, to)
        };
        for name in *names {
            to.set(*name, from.get::<Value>(*name)?)?;
        }
    }
    // Methods of strings come from the library itself.
    let string: Table = lua.globals().get("string")?;
    string.set("dump", Value::Nil)?;

    let is_over = lua.create_function(|lua, ()| {
        let ended = lua.app_data_ref::<Subject>().is_some_and(|subject| subject.answer.is_some());
        Ok(ended || is_spent(lua))
    })?;
    let (pcall, xpcall): (Value, Value) = lua.load(CALLS).call(is_over)?;
    visible.set("pcall", pcall)?;
    visible.set("xpcall", xpcall)?;
    install(&lua, &visible)?;
    lua.set_named_registry_value(VISIBLE, visible)?;

    let fuel = Arc::new(AtomicU32::new(INSTRUCTIONS));
    lua.set_app_data(Fuel(fuel.clone()));
    lua.set_hook(HookTriggers::new().every_nth_instruction(STRIDE), move |_, _| burn(&fuel))?;
    lua.set_memory_limit(MEMORY)?;
    Ok(lua)
}

/// A chunk's globals: it reads what all see and writes what is its own.
pub(super) fn environment(lua: &Lua) -> Result<Table> {
    let visible: Table = lua.named_registry_value(VISIBLE)?;
    let behind = lua.create_table()?;
    behind.set("__index", visible)?;
    let environment = lua.create_table()?;
    environment.set_metatable(Some(behind))?;
    environment.set("_G", &environment)?;
    Ok(environment)
}

/// Gives the next call its instructions.
pub(super) fn refill(lua: &Lua) {
    if let Some(fuel) = lua.app_data_ref::<Fuel>() {
        fuel.0.store(INSTRUCTIONS, Ordering::Relaxed);
    }
}

/// Whether the call has taken all its instructions.
pub(super) fn is_spent(lua: &Lua) -> bool {
    lua.app_data_ref::<Fuel>().is_some_and(|fuel| fuel.0.load(Ordering::Relaxed) == 0)
}

fn burn(fuel: &AtomicU32) -> Result<VmState> {
    let rest = fuel.load(Ordering::Relaxed).saturating_sub(STRIDE);
    fuel.store(rest, Ordering::Relaxed);
    if rest == 0 { Err(mlua::Error::runtime("too many instructions")) } else { Ok(VmState::Continue) }
}
