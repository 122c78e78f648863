//! What goes wrong on the way, and controllers that die.

use std::pin::pin;
use std::task::{Context, Waker};

use jiff::Timestamp;
use rolloutctl::action::{Action, ServerVerb};
use rolloutctl::api::{Duration, ServerWeight};
use rolloutctl::sim::{ControllerId, CrashAt, FaultPlan, Hand, LastCall, Rates, Setup, Span};
use rolloutctl::world::{World, WorldError};

use crate::site::{Site, quick, revision, service, setup, target};
use crate::store::draft;

fn plan(rates: Rates) -> FaultPlan {
    FaultPlan {
        healed_at: Timestamp::MAX,
        swarm: rates,
        store: rates,
        lease: rates,
        haproxy: rates,
        ..FaultPlan::none()
    }
}

fn site(rates: Rates) -> Site {
    Site::new(Setup {
        faults: plan(rates),
        other_apps: quick(),
        ..setup(1)
    })
}

fn heal(site: &Site) {
    site.world.set_faults(FaultPlan::none());
}

fn is_unreachable(result: &Result<(), WorldError>) -> bool {
    matches!(result, Err(WorldError::Unreachable { .. }))
}

fn stored(site: &Site) -> usize {
    site.world.view(|view| view.stored().count())
}

#[test]
fn a_lost_request_does_nothing_and_a_lost_reply_did_it() {
    for (rates, done) in [
        (
            Rates {
                lost: 1.0,
                ..Rates::NONE
            },
            0,
        ),
        (
            Rates {
                reply_lost: 1.0,
                ..Rates::NONE
            },
            1,
        ),
    ] {
        let site = site(rates);
        let result = site.run(site.world.create(&draft("a")));
        assert!(is_unreachable(&result), "{result:?}");
        assert_eq!(stored(&site), done);
    }
}

#[test]
fn a_repeated_write_conflicts_with_itself() {
    let site = site(Rates {
        repeated: 1.0,
        ..Rates::NONE
    });
    let result = site.run(site.world.create(&draft("a")));
    assert!(
        matches!(result, Err(WorldError::Conflict { .. })),
        "{result:?}"
    );
    assert_eq!(stored(&site), 1);
}

#[test]
fn after_a_timeout_the_outcome_is_unknown() {
    let mut outcomes = [0, 0];
    for seed in 0..40 {
        let site = Site::new(Setup {
            faults: plan(Rates {
                timed_out: 1.0,
                ..Rates::NONE
            }),
            ..setup(seed)
        });
        let begin = site.world.now();
        let result = site.run(site.world.create(&draft("a")));
        assert!(is_unreachable(&result), "{result:?}");
        assert_eq!(
            Duration::between(begin, site.world.now()).as_millis(),
            10_000
        );
        outcomes[stored(&site)] += 1;
    }
    assert!(outcomes.iter().all(|count| *count > 5), "{outcomes:?}");
}

#[test]
fn what_is_late_happens_after_its_caller_has_given_up() {
    let site = site(Rates {
        late: 1.0,
        ..Rates::NONE
    });
    let result = site.run(site.world.create(&draft("a")));
    assert!(is_unreachable(&result), "{result:?}");
    assert_eq!(stored(&site), 0);
    site.pass(10_000);
    assert_eq!(stored(&site), 1);
}

#[test]
fn a_slow_call_takes_its_time() {
    let site = site(Rates {
        slow: 1.0,
        ..Rates::NONE
    });
    let begin = site.world.now();
    site.run(site.world.load()).expect("the store");
    assert!(Duration::between(begin, site.world.now()).as_millis() >= 500);
}

#[test]
fn somebody_else_writes_just_before() {
    let site = site(Rates::NONE);
    let service = site.serve(&revision('1'), 1);
    site.world.set_faults(plan(Rates {
        conflict: 1.0,
        ..Rates::NONE
    }));
    let result = site.act(&Action::ScaleService {
        service: target(&service),
        replicas: 2,
    });
    assert!(
        matches!(result, Err(WorldError::Conflict { .. })),
        "{result:?}"
    );
}

#[test]
fn a_batch_may_be_done_in_part() {
    let counts: std::collections::BTreeSet<u16> = (0..30)
        .map(|seed| {
            let site = Site::new(Setup {
                other_apps: quick(),
                ..setup(seed)
            });
            let one = revision('1');
            site.serve(&one, 1);
            let name = &site.balance("lb-1", &one, 0)[0];
            site.world.set_faults(plan(Rates {
                partial: 1.0,
                ..Rates::NONE
            }));
            let verbs = [1, 2, 3].map(|weight| ServerVerb::Weigh(ServerWeight::new(weight)));
            let result = site.change("lb-1", name, &verbs);
            assert!(is_unreachable(&result), "{result:?}");
            heal(&site);
            site.server("lb-1", name).expect("the server").weight.get()
        })
        .collect();
    assert_eq!(counts, [0, 1, 2].into());
}

#[test]
fn a_healed_world_has_no_faults() {
    let site = site(Rates::NONE);
    let healed_at = Duration::from_secs(60).after(site.world.now());
    site.world.set_faults(FaultPlan {
        healed_at,
        ..plan(Rates {
            lost: 1.0,
            ..Rates::NONE
        })
    });
    assert!(site.run(site.world.load()).is_err());
    site.world.advance(healed_at);
    for _ in 0..50 {
        site.run(site.world.load()).expect("the store");
    }
}

/// Polls a call once, so that it is sent, and lets time pass; it must not be answered.
fn unanswered(site: &Site, world: &rolloutctl::sim::SimWorld, name: &str) {
    let draft = draft(name);
    let mut call = pin!(world.create(&draft));
    let mut context = Context::from_waker(Waker::noop());
    for _ in 0..100 {
        assert!(call.as_mut().poll(&mut context).is_pending());
        site.pass(500);
    }
}

#[test]
fn a_controller_dies_at_the_call_that_was_named() {
    for (last, done) in [(LastCall::Done, 2), (LastCall::NotDone, 1)] {
        let site = site(Rates::NONE);
        let who = ControllerId(7);
        let world = site.world.seen_by(who);
        site.world.crash(who, CrashAt { calls: 2, last });
        site.run(world.create(&draft("a"))).expect("the first one");
        assert!(!site.world.view(|view| view.is_dead(who)));
        unanswered(&site, &world, "b");
        assert!(site.world.view(|view| view.is_dead(who)));
        assert_eq!(stored(&site), done);
        unanswered(&site, &world, "c");
        assert_eq!(stored(&site), done, "nothing is sent after that");
        site.run(site.world.create(&draft("d")))
            .expect("others live");
    }
}

#[test]
fn what_was_sent_happens_although_its_sender_is_gone() {
    let site = site(Rates::NONE);
    {
        let draft = draft("a");
        let mut call = pin!(site.world.create(&draft));
        let mut context = Context::from_waker(Waker::noop());
        assert!(call.as_mut().poll(&mut context).is_pending());
    }
    {
        let draft = draft("b");
        let _never_polled = site.world.create(&draft);
    }
    assert_eq!(stored(&site), 0);
    site.pass(1_000);
    assert_eq!(stored(&site), 1);
}

#[test]
fn hints_come_soon_unless_they_are_lost() {
    let heard = |lost: f64, late: f64, within: u64| {
        let site = Site::new(Setup {
            faults: FaultPlan {
                hints_lost: lost,
                hints_late: late,
                slow: Span::secs(5, 6),
                ..plan(Rates::NONE)
            },
            ..setup(1)
        });
        let mut hint = pin!(site.world.hint());
        let mut context = Context::from_waker(Waker::noop());
        assert!(hint.as_mut().poll(&mut context).is_pending());
        site.world.hand(&Hand::StackDeploy(1));
        site.pass(within);
        hint.as_mut().poll(&mut context).is_ready()
    };
    assert!(heard(0.0, 0.0, 40));
    assert!(!heard(1.0, 0.0, 60_000));
    assert!(!heard(0.0, 1.0, 4_000));
    assert!(heard(0.0, 1.0, 6_100));
}

#[test]
fn a_hint_that_comes_while_nobody_waits_is_answered_at_once() {
    let site = site(Rates::NONE);
    let mut context = Context::from_waker(Waker::noop());
    {
        let mut hint = pin!(site.world.hint());
        assert!(hint.as_mut().poll(&mut context).is_pending());
    }
    site.act(&Action::CreateService(service(&revision('1'), 1)))
        .expect("created");
    site.pass(100);
    let mut hint = pin!(site.world.hint());
    assert!(hint.as_mut().poll(&mut context).is_ready());
}
