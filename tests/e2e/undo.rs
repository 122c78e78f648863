//! The way back by `history` and `undo`: on the way, and after a promotion. Under light load, of which nothing is lost
//! although the app ends at once when it is told to.

use rolloutctl::api::{AttemptOutcome, Phase, Revision, RolloutStatus, Step};
use serde_json::Value;

use crate::daemon::{Collector, Controller};
use crate::lab::Lab;
use crate::load::{Load, Options};
use crate::manifest::{Manifest, gate};

const NAME: &str = "web-23";

fn until_running(lab: &Lab, attempt: u32) -> RolloutStatus {
    lab.until_status(NAME, &format!("attempt {attempt} runs"), |status| {
        status.attempt == attempt && matches!(status.step, Step::Running { .. })
    })
}

fn until_at_rest(lab: &Lab, attempt: u32) -> RolloutStatus {
    lab.until_status(NAME, "is Healthy, nothing leaves", |status| {
        let rests = status.phase == Phase::Healthy && status.leaving.is_empty();
        rests && status.attempt == attempt
    })
}

fn stable(status: &RolloutStatus) -> Revision {
    status.stable_revision.clone().expect("a stable revision")
}

#[test]
fn progress_6_undo_goes_back_on_the_way_and_after_a_promotion() {
    let Some(lab) = Lab::open() else { return };
    let _collector = Collector::start(&lab);
    let _controller = Controller::start(&lab);
    let v1 = Manifest::new(&lab, NAME)
        .env("ON_SIGTERM", "exit")
        .stages([gate(50)]);
    v1.apply(&lab);
    let first = stable(&lab.until_healthy(NAME));
    let alone = lab.cli(&["undo", NAME]);
    assert_eq!(alone.code, 1, "there is nothing to go back to: {alone:?}");
    let load = Load::start(&lab, NAME, &Options::quick(60));

    let v2 = v1.version("v2").env("FEATURE_X", "on");
    v2.apply(&lab);
    until_running(&lab, 2);
    let told = lab.cli(&["undo", NAME]).ok();
    assert!(told.contains("the stable revision"), "{told}");
    let back = until_at_rest(&lab, 2);
    assert_eq!(stable(&back), first);
    let outcomes: Vec<_> = back.history.iter().map(|entry| entry.outcome).collect();
    assert_eq!(
        outcomes,
        [AttemptOutcome::Completed, AttemptOutcome::Reverted]
    );

    v2.apply(&lab);
    until_running(&lab, 3);
    lab.cli(&["promote", "--full", NAME]).ok();
    let second = stable(&until_at_rest(&lab, 3));
    let names = lab.cli(&["history", NAME, "-o", "name"]).ok();
    assert_eq!(names, format!("{first}\n{second}\n"));
    let content = lab
        .cli(&["history", NAME, "--revision", &first.as_str()[..6]])
        .ok();
    assert!(
        content.contains("demo-app:v1") && !content.contains("FEATURE_X"),
        "{content}"
    );

    let shown = lab.cli(&["undo", NAME, "--dry-run"]).ok();
    assert!(shown.contains("-      FEATURE_X"), "{shown}");
    lab.cli(&["undo", NAME, "--to-revision", &first.as_str()[..6]])
        .ok();
    until_running(&lab, 4);
    lab.cli(&["promote", "--full", NAME]).ok();
    assert_eq!(stable(&until_at_rest(&lab, 4)), first);
    let again = lab
        .cli(&["undo", NAME, "--to-revision", first.as_str()])
        .ok();
    assert!(again.contains("unchanged"), "{again}");
    let attempts: Value =
        serde_json::from_str(&lab.cli(&["history", NAME, "-o", "json"]).ok()).expect("JSON");
    let cause = attempts[3]["changeCause"].as_str().unwrap_or_default();
    assert!(
        cause.starts_with(&format!("undo to {first} by ")),
        "{attempts:#}"
    );

    load.stop().assert_nothing_lost();
    lab.clean(NAME);
}
