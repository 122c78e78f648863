//! What is told to programs: the result of one run or many as JSON.
//!
//! Its fields are described in `docs/simulation.md`.

use serde_json::{Value, json};

use super::Outcome;
use crate::trial::rehearsal::{Ending, FalseAlarms, Proportion, Quantiles, Report};

/// The result as JSON.
pub fn tell(outcome: &Outcome) -> Value {
    let summary = &outcome.summary;
    let rehearsal = &outcome.rehearsal;
    let groups = summary.groups.iter();
    let ends: Vec<Value> = groups
        .map(|group| {
            json!({"end": word(group.ending), "why": group.why, "runs": group.runs, "seed": group.seed})
        })
        .collect();
    let mut told = json!({
        "rollout": rehearsal.cast.rollout.metadata.name,
        "image": rehearsal.cast.rollout.spec.template.image,
        "seed": outcome.seed,
        "runs": summary.runs,
        "healthy": summary.count(Ending::Healthy),
        "degraded": summary.count(Ending::Degraded),
        "paused": summary.count(Ending::Paused),
        "unended": summary.count(Ending::Unended),
        "ends": ends,
        "violations": summary.violations,
        "lostRequests": tenths(summary.lost),
        "lostToFaults": tenths(summary.lost_to_faults),
        "canaryRequests": quantiles(summary.canary_requests),
        "canaryFailures": quantiles(summary.canary_failures),
        "durationSeconds": quantiles(summary.seconds),
        "falseRollbacks": summary.false_alarms.map(false_alarms),
        "missed": summary.missed.map(proportion),
    });
    if let ([only], Some(fields)) = (outcome.reports.as_slice(), told.as_object_mut()) {
        fields.insert("message".to_owned(), only.message.clone().into());
        let broken = only.violations.iter().map(ToString::to_string);
        fields.insert("broken".to_owned(), broken.collect());
        fields.insert("timeline".to_owned(), timeline(only));
    }
    told
}

const fn word(ending: Ending) -> &'static str {
    match ending {
        Ending::Healthy => "Healthy",
        Ending::Degraded => "Degraded",
        Ending::Paused => "Paused",
        Ending::Unended => "Unended",
    }
}

fn timeline(report: &Report) -> Value {
    let lines = report.timeline.iter().map(|line| {
        let seconds = line.at.duration_since(report.start).as_secs_f64();
        json!({"seconds": tenths(seconds), "message": line.message})
    });
    lines.collect()
}

fn quantiles(values: Quantiles) -> Value {
    json!({"p50": tenths(values.p50), "p90": tenths(values.p90), "max": tenths(values.max)})
}

fn proportion(part: Proportion) -> Value {
    let (low, high) = part.interval();
    json!({"runs": part.count, "rate": part.rate(), "low": low, "high": high})
}

fn false_alarms(alarms: FalseAlarms) -> Value {
    let mut told = proportion(alarms.all);
    told["byMetric"] = alarms.by_metric.into();
    told["byDeadline"] = alarms.by_deadline.into();
    told
}

fn tenths(value: f64) -> f64 {
    // A sum of parts that cancel out is not quite 0, and may be just below it.
    (value * 10.0).round() / 10.0 + 0.0
}
