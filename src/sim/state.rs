//! The state of a simulated world, and how an event changes it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::task::Waker;

use super::agenda::{Agenda, Event};
use super::call::Calls;
use super::faults::FaultPlan;
use super::haproxy::Proxies;
use super::hints::Hints;
use super::influxdb::Source;
use super::journal::{Entry, Journal, What, Who};
use super::random::Random;
use super::setup::{App, Keep, Pace, Program, Setup};
use super::store::Store;
use super::swarm::Swarm;
use super::time::{Micros, Time};
use super::traffic::Traffic;
use super::view::{Observer, View};

/// All that a simulated world is.
pub(super) struct State {
    pub seed: u64,
    pub now: Time,
    pub random: Random,
    pub agenda: Agenda,
    pub timers: BTreeMap<u64, Option<Waker>>,
    pub last_timer: u64,
    pub calls: Calls,
    pub hints: Hints,
    pub swarm: Swarm,
    pub proxies: Proxies,
    pub traffic: Traffic,
    pub store: Store,
    pub source: Source,
    pub faults: FaultPlan,
    pub pace: Pace,
    pub apps: BTreeMap<String, Arc<App>>,
    pub other_apps: Arc<App>,
    pub programs: BTreeMap<String, Program>,
    pub other_programs: Program,
    pub journal: Journal,
    pub observer: Option<Box<dyn Observer>>,
    /// Who is to be polled again, once the state is let go.
    pub woken: Vec<Waker>,
    /// The index of the last write in raft: a version is the index of an object's last write, so
    /// versions of all objects rise together.
    pub index: u64,
}

impl State {
    pub fn new(setup: Setup) -> Self {
        let now = Time::of(setup.start);
        let apps = setup.apps.into_iter();
        let mut random = Random::of_seed(setup.seed);
        Self {
            seed: setup.seed,
            now,
            agenda: Agenda::default(),
            timers: BTreeMap::new(),
            last_timer: 0,
            calls: Calls::default(),
            hints: Hints::default(),
            swarm: Swarm::new(setup.nodes, setup.addresses, &mut random),
            proxies: Proxies::new(setup.instances, now),
            traffic: Traffic::new(setup.points == Keep::Yes),
            store: Store::new(setup.form),
            source: Source::default(),
            faults: setup.faults,
            pace: setup.pace,
            apps: apps.map(|(image, app)| (image, Arc::new(app))).collect(),
            other_apps: Arc::new(setup.other_apps),
            programs: setup.programs,
            other_programs: setup.other_programs,
            journal: Journal::new(setup.journal == Keep::Yes),
            observer: None,
            woken: Vec::new(),
            index: 10,
            random,
        }
    }

    /// Plans an event for so long from now.
    pub fn plan(&mut self, delay: Micros, event: Event) {
        self.agenda.plan(self.now.plus(delay.max(0)), event);
    }

    /// The index of the next write in raft.
    pub fn next_index(&mut self) -> u64 {
        self.index += 1;
        self.index
    }

    /// How the application of an image behaves.
    pub fn app(&self, image: &str) -> Arc<App> {
        self.apps.get(image).unwrap_or(&self.other_apps).clone()
    }

    /// Plays all that happens up to `until`.
    pub fn play(&mut self, until: Time) {
        while let Some((at, event)) = self.agenda.pop(until) {
            self.now = self.now.max(at);
            self.handle(event);
            self.settle();
        }
        self.now = self.now.max(until);
    }

    fn handle(&mut self, event: Event) {
        match event {
            Event::Wake(timer) => {
                if let Some(waker) = self.timers.remove(&timer) {
                    self.woken.extend(waker);
                }
            }
            Event::Arrive(call, leg) => self.arrive(call, leg),
            Event::Answer(call) => self.answer(call),
            Event::Hint(who) => self.hint(who),
            Event::Swarm(event) => self.swarm_event(event),
            Event::Proxy(event) => self.proxy_event(event),
            Event::Hand(hand) => self.lend(&hand),
        }
    }

    /// Brings the traffic in line with what has changed, then tells of it.
    pub fn settle(&mut self) {
        self.flow();
        if self.journal.fresh.is_empty() {
            return;
        }
        let fresh = std::mem::take(&mut self.journal.fresh);
        if let Some(mut observer) = self.observer.take() {
            for (who, what) in &fresh {
                observer.changed(&View(self), *who, what);
            }
            self.observer = Some(observer);
        }
        if self.journal.keeps {
            let at = self.now.stamp();
            let told = fresh.into_iter();
            let entries = told.map(|(who, what)| Entry { at, who, what });
            self.journal.entries.extend(entries);
        }
    }

    /// Notes what the world did by itself.
    pub fn tell(&mut self, what: impl FnOnce() -> What) {
        self.journal.note(Who::World, what);
    }
}
