//! Telling: what there is to say of a source, and saying it in the store when it is something new (SAFETY-5).

use std::collections::BTreeMap;

use tracing::{info, warn};

use super::decide::Decision;
use super::epoch::check_epoch;
use super::{Branch, Look, MAX_BRANCHES, SourceOptions};
use crate::api::{SourcePhase, SourceStatus};
use crate::world::{Lease, StoredSource, World, WorldError};

/// How many problems of a source are told.
const MAX_PROBLEMS: usize = 100;

/// How long a problem may be, in characters.
const MAX_PROBLEM: usize = 500;

/// What there is to tell of a source; nothing as long as it has not been read.
pub(super) fn status(
    source: &SourceOptions,
    look: &Look,
    decision: Option<Decision>,
    before: Option<&SourceStatus>,
) -> Option<SourceStatus> {
    let mut status = match (decision, look.listing.as_ref()) {
        (Some(decision), Some(listing)) => {
            let mut problems = decision.problems;
            let more = problems.len().saturating_sub(MAX_PROBLEMS);
            problems.truncate(MAX_PROBLEMS);
            if more > 0 {
                problems.push(format!("and {more} more"));
            }
            SourceStatus {
                commit: listing.commit.clone(),
                changed_at: look.seen_at,
                resources: decision.resources,
                invalid: u32::try_from(decision.invalid).unwrap_or(u32::MAX),
                problems: problems.iter().map(|problem| cut(problem)).collect(),
                drifted: decision.drifted,
                kept: decision.kept,
                left: decision.left,
                ..blank(source)
            }
        }
        _ if look.problem.is_none() => return before.cloned(),
        _ => before.cloned().unwrap_or_else(|| blank(source)),
    };
    (status.prune, status.on_drift) = (source.prune, source.on_drift);
    (status.phase, status.message) = summary(&status, look);
    Some(unless_told(status, before))
}

/// What is told of a branch that is gone: what it left behind.
pub(super) fn gone(
    source: &SourceOptions,
    decision: Decision,
    before: Option<&SourceStatus>,
) -> SourceStatus {
    let status = SourceStatus {
        phase: SourcePhase::Gone,
        message: match decision.kept.first() {
            Some(first) => format!(
                "its branch is gone; {} of it stay: {first}",
                decision.kept.len()
            ),
            None => match decision.problems.first() {
                Some(first) => cut(&format!("its branch is gone; {first}")),
                None => "its branch is gone; what came from it is being deleted".to_owned(),
            },
        },
        commit: before.and_then(|before| before.commit.clone()),
        changed_at: before.and_then(|before| before.changed_at),
        resources: decision.resources,
        kept: decision.kept,
        problems: decision.problems.iter().map(|text| cut(text)).collect(),
        ..blank(source)
    };
    unless_told(status, before)
}

/// What is told of a repository of which several branches are followed.
pub(super) fn repository(
    source: &SourceOptions,
    look: &Look,
    before: Option<&SourceStatus>,
) -> Option<SourceStatus> {
    let mut status = blank(source);
    match (&look.problem, &look.branches) {
        (Some(problem), _) => {
            (status.phase, status.message) = (SourcePhase::Unreadable, cut(problem));
        }
        (None, Some(branches)) => {
            let names: Vec<_> = branches
                .followed
                .iter()
                .map(|f| f.branch.as_str())
                .collect();
            status.phase = SourcePhase::Synced;
            status.message = match names.as_slice() {
                [] => "no branch matches; a pattern is written as in 'test/*'".to_owned(),
                names => cut(&format!("follows {}", names.join(", "))),
            };
            if !branches.beyond.is_empty() {
                let beyond: Vec<_> = branches.beyond.iter().map(Branch::as_str).collect();
                let problem = format!(
                    "{} branches match, and {MAX_BRANCHES} is the most; not followed: {}; delete old branches or write a narrower pattern",
                    names.len() + beyond.len(),
                    beyond.join(", ")
                );
                status.phase = SourcePhase::Invalid;
                status.message = cut(&problem);
                status.problems = vec![cut(&problem)];
            }
        }
        (None, None) => return before.cloned(),
    }
    Some(unless_told(status, before))
}

/// What was told before, if it was the same.
fn unless_told(status: SourceStatus, before: Option<&SourceStatus>) -> SourceStatus {
    if let Some(before) = before {
        // A controller that begins has just seen what was there before.
        let changed_at = before.changed_at;
        let again = SourceStatus {
            changed_at,
            ..status.clone()
        };
        if again == *before {
            return again;
        }
    }
    status
}

fn blank(source: &SourceOptions) -> SourceStatus {
    SourceStatus {
        name: source.name.clone(),
        kind: source.kind(),
        place: source.place.clone(),
        prune: source.prune,
        on_drift: source.on_drift,
        phase: SourcePhase::Pending,
        message: String::new(),
        commit: None,
        changed_at: None,
        resources: BTreeMap::new(),
        invalid: 0,
        problems: Vec::new(),
        drifted: Vec::new(),
        kept: Vec::new(),
        left: Vec::new(),
    }
}

fn summary(status: &SourceStatus, look: &Look) -> (SourcePhase, String) {
    if let Some(problem) = &look.problem {
        return (SourcePhase::Unreadable, cut(problem));
    }
    let mut parts = Vec::new();
    if status.invalid > 0 {
        let first = status.problems.first().map_or("", String::as_str);
        parts.push(format!("{} invalid: {first}", status.invalid));
    }
    if let Some(first) = status.drifted.first() {
        parts.push(format!("{} changed by hand: {first}", status.drifted.len()));
    }
    if let Some(first) = status.kept.first() {
        parts.push(format!("{} without a manifest: {first}", status.kept.len()));
    }
    if let Some(first) = status.left.first() {
        parts.push(format!(
            "{} left to another branch: {first}",
            status.left.len()
        ));
    }
    let phase = if status.invalid > 0 {
        SourcePhase::Invalid
    } else {
        SourcePhase::Synced
    };
    if parts.is_empty() {
        parts.push("the store says what the source says".to_owned());
    }
    (phase, parts.join("; "))
}

fn cut(text: &str) -> String {
    if text.chars().count() <= MAX_PROBLEM {
        return text.to_owned();
    }
    let kept = text.chars().take(MAX_PROBLEM - 1);
    kept.chain(['…']).collect()
}

/// Whether anything was told.
#[derive(PartialEq, Eq)]
pub(super) enum Said {
    /// All was told before.
    Nothing,
    /// The store says something else now.
    Something,
}

/// Writes what there is to tell, where it is something else than before; a source that is not read any more is
/// forgotten.
pub(super) async fn say(
    statuses: &[SourceStatus],
    told: &[StoredSource],
    lease: &Lease,
    world: &dyn World,
) -> Result<Said, WorldError> {
    let find = |status: &SourceStatus| told.iter().find(|told| told.status.name == status.name);
    let new: Vec<_> = statuses
        .iter()
        .filter(|status| find(status).is_none_or(|told| told.status != **status))
        .collect();
    let gone: Vec<_> = told
        .iter()
        .filter(|told| {
            !statuses
                .iter()
                .any(|status| status.name == told.status.name)
        })
        .collect();
    if new.is_empty() && gone.is_empty() {
        return Ok(Said::Nothing);
    }
    check_epoch(world, lease).await?;
    let mut failed = None;
    for status in new {
        let phase = status.phase.as_str();
        match status.phase {
            SourcePhase::Synced | SourcePhase::Pending => {
                info!(source = %status.name, phase, "{}", status.message);
            }
            SourcePhase::Invalid | SourcePhase::Unreadable | SourcePhase::Gone => {
                warn!(source = %status.name, phase, "{}", status.message);
            }
        }
        match world.tell_source(find(status), status).await {
            Ok(()) => {}
            Err(error @ WorldError::Unreachable { .. }) => return Err(error),
            // The others are told all the same.
            Err(error @ (WorldError::Conflict { .. } | WorldError::Refused { .. })) => {
                failed.get_or_insert(error);
            }
        }
    }
    for told in gone {
        world.remove(&told.id).await?;
    }
    failed.map_or(Ok(Said::Something), Err)
}
