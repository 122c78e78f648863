//! `rolloutctl simulate` as it is run: what it prints, with which exit code, and that a seed plays the same again.

use std::fs;
use std::process::{Command, Output, Stdio};

use serde_json::Value;

mod input;
mod readme;
mod runs;

/// A rollout of three short stages that an error ratio may take back.
const SPECS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/specs");

const WEB: &str = "apiVersion: rolloutctl.dev/v1alpha1
kind: Rollout
metadata: {name: web}
spec:
  replicas: 2
  template: {image: 'web:1.0', networks: [front]}
  traffic: {loadBalancer: edge, backend: web, port: 80}
  strategy: {canary: {stages: [{weight: 50, bake: 10s}]}}
";

const ANALYSIS: &str = "  analysis:
    source: main
    interval: 3s
    metrics:
      - name: errors
        query: QUERY
        max: 0.01
";

/// A preview of two tasks; what it has to pass comes after it.
const PREVIEW: &str = "apiVersion: rolloutctl.dev/v1alpha1
kind: Rollout
metadata: {name: web-login}
spec:
  replicas: 2
  template: {image: 'web:login', networks: [front]}
  strategy: {preview: TERMS}
";

/// The checks of a preview by this query.
const CHECKS: &str = "{analysis: {source: main, interval: 3s, metrics: [{name: errors, query: 'SELECT sum(errors) FROM haproxy WHERE {{ window }}', max: 0.01}]}}";

fn simulate(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_rolloutctl"))
        .arg("simulate")
        .args(arguments)
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .env("DOCKER_HOST", "unix:///nonexistent/docker.sock")
        .env_remove("DOCKER_CONTEXT")
        .env_remove("ROLLOUTCTL_LOG")
        .stdin(Stdio::null())
        .output()
        .expect("the program runs")
}

fn code(output: &Output) -> Option<i32> {
    output.status.code()
}

fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).expect("text")
}

fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).expect("text")
}

fn json(arguments: &[&str]) -> (Option<i32>, Value) {
    let output = simulate(&[arguments, &["-o", "json"]].concat());
    let told = serde_json::from_slice(&output.stdout);
    (
        code(&output),
        told.unwrap_or_else(|error| panic!("{error}: {output:?}")),
    )
}

/// A directory with the rollout `web` and this query in its analysis.
fn asking(query: &str) -> tempfile::TempDir {
    holding(&format!("{WEB}{}", ANALYSIS.replace("QUERY", query)))
}

/// A directory with this manifest.
fn holding(text: &str) -> tempfile::TempDir {
    let directory = tempfile::tempdir().expect("a directory");
    fs::write(directory.path().join("web.yaml"), text).expect("written");
    directory
}

fn number(told: &Value, field: &str) -> u64 {
    let number = told[field]
        .as_f64()
        .unwrap_or_else(|| panic!("{field} in {told:#}"));
    assert!(number >= 0.0 && number.fract() == 0.0, "{field}: {number}");
    format!("{number}").parse().expect("a whole number")
}
