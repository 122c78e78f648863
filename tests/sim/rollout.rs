//! Whole rollouts through the real reconciler.

use std::sync::{Arc, Mutex};

use rolloutctl::api::{
    Dependents, Duration, Kind, Manifest, Phase, Resource, RolloutSpec, RolloutStatus, Verb,
};
use rolloutctl::reconcile::{Inbox, Mandate, Reconciler};
use rolloutctl::runtime::{Runtime, Task};
use rolloutctl::sim::{FaultPlan, Form, Hand, Loss, Outcome, Rates, Setup, SimWorld, What, Write};
use rolloutctl::world::{Draft, Lease, World};
use serde_json::json;

use crate::site::{Site, name, setup};

fn resource<S: serde::de::DeserializeOwned>(
    name: &str,
    spec: serde_json::Value,
    wrap: fn(Manifest<S>) -> Resource,
) -> Draft {
    let metadata = serde_json::from_value(json!({"name": name})).expect("metadata");
    let spec = serde_json::from_value(spec).expect("a spec");
    Draft {
        resource: wrap(Manifest { metadata, spec }),
        generation: 1,
        status: None,
        command: None,
        deletion: None,
        origin: None,
        epoch: 0,
    }
}

fn rollout(image: &str) -> Draft {
    let spec = json!({
        "replicas": 4,
        "template": {"image": image, "networks": ["front"]},
        "traffic": {"loadBalancer": "edge", "backend": "web", "port": 8080, "drainTimeout": "10s"},
        "strategy": {"canary": {"stages": [{"weight": 25}, {"weight": 50, "bake": "10s"}]}},
    });
    resource::<RolloutSpec>("web", spec, Resource::Rollout)
}

/// The time of a simulated world, and what is done beside the turns.
struct Virtual(SimWorld, Beside);

/// What was begun in a turn and is to be ended after it.
type Beside = Arc<Mutex<Vec<Task>>>;

impl Runtime for Virtual {
    fn now(&self) -> jiff::Timestamp {
        self.0.now()
    }

    fn steady(&self) -> std::time::Duration {
        let since = self.0.now().duration_since(jiff::Timestamp::UNIX_EPOCH);
        since.try_into().expect("after 1970")
    }

    fn sleep(&self, _: std::time::Duration) -> Task {
        unreachable!("only a whole controller pauses")
    }

    fn spawn(&self, task: Task) {
        self.1.lock().expect("no panic").push(task);
    }
}

struct Run {
    site: Site,
    reconciler: Reconciler,
    lease: Lease,
    beside: Beside,
    turns: usize,
}

impl Run {
    fn new(seed: u64) -> Self {
        let site = Site::new(Setup {
            form: Form::Text,
            ..setup(seed)
        });
        let world = site.world.clone();
        let balancer = json!({"haproxy": {"instances": [
            {"name": "lb-1", "address": "unix:///1.sock"}, {"name": "lb-2", "address": "unix:///2.sock"},
        ]}});
        let balancer = resource("edge", balancer, Resource::LoadBalancer);
        site.run(world.create(&balancer)).expect("created");
        site.run(world.create(&rollout("app:v1"))).expect("created");
        let lease = site.run(world.take_lease(None, "test")).expect("taken");
        let (inbox, beside) = (Arc::new(Inbox::default()), Beside::default());
        let reconciler = Reconciler::new(
            Arc::new(world.clone()),
            Arc::new(Virtual(world.clone(), beside.clone())),
            inbox,
        );
        Self {
            site,
            reconciler,
            lease,
            beside,
            turns: 0,
        }
    }

    fn turn(&mut self) {
        let mandate = Mandate::Act(&self.lease);
        // What goes wrong in a turn is looked at again in the next one.
        let _ = self.site.run(self.reconciler.turn(mandate));
        let beside = std::mem::take(&mut *self.beside.lock().expect("no panic"));
        for task in beside {
            self.site.run(task);
        }
        self.site.pass(500);
        self.turns += 1;
    }

    fn status(&self) -> RolloutStatus {
        let status = self
            .site
            .world
            .view(|view| view.status(&name("web")).cloned());
        status.unwrap_or_default()
    }

    #[track_caller]
    fn until(&mut self, what: &str, holds: impl Fn(&RolloutStatus) -> bool) {
        for _ in 0..1_000 {
            if holds(&self.status()) {
                return;
            }
            self.turn();
        }
        panic!("never: {what}; {:#?}", self.status());
    }

    fn apply(&self, draft: &Draft) {
        let resource = Box::new(draft.resource.clone());
        self.site.world.hand(&Hand::Apply(resource));
    }

    fn is_healthy(status: &RolloutStatus, attempt: u32) -> bool {
        status.phase == Phase::Healthy && status.attempt == attempt && status.leaving.is_empty()
    }
}

#[test]
fn a_release_goes_through_its_stages_and_loses_no_request() {
    for seed in 0..5 {
        let mut run = Run::new(seed);
        run.until("the first revision is stable", |status| {
            Run::is_healthy(status, 1)
        });
        let before = run.site.losses();
        assert!(
            before.by(Loss::NothingReady) > 0.0,
            "at first there was nobody"
        );
        run.apply(&rollout("app:v2"));
        run.until("the second revision is stable", |status| {
            Run::is_healthy(status, 2)
        });
        let after = run.site.losses();
        assert_eq!(before, after, "seed {seed}");
        let stable = run.status().stable_revision.expect("a stable revision");
        let ready = run.site.world.view(|view| view.ready_tasks(&stable));
        assert_eq!(ready, 4);
    }
}

#[test]
fn safety_5_at_rest_nothing_is_written() {
    let mut run = Run::new(7);
    run.until("it is stable", |status| Run::is_healthy(status, 1));
    for _ in 0..10 {
        run.turn();
    }
    run.site.world.journal();
    for _ in 0..50 {
        run.turn();
    }
    let mut journal = run.site.world.journal();
    journal.retain(|entry| entry.what != What::Looked);
    assert_eq!(journal, [], "{journal:#?}");
}

#[test]
fn with_everything_going_wrong_a_release_ends_well_once_the_world_is_healed() {
    for seed in 0..5 {
        let mut run = Run::new(seed);
        run.until("the first revision is stable", |status| {
            Run::is_healthy(status, 1)
        });
        let begin = run.site.world.now();
        run.site.world.set_faults(FaultPlan {
            healed_at: Duration::from_secs(300).after(begin),
            swarm: Rates::all(0.03),
            store: Rates::all(0.03),
            haproxy: Rates::all(0.03),
            ..FaultPlan::none()
        });
        let at = |secs| Duration::from_secs(secs).after(begin);
        run.site.world.hand_at(at(20), Hand::Reload(0));
        run.site.world.hand_at(at(40), Hand::CrashNode(1));
        run.site.world.hand_at(at(90), Hand::ReturnNode(1));
        run.apply(&rollout("app:v2"));
        for _ in 0..600 {
            run.turn();
        }
        let status = run.status();
        assert!(Run::is_healthy(&status, 2), "seed {seed}: {status:#?}");
    }
}

#[test]
fn users_apply_command_and_delete() {
    let mut run = Run::new(1);
    run.until("it is stable", |status| Run::is_healthy(status, 1));
    let version = |run: &Run| {
        let world = &run.site.world;
        world.view(|view| view.rollout(&name("web")).map(|stored| stored.version))
    };
    let before = version(&run);
    run.apply(&rollout("app:v1"));
    assert_eq!(version(&run), before, "nothing has changed");
    run.apply(&rollout("app:v2"));
    assert_ne!(version(&run), before);
    run.until("the canary is on its way", |status| status.weight == 25);
    run.site
        .world
        .hand(&Hand::Command(name("web"), Verb::Abort));
    run.until("it is taken back", |status| status.phase == Phase::Degraded);
    let delete = Hand::Delete(Kind::Rollout, name("web"), Dependents::Remove);
    run.site.world.hand(&delete);
    for _ in 0..200 {
        run.turn();
    }
    let world = &run.site.world;
    assert!(world.view(|view| view.rollout(&name("web")).is_none()));
    assert_eq!(world.view(|view| view.services().count()), 0);
    let removed = run.site.happened(|what| {
        matches!(
            what,
            What::Stored {
                write: Write::Remove,
                outcome: Outcome::Done,
                ..
            }
        )
    });
    assert_eq!(removed, 1, "by its controller, once");
}
