//! PROGRESS rules.

use std::collections::BTreeMap;

use rolloutctl::action::Action;
use rolloutctl::api::{
    AttemptOutcome, CommandOutcome, OnFailure, PauseReason, Phase, ServerWeight, Step, Verb,
    WaitingOn,
};
use rolloutctl::snapshot::{AdminState, CheckState};

use crate::toy::{Checks, Toy, held, spec, staged};

#[test]
fn progress_1_the_first_revision_goes_straight_to_healthy() {
    let mut toy = Toy::new(spec("v1"));
    toy.until("it is healthy", |toy| toy.status.phase == Phase::Healthy);
    let v1 = toy.revision("v1");
    assert_eq!(
        (toy.status.attempt, toy.status.stable_revision.clone()),
        (1, Some(v1.clone()))
    );
    assert_eq!(toy.share(&v1), [100.0, 100.0]);
    assert_eq!(toy.replicas(&v1), Some(6));
}

#[test]
fn progress_1_the_first_revision_is_stable_only_once_every_check_has_passed() {
    let mut toy = Toy::new(spec("v1"));
    let v1 = toy.revision("v1");
    for _ in 0..50 {
        toy.turn();
        for fact in toy
            .proxies()
            .flat_map(|proxy| proxy.backends.values_mut())
            .flat_map(BTreeMap::values_mut)
        {
            fact.check = CheckState::Pending;
        }
    }
    assert_eq!(
        toy.share(&v1),
        [100.0, 100.0],
        "it serves as soon as it may"
    );
    assert_eq!(
        toy.status.phase,
        Phase::Progressing,
        "{}",
        toy.status.message
    );
    let waiting = toy.status.waiting_on.clone();
    assert!(
        matches!(
            waiting,
            Some(WaitingOn::Servers {
                ready: 0,
                wanted: 6,
                ..
            })
        ),
        "{waiting:?}"
    );
    toy.until("it is healthy", |toy| toy.status.phase == Phase::Healthy);
}

#[test]
fn a_canary_passes_through_its_stages_and_becomes_stable() {
    let mut toy = Toy::stable(spec("v1"));
    let (v1, v2) = (toy.revision("v1"), toy.revision("v2"));
    toy.apply(spec("v2"));
    let mut shares = Vec::new();
    let mut sizes = Vec::new();
    while toy.status.observed_generation < 2 || toy.status.phase != Phase::Healthy {
        if matches!(toy.status.step, Step::Running { .. }) {
            shares.push(toy.share(&v2)[0].round());
            sizes.push(toy.replicas(&v2).expect("the canary's service"));
        }
        toy.turn();
    }
    shares.dedup();
    sizes.dedup();
    assert_eq!(shares, [5.0, 33.0, 50.0, 100.0]);
    assert_eq!(sizes, [1, 2, 3, 6]);
    assert_eq!(toy.status.stable_revision, Some(v2));
    assert_eq!(
        toy.replicas(&v1),
        Some(0),
        "the former revision is kept, scaled to 0"
    );
    assert_eq!(
        toy.status.history.last().map(|entry| entry.outcome),
        Some(AttemptOutcome::Completed)
    );
}

#[test]
fn progress_2_nothing_is_shifted_while_the_canary_before_takes_requests() {
    let mut toy = Toy::in_stage(spec("v2"), 1);
    let v2 = toy.revision("v2");
    toy.apply(spec("v3"));
    for _ in 0..100 {
        toy.turn();
        // A proxy that does not let go of it.
        let first = toy.proxies().next().expect("a proxy");
        let servers = first.backends.values_mut().flatten();
        for (_, fact) in servers.filter(|(name, _)| name.starts_with(v2.as_str())) {
            fact.admin = AdminState::Ready;
            fact.weight = ServerWeight::new(10);
        }
        assert_eq!((toy.status.step, toy.status.weight), (Step::Scaling, 0));
    }
    toy.until("it may go on", |toy| toy.status.weight > 0);
}

#[test]
fn progress_2_a_new_template_in_mid_rollout_starts_over_and_stable_stays() {
    let mut toy = Toy::in_stage(spec("v2"), 1);
    let (v1, v2, v3) = (toy.revision("v1"), toy.revision("v2"), toy.revision("v3"));
    toy.apply(spec("v3"));
    toy.turn();
    assert_eq!(
        toy.share(&v2),
        [0.0, 0.0],
        "the superseded canary is out at once"
    );
    assert_eq!((toy.status.attempt, toy.status.stage), (3, 0));
    toy.until("v3 is stable", |toy| {
        toy.status.stable_revision == Some(v3.clone())
    });
    toy.until("all is well", |toy| toy.status.phase == Phase::Healthy);
    assert_eq!((toy.replicas(&v1), toy.replicas(&v2)), (Some(0), Some(0)));
}

#[test]
fn progress_3_a_revert_to_what_never_came_up_is_not_healthy_before_it_does() {
    let mut toy = Toy::new(spec("v1"));
    toy.turn_of_proxies(Checks::Pending);
    toy.start_tasks();
    for image in ["v1", "v2", "v1"] {
        toy.apply(spec(image));
        toy.turn_of_proxies(Checks::Pending);
        toy.turn_of_proxies(Checks::Pending);
    }
    assert_eq!(toy.status.stable_revision, Some(toy.revision("v1")));
    let phase = toy.status.phase;
    assert_eq!(phase, Phase::Progressing, "no check of it has passed yet");
    toy.until("it is up", |toy| toy.status.phase == Phase::Healthy);
    let first = &toy.status.history[0];
    assert_eq!(first.outcome, AttemptOutcome::Completed, "it counts");
    assert_eq!(toy.status.history[1].outcome, AttemptOutcome::Reverted);
}

#[test]
fn progress_3_a_revert_in_mid_rollout_finishes_at_once() {
    let mut toy = Toy::in_stage(spec("v2"), 1);
    let (v1, v2) = (toy.revision("v1"), toy.revision("v2"));
    toy.apply(spec("v1"));
    toy.turn();
    assert_eq!(toy.share(&v1), [100.0, 100.0]);
    toy.until("all is well", |toy| toy.status.phase == Phase::Healthy);
    assert_eq!(toy.replicas(&v2), Some(0));
    assert_eq!(
        toy.status.history.last().map(|entry| entry.outcome),
        Some(AttemptOutcome::Reverted)
    );
}

#[test]
fn progress_4_a_change_of_replicas_does_not_restart_the_attempt() {
    let mut toy = Toy::in_stage(held(spec("v2"), 50), 0);
    let (v1, v2) = (toy.revision("v1"), toy.revision("v2"));
    let before = toy.status.step;
    for (replicas, canaries) in [(12, 6), (4, 2)] {
        let mut other_size = held(spec("v2"), 50);
        other_size.replicas = replicas;
        toy.apply(other_size);
        toy.turns(20);
        assert_eq!((toy.status.attempt, toy.status.step), (2, before));
        assert_eq!(
            (toy.replicas(&v1), toy.replicas(&v2)),
            (Some(replicas), Some(canaries))
        );
        for share in toy.share(&v2) {
            assert!((share - 50.0).abs() < 0.1, "share {share}");
        }
    }
}

#[test]
fn progress_6_a_gate_waits_for_promote() {
    let mut toy = Toy::stable(spec("v1"));
    let v2 = toy.revision("v2");
    let stages = serde_json::json!([{"weight": 5, "approval": true}, {"weight": 50}]);
    toy.apply(staged(spec("v2"), &stages));
    toy.until("it waits", |toy| {
        toy.status.waiting_on == Some(WaitingOn::Approval)
    });
    assert_eq!(toy.status.phase, Phase::Paused);
    toy.turns(100);
    assert!((toy.share(&v2)[0] - 5.0).abs() < 0.1);
    toy.command(Verb::Promote);
    toy.turn();
    assert_eq!(toy.status.stage, 1);
    let last = toy.status.last_command.clone().expect("a record");
    assert_eq!(
        (last.outcome, last.command.by.0.as_str()),
        (CommandOutcome::Applied, "ada@desk")
    );
    toy.until("v2 is stable", |toy| {
        toy.status.stable_revision == Some(v2.clone())
    });
}

#[test]
fn progress_6_a_command_for_another_stage_is_refused() {
    let mut toy = Toy::stable(spec("v1"));
    toy.apply(held(spec("v2"), 5));
    toy.until("it waits", |toy| {
        toy.status.waiting_on == Some(WaitingOn::Approval)
    });
    toy.command_for(Verb::Promote, 1, 0);
    toy.turn();
    assert_eq!(toy.status.stage, 0);
    assert!(
        matches!(&toy.status.last_command, Some(r) if matches!(&r.outcome, CommandOutcome::Refused(_)))
    );
}

#[test]
fn progress_6_pause_holds_and_resume_goes_on() {
    let mut toy = Toy::stable(spec("v1"));
    toy.apply(spec("v2"));
    toy.turns(2);
    toy.command(Verb::Pause);
    toy.turns(200);
    assert_eq!(
        toy.status.pause.as_ref().map(|pause| pause.reason),
        Some(PauseReason::User)
    );
    let held = toy.status.stage;
    toy.command(Verb::Resume);
    toy.until("it goes on", |toy| toy.status.stage > held);
}

#[test]
fn progress_6_promote_full_skips_the_stages_but_not_the_readiness() {
    let stages = serde_json::json!([{"weight": 5, "bake": "1h"}, {"weight": 50, "bake": "1h"}]);
    let mut toy = Toy::in_stage(staged(spec("v2"), &stages), 0);
    let v2 = toy.revision("v2");
    toy.command(Verb::PromoteFull);
    toy.turn();
    assert!(
        (toy.share(&v2)[0] - 5.0).abs() < 0.1,
        "not before all of its tasks are ready"
    );
    toy.until("v2 is stable", |toy| {
        toy.status.stable_revision == Some(v2.clone())
    });
}

#[test]
fn former_revisions_beyond_the_limit_are_removed() {
    let mut toy = Toy::stable(spec("v1"));
    for image in ["v2", "v3", "v4"] {
        let mut next = spec(image);
        next.revision_history_limit = 1;
        toy.apply(next);
        let revision = toy.revision(image);
        toy.until("it is stable", |toy| {
            toy.status.stable_revision == Some(revision.clone())
        });
        toy.until("all is well", |toy| toy.status.phase == Phase::Healthy);
    }
    toy.turns(5);
    let (v3, v4) = (toy.revision("v3"), toy.revision("v4"));
    let kept: Vec<_> = toy
        .snapshot
        .services
        .values()
        .map(|s| (s.revision.clone(), s.replicas))
        .collect();
    assert!(
        kept.contains(&(v3, 0)) && kept.contains(&(v4, 6)) && kept.len() == 2,
        "{kept:?}"
    );
}

#[test]
fn a_first_revision_that_never_serves_is_replaced_at_once() {
    let mut toy = Toy::new(spec("v1"));
    let (v1, v2) = (toy.revision("v1"), toy.revision("v2"));
    toy.broken.insert(v1.clone());
    toy.turns(10);
    toy.apply(spec("v2"));
    toy.until("v2 is healthy", |toy| toy.status.phase == Phase::Healthy);
    assert_eq!(toy.status.stable_revision, Some(v2));
    assert_eq!(toy.replicas(&v1), Some(0));
    assert!(
        !toy.last
            .iter()
            .any(|action| matches!(action, Action::Forget))
    );
}

#[test]
fn progress_4_stages_that_were_edited_are_prepared_again_whenever_that_is_found() {
    let stages = serde_json::json!([{"weight": 5}, {"weight": 33, "bake": "1h"}]);
    let mut toy = Toy::in_stage(staged(spec("v2"), &stages), 1);
    let (v1, v2) = (toy.revision("v1"), toy.revision("v2"));
    // The shorter spec is seen first while it cannot be carried out.
    let stages = serde_json::json!([{"weight": 5}]);
    toy.apply(staged(spec("v2"), &stages));
    toy.problem = Some(rolloutctl::plan::SpecProblem::NoSource {
        metric: crate::toy::name("errors"),
    });
    toy.turns(2);
    toy.problem = None;
    toy.turns(2);
    assert_eq!(
        toy.status.stable_revision,
        Some(v1),
        "not on two of six tasks"
    );
    toy.until("v2 is stable", |toy| {
        toy.status.stable_revision == Some(v2.clone())
    });
    assert_eq!(toy.share(&v2), [100.0, 100.0]);
    assert_eq!(toy.replicas(&v2), Some(6));
}

#[test]
fn a_stable_whose_checks_fail_can_be_replaced() {
    let mut toy = Toy::stable(spec("v1"));
    let v2 = toy.revision("v2");
    for proxy in toy.proxies() {
        let servers = proxy.backends.get_mut(crate::toy::BACKEND);
        let sick = servers
            .expect("the backend")
            .values_mut()
            .next()
            .expect("a server");
        sick.check = rolloutctl::snapshot::CheckState::Failed;
        sick.operational = rolloutctl::snapshot::OperationalState::Stopped;
    }
    toy.apply(spec("v2"));
    toy.until("v2 is stable", |toy| {
        toy.status.stable_revision == Some(v2.clone())
    });
}

#[test]
fn progress_6_a_retry_begins_without_a_share() {
    let mut next = crate::toy::measured("v2");
    next.on_failure = OnFailure::Pause;
    let mut toy = Toy::in_stage(next, 1);
    let v2 = toy.revision("v2");
    toy.answer = rolloutctl::snapshot::SampleOutcome::Value(0.5);
    toy.until("it is paused", |toy| toy.status.pause.is_some());
    // The first stage cannot begin while an instance does not answer.
    toy.cut_off("lb-2");
    toy.command(Verb::Retry);
    toy.turns(3);
    assert_eq!((toy.status.attempt, toy.status.stage), (3, 0));
    assert_eq!(toy.share(&v2), [0.0]);
}

#[test]
fn a_promotion_needs_the_whole_canary_at_its_own_moment() {
    // All is at the canary.
    let mut toy = Toy::in_stage(spec("v2"), 3);
    let v2 = toy.revision("v2");
    // Before anybody looks again, all but one of its tasks are lost.
    let service = v2.service_name(&crate::toy::name("news-web"));
    let lost = toy
        .snapshot
        .tasks
        .values_mut()
        .filter(|task| task.service.0 == service);
    for task in lost.skip(1) {
        task.desired = rolloutctl::snapshot::TaskState::Shutdown;
    }
    toy.turn();
    assert_ne!(toy.status.stable_revision, Some(v2.clone()));
    toy.until("v2 is stable", |toy| {
        toy.status.stable_revision == Some(v2.clone())
    });
    assert_eq!(toy.replicas(&v2), Some(6));
}
