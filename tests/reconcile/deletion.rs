//! SAFETY-7: what a deletion waits for that is not there yet.

use std::time::Duration;

use rolloutctl::api::{self, Dependents, Phase};
use rolloutctl::reconcile::{Mandate, Reconciler};

use crate::bench::Bench;
use crate::neighbour::{Entry, Mood};
use crate::toy::{measured, spec};

/// A rollout whose deletion was asked for so many turns ago, in that mood, after so many turns. A turn takes 100 ms in
/// this world.
async fn deleted(mood: Mood, after: u32, turns: u32) -> Bench {
    let mut bench = Bench::new(spec("web:1"));
    bench.world.feel(mood);
    for _ in 0..after {
        bench.turn().await;
    }
    bench.world.delete();
    for _ in 0..turns {
        bench.turn().await;
    }
    bench
}

#[tokio::test]
async fn safety_7_a_deletion_waits_for_a_service_that_is_being_made() {
    let mut bench = deleted(Mood::MakingSlowly, 1, 5).await;
    assert!(bench.world.remembers(), "its service will come");
    bench.world.feel(Mood::Willing);
    bench.until("deleted", |world| !world.remembers()).await;
    assert_eq!(bench.world.services(), Vec::<String>::new());
}

#[tokio::test]
async fn safety_7_a_deletion_waits_for_a_service_that_may_still_come() {
    let mut bench = deleted(Mood::MakingUnheard, 1, 100).await;
    assert!(bench.world.remembers(), "its service may still come");
    bench.world.feel(Mood::Willing);
    bench.until("deleted", |world| !world.remembers()).await;
    assert_eq!(bench.world.services(), Vec::<String>::new());
}

#[tokio::test]
async fn safety_7_a_deletion_does_not_wait_for_ever_for_a_service_that_may_come() {
    let bench = deleted(Mood::MakingUnheard, 1, 400).await;
    assert!(!bench.world.remembers());
}

#[tokio::test]
async fn safety_7_a_deletion_waits_for_servers_that_may_still_come() {
    let mut bench = deleted(Mood::EnteringUnheard, 5, 100).await;
    assert!(bench.world.remembers(), "its servers may still come");
    let status = bench.world.status();
    assert_eq!(status.waiting_on, None, "nothing drains");
    assert!(
        status.message.contains("may still come"),
        "{}",
        status.message
    );
    assert_eq!(bench.world.servers("lb-1"), 0);
    bench.world.feel(Mood::Willing);
    assert!(bench.world.servers("lb-1") > 0, "they have come");
    bench.until("deleted", |world| !world.remembers()).await;
    assert_eq!(bench.world.servers("lb-1"), 0);
}

#[tokio::test]
async fn safety_7_what_is_left_as_it_is_waits_for_no_servers() {
    let mut bench = Bench::new(spec("web:1"));
    bench.world.feel(Mood::EnteringUnheard);
    for _ in 0..5 {
        bench.turn().await;
    }
    bench.world.delete_with(Dependents::Orphan);
    bench.turn().await;
    assert!(!bench.world.remembers());
}

#[tokio::test]
async fn safety_7_who_takes_over_from_one_that_did_not_end_waits_for_what_that_asked_for() {
    let mut bench = Bench::new(spec("web:1"));
    bench.reconciler.succeed();
    bench.world.delete();
    for _ in 0..100 {
        bench.turn().await;
    }
    assert!(bench.world.remembers(), "something may still come");
    bench.until("deleted", |world| !world.remembers()).await;
}

/// For how long who stands by lets the rollout's work lie, beside its patience.
async fn may_lie(standby: &mut Reconciler) -> Option<Duration> {
    let report = standby.turn(Mandate::Watch).await.expect("a turn");
    let work = report.work().into_values().next();
    work.map(|(_, may_lie)| may_lie)
}

#[tokio::test]
async fn safety_6_who_stands_by_gives_the_end_of_a_deletion_the_time_that_it_may_take() {
    let mut bench = Bench::new(spec("web:1"));
    let mut standby = bench.standby();
    let begun = may_lie(&mut standby).await;
    assert_eq!(begun, Some(Duration::ZERO), "nobody waits with a beginning");
    bench.reconciler.succeed();
    bench.world.delete();
    for _ in 0..20 {
        bench.turn().await;
    }
    let without_end = "two that stand by would take the lease from each other without end";
    let latest = Some(Duration::from_secs(30));
    assert_eq!(may_lie(&mut standby).await, latest, "{without_end}");
}

#[tokio::test]
async fn safety_6_who_cannot_reach_a_proxy_lets_the_end_of_a_deletion_lie_too() {
    let mut bench = Bench::new(spec("web:1"));
    bench.until_quiet().await;
    let mut standby = bench.standby();
    bench.reconciler.succeed();
    bench.world.delete();
    for _ in 0..100 {
        bench.turn().await;
    }
    assert!(bench.world.remembers(), "something may still come");
    bench.world.feel(Mood::HidingOneProxy);
    let latest = Some(Duration::from_secs(30));
    assert_eq!(may_lie(&mut standby).await, latest, "it would say so only");
}

#[tokio::test]
async fn safety_6_who_stands_by_gives_a_slow_source_the_time_that_it_may_take() {
    let mut bench = Bench::new(measured("web:1"));
    bench
        .until("healthy", |world| world.status().phase == Phase::Healthy)
        .await;
    bench.world.apply(measured("web:2"));
    bench
        .until("asked", |world| world.count(&Entry::Asked) > 0)
        .await;
    let mut standby = bench.standby();
    assert_eq!(
        may_lie(&mut standby).await,
        Some(Duration::ZERO),
        "it is quick"
    );
    bench.world.give_queries(api::Duration::from_secs(40));
    let slow = Some(Duration::from_secs(30));
    let without_end = "they would take the lease from each other, and ask again, without end";
    assert_eq!(may_lie(&mut standby).await, slow, "{without_end}");
}
