//! Whole rollouts through the real reconciler.

use std::sync::Arc;

use rolloutctl::api::{Manifest, Phase, Resource, RolloutSpec, RolloutStatus};
use rolloutctl::reconcile::{Inbox, Mandate, Reconciler};
use rolloutctl::sim::{Form, Loss, Setup};
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

struct Run {
    site: Site,
    reconciler: Reconciler,
    lease: Lease,
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
        let inbox = Arc::new(Inbox::default());
        let reconciler = Reconciler::new(Arc::new(world.clone()), world.clock(), inbox);
        Self {
            site,
            reconciler,
            lease,
            turns: 0,
        }
    }

    fn turn(&mut self) {
        let mandate = Mandate::Act(&self.lease);
        self.site
            .run(self.reconciler.turn(mandate))
            .expect("a turn");
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

    fn apply(&mut self, draft: &Draft) {
        let stored = self.site.run(self.site.world.load()).expect("the store");
        let known = stored
            .iter()
            .find(|stored| matches!(stored.draft.resource, Resource::Rollout(_)))
            .expect("the rollout");
        let draft = Draft {
            generation: known.draft.generation + 1,
            resource: draft.resource.clone(),
            ..known.draft.clone()
        };
        let world = &self.site.world;
        self.site
            .run(world.replace(&known.id, known.version, &draft))
            .expect("applied");
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
    let journal = run.site.world.journal();
    assert_eq!(journal, [], "{journal:#?}");
}
