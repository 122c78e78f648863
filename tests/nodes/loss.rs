//! A node loses its power in mid-rollout.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::time::Instant;

use rolloutctl::api::Phase;
use rolloutctl::snapshot::ServerName;

use crate::daemon::Controller;
use crate::lab::{Lab, PATIENCE};
use crate::load::Totals;
use crate::log::Log;
use crate::manifest::{Manifest, gate};
use crate::site::{end, has_share, is_at_rest, runs, serve, servers};
use crate::switch::switch;
use crate::{INSTANCES, nodes_of};

/// The node that is lost; the controller speaks to the first one.
const NODE: &str = "node-3";

/// The servers of the rollout `name` on the lost node, on either instance.
fn servers_there(lab: &Lab, name: &str, node: IpAddr) -> BTreeSet<ServerName> {
    let all = INSTANCES
        .into_iter()
        .flat_map(|one| servers(lab, one, name));
    let there = all.filter(|(_, fact)| fact.endpoint.is_some_and(|end| end.address == node));
    there.map(|(server, _)| server).collect()
}

/// The requests of which the proxies log nothing: one that fails on a reused connection to a server, and is not its
/// client's first, is ended without an answer, so that the client tries again (`abort_keep_alive` in HAProxy's
/// `http_ana.c`).
fn unlogged(totals: &Totals) -> u64 {
    totals.failures.get("staleReuse").copied().unwrap_or(0)
}

#[test]
fn traffic_1_a_lost_node_takes_only_what_was_open_on_it() {
    let Some(lab) = Lab::open() else { return };
    assert_eq!(lab.reach, "host", "servers are told apart by node address");
    let address = lab.docker(&["node", "inspect", "--format", "{{.Status.Addr}}", NODE]);
    let address: IpAddr = address.trim().parse().expect("an address");
    let log = Log::listen(&lab);
    let controller = Controller::start(&lab);
    let name = "web-30";
    let v1 = Manifest::new(&lab, name).replicas(6).stages([gate(50)]);
    let (first, load) = serve(&lab, &v1, name);
    let stable = first.stable_revision.expect("a stable revision");
    v1.version("v2").apply(&lab);
    let stage = lab.until_status(name, "runs stage 0", |status| {
        runs(status, 0) && status.attempt == 2
    });
    let canary = stage.canary_revision.clone().expect("a canary");
    let there = servers_there(&lab, name, address);
    for revision in [&stable, &canary] {
        let of = |server: &&ServerName| server.revision() == revision;
        assert!(there.iter().any(|server| of(&server)), "{there:?}");
    }

    switch(&lab, &["kill-node", "3"]);
    let killed = Instant::now();
    lab.until("the lost node's servers have left", PATIENCE, || {
        servers_there(&lab, name, address).is_empty().then_some(())
    });
    eprintln!(
        "{} servers had left after {:.1?}",
        there.len(),
        killed.elapsed()
    );
    lab.until("as many tasks run elsewhere, and serve", PATIENCE, || {
        let count = |revision, wanted| {
            let nodes = nodes_of(&lab, name, revision);
            nodes.len() == wanted && !nodes.iter().any(|node| node == NODE)
        };
        let whole = INSTANCES
            .iter()
            .all(|one| servers(&lab, one, name).len() == 9);
        let shared = whole && has_share(&lab, name, canary.as_str(), 50.0);
        (shared && count(&stable, 6) && count(&canary, 3)).then_some(())
    });
    eprintln!("all was whole again after {:.1?}", killed.elapsed());
    let after = lab.until_status(name, "is in the same stage", |_| true);
    assert_eq!((after.attempt, after.step), (stage.attempt, stage.step));

    lab.cli(&["promote", name]).ok();
    let done = lab.until_status(name, "v2 is stable", |status| {
        status.phase == Phase::Healthy && is_at_rest(status)
    });
    assert_eq!((done.attempt, &done.stable_revision), (2, &Some(canary)));
    let total = end(&lab, load);
    let lost = log.lost();
    eprintln!(
        "{} of {} requests lost: {lost:?}",
        total.lost, total.requests
    );
    let names: BTreeSet<String> = there.iter().map(ToString::to_string).collect();
    for server in lost.keys() {
        let on_node = server.as_ref().is_some_and(|server| names.contains(server));
        assert!(on_node, "lost elsewhere: {lost:?}, {total:#?}");
    }
    let logged = lost.values().sum::<u64>();
    assert_eq!(total.lost, logged + unlogged(&total), "{total:#?}");

    switch(&lab, &["start-node", "3"]);
    let back = lab.until_healthy(name);
    assert_eq!(
        (back.attempt, back.stable_revision),
        (2, done.stable_revision)
    );
    lab.clean(name);
    controller.stop();
}
