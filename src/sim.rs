//! The simulated world: a Swarm, HAProxies, InfluxDB and the store behind the trait
//! [`World`](crate::world::World), on virtual time, from one seed.
//!
//! A [`SimWorld`] is a cheap handle. Nothing in it waits by the wall clock, and it has no threads: a
//! call of the trait is a future that is woken when its time has come, and [`SimWorld::advance`] makes
//! time pass. The same seed and the same calls in the same order make the same history, always.
//!
//! What is modelled, and what each part is true to:
//!
//! - `swarm`: services with versions, tasks, nodes (`tests/sim` names the facts)
//! - `haproxy`: servers, states, checks, reloads, as measured on 2.6.12
//! - `traffic`: requests as a fluid, and what is lost of it, with causes
//! - `influxdb` and [`Point`]: answers from the truth, or points drawn from it
//! - `store`: resources and the lease, with compare-and-swap
//! - `faults`: requests and replies lost, late, repeated, stale; where a controller dies
//! - `hands`: what people and failures do besides
//!
//! How long things take is in [`Pace`], what an application is like in [`App`]. Nothing here decides
//! anything about rollouts, and nothing here checks a promise: that is done by who drives it.

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use jiff::Timestamp;

use crate::api::{Duration, Name};

mod agenda;
mod call;
mod faults;
mod hands;
mod haproxy;
mod hints;
mod influxdb;
mod journal;
pub mod point;
pub mod query;
mod random;
mod setup;
mod state;
mod store;
mod swarm;
mod time;
mod traffic;
mod view;
mod world;

pub use faults::{CrashAt, FaultPlan, LastCall, Rates};
pub use hands::{Edit, Hand, Which, WhichServer};
pub use haproxy::Condition;
pub use influxdb::{Answer, Oracle};
pub use journal::{
    ControllerId, Entry, JobChange, NodeChange, Outcome, ProxyChange, ServiceChange, What, Who,
    Write,
};
pub use point::{Code, Latency, Point};
pub use random::Random;
pub use setup::{
    App, BackendSetup, Ends, Form, InstanceSetup, Keep, OnStop, Pace, Program, RequestClass, Setup,
    Starts,
};
pub use time::Span;
pub use traffic::{Answered, Loss, Losses};
pub use view::{InstanceView, JobView, Observer, ServerView, ServiceView, TaskView, View};

use agenda::Event;
use state::State;
use time::{Time, micros};

/// A simulated world, as one of its clients sees it. Clones share the world and the client.
#[derive(Clone)]
pub struct SimWorld {
    state: Arc<Mutex<State>>,
    caller: ControllerId,
}

impl SimWorld {
    /// A world made of `setup`, as controller 0 sees it.
    pub fn new(setup: Setup) -> Self {
        let mut state = State::new(setup);
        state.settle();
        Self {
            state: Arc::new(Mutex::new(state)),
            caller: ControllerId(0),
        }
    }

    /// The same world as another client sees it. A controller that is started again is another one.
    #[must_use]
    pub fn seen_by(&self, caller: ControllerId) -> Self {
        Self {
            state: self.state.clone(),
            caller,
        }
    }

    /// What time it is.
    pub fn now(&self) -> Timestamp {
        self.lock().now.stamp()
    }

    /// Reads the virtual clock.
    pub fn clock(&self) -> Arc<dyn Fn() -> Timestamp + Send + Sync> {
        let world = self.clone();
        Arc::new(move || world.now())
    }

    /// When the next thing happens, the end of a call or a pause among them.
    pub fn next_event(&self) -> Option<Timestamp> {
        self.lock().agenda.next().map(Time::stamp)
    }

    /// Lets time pass until `to`, plays all that happens, and wakes those whose time has come.
    ///
    /// Whoever is woken by something before `to` acts only at `to`: to leave nobody late, go from one
    /// [`Self::next_event`] to the next.
    pub fn advance(&self, to: Timestamp) {
        self.change(|state| state.play(Time::of(to)));
    }

    /// Waits for so long.
    pub async fn pass(&self, duration: Duration) {
        Pause {
            world: self,
            duration,
            timer: None,
        }
        .await;
    }

    /// Looks at the world as it is.
    pub fn view<T>(&self, look: impl FnOnce(&View<'_>) -> T) -> T {
        let state = self.lock();
        look(&View(&state))
    }

    /// Has `observer` called after every change.
    pub fn observe_with(&self, observer: impl Observer + 'static) {
        let mut state = self.lock();
        state.journal.is_heard = true;
        state.observer = Some(Box::new(observer));
    }

    /// The entries of the journal since this was asked the last time.
    pub fn journal(&self) -> Vec<Entry> {
        std::mem::take(&mut self.lock().journal.entries)
    }

    /// Does something to the world by another hand, at once.
    pub fn hand(&self, hand: &Hand) {
        self.change(|state| state.lend(hand));
    }

    /// Has something done to the world by another hand, later.
    pub fn hand_at(&self, at: Timestamp, hand: Hand) {
        self.lock().schedule(at, hand);
    }

    /// From here on `source`, or every source that is not named, answers like this.
    pub fn answer(&self, source: Option<Name>, answer: Answer) {
        self.lock().source.set(source, answer);
    }

    /// From here on this goes wrong.
    pub fn set_faults(&self, faults: FaultPlan) {
        self.lock().faults = faults;
    }

    /// Has a controller die at one of its next calls. What it calls after that is never sent.
    pub fn crash(&self, who: ControllerId, at: CrashAt) {
        self.lock().calls.crash(who, at);
    }

    /// Spares the controllers that were to die at a later call.
    pub fn spare(&self) {
        self.lock().calls.spare();
    }

    /// Has a controller die now: what it has sent still happens, and nothing else is sent.
    pub fn kill(&self, who: ControllerId) {
        self.lock().calls.dead.insert(who);
    }

    /// The number of the instance of that name, as hands count them.
    pub fn instance_number(&self, name: &Name) -> Option<usize> {
        self.lock().instance_number(name)
    }

    /// Changes the state, and wakes who is concerned once it is let go: a waker may do anything.
    fn change<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        let mut state = self.lock();
        let result = change(&mut state);
        state.settle();
        let woken = std::mem::take(&mut state.woken);
        drop(state);
        woken.into_iter().for_each(Waker::wake);
        result
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // A check that fails panics in an observer; the report of it still wants to look.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A pause in virtual time. It begins when it is first polled.
struct Pause<'a> {
    world: &'a SimWorld,
    duration: Duration,
    timer: Option<u64>,
}

impl Future for Pause<'_> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let mut state = self.world.lock();
        if let Some(timer) = self.timer {
            let Some(waker) = state.timers.get_mut(&timer) else {
                return Poll::Ready(());
            };
            *waker = Some(context.waker().clone());
            return Poll::Pending;
        }
        state.last_timer += 1;
        let timer = state.last_timer;
        state.timers.insert(timer, Some(context.waker().clone()));
        state.plan(micros(self.duration), Event::Wake(timer));
        drop(state);
        self.timer = Some(timer);
        Poll::Pending
    }
}

impl Drop for Pause<'_> {
    fn drop(&mut self) {
        if let Some(timer) = self.timer {
            self.world.lock().timers.remove(&timer);
        }
    }
}
