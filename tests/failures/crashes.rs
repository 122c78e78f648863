//! The controller dies at any point of a rollout, and the next one goes on from there (SAFETY-1).

use std::collections::BTreeSet;
use std::time::Duration;

use rolloutctl::api::{AttemptOutcome, Phase, RolloutStatus, Step, WaitingOn};
use serde_json::json;

use crate::daemon::{Collector, Controller};
use crate::lab::{Lab, PATIENCE, poll};
use crate::manifest::{Manifest, bake, error_ratio, gate};
use crate::relay::Relay;
use crate::site::{end, has_share, is_at_rest, runs, said, serve};

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

/// Whether a line to HAProxy's runtime API gives a server another weight.
fn sets_a_weight(line: &str) -> bool {
    let mut commands = line.split(';').map(str::trim);
    commands.any(|command| command.starts_with("set server ") && command.contains(" weight "))
}

/// Waits until the controller is about to set the first weight of a share that it has decided on: `lb-2` hangs from
/// there on. The controller dies; the next one finds the share decided, set on `lb-1` alone, and `lb-2` still hanging.
fn crash_while_shifting(
    lab: &Lab,
    controller: Controller,
    name: &str,
    second: &Relay,
    percent: f64,
) -> Controller {
    lab.until("a weight is being set on lb-2", PATIENCE, || {
        second.is_shut().then_some(())
    });
    let (controller, left) = crash(lab, controller, name);
    assert_eq!(
        left.step,
        Step::Shifting,
        "decided and not observed: {left:#?}"
    );
    let held = lab.until_status(name, "is held by lb-2", |status| {
        matches!(&status.waiting_on, Some(WaitingOn::Instance { instance, .. }) if instance.as_str() == "lb-2")
    });
    assert_eq!(
        (held.attempt, held.stage, held.step),
        (left.attempt, left.stage, Step::Shifting)
    );
    let canary = held.canary_revision.expect("a canary").to_string();
    lab.until("lb-1 has the share", PATIENCE, || {
        let share = *lab.shares(name, &canary).get("lb-1")?;
        ((share - percent).abs() < 0.5).then_some(())
    });
    assert!(
        !has_share(lab, name, &canary, percent),
        "lb-2 cannot have it yet"
    );
    controller
}

/// Shifting is short: it lasts until each proxy has the weights that were decided on. So one of them hangs.
#[test]
fn safety_1_a_controller_killed_while_a_share_is_set_goes_on_with_it() {
    let Some(lab) = Lab::open() else { return };
    let name = "web-21";
    let second = Relay::start(&lab, "lb-2", &lab.instances[1].address);
    lab.apply(&lab.load_balancer(&[lab.instances[0].address.clone(), second.address()]));
    let mut controller = Controller::start(&lab);
    // All of the canary's tasks from the first stage on, so that weights are set for shares alone.
    let v1 = Manifest::new(&lab, name)
        .replicas(3)
        .stages([json!({"weight": 33, "replicas": 3, "approval": true})]);
    let (first, load) = serve(&lab, &v1, name);

    second.shut_at(sets_a_weight);
    v1.version("v2").apply(&lab);
    controller = crash_while_shifting(&lab, controller, name, &second, 33.0);
    second.open();
    let stage = lab.until_status(name, "runs stage 0", |status| runs(status, 0));
    assert_eq!((stage.attempt, said(&stage, "stage 1 began")), (2, 1));

    second.shut_at(sets_a_weight);
    lab.cli(&["promote", name]).ok();
    controller = crash_while_shifting(&lab, controller, name, &second, 100.0);
    second.open();
    let done = lab.until_status(name, "v2 is stable", |status| {
        status.phase == Phase::Healthy && is_at_rest(status)
    });
    assert_eq!((done.attempt, said(&done, "stage 2 began")), (2, 1));
    assert_eq!(done.stable_revision, stage.canary_revision);
    assert_ne!(done.stable_revision, first.stable_revision);
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
