//! A bad version is found out by measurement and taken back.

use std::thread;
use std::time::Duration;

use jiff::Timestamp;
use rolloutctl::api::{AbortCause, Phase, SampleRecord};

use crate::daemon::{Collector, Controller};
use crate::lab::{Lab, Output, PATIENCE, poll};
use crate::load::{Load, Options};
use crate::manifest::{Manifest, bake, error_ratio};

/// The highest ratio of errors that passes.
const MOST: f64 = 0.01;

/// How long after the failed measurement the canary may have traffic.
const LIMIT: Duration = Duration::from_secs(1);

#[test]
fn abort_1_a_version_with_errors_is_taken_back_within_a_second_of_the_measurement() {
    let Some(lab) = Lab::open() else { return };
    let _collector = Collector::start(&lab);
    let _controller = Controller::start(&lab);
    let name = "web-2";
    let v1 = Manifest::new(&lab, name)
        .analysis(error_ratio(MOST))
        .stages([bake(33, "60s")]);
    v1.apply(&lab);
    lab.until_healthy(name);
    let load = Load::start(&lab, name, &Options::quick(300));

    v1.version("v3").env("ERROR_RATE", "0.05").apply(&lab);
    let started = lab.until_status(name, "v3 is tried", |status| {
        status.canary_revision.is_some()
    });
    let canary = started.canary_revision.expect("a canary").to_string();
    let (waited, last_traffic) = thread::scope(|scope| {
        let waits = scope.spawn(|| lab.cli(&["status", name, "--wait", "--timeout", "120s"]));
        let last_traffic = until_taken_back(&lab, name, &canary);
        (waits.join().expect("status ends"), last_traffic)
    });

    let status = lab.until_status(name, "is Degraded", |status| {
        status.phase == Phase::Degraded
    });
    let abort = status.abort.expect("it was taken back");
    let AbortCause::Analysis { metric, failed } = &abort.cause else {
        panic!("{abort:?}")
    };
    assert_eq!(metric.to_string(), "error-ratio");
    let sample = failed.last().expect("a failed measurement");
    let took = last_traffic.duration_since(sample.at).unsigned_abs();
    eprintln!(
        "{:?} measured; stable had everything {took:?} later",
        sample.value
    );
    assert!(took <= LIMIT, "{took:?}: {abort:?}");
    check_words(&waited, sample);

    let before = load.totals(&lab);
    let after = load.until_more(&lab, &before, 1_000);
    assert_eq!(after.of("v3"), before.of("v3"), "v3 answers still");
    let total = load.stop();
    assert!(total.app_errors.contains_key("v3"), "{total:?}");
    total.assert_nothing_lost();
    lab.clean(name);
}

/// Waits until the canary had weights at both proxies and then none at either; returns when that had been read.
#[expect(
    clippy::disallowed_methods,
    reason = "it is measured how long the canary had traffic"
)]
fn until_taken_back(lab: &Lab, name: &str, canary: &str) -> Timestamp {
    lab.until("the canary has traffic at both proxies", PATIENCE, || {
        let shares = lab.shares(name, canary);
        (shares.len() == 2 && shares.values().all(|share| *share > 30.0)).then_some(())
    });
    poll(PATIENCE, || {
        let shares = lab.shares(name, canary);
        let gone = shares.len() == 2 && shares.values().all(|share| *share == 0.0);
        gone.then(Timestamp::now)
    })
    .expect("the canary is taken back")
}

/// `status --wait` says no, and why, with what was measured.
fn check_words(waited: &Output, sample: &SampleRecord) {
    let said = format!("{}{}", waited.stdout, waited.stderr);
    assert_eq!(waited.code, 1, "{said}");
    let value = sample.value.expect("a value");
    assert!(value > MOST, "{sample:?}");
    // The first digits suffice: how many are shown is a matter of taste.
    let shown = value.to_string().chars().take(5).collect::<String>();
    for word in ["error-ratio", &shown, "0.01"] {
        assert!(said.contains(word), "{word} is missing in: {said}");
    }
}
