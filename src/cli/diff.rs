//! `rolloutctl diff`: what `apply` would change, as a unified diff of YAML; or that it would refuse.

use similar::TextDiff;

use super::console::{Console, Paint, Tone};
use super::exit::{Exit, Failure};
use super::read;
use super::target::ResourceRef;
use crate::api::Resource;
use crate::manifest::{self, Edits, Source};
use crate::world::World;
use crate::world::applying::step;

/// Prints the differences between the store and `sources`. [`Exit::No`] when there are some, and nothing else.
///
/// # Errors
/// [`Failure::Usage`], or [`Exit::Usage`] once it is told, where `apply` would refuse them; and when the store cannot be reached.
pub async fn run(
    sources: &[Source],
    edits: &Edits,
    world: &dyn World,
    console: &mut Console,
) -> Result<Exit, Failure> {
    let store = world.load().await?;
    let resources = match read::resolve(sources, edits, &store, console) {
        Err(Failure::Told) => return Ok(Exit::Usage),
        resolved => resolved?,
    };
    for resource in &resources {
        let stored = ResourceRef::of(resource).look_up(&store);
        step(resource, stored).map_err(|error| Failure::Usage(error.to_string()))?;
    }
    let mut exit = Exit::Done;
    for resource in &resources {
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
