//! Checks: the rules that hold at every instant, watched from outside of the controllers.
//!
//! They look at the truth, and at what is stored and done, never at what a controller thinks. A
//! controller that was told something old or wrong may act on it: how far back the truth may lie that
//! it acted on is the [`Terms`]' slack. What must be true in the end is in [`super::ending`].

use std::collections::BTreeSet;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use jiff::Timestamp;

use crate::api::{Duration, Name, Resource, Revision, RolloutSpec, RolloutStatus, Route};
use crate::sim::{ControllerId, InstanceView, Observer, Outcome, View, What, Who, Write};

mod decisions;
mod effects;
mod jobs;
mod lease;
mod looks;
mod measuring;
mod order;
mod previews;
mod recovery;
mod services;
mod shares;
mod warm;

use effects::Effects;
use lease::Leases;
use looks::Looks;
use measuring::Measuring;
use previews::Previews;
use recovery::Recovery;
use services::Services;
use shares::Shares;
pub use shares::{NEAR, sized_for};

/// A rule of the design that was broken.
#[derive(Clone, Debug, PartialEq)]
pub struct Violation {
    /// Its ID, as in `docs/semantics.md`.
    pub rule: &'static str,
    /// When.
    pub at: Timestamp,
    /// Whose rollout.
    pub rollout: Name,
    /// What happened, in words.
    pub what: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} {} rollout/{}: {}",
            self.at, self.rule, self.rollout, self.what
        )
    }
}

/// What the checks may take for granted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Terms {
    /// How old what a controller acts on may be.
    pub slack: Duration,
    /// Whether calls get lost, late or repeated.
    pub calls: Calls,
}

/// How calls of the world fare.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Calls {
    /// Each is done once, soon, and answered.
    Sound,
    /// Anything may become of them.
    Faulty,
}

impl Terms {
    /// Nothing goes wrong between a controller and its neighbours.
    pub const SOUND: Self = Self {
        slack: Duration::from_secs(3),
        calls: Calls::Sound,
    };

    /// A stale look (10 s), a slow answer and a request that is done late, one after the other.
    pub const FAULTY: Self = Self {
        slack: Duration::from_secs(45),
        calls: Calls::Faulty,
    };
}

/// What was found so far.
#[derive(Clone, Debug, Default)]
pub struct Findings(Arc<Mutex<Vec<Violation>>>);

impl Findings {
    /// Everything that was found.
    pub fn all(&self) -> Vec<Violation> {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Whether anything was.
    pub fn are_none(&self) -> bool {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .is_empty()
    }

    /// Notes another one.
    pub fn add(&self, violation: Violation) {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(violation);
    }
}

/// Whether a controller writes something, or tries to: at rest none does (SAFETY-5).
pub const fn is_write(who: Who, what: &What) -> bool {
    let writes = matches!(
        what,
        What::Stored { .. }
            | What::Leased { .. }
            | What::Told { .. }
            | What::Service { .. }
            | What::Job(..)
            | What::Servers { .. }
    );
    writes && matches!(who, Who::Controller(_))
}

/// Watches one rollout.
pub struct Watch {
    rollout: Name,
    route: Route,
    terms: Terms,
    /// The status as it was stored last.
    status: RolloutStatus,
    /// Every revision that a stored status has known.
    revisions: BTreeSet<Revision>,
    /// When the rollout was forgotten that had its name before.
    forgotten_at: Option<Timestamp>,
    effects: Effects,
    leases: Leases,
    looks: Looks,
    measuring: Measuring,
    previews: Previews,
    recovery: Recovery,
    services: Services,
    shares: Shares,
    findings: Findings,
}

/// One change, as the checks see it.
struct Event<'a> {
    rollout: &'a Name,
    route: &'a Route,
    terms: Terms,
    now: Timestamp,
    view: &'a View<'a>,
    who: Who,
    what: &'a What,
    /// The status that was stored last.
    status: &'a RolloutStatus,
    /// Every revision that a stored status has known.
    revisions: &'a BTreeSet<Revision>,
    /// When the rollout was forgotten that had its name before.
    forgotten_at: Option<Timestamp>,
    /// Since when a change may be unknown to the controller that acts here.
    unseen_since: Option<Timestamp>,
    /// The status before it, if this change stored another one.
    before: Option<&'a RolloutStatus>,
    findings: &'a Findings,
}

impl Event<'_> {
    fn broken(&self, rule: &'static str, what: String) {
        self.findings.add(Violation {
            rule,
            at: self.now,
            rollout: self.rollout.clone(),
            what,
        });
    }

    /// The controller that did it.
    const fn controller(&self) -> Option<ControllerId> {
        match self.who {
            Who::Controller(id) => Some(id),
            Who::Hand | Who::World => None,
        }
    }

    /// The spec as it was applied last.
    fn spec(&self) -> Option<&RolloutSpec> {
        match &self.view.rollout(self.rollout)?.draft.resource {
            Resource::Rollout(manifest) => Some(&manifest.spec),
            Resource::LoadBalancer(_)
            | Resource::MetricSource(_)
            | Resource::AnalysisTemplate(_) => None,
        }
    }

    /// The instances of the rollout's load balancer.
    fn instances(&self) -> impl Iterator<Item = InstanceView<'_>> {
        let instances = self.view.instances();
        instances.filter(|instance| *instance.load_balancer == self.route.load_balancer)
    }

    /// Whether `at` is no longer ago than what a controller acts on may be.
    fn is_recent(&self, at: Timestamp) -> bool {
        self.now <= self.terms.slack.after(at)
    }

    /// Whether a change at `at` may be unknown to the controller that acts here. Where calls are sound that is known from
    /// its looks.
    fn is_news(&self, at: Timestamp) -> bool {
        match (self.terms.calls, self.unseen_since) {
            (Calls::Sound, Some(since)) => at >= since,
            (Calls::Sound, None) | (Calls::Faulty, _) => self.is_recent(at),
        }
    }
}

impl Watch {
    /// A watch over the rollout of that name with its servers at `route`.
    pub fn new(rollout: Name, route: Route, terms: Terms, findings: Findings) -> Self {
        Self {
            rollout,
            route,
            terms,
            status: RolloutStatus::default(),
            revisions: BTreeSet::new(),
            forgotten_at: None,
            effects: Effects::default(),
            leases: Leases::default(),
            looks: Looks::default(),
            measuring: Measuring::default(),
            previews: Previews::default(),
            recovery: Recovery::default(),
            services: Services::default(),
            shares: Shares::default(),
            findings,
        }
    }

    /// The rollout is gone; what comes under its name is another one.
    fn forget(&mut self, now: Timestamp) {
        self.forgotten_at = Some(now);
        self.status = RolloutStatus::default();
        self.revisions.clear();
        self.effects = Effects::default();
        self.measuring = Measuring::default();
        self.recovery = Recovery::default();
        self.services = Services::default();
        self.shares = Shares::default();
    }
}

impl Observer for Watch {
    fn changed(&mut self, view: &View<'_>, who: Who, what: &What) {
        self.looks.note(who, what, view.now());
        let is_ours = |title: &str| title.strip_prefix("rollout/") == Some(self.rollout.as_str());
        if let What::Stored {
            title,
            write: Write::Remove,
            outcome: Outcome::Done,
            ..
        } = what
            && is_ours(title)
        {
            self.forget(view.now());
            return;
        }
        let stores =
            matches!(what, What::Stored { title, outcome: Outcome::Done, .. } if is_ours(title));
        let status = stores.then(|| view.status(&self.rollout)).flatten();
        let before = status
            .filter(|status| **status != self.status)
            .map(|status| std::mem::replace(&mut self.status, status.clone()));
        if before.is_some() {
            self.revisions.extend(self.status.revisions.keys().cloned());
        }
        let event = Event {
            rollout: &self.rollout,
            route: &self.route,
            terms: self.terms,
            now: view.now(),
            view,
            who,
            what,
            status: &self.status,
            revisions: &self.revisions,
            forgotten_at: self.forgotten_at,
            unseen_since: self.looks.unseen_since(who),
            before: before.as_ref(),
            findings: &self.findings,
        };
        self.leases.check(&event);
        self.measuring.check(&event);
        jobs::check(&event);
        self.shares.check(&event);
        decisions::check(&event, &self.shares, &self.measuring);
        order::check(&event);
        self.services.check(&event, &self.shares);
        self.recovery.check(&event);
        self.previews.check(&event);
        warm::check(&event);
        self.effects.check(&event, &self.shares);
    }
}

/// Several observers as one.
#[derive(Default)]
pub struct Watches(pub Vec<Watch>);

impl Observer for Watches {
    fn changed(&mut self, view: &View<'_>, who: Who, what: &What) {
        for watch in &mut self.0 {
            watch.changed(view, who, what);
        }
    }
}
