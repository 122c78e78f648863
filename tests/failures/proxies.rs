//! HAProxy restarts, reloads, or is away.

use std::time::{Duration, Instant};

use rolloutctl::api::{Phase, WaitingOn};

use crate::daemon::Controller;
use crate::lab::{Lab, PATIENCE, poll};
use crate::load::{Load, Options};
use crate::manifest::{Manifest, gate};
use crate::site::{end, has_share, is_at_rest, runs, serve, servers, until_share};
use crate::switch::switch;

/// A process that answers has its servers and weights again within this time. A look comes every second at the
/// latest; the rest is for a busy machine.
const WHOLE_AGAIN: Duration = Duration::from_secs(5);

/// Restarts one proxy and measures how long it is without its servers once it answers.
fn restart(lab: &Lab, instance: &str, arguments: &[&str], whole: impl Fn() -> bool + Sync) {
    let before = lab.observe()[instance].as_ref().map(|proxy| proxy.pid);
    let answers_since = std::thread::scope(|scope| {
        let switching = scope.spawn(|| switch(lab, arguments));
        // In a container each process has the same id: then it is told by the silence before it.
        let mut was_silent = false;
        let since = lab.until("another process answers", PATIENCE, || {
            let pid = lab.observe()[instance].as_ref().map(|proxy| proxy.pid);
            was_silent |= pid.is_none();
            (pid.is_some() && (was_silent || pid != before)).then(Instant::now)
        });
        let what = format!("{arguments:?}: its servers and shares are back");
        lab.until(&what, WHOLE_AGAIN, || whole().then_some(()));
        eprintln!(
            "{arguments:?}: whole again {:.2?} after it was first seen to answer",
            since.elapsed()
        );
        switching.join().expect("the switch is thrown");
        since
    });
    assert!(answers_since.elapsed() < PATIENCE);
}

#[test]
fn traffic_6_a_restarted_proxy_is_whole_again_at_once() {
    let Some(mut lab) = Lab::open() else { return };
    let controller = Controller::start(&lab);
    let name = "web-5";
    let v1 = Manifest::new(&lab, name)
        .replicas(3)
        .stages([gate(33), gate(50)]);
    let (_, both) = serve(&lab, &v1, name);
    both.stop().assert_nothing_lost();
    // The other proxy's clients must not notice anything.
    lab.urls[0] = lab.urls[1].clone();
    let load = Load::start(&lab, name, &Options::quick(60));

    v1.version("v2").apply(&lab);
    let stage = lab.until_status(name, "runs stage 0", |status| {
        runs(status, 0) && status.attempt == 2
    });
    let canary = stage.canary_revision.clone().expect("a canary").to_string();
    let in_stage = || has_share(&lab, name, &canary, 33.0);
    restart(&lab, "lb-1", &["restart-haproxy", "1"], in_stage);
    restart(
        &lab,
        "lb-1",
        &["restart-haproxy", "1", "--reload"],
        in_stage,
    );
    let after = lab.until_status(name, "is in the same stage", |_| true);
    assert_eq!((after.attempt, after.step), (stage.attempt, stage.step));
    end(&lab, load).assert_nothing_lost();

    // Both, one after the other.
    restart(
        &lab,
        "lb-2",
        &["restart-haproxy", "2", "--reload"],
        in_stage,
    );
    restart(&lab, "lb-2", &["restart-haproxy", "2"], in_stage);
    restart(&lab, "lb-1", &["restart-haproxy", "1"], in_stage);

    // Both at once.
    std::thread::scope(|scope| {
        scope.spawn(|| switch(&lab, &["stop-haproxy", "1"]));
        scope.spawn(|| switch(&lab, &["stop-haproxy", "2"]));
    });
    switch(&lab, &["start-haproxy", "1"]);
    switch(&lab, &["start-haproxy", "2"]);
    until_share(&lab, name, &canary, 33.0);
    lab.cli(&["promote", name]).ok();
    lab.until_status(name, "runs stage 1", |status| runs(status, 1));
    lab.cli(&["promote", name]).ok();
    lab.until_status(name, "v2 is stable", |status| {
        status.phase == Phase::Healthy && is_at_rest(status)
    });

    let all = || {
        ["lb-1", "lb-2"]
            .iter()
            .all(|one| servers(&lab, one, name).len() == 3)
            && has_share(&lab, name, &canary, 100.0)
    };
    let load = Load::start(&lab, name, &Options::quick(60));
    restart(&lab, "lb-1", &["restart-haproxy", "1"], all);
    let rest = lab.until_healthy(name);
    assert_eq!(
        rest.stable_revision.map(|one| one.to_string()),
        Some(canary.clone())
    );
    end(&lab, load).assert_nothing_lost();
    lab.clean(name);
    controller.stop();
}

#[test]
fn traffic_3_a_proxy_that_is_away_holds_the_stage_and_never_an_abort() {
    let Some(mut lab) = Lab::open() else { return };
    let controller = Controller::start(&lab);
    let name = "web-6";
    let v1 = Manifest::new(&lab, name).stages([gate(20), gate(50)]);
    lab.urls[0] = lab.urls[1].clone();
    let (first, load) = serve(&lab, &v1, name);
    v1.version("v2").apply(&lab);
    let stage = lab.until_status(name, "runs stage 0", |status| {
        runs(status, 0) && status.attempt == 2
    });
    let canary = stage.canary_revision.expect("a canary").to_string();

    switch(&lab, &["stop-haproxy", "1"]);
    lab.cli(&["promote", name]).ok();
    lab.until_status(name, "is held by lb-1", |status| {
        status.stage == 1
            && matches!(&status.waiting_on, Some(WaitingOn::Instance { instance, .. }) if instance.as_str() == "lb-1")
    });
    let moved = poll(Duration::from_secs(2), || {
        lab.status(name).filter(|status| runs(status, 1))
    });
    assert_eq!(moved, None, "a stage began without lb-1");

    let asked = Instant::now();
    lab.cli(&["abort", name]).ok();
    lab.until("lb-2 gives stable everything", PATIENCE, || {
        lab.shares(name, &canary)
            .get("lb-2")
            .is_some_and(|share| *share == 0.0)
            .then_some(())
    });
    eprintln!(
        "taken back on the other proxy {:.2?} after `abort` was typed",
        asked.elapsed()
    );
    switch(&lab, &["start-haproxy", "1"]);
    let done = lab.until_status(name, "all is taken back", |status| {
        status.abort.is_some() && is_at_rest(status)
    });
    assert_eq!(done.phase, Phase::Degraded);
    assert_eq!(done.stable_revision, first.stable_revision);
    until_share(&lab, name, &canary, 0.0);
    for instance in ["lb-1", "lb-2"] {
        assert_eq!(
            servers(&lab, instance, name).len(),
            2,
            "stable's two on {instance}"
        );
    }
    end(&lab, load).assert_nothing_lost();
    lab.clean(name);
    controller.stop();
}
