//! The rollout that every story is about: the usual one, and how a script changes it.

use rolloutctl::api::{Manifest, Resource, RolloutSpec};
use rolloutctl::manifest::{Known, Source, parse};
use serde::Deserialize;
use serde_json::{Map, Value, json};

/// What a script changes of a rollout. What it leaves out stays as it was.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase", default)]
pub struct Changes {
    /// The image: `v1`, `v2` …
    pub image: Option<String>,
    replicas: Option<u32>,
    /// As in a manifest.
    stages: Option<Vec<Value>>,
    /// A rollover instead of the stages, as in a manifest.
    rollover: Option<Value>,
    /// A preview instead of the stages and of the traffic, as in a manifest. The usual metric is not measured then.
    preview: Option<Value>,
    /// How many former revisions come back without stages.
    rollback_window: Option<u32>,
    /// Changes of the one metric, `error-ratio`; `none` for no analysis at all.
    metric: Option<Value>,
    /// A second metric, `acceptance`, by a job: its `image` (pass, fail, fail-once, hang, missing), its `timeLimit`, and whatever else
    /// a metric has.
    job: Option<Map<String, Value>>,
    progress_deadline: Option<String>,
    drain_timeout: Option<String>,
    on_failure: Option<String>,
    revision_history_limit: Option<u32>,
    /// Another back end than the usual one, which cannot be.
    backend: Option<String>,
}

/// What differs between the worlds.
#[derive(Clone, Debug)]
pub struct Place {
    /// The rollout's name, which is its back end's too.
    pub name: String,
    /// The overlay network.
    pub network: String,
    /// How proxies reach tasks.
    pub reach: String,
}

/// Four tasks, two stages of a few seconds, and a metric of which one failed measurement is too many.
pub fn usual(place: &Place) -> Value {
    json!({
        "replicas": 4,
        "progressDeadline": "60s",
        "template": {
            "image": "none",
            "networks": [place.network],
            "healthcheck": {"test": ["CMD", "/demo-app", "health"], "interval": "1s", "retries": 3, "start_period": "1m"},
            "stop_grace_period": "10s",
        },
        "traffic": {
            "loadBalancer": "edge", "backend": place.name, "port": 8080,
            "reach": place.reach, "drainTimeout": "5s",
        },
        "strategy": {"canary": {"stages": [{"weight": 25, "bake": "5s"}, {"weight": 50, "bake": "5s"}]}},
        "analysis": {"source": "main", "interval": "2s", "metrics": [metric()]},
    })
}

fn metric() -> Value {
    json!({
        "name": "error-ratio",
        "query": "SELECT sum(\"errors\") / sum(\"requests\") FROM \"haproxy\" WHERE \
                  \"backend\" = '{{ backend }}' AND \"revision\" = '{{ canary }}' AND {{ window }}",
        "max": 0.02,
    })
}

impl Changes {
    /// Changes `spec`.
    pub fn change(&self, spec: &mut Value) {
        let mut set = |path: &str, value: Option<Value>| {
            if let Some(value) = value {
                *spec
                    .pointer_mut(path)
                    .expect("a field of the usual rollout") = value;
            }
        };
        set("/template/image", self.image.clone().map(Into::into));
        set("/replicas", self.replicas.map(Into::into));
        set(
            "/strategy/canary/stages",
            self.stages.clone().map(Into::into),
        );
        set(
            "/progressDeadline",
            self.progress_deadline.clone().map(Into::into),
        );
        set(
            "/traffic/drainTimeout",
            self.drain_timeout.clone().map(Into::into),
        );
        set("/traffic/backend", self.backend.clone().map(Into::into));
        if let Some(rollover) = &self.rollover {
            spec["strategy"] = json!({"blueGreen": rollover});
        }
        if let Some(preview) = &self.preview {
            spec["strategy"] = json!({"preview": preview});
        }
        if let Some(revisions) = self.rollback_window {
            spec["rollbackWindow"] = json!({"revisions": revisions});
        }
        if let Some(on_failure) = &self.on_failure {
            spec["onFailure"] = on_failure.clone().into();
        }
        if let Some(limit) = self.revision_history_limit {
            spec["revisionHistoryLimit"] = limit.into();
        }
        self.change_metric(spec);
        self.change_job(spec);
    }

    fn change_job(&self, spec: &mut Value) {
        let Some(changes) = &self.job else { return };
        let mut metric = json!({
            "name": "acceptance",
            "job": {"template": {"image": "tests:pass", "networks": spec["template"]["networks"]}},
        });
        for (field, value) in changes {
            match (field.as_str(), value) {
                ("image", Value::String(program)) => {
                    metric["job"]["template"]["image"] = format!("tests:{program}").into();
                }
                ("timeLimit", limit) => metric["job"]["timeLimit"] = limit.clone(),
                (field, value) => metric[field] = value.clone(),
            }
        }
        let metrics = &mut spec["analysis"]["metrics"];
        match metrics.as_array_mut() {
            Some(metrics) => {
                metrics.retain(|known| known["name"] != metric["name"]);
                metrics.push(metric);
            }
            None => *metrics = json!([metric]),
        }
    }

    fn change_metric(&self, spec: &mut Value) {
        match &self.metric {
            None => {}
            Some(Value::Object(changes)) => {
                let metrics = spec.pointer_mut("/analysis/metrics/0");
                let metric = metrics.and_then(Value::as_object_mut);
                merge(metric.expect("it was not taken away before"), changes);
            }
            Some(_) => {
                spec.as_object_mut().expect("a spec").remove("analysis");
            }
        }
    }
}

fn merge(into: &mut Map<String, Value>, changes: &Map<String, Value>) {
    for (field, value) in changes {
        into.insert(field.clone(), value.clone());
    }
}

/// As it is applied: what `rolloutctl apply` would refuse is no story.
pub fn manifest(name: &str, spec: &Value) -> Result<Manifest<RolloutSpec>, String> {
    let document = json!({
        "apiVersion": "rolloutctl.dev/v1alpha1", "kind": "Rollout", "metadata": {"name": name}, "spec": spec,
    });
    let source = Source::new("the rollout", &document.to_string());
    let parsed = parse(&[source], Known::SourcesOnly);
    if parsed.has_errors() {
        return Err(format!("the rollout is none: {:?}", parsed.diagnostics));
    }
    let mut resources = parsed.resources.into_iter();
    match resources.next().map(|located| located.resource) {
        Some(Resource::Rollout(manifest)) => Ok(manifest),
        other => Err(format!("the rollout is none, but {other:?}")),
    }
}
