//! The example's pipeline, against the Swarm: its scripts as they stand, with a manifest of the lab. One service, which rc
//! scales in and master rolls over.

use std::path::Path;
use std::process::Command;

use rolloutctl::api::AttemptOutcome;
use rolloutctl::manifest::from_yaml;
use serde_json::{Value, json};

use crate::daemon::Controller;
use crate::lab::{Lab, Output};
use crate::manifest::{Manifest, bake};

/// The rollout that the example's scripts name.
const NAME: &str = "news-web";

/// The lines of a script, in which an anchor may bring more than one.
fn lines(script: &Value) -> Vec<&str> {
    match script {
        Value::Array(items) => items.iter().flat_map(lines).collect(),
        line => vec![line.as_str().expect("a line")],
    }
}

/// Runs the script of a job on a branch, which is a merge request's target too. The lab's images have tags of their own: the line that
/// makes one of the tree is left out.
fn job(lab: &Lab, directory: &Path, name: &str, branch: &str, image: &str) -> Output {
    let text = include_str!("../../examples/ci/.gitlab-ci.yml");
    let pipeline: Value = from_yaml(text).expect("YAML");
    let mut lines = lines(&pipeline[name]["script"]);
    lines.retain(|line| !line.starts_with("image="));
    let program = Path::new(env!("CARGO_BIN_EXE_rolloutctl"));
    let programs = program.parent().expect("a directory").display();
    let path = std::env::var("PATH").expect("a path");
    let output = Command::new("sh")
        .args(["-e", "-c", &lines.join("\n")])
        .current_dir(directory)
        .env("PATH", format!("{programs}:{path}"))
        .env("DOCKER_HOST", &lab.docker_host)
        .env("MANIFEST", "rollout.yaml")
        .env("SHARED", "shared.yaml")
        .env("image", image)
        .env("CI_COMMIT_BRANCH", branch)
        .env("CI_MERGE_REQUEST_TARGET_BRANCH_NAME", branch)
        .output()
        .expect("a shell");
    Output {
        code: output.status.code().unwrap_or(-1),
        stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

#[test]
fn the_examples_pipeline_scales_in_on_rc_rolls_over_on_master_and_fails_honestly() {
    let Some(lab) = Lab::open() else { return };
    let directory = tempfile::tempdir().expect("a directory");
    let base = Manifest::new(&lab, NAME)
        .stages([bake(50, "2s")])
        .progress_deadline("20s");
    let mut manifest: Value = serde_json::from_str(&base.yaml()).expect("JSON");
    manifest["overlays"] = json!({
        "rc": {"spec": {"template": {"environment": {"CHANNEL": "rc"}}}},
        "master": {"spec": {"strategy": {"blueGreen": {"scaleDownDelay": "1s"}}}},
        // Answers no health check in time.
        "broken": {"spec": {"template": {"environment": {"READY_AFTER": "10m"}}}},
    });
    std::fs::write(directory.path().join("rollout.yaml"), manifest.to_string()).expect("written");
    std::fs::write(directory.path().join("shared.yaml"), lab.base()).expect("written");
    let run =
        |name: &str, branch: &str, image: &str| job(&lab, directory.path(), name, branch, image);
    let controller = Controller::start_with(&lab, "pipelines", &[]);

    let deploy = |branch: &str, image: &str| {
        run("deploy", branch, image).ok();
        run("wait", branch, image)
    };

    deploy("rc", "demo-app:v1").ok();
    let told = run("diff", "rc", "demo-app:v1").ok();
    assert_eq!(told, "");
    let told = run("diff", "master", "demo-app:v2").ok();
    assert!(told.contains("+    image: demo-app:v2"), "{told}");
    assert!(told.contains("+    blueGreen:"), "{told}");
    deploy("rc", "demo-app:v2").ok();
    deploy("master", "demo-app:v3").ok();
    let object = lab.get(NAME);
    assert_eq!(object["spec"]["template"]["image"], "demo-app:v3");
    assert!(object.get("overlays").is_none());
    assert!(object["spec"]["strategy"].get("canary").is_none());

    let failed = deploy("broken", "demo-app:v2");
    assert_eq!(failed.code, 1, "{failed:?}");
    let status = lab.status(NAME).expect("a status");
    let outcomes: Vec<_> = status.history.iter().map(|entry| entry.outcome).collect();
    assert_eq!(
        outcomes.last(),
        Some(&AttemptOutcome::Aborted),
        "{outcomes:?}"
    );
    // The revert's pipeline makes it good.
    deploy("master", "demo-app:v3").ok();
    lab.clean(NAME);
    controller.stop();
}
