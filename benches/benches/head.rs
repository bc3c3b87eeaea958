//! A request's head from bytes to bytes: parsed, then written as an upstream gets it.

use std::hint::black_box;
use std::net::SocketAddr;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use gateway::exchange::{Client, Exchange, RequestId};
use gateway::http::head::ResponseHead;
use gateway::http::http1::framing::Framing;
use gateway::http::http1::parse::{self, HeadLimits};
use gateway::proxy::headers::{self, After, Onward};

const SHORT: &[u8] = b"GET /r0/64 HTTP/1.1\r\nHost: localhost\r\n\r\n";
const BROWSER: &[u8] = b"GET /shop/orders?page=2&sort=date HTTP/1.1\r\nHost: www.example.test\r\n\
User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36\r\n\
Accept: text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8\r\n\
Accept-Language: en-GB,en;q=0.9,de;q=0.7\r\nAccept-Encoding: gzip, deflate, br, zstd\r\n\
Cookie: session=f3b1c7d2a9e84c0fb6d5; theme=dark; consent=1\r\nReferer: https://www.example.test/start\r\n\
Cache-Control: max-age=0\r\nUpgrade-Insecure-Requests: 1\r\nSec-Fetch-Dest: document\r\n\
Sec-Fetch-Mode: navigate\r\nSec-Fetch-Site: same-origin\r\n\r\n";
const ANSWER: &[u8] =
    b"HTTP/1.1 200 OK\r\nDate: Sat, 28 Nov 2026 21:31:08 GMT\r\nContent-Type: application/json\r\n\
Content-Length: 64\r\nETag: \"33a64df5\"\r\nCache-Control: no-cache\r\nVary: Accept-Encoding\r\n\r\n";

fn exchange() -> Exchange {
    let address = |text: &str| text.parse::<SocketAddr>().expect("an address");
    let mut exchange = Exchange::blank();
    let client = Client::new(address("192.0.2.7:4711"), address("192.0.2.1:8000"));
    exchange.begin(RequestId::random(), client, 0);
    exchange
}

fn requests(criterion: &mut Criterion) {
    let limits = HeadLimits::default();
    let mut group = criterion.benchmark_group("request head");
    for (name, bytes) in [("one line", SHORT), ("a browser's lines", BROWSER)] {
        group.throughput(Throughput::Bytes(bytes.len() as u64));
        let (mut exchange, mut out) = (exchange(), Vec::new());
        exchange.upstream_target.extend_from_slice(b"/r0/64");
        let onward =
            Onward { host: b"10.0.0.1:8080", framing: Framing::None, prefix: None, websocket: false };
        group.bench_function(name, |bencher| {
            bencher.iter(|| {
                let parsed = parse::request(black_box(bytes), &mut exchange.request, &limits);
                assert!(parsed.is_ok(), "the head is valid");
                out.clear();
                headers::to_upstream(&mut out, &exchange, &onward);
                black_box(out.len())
            });
        });
    }
    group.finish();
}

fn answers(criterion: &mut Criterion) {
    let limits = HeadLimits::default();
    let mut group = criterion.benchmark_group("answer head");
    group.throughput(Throughput::Bytes(ANSWER.len() as u64));
    let (mut exchange, mut out) = (exchange(), Vec::new());
    exchange.response = ResponseHead::default();
    group.bench_function("six lines", |bencher| {
        bencher.iter(|| {
            let parsed = parse::response(black_box(ANSWER), &mut exchange.response, &limits);
            assert!(parsed.is_ok(), "the head is valid");
            headers::clean_upstream_answer(&mut exchange, "1.1", false);
            headers::add_gateway_lines(&mut exchange, true);
            out.clear();
            headers::to_client(&mut out, &exchange, Framing::Length(64), After::KeepAlive, None);
            black_box(out.len())
        });
    });
    group.finish();
}

criterion_group!(benches, requests, answers);
criterion_main!(benches);
