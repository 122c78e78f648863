//! Safety: at most one hazardous change per rollout and turn (SAFETY-2).
//!
//! A hazard is what could hurt if the last look was wrong: a larger share for the canary, fewer
//! tasks, a service that is made anew or removed. Taking traffic away from what leaves is none.

use super::scene::Scene;
use crate::action::{Action, ServerVerb};
use crate::api::ServerWeight;
use crate::snapshot::ServerName;

/// Lets through what is harmless and the first hazard. A raise of the canary's share on several
/// instances is one change.
pub(super) fn admit(actions: Vec<Action>, scene: &Scene) -> Vec<Action> {
    let mut taken = actions.iter().any(|action| raises_share(action, scene));
    let admit = |action: &Action| {
        let hazard = is_hazard_of_services(action, scene);
        let admitted = !hazard || !taken;
        taken |= hazard;
        admitted
    };
    actions.into_iter().filter(admit).collect()
}

fn is_hazard_of_services(action: &Action, scene: &Scene) -> bool {
    match action {
        Action::ScaleService { service, replicas } => scene.asked_for(&service.id) > *replicas,
        Action::RestoreService { .. } | Action::RemoveService { .. } => true,
        Action::CreateService(_)
        | Action::ChangeServers(_)
        | Action::Measure(_)
        | Action::StartJob(_)
        | Action::ReadLog(_)
        | Action::RemoveJob(_)
        | Action::Forget => false,
    }
}

/// Whether the canary's share grows: by more weight for its servers, or by less for those of stable.
fn raises_share(action: &Action, scene: &Scene) -> bool {
    let (Action::ChangeServers(changes), Some(canary)) = (action, &scene.canary) else {
        return false;
    };
    let raises = |server: &ServerName, weight: ServerWeight| {
        if server.revision() == canary {
            return !weight.is_zero();
        }
        scene.is_lowered(&changes.instance, server, weight)
    };
    changes.changes.iter().any(|change| match &change.verb {
        ServerVerb::Weigh(weight) => raises(&change.server, *weight),
        ServerVerb::Add(_)
        | ServerVerb::Enable
        | ServerVerb::Drain
        | ServerVerb::Maintain
        | ServerVerb::Cut
        | ServerVerb::Delete => false,
    })
}
