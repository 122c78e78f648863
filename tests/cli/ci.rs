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
const GITLAB: [(&str, &str); 2] = [
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

/// A commit with the manifests, checked out, where no Swarm is.
struct Checkout {
    work: tempfile::TempDir,
}

impl Checkout {
    fn new() -> Self {
        let work = tempfile::tempdir().expect("a directory");
        for manifest in ["rollout.yaml", "shared.yaml"] {
            let from = directory().join(manifest);
            std::fs::copy(from, work.path().join(manifest)).expect("copied");
        }
        let checkout = Self { work };
        checkout.commit();
        checkout
    }

    /// Commits all that is there; the tree's name.
    fn commit(&self) -> String {
        self.git(&["init", "--quiet"]);
        self.git(&["add", "--all", "*.yaml"]);
        let who = ["-c", "user.name=Ana", "-c", "user.email=ana@example.com"];
        let what = [
            "commit",
            "--quiet",
            "--allow-empty",
            "--message",
            "a version",
        ];
        self.git(&[&who[..], &what[..]].concat());
        self.git(&["rev-parse", "HEAD^{tree}"])
    }

    fn git(&self, arguments: &[&str]) -> String {
        let mut git = Command::new("git");
        git.args(arguments).current_dir(self.work.path());
        git.env("GIT_CONFIG_GLOBAL", "/dev/null");
        let output = git.output().expect("git is installed");
        assert!(output.status.success(), "git {arguments:?}: {output:?}");
        stdout(&output).trim().to_owned()
    }

    fn sh(&self, script: &str, variables: &BTreeMap<String, String>) -> Output {
        let program = Path::new(env!("CARGO_BIN_EXE_rolloutctl"));
        let programs = program.parent().expect("a directory").display();
        let mut sh = Command::new("sh");
        sh.args(["-e", "-c", script])
            .current_dir(self.work.path())
            .envs(variables)
            .env("PATH", format!("{programs}:/usr/local/bin:/usr/bin:/bin"))
            .env("DOCKER_HOST", "unix:///nonexistent/docker.sock")
            .env_remove("DOCKER_CONTEXT")
            .stdin(Stdio::null());
        for file in ["GITHUB_STEP_SUMMARY", "GITHUB_OUTPUT", "GITHUB_ENV"] {
            sh.env(file, self.work.path().join(file));
        }
        sh.output().expect("a shell")
    }

    /// What a step has set for those after it.
    fn set(&self) -> BTreeMap<String, String> {
        let text = std::fs::read_to_string(self.work.path().join("GITHUB_ENV")).unwrap_or_default();
        let set = text.lines().filter_map(|line| line.split_once('='));
        set.map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect()
    }
}

/// Runs a script in a directory with the manifests, where no Swarm is.
fn sh(script: &str, variables: &BTreeMap<String, String>) -> Output {
    Checkout::new().sh(script, variables)
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
        let value = value.as_str().expect("a text");
        variables.insert(name.clone(), value.to_owned());
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
                .replace("${{ github.base_ref }}", "rc")
                .replace("${{ github.event.ref }}", BRANCH)
                .replace(
                    "${{ needs.deploy-test.outputs.rollout }}",
                    "rollout/news-web-test",
                );
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
    let checkout = Checkout::new();
    steps
        .map(|script| {
            variables.extend(checkout.set());
            (script.to_owned(), checkout.sh(script, &variables))
        })
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
    let tree = Checkout::new().commit();
    assert!(
        told.contains(&format!(
            "rollout/news-web: registry.example/news-web:{tree} replaces"
        )),
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
    assert_eq!(all.len(), 9, "{all:?}");
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
    assert_eq!(jobs.len(), 6);
    for job in jobs.keys() {
        for (script, output) in github(job) {
            let wants_a_swarm = ["diff", "apply", "status", "delete"]
                .iter()
                .any(|verb| script.contains(&format!("rolloutctl {verb} ")));
            let expected = if wants_a_swarm { 4 } else { 0 };
            assert_eq!(code(&output), Some(expected), "{job}: {script}: {output:?}");
        }
    }
}

/// The image's tag is the tree: after a revert, it is the one of before.
#[test]
fn a_reverted_commit_has_the_tag_that_it_had() {
    let pipeline = read(".gitlab-ci.yml");
    let workflow = read("github-workflow.yml");
    let of_gitlab = format!("{}\necho \"$image\"", lines(&pipeline[".tag"]).join("\n"));
    let steps = workflow["jobs"]["deploy"]["steps"]
        .as_array()
        .expect("steps");
    let step = steps.iter().find(|step| step["name"] == "image");
    let of_github = step.and_then(|step| step["run"].as_str());
    let of_github = format!("{}\ncat \"$GITHUB_ENV\"", of_github.expect("a script"));
    let repository = ("REPOSITORY".to_owned(), "web".to_owned());
    let variables = BTreeMap::from([repository]);
    for (script, start) in [(of_gitlab, "web:"), (of_github, "IMAGE=web:")] {
        let checkout = Checkout::new();
        let tag = || {
            let told = stdout(&checkout.sh(&script, &variables));
            let last = told.lines().last().expect("a line");
            last.strip_prefix(start).expect("an image").to_owned()
        };
        let first = tag();
        let file = checkout.work.path().join("main.yaml");
        std::fs::write(&file, "a change\n").expect("written");
        checkout.commit();
        assert_ne!(tag(), first);
        std::fs::remove_file(&file).expect("removed");
        checkout.commit();
        assert_eq!(tag(), first);
    }
}

/// What others use, too, is written by master alone; and rc waits for a person, as its comment says.
#[test]
fn only_master_applies_what_is_shared() {
    let applies = "rolloutctl apply -f \"$SHARED\"";
    let pipeline = read(".gitlab-ci.yml");
    let with_it: Vec<_> = jobs(&pipeline)
        .into_iter()
        .filter(|job| {
            pipeline[job]["script"]
                .to_string()
                .contains("apply -f \\\"$SHARED")
        })
        .collect();
    assert_eq!(with_it, ["deploy"]);
    let script = lines(&pipeline["deploy"]["script"]).join("\n");
    assert!(
        script.contains(&format!(
            "if [ \"$CI_COMMIT_BRANCH\" = master ]; then {applies}; fi"
        )),
        "{script}"
    );
    let workflow = read("github-workflow.yml");
    for (name, job) in workflow["jobs"].as_object().expect("jobs") {
        for step in job["steps"].as_array().expect("steps") {
            if step["run"]
                .as_str()
                .is_some_and(|run| run.contains(applies))
            {
                assert_eq!(
                    (name.as_str(), &step["if"]),
                    ("deploy", &"github.ref_name == 'master'".into())
                );
            }
        }
    }
    let manifest = read("rollout.yaml");
    assert_eq!(manifest["kind"], "Rollout");
    let stages = &manifest["overlays"]["rc"]["spec"]["strategy"]["canary"]["stages"];
    let last = stages.as_array().and_then(|stages| stages.last());
    assert_eq!(last.expect("a stage")["approval"], true);
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
    assert_eq!(locked, ["deploy", "deploy-test", "stop-test"]);
    for (job, group) in [
        ("deploy", "production-${{ github.ref_name }}"),
        ("deploy-test", "preview-${{ github.ref_name }}"),
        ("stop-test", "preview-${{ github.event.ref }}"),
    ] {
        assert_eq!(workflow["jobs"][job]["concurrency"], group);
    }
    for job in ["deploy", "deploy-test"] {
        let steps = workflow["jobs"][job]["steps"].to_string();
        assert!(
            steps.contains("apply") && !steps.contains("--wait"),
            "{steps}"
        );
    }
    assert_eq!(workflow["jobs"]["wait-test"]["needs"], "deploy-test");
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
