//! What is counted, and held to the source, while a case is played.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use rolloutctl::api::{Manifest, Name, Resource, RolloutSpec};
use rolloutctl::sim::{Observer, View, What, Who};
use rolloutctl::trial::check::{Findings, Violation, Watch, is_write};

use crate::commits::Commits;

/// Counts what controllers write, and the attempts that they begin.
pub struct Counting {
    pub watch: Watch,
    pub rollout: Name,
    pub writes: Arc<AtomicU64>,
    pub rollouts: Arc<AtomicU64>,
    pub attempt: u32,
    pub said: Said,
    pub findings: Findings,
}

/// What a controller may write of its own accord: what a source has said, whole.
pub struct Said {
    ever: Vec<Manifest<RolloutSpec>>,
    stored: Option<Manifest<RolloutSpec>>,
}

impl Said {
    pub fn new(commits: Option<&Commits>) -> Self {
        let ever = commits.iter().flat_map(|commits| commits.wants.values());
        Self {
            ever: ever.flatten().cloned().collect(),
            stored: None,
        }
    }

    /// What has been written that no source ever said.
    fn unheard(&mut self, view: View<'_>, who: Who, rollout: &Name) -> Option<Violation> {
        let stored = view.rollout(rollout).map(|stored| &stored.draft.resource);
        let stored = stored.and_then(|resource| match resource {
            Resource::Rollout(manifest) => Some(manifest),
            _ => None,
        });
        if stored == self.stored.as_ref() {
            return None;
        }
        self.stored = stored.cloned();
        let written = self.stored.as_ref()?;
        let is_heard = matches!(who, Who::Hand) || self.ever.contains(written);
        (!is_heard).then(|| Violation {
            rule: "source",
            at: view.now(),
            rollout: rollout.clone(),
            what: format!(
                "{who:?} wrote what no source said whole: {}",
                written.spec.template.image
            ),
        })
    }
}

impl Observer for Counting {
    fn changed(&mut self, view: &View<'_>, who: Who, what: &What) {
        if is_write(who, what) {
            self.writes.fetch_add(1, Ordering::Relaxed);
        }
        if let What::Stored { .. } = what {
            let attempt = view
                .status(&self.rollout)
                .map_or(0, |status| status.attempt);
            let unheard = self.said.unheard(*view, who, &self.rollout);
            if let Some(unheard) = unheard {
                self.findings.add(unheard);
            }
            let begun = u64::from(attempt.saturating_sub(self.attempt));
            self.rollouts.fetch_add(begun, Ordering::Relaxed);
            self.attempt = attempt;
        }
        self.watch.changed(view, who, what);
    }
}
