//! What the metric source answers, and the points behind it.

use std::collections::BTreeMap;
use std::sync::Arc;

use rolloutctl::action::Measure;
use rolloutctl::api::{Duration, MetricSourceSpec};
use rolloutctl::sim::{Answer, App, Code, Keep, Oracle, Point, Setup, View};
use rolloutctl::snapshot::{SampleKey, SampleOutcome, Window};
use rolloutctl::world::World;
use serde_json::json;

use crate::site::{BACKEND, Site, name, quick, revision, setup};

fn question(site: &Site) -> Measure {
    let end = site.world.now();
    Measure {
        key: SampleKey {
            rollout: name("web"),
            attempt: 1,
            stage: 0,
            since: Duration::from_secs(10).before(end),
            metric: name("errors"),
            digest: None,
            number: 1,
        },
        source: name("main"),
        query: "SELECT".into(),
        values: BTreeMap::new(),
        window: Window {
            start: Duration::from_secs(10).before(end),
            end,
        },
    }
}

fn measure(site: &Site) -> (SampleOutcome, u64) {
    let spec = json!({"influxdb": {"url": "http://db:8086", "database": "d", "timeout": "3s"}});
    let spec: MetricSourceSpec = serde_json::from_value(spec).expect("a source");
    let begin = site.world.now();
    let outcome = site.run(site.world.measure(&question(site), &spec));
    (
        outcome,
        Duration::between(begin, site.world.now()).as_millis(),
    )
}

#[test]
fn answers_are_values_no_data_or_errors_and_null_is_not_0() {
    let site = Site::quick(1);
    for (answer, outcome) in [
        (Answer::Value(0.5), Some(SampleOutcome::Value(0.5))),
        (Answer::NoData, Some(SampleOutcome::NoData)),
        (Answer::Null, Some(SampleOutcome::NoData)),
        (Answer::Partial, None),
        (Answer::Value(f64::NAN), None),
        (Answer::Error("broken".into()), None),
    ] {
        site.world.answer(None, answer.clone());
        let (found, _) = measure(&site);
        match outcome {
            Some(outcome) => assert_eq!(found, outcome, "{answer:?}"),
            None => assert!(
                matches!(found, SampleOutcome::Error(_)),
                "{answer:?}: {found:?}"
            ),
        }
    }
}

#[test]
fn a_late_answer_comes_late_and_one_beyond_the_time_limit_not_at_all() {
    let site = Site::quick(2);
    let late = |secs| Answer::Late(Duration::from_secs(secs), Box::new(Answer::Value(1.0)));
    site.world.answer(None, late(2));
    let (outcome, took) = measure(&site);
    assert_eq!(outcome, SampleOutcome::Value(1.0));
    assert!((2_000..2_100).contains(&took), "{took}");
    for answer in [late(3), Answer::Never] {
        site.world.answer(Some(name("main")), answer);
        let (outcome, took) = measure(&site);
        assert!(matches!(outcome, SampleOutcome::Error(_)), "{outcome:?}");
        assert_eq!(took, 3_000);
    }
}

/// A site where one revision fails in every fifth request, after half a minute.
fn failing() -> Site {
    let app = App {
        error_rate: 0.2,
        ..quick()
    };
    let site = Site::new(Setup {
        other_apps: app,
        points: Keep::Yes,
        ..setup(3)
    });
    let one = revision('1');
    site.serve(&one, 2);
    site.balance("lb-1", &one, 1);
    site.balance("lb-2", &one, 1);
    site.pass(30_000);
    site
}

fn points(site: &Site, ago: i64, count: i64) -> Vec<Point> {
    let from = site.world.now().as_second() - ago;
    site.world.view(|view| view.points(from, from + count))
}

fn sum(points: &[Point], of: impl Fn(&Point) -> u64) -> f64 {
    let sum: u64 = points.iter().map(of).sum();
    f64::from(u32::try_from(sum).expect("a count"))
}

#[test]
fn points_show_the_truth_as_a_sample() {
    let site = failing();
    let points = points(&site, 20, 20);
    let requests = sum(&points, |point| point.requests);
    let errors = sum(&points, |point| point.errors);
    // 4,000 requests and 800 errors are expected; five standard deviations are 320 and 140.
    assert!((requests - 4_000.0).abs() < 320.0, "{requests}");
    assert!((errors - 800.0).abs() < 140.0, "{errors}");
    assert!(points.iter().all(|point| point.backend == BACKEND));
    assert!(points.iter().any(|point| point.code == Code::Failure));
    let slow = points.iter().filter(|point| point.max > 1_500.0).count();
    assert!(slow > 10, "{slow}");
    assert!(
        points
            .iter()
            .all(|point| point.p50 <= point.p90 && point.p99 <= point.max)
    );
}

#[test]
fn windows_that_overlap_agree_whoever_asks_first() {
    let site = failing();
    let wide = points(&site, 20, 20);
    let narrow = points(&site, 12, 5);
    let first = site.world.now().as_second() - 12;
    let inside = wide
        .iter()
        .filter(|point| (first..first + 5).contains(&point.second));
    assert_eq!(inside.cloned().collect::<Vec<_>>(), narrow);
    assert_eq!(
        failing().world.view(|view| view.points(first, first + 5)),
        narrow
    );
}

#[test]
fn a_second_that_is_not_over_has_no_points_yet() {
    let site = failing();
    let now = site.world.now().as_second();
    let points = points(&site, 5, 60);
    assert!(points.iter().all(|point| point.second < now));
    assert!(points.iter().any(|point| point.second == now - 1));
}

#[test]
fn requests_are_written_when_they_end() {
    let site = failing();
    let one = revision('1');
    site.scale(&one, 0).expect("scaled");
    site.pass(10_000);
    let last = points(&site, 10, 10)
        .into_iter()
        .map(|point| (point.second, point.max));
    let (second, max) = last.max_by_key(|(second, _)| *second).expect("points");
    assert!(
        max > 1_500.0,
        "the last ones are the slow ones: {max} in {second}"
    );
}

#[test]
fn an_oracle_answers_from_the_truth() {
    let site = failing();
    let oracle: Arc<dyn Oracle> = Arc::new(|question: &Measure, view: &View<'_>| {
        assert_eq!(question.source, name("main"));
        Answer::Value(view.error_rate("app:v1"))
    });
    site.world.answer(None, Answer::Ask(oracle));
    assert_eq!(measure(&site).0, SampleOutcome::Value(0.2));
}
