//! The steps that a strategy comes to, as a line with a mark for each.

use owo_colors::Style;
use rolloutctl::api::{Phase, Step, Strategy};

use super::Paint;
use crate::watch::Rollout;

/// The line.
pub fn line(rollout: &Rollout, paint: Paint) -> String {
    let Some(strategy) = &rollout.strategy else {
        return String::new();
    };
    let here = here(rollout, strategy);
    let marks = names(strategy).into_iter().enumerate().map(|(n, name)| {
        let (mark, style) = mark(rollout, n, here);
        paint.with(&format!("{mark} {name}"), style)
    });
    marks.collect::<Vec<_>>().join("   ")
}

fn names(strategy: &Strategy) -> Vec<String> {
    let fixed = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
    match strategy {
        Strategy::Canary(canary) => {
            let weights = canary.stages.iter().map(|stage| stage.weight);
            let weights = weights.chain([100]);
            weights.map(|weight| format!("{weight} %")).collect()
        }
        Strategy::BlueGreen(_) => fixed(&["prePromotion", "switch", "postPromotion", "stable"]),
        Strategy::Preview(_) => fixed(&["checks"]),
    }
}

/// Which of the names is the one at hand. A rollover switches at the beginning of its second stage.
fn here(rollout: &Rollout, strategy: &Strategy) -> usize {
    let stage = usize::try_from(rollout.status.stage).unwrap_or(usize::MAX);
    match (strategy, rollout.status.step) {
        (Strategy::BlueGreen(_), Step::Running { .. }) if stage == 1 => 2,
        (Strategy::BlueGreen(_), _) if stage > 1 => 3,
        (Strategy::BlueGreen(_) | Strategy::Canary(_) | Strategy::Preview(_), _) => stage,
    }
}

fn mark(rollout: &Rollout, n: usize, here: usize) -> (&'static str, Style) {
    let phase = rollout.status.phase;
    if phase == Phase::Healthy || n < here {
        ("✔", Style::new().green())
    } else if n == here && phase == Phase::Degraded {
        ("✘", Style::new().red().bold())
    } else if n == here && rollout.running().is_some() {
        ("●", Style::new().yellow().bold())
    } else if n == here {
        ("◌", Style::new().yellow())
    } else {
        ("·", Style::new().dimmed())
    }
}
