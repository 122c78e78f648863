//! The `steps` of an Argo Rollout, written as stages: what to say to somebody who brings them along.
//! (Argo Rollouts, "Rollout Specification": `setWeight`, `setCanaryScale`, `pause`.)

use serde_json::Value;

use crate::api::Duration;

/// A stage as it would be written.
struct Stage {
    weight: u64,
    fields: Vec<String>,
}

/// `steps` as stages in one line; none if they hold what stages cannot say.
pub(super) fn stages(steps: &Value) -> Option<String> {
    let mut stages: Vec<Stage> = Vec::new();
    for step in steps.as_array()? {
        if let Some(weight) = step.get("setWeight") {
            stages.push(Stage {
                weight: weight.as_u64()?,
                fields: Vec::new(),
            });
        } else if let Some(scale) = step.get("setCanaryScale") {
            let replicas = scale.get("replicas")?.as_u64()?;
            stages
                .last_mut()?
                .fields
                .push(format!("replicas: {replicas}"));
        } else {
            let pause = pause(step.get("pause")?)?;
            stages.last_mut()?.fields.push(pause);
        }
    }
    // All the traffic is what every rollout ends with.
    let last = stages.pop_if(|stage| stage.weight == 100);
    if stages.is_empty() || last.is_some_and(|stage| !stage.fields.is_empty()) {
        return None;
    }
    let written = stages.iter().map(|stage| {
        let weight = format!("weight: {}", stage.weight);
        let fields: Vec<_> = [weight]
            .into_iter()
            .chain(stage.fields.iter().cloned())
            .collect();
        format!("{{{}}}", fields.join(", "))
    });
    let written: Vec<_> = written.collect();
    Some(format!("stages: [{}]", written.join(", ")))
}

/// A pause without a time waits for somebody; a time is in seconds unless it has a unit.
fn pause(pause: &Value) -> Option<String> {
    let seconds = |number: u64| Duration::from_secs(number);
    let time = match pause.get("duration") {
        None => return Some("approval: true".to_owned()),
        Some(Value::Number(number)) => seconds(number.as_u64()?),
        Some(Value::String(text)) => match text.parse() {
            Ok(number) => seconds(number),
            Err(_) => text.parse().ok()?,
        },
        Some(_) => return None,
    };
    Some(format!("bake: {time}"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn steps_are_written_as_the_stages_that_mean_the_same() {
        for (steps, written) in [
            (
                json!([{"setWeight": 5}, {"pause": {"duration": "1h"}}, {"setWeight": 50}, {"pause": {}}]),
                Some("stages: [{weight: 5, bake: 1h}, {weight: 50, approval: true}]"),
            ),
            (
                json!([{"setWeight": 5}, {"pause": {"duration": "30"}}, {"setWeight": 100}]),
                Some("stages: [{weight: 5, bake: 30s}]"),
            ),
            (json!([{"pause": {}}, {"setWeight": 5}]), None),
            (json!([{"setWeight": 5}, {"analysis": {}}]), None),
            (
                json!([{"setWeight": 5}, {"pause": {"duration": "soon"}}]),
                None,
            ),
            (json!([{"setWeight": 100}, {"pause": {}}]), None),
            (json!([]), None),
            (json!({}), None),
        ] {
            assert_eq!(stages(&steps).as_deref(), written, "{steps}");
        }
    }
}
