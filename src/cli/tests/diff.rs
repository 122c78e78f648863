//! `diff`: what would change, and whether anything would.

use super::console;
use super::fixtures::{load_balancer, rollout, stored};
use super::memory::Memory;
use crate::cli::diff::run;
use crate::cli::exit::Exit;

#[tokio::test]
async fn the_same_is_no_difference() {
    let memory = Memory::with([stored(rollout("web:1"))]);
    let (mut console, answers, _) = console();
    let exit = run(&[rollout("web:1")], &memory, &mut console).await;
    assert_eq!(exit.expect("told"), Exit::Done);
    assert_eq!(answers.text(), "");
}

#[tokio::test]
async fn changes_and_additions_are_differences() {
    let memory = Memory::with([stored(rollout("web:1"))]);
    let (mut console, answers, _) = console();
    let local = [rollout("web:2"), load_balancer()];
    let exit = run(&local, &memory, &mut console).await;
    assert_eq!(exit.expect("told"), Exit::No);
    insta::assert_snapshot!(answers.text(), @r"
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
