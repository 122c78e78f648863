//! Commits: what is applied and deleted by hand in other cases is said by a GitOps source in these. It is cut short, or
//! cannot be read, now and then, and somebody applies something by hand beside it.

use std::collections::BTreeMap;
use std::sync::Arc;

use rolloutctl::api::{Commit, Kind, Manifest, OnDrift, Place, Resource, RolloutSpec};
use rolloutctl::gitops::{Content, Freshness, Listing, ManifestFile, Presence, Saying};
use rolloutctl::manifest::{Known, Source, parse};
use rolloutctl::sim::Hand;
use rolloutctl::trial::Deed;

use crate::chance::Chance;
use crate::spec::name;

/// The source's place, as `SourceOptions::played` has it.
const PLACE: &str = "git:played#main";

/// One case in twelve is one of commits. The seeds that were kept before there were any are not among them.
pub const fn is_gitops(seed: u64) -> bool {
    seed % 12 == 11
}

/// What a source says in one case.
#[derive(Clone, Debug)]
pub struct Commits {
    /// What becomes of a rollout that somebody changes by hand.
    pub on_drift: OnDrift,
    /// What each commit whose files are whole wants: the rollout, or that there is none.
    pub wants: BTreeMap<Commit, Option<Manifest<RolloutSpec>>>,
    /// Whether somebody applies something by hand as well.
    pub is_drifted: bool,
}

/// What happens to the source.
enum Event {
    Says(Box<Manifest<RolloutSpec>>),
    Drops,
    Breaks(Break),
    Mends,
}

/// In what a source is broken.
#[derive(Clone, Copy)]
enum Break {
    /// A file is half of one.
    Half,
    /// A file is being written.
    Unsettled,
    /// Nothing can be read.
    Unreadable,
}

impl Commits {
    /// Turns what is applied and deleted into commits.
    pub fn of_seed(seed: u64, deeds: &mut Vec<(u64, Deed)>) -> Self {
        // Chosen apart from all else, as previews are.
        let mut chance = Chance::of_seed(seed.rotate_left(48) ^ u64::MAX);
        let mut events = Vec::new();
        let mut is_drifted = false;
        deeds.sort_by_key(|(at, _)| *at);
        deeds.retain(|(at, deed)| {
            let event = event(deed);
            // The first one is a commit always.
            let is_by_hand = !events.is_empty() && chance.percent(20);
            match event {
                Some(Event::Says(_)) if is_by_hand => is_drifted = true,
                Some(event) => {
                    events.push((*at, event));
                    return false;
                }
                None => {}
            }
            // A rival may have the back end while no commit is valid.
            !matches!(deed, Deed::Hand(Hand::Apply(_))) || is_of_web(deed)
        });
        for _ in 0..chance.between(0, 2) {
            let at = chance.between(3_000, 70_000);
            let what = chance.one(&[Break::Half, Break::Unsettled, Break::Unreadable]);
            events.push((at, Event::Breaks(what)));
            events.push((at + chance.between(500, 15_000), Event::Mends));
        }
        events.sort_by_key(|(at, _)| *at);
        let mut commits = Self {
            on_drift: chance.one(&[OnDrift::Restore, OnDrift::Restore, OnDrift::Report]),
            wants: BTreeMap::new(),
            is_drifted,
        };
        commits.play(events, deeds);
        commits
    }

    fn play(&mut self, events: Vec<(u64, Event)>, deeds: &mut Vec<(u64, Deed)>) {
        let mut wanted = None;
        let mut broken = None;
        for (at, event) in events {
            match event {
                Event::Says(manifest) => wanted = Some(*manifest),
                Event::Drops => wanted = None,
                Event::Breaks(how) => broken = Some(how),
                Event::Mends => broken = None,
            }
            let saying = match broken {
                None => self.whole(wanted.as_ref()),
                Some(Break::Unreadable) => {
                    Saying::Unreadable("the host does not answer".to_owned())
                }
                Some(how) => self.hurt(how, wanted.as_ref()),
            };
            deeds.push((at, Deed::Say(saying)));
        }
    }

    /// What is applied by hand in other cases need not be valid: such a commit changes nothing.
    fn whole(&mut self, wanted: Option<&Manifest<RolloutSpec>>) -> Saying {
        let content = wanted.map(|manifest| whole(text(manifest)));
        let read = wanted.map(read);
        let commit = if read == Some(None) {
            self.bad()
        } else {
            Commit(format!("{:040x}", self.wants.len() + 1))
        };
        if read != Some(None) {
            self.wants.insert(commit.clone(), read.flatten());
        }
        says(commit, content)
    }

    /// A file that is not there cannot be half of one.
    fn hurt(&mut self, how: Break, wanted: Option<&Manifest<RolloutSpec>>) -> Saying {
        let Some(manifest) = wanted else {
            return self.whole(None);
        };
        let content = match how {
            Break::Half => {
                let text = text(manifest);
                whole(text[..text.len() / 2].to_owned())
            }
            Break::Unsettled | Break::Unreadable => Content::Unsettled,
        };
        says(self.bad(), Some(content))
    }

    fn bad(&self) -> Commit {
        Commit(format!("bad{:037x}", self.wants.len()))
    }

    /// What the last whole commit among `deeds` wants, if it was the last that the source said.
    pub fn last(&self, deeds: &[(u64, Deed)]) -> Option<&Option<Manifest<RolloutSpec>>> {
        let says = deeds.iter().rev().find_map(|(_, deed)| match deed {
            Deed::Say(saying) => Some(saying),
            _ => None,
        });
        match says? {
            Saying::Manifests(listing) => self.wants.get(listing.commit.as_ref()?),
            Saying::Unreadable(_) => None,
        }
    }
}

fn is_of_web(deed: &Deed) -> bool {
    matches!(event(deed), Some(Event::Says(_)))
}

fn event(deed: &Deed) -> Option<Event> {
    match deed {
        Deed::Hand(Hand::Apply(resource)) => match resource.as_ref() {
            Resource::Rollout(manifest) if manifest.metadata.name == name("web") => {
                Some(Event::Says(Box::new(manifest.clone())))
            }
            _ => None,
        },
        Deed::Hand(Hand::Delete(Kind::Rollout, ..)) => Some(Event::Drops),
        _ => None,
    }
}

pub fn text(manifest: &Manifest<RolloutSpec>) -> String {
    Resource::Rollout(manifest.clone()).to_json().to_string()
}

/// The rollout as a controller reads it; nothing if it is not valid.
pub fn read(manifest: &Manifest<RolloutSpec>) -> Option<Manifest<RolloutSpec>> {
    let source = Source::new("web.yaml", &text(manifest));
    let mut resources = parse(&[source], Known::SourcesOnly).resources;
    match resources.pop()?.resource {
        Resource::Rollout(manifest) => Some(manifest),
        _ => None,
    }
}

pub fn whole(text: String) -> Content {
    Content::Whole(text.into_bytes().into())
}

/// The rollout's file, if there is one.
fn says(commit: Commit, rollout: Option<Content>) -> Saying {
    let file = rollout.map(|content| ManifestFile {
        path: "web.yaml".to_owned(),
        content,
    });
    listing(commit, file)
}

/// These files, and another one: a source that holds nothing at all is not believed.
pub fn listing(commit: Commit, files: impl IntoIterator<Item = ManifestFile>) -> Saying {
    let other = "apiVersion: rolloutctl.dev/v1alpha1\nkind: MetricSource\nmetadata: {name: other}\n\
                 spec: {influxdb: {url: \"http://127.0.0.1:8086\", database: rollouts}}\n";
    let other = ManifestFile {
        path: "other.yaml".to_owned(),
        content: whole(other.to_owned()),
    };
    Saying::Manifests(Arc::new(Listing {
        place: Place(PLACE.to_owned()),
        commit: Some(commit),
        files: [other].into_iter().chain(files).collect(),
        hollow: Vec::new(),
        freshness: Freshness::Current,
        presence: Presence::There,
    }))
}

/// The same for people.
pub fn told(saying: &Saying) -> String {
    let listing = match saying {
        Saying::Manifests(listing) => listing,
        Saying::Unreadable(problem) => return problem.clone(),
    };
    let file = listing.files.iter().find(|file| file.path == "web.yaml");
    match file.map(|file| &file.content) {
        Some(Content::Whole(bytes)) => String::from_utf8_lossy(bytes).into_owned(),
        Some(other) => format!("{other:?}"),
        None => "no rollout".to_owned(),
    }
}
