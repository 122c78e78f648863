//! TRAFFIC-5: somebody serves, always.

use rolloutctl::action::{Action, ServerVerb};
use rolloutctl::api::{Revision, RolloutSpec, Step, Verb};
use rolloutctl::snapshot::{AdminState, CheckState, OperationalState, ServerName, TaskState};

use serde_json::{Value, json};

use crate::toy::{BACKEND, Checks, Toy, held, name, server_verbs, spec, staged};

/// v1 with so many tasks.
fn asked(replicas: u32) -> RolloutSpec {
    RolloutSpec {
        replicas,
        ..spec("v1")
    }
}

#[test]
fn traffic_5_the_last_server_stays_although_it_should_leave() {
    let mut toy = Toy::stable(spec("v1"));
    // Every node is lost: no task is ready, and the proxies still reach them.
    for node in toy.snapshot.nodes.values_mut() {
        node.ready = false;
    }
    let plan = toy.turn();
    assert_eq!(
        server_verbs(&plan.actions),
        [],
        "the last servers are left alone"
    );
}

#[test]
fn traffic_5_the_last_server_stays_until_a_new_one_has_passed_its_checks() {
    let mut toy = Toy::stable(spec("v1"));
    // Another hand has the Swarm replace all tasks: the new ones run, and are not checked yet.
    for task in toy.snapshot.tasks.values_mut() {
        task.desired = TaskState::Shutdown;
    }
    let old: Vec<_> = toy.snapshot.tasks.keys().cloned().collect();
    toy.start_tasks();
    for _ in 0..2 {
        let plan = toy.turn_of_proxies(Checks::Pending);
        let drained = server_verbs(&plan.actions);
        let goes = drained.iter().any(|(_, verb)| *verb == ServerVerb::Drain);
        assert!(!goes, "nobody else is known to serve: {drained:?}");
    }
    toy.turn_of_proxies(Checks::Pass);
    let plan = toy.turn_of_proxies(Checks::Pass);
    let drained = server_verbs(&plan.actions);
    for task in &old {
        let goes = |(name, verb): &(ServerName, ServerVerb)| {
            name.is_of(task) && *verb == ServerVerb::Drain
        };
        assert!(drained.iter().any(goes), "the others take over");
    }
}

#[test]
fn traffic_5_a_canary_relieves_the_last_servers_although_they_leave() {
    let mut toy = Toy::in_stage(held(spec("v2"), 50), 0);
    let (v1, v2, v3) = (toy.revision("v1"), toy.revision("v2"), toy.revision("v3"));
    toy.lose_tasks_of(&v1);
    toy.turns(20);
    toy.broken.insert(v3.clone());
    toy.apply(spec("v3"));
    toy.turns(20);
    assert_eq!(
        toy.share(&v2),
        [100.0, 100.0],
        "nobody else can serve: not even what was superseded is drained"
    );
    toy.broken.remove(&v3);
    toy.until("the canary takes over from what leaves", |toy| {
        toy.status.stable_revision == Some(v3.clone())
    });
    assert_eq!(toy.share(&v3), [100.0, 100.0]);
}

/// `spec` by rollover, with that gate before the switch.
fn gated(mut spec: RolloutSpec, gate: &Value) -> RolloutSpec {
    let strategy = json!({"blueGreen": {"prePromotion": gate}});
    spec.strategy = serde_json::from_value(strategy).expect("a strategy");
    spec
}

/// v2 had half of the traffic as stable went down, and is in a gate now that gives it none.
fn stands_in() -> (Toy, Revision, Revision) {
    let mut toy = Toy::in_stage(held(spec("v2"), 50), 0);
    let (v1, v2) = (toy.revision("v1"), toy.revision("v2"));
    are_checked(&mut toy, &v1, CheckState::Failed);
    toy.turns(2);
    toy.apply(gated(spec("v2"), &json!({"approval": true})));
    (toy, v1, v2)
}

#[test]
fn traffic_5_a_canary_that_serves_alone_goes_on_when_it_should_have_no_traffic_any_more() {
    let (mut toy, v1, v2) = stands_in();
    for _ in 0..20 {
        toy.turn();
        assert!(serves(&mut toy, &v2), "nobody else can");
    }
    assert_eq!(
        toy.said("keeps the traffic that it has"),
        2,
        "{:#?}",
        toy.status.events
    );
    are_checked(&mut toy, &v1, CheckState::Passed);
    toy.turns(2);
    assert_eq!(toy.share(&v2), [0.0, 0.0], "stable takes over");
}

#[test]
fn traffic_5_a_check_that_fails_once_is_not_the_end_of_who_serves_alone() {
    let (mut toy, _, v2) = stands_in();
    toy.turns(20);
    are_checked(&mut toy, &v2, CheckState::Failed);
    toy.turns(2);
    are_checked(&mut toy, &v2, CheckState::Passed);
    toy.turns(2);
    assert!(serves(&mut toy, &v2), "nobody else can");
}

#[test]
fn traffic_5_a_rollover_goes_on_from_a_canary_that_serves_alone() {
    let (mut toy, _, v2) = stands_in();
    toy.apply(gated(spec("v2"), &json!({})));
    toy.until("it is stable", |toy| {
        toy.status.stable_revision == Some(v2.clone())
    });
}

#[test]
fn traffic_5_a_rollover_goes_on_beside_the_last_server_that_should_leave() {
    let mut toy = Toy::in_stage(held(spec("v2"), 50), 0);
    let (v1, v2, v3) = (toy.revision("v1"), toy.revision("v2"), toy.revision("v3"));
    are_checked(&mut toy, &v1, CheckState::Failed);
    toy.turns(2);
    toy.apply(gated(spec("v3"), &json!({"approval": true})));
    toy.turn();
    toy.until("the gate is reached", |toy| {
        matches!(toy.status.step, Step::Running { .. })
    });
    assert!(serves(&mut toy, &v2), "nobody else may");
    toy.command(Verb::Promote);
    toy.until("it is stable", |toy| {
        toy.status.stable_revision == Some(v3.clone())
    });
}

#[test]
fn safety_3_what_serves_alone_and_is_weighed_anew_was_changed_by_no_other_hand() {
    let single = |image| RolloutSpec {
        replicas: 1,
        ..spec(image)
    };
    for next in [
        gated(single("v2"), &json!({})),
        staged(single("v2"), &json!([{"weight": 50}])),
    ] {
        let mut toy = Toy::stable(single("v1"));
        toy.apply(held(single("v2"), 50));
        toy.until("the stage begins", |toy| {
            matches!(toy.status.step, Step::Running { .. })
        });
        let (v1, v2) = (toy.revision("v1"), toy.revision("v2"));
        toy.lose_tasks_of(&v1);
        are_checked(&mut toy, &v1, CheckState::Failed);
        toy.turns(100);
        toy.apply(next);
        toy.until("it is stable", |toy| {
            toy.status.stable_revision == Some(v2.clone())
        });
        assert_eq!(toy.said("another hand changed the server"), 0);
    }
}

#[test]
fn traffic_5_a_server_that_is_trusted_unchecked_relieves_nobody() {
    let mut toy = Toy::stable(asked(2));
    let v1 = toy.revision("v1");
    // On one proxy a server was given its weight before its first check, as after a restart.
    let trusted = toy.server_of(&v1);
    let server = toy.server("lb-1", &trusted);
    server.check = CheckState::Pending;
    server.operational = OperationalState::Starting;
    // A look that shows only a part says that the other task is gone.
    toy.snapshot
        .tasks
        .retain(|_, task| trusted.ends_with(&task.id.0[..12]));
    let plan = toy.turn_of_proxies(Checks::Pending);
    let on_the_first = plan.actions.iter().filter(|action| {
        matches!(action, Action::ChangeServers(changes) if changes.instance.as_str() == "lb-1")
    });
    assert_eq!(on_the_first.count(), 0, "{:#?}", plan.actions);
}

/// Whether every proxy has a server of `revision` that is up and takes requests.
fn serves(toy: &mut Toy, revision: &Revision) -> bool {
    toy.proxies().all(|proxy| {
        let mut servers = proxy.backends[BACKEND].iter();
        servers.any(|(name, fact)| {
            let is_up = fact.admin == AdminState::Ready && fact.check == CheckState::Passed;
            name.starts_with(revision.as_str()) && is_up && !fact.weight.is_zero()
        })
    })
}

/// What the checks of all servers of `revision` say on every proxy.
fn are_checked(toy: &mut Toy, revision: &Revision, check: CheckState) {
    for proxy in toy.proxies() {
        let servers = proxy.backends.get_mut(BACKEND).expect("the backend");
        for (_, server) in servers
            .iter_mut()
            .filter(|(name, _)| name.starts_with(revision.as_str()))
        {
            server.check = check;
            server.operational = match check {
                CheckState::Failed => OperationalState::Stopped,
                CheckState::Passed | CheckState::Pending | CheckState::Disabled => {
                    OperationalState::Running
                }
            };
        }
    }
}

#[test]
fn traffic_1_who_leaves_and_stays_as_nobody_was_checked_has_no_larger_part() {
    let stage = json!([{"weight": 33, "replicas": 3, "approval": true}]);
    let mut toy = Toy::in_stage(staged(spec("v2"), &stage), 0);
    let v2 = toy.revision("v2");
    toy.reload("lb-1");
    toy.turn_of_proxies(Checks::Pending);
    let before = toy.share(&v2)[0];
    assert!((32.0..=34.0).contains(&before), "on trust: {before}");
    let service = toy.service(&v2.service_name(&name("news-web"))).id.clone();
    let mut tasks = toy.snapshot.tasks.values_mut();
    let stopped = tasks.find(|task| task.service == service).expect("a task");
    stopped.desired = TaskState::Shutdown;
    for _ in 0..3 {
        toy.turn_of_proxies(Checks::Pending);
        let now = toy.share(&v2)[0];
        assert!(now <= before, "{now} % is above {before} %");
    }
    toy.turns(4);
    let after = toy.share(&v2);
    assert!((after[0] - after[1]).abs() < 1.0, "{after:?}");
}
