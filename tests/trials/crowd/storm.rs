//! A storm on a source: fifty manifests are edited, moved, cut short, taken away and put back a thousand times. At the end
//! the store is what the source says, and nothing was ever written that it had not said whole.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};

use rolloutctl::api::{Commit, Duration, Manifest, Name, OnDrift, Prune, Resource, RolloutSpec};
use rolloutctl::gitops::{Content, ManifestFile, Saying};
use rolloutctl::sim::{Observer, Outcome, View, What, Who, Write};
use rolloutctl::trial::Deed;

use super::{Crowd, called, worlds};
use crate::case::KINDS;
use crate::chance::Chance;
use crate::commits::{listing, read, text, whole};
use crate::spec::{name, preview, rollout};

/// How many manifests there are.
const MANIFESTS: u16 = 50;

/// How many edits.
const EDITS: u32 = 1_000;

/// The time between two edits, at most, in milliseconds.
const PAUSE: u64 = 400;

/// No preview is up for longer (`spec::preview`).
const LONGEST_TTL: Duration = Duration::from_secs(90);

fn name_of(number: u16) -> Name {
    name(&format!("web-{number}"))
}

/// Odd ones are previews, the others have a back end of their name.
const fn has_traffic(number: u16) -> bool {
    number.is_multiple_of(2)
}

/// A valid manifest of that number. None waits for an approval: what does is measured for as long, and never rests.
fn manifest(chance: &mut Chance, number: u16) -> Manifest<RolloutSpec> {
    loop {
        let image = format!("app:{}-{}", chance.one(&KINDS), chance.between(1, 3));
        let mut next = called(rollout(chance, &image), name_of(number));
        next.spec.replicas = chance.number(1, 2);
        if let Some(traffic) = &mut next.spec.traffic {
            traffic.backend = next.metadata.name.to_string();
        }
        if !has_traffic(number) {
            next = preview(chance, &next);
        }
        let read = read(&next);
        if let Some(read) = read.filter(|read| !text(read).contains(r#""approval":true"#)) {
            return read;
        }
    }
}

/// A file of the source.
#[derive(Clone)]
struct File {
    path: String,
    manifest: Manifest<RolloutSpec>,
    state: State,
}

/// In what state a file is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Whole,
    /// It ends in its middle.
    Half,
    /// It is being written.
    Unsettled,
    /// It cannot be read.
    Unreadable,
}

/// The source, as its files are.
#[derive(Default)]
struct Files {
    files: BTreeMap<u16, File>,
    commits: u32,
}

impl Files {
    /// Something happens to one of them.
    fn edit(&mut self, chance: &mut Chance) {
        let number = chance.number(0, u64::from(MANIFESTS) - 1);
        let deed = chance.between(0, 9);
        let Some(file) = self.files.get_mut(&number) else {
            let path = format!("{number}.yaml");
            let manifest = manifest(chance, number);
            let state = State::Whole;
            self.files.insert(
                number,
                File {
                    path,
                    manifest,
                    state,
                },
            );
            return;
        };
        match deed {
            0 | 1 => file.path = format!("moved/{number}-{}.yaml", chance.between(0, 9)),
            2 => file.state = State::Half,
            3 => file.state = State::Unsettled,
            4 => file.state = State::Unreadable,
            5 => drop(self.files.remove(&number)),
            6 => file.state = State::Whole,
            _ => {
                file.manifest = manifest(chance, number);
                file.state = State::Whole;
            }
        }
    }

    /// All files are whole.
    fn mend(&mut self) {
        for file in self.files.values_mut() {
            file.state = State::Whole;
        }
    }

    fn say(&mut self) -> Saying {
        self.commits += 1;
        let commit = Commit(format!("{:040x}", self.commits));
        listing(commit, self.files.values().map(File::say))
    }

    /// What it says, by name.
    fn wanted(&self) -> BTreeMap<Name, Manifest<RolloutSpec>> {
        let all = self.files.values();
        all.map(|file| (file.manifest.metadata.name.clone(), file.manifest.clone()))
            .collect()
    }
}

impl File {
    fn say(&self) -> ManifestFile {
        let content = match self.state {
            State::Whole => whole(text(&self.manifest)),
            State::Half => {
                let text = text(&self.manifest);
                whole(text[..text.len() / 2].to_owned())
            }
            State::Unsettled => Content::Unsettled,
            State::Unreadable => Content::Unreadable {
                problem: "permission denied".to_owned(),
                remedy: "chmod".to_owned(),
            },
        };
        ManifestFile {
            path: self.path.clone(),
            content,
        }
    }
}

/// What the source has said whole so far, as JSON, and what was written that it had not.
#[derive(Clone, Default)]
struct Heard(Arc<Mutex<(BTreeSet<String>, Vec<String>)>>);

impl Heard {
    fn say(&self, manifest: &Manifest<RolloutSpec>) {
        let mut heard = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        heard.0.insert(text(manifest));
    }

    fn unheard(&self) -> Vec<String> {
        let heard = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        heard.1.clone()
    }
}

impl Observer for Heard {
    fn changed(&mut self, view: &View<'_>, who: Who, what: &What) {
        let What::Stored {
            title,
            write: Write::Create | Write::Replace,
            outcome: Outcome::Done,
            ..
        } = what
        else {
            return;
        };
        let Some(rollout) = title.strip_prefix("rollout/") else {
            return;
        };
        let stored = view.rollout(&name(rollout));
        let Some(Resource::Rollout(manifest)) = stored.map(|stored| &stored.draft.resource) else {
            return;
        };
        let written = text(manifest);
        let mut heard = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if !heard.0.contains(&written) {
            heard.1.push(format!("{who:?} wrote {written}"));
        }
    }
}

/// The storm, until the source is whole again.
fn blow(crowd: &mut Crowd, chance: &mut Chance, files: &mut Files, heard: &Heard) {
    for _ in 0..EDITS {
        files.edit(chance);
        let whole = files
            .files
            .values()
            .filter(|file| file.state == State::Whole);
        whole.for_each(|file| heard.say(&file.manifest));
        let said = if chance.percent(3) {
            Saying::Unreadable("the host does not answer".to_owned())
        } else {
            files.say()
        };
        crowd.trial.perform(Deed::Say(said));
        crowd
            .trial
            .run_for(Duration::from_millis(chance.between(0, PAUSE)));
    }
    files.mend();
    files
        .files
        .values()
        .for_each(|file| heard.say(&file.manifest));
    crowd.trial.perform(Deed::Say(files.say()));
}

#[test]
fn after_a_storm_the_store_is_what_the_source_says() {
    for (seed, calls) in worlds() {
        println!("seed {seed}, {calls:?}");
        let mut chance = Chance::of_seed(seed);
        let served: Vec<Name> = (0..MANIFESTS)
            .filter(|it| has_traffic(*it))
            .map(name_of)
            .collect();
        let heard = Heard::default();
        let rollouts = (0..MANIFESTS).map(name_of).collect();
        let mut crowd = Crowd::new(seed, calls, rollouts, &served, heard.clone());
        crowd.trial.follow(Prune::Delete, OnDrift::Restore);
        crowd.begin();
        let now = crowd.trial.now();
        crowd.trouble(&mut chance, now, u64::from(EDITS) * PAUSE / 2);
        let mut files = Files::default();
        blow(&mut crowd, &mut chance, &mut files, &heard);
        crowd.heal();
        crowd.rests(|_, _| true).expect("all rest");
        crowd.trial.run_for(LONGEST_TTL);
        crowd
            .rests(|_, _| true)
            .expect("all rest, now that every preview has had its time");
        crowd.stays();
        crowd.broke_nothing();
        assert_eq!(heard.unheard(), Vec::<String>::new());
        let stored = crowd.trial.world().view(|view| {
            let all = view.stored().map(|stored| &stored.draft.resource);
            let rollouts = all.filter_map(|resource| match resource {
                Resource::Rollout(manifest) => Some(manifest.clone()),
                _ => None,
            });
            rollouts
                .map(|manifest| (manifest.metadata.name.clone(), manifest))
                .collect::<BTreeMap<_, _>>()
        });
        assert_eq!(stored, files.wanted());
    }
}
