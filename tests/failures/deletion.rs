//! Deletion, and what is left after it (SAFETY-7).

use crate::daemon::Controller;
use crate::lab::{Lab, PATIENCE};
use crate::load::{Load, Options};
use crate::manifest::{Manifest, gate};
use crate::site::{containers, end, serve, servers};

#[test]
fn safety_7_what_is_orphaned_serves_on_and_is_adopted_again() {
    let Some(lab) = Lab::open() else { return };
    let controller = Controller::start(&lab);
    let name = "web-18";
    let v1 = Manifest::new(&lab, name).stages([gate(50)]);
    let (first, load) = serve(&lab, &v1, name);
    let service = format!(
        "{name}-{}",
        first.stable_revision.clone().expect("a stable revision")
    );
    let (tasks, proxies) = (containers(&lab, &service), servers(&lab, "lb-1", name));
    assert_eq!(tasks.len(), 2);

    let rollout = format!("rollout/{name}");
    lab.cli(&["delete", &rollout, "--orphan", "--wait"]).ok();
    assert!(!lab.rollouts().contains(&name.to_owned()));
    assert_eq!(containers(&lab, &service), tasks);
    v1.apply(&lab);
    let again = lab.until_healthy(name);
    assert_eq!(again.stable_revision, first.stable_revision);
    assert_eq!(
        containers(&lab, &service),
        tasks,
        "nothing was started anew"
    );
    let names =
        |servers: &std::collections::BTreeMap<_, _>| servers.keys().cloned().collect::<Vec<_>>();
    assert_eq!(names(&servers(&lab, "lb-1", name)), names(&proxies));
    end(&lab, load).assert_nothing_lost();
    lab.clean(name);
    controller.stop();
}

#[test]
fn safety_7_a_deletion_drains_first() {
    let Some(lab) = Lab::open() else { return };
    let controller = Controller::start(&lab);
    let name = "web-19";
    let (first, load) = serve(&lab, &Manifest::new(&lab, name).stages([gate(50)]), name);
    load.stop().assert_nothing_lost();
    // Slow requests only; the deletion comes when all of them are on their way.
    let slow = Options {
        slow_share: 1.0,
        slow_ms: "3000",
        ..Options::quick(20)
    };
    let load = Load::start(&lab, name, &slow);
    let before = load.totals(&lab);
    load.until_more(&lab, &before, 20);
    let service = format!(
        "{name}-{}",
        first.stable_revision.expect("a stable revision")
    );
    let rollout = format!("rollout/{name}");
    lab.cli(&["delete", &rollout, "--wait", "--timeout", "90s"])
        .ok();
    let total = load.stop();
    eprintln!(
        "deleted under load: {} answered, {:?} {:?}",
        total.answered(),
        total.proxy_errors,
        total.failures
    );
    assert!(
        total.failures.is_empty(),
        "what was open is answered: {total:#?}"
    );
    let refused: Vec<_> = total.proxy_errors.keys().collect();
    assert_eq!(refused, ["503"], "after it, the proxies say so");
    // The Swarm stops the tasks of a service that is removed when it gets to it.
    lab.until("no task is left", PATIENCE, || {
        containers(&lab, &service).is_empty().then_some(())
    });
    for instance in ["lb-1", "lb-2"] {
        assert!(servers(&lab, instance, name).is_empty());
    }
    let listed = lab.docker(&["service", "ls", "--format", "{{.Name}}"]);
    assert!(!listed.contains(name), "{listed}");
    controller.stop();
}
