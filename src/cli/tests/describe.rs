//! `describe`: the whole text of the main cases.

use super::fixtures::{at, baking, degraded, load_balancer, rollout, store, stored, with_status};
use super::memory::Memory;
use crate::cli::console::{Paint, Screen};
use crate::cli::describe::{Scene, run};
use crate::cli::exit::Exit;
use crate::cli::target::ResourceRef;
use crate::world::{Stored, World};

async fn told(memory: &Memory, index: usize) -> String {
    let all: Vec<Stored> = memory.load().await.expect("loads");
    let lease = memory.lease().await.expect("reads");
    Scene::new(&all[index], &all, lease, at(460), Paint::Plain).tell()
}

#[tokio::test]
async fn a_rollout_in_its_second_stage() {
    insta::assert_snapshot!(told(&store(baking()), 0).await, @r"
    rollout/news-web
      labels:      team=news
      created:     2026-03-01T12:00:00Z (7m40s ago)
      generation:  2

    Progressing: stage 2 of 3 bakes
      waiting for the stage's bake time, which ends at 2026-03-01T12:16:40Z

    Revisions
      REVISION     ROLE             AGE     IMAGE
      76139ab293   canary, wanted   6m40s   registry.example/news-web:1.4.2
      afe0bdf087   stable           24h     registry.example/news-web:1.4.1

    Stages
      ✓ 1   5%     1 task    bake 5m
      ▶ 2   33%    2 tasks   bake 10m         runs for 60s
      · 3   50%    3 tasks   approval
      ·     100%   6 tasks   becomes stable

    The canary's share of the traffic
      desired:     33%
      achieved:    33%
      on lb-1:     33%
      on lb-2:     33%

    Measurements of the stage
      METRIC        PHASE     LAST     MUST BE   TAKEN   VALID   FAILED   NEXT
      error-ratio   Passing   0.0021   <= 0.01   3       3       1        due
      error-ratio failed 30s ago: 0.05 in 2026-03-01T12:06:50Z/2026-03-01T12:07:08Z

    Conditions
      TYPE        STATUS   REASON            SINCE   MESSAGE
      Available   True     AvailableReason   67m     6 of 6 tasks serve

    What you can do now
      rolloutctl promote news-web          let it pass on from the stage at hand
      rolloutctl promote news-web --full   skip every stage that is left
      rolloutctl pause news-web            hold it where it is
      rolloutctl abort news-web            give the stable revision all the traffic back
      rolloutctl undo news-web             make the spec ask for afe0bdf087 again

    Events
      60s ago   stage 2 begins: 33%

    Attempts
      ATTEMPT   REVISION     GENERATION   STARTED     TOOK    OUTCOME   MESSAGE
      2         76139ab293   2            6m40s ago   6m40s   Running
    ");
}

#[tokio::test]
async fn a_rollout_that_was_taken_back() {
    let memory = Memory::with([with_status(degraded())]);
    insta::assert_snapshot!(told(&memory, 0).await, @r"
    rollout/news-web
      labels:      team=news
      created:     2026-03-01T12:00:00Z (7m40s ago)
      generation:  2

    Degraded: attempt 2 was taken back
      waiting for `rolloutctl retry` or a new spec
      attempt 2 was taken back in stage 2, 10s ago: error-ratio failed 2 times, 1 is tolerated

    Revisions
      REVISION     ROLE             AGE     IMAGE
      76139ab293   former, wanted   6m40s   registry.example/news-web:1.4.2
      afe0bdf087   stable           24h     registry.example/news-web:1.4.1

    Stages
      · 1   5%     1 task    bake 5m
      · 2   33%    2 tasks   bake 10m
      · 3   50%    3 tasks   approval
      ·     100%   6 tasks   becomes stable

    The canary's share of the traffic
      desired:     33%
      achieved:    33%
      on lb-1:     33%
      on lb-2:     33%

    Measurements of the stage
      METRIC        PHASE     LAST     MUST BE   TAKEN   VALID   FAILED   NEXT
      error-ratio   Passing   0.0021   <= 0.01   3       3       1        -
      error-ratio failed 30s ago: 0.05 in 2026-03-01T12:06:50Z/2026-03-01T12:07:08Z

    Conditions
      TYPE        STATUS   REASON            SINCE   MESSAGE
      Available   True     AvailableReason   67m     6 of 6 tasks serve

    What you can do now
      rolloutctl retry news-web   try the same revision again
      rolloutctl undo news-web    make the spec ask for afe0bdf087 again

    Events
      60s ago   stage 2 begins: 33%

    Attempts
      ATTEMPT   REVISION     GENERATION   STARTED     TOOK    OUTCOME   MESSAGE
      2         76139ab293   2            6m40s ago   6m40s   Running
    ");
}

#[tokio::test]
async fn a_rollout_that_no_controller_has_seen() {
    let memory = Memory::with([stored(rollout("web:1"))]);
    insta::assert_snapshot!(told(&memory, 0).await, @r"
    rollout/news-web
      labels:      team=news
      created:     2026-03-01T12:00:00Z (7m40s ago)
      generation:  1

    The controller has not seen this rollout yet. Is a controller running? No controller holds the lease: start `rolloutctl controller`.

    Progressing: the controller has not seen generation 1 of the spec yet

    Stages
      · 1   5%     1 task    bake 5m
      · 2   33%    2 tasks   bake 10m
      · 3   50%    3 tasks   approval
      ·     100%   6 tasks   becomes stable
    ");
}

#[tokio::test]
async fn a_load_balancer_and_who_uses_it() {
    let memory = Memory::with([stored(load_balancer()), stored(rollout("web:1"))]);
    insta::assert_snapshot!(told(&memory, 0).await, @r"
    loadbalancer/edge
      created:     2026-03-01T12:00:00Z (7m40s ago)
      generation:  1

    Spec
      haproxy:
        instances:
        - address: unix:///run/haproxy/admin.sock
          name: lb-1
        - address: tcp://10.0.0.12:9999
          name: lb-2

    References
      used by:     rollout/news-web
      refers to:   nothing
    ");
}

#[tokio::test]
async fn no_line_is_broken_within_a_word_on_a_narrow_terminal() {
    let (mut console, answers, _) = super::console();
    console.screen = Screen::Terminal { columns: 80 };
    let target = ResourceRef::read("rollout/news-web", None).expect("a rollout");
    let exit = run(&target, &store(degraded()), &mut console).await;
    assert_eq!(exit.expect("told"), Exit::Done);
    let text = answers.text();
    let width = text.lines().map(|line| line.chars().count()).max();
    assert!(width.is_some_and(|width| width <= 80), "{text}");
    let told = text.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(
        told.contains("error-ratio failed 2 times, 1 is tolerated Revisions"),
        "{text}"
    );
}
