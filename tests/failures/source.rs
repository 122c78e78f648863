//! InfluxDB is away for a while (ANALYSIS-3).

use std::process::Command;
use std::time::Duration;

use rolloutctl::api::{PauseReason, Phase, RolloutStatus, WaitingOn};
use serde_json::{Value, json};

use crate::daemon::{Collector, Controller};
use crate::lab::{Lab, PATIENCE, poll};
use crate::manifest::{Manifest, bake, error_ratio};
use crate::site::{end, has_share, is_at_rest, runs, serve};
use crate::switch::switch;

/// How long the database is away in mid-rollout: ten times as long as the stage would bake.
const OUTAGE: Duration = Duration::from_secs(60);

fn tolerant(errors: u32) -> Value {
    let mut analysis = error_ratio(0.5);
    analysis["metrics"][0]["consecutiveErrorLimit"] = json!(errors);
    analysis
}

/// How many requests for `backend` the collector has written.
fn counted(lab: &Lab, backend: &str) -> Option<u64> {
    let query =
        format!("SELECT sum(\"requests\") FROM \"haproxy\" WHERE \"backend\" = '{backend}'");
    let output = Command::new("curl")
        .args(["--silent", "--get", "--data", "db=rollouts"])
        .args(["--data-urlencode", &format!("q={query}")])
        .arg(format!("{}/query", lab.influxdb))
        .output()
        .expect("curl runs");
    let answer: Value = serde_json::from_slice(&output.stdout).ok()?;
    answer["results"][0]["series"][0]["values"][0][1].as_u64()
}

#[test]
fn analysis_3_an_outage_of_the_source_holds_the_stage() {
    let Some(lab) = Lab::open() else { return };
    let _collector = Collector::start(&lab);
    let controller = Controller::start(&lab);
    let name = "web-7";
    let already = counted(&lab, name).unwrap_or(0);
    let v1 = Manifest::new(&lab, name)
        .stages([bake(50, "6s")])
        .analysis(tolerant(10_000));
    let (_, load) = serve(&lab, &v1, name);

    v1.clone().version("v2").apply(&lab);
    lab.until_status(name, "has measured", |status| {
        status.attempt == 2 && status.measurements.iter().any(|one| one.valid > 0)
    });
    switch(&lab, &["stop-influxdb"]);
    let canary = lab.status(name).and_then(|status| status.canary_revision);
    let canary = canary.expect("v2").to_string();
    let holds = |status: &RolloutStatus| {
        (status.attempt, status.phase) == (2, Phase::Progressing) && runs(status, 0)
    };
    let moved = poll(OUTAGE, || {
        let status = lab.status(name)?;
        (!holds(&status) || !has_share(&lab, name, &canary, 50.0)).then_some(status)
    });
    assert_eq!(moved, None, "neither promoted nor taken back");
    let held = lab.until_status(name, "is held by the source", |status| {
        matches!(status.waiting_on, Some(WaitingOn::Source { .. }))
    });
    assert!(holds(&held), "{held:#?}");
    eprintln!("after {OUTAGE:?}: {}", held.message);
    switch(&lab, &["start-influxdb"]);
    lab.until_status(name, "v2 is stable", |status| {
        status.phase == Phase::Healthy && is_at_rest(status)
    });

    v1.version("v3").analysis(tolerant(2)).apply(&lab);
    lab.until_status(name, "has measured", |status| {
        status.attempt == 3 && status.measurements.iter().any(|one| one.valid > 0)
    });
    switch(&lab, &["stop-influxdb"]);
    let paused = lab.until_status(name, "is paused", |status| status.phase == Phase::Paused);
    assert_eq!(
        paused.pause.map(|pause| pause.reason),
        Some(PauseReason::Inconclusive)
    );
    switch(&lab, &["start-influxdb"]);
    lab.cli(&["resume", name]).ok();
    let done = lab.until_status(name, "v3 is stable", |status| {
        status.phase == Phase::Healthy && is_at_rest(status)
    });
    assert_eq!(done.attempt, 3);

    let total = end(&lab, load);
    total.assert_nothing_lost();
    // The points of both outages were kept, and written once the database was back.
    let all = already + total.requests;
    let seen = lab.until(
        &format!("all {all} requests are in the database"),
        PATIENCE,
        || counted(&lab, name).filter(|seen| *seen >= all),
    );
    assert_eq!(seen, all, "each request once");
    lab.clean(name);
    controller.stop();
}
