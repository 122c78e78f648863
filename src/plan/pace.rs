//! When to look again.

use jiff::Timestamp;

use super::{Input, hands, jobs, measuring, preview};
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
    let first = [
        waited_for(status, input, waiting_on),
        departure(status, input),
        next_to_cool(status),
        preview::next_end(status, input),
        hands::next_restore(status, input),
    ]
    .into_iter()
    .flatten()
    .min();
    // What is over already and brought nothing would have the shell look without a pause.
    first.map(|at| at.max(WATCHFUL.after(input.now)))
}

/// When what is waited for may show itself.
fn waited_for(
    status: &RolloutStatus,
    input: &Input,
    waiting_on: Option<&WaitingOn>,
) -> Option<Timestamp> {
    match waiting_on? {
        // A job shows its end to the regular look; what is due meanwhile is not waited for.
        WaitingOn::Resume
        | WaitingOn::Decision
        | WaitingOn::Retry
        | WaitingOn::Spec
        | WaitingOn::Approval
        | WaitingOn::Job { .. } => next_sample(status, input),
        WaitingOn::Bake { until } => {
            let sample = next_sample(status, input);
            Some(sample.map_or(*until, |at| at.min(*until)))
        }
        WaitingOn::Instance { .. }
        | WaitingOn::Backend { .. }
        | WaitingOn::LoadBalancer { .. }
        | WaitingOn::Action { .. }
        | WaitingOn::Tasks { .. }
        | WaitingOn::Servers { .. }
        | WaitingOn::Weights { .. }
        | WaitingOn::Drain { .. }
        | WaitingOn::Service { .. }
        | WaitingOn::Surplus { .. }
        | WaitingOn::Measurement { .. }
        | WaitingOn::Data { .. }
        | WaitingOn::Source { .. }
        | WaitingOn::Observation => Some(WATCHFUL.after(input.now)),
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

/// When the next measurement has news; none while nothing is measured.
fn next_sample(status: &RolloutStatus, input: &Input) -> Option<Timestamp> {
    let is_measured = (input.references).is_ok_and(|resolved| resolved.metrics.is_ok());
    let Step::Running { since } = status.step else {
        return None;
    };
    if !is_measured || !measuring::goes_on(status) {
        return None;
    }
    let records = status.measurements.iter();
    records
        .filter_map(|record| jobs::next_look(record, input, since))
        .min()
}
