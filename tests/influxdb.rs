//! InfluxDB against a real 1.x that the test starts for itself, and against sockets that misbehave.
//!
//! The tests with a real one run when `influxd` is installed or `LAB_INFLUXD_BIN` names one, and say
//! so when they are skipped.

#[path = "influxdb/server.rs"]
mod server;
#[path = "influxdb/simulated.rs"]
mod simulated;

use std::collections::BTreeMap;

use jiff::Timestamp;
use rolloutctl::action::Measure;
use rolloutctl::api::{Duration, InfluxDbSpec, MetricSourceSpec, QueryLanguage};
use rolloutctl::snapshot::{SampleKey, SampleOutcome, Window};
use rolloutctl::world::influxdb::InfluxDb;
use server::{Answer, Server, deaf, once};

/// The second from which the real server's points are.
const START: i64 = 1_700_000_000;

fn source(url: &str) -> MetricSourceSpec {
    MetricSourceSpec {
        influxdb: InfluxDbSpec {
            url: url.to_owned(),
            database: "rollouts".to_owned(),
            language: QueryLanguage::Influxql,
            token_file: None,
            ingest_lag: Duration::ZERO,
            timeout: Duration::from_secs(5),
        },
    }
}

fn question(query: &str, values: &[(&str, &str)]) -> Measure {
    let name = |text: &str| text.parse().expect("a name");
    let second = |second| Timestamp::from_second(second).expect("an instant");
    Measure {
        key: SampleKey {
            rollout: name("news-web"),
            attempt: 1,
            stage: 0,
            since: second(0),
            metric: name("errors"),
            digest: None,
            number: 1,
        },
        source: name("main"),
        query: query.to_owned(),
        values: values
            .iter()
            .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
            .collect::<BTreeMap<_, _>>(),
        window: Window {
            start: second(START),
            end: second(START + 2),
        },
    }
}

async fn ask(source: &MetricSourceSpec, query: &str, values: &[(&str, &str)]) -> SampleOutcome {
    let influxdb = InfluxDb::new().expect("a client");
    influxdb.measure(&question(query, values), source).await
}

fn assert_error(outcome: &SampleOutcome, words: &str) {
    assert!(
        matches!(outcome, SampleOutcome::Error(text) if text.contains(words)),
        "no {words:?} in {outcome:?}"
    );
}

const ERRORS: &str =
    "SELECT sum(\"errors\") FROM \"haproxy\" WHERE \"revision\" = '{{ canary }}' AND {{ window }}";
const RATIO: &str = "SELECT sum(\"errors\") / sum(\"requests\") FROM \"haproxy\" WHERE \"revision\" = '{{ canary }}' AND {{ window }}";

/// Points of three revisions in the window and one outside of it, and names that look like syntax.
async fn filled() -> Option<(Server, MetricSourceSpec)> {
    let server = Server::start().await?;
    let at = |second: i64| (START + second) * 1_000_000_000;
    let points = format!(
        "haproxy,revision=good requests=98i,errors=1i {}\n\
         haproxy,revision=good requests=102i,errors=3i {}\n\
         haproxy,revision=good requests=1000i,errors=1000i {}\n\
         haproxy,revision=idle requests=0i,errors=0i {}\n\
         haproxy,revision=half requests=7i {}\n\
         haproxy,revision=x'\\ OR\\ 1\\=1\\ -- errors=77i {}\n",
        at(0),
        at(1),
        at(2),
        at(0),
        at(0),
        at(0)
    );
    server.write("rollouts", &points).await;
    let source = source(&server.url);
    Some((server, source))
}

#[tokio::test]
async fn analysis_1_values_and_their_absence() {
    let Some((_server, source)) = filled().await else {
        return;
    };
    let ratio = ask(&source, RATIO, &[("canary", "good")]).await;
    assert_eq!(
        ratio,
        SampleOutcome::Value(0.02),
        "the end is not in the window"
    );
    let none = ask(&source, RATIO, &[("canary", "unseen")]).await;
    assert_eq!(none, SampleOutcome::NoData);
    let null = ask(&source, RATIO, &[("canary", "half")]).await;
    assert_eq!(null, SampleOutcome::NoData);
    let filled = ERRORS.replace("{{ window }}", "{{ window }} fill(0)");
    let still_none = ask(&source, &filled, &[("canary", "unseen")]).await;
    assert_eq!(still_none, SampleOutcome::NoData);
}

/// Not what one would wish, but what InfluxDB does: a query for a ratio must not be the only one.
#[tokio::test]
async fn influxdb_takes_nothing_by_nothing_for_zero() {
    let Some((_server, source)) = filled().await else {
        return;
    };
    let ratio = ask(&source, RATIO, &[("canary", "idle")]).await;
    assert_eq!(ratio, SampleOutcome::Value(0.0));
}

#[tokio::test]
async fn analysis_4_names_that_look_like_syntax_are_names() {
    let Some((_server, source)) = filled().await else {
        return;
    };
    let itself = ask(&source, ERRORS, &[("canary", "x' OR 1=1 --")]).await;
    assert_eq!(itself, SampleOutcome::Value(77.0), "found by its own name");
    for name in [
        "good' OR 'a'='a",
        "good'; DROP MEASUREMENT haproxy --",
        "good\\' OR 1=1 --",
        "\\",
        "good' /*",
        "\"",
    ] {
        let outcome = ask(&source, ERRORS, &[("canary", name)]).await;
        assert_eq!(outcome, SampleOutcome::NoData, "{name}");
    }
    let field = "SELECT sum(\"{{ field }}\") FROM haproxy WHERE {{ window }}";
    for name in ["errors\") FROM haproxy --", "errors\\", "x\"\"y"] {
        let outcome = ask(&source, field, &[("field", name)]).await;
        assert_eq!(outcome, SampleOutcome::NoData, "{name}");
    }
}

#[tokio::test]
async fn analysis_3_what_the_server_refuses_is_an_error() {
    let Some((_server, mut source)) = filled().await else {
        return;
    };
    for (query, words) in [
        (
            "SELECT sum( FROM m WHERE {{ window }}",
            "error parsing query",
        ),
        (
            "SELECT bogus(errors) FROM haproxy WHERE {{ window }}",
            "undefined function",
        ),
        (
            "SELECT sum(errors), sum(requests) FROM haproxy WHERE {{ window }}",
            "2 values in a row",
        ),
        (
            "SELECT sum(errors) FROM haproxy WHERE {{ window }} GROUP BY revision",
            "series where one number",
        ),
        (
            "SELECT errors FROM haproxy WHERE revision = 'good' AND {{ window }}",
            "2 rows",
        ),
        ("DROP MEASUREMENT haproxy", "must be one SELECT"),
    ] {
        assert_error(&ask(&source, query, &[]).await, words);
    }
    source.influxdb.database = "nowhere".to_owned();
    let outcome = ask(&source, RATIO, &[("canary", "good")]).await;
    assert_error(&outcome, "database not found: nowhere");
}

#[tokio::test]
async fn preflight_learns_the_version_the_clock_and_the_databases() {
    let Some((_server, source)) = filled().await else {
        return;
    };
    let influxdb = InfluxDb::new().expect("a client");
    let ping = influxdb.ping(&source).await.expect("a ping");
    assert!(
        ping.version
            .is_some_and(|version| version.starts_with("1."))
    );
    assert!(ping.date.is_some_and(|date| date.as_second() > START));
    let databases = influxdb.databases(&source).await.expect("the databases");
    assert!(databases.contains(&"rollouts".to_owned()), "{databases:?}");
}

#[tokio::test]
async fn analysis_3_a_server_that_is_not_there_or_not_it_is_an_error() {
    let mut unreachable = source("http://127.0.0.1:1");
    assert_error(
        &ask(&unreachable, RATIO, &[("canary", "a")]).await,
        "cannot reach",
    );
    let (listener, url) = deaf();
    unreachable.influxdb.url = url;
    unreachable.influxdb.timeout = Duration::from_millis(300);
    assert_error(
        &ask(&unreachable, RATIO, &[("canary", "a")]).await,
        "within 300ms",
    );
    drop(listener);
    for (status, body, words) in [
        ("200 OK", "<html>".to_owned(), "not that of InfluxDB"),
        ("200 OK", "x".repeat(2 << 20), "longer than 1024 KiB"),
        (
            "200 OK",
            r#"{"results":[{"error":"timeout"}]}"#.to_owned(),
            "timeout",
        ),
        (
            "500 Oops",
            r#"{"error":"shard gone"}"#.to_owned(),
            "shard gone",
        ),
        (
            "503 No",
            "try\nlater".to_owned(),
            "503 Service Unavailable: try",
        ),
        ("302 Found", String::new(), "302 Found"),
    ] {
        let (url, _request) = once(Answer { status, body }).await;
        assert_error(&ask(&source(&url), RATIO, &[("canary", "a")]).await, words);
    }
}

#[tokio::test]
async fn a_token_is_read_at_each_use_and_never_told() {
    const VALUE: &str = r#"{"results":[{"series":[{"columns":["time","a"],"values":[[0,1.5]]}]}]}"#;
    let directory = tempfile::tempdir().expect("a directory");
    let file = directory.path().join("token");
    let mut with_token = source("");
    with_token.influxdb.token_file = Some(file.display().to_string());
    for (token, status, body) in [
        ("first-t0ken", "200 OK", VALUE),
        (
            "second-t0ken",
            "401 Unauthorized",
            r#"{"code":"unauthorized","message":"unauthorized access"}"#,
        ),
    ] {
        std::fs::write(&file, format!("{token}\n")).expect("a token");
        let answer = Answer {
            status,
            body: body.to_owned(),
        };
        let (url, request) = once(answer).await;
        with_token.influxdb.url = url;
        let outcome = ask(&with_token, RATIO, &[("canary", "a")]).await;
        let request = request.await.expect("a request").to_ascii_lowercase();
        assert!(
            request.contains(&format!("authorization: token {token}\r\n")),
            "{request}"
        );
        assert!(!format!("{outcome:?}").contains("t0ken"), "{outcome:?}");
        if token == "first-t0ken" {
            assert_eq!(outcome, SampleOutcome::Value(1.5));
        } else {
            assert_error(
                &outcome,
                "unauthorized access; check the source's `tokenFile`",
            );
        }
    }
    for (content, words) in [("", "it is empty"), ("a\nb-t0ken", "no token has")] {
        std::fs::write(&file, content).expect("a token");
        let outcome = ask(&with_token, RATIO, &[("canary", "a")]).await;
        assert_error(&outcome, words);
        assert!(!format!("{outcome:?}").contains("t0ken"), "{outcome:?}");
    }
    std::fs::remove_file(&file).expect("to remove it");
    assert_error(
        &ask(&with_token, RATIO, &[("canary", "a")]).await,
        "cannot use the token in",
    );
}
