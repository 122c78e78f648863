//! A bad version whose rollout is to pause on failure: somebody is asked, and decides.

use rolloutctl::api::{AbortCause, PauseReason, Phase, RolloutStatus, WaitingOn};

use crate::daemon::{Collector, Controller};
use crate::lab::Lab;
use crate::load::{Load, Options};
use crate::manifest::{Manifest, bake, error_ratio};

/// The canary's share in its one stage.
const SHARE: u8 = 33;

fn until_paused(lab: &Lab, name: &str, attempt: u32) -> RolloutStatus {
    lab.until_status(name, "is Paused", |status| {
        status.attempt == attempt && status.phase == Phase::Paused
    })
}

/// What people and programs are told while it is Paused: that it stopped, and who is to do what.
fn check_words(lab: &Lab, name: &str) {
    let waited = lab.cli(&["status", name, "--wait"]);
    assert_eq!(waited.code, 1, "it waits for a person: {waited:?}");
    let words = [
        "Paused",
        "error-ratio",
        "wanted <= 0.01",
        "Somebody must decide: promote, abort or retry web-22",
    ];
    for word in words {
        let said = format!("{}{}", waited.stdout, waited.stderr);
        assert!(said.contains(word), "{word} is missing in: {said}");
    }
    let once = lab.cli(&["status", name]);
    assert!(once.code == 0 && once.stdout.contains("Paused"), "{once:?}");
    let resumed = lab.cli(&["resume", name]);
    assert_eq!(resumed.code, 1, "ABORT-3: {resumed:?}");
}

#[test]
fn abort_3_a_failed_stage_that_pauses_waits_for_abort_or_promote() {
    let Some(lab) = Lab::open() else { return };
    let _collector = Collector::start(&lab);
    let _controller = Controller::start(&lab);
    let name = "web-22";
    let v1 = Manifest::new(&lab, name)
        .replicas(3)
        .analysis(error_ratio(0.01))
        .stages([bake(SHARE, "60s")])
        .pauses_on_failure();
    v1.apply(&lab);
    let first = lab.until_healthy(name);
    let load = Load::start(&lab, name, &Options::quick(300));

    v1.version("v3").env("ERROR_RATE", "0.05").apply(&lab);
    let paused = until_paused(&lab, name, 2);
    let reason = paused.pause.as_ref().map(|pause| pause.reason);
    assert_eq!(reason, Some(PauseReason::Failure));
    assert_eq!(paused.waiting_on, Some(WaitingOn::Decision));
    assert_eq!(paused.stable_revision, first.stable_revision);
    check_words(&lab, name);
    // Both keep what they had: by weight, and as clients count.
    let canary = paused.canary_revision.clone().expect("v3").to_string();
    for share in lab.shares(name, &canary).values() {
        assert!((share - f64::from(SHARE)).abs() < 0.5, "{share}");
    }
    let before = load.totals(&lab);
    let after = load.until_more(&lab, &before, 1_000);
    let counted = after.share_since(&before, "v1");
    assert!((counted - 67.0).abs() <= 1.0, "v1 has {counted} %");

    lab.cli(&["abort", name]).ok();
    let aborted = lab.until_status(name, "v3 has left", |status| {
        status.phase == Phase::Degraded && status.leaving.is_empty()
    });
    let cause = aborted.abort.map(|abort| abort.cause);
    assert!(matches!(cause, Some(AbortCause::User { .. })), "{cause:?}");
    assert_eq!(lab.cli(&["status", name, "--wait"]).code, 1);

    lab.cli(&["retry", name]).ok();
    let again = until_paused(&lab, name, 3);
    lab.cli(&["promote", name]).ok();
    let done = lab.until_status(name, "v3 is stable, by decree", |status| {
        status.phase == Phase::Healthy && status.leaving.is_empty()
    });
    assert_eq!(done.stable_revision, again.canary_revision);
    assert_eq!(lab.cli(&["status", name, "--wait"]).code, 0);
    load.stop().assert_nothing_lost();
    lab.clean(name);
}
