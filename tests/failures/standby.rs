//! Several controllers: one acts, another takes over (SAFETY-6).

use std::time::{Duration, Instant};

use rolloutctl::api::Phase;

use crate::daemon::Controller;
use crate::lab::{Lab, PATIENCE};
use crate::manifest::{Manifest, gate};
use crate::site::{end, is_at_rest, log_of, runs, serve};

/// How long work may lie undone until a standby takes over.
const UNDONE: Duration = Duration::from_secs(15);

fn controller(lab: &Lab, name: &str) -> Controller {
    let log = lab.dir.join("log").join(format!("e2e-{name}.log"));
    std::fs::write(log, "").expect("an empty log");
    let started = Controller::start_with(lab, name, &[]);
    until_logged(lab, name, "this controller acts");
    started
}

fn until_logged(lab: &Lab, name: &str, text: &str) {
    lab.until(&format!("{name} says: {text}"), PATIENCE, || {
        log_of(lab, name).contains(text).then_some(())
    });
}

fn times(lab: &Lab, name: &str, text: &str) -> usize {
    log_of(lab, name).matches(text).count()
}

#[test]
fn safety_6_one_controller_acts_and_another_takes_over() {
    let Some(lab) = Lab::open() else { return };
    let name = "web-4";
    let one = controller(&lab, "one");
    let v1 = Manifest::new(&lab, name).stages([gate(5), gate(33), gate(50)]);
    let (_, load) = serve(&lab, &v1, name);

    let two = controller(&lab, "two");
    v1.version("v2").apply(&lab);
    lab.until_status(name, "runs stage 0", |status| {
        status.attempt == 2 && runs(status, 0)
    });
    until_logged(&lab, "one", "another controller has taken over");
    assert_eq!(times(&lab, "one", "attempt 2"), 0, "one stands by");
    assert_eq!(times(&lab, "two", "attempt 2"), 1, "two acts");

    // The one that acts dies; there is work to do.
    two.kill9();
    let undone = Instant::now();
    let promoted = lab.cli(&["promote", name]);
    assert_eq!(
        promoted.code, 3,
        "nobody takes it up for a while: {promoted:?}"
    );
    lab.until_status(name, "runs stage 1", |status| runs(status, 1));
    let taken = undone.elapsed();
    eprintln!("the standby took over and ran the next stage {taken:.1?} after the work came up");
    assert!(
        taken + Duration::from_secs(1) >= UNDONE,
        "{taken:?} is no patience"
    );
    assert_eq!(times(&lab, "one", "work has lain undone"), 1);

    // In good order it is quicker.
    let three = controller(&lab, "three");
    lab.cli(&["promote", name]).ok();
    lab.until_status(name, "runs stage 2", |status| runs(status, 2));
    until_logged(&lab, "three", "stage 3 began");
    three.stop();
    let stopped = Instant::now();
    lab.cli(&["promote", name]).ok();
    let done = lab.until_status(name, "v2 is stable", |status| {
        status.phase == Phase::Healthy && is_at_rest(status)
    });
    let acts = times(&lab, "one", "this controller acts");
    eprintln!(
        "after SIGTERM the rollout was through within {:.1?}",
        stopped.elapsed()
    );
    assert_eq!(
        acts, 3,
        "one has taken the lease at its start, after the kill, and after the stop"
    );
    assert_eq!(
        times(&lab, "one", "work has lain undone"),
        1,
        "the lease was given back to it"
    );
    assert_eq!(done.attempt, 2);
    end(&lab, load).assert_nothing_lost();
    lab.clean(name);
    one.stop();
}
