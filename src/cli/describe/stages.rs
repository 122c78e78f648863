//! The stages of a rollout: passed, at hand, to come.

use std::cmp::Ordering;

use super::{Scene, Text};
use crate::api::{RolloutSpec, RolloutStatus, StageSpec, Step};
use crate::cli::console::Tone;
use crate::cli::standing::is_under_way;
use crate::cli::table::{Field, Grid};
use crate::cli::words::{age, counted};

/// Tells the stages of `spec`, marked if an attempt is under way.
pub fn tell(
    scene: &Scene<'_>,
    spec: &RolloutSpec,
    status: Option<&RolloutStatus>,
    text: &mut Text,
) {
    let under_way = status.filter(|s| is_under_way(s) && s.canary_revision.is_some());
    text.heading("Stages");
    let mut grid = Grid::new([]);
    for (stage, index) in spec.strategy.stages().zip(0_u32..) {
        let (mark, tone) = mark(under_way, index);
        let now = under_way
            .filter(|status| status.stage == index)
            .map_or_else(String::new, |status| at_hand(status, scene));
        grid.row([
            Field::toned(format!("{mark} {}", label(spec, index)), tone),
            format!("{}%", stage.weight).into(),
            counted(stage.sized(spec.replicas) as usize, "task").into(),
            terms(&stage).into(),
            now.into(),
        ]);
    }
    let last = u32::try_from(spec.strategy.stage_count()).unwrap_or(u32::MAX);
    let (mark, tone) = mark(under_way, last);
    grid.row([
        Field::toned(mark, tone),
        "100%".into(),
        counted(spec.replicas as usize, "task").into(),
        "becomes stable".into(),
        "".into(),
    ]);
    text.table(&grid);
}

/// The number of a canary's stage, or what a rollover calls it.
fn label(spec: &RolloutSpec, index: u32) -> String {
    let name = spec.strategy.stage_name(index as usize);
    name.strip_prefix("stage ")
        .map_or(name.clone(), str::to_owned)
}

fn mark(under_way: Option<&RolloutStatus>, index: u32) -> (&'static str, Tone) {
    match under_way.map(|status| index.cmp(&status.stage)) {
        Some(Ordering::Less) => ("✓", Tone::Good),
        Some(Ordering::Equal) => ("▶", Tone::Strong),
        Some(Ordering::Greater) | None => ("·", Tone::Quiet),
    }
}

/// What the stage asks for besides its weight.
fn terms(stage: &StageSpec<'_>) -> String {
    let mut terms = Vec::new();
    if let Some(bake) = stage.bake {
        terms.push(format!("bake {bake}"));
    }
    if stage.approval {
        terms.push("approval".to_owned());
    }
    if stage.analysis.is_some() {
        terms.push("own analysis".to_owned());
    }
    terms.join(", ")
}

fn at_hand(status: &RolloutStatus, scene: &Scene<'_>) -> String {
    match status.step {
        Step::Idle => String::new(),
        Step::Initial | Step::Scaling => "tasks are brought up".to_owned(),
        Step::Shifting => "its weight is set and not observed everywhere yet".to_owned(),
        Step::Running { since } => format!("runs for {}", age(since, scene.now)),
    }
}
