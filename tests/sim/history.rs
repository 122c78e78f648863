//! The same seed and the same calls make the same history.

use rolloutctl::action::Action;
use rolloutctl::api::Duration;
use rolloutctl::sim::{App, Entry, FaultPlan, Hand, Rates, Setup, View, Which, WhichServer};
use rolloutctl::world::World;

use crate::site::{BACKEND, Site, quick, revision, service, setup};

/// Half an hour in which a lot goes wrong.
fn history(seed: u64) -> (Vec<Entry>, Vec<String>) {
    let begin = setup(seed).start;
    let site = Site::new(Setup {
        faults: FaultPlan {
            healed_at: Duration::from_secs(1_000).after(begin),
            swarm: Rates::all(0.05),
            store: Rates::all(0.05),
            lease: Rates::all(0.05),
            haproxy: Rates::all(0.05),
            hints_lost: 0.3,
            hints_late: 0.3,
            ..FaultPlan::none()
        },
        other_apps: App {
            mean_life: Some(Duration::from_secs(120)),
            ..quick()
        },
        ..setup(seed)
    });
    let at = |secs| Duration::from_secs(secs).after(begin);
    for (secs, hand) in [
        (50, Hand::CrashNode(0)),
        (90, Hand::Scale(Which::Nth(1), 7)),
        (120, Hand::Reload(1)),
        (200, Hand::ReturnNode(0)),
        (210, Hand::KillTask(3)),
        (300, Hand::RemoveService(Which::Nth(0))),
    ] {
        site.world.hand_at(at(secs), hand);
    }
    let which = WhichServer {
        instance: 0,
        backend: BACKEND.to_owned(),
        server: 1,
    };
    let drain = rolloutctl::snapshot::AdminState::Drain;
    site.world.hand_at(at(30), Hand::SetState(which, drain));
    let mut looks = Vec::new();
    for round in 0..30 {
        for digit in ['1', '2'] {
            let _ = site.act(&Action::CreateService(service(&revision(digit), 3)));
        }
        if round == 10 {
            let _ = site.run(site.world.take_lease(None, "somebody"));
        }
        site.pass(60_000);
        let snapshot = site.run(site.world.observe(&site.balancers));
        looks.push(format!("{snapshot:?}"));
    }
    looks.push(format!("{:?}", site.losses()));
    (site.world.journal(), looks)
}

#[test]
fn the_same_seed_makes_the_same_history() {
    for seed in [1, 2] {
        let (journal, looks) = history(seed);
        assert!(journal.len() > 100, "{} entries", journal.len());
        assert!(journal.is_sorted_by_key(|entry| entry.at));
        let (again, looks_again) = history(seed);
        assert_eq!(journal, again);
        assert_eq!(looks, looks_again);
    }
    assert_ne!(history(1).0, history(2).0);
}

#[test]
fn an_observer_hears_what_the_journal_keeps() {
    let site = Site::quick(3);
    let heard = std::sync::Arc::new(std::sync::Mutex::new(Vec::new()));
    let sink = heard.clone();
    site.world.journal();
    site.world
        .observe_with(move |view: &View<'_>, who, what: &rolloutctl::sim::What| {
            let entry = Entry {
                at: view.now(),
                who,
                what: what.clone(),
            };
            sink.lock().expect("no panic").push(entry);
        });
    site.serve(&revision('1'), 2);
    site.balance("lb-1", &revision('1'), 1);
    assert_eq!(*heard.lock().expect("no panic"), site.world.journal());
}
