//! A Friday morning of one service and three ways in: a branch for a test, rc scaled in gradually, master rolled over. By
//! commits alone, bad ones and reverts among them, under load, of which nothing is lost.

use std::path::Path;
use std::time::Duration;

use jiff::Timestamp;
use rolloutctl::api::{AttemptOutcome, Phase, RolloutStatus, Step};
use serde_json::{Value, json};

use crate::daemon::{Collector, Controller};
use crate::gitops::git;
use crate::lab::{Lab, PATIENCE};
use crate::load::{Load, Options};
use crate::manifest::{Manifest, bake, error_ratio};

const NAME: &str = "web-35";

/// What the manifest's name comes to on the branch `test/login`.
const PREVIEW: &str = "web-35-test-login";

/// The controller's log, which tells when it has read a commit.
const LOG: &str = "friday";

/// How the manifest reads on each branch.
fn overlays(lab: &Lab) -> Value {
    let template = json!({
        "image": "demo-app:v1", "command": ["check"], "networks": [lab.network],
        "environment": {"CHECK_VERSION": "v2", "CHECK_FOR": "2s"},
    });
    let metric = json!({"name": "acceptance", "job": {"template": template, "timeLimit": "60s"}});
    let preview = json!({"ttl": "1h", "checks": {"analysis": {"metrics": [metric]}}});
    let rollover = json!({"postPromotion": {"bake": "3s"}, "scaleDownDelay": "5m"});
    json!({
        "rc": {"metadata": {"labels": {"channel": "rc"}}},
        "master": {"spec": {"strategy": {"blueGreen": rollover}}},
        "test/*": {
            "metadata": {"name": format!("{NAME}-{{{{ branch }}}}")},
            "spec": {"replicas": 1, "traffic": null, "analysis": null, "strategy": {"preview": preview}},
        },
    })
}

/// The service with this version, which answers so many requests with an error.
fn service(lab: &Lab, version: &str, errors: &str) -> String {
    let base = Manifest::new(lab, NAME)
        .version(version)
        .env("ON_SIGTERM", "exit")
        .env("ERROR_RATE", errors)
        .analysis(error_ratio(0.01))
        .stages([bake(20, "2s"), bake(50, "2s")]);
    let mut manifest: Value = serde_json::from_str(&base.yaml()).expect("JSON");
    manifest["overlays"] = overlays(lab);
    manifest.to_string()
}

/// Now, as the controller's log tells it.
#[expect(
    clippy::disallowed_methods,
    reason = "it is measured how long a commit takes"
)]
fn now() -> Timestamp {
    Timestamp::now()
}

fn since(before: Timestamp) -> Duration {
    now().duration_since(before).unsigned_abs()
}

/// A commit, and when it was there.
struct Commit {
    id: String,
    at: Timestamp,
}

impl Commit {
    /// The commit on which the repository's work tree stands now.
    fn head(repository: &Path) -> Self {
        Self {
            id: git(repository, &["rev-parse", "HEAD"]),
            at: now(),
        }
    }

    /// Says how long it was until now, from the commit, and from when the controller had read it.
    fn tell(&self, lab: &Lab, what: &str) {
        let from_commit = since(self.at);
        let from_look = self.seen(lab).map(since);
        eprintln!(
            "{what}: {from_commit:?} after the commit, {from_look:?} after the controller had read it"
        );
    }

    /// When the controller had read it.
    fn seen(&self, lab: &Lab) -> Option<Timestamp> {
        let path = lab.dir.join("log").join(format!("e2e-{LOG}.log"));
        let log = std::fs::read_to_string(path).expect("the controller's log");
        let lines = log
            .lines()
            .filter_map(|line| serde_json::from_str::<Value>(line).ok());
        let mut read = lines.filter(|line| {
            let commit = line["commit"].as_str().unwrap_or_default();
            line["message"] == "a commit was read"
                && !commit.is_empty()
                && self.id.starts_with(commit)
        });
        read.find_map(|line| line["timestamp"].as_str()?.parse().ok())
    }
}

/// A repository with one manifest, and the lab that follows it.
struct Team<'a> {
    lab: &'a Lab,
    repository: &'a Path,
}

impl Team<'_> {
    fn git(&self, arguments: &[&str]) {
        git(self.repository, arguments);
    }

    /// Commits the service as it is to be.
    fn commit(&self, version: &str, errors: &str, message: &str) -> Commit {
        let manifest = service(self.lab, version, errors);
        std::fs::write(self.repository.join("web.yaml"), manifest).expect("a manifest");
        self.git(&["add", "--all"]);
        self.git(&["commit", "--quiet", "--message", message]);
        Commit::head(self.repository)
    }

    /// Reverts the last commit.
    fn revert(&self) -> Commit {
        self.git(&["revert", "--no-edit", "HEAD"]);
        Commit::head(self.repository)
    }

    /// Waits until `revision` has a share at both proxies that `holds`.
    fn until_share(&self, what: &str, revision: &str, holds: fn(f64) -> bool) {
        self.lab.until(what, PATIENCE, || {
            let shares = self.lab.shares(NAME, revision);
            (shares.len() == 2 && shares.values().all(|share| holds(*share))).then_some(())
        });
    }

    /// Waits until the rollout has come to rest on `version`; on which revision that is.
    fn until_rests_on(&self, version: &str) -> String {
        let image = format!("demo-app:{version}");
        let what = format!("rests on {version}");
        let status = self.lab.until_status(NAME, &what, |status| {
            let stable = status.stable_revision.as_ref();
            let record = stable.and_then(|stable| status.revisions.get(stable));
            let runs = record.is_some_and(|record| record.template.image == image);
            runs && status.phase == Phase::Healthy && status.leaving.is_empty()
        });
        status.stable_revision.expect("it rests").to_string()
    }

    /// A branch of its own comes up beside production, is checked, and goes with its branch.
    fn tests_a_branch(&self, load: &Load) {
        self.git(&["checkout", "--quiet", "-b", "test/login", "master"]);
        let commit = self.commit("v2", "0", "Try the new login");
        self.lab.until("the preview is asked for", PATIENCE, || {
            self.lab
                .rollouts()
                .iter()
                .any(|name| name == PREVIEW)
                .then_some(())
        });
        let preview = self.lab.until_healthy(PREVIEW);
        commit.tell(self.lab, "the preview is checked");
        let measured = preview.history.last().map(|entry| entry.outcome);
        assert_eq!(measured, Some(AttemptOutcome::Passed), "{preview:#?}");
        assert_eq!(load.totals(self.lab).of("v2"), 0, "it has no traffic");

        self.git(&["checkout", "--quiet", "master"]);
        self.git(&["branch", "--quiet", "-D", "test/login"]);
        let deleted = now();
        self.lab
            .until("nothing of the preview is left", PATIENCE, || {
                let filter = format!("label=rolloutctl.dev/rollout={PREVIEW}");
                let listed = ["service", "ls", "--quiet", "--filter", &filter];
                let is_gone = !self.lab.rollouts().iter().any(|name| name == PREVIEW);
                (is_gone && self.lab.docker(&listed).is_empty()).then_some(())
            });
        eprintln!(
            "the preview is gone: {:?} after its branch was deleted",
            since(deleted)
        );
    }

    /// A good commit on rc is scaled in gradually; on which revision it rests then.
    fn scales_in_on_rc(&self, first: &str) -> String {
        self.git(&["checkout", "--quiet", "rc"]);
        let commit = self.commit("v2", "0", "Take the new login in");
        self.until_share("a first share for v2", first, |share| share < 99.9);
        commit.tell(self.lab, "the first changed weight on rc");
        let waits = |status: &RolloutStatus| {
            status.stage == 1 && matches!(status.step, Step::Running { .. })
        };
        let half = self.lab.until_status(NAME, "stage 2 runs", waits);
        assert_eq!(half.weight, 50, "{half:#?}");
        let second = self.until_rests_on("v2");
        self.until_share("all for v2", &second, |share| share > 99.9);
        second
    }

    /// A bad commit on rc is measured and taken back; its revert makes all well.
    fn takes_back_on_rc(&self, second: &str) {
        let commit = self.commit("v3", "0.3", "Take the new search in");
        self.until_share("a first share for v3", second, |share| share < 99.9);
        commit.tell(self.lab, "the first changed weight of the bad commit");
        self.until_share("all back to v2", second, |share| share > 99.9);
        commit.tell(self.lab, "the bad commit's traffic is back");
        let status = self.lab.until_status(NAME, "is Degraded", |status| {
            status.phase == Phase::Degraded
        });
        let message = status.abort.expect("it was taken back").message;
        assert!(message.contains("error-ratio"), "{message}");
        let commit = self.revert();
        assert_eq!(self.until_rests_on("v2"), second);
        commit.tell(self.lab, "Healthy by the revert on rc");
    }

    /// What rc has shown to be good comes to master; the next commit there is rolled over, and its revert takes all back.
    fn rolls_over_on_master(&self, second: &str) {
        self.git(&["checkout", "--quiet", "master"]);
        self.git(&["merge", "--quiet", "--no-ff", "--no-edit", "rc"]);
        self.lab.until("master has the service", PATIENCE, || {
            self.lab.get(NAME)["spec"]["strategy"]
                .get("blueGreen")
                .map(drop)
        });
        assert_eq!(self.until_rests_on("v2"), second);

        let commit = self.commit("v3", "0", "Take the new search in, mended");
        self.until_share("all for v3", second, |share| share < 0.1);
        commit.tell(self.lab, "rolled over on master");
        self.until_rests_on("v3");
        let commit = self.revert();
        self.until_share("all back to v2", second, |share| share > 99.9);
        commit.tell(self.lab, "all the traffic back by the revert on master");
        assert_eq!(self.until_rests_on("v2"), second);
    }
}

#[test]
fn a_friday_morning_by_commits_alone_loses_no_request() {
    let Some(lab) = Lab::open() else { return };
    let directory = tempfile::tempdir().expect("a directory");
    let repository = directory.path();
    git(repository, &["init", "--quiet", "--initial-branch=master"]);
    let team = Team {
        lab: &lab,
        repository,
    };
    team.commit("v1", "0", "The service as it is");
    team.git(&["branch", "rc"]);
    let _collector = Collector::start(&lab);
    let place = repository.to_str().expect("UTF-8");
    let branches = [
        "--branch", "master", "--branch", "rc", "--branch", "test/*", "--prune",
    ];
    let source = [&["--git", place, "--interval", "1s"], &branches[..]].concat();
    let controller = Controller::start_with(&lab, LOG, &source);
    lab.until("the first commit is seen", PATIENCE, || {
        lab.rollouts().iter().any(|name| name == NAME).then_some(())
    });
    let first = team.until_rests_on("v1");
    let load = Load::start(&lab, NAME, &Options::quick(100));
    let before = load.totals(&lab);
    load.until_more(&lab, &before, 100);

    team.tests_a_branch(&load);
    let second = team.scales_in_on_rc(&first);
    team.takes_back_on_rc(&second);
    team.rolls_over_on_master(&second);

    let total = load.stop();
    eprintln!("{} requests, {} lost", total.requests, total.lost);
    total.assert_nothing_lost();
    for version in ["v1", "v2", "v3"] {
        assert!(total.of(version) > 0, "{version}: {total:?}");
    }
    controller.stop();
    // No source asks for it any more.
    let _controller = Controller::start(&lab);
    lab.clean(NAME);
}
