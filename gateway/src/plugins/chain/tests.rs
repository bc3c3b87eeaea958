use std::collections::BTreeMap;

use parking_lot::Mutex;
use serde_json::json;

use super::*;
use crate::exchange::{Outcome, Times};
use crate::model::{Consumer, Protocol, Route};
use crate::plugins::testing::{Bench, exchange};

const GET: &str = "GET / HTTP/1.1\r\nHost: a.test\r\n\r\n";
const ROUTE: Uuid = Uuid::from_u128(1);
const SERVICE: Uuid = Uuid::from_u128(2);
const ALICE: Uuid = Uuid::from_u128(3);

/// Writes down when it is called, and does as told.
struct Spy {
    label: String,
    phases: Phases,
    does: Does,
    calls: Calls,
}

type Calls = Arc<Mutex<Vec<String>>>;

#[derive(Clone, Copy)]
enum Does {
    Pass,
    Answer,
    Fail,
    Panic,
    PanicLater,
    Wait,
    Identify,
}

impl Plugin for Spy {
    fn phases(&self) -> Phases {
        self.phases
    }

    fn access<'a>(&'a self, exchange: &'a mut Exchange) -> Flow<'a> {
        self.calls.lock().push(format!("access {}", self.label));
        match self.does {
            Does::Pass => Flow::Next,
            Does::Answer => {
                Flow::Answer(Answer::Error { status: 403, message: "no".into(), reason: Reason::Forbidden })
            }
            Does::Fail => Flow::Fail("can't".into()),
            Does::Panic => panic!("oh {}", "no"),
            Does::PanicLater => Flow::Wait(Box::pin(async { panic!("later") })),
            Does::Wait => Flow::Wait(Box::pin(async {
                tokio::task::yield_now().await;
                exchange.path = "waited".to_owned();
                Flow::Next
            })),
            Does::Identify => {
                exchange.consumer = Some(Arc::new(consumer(ALICE)));
                Flow::Next
            }
        }
    }

    fn header_filter(&self, _: &mut Exchange) {
        self.calls.lock().push(format!("header {}", self.label));
        assert!(!matches!(self.does, Does::Panic), "in header_filter");
    }

    fn log(&self, _: &Arc<Record>) {
        self.calls.lock().push(format!("log {}", self.label));
        assert!(!matches!(self.does, Does::Panic), "in log");
    }
}

/// Configured spies, and what they wrote down.
#[derive(Default)]
struct Setup {
    instances: HashMap<Uuid, Arc<Instance>>,
    calls: Calls,
}

impl Setup {
    fn add(&mut self, name: &str, label: &str, scope: Scope, phases: Phases, does: Does) -> &mut Self {
        let source = plugin(100 + self.instances.len() as u128, name, scope);
        let spy = Spy { label: label.to_owned(), phases, does, calls: self.calls.clone() };
        let instance = Instance::new(&source, registry::find(name), Arc::new(spy), None);
        self.instances.insert(source.id, Arc::new(instance));
        self
    }

    fn chain(&self) -> Arc<Chain> {
        Chains::of(&self.instances, None).of_route(ROUTE, Some(SERVICE))
    }

    fn calls(&self) -> Vec<String> {
        std::mem::take(&mut *self.calls.lock())
    }
}

fn plugin(id: u128, name: &str, scope: Scope) -> model::Plugin {
    model::Plugin {
        id: Uuid::from_u128(id),
        name: name.to_owned(),
        instance_name: None,
        enabled: true,
        config: json!({}),
        confidential: false,
        protocols: vec![Protocol::Http],
        scope,
        tags: None,
        broken: None,
        origin: None,
    }
}

fn consumer(id: Uuid) -> Consumer {
    Consumer {
        id,
        username: Some("alice".to_owned()),
        custom_id: None,
        tags: None,
        created_at: 0,
        updated_at: 0,
        groups: Vec::new(),
        credentials: Vec::new(),
        origin: None,
    }
}

fn scope(letters: &str) -> Scope {
    let given = |letter: char, id| letters.contains(letter).then_some(id);
    Scope { route: given('r', ROUTE), service: given('s', SERVICE), consumer: given('c', ALICE) }
}

fn record() -> Arc<Record> {
    let exchange = exchange(GET);
    Arc::new(Record {
        id: exchange.id,
        client: exchange.client,
        request: exchange.request,
        target: b"/".to_vec(),
        response: exchange.response,
        matched: None,
        consumer: None,
        credential: None,
        outcome: Outcome::default(),
        times: Times::default(),
        tries: SmallVec::new(),
        upstream_target: Vec::new(),
        correlation_id: None,
        sent: crate::exchange::Sent::default(),
        trace: None,
    })
}

async fn run(chain: &Chain) -> (ChainEnd, Chosen) {
    let mut chosen = Chosen::default();
    let end = chain.access(&mut exchange(GET), &mut chosen).await;
    (end, chosen)
}

#[tokio::test]
async fn plugins_run_by_priority_and_equal_ones_by_name_backwards() {
    let mut setup = Setup::default();
    for name in ["request-termination", "post-function", "acl", "key-auth", "pre-function", "http-log"] {
        setup.add(name, name, Scope::default(), Phases::ACCESS, Does::Pass);
    }
    let chain = setup.chain();
    assert!(matches!(run(&chain).await.0, ChainEnd::Next));
    let order = ["pre-function", "key-auth", "acl", "http-log", "request-termination", "post-function"];
    assert_eq!(setup.calls(), order.map(|name| format!("access {name}")));
    assert_eq!(chain.names().collect::<Vec<_>>(), order);
}

#[test]
fn the_registry_has_kongs_order() {
    let order = |entry: &Entry| (entry.priority, entry.name());
    assert!(registry::PLUGINS.windows(2).all(|pair| order(&pair[0]) > order(&pair[1])));
}

#[tokio::test]
async fn of_instances_at_several_scopes_the_narrowest_runs() {
    let cases = [
        ("rsc rc sc rs c r s -", "rsc"),
        ("rc sc rs c r s -", "rc"),
        ("sc rs c r s -", "sc"),
        ("rs c r s -", "rs"),
        ("c r s -", "c"),
        ("r s -", "r"),
        ("s -", "s"),
        ("-", "-"),
        ("c rs", "rs"),
        ("c r", "c"),
        ("sc rc", "rc"),
        ("sc rs", "sc"),
    ];
    for (scopes, winner) in cases {
        let mut setup = Setup::default();
        setup.add("key-auth", "auth", Scope::default(), Phases::ACCESS, Does::Identify);
        for letters in scopes.split(' ') {
            setup.add("rate-limiting", letters, scope(letters), Phases::ALL, Does::Pass);
        }
        let chain = setup.chain();
        let (_, chosen) = run(&chain).await;
        chain.header_filter(&mut exchange(GET), &chosen).unwrap();
        chain.log(&record(), &chosen);
        let phases = ["access", "header", "log"].map(|phase| format!("{phase} {winner}"));
        assert_eq!(setup.calls()[1..], phases, "{scopes}");
    }
}

#[tokio::test]
async fn a_consumer_is_known_to_plugins_behind_the_one_that_found_out() {
    let mut setup = Setup::default();
    setup.add("pre-function", "pre global", scope("-"), Phases::ACCESS, Does::Pass);
    setup.add("pre-function", "pre alice", scope("c"), Phases::ACCESS, Does::Pass);
    setup.add("key-auth", "auth", scope("-"), Phases::ACCESS, Does::Identify);
    setup.add("rate-limiting", "limit alice", scope("c"), Phases::ACCESS, Does::Pass);
    run(&setup.chain()).await;
    assert_eq!(setup.calls(), ["access pre global", "access auth", "access limit alice"]);
}

#[tokio::test]
async fn instances_of_other_routes_services_and_consumers_are_not_there() {
    let mut setup = Setup::default();
    let other = Some(Uuid::from_u128(99));
    for (label, scope) in [
        ("route", Scope { route: other, ..Scope::default() }),
        ("service", Scope { service: other, ..Scope::default() }),
        ("consumer", Scope { consumer: other, ..Scope::default() }),
        ("both", Scope { route: Some(ROUTE), service: other, ..Scope::default() }),
    ] {
        setup.add("rate-limiting", label, scope, Phases::ALL, Does::Pass);
    }
    let chain = setup.chain();
    let (end, chosen) = run(&chain).await;
    assert!(matches!(end, ChainEnd::Next));
    chain.log(&record(), &chosen);
    assert_eq!(setup.calls(), [""; 0]);
}

#[tokio::test]
async fn after_an_answer_no_access_but_all_later_phases_run() {
    let mut setup = Setup::default();
    setup.add("key-auth", "auth", scope("-"), Phases::ACCESS, Does::Identify);
    setup.add("acl", "acl", scope("-"), Phases::ACCESS, Does::Answer);
    setup.add("rate-limiting", "limit alice", scope("c"), Phases::ALL, Does::Pass);
    setup.add("rate-limiting", "limit all", scope("-"), Phases::ALL, Does::Pass);
    setup.add("http-log", "log", scope("-"), Phases::LOG, Does::Pass);
    let chain = setup.chain();
    let (end, chosen) = run(&chain).await;
    assert!(matches!(end, ChainEnd::Answer { plugin: "acl", answer: Answer::Error { status: 403, .. } }));
    chain.header_filter(&mut exchange(GET), &chosen).unwrap();
    chain.log(&record(), &chosen);
    let calls = ["access auth", "access acl", "header limit alice", "log limit alice", "log log"];
    assert_eq!(setup.calls(), calls);
}

#[tokio::test]
async fn failures_and_panics_cost_the_exchange_and_name_the_plugin() {
    for (does, detail) in [(Does::Fail, "can't"), (Does::Panic, "oh no"), (Does::PanicLater, "later")] {
        let mut setup = Setup::default();
        setup.add("acl", "acl", scope("-"), Phases::ALL, does);
        setup.add("http-log", "log", scope("-"), Phases::LOG, Does::Pass);
        let chain = setup.chain();
        let (end, chosen) = run(&chain).await;
        let ChainEnd::Failed(failure) = end else { unreachable!("{end:?}") };
        let wanted = Failure { plugin: "acl", reason: Reason::PluginFailed, detail: detail.into() };
        assert_eq!(failure, wanted);
        setup.calls();
        let filtered = chain.header_filter(&mut exchange(GET), &chosen);
        assert_eq!(filtered.is_err(), matches!(does, Does::Panic));
        chain.log(&record(), &chosen);
        assert_eq!(setup.calls(), ["header acl", "log acl", "log log"]);
    }
}

#[tokio::test]
async fn a_plugin_may_wait_and_change_the_exchange_meanwhile() {
    let mut setup = Setup::default();
    setup.add("acl", "acl", scope("-"), Phases::ACCESS, Does::Wait);
    let mut exchange = exchange(GET);
    setup.chain().access(&mut exchange, &mut Chosen::default()).await;
    assert_eq!(exchange.path, "waited");
}

#[test]
fn phases_tell_whether_anybody_needs_a_record_or_the_body() {
    let mut setup = Setup::default();
    setup.add("acl", "acl", scope("-"), Phases::ACCESS, Does::Pass);
    assert_eq!(setup.chain().phases(), Phases::ACCESS);
    setup.add("http-log", "log", scope("c"), Phases::LOG, Does::Pass);
    assert!(setup.chain().phases().contains(Phases::LOG));
    assert!(!setup.chain().wants_body());
}

#[test]
fn routes_without_plugins_of_their_own_share_a_chain() {
    let mut setup = Setup::default();
    setup.add("acl", "all", scope("-"), Phases::ACCESS, Does::Pass);
    setup.add("http-log", "of service", scope("s"), Phases::LOG, Does::Pass);
    setup.add("rate-limiting", "of route", scope("r"), Phases::ACCESS, Does::Pass);
    let chains = Chains::of(&setup.instances, None);
    let others = [4, 5].map(|route| chains.of_route(Uuid::from_u128(route), Some(SERVICE)));
    assert!(Arc::ptr_eq(&others[0], &others[1]));
    let bare = [4, 5].map(|route| chains.of_route(Uuid::from_u128(route), None));
    assert!(Arc::ptr_eq(&bare[0], &bare[1]));
    let names = |chain: &Chain| chain.names().collect::<Vec<_>>().join(" ");
    assert_eq!(names(&chains.of_route(ROUTE, Some(SERVICE))), "acl rate-limiting http-log");
    assert_eq!((names(&others[0]), names(&bare[0])), ("acl http-log".to_owned(), "acl".to_owned()));
}

fn model(plugins: impl IntoIterator<Item = model::Plugin>) -> Model {
    let route = Route { service: Some(SERVICE), ..Route::new(ROUTE) };
    Model {
        routes: BTreeMap::from([(ROUTE, route)]),
        plugins: plugins.into_iter().map(|plugin| (plugin.id, plugin)).collect(),
        ..Model::default()
    }
}

async fn failure(plugin: model::Plugin) -> (Failure, Vec<Problem>) {
    let (plugins, problems) = Plugins::compile(&model([plugin]), &Bench::new().environment, None);
    let (ChainEnd::Failed(failure), _) = run(&plugins.of_route(ROUTE)).await else { unreachable!() };
    (failure, problems)
}

#[tokio::test]
async fn settings_that_cant_be_used_refuse_requests_instead_of_letting_them_pass() {
    let broken = model::Plugin {
        broken: Some("no such network".to_owned()),
        ..plugin(9, "ip-restriction", scope("r"))
    };
    let (refused, problems) = failure(broken).await;
    assert_eq!((refused.reason, &*refused.detail), (Reason::Misconfigured, "no such network"));
    assert_eq!(problems, []);

    let unknown = failure(plugin(9, "rate-limitting", scope("r"))).await.0;
    assert!(
        unknown.reason == Reason::Misconfigured && unknown.detail.contains("rate-limitting"),
        "{unknown:?}"
    );

    // Settings that nobody has checked: the plugin can't be made.
    let origin = Some(Origin::new("KongPlugin a/b"));
    let unchecked = model::Plugin { origin, ..plugin(9, "rate-limiting", scope("r")) };
    let (refused, problems) = failure(unchecked).await;
    assert_eq!(refused.reason, Reason::Misconfigured);
    assert_eq!(problems.len(), 1);
    assert_eq!((problems[0].origin.as_str(), &*problems[0].message), ("KongPlugin a/b", &*refused.detail));
}

#[test]
fn disabled_plugins_and_those_of_other_protocols_are_not_there() {
    let disabled = model::Plugin { enabled: false, ..plugin(8, "acl", scope("-")) };
    let stream = model::Plugin { protocols: vec![Protocol::Tcp], ..plugin(9, "ip-restriction", scope("-")) };
    let (plugins, _) = Plugins::compile(&model([disabled, stream]), &Bench::new().environment, None);
    assert_eq!(plugins.of_route(ROUTE).names().count(), 0);
}

#[test]
fn what_no_route_takes_has_the_plugins_that_apply_everywhere() {
    let everywhere =
        model::Plugin { config: json!({"minute": 1}), ..plugin(8, "correlation-id", scope("-")) };
    let mut everywhere = everywhere;
    everywhere.config = registry::find("correlation-id").unwrap().schema.check(&json!({})).unwrap();
    let plugins = [everywhere, plugin(9, "acl", scope("r")), plugin(10, "acl", scope("c"))];
    let (plugins, _) = Plugins::compile(&model(plugins), &Bench::new().environment, None);
    assert_eq!(plugins.unmatched().names().collect::<Vec<_>>(), ["correlation-id", "acl"]);
    assert_eq!(plugins.unmatched().taking_part(Phases::ACCESS, &Chosen::default()).count(), 1);
}

#[test]
fn an_unchanged_plugin_is_taken_over_into_the_next_generation() {
    let bench = Bench::new();
    let checked = |name: &str, config| registry::find(name).unwrap().schema.check(&config).unwrap();
    let model = |changed: bool| {
        let mut same = plugin(8, "rate-limiting", scope("-"));
        same.config = checked("rate-limiting", json!({"minute": 1}));
        let mut other = plugin(9, "ip-restriction", scope("-"));
        let denied = if changed { "10.0.0.1" } else { "10.0.0.2" };
        other.config = checked("ip-restriction", json!({"deny": [denied]}));
        let mut auth = plugin(10, "key-auth", scope("-"));
        auth.config = checked("key-auth", json!({}));
        let mut model = model([same, other, auth]);
        if changed {
            model.consumers.insert(ALICE, consumer(ALICE));
        }
        model
    };
    let (first, problems) = Plugins::compile(&model(false), &bench.environment, None);
    assert_eq!(problems, []);
    let (second, _) = Plugins::compile(&model(false), &bench.environment, Some(&first));
    let (third, _) = Plugins::compile(&model(true), &bench.environment, Some(&second));
    let same = |a: &Plugins, b: &Plugins, id| {
        let id = Uuid::from_u128(id);
        Arc::ptr_eq(&a.instances[&id], &b.instances[&id])
    };
    assert!([8, 9, 10].iter().all(|id| same(&first, &second, *id)));
    assert_eq!([8, 9, 10].map(|id| same(&second, &third, id)), [true, false, false]);
}
