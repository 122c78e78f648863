//! What was decided between two statuses that were stored one after the other, or a few apart.

use rolloutctl::api::{
    AbortCause, AttemptOutcome, CommandOutcome, ConditionStatus, ConditionType, PauseReason, Phase,
    Reason, Revision, RolloutStatus, Step,
};

use crate::sight::Sight;

/// Adds a line for each decision, causes first.
pub fn tell(before: &RolloutStatus, after: &RolloutStatus, sight: &Sight, lines: &mut Vec<String>) {
    match overlooked(before, after) {
        Some(between) => {
            tell_one(before, &between, sight, lines);
            tell_one(&between, after, sight, lines);
        }
        None => tell_one(before, after, sight, lines),
    }
}

/// The last stage lasts for one turn, which who looks now and then may not see. Nothing becomes stable without it.
fn overlooked(before: &RolloutStatus, after: &RolloutStatus) -> Option<RolloutStatus> {
    let canary = before.canary_revision.as_ref()?;
    before.route.as_ref()?; // A preview has no last stage.
    let runs = matches!(before.step, Step::Running { .. });
    let is_seen = runs && before.stage == before.stages;
    let completes = after.stable_revision.as_ref() == Some(canary);
    (completes && !is_seen).then(|| RolloutStatus {
        stage: before.stages,
        weight: 100,
        step: Step::Running {
            since: jiff::Timestamp::UNIX_EPOCH,
        },
        ..before.clone()
    })
}

fn tell_one(before: &RolloutStatus, after: &RolloutStatus, sight: &Sight, lines: &mut Vec<String>) {
    command(before, after, lines);
    attempts(before, after, sight, lines);
    if pause(before).is_some() && pause(after).is_none() {
        lines.push("paused no longer".to_owned());
    }
    stages(before, after, lines);
    lines.extend(
        pause(after)
            .filter(|is| pause(before) != Some(is))
            .map(ToOwned::to_owned),
    );
    leaving(before, after, sight, lines);
}

fn command(before: &RolloutStatus, after: &RolloutStatus, lines: &mut Vec<String>) {
    let id = |status: &RolloutStatus| Some(status.last_command.as_ref()?.command.id.clone());
    let Some(record) = after.last_command.as_ref() else {
        return;
    };
    if id(before) == id(after) {
        return;
    }
    let verb = record.command.verb;
    lines.push(match &record.outcome {
        CommandOutcome::Applied => format!("{verb}: done"),
        CommandOutcome::Refused(reason) => {
            let reason = reason.replace(&record.command.by.to_string(), "the operator");
            format!("{verb}: refused: {reason}")
        }
    });
}

/// How attempts end and begin, and what is stable.
fn attempts(before: &RolloutStatus, after: &RolloutStatus, sight: &Sight, lines: &mut Vec<String>) {
    let known = |attempt: u32| before.history.iter().find(|entry| entry.attempt == attempt);
    for entry in &after.history {
        let (number, image) = (entry.attempt, sight.image(&entry.revision));
        let was = known(number).map(|entry| entry.outcome);
        if was.is_none() {
            lines.push(format!("attempt {number}: {image}"));
        }
        let is_news = was != Some(entry.outcome);
        match entry.outcome {
            AttemptOutcome::Aborted if is_news => {
                lines.push(format!("attempt {number}: Aborted{}", cause(after)));
            }
            AttemptOutcome::Running | AttemptOutcome::Aborted => {}
            AttemptOutcome::Completed
            | AttemptOutcome::Passed
            | AttemptOutcome::Superseded
            | AttemptOutcome::Reverted => {
                if is_news {
                    lines.push(format!("attempt {number}: {:?}", entry.outcome));
                }
            }
        }
    }
    if before.stable_revision != after.stable_revision {
        lines.push(format!(
            "stable: {}",
            called(after.stable_revision.as_ref(), sight)
        ));
    }
}

fn called<'a>(revision: Option<&Revision>, sight: &'a Sight) -> &'a str {
    revision.map_or("none", |revision| sight.image(revision))
}

fn cause(status: &RolloutStatus) -> String {
    match status.abort.as_ref().map(|abort| &abort.cause) {
        Some(AbortCause::Analysis { metric, .. }) => format!(", metric {metric}"),
        Some(AbortCause::Deadline) => ", deadline".to_owned(),
        Some(AbortCause::User { .. }) => ", by command".to_owned(),
        None => String::new(),
    }
}

fn stages(before: &RolloutStatus, after: &RolloutStatus, lines: &mut Vec<String>) {
    if after.canary_revision.is_none() {
        return;
    }
    let stage = if after.stage < after.stages {
        format!("stage {}", after.stage + 1)
    } else {
        "last stage".to_owned()
    };
    let place = |status: &RolloutStatus| (status.attempt, status.stage);
    let is_new = place(before) != place(after) || before.canary_revision.is_none();
    let is_again = rank(after.step) < rank(before.step);
    if is_new || is_again {
        lines.push(format!("{stage} comes up"));
    }
    let shifts = rank(after.step) >= rank(Step::Shifting);
    let shifted = !is_new && !is_again && rank(before.step) >= rank(Step::Shifting);
    if shifts && !shifted {
        lines.push(format!("{stage} shifts to {} %", after.weight));
    }
    let runs = matches!(after.step, Step::Running { .. });
    if runs && (is_new || is_again || before.step != after.step) {
        lines.push(format!("{stage} runs"));
    }
}

fn rank(step: Step) -> u8 {
    match step {
        Step::Idle | Step::Initial | Step::Scaling => 0,
        Step::Shifting => 1,
        Step::Running { .. } => 2,
    }
}

fn pause(status: &RolloutStatus) -> Option<&'static str> {
    let reason = status.pause.as_ref()?.reason;
    Some(match reason {
        PauseReason::User => "paused by command",
        PauseReason::Inconclusive => "paused: the metric is inconclusive",
        PauseReason::Failure => "paused: the stage failed",
    })
}

fn leaving(before: &RolloutStatus, after: &RolloutStatus, sight: &Sight, lines: &mut Vec<String>) {
    for revision in after.leaving.keys() {
        if !before.leaving.contains_key(revision) {
            lines.push(format!("{} leaves", sight.image(revision)));
        }
    }
}

/// What has left. How long that takes is a matter of chance, so that it has no place among what is decided.
pub fn has_left(before: &RolloutStatus, after: &RolloutStatus, sight: &Sight) -> Vec<String> {
    let gone = before
        .leaving
        .keys()
        .filter(|revision| !after.leaving.contains_key(*revision));
    gone.map(|revision| {
        let kept = [&after.stable_revision, &after.canary_revision];
        let stays = kept.iter().any(|kept| kept.as_ref() == Some(revision));
        let fate = if stays { "stays" } else { "has left" };
        format!("{} {fate}", sight.image(revision))
    })
    .collect()
}

/// The phase, and why if it is not the usual course of things.
pub fn phase(status: &RolloutStatus) -> String {
    let reason = |kind: ConditionType| {
        let mut conditions = status.conditions.iter();
        let found = conditions.find(|condition| condition.kind == kind);
        found.map(|condition| (condition.status, condition.reason))
    };
    let why: Option<Reason> = match (status.phase, reason(ConditionType::InvalidSpec)) {
        (_, Some((ConditionStatus::True, reason))) => Some(reason),
        (Phase::Degraded, _) => reason(ConditionType::Progressing).map(|(_, reason)| reason),
        (Phase::Paused, _) => reason(ConditionType::Paused).map(|(_, reason)| reason),
        (Phase::Healthy | Phase::Progressing, _) => None,
    };
    let phase = status.phase.as_str();
    why.map_or_else(|| phase.to_owned(), |why| format!("{phase} ({why:?})"))
}

/// What the rollout says of other hands: the kind of thing that was changed, and whose.
pub fn by_hand(before: &RolloutStatus, after: &RolloutStatus, sight: &Sight) -> Vec<String> {
    let news = after
        .events
        .iter()
        .filter(|event| !before.events.contains(event));
    let said = news.filter_map(|event| event.message.strip_prefix("another hand "));
    let told = said.map(|message| {
        let mut images = sight.images.iter();
        let found = images.find(|(revision, _)| message.contains(revision.as_str()));
        let image = found.map_or("none", |(_, image)| image);
        let words: Vec<&str> = message.split(' ').take(3).collect();
        format!("another hand {} of {image}", words.join(" "))
    });
    told.collect()
}
