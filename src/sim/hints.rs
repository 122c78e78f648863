//! Hints: controllers hear, a little later, that something may have changed. Some get lost.
//!
//! The event stream has services, nodes and configs, and containers of the node that the controller
//! is connected to. It has no events of tasks (moby #37403).

use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use super::SimWorld;
use super::agenda::Event;
use super::journal::ControllerId;
use super::state::State;
use super::time::Time;

/// Who waits for hints.
#[derive(Debug, Default)]
pub(super) struct Hints(BTreeMap<ControllerId, Ear>);

#[derive(Debug, Default)]
struct Ear {
    /// A hint that came while nobody waited is answered at once.
    has_come: bool,
    is_on_its_way: bool,
    waker: Option<Waker>,
}

impl State {
    /// Something changed that every manager tells of.
    pub(super) fn hint_all(&mut self) {
        self.hint_those(|_| true);
    }

    /// A container changed on `node`.
    pub(super) fn hint_node(&mut self, node: usize) {
        let nodes = self.swarm.nodes.len().max(1);
        self.hint_those(|who| usize::try_from(who.0).unwrap_or(0) % nodes == node);
    }

    fn hint_those(&mut self, is_told: impl Fn(ControllerId) -> bool) {
        let is_healed = self.now >= Time::of(self.faults.healed_at);
        for (who, ear) in &mut self.hints.0 {
            if ear.is_on_its_way || ear.has_come || !is_told(*who) {
                continue; // Many events make one hint.
            }
            let (lost, late) = (self.faults.hints_lost, self.faults.hints_late);
            if !is_healed && self.random.chance(lost) {
                continue;
            }
            let span = if !is_healed && self.random.chance(late) {
                self.faults.slow
            } else {
                self.pace.hint
            };
            ear.is_on_its_way = true;
            let at = self.now.plus(self.random.within(span));
            self.agenda.plan(at, Event::Hint(*who));
        }
    }

    /// A hint arrives.
    pub(super) fn hint(&mut self, who: ControllerId) {
        let Some(ear) = self.hints.0.get_mut(&who) else {
            return;
        };
        ear.is_on_its_way = false;
        ear.has_come = true;
        self.woken.extend(ear.waker.take());
    }
}

/// Waits for the next hint. A controller begins to listen when it first waits.
pub(super) struct Hinted<'a>(&'a SimWorld);

impl<'a> Hinted<'a> {
    pub const fn by(world: &'a SimWorld) -> Self {
        Self(world)
    }
}

impl Future for Hinted<'_> {
    type Output = ();

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let mut state = self.0.lock();
        let ear = state.hints.0.entry(self.0.caller).or_default();
        if std::mem::take(&mut ear.has_come) {
            return Poll::Ready(());
        }
        ear.waker = Some(context.waker().clone());
        Poll::Pending
    }
}
