//! Services and tasks.

use std::sync::Arc;

use std::collections::BTreeSet;

use rolloutctl::action::Action;
use rolloutctl::api::{Access, Duration, Reach};
use rolloutctl::sim::{App, Edit, Hand, OnStop, Setup, Span, Starts, What, Which};
use rolloutctl::snapshot::{TaskId, TaskState};
use rolloutctl::world::WorldError;
use serde_json::json;

use crate::site::{Site, quick, revision, service, setup, target};

#[test]
fn a_version_moves_without_us_and_a_stale_one_is_a_conflict() {
    let site = Site::new(Setup {
        pace: rolloutctl::sim::Pace {
            bumps: 8,
            ..setup(1).pace
        },
        ..setup(1)
    });
    let one = revision('1');
    site.act(&Action::CreateService(service(&one, 1)))
        .expect("created");
    let first = site.service(&one);
    site.until("Swarm has written to it", |site| {
        site.service(&one).version > first.version
    });
    let late = Action::ScaleService {
        service: target(&first),
        replicas: 5,
    };
    let result = site.act(&late);
    assert!(
        matches!(result, Err(WorldError::Conflict { .. })),
        "{result:?}"
    );
    assert_eq!(site.service(&one).replicas, 1);
}

#[test]
fn a_write_elsewhere_raises_the_versions_that_come_after() {
    let site = Site::quick(2);
    let before = site.serve(&revision('1'), 1);
    site.world.hand(&Hand::StackDeploy(10));
    let after = site.serve(&revision('2'), 1);
    assert!(after.version > before.version + 10);
    assert_eq!(site.service(&revision('1')).version, before.version);
}

#[test]
fn to_create_what_is_ours_is_done_and_what_is_not_is_refused() {
    let site = Site::quick(3);
    let new = Action::CreateService(service(&revision('1'), 1));
    site.act(&new).expect("created");
    site.act(&new).expect("done already");
    site.world
        .hand(&Hand::TakeName(service(&revision('2'), 1).name()));
    let result = site.act(&Action::CreateService(service(&revision('2'), 1)));
    assert!(
        matches!(result, Err(WorldError::Refused { .. })),
        "{result:?}"
    );
    assert_eq!(site.look().services.len(), 1);
}

#[test]
fn victims_of_a_scale_down_go_at_once_and_get_their_signal_1_to_3_s_later() {
    let site = Site::quick(4);
    let one = revision('1');
    site.serve(&one, 6);
    site.world.journal();
    site.scale(&one, 2).expect("scaled");
    let begin = site.world.now();
    site.pass(60);
    let leaving = |site: &Site| {
        let tasks = site.tasks(&one);
        tasks
            .iter()
            .filter(|task| task.desired > TaskState::Running)
            .count()
    };
    assert_eq!(leaving(&site), 4);
    site.pass(800);
    assert_eq!(site.happened(|what| matches!(what, What::Signalled(_))), 0);
    site.pass(2_300);
    let journal = site.world.journal();
    let signals = journal
        .iter()
        .filter(|entry| matches!(entry.what, What::Signalled(_)));
    let delays: Vec<_> = signals
        .map(|entry| Duration::between(begin, entry.at))
        .collect();
    assert_eq!(delays.len(), 4, "{delays:?}");
    assert!(
        delays.iter().all(|delay| delay.as_millis() > 850),
        "{delays:?}"
    );
}

#[test]
fn slots_have_gaps_after_a_scale_down_and_the_lowest_are_filled_first() {
    let gaps = (0..20).any(|seed| {
        let site = Site::quick(seed);
        let one = revision('1');
        site.serve(&one, 6);
        site.scale(&one, 2).expect("scaled");
        site.pass(10_000);
        let left: BTreeSet<u32> = site.running(&one).iter().map(|task| task.slot).collect();
        assert_eq!(left.len(), 2);
        site.scale(&one, 3).expect("scaled");
        site.pass(5_000);
        let now: BTreeSet<u32> = site.running(&one).iter().map(|task| task.slot).collect();
        let lowest = (1..10).find(|slot| !left.contains(slot)).expect("a slot");
        assert!(now.contains(&lowest), "{left:?} then {now:?}");
        left != BTreeSet::from([1, 2])
    });
    assert!(gaps, "no slot was ever left out");
}

#[test]
fn a_failing_image_loops_with_pauses_and_five_tasks_of_a_slot_are_remembered() {
    let app = App {
        starts: Starts::Rejected,
        ..quick()
    };
    let site = Site::new(Setup {
        other_apps: app,
        ..setup(5)
    });
    let one = revision('1');
    site.act(&Action::CreateService(service(&one, 1)))
        .expect("created");
    site.pass(60_000);
    let tasks = site.tasks(&one);
    let rejected = tasks
        .iter()
        .filter(|task| task.state == TaskState::Rejected)
        .count();
    assert_eq!((rejected, tasks.len()), (4, 5));
    assert!(tasks.iter().any(|task| task.problem.is_some()));
    let made = site.happened(|what| {
        matches!(
            what,
            What::Task {
                state: TaskState::Rejected,
                ..
            }
        )
    });
    assert!((8..=14).contains(&made), "{made} in a minute");
}

#[test]
fn a_task_that_died_is_replaced_in_its_slot_after_the_pause() {
    let site = Site::quick(6);
    let one = revision('1');
    site.serve(&one, 1);
    let first = site.running(&one)[0].clone();
    site.world.hand(&Hand::KillTask(0));
    site.pass(4_900);
    assert!(site.running(&one).is_empty());
    site.pass(1_000);
    let second = site.running(&one)[0].clone();
    assert_ne!(first.id, second.id);
    assert_eq!(first.slot, second.slot);
}

#[test]
fn with_a_health_check_running_means_healthy_and_without_it_says_nothing() {
    let slow = App {
        ready: Some(Span::just(Duration::from_secs(20))),
        ..quick()
    };
    let site = Site::new(Setup {
        other_apps: slow,
        ..setup(7)
    });
    let mut checked = service(&revision('1'), 1);
    Arc::make_mut(&mut checked.template).healthcheck =
        serde_json::from_value(json!({"test": ["CMD", "/ok"], "interval": "1s"})).expect("a check");
    let unchecked = service(&revision('2'), 1);
    site.act(&Action::CreateService(checked)).expect("created");
    site.act(&Action::CreateService(unchecked))
        .expect("created");
    site.pass(2_000);
    assert!(site.running(&revision('1')).is_empty());
    assert_eq!(site.running(&revision('2')).len(), 1);
    assert_eq!(site.world.view(|view| view.ready_tasks(&revision('2'))), 0);
    site.pass(20_000);
    assert_eq!(site.running(&revision('1')).len(), 1);
}

#[test]
fn what_never_gets_healthy_fails_and_is_tried_again() {
    let sick = App {
        ready: None,
        ..quick()
    };
    let site = Site::new(Setup {
        other_apps: sick,
        ..setup(8)
    });
    let mut new = service(&revision('1'), 1);
    Arc::make_mut(&mut new.template).healthcheck =
        serde_json::from_value(json!({"test": ["CMD", "/ok"], "interval": "1s", "retries": 2}))
            .expect("a check");
    site.act(&Action::CreateService(new)).expect("created");
    site.pass(30_000);
    let tasks = site.tasks(&revision('1'));
    let failed = tasks.iter().filter(|task| task.state == TaskState::Failed);
    assert!(failed.count() >= 2, "{tasks:#?}");
}

#[test]
fn ids_have_25_small_letters_and_digits_and_differ_in_the_first_12() {
    let site = Site::quick(9);
    site.serve(&revision('1'), 50);
    let tasks = site.tasks(&revision('1'));
    let sound = |id: &TaskId| {
        id.0.len() == 25
            && id
                .0
                .bytes()
                .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit())
    };
    assert!(tasks.iter().all(|task| sound(&task.id)));
    let short: BTreeSet<&str> = tasks.iter().map(|task| &task.id.0[..12]).collect();
    assert_eq!(short.len(), 50);
}

#[test]
fn a_task_has_its_address_before_it_runs_and_its_host_port_once_it_does() {
    let site = Site::quick(10);
    let mut new = service(&revision('1'), 1);
    new.access = Access::Proxied {
        port: 8080,
        reach: Reach::Host,
    };
    site.act(&Action::CreateService(new)).expect("created");
    site.until("it is assigned", |site| {
        site.tasks(&revision('1'))
            .iter()
            .any(|task| task.node.is_some())
    });
    let early = site.tasks(&revision('1'))[0].clone();
    assert_eq!(early.state, TaskState::Waiting);
    assert!(early.addresses.contains_key("front") && early.host_ports.is_empty());
    site.pass(2_000);
    assert!(
        site.running(&revision('1'))[0]
            .host_ports
            .contains_key(&8080)
    );
}

#[test]
fn an_overlay_runs_out_of_addresses_and_tasks_wait_for_one() {
    let site = Site::new(Setup {
        addresses: 3,
        other_apps: quick(),
        ..setup(11)
    });
    let one = revision('1');
    site.act(&Action::CreateService(service(&one, 4)))
        .expect("created");
    site.pass(5_000);
    assert_eq!(site.running(&one).len(), 3);
    let tasks = site.tasks(&one);
    let waiting = tasks.iter().find(|task| task.state == TaskState::Waiting);
    let problem = waiting.and_then(|task| task.problem.clone());
    assert!(problem.is_some_and(|problem| problem.contains("available IP")));
    site.scale(&one, 3).expect("scaled");
    site.pass(10_000);
    assert_eq!(site.running(&one).len(), 3);
}

#[test]
fn what_a_task_does_on_its_signal_is_up_to_the_application() {
    for (on_stop, least, most) in [
        (OnStop::Exits, 0, 200),
        (OnStop::Finishes, 0, 200), // Nobody asks it anything.
        (OnStop::Ignores, 10_000, 10_200),
    ] {
        let site = Site::new(Setup {
            other_apps: App { on_stop, ..quick() },
            ..setup(12)
        });
        let one = revision('1');
        site.serve(&one, 1);
        site.world.journal();
        site.scale(&one, 0).expect("scaled");
        site.pass(20_000);
        let journal = site.world.journal();
        let at = |is_it: fn(&What) -> bool| {
            let entry = journal.iter().find(|entry| is_it(&entry.what));
            entry.expect("it happened").at
        };
        let signal = at(|what| matches!(what, What::Signalled(_)));
        let end = at(|what| matches!(what, What::Ended(_)));
        let took = Duration::between(signal, end).as_millis();
        assert!((least..=most).contains(&took), "{on_stop:?}: {took} ms");
        assert!(site.tasks(&one).is_empty());
    }
}

#[test]
fn an_edit_by_another_hand_is_drift_and_swarm_itself_replaces_the_tasks() {
    let site = Site::quick(13);
    let one = revision('1');
    site.serve(&one, 3);
    let edit = Edit::Image("other:v9".into());
    site.world
        .hand(&Hand::Edit(Which::Named(service(&one, 3).name()), edit));
    assert!(site.service(&one).drift.is_some());
    let images = |site: &Site| {
        site.world.view(|view| {
            let alive = view.tasks().filter(|task| task.listens);
            alive.filter(|task| task.image == "other:v9").count()
        })
    };
    site.pass(30_000);
    assert_eq!(images(&site), 3);
    let restore = Action::RestoreService {
        service: target(&site.service(&one)),
        spec: service(&one, 3),
    };
    site.act(&restore).expect("put back");
    assert_eq!(site.service(&one).drift, None);
    site.pass(30_000);
    assert_eq!((images(&site), site.running(&one).len()), (0, 3));
}

#[test]
fn a_service_that_is_removed_takes_its_tasks_with_it() {
    let site = Site::quick(14);
    let one = revision('1');
    let service = site.serve(&one, 3);
    let action = Action::RemoveService {
        service: target(&service),
    };
    site.act(&action).expect("removed");
    site.act(&action).expect("done already");
    let snapshot = site.look();
    assert!(snapshot.services.is_empty());
    assert_eq!(snapshot.tasks.len(), 3, "they are still to be stopped");
    site.pass(10_000);
    assert!(site.look().tasks.is_empty());
}
