//! What users do by `rolloutctl`: they apply manifests, give commands and delete, with what the store holds
//! at that moment in mind. Here it is one step, which nobody overtakes.

use super::super::journal::{Who, Write};
use super::super::state::State;
use crate::api::{Actor, Command, Deletion, Dependents, Kind, Name, Resource, RolloutStatus, Verb};
use crate::world::{Draft, Stored};

impl State {
    /// As `rolloutctl apply` does: only another spec is another generation.
    pub(super) fn desk_applies(&mut self, resource: &Resource) {
        let known = self.find_stored(resource.kind(), resource.name());
        let Some(stored) = known else {
            let draft = Draft::new(resource.clone());
            let result = self.try_create(&draft);
            self.tell_stored(Who::Hand, &draft, Write::Create, &result);
            return;
        };
        let mut draft = stored.draft.clone();
        if draft.deletion.is_some() || draft.resource == *resource {
            return;
        }
        if draft.resource.spec_json() != resource.spec_json() {
            draft.generation += 1;
        }
        draft.resource = resource.clone();
        self.rewrite(&stored, &draft);
    }

    /// As `rolloutctl promote` and the other verbs do: for the attempt and stage for which it is meant.
    pub(super) fn desk_commands(
        &mut self,
        rollout: &Name,
        verb: Verb,
        meant: impl Fn(&RolloutStatus) -> Option<(u32, u32)>,
    ) {
        let Some(stored) = self.find_stored(Kind::Rollout, rollout) else {
            return;
        };
        let mut draft = stored.draft.clone();
        let Some((attempt, stage)) = meant(&draft.status.clone().unwrap_or_default()) else {
            return;
        };
        draft.command = Some(Command {
            id: format!("c{}", self.index),
            verb,
            attempt,
            stage,
            generation: Some(draft.generation),
            by: Actor("ana@desk".to_owned()),
            at: self.now.stamp(),
        });
        self.rewrite(&stored, &draft);
    }

    /// As `rolloutctl delete` does: a rollout is deleted by its controller, the others at once.
    pub(super) fn desk_deletes(&mut self, kind: Kind, name: &Name, dependents: Dependents) {
        let Some(stored) = self.find_stored(kind, name) else {
            return;
        };
        match kind {
            Kind::Rollout => {
                let mut draft = stored.draft.clone();
                if draft.deletion.is_none() {
                    draft.deletion = Some(Deletion {
                        at: self.now.stamp(),
                        dependents,
                    });
                    self.rewrite(&stored, &draft);
                }
            }
            Kind::LoadBalancer | Kind::MetricSource | Kind::AnalysisTemplate => {
                self.remove_stored(Who::Hand, &stored.id);
            }
        }
    }

    fn find_stored(&self, kind: Kind, name: &Name) -> Option<Stored> {
        let mut all = self.store.contents.iter();
        let found = all.find(|stored| {
            let resource = &stored.draft.resource;
            resource.kind() == kind && resource.name() == name
        });
        found.map(|stored| Stored::clone(stored))
    }

    fn rewrite(&mut self, stored: &Stored, draft: &Draft) {
        let result = self.try_replace(&stored.id, stored.version, draft);
        self.tell_stored(Who::Hand, draft, Write::Replace, &result);
    }
}

/// The stage, or else the attempt, before the one at hand.
pub(super) const fn before(status: &RolloutStatus) -> Option<(u32, u32)> {
    match (status.attempt, status.stage) {
        (0 | 1, 0) => None,
        (attempt, 0) => Some((attempt - 1, 0)),
        (attempt, stage) => Some((attempt, stage - 1)),
    }
}
