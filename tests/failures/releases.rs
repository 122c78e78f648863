//! Releases that never become ready.

use rolloutctl::api::{AbortCause, PauseReason, Phase};

use crate::daemon::Controller;
use crate::lab::Lab;
use crate::load::{Load, Options};
use crate::manifest::{Manifest, gate};
use crate::site::{end, is_at_rest};

#[test]
fn progress_5_a_release_that_never_becomes_ready_is_taken_back() {
    let Some(lab) = Lab::open() else { return };
    let controller = Controller::start(&lab);
    let first = |name: &str| Manifest::new(&lab, name).stages([gate(20)]);
    let names = ["web-10", "web-11", "web-12", "web-13"];
    let started: Vec<_> = names
        .iter()
        .map(|name| {
            first(name).apply(&lab);
            (
                *name,
                lab.until_healthy(name),
                Load::start(&lab, name, &Options::quick(20)),
            )
        })
        .collect();
    let second = |name: &str, tag: &str| first(name).version(tag).progress_deadline("6s");
    second("web-10", "broken").apply(&lab);
    second("web-11", "nonesuch").apply(&lab);
    second("web-12", "v2").env("READY_AFTER", "10m").apply(&lab);
    second("web-13", "broken").pauses_on_failure().apply(&lab);

    let paused = lab.until_status("web-13", "is paused", |status| {
        status.phase == Phase::Paused
    });
    eprintln!("web-13: {}", paused.message);
    assert_eq!(
        paused.pause.map(|pause| pause.reason),
        Some(PauseReason::Failure)
    );
    assert_eq!(
        lab.cli(&["resume", "web-13"]).code,
        1,
        "ABORT-3: the verdict is final"
    );
    lab.cli(&["abort", "web-13"]).ok();
    for (name, stable, load) in started {
        let done = lab.until_status(name, "is taken back", |status| {
            status.abort.is_some() && is_at_rest(status)
        });
        eprintln!("{name}: {}", done.message);
        assert_eq!(done.phase, Phase::Degraded);
        assert_eq!(done.stable_revision, stable.stable_revision);
        let abort = done.abort.expect("an abort");
        if name == "web-13" {
            assert!(matches!(abort.cause, AbortCause::User { .. }), "{abort:?}");
        } else {
            assert_eq!(abort.cause, AbortCause::Deadline);
            // What the task itself said, or what it was that never came.
            let reason = match name {
                "web-10" => "/missing: no such file or directory",
                "web-11" => "No such image: demo-app:nonesuch",
                _ => "waiting for tasks of",
            };
            assert!(abort.message.contains(reason), "{}", abort.message);
            assert!(
                abort.message.contains("progress deadline of 6s"),
                "{}",
                abort.message
            );
        }
        end(&lab, load).assert_nothing_lost();
        lab.clean(name);
    }
    controller.stop();
}
