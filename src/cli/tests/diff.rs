//! `diff`: what would change, and whether anything would.

use super::console;
use jiff::Timestamp;

use super::fixtures::{load_balancer, metric_source, rollout, stored};
use super::memory::Memory;
use crate::api::{Deletion, Dependents, Resource};
use crate::cli::diff::run;
use crate::cli::exit::{Exit, Failure};
use crate::manifest::{self, Edits, Source};

/// What `diff` says of `local`; its output, and its remarks.
async fn diff(local: &[Resource], memory: &Memory) -> (Result<Exit, Failure>, String, String) {
    let sources = local.iter().map(|resource| {
        let name = format!("{}.yaml", resource.name());
        Source::new(&name, &manifest::to_yaml(&resource.to_json()))
    });
    let sources: Vec<_> = sources.collect();
    let (mut console, answers, remarks) = console();
    let exit = run(&sources, &Edits::default(), memory, &mut console).await;
    (exit, answers.text(), remarks.text())
}

/// What a rollout of the tests refers to is there.
fn memory_with(resource: Resource) -> Memory {
    Memory::with([resource, load_balancer(), metric_source()].map(stored))
}

#[tokio::test]
async fn the_same_is_no_difference() {
    let memory = memory_with(rollout("web:1"));
    let (exit, told, remarks) = diff(&[rollout("web:1")], &memory).await;
    assert_eq!(exit.expect("told"), Exit::Done);
    assert_eq!((told.as_str(), remarks.as_str()), ("", ""));
}

/// 1 says that there are differences: a pipeline would take that for an answer.
#[tokio::test]
async fn what_apply_would_refuse_is_no_difference_but_an_error() {
    // Its LoadBalancer and its MetricSource are nowhere.
    let memory = Memory::with([stored(rollout("web:1"))]);
    let (exit, told, remarks) = diff(&[rollout("web:2")], &memory).await;
    assert_eq!(exit.expect("told"), Exit::Usage);
    assert_eq!(told, "");
    assert!(remarks.contains("spec.traffic.loadBalancer: "), "{remarks}");
    assert!(!remarks.contains("warning"), "{remarks}");
    // In the manifests beside it they are somewhere.
    let beside = [rollout("web:2"), load_balancer(), metric_source()];
    let (exit, _, remarks) = diff(&beside, &memory).await;
    assert_eq!((exit.expect("told"), remarks.as_str()), (Exit::No, ""));
    // What is being deleted cannot be applied either.
    let memory = memory_with(rollout("web:1"));
    memory.before_load(|all| {
        all[0].draft.deletion = Some(Deletion {
            at: Timestamp::UNIX_EPOCH,
            dependents: Dependents::Remove,
        });
    });
    let (exit, _, _) = diff(&[rollout("web:2")], &memory).await;
    assert!(matches!(exit, Err(Failure::Usage(told)) if told.contains("is being deleted")));
}

#[tokio::test]
async fn changes_and_additions_are_differences() {
    let memory = Memory::with([rollout("web:1"), metric_source()].map(stored));
    let local = [rollout("web:2"), load_balancer()];
    let (exit, told, _) = diff(&local, &memory).await;
    assert_eq!(exit.expect("told"), Exit::No);
    insta::assert_snapshot!(told, @r"
    --- stored rollout/news-web
    +++ local rollout/news-web
    @@ -29,7 +29,7 @@
           - approval: true
             weight: 50
       template:
    -    image: web:1
    +    image: web:2
         networks:
         - news
       traffic:
    --- stored loadbalancer/edge
    +++ local loadbalancer/edge
    @@ -0,0 +1,11 @@
    +apiVersion: rolloutctl.dev/v1alpha1
    +kind: LoadBalancer
    +metadata:
    +  name: edge
    +spec:
    +  haproxy:
    +    instances:
    +    - address: unix:///run/haproxy/admin.sock
    +      name: lb-1
    +    - address: tcp://10.0.0.12:9999
    +      name: lb-2
    ");
}
