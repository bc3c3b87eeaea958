//! What plugins cost before a request is forwarded and when its answer's head has come.

use std::hint::black_box;
use std::net::SocketAddr;

use criterion::{Criterion, criterion_group, criterion_main};
use gateway::clock::Clock;
use gateway::declarative::{Format, load};
use gateway::exchange::{Client, Exchange, RequestId};
use gateway::http::head::RequestHead;
use gateway::http::name::Name;
use gateway::plugins::registry::Registry;
use gateway::plugins::{ChainEnd, Chosen, Environment, Plugins};

const CHAINS: &[(&str, &str)] = &[
    ("none", ""),
    ("rate-limiting", "- {name: rate-limiting, config: {minute: 1000000000, policy: local}}\n"),
    (
        "four",
        "- {name: rate-limiting, config: {minute: 1000000000, policy: local}}
- {name: ip-restriction, config: {allow: [192.0.2.0/24, 10.0.0.0/8]}}
- {name: request-size-limiting, config: {allowed_payload_size: 8}}
- {name: correlation-id, config: {header_name: X-Correlation-Id, generator: uuid}}
",
    ),
];

fn exchange() -> Exchange {
    let address = |text: &str| text.parse::<SocketAddr>().expect("an address");
    let mut request = RequestHead::default();
    request.set_method(b"GET");
    request.set_target(b"/orders/17");
    request.fields.append(Name::Host, "a.test");
    let client = Client::new(address("192.0.2.7:4711"), address("192.0.2.1:8000"));
    Exchange::new(RequestId::random(), client, request, 0)
}

fn access(criterion: &mut Criterion) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let environment = Environment::new(runtime.handle().clone(), Clock::system(), None);
    let mut group = criterion.benchmark_group("plugins");
    for (name, plugins) in CHAINS {
        let list = if plugins.is_empty() { String::new() } else { format!("plugins:\n{plugins}") };
        let file = format!(
            "_format_version: '3.0'\nservices:\n- {{name: s, host: a.test, routes: [{{name: r, paths: [/]}}]}}\n{list}"
        );
        let model = load(&file, Format::Yaml, &Registry).expect("the file is valid").model(0);
        let (plugins, problems) = Plugins::compile(&model, &environment, None);
        assert!(problems.is_empty(), "the plugins can be used");
        let route = model.routes.values().next().expect("there is a route");
        let chain = plugins.of_route(route.id);
        let (mut exchange, mut chosen) = (exchange(), Chosen::default());
        group.bench_function(*name, |bencher| {
            bencher.iter(|| {
                exchange.on_response.clear();
                exchange.response.clear();
                exchange.request.fields.remove("X-Correlation-Id");
                let end = runtime.block_on(chain.access(&mut exchange, &mut chosen));
                assert!(matches!(end, ChainEnd::Next), "every plugin lets the request pass");
                assert!(chain.header_filter(&mut exchange, &chosen).is_ok(), "no plugin fails");
                black_box(exchange.on_response.len())
            });
        });
    }
    group.finish();
}

criterion_group!(benches, access);
criterion_main!(benches);
