use super::*;

const W3C: &str = "traceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";

/// What a format reads from header lines, as `trace span sampled`; `-` for what is not said.
fn read(format: Format, lines: &[&str]) -> Option<String> {
    let context = format.read(&lines_of(lines))?;
    let trace = context.trace_id.map_or("-".to_owned(), |id| ids::sized(id, context.size));
    let span = context.span_id.map_or("-".to_owned(), |id| id.to_string());
    let sampled = context.sampled.map_or("-", |sampled| if sampled { "1" } else { "0" });
    Some(format!("{trace} {span} {sampled}"))
}

fn lines_of<'a>(lines: &[&'a str]) -> Lines<'a> {
    let fields = lines.iter().filter_map(|line| line.split_once(": "));
    Lines::of(fields.map(|(name, value)| (name.as_bytes(), value.as_bytes())))
}

/// What goes on in a format, for span 0123456789abcdef under `parent`.
fn written(format: Format, received: &Context, parent: Option<u64>, sampled: bool) -> Vec<String> {
    let mut lines = Vec::new();
    let onward = Onward {
        trace_id: received.trace_id.unwrap_or_else(|| TraceId::from_hex(TRACE).unwrap()),
        span_id: SpanId::from(0x0123_4567_89ab_cdef),
        parent_id: parent.map(SpanId::from),
        sampled,
        received,
    };
    format.write(&onward, &mut |name, value| lines.push(format!("{name}: {value}")));
    lines
}

#[test]
fn every_format_reads_what_it_should_and_nothing_else() {
    use Format as F;
    let single = "b3: 80f198ee56343ba864fe8b2a57d3eff7-e457b5a2e4d86bd1";
    let table: &[(Format, &[&str], Option<&str>)] = &[
        (F::W3c, &[W3C], Some("0af7651916cd43dd8448eb211c80319c b7ad6b7169203331 1")),
        (
            F::W3c,
            &["TraceParent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00"],
            Some("0af7651916cd43dd8448eb211c80319c b7ad6b7169203331 0"),
        ),
        (
            F::W3c,
            &["traceparent: cc-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-later"],
            Some("0af7651916cd43dd8448eb211c80319c b7ad6b7169203331 1"),
        ),
        (F::W3c, &["traceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-later"], None),
        (F::W3c, &["traceparent: ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"], None),
        (F::W3c, &["traceparent: 00-xyz-1-01"], None),
        (F::W3c, &["traceparent: 00-00000000000000000000000000000000-b7ad6b7169203331-01"], None),
        (F::W3c, &["traceparent: 00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01"], None),
        (F::W3c, &["traceparent: 00-0AF7651916CD43DD8448EB211C80319C-b7ad6b7169203331-01"], None),
        (F::W3c, &[W3C, W3C], None),
        (
            F::B3,
            &[
                "X-B3-TraceId: 80f198ee56343ba864fe8b2a57d3eff7",
                "X-B3-SpanId: e457b5a2e4d86bd1",
                "X-B3-Sampled: 1",
            ],
            Some("80f198ee56343ba864fe8b2a57d3eff7 e457b5a2e4d86bd1 1"),
        ),
        (
            F::B3,
            &["x-b3-traceid: 64fe8b2a57d3eff7", "x-b3-spanid: e457b5a2e4d86bd1"],
            Some("64fe8b2a57d3eff7 e457b5a2e4d86bd1 -"),
        ),
        (F::B3, &["x-b3-traceid: 64fe8b2a57d3eff7", "x-b3-spanid: zzz", "x-b3-sampled: true"], Some("- - 1")),
        (F::B3, &["x-b3-traceid: 64fe"], None),
        (F::B3, &["x-b3-sampled: 0"], Some("- - 0")),
        (F::B3, &["x-b3-sampled: 0", "x-b3-flags: 1"], Some("- - 1")),
        (F::B3, &[single], Some("80f198ee56343ba864fe8b2a57d3eff7 e457b5a2e4d86bd1 -")),
        (
            F::B3,
            &["b3: 80f198ee56343ba864fe8b2a57d3eff7-e457b5a2e4d86bd1-d-05e3ac9a4f6e3b90"],
            Some("80f198ee56343ba864fe8b2a57d3eff7 e457b5a2e4d86bd1 1"),
        ),
        (F::B3, &["b3: 0"], Some("- - 0")),
        (F::B3, &["b3: d"], Some("- - 1")),
        (F::B3, &["b3: x"], None),
        (F::B3, &["b3: "], None),
        (F::B3, &["b3: 80f198ee56343ba864fe8b2a57d3eff7-e457b5a2e4d86bd1-1-short"], None),
        (
            F::B3,
            &["tracestate: a=1, b3=80f198ee56343ba864fe8b2a57d3eff7-e457b5a2e4d86bd1-1"],
            Some("80f198ee56343ba864fe8b2a57d3eff7 e457b5a2e4d86bd1 1"),
        ),
        (F::B3, &[W3C, "tracestate: v=1"], None),
        (F::B3, &[W3C, "tracestate: "], None),
        (
            F::Jaeger,
            &["uber-trace-id: 3fd6c1a8f1ecd53c:b1d5c8e2:0:1"],
            Some("3fd6c1a8f1ecd53c 00000000b1d5c8e2 1"),
        ),
        (
            F::Jaeger,
            &["uber-trace-id: 3fd6c1a8f1ecd53c%3Ab1d5c8e2%3A0%3A0"],
            Some("3fd6c1a8f1ecd53c 00000000b1d5c8e2 0"),
        ),
        (F::Jaeger, &["uber-trace-id: 3fd6c1a8f1ecd53c:b1d5c8e2:0"], None),
        (F::Jaeger, &["uber-trace-id: 0:b1d5c8e2:0:1"], None),
        (F::Jaeger, &["uber-trace-id: 3fd6c1a8f1ecd53c:0:0:1"], None),
        (
            F::Ot,
            &[
                "ot-tracer-traceid: 64fe8b2a57d3eff7",
                "ot-tracer-spanid: e457b5a2e4d86bd1",
                "ot-tracer-sampled: true",
            ],
            Some("64fe8b2a57d3eff7 e457b5a2e4d86bd1 1"),
        ),
        (F::Ot, &["ot-tracer-traceid: 64fe"], None),
        (
            F::Datadog,
            &["x-datadog-trace-id: 1234567890", "x-datadog-parent-id: 99", "x-datadog-sampling-priority: 2"],
            Some("000000000000000000000000499602d2 0000000000000063 1"),
        ),
        (F::Datadog, &["x-datadog-trace-id: 1234567890", "x-datadog-sampling-priority: 7"], None),
        (F::Datadog, &["x-datadog-trace-id: 0x12"], None),
        (
            F::Aws,
            &["X-Amzn-Trace-Id: Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=1"],
            Some("5759e988bd862e3fe1be46a994272793 53995c3f42cd8ad8 1"),
        ),
        (
            F::Aws,
            &["X-Amzn-Trace-Id: Self=1-x; Root=1-5759e988-bd862e3fe1be46a994272793; Sampled=?"],
            Some("5759e988bd862e3fe1be46a994272793 - -"),
        ),
        (F::Aws, &["X-Amzn-Trace-Id: Root=2-5759e988-bd862e3fe1be46a994272793"], None),
        (
            F::Gcp,
            &["X-Cloud-Trace-Context: 105445aa7843bc8bf206b12000100000/1;o=1"],
            Some("105445aa7843bc8bf206b12000100000 0000000000000001 1"),
        ),
        (
            F::Gcp,
            &["X-Cloud-Trace-Context: 105445aa7843bc8bf206b12000100000/1"],
            Some("105445aa7843bc8bf206b12000100000 0000000000000001 -"),
        ),
        (F::Gcp, &["X-Cloud-Trace-Context: 105445aa7843bc8bf206b12000100000/x;o=1"], None),
        (
            F::Instana,
            &[
                "X-INSTANA-T: 64fe8b2a57d3eff7",
                "X-INSTANA-S: e457b5a2e4d86bd1",
                "X-INSTANA-L: 1,correlationType=web",
            ],
            Some("64fe8b2a57d3eff7 e457b5a2e4d86bd1 1"),
        ),
        (F::Instana, &["X-INSTANA-L: 0"], Some("- - 0")),
    ];
    for (format, lines, expected) in table {
        assert_eq!(read(*format, lines).as_deref(), *expected, "{format:?} of {lines:?}");
    }
    for format in Format::ALL {
        assert_eq!(read(format, &["Host: a", "X-Request-Id: 1", "Accept: b3"]), None, "{format:?}");
    }
}

#[test]
fn every_format_writes_its_own_lines() {
    use Format as F;
    let parent = Some(0xfedc);
    let table: &[(Format, &[&str])] = &[
        (F::W3c, &["traceparent: 00-0af7651916cd43dd8448eb211c80319c-0123456789abcdef-01"]),
        (
            F::B3,
            &[
                "x-b3-traceid: 0af7651916cd43dd8448eb211c80319c",
                "x-b3-spanid: 0123456789abcdef",
                "x-b3-parentspanid: 000000000000fedc",
                "x-b3-sampled: 1",
            ],
        ),
        (F::B3Single, &["b3: 0af7651916cd43dd8448eb211c80319c-0123456789abcdef-1-000000000000fedc"]),
        (
            F::Jaeger,
            &["uber-trace-id: 0af7651916cd43dd8448eb211c80319c:0123456789abcdef:000000000000fedc:01"],
        ),
        (
            F::Ot,
            &[
                "ot-tracer-traceid: 8448eb211c80319c",
                "ot-tracer-spanid: 0123456789abcdef",
                "ot-tracer-sampled: 1",
            ],
        ),
        (
            F::Datadog,
            &[
                "x-datadog-trace-id: 9532127138774266268",
                "x-datadog-parent-id: 81985529216486895",
                "x-datadog-sampling-priority: 1",
            ],
        ),
        (
            F::Aws,
            &["X-Amzn-Trace-Id: Root=1-0af76519-16cd43dd8448eb211c80319c;Parent=0123456789abcdef;Sampled=1"],
        ),
        (F::Gcp, &["X-Cloud-Trace-Context: 0af7651916cd43dd8448eb211c80319c/81985529216486895;o=1"]),
        (
            F::Instana,
            &[
                "X-INSTANA-T: 0af7651916cd43dd8448eb211c80319c",
                "X-INSTANA-S: 0123456789abcdef",
                "X-INSTANA-L: 1",
            ],
        ),
    ];
    for (format, lines) in table {
        assert_eq!(written(*format, &Context::default(), parent, true), *lines, "{format:?}");
    }
    let unsampled = |format| written(format, &Context::default(), None, false);
    assert_eq!(unsampled(F::B3Single), ["b3: 0af7651916cd43dd8448eb211c80319c-0123456789abcdef-0"]);
    assert_eq!(
        unsampled(F::Jaeger),
        ["uber-trace-id: 0af7651916cd43dd8448eb211c80319c:0123456789abcdef:0:00"]
    );
}

#[test]
fn what_a_format_writes_it_reads_again() {
    for format in Format::ALL {
        let lines = written(format, &Context::default(), Some(5), true);
        let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
        let trace = match format {
            Format::Ot => "8448eb211c80319c",
            // Half an id: eight bytes of it, padded where it is shown.
            Format::Datadog => "8448eb211c80319c",
            _ => TRACE,
        };
        assert_eq!(read(format, &lines), Some(format!("{trace} 0123456789abcdef 1")), "{format:?}");
    }
}

#[test]
fn sizes_flags_and_baggage_go_over_to_another_format() {
    let jaeger = Format::Jaeger
        .read(&lines_of(&["uber-trace-id: 3fd6c1a8f1ecd53c:1:0:1", "uberctx-user: a%20b"]))
        .unwrap();
    assert_eq!(
        written(Format::W3c, &jaeger, None, true),
        ["traceparent: 00-00000000000000003fd6c1a8f1ecd53c-0123456789abcdef-01"]
    );
    assert_eq!(written(Format::B3, &jaeger, None, true)[0], "x-b3-traceid: 3fd6c1a8f1ecd53c");
    assert_eq!(written(Format::Ot, &jaeger, None, true)[3], "ot-baggage-user: a%20b");

    let debug =
        Format::B3.read(&lines_of(&["b3: 80f198ee56343ba864fe8b2a57d3eff7-e457b5a2e4d86bd1-d"])).unwrap();
    assert_eq!(
        written(Format::B3Single, &debug, None, true),
        ["b3: 80f198ee56343ba864fe8b2a57d3eff7-0123456789abcdef-d"]
    );
    assert_eq!(written(Format::B3, &debug, None, true)[2], "x-b3-flags: 1");

    let random = "traceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-03";
    let random = Format::W3c.read(&lines_of(&[random])).unwrap();
    assert!(written(Format::W3c, &random, None, true)[0].ends_with("-03"));
    assert!(written(Format::W3c, &random, None, false)[0].ends_with("-02"));
}
