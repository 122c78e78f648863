//! What one run is told like: its timeline, then its end.

use super::{Outcome, scene, tone};
use crate::api::Duration;
use crate::cli::console::{Console, Tone};
use crate::cli::exit::Failure;
use crate::trial::rehearsal::{Ending, Report};

/// Tells of one run.
pub fn tell(outcome: &Outcome, report: &Report, console: &mut Console) -> Result<(), Failure> {
    console.answer(scene(outcome))?;
    console.answer("")?;
    for line in &report.timeline {
        let since = line.at.duration_since(report.start).as_secs_f64();
        console.answer(format_args!("{}  {}", clock(since), line.message))?;
    }
    console.answer("")?;
    let word = console
        .paint
        .tint(tone(report.ending), report.ending.as_str());
    let took = length(report.took);
    console.answer(format_args!("{word} after {took}: {}", report.message))?;
    for (title, fact) in facts(outcome, report) {
        console.answer(format_args!("  {title:<32}{fact}"))?;
    }
    for violation in &report.violations {
        let line = console.paint.tint(Tone::Bad, violation);
        console.answer(format_args!("  {line}"))?;
    }
    for fault in &report.late_faults {
        console.answer(format_args!("  fault {fault}: its time had not come"))?;
    }
    console.answer(format_args!(
        "  {:<32}{}; `--seed {}` plays this run again",
        "seed", outcome.seed, outcome.seed
    ))?;
    Ok(())
}

fn facts(outcome: &Outcome, report: &Report) -> Vec<(&'static str, String)> {
    let broken = ("rules broken", report.violations.len().to_string());
    if outcome.rehearsal.is_preview() {
        return vec![broken];
    }
    let until = match report.ending {
        Ending::Healthy => "until it was stable",
        Ending::Degraded => "until it was taken back",
        Ending::Paused | Ending::Unended => "so far",
    };
    let mut facts = vec![
        (
            "requests to the new version",
            format!(
                "{:.0} {until}; of so many, {:.1} fail on average",
                report.canary.requests, report.canary.failed
            ),
        ),
        (
            "requests lost by the rollout",
            format!("{:.0}", report.lost),
        ),
        broken,
    ];
    if report.lost_to_faults > 0.0 {
        let lost = format!("{:.0}", report.lost_to_faults);
        facts.insert(2, ("requests lost to faults", lost));
    }
    facts
}

/// Seconds as on a stop watch: `04:31`, `1:04:31`.
fn clock(seconds: f64) -> String {
    let seconds = whole(seconds);
    let (hours, minutes, rest) = (seconds / 3_600, seconds / 60 % 60, seconds % 60);
    if hours > 0 {
        format!("{hours}:{minutes:02}:{rest:02}")
    } else {
        format!("{minutes:02}:{rest:02}")
    }
}

/// Seconds as a duration: `4m31s`.
pub fn length(seconds: f64) -> Duration {
    Duration::from_secs(whole(seconds))
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "never negative, saturating"
)]
fn whole(seconds: f64) -> u64 {
    seconds.max(0.0) as u64
}
