//! What a listing asks for, against what is stored: which resources are written, which are deleted, which are left
//! alone and what is said. Pure: it is called again and again, and asks for nothing when all is as it should be.
//!
//! - A resource belongs to the source whose mark it carries. What is applied by hand and then appears in a source is
//!   adopted, unless the source is a branch that only matches a pattern.
//! - Only what carries this source's mark is deleted, only if the user asked for it, and only if it cannot be in
//!   something that could not be read.
//! - What is invalid stops nothing else: the last valid one stays in force, and says so.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

use super::asked::{Asked, asked};
use super::holes::Holes;
use super::parting::gone;
use super::sharing::{self, Claim, Relation, Unclaimed};
use super::verdict::{GivenUp, Verdict};
use super::{Content, Listing};
use crate::api::{
    Kind, OnDrift, Origin, OriginProblem, OriginProblemKind, Place, Prune, ResourceRef,
};
use crate::manifest::{self, Applied, Broken, Edits, Known, Located, Parsed, Source};
use crate::world::applying::{Step, fitting, step};
use crate::world::{Draft, StoreId, Stored, Unreadable};

/// All that a decision depends on.
#[derive(Clone, Copy, Debug)]
pub struct Question<'a> {
    /// What the source says.
    pub listing: &'a Listing,
    /// What is made of its manifests.
    pub edits: &'a Edits,
    /// What becomes of a resource whose manifest is gone.
    pub prune: Prune,
    /// What becomes of a resource that was changed by hand.
    pub on_drift: OnDrift,
    /// The other sources of this controller, and what they are to this one.
    pub others: &'a BTreeMap<Place, Relation>,
    /// What it does with what is no source's.
    pub unclaimed: Unclaimed,
    /// All that is stored.
    pub stored: &'a [Stored],
    /// What is stored, too, and cannot be read.
    pub unreadable: &'a [Unreadable],
    /// What was this source's when it was last told of, as in [`crate::api::SourceStatus::resources`].
    pub before: &'a BTreeMap<String, String>,
    /// What the clock says.
    pub now: Timestamp,
}

/// What is to be written, and what is to be said.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Decision {
    /// In this order: what is referred to before what refers to it, deletions last.
    pub writes: Vec<Write>,
    /// The resources that are this source's, once that is written, each with the digest of what it asked for.
    pub resources: BTreeMap<String, String>,
    /// How many manifests are invalid, or cannot be read.
    pub invalid: usize,
    /// What is wrong with them.
    pub problems: Vec<String>,
    /// The resources that were changed by hand and stay so.
    pub drifted: Vec<String>,
    /// Resources whose manifests are gone and that stay, each with the reason.
    pub kept: Vec<String>,
    /// Resources that it says and another branch has, each with what would change that.
    pub left: Vec<String>,
}

impl Decision {
    /// The manifest is not written, for this reason.
    fn refuse(&mut self, located: &Located, problem: &str) {
        let (file, line, column) = (&located.file, located.line, located.column);
        self.invalid += 1;
        self.problems
            .push(format!("{file}:{line}:{column}: {problem}"));
    }
}

/// One write to the store.
#[derive(Clone, Debug, PartialEq)]
pub struct Write {
    /// What is written.
    pub target: ResourceRef,
    /// Why.
    pub why: &'static str,
    /// How.
    pub deed: Deed,
}

/// How something is written.
#[derive(Clone, Debug, PartialEq)]
pub enum Deed {
    /// It is not there.
    Create(Draft),
    /// It is there, in this version.
    Replace(StoreId, u64, Draft),
    /// It is taken out of the store: nothing has to be cleaned up after it.
    Remove(StoreId),
}

/// Compares what the source says with what is stored.
pub fn decide(question: &Question) -> Decision {
    let parsed = parse(question);
    let holes = Holes::of(question.listing, &parsed.broken);
    let mut decision = Decision::default();
    let mut located: Vec<&Located> = parsed.resources.iter().collect();
    located.sort_by_key(|l| Kind::ALL.iter().position(|kind| *kind == l.resource.kind()));
    let mut decided = BTreeSet::new();
    for located in located {
        decided.insert(ResourceRef::of(&located.resource));
        one(question, located, &mut decision);
    }
    decision.problems.extend(holes.problems());
    for broken in &parsed.broken {
        let errors = broken.errors.iter().map(ToString::to_string);
        decision.problems.extend(errors);
    }
    decision.invalid += parsed.broken.len() + holes.unreadable.len();
    let mut mine: Vec<&Stored> = question
        .stored
        .iter()
        .filter(|stored| mark(question, stored).is_some())
        .filter(|stored| !decided.contains(&ResourceRef::of(&stored.draft.resource)))
        .collect();
    // Who refers goes before what is referred to.
    mine.sort_by_key(|s| {
        let kind = s.draft.resource.kind();
        Kind::ALL.iter().rev().position(|known| *known == kind)
    });
    for stored in mine {
        match fault_of(stored, question, &parsed.broken, &holes) {
            Some(fault) => report(stored, question, Some(fault), &mut decision),
            None => gone(stored, question, &holes, &mut decision),
        }
    }
    decision
}

fn parse(question: &Question) -> Parsed {
    let sources: Vec<Source> = question
        .listing
        .files
        .iter()
        .filter_map(|file| match &file.content {
            Content::Whole(bytes) => Some(Source::from_bytes(file.path.clone(), bytes)),
            Content::Unsettled | Content::Unreadable { .. } => None,
        })
        .collect();
    let applied: Vec<Applied> = question
        .stored
        .iter()
        .filter(|stored| stored.draft.deletion.is_none())
        .map(|stored| Applied {
            resource: stored.draft.resource.clone(),
            route: stored.draft.status.as_ref().and_then(|s| s.route.clone()),
        })
        .collect();
    manifest::parse_edited(&sources, question.edits, Known::Applied(&applied))
}

/// The mark of a stored resource, if it is this source's.
pub(super) fn mark<'a>(question: &Question, stored: &'a Stored) -> Option<&'a Origin> {
    let origin = stored.draft.origin.as_ref()?;
    (origin.source == question.listing.place).then_some(origin)
}

fn unreadable<'a>(question: &Question<'a>, target: &ResourceRef) -> Option<&'a Unreadable> {
    let mut all = question.unreadable.iter();
    all.find(|unreadable| unreadable.target().as_ref() == Some(target))
}

/// One valid manifest.
fn one(question: &Question, located: &Located, decision: &mut Decision) {
    let target = ResourceRef::of(&located.resource);
    let stored = target.look_up(question.stored);
    let wanted = asked(located);
    if let Some(unreadable) = unreadable(question, &target) {
        let problem = format!(
            "metadata.name: {target} is in the store, and this release cannot read it: {}",
            unreadable.problem
        );
        // It is as it was, as far as is known.
        let before = question.before.get_key_value(&target.to_string());
        decision
            .resources
            .extend(before.map(|(target, digest)| (target.clone(), digest.clone())));
        return decision.refuse(located, &problem);
    }
    let claim = Claim::of(question, located, &wanted, stored);
    match claim {
        Claim::Free | Claim::Taken => {}
        Claim::Same(mark) => return stepped_back(stored, mark, decision),
        Claim::Theirs(other) => {
            let problem = format!(
                "metadata.name: {target} comes from the source {other} already; define it in one of the two"
            );
            return decision.refuse(located, &problem);
        }
        Claim::ByHand => {
            let problem = format!(
                "metadata.name: {target} was applied by hand, and a branch of a pattern takes nothing over; give it a name of its own by an overlay, or name the branch with --branch"
            );
            return decision.refuse(located, &problem);
        }
        Claim::Left(other, mark) => {
            decision.left.push(format!(
                "{target} is as {other} has it, which changed it last; it comes here when its manifest changes here"
            ));
            return stepped_back(stored, mark, decision);
        }
    }
    decision
        .resources
        .insert(target.to_string(), wanted.clone());
    match Verdict::of(question, &located.resource, &wanted, stored) {
        Verdict::Leaving(given_up) => leaving(question, &target, given_up, decision),
        Verdict::Removed => decision.drifted.push(format!(
            "{target} was deleted by hand; it comes back when its manifest changes, or by `rolloutctl apply`"
        )),
        Verdict::Drifted(stored) => {
            let message = "it was changed by hand and differs from its manifest; commit the change, or apply the manifest";
            decision.drifted.push(format!("{target}: {message}"));
            let fault = OriginProblem {
                kind: OriginProblemKind::Drifted,
                message: message.to_owned(),
            };
            drifted(stored, question, &wanted, fault, decision);
        }
        Verdict::InForce(stored) => refresh(stored, question, located, &wanted, decision),
        Verdict::Write(_) if matches!(claim, Claim::Taken) => {
            let why = "changed here, and taken over from another branch";
            write(question, located, &wanted, stored, why, decision);
        }
        Verdict::Write(why) => write(question, located, &wanted, stored, why, decision),
    }
}

/// It must be gone before it can come again: what was asked for before it was deleted is what is remembered. If the source
/// had given it up, it is not missed then, but new.
fn leaving(question: &Question, target: &ResourceRef, given_up: GivenUp, decision: &mut Decision) {
    let target = target.to_string();
    match (question.before.get(&target), given_up) {
        (Some(before), GivenUp::No) => decision.resources.insert(target, before.clone()),
        (Some(_), GivenUp::Yes) | (None, _) => decision.resources.remove(&target),
    };
}

/// Another branch has it; the mark is to say what this one asks for, if it does not yet.
fn stepped_back(stored: Option<&Stored>, mark: Option<Origin>, decision: &mut Decision) {
    if let (Some(mark), Some(stored)) = (mark, stored) {
        remark(stored, mark, "another branch says it too", decision);
    }
}

/// It stays as a hand has left it, until something else is asked for than is `wanted` now.
fn drifted(
    stored: &Stored,
    question: &Question,
    wanted: &str,
    fault: OriginProblem,
    decision: &mut Decision,
) {
    let Some(origin) = mark(question, stored) else {
        return;
    };
    let origin = Origin {
        digest: wanted.to_owned(),
        ..origin.clone()
    };
    say_problem(stored, origin, Some(fault), decision);
}

/// What is wrong with its source stands in its mark.
fn say_problem(
    stored: &Stored,
    origin: Origin,
    problem: Option<OriginProblem>,
    decision: &mut Decision,
) {
    let why = "what is wrong with its source is said";
    remark(stored, Origin { problem, ..origin }, why, decision);
}

/// The store says what the manifest says: only the mark may be missing, or be another one.
fn refresh(
    stored: &Stored,
    question: &Question,
    located: &Located,
    wanted: &str,
    decision: &mut Decision,
) {
    let before = mark(question, stored);
    let commit = match before {
        Some(origin) => origin.commit.clone(),
        None => question.listing.commit.clone(),
    };
    let origin = Origin {
        source: question.listing.place.clone(),
        file: located.file.clone(),
        commit,
        generation: stored.draft.generation,
        digest: wanted.to_owned(),
        yields: sharing::yields(question, stored.draft.origin.as_ref()),
        problem: None,
    };
    let why = match before {
        None => "adopted",
        Some(before) if before.problem.is_some() => "its manifest is in force again",
        Some(_) => "its mark is brought up to date",
    };
    remark(stored, origin, why, decision);
}

fn write(
    question: &Question,
    located: &Located,
    wanted: &str,
    stored: Option<&Stored>,
    why: &'static str,
    decision: &mut Decision,
) {
    let target = ResourceRef::of(&located.resource);
    let asked_before = stored.and_then(|stored| mark(question, stored));
    let commit =
        match asked_before.filter(|origin| Asked::of(&origin.digest, wanted) == Asked::Same) {
            Some(origin) => origin.commit.clone(),
            None => question.listing.commit.clone(),
        };
    let yields = sharing::yields(question, stored.and_then(|s| s.draft.origin.as_ref()));
    let origin = |generation| {
        Some(Origin {
            source: question.listing.place.clone(),
            file: located.file.clone(),
            commit,
            generation,
            digest: wanted.to_owned(),
            yields,
            problem: None,
        })
    };
    let marked = |draft: Draft| {
        fitting(Draft {
            origin: origin(draft.generation),
            ..draft
        })
    };
    let deed = match step(&located.resource, stored) {
        Ok(Step::Create(draft)) => marked(draft).map(Deed::Create),
        Ok(Step::Replace(stored, draft)) => {
            marked(draft).map(|draft| Deed::Replace(stored.id.clone(), stored.version, draft))
        }
        Ok(Step::Nothing) => return,
        Err(error) => Err(error),
    };
    let deed = match deed {
        Ok(deed) => deed,
        Err(error) => {
            if stored.is_none() {
                decision.resources.remove(&target.to_string());
            }
            return decision.refuse(located, &format!("document: {error}"));
        }
    };
    decision.writes.push(Write { target, why, deed });
}

/// What is wrong with the manifest of a resource that the source does not say validly any more.
fn fault_of(
    stored: &Stored,
    question: &Question,
    broken: &[Broken],
    holes: &Holes,
) -> Option<OriginProblem> {
    let target = ResourceRef::of(&stored.draft.resource);
    let file = &mark(question, stored)?.file;
    let errors = broken
        .iter()
        .find(|broken| broken.target.as_ref() == Some(&target))
        .or_else(|| {
            let mut of_file = broken.iter().filter(|broken| broken.file == *file);
            of_file.find(|broken| broken.target.is_none())
        })
        .map(|broken| &broken.errors);
    let text = match errors {
        Some(errors) => {
            let more = errors.len().saturating_sub(1);
            let first = errors.first()?.to_string();
            if more == 0 {
                first
            } else {
                format!("{first} (and {more} more)")
            }
        }
        None => holes.unreadable.get(file)?.clone(),
    };
    Some(OriginProblem {
        kind: OriginProblemKind::Invalid,
        message: format!(
            "its manifest cannot be applied, and the last valid one stays in force: {text}"
        ),
    })
}

/// The resource stays as it is, with this problem or none in its mark.
pub(super) fn report(
    stored: &Stored,
    question: &Question,
    problem: Option<OriginProblem>,
    decision: &mut Decision,
) {
    let Some(origin) = mark(question, stored) else {
        return;
    };
    let target = ResourceRef::of(&stored.draft.resource).to_string();
    decision.resources.insert(target, origin.digest.clone());
    say_problem(stored, origin.clone(), problem, decision);
}

/// Writes a mark, if it is another one.
pub(super) fn remark(stored: &Stored, origin: Origin, why: &'static str, decision: &mut Decision) {
    if stored.draft.deletion.is_some() || stored.draft.origin.as_ref() == Some(&origin) {
        return;
    }
    let draft = Draft {
        origin: Some(origin),
        ..stored.draft.clone()
    };
    decision.writes.push(Write {
        target: ResourceRef::of(&stored.draft.resource),
        why,
        deed: Deed::Replace(stored.id.clone(), stored.version, draft),
    });
}
