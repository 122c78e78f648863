//! Whole controllers that share a world: who acts, and who takes over when.

use std::sync::Arc;
use std::time::Duration;

use rolloutctl::api::{OnDrift, Phase, Place, Prune, Resource, RolloutSpec};
use rolloutctl::controller::{Options, run};
use rolloutctl::gitops::{
    Content, Freshness, Listing, ManifestFile, PlayedSource, Presence, Saying, SourceOptions,
};
use rolloutctl::runtime::Tokio;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio::time::{interval, timeout};

use crate::neighbour::{Entry, Mood, Neighbour};
use crate::toy::spec;

/// How long anything here may take.
const LIMIT: Duration = Duration::from_secs(20);

/// How long work may lie undone.
const PATIENCE: Duration = Duration::from_millis(500);

struct Controller {
    stop: oneshot::Sender<()>,
    task: JoinHandle<()>,
}

impl Controller {
    /// Starts one, and waits until it acts.
    async fn start(world: &Arc<Neighbour>, identity: &str) -> Self {
        Self::start_with(world, identity, Vec::new()).await
    }

    /// The same with sources.
    async fn start_with(
        world: &Arc<Neighbour>,
        identity: &str,
        sources: Vec<SourceOptions>,
    ) -> Self {
        let (stop, stopped) = oneshot::channel::<()>();
        let options = Options {
            listen: None,
            resync: Duration::from_millis(50),
            identity: identity.to_owned(),
            patience: PATIENCE,
            sources,
        };
        let controller = run(world.clone(), Arc::new(Tokio::default()), options, async {
            let _ = stopped.await;
        });
        let task = tokio::spawn(async {
            controller.await.expect("it listens nowhere");
        });
        until(world, |world| world.holder().as_deref() == Some(identity)).await;
        Self { stop, task }
    }

    /// Ends it in good order.
    async fn stop(self) {
        self.stop.send(()).expect("it runs");
        timeout(LIMIT, self.task)
            .await
            .expect("in time")
            .expect("no panic");
    }

    /// Ends it in the middle of whatever it does.
    async fn kill(self) {
        self.task.abort();
        let ended = timeout(LIMIT, self.task).await.expect("in time");
        assert!(ended.is_err_and(|err| err.is_cancelled()));
    }
}

async fn until(world: &Neighbour, holds: impl Fn(&Neighbour) -> bool) {
    let mut ticks = interval(Duration::from_millis(10));
    let looking = async {
        while !holds(world) {
            ticks.tick().await;
        }
    };
    let outcome = timeout(LIMIT, looking).await;
    outcome.unwrap_or_else(|_| panic!("not in time; the holder is {:?}", world.holder()));
}

async fn until_healthy(world: &Neighbour) {
    until(world, |world| world.status().phase == Phase::Healthy).await;
}

#[tokio::test]
async fn safety_6_the_controller_that_started_last_acts() {
    let world = Neighbour::new(spec("web:1"));
    let first = Controller::start(&world, "first").await;
    let second = Controller::start(&world, "second").await;
    world.journal();
    world.apply(spec("web:1b"));
    until_healthy(&world).await;
    let by_others = world
        .journal()
        .into_iter()
        .filter(|entry| !matches!(entry, Entry::Acted | Entry::Remembered { epoch: 2 }));
    assert_eq!(by_others.collect::<Vec<_>>(), [], "second has epoch 2");
    first.stop().await;
    assert_eq!(
        world.holder().as_deref(),
        Some("second"),
        "a standby has nothing to give back"
    );
    second.stop().await;
}

#[tokio::test]
async fn safety_6_a_standby_takes_over_when_the_lease_was_given_back() {
    let world = Neighbour::new(spec("web:1"));
    let first = Controller::start(&world, "first").await;
    let second = Controller::start(&world, "second").await;
    until_healthy(&world).await;
    world.apply(spec("web:2")); // The first finds out with the next work.
    until(&world, |world| world.status().weight > 0).await;
    second.stop().await;
    until(&world, |world| world.holder().as_deref() == Some("first")).await;
    first.stop().await;
    assert_eq!(world.holder().as_deref(), Some(""), "given back");
}

#[tokio::test]
async fn safety_6_a_standby_takes_over_when_work_lies_undone() {
    let world = Neighbour::new(spec("web:1"));
    let first = Controller::start(&world, "first").await;
    let second = Controller::start(&world, "second").await;
    until_healthy(&world).await;
    second.kill().await;
    world.apply(spec("web:2"));
    until(&world, |world| world.holder().as_deref() == Some("first")).await;
    until(&world, |world| world.status().weight > 0).await;
    first.stop().await;
}

/// A source that says just this rollout, as it is stored but for its spec.
fn saying(world: &Neighbour, spec: RolloutSpec) -> Saying {
    let stored = world.says().into_iter();
    let mut rollouts = stored.filter_map(|stored| match stored.draft.resource {
        Resource::Rollout(manifest) => Some(manifest),
        _ => None,
    });
    let mut manifest = rollouts.next().expect("a rollout");
    manifest.spec = spec;
    let text = Resource::Rollout(manifest).to_json().to_string();
    Saying::Manifests(Arc::new(Listing {
        place: Place("git:played#main".to_owned()),
        commit: None,
        files: vec![ManifestFile {
            path: "web.yaml".to_owned(),
            content: Content::Whole(text.into_bytes().into()),
        }],
        hollow: Vec::new(),
        freshness: Freshness::Current,
        presence: Presence::There,
    }))
}

#[tokio::test]
async fn safety_6_a_standby_takes_over_when_what_a_source_asks_for_lies_undone() {
    let world = Neighbour::new(spec("web:1"));
    let source = PlayedSource::default();
    source.say(saying(&world, spec("web:1")));
    let sources = || {
        vec![SourceOptions::played(
            source.clone(),
            Prune::Keep,
            OnDrift::Restore,
        )]
    };
    let first = Controller::start_with(&world, "first", sources()).await;
    let second = Controller::start_with(&world, "second", sources()).await;
    until_healthy(&world).await;
    second.kill().await;
    source.say(saying(&world, spec("web:2")));
    until(&world, |world| world.holder().as_deref() == Some("first")).await;
    until(&world, |world| world.status().weight > 0).await;
    first.stop().await;
}

#[tokio::test]
async fn safety_6_a_standby_takes_over_to_say_that_a_manifest_is_in_force_again() {
    let world = Neighbour::new(spec("web:1"));
    let (source, others) = (PlayedSource::default(), PlayedSource::default());
    let sources = |source: &PlayedSource| {
        vec![SourceOptions::played(
            source.clone(),
            Prune::Keep,
            OnDrift::Restore,
        )]
    };
    source.say(saying(&world, spec("web:1")));
    others.say(saying(&world, spec("web:1")));
    let first = Controller::start_with(&world, "first", sources(&source)).await;
    let second = Controller::start_with(&world, "second", sources(&others)).await;
    until_healthy(&world).await;
    others.say(broken(&world));
    until(&world, has_source_problem).await;
    second.kill().await;
    until(&world, |world| !has_source_problem(world)).await;
    assert_eq!(world.holder().as_deref(), Some("first"));
    first.stop().await;
}

/// The same source, with a manifest that was cut short.
fn broken(world: &Neighbour) -> Saying {
    let Saying::Manifests(listing) = saying(world, spec("web:1")) else {
        panic!("manifests");
    };
    let mut listing = Listing::clone(&listing);
    for file in &mut listing.files {
        if let Content::Whole(text) = &file.content {
            file.content = Content::Whole(text[..text.len() / 2].into());
        }
    }
    Saying::Manifests(Arc::new(listing))
}

fn has_source_problem(world: &Neighbour) -> bool {
    let stored = world.says();
    let mut origins = stored
        .iter()
        .filter_map(|stored| stored.draft.origin.as_ref());
    origins.any(|origin| origin.problem.is_some())
}

#[tokio::test]
async fn safety_6_who_ends_while_something_may_still_come_does_not_give_the_lease_back() {
    let world = Neighbour::new(spec("web:1"));
    world.feel(Mood::MakingSlowly);
    let first = Controller::start(&world, "first").await;
    until(&world, |world| world.count(&Entry::Acted) > 0).await;
    first.stop().await;
    assert_eq!(world.holder().as_deref(), Some("first"));
}

#[tokio::test]
async fn safety_6_work_that_nobody_gets_done_is_no_reason_to_take_over_again_and_again() {
    let world = Neighbour::new(spec("web:1"));
    let first = Controller::start(&world, "first").await;
    let second = Controller::start(&world, "second").await;
    until_healthy(&world).await;
    world.feel(Mood::Refusing);
    world.apply(spec("web:2"));
    // The first tries what the second does not get done; the second has tried it already.
    until(&world, |world| world.holder().as_deref() == Some("first")).await;
    world.journal();
    let mut ticks = interval(PATIENCE * 4);
    ticks.tick().await;
    ticks.tick().await;
    let leases = world.journal().into_iter();
    let taken = leases.filter(|entry| matches!(entry, Entry::Leased { .. }));
    assert_eq!(taken.collect::<Vec<_>>(), []);
    first.stop().await;
    second.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_controller_ends_though_nobody_answers() {
    let world = Neighbour::new(spec("web:1"));
    let only = Controller::start(&world, "only").await;
    until_healthy(&world).await;
    world.feel(Mood::Silent);
    until(&world, |world| world.unanswered() > 0).await;
    only.stop().await;
    assert_eq!(world.unanswered(), 2, "the turn's look, and the lease");
    assert_eq!(
        world.holder().as_deref(),
        Some("only"),
        "it could not be given back"
    );
}
