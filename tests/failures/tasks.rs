//! Tasks die.

use std::collections::BTreeSet;

use rolloutctl::api::Phase;

use crate::daemon::Controller;
use crate::lab::{Lab, PATIENCE};
use crate::manifest::{Manifest, gate};
use crate::site::{containers, end, has_share, is_at_rest, runs, serve, servers};

#[test]
fn traffic_1_a_killed_task_is_replaced_and_the_shares_are_right_again() {
    let Some(lab) = Lab::open() else { return };
    let controller = Controller::start(&lab);
    let name = "web-8";
    let v1 = Manifest::new(&lab, name).replicas(4).stages([gate(50)]);
    let (first, load) = serve(&lab, &v1, name);
    v1.version("v2").apply(&lab);
    let stage = lab.until_status(name, "runs stage 0", |status| {
        runs(status, 0) && status.attempt == 2
    });
    let canary = stage.canary_revision.clone().expect("a canary");
    let stable = first.stable_revision.expect("a stable revision");

    for (revision, way) in [
        (&stable, "kill"),
        (&canary, "kill"),
        (&stable, "rm"),
        (&canary, "rm"),
    ] {
        let before: BTreeSet<_> = servers(&lab, "lb-1", name).into_keys().collect();
        let victim = containers(&lab, &format!("{name}-{revision}")).swap_remove(0);
        let command: &[&str] = if way == "rm" {
            &["rm", "--force", &victim]
        } else {
            &["kill", &victim]
        };
        lab.docker(command);
        let what = format!(
            "after `docker {way}` of a task of {revision}: as many servers, one of them new, and half the traffic"
        );
        lab.until(&what, PATIENCE, || {
            let whole = ["lb-1", "lb-2"].iter().all(|instance| {
                let now: BTreeSet<_> = servers(&lab, instance, name).into_keys().collect();
                now.len() == before.len() && now.difference(&before).count() == 1
            });
            (whole && has_share(&lab, name, canary.as_str(), 50.0)).then_some(())
        });
        let after = lab.until_status(name, "is in the same stage", |_| true);
        assert_eq!((after.attempt, after.step), (stage.attempt, stage.step));
    }
    lab.cli(&["promote", name]).ok();
    lab.until_status(name, "v2 is stable", |status| {
        status.phase == Phase::Healthy && is_at_rest(status)
    });
    let total = end(&lab, load);
    // What a killed task had open is lost; what came after is not.
    eprintln!(
        "{} of {} requests lost with four killed tasks: {:?} {:?}",
        total.lost, total.requests, total.proxy_errors, total.failures
    );
    assert!(total.lost <= 8, "{total:#?}");
    lab.clean(name);
    controller.stop();
}
