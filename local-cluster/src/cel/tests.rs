use serde_json::{Value, json};

use super::*;

fn run(source: &str, object: &Value) -> Result<Val, String> {
    let program = Program::compile(source).map_err(|error| error.shown(source))?;
    program.evaluate(&HashMap::from([("self", Val::from_json(object))]))
}

fn holds(source: &str, object: &Value) -> bool {
    match run(source, object) {
        Ok(Val::Bool(value)) => value,
        other => panic!("{source}: {other:?}"),
    }
}

#[test]
fn rules_as_real_definitions_have_them() {
    let object = json!({
        "name": "a-b",
        "list": [{"name": "x", "port": 80}, {"name": "y", "port": 443}],
        "labels": {"k": "v"},
        "type": "Exact",
        "value": "/foo",
        "timeout": "1h30m",
    });
    for rule in [
        "self.list.all(p1, self.list.exists_one(p2, p1.name == p2.name))",
        "(has(self.list)?1:0)+(has(self.nothing)?1:0)+(has(self.labels)?1:0) <= 2",
        "self.type in ['Exact', 'PathPrefix'] ? self.value.startsWith('/') : true",
        "!self.value.contains('//') && !self.value.endsWith('/..')",
        "self.name.matches(r'^[a-z]([-a-z0-9]*[a-z0-9])?$')",
        "duration(self.timeout) >= duration('1h') && duration(self.timeout) < duration('1h30m1s')",
        "self.list.filter(p, p.port > 100).map(p, p.name) == ['y']",
        "self.labels.all(key, key.size() < 64 && self.labels[key] == 'v')",
        "self.?missing.?deep.orValue('none') == 'none'",
        "size(self.list) == 2 && self.list[1].port % 2 == 1",
        "quantity('1.5Gi').isGreaterThan(quantity('1G')) && quantity('100m').isLessThan(quantity('1'))",
        "isIP('10.0.0.1') && !isIP('10.0.0') && cidr('10.0.0.0/8').containsIP('10.1.2.3')",
        "url('https://example.com:8443/a?b=c').getPort() == '8443'",
        "self.nothing == 1 || self.type == 'Exact'",
        "cel.bind(n, self.name, n + n) == 'a-ba-b'",
        "[1, 2, 3].sum() == 6 && ['b', 'a'].sort().isSorted() && 'a,b'.split(',') == ['a', 'b']",
        "type(self.list) == list && string(1) + \"\\x41\" == '1A' && -9223372036854775808 < 0",
        "timestamp('2026-01-02T03:04:05Z').getFullYear() == 2026",
    ] {
        assert!(holds(rule, &object), "{rule}");
    }
}

#[test]
fn errors_are_told() {
    assert_eq!(run("self.a", &json!({})), Err("no such key: a".to_owned()));
    assert_eq!(run("1 / 0", &json!({})), Err("division by zero".to_owned()));
    assert!(run("self.a + 1", &json!({"a": "x"})).unwrap_err().starts_with("no such overload"));
    assert!(run("self.", &json!({})).unwrap_err().starts_with("ERROR: <input>:1:6: Syntax error"));
    let endless = "[1,2,3,4,5,6,7,8,9,10]";
    let nested = (0..8).fold("true".to_owned(), |inner, level| format!("{endless}.all(x{level}, {inner})"));
    assert_eq!(run(&nested, &json!({})), Err("operation cancelled: actual cost limit exceeded".to_owned()));
    let deep = format!("{}1{}", "(".repeat(1000), ")".repeat(1000));
    assert!(run(&deep, &json!({})).is_err());
}

#[test]
fn fields_are_checked_against_the_schema() {
    let schema = Schema::read(&json!({"type": "object", "properties": {
        "a": {"type": "string"},
        "list": {"type": "array", "items": {"type": "object", "properties": {"x": {"type": "string"}}}},
        "free": {"type": "object", "x-kubernetes-preserve-unknown-fields": true},
    }}));
    let check = |source: &str| {
        let program = Program::compile(source).unwrap();
        program.check(&[("self", Some(&schema))]).map_err(|error| error.shown(source))
    };
    let expected = "ERROR: <input>:1:5: undefined field 'b'\n | self.b == 1\n | ....^";
    assert_eq!(check("self.b == 1").unwrap_err(), expected);
    assert!(check("self.list.all(i, i.y == '')").unwrap_err().contains("undefined field 'y'"));
    assert!(check("other == 1").unwrap_err().contains("undeclared reference to 'other'"));
    assert!(check("self.a.frobnicate()").unwrap_err().contains("undeclared reference to 'frobnicate'"));
    assert!(check("self.free.what.ever == 1 && self.list.all(i, i.x == self.a)").is_ok());
}
