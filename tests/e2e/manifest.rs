//! Manifests of rollouts, built: small changes from one that works in the lab.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::lab::Lab;

/// A rollout, whose name is its back end's too (`web-1` … `web-50` in the lab).
#[derive(Clone, Debug)]
pub struct Manifest {
    name: String,
    network: String,
    reach: String,
    image: String,
    replicas: u32,
    environment: BTreeMap<String, String>,
    stop_grace_period: String,
    stages: Vec<Value>,
    rollover: Option<Value>,
    drain_timeout: String,
    progress_deadline: String,
    analysis: Option<Value>,
    on_failure: &'static str,
}

impl Manifest {
    /// Version `v1` with two tasks, and one stage of 50 % that waits for approval.
    pub fn new(lab: &Lab, name: &str) -> Self {
        Self {
            name: name.to_owned(),
            network: lab.network.clone(),
            reach: lab.reach.clone(),
            image: "demo-app:v1".to_owned(),
            replicas: 2,
            environment: BTreeMap::new(),
            stop_grace_period: "10s".to_owned(),
            stages: vec![gate(50)],
            rollover: None,
            drain_timeout: "10s".to_owned(),
            progress_deadline: "60s".to_owned(),
            analysis: None,
            on_failure: "rollback",
        }
    }

    /// Runs `demo-app:TAG`.
    pub fn version(mut self, tag: &str) -> Self {
        self.image = format!("demo-app:{tag}");
        self
    }

    /// Wants so many tasks.
    pub fn replicas(mut self, replicas: u32) -> Self {
        self.replicas = replicas;
        self
    }

    /// Sets a variable of the app.
    pub fn env(mut self, variable: &str, value: &str) -> Self {
        self.environment
            .insert(variable.to_owned(), value.to_owned());
        self
    }

    /// Goes through these stages: [`gate`], [`bake`], or anything.
    pub fn stages(mut self, stages: impl Into<Vec<Value>>) -> Self {
        self.stages = stages.into();
        self
    }

    /// Rolls over, on these terms, instead of going through stages.
    pub fn rolls_over(mut self, terms: Value) -> Self {
        self.rollover = Some(terms);
        self
    }

    /// Is measured in every stage.
    pub fn analysis(mut self, analysis: Value) -> Self {
        self.analysis = Some(analysis);
        self
    }

    /// Is held where it is when a stage fails, instead of being taken back.
    pub fn pauses_on_failure(mut self) -> Self {
        self.on_failure = "pause";
        self
    }

    /// Gives open requests so long.
    pub fn drain_timeout(mut self, time: &str) -> Self {
        time.clone_into(&mut self.drain_timeout);
        self
    }

    /// Gives a stage so long to become ready.
    pub fn progress_deadline(mut self, time: &str) -> Self {
        time.clone_into(&mut self.progress_deadline);
        self
    }

    /// As `apply` takes it: JSON is YAML.
    pub fn yaml(&self) -> String {
        let mut manifest = json!({
            "apiVersion": "rolloutctl.dev/v1alpha1",
            "kind": "Rollout",
            "metadata": {"name": self.name},
            "spec": {
                "replicas": self.replicas,
                "progressDeadline": self.progress_deadline,
                "template": {
                    "image": self.image,
                    "networks": [self.network],
                    "environment": self.environment,
                    "healthcheck": {"test": ["CMD", "/demo-app", "health"], "interval": "1s", "retries": 3},
                    "stop_grace_period": self.stop_grace_period,
                },
                "traffic": {
                    "loadBalancer": "edge", "backend": self.name, "port": 8080,
                    "reach": self.reach, "drainTimeout": self.drain_timeout,
                },
                "strategy": {"canary": {"stages": self.stages}},
                "onFailure": self.on_failure,
            }
        });
        if let Some(terms) = &self.rollover {
            manifest["spec"]["strategy"] = json!({"blueGreen": terms});
        }
        if let Some(analysis) = &self.analysis {
            manifest["spec"]["analysis"] = analysis.clone();
        }
        manifest.to_string()
    }

    /// Applies it.
    pub fn apply(&self, lab: &Lab) {
        lab.apply(&self.yaml());
    }
}

/// A stage that is held until somebody promotes.
pub fn gate(weight: u8) -> Value {
    json!({"weight": weight, "approval": true})
}

/// A stage that is held for a time.
pub fn bake(weight: u8, time: &str) -> Value {
    json!({"weight": weight, "bake": time})
}

/// The ratio of errors to requests, measured every second since the stage began; at most `max`.
pub fn error_ratio(max: f64) -> Value {
    json!({
        "source": "main",
        "interval": "1s",
        "metrics": [{
            "name": "error-ratio",
            "query": "SELECT sum(\"errors\") / sum(\"requests\") FROM \"haproxy\" WHERE \
                      \"backend\" = '{{ backend }}' AND \"revision\" = '{{ canary }}' AND {{ window }}",
            "max": max,
        }],
    })
}
