//! SAFETY-7: what a rollout owns is drained, removed and forgotten, in this order.

use rolloutctl::action::Action;
use rolloutctl::api::{Dependents, Step, WaitingOn};

use crate::toy::{BACKEND, Toy, name, spec};

#[test]
fn safety_7_a_deletion_drains_then_removes_then_forgets() {
    let mut toy = Toy::stable(spec("v1"));
    toy.open_requests = 2;
    toy.delete(Dependents::Remove);
    toy.turn();
    assert_eq!(
        toy.snapshot.services.len(),
        1,
        "not before its servers are drained"
    );
    toy.until("it is forgotten", |toy| toy.forgotten);
    assert!(toy.snapshot.services.is_empty());
    assert!(
        toy.proxies()
            .all(|proxy| proxy.backends[BACKEND].is_empty())
    );
}

#[test]
fn safety_7_an_orphaning_deletion_leaves_everything() {
    let mut toy = Toy::stable(spec("v1"));
    toy.delete(Dependents::Orphan);
    let plan = toy.turn();
    assert_eq!(plan.actions, [Action::Forget]);
}

#[test]
fn safety_7_a_backend_that_is_gone_does_not_hold_a_deletion() {
    let mut toy = Toy::stable(spec("v1"));
    for proxy in toy.proxies() {
        proxy.backends.clear();
    }
    toy.delete(Dependents::Remove);
    toy.until("it is forgotten", |toy| toy.forgotten);
    assert!(toy.snapshot.services.is_empty());
}

#[test]
fn safety_7_a_load_balancer_that_is_gone_holds_the_deletion_and_is_named() {
    let mut toy = Toy::stable(spec("v1"));
    let v1 = toy.revision("v1");
    let edge = toy.snapshot.load_balancers.remove("edge");
    toy.delete(Dependents::Remove);
    toy.turns(100);
    assert!(!toy.forgotten);
    assert_eq!(toy.replicas(&v1), Some(6), "HAProxy may send it requests");
    let gone = WaitingOn::LoadBalancer {
        load_balancer: name("edge"),
    };
    assert_eq!(toy.status.waiting_on, Some(gone));
    for part in [
        "`edge`",
        "apply",
        "rolloutctl delete rollout/news-web --orphan",
    ] {
        let message = &toy.status.message;
        assert!(message.contains(part), "no {part:?} in {message}");
    }
    let before = toy.status.clone();
    let plan = toy.turn();
    assert_eq!((plan.actions, plan.status), (vec![], before), "SAFETY-5");

    toy.snapshot
        .load_balancers
        .insert(name("edge"), edge.expect("the load balancer"));
    toy.until("it is forgotten", |toy| toy.forgotten);
    assert!(toy.snapshot.services.is_empty());
    let mut proxies = toy.proxies();
    assert!(proxies.all(|proxy| proxy.backends[BACKEND].is_empty()));
}

#[test]
fn safety_7_without_its_load_balancer_a_rollout_can_be_let_go_of() {
    let mut toy = Toy::stable(spec("v1"));
    toy.snapshot.load_balancers.clear();
    toy.delete(Dependents::Remove);
    toy.turns(3);
    toy.delete(Dependents::Orphan);
    assert_eq!(toy.turn().actions, [Action::Forget]);
}

#[test]
fn safety_7_instances_that_do_not_answer_hold_the_deletion_and_the_first_is_named() {
    let mut toy = Toy::stable(spec("v1"));
    let v1 = toy.revision("v1");
    toy.cut_off("lb-1");
    toy.cut_off("lb-2");
    toy.delete(Dependents::Remove);
    toy.turns(3);
    toy.wait(spec("v1").drain_timeout());
    toy.turns(100);
    assert_eq!(toy.replicas(&v1), Some(6), "HAProxy may send it requests");
    assert!(
        matches!(&toy.status.waiting_on, Some(WaitingOn::Instance { instance, .. }) if instance.as_str() == "lb-1"),
        "{:?}",
        toy.status.waiting_on
    );
}

#[test]
fn safety_7_a_load_balancer_without_instances_holds_the_deletion() {
    let mut toy = Toy::stable(spec("v1"));
    let edge = toy.snapshot.load_balancers.get_mut("edge");
    edge.expect("the load balancer").clear();
    toy.delete(Dependents::Remove);
    toy.turns(100);
    assert!(!toy.forgotten && toy.snapshot.services.len() == 1);
}

#[test]
fn safety_7_a_rollout_that_was_never_carried_out_is_forgotten_at_once() {
    let mut toy = Toy::new(spec("v1"));
    toy.snapshot.load_balancers.clear();
    toy.delete(Dependents::Remove);
    assert_eq!(toy.turn().actions, [Action::Forget]);
}

#[test]
fn safety_7_a_rollout_that_is_being_deleted_has_no_attempt_under_way() {
    let mut toy = Toy::in_stage(spec("v2"), 0);
    toy.delete(Dependents::Remove);
    toy.turn();
    assert_eq!(toy.status.step, Step::Idle);
    assert_eq!(toy.status.weight, 0);
}
