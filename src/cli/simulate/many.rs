//! What many runs are told like: how they ended, how long they took, how often the verdict was wrong.

use super::one::length;
use super::{Outcome, scene, tone};
use crate::cli::console::{Console, Tone};
use crate::cli::exit::Failure;
use crate::cli::table::{Field, Grid};
use crate::cli::words::number;
use crate::trial::rehearsal::{Proportion, Quantiles, Summary};

/// Tells of many runs.
pub fn tell(outcome: &Outcome, console: &mut Console) -> Result<(), Failure> {
    let (screen, paint) = (console.screen, console.paint);
    let summary = &outcome.summary;
    console.answer(scene(outcome))?;
    console.answer("")?;
    console.answer(ends(summary).render(screen, paint))?;
    console.answer("")?;
    console.answer(quantiles(summary).render(screen, paint))?;
    console.answer("")?;
    console.answer(format_args!(
        "requests lost by the rollouts: {:.0}",
        summary.lost
    ))?;
    if summary.lost_to_faults > 0.0 {
        console.answer(format_args!(
            "requests lost to faults: {:.0}",
            summary.lost_to_faults
        ))?;
    }
    console.answer(format_args!("rules broken: {}", summary.violations))?;
    if summary.violations > 0 {
        let broken = outcome.reports.iter().flat_map(|report| {
            let violations = report.violations.iter();
            violations.map(move |violation| (report.seed, violation))
        });
        for (seed, violation) in broken.take(5) {
            let line = paint.tint(Tone::Bad, format_args!("--seed {seed}: {violation}"));
            console.answer(format_args!("  {line}"))?;
        }
    }
    if let Some(false_alarms) = summary.false_alarms {
        console.answer(format_args!(
            "false rollbacks: {}, although the new version keeps the bounds in truth",
            told(false_alarms.all)
        ))?;
        if false_alarms.by_deadline > 0 {
            console.answer(format_args!(
                "  {} of them by a metric, {} by the progress deadline",
                false_alarms.by_metric, false_alarms.by_deadline
            ))?;
        }
    }
    if let Some(missed) = summary.missed {
        console.answer(format_args!(
            "missed: {} passed, although the new version breaks a bound in truth",
            told(missed)
        ))?;
    }
    let seed = outcome.seed;
    console.answer(format_args!(
        "seed: {seed}; `--seed {seed}` plays these runs again"
    ))?;
    Ok(())
}

fn ends(summary: &Summary) -> Grid {
    let mut grid = Grid::new(["END", "RUNS", "PART", "WHY", "ONE OF THEM"]);
    for group in &summary.groups {
        let part = Proportion {
            count: group.runs,
            of: summary.runs,
        };
        grid.row([
            Field::toned(group.ending.as_str(), tone(group.ending)),
            group.runs.to_string().into(),
            percent(part.rate()).into(),
            if group.why.is_empty() {
                "-"
            } else {
                group.why.as_str()
            }
            .into(),
            format!("--seed {}", group.seed).into(),
        ]);
    }
    grid
}

fn quantiles(summary: &Summary) -> Grid {
    let mut grid = Grid::new(["IN A RUN", "HALF AT MOST", "90 % AT MOST", "THE MOST"]);
    let mut row = |title: &str, values: Quantiles, say: &dyn Fn(f64) -> String| {
        grid.row([
            title.into(),
            say(values.p50).into(),
            say(values.p90).into(),
            say(values.max).into(),
        ]);
    };
    let count = |value: f64| format!("{value:.0}");
    row("time until its end", summary.seconds, &|value| {
        length(value).to_string()
    });
    row(
        "requests to the new version",
        summary.canary_requests,
        &count,
    );
    row(
        "of so many fail on average",
        summary.canary_failures,
        &count,
    );
    grid
}

/// `3 of 1000 (0.3 %, with 95 % confidence between 0.1 % and 0.88 %)`.
fn told(part: Proportion) -> String {
    let (low, high) = part.interval();
    format!(
        "{} of {} ({}; with 95 % confidence {} to {})",
        part.count,
        part.of,
        percent(part.rate()),
        percent(low),
        percent(high)
    )
}

fn percent(rate: f64) -> String {
    format!("{} %", number((rate * 10_000.0).round() / 100.0))
}
