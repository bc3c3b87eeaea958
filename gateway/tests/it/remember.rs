//! What serves when an object that was good stops being so.

use gateway::model::{Certificate, Plugin};
use gateway::objects::{Kind, Object};
use gateway::source::Change;
use gateway::store::Store;
use gateway::translate::{Programmed, Remembered, Translation, translate};
use serde_json::{Value, json};

use crate::support::checks::checks;
use crate::translate::settings;

/// A gateway's control plane without its sources: objects in, translation after translation.
struct Steps {
    store: Store,
    last: Translation,
}

impl Steps {
    /// An Ingress with the plugin `limit` and TLS by the Secret `cert`.
    fn start() -> Steps {
        let mut steps = Steps { store: Store::default(), last: Translation::default() };
        steps.apply(
            Kind::Ingress,
            json!({
                "metadata": {"name": "a", "namespace": "echo", "resourceVersion": "1",
                             "annotations": {"konghq.com/plugins": "limit"}},
                "spec": {
                    "ingressClassName": "kong",
                    "tls": [{"hosts": ["a.example"], "secretName": "cert"}],
                    "rules": [{"http": {"paths": [{"path": "/", "pathType": "Prefix",
                        "backend": {"service": {"name": "one", "port": {"number": 80}}}}]}}],
                },
            }),
        );
        steps
    }

    fn apply(&mut self, kind: Kind, value: Value) {
        self.store.apply(Change::Applied(Object::read(kind, value).unwrap()));
        let remembered: &Remembered = &self.last.remembered;
        self.last = translate(&self.store, remembered, &settings(), &checks());
    }

    fn plugin(&mut self, generation: i64, fields: Value) {
        self.plugin_of("u1", generation, fields);
    }

    fn plugin_of(&mut self, uid: &str, generation: i64, fields: Value) {
        let mut value = json!({"metadata": {"name": "limit", "namespace": "echo", "uid": uid,
            "generation": generation, "resourceVersion": format!("{uid}{generation}")}, "plugin": "rate-limiting"});
        value.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
        self.apply(Kind::KongPlugin, value);
    }

    fn running(&self) -> &Plugin {
        let mut plugins = self.last.model.plugins.values();
        let plugin = plugins.next().unwrap();
        assert!(plugins.next().is_none());
        plugin
    }

    fn verdict(&self) -> (Programmed, &str) {
        let verdict = self.last.verdicts.values().next().unwrap();
        (verdict.programmed, &verdict.message)
    }

    fn certificates(&self) -> Vec<&Certificate> {
        self.last.model.certificates.values().collect()
    }
}

#[test]
fn the_last_valid_settings_serve_and_say_so() {
    let mut steps = Steps::start();
    steps.plugin(2, json!({"config": {"minute": 5}}));
    assert_eq!(steps.verdict(), (Programmed::Programmed, "in use"));
    steps.plugin(3, json!({"config": {"minute": "five"}}));
    assert_eq!(steps.running().config["minute"], 5);
    assert_eq!(steps.running().broken, None);
    let expected = "config.minute: expected a number (generation 3 refused; generation 2 still serves)";
    assert_eq!(steps.verdict(), (Programmed::Invalid, expected));
    let problem = steps.last.problems.iter().find(|problem| problem.field == "config.minute").unwrap();
    assert_eq!(problem.effect, "generation 3 refused; generation 2 still serves");

    steps.plugin(4, json!({"config": {"minute": "six"}}));
    assert_eq!(steps.running().config["minute"], 5, "the good form is remembered over several bad ones");
    steps.plugin(5, json!({"config": {"minute": 7}}));
    assert_eq!(steps.running().config["minute"], 7);
    assert_eq!(steps.verdict(), (Programmed::Programmed, "in use"));
}

#[test]
fn what_was_never_valid_fails_closed() {
    let mut steps = Steps::start();
    steps.plugin(1, json!({"config": {"minute": "five"}}));
    assert_eq!(steps.running().broken.as_deref(), Some("config.minute: expected a number"));
    assert!(steps.running().enabled);
}

#[test]
fn another_object_of_the_same_name_has_no_past() {
    let mut steps = Steps::start();
    steps.plugin_of("u1", 1, json!({"config": {"minute": 5}}));
    steps.plugin_of("u2", 1, json!({"config": {"minute": "five"}}));
    assert!(steps.running().broken.is_some());
}

#[test]
fn switching_off_always_works_and_never_becomes_the_fallback() {
    let mut steps = Steps::start();
    steps.plugin(1, json!({"config": {"minute": 5}}));
    steps.plugin(2, json!({"config": {"minute": "five"}, "disabled": true}));
    assert!(!steps.running().enabled);
    steps.plugin(3, json!({"config": {"minute": "five"}}));
    assert!(steps.running().enabled, "a guard that is switched on again guards");
    assert_eq!(steps.running().config["minute"], 5);
}

#[test]
fn settings_whose_secret_goes_keep_serving() {
    let mut steps = Steps::start();
    let from = json!({"configFrom": {"secretKeyRef": {"name": "settings", "key": "k"}}});
    let secret = |text: &str| {
        use base64::Engine as _;
        let data = base64::engine::general_purpose::STANDARD.encode(text);
        json!({"metadata": {"name": "settings", "namespace": "echo", "resourceVersion": text}, "data": {"k": data}})
    };
    steps.apply(Kind::Secret, secret("minute: 5"));
    steps.plugin(1, from);
    steps.apply(Kind::Secret, secret("minute: five"));
    assert_eq!(steps.running().config["minute"], 5);
    let effect = "refused; the last valid settings still serve";
    assert!(steps.last.problems.iter().any(|problem| problem.effect == effect), "{:?}", steps.last.problems);
}

#[test]
fn a_certificate_that_breaks_keeps_serving() {
    let pair = |name: &str| {
        let made = rcgen::generate_simple_self_signed([name.to_owned()]).unwrap();
        (made.cert.pem(), made.signing_key.serialize_pem())
    };
    let secret = |version: &str, cert: &str, key: &str| {
        use base64::Engine as _;
        let encode = |text: &str| base64::engine::general_purpose::STANDARD.encode(text);
        json!({"metadata": {"name": "cert", "namespace": "echo", "uid": "8aade13c-1470-46bd-9849-9a74e349214f",
            "resourceVersion": version}, "data": {"tls.crt": encode(cert), "tls.key": encode(key)}})
    };
    let (first, second) = (pair("a.example"), pair("b.example"));
    let mut steps = Steps::start();
    steps.apply(Kind::Secret, secret("1", &first.0, &first.1));
    assert_eq!(steps.certificates()[0].snis, ["a.example"]);
    // The certificate is renewed before its key.
    steps.apply(Kind::Secret, secret("2", &second.0, &first.1));
    assert_eq!(steps.certificates()[0].cert, first.0.trim());
    assert!(steps.last.problems.iter().any(|p| p.effect.contains("last good certificate")));
    steps.apply(Kind::Secret, secret("3", &second.0, &second.1));
    assert_eq!(steps.certificates()[0].cert, second.0.trim());
    assert_eq!(steps.certificates().len(), 1);
}
