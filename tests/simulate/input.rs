//! What goes in: manifests, queries, and options that make no sense.

use std::fs;

use serde_json::Value;

use crate::{SPECS, WEB, asking, code, json, number, simulate, stderr, stdout};

#[test]
fn what_cannot_be_evaluated_is_told_with_its_place() {
    let directory = asking("SELECT moving_average(sum(errors), 2) FROM haproxy WHERE {{ window }}");
    let file = directory.path().join("web.yaml").display().to_string();
    let output = simulate(&["-f", &file]);
    assert_eq!(code(&output), Some(1), "{output:?}");
    let told = stderr(&output);
    let line = told
        .lines()
        .find(|line| line.starts_with(&file))
        .expect("a finding");
    let place = format!("{file}:14:16: spec.analysis.metrics[0].query: column 8 of the query: ");
    assert!(line.starts_with(&place), "{told}");
    assert!(line.contains("cannot be simulated"), "{told}");
    assert!(line.contains("--metric errors=VALUE"), "{told}");
    assert_eq!(stdout(&output), "");
    let (code, told) = json(&["-f", &file, "--metric", "errors=0.003±0.001", "--seed", "1"]);
    assert_eq!((code, number(&told, "healthy")), (Some(0), 1), "{told:#}");
    let (code, told) = json(&["-f", &file, "--metric", "errors=0.02", "--seed", "1"]);
    assert_eq!((code, number(&told, "degraded")), (Some(1), 1), "{told:#}");
}

#[test]
fn columns_are_counted_in_the_query_as_written() {
    let query = "\"SELECT sum(errors) FROM haproxy WHERE revision = '{{ canary }}' AND {{ window }} fill(linear)\"";
    let directory = asking(query);
    let output = simulate(&["-f", &directory.path().display().to_string()]);
    let column = query.trim_matches('"').find("linear").expect("there") + 1;
    let told = stderr(&output);
    assert!(
        told.contains(&format!("column {column} of the query: ")),
        "{told}"
    );
}

#[test]
fn what_nobody_measures_here_is_not_guessed() {
    for (query, what) in [
        (
            "SELECT sum(failed) FROM checkout WHERE {{ window }}",
            "the measurement `checkout`",
        ),
        (
            "SELECT sum(retries) FROM haproxy WHERE {{ window }}",
            "the field `retries`",
        ),
        (
            "SELECT sum(errors) FROM haproxy WHERE host = 'a' AND {{ window }}",
            "the tag `host`",
        ),
    ] {
        let directory = asking(query);
        let path = directory.path().display().to_string();
        let output = simulate(&["-f", &path]);
        assert_eq!(code(&output), Some(1), "{output:?}");
        assert!(
            stderr(&output).contains(&format!("{what} is not simulated; ")),
            "{output:?}"
        );
        let (code, _) = json(&["-f", &path, "--metric", "errors=0", "--seed", "1"]);
        assert_eq!(code, Some(0), "{query}");
    }
}

#[test]
fn who_is_missing_is_made_up_and_said() {
    let directory = asking("SELECT sum(errors) / sum(requests) FROM haproxy WHERE {{ window }}");
    let path = directory.path().display().to_string();
    let output = simulate(&[
        "-f",
        &path,
        "--seed",
        "1",
        "--stable-error-rate",
        "0",
        "--canary-error-rate",
        "0",
    ]);
    assert_eq!(code(&output), Some(0), "{output:?}");
    let told = stderr(&output);
    assert!(
        told.contains("note: the LoadBalancer `edge` is not in these files"),
        "{told}"
    );
    assert!(
        told.contains("note: the MetricSource `main` is not in these files"),
        "{told}"
    );
}

#[test]
fn nonsense_is_a_usage_error_that_names_the_remedy() {
    for (arguments, remedy) in [
        (&[][..], "-f FILE"),
        (
            &["-f", SPECS, "--fault", "influxdb-don"],
            "did you mean `influxdb-down`?",
        ),
        (
            &["-f", SPECS, "--fault", "task-killed=1s..2s"],
            "task-killed=30s",
        ),
        (
            &["-f", SPECS, "--metric", "error-rate=1"],
            "did you mean `error-ratio`?",
        ),
        (&["-f", SPECS, "--metric", "error-ratio"], "NAME=VALUE"),
        (
            &["-f", SPECS, "--rollout", "news-wep"],
            "did you mean `news-web`?",
        ),
        (&["-f", SPECS, "--canary-error-rate", "5"], "from 0 to 1"),
        (&["-f", SPECS, "--latency", "9"], "30ms/150ms"),
        (&["-f", SPECS, "--runs", "0"], "0"),
    ] {
        let output = simulate(arguments);
        assert_eq!(code(&output), Some(2), "{arguments:?}: {output:?}");
        assert!(
            stderr(&output).contains(remedy),
            "{arguments:?}: {output:?}"
        );
    }
}

#[test]
fn of_several_rollouts_one_is_chosen() {
    let directory = tempfile::tempdir().expect("a directory");
    let both = format!("{WEB}---\n{}", WEB.replace("web", "shop"));
    fs::write(directory.path().join("both.yaml"), both).expect("written");
    let path = directory.path().display().to_string();
    let output = simulate(&["-f", &path]);
    assert_eq!(code(&output), Some(2), "{output:?}");
    assert!(stderr(&output).contains("--rollout shop"), "{output:?}");
    let (code, told) = json(&["-f", &path, "--rollout", "shop", "--seed", "1"]);
    assert_eq!((code, &told["rollout"]), (Some(0), &Value::from("shop")));
}

#[test]
fn broken_manifests_are_told_as_validate_tells_them() {
    let directory = tempfile::tempdir().expect("a directory");
    let broken = WEB
        .replace("replicas", "replcias")
        .replace("weight", "wait");
    fs::write(directory.path().join("web.yaml"), broken).expect("written");
    let output = simulate(&["-f", &directory.path().display().to_string()]);
    assert_eq!(code(&output), Some(1), "{output:?}");
    let told = stderr(&output);
    assert!(told.contains("did you mean `replicas`?"), "{told}");
    assert!(
        told.contains("did you mean `weight`?") || told.contains("stages[0]"),
        "{told}"
    );
}

#[test]
fn an_analysis_template_is_not_made_up() {
    let directory = tempfile::tempdir().expect("a directory");
    let text = format!("{WEB}  analysis: {{templates: [{{name: errors}}]}}\n");
    fs::write(directory.path().join("web.yaml"), text).expect("written");
    let output = simulate(&["-f", &directory.path().display().to_string()]);
    assert_eq!(code(&output), Some(1), "{output:?}");
    assert!(
        stderr(&output).contains("there is no AnalysisTemplate"),
        "{output:?}"
    );
}
