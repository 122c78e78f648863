//! What there is to tell of a rollout: how it stands, what runs, what is measured, what can be done.

use super::{Scene, Text, stages};
use crate::api::{
    ConditionStatus, HistoryEntry, MeasurementPhase, MeasurementStatus, Revision, RolloutSpec,
    RolloutStatus, Step, TrafficStatus, Verb,
};
use crate::cli::console::Tone;
use crate::cli::history::outcome;
use crate::cli::standing::{Standing, pending_command};
use crate::cli::table::{Field, Grid};
use crate::cli::undo;
use crate::cli::verb::sensible_verbs;
use crate::cli::words::{age, number, sample};

/// Tells all about a rollout.
pub fn tell(scene: &Scene<'_>, spec: &RolloutSpec, text: &mut Text) {
    standing(scene, text);
    let Some(status) = &scene.stored.draft.status else {
        stages::tell(scene, spec, None, text);
        return;
    };
    revisions(scene, spec, status, text);
    stages::tell(scene, spec, Some(status), text);
    if let Some(observed) = &status.traffic {
        traffic(observed, text);
    }
    measurements(scene, &status.measurements, text);
    conditions(scene, status, text);
    possible(scene, text);
    events(scene, status, text);
    attempts(scene, &status.history, text);
}

fn standing(scene: &Scene<'_>, text: &mut Text) {
    let standing = Standing::of(scene.stored);
    text.plain("");
    let word = scene.paint.tint(standing.tone(), standing.word());
    text.plain(&format!("{word}: {}", standing.message()));
    let status = scene.stored.draft.status.as_ref();
    if let Some(waiting) = status.and_then(|status| status.waiting_on.as_ref()) {
        text.line(&format!("waiting for {}", waiting.as_of(scene.now)));
    }
    if let Some(pause) = status.and_then(|status| status.pause.as_ref()) {
        let since = age(pause.since, scene.now);
        text.line(&format!("paused for {since}: {}", pause.message));
    }
    if let Some(abort) = status.and_then(|status| status.abort.as_ref()) {
        text.line(&format!(
            "attempt {} was taken back in stage {}, {} ago: {}",
            abort.attempt,
            abort.stage.saturating_add(1),
            age(abort.at, scene.now),
            abort.message
        ));
    }
    if let Some(deadline) = status.and_then(|status| status.deadline) {
        let must = if scene.now < deadline {
            "must be"
        } else {
            "was to be"
        };
        text.line(&format!("the stage {must} ready by {deadline:.0}"));
    }
    if let Some(command) = pending_command(scene.stored) {
        text.line(&format!(
            "{} by {}, {} ago, has not been taken up yet",
            command.verb,
            command.by,
            age(command.at, scene.now)
        ));
    }
}

fn revisions(scene: &Scene<'_>, spec: &RolloutSpec, status: &RolloutStatus, text: &mut Text) {
    let wanted = Revision::of(spec);
    let mut grid = Grid::new(["REVISION", "ROLE", "AGE", "IMAGE"]);
    let unknown = [&status.stable_revision, &status.canary_revision]
        .into_iter()
        .flatten()
        .filter(|revision| !status.revisions.contains_key(*revision));
    for revision in status.revisions.keys().chain(unknown) {
        let record = status.revisions.get(revision);
        let image = record.map_or_else(
            || (*revision == wanted).then(|| spec.template.image.clone()),
            |record| Some(record.template.image.clone()),
        );
        let since = record.map(|record| age(record.created_at, scene.now));
        grid.row([
            revision.to_string().into(),
            role(revision, &wanted, status).into(),
            since.unwrap_or_else(|| "-".to_owned()).into(),
            image.unwrap_or_else(|| "-".to_owned()).into(),
        ]);
    }
    if !grid.is_empty() {
        text.heading("Revisions");
        text.table(&grid);
    }
}

fn role(revision: &Revision, wanted: &Revision, status: &RolloutStatus) -> String {
    let mut roles = Vec::new();
    if status.stable_revision.as_ref() == Some(revision) {
        roles.push("stable");
    }
    if status.canary_revision.as_ref() == Some(revision) {
        roles.push("canary");
    }
    if status.is_warm(revision) {
        roles.push("warm");
    }
    if status.leaving.contains_key(revision) {
        roles.push("leaving");
    }
    if roles.is_empty() {
        roles.push("former");
    }
    if revision == wanted {
        roles.push("wanted");
    }
    roles.join(", ")
}

fn traffic(observed: &TrafficStatus, text: &mut Text) {
    text.heading("The canary's share of the traffic");
    text.fact("desired", &percent(observed.desired_percent));
    let off = observed.achieved_percent - observed.desired_percent;
    let error = if off.abs() < 0.005 {
        String::new()
    } else {
        format!(
            " (the nearest that integer weights come, {} off)",
            percent(off.abs())
        )
    };
    let achieved = percent(observed.achieved_percent);
    text.fact("achieved", &format!("{achieved}{error}"));
    for (instance, share) in &observed.observed_percent {
        text.fact(&format!("on {instance}"), &percent(*share));
    }
}

fn percent(value: f64) -> String {
    format!("{}%", number((value * 100.0).round() / 100.0))
}

fn measurements(scene: &Scene<'_>, measurements: &[MeasurementStatus], text: &mut Text) {
    if measurements.is_empty() {
        return;
    }
    text.heading("Measurements of the stage");
    let mut grid = Grid::new([
        "METRIC", "PHASE", "LAST", "MUST BE", "TAKEN", "VALID", "FAILED", "NEXT",
    ]);
    for measurement in measurements {
        let (phase, tone) = match measurement.phase {
            MeasurementPhase::Pending => ("Pending", Tone::Busy),
            MeasurementPhase::Passing => ("Passing", Tone::Good),
            MeasurementPhase::Failed => ("Failed", Tone::Bad),
            MeasurementPhase::Inconclusive => ("Inconclusive", Tone::Warning),
            MeasurementPhase::Skipped => ("Skipped", Tone::Quiet),
        };
        let last = measurement.recent.last();
        grid.row([
            measurement.metric.to_string().into(),
            Field::toned(phase, tone),
            last.map_or_else(|| "-".to_owned(), sample).into(),
            measurement.bounds.clone().into(),
            measurement.taken.to_string().into(),
            measurement.valid.to_string().into(),
            measurement.failed.to_string().into(),
            next(measurement, scene).into(),
        ]);
    }
    text.table(&grid);
    for measurement in measurements {
        log(measurement, text);
        for failure in &measurement.failures {
            text.line(&format!(
                "{} failed {} ago: {} in {:.0}/{:.0}",
                measurement.metric,
                age(failure.at, scene.now),
                sample(failure),
                failure.start,
                failure.end
            ));
        }
    }
}

/// What a job wrote last: of the last failure if there is one, of the last run else.
fn log(measurement: &MeasurementStatus, text: &mut Text) {
    let samples = [measurement.failures.last(), measurement.recent.last()];
    let mut told = samples.into_iter().flatten();
    let Some(sample) = told.find(|sample| !sample.log.is_empty()) else {
        return;
    };
    text.line(&format!(
        "{} wrote at its end, at {:.0}:",
        measurement.metric, sample.at
    ));
    for line in &sample.log {
        text.line(&format!("  | {line}"));
    }
}

/// When the next sample of a measurement is due.
fn next(measurement: &MeasurementStatus, scene: &Scene<'_>) -> String {
    let status = scene.stored.draft.status.as_ref();
    let is_taken = status.is_some_and(|status| match status.step {
        Step::Running { .. } => true,
        Step::Idle | Step::Initial | Step::Scaling | Step::Shifting => false,
    });
    if !is_taken {
        return "-".to_owned();
    }
    match measurement.next_at {
        None => "-".to_owned(),
        Some(at) if at <= scene.now => "due".to_owned(),
        Some(at) => format!("in {}", age(scene.now, at)),
    }
}

fn conditions(scene: &Scene<'_>, status: &RolloutStatus, text: &mut Text) {
    if status.conditions.is_empty() {
        return;
    }
    text.heading("Conditions");
    let mut grid = Grid::new(["TYPE", "STATUS", "REASON", "SINCE", "MESSAGE"]);
    for condition in &status.conditions {
        let holds = match condition.status {
            ConditionStatus::True => "True",
            ConditionStatus::False => "False",
            ConditionStatus::Unknown => "Unknown",
        };
        grid.row([
            format!("{:?}", condition.kind).into(),
            holds.into(),
            format!("{:?}", condition.reason).into(),
            age(condition.last_transition_time, scene.now).into(),
            condition.message.clone().into(),
        ]);
    }
    text.table(&grid);
}

fn possible(scene: &Scene<'_>, text: &mut Text) {
    let verbs = sensible_verbs(scene.stored);
    let way_back = undo::on_offer(scene.stored);
    if verbs.is_empty() && way_back.is_none() {
        return;
    }
    let name = scene.stored.draft.resource.name();
    text.heading("What you can do now");
    let mut grid = Grid::new([]);
    for verb in verbs {
        let (word, option) = match verb {
            Verb::PromoteFull => ("promote".to_owned(), " --full"),
            verb => (verb.to_string(), ""),
        };
        grid.row([
            format!("rolloutctl {word} {name}{option}").into(),
            effect(verb).into(),
        ]);
    }
    if let Some(revision) = way_back {
        grid.row([
            format!("rolloutctl undo {name}").into(),
            format!("make the spec ask for {revision} again").into(),
        ]);
    }
    text.table(&grid);
}

const fn effect(verb: Verb) -> &'static str {
    match verb {
        Verb::Promote => "let it pass on from the stage at hand",
        Verb::PromoteFull => "skip every stage that is left",
        Verb::Pause => "hold it where it is",
        Verb::Resume => "let it go on",
        Verb::Abort => "give the stable revision all the traffic back",
        Verb::Retry => "try the same revision again",
    }
}

fn events(scene: &Scene<'_>, status: &RolloutStatus, text: &mut Text) {
    if status.events.is_empty() {
        return;
    }
    text.heading("Events");
    let mut grid = Grid::new([]);
    for event in &status.events {
        let by = event.by.as_ref().map(|by| format!(" (by {by})"));
        grid.row([
            format!("{} ago", age(event.at, scene.now)).into(),
            format!("{}{}", event.message, by.unwrap_or_default()).into(),
        ]);
    }
    text.table(&grid);
}

fn attempts(scene: &Scene<'_>, history: &[HistoryEntry], text: &mut Text) {
    if history.is_empty() {
        return;
    }
    text.heading("Attempts");
    let mut grid = Grid::new([
        "ATTEMPT",
        "REVISION",
        "GENERATION",
        "STARTED",
        "TOOK",
        "OUTCOME",
        "MESSAGE",
    ]);
    for entry in history {
        grid.row([
            entry.attempt.to_string().into(),
            entry.revision.to_string().into(),
            entry.generation.to_string().into(),
            format!("{} ago", age(entry.started_at, scene.now)).into(),
            age(entry.started_at, entry.ended_at.unwrap_or(scene.now)).into(),
            outcome(entry.outcome),
            entry.message.clone().into(),
        ]);
    }
    text.table(&grid);
}
