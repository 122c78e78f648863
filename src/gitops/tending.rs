//! Tending: what the sources ask for is written to the store, and what there is to say of them is said. Only by the
//! controller that acts (SAFETY-6), and only what is not so already (SAFETY-5).

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tracing::{info, warn};

use super::active::{Active, Part, active, places, relations, unknown};
use super::decide::{Decision, Deed, Question, Write, decide};
use super::epoch::{check_epoch, holds};
use super::setbacks::{Again, Setbacks};
use super::settled::{Settled, same};
use super::telling::{self, Said, say, status};
use super::undone::{Undone, fingerprint};
use super::{Desk, Listing, Look, SourceOptions};
use crate::api::{Commit, Name, Place, SourceStatus};
use crate::reconcile::Inbox;
use crate::retry::{Backoff, Policy, Spread};
use crate::runtime::Runtime;
use crate::world::{Contents, Draft, Lease, StoredSource, World, WorldError};

/// The pauses after writes that were refused.
const AFTER_FAILURE: Policy = Policy {
    first: Duration::from_millis(250),
    longest: Duration::from_secs(15),
    give_up_after: None,
    spread: Spread::Nothing,
};

/// The sources of one controller.
pub struct Gitops {
    sources: Vec<SourceOptions>,
    desk: Arc<Desk>,
    runtime: Arc<dyn Runtime>,
    /// What the store says of sources; none if that has to be read.
    told: Option<Vec<StoredSource>>,
    /// What there is to say of each source that was read.
    statuses: Vec<SourceStatus>,
    /// What was compared when there was nothing to do.
    settled: Option<Settled>,
    /// The writes that could not be done.
    setbacks: Setbacks,
    /// What of each source was tried in vain when this controller acted last, by its fingerprint.
    in_vain: BTreeMap<Name, u64>,
    /// What the world said when something else was changed meanwhile, if that was the last thing that it said.
    conflict: Option<(String, String)>,
    backoff: Backoff,
    rests_until: Option<Duration>,
}

/// Whether anything was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tended {
    /// All was as it should be, or nothing could be done.
    Nothing,
    /// The store says something else now: look again at once.
    Wrote,
    /// Nothing more: another controller has taken over.
    Deposed,
}

/// What the metrics say of a source.
#[derive(Clone, Debug, PartialEq)]
pub struct SourceReport {
    /// What it is called.
    pub name: Name,
    /// When it was last read.
    pub read_at: Option<Timestamp>,
    /// What became of it, if this controller acts: one that stands by reads on, and decides nothing.
    pub status: Option<SourceStatus>,
}

impl Gitops {
    /// Begins to read `sources`. Who waits at `inbox` is woken when one says something new.
    pub fn start(
        sources: Vec<SourceOptions>,
        inbox: Arc<Inbox>,
        runtime: Arc<dyn Runtime>,
    ) -> Self {
        let desk = Arc::new(Desk::new(inbox));
        for source in &sources {
            runtime.spawn(source.read(desk.clone(), runtime.clone()));
        }
        Self::with_desk(sources, desk, runtime)
    }

    /// The same with a desk on which somebody else lays what the sources say.
    pub fn with_desk(
        sources: Vec<SourceOptions>,
        desk: Arc<Desk>,
        runtime: Arc<dyn Runtime>,
    ) -> Self {
        Self {
            sources,
            desk,
            runtime,
            told: None,
            statuses: Vec::new(),
            settled: None,
            setbacks: Setbacks::default(),
            in_vain: BTreeMap::new(),
            conflict: None,
            backoff: Backoff::new(AFTER_FAILURE),
            rests_until: None,
        }
    }

    /// Another controller acts: what it tells is not known here.
    pub fn stand_by(&mut self) {
        self.told = None;
        self.settled = None;
        self.setbacks.clear();
        self.statuses.clear();
    }

    /// What lies undone of what each source asks for.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn undone(
        &self,
        world: &dyn World,
        contents: &Contents,
    ) -> Result<BTreeMap<Name, Undone>, WorldError> {
        if self.sources.is_empty() {
            return Ok(BTreeMap::new());
        }
        let told = world.sources().await?;
        let all = active(&self.sources, &self.desk, &contents.resources);
        let of = |(index, source): (usize, &Active)| {
            let decision = self.decide(&all, index, contents, before(&told, source))?;
            let undone = Undone {
                fingerprint: fingerprint(&decision.writes, &contents.resources)?,
                read_ago: self.read_ago(&source.look),
            };
            Some((source.options.name.clone(), undone))
        };
        Ok(all.iter().enumerate().filter_map(of).collect())
    }

    fn read_ago(&self, look: &Look) -> Duration {
        let now = self.runtime.now();
        let ago = look.read_at.map(|read_at| now.duration_since(read_at));
        ago.and_then(|ago| Duration::try_from(ago).ok())
            .unwrap_or_default()
    }

    /// What of each source could not be written, by its fingerprint; another controller could not either.
    pub const fn in_vain(&self) -> &BTreeMap<Name, u64> {
        &self.in_vain
    }

    /// Whether a source says something that was not compared with the store yet.
    pub fn has_news(&self) -> bool {
        !self.sources.is_empty()
            && self
                .settled
                .as_ref()
                .is_none_or(|settled| !same(&settled.looks, &self.looks()))
    }

    fn looks(&self) -> Vec<Look> {
        let places = places(&self.sources, &self.desk);
        places.iter().map(|place| self.desk.look(place)).collect()
    }

    /// Brings the store, as it was just read, to what the sources say.
    ///
    /// # Errors
    /// When the store cannot be read or written.
    pub async fn tend(
        &mut self,
        world: &dyn World,
        lease: &Lease,
        contents: &Contents,
    ) -> Result<Tended, WorldError> {
        if self.sources.is_empty() && self.told.is_some() {
            return Ok(Tended::Nothing);
        }
        let now = self.runtime.steady();
        if self.rests_until.is_some_and(|until| now < until) {
            return Ok(Tended::Nothing);
        }
        let looks = self.looks();
        let is_settled =
            |settled: &Settled| !self.setbacks.are_due(now) && settled.is_of(&looks, contents);
        if self.told.is_some() && self.settled.as_ref().is_some_and(is_settled) {
            return Ok(Tended::Nothing);
        }
        self.settled = None;
        match self.bring_about(world, lease, contents).await {
            Ok(Tended::Nothing) => {
                self.recovered();
                self.settled = Some(Settled::of(looks, contents));
                Ok(Tended::Nothing)
            }
            Ok(tended @ (Tended::Wrote | Tended::Deposed)) => {
                self.recovered();
                Ok(tended)
            }
            // Who has taken over writes it. One that believes to act would try in vain for ever.
            Err(WorldError::Conflict { .. }) if !holds(world, lease).await? => Ok(Tended::Deposed),
            // Somebody was quicker: the next look shows what is.
            Err(WorldError::Conflict { what, reason }) => {
                tracing::debug!(what, reason, "the world has moved on; looking again");
                self.told = None;
                let conflict = Some((what, reason));
                if self.conflict == conflict {
                    self.rest(now);
                    return Ok(Tended::Nothing);
                }
                self.conflict = conflict;
                Ok(Tended::Wrote)
            }
            Err(error) => {
                self.told = None;
                self.rest(now);
                Err(error)
            }
        }
    }

    fn recovered(&mut self) {
        self.backoff.reset();
        self.conflict = None;
    }

    fn rest(&mut self, now: Duration) {
        let pause = self.backoff.next_delay().unwrap_or(AFTER_FAILURE.longest);
        self.rests_until = Some(now + pause);
    }

    async fn bring_about(
        &mut self,
        world: &dyn World,
        lease: &Lease,
        contents: &Contents,
    ) -> Result<Tended, WorldError> {
        let told = match self.told.take() {
            Some(told) => told,
            None => world.sources().await?,
        };
        let mut tended = Tended::Nothing;
        let all = active(&self.sources, &self.desk, &contents.resources);
        let is_active = |place: &Place| all.iter().any(|active| active.options.place == *place);
        self.setbacks.keep_places(is_active);
        let mut statuses = Vec::new();
        for (index, source) in all.iter().enumerate() {
            if matches!(source.part, Part::Gone(_)) && tended == Tended::Wrote {
                // What came from a branch that is gone may be another one's now.
                continue;
            }
            let before = before(&told, source);
            let mut decision = self.decide(&all, index, contents, before);
            if let Some(decision) = &mut decision
                && self.carry_out(decision, source, lease, world).await? == Tended::Wrote
            {
                tended = Tended::Wrote;
            }
            self.note_in_vain(source, decision.as_ref(), contents);
            statuses.extend(told_of(source, decision, before));
        }
        let known = told.iter().map(|told| &told.status);
        statuses.extend(unknown(&self.sources, &self.desk, known).cloned());
        self.statuses.clone_from(&statuses);
        if tended == Tended::Nothing && say(&statuses, &told, lease, world).await? == Said::Nothing
        {
            self.told = Some(told);
        }
        Ok(tended)
    }

    /// Writes what can be written, and tells in `decision` of what cannot.
    async fn carry_out(
        &mut self,
        decision: &mut Decision,
        source: &Active,
        lease: &Lease,
        world: &dyn World,
    ) -> Result<Tended, WorldError> {
        let place = &source.options.place;
        let now = self.runtime.steady();
        self.setbacks.keep_only(place, &decision.writes);
        let mut due = decision.writes.clone();
        due.retain(|write| !self.setbacks.rests(place, write, now));
        if !due.is_empty() {
            check_epoch(world, lease).await?;
        }
        let mut tended = Tended::Nothing;
        for write in &due {
            match carry_out(write, source, lease, world).await {
                Ok(()) => {
                    self.setbacks.over(place, write);
                    tended = Tended::Wrote;
                }
                // Nor would it answer to the others.
                Err(error @ WorldError::Unreachable { .. }) => return Err(error),
                Err(error @ (WorldError::Conflict { .. } | WorldError::Refused { .. })) => {
                    match self.setbacks.note(place, write, &error, now, AFTER_FAILURE) {
                        Again::AtOnce => tended = Tended::Wrote,
                        Again::Later => {
                            warn!(source = %source.options.name, "{error}; the others are written");
                        }
                    }
                }
            }
        }
        self.setbacks.tell(place, decision);
        Ok(tended)
    }

    /// Notes what of a source could not be written.
    fn note_in_vain(&mut self, source: &Active, decision: Option<&Decision>, contents: &Contents) {
        let name = &source.options.name;
        let has_failed = self.setbacks.are_of(&source.options.place);
        let undone = decision.filter(|_| has_failed);
        let undone = undone.and_then(|it| fingerprint(&it.writes, &contents.resources));
        match undone {
            Some(undone) => drop(self.in_vain.insert(name.clone(), undone)),
            None => drop(self.in_vain.remove(name)),
        }
    }

    /// What follows from what the source numbered `index` says; nothing if that is not known.
    fn decide(
        &self,
        all: &[Active],
        index: usize,
        contents: &Contents,
        before: Option<&SourceStatus>,
    ) -> Option<Decision> {
        let source = &all[index];
        let gone = Arc::new(Listing::gone(source.options.place.clone()));
        let listing = match source.part {
            Part::Gone(_) => &gone,
            Part::Whole | Part::Repository | Part::Branch(..) => source.look.listing.as_ref()?,
        };
        let none = BTreeMap::new();
        Some(decide(&Question {
            listing,
            edits: &source.edits,
            prune: source.options.prune,
            on_drift: source.options.on_drift,
            others: &relations(all, index),
            unclaimed: source.part.unclaimed(),
            stored: &contents.resources,
            unreadable: &contents.unreadable,
            before: before.map_or(&none, |status| &status.resources),
            now: self.runtime.now(),
        }))
    }

    /// What the metrics say of each source.
    pub fn report(&self) -> Vec<SourceReport> {
        let report = |source: &Active| {
            let mut statuses = self.statuses.iter();
            let status = statuses.find(|status| status.name == source.options.name);
            SourceReport {
                name: source.options.name.clone(),
                read_at: source.look.read_at,
                status: status.cloned(),
            }
        };
        let all = active(&self.sources, &self.desk, &[]);
        all.iter().map(report).collect()
    }
}

/// What was told of a source when it was last told of.
fn before<'a>(told: &'a [StoredSource], source: &Active) -> Option<&'a SourceStatus> {
    let mut told = told.iter().map(|told| &told.status);
    told.find(|status| status.name == source.options.name && status.place == source.options.place)
}

/// What there is to tell of a source.
fn told_of(
    source: &Active,
    decision: Option<Decision>,
    before: Option<&SourceStatus>,
) -> Option<SourceStatus> {
    let (options, look) = (&source.options, &source.look);
    match source.part {
        Part::Whole | Part::Branch(..) => status(options, look, decision, before),
        Part::Repository => telling::repository(options, look, before),
        Part::Gone(_) => decision.map(|decision| telling::gone(options, decision, before)),
    }
}

async fn carry_out(
    write: &Write,
    source: &Active,
    lease: &Lease,
    world: &dyn World,
) -> Result<(), WorldError> {
    let draft = |draft: &Draft| Draft {
        epoch: lease.epoch,
        ..draft.clone()
    };
    match &write.deed {
        Deed::Create(new) => world.create(&draft(new)).await?,
        Deed::Replace(id, version, new) => world.replace(id, *version, &draft(new)).await?,
        Deed::Remove(id) => world.remove(id).await?,
    }
    let listing = source.look.listing.as_ref();
    let commit = listing.and_then(|listing| listing.commit.as_ref());
    let commit = commit.map_or("-", Commit::short);
    info!(source = %source.options.name, resource = %write.target, commit, "{}", write.why);
    Ok(())
}
