//! A scenario file as written: which fields there are and what they look like. The JSON schema is made from
//! these types, with the comments as descriptions.

use indexmap::IndexMap;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;

use super::values::{Check, Either, Many, ObjectName, Share, Short, Span};

/// What a scenario is called, what it is about and what it does.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ScenarioDocument {
    /// The version of this file format.
    pub format: Format,
    /// One line: what this shows.
    pub title: String,
    /// The story, for a reader; Markdown.
    #[serde(default)]
    pub story: String,
    /// Words to select scenarios by.
    #[serde(default)]
    pub tags: Vec<String>,
    /// What the environment must be able to do; where it can't, the scenario is reported as unsupported.
    #[serde(default)]
    pub requires: Vec<Ability>,
    /// Texts that steps use as `${name}`.
    #[serde(default)]
    pub variables: IndexMap<String, String>,
    /// What happens, in order.
    pub steps: Vec<StepDocument>,
}

/// The only version there is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
pub enum Format {
    #[serde(rename = "scenario/v1")]
    V1,
}

/// Something that not every environment can do.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize, serde::Serialize, JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum Ability {
    /// The gateway has an address outside of the cluster at which it sees its clients' addresses.
    LoadBalancer,
    /// Requests can be sent from several addresses.
    ClientAddresses,
    /// A container can be ended as if it had crashed.
    Crash,
    /// Pods are in an Istio mesh.
    Mesh,
    /// Spans are collected, and Jaeger's API answers questions about them.
    Jaeger,
    /// Numbers of the mesh are collected, and Prometheus' API answers questions about them.
    Prometheus,
    /// Kiali draws the mesh.
    Kiali,
}

/// One step: one of the things that can be done, and what goes with it.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct StepDocument {
    /// What a narrator says before the step; alone, it is a step that only says this.
    pub say: Option<String>,

    /// Puts objects in place and waits until every gateway serves them.
    pub apply: Option<Either<Apply>>,
    /// Removes objects and waits until no gateway serves them.
    pub delete: Option<Either<Delete>>,
    /// Sets and removes annotations of an object, and waits likewise.
    pub annotate: Option<Annotate>,
    /// Changes an object by a merge patch, and waits likewise.
    pub patch: Option<Patch>,
    /// Sends one request, or the same several times.
    pub request: Option<Either<Request>>,
    /// Sends requests at a steady pace while the `steps` below run.
    pub traffic: Option<Traffic>,
    /// Runs the `steps` below within one window of a rate limit.
    pub within: Option<Either<Within>>,
    /// Waits for a fact about objects.
    pub wait: Option<Wait>,
    /// Changes the number of pods and waits until every gateway knows them.
    pub scale: Option<Scale>,
    /// Replaces the pods of a Deployment one after another, as `kubectl rollout restart` does.
    pub restart: Option<ObjectName>,
    /// Ends pods.
    pub kill: Option<Kill>,
    /// Looks into a bin of the bin service, or makes it fail.
    pub bin: Option<Bin>,
    /// Asks the admin port of every gateway pod.
    pub admin: Option<String>,
    /// Reads a metric, added up over all gateway pods.
    pub metric: Option<Metric>,
    /// Looks at a trace in Jaeger.
    pub trace: Option<TraceCheck>,
    /// Looks at which services call which, as Jaeger finds it in its traces.
    pub dependencies: Option<Many<LinkCheck>>,
    /// Looks at the mesh as Kiali draws it.
    pub kiali: Option<KialiCheck>,

    /// What must be true of the reply (with `request` and `admin`).
    pub expect: Option<Expect>,
    /// Try again until it is true, for so long (with `request`, `admin`, `metric`, `bin`, `trace`,
    /// `dependencies` and `kiali`).
    pub eventually: Option<Span>,
    /// Values of the reply that later steps use as `${name}` (with `request` and `admin`).
    #[serde(default)]
    pub capture: IndexMap<String, Capture>,
    /// A name for the replies, by which a later step refers to them (with `request` and `traffic`).
    #[serde(rename = "as")]
    pub name: Option<String>,
    /// What runs meanwhile (with `traffic` and `within`).
    #[serde(default)]
    pub steps: Vec<StepDocument>,
}

/// Which objects, and what is changed about them before they are applied.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Apply {
    /// Manifests, by path from the top of the repository.
    pub files: Many<String>,
    /// Objects written here.
    pub objects: Vec<Value>,
    /// Fields to set, by object and JSON pointer: what differs from the files, for everyone to see.
    pub set: IndexMap<String, IndexMap<String, Value>>,
    /// Problems that the gateways must report about these objects. Without it any problem but advice is a failure.
    pub problems: Vec<ProblemCheck>,
}

/// A problem in the gateway's words.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ProblemCheck {
    pub object: ObjectName,
    #[serde(default)]
    pub field: Option<Check>,
    pub message: Check,
}

/// Which objects.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Delete {
    /// Everything in these manifests.
    pub files: Many<String>,
    pub objects: Many<ObjectName>,
}

#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Annotate {
    pub object: ObjectName,
    #[serde(default)]
    pub set: IndexMap<String, String>,
    #[serde(default)]
    pub remove: Many<String>,
    /// As in `apply`.
    #[serde(default)]
    pub problems: Vec<ProblemCheck>,
}

#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Patch {
    pub object: ObjectName,
    /// A JSON merge patch; `null` removes.
    pub merge: Value,
    /// As in `apply`.
    #[serde(default)]
    pub problems: Vec<ProblemCheck>,
}

/// A request to the gateway. In short: `GET /v2`, or only the path.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Request {
    pub method: String,
    /// Path and query, sent as written.
    pub path: String,
    /// The Host field; the gateway's address when absent.
    pub host: Option<String>,
    pub headers: IndexMap<String, String>,
    pub body: Option<String>,
    pub scheme: Scheme,
    pub version: HttpVersion,
    /// The client's address; one known address when absent.
    pub from: Option<String>,
    /// How many times.
    pub times: u32,
    /// How many of them at the same time.
    pub together: u32,
    /// How long one may take.
    pub timeout: Span,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Scheme {
    #[default]
    Http,
    Https,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Deserialize, JsonSchema)]
pub enum HttpVersion {
    #[default]
    #[serde(rename = "HTTP/1.1")]
    One,
    #[serde(rename = "HTTP/2")]
    Two,
}

/// Background load. Each request starts at its planned time, whether or not earlier ones have ended.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Traffic {
    /// Requests per second.
    pub rate: f64,
    /// Connections that are kept open.
    #[serde(default = "ten")]
    pub clients: u32,
    /// What is sent.
    pub requests: Many<Either<Request>>,
    /// What must be true of all of it when the steps have run. When absent: no failed request, that is an
    /// answer to each and none of 500 or above.
    #[serde(default)]
    pub contract: Contract,
}

fn ten() -> u32 {
    10
}

#[derive(Debug, Clone, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Contract {
    /// Statuses that are no failure; below 500 when absent.
    pub statuses: Option<Many<u16>>,
    /// How many may fail.
    pub failures: u64,
    /// How many requests at least must have been sent, so that the contract says something.
    pub at_least: u64,
    /// How many there were of a status.
    pub counts: IndexMap<String, Check>,
    /// A time within which a share of all requests ended: `p50`, `p99`, `max`.
    pub latency: IndexMap<String, Span>,
}

/// A window, and how much of it must be left when the steps start. In short: `minute`.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Within {
    pub window: WindowName,
    /// When absent a quarter of the window, 10 s at most.
    #[serde(default)]
    pub leaving: Option<Span>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum WindowName {
    Second,
    Minute,
    Hour,
    Day,
}

/// A fact about objects: exactly one of these, and how long it may take.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Wait {
    /// Deployments that are rolled out.
    pub rolled_out: Option<Many<ObjectName>>,
    /// A condition in an object's status.
    pub condition: Option<ConditionCheck>,
    /// An Event about an object.
    pub event: Option<EventCheck>,
    /// A field of an object.
    pub field: Option<FieldCheck>,
    /// Objects that are gone.
    pub gone: Option<Many<ObjectName>>,
    /// Wait for so long at most; 30 s when absent.
    pub at_most: Option<Span>,
}

#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ConditionCheck {
    pub object: ObjectName,
    pub r#type: String,
    pub status: String,
    #[serde(default)]
    pub reason: Option<Check>,
    #[serde(default)]
    pub message: Option<Check>,
}

#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct EventCheck {
    /// What the Event is about.
    pub object: ObjectName,
    pub reason: Check,
    #[serde(default)]
    pub message: Option<Check>,
}

#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FieldCheck {
    pub object: ObjectName,
    /// A JSON pointer.
    pub pointer: String,
    pub value: Check,
}

#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Scale {
    pub object: ObjectName,
    pub to: u32,
}

/// Which pods, and how.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Kill {
    /// The Deployment whose pods are meant.
    pub pods_of: ObjectName,
    /// How many of them; all when absent.
    #[serde(default)]
    pub count: Option<u32>,
    #[serde(default)]
    pub how: KillHow,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum KillHow {
    /// The container ends at once, without a chance to say anything, and is started again in its pod.
    #[default]
    Crash,
    /// The pod is deleted without grace; another takes its place.
    Delete,
}

/// One bin of the bin service.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Bin {
    pub id: String,
    /// `down`: answer 503 to everything from now on; `up`: work again.
    #[serde(default)]
    pub outage: Option<Outage>,
    /// Forget what was kept.
    #[serde(default)]
    pub empty: bool,
    /// How many log entries were kept; a batch of several counts as several.
    #[serde(default)]
    pub entries: Option<Check>,
    /// How many requests were refused while it was down.
    #[serde(default)]
    pub refused: Option<Check>,
    /// The replies of this name are logged here, each exactly once, and nothing else is.
    #[serde(default)]
    pub exactly: Option<String>,
    /// What must be true of each entry, by JSON pointer.
    #[serde(default)]
    pub each: IndexMap<String, Check>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Outage {
    Down,
    Up,
}

#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Metric {
    /// As it stands in the exposition, `limen_exchanges_total`.
    pub name: String,
    /// Only samples with these labels.
    #[serde(default)]
    pub labels: IndexMap<String, String>,
    pub value: Check,
}

/// One trace: which, and what must be in it.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct TraceCheck {
    /// The trace of this id, up to 32 hexadecimal digits.
    pub id: Option<String>,
    /// Or one with a span of this service; of several the newest that is as it should be.
    pub service: Option<String>,
    /// Tags that a span of the service has (with `service`).
    pub tags: IndexMap<String, String>,
    /// The sorted list of all services in it.
    pub services: Option<Check>,
    /// Spans that are in it.
    pub spans: Many<SpanCheck>,
    /// Every span's parent is in it too, so that it is one tree.
    pub unbroken: bool,
    /// A span id that was sent along by a client whose own spans are nowhere; what hangs under it is not broken.
    pub caller: Option<String>,
}

/// What a span is like. At least one is, unless `count` says how many.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct SpanCheck {
    pub service: Option<Check>,
    pub name: Option<Check>,
    /// `server`, `client`, …; absent for spans that are internal to their service.
    pub kind: Option<Check>,
    /// The span's tags and those of its process, by name.
    pub tags: IndexMap<String, Check>,
    /// A service that has a span above it in the tree.
    pub below: Option<Check>,
    /// How many spans are like this.
    pub count: Option<Check>,
}

/// Calls from one service to another.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LinkCheck {
    /// The name of the service that calls.
    pub parent: Check,
    /// The name of the service that is called.
    pub child: Check,
    /// How often, in the traces of the last hour; at least once when absent.
    #[serde(default)]
    pub calls: Option<Check>,
}

/// The graph and the health of workloads, over the time before now.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct KialiCheck {
    /// How much time; 60 s when absent.
    pub window: Span,
    pub edges: Many<EdgeCheck>,
    /// The health of workloads, `NAMESPACE/WORKLOAD`: `Healthy`, `Degraded`, `Failure`.
    pub health: IndexMap<String, Check>,
}

impl Default for KialiCheck {
    fn default() -> KialiCheck {
        KialiCheck {
            window: Span(std::time::Duration::from_mins(1)),
            edges: Many::default(),
            health: IndexMap::new(),
        }
    }
}

/// HTTP from one workload to another.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct EdgeCheck {
    /// `NAMESPACE/WORKLOAD`.
    pub from: String,
    /// `NAMESPACE/WORKLOAD`; what goes past the mesh is at `unknown/PassthroughCluster`.
    pub to: String,
    /// Requests per second; more than none when absent. `{present: false}`: there is no such edge.
    #[serde(default)]
    pub rate: Option<Check>,
    /// How many percent failed; 4xx are failures too.
    #[serde(default)]
    pub errors: Option<Check>,
    /// How many percent came by mutual TLS.
    #[serde(default)]
    pub mtls: Option<Check>,
    /// `Healthy`, `Degraded` or `Failure`.
    #[serde(default)]
    pub health: Option<Check>,
}

/// What must be true of a reply; with `times`, of each.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Expect {
    pub status: Option<Many<u16>>,
    pub headers: IndexMap<String, Check>,
    /// The body as text.
    pub body: Option<Check>,
    /// Values in the body, by JSON pointer.
    pub json: IndexMap<String, Check>,
    /// The request as the echo service received it.
    pub received: Option<Received>,
    /// What the gateway's feed says of the exchange, by JSON pointer: `/reason`, `/ended_by`, `/route`, ….
    pub exchange: IndexMap<String, Check>,
    /// How many replies there were of each status (with `times`).
    pub counts: IndexMap<String, Check>,
    /// How replies are shared among pods or services (with `times`).
    pub shares: Option<Shares>,
    /// No reply came at all, and this is why.
    pub failure: Option<Check>,
}

/// The far side's view.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Received {
    /// The name of the echo that answered: `one`, `two`.
    pub by: Option<Check>,
    pub method: Option<Check>,
    pub path: Option<Check>,
    pub query: Option<Check>,
    pub host: Option<Check>,
    pub headers: IndexMap<String, Check>,
    pub body: Option<Check>,
}

#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Shares {
    pub by: ShareKey,
    /// The share of each; with `pod` leave it out to mean equal shares of `among` pods.
    #[serde(default)]
    pub of: IndexMap<String, Share>,
    /// Among how many pods.
    #[serde(default)]
    pub among: Option<u32>,
    /// How far a share may be off.
    #[serde(default = "ten_percent")]
    pub tolerance: Share,
}

fn ten_percent() -> Share {
    Share(0.1)
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum ShareKey {
    /// The name in `NAME says OK at TIME`.
    Name,
    /// The pod that answered.
    Pod,
}

/// Where a value is taken from: exactly one of these.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Capture {
    pub header: Option<String>,
    /// A JSON pointer into the body.
    pub json: Option<String>,
    /// The first group of a regular expression in the body.
    pub matches: Option<super::values::Pattern>,
}

impl Short for Apply {
    fn from_text(text: &str) -> Result<Apply, String> {
        Ok(Apply { files: Many(vec![text.to_owned()]), ..Apply::default() })
    }
}

impl Short for Delete {
    fn from_text(text: &str) -> Result<Delete, String> {
        match text.parse() {
            Ok(object) => Ok(Delete { objects: Many(vec![object]), ..Delete::default() }),
            Err(_) => Ok(Delete { files: Many(vec![text.to_owned()]), ..Delete::default() }),
        }
    }
}

impl Default for Request {
    fn default() -> Request {
        Request {
            method: "GET".to_owned(),
            path: "/".to_owned(),
            host: None,
            headers: IndexMap::new(),
            body: None,
            scheme: Scheme::default(),
            version: HttpVersion::default(),
            from: None,
            times: 1,
            together: 1,
            timeout: Span(std::time::Duration::from_secs(10)),
        }
    }
}

impl Short for Request {
    fn from_text(text: &str) -> Result<Request, String> {
        let (method, path) = text.split_once(' ').unwrap_or(("GET", text));
        if !path.starts_with('/') || path.contains(' ') {
            return Err(format!("`{text}` is no request — write `GET /path`, or only the path"));
        }
        Ok(Request { method: method.to_owned(), path: path.to_owned(), ..Request::default() })
    }
}

impl Short for Within {
    fn from_text(text: &str) -> Result<Within, String> {
        let window = match text {
            "second" => WindowName::Second,
            "minute" => WindowName::Minute,
            "hour" => WindowName::Hour,
            "day" => WindowName::Day,
            _ => return Err(format!("`{text}` is no window — write second, minute, hour or day")),
        };
        Ok(Within { window, leaving: None })
    }
}
