//! `rolloutctl diff`: what `apply` would change, as a unified diff of YAML.

use similar::TextDiff;

use super::console::{Console, Paint, Tone};
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
        let stored = target.look_up(&store);
        let change = Change {
            before: ("stored", stored.map(|stored| &stored.draft.resource)),
            after: ("local", resource),
        };
        if let Some(text) = change.painted(&target, console.paint) {
            exit = Exit::No;
            console.answer(text)?;
        }
    }
    Ok(exit)
}

/// Two versions of a resource, each with what it is called.
pub struct Change<'a> {
    /// The older one, if there is one.
    pub before: (&'static str, Option<&'a Resource>),
    /// The newer one.
    pub after: (&'static str, &'a Resource),
}

impl Change<'_> {
    /// The change as a unified diff of YAML; none if there is no difference.
    pub fn painted(&self, target: &ResourceRef, paint: Paint) -> Option<String> {
        let (older, before) = self.before;
        let (newer, after) = self.after;
        let yaml = |resource: &Resource| manifest::to_yaml(&resource.to_json());
        let (before, after) = (before.map(yaml).unwrap_or_default(), yaml(after));
        if before == after {
            return None;
        }
        let text = TextDiff::from_lines(&before, &after)
            .unified_diff()
            .context_radius(3)
            .header(&format!("{older} {target}"), &format!("{newer} {target}"))
            .to_string();
        let painted: Vec<_> = text.lines().map(|line| tinted(line, paint)).collect();
        Some(painted.join("\n"))
    }
}

fn tinted(line: &str, paint: Paint) -> String {
    let tone = match line.as_bytes() {
        [b'+', b'+', b'+', ..] | [b'-', b'-', b'-', ..] => Tone::Strong,
        [b'+', ..] => Tone::Good,
        [b'-', ..] => Tone::Bad,
        [b'@', ..] => Tone::Busy,
        _ => return line.to_owned(),
    };
    paint.tint(tone, line)
}
