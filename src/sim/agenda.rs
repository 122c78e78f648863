//! The agenda: what will happen, and when. Things of the same instant happen in the order in which
//! they were planned.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use super::call::{CallId, Leg};
use super::hands::Hand;
use super::haproxy::ProxyEvent;
use super::journal::ControllerId;
use super::swarm::SwarmEvent;
use super::time::Time;

/// Something that will happen.
#[derive(Debug)]
pub(super) enum Event {
    /// Somebody's pause is over.
    Wake(u64),
    /// A part of a call reaches its neighbour.
    Arrive(CallId, Leg),
    /// A call's answer comes back.
    Answer(CallId),
    /// A controller hears that something may have changed.
    Hint(ControllerId),
    Swarm(SwarmEvent),
    Proxy(ProxyEvent),
    /// Somebody does something to the world.
    Hand(Box<Hand>),
}

#[derive(Debug)]
struct Planned {
    at: Time,
    number: u64,
    event: Event,
}

impl PartialEq for Planned {
    fn eq(&self, other: &Self) -> bool {
        (self.at, self.number) == (other.at, other.number)
    }
}

impl Eq for Planned {}

impl PartialOrd for Planned {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Planned {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (self.at, self.number).cmp(&(other.at, other.number))
    }
}

/// What will happen, the next thing first.
#[derive(Debug, Default)]
pub(super) struct Agenda {
    heap: BinaryHeap<Reverse<Planned>>,
    planned: u64,
}

impl Agenda {
    pub fn plan(&mut self, at: Time, event: Event) {
        self.planned += 1;
        let number = self.planned;
        self.heap.push(Reverse(Planned { at, number, event }));
    }

    /// When the next thing happens.
    pub fn next(&self) -> Option<Time> {
        self.heap.peek().map(|Reverse(planned)| planned.at)
    }

    /// The next thing, if it happens at `until` or before.
    pub fn pop(&mut self, until: Time) -> Option<(Time, Event)> {
        if self.next()? > until {
            return None;
        }
        let Reverse(planned) = self.heap.pop()?;
        Some((planned.at, planned.event))
    }
}
