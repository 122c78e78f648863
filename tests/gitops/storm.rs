//! A storm: files are written in place and in halves, renamed, taken away and put back at random. At the end the store
//! says what the directory says, and at no time did it say half a file.
//!
//! `STORM=1000,50` chooses how many deeds are done to how many manifests; `STORM_SEED` which.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rand_pcg::Pcg64;
use rand_pcg::rand_core::{Rng, SeedableRng};
use rolloutctl::api::{OnDrift, Prune, Resource};
use rolloutctl::gitops::SourceOptions;
use rolloutctl::runtime::{Runtime, Tokio};

use crate::manifests::EDGE;
use crate::site::Site;
use crate::store::Memory;

/// Chance that depends on a seed alone.
struct Dice(Pcg64);

impl Dice {
    fn new(seed: u64) -> Self {
        Self(Pcg64::seed_from_u64(seed))
    }

    fn below(&mut self, number: usize) -> usize {
        let random = usize::try_from(self.0.next_u64() >> 1).expect("a number");
        random % number
    }
}

/// A rollout whose first and last lines must fit together. Without its last line it is valid too.
fn text(name: &str, number: usize) -> String {
    format!(
        "apiVersion: rolloutctl.dev/v1alpha1
kind: Rollout
metadata: {{name: {name}, labels: {{begin: '{number}'}}}}
spec:
  replicas: 2
  traffic: {{loadBalancer: edge, backend: {name}, port: 8080}}
  strategy: {{canary: {{stages: [{{weight: 50, bake: 1s}}]}}}}
  template:
    networks: [news]
    image: 'web:{number}'
    environment: {{END: '{number}'}}
"
    )
}

/// The number of a whole manifest; nothing if it is half of one.
fn number(resource: &Resource) -> Option<String> {
    let json = resource.to_json();
    let begin = json.pointer("/metadata/labels/begin")?.as_str()?;
    let image = json.pointer("/spec/template/image")?.as_str()?;
    let end = json.pointer("/spec/template/environment/END")?.as_str()?;
    (begin == end && image == format!("web:{end}")).then(|| end.to_owned())
}

struct Storm {
    root: PathBuf,
    dice: Dice,
    numbers: usize,
    /// What each name's file is called now, and which number is in it.
    files: BTreeMap<String, (PathBuf, usize)>,
}

impl Storm {
    async fn deed(&mut self, names: usize) {
        let name = format!("web-{}", self.dice.below(names));
        self.numbers += 1;
        let number = self.numbers;
        let text = text(&name, number);
        let known = self.files.get(&name).cloned();
        let path = known.as_ref().map_or_else(
            || self.root.join(format!("{name}.yaml")),
            |(path, _)| path.clone(),
        );
        match (self.dice.below(6), known) {
            (0 | 1, _) => self.in_halves(&path, &text).await,
            (2, _) => fs::write(&path, &text).expect("written"),
            (3, _) => {
                let beside = path.with_extension("yaml.new");
                fs::write(&beside, &text).expect("written");
                fs::rename(&beside, &path).expect("renamed");
            }
            (4, Some((_, number))) => {
                let folder = self.root.join(format!("team-{}", self.dice.below(3)));
                fs::create_dir_all(&folder).expect("a directory");
                let moved = folder.join(format!("{name}.yml"));
                fs::rename(&path, &moved).expect("renamed");
                self.files.insert(name, (moved, number));
                return;
            }
            (5, Some(_)) => {
                fs::remove_file(&path).expect("removed");
                self.files.remove(&name);
                return;
            }
            _ => return,
        }
        self.files.insert(name, (path, number));
    }

    /// Now and then there is time for files to settle.
    async fn breathe(&mut self) {
        let pause = if self.dice.below(10) == 0 { 350 } else { 5 };
        Tokio::default().sleep(Duration::from_millis(pause)).await;
    }

    /// Cut short, written up to a place where half of it is valid or not, and to its end later.
    async fn in_halves(&mut self, path: &Path, text: &str) {
        // Half of them before the last line, where the half is valid.
        let last = text.trim_end().rfind('\n').expect("lines") + 1;
        let cut = [self.dice.below(text.len()), last][self.dice.below(2)];
        let mut file = File::create(path).expect("cut short");
        file.write_all(&text.as_bytes()[..cut]).expect("written");
        file.flush().expect("flushed");
        // Longer than a file needs to settle, now and then.
        let pause = Duration::from_millis(if self.dice.below(4) == 0 { 400 } else { 5 });
        Tokio::default().sleep(pause).await;
        file.write_all(&text.as_bytes()[cut..]).expect("written");
    }
}

fn chosen() -> (usize, usize) {
    let text = std::env::var("STORM").unwrap_or_else(|_| "150,12".to_owned());
    let (deeds, names) = text.split_once(',').expect("STORM=DEEDS,MANIFESTS");
    (
        deeds.parse().expect("a number"),
        names.parse().expect("a number"),
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn after_a_storm_the_store_says_what_the_directory_says_and_never_said_half_a_file() {
    let directory = tempfile::tempdir().expect("a directory");
    fs::write(directory.path().join("edge.yaml"), EDGE).expect("written");
    let source = SourceOptions::directory(directory.path(), Prune::Delete, OnDrift::Restore);
    let mut site = Site::reading(std::sync::Arc::default(), vec![source.expect("a path")]);
    let (deeds, names) = chosen();
    let seed = std::env::var("STORM_SEED").map_or(1, |seed| seed.parse().expect("a number"));
    let mut storm = Storm {
        root: directory.path().to_owned(),
        dice: Dice::new(seed),
        numbers: 0,
        files: BTreeMap::new(),
    };
    let raging = tokio::spawn(async move {
        for _ in 0..deeds {
            storm.deed(names).await;
            storm.breathe().await;
        }
        storm
    });
    let is_over = |store: &Memory| {
        forget_deleted(store);
        raging.is_finished()
    };
    site.until("the storm is over", is_over).await;
    let storm = raging.await.expect("no panic");
    let wanted: BTreeMap<String, String> = storm
        .files
        .iter()
        .map(|(name, (_, number))| (name.clone(), number.to_string()))
        .collect();
    let is_so = |store: &Memory| {
        forget_deleted(store);
        let stored = store.stored();
        let rollouts = stored
            .iter()
            .filter(|stored| matches!(stored.draft.resource, Resource::Rollout(_)));
        let said: BTreeMap<String, String> = rollouts
            .map(|stored| {
                let resource = &stored.draft.resource;
                (
                    resource.name().to_string(),
                    number(resource).unwrap_or_else(|| "half".to_owned()),
                )
            })
            .collect();
        said == wanted
    };
    site.until("the store says what the directory says", is_so)
        .await;
    let ever = site.store.ever();
    let halves: Vec<_> = ever
        .iter()
        .filter(|resource| matches!(resource, Resource::Rollout(_)) && number(resource).is_none())
        .collect();
    assert!(halves.is_empty(), "seed {seed}: {halves:#?}");
    println!(
        "{deeds} deeds to {names} manifests: {} writes, {} rollouts at the end",
        site.store.writes(),
        wanted.len()
    );
}

/// What is drained is gone at once here.
fn forget_deleted(store: &Memory) {
    for stored in store.stored() {
        if stored.draft.deletion.is_some() {
            store.take(&format!("rollout/{}", stored.draft.resource.name()));
        }
    }
}
