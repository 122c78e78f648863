//! Rollouts with a past, for the tests of `history` and `undo`.

use super::fixtures::{at, baking, record, with_status};
use crate::api::{
    Abort, AbortCause, Actor, AttemptOutcome, HistoryEntry, Origin, Phase, Place, Revision,
    RolloutStatus, Step,
};
use crate::world::Stored;

/// The image of a version.
pub fn image(version: &str) -> String {
    format!("registry.example/news-web:{version}")
}

/// The revision that runs a version.
pub fn revision(version: &str) -> Revision {
    record(&image(version), 0).0
}

/// An attempt that began an hour times its number after the beginning of time, and took a minute.
pub fn entry(attempt: u32, version: &str, outcome: AttemptOutcome) -> HistoryEntry {
    let began = i64::from(attempt) * 3_600;
    HistoryEntry {
        attempt,
        revision: revision(version),
        generation: u64::from(attempt),
        started_at: at(began),
        ended_at: (outcome != AttemptOutcome::Running).then(|| at(began + 60)),
        outcome,
        message: String::new(),
        commit: None,
    }
}

/// At rest on the last version that was completed; of these, those are kept.
pub fn at_rest(history: Vec<HistoryEntry>, kept: &[&str]) -> RolloutStatus {
    let mut completed = history
        .iter()
        .rev()
        .filter(|entry| entry.outcome == AttemptOutcome::Completed);
    RolloutStatus {
        phase: Phase::Healthy,
        attempt: u32::try_from(history.len()).expect("few"),
        step: Step::Idle,
        weight: 0,
        canary_revision: None,
        waiting_on: None,
        stable_revision: completed.next().map(|entry| entry.revision.clone()),
        revisions: kept
            .iter()
            .map(|version| record(&image(version), 0))
            .collect(),
        history,
        ..baking()
    }
}

/// 1.4.1 was replaced by 1.4.2, which serves and is asked for.
pub fn promoted() -> RolloutStatus {
    use AttemptOutcome::Completed;
    at_rest(
        vec![entry(1, "1.4.1", Completed), entry(2, "1.4.2", Completed)],
        &["1.4.1", "1.4.2"],
    )
}

/// 1.4.1 serves, and 1.4.2, which is asked for, was taken back.
pub fn taken_back() -> RolloutStatus {
    use AttemptOutcome::{Aborted, Completed};
    let mut bad = entry(2, "1.4.2", Aborted);
    bad.message = "too many errors".to_owned();
    RolloutStatus {
        phase: Phase::Degraded,
        abort: Some(Abort {
            attempt: 2,
            stage: 0,
            revision: revision("1.4.2"),
            at: at(7_260),
            cause: AbortCause::User {
                by: Actor("eve@desk".to_owned()),
            },
            message: "too many errors".to_owned(),
        }),
        ..at_rest(vec![entry(1, "1.4.1", Completed), bad], &["1.4.1", "1.4.2"])
    }
}

/// 1.4.1 serves and 1.4.2 is tried.
pub fn under_way() -> RolloutStatus {
    use AttemptOutcome::{Completed, Running};
    RolloutStatus {
        history: vec![entry(1, "1.4.1", Completed), entry(2, "1.4.2", Running)],
        ..baking()
    }
}

/// The stored rollout, whose spec asks for a version.
pub fn asking_for(version: &str, status: RolloutStatus) -> Stored {
    let mut stored = with_status(status);
    stored.draft.resource = super::fixtures::rollout(&image(version));
    stored
}

/// The rollout as a GitOps source has written it.
pub fn sourced(mut stored: Stored) -> Stored {
    stored.draft.origin = Some(Origin {
        source: Place("git:https://git.example/news#main".to_owned()),
        file: "news.yaml".to_owned(),
        commit: None,
        generation: stored.draft.generation,
        digest: String::new(),
        yields: std::collections::BTreeMap::new(),
        problem: None,
    });
    stored
}
