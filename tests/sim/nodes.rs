//! Nodes that go and come.

use std::collections::BTreeMap;

use rolloutctl::sim::{Hand, Setup};
use rolloutctl::snapshot::TaskState;

use crate::site::{Site, revision, setup};

fn slots(site: &Site) -> BTreeMap<u32, usize> {
    let mut slots = BTreeMap::new();
    for task in site.tasks(&revision('1')) {
        if task.state == TaskState::Running {
            *slots.entry(task.slot).or_insert(0) += 1;
        }
    }
    slots
}

#[test]
fn tasks_of_a_node_that_is_down_keep_running_and_their_slots_hold_two() {
    let site = Site::quick(1);
    let one = revision('1');
    site.serve(&one, 3);
    site.world.hand(&Hand::CrashNode(0));
    site.pass(5_000);
    assert!(
        site.look().nodes.values().all(|node| node.ready),
        "too early"
    );
    site.pass(20_000);
    let down: Vec<_> = site
        .look()
        .nodes
        .into_values()
        .filter(|node| !node.ready)
        .collect();
    assert_eq!(down.len(), 1);
    assert_eq!(site.world.view(|view| view.ready_tasks(&one)), 3);
    assert_eq!(
        slots(&site).into_values().max(),
        Some(2),
        "{:?}",
        slots(&site)
    );
    site.pass(600_000);
    assert_eq!(slots(&site).into_values().max(), Some(2), "for up to 24 h");
    site.world.hand(&Hand::ReturnNode(0));
    site.pass(10_000);
    assert_eq!(slots(&site).into_values().max(), Some(1));
}

#[test]
fn what_runs_on_a_node_that_is_cut_off_goes_on_until_it_is_back() {
    let site = Site::quick(2);
    let one = revision('1');
    site.serve(&one, 3);
    let alive = |site: &Site| {
        site.world
            .view(|view| view.tasks().filter(|t| t.listens).count())
    };
    site.world.hand(&Hand::CutNode(0));
    site.pass(30_000);
    assert_eq!(
        alive(&site),
        4,
        "three, and one that the managers do not hear of"
    );
    site.world.hand(&Hand::ReturnNode(0));
    site.pass(10_000);
    assert_eq!(alive(&site), 3);
}

#[test]
fn a_node_that_is_back_in_time_is_not_missed() {
    let site = Site::quick(3);
    let one = revision('1');
    site.serve(&one, 3);
    let before = site.running(&one);
    site.world.hand(&Hand::CutNode(0));
    site.pass(5_000);
    site.world.hand(&Hand::ReturnNode(0));
    site.pass(60_000);
    assert_eq!(before, site.running(&one));
}

#[test]
fn a_node_that_is_drained_loses_each_task_before_its_replacement_runs() {
    let site = Site::quick(4);
    let one = revision('1');
    site.serve(&one, 3);
    site.world.hand(&Hand::DrainNode(1));
    site.pass(500);
    assert_eq!(site.running(&one).len(), 2);
    site.pass(10_000);
    let tasks = site.running(&one);
    let nodes: Vec<_> = tasks.iter().filter_map(|task| task.node.clone()).collect();
    let drained = site.world.view(|view| {
        view.tasks()
            .filter(|t| t.node == Some(1) && t.listens)
            .count()
    });
    assert_eq!((tasks.len(), nodes.len(), drained), (3, 3, 0));
}

#[test]
fn without_a_node_tasks_wait() {
    let site = Site::new(Setup {
        nodes: 1,
        ..setup(5)
    });
    let one = revision('1');
    site.world.hand(&Hand::DrainNode(0));
    let new = crate::site::service(&one, 1);
    site.act(&rolloutctl::action::Action::CreateService(new))
        .expect("created");
    site.pass(10_000);
    let problem = site.tasks(&one)[0].problem.clone();
    assert_eq!(problem.as_deref(), Some("no suitable node"));
    site.world.hand(&Hand::ActivateNode(0));
    site.pass(10_000);
    assert_eq!(site.running(&one).len(), 1);
}
