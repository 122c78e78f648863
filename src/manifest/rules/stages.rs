//! Rules for a canary's stages: weights, tasks, their order.

use super::super::diagnostic::Findings;
use super::super::node::Node;
use crate::api::{StageSpec, StageTasks};

/// A stage as far as it can be read.
struct Draft<'a> {
    node: Node<'a>,
    weight: u8,
    replicas: Option<u32>,
}

impl<'a> Draft<'a> {
    fn read(node: Node<'a>) -> Option<Self> {
        let weight = node.get("weight").read()?;
        let replicas = node.get("replicas").read();
        Some(Self {
            node,
            weight,
            replicas,
        })
    }

    fn sized(&self, replicas: u32) -> u32 {
        let stage = StageSpec {
            weight: self.weight,
            tasks: self.replicas.map_or(StageTasks::ByWeight, StageTasks::Said),
            bake: None,
            approval: false,
            analysis: None,
        };
        stage.sized(replicas)
    }
}

pub(super) fn check(spec: &Node<'_>, findings: &mut Findings) {
    let list = spec.at(&["strategy", "canary", "stages"]).items();
    let count = list.len();
    let stages: Vec<_> = list.into_iter().map(Draft::read).collect();
    for (index, stage) in stages.iter().enumerate() {
        let Some(stage) = stage else { continue };
        let before = index.checked_sub(1).and_then(|i| stages[i].as_ref());
        if stage.weight == 100 && index + 1 < count {
            full_before_the_end(stage, findings);
        }
        if let Some(before) = before {
            weights_rise(before, stage, findings);
        }
        if let Some(total) = total(spec) {
            tasks_fit(stage, total, findings);
            if let Some(before) = before {
                tasks_do_not_shrink(before, stage, total, findings);
            }
        }
    }
}

/// The rollout's tasks; none if what is written is no number of tasks.
fn total(spec: &Node<'_>) -> Option<u32> {
    let node = spec.get("replicas");
    if node.is_given() {
        node.read().filter(|replicas| *replicas > 0)
    } else {
        Some(1)
    }
}

fn full_before_the_end(stage: &Draft<'_>, findings: &mut Findings) {
    findings.error(
        &stage.node.get("weight").path,
        "100 takes all the traffic before the last stage",
        "keep it for the last stage, or remove the stages after it",
    );
}

fn weights_rise(before: &Draft<'_>, stage: &Draft<'_>, findings: &mut Findings) {
    if stage.weight > before.weight || before.weight >= 100 {
        return;
    }
    findings.error(
        &stage.node.get("weight").path,
        format!(
            "{} does not rise above the {} of the stage before",
            stage.weight, before.weight
        ),
        format!(
            "weights rise from stage to stage: write {} to 100",
            before.weight + 1
        ),
    );
}

fn tasks_fit(stage: &Draft<'_>, total: u32, findings: &mut Findings) {
    let Some(replicas) = stage.replicas else {
        return;
    };
    let path = &stage.node.get("replicas").path;
    if replicas > total {
        findings.error(
            path,
            format!("{replicas} tasks are more than the {total} of `spec.replicas`"),
            format!("write {total} or less, or raise `spec.replicas`"),
        );
        return;
    }
    let needed = Draft {
        node: stage.node.clone(),
        weight: stage.weight,
        replicas: None,
    }
    .sized(total);
    if replicas < needed {
        findings.warning(
            path,
            format!(
                "{replicas} of {total} tasks take {} % of the traffic, for which {needed} would be sized",
                stage.weight
            ),
            format!("write {needed}, or remove the line to have it computed"),
        );
    }
}

fn tasks_do_not_shrink(before: &Draft<'_>, stage: &Draft<'_>, total: u32, findings: &mut Findings) {
    let (was, is) = (before.sized(total), stage.sized(total));
    // Where the weight does not rise, or the stage before has too many tasks, that is the error.
    if is >= was || was > total || stage.weight <= before.weight {
        return;
    }
    let field = if stage.replicas.is_some() {
        "replicas"
    } else {
        "weight"
    };
    findings.error(
        &stage.node.get(field).path,
        format!("the stage has {is} tasks, fewer than the {was} of the stage before"),
        format!("give the stage `replicas: {was}` or more"),
    );
}
