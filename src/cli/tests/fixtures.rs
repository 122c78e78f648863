//! Resources and statuses that the tests share.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::memory::Memory;
use crate::api::{
    Abort, AbortCause, AttemptOutcome, Condition, ConditionStatus, ConditionType, Event,
    HistoryEntry, MeasurementPhase, MeasurementStatus, Name, Phase, Reason, Resource, Revision,
    RevisionRecord, RolloutSpec, RolloutStatus, SampleRecord, Step, TrafficStatus, WaitingOn,
};
use crate::world::{Draft, StoreId, Stored};

/// So many seconds after the tests' beginning of time.
pub fn at(seconds: i64) -> Timestamp {
    "2026-03-01T12:00:00Z"
        .parse::<Timestamp>()
        .expect("an instant")
        .checked_add(jiff::SignedDuration::from_secs(seconds))
        .expect("in range")
}

pub fn name(text: &str) -> Name {
    text.parse().expect("a name")
}

/// The rollout `news-web` that runs `image`.
pub fn rollout(image: &str) -> Resource {
    Resource::Rollout(
        serde_json::from_value(json!({
            "metadata": {"name": "news-web", "labels": {"team": "news"}},
            "spec": {
                "replicas": 6,
                "template": {"image": image, "networks": ["news"]},
                "traffic": {"loadBalancer": "edge", "backend": "news-web", "port": 8080},
                "strategy": {"canary": {"stages": [
                    {"weight": 5, "replicas": 1, "bake": "5m"},
                    {"weight": 33, "bake": "10m"},
                    {"weight": 50, "approval": true},
                ]}},
                "analysis": {
                    "source": "main",
                    "metrics": [{
                        "name": "error-ratio",
                        "query": r#"SELECT sum("errors") FROM "haproxy" WHERE {{ window }}"#,
                        "max": 0.01,
                    }],
                },
            },
        }))
        .expect("a rollout"),
    )
}

pub fn load_balancer() -> Resource {
    Resource::LoadBalancer(
        serde_json::from_value(json!({
            "metadata": {"name": "edge"},
            "spec": {"haproxy": {"instances": [
                {"name": "lb-1", "address": "unix:///run/haproxy/admin.sock"},
                {"name": "lb-2", "address": "tcp://10.0.0.12:9999"},
            ]}},
        }))
        .expect("a load balancer"),
    )
}

pub fn metric_source() -> Resource {
    Resource::MetricSource(
        serde_json::from_value(json!({
            "metadata": {"name": "main"},
            "spec": {"influxdb": {"url": "http://influxdb:8086", "database": "rollouts"}},
        }))
        .expect("a metric source"),
    )
}

/// `resource` in the store, not yet seen by a controller.
pub fn stored(resource: Resource) -> Stored {
    Stored {
        id: StoreId(format!("{}-id", resource.name())),
        version: 7,
        created_at: at(0),
        updated_at: at(60),
        draft: Draft {
            resource,
            generation: 1,
            status: None,
            command: None,
            deletion: None,
            origin: None,
            epoch: 3,
        },
    }
}

/// The stored rollout with a status of its own generation.
pub fn with_status(status: RolloutStatus) -> Stored {
    let mut stored = stored(rollout("registry.example/news-web:1.4.2"));
    stored.draft.generation = 2;
    stored.draft.status = Some(RolloutStatus {
        observed_generation: 2,
        ..status
    });
    stored
}

/// A store with the rollout as it stands and what it refers to.
pub fn store(status: RolloutStatus) -> Memory {
    Memory::with([
        with_status(status),
        stored(load_balancer()),
        stored(metric_source()),
    ])
}

/// The spec of [`rollout`].
pub fn spec(image: &str) -> RolloutSpec {
    match rollout(image) {
        Resource::Rollout(manifest) => manifest.spec,
        other => panic!("{other:?} is no rollout"),
    }
}

/// A revision of that image, and what is kept of it.
pub fn record(image: &str, seconds: i64) -> (Revision, RevisionRecord) {
    let spec = spec(image);
    let record = RevisionRecord {
        template: spec.template.clone().into(),
        access: spec.access(),
        created_at: at(seconds),
    };
    (Revision::of(&spec), record)
}

/// Healthy.
pub fn healthy() -> RolloutStatus {
    let (revision, kept) = record("registry.example/news-web:1.4.2", 60);
    RolloutStatus {
        phase: Phase::Healthy,
        message: "revision 1.4.2 serves with 6 tasks".to_owned(),
        attempt: 2,
        stage: 3,
        stages: 3,
        stable_revision: Some(revision.clone()),
        revisions: [(revision, kept)].into(),
        ..RolloutStatus::default()
    }
}

/// In the bake time of the second stage.
pub fn baking() -> RolloutStatus {
    let (stable, old) = record("registry.example/news-web:1.4.1", -86_400);
    let (canary, new) = record("registry.example/news-web:1.4.2", 60);
    RolloutStatus {
        phase: Phase::Progressing,
        message: "stage 2 of 3 bakes".to_owned(),
        attempt: 2,
        stage: 1,
        stages: 3,
        weight: 33,
        stable_revision: Some(stable.clone()),
        canary_revision: Some(canary.clone()),
        step: Step::Running { since: at(400) },
        traffic: Some(TrafficStatus {
            desired_percent: 33.0,
            achieved_percent: 33.004,
            observed_percent: [(name("lb-1"), 33.004), (name("lb-2"), 33.004)].into(),
        }),
        conditions: vec![Condition {
            kind: ConditionType::Available,
            status: ConditionStatus::True,
            reason: Reason::AvailableReason,
            message: "6 of 6 tasks serve".to_owned(),
            last_transition_time: at(-3_600),
        }],
        measurements: vec![measurement()],
        waiting_on: Some(WaitingOn::Bake { until: at(1_000) }),
        history: vec![HistoryEntry {
            attempt: 2,
            revision: canary.clone(),
            generation: 2,
            commit: None,
            started_at: at(60),
            ended_at: None,
            outcome: AttemptOutcome::Running,
            message: String::new(),
        }],
        revisions: [(stable, old), (canary, new)].into(),
        events: vec![Event {
            at: at(400),
            message: "stage 2 begins: 33%".to_owned(),
            by: None,
        }],
        ..RolloutStatus::default()
    }
}

fn measurement() -> MeasurementStatus {
    MeasurementStatus {
        metric: name("error-ratio"),
        digest: None,
        attempt: 2,
        stage: 1,
        phase: MeasurementPhase::Passing,
        bounds: "<= 0.01".to_owned(),
        taken: 3,
        valid: 3,
        failed: 1,
        errors_in_row: 0,
        next_at: Some(at(460)),
        recent: vec![sample(430, 0.05), sample(440, 0.002_1)],
        failures: vec![sample(430, 0.05)],
    }
}

fn sample(seconds: i64, value: f64) -> SampleRecord {
    SampleRecord {
        at: at(seconds),
        start: at(seconds - 20),
        end: at(seconds - 2),
        value: Some(value),
        problem: None,
        exit_code: None,
        log: Vec::new(),
    }
}

/// Taken back by its analysis.
pub fn degraded() -> RolloutStatus {
    let before = baking();
    let revision = before.canary_revision.clone().expect("a canary");
    RolloutStatus {
        phase: Phase::Degraded,
        message: "attempt 2 was taken back".to_owned(),
        weight: 0,
        step: Step::Idle,
        canary_revision: None,
        waiting_on: Some(WaitingOn::Retry),
        abort: Some(Abort {
            attempt: 2,
            stage: 1,
            revision,
            at: at(450),
            cause: AbortCause::Analysis {
                metric: name("error-ratio"),
                failed: vec![sample(430, 0.05), sample(440, 0.06)],
            },
            message: "error-ratio failed 2 times, 1 is tolerated".to_owned(),
        }),
        ..before
    }
}

/// A status as it would be written with other values.
pub fn json_of(stored: &Stored) -> Value {
    crate::cli::object::to_json(stored)
}
