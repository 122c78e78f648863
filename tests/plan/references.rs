//! References that cannot be found while a rollout is under way: what serves is kept, what is
//! tried stands still, and traffic can always be taken back.

use rolloutctl::api::{
    CommandOutcome, ConditionStatus, ConditionType, Duration, Phase, Step, Strategy, Verb,
    WaitingOn,
};
use rolloutctl::snapshot::{TaskId, TaskState};

use crate::toy::{Toy, measured, name, spec};

/// A rollout that is held at stage 1 because its metric source was deleted.
fn without_source() -> Toy {
    let mut toy = Toy::in_stage(held(measured("v2")), 1);
    toy.resources.metric_sources.clear();
    toy.turn();
    toy
}

/// The same with a long bake in every stage but the first.
fn held(mut spec: rolloutctl::api::RolloutSpec) -> rolloutctl::api::RolloutSpec {
    spec.analysis.as_mut().expect("an analysis").interval = Some(Duration::from_secs(1));
    let Strategy::Canary(canary) = &mut spec.strategy else {
        panic!("a canary");
    };
    canary.stages[1].bake = Some(Duration::from_secs(600));
    spec
}

fn is_invalid(toy: &Toy) -> bool {
    let conditions = toy.status.conditions.iter();
    conditions
        .filter(|condition| condition.kind == ConditionType::InvalidSpec)
        .any(|condition| condition.status == ConditionStatus::True)
}

#[test]
fn safety_3_a_missing_metric_source_is_said_and_nothing_goes_on() {
    let mut toy = without_source();
    assert!(is_invalid(&toy));
    assert_eq!(toy.status.phase, Phase::Degraded);
    assert_eq!(toy.status.waiting_on, Some(WaitingOn::Spec));
    assert!(
        toy.status.message.contains("`main`"),
        "{}",
        toy.status.message
    );
    toy.wait(Duration::from_secs(3600));
    toy.turns(50);
    assert_eq!((toy.status.stage, toy.status.weight), (1, 33));
    toy.resources = crate::toy::resources();
    toy.until("it goes on to the end", |toy| {
        toy.status.phase == Phase::Healthy
    });
    assert!(!is_invalid(&toy));
}

#[test]
fn traffic_4_a_server_is_drained_and_replaced_although_a_metric_source_is_missing() {
    let mut toy = without_source();
    let v1 = toy.revision("v1").service_name(&name("news-web"));
    let service = toy.service(&v1).id.clone();
    let tasks = toy.snapshot.tasks.values();
    let victim: TaskId = tasks
        .filter(|task| task.service == service)
        .map(|task| task.id.clone())
        .next()
        .expect("a task");
    let task = toy.snapshot.tasks.get_mut(&victim).expect("the task");
    task.desired = TaskState::Shutdown;
    toy.turns(10);
    let gone = |name: &String| name.contains(&victim.0[..12]);
    for proxy in toy.proxies() {
        let servers = &proxy.backends[crate::toy::BACKEND];
        assert!(
            !servers.keys().any(gone),
            "the server of a task that is gone stays"
        );
        let stable = servers.values().filter(|server| !server.weight.is_zero());
        assert_eq!(
            stable.count(),
            6 + 2,
            "six stable tasks and the canary's two"
        );
    }
}

#[test]
fn abort_1_an_abort_works_although_a_metric_source_is_missing() {
    let mut toy = without_source();
    let (v1, v2) = (toy.revision("v1"), toy.revision("v2"));
    toy.command(Verb::Abort);
    toy.turn();
    assert_eq!(toy.share(&v1), [100.0, 100.0]);
    toy.until("the canary is gone", |toy| toy.replicas(&v2) == Some(0));
    assert_eq!(toy.status.phase, Phase::Degraded);
}

#[test]
fn progress_3_going_back_to_stable_needs_no_metric_source() {
    let mut toy = without_source();
    let v1 = toy.revision("v1");
    toy.apply(measured("v1"));
    toy.turn();
    assert_eq!(toy.share(&v1), [100.0, 100.0]);
    assert_eq!(toy.status.step, Step::Idle);
}

#[test]
fn progress_6_a_promotion_is_refused_while_a_metric_source_is_missing() {
    for verb in [Verb::Promote, Verb::PromoteFull, Verb::Resume, Verb::Retry] {
        let mut toy = without_source();
        toy.command(verb);
        toy.turn();
        let record = toy.status.last_command.as_ref().expect("a record");
        let CommandOutcome::Refused(reason) = &record.outcome else {
            panic!("{verb} was carried out");
        };
        assert!(reason.contains("`main`"), "{reason}");
        assert_eq!(toy.status.weight, 33);
    }
}

#[test]
fn safety_4_nothing_begins_without_its_metric_source() {
    let mut toy = Toy::new(measured("v1"));
    toy.resources.metric_sources.clear();
    toy.turns(5);
    assert!(toy.snapshot.services.is_empty());
    let mut toy = Toy::stable(spec("v1"));
    toy.resources.metric_sources.clear();
    toy.apply(measured("v2"));
    toy.turns(5);
    assert_eq!(toy.status.canary_revision, None);
    assert!(is_invalid(&toy));
}

#[test]
fn progress_6_a_command_for_a_rollout_whose_back_end_is_taken_is_refused() {
    let mut toy = Toy::new(spec("v1"));
    toy.resources.load_balancers.clear();
    toy.command(Verb::Abort);
    toy.turn();
    let record = toy.status.last_command.as_ref().expect("a record");
    assert!(
        matches!(&record.outcome, CommandOutcome::Refused(reason) if reason.contains("`edge`"))
    );
}
