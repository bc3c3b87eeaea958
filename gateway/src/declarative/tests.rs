//! Whole files in, model or refusal out.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::{Value, json};
use uuid::uuid;

use super::*;
use crate::model::{Algorithm, HashOn, Protocol, RoutePath};
use crate::schema::samples::Samples;

mod property;

const NOW: i64 = 1_800_000_000;

fn load_at(text: &str, format: Format, plugins: &dyn PluginSchemas, now: i64) -> Result<Model, Refusal> {
    load(text, format, plugins).map(|configuration| configuration.model(now))
}

fn load_yaml(text: &str) -> Result<Model, Refusal> {
    load_at(text, Format::Yaml, &Samples, NOW)
}

/// Loads a file of format 3.0.
fn model(text: &str) -> Model {
    load_yaml(&format!("_format_version: '3.0'\n{text}"))
        .unwrap_or_else(|refusal| panic!("{}", refusal.text("file")))
}

fn refusal(text: &str) -> Refusal {
    load_yaml(&format!("_format_version: '3.0'\n{text}")).unwrap_err()
}

/// A row of `refused.yaml`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Row {
    about: String,
    config: String,
    /// Nothing is put before the configuration.
    #[serde(default)]
    bare: bool,
    #[serde(default)]
    accepted: bool,
    tree: Option<Value>,
    says: Option<String>,
    /// Entity → its faults.
    list: Option<Vec<BTreeMap<String, Vec<String>>>>,
    #[serde(default)]
    rest: BTreeMap<String, Value>,
}

#[test]
fn wrong_configurations_are_refused_in_kongs_words() {
    let rows: Vec<Row> = serde_saphyr::from_str(include_str!("tests/refused.yaml")).unwrap();
    assert!(rows.len() > 130);
    for row in rows {
        let Row { about, config, .. } = &row;
        let head =
            if row.bare || config.contains("_format_version") { "" } else { "_format_version: '3.0'\n" };
        let refusal = match (load_yaml(&format!("{head}{config}")), row.accepted) {
            (Ok(_), true) => continue,
            (Ok(_), false) => panic!("{about}: accepted"),
            (Err(refusal), true) => panic!("{about}: {}", refusal.text("file")),
            (Err(refusal), false) => refusal,
        };
        assert_eq!(refusal.status, 400, "{about}");
        for body in [refusal.body(false), refusal.body(true)] {
            assert_eq!(
                (&body["code"], &body["name"]),
                (&json!(14), &json!("invalid declarative configuration"))
            );
        }
        if let Some(tree) = &row.tree {
            assert_eq!(refusal.body(false)["fields"], *tree, "{about}");
        }
        if let Some(says) = &row.says {
            let message = format!("declarative config is invalid: {says}");
            assert_eq!(refusal.body(false)["message"], message.as_str(), "{about}");
        }
        if let Some(list) = &row.list {
            assert_eq!(flattened(refusal.body(true)), *list, "{about}");
            assert_eq!(refusal.body(true)["fields"], json!(row.rest), "{about}");
        }
        assert!(!refusal.notes().is_empty(), "{about}");
    }
}

/// The entities of a flattened answer with their faults.
fn flattened(body: &Value) -> Vec<BTreeMap<String, Vec<String>>> {
    let entities = body["flattened_errors"].as_array().map_or(&[][..], Vec::as_slice);
    entities
        .iter()
        .map(|entity| {
            let name = entity.get("entity_name").and_then(Value::as_str).unwrap_or_default();
            let who = format!("{} {name}", entity["entity_type"].as_str().unwrap());
            let faults = entity["errors"].as_array().unwrap().iter().map(|fault| {
                let message = fault["message"].as_str().unwrap();
                match (fault["type"].as_str(), fault.get("field").and_then(Value::as_str)) {
                    (Some("field"), Some(field)) => format!("{field}: {message}"),
                    (Some("entity"), None) => message.to_owned(),
                    other => panic!("{other:?}"),
                }
            });
            BTreeMap::from([(who.trim_end().to_owned(), faults.collect())])
        })
        .collect()
}

#[test]
fn a_flattened_fault_shows_the_entity_as_written_with_the_ids_known_by_then() {
    let body = |text: &str| refusal(text).body(true)["flattened_errors"].clone();
    assert_eq!(
        body("services: [{name: s, host: h, tags: [a], retries: -1, routes: []}]"),
        json!([{
            "errors": [{"message": "value should be between 0 and 32767", "field": "retries", "type": "field"}],
            "entity_type": "service",
            "entity": {"name": "s", "host": "h", "tags": ["a"], "retries": -1},
            "entity_name": "s",
            "entity_tags": ["a"],
        }])
    );
    // Schema faults come before Kong makes ids, clashes after.
    let taken =
        body("services: [{name: s, host: h, routes: [{name: r, paths: [/a]}, {name: r, paths: [/b]}]}]");
    assert_eq!(taken, json!({}), "stands under fields, as in Kong");
    let written =
        "services: [{id: 1cd7cc6a-7c1f-4b5e-8d3f-3a0a4d9b2f11, host: h, routes: [{name: r, paths: [a]}]}]";
    assert_eq!(body(written)[0]["entity"]["service"], json!({"id": "1cd7cc6a-7c1f-4b5e-8d3f-3a0a4d9b2f11"}));
    let twice = "plugins: [{name: ip-restriction, config: {allow: [], deny: [::1]}}, {name: ip-restriction, \
                 config: {allow: [], deny: [::1]}}]";
    assert_eq!(body(twice)[0]["entity"]["config"], json!({"allow": {}, "deny": ["::1"]}));
    assert!(body(twice)[0]["entity_id"].is_string());
}

#[test]
fn texts_that_are_no_configuration() {
    let says = |text: &str| {
        let refusal = load_yaml(text).unwrap_err();
        let body = refusal.body(true).clone();
        assert_eq!(&body, refusal.body(false));
        (body["fields"]["error"].as_str().unwrap().to_owned(), refusal.text("kong.yml"))
    };
    for text in ["", "5", "text", "# nothing", "[]", "- a"] {
        let (error, line) = says(text);
        assert_eq!(error, "failed parsing declarative configuration: expected an object", "{text}");
        assert_eq!(line, "kong.yml: expected an object\n", "{text}");
    }
    let (error, line) = says("_format_version: \"3.0\"\na: [1\n");
    assert_eq!(error, "failed parsing declarative configuration: 2:4: unclosed bracket '['");
    assert_eq!(line, "kong.yml:2:4: unclosed bracket '['\n");
    let nested = format!("a: {}{}", "[".repeat(100), "]".repeat(100));
    assert!(says(&nested).0.contains("nested too deeply"));
    let bomb = "a: &a [x,x,x,x,x,x,x,x,x,x]\nb: &b [*a,*a,*a,*a,*a,*a,*a,*a,*a,*a]\nc: &c [*b,*b,*b,*b,*b,*b,*b,*b,*b,*b]\n\
                d: &d [*c,*c,*c,*c,*c,*c,*c,*c,*c,*c]\ne: &e [*d,*d,*d,*d,*d,*d,*d,*d,*d,*d]\n\
                f: &f [*e,*e,*e,*e,*e,*e,*e,*e,*e,*e]\ng: [*f,*f,*f,*f,*f,*f,*f,*f,*f,*f]\n";
    assert!(says(bomb).0.contains("too many values"));
    let refused = load_at("{\"a\": 1,}", Format::Json, &Samples, NOW).unwrap_err();
    assert_eq!(refused.notes()[0].position, Some(Position { line: 1, column: 9 }));
}

#[test]
fn yaml_means_what_it_means_to_kong() {
    let text = "
services:
- &base {name: a, host: h, tags: [yes, 010, 0x1F, 1_000, 1.5, 1e3, ~, 'yes', !!str 5, y, 1.2.3, 2024-01-01]}
- <<: *base
  name: b
  name: c
  enabled: off
";
    let refusal = refusal(text);
    let of = |name: &str| {
        let notes = refusal.notes().iter().filter(|note| note.path.starts_with(name));
        notes.map(|note| note.message.clone()).collect::<Vec<_>>()
    };
    assert_eq!(of("services[0].tags[").len(), 7, "{}", refusal.text("file"));
    let model =
        model("services: [{name: a, host: h, name: b, enabled: off, retries: 010, read_timeout: 1_000}]");
    let service = model.services.values().next().unwrap();
    assert_eq!(service.name.as_deref(), Some("b"));
    assert_eq!((service.enabled, service.retries, service.read_timeout), (false, 8, 1000));
}

#[test]
fn ids_are_kongs() {
    let model = model(
        "
services:
- {name: up, host: h, routes: [{name: logged, paths: [/l], plugins: [{name: http-log, config: {http_endpoint: 'http://h'}}]}, {name: keyed, paths: [/k]}]}
consumers:
- {username: alice}
- {username: a, plugins: [{name: cors}]}
plugins:
- {name: cors}
- {name: request-termination, consumer: nobody}
- {name: correlation-id, route: logged, service: up}
upstreams: [{name: u, targets: [{target: 'a:1'}]}]
"
        .replace("nobody", "alice")
        .as_str(),
    );
    assert!(model.services.contains_key(&uuid!("dea4c45f-3d88-5461-8ebd-05ae5bbbf87a")));
    assert!(model.routes.contains_key(&uuid!("ced4af45-3185-5af9-b912-eaa3adb4934f")));
    assert!(model.routes.contains_key(&uuid!("527283d5-6f12-5649-9be1-eb409c3b275f")));
    assert!(model.consumers.contains_key(&uuid!("b32379d9-3d28-5683-a79c-72139be6e34f")));
    for id in [uuid!("48ee727e-8b90-5faa-bda1-a3c6bc3c9daa"), uuid!("3b1a5bc5-8ded-5395-ad91-27848fd86b94")] {
        assert_eq!(model.plugins[&id].name, "cors");
    }
}

#[test]
fn entities_without_a_name_keep_their_id_as_long_as_they_stay_the_same() {
    let ids = |text: &str| model(text).routes.into_keys().collect::<Vec<_>>();
    let one = ids("routes: [{paths: [/a], hosts: [x]}]");
    assert_eq!(one, ids("routes: [{hosts: [x], paths: [/a]}]"), "order of names");
    let more = ids("routes: [{paths: [/b]}, {paths: [/a], hosts: [x]}, {paths: [/a], hosts: [x]}]");
    assert_eq!(more.len(), 3);
    assert!(more.contains(&one[0]));
}

#[test]
fn a_whole_file_becomes_a_model() {
    let model = whole();
    let id = |name: &str| model.services.values().find(|s| s.name.as_deref() == Some(name)).map(|s| s.id);
    let orders = &model.services[&id("orders").unwrap()];
    assert_eq!((orders.protocol, orders.host.as_str(), orders.port), (Protocol::Https, "orders.test", 8443));
    assert_eq!((orders.path.as_deref(), orders.retries, orders.connect_timeout), (Some("/v1"), 5, 60_000));
    assert_eq!(orders.client_certificate, model.certificates.keys().next().copied());
    assert_eq!(orders.origin.as_ref().map(ToString::to_string).as_deref(), Some("services[0]"));
    assert_eq!((orders.created_at, orders.updated_at), (1_700_000_000, NOW));

    let route = model.routes.values().find(|route| route.name.as_deref() == Some("list")).unwrap();
    assert_eq!(route.service, id("orders"));
    let paths = [RoutePath::Prefix("/orders".to_owned()), RoutePath::Regex("/o/(?<id>\\d+)".to_owned())];
    assert_eq!(route.paths.as_deref(), Some(&paths[..]));
    assert_eq!(route.headers.as_ref().unwrap()["x-version"], ["1", "2"]);
    assert_eq!((route.methods.as_ref(), route.hosts.as_deref()), (None, Some(&[][..])));
    let grpc = model.routes.values().find(|route| route.name.as_deref() == Some("grpc")).unwrap();
    assert_eq!((&grpc.protocols[..], grpc.strip_path), (&[Protocol::Grpc, Protocol::Grpcs][..], false));
    assert_eq!(grpc.origin.as_ref().unwrap().as_str(), "routes[0]");
    assert_eq!(model.routes.len(), 3, "the TCP route is not one of HTTP");

    let limit = model.plugins.values().find(|plugin| plugin.name == "rate-limiting").unwrap();
    assert_eq!(limit.scope.route, Some(route.id));
    assert_eq!((limit.scope.service, limit.scope.consumer), (None, None));
    assert_eq!((&limit.config["minute"], &limit.config["limit_by"]), (&json!(5), &json!("ip")));
    assert_eq!(limit.protocols, [Protocol::Grpc, Protocol::Grpcs, Protocol::Http, Protocol::Https]);
    let stop = model.plugins.values().find(|plugin| plugin.name == "request-termination").unwrap();
    assert_eq!((stop.scope.service, stop.enabled), (id("orders"), false));
    let alice = model.consumers.values().find(|c| c.username.as_deref() == Some("alice")).unwrap();
    assert_eq!(stop.scope.consumer, Some(alice.id));
    assert_eq!(alice.groups, ["gold", "staff"]);
    assert_eq!(alice.credentials.len(), 3);

    let pool = model.upstreams.values().next().unwrap();
    let targets: Vec<_> = pool.targets.iter().map(|t| (t.host.as_str(), t.port, t.weight)).collect();
    assert_eq!(targets, [("10.0.0.1", 8000, 100), ("::1", 81, 0), ("more.test", 82, 10)]);
    assert_eq!(
        (pool.algorithm, &pool.hash_on),
        (Algorithm::ConsistentHashing, &HashOn::Header("x-user".to_owned()))
    );
    assert_eq!(pool.hash_fallback, HashOn::Cookie("sid".to_owned()));
    assert_eq!(
        (pool.healthchecks.active.healthy_interval, pool.healthchecks.passive.rules.tcp_failures),
        (0.5, 2)
    );
    assert_eq!(pool.healthchecks.active.rules.healthy_statuses, [200, 302]);

    let certificate = model.certificates.values().next().unwrap();
    assert_eq!(certificate.snis, ["a.test", "*.b.test"]);
    assert_eq!(model.ca_certificates.len(), 1);
}

#[test]
fn a_model_prints_as_a_file_that_means_the_same() {
    let model = whole();
    assert_eq!(reloaded(&model), without_origins(model));
}

/// The model of `whole.yaml`.
fn whole() -> Model {
    let (cert, key) = certificate("a.test");
    let mut text = include_str!("tests/whole.yaml").to_owned();
    for (name, pem) in [("$cert", &cert), ("$key", &key), ("$ca", &certificate("ca.test").0)] {
        text = text.replace(name, &json!(pem).to_string());
    }
    load_yaml(&text).unwrap_or_else(|refusal| panic!("{}", refusal.text("whole.yaml")))
}

/// A certificate and its key, as PEM.
fn certificate(name: &str) -> (String, String) {
    let made = rcgen::generate_simple_self_signed(vec![name.to_owned()]).unwrap();
    (made.cert.pem(), made.signing_key.serialize_pem())
}

/// Printed and loaded again.
fn reloaded(model: &Model) -> Model {
    let file = entities(model, Secrets::Shown).file().to_string();
    let again = load_at(&file, Format::Json, &Samples, NOW);
    without_origins(again.unwrap_or_else(|refusal| panic!("{}\n{file}", refusal.text("file"))))
}

fn without_origins(mut model: Model) -> Model {
    model.services.values_mut().for_each(|entity| entity.origin = None);
    model.routes.values_mut().for_each(|entity| entity.origin = None);
    model.plugins.values_mut().for_each(|entity| entity.origin = None);
    model.upstreams.values_mut().for_each(|entity| entity.origin = None);
    model.consumers.values_mut().for_each(|entity| entity.origin = None);
    model.certificates.values_mut().for_each(|entity| entity.origin = None);
    model.ca_certificates.values_mut().for_each(|entity| entity.origin = None);
    model
}

#[test]
fn entities_are_printed_whole_and_without_secrets() {
    let model = model(
        "
services: [{name: s, host: h}]
consumers: [{username: a, keyauth_credentials: [{key: topsecret}]}]
plugins: [{name: rate-limiting, config: {minute: 1, redis_host: r}}]
",
    );
    let printed = entities(&model, Secrets::Redacted);
    let id = "b268827a-8f7f-551f-8769-e6bceb2f3ec6";
    assert_eq!(
        json!(printed)["services"][id],
        json!({
            "id": id, "created_at": NOW, "updated_at": NOW, "name": "s", "retries": 5, "protocol": "http", "host": "h",
            "port": 80, "path": null, "connect_timeout": 60000, "write_timeout": 60000, "read_timeout": 60000,
            "tags": null, "client_certificate": null, "tls_verify": null, "tls_verify_depth": null,
            "ca_certificates": null, "enabled": true,
        })
    );
    assert_eq!(printed.list("services").unwrap()["data"][0]["name"], "s");
    assert_eq!(printed.list("upstreams"), Some(json!({"data": [], "next": null})));
    assert_eq!(printed.list("nonsense"), None);
    assert_eq!(printed.find("services", "s"), printed.find("services", id));
    assert!(printed.find("services", "s").is_some());
    assert_eq!(printed.find("services", "t"), None);
    assert_eq!(printed.list("keyauth_credentials").unwrap()["data"][0]["key"], "REDACTED");
    assert!(!json!(printed).to_string().contains("topsecret"));
    let plugin = &printed.list("plugins").unwrap()["data"][0]["config"];
    assert_eq!((&plugin["redis"]["host"], plugin.get("redis_host")), (&json!("r"), None));
    let legacy = printed.with_legacy_settings(&Samples);
    assert_eq!(legacy.list("plugins").unwrap()["data"][0]["config"]["redis_host"], "r");
}

#[test]
fn a_person_reads_where_and_what_and_what_was_meant() {
    let refusal = refusal(
        "servces: []
services:
- name: s
  host: h
  routes:
  - name: r
    paths: [/a, b]
    hots: [x]
    plugins:
    - name: rate-limting
    - name: rate-limiting
      config: {minute: 1, limitby: ip}
routes:
- {name: q, paths: [/q], service: t}
- {name: q, paths: [/q], service: ss}
consumers:
- {username: a, keyauth_credentials: [{key: hidden}, {key: hidden}]}
",
    );
    assert_eq!(
        refusal.text("kong.yml"),
        "\
kong.yml:2:10: servces: unknown field
  hint: did you mean 'services'?
kong.yml:8:17: services[0].routes[0].paths[1]: should start with: / (fixed path) or ~/ (regex path)
kong.yml:9:11: services[0].routes[0].hots: unknown field
  hint: did you mean 'hosts'?
kong.yml:11:13: services[0].routes[0].plugins[0].name: plugin 'rate-limting' not enabled; add it to the 'plugins' \
configuration property
  hint: did you mean 'rate-limiting'?
kong.yml:13:36: services[0].routes[0].plugins[1].config.limitby: unknown field
  hint: did you mean 'limit_by'?
kong.yml:15:35: routes[0].service: invalid reference 'service: t' (no such entry in 'services')
kong.yml:16:3: routes[1]: uniqueness violation: 'routes' entity with name set to 'q' already declared
kong.yml:16:35: routes[1].service: invalid reference 'service: ss' (no such entry in 'services')
  hint: did you mean 's'?
kong.yml:18:54: consumers[0].keyauth_credentials[1]: uniqueness violation: 'keyauth_credentials' entity with key set \
to 'REDACTED' already declared
"
    );
    // All of it is in the answer to a program, too.
    let body = refusal.body(false);
    assert_eq!(
        body["fields"]["routes"][0]["service"],
        "invalid reference 'service: t' (no such entry in 'services')"
    );
    assert_eq!(body["fields"]["routes"][1]["@entity"].as_array().unwrap().len(), 1);
    assert_eq!(refusal.body(true)["flattened_errors"].as_array().unwrap().len(), 6);
    assert_eq!(refusal.body(true)["fields"], json!({"servces": "unknown field"}));
}

#[test]
fn clashes_and_broken_references_of_one_section_are_all_answered() {
    let refusal = refusal(
        "
services: [{name: s, host: h}]
routes: [{name: a, paths: [/], service: x}, {name: b, paths: [/]}, {name: b, paths: [/]}]
consumers: [{username: a, custom_id: c}, {username: b, custom_id: c}, {username: b}]
",
    );
    let says = |entity: &str, field: &str, value: &str| {
        format!("uniqueness violation: '{entity}' entity with {field} set to '{value}' already declared")
    };
    assert_eq!(
        refusal.body(false)["fields"],
        json!({
            "routes": {
                "a": ["invalid reference 'service: x' (no such entry in 'services')"],
                "3": says("routes", "name", "b"),
            },
            "consumers": {"b": says("consumers", "custom_id", "c"), "3": says("consumers", "username", "b")},
        })
    );
    assert_eq!(flattened(refusal.body(true)).len(), 4);
    assert_eq!(refusal.body(true)["fields"], json!({}));
}

#[test]
fn a_person_reads_the_first_hundred_faults() {
    let refusal = refusal(&format!("services: [{}]", "{host: h, x: 1},".repeat(120)));
    let text = refusal.text("kong.yml");
    assert_eq!(text.lines().count(), 101);
    assert!(text.ends_with("kong.yml: and 20 more\n"));
    assert_eq!(refusal.notes().len(), 120);
}

#[test]
fn references_by_name_id_and_nesting() {
    let text = "
services: [{name: s, host: h, id: 6E8BFB0F-1B0A-4D3E-9B6C-0D7A2B1C3D4E}]
routes:
- {name: by-name, paths: [/a], service: s}
- {name: by-id, paths: [/a], service: 6e8bfb0f-1b0a-4d3e-9b6c-0d7a2b1c3d4e}
- {name: by-record, paths: [/a], service: {id: 6E8BFB0F-1B0A-4D3E-9B6C-0D7A2B1C3D4E}}
- {name: none, paths: [/a], service: null}
";
    let routes = model(text).routes;
    let service = uuid!("6e8bfb0f-1b0a-4d3e-9b6c-0d7a2b1c3d4e");
    for route in routes.values() {
        let expected = (route.name.as_deref() != Some("none")).then_some(service);
        assert_eq!(route.service, expected, "{:?}", route.name);
    }
    let faults = |text: &str| {
        let notes = refusal(text).notes().to_vec();
        notes.into_iter().map(|note| format!("{}: {}", note.path, note.message)).collect::<Vec<_>>()
    };
    // A nested entity may name its parent, and nothing else in its place.
    model("services: [{name: s, host: h, routes: [{name: r, paths: [/a], service: s}]}]");
    assert_eq!(
        faults("services: [{name: s, host: h, routes: [{paths: [/a], service: t}]}, {name: t, host: h}]"),
        ["services[0].routes[0].service: value must be null"]
    );
    assert_eq!(
        faults("routes: [{paths: [/a], service: {name: s}}, {paths: [/a], service: 5}]"),
        ["routes[0].service.id: missing primary key", "routes[1].service: expected a string"]
    );
    assert_eq!(
        faults("snis: [{name: a.test}]\ntargets: [{target: 'a:1'}]"),
        ["snis[0].certificate: required field missing", "targets[0].upstream: required field missing"]
    );
}

#[test]
fn scopes_of_nested_plugins() {
    let model = model(
        "
services: [{name: s, host: h, plugins: [{name: cors}, {name: correlation-id, consumer: a}]}]
consumers: [{username: a, plugins: [{name: key-auth}, {name: request-termination, service: s}]}]
",
    );
    let scope = |name: &str| model.plugins.values().find(|plugin| plugin.name == name).unwrap().scope;
    let (service, consumer) = (model.services.keys().next().copied(), model.consumers.keys().next().copied());
    assert_eq!((scope("cors").service, scope("cors").consumer), (service, None));
    assert_eq!((scope("correlation-id").service, scope("correlation-id").consumer), (service, consumer));
    // Kong takes it here and never runs it.
    assert_eq!(scope("key-auth").consumer, consumer);
    assert_eq!(
        (scope("request-termination").service, scope("request-termination").consumer),
        (service, consumer)
    );
    let refused =
        refusal("consumers: [{username: a}]\nservices: [{host: h, plugins: [{name: cors, consumer: a}]}]");
    assert_eq!(refused.notes()[0].message, "value must be null");
}

#[test]
fn sections_of_plugins_that_are_not_there_are_unknown() {
    struct None;
    impl PluginSchemas for None {
        fn schema(&self, _: &str) -> Option<&crate::schema::PluginSchema> {
            Option::None
        }
        fn names(&self) -> Vec<&'static str> {
            Vec::new()
        }
    }
    let text = "_format_version: '3.0'\nacls: []\nconsumers: [{username: a, keyauth_credentials: []}]";
    let refused = load_at(text, Format::Yaml, &None, NOW).unwrap_err();
    assert_eq!(
        refused.body(false)["fields"],
        json!({"acls": "unknown field", "consumers": [{"keyauth_credentials": "unknown field"}]})
    );
}

#[test]
fn certificates_are_looked_into() {
    let ((cert, key), (other, _)) = (certificate("a.test"), certificate("b.test"));
    let says = |section: &str, entity: Value| {
        let file = json!({"_format_version": "3.0", section: [entity]});
        let loaded = load_at(&file.to_string(), Format::Json, &Samples, NOW);
        loaded.map_or_else(|refusal| refusal.notes()[0].message.clone(), |_| "fine".to_owned())
    };
    assert_eq!(says("certificates", json!({"cert": cert, "key": key})), "fine");
    assert_eq!(says("certificates", json!({"cert": other, "key": key})), "certificate does not match key");
    assert!(says("certificates", json!({"cert": "x", "key": key})).starts_with("invalid certificate: "));
    assert!(says("certificates", json!({"cert": cert, "key": "x"})).starts_with("invalid key: "));
    assert_eq!(says("ca_certificates", json!({"cert": other})), "fine");
    let both = format!("{cert}\n{other}");
    assert_eq!(
        says("ca_certificates", json!({"cert": both})),
        "please submit only one certificate at a time"
    );
}

#[test]
fn hashed_passwords_and_expiring_keys_are_not_taken_for_what_they_are_not() {
    let refused = refusal(
        "
_transform: false
consumers: [{username: a, basicauth_credentials: [{username: a, password: 0123}]}]
",
    );
    assert!(refused.notes()[0].message.starts_with("expected a string"));
    let refused = refusal(
        "
_transform: false
consumers: [{username: a, basicauth_credentials: [{username: a, password: x}], keyauth_credentials: [{key: k, ttl: 5}]}]
",
    );
    let messages: Vec<_> = refused.notes().iter().map(|note| note.message.as_str()).collect();
    assert_eq!(
        messages,
        [
            "hashes are not supported: give the password itself and leave out '_transform: false'",
            "credentials that expire are not supported"
        ]
    );
}
