//! ANALYSIS-6 on a real Swarm: acceptance tests as a metric.

use rolloutctl::api::{MeasurementStatus, Phase, RolloutStatus, WaitingOn};
use serde_json::{Value, json};

use crate::daemon::Controller;
use crate::lab::{Lab, PATIENCE};
use crate::manifest::{Manifest, gate};

/// A stage of 50 % that waits for approval and is measured by a job: the demo app, asking the canary alone.
fn tested(lab: &Lab, image: &str, environment: &Value) -> Value {
    let mut stage = gate(50);
    let template = json!({
        "image": image, "command": ["check"], "networks": [lab.network], "environment": environment,
    });
    let metric = json!({
        "name": "acceptance", "job": {"template": template, "timeLimit": "60s"}, "consecutiveErrorLimit": 0,
    });
    stage["analysis"] = json!({"metrics": [metric]});
    stage
}

/// The jobs that the Swarm has: their ids.
fn jobs(lab: &Lab) -> Vec<String> {
    let filter = "label=rolloutctl.dev/job";
    let listed = lab.docker(&["service", "ls", "--filter", filter, "--format", "{{.ID}}"]);
    listed.lines().map(str::to_owned).collect()
}

fn nothing_left(lab: &Lab) {
    lab.until("no job is left", PATIENCE, || {
        jobs(lab).is_empty().then_some(())
    });
}

fn record(status: &RolloutStatus) -> Option<&MeasurementStatus> {
    let record = status.measurements.first()?;
    (record.taken > 0).then_some(record)
}

#[test]
fn analysis_6_a_job_asks_the_canary_alone_and_its_exit_code_lets_the_stage_pass() {
    let Some(lab) = Lab::open() else { return };
    let controller = Controller::start(&lab);
    let name = "web-31";
    let check = json!({"CHECK_VERSION": "v2", "CHECK_FOR": "8s"});
    let v1 = Manifest::new(&lab, name).stages([tested(&lab, "demo-app:v1", &check)]);
    v1.apply(&lab);
    lab.until_healthy(name);
    v1.version("v2").apply(&lab);
    lab.until_status(name, "waits for its job", |status| {
        matches!(
            status.waiting_on,
            Some(WaitingOn::Job { until: Some(_), .. })
        )
    });
    let before = lab.until("the job is there", PATIENCE, || jobs(&lab).pop());

    // SAFETY-1: the next controller finds the job, and neither runs it twice nor forgets it.
    controller.kill9();
    let _controller = Controller::start(&lab);
    let measured = lab.until_status(name, "is measured", |status| record(status).is_some());
    let sample = record(&measured).and_then(|record| record.recent.last());
    let sample = sample.expect("a sample");
    assert_eq!(
        (sample.exit_code, &sample.problem),
        (Some(0), &None),
        "{sample:?}"
    );
    let canary = measured.canary_revision.as_ref().expect("a canary");
    let asked = format!("http://{name}-{canary}:8080/ answers \"HTTP/1.1 200 OK\" and \"v2\"");
    assert!(sample.log.contains(&asked), "{asked} in {:?}", sample.log);
    assert!(
        sample
            .log
            .last()
            .is_some_and(|last| last.ends_with("all good")),
        "{sample:?}"
    );
    nothing_left(&lab);
    let events = lab.docker(&[
        "events",
        "--since",
        "5m",
        "--until",
        "0s",
        "--filter",
        "type=service",
    ]);
    let made = events
        .lines()
        .filter(|line| line.contains("create") && line.contains(&format!("{name}_")));
    assert_eq!(made.count(), 1, "{before} was run once: {events}");
    let described = lab.cli(&["describe", &format!("rollout/{name}")]).ok();
    assert!(described.contains("exit code 0"), "{described}");
    lab.until_status(name, "waits for approval", |status| {
        status.phase == Phase::Paused
    });
    lab.cli(&["promote", name]).ok();
    lab.until_healthy(name);
    lab.clean(name);
}

#[test]
fn analysis_6_a_job_that_fails_takes_the_canary_back_and_shows_its_log() {
    let Some(lab) = Lab::open() else { return };
    let _controller = Controller::start(&lab);
    let name = "web-32";
    let check = json!({"CHECK_VERSION": "v2"});
    let v1 = Manifest::new(&lab, name).stages([tested(&lab, "demo-app:v1", &check)]);
    v1.apply(&lab);
    lab.until_healthy(name);
    v1.version("v3").apply(&lab);
    let status = lab.until_status(name, "is taken back", |status| {
        status.phase == Phase::Degraded
    });
    assert!(
        status
            .message
            .contains("measured exit code 1, wanted exit code 0"),
        "{}",
        status.message
    );
    nothing_left(&lab);
    let described = lab.cli(&["describe", &format!("rollout/{name}")]).ok();
    assert!(
        described.contains("answer 1 is \"v3\" and not \"v2\""),
        "{described}"
    );
    lab.clean(name);
}

#[test]
fn analysis_6_a_job_without_its_image_is_inconclusive_and_leaves_nothing() {
    let Some(lab) = Lab::open() else { return };
    let _controller = Controller::start(&lab);
    let name = "web-33";
    let v1 = Manifest::new(&lab, name).stages([tested(&lab, "no-such-image:1", &json!({}))]);
    v1.apply(&lab);
    lab.until_healthy(name);
    v1.version("v2").apply(&lab);
    let status = lab.until_status(name, "is paused", |status| {
        status.pause.is_some() && status.phase == Phase::Paused
    });
    let message = status.pause.expect("a pause").message;
    assert!(
        message.contains("could not be run") && message.contains("No such image"),
        "{message}"
    );
    nothing_left(&lab);
    lab.cli(&["abort", name]).ok();
    lab.until_status(name, "is taken back", |status| {
        status.phase == Phase::Degraded
    });
    lab.clean(name);
}
