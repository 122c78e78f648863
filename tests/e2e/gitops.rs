//! Releases by commits alone: a commit is scaled in, its revert takes everything back. Under light load, of which nothing is
//! lost although the app ends at once when it is told to.

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use rolloutctl::api::{AttemptOutcome, Phase, Step};

use crate::daemon::{Collector, Controller};
use crate::lab::{Lab, PATIENCE};
use crate::load::{Load, Options};
use crate::manifest::{Manifest, gate};

const NAME: &str = "web-25";

/// What stays in the repository when the rollout goes.
const OTHER: &str = "apiVersion: rolloutctl.dev/v1alpha1
kind: MetricSource
metadata: {name: e2e-gitops}
spec: {influxdb: {url: \"http://127.0.0.1:8086\", database: rollouts}}
";

/// Runs git in `directory`, as nobody's configuration has it.
pub fn git(directory: &Path, arguments: &[&str]) -> String {
    let identity = ["-c", "user.name=Ana", "-c", "user.email=ana@example.com"];
    let output = Command::new("git")
        .args(identity)
        .args(arguments)
        .current_dir(directory)
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .output()
        .expect("git is installed");
    assert!(output.status.success(), "{arguments:?}: {output:?}");
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

/// Commits the manifest as the repository's only one; says which commit that is.
fn commit(repository: &Path, manifest: &Manifest, message: &str) -> String {
    std::fs::write(repository.join("web.yaml"), manifest.yaml()).expect("a manifest");
    git(repository, &["add", "--all"]);
    git(repository, &["commit", "--quiet", "--message", message]);
    git(repository, &["rev-parse", "HEAD"])
}

/// Waits until `revision` has a share at both proxies that `holds`; how long that took.
fn until_share(lab: &Lab, revision: &str, since: Instant, holds: fn(f64) -> bool) -> Duration {
    lab.until("the shares at both proxies", PATIENCE, || {
        let shares = lab.shares(NAME, revision);
        (shares.len() == 2 && shares.values().all(|share| holds(*share))).then_some(())
    });
    since.elapsed()
}

#[test]
fn a_commit_is_scaled_in_and_its_revert_takes_everything_back() {
    let Some(lab) = Lab::open() else { return };
    let directory = tempfile::tempdir().expect("a directory");
    let repository = directory.path();
    git(repository, &["init", "--quiet", "--initial-branch=main"]);
    let v1 = Manifest::new(&lab, NAME)
        .env("ON_SIGTERM", "exit")
        .stages([gate(50)]);
    commit(repository, &v1, "the first version");
    let _collector = Collector::start(&lab);
    let place = repository.to_str().expect("UTF-8");
    let options = ["--git", place, "--interval", "1s", "--prune"];
    let controller = Controller::start_with(&lab, "gitops", &options);
    lab.until("the first commit is seen", PATIENCE, || {
        lab.rollouts().iter().any(|name| name == NAME).then_some(())
    });
    let first = lab.until_healthy(NAME).stable_revision.expect("v1");
    let load = Load::start(&lab, NAME, &Options::quick(100));

    let asked = commit(repository, &v1.clone().version("v2"), "the second version");
    let committed = Instant::now();
    let tried = lab.until_status(NAME, "v2 is tried", |status| {
        status.canary_revision.is_some()
    });
    let seen = committed.elapsed();
    let entry = tried.history.last().expect("an attempt");
    assert_eq!(entry.commit.as_ref().map(ToString::to_string), Some(asked));
    let v2 = tried.canary_revision.expect("v2").to_string();
    let took = until_share(&lab, &v2, committed, |share| share > 0.0);
    eprintln!("from the commit: the attempt after {seen:?}, the first weight after {took:?}");
    lab.until_status(NAME, "the stage runs", |status| {
        matches!(status.step, Step::Running { .. })
    });

    git(repository, &["revert", "--no-edit", "HEAD"]);
    let took = until_share(&lab, first.as_str(), Instant::now(), |share| share > 99.9);
    eprintln!("from the revert to all the traffic: {took:?}");
    let back = lab.until_status(NAME, "is Healthy", |status| {
        status.phase == Phase::Healthy && status.leaving.is_empty()
    });
    let outcome = back.history.last().map(|entry| entry.outcome);
    assert_eq!(outcome, Some(AttemptOutcome::Reverted));

    // SAFETY-7: what no commit asks for any more is drained and removed.
    let total = load.stop();
    total.assert_nothing_lost();
    std::fs::remove_file(repository.join("web.yaml")).expect("it was there");
    // Of a commit without any manifest nothing is believed.
    std::fs::write(repository.join("other.yaml"), OTHER).expect("a manifest");
    git(repository, &["add", "--all"]);
    git(
        repository,
        &["commit", "--quiet", "--message", "the service goes"],
    );
    lab.until("the rollout is gone", PATIENCE, || {
        (!lab.rollouts().iter().any(|name| name == NAME)).then_some(())
    });
    controller.stop();
    // The store still tells of the source, which no controller reads any more.
    lab.cli(&["delete", "metricsource/e2e-gitops", "--force"])
        .ok();
}
