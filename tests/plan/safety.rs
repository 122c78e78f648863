//! SAFETY rules.

use rolloutctl::action::{Action, ServerVerb};
use rolloutctl::api::{ConditionStatus, ConditionType, Duration, OnFailure, Phase, Verb};
use rolloutctl::plan::SpecProblem;

use crate::toy::{BACKEND, Toy, held, name, server_verbs, spec, staged};

fn hazards(toy: &Toy, actions: &[Action]) -> usize {
    let canary = toy.status.canary_revision.clone();
    let raises = server_verbs(actions).iter().any(|(server, verb)| {
        matches!(verb, ServerVerb::Weigh(w) if !w.is_zero())
            && canary.as_ref() == Some(server.revision())
    });
    let others = actions.iter().filter(|action| match action {
        Action::ScaleService { service, replicas } => toy
            .snapshot
            .services
            .get(&service.name)
            .is_some_and(|now| now.replicas > *replicas),
        Action::RemoveService { .. } | Action::RestoreService { .. } => true,
        _ => false,
    });
    others.count() + usize::from(raises)
}

#[test]
fn safety_1_a_turn_that_is_repeated_plans_the_same() {
    let mut toy = Toy::stable(spec("v1"));
    toy.apply(spec("v2"));
    for _ in 0..200 {
        let first = toy.plan();
        assert_eq!(first, toy.plan());
        // The status was stored and the controller died before it acted: the actions come again.
        let mut after_crash = toy.status.clone();
        std::mem::swap(&mut after_crash, &mut toy.status);
        toy.status = first.status.clone();
        let second = toy.plan();
        for action in &first.actions {
            if !matches!(action, Action::Measure(_)) && first.status.step == second.status.step {
                assert!(
                    second.actions.contains(action),
                    "{action:?} is lost by a crash"
                );
            }
        }
        toy.status = after_crash;
        toy.turn();
    }
}

#[test]
fn safety_2_at_most_one_hazard_in_a_turn() {
    let mut toy = Toy::stable(spec("v1"));
    for image in ["v2", "v3", "v2", "v4"] {
        let mut next = spec(image);
        next.revision_history_limit = 0;
        toy.apply(next);
        for _ in 0..12 {
            let plan = toy.plan();
            let before = hazards(&toy, &plan.actions);
            assert!(before <= 1, "{:?}", plan.actions);
            toy.turn();
        }
    }
}

/// A rollout from v2 to v3 whose first share grows although v3's own servers keep their weight: of 4 and 4
/// servers, 25 % is one to three, and 50 % one to one.
fn after(turns: u32) -> Toy {
    let mut toy = Toy::stable(spec("v1"));
    let mut next = spec("v2");
    next.replicas = 4;
    toy.apply(next);
    toy.until("v2 is stable", |toy| {
        toy.status.phase == Phase::Healthy && toy.status.observed_generation == 2
    });
    let stages = serde_json::json!([{"weight": 25, "replicas": 4}, {"weight": 50, "replicas": 4}]);
    let mut last = staged(spec("v3"), &stages);
    last.replicas = 4;
    toy.apply(last);
    toy.turns(turns);
    toy
}

#[test]
fn safety_2_a_share_that_grows_by_less_weight_for_stable_is_a_hazard() {
    let mut raised = 0;
    for turns in 0..60 {
        let mut toy = after(turns);
        // Now v1's service, which is kept, is to be removed.
        toy.spec.revision_history_limit = 0;
        toy.generation += 1;
        let v3 = toy.revision("v3");
        let before = toy.share(&v3);
        let plan = toy.turn();
        let grows = before
            .iter()
            .zip(toy.share(&v3))
            .any(|(old, new)| new > *old);
        let removes = |action: &Action| matches!(action, Action::RemoveService { .. });
        let others = plan.actions.iter().filter(|action| removes(action)).count();
        assert!(
            usize::from(grows) + others <= 1,
            "{turns}: {:?}",
            plan.actions
        );
        raised += u32::from(grows);
    }
    assert!(raised >= 3, "the share grew {raised} times");
}

#[test]
fn safety_3_what_another_hand_changed_is_put_back() {
    let mut toy = Toy::stable(spec("v1"));
    let v1 = toy.revision("v1");
    let service = v1.service_name(&name("news-web"));
    toy.service(&service).replicas = 2;
    toy.service(&service).drift = Some("image: evil instead of v1".into());
    for proxy in toy.proxies() {
        let servers = proxy.backends.get_mut(BACKEND).expect("the backend");
        servers.values_mut().next().expect("a server").weight =
            rolloutctl::api::ServerWeight::new(7);
    }
    toy.turns(5);
    assert_eq!(toy.replicas(&v1), Some(6));
    assert_eq!(toy.snapshot.services[&service].drift, None);
    assert_eq!(toy.said("changed the service"), 1);
    assert_eq!(toy.said("image: evil instead of v1"), 1);
    assert_eq!(toy.said("scaled the service"), 1);
    assert_eq!(toy.said("changed the server"), 2, "one on each instance");
    for proxy in toy.proxies() {
        assert!(
            proxy.backends[BACKEND]
                .values()
                .all(|server| server.weight.get() == 100)
        );
    }
}

#[test]
fn safety_3_a_service_that_another_hand_removed_is_made_again() {
    let mut toy = Toy::stable(spec("v1"));
    let v1 = toy.revision("v1");
    toy.snapshot.services.clear();
    toy.turns(2);
    assert_eq!(toy.replicas(&v1), Some(6));
    assert_eq!(toy.said("another hand removed the service"), 1);
}

#[test]
fn safety_3_a_service_that_does_not_stay_put_back_is_not_written_in_every_turn() {
    let mut toy = Toy::stable(spec("v1"));
    let service = toy.revision("v1").service_name(&name("news-web"));
    let mut restores = 0;
    // Four minutes in turns of 100 ms; whatever is done, the drift comes back.
    for _ in 0..2_400 {
        toy.service(&service).drift = Some("image: evil instead of v1".into());
        toy.turn();
        let is_restore = |action: &&Action| matches!(action, Action::RestoreService { .. });
        if toy.last.iter().any(|action| is_restore(&action)) {
            restores += 1;
            toy.service(&service).version += 1;
        }
    }
    assert!(
        (8..=14).contains(&restores),
        "every 30 s after a few quick tries, not {restores} times"
    );
    assert_eq!(toy.said("changed the service"), 1, "said once");
    assert_eq!(toy.said("find out what changes it"), 1, "and once more");
    toy.service(&service).drift = None;
    toy.wait(Duration::from_secs(31));
    toy.turns(2);
    toy.service(&service).drift = Some("image: evil instead of v1".into());
    toy.turn();
    assert_eq!(toy.said("another hand changed the service"), 2, "afresh");
}

#[test]
fn safety_3_a_restore_that_was_decided_and_not_done_is_planned_again() {
    let mut toy = Toy::stable(spec("v1"));
    let service = toy.revision("v1").service_name(&name("news-web"));
    toy.service(&service).drift = Some("image: evil instead of v1".into());
    let decided = toy.plan();
    toy.status = decided.status.clone();
    assert_eq!(toy.plan().actions, decided.actions);
}

#[test]
fn safety_3_a_server_that_another_hand_drained_or_weighed_is_said_and_put_back() {
    let mut toy = Toy::in_stage(spec("v2"), 1);
    let (v1, v2) = (toy.revision("v1"), toy.revision("v2"));
    let settled = toy.share(&v2);
    toy.command(Verb::Pause);
    toy.turns(3);
    let first_of = |toy: &mut Toy, revision: &rolloutctl::api::Revision| {
        let proxy = toy.proxies().next().expect("a proxy");
        let servers = proxy.backends.get_mut(BACKEND).expect("the backend");
        let key = servers
            .keys()
            .find(|name| name.starts_with(revision.as_str()));
        key.expect("a server").clone()
    };
    let (stable, canary) = (first_of(&mut toy, &v1), first_of(&mut toy, &v2));
    toy.server("lb-1", &stable).admin = rolloutctl::snapshot::AdminState::Drain;
    toy.turn();
    assert_eq!(toy.said(&format!("changed the server {stable} on lb-1")), 1);
    toy.turns(2);
    toy.server("lb-1", &canary).weight = rolloutctl::api::ServerWeight::new(250);
    toy.turn();
    assert_eq!(toy.said(&format!("changed the server {canary} on lb-1")), 1);
    toy.turns(3);
    assert_eq!(toy.share(&v2), settled);
    assert_eq!(toy.said("another hand"), 2, "{:?}", toy.status.events);
}

#[test]
fn safety_3_our_own_changes_are_not_taken_for_another_hands() {
    let mut toy = Toy::stable(spec("v1"));
    for image in ["v2", "v3", "v2", "v1", "v4"] {
        let mut next = spec(image);
        next.replicas = if image == "v2" { 4 } else { 7 };
        toy.apply(next);
        toy.turns(40);
        let task = toy.snapshot.tasks.keys().next().expect("a task").clone();
        toy.snapshot.tasks.remove(&task);
        toy.turns(7);
        // A restart of one proxy.
        let proxy = toy.proxies().next().expect("a proxy");
        proxy
            .backends
            .get_mut(BACKEND)
            .expect("the backend")
            .clear();
        toy.turns(20);
        if image == "v3" {
            toy.command(Verb::Abort);
            toy.turns(10);
        }
    }
    assert_eq!(toy.said("another hand"), 0, "{:#?}", toy.status.events);
}

#[test]
fn safety_4_a_rollout_that_claims_what_another_has_touches_nothing() {
    let mut toy = Toy::new(spec("v1"));
    toy.problem = Some(SpecProblem::Claimed {
        owner: name("first"),
        load_balancer: name("edge"),
        backend: BACKEND.into(),
    });
    let plan = toy.plan();
    assert_eq!(plan.actions, []);
    let invalid = plan
        .status
        .conditions
        .iter()
        .find(|c| c.kind == ConditionType::InvalidSpec)
        .expect("a condition");
    assert_eq!(invalid.status, ConditionStatus::True);
    assert_eq!(plan.status.phase, Phase::Degraded);
}

#[test]
fn safety_5_a_steady_state_plans_nothing() {
    let mut toy = Toy::stable(spec("v1"));
    toy.apply(spec("v2"));
    toy.until("all is well", |toy| {
        toy.status.observed_generation == 2 && toy.status.phase == Phase::Healthy
    });
    toy.turns(3);
    for _ in 0..100 {
        let before = toy.status.clone();
        let plan = toy.turn();
        assert_eq!(
            (plan.actions, plan.status, plan.requeue_at),
            (vec![], before, None)
        );
    }
}

#[test]
fn safety_5_an_aborted_rollout_comes_to_rest() {
    let mut toy = Toy::in_stage(spec("v2"), 0);
    toy.command(Verb::Abort);
    toy.turns(50);
    let before = toy.status.clone();
    let plan = toy.turn();
    assert_eq!((plan.actions, plan.status), (vec![], before));
    assert_eq!(toy.spec.on_failure, OnFailure::Rollback);
}

#[test]
fn a_rollout_cannot_move_to_another_backend_while_it_has_servers() {
    let mut toy = Toy::stable(spec("v1"));
    let mut moved = spec("v1");
    moved.traffic.as_mut().expect("traffic").backend = "elsewhere".into();
    toy.apply(moved);
    let plan = toy.turn();
    assert_eq!(plan.actions, []);
    assert!(
        plan.status.message.contains(BACKEND),
        "{}",
        plan.status.message
    );
    toy.apply(spec("v1"));
    toy.turns(3);
    assert_eq!(toy.status.phase, Phase::Healthy);
}

#[test]
fn abort_1_works_although_the_spec_names_another_backend() {
    let mut toy = Toy::in_stage(held(spec("v2"), 50), 0);
    let v2 = toy.revision("v2");
    let mut moved = held(spec("v2"), 50);
    moved.traffic.as_mut().expect("traffic").backend = "typo".into();
    moved.traffic.as_mut().expect("traffic").load_balancer = name("another");
    toy.apply(moved);
    toy.turns(3);
    assert_eq!(toy.share(&v2), [50.0, 50.0], "what serves is kept");
    toy.fail_task();
    toy.turns(20);
    assert_eq!(toy.share(&v2), [50.0, 50.0], "and mended");
    toy.command(Verb::Abort);
    toy.turns(1);
    assert_eq!(toy.share(&v2), [0.0, 0.0]);
    toy.until("its service is stopped", |toy| toy.replicas(&v2) == Some(0));
}

#[test]
fn a_proxy_that_does_not_answer_is_not_told_as_missing_tasks() {
    let mut toy = Toy::stable(spec("v1"));
    toy.cut_off("lb-2");
    toy.turns(3);
    let conditions = toy.status.conditions.iter();
    let mut available = conditions.filter(|condition| condition.kind == ConditionType::Available);
    let available = available.next().expect("the condition");
    assert_eq!(available.status, ConditionStatus::Unknown);
    assert!(
        !toy.status.message.contains("tasks"),
        "{}",
        toy.status.message
    );
}

#[test]
fn safety_4_who_has_servers_in_a_backend_comes_before_who_wants_some() {
    use rolloutctl::plan::{Claim, Claims};
    let mut resources = crate::toy::resources();
    let (first, second) = (name("first"), name("second"));
    let at = |second| jiff::Timestamp::from_second(second).expect("an instant");
    let route = spec("v1").route().expect("a route");
    let mut claims = Claims::default();
    claims.add(&first, at(1), route.clone(), Claim::Wants);
    claims.add(&second, at(2), route, Claim::Holds);
    resources.claims = claims;
    assert!(resources.resolve(&second, &spec("v1"), None).is_ok());
    let refused = resources.resolve(&first, &spec("v1"), None);
    assert!(matches!(refused, Err(SpecProblem::Claimed { owner, .. }) if owner == second));
}

/// What v2's service is asked for in a plan.
fn asked_of(toy: &Toy, service: &str) -> Option<u32> {
    toy.plan()
        .actions
        .into_iter()
        .find_map(|action| match action {
            Action::ScaleService {
                service: target,
                replicas,
            } if target.name == service => Some(replicas),
            _ => None,
        })
}

#[test]
fn safety_3_a_service_whose_tasks_the_swarm_forgot_to_stop_is_written_again() {
    let mut toy = Toy::stable(spec("v1"));
    let name = toy.snapshot.services.keys().next().expect("one").clone();
    let one_less = toy.spec.replicas - 1;
    toy.service(&name).replicas = one_less;
    toy.service(&name).changed_at = toy.now;
    toy.spec.replicas = one_less;
    assert_eq!(
        asked_of(&toy, &name),
        None,
        "the Swarm is about to stop one"
    );
    toy.wait(Duration::from_secs(30));
    assert_eq!(asked_of(&toy, &name), Some(one_less));
    toy.service(&name).changed_at = toy.now;
    assert_eq!(asked_of(&toy, &name), None, "it was written just now");
}

#[test]
fn safety_1_large_templates_leave_a_status_room_to_be_stored() {
    let image = |number: u32| format!("v{number}:{}", "a".repeat(60_000));
    let release = |number: u32| {
        let mut spec = staged(spec(&image(number)), &serde_json::json!([{"weight": 50}]));
        spec.revision_history_limit = 50;
        spec
    };
    let mut toy = Toy::stable(release(1));
    for number in 2..12 {
        toy.apply(release(number));
        let wanted = toy.revision(&image(number));
        toy.until("it is stable", |toy| {
            toy.status.stable_revision.as_ref() == Some(&wanted)
        });
        let size = serde_json::to_vec(&toy.status).expect("a status").len();
        assert!(size < 448 * 1024, "{size} bytes and the spec");
    }
    assert!(
        toy.status.revisions.len() >= 3,
        "what there is room for stays"
    );
}
