//! Whatever a source says, in whatever order: what holds of the store then.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use rolloutctl::api::{OnDrift, Prune, Resource};
use rolloutctl::gitops::{Content, Listing};

use crate::manifests::{EDGE, listing, rollout};
use crate::site::Site;

const NAMES: [&str; 3] = ["web", "shop", "news"];
const FILES: [&str; 3] = ["a.yaml", "b.yaml", "sub/c.yaml"];

/// What a file says.
#[derive(Clone, Debug)]
enum Text {
    Valid { name: usize, image: u8 },
    Misspelt { name: usize },
    NoYaml,
    Empty,
    Unreadable,
}

/// What happens.
#[derive(Clone, Debug)]
enum Step {
    Say(BTreeMap<usize, Text>),
    EditByHand { name: usize },
    DeleteByHand { name: usize },
}

fn text() -> impl Strategy<Value = Text> {
    prop_oneof![
        6 => (0..NAMES.len(), 0_u8..4).prop_map(|(name, image)| Text::Valid { name, image }),
        1 => (0..NAMES.len()).prop_map(|name| Text::Misspelt { name }),
        1 => Just(Text::NoYaml),
        1 => Just(Text::Empty),
        1 => Just(Text::Unreadable),
    ]
}

fn step() -> impl Strategy<Value = Step> {
    let files = proptest::collection::btree_map(0..FILES.len(), text(), 0..=FILES.len());
    prop_oneof![
        4 => files.prop_map(Step::Say),
        1 => (0..NAMES.len()).prop_map(|name| Step::EditByHand { name }),
        1 => (0..NAMES.len()).prop_map(|name| Step::DeleteByHand { name }),
    ]
}

fn say(files: &BTreeMap<usize, Text>) -> Listing {
    let mut all = vec![("edge.yaml", EDGE.to_owned())];
    for (file, text) in files {
        let text = match text {
            Text::Valid { name, image } => {
                rollout(NAMES[*name], &format!("{}:{image}", NAMES[*name]))
            }
            Text::Misspelt { name } => rollout(NAMES[*name], "x:1").replace("replicas", "replcas"),
            Text::NoYaml => "kind: [\n".to_owned(),
            Text::Empty | Text::Unreadable => String::new(),
        };
        all.push((FILES[*file], text));
    }
    let mut listing = listing(&all);
    for (file, text) in files {
        let place = listing.files.iter_mut().find(|f| f.path == FILES[*file]);
        if let (Text::Unreadable, Some(file)) = (text, place) {
            file.content = Content::too_large(9 << 20);
        }
    }
    listing
}

/// The rollouts that the files say validly, the first by path of each name; and whether anything is unclear.
fn said(files: &BTreeMap<usize, Text>) -> (BTreeMap<String, String>, bool) {
    let mut first: BTreeMap<usize, Option<u8>> = BTreeMap::new();
    let mut is_unclear = false;
    for text in files.values() {
        match text {
            Text::Valid { name, image } => {
                first.entry(*name).or_insert(Some(*image));
            }
            Text::Misspelt { name } => {
                first.entry(*name).or_insert(None);
            }
            Text::NoYaml | Text::Empty | Text::Unreadable => is_unclear = true,
        }
    }
    let valid = first.into_iter().filter_map(|(name, image)| {
        Some((
            NAMES[name].to_owned(),
            format!("{}:{}", NAMES[name], image?),
        ))
    });
    (valid.collect(), is_unclear)
}

/// The files in which something is wrong though it can be told with which rollout: it is misspelt, or an earlier file has it.
fn broken(files: &BTreeMap<usize, Text>) -> BTreeMap<&str, &str> {
    let mut seen = BTreeSet::new();
    let mut broken = BTreeMap::new();
    for (file, text) in files {
        let (Text::Valid { name, .. } | Text::Misspelt { name }) = text else {
            continue;
        };
        if !seen.insert(name) || matches!(text, Text::Misspelt { .. }) {
            broken.insert(FILES[*file], NAMES[*name]);
        }
    }
    broken
}

/// The files from which the rollouts came.
fn origins(site: &Site) -> BTreeMap<String, String> {
    let origin = |name: String| {
        let stored = site.store.find(&format!("rollout/{name}"))?;
        Some((name, stored.draft.origin?.file))
    };
    site.store.images().into_keys().filter_map(origin).collect()
}

fn edit(site: &Site, name: &str) {
    let target = format!("rollout/{name}");
    if site.store.find(&target).is_some() {
        site.store.touch(&target, |draft| {
            if let Resource::Rollout(manifest) = &mut draft.resource {
                manifest.spec.replicas += 1;
            }
            draft.generation += 1;
        });
    }
}

async fn play(prune: Prune, steps: Vec<Step>) {
    let mut site = Site::new(prune, OnDrift::Restore);
    let mut latest = BTreeMap::new();
    site.say(say(&latest)).await;
    for step in steps {
        let before = origins(&site);
        let mut by_hand = None;
        match step {
            Step::Say(files) => {
                latest = files;
                site.say(say(&latest)).await;
            }
            Step::EditByHand { name } => edit(&site, NAMES[name]),
            Step::DeleteByHand { name } => {
                by_hand = Some(NAMES[name]);
                site.store.take(&format!("rollout/{}", NAMES[name]));
            }
        }
        // What is being deleted is gone at once here.
        for stored in site.store.stored() {
            if stored.draft.deletion.is_some() {
                site.store
                    .take(&format!("rollout/{}", stored.draft.resource.name()));
            }
        }
        site.settle().await;
        let (valid, is_unclear) = said(&latest);
        let images = site.store.images();
        for (name, image) in &valid {
            assert_eq!(
                images.get(name),
                Some(image),
                "{name} as its manifest says: {latest:?}"
            );
        }
        let broken = broken(&latest);
        let is_kept = |name: &str, from: Option<&String>| {
            broken.values().any(|broken| *broken == name)
                || from.is_some_and(|from| broken.contains_key(from.as_str()))
        };
        for (name, file) in before {
            let is_prunable = prune == Prune::Delete
                && !is_unclear
                && !valid.contains_key(&name)
                && !is_kept(&name, Some(&file));
            assert!(
                images.contains_key(&name) || by_hand == Some(name.as_str()) || is_prunable,
                "{name} of {file} is gone: {latest:?}"
            );
        }
        if prune == Prune::Delete && !is_unclear {
            let origins = origins(&site);
            let surplus: Vec<_> = images
                .keys()
                .filter(|name| !valid.contains_key(*name) && !is_kept(name, origins.get(*name)))
                .collect();
            assert!(
                surplus.is_empty(),
                "{surplus:?} have no manifest: {latest:?}"
            );
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn the_store_says_what_the_source_says(
        steps in proptest::collection::vec(step(), 1..12),
        prunes in any::<bool>(),
    ) {
        let prune = if prunes { Prune::Delete } else { Prune::Keep };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        runtime.block_on(play(prune, steps));
    }
}
