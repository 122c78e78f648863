//! Faults: what goes wrong between a controller and its neighbours, how often, and until when.
//!
//! A request leaves at the call's beginning and reaches its neighbour after half of the time that the
//! call takes, whatever becomes of its caller in between: so what a controller sent before it died
//! happens although it is dead, and maybe after another one has taken over. What it had not begun
//! never happens.

use jiff::Timestamp;

use super::random::Random;
use super::time::{Micros, Span, Time, micros};
use crate::api::Duration;

/// What goes wrong, and until when.
#[derive(Clone, Debug, PartialEq)]
pub struct FaultPlan {
    /// From here on nothing goes wrong any more.
    pub healed_at: Timestamp,
    /// Between a controller and the Swarm's services and tasks.
    pub swarm: Rates,
    /// Between a controller and the store.
    pub store: Rates,
    /// The same for the lease alone. A stale lease is the hardest thing: two controllers act.
    pub lease: Rates,
    /// Between a controller and each proxy.
    pub haproxy: Rates,
    /// The part of the hints that get lost.
    pub hints_lost: f64,
    /// The part of the hints that come late.
    pub hints_late: f64,
    /// How late answers and hints come when they are slow.
    pub slow: Span,
    /// How old a stale answer is at most. A leader that is cut off may answer for about 10 s.
    pub stale_for: Duration,
}

/// How often each kind of fault happens, from 0 to 1, for each call.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Rates {
    /// The request is lost: nothing is done.
    pub lost: f64,
    /// The reply is lost: it is done, and nobody knows.
    pub reply_lost: f64,
    /// The request arrives twice; the second answer is the one that comes back.
    pub repeated: f64,
    /// Both ways take long.
    pub slow: f64,
    /// Nothing comes within the call's time limit; it may have been done or not.
    pub timed_out: f64,
    /// It is done after the caller has given up.
    pub late: f64,
    /// What is read is as it was some time ago.
    pub stale: f64,
    /// Somebody else writes to the object just before.
    pub conflict: f64,
    /// Only the first part of a batch of changes is done, and the connection breaks.
    pub partial: f64,
}

impl Rates {
    /// Nothing goes wrong.
    pub const NONE: Self = Self {
        lost: 0.0,
        reply_lost: 0.0,
        repeated: 0.0,
        slow: 0.0,
        timed_out: 0.0,
        late: 0.0,
        stale: 0.0,
        conflict: 0.0,
        partial: 0.0,
    };

    /// Everything that can go wrong does so with probability `rate`.
    pub const fn all(rate: f64) -> Self {
        Self {
            lost: rate,
            reply_lost: rate,
            repeated: rate,
            slow: rate,
            timed_out: rate,
            late: rate,
            stale: rate,
            conflict: rate,
            partial: rate,
        }
    }
}

impl FaultPlan {
    /// Nothing goes wrong.
    pub const fn none() -> Self {
        Self {
            healed_at: Timestamp::UNIX_EPOCH,
            swarm: Rates::NONE,
            store: Rates::NONE,
            lease: Rates::NONE,
            haproxy: Rates::NONE,
            hints_lost: 0.0,
            hints_late: 0.0,
            slow: Span::millis(500, 9_000),
            stale_for: Duration::from_secs(10),
        }
    }

    /// The rates for `target` at `now`; none once the world is healed.
    pub(super) fn rates(&self, target: Target, now: Time) -> Rates {
        if now >= Time::of(self.healed_at) {
            return Rates::NONE;
        }
        match target {
            Target::Swarm => self.swarm,
            Target::Store => self.store,
            Target::Lease => self.lease,
            Target::Haproxy => self.haproxy,
            Target::Source => Rates::NONE,
        }
    }

    /// Whether anything may be stale, so that the past has to be kept.
    pub(super) fn keeps_past(&self) -> bool {
        [self.swarm, self.store, self.lease]
            .iter()
            .any(|rates| rates.stale > 0.0)
    }
}

/// Whom a call is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Target {
    Swarm,
    Store,
    Lease,
    Haproxy,
    /// What goes wrong with a source is a matter of its answers.
    Source,
}

impl Target {
    /// The call's own time limit (`world::docker::CALL_LIMIT`, `Haproxy::DEFAULT_LIMIT`).
    pub const fn limit(self) -> Duration {
        match self {
            Self::Haproxy => Duration::from_secs(2),
            Self::Swarm | Self::Store | Self::Lease | Self::Source => Duration::from_secs(10),
        }
    }
}

/// What becomes of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Way {
    /// It is done and answered.
    Through,
    /// It never arrives.
    Lost,
    /// It is done and the answer never arrives.
    ReplyLost,
    /// It is done twice.
    Twice,
    /// A part of it is done, and the answer never arrives.
    Partly,
}

/// What becomes of a request, and when.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Fate {
    pub way: Way,
    /// From sending it until it arrives.
    pub arrives: Micros,
    /// From sending it until the caller knows, or gives up.
    pub ends: Micros,
}

impl Fate {
    pub fn draw(
        random: &mut Random,
        rates: &Rates,
        slow: Span,
        usual: Span,
        target: Target,
    ) -> Self {
        let limit = micros(target.limit());
        let takes = if random.chance(rates.slow) {
            random.within(slow)
        } else {
            random.within(usual)
        };
        if random.chance(rates.late) {
            return Self {
                way: Way::ReplyLost,
                arrives: limit + random.within(slow),
                ends: limit,
            };
        }
        if takes >= limit || random.chance(rates.timed_out) {
            let done = random.chance(0.5);
            return Self {
                way: if done { Way::ReplyLost } else { Way::Lost },
                arrives: takes.min(limit) / 2,
                ends: limit,
            };
        }
        Self {
            way: way(random, rates),
            arrives: takes / 2,
            ends: takes,
        }
    }
}

fn way(random: &mut Random, rates: &Rates) -> Way {
    if random.chance(rates.lost) {
        Way::Lost
    } else if random.chance(rates.reply_lost) {
        Way::ReplyLost
    } else if random.chance(rates.repeated) {
        Way::Twice
    } else if random.chance(rates.partial) {
        Way::Partly
    } else {
        Way::Through
    }
}

/// Where a controller dies: at one of its calls, which is never answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CrashAt {
    /// How many more calls are begun; the last one of them is never answered. From 1.
    pub calls: u32,
    /// Whether that last one is still done.
    pub last: LastCall,
}

/// Whether the last call of a controller that dies is still done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LastCall {
    /// It was sent.
    Done,
    /// It was not.
    NotDone,
}
