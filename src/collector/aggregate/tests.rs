//! What a second's lines add up to.

use std::net::Ipv4Addr;

use proptest::prelude::*;

use super::super::httplog;
use super::*;

const REVISION: &str = "0123456789";

fn sender(pid: u32) -> Sender {
    Sender {
        address: Ipv4Addr::LOCALHOST.into(),
        pid: Some(pid),
    }
}

fn at(text: &str) -> Timestamp {
    text.parse().expect(text)
}

fn line(server: &str, status: i32, response: i32, total: u32, open: u32) -> String {
    format!(
        "127.0.0.1:1 [21/Nov/2026:09:12:44.111] fe be/{server} 0/0/0/{response}/{total} {status} 100 - - ---- 1/1/0/{open}/0 2/1 \"GET / HTTP/1.1\""
    )
}

fn record(aggregator: &mut Aggregator, pid: u32, line: &str) {
    let log = httplog::parse(line).unwrap_or_else(|error| panic!("{line}: {error}"));
    aggregator.record(sender(pid), &log);
}

fn tag<'a>(point: &'a Point, name: &str) -> &'a str {
    let (_, value) = point
        .tags
        .iter()
        .find(|(key, _)| *key == name)
        .expect("the tag");
    value
}

fn field(point: &Point, name: &str) -> Option<u64> {
    let (_, value) = point.fields.iter().find(|(key, _)| key == name)?;
    Some(*value)
}

#[test]
fn requests_are_counted_by_revision_and_class() {
    let mut aggregator = Aggregator::new("c".into(), at("2026-11-21T09:12:44Z"));
    let canary = format!("{REVISION}.1.abcdefghij01");
    for (server, status, response) in [
        (canary.as_str(), 200, 3),
        (&canary, 503, -1),
        (&canary, -1, -1),
        ("web1", 204, 3),
        ("<NOSRV>", 503, -1),
    ] {
        record(&mut aggregator, 1, &line(server, status, response, 4, 0));
    }
    let points = aggregator.advance(at("2026-11-21T09:12:45Z"));
    let seen: Vec<_> = points
        .iter()
        .map(|p| {
            (
                tag(p, "revision"),
                tag(p, "code"),
                field(p, "errors"),
                field(p, "tr_count"),
            )
        })
        .collect();
    assert_eq!(
        seen,
        [
            (REVISION, "2xx", Some(0), Some(1)),
            (REVISION, "5xx", Some(1), None),
            (REVISION, "none", Some(1), None),
            ("foreign", "2xx", Some(0), Some(1)),
            ("none", "5xx", Some(1), None),
        ]
    );
    assert!(points.iter().all(|p| tag(p, "backend") == "be"
        && tag(p, "collector") == "c"
        && field(p, "bytes") == Some(100)
        && field(p, "ta_p50") == Some(4)));
}

#[test]
fn what_is_open_adds_up_over_servers_and_processes() {
    let mut aggregator = Aggregator::new("c".into(), at("2026-11-21T09:12:44Z"));
    for (pid, slot, open) in [(1, 1, 4), (1, 1, 2), (1, 2, 1), (2, 1, 6)] {
        let server = format!("{REVISION}.{slot}.abcdefghij01");
        record(&mut aggregator, pid, &line(&server, 200, 1, 1, open));
    }
    let points = aggregator.finish();
    // 4 + 1 and 1 + 1 in the first process, 6 + 1 in the second: each with the one that ended.
    assert_eq!(field(&points[0], "active"), Some(14));
    assert_eq!(field(&points[0], "queued"), Some(6));
}

#[test]
fn analysis_2_a_second_is_closed_once_and_stamped_with_its_beginning() {
    let start = at("2026-11-21T09:12:44.900000123Z");
    let mut aggregator = Aggregator::new("c".into(), start);
    record(&mut aggregator, 1, &line("web1", 200, 1, 1, 0));
    assert!(
        aggregator
            .advance(at("2026-11-21T09:12:44.999Z"))
            .is_empty()
    );
    let points = aggregator.advance(at("2026-11-21T09:12:45Z"));
    assert_eq!(
        i128::from(points[0].nanos),
        at("2026-11-21T09:12:44.000000123Z").as_nanosecond()
    );
    record(&mut aggregator, 1, &line("web1", 200, 1, 1, 0));
    let later = aggregator.advance(at("2026-11-21T09:12:46.5Z"));
    assert_eq!(later[0].nanos - points[0].nanos, 1_000_000_000);
    assert!(aggregator.finish().is_empty());
}

#[test]
fn a_clock_that_is_set_back_overwrites_nothing() {
    let mut aggregator = Aggregator::new("c".into(), at("2026-11-21T09:12:44Z"));
    let mut stamps = Vec::new();
    for now in ["45", "46", "44", "45", "46", "44", "45"] {
        record(&mut aggregator, 1, &line("web1", 200, 1, 1, 0));
        let points = aggregator.advance(at(&format!("2026-11-21T09:12:{now}Z")));
        stamps.extend(points.into_iter().map(|point| point.nanos));
    }
    assert_eq!(stamps.len(), 7);
    let mut distinct = stamps.clone();
    distinct.sort_unstable();
    distinct.dedup();
    assert_eq!(distinct.len(), stamps.len(), "{stamps:?}");
}

fn any_line() -> impl Strategy<Value = String> {
    (
        prop_oneof![
            Just("web1".to_owned()),
            Just("<NOSRV>".to_owned()),
            (1_u32..4).prop_map(|slot| format!("{REVISION}.{slot}.abcdefghij01")),
        ],
        prop_oneof![Just(-1), 100_i32..600],
        -1_i32..5_000,
        0_u32..5_000,
        0_u32..50,
    )
        .prop_map(|(server, status, response, total, open)| {
            line(&server, status, response, total, open)
        })
}

proptest! {
    #[test]
    fn every_line_is_counted_once(lines in proptest::collection::vec((any_line(), 0_i64..400), 0..100)) {
        let mut now = at("2026-11-21T09:12:44Z");
        let mut aggregator = Aggregator::new("c".into(), now);
        let mut points = Vec::new();
        for (line, millis) in &lines {
            now += jiff::SignedDuration::from_millis(*millis);
            points.extend(aggregator.advance(now));
            record(&mut aggregator, 1, line);
        }
        points.extend(aggregator.finish());
        let sum = |name| points.iter().filter_map(|p| field(p, name)).sum::<u64>();
        prop_assert_eq!(sum("requests"), lines.len() as u64);
        prop_assert_eq!(sum("ta_count"), lines.len() as u64);
        prop_assert_eq!(sum("bytes"), 100 * lines.len() as u64);
        let mut keys: Vec<_> = points.iter().map(|p| (p.tags.clone(), p.nanos)).collect();
        keys.sort();
        keys.dedup();
        prop_assert_eq!(keys.len(), points.len(), "two points of one series and time");
    }
}
