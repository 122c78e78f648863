//! What `import --take-over` applies by itself, and what somebody must look at first.

use serde_json::json;

use super::console;
use super::fixtures::{load_balancer, name, stored};
use super::memory::Memory;
use crate::api::Reach;
use crate::cli::exit::Failure;
use crate::cli::import::apply;
use crate::manifest::adoption::{Adoptee, Choice, Effect, Remark, Terms};
use crate::world::World;

fn adoptee(effect: Effect) -> Adoptee {
    let template = json!({"image": "web:1.0", "networks": ["news"]});
    Adoptee {
        service: "news_web".to_owned(),
        template: serde_json::from_value(template).expect("a template"),
        replicas: Some(2),
        ports: vec![8080],
        names: std::collections::BTreeSet::new(),
        remarks: vec![Remark {
            place: "service/news_web".to_owned(),
            field: "TaskTemplate.ContainerSpec.Ulimits".to_owned(),
            effect,
            problem: "a template has no field for it".to_owned(),
            remedy: "look whether the tasks need it".to_owned(),
        }],
    }
}

fn terms(load_balancer: Choice<crate::api::Name>) -> Terms {
    Terms {
        name: name("news-web"),
        load_balancer,
        backend: Choice::Said("news-web".to_owned()),
        port: Choice::Said(8080),
        reach: Choice::Said(Reach::Network),
    }
}

/// Applies to a store that has the load balancer. Gives the outcome, the remarks, and how many resources there are then.
async fn applied(adoptee: &Adoptee, terms: &Terms) -> (Result<(), Failure>, String, usize) {
    let memory = Memory::with([stored(load_balancer())]);
    let (mut console, _, remarks) = console();
    let store = memory.load().await.expect("a store");
    let outcome = apply(adoptee, terms, &store, &memory, &mut console).await;
    let left = memory.load().await.expect("a store").len();
    (outcome, remarks.text(), left)
}

#[tokio::test]
async fn what_nothing_is_lost_of_is_applied() {
    let terms = terms(Choice::Said(name("edge")));
    let (outcome, _, count) = applied(&adoptee(Effect::Replaced), &terms).await;
    assert!(outcome.is_ok(), "{outcome:?}");
    assert_eq!(count, 2);
}

#[tokio::test]
async fn what_is_lost_must_be_seen_first() {
    let terms = terms(Choice::Said(name("edge")));
    let (outcome, told, count) = applied(&adoptee(Effect::Lost), &terms).await;
    assert!(matches!(outcome, Err(Failure::No(_))), "{outcome:?}");
    assert!(told.contains("Ulimits: not taken over"), "{told}");
    assert_eq!(count, 1);
}

#[tokio::test]
async fn what_is_open_is_not_guessed() {
    let terms = terms(Choice::Open(name("edge"), "which?"));
    let (outcome, _, count) = applied(&adoptee(Effect::Replaced), &terms).await;
    let Err(Failure::Usage(told)) = outcome else {
        panic!("{outcome:?}");
    };
    assert!(told.contains("--load-balancer (which?)"), "{told}");
    assert_eq!(count, 1);
}
