//! Finding the route: among one, a thousand and ten thousand, the last one asked for.

use std::fmt::Write as _;
use std::hint::black_box;
use std::sync::Arc;

use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use gateway::declarative::{Format, load};
use gateway::http::fields::Fields;
use gateway::plugins::registry::Registry;
use gateway::routing::{RouteRequest, Router};

fn router(routes: usize, with_hosts: bool) -> Router {
    let mut file = String::from("_format_version: '3.0'\nservices:\n- name: s\n  host: a.test\n  routes:\n");
    for route in 0..routes {
        let host = if with_hosts { format!(", hosts: [h{route}.test]") } else { String::new() };
        let _ = writeln!(file, "  - {{name: r{route}, paths: [/r{route}/]{host}}}");
    }
    let model = load(&file, Format::Yaml, &Registry).expect("the file is valid").model(0);
    Router::new(model.routes.into_values().map(Arc::new))
}

fn find(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("router");
    for (kind, with_hosts) in [("paths", false), ("hosts and paths", true)] {
        for routes in [1, 1_000, 10_000] {
            let router = router(routes, with_hosts);
            let (path, host) = (format!("/r{}/orders/17", routes - 1), format!("h{}.test:8000", routes - 1));
            let fields = Fields::default();
            let request = RouteRequest {
                method: b"GET",
                host: Some(host.as_bytes()),
                port: 8000,
                path: &path,
                server_name: None,
                fields: &fields,
            };
            assert!(router.find(&request).is_some(), "the last route matches");
            group.bench_function(BenchmarkId::new(kind, routes), |bencher| {
                bencher.iter(|| black_box(router.find(black_box(&request))));
            });
        }
    }
    group.finish();
}

criterion_group!(benches, find);
criterion_main!(benches);
