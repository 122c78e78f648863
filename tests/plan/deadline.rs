//! PROGRESS-5: the progress deadline.

use rolloutctl::api::{Duration, OnFailure, PauseReason, Phase, Verb};

use crate::toy::{Toy, held, spec};

#[test]
fn progress_5_the_deadline_takes_a_canary_back_that_never_becomes_ready() {
    let mut toy = Toy::stable(spec("v1"));
    let v2 = toy.revision("v2");
    toy.broken.insert(v2.clone());
    toy.apply(spec("v2"));
    toy.turns(5);
    toy.wait(Duration::from_secs(599));
    toy.turn();
    assert_eq!(toy.status.phase, Phase::Progressing);
    toy.wait(Duration::from_secs(2));
    toy.turn();
    assert_eq!(toy.status.phase, Phase::Degraded);
    assert!(
        toy.status.message.contains("progress deadline"),
        "{}",
        toy.status.message
    );
    toy.until("the canary is gone", |toy| toy.replicas(&v2) == Some(0));
}

#[test]
fn progress_5_the_clock_stands_while_paused() {
    let mut toy = Toy::stable(spec("v1"));
    let v2 = toy.revision("v2");
    toy.broken.insert(v2);
    toy.apply(spec("v2"));
    toy.turns(3);
    toy.command(Verb::Pause);
    toy.turn();
    toy.wait(Duration::from_secs(10_000));
    toy.turns(3);
    assert_eq!(toy.status.phase, Phase::Paused);
    toy.command(Verb::Resume);
    toy.turns(3);
    assert_eq!(
        toy.status.phase,
        Phase::Progressing,
        "{}",
        toy.status.message
    );
    toy.wait(Duration::from_secs(600));
    toy.turn();
    assert_eq!(toy.status.phase, Phase::Degraded);
}

#[test]
fn progress_5_a_full_promotion_out_of_an_expired_deadline_starts_its_clock_anew() {
    let mut toy = Toy::stable(spec("v1"));
    let v2 = toy.revision("v2");
    toy.broken.insert(v2);
    let mut next = spec("v2");
    next.on_failure = OnFailure::Pause;
    toy.apply(next);
    toy.turn();
    for _ in 0..3 {
        toy.command(Verb::PromoteFull);
        toy.turns(3);
        assert!(toy.status.deadline.is_some(), "it would wait for good");
        toy.wait(Duration::from_secs(601));
        toy.turn();
        let pause = toy.status.pause.as_ref().expect("a pause");
        assert_eq!(pause.reason, PauseReason::Failure);
    }
}

#[test]
fn progress_5_promote_out_of_an_expired_deadline_starts_its_clock_anew() {
    let mut toy = Toy::stable(spec("v1"));
    let v2 = toy.revision("v2");
    toy.broken.insert(v2.clone());
    let mut next = spec("v2");
    next.on_failure = OnFailure::Pause;
    toy.apply(next);
    let pauses_once_it_is_over = |toy: &mut Toy| {
        toy.turns(3);
        toy.wait(Duration::from_secs(590));
        toy.turn();
        assert_eq!(toy.status.phase, Phase::Progressing, "there is time left");
        toy.wait(Duration::from_secs(11));
        toy.turn();
        let pause = toy.status.pause.as_ref().expect("a pause");
        assert_eq!(pause.reason, PauseReason::Failure);
        assert!(
            pause.message.contains("progress deadline"),
            "{}",
            pause.message
        );
    };
    pauses_once_it_is_over(&mut toy);
    toy.wait(Duration::from_secs(5_000));
    toy.command(Verb::Promote);
    pauses_once_it_is_over(&mut toy);
    toy.command(Verb::Promote);
    toy.broken.remove(&v2);
    toy.until("v2 is stable", |toy| {
        toy.status.stable_revision == Some(v2.clone())
    });
}

#[test]
fn progress_5_an_edit_gives_what_it_asks_for_the_whole_time() {
    let mut toy = Toy::stable(spec("v1"));
    let v2 = toy.revision("v2");
    toy.broken.insert(v2);
    toy.apply(spec("v2"));
    toy.turns(5);
    toy.wait(Duration::from_secs(590));
    let mut more = spec("v2");
    more.replicas += 2;
    toy.apply(more);
    toy.turn();
    toy.wait(Duration::from_secs(590));
    toy.turn();
    assert_eq!(toy.status.phase, Phase::Progressing);
    toy.wait(Duration::from_secs(11));
    toy.turn();
    assert_eq!(toy.status.phase, Phase::Degraded);
}

#[test]
fn progress_5_an_edit_while_paused_gives_the_whole_time_to_what_goes_on() {
    let mut toy = Toy::stable(spec("v1"));
    let v2 = toy.revision("v2");
    toy.broken.insert(v2);
    toy.apply(spec("v2"));
    toy.turns(5);
    toy.wait(Duration::from_secs(590));
    toy.command(Verb::Pause);
    toy.turn();
    let mut longer = spec("v2");
    longer.progress_deadline = Duration::from_secs(900);
    toy.apply(longer);
    toy.turn();
    toy.command(Verb::Resume);
    toy.turn();
    toy.wait(Duration::from_secs(890));
    toy.turn();
    assert_eq!(toy.status.phase, Phase::Progressing);
    toy.wait(Duration::from_secs(11));
    toy.turn();
    assert_eq!(toy.status.phase, Phase::Degraded);
}

#[test]
fn progress_5_an_edit_starts_no_clock_that_is_not_needed() {
    let mut toy = Toy::in_stage(held(spec("v2"), 50), 0);
    assert_eq!(toy.status.deadline, None, "it waits for people");
    let mut edited = held(spec("v2"), 50);
    edited.progress_deadline = Duration::from_secs(5);
    toy.apply(edited);
    toy.turns(3);
    assert_eq!(toy.status.deadline, None);
}
