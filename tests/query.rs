//! Simulated queries: that every query that people are shown can be simulated, that no text makes the reader panic,
//! and that names agree with the collector's.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use jiff::Timestamp;
use proptest::prelude::*;
use rolloutctl::collector::aggregate::{CodeClass, MEASUREMENT};
use rolloutctl::collector::latency;
use rolloutctl::influxql;
use rolloutctl::manifest::{Known, Source, parse};
use rolloutctl::sim::point::{Code, Point};
use rolloutctl::sim::query::{Absent, Query, field};
use rolloutctl::snapshot::{SampleOutcome, Window};
use serde_json::Value;

fn read(path: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The texts under the key `query`, wherever they stand.
fn queries(value: &Value, found: &mut Vec<String>) {
    match value {
        Value::Object(fields) => {
            for (key, value) in fields {
                if let ("query", Value::String(query)) = (key.as_str(), value) {
                    found.push(query.clone());
                }
                queries(value, found);
            }
        }
        Value::Array(values) => values.iter().for_each(|value| queries(value, found)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

fn queries_of(name: &str, manifest: &str) -> Vec<String> {
    let parsed = parse(&[Source::new(name, manifest)], Known::SourcesOnly);
    let mut found = Vec::new();
    for located in &parsed.resources {
        queries(&located.resource.spec_json(), &mut found);
    }
    found
}

/// What stands in a document's code blocks of a language.
fn blocks(document: &str, language: &str) -> Vec<String> {
    let opening = format!("```{language}\n");
    let parts = document.split(&opening).skip(1);
    let inside = parts.filter_map(|rest| rest.split_once("```"));
    inside.map(|(block, _)| block.to_owned()).collect()
}

/// Every query that people are shown, each with where.
fn shown() -> Vec<(String, String)> {
    let mut shown = Vec::new();
    for directory in ["examples", "specs"] {
        for entry in fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join(directory))
            .expect("a directory")
        {
            let path = entry.expect("an entry").path();
            if path
                .extension()
                .is_some_and(|extension| extension == "yaml")
            {
                let name = path.display().to_string();
                let found = queries_of(&name, &fs::read_to_string(&path).expect("a text"));
                shown.extend(found.into_iter().map(|query| (name.clone(), query)));
            }
        }
    }
    for block in blocks(&read("README.md"), "yaml") {
        let found = queries_of("README.md", &block);
        shown.extend(
            found
                .into_iter()
                .map(|query| ("README.md".to_owned(), query)),
        );
    }
    for block in blocks(&read("docs/operations.md"), "sql") {
        let found = block
            .split("\n\n")
            .map(|query| ("docs/operations.md".to_owned(), query.to_owned()));
        shown.extend(found);
    }
    shown
}

const WINDOW: (i64, i64) = (1_700_000_000, 1_700_000_010);

fn filled(query: &str) -> Result<String, influxql::FillError> {
    let values = [
        ("backend", "web"),
        ("rollout", "web"),
        ("canary", "aaaaaaaaaa"),
        ("stable", "bbbbbbbbbb"),
        ("args.code", "2xx"),
        ("args.measurement", "haproxy"),
    ];
    let values: BTreeMap<String, String> = values
        .into_iter()
        .map(|(key, value)| (key.to_owned(), value.to_owned()))
        .collect();
    let second = |second| Timestamp::from_second(second).expect("an instant");
    let window = Window {
        start: second(WINDOW.0),
        end: second(WINDOW.1),
    };
    influxql::fill(query, &values, window)
}

fn point() -> Point {
    Point {
        second: WINDOW.0 + 3,
        backend: "web".to_owned(),
        revision: "aaaaaaaaaa".parse().expect("a revision"),
        code: Code::Success,
        requests: 100,
        errors: 1,
        p50: 10.0,
        p90: 20.0,
        p99: 30.0,
        max: 40.0,
        bytes: 1_000,
        active: 3,
        response: None,
    }
}

#[test]
fn every_query_that_people_are_shown_can_be_simulated() {
    let shown = shown();
    for place in ["examples/", "README.md", "docs/operations.md"] {
        assert!(
            shown.iter().any(|(name, _)| name.contains(place)),
            "no query in {place}"
        );
    }
    assert!(shown.len() >= 15, "only {} queries", shown.len());
    for (name, query) in shown {
        let text = filled(&query).unwrap_or_else(|error| panic!("{name}: {query}: {error}"));
        let read = Query::parse(&text).unwrap_or_else(|error| panic!("{name}: {text}: {error}"));
        let outcome = read.evaluate([point()].iter());
        match read.absent() {
            [] => assert!(
                matches!(outcome, SampleOutcome::Value(_)),
                "{name}: {text}: {outcome:?}"
            ),
            absent => {
                assert_eq!(
                    absent,
                    [Absent::Measurement("checkout".to_owned())],
                    "{name}: {text}"
                );
                assert_eq!(outcome, SampleOutcome::NoData, "{name}: {text}");
            }
        }
    }
}

#[test]
fn names_agree_with_the_collectors() {
    assert_eq!(field::MEASUREMENT, MEASUREMENT);
    assert_eq!(field::EDGES, latency::EDGES);
    for (code, class) in [
        (Code::Success, CodeClass::Success),
        (Code::Redirect, CodeClass::Redirection),
        (Code::Refusal, CodeClass::ClientError),
        (Code::Failure, CodeClass::ServerError),
        (Code::None, CodeClass::Unanswered),
    ] {
        assert_eq!(code.as_str(), class.as_str());
    }
    let mut times = latency::Latencies::default();
    times.record(7);
    let mut written = Vec::new();
    times.clone().fields("ta", &mut written);
    times.fields("tr", &mut written);
    for (name, _) in written {
        assert!(
            field::Field::named(&name).is_some(),
            "{name} is written and not simulated"
        );
    }
}

/// Words of queries in any order.
fn words() -> impl Strategy<Value = String> {
    let word = prop::sample::select(vec![
        "SELECT",
        "FROM",
        "WHERE",
        "GROUP",
        "BY",
        "AND",
        "OR",
        "AS",
        "fill",
        "time",
        "sum",
        "count",
        "percentile",
        "max",
        "\"haproxy\"",
        "haproxy",
        "requests",
        "errors",
        "code",
        "'2xx'",
        "(",
        ")",
        "(",
        ")",
        ",",
        "+",
        "-",
        "*",
        "/",
        "=",
        "!=",
        "=~",
        "!~",
        "<",
        ">=",
        "/a/",
        "1",
        "2.5",
        "10s",
        "-1",
        ".",
        ";",
        "9223372036854775807",
        "null",
        "none",
        "now",
        "'1970-01-01T00:00:00Z'",
        "--",
        "/*",
        "'",
        "\"",
    ]);
    prop::collection::vec(word, 0..40).prop_map(|words| words.join(" "))
}

proptest! {
    #[test]
    fn no_text_makes_it_panic(text in any::<String>()) {
        let _ = Query::parse(&text);
    }

    #[test]
    fn no_order_of_words_makes_it_panic(text in words(), tail in words()) {
        for text in [text.clone(), format!("SELECT sum(requests) FROM haproxy WHERE {text}"), format!("SELECT {text} FROM (SELECT {tail}"), format!("SELECT max(x) FROM (SELECT sum(requests) AS x FROM haproxy {tail}) {text}")] {
            match Query::parse(&text) {
                Ok(query) => {
                    let _ = query.evaluate([point()].iter());
                }
                Err(error) => prop_assert!(error.column >= 1 && error.column <= text.chars().count() + 1, "{}", error),
            }
        }
    }

    #[test]
    fn depth_is_no_danger(depth in 0_usize..20_000, open in prop::sample::select(vec!["(", "-", "sum(", "(SELECT a FROM ", "+("])) {
        for start in ["SELECT ", "SELECT sum(requests) FROM ", "SELECT sum(requests) FROM haproxy WHERE "] {
            let _ = Query::parse(&format!("{start}{}", open.repeat(depth)));
        }
        let long = format!("SELECT sum(requests){} FROM haproxy WHERE code = '2xx'{}", " + 1".repeat(depth), " AND code = '2xx'".repeat(depth));
        if let Ok(query) = Query::parse(&long) {
            let _ = query.evaluate([point()].iter());
        }
    }

    /// What is evaluated does not depend on the order in which points come.
    #[test]
    fn the_order_of_points_is_of_no_matter(requests in prop::collection::vec((0_i64..10, 1_u64..100), 1..20)) {
        let points: Vec<Point> = requests.iter().map(|(second, requests)| Point { second: WINDOW.0 + second, requests: *requests, ..point() }).collect();
        for function in ["sum(requests)", "mean(requests)", "median(requests)", "first(requests)", "last(requests)", "percentile(requests, 90)"] {
            let query = Query::parse(&format!("SELECT {function} FROM haproxy")).expect("a query");
            prop_assert_eq!(query.evaluate(points.iter()), query.evaluate(points.iter().rev()));
        }
    }
}
