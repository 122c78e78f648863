//! SAFETY-7: what a deletion waits for that is not there yet.

use rolloutctl::api::Dependents;

use crate::bench::Bench;
use crate::neighbour::Mood;
use crate::toy::spec;

#[tokio::test]
async fn safety_7_a_deletion_waits_for_a_service_that_is_being_made() {
    let mut bench = Bench::new(spec("web:1"));
    bench.world.feel(Mood::MakingSlowly);
    bench.turn().await;
    bench.world.delete();
    for _ in 0..5 {
        bench.turn().await;
    }
    assert!(bench.world.remembers(), "its service will come");
    bench.world.feel(Mood::Willing);
    bench.until("deleted", |world| !world.remembers()).await;
    assert_eq!(bench.world.services(), Vec::<String>::new());
}

#[tokio::test]
async fn safety_7_a_deletion_waits_for_a_service_that_may_still_come() {
    let mut bench = Bench::new(spec("web:1"));
    bench.world.feel(Mood::MakingUnheard);
    bench.turn().await;
    bench.world.delete();
    for _ in 0..100 {
        bench.turn().await; // 10 s, as a turn takes 100 ms in this world.
    }
    assert!(bench.world.remembers(), "its service may still come");
    bench.world.feel(Mood::Willing);
    bench.until("deleted", |world| !world.remembers()).await;
    assert_eq!(bench.world.services(), Vec::<String>::new());
}

#[tokio::test]
async fn safety_7_a_deletion_does_not_wait_for_ever_for_a_service_that_may_come() {
    let mut bench = Bench::new(spec("web:1"));
    bench.world.feel(Mood::MakingUnheard);
    bench.turn().await;
    bench.world.delete();
    for _ in 0..400 {
        bench.turn().await;
    }
    assert!(!bench.world.remembers());
}

#[tokio::test]
async fn safety_7_a_deletion_waits_for_servers_that_may_still_come() {
    let mut bench = Bench::new(spec("web:1"));
    bench.world.feel(Mood::EnteringUnheard);
    for _ in 0..5 {
        bench.turn().await;
    }
    bench.world.delete();
    for _ in 0..100 {
        bench.turn().await; // 10 s, as a turn takes 100 ms in this world.
    }
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
