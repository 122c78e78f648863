//! A whole controller with a source: what is committed is applied, and the attempt names the commit.

use std::sync::Arc;
use std::time::{Duration, Instant};

use rolloutctl::api::{OnDrift, Prune};
use rolloutctl::controller::{Options, run};
use rolloutctl::gitops::SourceOptions;
use rolloutctl::runtime::{Runtime, Tokio};

use crate::git::{Repository, source};
use crate::manifests::{EDGE, rollout};
use crate::store::Memory;

async fn until(what: &str, holds: impl Fn() -> bool) {
    let waiting = async {
        while !holds() {
            Tokio::default().sleep(Duration::from_millis(5)).await;
        }
    };
    let waited = tokio::time::timeout(Duration::from_secs(60), waiting).await;
    assert!(waited.is_ok(), "never: {what}");
}

/// The commit of the latest attempt of `web`.
fn commit(store: &Memory) -> Option<String> {
    let status = store.find("rollout/web")?.draft.status?;
    Some(status.history.last()?.commit.clone()?.0)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_commit_becomes_an_attempt_that_names_it() {
    let repository = Repository::new();
    repository.write("edge.yaml", EDGE);
    repository.write("web.yaml", &rollout("web", "web:1"));
    let first = repository.commit("first");
    let store: Arc<Memory> = Arc::default();
    let followed = source(repository.path().to_str().expect("UTF-8"), "main", "");
    let interval = followed.interval;
    let options = Options {
        listen: None,
        resync: Duration::from_secs(1),
        identity: "us".to_owned(),
        patience: Duration::from_secs(15),
        sources: vec![SourceOptions::git(
            followed,
            Prune::Delete,
            OnDrift::Restore,
        )],
    };
    let controller = run(
        store.clone(),
        Arc::new(Tokio::default()),
        options,
        std::future::pending(),
    );
    let controller = tokio::spawn(controller);
    until("the first attempt", || {
        commit(&store).as_deref() == Some(&first)
    })
    .await;
    repository.write("web.yaml", &rollout("web", "web:2"));
    let second = repository.commit("second");
    let committed = Instant::now();
    until("the second attempt", || {
        commit(&store).as_deref() == Some(&second)
    })
    .await;
    println!(
        "from a commit to its attempt: {:?}, of which up to {interval:?} are the interval",
        committed.elapsed()
    );
    let events = store
        .find("rollout/web")
        .and_then(|web| web.draft.status)
        .map(|status| status.events);
    let told = format!("(commit {})", &second[..7]);
    assert!(
        events
            .into_iter()
            .flatten()
            .any(|event| event.message.contains(&told))
    );
    controller.abort();
}
