//! The pipelines in `examples/ci`: each job's script is run as the runner runs it, by `sh -e`, with the program as it is
//! built. What wants a Swarm finds none here: it must be understood, and must fail. `tests/e2e` has a Swarm for it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use rolloutctl::manifest::from_yaml;
use serde_json::Value;

use super::{code, stderr, stdout};

const BRANCH: &str = "test/Login_Form-which-has-a-name-that-is-much-too-long";

/// What the runners set.
const GITLAB: [(&str, &str); 3] = [
    ("CI_COMMIT_SHORT_SHA", "4f0c2e1a"),
    ("CI_COMMIT_BRANCH", "master"),
    ("CI_MERGE_REQUEST_TARGET_BRANCH_NAME", "rc"),
];

fn directory() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/ci")
}

fn read(file: &str) -> Value {
    let text = std::fs::read_to_string(directory().join(file)).expect("the example is there");
    from_yaml(&text).expect("it is YAML")
}

/// Runs a script in a directory with the manifest, where no Swarm is.
fn sh(script: &str, variables: &BTreeMap<String, String>) -> Output {
    let work = tempfile::tempdir().expect("a directory");
    let manifest = "rollout.yaml";
    std::fs::copy(directory().join(manifest), work.path().join(manifest)).expect("copied");
    let program = Path::new(env!("CARGO_BIN_EXE_rolloutctl"));
    let programs = program.parent().expect("a directory").display();
    Command::new("sh")
        .args(["-e", "-c", script])
        .current_dir(work.path())
        .envs(variables)
        .env("PATH", format!("{programs}:/usr/local/bin:/usr/bin:/bin"))
        .env("DOCKER_HOST", "unix:///nonexistent/docker.sock")
        .env("GITHUB_STEP_SUMMARY", work.path().join("summary"))
        .env_remove("DOCKER_CONTEXT")
        .stdin(Stdio::null())
        .output()
        .expect("a shell")
}

/// The lines of a GitLab script, in which an anchor may bring more than one.
fn lines(script: &Value) -> Vec<String> {
    match script {
        Value::String(line) => vec![line.clone()],
        Value::Array(items) => items.iter().flat_map(lines).collect(),
        other => panic!("{other} is no script"),
    }
}

fn gitlab(job: &str, more: &[(&str, &str)]) -> Output {
    let pipeline = read(".gitlab-ci.yml");
    let mut variables: BTreeMap<String, String> = BTreeMap::new();
    for (name, value) in GITLAB.iter().chain(more) {
        variables.insert((*name).to_owned(), (*value).to_owned());
    }
    for (name, value) in pipeline["variables"].as_object().expect("variables") {
        let mut value = value.as_str().expect("a text").to_owned();
        for (known, meant) in GITLAB {
            value = value.replace(&format!("${known}"), meant);
        }
        variables.insert(name.clone(), value);
    }
    sh(&lines(&pipeline[job]["script"]).join("\n"), &variables)
}

/// The names of a pipeline's jobs.
fn jobs(pipeline: &Value) -> Vec<String> {
    let fields = pipeline.as_object().expect("a mapping").iter();
    fields
        .filter(|(name, job)| !name.starts_with('.') && job.get("script").is_some())
        .map(|(name, _)| name.clone())
        .collect()
}

/// All that is run in a GitHub job, each step in a shell of its own.
fn github(job: &str) -> Vec<(String, Output)> {
    let workflow = read("github-workflow.yml");
    let job = &workflow["jobs"][job];
    let mut variables = BTreeMap::new();
    for fields in [&workflow["env"], &job["env"]]
        .into_iter()
        .filter_map(Value::as_object)
    {
        for (name, value) in fields {
            let value = value.as_str().expect("a text");
            let value = value
                .replace("${{ github.sha }}", "4f0c2e1a")
                .replace("${{ github.base_ref }}", "rc")
                .replace("${{ github.event.ref }}", BRANCH);
            let is_deploy = job["if"]
                .as_str()
                .is_some_and(|text| text.contains("'master'"));
            let branch = if is_deploy { "master" } else { BRANCH };
            let value = value.replace("${{ github.ref_name }}", branch);
            variables.insert(name.clone(), value);
        }
    }
    variables.remove("DOCKER_HOST");
    let steps = job["steps"].as_array().expect("steps");
    let steps = steps.iter().filter_map(|step| step["run"].as_str());
    steps
        .map(|script| (script.to_owned(), sh(script, &variables)))
        .collect()
}

#[test]
fn a_merge_request_is_validated_and_simulated() {
    for job in ["validate", "simulate"] {
        for target in ["rc", "master"] {
            let output = gitlab(job, &[("CI_MERGE_REQUEST_TARGET_BRANCH_NAME", target)]);
            assert_eq!(code(&output), Some(0), "{job}: {output:?}");
        }
    }
    let told = stdout(&gitlab("validate", &[]));
    assert_eq!(told, "3 resources valid, also with master, rc, test/*\n");
    let told = stdout(&gitlab("simulate", &[]));
    assert!(
        told.contains("rollout/news-web: registry.example/news-web:4f0c2e1a replaces"),
        "{told}"
    );
    // A branch for which there is no overlay is an error, and not the base.
    let output = gitlab(
        "simulate",
        &[("CI_MERGE_REQUEST_TARGET_BRANCH_NAME", "mastre")],
    );
    assert_eq!(code(&output), Some(1), "{output:?}");
    assert!(
        stderr(&output).contains("did you mean `master`?"),
        "{output:?}"
    );
}

#[test]
fn every_job_of_gitlab_is_understood_and_fails_honestly_without_a_swarm() {
    let all = jobs(&read(".gitlab-ci.yml"));
    assert_eq!(all.len(), 8, "{all:?}");
    for job in all {
        if ["validate", "simulate"].contains(&job.as_str()) {
            continue;
        }
        let branch = if job.ends_with("-test") {
            BRANCH
        } else {
            "master"
        };
        // What `deploy-test` hands on to those that need it.
        let handed = ("ROLLOUT", "rollout/news-web-test-login-form");
        let output = gitlab(&job, &[("CI_COMMIT_BRANCH", branch), handed]);
        assert_eq!(code(&output), Some(4), "{job}: {output:?}");
    }
}

#[test]
fn every_step_of_github_is_understood_and_fails_honestly_without_a_swarm() {
    let workflow = read("github-workflow.yml");
    let jobs = workflow["jobs"].as_object().expect("jobs");
    assert_eq!(jobs.len(), 5);
    for job in jobs.keys() {
        for (script, output) in github(job) {
            let needs_none = ["validate", "simulate"].iter().any(|verb| {
                script.starts_with(&format!("rolloutctl {verb}"))
                    || script.contains(&format!("\nrolloutctl {verb}"))
            });
            let expected = if needs_none { 0 } else { 4 };
            assert_eq!(code(&output), Some(expected), "{job}: {script}: {output:?}");
        }
    }
}

/// A revert must not wait for the rollout that it ends, nor be cancelled by another branch's push.
#[test]
fn nobody_waits_for_a_rollout_under_the_lock() {
    let pipeline = read(".gitlab-ci.yml");
    let locked: Vec<_> = jobs(&pipeline)
        .into_iter()
        .filter(|job| pipeline[job].get("resource_group").is_some())
        .collect();
    assert_eq!(locked, ["deploy"]);
    let script = lines(&pipeline["deploy"]["script"]).join("\n");
    assert!(
        script.contains("apply") && !script.contains("--wait"),
        "{script}"
    );
    let script = lines(&pipeline["wait"]["script"]).join("\n");
    assert!(script.contains("status news-web --wait"), "{script}");
    assert_eq!(pipeline["wait"]["needs"][0], "deploy");

    let workflow = read("github-workflow.yml");
    let jobs = workflow["jobs"].as_object().expect("jobs");
    let locked = jobs
        .iter()
        .filter(|(_, job)| job.get("concurrency").is_some());
    let locked: Vec<_> = locked.map(|(name, _)| name.as_str()).collect();
    assert_eq!(locked, ["deploy"]);
    let group = workflow["jobs"]["deploy"]["concurrency"].as_str();
    assert!(
        group.is_some_and(|group| group.contains("${{ github.ref_name }}")),
        "{group:?}"
    );
    let steps = workflow["jobs"]["deploy"]["steps"].to_string();
    assert!(
        steps.contains("apply") && !steps.contains("--wait"),
        "{steps}"
    );
    let steps = workflow["jobs"]["wait"]["steps"].to_string();
    assert!(steps.contains("status news-web --wait"), "{steps}");
    assert_eq!(workflow["jobs"]["wait"]["needs"], "deploy");
}

/// The scripts ask the program for the name that the overlay makes of a branch.
#[test]
fn a_test_branch_has_one_name() {
    let manifest = directory().join("rollout.yaml").display().to_string();
    for (branch, name) in [
        (BRANCH, "news-web-test-login-form-which-has-a-name-tha"),
        ("test/Ärger", "news-web-test--rger"),
    ] {
        let rollout = format!("rollout/{name}");
        let options = ["--overlay", "test/*", "--branch", branch, "--seed", "1"];
        let output = super::run(&[&["simulate", "-f", &manifest], &options[..]].concat());
        assert!(
            stdout(&output).starts_with(&format!("{rollout}: ")),
            "{output:?}"
        );
        let pipeline = read(".gitlab-ci.yml");
        let workflow = read("github-workflow.yml");
        let of_github = |job: &str| {
            let steps = workflow["jobs"][job]["steps"].as_array().expect("steps");
            let scripts = steps.iter().filter_map(|step| step["run"].as_str());
            let all = scripts.flat_map(str::lines);
            all.map(str::to_owned).collect::<Vec<_>>()
        };
        for script in [
            lines(&pipeline["deploy-test"]["script"]),
            of_github("deploy-test"),
            of_github("stop-test"),
        ] {
            let line = script.iter().find(|line| line.starts_with("rollout="));
            let line = line.expect("it names it");
            let variables = [
                ("MANIFEST", "rollout.yaml"),
                ("IMAGE", "web:1"),
                ("BRANCH", branch),
                ("CI_COMMIT_BRANCH", branch),
            ];
            let variables = variables.map(|(name, value)| (name.to_owned(), value.to_owned()));
            let output = sh(
                &format!("{line}\necho \"$rollout\""),
                &BTreeMap::from(variables),
            );
            assert_eq!(stdout(&output).trim(), rollout, "{output:?}");
        }
    }
}
