//! Trials: whole controllers in a simulated world, on virtual time.
//!
//! A [`Trial`] has the world, the seats in which controllers live and die, and a list of [`Deed`]s:
//! what is done to both, and when. What runs in a seat is [`crate::controller::run`], the very loop that
//! runs in production; only its clock and its neighbours are simulated. The same setup and the same deeds
//! make the same history, always.

use std::collections::BTreeMap;

use jiff::Timestamp;

use crate::api::{Duration, OnDrift, Prune};
use crate::gitops::{PlayedSource, SourceOptions};
use crate::sim::{ControllerId, Setup, SimWorld, View};

pub mod check;
mod deed;
mod ending;
mod life;
mod pool;
pub mod rehearsal;

pub use deed::{Deed, Reading, Seat};
pub use ending::{End, Unrest, at_rest};
pub use life::Habits;

use life::Life;

/// A world, its controllers, and what is going to be done to both.
pub struct Trial {
    world: SimWorld,
    habits: Habits,
    /// The source that its controllers follow, if they follow one.
    source: Option<(PlayedSource, SourceOptions)>,
    seats: BTreeMap<Seat, Life>,
    /// How many lives there were.
    lives: u32,
    agenda: BTreeMap<(Timestamp, u64), Deed>,
    /// Numbers deeds, so that those of one instant keep their order.
    deeds: u64,
}

impl Trial {
    /// A world without a controller.
    pub fn new(setup: Setup, habits: Habits) -> Self {
        let world = SimWorld::new(setup);
        Self {
            world,
            habits,
            source: None,
            seats: BTreeMap::new(),
            lives: 0,
            agenda: BTreeMap::new(),
            deeds: 0,
        }
    }

    /// Has the controllers that start from here on follow a source, which says nothing yet.
    pub fn follow(&mut self, prune: Prune, on_drift: OnDrift) {
        let source = PlayedSource::default();
        let options = SourceOptions::played(source.clone(), prune, on_drift);
        self.source = Some((source, options));
    }

    /// The world.
    pub const fn world(&self) -> &SimWorld {
        &self.world
    }

    /// What time it is.
    pub fn now(&self) -> Timestamp {
        self.world.now()
    }

    /// Has something done later, or with the next event if its time is over.
    pub fn plan(&mut self, at: Timestamp, deed: Deed) {
        self.deeds += 1;
        self.agenda.insert((at, self.deeds), deed);
    }

    /// When the last deed that was planned will be done.
    pub fn last_deed(&self) -> Option<Timestamp> {
        self.agenda.last_key_value().map(|((at, _), _)| *at)
    }

    /// Does something now.
    pub fn perform(&mut self, deed: Deed) {
        match deed {
            Deed::Hand(hand) => self.world.hand(&hand),
            Deed::Source(source, reading) => self.world.answer(source, reading.answer()),
            Deed::Say(saying) => {
                if let Some((source, _)) = &self.source {
                    source.say(saying);
                }
            }
            Deed::Faults(faults) => self.world.set_faults(*faults),
            Deed::Start(seat) => self.start(seat),
            Deed::Kill(seat) => {
                if let Some(life) = self.seats.remove(&seat) {
                    self.world.kill(life.id);
                }
            }
            Deed::Stop(seat) => {
                if let Some(life) = self.seats.get_mut(&seat) {
                    life.stop();
                }
            }
            Deed::Crash(seat, at) => {
                if let Some(life) = self.seats.get(&seat) {
                    self.world.crash(life.id, at);
                }
            }
            Deed::Jump(seat, by) => {
                if let Some(life) = self.seats.get(&seat) {
                    life.jump(by);
                }
            }
        }
    }

    /// Lets time pass until `to`.
    pub fn run_until(&mut self, to: Timestamp) {
        while self.step(to) {}
    }

    /// Lets `time` pass.
    pub fn run_for(&mut self, time: Duration) {
        self.run_until(time.after(self.now()));
    }

    /// Lets time pass until something `holds`, at most until `limit`; says whether it does.
    pub fn run_while_not(&mut self, limit: Timestamp, holds: impl Fn(&View<'_>) -> bool) -> bool {
        loop {
            if self.world.view(&holds) {
                return true;
            }
            if !self.step(limit) {
                return self.world.view(&holds);
            }
        }
    }

    /// Goes on to the next thing that happens, at most to `limit`; says whether that is still to come.
    pub fn step(&mut self, limit: Timestamp) -> bool {
        self.think();
        let deed = self.agenda.first_key_value().map(|((at, _), _)| *at);
        let next = [self.world.next_event(), deed].into_iter().flatten().min();
        let Some(next) = next.filter(|next| *next <= limit) else {
            self.world.advance(limit);
            self.think();
            return false;
        };
        self.world.advance(next);
        while let Some(entry) = self.agenda.first_entry()
            && entry.key().0 <= next
        {
            let deed = entry.remove();
            self.perform(deed);
        }
        true
    }

    /// Whether a controller lives in a seat, and was not asked to end.
    pub fn lives(&self, seat: Seat) -> bool {
        let life = self.seats.get(&seat);
        life.is_some_and(|life| !life.is_ending())
    }

    fn start(&mut self, seat: Seat) {
        if self.seats.contains_key(&seat) {
            return;
        }
        self.lives += 1;
        let id = ControllerId(self.lives);
        let sources = self.source.iter().map(|(_, options)| options.clone());
        let life = Life::new(&self.world, id, seat, &self.habits, sources.collect());
        self.seats.insert(seat, life);
    }

    /// Has the controllers go on until each waits for the world; buries the dead.
    fn think(&mut self) {
        let world = &self.world;
        self.seats.retain(|_, life| {
            life.go_on();
            !life.has_ended() && !world.view(|view| view.is_dead(life.id))
        });
    }
}
