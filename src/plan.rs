//! The planner: what a rollout should do next, decided purely.
//!
//! [`plan`] is the table of contents; each line of it is a module below. There is no clock, no
//! randomness, no logging and no I/O on this floor, and nothing here can fail: whatever is odd
//! about the world becomes something to wait for.
//!
//! The planner is level-triggered. It never learns why it was woken, and it keeps nothing between
//! two calls but the status that it returns.

use jiff::Timestamp;

use crate::action::Action;
use crate::api::{
    Command, Commit, Deletion, Name, OriginProblem, RolloutSpec, RolloutStatus, WaitingOn,
};
use crate::snapshot::Snapshot;

mod attempt;
mod clock;
mod command;
mod conditions;
mod deletion;
mod fewest;
mod hands;
mod invalid;
mod jobs;
mod leaving;
mod measuring;
mod pace;
mod preview;
mod progress;
mod references;
mod safety;
mod scene;
mod services;
mod settle;
mod source;
mod stages;
pub mod traffic;
mod upkeep;
mod waiting;

pub use references::{
    Claim, Claims, Resolved, ResolvedMetric, ResolvedSource, Resources, SpecProblem,
};

/// All that a decision may depend on.
#[derive(Clone, Copy, Debug)]
pub struct Input<'a> {
    /// The rollout's name.
    pub name: &'a Name,
    /// Counts changes of `spec`.
    pub generation: u64,
    /// What is wanted.
    pub spec: &'a RolloutSpec,
    /// The last command that was given, dealt with or not.
    pub command: Option<&'a Command>,
    /// Set once the rollout is to be deleted.
    pub deletion: Option<Deletion>,
    /// What the spec refers to, or why it cannot be carried out.
    pub references: Result<&'a Resolved, &'a SpecProblem>,
    /// What is remembered.
    pub status: &'a RolloutStatus,
    /// What is observed.
    pub snapshot: &'a Snapshot,
    /// What was said when actions of this rollout failed that are still to be done.
    pub obstacle: Option<&'a str>,
    /// Whether anything of this rollout may still come that was asked for.
    pub outstanding: Outstanding,
    /// Who keeps asking for it.
    pub asked_by: AskedBy,
    /// The commit that asked for `spec`, if one did.
    pub commit: Option<&'a Commit>,
    /// What is wrong between the rollout and the source that it comes from.
    pub source_problem: Option<&'a OriginProblem>,
    /// What the clock says.
    pub now: Timestamp,
}

/// Whether a service or a server may still come that was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outstanding {
    /// As far as this controller knows, all of it has come or failed.
    Nothing,
    /// It is being made, or the answer to the request for it was lost.
    Something,
}

/// Who keeps asking for a rollout.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AskedBy {
    /// Nobody: it was applied by hand.
    Hand,
    /// A GitOps source, for as long as its manifest stands there.
    Source,
}

/// What to remember, then to do, then to wait for.
#[derive(Clone, Debug, PartialEq)]
pub struct Plan {
    /// The new status. It is stored before any action begins (SAFETY-1).
    pub status: RolloutStatus,
    /// That the rollout is to be deleted, asked for already or decided now. It is stored with the status.
    pub deletion: Option<Deletion>,
    /// What to do, in this order. Every action is idempotent.
    pub actions: Vec<Action>,
    /// What the rollout waits for, if it does.
    pub waiting_on: Option<WaitingOn>,
    /// When to look again at the latest if nothing is done before, even without a hint; none when
    /// nothing is under way.
    pub requeue_at: Option<Timestamp>,
}

/// Decides the next step of one rollout.
pub fn plan(input: &Input) -> Plan {
    if let Some(deletion) = input.deletion {
        return deletion::plan(input, deletion);
    }
    let unrouted;
    let resolved = match input.references {
        Ok(resolved) => resolved,
        // A preview has no servers: it is kept and ends whatever is missing for a release in its place.
        Err(problem) if preview::was(input.status) => {
            unrouted = Resolved::unrouted(problem);
            &unrouted
        }
        Err(problem) => return invalid::plan(input, problem),
    };
    let mut status = input.status.clone();
    upkeep::remember(&mut status, input);
    match &resolved.metrics {
        Ok(_) => {
            settle::spec(&mut status, input);
            command::take(&mut status, input);
            measuring::absorb(&mut status, input, resolved);
            progress::advance(&mut status, input, resolved);
            preview::expire(&mut status, input);
        }
        Err(problem) if input.status.attempt == 0 => return invalid::plan(input, problem),
        Err(problem) => invalid::stand_still(&mut status, input, problem),
    }
    let scene = leaving::keep_books(&mut status, input, resolved);
    hands::mind(&mut status, input, &scene);

    let mut actions = services::changes(&status, input, &scene);
    actions.extend(scene.server_changes());
    let mut actions = safety::admit(actions, &scene);
    actions.extend(measuring::due(&status, input, resolved));
    actions.extend(jobs::void(&status, input, resolved));

    let waiting_on = waiting::on(&status, input, resolved, &scene);
    conditions::write(&mut status, input, &scene, waiting_on.as_ref());
    if let Err(problem) = &resolved.metrics {
        invalid::say(&mut status, input, problem);
    }
    source::say(&mut status, input);
    let requeue_at = pace::requeue_at(&status, input, waiting_on.as_ref());
    Plan {
        deletion: preview::deletion(&status, input),
        status,
        actions,
        waiting_on,
        requeue_at,
    }
}
