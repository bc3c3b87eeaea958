use serde_json::{Value, json};
use uuid::Uuid;

use super::*;
use crate::model::Consumer;
use crate::plugins::testing::{Bench, exchange, verdict};

/// Somebody in these groups, with a credential or anonymous; `None` is nobody.
fn ask(settings: Value, groups: Option<&[&str]>, credential: bool) -> Result<Option<String>, (u16, String)> {
    let plugin = Bench::new().build("acl", settings);
    let mut exchange = exchange("GET / HTTP/1.1\r\nHost: a.test\r\nX-Consumer-Groups: forged\r\n\r\n");
    exchange.consumer = groups.map(|groups| {
        Arc::new(Consumer {
            id: Uuid::from_u128(1),
            username: None,
            custom_id: None,
            tags: None,
            created_at: 0,
            updated_at: 0,
            groups: groups.iter().map(|group| (*group).to_owned()).collect(),
            credentials: Vec::new(),
            origin: None,
        })
    });
    exchange.credential = credential.then(|| Uuid::from_u128(2));
    match verdict(plugin.access(&mut exchange)) {
        Some(refusal) => Err(refusal),
        None => Ok(exchange.request.fields.get_str(GROUPS_HEADER).map(str::to_owned)),
    }
}

fn unauthorized() -> Result<Option<String>, (u16, String)> {
    Err((401, "Unauthorized".to_owned()))
}

fn forbidden() -> Result<Option<String>, (u16, String)> {
    Err((403, "You cannot consume this service".to_owned()))
}

#[test]
fn groups_decide_and_nobody_is_in_none() {
    let (allow, deny) = (|| json!({"allow": ["gold"]}), || json!({"deny": ["silver"]}));
    let cases: [(Value, Option<&[&str]>, bool, _); 10] = [
        (allow(), None, false, unauthorized()),
        (allow(), None, true, forbidden()),
        (deny(), None, false, unauthorized()),
        (allow(), Some(&["gold", "ops"]), true, Ok(Some("gold, ops".to_owned()))),
        (allow(), Some(&["silver"]), true, forbidden()),
        (allow(), Some(&[]), true, forbidden()),
        (allow(), Some(&[]), false, unauthorized()),
        (deny(), Some(&["silver", "gold"]), true, forbidden()),
        (deny(), Some(&[]), false, Ok(Some(String::new()))),
        (deny(), Some(&["gold"]), true, Ok(Some("gold".to_owned()))),
    ];
    for (settings, groups, credential, wanted) in cases {
        assert_eq!(ask(settings.clone(), groups, credential), wanted, "{settings} {groups:?} {credential}");
    }
}

#[test]
fn hidden_groups_leave_no_header_at_all() {
    let settings = json!({"allow": ["gold"], "hide_groups_header": true});
    assert_eq!(ask(settings, Some(&["gold"]), true), Ok(None));
}

#[test]
fn one_list_it_has_to_be() {
    for settings in [json!({}), json!({"allow": ["a"], "deny": ["b"]})] {
        let error = Bench::new().try_build("acl", settings).err().unwrap();
        assert!(
            error.contains("exactly one of these fields must be non-empty: 'config.allow', 'config.deny'")
        );
    }
}
