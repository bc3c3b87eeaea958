//! Which plugins run for a request, in which order, and running them.
//!
//! A [`Chain`] is compiled once per generation for every route, and for what no route matches. It holds, in
//! order of priority, one step per plugin name; of the configured plugins of that name the one with the
//! narrowest scope runs, and all others don't. Where that depends on the consumer it is decided when the
//! step's turn comes, so a plugin that finds out who is asking decides about those behind it; [`Chosen`]
//! keeps the decision for the later phases. A panic in a plugin costs the exchange it happened in.

use std::any::Any;
use std::borrow::Cow;
use std::cell::RefCell;
use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use admin_api::Reason;
use futures_util::FutureExt;
use smallvec::SmallVec;
use uuid::Uuid;

use super::credentials::Credentials;
use super::environment::Environment;
use super::registry::{self, Build, Entry};
use super::{Flow, Phases, Plugin};
use crate::clock::Clock;
use crate::exchange::trace::{Trace, Tracing, Work};
use crate::exchange::{Answer, Exchange, Record};
use crate::model::{self, Model, Origin, Problem, Scope};

/// All chains of one generation.
pub struct Plugins {
    instances: HashMap<Uuid, Arc<Instance>>,
    by_route: HashMap<Uuid, Arc<Chain>>,
    unmatched: Arc<Chain>,
    credentials: Arc<Credentials>,
    traced: bool,
}

/// The plugins of one route in the order in which they run.
pub struct Chain {
    steps: Box<[Step]>,
    phases: Phases,
    wants_body: bool,
    traced: Traced,
}

/// Who traces.
#[derive(Clone)]
enum Traced {
    Nobody,
    /// A plugin, which decides in its turn.
    ByPlugin,
    /// The process, since no plugin does.
    ByProcess(Arc<Tracing>),
}

/// What was decided for the steps that depend on the consumer. One per exchange; starts empty.
#[derive(Debug, Default)]
pub struct Chosen {
    varying: SmallVec<[Option<u16>; 4]>,
    /// How many steps let the request pass.
    passed: usize,
}

/// How the access phase ended.
#[derive(Debug)]
pub enum ChainEnd {
    /// Nobody objects: forward the request.
    Next,
    /// A plugin made the answer.
    Answer { plugin: &'static str, answer: Answer },
    /// A plugin could not do its work: 500.
    Failed(Failure),
}

/// A plugin that failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    pub plugin: &'static str,
    /// `PluginFailed`, or `Misconfigured` when its settings can't be used.
    pub reason: Reason,
    pub detail: Cow<'static, str>,
}

/// One configured plugin, ready to run.
struct Instance {
    name: &'static str,
    priority: i32,
    source: model::Plugin,
    plugin: Arc<dyn Plugin>,
    phases: Phases,
    /// Why it can't run: the settings are wrong.
    broken: Option<String>,
    uses_credentials: bool,
}

/// One plugin name.
struct Step {
    instances: Box<[Arc<Instance>]>,
    /// The instance for requests without a consumer and for consumers that have none of their own.
    default: Option<u16>,
    by_consumer: HashMap<Uuid, u16>,
    /// Its place in [`Chosen`], for a step that depends on the consumer.
    varying: Option<usize>,
    /// The plugin's place in the registry; `None` for one that nobody knows.
    place: Option<usize>,
}

impl Plugins {
    /// Makes the chains of a model. Plugins that are as they were in the previous generation are taken over.
    ///
    /// Settings that a plugin can't use give a problem, and answers of 500 in the plugin's scope.
    pub fn compile(
        model: &Model,
        environment: &Environment,
        previous: Option<&Plugins>,
    ) -> (Plugins, Vec<Problem>) {
        let credentials = Credentials::of(&model.consumers, previous.map(|previous| &previous.credentials));
        let mut problems = Vec::new();
        let mut instances = HashMap::new();
        for plugin in model.plugins.values().filter(|plugin| is_live(plugin)) {
            let kept = previous.and_then(|previous| previous.keep(plugin, &credentials));
            let instance = kept.unwrap_or_else(|| {
                let (instance, problem) = Instance::build(plugin, environment, &credentials);
                problems.extend(problem);
                Arc::new(instance)
            });
            instances.insert(plugin.id, instance);
        }
        let chains = Chains::of(&instances, environment.tracing.clone());
        let by_route =
            model.routes.values().map(|route| (route.id, chains.of_route(route.id, route.service)));
        let by_route: HashMap<Uuid, Arc<Chain>> = by_route.collect();
        let unmatched = Arc::new(chains.compile(&[Scope::default()]));
        let traced = by_route.values().chain([&unmatched]).any(|chain| chain.is_traced());
        let plugins = Plugins { instances, by_route, unmatched, credentials, traced };
        (plugins, problems)
    }

    /// Whether any of the chains traces.
    pub fn is_traced(&self) -> bool {
        self.traced
    }

    /// The chain of a route.
    pub fn of_route(&self, route: Uuid) -> Arc<Chain> {
        self.by_route.get(&route).unwrap_or(&self.unmatched).clone()
    }

    /// The chain for what no route takes, and for what is refused before routing: header filter and log of
    /// the plugins that apply everywhere. Its access phase is never run.
    pub fn unmatched(&self) -> Arc<Chain> {
        self.unmatched.clone()
    }

    fn keep(&self, plugin: &model::Plugin, credentials: &Arc<Credentials>) -> Option<Arc<Instance>> {
        let instance = self.instances.get(&plugin.id).filter(|instance| instance.source == *plugin)?;
        let stale = instance.uses_credentials && !Arc::ptr_eq(credentials, &self.credentials);
        // What could not be built is tried again, so that its problem is told again.
        (!stale && instance.broken.is_none()).then(|| instance.clone())
    }
}

/// Whether it takes part at all. Kong loads an instance when one of its protocols belongs to the subsystem,
/// and asks no further.
fn is_live(plugin: &model::Plugin) -> bool {
    use model::Protocol as P;
    let http = |protocol: &P| matches!(protocol, P::Http | P::Https | P::Grpc | P::Grpcs | P::Ws | P::Wss);
    plugin.enabled && plugin.protocols.iter().any(http)
}

impl Instance {
    fn build(
        source: &model::Plugin,
        environment: &Environment,
        credentials: &Arc<Credentials>,
    ) -> (Instance, Option<Problem>) {
        let Some(entry) = registry::find(&source.name) else {
            let detail =
                format!("plugin {:?} is unknown: correct the name or remove the plugin", source.name);
            return (Instance::broken(source, None, detail), None);
        };
        if let Some(detail) = &source.broken {
            return (Instance::broken(source, Some(entry), detail.clone()), None);
        }
        let build =
            Build { settings: &source.config, id: source.id, scope: source.scope, environment, credentials };
        match (entry.build)(&build) {
            Ok(plugin) => (Instance::new(source, Some(entry), plugin, None), None),
            Err(detail) => {
                let problem = Problem {
                    origin: source
                        .origin
                        .clone()
                        .unwrap_or_else(|| Origin::new(format!("plugin {}", source.id))),
                    field: "config".to_owned(),
                    message: detail.clone(),
                    effect: "requests in the plugin's scope are refused with 500".to_owned(),
                    advice: false,
                };
                (Instance::broken(source, Some(entry), detail), Some(problem))
            }
        }
    }

    fn broken(source: &model::Plugin, entry: Option<&'static Entry>, detail: String) -> Instance {
        Instance::new(source, entry, Arc::new(Broken), Some(detail))
    }

    fn new(
        source: &model::Plugin,
        entry: Option<&'static Entry>,
        plugin: Arc<dyn Plugin>,
        broken: Option<String>,
    ) -> Instance {
        Instance {
            name: entry.map_or("unknown", Entry::name),
            // What nobody knows might have been meant to guard something: it comes first.
            priority: entry.map_or(i32::MAX, |entry| entry.priority),
            source: source.clone(),
            phases: plugin.phases(),
            plugin,
            broken,
            uses_credentials: entry.is_some_and(|entry| entry.uses_credentials),
        }
    }

    fn failure(&self, detail: impl Into<Cow<'static, str>>) -> Failure {
        Failure { plugin: self.name, reason: Reason::PluginFailed, detail: detail.into() }
    }
}

/// Stands in for a plugin whose settings can't be used.
struct Broken;

impl Plugin for Broken {
    fn phases(&self) -> Phases {
        Phases::ACCESS
    }
}

/// Instances in order of execution, by what they apply to.
struct Chains {
    by_scope: HashMap<Scope, Vec<Arc<Instance>>>,
    /// By the route and the service that have plugins of their own.
    shared: RefCell<HashMap<Owners, Arc<Chain>>>,
    /// How the process traces where no plugin does.
    tracing: Option<Arc<Tracing>>,
}

type Owners = (Option<Uuid>, Option<Uuid>);

impl Chains {
    fn of(instances: &HashMap<Uuid, Arc<Instance>>, tracing: Option<Arc<Tracing>>) -> Chains {
        let mut by_scope: HashMap<Scope, Vec<Arc<Instance>>> = HashMap::new();
        for instance in instances.values() {
            // The consumer is looked at when the steps are made.
            let scope = Scope { consumer: None, ..instance.source.scope };
            by_scope.entry(scope).or_default().push(instance.clone());
        }
        Chains { by_scope, shared: RefCell::default(), tracing }
    }

    /// Routes without plugins of their own share the chain of their service, and those of services without
    /// any share one.
    fn of_route(&self, route: Uuid, service: Option<Uuid>) -> Arc<Chain> {
        let global = Scope::default();
        let of_service = Scope { service, ..global };
        let of_route = Scope { route: Some(route), ..global };
        let of_both = Scope { route: Some(route), service, ..global };
        let has = |scope: &Scope| *scope != global && self.by_scope.contains_key(scope);
        let own = (has(&of_route) || has(&of_both)).then_some(route);
        let key = (own, service.filter(|_| own.is_some() || has(&of_service)));
        if let Some(chain) = self.shared.borrow().get(&key) {
            return chain.clone();
        }
        let mut scopes = vec![global, of_service, of_route, of_both];
        scopes.sort_unstable();
        scopes.dedup();
        let chain = Arc::new(self.compile(&scopes));
        self.shared.borrow_mut().insert(key, chain.clone());
        chain
    }

    fn compile(&self, scopes: &[Scope]) -> Chain {
        let mut found: Vec<&Arc<Instance>> =
            scopes.iter().filter_map(|scope| self.by_scope.get(scope)).flatten().collect();
        found.sort_by(|a, b| {
            let order = |instance: &Instance| (instance.priority, instance.name);
            order(b).cmp(&order(a)).then_with(|| a.source.id.cmp(&b.source.id))
        });
        let mut steps: Vec<Step> = found.chunk_by(|a, b| a.name == b.name).map(Step::of).collect();
        let depending = steps.iter_mut().filter(|step| !step.by_consumer.is_empty());
        for (place, step) in depending.enumerate() {
            step.varying = Some(place);
        }
        let all = || steps.iter().flat_map(|step| step.instances.iter());
        let traced = match &self.tracing {
            _ if all().any(|instance| instance.phases.contains(Phases::TRACE)) => Traced::ByPlugin,
            Some(tracing) => Traced::ByProcess(Arc::clone(tracing)),
            None => Traced::Nobody,
        };
        Chain {
            traced,
            phases: all().fold(Phases::NONE, |phases, instance| phases.and(instance.phases)),
            wants_body: all().any(|instance| instance.plugin.wants_body()),
            steps: steps.into_boxed_slice(),
        }
    }
}

/// Kong's precedence: the lowest is used, the others are as if they weren't there.
fn precedence(scope: Scope) -> u8 {
    match (scope.route.is_some(), scope.service.is_some(), scope.consumer.is_some()) {
        (true, true, true) => 0,
        (true, false, true) => 1,
        (false, true, true) => 2,
        (true, true, false) => 3,
        (false, false, true) => 4,
        (true, false, false) => 5,
        (false, true, false) => 6,
        (false, false, false) => 7,
    }
}

impl Step {
    fn of(instances: &[&Arc<Instance>]) -> Step {
        let best = |consumer: Option<Uuid>| {
            let candidates = instances.iter().enumerate().filter(|(_, instance)| {
                let wanted = instance.source.scope.consumer;
                wanted.is_none() || wanted == consumer
            });
            candidates.min_by_key(|(_, instance)| precedence(instance.source.scope)).map(|(at, _)| at as u16)
        };
        let consumers = instances.iter().filter_map(|instance| instance.source.scope.consumer);
        Step {
            default: best(None),
            by_consumer: consumers.filter_map(|consumer| Some((consumer, best(Some(consumer))?))).collect(),
            instances: instances.iter().map(|instance| (*instance).clone()).collect(),
            varying: None,
            place: instances.first().and_then(|instance| registry::place(instance.name)),
        }
    }

    fn choose(&self, exchange: &Exchange, chosen: &mut Chosen) -> Option<&Instance> {
        if self.varying.is_none() {
            return self.instance(self.default);
        }
        let consumer = exchange.consumer.as_ref();
        let own = consumer.and_then(|consumer| self.by_consumer.get(&consumer.id).copied());
        chosen.varying.push(own.or(self.default));
        self.instance(own.or(self.default))
    }

    /// The instance that was chosen in the access phase; before there was one, that for nobody in particular.
    fn chosen(&self, chosen: &Chosen) -> Option<&Instance> {
        let remembered = self.varying.and_then(|place| chosen.varying.get(place).copied());
        self.instance(remembered.unwrap_or(self.default))
    }

    fn instance(&self, at: Option<u16>) -> Option<&Instance> {
        self.instances.get(usize::from(at?)).map(|instance| &**instance)
    }
}

impl Chain {
    /// Phases that any of the plugins takes part in. Without `LOG` nobody needs a record of the exchange.
    pub fn phases(&self) -> Phases {
        self.phases
    }

    /// Whether `exchange.body` is to be filled before the access phase.
    pub fn wants_body(&self) -> bool {
        self.wants_body
    }

    fn is_traced(&self) -> bool {
        !matches!(self.traced, Traced::Nobody)
    }

    /// Gives an exchange a trace, if somebody traces it. A route was being looked for since a moment.
    pub fn begin_trace(&self, exchange: &mut Exchange, clock: &Clock, begun_ns: u64) {
        if !self.is_traced() {
            return;
        }
        let mut trace = Box::new(Trace::begin(clock.clone()));
        let found = exchange.matched.is_some();
        trace.step(Work::Routing { found }, begun_ns);
        if let Traced::ByProcess(tracing) = &self.traced {
            trace.decide(tracing, &exchange.request.fields, found);
        }
        exchange.trace = Some(trace);
    }

    /// Names of the plugins, in order of execution.
    pub fn names(&self) -> impl Iterator<Item = &'static str> + '_ {
        self.steps.iter().filter_map(|step| Some(step.instances.first()?.name))
    }

    /// Asks one plugin after another, until one answers. Those behind it are chosen all the same: their later
    /// phases run.
    pub async fn access(&self, exchange: &mut Exchange, chosen: &mut Chosen) -> ChainEnd {
        chosen.varying.clear();
        chosen.passed = 0;
        let mut steps = self.steps.iter();
        for step in steps.by_ref() {
            if let Some(instance) = step.choose(exchange, chosen)
                && instance.phases.contains(Phases::ACCESS)
            {
                let begun_ns = exchange.trace.as_ref().map_or(0, |trace| trace.now_ns());
                let end = instance.access(exchange).await;
                if let Some(trace) = &mut exchange.trace {
                    trace.step(Work::Access(instance.name), begun_ns);
                }
                if !matches!(end, ChainEnd::Next) {
                    for step in steps {
                        step.choose(exchange, chosen);
                    }
                    return end;
                }
            }
            chosen.passed += 1;
        }
        ChainEnd::Next
    }

    /// Places in the registry of the plugins that let the request pass, and of the one that ended it.
    pub fn outcome<'a>(
        &'a self,
        chosen: &Chosen,
        ended_by: Option<&str>,
    ) -> (impl Iterator<Item = usize> + 'a, Option<usize>) {
        let passed = self.steps.iter().take(chosen.passed).filter_map(|step| step.place);
        let ender = self.steps.get(chosen.passed).filter(|_| ended_by.is_some());
        (passed, ender.and_then(|step| step.place))
    }

    /// Lets plugins edit the head of the answer in `exchange.response`. After a failure the rest is not asked.
    pub fn header_filter(&self, exchange: &mut Exchange, chosen: &Chosen) -> Result<(), Failure> {
        for instance in self.taking_part(Phases::HEADER_FILTER, chosen) {
            let begun_ns = exchange.trace.as_ref().map_or(0, |trace| trace.now_ns());
            caught(|| instance.plugin.header_filter(exchange)).map_err(|panic| instance.failure(panic))?;
            if let Some(trace) = &mut exchange.trace {
                trace.step(Work::HeaderFilter(instance.name), begun_ns);
            }
        }
        Ok(())
    }

    /// Has plugins count the finished exchange.
    pub fn count(&self, exchange: &Exchange, chosen: &Chosen) {
        for instance in self.taking_part(Phases::COUNT, chosen) {
            if let Err(panic) = caught(|| instance.plugin.count(exchange)) {
                let (plugin, id) = (instance.name, instance.source.id);
                tracing::error!(plugin, %id, "counting failed: {panic}");
            }
        }
    }

    /// Shows plugins the finished exchange. One that fails keeps no other from its work.
    pub fn log(&self, record: &Arc<Record>, chosen: &Chosen) {
        for instance in self.taking_part(Phases::LOG, chosen) {
            if let Err(panic) = caught(|| instance.plugin.log(record)) {
                let (plugin, id) = (instance.name, instance.source.id);
                tracing::error!(plugin, %id, "log phase failed: {panic}");
            }
        }
    }

    fn taking_part<'a>(&'a self, phase: Phases, chosen: &'a Chosen) -> impl Iterator<Item = &'a Instance> {
        let any = self.phases.contains(phase);
        let steps = self.steps.iter().filter(move |_| any);
        steps.filter_map(|step| step.chosen(chosen)).filter(move |instance| instance.phases.contains(phase))
    }
}

impl Instance {
    async fn access(&self, exchange: &mut Exchange) -> ChainEnd {
        if let Some(detail) = &self.broken {
            let failure = self.failure(detail.clone());
            return ChainEnd::Failed(Failure { reason: Reason::Misconfigured, ..failure });
        }
        let flow = match caught(move || self.plugin.access(exchange)) {
            Ok(Flow::Wait(later)) => {
                AssertUnwindSafe(later).catch_unwind().await.map_err(|panic| panic_text(&*panic))
            }
            other => other,
        };
        match flow {
            Ok(Flow::Next) => ChainEnd::Next,
            Ok(Flow::Answer(answer)) => ChainEnd::Answer { plugin: self.name, answer },
            Ok(Flow::Fail(detail)) => ChainEnd::Failed(self.failure(detail)),
            Ok(Flow::Wait(_)) => ChainEnd::Failed(self.failure("it waits for something that waits itself")),
            Err(panic) => ChainEnd::Failed(self.failure(panic)),
        }
    }
}

/// What the work returns, or the text of its panic. What a plugin leaves half done is its exchange's alone.
fn caught<T>(work: impl FnOnce() -> T) -> Result<T, String> {
    catch_unwind(AssertUnwindSafe(work)).map_err(|panic| panic_text(&*panic))
}

fn panic_text(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_else(|| "panic".to_owned())
}

#[cfg(test)]
mod tests;
