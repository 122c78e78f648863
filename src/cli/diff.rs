//! `rolloutctl diff`: what `apply` would change, as a unified diff of YAML.

use similar::TextDiff;

use super::console::{Console, Tone};
use super::exit::{Exit, Failure};
use super::target::ResourceRef;
use crate::api::Resource;
use crate::manifest;
use crate::world::World;

/// Prints the differences between the store and `resources`. [`Exit::No`] when there are some.
///
/// # Errors
/// When the store cannot be reached.
pub async fn run(
    resources: &[Resource],
    world: &dyn World,
    console: &mut Console,
) -> Result<Exit, Failure> {
    let store = world.load().await?;
    let mut exit = Exit::Done;
    for resource in resources {
        let target = ResourceRef::of(resource);
        let stored = target
            .look_up(&store)
            .map(|stored| manifest::to_yaml(&stored.draft.resource.to_json()))
            .unwrap_or_default();
        let local = manifest::to_yaml(&resource.to_json());
        if stored == local {
            continue;
        }
        exit = Exit::No;
        let text = unified(&target, &stored, &local);
        let painted: Vec<_> = text.lines().map(|line| paint(line, console)).collect();
        console.answer(painted.join("\n"))?;
    }
    Ok(exit)
}

fn unified(target: &ResourceRef, stored: &str, local: &str) -> String {
    TextDiff::from_lines(stored, local)
        .unified_diff()
        .context_radius(3)
        .header(&format!("stored {target}"), &format!("local {target}"))
        .to_string()
}

fn paint(line: &str, console: &Console) -> String {
    let tone = match line.as_bytes() {
        [b'+', b'+', b'+', ..] | [b'-', b'-', b'-', ..] => Tone::Strong,
        [b'+', ..] => Tone::Good,
        [b'-', ..] => Tone::Bad,
        [b'@', ..] => Tone::Busy,
        _ => return line.to_owned(),
    };
    console.paint.tint(tone, line)
}
