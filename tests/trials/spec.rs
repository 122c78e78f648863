//! Manifests as a seed chooses them.

use rolloutctl::api::{Manifest, Name, Resource, RolloutSpec};
use serde_json::{Value, json};

use crate::chance::Chance;

pub const BACKEND: &str = "web";

/// The metric that is a job.
pub const JOB: &str = "acceptance";

pub fn name(text: &str) -> Name {
    text.parse().expect("a name")
}

fn manifest<S: serde::de::DeserializeOwned>(name: &str, spec: Value) -> Manifest<S> {
    Manifest {
        metadata: serde_json::from_value(json!({"name": name})).expect("metadata"),
        spec: serde_json::from_value(spec).expect("a spec"),
    }
}

/// What the rollout needs besides.
pub fn neighbours(instances: u64) -> Vec<Resource> {
    let instances: Vec<Value> = (1..=instances)
        .map(|number| json!({"name": format!("lb-{number}"), "address": format!("unix:///{number}.sock")}))
        .collect();
    let balancer = json!({"haproxy": {"instances": instances}});
    let source = json!({"influxdb": {"url": "http://127.0.0.1:8086", "database": "rollouts"}});
    vec![
        Resource::LoadBalancer(manifest("edge", balancer)),
        Resource::MetricSource(manifest("main", source)),
    ]
}

/// A rollover, or what a canary may have besides its stages. Chosen apart from all else, which stays as it was before there
/// were any.
fn way_back(chance: &mut Chance, spec: &mut Value) {
    if chance.percent(30) {
        let mut gates = [json!({}), json!({})];
        for gate in &mut gates {
            if chance.percent(60) {
                gate["bake"] = format!("{}s", chance.between(1, 8)).into();
            }
            if chance.percent(8) {
                gate["approval"] = true.into();
            }
        }
        let [before, after] = gates;
        let delay = format!("{}s", chance.between(0, 20));
        spec["strategy"] = json!({"blueGreen": {
            "prePromotion": before, "postPromotion": after, "scaleDownDelay": delay,
        }});
    } else if chance.percent(20) {
        spec["strategy"]["canary"]["scaleDownDelay"] = format!("{}s", chance.between(1, 20)).into();
    }
    if chance.percent(20) {
        spec["rollbackWindow"] = json!({"revisions": chance.between(1, 3)});
    }
}

/// The same rollout as a preview: what was measured in its stages is what it has to pass.
pub fn preview(chance: &mut Chance, spec: &Manifest<RolloutSpec>) -> Manifest<RolloutSpec> {
    let mut checks = json!({"bake": format!("{}s", chance.between(1, 10))});
    if let Some(analysis) = &spec.spec.analysis {
        checks["analysis"] = serde_json::to_value(analysis).expect("an analysis");
    }
    if chance.percent(10) {
        checks["approval"] = true.into();
    }
    let mut terms = json!({"ttl": format!("{}s", chance.between(25, 90)), "checks": checks});
    if chance.percent(30) {
        terms["keepUntil"] = "checked".into();
    }
    if chance.percent(30) {
        terms["publish"] = json!({"port": 8080, "hostPort": 18_080});
    }
    let mut preview = spec.clone();
    preview.spec.traffic = None;
    preview.spec.analysis = None;
    let strategy = json!({"preview": terms});
    preview.spec.strategy = serde_json::from_value(strategy).expect("a strategy");
    preview
}

/// A rollout of `image`.
pub fn rollout(chance: &mut Chance, image: &str) -> Manifest<RolloutSpec> {
    let mut spec = json!({
        "replicas": chance.between(1, 6),
        "progressDeadline": format!("{}s", chance.between(20, 60)),
        "template": {"image": image, "networks": ["front"]},
        "traffic": {
            "loadBalancer": "edge", "backend": BACKEND, "port": 8080,
            "drainTimeout": format!("{}s", chance.between(2, 6)),
        },
        "strategy": {"canary": {"stages": stages(chance)}},
        "onFailure": if chance.percent(15) { "pause" } else { "rollback" },
    });
    if chance.percent(75) {
        spec["analysis"] = analysis(chance);
    }
    if chance.percent(20) {
        spec["revisionHistoryLimit"] = chance.between(0, 2).into();
    }
    way_back(&mut chance.apart(), &mut spec);
    job(&mut chance.apart().apart(), &mut spec);
    manifest("web", spec)
}

/// What the programs of jobs are like.
pub const PROGRAMS: [&str; 7] = ["good", "good", "bad", "flaky", "hangs", "absent", "nowhere"];

/// In some rollouts a job is a metric: of all stages, of the first one, or of the gate before a switch. Chosen apart too.
fn job(chance: &mut Chance, spec: &mut Value) {
    if !chance.percent(30) {
        return;
    }
    let mut metric = json!({
        "name": JOB,
        "job": {
            "template": {"image": format!("job:{}", chance.one(&PROGRAMS)), "networks": ["front"]},
            "timeLimit": format!("{}s", chance.between(6, 15)),
        },
        "failureLimit": chance.between(0, 2),
        "consecutiveErrorLimit": chance.between(0, 4),
    });
    if chance.percent(30) {
        metric["interval"] = format!("{}s", chance.between(1, 10)).into();
    }
    let is_rollover = spec["strategy"].get("blueGreen").is_some();
    if chance.percent(50) {
        let own = &mut spec["analysis"]["metrics"];
        match own.as_array_mut() {
            Some(metrics) => metrics.push(metric),
            None => *own = json!([metric]),
        }
    } else if is_rollover {
        spec["strategy"]["blueGreen"]["prePromotion"]["analysis"] = json!({"metrics": [metric]});
    } else {
        spec["strategy"]["canary"]["stages"][0]["analysis"] = json!({"metrics": [metric]});
    }
}

fn stages(chance: &mut Chance) -> Vec<Value> {
    let mut weight = 0;
    let mut stages = Vec::new();
    for _ in 0..chance.between(1, 3) {
        weight += chance.between(1, 30);
        let mut stage = json!({"weight": weight});
        if chance.percent(70) {
            stage["bake"] = format!("{}s", chance.between(1, 6)).into();
        }
        if chance.percent(10) {
            stage["approval"] = true.into();
        }
        if chance.percent(20) {
            stage["replicas"] = chance.between(1, 3).into();
        }
        stages.push(stage);
    }
    stages
}

fn analysis(chance: &mut Chance) -> Value {
    let mut metric = json!({
        "name": "error-ratio",
        "query": "SELECT 1 FROM haproxy WHERE revision = '{{ canary }}' AND {{ window }}",
        "max": 0.02,
        "failureLimit": chance.between(0, 2),
        "noData": chance.one(&["wait", "wait", "fail", "skip"]),
    });
    if chance.percent(30) {
        metric["window"] = format!("{}s", chance.between(1, 5)).into();
    }
    json!({"source": "main", "interval": format!("{}s", chance.between(1, 3)), "metrics": [metric]})
}
