//! TRAFFIC rules.

use proptest::prelude::*;
use rolloutctl::api::{Phase, Share, Step};
use rolloutctl::plan::traffic::{achieved, apportion};
use rolloutctl::snapshot::{AdminState, CheckState, OperationalState};

use crate::toy::{BACKEND, Checks, Toy, held, name, spec};

#[test]
fn traffic_1_without_a_ready_canary_the_share_is_nothing() {
    let mut toy = Toy::stable(spec("v1"));
    let v2 = toy.revision("v2");
    toy.broken.insert(v2.clone());
    toy.apply(spec("v2"));
    toy.turns(50);
    assert_eq!(toy.share(&v2), [0.0, 0.0]);
    assert_eq!(toy.status.step, Step::Scaling);
}

proptest! {
    #[test]
    fn traffic_2_no_other_integers_are_nearer(percent in 1_u8..100, stables in 1_u32..40, canaries in 1_u32..40) {
        let share = Share::percent(percent);
        let chosen = achieved(apportion(share, stables, canaries), stables, canaries).as_percent();
        let error = (chosen - share.as_percent()).abs();
        let (s, c) = (f64::from(stables), f64::from(canaries));
        let wanted = f64::from(percent) / 100.0;
        for stable in 1..=256_u32 {
            // The share rises with the canary's weight: only the two integers around the ideal count.
            let ideal = wanted * s * f64::from(stable) / ((1.0 - wanted) * c);
            for canary in [ideal.floor(), ideal.ceil()] {
                let (stable, canary) = (f64::from(stable) * s, canary.clamp(1.0, 256.0) * c);
                let other = (100.0 * canary / (canary + stable) - share.as_percent()).abs();
                prop_assert!(error <= other + 1e-9, "{canary}:{stable} gives {other}, chosen {chosen}");
            }
        }
    }
}

#[test]
fn traffic_3_a_stage_begins_only_when_every_instance_shows_it() {
    let mut toy = Toy::stable(spec("v1"));
    toy.apply(spec("v2"));
    let mut before = toy.snapshot.load_balancers.clone();
    while toy.status.step != Step::Shifting {
        before.clone_from(&toy.snapshot.load_balancers);
        toy.turn();
    }
    // An acknowledgement is not evidence: one proxy did not do what it was told.
    let lb_2 = name("lb-2");
    let unchanged = before["edge"][&lb_2].clone();
    let instances = toy.snapshot.load_balancers.get_mut("edge");
    instances
        .expect("the load balancer")
        .insert(lb_2, unchanged);
    let plan = toy.plan();
    assert_eq!(
        plan.status.step,
        Step::Shifting,
        "one instance shows the old weights"
    );
    toy.turns(2);
    assert!(toy.status.stage > 0 || matches!(toy.status.step, Step::Running { .. }));
}

#[test]
fn traffic_3_an_instance_that_does_not_answer_holds_the_stage() {
    let mut toy = Toy::stable(spec("v1"));
    toy.cut_off("lb-2");
    toy.apply(spec("v2"));
    toy.turns(100);
    assert_eq!((toy.status.step, toy.status.stage), (Step::Scaling, 0));
    let waiting = toy
        .status
        .waiting_on
        .as_ref()
        .map(ToString::to_string)
        .unwrap_or_default();
    assert!(
        waiting.contains("lb-2") && waiting.contains("connection refused"),
        "{waiting}"
    );
}

#[test]
fn traffic_6_a_restarted_proxy_gets_its_whole_state_in_one_turn() {
    let mut toy = Toy::in_stage(held(spec("v2"), 33), 0);
    let v2 = toy.revision("v2");
    let proxy = toy.proxies().next().expect("a proxy");
    proxy.pid = 2;
    proxy
        .backends
        .get_mut(BACKEND)
        .expect("the backend")
        .clear();
    toy.turn();
    for share in toy.share(&v2) {
        assert!((share - 33.0).abs() < 0.1, "share {share}");
    }
    assert!(
        matches!(toy.status.step, Step::Running { .. }),
        "the stage goes on"
    );
}

#[test]
fn traffic_1_a_restarted_proxy_gives_nothing_to_a_canary_that_fails_its_checks_elsewhere() {
    let mut toy = Toy::in_stage(held(spec("v2"), 33), 0);
    let v2 = toy.revision("v2");
    let mut proxies = toy.proxies();
    let restarted = proxies.next().expect("a proxy");
    restarted.pid = 2;
    restarted
        .backends
        .get_mut(BACKEND)
        .expect("the backend")
        .clear();
    let other = proxies.next().expect("another proxy");
    let servers = other.backends.get_mut(BACKEND).expect("the backend");
    for (name, server) in servers.iter_mut() {
        if name.starts_with(v2.as_str()) {
            server.check = CheckState::Failed;
        }
    }
    drop(proxies);
    toy.turn();
    assert_eq!(toy.share(&v2)[0].to_bits(), 0.0_f64.to_bits());
}

/// The canary's share on lb-1, which was restarted, before its checks there, and after one of them has failed `on` a proxy.
fn distrusted(on: &str) -> (f64, f64) {
    let mut toy = Toy::in_stage(held(spec("v2"), 50), 0);
    let v2 = toy.revision("v2");
    let server = toy.server_of(&v2);
    toy.reload("lb-1");
    toy.turn_of_proxies(Checks::Pending);
    let on_trust = toy.share(&v2)[0];
    toy.server(on, &server).check = CheckState::Failed;
    toy.turn_of_proxies(Checks::Pending);
    (on_trust, toy.share(&v2)[0])
}

#[test]
fn traffic_1_weight_on_trust_ends_when_a_check_of_the_canary_fails_elsewhere() {
    let (on_trust, after) = distrusted("lb-2");
    assert!((on_trust - 50.0).abs() < 0.1, "share {on_trust}");
    assert!(after.abs() < 0.1, "share {after}");
}

#[test]
fn traffic_1_a_canary_whose_check_fails_speaks_for_those_that_are_not_checked_yet() {
    let (on_trust, after) = distrusted("lb-1");
    assert!((on_trust - 50.0).abs() < 0.1, "share {on_trust}");
    assert!(after.abs() < 0.1, "share {after}");
}

#[test]
fn traffic_7_foreign_servers_are_left_alone() {
    let mut toy = Toy::new(spec("v1"));
    for proxy in toy.proxies() {
        let foreign = rolloutctl::snapshot::ServerFact {
            endpoint: None,
            admin: AdminState::Ready,
            operational: OperationalState::Running,
            unchanged_secs: 60,
            check: CheckState::Disabled,
            weight: rolloutctl::api::ServerWeight::EVEN,
            sessions: 1,
        };
        proxy
            .backends
            .get_mut(BACKEND)
            .expect("the backend")
            .insert("static-1".into(), foreign);
    }
    toy.until("it is stable", |toy| toy.status.phase == Phase::Healthy);
    toy.apply(spec("v2"));
    toy.until("it is stable again", |toy| {
        toy.status.phase == Phase::Healthy && toy.status.observed_generation == 2
    });
    for proxy in toy.proxies() {
        let foreign = &proxy.backends[BACKEND]["static-1"];
        assert_eq!(
            (foreign.admin, foreign.weight.get()),
            (AdminState::Ready, 100)
        );
    }
}

#[test]
fn traffic_1_a_stable_that_comes_back_by_itself_meets_a_canary_of_little_weight() {
    let mut toy = Toy::in_stage(held(spec("v2"), 5), 0);
    let v2 = toy.revision("v2");
    let is_stable = |server: &str| !server.starts_with(v2.as_str());
    for (check, operational) in [
        (CheckState::Failed, OperationalState::Stopped),
        (CheckState::Passed, OperationalState::Running),
    ] {
        for proxy in toy.proxies() {
            let servers = proxy.backends.get_mut(BACKEND).expect("the backend");
            for (_, fact) in servers.iter_mut().filter(|(server, _)| is_stable(server)) {
                (fact.check, fact.operational) = (check, operational);
            }
        }
        if check == CheckState::Failed {
            toy.turns(2);
        }
    }
    for share in toy.share(&v2) {
        assert!(share <= 5.1, "{share} % before anybody has looked");
    }
}
