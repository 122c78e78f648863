//! A rollout whose author changes his mind on the way: templates, replicas, and the verbs. Under light load, of
//! which nothing is lost although the app ends at once when it is told to.

use rolloutctl::api::{AbortCause, AttemptOutcome, Phase, RolloutStatus, Step};

use crate::daemon::{Collector, Controller};
use crate::lab::Lab;
use crate::load::{Load, Options};
use crate::manifest::{Manifest, gate};

/// A rollout that is stable on v1 and tries v2, held in its first stage, under load.
struct Trial {
    name: &'static str,
    v1: Manifest,
    before: RolloutStatus,
    load: Load,
}

impl Trial {
    fn start(lab: &Lab, name: &'static str, stages: &[u8]) -> Self {
        let stages: Vec<_> = stages.iter().map(|weight| gate(*weight)).collect();
        let v1 = Manifest::new(lab, name)
            .env("ON_SIGTERM", "exit")
            .stages(stages);
        v1.apply(lab);
        lab.until_healthy(name);
        let load = Load::start(lab, name, &Options::quick(60));
        v1.clone().version("v2").apply(lab);
        let before = until_running(lab, name, 0);
        Self {
            name,
            v1,
            before,
            load,
        }
    }

    fn end(self, lab: &Lab) {
        self.load.stop().assert_nothing_lost();
        lab.clean(self.name);
    }
}

fn until_running(lab: &Lab, name: &str, stage: u32) -> RolloutStatus {
    lab.until_status(name, &format!("stage {stage} runs"), |status| {
        status.stage == stage && matches!(status.step, Step::Running { .. })
    })
}

fn until_left(lab: &Lab, name: &str, phase: Phase) -> RolloutStatus {
    lab.until_status(
        name,
        &format!("is {}, nothing leaves", phase.as_str()),
        |status| status.phase == phase && status.leaving.is_empty(),
    )
}

fn outcomes(status: &RolloutStatus) -> Vec<AttemptOutcome> {
    status.history.iter().map(|entry| entry.outcome).collect()
}

#[test]
fn progress_2_a_new_template_on_the_way_begins_anew_after_the_old_canary() {
    let Some(lab) = Lab::open() else { return };
    let _collector = Collector::start(&lab);
    let _controller = Controller::start(&lab);
    let trial = Trial::start(&lab, "web-6", &[50]);
    let second = trial.before.canary_revision.clone().expect("v2");

    trial.v1.clone().version("v3").apply(&lab);
    let third = lab.until(
        "v3 has traffic, and v2 none with it",
        crate::lab::PATIENCE,
        || {
            let status = lab.status(trial.name)?;
            let canary = status.canary_revision.clone()?.to_string();
            let new = lab.shares(trial.name, &canary);
            let old = lab.shares(trial.name, &second.to_string());
            let served = |share: &f64| *share > 0.0;
            let (new, old) = (new.values().any(served), old.values().any(served));
            assert!(!(new && old), "both canaries have traffic: {status:#?}");
            new.then_some(canary)
        },
    );
    assert_ne!(third, second.to_string());
    let status = until_running(&lab, trial.name, 0);
    assert_eq!(status.stable_revision, trial.before.stable_revision);
    assert_eq!(status.attempt, trial.before.attempt + 1);
    lab.cli(&["promote", trial.name]).ok();
    let done = until_left(&lab, trial.name, Phase::Healthy);
    assert_eq!(
        done.stable_revision.as_ref().map(ToString::to_string),
        Some(third)
    );
    assert_eq!(
        outcomes(&done),
        [
            AttemptOutcome::Completed,
            AttemptOutcome::Superseded,
            AttemptOutcome::Completed
        ]
    );
    trial.end(&lab);
}

#[test]
fn progress_3_back_to_the_stable_template_on_the_way_is_done_at_once() {
    let Some(lab) = Lab::open() else { return };
    let _collector = Collector::start(&lab);
    let _controller = Controller::start(&lab);
    let trial = Trial::start(&lab, "web-7", &[20, 50]);

    trial.v1.apply(&lab);
    let done = until_left(&lab, trial.name, Phase::Healthy);
    assert_eq!(done.stable_revision, trial.before.stable_revision);
    assert_eq!(done.canary_revision, None);
    assert_eq!(
        outcomes(&done),
        [AttemptOutcome::Completed, AttemptOutcome::Reverted]
    );
    let before = trial.load.totals(&lab);
    let after = trial.load.until_more(&lab, &before, 60);
    assert_eq!(after.of("v2"), before.of("v2"), "v2 answers still");
    trial.end(&lab);
}

#[test]
fn progress_4_replicas_change_on_the_way_without_a_new_attempt() {
    let Some(lab) = Lab::open() else { return };
    let _collector = Collector::start(&lab);
    let _controller = Controller::start(&lab);
    let trial = Trial::start(&lab, "web-8", &[50]);
    let canary = trial.before.canary_revision.clone().expect("v2");
    let stable = trial.before.stable_revision.clone().expect("v1");

    trial.v1.clone().version("v2").replicas(4).apply(&lab);
    lab.until(
        "4 tasks of v1 and 2 of v2 run",
        crate::lab::PATIENCE,
        || {
            let listed = lab.docker(&["service", "ls", "--format", "{{.Name}} {{.Replicas}}"]);
            let has = |revision: &str, count| {
                listed.contains(&format!("{}-{revision} {count}/{count}", trial.name))
            };
            (has(&stable.to_string(), 4) && has(&canary.to_string(), 2)).then_some(())
        },
    );
    let status = until_running(&lab, trial.name, 0);
    assert_eq!(status.attempt, trial.before.attempt);
    let shares = lab.shares(trial.name, &canary.to_string());
    assert!(
        shares.values().all(|share| (share - 50.0).abs() < 0.5),
        "{shares:?}"
    );
    lab.cli(&["promote", trial.name]).ok();
    let done = until_left(&lab, trial.name, Phase::Healthy);
    assert_eq!(done.stable_revision, Some(canary));
    trial.end(&lab);
}

#[test]
fn progress_6_the_verbs_pause_resume_promote_abort_retry_do_what_they_say() {
    let Some(lab) = Lab::open() else { return };
    let _collector = Collector::start(&lab);
    let controller = Controller::start(&lab);
    let trial = Trial::start(&lab, "web-9", &[20, 50]);
    let name = trial.name;
    let canary = trial.before.canary_revision.clone().expect("v2");

    lab.cli(&["pause", name]).ok();
    lab.until_status(name, "is Paused", |status| status.pause.is_some());
    controller.kill9();
    let _controller = Controller::start(&lab);
    lab.cli(&["resume", name]).ok();
    let status = lab.until_status(name, "goes on", |status| status.pause.is_none());
    assert_eq!(status.stage, 0, "the gate still holds it");
    lab.cli(&["promote", name]).ok();
    until_running(&lab, name, 1);

    lab.cli(&["abort", name]).ok();
    let shares = lab.shares(name, &canary.to_string());
    eprintln!("{shares:?} when abort had its answer");
    let aborted = until_left(&lab, name, Phase::Degraded);
    assert_eq!(aborted.stable_revision, trial.before.stable_revision);
    assert_eq!(lab.cli(&["status", name]).code, 1, "the answer is no");
    trial
        .v1
        .clone()
        .version("v2")
        .drain_timeout("9s")
        .apply(&lab);
    let still = lab.until_status(name, "has seen the new spec", |_| true);
    assert_eq!(still.phase, Phase::Degraded, "ABORT-2");

    lab.cli(&["retry", name]).ok();
    let again = until_running(&lab, name, 0);
    assert_eq!(again.attempt, aborted.attempt + 1);
    lab.cli(&["promote", "--full", name]).ok();
    let done = until_left(&lab, name, Phase::Healthy);
    assert_eq!(done.stable_revision, Some(canary));
    trial.end(&lab);
}

#[test]
fn progress_5_a_version_that_cannot_start_is_taken_back_at_its_deadline() {
    let Some(lab) = Lab::open() else { return };
    let _collector = Collector::start(&lab);
    let _controller = Controller::start(&lab);
    let name = "web-10";
    let v1 = Manifest::new(&lab, name)
        .env("ON_SIGTERM", "exit")
        .progress_deadline("8s");
    v1.clone().progress_deadline("60s").apply(&lab);
    let stable = lab.until_healthy(name).stable_revision;
    let load = Load::start(&lab, name, &Options::quick(60));

    v1.version("broken").apply(&lab);
    let status = until_left(&lab, name, Phase::Degraded);
    let abort = status.abort.expect("it was taken back");
    assert_eq!(abort.cause, AbortCause::Deadline, "{abort:?}");
    assert_eq!(status.stable_revision, stable);
    load.stop().assert_nothing_lost();
    lab.clean(name);
}
