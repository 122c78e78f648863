//! What the scheduler is told: from `Resources`, `Placement` and `RestartPolicy` to `deploy`.

use super::container::duration;
use super::fields::{Fields, Remarks};
use crate::api::{
    Placement, Preference, ResourceLimits, ResourceReservations, Resources, RestartCondition,
    RestartPolicy,
};
use crate::manifest::adoption::memory;

pub(super) fn resources(mut spec: Fields, remarks: &mut Remarks) -> Option<Resources> {
    let mut limits = spec.part("Limits");
    let read_limits = ResourceLimits {
        cpus: limits.number("NanoCPUs").map(processors),
        memory: limits.number("MemoryBytes").map(memory),
        pids: limits
            .number("Pids")
            .and_then(|number| u32::try_from(number).ok()),
    };
    limits.finish(remarks);
    let mut reserved = spec.part("Reservations");
    let read_reservations = ResourceReservations {
        cpus: reserved.number("NanoCPUs").map(processors),
        memory: reserved.number("MemoryBytes").map(memory),
    };
    if !reserved.parts("GenericResources").is_empty() {
        remarks.lost(
            &reserved.path("GenericResources"),
            "a template reserves no generic resources",
            "choose the nodes that have them by `deploy.placement.constraints`",
        );
    }
    reserved.finish(remarks);
    spec.finish(remarks);
    let resources = Resources {
        limits: (read_limits != ResourceLimits::default()).then_some(read_limits),
        reservations: (read_reservations != ResourceReservations::default())
            .then_some(read_reservations),
    };
    (resources != Resources::default()).then_some(resources)
}

pub(super) fn placement(mut spec: Fields, remarks: &mut Remarks) -> Option<Placement> {
    let mut preferences = Vec::new();
    for mut preference in spec.parts("Preferences") {
        let spread = preference.part("Spread").text("SpreadDescriptor");
        preferences.extend(spread.map(|spread| Preference { spread }));
        preference.finish(remarks);
    }
    let placement = Placement {
        constraints: spec.texts("Constraints"),
        preferences,
        max_replicas_per_node: spec
            .number("MaxReplicas")
            .and_then(|number| u32::try_from(number).ok()),
    };
    // `docker` writes down for which processors the image is.
    if !spec.parts("Platforms").is_empty() {
        remarks.replaced(
            &spec.path("Platforms"),
            "the platforms of the image are not kept, so tasks may start on any node",
            "if nodes have different processors, name them: `deploy: {placement: {constraints: [node.platform.arch == x86_64]}}`",
        );
    }
    spec.finish(remarks);
    (placement != Placement::default()).then_some(placement)
}

pub(super) fn restart_policy(mut spec: Fields, remarks: &mut Remarks) -> Option<RestartPolicy> {
    let condition = match spec.text("Condition").as_deref() {
        Some("none") => Some(RestartCondition::None),
        Some("on-failure") => Some(RestartCondition::OnFailure),
        Some("any") => Some(RestartCondition::Any),
        Some(_) | None => None,
    };
    let policy = RestartPolicy {
        condition,
        delay: duration(&mut spec, "Delay", remarks),
        max_attempts: spec
            .number("MaxAttempts")
            .and_then(|number| u32::try_from(number).ok()),
        window: duration(&mut spec, "Window", remarks),
    };
    spec.finish(remarks);
    (policy != RestartPolicy::default()).then_some(policy)
}

/// Billionths of a processor as a decimal number: 500 000 000 is `0.5`.
fn processors(nano: u64) -> String {
    let text = format!("{}.{:09}", nano / 1_000_000_000, nano % 1_000_000_000);
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}
