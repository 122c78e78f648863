//! The controller dies at any point of a rollout, and the next one goes on from there (SAFETY-1).

use std::collections::BTreeSet;
use std::time::Duration;

use rolloutctl::api::{AttemptOutcome, Phase, RolloutStatus, Step, WaitingOn};

use crate::daemon::{Collector, Controller};
use crate::lab::{Lab, poll};
use crate::manifest::{Manifest, bake, error_ratio, gate};
use crate::site::{end, is_at_rest, runs, said, serve};

/// Ends the controller as a loss of power would, and starts another one. What is stored in between is returned.
fn crash(lab: &Lab, controller: Controller, name: &str) -> (Controller, RolloutStatus) {
    controller.kill9();
    let left = lab.get(name)["status"].clone();
    let left = serde_json::from_value(left).unwrap_or_default();
    (Controller::start(lab), left)
}

fn assert_attempts(status: &RolloutStatus) {
    let history = status.history.iter();
    let attempts: Vec<_> = history.map(|one| (one.attempt, one.outcome)).collect();
    let wanted = [
        (1, AttemptOutcome::Completed),
        (2, AttemptOutcome::Completed),
        (3, AttemptOutcome::Aborted),
    ];
    assert_eq!(attempts, wanted);
}

/// Aborts the third attempt, and lets the controller die after the decision.
fn abort_and_crash(
    lab: &Lab,
    controller: Controller,
    manifest: &Manifest,
    name: &str,
) -> (Controller, RolloutStatus) {
    manifest.apply(lab);
    lab.until_status(name, "v3 runs", |status| {
        status.attempt == 3 && runs(status, 0)
    });
    lab.cli(&["abort", name]).ok();
    lab.until_status(name, "is aborted", |status| status.abort.is_some());
    let controller = crash(lab, controller, name).0;
    let status = lab.until_status(name, "v3 has left", |status| {
        status.abort.is_some() && is_at_rest(status)
    });
    (controller, status)
}

#[test]
fn safety_1_a_controller_killed_in_any_phase_loses_nothing() {
    let Some(lab) = Lab::open() else { return };
    let _collector = Collector::start(&lab);
    let mut controller = Controller::start(&lab);
    let name = "web-2";
    // Tasks that take their time, so that there is a while in which the controller can die.
    let v1 = Manifest::new(&lab, name)
        .env("READY_AFTER", "2s")
        .replicas(3)
        .analysis(error_ratio(0.5))
        .stages([bake(33, "8s"), gate(50)]);

    v1.apply(&lab);
    let initial = lab.until_status(name, "comes up", |status| status.step == Step::Initial);
    assert_eq!(initial.attempt, 1);
    controller = crash(&lab, controller, name).0;
    let (first, load) = serve(&lab, &v1, name);
    assert_eq!(first.attempt, 1, "the first attempt is gone on with");

    v1.clone().version("v2").apply(&lab);
    lab.until_status(name, "scales", |status| {
        status.attempt == 2 && status.step == Step::Scaling
    });
    controller = crash(&lab, controller, name).0;

    // In the bake, with a measurement taken: neither the bake nor the measurements begin anew.
    let baking = lab.until_status(name, "bakes and has measured", |status| {
        runs(status, 0) && status.measurements.iter().any(|one| one.valid > 0)
    });
    let left;
    (controller, left) = crash(&lab, controller, name);
    if runs(&left, 0) {
        assert_eq!(left.step, baking.step, "the bake has one beginning");
    }

    let approval = lab.until_status(name, "waits for approval", |status| {
        runs(status, 1) && status.waiting_on == Some(WaitingOn::Approval)
    });
    assert!(
        said(&approval, "stage 1 began") == 1,
        "{:#?}",
        approval.events
    );
    controller = crash(&lab, controller, name).0;
    let still = lab.until_status(name, "still waits", |_| true);
    assert_eq!(
        (still.attempt, still.step),
        (approval.attempt, approval.step)
    );

    lab.cli(&["promote", name]).ok();
    lab.until_status(name, "is on its way to 100 %", |status| {
        status.stage == 2 || status.canary_revision.is_none()
    });
    controller = crash(&lab, controller, name).0;
    lab.until_status(name, "the old one leaves", |status| {
        status.canary_revision.is_none() && status.attempt == 2
    });
    controller = crash(&lab, controller, name).0;
    let second = lab.until_status(name, "v2 is stable", |status| {
        status.phase == Phase::Healthy && is_at_rest(status)
    });
    assert_ne!(second.stable_revision, first.stable_revision);

    let third;
    (controller, third) = abort_and_crash(&lab, controller, &v1.version("v3"), name);
    assert_eq!(third.phase, Phase::Degraded);
    assert_eq!(third.stable_revision, second.stable_revision);
    assert_attempts(&third);
    end(&lab, load).assert_nothing_lost();
    lab.clean(name);
    controller.stop();
}

/// Between the decision, its storing, and each of its actions there are only milliseconds: many crashes at many
/// moments after a promotion.
#[test]
fn safety_1_a_controller_killed_at_any_moment_of_a_transition_goes_on() {
    let Some(lab) = Lab::open() else { return };
    let mut controller = Controller::start(&lab);
    let name = "web-3";
    let weights = [5, 10, 20, 30, 40, 50, 60, 80];
    let v1 = Manifest::new(&lab, name)
        .replicas(2)
        .stages(weights.map(gate));
    let (_, load) = serve(&lab, &v1, name);
    v1.version("v2").apply(&lab);
    let mut met = BTreeSet::new();
    for (stage, delay) in (0_u32..).zip([20_u64, 60, 100, 140, 200, 260, 330, 400]) {
        let status = lab.until_status(name, "runs the next stage", |status| runs(status, stage));
        assert_eq!(status.attempt, 2);
        lab.cli(&["promote", name]).ok();
        poll(Duration::from_millis(delay), || None::<()>);
        let left;
        (controller, left) = crash(&lab, controller, name);
        met.insert(
            format!("{:?}", left.step)
                .split(' ')
                .next()
                .map(ToOwned::to_owned),
        );
        assert!((stage..=stage + 1).contains(&left.stage), "{left:#?}");
    }
    eprintln!("killed in {met:?}");
    let done = lab.until_status(name, "v2 is stable", |status| {
        status.phase == Phase::Healthy && is_at_rest(status)
    });
    assert_eq!(done.attempt, 2);
    for stage in 1..weights.len() {
        let began = said(&done, &format!("stage {stage} began"));
        assert!(
            began <= 1,
            "stage {stage} began {began} times: {:#?}",
            done.events
        );
    }
    end(&lab, load).assert_nothing_lost();
    lab.clean(name);
    controller.stop();
}
