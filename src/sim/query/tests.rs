//! Queries over a few points: null, nothing, shapes, and what is refused where.

use super::*;
use crate::sim::point::{Code, Latency};

fn point(second: i64, revision: char, code: Code, requests: u64, errors: u64) -> Point {
    Point {
        second,
        backend: "web".to_owned(),
        revision: revision.to_string().repeat(10).parse().expect("a revision"),
        code,
        requests,
        errors,
        p50: 20.0,
        p90: 30.0,
        p99: 40.0,
        max: 50.0,
        bytes: 100 * requests,
        active: 1,
        response: None,
    }
}

fn points() -> Vec<Point> {
    let answered = Point {
        response: Some(Latency {
            p50: 5.0,
            p90: 5.0,
            p99: 5.0,
            max: 5.0,
        }),
        ..point(1, 'b', Code::Success, 5, 0)
    };
    vec![
        point(0, 'a', Code::Success, 10, 0),
        point(0, 'a', Code::Failure, 2, 2),
        point(3, 'a', Code::Success, 20, 0),
        answered,
        point(2, 'c', Code::None, 0, 0),
    ]
}

fn ask(query: &str) -> SampleOutcome {
    let query = Query::parse(query).unwrap_or_else(|error| panic!("{query}: {error}"));
    query.evaluate(points().iter())
}

#[track_caller]
fn check(query: &str, wanted: f64) {
    assert_eq!(ask(query), SampleOutcome::Value(wanted), "{query}");
}

#[track_caller]
fn check_none(query: &str) {
    assert_eq!(ask(query), SampleOutcome::NoData, "{query}");
}

#[test]
fn analysis_1_no_points_are_no_data_and_never_nothing() {
    for query in [
        "SELECT sum(requests) FROM haproxy WHERE revision = 'unseen'",
        "SELECT count(requests) FROM haproxy WHERE revision = 'unseen'",
        "SELECT sum(requests) FROM haproxy WHERE revision = 'unseen' fill(0)",
        "SELECT sum(errors) / sum(requests) FROM haproxy WHERE time >= 4s",
        "SELECT sum(requests) FROM haproxy WHERE time >= 1s AND time < 1s",
        "SELECT sum(requests) FROM checkout",
        "SELECT requests FROM haproxy WHERE time > 3s",
        "SELECT sum(requests), sum(errors) FROM haproxy WHERE time > 3s",
    ] {
        check_none(query);
    }
}

#[test]
fn null_makes_a_computation_null() {
    check_none("SELECT sum(tr_p99) FROM haproxy WHERE revision = 'aaaaaaaaaa'");
    check_none("SELECT sum(requests) + sum(tr_p99) FROM haproxy WHERE revision = 'aaaaaaaaaa'");
    check_none("SELECT sum(requests) + count(tr_p99) FROM haproxy WHERE revision = 'aaaaaaaaaa'");
    check_none("SELECT percentile(requests, 1) + sum(requests) FROM haproxy");
    check(
        "SELECT sum(requests) + count(tr_p99) FROM haproxy WHERE revision = 'aaaaaaaaaa' fill(5)",
        37.0,
    );
    // Null in one point is not null in the sum.
    check("SELECT sum(requests) + sum(tr_p99) FROM haproxy", 42.0);
    // A field that is not there is not unequal to anything.
    check("SELECT sum(requests) FROM haproxy WHERE tr_p99 != 1", 5.0);
}

#[test]
fn arithmetic_binds_as_in_school() {
    check("SELECT sum(requests) + 1 * 2 FROM haproxy", 39.0);
    check("SELECT sum(requests) - 1 - 2 FROM haproxy", 34.0);
    check("SELECT (sum(requests) + 1) * -2 / 4 FROM haproxy", -19.0);
    check(
        "SELECT 100 * sum(errors) / sum(requests) FROM haproxy WHERE time < 1s",
        100.0 * 2.0 / 12.0,
    );
    check(
        "SELECT sum(errors) / sum(requests) FROM haproxy WHERE code = 'none'",
        0.0,
    );
    check("SELECT -sum(requests) - -1 FROM haproxy", -36.0);
}

#[test]
fn the_end_of_a_window_is_not_in_it() {
    check(
        "SELECT sum(requests) FROM haproxy WHERE time >= 0 AND time < 3000000000",
        17.0,
    );
    check(
        "SELECT sum(requests) FROM haproxy WHERE time > 0s AND time <= 3s",
        25.0,
    );
    check("SELECT sum(requests) FROM haproxy WHERE 3s <= time", 20.0);
    check(
        "SELECT sum(requests) FROM haproxy WHERE time = '1970-01-01T00:00:01Z'",
        5.0,
    );
    check(
        "SELECT sum(requests) FROM haproxy WHERE time >= '1970-01-01 00:00:05' - 2s",
        20.0,
    );
}

#[test]
fn or_binds_less_than_and() {
    check(
        "SELECT sum(requests) FROM haproxy WHERE code = '5xx' OR code = '2xx' AND revision = 'bbbbbbbbbb'",
        7.0,
    );
    check(
        "SELECT sum(requests) FROM haproxy WHERE (code = '5xx' OR code = '2xx') AND revision = 'bbbbbbbbbb'",
        5.0,
    );
    check(
        "SELECT sum(requests) FROM haproxy WHERE \"code\" =~ /^[45]/ OR requests > 10",
        22.0,
    );
    check(
        "SELECT sum(requests) FROM haproxy WHERE revision !~ /a/",
        5.0,
    );
}

#[test]
fn more_than_one_number_is_an_error_as_the_controller_says_it() {
    for (query, words) in [
        (
            "SELECT sum(requests), sum(errors) FROM haproxy",
            "2 values in a row",
        ),
        ("SELECT requests FROM haproxy", "5 rows"),
        (
            "SELECT sum(requests) FROM haproxy GROUP BY revision",
            "3 series",
        ),
        (
            "SELECT sum(requests) FROM haproxy WHERE time >= 0 AND time < 4s GROUP BY time(1s)",
            "4 rows",
        ),
    ] {
        let outcome = ask(query);
        let found = matches!(&outcome, SampleOutcome::Error(text) if text.contains(words));
        assert!(found, "{query}: {outcome:?}");
    }
    check(
        "SELECT sum(requests) FROM haproxy WHERE revision = 'bbbbbbbbbb' GROUP BY revision",
        5.0,
    );
    check(
        "SELECT sum(requests) FROM haproxy WHERE time >= 0 AND time < 2s GROUP BY time(2s)",
        17.0,
    );
}

#[test]
fn a_subquery_aggregates_what_another_one_did() {
    let inner = "(SELECT sum(errors) * 1.0 / sum(requests) AS ratio FROM haproxy WHERE time >= 0 AND time < 4s GROUP BY time(1s))";
    check(&format!("SELECT max(ratio) FROM {inner}"), 2.0 / 12.0);
    check(
        &format!("SELECT count(ratio) FROM {inner} WHERE ratio = 0"),
        3.0,
    );
    check(
        "SELECT sum(x) FROM (SELECT max(requests) AS x FROM haproxy GROUP BY code) WHERE code != '5xx'",
        20.0,
    );
}

/// Queries, the column that the refusal names, and words of it.
const REFUSED: &[(&str, usize, &str)] = &[
    ("", 1, "the end of the query"),
    ("DROP MEASUREMENT haproxy", 1, "`DROP`"),
    ("SELECT mode(requests) FROM haproxy", 8, "`mode()`"),
    ("SELECT sum(*) FROM haproxy", 12, "name one field"),
    (
        "SELECT sum(requests * 2) FROM haproxy",
        8,
        "compute outside of it",
    ),
    ("SELECT sum(code) FROM haproxy", 12, "the tag `code`"),
    ("SELECT sum(requests) % 2 FROM haproxy", 22, "`%`"),
    (
        "SELECT sum(requests), errors FROM haproxy",
        23,
        "beside a plain field",
    ),
    ("SELECT 1 FROM haproxy", 8, "without a field"),
    (
        "SELECT sum(requests) FROM haproxy, other",
        34,
        "one measurement",
    ),
    ("SELECT sum(requests) FROM haproxy LIMIT 1", 35, "`LIMIT`"),
    (
        "SELECT sum(requests) FROM haproxy; SELECT 1",
        34,
        "more than one statement",
    ),
    (
        "SELECT sum(requests) FROM haproxy WHERE code = \"2xx\"",
        48,
        "single quotes",
    ),
    (
        "SELECT sum(requests) FROM haproxy WHERE code = 2",
        48,
        "single quotes",
    ),
    (
        "SELECT sum(requests) FROM haproxy WHERE requests = '2'",
        52,
        "with a number",
    ),
    (
        "SELECT sum(requests) FROM haproxy WHERE code > '2xx'",
        48,
        "an order of texts",
    ),
    (
        "SELECT sum(requests) FROM haproxy WHERE code =~ /(/",
        49,
        "the pattern",
    ),
    (
        "SELECT sum(requests) FROM haproxy WHERE time > now() - 5m",
        48,
        "already says which time",
    ),
    (
        "SELECT sum(requests) FROM haproxy WHERE time != 1s",
        49,
        "this comparison of `time`",
    ),
    (
        "SELECT sum(requests) FROM haproxy GROUP BY time(1s)",
        44,
        "{{ window }}",
    ),
    (
        "SELECT max(r) FROM (SELECT sum(errors) / sum(requests) AS r FROM haproxy)",
        28,
        "cuts to a whole number",
    ),
    (
        "SELECT max(r) FROM (SELECT sum(errors) AS x FROM haproxy)",
        12,
        "does not have",
    ),
    (
        "SELECT max(x) FROM (SELECT sum(errors) AS x FROM haproxy WHERE time >= 0 AND time < 9s GROUP BY time(1s)) WHERE time > 1s",
        113,
        "into the subquery",
    ),
];

#[test]
fn what_is_not_understood_is_refused_where_it_stands() {
    for (query, column, words) in REFUSED {
        let error = Query::parse(query).expect_err(query);
        let text = error.to_string();
        assert!(text.contains(words), "{query}: {text}");
        assert_eq!(error.column, *column, "{query}: {text}");
        assert!(text.contains("--metric NAME=VALUE"), "{query}: {text}");
    }
}

#[test]
fn what_nobody_simulates_is_told() {
    let absent = |query: &str| Query::parse(query).expect(query).absent().to_vec();
    assert_eq!(
        absent("SELECT sum(requests) FROM haproxy WHERE code = '2xx'"),
        []
    );
    assert_eq!(
        absent(
            "SELECT sum(retries) / sum(errrors) FROM haproxy WHERE collector = 'c' AND queued > 1"
        ),
        [
            Absent::Field("errrors".to_owned()),
            Absent::Field("queued".to_owned()),
            Absent::Field("retries".to_owned()),
            Absent::Tag("collector".to_owned()),
        ]
    );
    assert_eq!(
        absent("SELECT sum(failed) FROM checkout WHERE shop = 'x'"),
        [Absent::Measurement("checkout".to_owned())]
    );
    check(
        "SELECT sum(requests) FROM haproxy WHERE nosuch != 'x'",
        37.0,
    );
    check_none("SELECT sum(requests) FROM haproxy WHERE nosuch = 'x'");
}
