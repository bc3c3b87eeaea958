use super::*;

/// A repository with one manifest.
fn root() -> tempfile::TempDir {
    let root = tempfile::tempdir().unwrap();
    std::fs::create_dir(root.path().join("manifests")).unwrap();
    let manifest = "apiVersion: v1\nkind: Service\nmetadata: {name: s, namespace: n}\n";
    std::fs::write(root.path().join("manifests/good.yaml"), manifest).unwrap();
    std::fs::write(root.path().join("manifests/bad.yaml"), "apiVersion: v1\nkind: Service\n").unwrap();
    root
}

/// A file with these steps.
fn file(steps: &str) -> String {
    format!("format: scenario/v1\ntitle: t\nsteps:\n{steps}\n")
}

fn faults(text: &str) -> Vec<String> {
    match parse("name", text, root().path()) {
        Ok(_) => Vec::new(),
        Err(faults) => faults
            .into_iter()
            .map(|fault| {
                let (line, column) = fault.position(text);
                let help = fault.help.map(|help| format!("; {help}")).unwrap_or_default();
                format!("{line}:{column} {}{help}", fault.message)
            })
            .collect(),
    }
}

/// Whether the first fault of each begins as expected; all that don't are told.
fn assert_first_faults<'a>(cases: impl IntoIterator<Item = (String, &'a str)>) {
    let mut wrong = Vec::new();
    for (text, expected) in cases {
        let found = faults(&text);
        let first = found.first().map_or("nothing", String::as_str);
        if !first.starts_with(expected) {
            wrong.push(format!("{text}\n   found: {first}\nexpected: {expected}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
}

#[test]
fn every_fault_has_its_place_and_a_hint() {
    let cases = [
        ("- reqest: GET /", "4:3 unknown field `reqest`; did you mean `request`?"),
        ("- request: GET /\n  expects: {}", "5:3 unknown field `expects`; did you mean `expect`?"),
        ("- request: GET /\n  expect: {staus: 200}", "5:12 unknown field `staus`; did you mean `status`?"),
        ("- request: GET /\n  expect: {status: ok}", "5:20 expected a whole number, found the text `ok`"),
        ("- request: {path: /, methd: GET}", "4:22 unknown field `methd`; did you mean `method`?"),
        ("- request: GET", "4:12 `GET` is no request; write `GET /path`, or only the path"),
        ("- request: {path: a}", "4:19 a path begins with `/`"),
        ("- request: {path: /, version: HTTP/3}", "4:31 unknown word `HTTP/3`; did you mean `HTTP/2`?"),
        ("- request: {path: /, times: 0}", "4:13 `times` and `together` are at least 1"),
        (
            "- request: {path: /, timeout: 5}",
            "4:31 `5` is no duration; write a number with a unit, such as 250ms, 10s or 2m",
        ),
        ("- request: {path: /, headers: {'a b': c}}", "4:32 `a b` is no header name"),
        (
            "- request: {path: /, from: 127.0.0.9}",
            "4:13 this needs the ability `client-addresses`; add it to `requires`, so that the scenario is told to be unsupported elsewhere: `requires: [client-addresses]`",
        ),
        (
            "- request: GET /\n  expect: {json: {message: x}}",
            "5:19 `message` is no JSON pointer; write `/message`",
        ),
        (
            "- request: GET /\n  expect: {headers: {a: {contain: x}}}",
            "5:26 unknown field `contain`; did you mean `contains`?",
        ),
        (
            "- request: GET /\n  expect: {body: {}}",
            "5:18 a check without a rule; give `is`, `contains`, `matches`, `present`, `at_least` or `at_most`",
        ),
        (
            "- request: GET /\n  expect: {body: {matches: '('}}",
            "5:28 `(` is no regular expression: unclosed group",
        ),
        (
            "- request: GET /\n  expect: {counts: {ok: 1}}",
            "5:21 `ok` is no status; write a number such as 200, or `failed` for no answer",
        ),
        (
            "- request: GET /\n  expect: {shares: {by: pod}}",
            "5:21 `shares` wants either `of` or `among`; `of` names each share, `among` says how many equal ones",
        ),
        (
            "- request: GET /\n  capture: {x: {}}",
            "5:13 `x` wants one source; give one of `header`, `json`, `matches`",
        ),
        ("- request: GET /${rn}", "4:12 unknown variable `${rn}`; did you mean `run`?"),
        ("- apply: manifests/none.yaml", "4:10 failed to read"),
        ("- apply: manifests/bad.yaml", "4:10"),
        ("- apply: {}", "4:10 nothing to apply; give `files` or `objects`"),
        (
            "- apply: {files: manifests/good.yaml, set: {Service n/t: {/a: 1}}}",
            "4:45 `Service n/t` is not in these files; did you mean `Service n/s`?",
        ),
        (
            "- apply: {files: manifests/good.yaml, set: {Service n/s: {a.b: 1}}}",
            "4:59 `a.b` is no JSON pointer; write `/a/b`",
        ),
        ("- apply: {objects: [{kind: x}]}", "4:11 an object (x) without apiVersion"),
        (
            "- annotate: {object: kong-ingress}",
            "4:22 `kong-ingress` names no object; write `Kind namespace/name`, or `Kind name` for what is in no namespace",
        ),
        ("- say: x\n  expect: {}", "5:3 `expect` beside `say`; it goes with request, admin"),
        (
            "- apply: manifests/good.yaml\n  delete: manifests/good.yaml",
            "5:3 `delete` beside `apply`; one step does one thing; make two steps of it",
        ),
        ("- within: minute", "4:3 `within` without `steps`; write what happens meanwhile below `steps`"),
        (
            "- within: fortnight\n  steps: [{say: x}]",
            "4:11 `fortnight` is no window; write second, minute, hour or day",
        ),
        ("- within: minute\n  steps:\n  - wiat: {}", "6:5 unknown field `wiat`; did you mean `wait`?"),
        (
            "- wait: {}",
            "4:9 `wait` wants exactly one fact; give one of `rolled_out`, `condition`, `event`, `field`, `gone`",
        ),
        (
            "- kill: {pods_of: Deployment a/b}",
            "4:3 this needs the ability `crash`; add it to `requires`, so that the scenario is told to be unsupported elsewhere: `requires: [crash]`",
        ),
        (
            "- request: GET /\n  as: logged\n- bin: {id: x, exactly: loged}",
            "6:25 no earlier replies are called `loged`; did you mean `logged`?",
        ),
        (
            "- traffic: {rate: 0, requests: GET /}\n  steps: [{say: x}]",
            "4:19 the rate must be from 0.1 to 100000",
        ),
        (
            "- traffic: {rate: 1, requests: GET /, contract: {latency: {median: 1s}}}\n  steps: [{say: x}]",
            "4:50 `median` is no share of requests; write p50, p90, p99, p99.9 or max",
        ),
        ("- traffic: {requests: GET /}\n  steps: [{say: x}]", "4:13 `rate` is missing"),
        ("- admin: status", "4:10 a path begins with `/`; for example /status"),
        (
            "- trace: {id: a, unbroken: true}",
            "4:3 this needs the ability `jaeger`; add it to `requires`, so that the scenario is told to be unsupported elsewhere: `requires: [jaeger]`",
        ),
        ("- say: x\n  say: y", "5:3 `say` is given twice"),
        ("-\ta: x", "4:"),
    ];
    assert_first_faults(cases.map(|(steps, expected)| (file(steps), expected)));
}

#[test]
fn questions_to_tools_are_judged() {
    let cases = [
        (
            "- trace: {id: a, service: b, unbroken: true}",
            "5:11 `trace` wants either `id` or `service`; `id` names the trace, `service` finds it",
        ),
        (
            "- trace: {unbroken: true}",
            "5:11 `trace` wants either `id` or `service`; `id` names the trace, `service` finds it",
        ),
        (
            "- trace: {id: a, tags: {a: b}, unbroken: true}",
            "5:25 `tags` beside `id`; they find a trace of a `service`; of spans they go below `spans`",
        ),
        (
            "- trace: {id: a, spans: {service: b}, caller: c}",
            "5:47 `caller` without `unbroken`; it says where the trace may begin; add `unbroken: true`",
        ),
        (
            "- trace: {id: a, spans: [{service: b}, {count: 2}]}",
            "5:41 a span without anything to know it by; give `service`, `name`, `kind`, `tags` or `below`",
        ),
        ("- trace: {id: a}", "5:11 nothing is asked of this trace; give `services`, `spans` or `unbroken`"),
        ("- dependencies: {parent: a}", "5:18 `child` is missing"),
        ("- kiali: {window: 10s}", "5:11 nothing is asked of Kiali; give `edges` or `health`"),
        (
            "- kiali: {health: {http-echo: Healthy}}",
            "5:20 `http-echo` names no workload; write `NAMESPACE/WORKLOAD`",
        ),
        (
            "- kiali: {edges: {from: '${run}', to: a/}}",
            "5:19 `a/` names no workload; write `NAMESPACE/WORKLOAD`",
        ),
        (
            "- kiali: {health: {a/b: Healthy}}\n  capture: {x: {header: y}}",
            "6:3 `capture` beside `kiali`; it goes with request, admin",
        ),
    ];
    assert_first_faults(cases.map(|(steps, expected)| {
        let text = format!("format: scenario/v1\ntitle: t\nrequires: [jaeger, kiali]\nsteps:\n{steps}\n");
        (text, expected)
    }));
}

#[test]
fn the_head_is_judged_too() {
    let cases = [
        ("", "1:1 the file is empty"),
        ("- a", "1:3 expected a map, found a list"),
        ("title: t\nsteps: [{say: x}]", "1:1 `format` is missing"),
        (
            "format: scenario/v2\ntitle: t\nsteps: [{say: x}]",
            "1:9 unknown word `scenario/v2`; did you mean `scenario/v1`?",
        ),
        (
            "format: scenario/v1\ntitel: t\nsteps: [{say: x}]",
            "2:1 unknown field `titel`; did you mean `title`?",
        ),
        (
            "format: scenario/v1\ntitle: t\nrequires: [mash]\nsteps: [{say: x}]",
            "3:12 unknown word `mash`; did you mean `mesh`?",
        ),
        ("format: scenario/v1\ntitle: t\nsteps: []", "3:8 a scenario without steps"),
        ("format: scenario/v1\ntitle: t\nsteps: {}", "3:8 expected a list, found a map"),
        ("format: scenario/v1\ntitle: t\nsteps: [{say: x}]\n---\na: 1", "4:1 a second document"),
    ];
    assert_first_faults(cases.map(|(text, expected)| (text.to_owned(), expected)));
}

#[test]
fn one_look_at_the_errors_is_enough() {
    let found = faults(&file(
        "- reqest: GET /\n- say: fine\n- request: {path: x}\n- within: minute\n  steps: [{a: 1}]",
    ));
    assert_eq!(found.len(), 3, "{found:?}");
}

#[test]
fn an_error_is_shown_in_its_line() {
    let text = file("- say: Begin\n- request: GET /\n  expect:\n    staus: 200");
    let faults = parse("name", &text, root().path()).unwrap_err();
    insta::assert_snapshot!(faults[0].render("scenarios/x.yaml", &text, false), @r"
    error: unknown field `staus`
     --> scenarios/x.yaml:7:5
      |
    7 |     staus: 200
      |     ^^^^^
      |
      = help: did you mean `status`?
    ");
}

#[test]
fn values_come_into_steps_when_they_run() {
    let text = file(
        "- request: GET /\n  capture: {id: {header: x-id}}\n- request: /next/${id}?${run}\n  expect: {headers: {a: '${id}'}}",
    );
    let scenario = parse("name", &text, root().path()).unwrap();
    let variables = [("id".to_owned(), "7".to_owned())].into_iter().collect();
    let Ok(Action::Request { request, reply }) = scenario.steps[1].action(&variables) else { panic!() };
    assert_eq!(request.path, "/next/7?${run}");
    assert_eq!(reply.expect.headers["a"], crate::scenario::values::Check::Is("7".into()));
    assert_eq!(scenario.steps[1].place, Place { line: 6, column: 3 });
}

#[test]
fn random_bytes_are_no_scenario_and_no_panic() {
    use proptest::prelude::*;
    let root = root();
    proptest!(ProptestConfig::with_cases(500), |(text in "[ -~\n\t:{}\\[\\]&*|>'\"-]{0,80}")| {
        prop_assert!(parse("name", &text, root.path()).is_err());
    });
}
