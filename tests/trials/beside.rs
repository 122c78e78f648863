//! What is done beside the rest of a case, in some of them. Each is chosen apart from all else, which stays as it was before
//! there was such a thing.

use rolloutctl::api::{Resource, Verb};
use rolloutctl::sim::Hand;
use rolloutctl::trial::Deed;

use crate::case::{VERBS, apply};
use crate::chance::Chance;
use crate::spec::{name, rollout};

/// In some cases another rollout wants the same back end, and has to wait (SAFETY-4).
pub fn rival(seed: u64) -> Option<(u64, Deed)> {
    // Chosen apart from all else, which stays as it was before there were rivals.
    let mut chance = Chance::of_seed(!seed);
    chance.percent(4).then(|| {
        let mut rival = rollout(&mut chance, "app:good-4");
        rival.metadata.name = name("rival");
        (chance.between(10_000, 60_000), apply(&rival))
    })
}

/// In some cases somebody is late with a command, which is refused (PROGRESS-6).
pub fn late_command(seed: u64) -> Option<(u64, Deed)> {
    // Chosen apart too.
    let mut chance = Chance::of_seed(seed.rotate_left(32) ^ u64::MAX);
    chance.percent(15).then(|| {
        let late = Hand::LateCommand(name("web"), chance.one(&VERBS));
        (chance.between(5_000, 80_000), Deed::Hand(late))
    })
}

/// In some cases somebody edits the strategy, and what is measured, of a template that is on its way; some of them while it
/// is paused.
pub fn edits(seed: u64, deeds: &[(u64, Deed)]) -> Vec<(u64, Deed)> {
    if !matches!(seed % 11, 1 | 3) {
        return Vec::new();
    }
    // Chosen apart too.
    let mut chance = Chance::of_seed(seed.rotate_left(24) ^ u64::MAX);
    let applied = deeds.iter().filter_map(|(at, deed)| match deed {
        Deed::Hand(Hand::Apply(resource)) => match resource.as_ref() {
            Resource::Rollout(manifest) if manifest.metadata.name == name("web") => {
                Some((*at, manifest))
            }
            _ => None,
        },
        _ => None,
    });
    let applied: Vec<_> = applied.collect();
    let (at, manifest) = chance.one(&applied);
    let mut next = rollout(&mut chance, &manifest.spec.template.image);
    next.spec.template = manifest.spec.template.clone();
    if chance.percent(60) {
        next.spec.replicas = manifest.spec.replicas;
    }
    let at = at + chance.between(2_000, 25_000);
    let mut edits = vec![(at, apply(&next))];
    if chance.percent(40) {
        let pause = Hand::Command(name("web"), Verb::Pause);
        edits.push((at - chance.between(500, 1_500), Deed::Hand(pause)));
    }
    edits
}
