//! What comes out: ends, numbers, timelines; and the same again for the same seed.

use std::fs;
use std::path::Path;

use serde_json::Value;

use crate::{CHECKS, PREVIEW, SPECS, WEB, asking, code, holding, json, number, simulate, stdout};

#[test]
fn every_example_plays_to_a_good_end() {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples");
    let mut played = 0;
    for entry in fs::read_dir(directory).expect("a directory") {
        let path = entry.expect("an entry").path();
        let file = path.display().to_string();
        let is_manifest = path
            .extension()
            .is_some_and(|extension| extension == "yaml");
        let has_rollout = || {
            fs::read_to_string(&path)
                .expect("a text")
                .contains("kind: Rollout")
        };
        if !is_manifest || !has_rollout() {
            continue;
        }
        let good = [
            "-f",
            &file,
            "--seed",
            "1",
            "--approve",
            "--canary-error-rate",
            "0",
        ];
        let (code, told) = json(&good);
        assert_eq!(
            (code, number(&told, "healthy")),
            (Some(0), 1),
            "{file}: {told:#}"
        );
        assert_eq!(number(&told, "lostRequests"), 0, "{file}: {told:#}");
        assert_eq!(number(&told, "violations"), 0, "{file}: {told:#}");
        played += 1;
    }
    assert!(played >= 10, "only {played} examples");
}

#[test]
fn a_good_version_passes_and_a_bad_one_is_taken_back_in_fifty_runs() {
    let fifty = ["-f", SPECS, "--rps", "350", "--seed", "100", "--runs", "50"];
    let (code, told) = json(&[&fifty[..], &["--canary-error-rate", "0"]].concat());
    assert_eq!((code, number(&told, "healthy")), (Some(0), 50), "{told:#}");
    assert_eq!(told["falseRollbacks"]["runs"], 0, "{told:#}");
    assert_eq!(told["missed"], Value::Null, "{told:#}");
    let (code, told) = json(&[&fifty[..], &["--canary-error-rate", "20%"]].concat());
    assert_eq!((code, number(&told, "degraded")), (Some(1), 50), "{told:#}");
    assert_eq!(told["missed"]["runs"], 0, "{told:#}");
    assert_eq!(told["falseRollbacks"], Value::Null, "{told:#}");
    assert_eq!(told["ends"][0]["why"], "`error-ratio` failed", "{told:#}");
    let (reached, failed) = (
        &told["canaryRequests"]["p50"],
        &told["canaryFailures"]["p50"],
    );
    let part = failed.as_f64().expect("a number") / reached.as_f64().expect("a number");
    assert!((part - 0.2).abs() < 0.02, "{part}");
}

#[test]
fn a_gate_near_the_true_rate_errs_both_ways() {
    let many = ["-f", SPECS, "--rps", "350", "--seed", "7", "--runs", "30"];
    let (_, good) = json(&[&many[..], &["--canary-error-rate", "0.008"]].concat());
    let wrong = good["falseRollbacks"]["runs"].as_u64().expect("a number");
    assert_eq!(wrong, number(&good, "degraded"), "{good:#}");
    assert!(wrong > 0, "noise takes a good version back: {good:#}");
    let (low, high) = (
        &good["falseRollbacks"]["low"],
        &good["falseRollbacks"]["high"],
    );
    let rate = good["falseRollbacks"]["rate"].as_f64();
    assert!(low.as_f64() < rate && rate < high.as_f64(), "{good:#}");
    let (_, bad) = json(&[&many[..], &["--canary-error-rate", "0.011"]].concat());
    assert_eq!(bad["falseRollbacks"], Value::Null, "{bad:#}");
    assert_eq!(
        bad["missed"]["runs"].as_u64(),
        Some(number(&bad, "healthy")),
        "{bad:#}"
    );
}

#[test]
fn json_has_what_programs_read() {
    let (_, told) = json(&["-f", SPECS, "--seed", "3", "--runs", "4"]);
    let fields = told.as_object().expect("an object");
    let sum: u64 = ["healthy", "degraded", "paused", "unended"]
        .iter()
        .map(|field| number(&told, field))
        .sum();
    assert_eq!((number(&told, "runs"), sum), (4, 4), "{told:#}");
    assert_eq!((number(&told, "seed"), number(&told, "violations")), (3, 0));
    for field in ["canaryRequests", "durationSeconds", "canaryFailures"] {
        let values = &fields[field];
        let of = |name: &str| {
            values[name]
                .as_f64()
                .unwrap_or_else(|| panic!("{field}.{name}"))
        };
        assert!(
            0.0 <= of("p50") && of("p50") <= of("p90") && of("p90") <= of("max"),
            "{values}"
        );
        assert_eq!(
            values.as_object().map(serde_json::Map::len),
            Some(3),
            "{values}"
        );
    }
    let ends = fields["ends"].as_array().expect("a list");
    assert!(
        ends.iter()
            .all(|end| end["end"].is_string() && end["runs"].is_u64())
    );
    assert!(
        !fields.contains_key("timeline"),
        "only one run has a timeline"
    );
    let (_, one) = json(&["-f", SPECS, "--seed", "3"]);
    let timeline = one["timeline"].as_array().expect("a timeline");
    assert!(
        timeline
            .iter()
            .all(|line| line["seconds"].is_f64() && line["message"].is_string())
    );
}

#[test]
fn the_same_seed_plays_the_same_again() {
    let play = |seed: &str, runs: &str| {
        let fault = ["--fault", "controller-crash", "--fault", "task-killed"];
        let usual = ["-f", SPECS, "--seed", seed, "--runs", runs];
        stdout(&simulate(&[&usual[..], &fault].concat()))
    };
    assert_eq!(play("41", "1"), play("41", "1"));
    assert_eq!(play("41", "6"), play("41", "6"));
    assert_ne!(play("41", "1"), play("42", "1"));
    // One of many is the same as alone.
    let (_, many) = json(&["-f", SPECS, "--seed", "41", "--runs", "2"]);
    let alone = |seed| json(&["-f", SPECS, "--seed", seed]).1["canaryRequests"]["max"].clone();
    let (first, second) = (alone("41"), alone("42"));
    let each = [first.as_f64(), second.as_f64()].map(|requests| requests.expect("a number"));
    let most = each[0].max(each[1]);
    assert_eq!(many["canaryRequests"]["max"].as_f64(), Some(most));
    assert_ne!(first, second);
}

#[test]
fn a_seed_that_nobody_chose_is_printed() {
    let text = stdout(&simulate(&["-f", SPECS, "--canary-error-rate", "50%"]));
    let seed = text.split("--seed ").nth(1).expect("a seed");
    let seed = seed.split('`').next().expect("a number");
    let again = ["-f", SPECS, "--canary-error-rate", "50%", "--seed", seed];
    assert_eq!(stdout(&simulate(&again)), text);
}

#[test]
fn an_approval_is_waited_for_unless_it_is_given() {
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/approval.yaml");
    let output = simulate(&["-f", file, "--seed", "1"]);
    assert_eq!(code(&output), Some(1), "{output:?}");
    let told = stdout(&output);
    assert!(
        told.contains("\nPaused after ") && told.contains("waits for approval"),
        "{told}"
    );
    let (code, quick) = json(&["-f", file, "--seed", "1", "--approve"]);
    assert_eq!((code, number(&quick, "healthy")), (Some(0), 1));
    let (code, slow) = json(&["-f", file, "--seed", "1", "--approve=1h"]);
    assert_eq!((code, number(&slow, "healthy")), (Some(0), 1));
    let seconds = |told: &Value| told["durationSeconds"]["p50"].as_f64().expect("a number");
    assert!(seconds(&slow) > seconds(&quick) + 2.0 * 3_600.0 - 60.0);
}

#[test]
fn what_does_not_end_is_called_that() {
    let directory = asking("SELECT sum(errors) FROM haproxy WHERE {{ window }}");
    let path = directory.path().display().to_string();
    let (code, told) = json(&[
        "-f",
        &path,
        "--seed",
        "1",
        "--metric",
        "errors=no-data",
        "--limit",
        "3m",
    ]);
    assert_eq!((code, number(&told, "unended")), (Some(1), 1), "{told:#}");
    assert_eq!(told["ends"][0]["why"], "waits for data", "{told:#}");
    assert_eq!(told["falseRollbacks"], Value::Null, "{told:#}");
}

#[test]
fn faults_happen_and_nothing_is_lost_by_the_rollout() {
    let list = simulate(&["--fault", "help"]);
    assert_eq!(code(&list), Some(0), "{list:?}");
    let list = stdout(&list);
    let names: Vec<&str> = list
        .lines()
        .skip(1)
        .filter_map(|line| line.split(' ').next())
        .collect();
    assert!(names.len() >= 10, "{list}");
    for name in names {
        let (code, told) = good_with(&format!("{name}=10s"));
        // Five answers in a row that are none: somebody must decide (ANALYSIS-3).
        let end = if name == "influxdb-down" {
            (Some(1), "paused")
        } else {
            (Some(0), "healthy")
        };
        assert_eq!((code, number(&told, end.1)), (end.0, 1), "{name}: {told:#}");
        assert_eq!(number(&told, "violations"), 0, "{name}: {told:#}");
        assert_eq!(number(&told, "lostRequests"), 0, "{name}: {told:#}");
        let timeline = told["timeline"].to_string();
        assert!(timeline.contains(&format!("fault: {name}")), "{told:#}");
    }
}

/// A version without errors, and this goes wrong.
fn good_with(fault: &str) -> (Option<i32>, Value) {
    let good = ["-f", SPECS, "--seed", "5", "--canary-error-rate", "0"];
    json(&[&good[..], &["--fault", fault]].concat())
}

#[test]
fn a_stage_without_an_answer_is_held() {
    let seconds = |told: &Value| told["durationSeconds"]["p50"].as_f64().expect("a number");
    let (_, calm) = good_with("influxdb-down=1h");
    let (code, silent) = good_with("influxdb-down=5s..21s");
    assert_eq!(code, Some(0), "{silent:#}");
    assert!(seconds(&silent) > seconds(&calm) + 3.0, "{silent:#}");
}

/// Plays a preview of these terms.
fn preview(terms: &str, arguments: &[&str]) -> (Option<i32>, Value) {
    let directory = holding(&PREVIEW.replace("TERMS", terms));
    let path = directory.path().display().to_string();
    json(&[&["-f", &path, "--seed", "1"], arguments].concat())
}

#[test]
fn a_preview_is_played_without_an_old_version_and_passes_by_its_own_checks() {
    let measured = format!("{{checks: {CHECKS}}}");
    let gone = format!("{{keepUntil: checked, checks: {CHECKS}}}");
    let approved = "{checks: {approval: true}}";
    for (terms, arguments, end) in [
        (approved, &["--approve"][..], (Some(0), "healthy")),
        (approved, &["--approve=20m"], (Some(0), "healthy")),
        (approved, &[], (Some(1), "paused")),
        (&measured, &["--metric", "errors=0"], (Some(0), "healthy")),
        (&measured, &["--metric", "errors=1"], (Some(1), "degraded")),
        (&gone, &["--metric", "errors=0"], (Some(0), "healthy")),
        (&gone, &["--metric", "errors=1"], (Some(1), "degraded")),
        ("{ttl: 2m, keepUntil: checked}", &[], (Some(0), "healthy")),
    ] {
        let (code, told) = preview(terms, arguments);
        assert_eq!(
            (code, number(&told, end.1)),
            (end.0, 1),
            "{terms} {arguments:?}: {told:#}"
        );
        assert_ne!(told["message"], "", "{terms} {arguments:?}: {told:#}");
        let timeline = told["timeline"].to_string();
        assert!(timeline.contains("attempt 1: "), "{terms}: {told:#}");
        assert!(!timeline.contains("attempt 2"), "{terms}: {told:#}");
    }
}

#[test]
fn a_preview_whose_checks_are_not_done_in_its_time_has_failed() {
    let terms = format!("{{ttl: 5m, checks: {CHECKS}}}");
    let (code, told) = preview(&terms, &["--metric", "errors=no-data"]);
    assert_eq!((code, number(&told, "degraded")), (Some(1), 1), "{told:#}");
    let message = told["message"].as_str().expect("a message");
    assert!(
        message.contains("not done within its ttl of 5m"),
        "{told:#}"
    );
}

#[test]
fn what_was_waited_for_is_said_when_the_old_version_does_not_come_up() {
    let slow = WEB.replace(
        "networks: [front]",
        "networks: [front], healthcheck: {test: [CMD, /app], interval: 2h}",
    );
    let directory = holding(&slow);
    let path = directory.path().display().to_string();
    let (code, told) = json(&["-f", &path, "--seed", "1", "--limit", "2m"]);
    assert_eq!((code, number(&told, "unended")), (Some(1), 1), "{told:#}");
    assert_eq!(
        told["ends"][0]["why"], "waits for the old version",
        "{told:#}"
    );
    assert_eq!(told["durationSeconds"]["p50"], 120.0, "{told:#}");
    let message = told["message"].as_str().expect("a message");
    assert!(
        message.contains("web:before, which is to be replaced, was not up"),
        "{told:#}"
    );
    assert!(message.contains("it waits for tasks"), "{told:#}");
}

#[test]
fn a_good_version_that_the_deadline_has_taken_back_counts_as_a_false_rollback() {
    let good = ["-f", SPECS, "--seed", "5", "--canary-error-rate", "0"];
    let hangs = ["--runs", "3", "--fault", "haproxy-hangs=1s..20m"];
    // The shorter fault ends, and the longer one goes on.
    let both = ["--fault", "haproxy-unreachable=1s..2s"];
    let (code, told) = json(&[&good[..], &hangs, &both].concat());
    assert_eq!((code, number(&told, "degraded")), (Some(1), 3), "{told:#}");
    let wrong = &told["falseRollbacks"];
    assert_eq!(wrong["runs"], 3, "{told:#}");
    assert_eq!(
        (&wrong["byMetric"], &wrong["byDeadline"]),
        (&0.into(), &3.into()),
        "{told:#}"
    );
    let text = stdout(&simulate(&[&good[..], &hangs].concat()));
    assert!(
        text.contains("\n  0 of them by a metric, 3 by the progress deadline\n"),
        "{text}"
    );
}

#[test]
fn what_the_rollout_cuts_itself_is_not_lost_to_a_fault_at_the_same_time() {
    let hasty = WEB.replace("port: 80", "port: 80, drainTimeout: 1s");
    let directory = holding(&hasty);
    let path = directory.path().display().to_string();
    let slow = ["--latency", "20s", "--stable-latency", "20s"];
    let usual = [
        "-f",
        &path,
        "--seed",
        "1",
        "--fault",
        "influxdb-down=1s..20m",
    ];
    let (_, told) = json(&[&usual[..], &slow].concat());
    let lost = |field: &str| told[field].as_f64().expect("a number");
    assert!(lost("lostRequests") > 0.0, "{told:#}");
    assert!(lost("lostToFaults").abs() < 0.05, "{told:#}");
}
