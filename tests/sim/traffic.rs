//! Requests: where they go, how long they stay open, and what loses them.

use std::sync::Arc;

use rolloutctl::action::{Action, ServerVerb};
use rolloutctl::api::ServerWeight;
use rolloutctl::sim::{Answered, App, Condition, Hand, Loss, OnStop, Setup, Which};
use rolloutctl::snapshot::AdminState;

use crate::site::{BACKEND, Site, name, quick, revision, service, setup};

fn losses(site: &Site) -> Vec<(Loss, f64)> {
    let losses = site.losses();
    let all = Loss::ALL.into_iter();
    all.map(|loss| (loss, losses.of(BACKEND, loss)))
        .filter(|(_, requests)| *requests > 0.0)
        .collect()
}

fn only(site: &Site) -> Loss {
    let found = losses(site);
    assert_eq!(found.len(), 1, "{found:?}");
    found[0].0
}

/// No losses from before count.
fn difference(site: &Site, during: impl FnOnce(&Site)) -> f64 {
    let before = site.losses().total();
    during(site);
    site.losses().total() - before
}

fn answered(site: &Site, digit: char) -> Answered {
    let lb = name("lb-1");
    site.world
        .view(|view| view.answered_on(&lb, &revision(digit)))
}

#[test]
fn requests_are_split_by_weight() {
    let site = Site::quick(1);
    let (one, two) = (revision('1'), revision('2'));
    site.serve(&one, 3);
    site.serve(&two, 1);
    site.balance("lb-1", &one, 19);
    site.balance("lb-1", &two, 3);
    let share = site
        .world
        .view(|view| view.share(&name("lb-1"), BACKEND, &two));
    assert!((share - 0.05).abs() < 1e-12, "{share}");
    let before = (answered(&site, '1').requests, answered(&site, '2').requests);
    site.pass(10_000);
    let after = (answered(&site, '1').requests, answered(&site, '2').requests);
    assert!((after.0 - before.0 - 950.0).abs() < 1e-6);
    assert!((after.1 - before.1 - 50.0).abs() < 1e-6);
}

#[test]
fn errors_are_counted_for_the_revision_that_made_them() {
    let bad = App {
        error_rate: 0.2,
        ..quick()
    };
    let site = Site::new(Setup {
        other_apps: bad,
        ..setup(2)
    });
    site.serve(&revision('1'), 1);
    site.balance("lb-1", &revision('1'), 1);
    site.pass(10_000);
    let Answered { requests, failed } = answered(&site, '1');
    assert!(requests > 1_000.0 && (failed / requests - 0.2).abs() < 1e-9);
}

#[test]
fn a_drained_server_has_open_requests_as_long_as_the_longest_one_takes() {
    let site = Site::quick(3);
    let one = revision('1');
    site.serve(&one, 2);
    let servers = site.balance("lb-1", &one, 1);
    site.pass(5_000);
    // 50 a second: 90 % for 50 ms, 10 % for 2 s.
    let open = site.server("lb-1", &servers[0]).map(|fact| fact.sessions);
    assert_eq!(open, Some(13));
    site.change("lb-1", &servers[0], &[ServerVerb::Drain])
        .expect("drained");
    site.pass(1_000);
    let open = site.server("lb-1", &servers[0]).map(|fact| fact.sessions);
    assert!(open.is_some_and(|open| (4..=6).contains(&open)), "{open:?}");
    site.pass(1_000);
    let open = site.server("lb-1", &servers[0]).map(|fact| fact.sessions);
    assert_eq!(open, Some(0));
}

#[test]
fn weight_0_takes_no_new_requests() {
    let site = Site::quick(4);
    let one = revision('1');
    site.serve(&one, 2);
    let servers = site.balance("lb-1", &one, 1);
    let zero = ServerVerb::Weigh(ServerWeight::ZERO);
    site.change("lb-1", &servers[0], &[zero]).expect("weighed");
    site.pass(2_100);
    let open = |index: usize| {
        site.server("lb-1", &servers[index])
            .map(|fact| fact.sessions)
    };
    assert_eq!((open(0), open(1)), (Some(0), Some(25)));
}

#[test]
fn without_a_server_everything_is_lost_and_the_cause_is_told() {
    let site = Site::quick(5);
    site.pass(10_000);
    assert_eq!(losses(&site), [(Loss::NothingReady, 2_000.0)]);
}

#[test]
fn a_task_that_does_not_listen_costs_nothing_while_another_one_does() {
    let site = Site::quick(6);
    let one = revision('1');
    site.serve(&one, 2);
    site.balance("lb-1", &one, 1);
    site.balance("lb-2", &one, 1);
    site.pass(3_000);
    let exits = App {
        on_stop: OnStop::Finishes,
        ..quick()
    };
    site.world.hand(&Hand::App("app:v1".into(), exits));
    // A signal, and nobody drains: new requests are refused and go to the other task.
    let lost = difference(&site, |site| {
        site.world
            .hand(&Hand::Scale(Which::Named(service(&one, 1).name()), 1));
        site.pass(10_000);
    });
    assert!(lost == 0.0, "{lost}: {:?}", losses(&site));
    assert_eq!(site.running(&one).len(), 1);
}

#[test]
fn where_no_task_listens_requests_are_refused_until_the_checks_find_out() {
    let site = Site::quick(7);
    let one = revision('1');
    site.serve(&one, 1);
    site.balance("lb-1", &one, 1);
    site.balance("lb-2", &one, 1);
    site.pass(3_000);
    site.world.hand(&Hand::KillTask(0));
    let losing = |site: &Site| site.world.view(|view| view.losing(&name("lb-1"), BACKEND));
    site.pass(1);
    assert_eq!(losing(&site), Some(Loss::Refused));
    site.pass(1_300);
    assert_eq!(losing(&site), Some(Loss::NothingReady));
}

#[test]
fn a_process_that_dies_takes_its_open_requests_with_it() {
    for (on_stop, loses) in [
        (OnStop::Finishes, false),
        (OnStop::Exits, true),
        (OnStop::Ignores, true),
    ] {
        let app = App { on_stop, ..quick() };
        let site = Site::new(Setup {
            other_apps: app,
            ..setup(8)
        });
        let one = revision('1');
        site.serve(&one, 3);
        site.balance("lb-1", &one, 1);
        site.balance("lb-2", &one, 1);
        site.pass(3_000);
        let before = site.losses().by(Loss::Killed);
        let which = Which::Named(service(&one, 1).name());
        site.world.hand(&Hand::Scale(which, 2));
        site.pass(20_000);
        let killed = site.losses().by(Loss::Killed) - before;
        assert_eq!(killed > 0.0, loses, "{on_stop:?}: {killed}");
        if loses {
            // Two proxies with a third of 100 a second each, or what is left of it while it is checked.
            assert!((5.0..=30.0).contains(&killed), "{on_stop:?}: {killed}");
        }
    }
}

#[test]
fn a_grace_period_shorter_than_a_request_kills_it() {
    let site = Site::quick(9);
    let one = revision('1');
    let mut new = service(&one, 2);
    Arc::make_mut(&mut new.template).stop_grace_period =
        Some(rolloutctl::api::Duration::from_secs(1));
    site.act(&Action::CreateService(new)).expect("created");
    site.pass(3_000);
    site.balance("lb-1", &one, 1);
    site.pass(3_000);
    let before = site.losses().by(Loss::Killed);
    let which = Which::Named(service(&one, 1).name());
    site.world.hand(&Hand::Scale(which, 1));
    site.pass(10_000);
    assert!(site.losses().by(Loss::Killed) > before);
}

#[test]
fn drained_first_nothing_is_lost() {
    let site = Site::new(Setup {
        other_apps: App {
            on_stop: OnStop::Exits,
            ..quick()
        },
        ..setup(10)
    });
    let (one, two) = (revision('1'), revision('2'));
    site.serve(&one, 2);
    site.serve(&two, 2);
    for instance in ["lb-1", "lb-2"] {
        site.balance(instance, &one, 1);
        site.balance(instance, &two, 1);
    }
    let lost = difference(&site, |site| {
        for instance in ["lb-1", "lb-2"] {
            for task in site.running(&one) {
                let name = rolloutctl::snapshot::ServerName::new(&one, task.slot, &task.id);
                site.change(instance, &name, &[ServerVerb::Drain])
                    .expect("drained");
            }
        }
        site.pass(2_100);
        site.scale(&one, 0).expect("scaled");
        site.pass(10_000);
    });
    assert!(lost == 0.0, "{:?}", losses(&site));
}

#[test]
fn cutting_sessions_loses_what_is_open() {
    let site = Site::quick(11);
    let one = revision('1');
    site.serve(&one, 2);
    let servers = site.balance("lb-1", &one, 1);
    site.pass(3_000);
    let lost = difference(&site, |site| {
        let verbs = [ServerVerb::Maintain, ServerVerb::Cut];
        site.change("lb-1", &servers[0], &verbs).expect("cut");
    });
    // What was lost meanwhile on lb-2, which has no servers, is for another cause.
    let cut = site.losses().by(Loss::Cut);
    assert!((cut - 12.25).abs() < 0.3, "{cut} of {lost}");
}

#[test]
fn after_a_reload_the_old_worker_still_has_its_requests() {
    let site = Site::quick(12);
    let one = revision('1');
    site.serve(&one, 1);
    site.balance("lb-1", &one, 1);
    site.pass(3_000);
    let open = |site: &Site| {
        let lb = name("lb-1");
        site.world
            .view(|view| view.open_sessions(&lb, BACKEND, &one))
    };
    let before = open(&site);
    site.world.hand(&Hand::Reload(0));
    assert!((open(&site) - before).abs() < 1e-9 && before > 20.0);
    let losing = site.world.view(|view| view.losing(&name("lb-1"), BACKEND));
    assert!(losing.is_some(), "new requests find no server");
    site.pass(2_000);
    assert!(open(&site) == 0.0);
    assert!(site.losses().by(Loss::Killed) == 0.0);
}

#[test]
fn a_restart_loses_what_is_open_and_what_comes() {
    let site = Site::quick(13);
    let one = revision('1');
    site.serve(&one, 1);
    site.balance("lb-1", &one, 1);
    site.balance("lb-2", &one, 1);
    site.pass(3_000);
    let pause = rolloutctl::api::Duration::from_secs(2);
    let lost = difference(&site, |site| {
        site.world.hand(&Hand::Restart(0, pause));
        site.pass(2_000);
    });
    assert!((lost - 224.5).abs() < 0.5, "{lost}");
    assert!(site.proxy("lb-1").backends[BACKEND].is_empty());
    site.world.hand(&Hand::Condition(0, Condition::Answers));
}

#[test]
fn foreign_servers_take_their_part_and_are_never_ours_to_lose() {
    let mut setup = setup(14);
    for instance in &mut setup.instances {
        let foreign = &mut instance.backends[0].foreign;
        foreign.insert("theirs".to_owned(), 1);
    }
    let site = Site::new(Setup {
        other_apps: quick(),
        ..setup
    });
    let one = revision('1');
    site.serve(&one, 1);
    site.balance("lb-1", &one, 3);
    let share = site
        .world
        .view(|view| view.share(&name("lb-1"), BACKEND, &one));
    assert!((share - 0.75).abs() < 1e-12, "{share}");
    site.world.hand(&Hand::KillTask(0));
    site.pass(5_000);
    // The one request that was open went with its process.
    assert_eq!(only(&site), Loss::Killed);
}

#[test]
fn another_hand_at_the_runtime_api_moves_the_traffic() {
    let site = Site::quick(15);
    let one = revision('1');
    site.serve(&one, 2);
    let servers = site.balance("lb-1", &one, 1);
    let which = rolloutctl::sim::WhichServer {
        instance: 0,
        backend: BACKEND.to_owned(),
        server: 0,
    };
    site.world
        .hand(&Hand::SetState(which, AdminState::Maintenance));
    let states: Vec<_> = servers
        .iter()
        .filter_map(|server| site.server("lb-1", server))
        .map(|fact| fact.admin)
        .collect();
    assert!(states.contains(&AdminState::Maintenance) && states.contains(&AdminState::Ready));
}
