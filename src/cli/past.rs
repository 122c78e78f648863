//! What a rollout has run: its attempts, the revisions that are kept, the beginning by which one of them is meant, and
//! which one it goes back to.
//!
//! Pure functions of what the store holds. Printing it is `history`'s affair, going back `undo`'s.

use std::fmt;
use std::str::FromStr;

use super::standing::Standing;
use super::target::rollout_spec;
use crate::api::{
    Access, AttemptOutcome, CHANGE_CAUSE_ANNOTATION, HistoryEntry, Revision, RolloutSpec,
    RolloutStatus, Step, Template,
};
use crate::world::Stored;

/// The beginning of a revision, as it is typed: one to ten hexadecimal digits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ShortRevision(String);

impl FromStr for ShortRevision {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let is_hex = |b: u8| b.is_ascii_digit() || matches!(b, b'a'..=b'f');
        if (1..=Revision::LEN).contains(&text.len()) && text.bytes().all(is_hex) {
            Ok(Self(text.to_owned()))
        } else {
            Err(format!(
                "a revision is {} lower-case hexadecimal digits, or the first few of them; `rolloutctl history NAME` \
                 lists them",
                Revision::LEN
            ))
        }
    }
}

impl fmt::Display for ShortRevision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What a revision is to its rollout now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// It serves.
    Stable,
    /// It is tried.
    Canary,
    /// It has left the traffic and keeps its tasks: it can be brought back at once.
    Warm,
    /// It has left the traffic and is being drained.
    Leaving,
    /// Its service is kept, without tasks: it can be brought back.
    Former,
    /// It is not kept any more.
    Gone,
}

impl Role {
    /// The role in one word.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Stable => "stable",
            Self::Canary => "canary",
            Self::Warm => "warm",
            Self::Leaving => "leaving",
            Self::Former => "former",
            Self::Gone => "gone",
        }
    }
}

/// What a revision is the hash of.
#[derive(Clone, Copy, Debug)]
pub struct Content<'a> {
    /// What its tasks run.
    pub template: &'a Template,
    /// How its tasks are reached.
    pub access: Access,
}

/// What is remembered of the attempts to release a revision.
#[derive(Clone, Copy, Debug)]
pub enum Release<'a> {
    /// One was completed: the latest of those.
    Completed(&'a HistoryEntry),
    /// None was completed: the latest of them.
    Never(&'a HistoryEntry),
    /// None is remembered.
    Unknown,
}

/// The past of a rollout that a controller has seen.
#[derive(Clone, Debug)]
pub struct Past<'a> {
    stored: &'a Stored,
    /// What is asked for.
    pub spec: &'a RolloutSpec,
    /// What is remembered.
    pub status: &'a RolloutStatus,
    /// The revision that the spec asks for.
    pub wanted: Revision,
}

impl<'a> Past<'a> {
    /// The past of the rollout `stored`; none while no controller has seen it.
    pub fn of(stored: &'a Stored) -> Option<Self> {
        let spec = rollout_spec(stored)?;
        Some(Self {
            stored,
            spec,
            status: stored.draft.status.as_ref()?,
            wanted: Revision::of(spec),
        })
    }

    /// Every revision that is remembered or asked for, the latest first.
    pub fn known(&self) -> Vec<&Revision> {
        let attempts = self.status.history.iter().rev();
        let all = std::iter::once(&self.wanted)
            .chain(attempts.map(|entry| &entry.revision))
            .chain(self.status.revisions.keys());
        let mut known: Vec<&Revision> = Vec::new();
        for revision in all {
            if !known.contains(&revision) {
                known.push(revision);
            }
        }
        known
    }

    /// The one revision that begins so.
    ///
    /// # Errors
    /// When there is none or several, with those that there are.
    pub fn find(&self, asked: &ShortRevision) -> Result<Revision, String> {
        let known = self.known();
        let begin_so = known
            .iter()
            .copied()
            .filter(|revision| revision.as_str().starts_with(&asked.0));
        match begin_so.collect::<Vec<_>>().as_slice() {
            [one] => Ok((*one).clone()),
            [] => Err(format!(
                "no revision begins with {asked}; there are {}",
                self.listed(&known)
            )),
            several => Err(format!(
                "{asked} begins several revisions: {}; write more of the one that is meant",
                self.listed(several)
            )),
        }
    }

    fn listed(&self, revisions: &[&Revision]) -> String {
        let called: Vec<_> = revisions.iter().map(|one| self.called(one)).collect();
        called.join(", ")
    }

    /// A revision with its image: `38ffd8b488 (web:1.4.1)`.
    pub fn called(&self, revision: &Revision) -> String {
        match self.content(revision) {
            Some(content) => format!("{revision} ({})", content.template.image),
            None => format!("{revision} (not kept)"),
        }
    }

    /// What a revision runs, if that is known still.
    pub fn content(&self, revision: &Revision) -> Option<Content<'a>> {
        let kept = self.status.revisions.get(revision).map(|record| Content {
            template: &record.template,
            access: record.access,
        });
        kept.or_else(|| {
            (*revision == self.wanted).then_some(Content {
                template: &self.spec.template,
                access: self.spec.access(),
            })
        })
    }

    /// What a revision is now.
    pub fn role(&self, revision: &Revision) -> Role {
        let status = self.status;
        if status.stable_revision.as_ref() == Some(revision) {
            Role::Stable
        } else if status.canary_revision.as_ref() == Some(revision) {
            Role::Canary
        } else if status.is_warm(revision) {
            Role::Warm
        } else if status.leaving.contains_key(revision) {
            Role::Leaving
        } else if status.revisions.contains_key(revision) {
            Role::Former
        } else {
            Role::Gone
        }
    }

    /// How a revision was released.
    pub fn release(&self, revision: &Revision) -> Release<'a> {
        let attempts = || self.status.history.iter().rev();
        let mut own = attempts().filter(|entry| entry.revision == *revision);
        let completed = own
            .clone()
            .find(|entry| entry.outcome == AttemptOutcome::Completed);
        completed.map_or_else(
            || own.next().map_or(Release::Unknown, Release::Never),
            Release::Completed,
        )
    }

    /// The revision that served before: the stable one while the spec asks for another, else the one that was
    /// completed before it.
    ///
    /// # Errors
    /// When there is none, or it is not kept; with what to do instead.
    pub fn way_back(&self) -> Result<Revision, String> {
        let stable = self.status.stable_revision.as_ref();
        let Some(stable) = stable.filter(|_| self.status.step != Step::Initial) else {
            return Err(
                "its first revision comes up, and none has served before; apply a spec that is better"
                    .to_owned(),
            );
        };
        if self.wanted != *stable {
            return Ok(stable.clone());
        }
        if self.is_on_its_way_back() {
            return Err(format!(
                "its spec went back to {stable}, the stable revision, just now and the controller has not seen that \
                 yet; to go further back, name the revision by `--to-revision`"
            ));
        }
        self.completed_before(stable)
    }

    /// Whether the spec asks for stable again, and the controller has yet to see it.
    fn is_on_its_way_back(&self) -> bool {
        let is_unseen = match Standing::of(self.stored) {
            Standing::Unseen { .. } => true,
            Standing::Seen(_) | Standing::Deleting => false,
        };
        is_unseen && (self.status.canary_revision.is_some() || self.status.abort.is_some())
    }

    fn completed_before(&self, stable: &Revision) -> Result<Revision, String> {
        let attempts = self.status.history.iter().rev();
        let mut completed = attempts
            .filter(|entry| entry.outcome == AttemptOutcome::Completed)
            .map(|entry| &entry.revision);
        let Some(before) = completed.find(|revision| *revision != stable) else {
            return Err(format!(
                "no other revision than {stable}, which serves, was completed in the attempts that are remembered{}",
                self.others(stable)
            ));
        };
        if !self.status.revisions.contains_key(before) {
            return Err(self.not_kept(before));
        }
        Ok(before.clone())
    }

    /// What could be gone to instead of what cannot be chosen by itself.
    fn others(&self, stable: &Revision) -> String {
        let kept = self.status.revisions.keys();
        let others: Vec<_> = kept.filter(|revision| *revision != stable).collect();
        if others.is_empty() {
            return "; apply an earlier manifest instead".to_owned();
        }
        format!(
            "; name one that is kept by `--to-revision`: {}",
            self.listed(&others)
        )
    }

    /// That a revision is gone, and what to do about it.
    pub fn not_kept(&self, revision: &Revision) -> String {
        format!(
            "{revision} is not kept any more: `spec.revisionHistoryLimit` is {}; apply its manifest again instead",
            self.spec.revision_history_limit
        )
    }

    /// Why the spec asked for the attempt `entry`, if that is told.
    pub fn cause_of(&self, entry: &HistoryEntry) -> Option<&'a str> {
        let draft = &self.stored.draft;
        let annotations = &draft.resource.metadata().annotations;
        let cause = annotations.get(CHANGE_CAUSE_ANNOTATION)?;
        let history = &self.status.history;
        // A spec that went back to stable began no attempt: it ended the last one.
        let is_ended_by_it = entry.outcome == AttemptOutcome::Reverted
            && history.last() == Some(entry)
            && self.status.observed_generation == draft.generation;
        (entry.generation == draft.generation || is_ended_by_it).then_some(cause)
    }
}
