//! The owner of a stored resource: the source that says it. What a hand does to the resource lasts no longer than the owner lets it.
//!
//! A mark alone is no owner: no controller may read that source any more, or it may have given the resource up.

use std::fmt::{self, Display, Formatter};

use super::target::ResourceRef;
use crate::api::{OnDrift, Origin, SourcePhase, SourceStatus};
use crate::world::{Stored, StoredSource, World, WorldError};

/// What a source of manifests counts for that keeps a resource as it has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SourceSay {
    /// Nothing is done against what it says.
    Heeded,
    /// It is, until the source brings back what it says.
    Overridden,
}

/// The source that says a resource, with its mark on it.
#[derive(Clone, Copy, Debug)]
pub struct Owner<'a> {
    origin: &'a Origin,
    source: &'a SourceStatus,
}

impl<'a> Owner<'a> {
    /// Whose the resource is, of all sources that are told of; nobody's if no controller reads its source any more, and if that
    /// has no manifest for it any more.
    pub fn of(stored: &'a Stored, sources: &'a [StoredSource]) -> Option<Self> {
        let origin = stored.draft.origin.as_ref()?;
        let mut sources = sources.iter().map(|source| &source.status);
        let source = sources.find(|source| source.place == origin.source)?;
        let start = format!("{}: ", ResourceRef::of(&stored.draft.resource));
        let is_given_up = source.phase == SourcePhase::Gone
            || source.kept.iter().any(|kept| kept.starts_with(&start));
        (!is_given_up).then_some(Self { origin, source })
    }

    /// What it does about a change by hand.
    pub const fn on_drift(&self) -> OnDrift {
        self.source.on_drift
    }
}

impl Display for Owner<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let Self { origin, source } = self;
        write!(
            f,
            "source/{} ({}, file {})",
            source.name, origin.source, origin.file
        )
    }
}

/// All sources that are told of, if any of these resources bears a mark; else nobody needs them.
///
/// # Errors
/// When the store cannot be reached.
pub async fn sources<'a>(
    stored: impl IntoIterator<Item = &'a Stored>,
    world: &dyn World,
) -> Result<Vec<StoredSource>, WorldError> {
    let is_marked = |stored: &Stored| stored.draft.origin.is_some();
    if stored.into_iter().any(is_marked) {
        world.sources().await
    } else {
        Ok(Vec::new())
    }
}
