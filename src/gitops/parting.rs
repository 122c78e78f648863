//! Parting: what becomes of a resource whose manifest is gone.

use jiff::Timestamp;

use super::decide::{Decision, Deed, Question, Write, mark, remark, report};
use super::holes::{Doubt, Holes};
use super::sharing;
use crate::api::{Deletion, Dependents, Kind, Origin, Prune, ResourceRef};
use crate::world::referrers::referrers;
use crate::world::{Draft, Stored};

/// A resource whose manifest is gone.
pub(super) fn gone(stored: &Stored, question: &Question, holes: &Holes, decision: &mut Decision) {
    if stored.draft.deletion.is_some() {
        return;
    }
    let Some(mark) = mark(question, stored) else {
        return;
    };
    let doubt = holes.doubt(&mark.file);
    let heir = sharing::handed_over(question, mark);
    if let (Some(mark), Doubt::None) = (heir, &doubt) {
        let why = "its manifest is gone, and another branch says it too";
        return remark(stored, mark, why, decision);
    }
    let target = ResourceRef::of(&stored.draft.resource);
    let mut keep = |reason: Option<String>| {
        report(stored, question, None, decision);
        let kept =
            reason.map(|reason| format!("{target}: its manifest is gone, and it stays: {reason}"));
        decision.kept.extend(kept);
    };
    let rename = renamed(stored, &target, holes);
    match (question.prune, doubt) {
        // Perhaps it is not gone at all.
        (Prune::Keep | Prune::Delete, Doubt::Passing) => keep(None),
        (Prune::Keep, Doubt::None | Doubt::Lasting(_)) => keep(Some(format!(
            "--prune is not set; delete it by `rolloutctl delete {target}`"
        ))),
        (Prune::Delete, Doubt::Lasting(reason)) => keep(Some(rename.unwrap_or(reason))),
        (Prune::Delete, Doubt::None) => {
            if let Some(reason) = rename {
                return keep(Some(reason));
            }
            let users = referrers(&target, question.stored);
            let names: Vec<_> = users
                .iter()
                .map(|(user, _)| ResourceRef::of(&user.draft.resource).to_string())
                .collect();
            if !names.is_empty() {
                return keep(Some(format!("it is still used by {}", names.join(", "))));
            }
            if let (Some(unreadable), true) = (question.unreadable.first(), may_be_used(&target)) {
                return keep(Some(format!(
                    "it may be used by {}, which cannot be read: {}",
                    unreadable.name, unreadable.problem
                )));
            }
            decision.writes.push(Write {
                deed: deletion(stored, &target, question.now),
                target,
                why: "its manifest is gone",
            });
        }
    }
}

/// Why a rollout stays that serves from a back end for which another manifest asks: that would have it only when this one is drained
/// and gone, and nobody would serve meanwhile. Its manifest has another name now, as is likely.
fn renamed(stored: &Stored, target: &ResourceRef, holes: &Holes) -> Option<String> {
    let route = stored.draft.status.as_ref()?.route.as_ref()?;
    let heir = holes.asks_for(route)?;
    Some(format!(
        "its back end is asked for by {heir}; a serving rollout cannot be renamed without an end of service: write its old name \
         again, give {heir} another back end, or end the service by `rolloutctl delete {target}`"
    ))
}

/// Whether anything refers to resources of this kind.
const fn may_be_used(target: &ResourceRef) -> bool {
    match target.kind {
        Kind::LoadBalancer | Kind::MetricSource | Kind::AnalysisTemplate => true,
        Kind::Rollout => false,
    }
}

/// A rollout is drained first, and its mark says that nothing is asked for any more; nothing has to be cleaned up after
/// the others.
fn deletion(stored: &Stored, target: &ResourceRef, now: Timestamp) -> Deed {
    match target.kind {
        Kind::Rollout => {
            let given_up = |origin: &Origin| Origin {
                digest: String::new(),
                ..origin.clone()
            };
            let draft = Draft {
                deletion: Some(Deletion {
                    at: now,
                    dependents: Dependents::Remove,
                }),
                origin: stored.draft.origin.as_ref().map(given_up),
                ..stored.draft.clone()
            };
            Deed::Replace(stored.id.clone(), stored.version, draft)
        }
        Kind::LoadBalancer | Kind::MetricSource | Kind::AnalysisTemplate => {
            Deed::Remove(stored.id.clone())
        }
    }
}
