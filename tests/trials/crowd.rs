//! Many rollouts in one world: twenty previews at once beside a rollout that serves, and a source whose fifty files are
//! edited a thousand times. Half of the worlds are sound; in the others all goes wrong that may.
//!
//! `CROWDS=N` chooses how many worlds of each kind are tried (2 if unset), `CROWDS_FROM=SEED` where they begin.

mod previews;
mod storm;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;
use rolloutctl::api::{Duration, Manifest, Name, ResourceRef, RolloutSpec, Route};
use rolloutctl::sim::{BackendSetup, Hand, Losses, Observer, Setup, View, What, Who};
use rolloutctl::trial::check::{Calls, Findings, Terms, Watch, Watches, is_write};
use rolloutctl::trial::{Deed, End, Habits, Reading, Seat, Trial, Unrest, at_rest};

use crate::case::{after_a_look, faults, trouble, world};
use crate::chance::Chance;
use crate::number;
use crate::play::heal;
use crate::spec::{name, neighbours};

/// How many proxies there are.
const INSTANCES: u64 = 2;

/// How long a crowd may take to come to rest.
const LIMIT: Duration = Duration::from_secs(30 * 60);

/// A world with many rollouts in it.
struct Crowd {
    trial: Trial,
    habits: Habits,
    terms: Terms,
    findings: Findings,
    rest: Rest,
    rollouts: Vec<Name>,
}

/// What controllers write while nothing is to be done; none while it is not looked at.
type Rest = Arc<Mutex<Option<Vec<String>>>>;

/// What is watched, and what controllers write at rest.
struct Crowded {
    watches: Watches,
    rest: Rest,
    and: Box<dyn Observer>,
}

impl Observer for Crowded {
    fn changed(&mut self, view: &View<'_>, who: Who, what: &What) {
        if is_write(who, what)
            && let Some(written) = lock(&self.rest).as_mut()
        {
            written.push(format!("{} {who:?} {what:?}", view.now()));
        }
        self.watches.changed(view, who, what);
        self.and.changed(view, who, what);
    }
}

fn lock(rest: &Rest) -> MutexGuard<'_, Option<Vec<String>>> {
    rest.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Each rollout of a crowd has a back end of its own name, if it has one.
fn route(rollout: &Name) -> Route {
    Route {
        load_balancer: name("edge"),
        backend: rollout.to_string(),
    }
}

/// `manifest` under another name. No two have the same revision, by which the checks tell tasks apart.
fn called(mut manifest: Manifest<RolloutSpec>, name: Name) -> Manifest<RolloutSpec> {
    let environment = &mut manifest.spec.template.environment;
    environment.0.insert("NAME".to_owned(), name.to_string());
    manifest.metadata.name = name;
    manifest
}

/// The worlds that are tried: each with its seed, and whether all goes wrong in it that may.
fn worlds() -> impl Iterator<Item = (u64, Calls)> {
    let from = number("CROWDS_FROM").unwrap_or(1);
    let count = number("CROWDS").unwrap_or(2);
    let seeds = from..from + count;
    seeds.flat_map(|seed| [(seed, Calls::Sound), (seed, Calls::Faulty)])
}

impl Crowd {
    /// Those among `rollouts` that have traffic are `served`.
    fn new(
        seed: u64,
        calls: Calls,
        rollouts: Vec<Name>,
        served: &[Name],
        and: impl Observer + 'static,
    ) -> Self {
        let habits = Habits::default();
        let terms = match calls {
            Calls::Faulty => Terms::FAULTY,
            Calls::Sound => Terms {
                slack: after_a_look(&habits),
                ..Terms::SOUND
            },
        };
        let findings = Findings::default();
        let rest = Rest::default();
        let watch =
            |rollout: &Name| Watch::new(rollout.clone(), route(rollout), terms, findings.clone());
        let trial = Trial::new(setup(seed, served), habits);
        trial.world().observe_with(Crowded {
            watches: Watches(rollouts.iter().map(watch).collect()),
            rest: rest.clone(),
            and: Box::new(and),
        });
        Self {
            trial,
            habits,
            terms,
            findings,
            rest,
            rollouts,
        }
    }

    /// The first controller starts, beside what every rollout needs.
    fn begin(&mut self) {
        self.trial.perform(Deed::Source(None, Reading::Truth));
        for resource in neighbours(INSTANCES) {
            let apply = Hand::Apply(Box::new(resource));
            self.trial.perform(Deed::Hand(apply));
        }
        self.trial.perform(Deed::Start(Seat(0)));
    }

    /// From `from` on, all goes wrong that may, for `time` milliseconds; if it may.
    fn trouble(&mut self, chance: &mut Chance, from: Timestamp, time: u64) {
        if self.terms.calls == Calls::Sound {
            return;
        }
        let mut deeds = vec![(0, Deed::Faults(Box::new(faults(chance))))];
        for _ in 0..chance.between(3, 8) {
            let at = chance.between(0, time);
            trouble(chance, at, INSTANCES, &mut deeds);
        }
        for (at, deed) in deeds {
            self.trial.plan(Duration::from_millis(at).after(from), deed);
        }
    }

    /// All that was planned is done, and from then on nothing goes wrong any more.
    fn heal(&mut self) {
        let last = self.trial.last_deed().unwrap_or(self.trial.now());
        self.trial.run_until(last);
        heal(&mut self.trial, INSTANCES, self.terms.slack);
    }

    /// Waits until every rollout rests, each in an end that it may have.
    fn rests(&mut self, may_be: impl Fn(&Name, End) -> bool) -> Result<(), Unrest> {
        let limit = LIMIT.after(self.trial.now());
        loop {
            self.trial.run_for(after_a_look(&self.habits));
            let unrest = self.trial.world().view(|view| {
                let rests = |rollout| match at_rest(view, rollout, &route(rollout)) {
                    Ok(end) if may_be(rollout, end) => None,
                    Ok(end) => Some(Unrest(format!("{rollout} is {end:?}"))),
                    Err(Unrest(why)) => Some(Unrest(format!("{rollout}: {why}"))),
                };
                self.rollouts.iter().find_map(rests)
            });
            match unrest {
                None => return Ok(()),
                Some(unrest) if self.trial.now() >= limit => return Err(unrest),
                Some(_) => {}
            }
        }
    }

    /// SAFETY-5: at rest nothing is written.
    fn stays(&mut self) {
        *lock(&self.rest) = Some(Vec::new());
        self.trial.run_for(Duration::from_secs(60));
        let written = lock(&self.rest).take();
        assert_eq!(written, Some(Vec::new()), "written at rest");
    }

    /// Every rule was kept.
    fn broke_nothing(&self) {
        let findings = self.findings.all();
        let told: Vec<String> = findings.iter().take(5).map(ToString::to_string).collect();
        assert!(told.is_empty(), "{told:#?}");
    }

    #[expect(
        clippy::redundant_closure_for_method_calls,
        reason = "the method alone is not general enough in its lifetime"
    )]
    fn losses(&self) -> Losses {
        self.trial.world().view(|view| view.losses())
    }

    /// What is stored, what runs, and what has servers.
    fn inventory(&self) -> BTreeSet<String> {
        self.trial.world().view(|view| {
            let stored = view.stored().map(|stored| &stored.draft.resource);
            let stored = stored.map(|resource| ResourceRef::of(resource).to_string());
            let services = view
                .services()
                .map(|known| format!("service {}", known.name));
            let jobs = view.jobs().map(|job| format!("job {}", job.name));
            let alive = view.tasks().filter(|task| task.is_alive);
            let tasks = alive.map(|task| format!("task of {}", task.revision));
            let mut all: BTreeSet<String> =
                stored.chain(services).chain(jobs).chain(tasks).collect();
            for instance in view.instances() {
                for rollout in &self.rollouts {
                    let servers = view.servers(instance.name, rollout.as_str());
                    all.extend(servers.map(|server| format!("{}: {}", instance.name, server.name)));
                }
            }
            all
        })
    }
}

/// A world whose proxies have a back end for each of `served`.
fn setup(seed: u64, served: &[Name]) -> Setup {
    let mut setup = world(seed, INSTANCES);
    for instance in &mut setup.instances {
        let backends = served.iter().map(|rollout| BackendSetup {
            name: rollout.to_string(),
            rps: 20.0,
            foreign: BTreeMap::new(),
        });
        instance.backends = backends.collect();
    }
    setup
}
