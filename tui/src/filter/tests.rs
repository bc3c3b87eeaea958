use super::*;

struct Row {
    route: &'static str,
    status: f64,
    dur: f64,
    reason: &'static str,
}

impl Subject for Row {
    const FIELDS: &'static [Field] = &[
        Field { name: "route", alias: "r", kind: Kind::Text, help: "" },
        Field { name: "status", alias: "st", kind: Kind::Status, help: "" },
        Field { name: "dur", alias: "", kind: Kind::Millis, help: "" },
        Field { name: "reason", alias: "", kind: Kind::Reason, help: "" },
    ];

    fn value(&self, field: &str) -> Value<'_> {
        match field {
            "route" => self.route.into(),
            "status" => self.status.into(),
            "dur" => self.dur.into(),
            "reason" => self.reason.into(),
            _ => Value::Absent,
        }
    }
}

const ROWS: [Row; 4] = [
    Row { route: "shop.orders", status: 200.0, dur: 12.0, reason: "proxied" },
    Row { route: "shop.orders", status: 503.0, dur: 2_400.0, reason: "upstream_timeout" },
    Row { route: "shop.Catalog", status: 429.0, dur: 0.2, reason: "rate_limited" },
    Row { route: "", status: 404.0, dur: 0.1, reason: "no_route" },
];

fn found(text: &str) -> Vec<usize> {
    let filter = Filter::parse::<Row>(text).unwrap_or_else(|mistake| panic!("{text}: {mistake:?}"));
    (0..ROWS.len()).filter(|index| filter.matches(&ROWS[*index])).collect()
}

fn mistake(text: &str) -> (usize, String) {
    let mistake = Filter::parse::<Row>(text).expect_err(text);
    (mistake.at, mistake.message)
}

#[test]
fn words_match_anywhere_whatever_their_case() {
    assert_eq!(found(""), [0, 1, 2, 3]);
    assert_eq!(found("ORDERS"), [0, 1]);
    assert_eq!(found("orders timeout"), [1]);
    assert_eq!(found("404"), [3]);
    assert_eq!(found("nowhere"), [0; 0]);
}

#[test]
fn comparisons() {
    assert_eq!(found("status>=500"), [1]);
    assert_eq!(found("st = 429"), [2]);
    assert_eq!(found("status=4xx"), [2, 3]);
    assert_eq!(found("status!=4xx"), [0, 1]);
    assert_eq!(found("status>4xx"), [1]);
    assert_eq!(found("status<=4xx"), [0, 2, 3]);
    assert_eq!(found("dur>1s"), [1]);
    assert_eq!(found("dur<150us"), [3]);
    assert_eq!(found("dur >= 12"), [0, 1]);
    assert_eq!(found("route~CAT"), [2]);
    assert_eq!(found("route=shop.catalog"), [2]);
    assert_eq!(found("reason=rate-limited"), [2]);
    assert_eq!(found("reason~time"), [1]);
}

#[test]
fn a_field_without_a_value_is_unlike_anything() {
    assert_eq!(found("route!=shop.orders"), [2, 3]);
    assert_eq!(found("route!~shop"), [3]);
    assert_eq!(found("route=\"\""), [0; 0]);
}

#[test]
fn and_or_not_and_brackets() {
    assert_eq!(found("status>=500 or status=429"), [1, 2]);
    assert_eq!(found("orders and not status=200"), [1]);
    assert_eq!(found("!orders"), [2, 3]);
    assert_eq!(found("(status=200 or status=404) and dur<1"), [3]);
    assert_eq!(found("status=200 or status=404 and dur<1"), [0, 3]);
    assert_eq!(found("\"orders\""), [0, 1]);
    assert_eq!(found("not not orders"), [0, 1]);
}

#[test]
fn mistakes_name_the_place_and_what_would_be_right() {
    assert_eq!(mistake("status>=500 rout~x").0, 12);
    assert!(mistake("rout~x").1.contains("did you mean route?"));
    assert!(mistake("zzzzzzz=1").1.contains("there are route status dur reason"));
    assert!(mistake("route>3").1.contains("use = != ~ or !~"));
    assert!(mistake("status=abc").1.contains("write 503 or 5xx"));
    assert!(mistake("dur>fast").1.contains("250ms"));
    assert!(mistake("reason=rate_limted").1.contains("did you mean rate_limited?"));
    assert!(mistake("route=").1.contains("value for route is missing"));
    assert!(mistake("(a or b").1.contains("closing bracket is missing"));
    assert!(mistake("a)").1.contains("closes nothing"));
    assert!(mistake("a and").1.contains("missing here"));
    assert!(mistake("or").1.contains("missing here"));
    assert!(mistake("=3").1.contains("field is missing"));
    assert_eq!(mistake("route=\"x"), (6, "this quote is never closed".to_owned()));
    assert!(mistake(&"(".repeat(1_000)).1.contains("at most 256"));
}

#[test]
fn quoted_words_are_read_back_as_they_are() {
    for word in ["plain", "two words", "a=b", "and", "say \"hi\"", "x!"] {
        let filter = Filter::parse::<Row>(&format!("route={}", quoted(word))).unwrap();
        let Some(Expression::Compare(_, _, Operand::Text(text))) = filter.expression else {
            panic!("{word}")
        };
        assert_eq!(text, word);
    }
}

proptest::proptest! {
    #[test]
    fn any_text_is_a_filter_or_a_mistake_within_it(text in "[ -~äλ\u{1F980}]{0,40}") {
        match Filter::parse::<Row>(&text) {
            Ok(filter) => {
                for row in &ROWS {
                    filter.matches(row);
                }
            }
            Err(mistake) => proptest::prop_assert!(mistake.at <= text.chars().count()),
        }
    }
}
