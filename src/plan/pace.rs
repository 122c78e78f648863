//! When to look again.

use jiff::Timestamp;

use super::{Input, hands, jobs, preview};
use crate::api::{Duration, RolloutStatus, Step, WaitingOn};

/// While something is under way that shows itself only to who looks.
const WATCHFUL: Duration = Duration::from_millis(250);
/// While Swarm stops tasks of a service that serves: it gives 1 s to 3 s from the decision to the signal,
/// in which their servers must be drained.
const URGENT: Duration = Duration::from_millis(100);

/// When to look again at the latest if nothing is done before; none when only a hint or the regular
/// look can bring news. After what is done, the shell looks at once.
pub(super) fn requeue_at(
    status: &RolloutStatus,
    input: &Input,
    waiting_on: Option<&WaitingOn>,
) -> Option<Timestamp> {
    if loses_tasks(input) {
        return Some(URGENT.after(input.now));
    }
    [
        waited_for(status, input, waiting_on),
        departure(status, input),
        next_to_cool(status),
        preview::next_end(status, input),
        hands::next_restore(status, input),
    ]
    .into_iter()
    .flatten()
    .min()
}

/// When what is waited for may show itself.
fn waited_for(
    status: &RolloutStatus,
    input: &Input,
    waiting_on: Option<&WaitingOn>,
) -> Option<Timestamp> {
    let watchful = WATCHFUL.after(input.now);
    match waiting_on? {
        WaitingOn::Resume | WaitingOn::Decision | WaitingOn::Retry | WaitingOn::Spec => {
            next_sample(status, input)
        }
        WaitingOn::Approval => next_sample(status, input).map(|at| at.max(watchful)),
        // A job shows its end to the regular look; what is due meanwhile is not waited for.
        WaitingOn::Job { .. } => next_sample(status, input).map(|at| at.max(watchful)),
        WaitingOn::Bake { until } => Some(
            next_sample(status, input)
                .map_or(*until, |at| at.min(*until))
                .max(watchful),
        ),
        WaitingOn::Instance { .. }
        | WaitingOn::Backend { .. }
        | WaitingOn::LoadBalancer { .. }
        | WaitingOn::Action { .. }
        | WaitingOn::Tasks { .. }
        | WaitingOn::Servers { .. }
        | WaitingOn::Weights { .. }
        | WaitingOn::Drain { .. }
        | WaitingOn::Service { .. }
        | WaitingOn::Measurement { .. }
        | WaitingOn::Data { .. }
        | WaitingOn::Source { .. }
        | WaitingOn::Observation => Some(watchful),
    }
}

/// What drains shows its end only to who looks, whatever else is waited for.
fn departure(status: &RolloutStatus, input: &Input) -> Option<Timestamp> {
    (!status.leaving.is_empty()).then(|| WATCHFUL.after(input.now))
}

/// When the next revision has been kept warm for its time.
fn next_to_cool(status: &RolloutStatus) -> Option<Timestamp> {
    let warm = status.warm.iter();
    let warm = warm.filter(|(revision, _)| status.is_warm(revision));
    warm.map(|(_, until)| *until).min()
}

/// Whether a service has more living tasks than it asks for.
fn loses_tasks(input: &Input) -> bool {
    input.snapshot.services_of(input.name).any(|service| {
        let alive = input.snapshot.living_tasks_of(&service.id).count();
        alive > usize::try_from(service.replicas).unwrap_or(usize::MAX)
    })
}

fn next_sample(status: &RolloutStatus, input: &Input) -> Option<Timestamp> {
    match status.step {
        Step::Running { since } => status
            .measurements
            .iter()
            .filter_map(|record| jobs::next_look(record, input, since))
            .min(),
        Step::Idle | Step::Initial | Step::Scaling | Step::Shifting => None,
    }
}
