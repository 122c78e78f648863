//! Fewer tasks are asked for while a node dies.

use std::time::{Duration, Instant};

use rolloutctl::snapshot::{CheckState, ServerFact};

use crate::daemon::Controller;
use crate::lab::{Lab, PATIENCE};
use crate::manifest::{Manifest, gate};
use crate::site::{is_at_rest, serve, servers};
use crate::switch::switch;
use crate::{INSTANCES, nodes_of};

/// What started less than half a minute ago is waited for in any case.
const STARTED: Duration = Duration::from_secs(32);

/// Of the two nodes on which the tasks are, the one to lose: the controller speaks to the first one.
fn to_lose(nodes: &[String]) -> &str {
    let mut others = nodes.iter().filter(|node| *node != "node-1");
    others.next().expect("two tasks on two nodes")
}

/// A node that was lost has its power again at the end, however that comes.
struct Power<'a> {
    lab: &'a Lab,
    number: &'a str,
}

impl Drop for Power<'_> {
    fn drop(&mut self) {
        switch(self.lab, &["start-node", self.number]);
    }
}

/// How many servers pass their checks on the instance on which the fewest do.
fn up(lab: &Lab, name: &str) -> usize {
    let passes = |server: &ServerFact| server.check == CheckState::Passed;
    let count = |one| {
        servers(lab, one, name)
            .values()
            .filter(|it| passes(it))
            .count()
    };
    INSTANCES.into_iter().map(count).min().unwrap_or(0)
}

/// How many tasks a service asks for.
fn asked(lab: &Lab, service: &str) -> String {
    let format = "{{.Spec.Mode.Replicated.Replicas}}";
    let asked = lab.docker(&["service", "inspect", "--format", format, service]);
    asked.trim().to_owned()
}

#[test]
fn traffic_5_fewer_tasks_beside_a_node_that_dies_leave_the_one_that_serves() {
    let Some(lab) = Lab::open() else { return };
    let controller = Controller::start(&lab);
    let name = "web-31";
    let v1 = Manifest::new(&lab, name).replicas(2).stages([gate(50)]);
    let (first, load) = serve(&lab, &v1, name);
    let healthy = Instant::now();
    let stable = first.stable_revision.expect("a stable revision");
    lab.until("the tasks are no new ones", PATIENCE, || {
        (healthy.elapsed() > STARTED).then_some(())
    });
    let lost = to_lose(&nodes_of(&lab, name, &stable)).to_owned();
    let number = lost.trim_start_matches("node-");

    switch(&lab, &["kill-node", number]);
    let power = Power { lab: &lab, number };
    lab.until("the proxies know", PATIENCE, || {
        (up(&lab, name) == 1).then_some(())
    });
    let known = Instant::now();
    v1.replicas(1).apply(&lab);
    let service = format!("{name}-{stable}");
    lab.until("one task is asked for, and one serves", PATIENCE, || {
        assert_ne!(up(&lab, name), 0, "nobody serves");
        let status = lab.status(name).filter(is_at_rest);
        let running = nodes_of(&lab, name, &stable);
        let is_noticed = !running.contains(&lost);
        let is_lowered = asked(&lab, &service) == "1";
        assert!(is_noticed || !is_lowered, "Swarm may stop the other one");
        let is_whole = running.len() == 1 && running[0] != lost && up(&lab, name) == 1;
        (is_lowered && status.is_some() && is_whole).then_some(())
    });
    eprintln!("one task of two serves after {:.1?}", known.elapsed());
    let before = load.totals(&lab);
    let after = load.until_more(&lab, &before, 60);
    assert_eq!(after.lost, before.lost, "{after:#?}");
    load.stop();

    drop(power);
    lab.until("all nodes are back", PATIENCE, || {
        let nodes = lab.docker(&["node", "ls", "--format", "{{.Status}}"]);
        nodes.lines().all(|node| node == "Ready").then_some(())
    });
    lab.until_healthy(name);
    lab.clean(name);
    controller.stop();
}
