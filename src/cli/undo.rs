//! `rolloutctl undo`: makes the spec ask for an earlier revision again. The controller releases that as it releases
//! any spec.
//!
//! Only what makes a revision comes back: the template, the port and the reach. A restored spec is as sound as its
//! two halves were, since no rule ties a template to anything else of the spec.

use jiff::Timestamp;

use super::apply::Mode;
use super::console::Console;
use super::diff;
use super::exit::{Exit, Failure};
use super::owner::{self, Owner, SourceSay};
use super::past::{Past, Release, Role, ShortRevision};
use super::target::{ResourceRef, RolloutRef};
use super::words::age;
use crate::api::{
    Access, Actor, AttemptOutcome, CHANGE_CAUSE_ANNOTATION, HistoryEntry, OnDrift, Resource,
    Revision, RolloutSpec,
};
use crate::world::applying::fitting;
use crate::world::{Draft, Stored, World, WorldError};

/// What `undo` is asked.
pub struct Request {
    /// The rollout.
    pub rollout: RolloutRef,
    /// The revision to go back to; the one that served before if absent.
    pub to: Option<ShortRevision>,
    /// Whether anything is written.
    pub mode: Mode,
    /// What a source of manifests counts for.
    pub source: SourceSay,
    /// Who asks.
    pub by: Actor,
    /// The present instant.
    pub now: Timestamp,
}

/// How often a write is tried when others write the same rollout at the same time.
const ATTEMPTS: u32 = 10;

/// Where to go.
enum Choice {
    /// To another revision than the spec asks for.
    Back(Revision),
    /// Nowhere, for the spec asks for that revision already.
    Stay(Revision),
}

/// Goes back.
///
/// # Errors
/// When there is nothing to go back to, or the store refuses or cannot be reached.
pub async fn run(
    request: &Request,
    world: &dyn World,
    console: &mut Console,
) -> Result<Exit, Failure> {
    let target = request.rollout.resource();
    let no = |why: String| Failure::No(format!("{target}: cannot undo: {why}"));
    let mut meant: Option<Revision> = None;
    for _ in 0..ATTEMPTS {
        let store = world.load().await?;
        let stored = target.find(&store)?;
        let past = past(stored).map_err(no)?;
        let sources = owner::sources([stored], world).await?;
        let owner = Owner::of(stored, &sources);
        heed(owner.as_ref(), request.source).map_err(no)?;
        let revision = match choose(&past, request.to.as_ref()).map_err(no)? {
            Choice::Back(revision) => revision,
            Choice::Stay(revision) => {
                let called = past.called(&revision);
                console.answer(format_args!(
                    "{target} unchanged: its spec asks for {called} already"
                ))?;
                return Ok(Exit::Done);
            }
        };
        // Whoever was quicker may have gone back already: to go back from there is another wish.
        if meant.as_ref().is_some_and(|meant| *meant != revision) {
            return Err(no(format!(
                "it was changed by others at the same time, so that it would now go to {revision}; look at \
                 `rolloutctl history {}`, then ask again",
                target.name
            )));
        }
        let draft = asking_for(&revision, &past, stored, &request.by).map_err(no)?;
        let draft = fitting(draft)?;
        let answer = format!("{target} {}", told(&past, &revision, request.now));
        if request.mode == Mode::DryRun {
            console.answer(format_args!("{answer} (dry run)"))?;
            return show(&target, stored, &draft, console);
        }
        match world.replace(&stored.id, stored.version, &draft).await {
            Err(WorldError::Conflict { .. }) => meant = Some(revision),
            result => {
                result?;
                console.answer(answer)?;
                tell_what_follows(stored, owner.as_ref(), console);
                return Ok(Exit::Done);
            }
        }
    }
    Err(no(format!(
        "it was changed by others {ATTEMPTS} times in a row; ask again"
    )))
}

/// The resource that asks for an earlier revision again.
///
/// # Errors
/// When there is none to go back to, or the spec asks for it already.
pub fn restored(
    stored: &Stored,
    to: Option<&ShortRevision>,
    by: &Actor,
) -> Result<Resource, String> {
    let past = past(stored)?;
    match choose(&past, to)? {
        Choice::Back(revision) => Ok(asking_for(&revision, &past, stored, by)?.resource),
        Choice::Stay(revision) => Err(format!("its spec asks for {revision} already")),
    }
}

/// The revision that an undo would go back to by itself, if there is one. What bears a source's mark is not offered it: whether
/// anybody reads that source is asked when it is done.
pub fn on_offer(stored: &Stored) -> Option<Revision> {
    if stored.draft.origin.is_some() {
        return None;
    }
    let past = past(stored).ok()?;
    let revision = past.way_back().ok()?;
    restored_spec(&revision, &past).ok().map(|_| revision)
}

/// The past of a rollout that can be written.
fn past(stored: &Stored) -> Result<Past<'_>, String> {
    if stored.draft.deletion.is_some() {
        return Err("it is being deleted".to_owned());
    }
    Past::of(stored).ok_or_else(|| {
        "the controller has not seen it yet, and has nothing to go back to; is a controller running?"
            .to_owned()
    })
}

/// A source that puts its own spec back is not written over: what it says is changed there.
fn heed(owner: Option<&Owner<'_>>, say: SourceSay) -> Result<(), String> {
    match (owner.map(|owner| (owner, owner.on_drift())), say) {
        (Some((owner, OnDrift::Restore)), SourceSay::Heeded) => Err(format!(
            "it comes from {owner}, which would put its own spec back; revert the commit there, or go back until then by \
             `--force`"
        )),
        (Some((_, OnDrift::Report)) | None, SourceSay::Heeded) | (_, SourceSay::Overridden) => {
            Ok(())
        }
    }
}

fn choose(past: &Past<'_>, to: Option<&ShortRevision>) -> Result<Choice, String> {
    let Some(asked) = to else {
        return past.way_back().map(Choice::Back);
    };
    let revision = past.find(asked)?;
    let is_wanted = revision == past.wanted;
    let aborted = past.status.abort.as_ref();
    if aborted.is_some_and(|abort| abort.revision == revision) {
        // ABORT-2: no spec alone brings it back.
        return Err(if is_wanted {
            format!("{revision} was taken back; to try it again, use `rolloutctl retry`")
        } else {
            format!(
                "{revision} was taken back, and the controller has not seen yet that the spec asks for another; ask \
                 again in a moment"
            )
        });
    }
    if is_wanted {
        return Ok(Choice::Stay(revision));
    }
    match past.role(&revision) {
        Role::Gone => Err(past.not_kept(&revision)),
        Role::Stable | Role::Canary | Role::Warm | Role::Leaving | Role::Former => {
            Ok(Choice::Back(revision))
        }
    }
}

/// The spec with that revision in it.
///
/// # Errors
/// When it would be another revision all the same: how a revision is reached is part of it, and a strategy that reaches
/// its tasks in another way cannot say that.
fn restored_spec(revision: &Revision, past: &Past<'_>) -> Result<RolloutSpec, String> {
    let record = past.status.revisions.get(revision);
    let record = record.ok_or_else(|| past.not_kept(revision))?;
    let restored = record.restored_in(past.spec);
    if Revision::of(&restored) == *revision {
        return Ok(restored);
    }
    let why = match record.access {
        access if access == restored.access() => "was made by another release of rolloutctl",
        Access::Proxied { .. } => {
            "is reached by `spec.traffic`, and the spec asks for a preview now"
        }
        Access::Published { .. } | Access::Named {} => {
            "was a preview, and the spec asks for a release now"
        }
    };
    Err(format!(
        "{} {why}: its template alone would be another revision; apply the manifest that asked for it again",
        past.called(revision)
    ))
}

/// What is stored, with that revision in its spec.
fn asking_for(
    revision: &Revision,
    past: &Past<'_>,
    stored: &Stored,
    by: &Actor,
) -> Result<Draft, String> {
    let mut draft = stored.draft.clone();
    if let Resource::Rollout(manifest) = &mut draft.resource {
        manifest.spec = restored_spec(revision, past)?;
        let cause = format!("undo to {revision} by {by}");
        let annotations = &mut manifest.metadata.annotations;
        annotations.insert(CHANGE_CAUSE_ANNOTATION.to_owned(), cause);
        draft.generation += 1;
    }
    Ok(draft)
}

/// Where it goes, and what is known of that revision.
fn told(past: &Past<'_>, revision: &Revision, now: Timestamp) -> String {
    let what = match (past.role(revision), past.release(revision)) {
        (Role::Stable, _) => "the stable revision".to_owned(),
        (_, Release::Completed(entry)) => {
            let ended = entry.ended_at.unwrap_or(entry.started_at);
            format!("which was completed {} ago", age(ended, now))
        }
        (_, Release::Never(entry)) => format!("which was never completed: {}", fate(entry)),
        (_, Release::Unknown) => "of which no attempt is remembered".to_owned(),
    };
    format!("goes back to {}, {what}", past.called(revision))
}

fn fate(entry: &HistoryEntry) -> String {
    let word = match entry.outcome {
        AttemptOutcome::Running => "is under way",
        AttemptOutcome::Completed => "was completed",
        AttemptOutcome::Passed => "passed as a preview",
        AttemptOutcome::Aborted => "was aborted",
        AttemptOutcome::Superseded => "was superseded",
        AttemptOutcome::Reverted => "was reverted",
    };
    let why = match entry.message.as_str() {
        "" => String::new(),
        message => format!(": {message}"),
    };
    format!("attempt {} {word}{why}", entry.attempt)
}

fn show(
    target: &ResourceRef,
    stored: &Stored,
    draft: &Draft,
    console: &mut Console,
) -> Result<Exit, Failure> {
    let change = diff::Change {
        before: ("stored", Some(&stored.draft.resource)),
        after: ("undone", &draft.resource),
    };
    let text = change.painted(target, console.paint);
    console.answer(text.unwrap_or_default())?;
    Ok(Exit::Done)
}

fn tell_what_follows(stored: &Stored, owner: Option<&Owner<'_>>, console: &mut Console) {
    let name = stored.draft.resource.name();
    if let Some(owner) = owner {
        let what = match owner.on_drift() {
            OnDrift::Restore => "which may put its own spec back at any time",
            OnDrift::Report => {
                "which reports the change, and takes it back when the manifest changes"
            }
        };
        console.remark(format_args!(
            "it comes from {owner}, {what}: revert the commit there too"
        ));
    }
    console.remark(format_args!(
        "follow it with: rolloutctl status {name} --wait"
    ));
}
