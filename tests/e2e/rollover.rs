//! A rollover: one switch on both proxies, of which no request is lost; and two ways back, from a version that is found to be
//! bad after the switch, and from one that was stable already.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::unix::net::UnixStream;
use std::thread;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use rolloutctl::api::{AbortCause, Phase, RolloutStatus, Step, WaitingOn};
use serde_json::json;

use crate::daemon::{Collector, Controller};
use crate::lab::{Lab, PATIENCE};
use crate::load::{Load, Options};
use crate::manifest::{Manifest, error_ratio};

const NAME: &str = "web-24";

/// How far the two proxies may be apart. Less cannot always be proved on a machine that is busy.
const APART: Duration = Duration::from_millis(100);

/// How long after the failed measurement a bad version may have traffic.
const LIMIT: Duration = Duration::from_secs(1);

/// A quarter of requests take 0.3 s to 2 s, and many connections are kept.
fn slow() -> Options {
    Options {
        rps: 300,
        connections: 300,
        slow_share: 0.25,
        slow_ms: "300-2000",
        close_share: 0.1,
    }
}

/// The revision that is tried, once it waits to be switched to.
fn until_gate(lab: &Lab) -> String {
    let waits = |status: &RolloutStatus| status.waiting_on == Some(WaitingOn::Approval);
    let status = lab.until_status(NAME, "waits for its switch", waits);
    status.canary_revision.expect("a canary").to_string()
}

fn until_stable(lab: &Lab, attempt: u32) -> RolloutStatus {
    lab.until_status(NAME, "is stable", |status| {
        status.attempt == attempt && status.phase == Phase::Healthy
    })
}

/// Between which instants a proxy came to give a revision everything: when the last reply that was otherwise had come, at
/// the earliest, and when the first one that was so had come, at the latest.
struct Switch {
    earliest: Instant,
    latest: Instant,
}

/// Waits until both proxies give `revision` everything. Each is asked again and again by a thread of its own, as shortly as can be.
fn until_all(lab: &Lab, revision: &str) -> Vec<Switch> {
    thread::scope(|scope| {
        let instances = lab.instances.iter();
        let watches: Vec<_> = instances
            .map(|instance| scope.spawn(move || until_all_of(&instance.address, revision)))
            .collect();
        let watches = watches.into_iter();
        watches
            .map(|watch| watch.join().expect("no panic"))
            .collect()
    })
}

fn until_all_of(address: &str, revision: &str) -> Switch {
    let began = Instant::now();
    let mut earliest = began;
    while began.elapsed() < PATIENCE {
        let asked = Instant::now();
        let reply = ask(address, &format!("show servers state {NAME}\n"));
        if has_all(&reply, revision) {
            return Switch {
                earliest,
                latest: Instant::now(),
            };
        }
        earliest = asked;
    }
    panic!("{revision} has not got everything from {address}");
}

/// One command of the runtime API.
fn ask(address: &str, command: &str) -> String {
    let mut reply = String::new();
    let mut talk = |mut stream: Box<dyn ReadWrite>| {
        stream.write_all(command.as_bytes())?;
        stream.read_to_string(&mut reply)
    };
    let outcome = match address.split_once("://") {
        Some(("unix", path)) => UnixStream::connect(path).and_then(|s| talk(Box::new(s))),
        Some((_, address)) => TcpStream::connect(address).and_then(|s| talk(Box::new(s))),
        None => panic!("{address}"),
    };
    outcome.expect("a reply");
    reply
}

trait ReadWrite: Read + Write {}
impl<S: Read + Write> ReadWrite for S {}

/// Whether all weights above 0 are of `revision` (HAProxy's management guide, "show servers state": the name is the fourth
/// column, the weight the eighth).
fn has_all(state: &str, revision: &str) -> bool {
    let rows = state.lines().map(|row| row.split(' ').collect::<Vec<_>>());
    let mut weighted = rows
        .filter(|row| row.get(1) == Some(&NAME) && row.get(7) != Some(&"0"))
        .peekable();
    weighted.peek().is_some() && weighted.all(|row| row[3].starts_with(revision))
}

/// How far the proxies were apart at least and at most.
fn apart(switches: &[Switch]) -> [Duration; 2] {
    let earliest = || switches.iter().map(|switch| switch.earliest);
    let latest = || switches.iter().map(|switch| switch.latest);
    let provably = earliest().max().zip(latest().min());
    let possibly = latest().max().zip(earliest().min());
    [provably, possibly].map(|pair| {
        let (late, early) = pair.expect("two proxies");
        late.saturating_duration_since(early)
    })
}

#[test]
fn progress_7_a_rollover_switches_both_proxies_at_once_and_loses_nothing() {
    let Some(lab) = Lab::open() else { return };
    let _collector = Collector::start(&lab);
    let _controller = Controller::start(&lab);
    let v1 = Manifest::new(&lab, NAME)
        .replicas(3)
        .env("ON_SIGTERM", "exit")
        .rolls_over(json!({"prePromotion": {"approval": true}, "scaleDownDelay": "2m"}));
    v1.apply(&lab);
    until_stable(&lab, 1);
    let load = Load::start(&lab, NAME, &slow());
    let before = load.totals(&lab);
    load.until_more(&lab, &before, 2_000);

    v1.clone().version("v2").apply(&lab);
    let v2 = until_gate(&lab);
    assert_eq!(load.totals(&lab).of("v2"), 0, "it has no traffic yet");
    let [least, most] = thread::scope(|scope| {
        let watch = scope.spawn(|| until_all(&lab, &v2));
        lab.cli(&["promote", NAME]).ok();
        apart(&watch.join().expect("no panic"))
    });
    eprintln!("the two proxies switched {least:?} to {most:?} apart");
    assert!(least <= APART, "{least:?} to {most:?}");
    until_stable(&lab, 2);
    let after = load.totals(&lab);
    load.until_more(&lab, &after, 2_000);

    // PROGRESS-8: v1 is warm.
    let old = lab
        .status(NAME)
        .and_then(|status| status.warm.into_keys().next());
    let old = old.expect("v1 is warm").to_string();
    let told = Instant::now();
    let switches = thread::scope(|scope| {
        let watch = scope.spawn(|| until_all(&lab, &old));
        lab.cli(&["undo", NAME]).ok();
        watch.join().expect("no panic")
    });
    let back = switches.iter().map(|switch| switch.latest).max();
    let took = back.expect("a proxy").duration_since(told);
    eprintln!(
        "from `undo` to all traffic back: {took:?}, {:?} apart",
        apart(&switches)
    );
    assert!(took <= Duration::from_secs(3), "{took:?}");
    until_stable(&lab, 3);
    let end = load.totals(&lab);
    load.until_more(&lab, &end, 1_000);
    let total = load.stop();
    total.assert_nothing_lost();
    assert!(total.of("v1") > 0 && total.of("v2") > 2_000, "{total:?}");
    lab.clean(NAME);
}

#[test]
#[expect(
    clippy::disallowed_methods,
    reason = "it is measured how long a bad version had traffic"
)]
fn progress_7_a_version_that_is_found_bad_after_the_switch_is_back_at_once() {
    let Some(lab) = Lab::open() else { return };
    let _collector = Collector::start(&lab);
    let _controller = Controller::start(&lab);
    let v1 = Manifest::new(&lab, NAME)
        .env("ON_SIGTERM", "exit")
        .analysis(error_ratio(0.01))
        .rolls_over(json!({"postPromotion": {"bake": "60s"}}));
    v1.apply(&lab);
    let stable = until_stable(&lab, 1)
        .stable_revision
        .expect("v1")
        .to_string();
    let load = Load::start(&lab, NAME, &Options::quick(300));

    v1.version("v3").env("ERROR_RATE", "0.05").apply(&lab);
    lab.until_status(NAME, "has switched", |status| {
        status.stage == 1 && matches!(status.step, Step::Running { .. })
    });
    let switches = until_all(&lab, &stable);
    let back = Timestamp::now();
    let status = lab.until_status(NAME, "is Degraded", |status| {
        status.phase == Phase::Degraded
    });
    let abort = status.abort.expect("it was taken back");
    let AbortCause::Analysis { failed, .. } = &abort.cause else {
        panic!("{abort:?}")
    };
    let sample = failed.last().expect("a failed measurement");
    let took = back.duration_since(sample.at).unsigned_abs();
    eprintln!(
        "back {took:?} after the failed measurement, {:?} apart",
        apart(&switches)
    );
    assert!(took <= LIMIT, "{took:?}: {abort:?}");
    let total = load.stop();
    assert!(total.of("v3") > 0, "{total:?}");
    total.assert_nothing_lost();
    lab.clean(NAME);
}
