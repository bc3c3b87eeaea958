//! The upstream's target against recorded ones of Kong, and what must hold for any path.

use std::sync::Arc;

use proptest::prelude::*;
use uuid::Uuid;

use super::*;
use crate::http::fields::Fields;
use crate::model::{PathHandling, Route, RoutePath};
use crate::routing::{RouteRequest, Router, Target, normalise};

/// A table of `kong.txt`.
struct Table<'a> {
    route: &'a str,
    prefixes: Vec<&'a str>,
    columns: Vec<&'a str>,
    rows: Vec<Vec<&'a str>>,
}

fn tables() -> Vec<Table<'static>> {
    let lines = include_str!("kong.txt").lines().filter(|line| !line.starts_with('#'));
    let mut tables: Vec<Table<'_>> = Vec::new();
    for line in lines {
        let mut words: Vec<&str> = line.split_whitespace().collect();
        match (words.first(), tables.last_mut()) {
            (None, _) => {}
            (Some(&"route"), _) => {
                let prefixes = words.split_off(2).into_iter().skip(1).collect();
                tables.push(Table { route: words[1], prefixes, columns: vec![], rows: vec![] });
            }
            (Some(_), Some(table)) if table.columns.is_empty() => table.columns = words,
            (Some(_), Some(table)) => table.rows.push(words),
            (Some(_), None) => panic!("{line}"),
        }
    }
    tables
}

/// What a column stands for: a route, and the path of its service.
fn configuration<'a>(table: &Table<'_>, column: &'a str) -> (Route, Option<&'a str>) {
    let mut words = column.split(':');
    let service_path = words.next().filter(|path| *path != "-");
    let mut route = Route::new(Uuid::nil());
    route.paths = (table.route != "-").then(|| vec![RoutePath::parse(table.route)]);
    route.hosts = (table.route == "-").then(|| vec!["a.test".to_owned()]);
    for word in words {
        match word {
            "strip" => route.strip_path = true,
            "keep" => route.strip_path = false,
            "v1" => route.path_handling = PathHandling::V1,
            other => panic!("{other}"),
        }
    }
    (route, service_path)
}

/// The target that goes upstream and the prefix that was taken off, or the status of a refusal.
fn answer(route: &Route, service_path: Option<&str>, target: &str) -> Result<(String, Option<String>), u16> {
    let router = Router::new([Arc::new(route.clone())]);
    let target = Target::parse(target.as_bytes()).unwrap();
    let path = normalise(target.path).map_err(|_| 400u16)?;
    let request = RouteRequest {
        method: b"GET",
        host: Some(b"a.test"),
        port: 80,
        path: &path,
        server_name: None,
        fields: &Fields::default(),
    };
    let found = router.find(&request).ok_or(404u16)?;
    let mut upstream = Vec::new();
    found.upstream_path(service_path, &path, target.query).write(&mut upstream);
    Ok((String::from_utf8(upstream).unwrap(), found.stripped_prefix(&path).map(ToOwned::to_owned)))
}

#[test]
fn targets_are_those_that_kong_sends() {
    let mut asked = 0;
    for table in tables() {
        for row in &table.rows {
            let (target, answers) = row.split_first().unwrap();
            assert_eq!(answers.len(), table.columns.len(), "{target}");
            for (column, expected) in table.columns.iter().zip(answers) {
                let (route, service_path) = configuration(&table, column);
                let at = format!("{target} to {} as {column}", table.route);
                match answer(&route, service_path, target) {
                    Err(status) => assert_eq!(status.to_string(), *expected, "{at}"),
                    Ok((upstream, prefix)) => {
                        assert_eq!(upstream, *expected, "{at}");
                        let stripped = route.strip_path && !table.prefixes.is_empty();
                        assert_eq!(prefix.is_some(), stripped, "{at}");
                        assert!(prefix.is_none_or(|prefix| table.prefixes.contains(&&*prefix)), "{at}");
                    }
                }
                asked += 1;
            }
        }
    }
    assert_eq!(asked, 519);
}

#[test]
fn a_match_that_is_not_at_the_start_takes_off_as_many_bytes() {
    let path = |path, matched| UpstreamPath {
        service_path: Some("/srv"),
        strip_path: true,
        path,
        matched: Some(matched),
        query: None,
    };
    let written = |path: UpstreamPath<'_>| {
        let mut target = Vec::new();
        path.write(&mut target);
        String::from_utf8(target).unwrap()
    };
    assert_eq!(written(path("/x/b", 2)), "/srv/b");
    assert_eq!(written(path("/é/b", 2)), "/srv/%A9/b");
    assert_eq!(written(path("/x", 9)), "/srv");
}

proptest! {
    #[test]
    fn what_is_sent_unstripped_names_the_same_path(path in "/([a-c./é \"%?]|%(2[0-9a-fEF]|4[0-9])|//){0,12}") {
        let target = Target::parse(path.as_bytes()).unwrap();
        if let Ok(normal) = normalise(target.path) {
            let mut upstream = Vec::new();
            UpstreamPath { service_path: None, strip_path: false, path: &normal, matched: None, query: target.query }
                .write(&mut upstream);
            let again = Target::parse(&upstream).unwrap();
            let normal_again = normalise(again.path);
            prop_assert_eq!(normal_again.as_deref(), Ok(&*normal));
            // Bytes beyond ASCII are encoded, and nothing else is touched.
            let wanted = target.query.map(|query| String::from_utf8(query.to_vec()).unwrap().replace('é', "%C3%A9"));
            prop_assert_eq!(again.query, wanted.as_ref().map(String::as_bytes));
        }
    }

    #[test]
    fn a_target_is_a_path_in_ascii(path in "/[a-c./é]{0,8}", service in "/[a-c/]{0,4}", strip: bool, matched in 0..12usize) {
        let mut upstream = Vec::new();
        let matched = Some(matched);
        UpstreamPath { service_path: Some(&service), strip_path: strip, path: &path, matched, query: None }
            .write(&mut upstream);
        prop_assert!(upstream.starts_with(b"/") && upstream.is_ascii());
    }
}
