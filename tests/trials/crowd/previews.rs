//! Twenty previews at once (PROGRESS-9, PROGRESS-10), beside a rollout that serves.

use std::slice::from_ref;

use rolloutctl::api::{Dependents, Duration, Kind, Manifest, Name, Phase, RolloutSpec, Strategy};
use rolloutctl::sim::{Hand, Loss, Observer, View, What, Who};
use rolloutctl::trial::check::Calls;
use rolloutctl::trial::{Deed, End};

use super::{Crowd, called, worlds};
use crate::case::{KINDS, apply};
use crate::chance::Chance;
use crate::spec::{BACKEND, name, preview, rollout};

/// How many come at once.
const PREVIEWS: u16 = 20;

/// They come and go for so many milliseconds, while all goes wrong that may.
const TIME: u64 = 90_000;

fn name_of(number: u16) -> Name {
    name(&format!("preview-{number}"))
}

/// The preview of that number; each has a port of the nodes of its own.
fn manifest(chance: &mut Chance, number: u16) -> Manifest<RolloutSpec> {
    let image = format!("app:{}-{}", chance.one(&KINDS), chance.between(1, 3));
    let release = rollout(chance, &image);
    let mut manifest = called(preview(chance, &release), name_of(number));
    manifest.spec.replicas = chance.number(1, 2);
    if let Strategy::Preview(terms) = &mut manifest.spec.strategy
        && let Some(publish) = &mut terms.publish
    {
        publish.host_port = 18_080 + number;
    }
    manifest
}

/// Nobody else looks.
struct Nobody;

impl Observer for Nobody {
    fn changed(&mut self, _: &View<'_>, _: Who, _: &What) {}
}

/// Each is applied once or twice within `TIME`; some are deleted before their time.
fn come_and_go(crowd: &mut Crowd, chance: &mut Chance) {
    let from = crowd.trial.now();
    let mut plan = |at, deed| {
        let at = Duration::from_millis(at).after(from);
        crowd.trial.plan(at, deed);
    };
    for number in 0..PREVIEWS {
        let at = chance.between(0, 5_000);
        plan(at, apply(&manifest(chance, number)));
        if chance.percent(40) {
            let again = chance.between(5_000, TIME / 2);
            plan(again, apply(&manifest(chance, number)));
        }
        if chance.percent(25) {
            let gone = Hand::Delete(Kind::Rollout, name_of(number), Dependents::Remove);
            plan(chance.between(TIME / 2, TIME), Deed::Hand(gone));
        }
    }
}

#[test]
fn progress_10_of_twenty_previews_at_once_nothing_is_left() {
    for (seed, calls) in worlds() {
        println!("seed {seed}, {calls:?}");
        let mut chance = Chance::of_seed(seed);
        let web = name(BACKEND);
        let mut rollouts = vec![web.clone()];
        rollouts.extend((0..PREVIEWS).map(name_of));
        let mut crowd = Crowd::new(seed, calls, rollouts, from_ref(&web), Nobody);
        crowd.begin();
        crowd
            .trial
            .perform(apply(&rollout(&mut chance, "app:good-0")));
        crowd.rests(|_, _| true).expect("web serves");
        let before = crowd.inventory();
        let lost_before = crowd.losses();

        come_and_go(&mut crowd, &mut chance);
        let now = crowd.trial.now();
        crowd.trouble(&mut chance, now, TIME);
        crowd.heal();
        let all_gone = |rollout: &Name, end| match end {
            End::Gone => *rollout != web,
            End::Healthy => *rollout == web,
            End::Degraded | End::Paused => false,
        };
        crowd.rests(all_gone).expect("all but web are gone");
        crowd.stays();
        crowd.broke_nothing();
        if calls == Calls::Sound {
            assert_eq!(crowd.inventory(), before);
            let lost = crowd.losses();
            for loss in [Loss::Killed, Loss::Cut, Loss::NoServer, Loss::Refused] {
                assert!(lost.by(loss) - lost_before.by(loss) < 0.01, "{loss:?}");
            }
        }
        let status = crowd.trial.world().view(|view| view.status(&web).cloned());
        assert_eq!(status.map(|status| status.phase), Some(Phase::Healthy));
    }
}
