//! The runtime API and the health checks of HAProxy 2.6.

use std::collections::BTreeMap;

use rolloutctl::action::ServerVerb;
use rolloutctl::api::{Duration, ServerWeight};
use rolloutctl::sim::{Condition, Hand, Setup};
use rolloutctl::snapshot::{
    AdminState, CheckState, InstanceFact, OperationalState, ServerName, Snapshot, TaskId,
};
use rolloutctl::world::{World, WorldError};

use crate::site::{BACKEND, Site, endpoint, quick, revision, setup};

fn is_conflict(result: &Result<(), WorldError>) -> bool {
    matches!(result, Err(WorldError::Conflict { .. }))
}

#[test]
fn a_server_starts_in_maintenance_at_weight_0_and_comes_up_with_its_first_check() {
    let site = Site::quick(1);
    let one = revision('1');
    site.serve(&one, 1);
    let task = site.running(&one)[0].clone();
    let name = ServerName::new(&one, task.slot, &task.id);
    let add = ServerVerb::Add(endpoint(&task));
    site.change("lb-1", &name, std::slice::from_ref(&add))
        .expect("added");
    let fact = site.server("lb-1", &name).expect("the server");
    assert_eq!(
        (fact.admin, fact.weight, fact.check, fact.operational),
        (
            AdminState::Maintenance,
            ServerWeight::ZERO,
            CheckState::Disabled,
            OperationalState::Stopped
        )
    );
    site.change("lb-1", &name, &[add, ServerVerb::Enable])
        .expect("added already");
    let fact = site.server("lb-1", &name).expect("the server");
    assert_eq!(
        (fact.admin, fact.check, fact.operational),
        (
            AdminState::Ready,
            CheckState::Pending,
            OperationalState::Running
        )
    );
    site.pass(1_000);
    let fact = site.server("lb-1", &name).expect("the server");
    assert_eq!(fact.check, CheckState::Passed);
    assert_eq!(site.server("lb-2", &name), None);
}

#[test]
fn a_server_is_deleted_only_in_maintenance() {
    let site = Site::quick(2);
    let one = revision('1');
    site.serve(&one, 1);
    let name = &site.balance("lb-1", &one, 1)[0];
    assert!(is_conflict(&site.change(
        "lb-1",
        name,
        &[ServerVerb::Delete]
    )));
    site.change("lb-1", name, &[ServerVerb::Drain])
        .expect("drained");
    assert!(is_conflict(&site.change(
        "lb-1",
        name,
        &[ServerVerb::Delete]
    )));
}

#[test]
fn maintenance_and_deletion_in_one_line_are_refused_for_idle_connections_close_later() {
    let site = Site::quick(3);
    let one = revision('1');
    site.serve(&one, 1);
    let name = &site.balance("lb-1", &one, 1)[0];
    site.change("lb-1", name, &[ServerVerb::Drain])
        .expect("drained");
    site.pass(3_000);
    assert_eq!(site.server("lb-1", name).map(|fact| fact.sessions), Some(0));
    let both = [ServerVerb::Maintain, ServerVerb::Delete];
    assert!(is_conflict(&site.change("lb-1", name, &both)));
    let fact = site.server("lb-1", name).expect("it is still there");
    assert_eq!(
        fact.admin,
        AdminState::Maintenance,
        "the rest of the line was done"
    );
    site.pass(1_600);
    site.change("lb-1", name, &[ServerVerb::Delete])
        .expect("deleted");
    site.change("lb-1", name, &[ServerVerb::Delete])
        .expect("done already");
    assert_eq!(site.server("lb-1", name), None);
}

#[test]
fn with_open_requests_a_server_is_not_deleted_until_they_are_cut() {
    let site = Site::quick(4);
    let one = revision('1');
    site.serve(&one, 1);
    let name = &site.balance("lb-1", &one, 1)[0];
    site.change("lb-1", name, &[ServerVerb::Maintain])
        .expect("maintained");
    assert!(
        site.server("lb-1", name)
            .is_some_and(|fact| fact.sessions > 0)
    );
    assert!(is_conflict(&site.change(
        "lb-1",
        name,
        &[ServerVerb::Delete]
    )));
    site.change("lb-1", name, &[ServerVerb::Cut]).expect("cut");
    assert_eq!(site.server("lb-1", name).map(|fact| fact.sessions), Some(0));
}

#[test]
fn what_is_refused_keeps_nothing_else_from_being_done() {
    let site = Site::quick(5);
    let one = revision('1');
    site.serve(&one, 1);
    let name = &site.balance("lb-1", &one, 1)[0];
    let weigh = ServerVerb::Weigh(ServerWeight::new(9));
    assert!(is_conflict(&site.change(
        "lb-1",
        name,
        &[ServerVerb::Delete, weigh.clone()]
    )));
    assert_eq!(
        site.server("lb-1", name).map(|fact| fact.weight),
        Some(ServerWeight::new(9))
    );
    let nobody = ServerName::new(&one, 9, &TaskId::from("x".repeat(25)));
    let result = site.change("lb-1", &nobody, &[weigh]);
    assert!(
        matches!(result, Err(WorldError::Refused { .. })),
        "{result:?}"
    );
}

#[test]
fn a_server_whose_task_is_gone_is_down_after_two_failed_checks() {
    let site = Site::quick(6);
    let one = revision('1');
    site.serve(&one, 1);
    let name = &site.balance("lb-1", &one, 1)[0];
    site.world.hand(&Hand::KillTask(0));
    site.pass(200);
    assert_eq!(
        site.server("lb-1", name).map(|fact| fact.check),
        Some(CheckState::Passed)
    );
    site.pass(1_100);
    let fact = site.server("lb-1", name).expect("the server");
    assert_eq!(
        (fact.check, fact.operational),
        (CheckState::Failed, OperationalState::Stopped)
    );
}

#[test]
fn a_reload_forgets_our_servers_and_keeps_those_of_the_configuration() {
    let mut setup = Setup {
        other_apps: quick(),
        ..setup(7)
    };
    setup.instances[0].backends[0].foreign = BTreeMap::from([("theirs".to_owned(), 50)]);
    let site = Site::new(setup);
    let one = revision('1');
    site.serve(&one, 2);
    site.balance("lb-1", &one, 10);
    let before = site.proxy("lb-1");
    assert_eq!(before.backends[BACKEND].len(), 3);
    site.world.hand(&Hand::Reload(0));
    let after = site.proxy("lb-1");
    assert_ne!(before.pid, after.pid);
    assert_eq!(after.uptime_secs, 0);
    let left: Vec<_> = after.backends[BACKEND].keys().collect();
    assert_eq!(left, ["theirs"]);
}

/// What `call` comes to, and how many milliseconds it takes.
fn timed<T>(site: &Site, call: impl FnOnce(&Site) -> T) -> (T, u64) {
    let begin = site.world.now();
    let result = call(site);
    (
        result,
        Duration::between(begin, site.world.now()).as_millis(),
    )
}

fn is_seen(snapshot: &Snapshot, instance: &str) -> bool {
    let fact = &snapshot.load_balancers["edge"][instance];
    matches!(fact, InstanceFact::Reachable(_))
}

#[test]
fn an_instance_that_says_nothing_costs_one_look_the_time_limit_and_the_other_one_is_seen() {
    let site = Site::quick(8);
    site.world.hand(&Hand::Condition(0, Condition::Hangs));
    let (snapshot, took) = timed(&site, Site::look);
    assert_eq!(took, 2_000);
    assert!(!is_seen(&snapshot, "lb-1") && is_seen(&snapshot, "lb-2"));
    let (snapshot, took) = timed(&site, Site::look);
    assert!(took < 100, "nobody waits for it again: {took} ms");
    assert!(!is_seen(&snapshot, "lb-1") && is_seen(&snapshot, "lb-2"));
}

#[test]
fn changes_to_an_instance_that_says_nothing_cost_the_time_limit_once_and_are_not_sent_then() {
    let site = Site::quick(8);
    site.world.hand(&Hand::Condition(0, Condition::Hangs));
    let nobody = ServerName::new(&revision('1'), 1, &TaskId::from("x".repeat(25)));
    let drain = |site: &Site| site.change("lb-1", &nobody, &[ServerVerb::Drain]);
    let is_lost = |result| matches!(result, Err(WorldError::Unreachable { .. }));
    let (result, took) = timed(&site, drain);
    assert!(is_lost(result) && took == 2_000, "{took} ms");
    let (result, took) = timed(&site, drain);
    assert!(is_lost(result) && took == 0, "{took} ms");
}

#[test]
fn an_instance_that_answers_again_is_seen_by_the_look_after_the_next() {
    let site = Site::quick(8);
    site.world.hand(&Hand::Condition(0, Condition::Hangs));
    site.look();
    site.world.hand(&Hand::Condition(0, Condition::Answers));
    assert!(!is_seen(&site.look(), "lb-1"), "it is asked beside it");
    assert!(is_seen(&site.look(), "lb-1"));
}

#[test]
fn an_instance_that_nobody_reaches_goes_on_serving() {
    let site = Site::quick(9);
    let one = revision('1');
    site.serve(&one, 1);
    site.balance("lb-1", &one, 1);
    let answered = |site: &Site| {
        let lb = crate::site::name("lb-1");
        site.world.view(|view| view.answered_on(&lb, &one).requests)
    };
    site.world.hand(&Hand::Condition(0, Condition::Unreachable));
    let before = answered(&site);
    site.pass(10_000);
    assert!((answered(&site) - before - 1_000.0).abs() < 1e-6);
    let look = site
        .run(site.world.observe(&site.balancers))
        .expect("a snapshot");
    let fact = &look.load_balancers["edge"]["lb-1"];
    assert!(matches!(fact, InstanceFact::Unreachable { .. }));
}

#[test]
fn what_comes_out_of_maintenance_counts_as_up_until_its_next_check() {
    let site = Site::quick(10);
    let one = revision('1');
    site.serve(&one, 1);
    let name = &site.balance("lb-1", &one, 1)[0];
    site.change("lb-1", name, &[ServerVerb::Maintain])
        .expect("maintained");
    site.world.hand(&Hand::KillTask(0));
    site.pass(2_000);
    site.change("lb-1", name, &[ServerVerb::Enable])
        .expect("enabled");
    let fact = site.server("lb-1", name).expect("the server");
    assert_eq!(
        (fact.check, fact.operational),
        (CheckState::Pending, OperationalState::Running)
    );
    site.pass(1_000);
    let fact = site.server("lb-1", name).expect("the server");
    assert_eq!(
        (fact.check, fact.operational),
        (CheckState::Failed, OperationalState::Stopped)
    );
}
