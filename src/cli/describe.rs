//! `rolloutctl describe`: all about one resource, in words.

use jiff::Timestamp;

use super::clock;
use super::console::{Console, Paint, Tone};
use super::exit::{Exit, Failure};
use super::standing::Standing;
use super::target::{ResourceRef, rollout_spec};
use super::words::age;
use crate::api::{Dependents, references};
use crate::manifest;
use crate::world::referrers::referrers;
use crate::world::{Lease, Stored, World};

mod rollout;
mod stages;

/// Tells all about `target`.
///
/// # Errors
/// When it is not there, or the store cannot be reached.
pub async fn run(
    target: &ResourceRef,
    world: &dyn World,
    console: &mut Console,
) -> Result<Exit, Failure> {
    let store = world.load().await?;
    let stored = target.find(&store)?;
    let lease = world.lease().await?;
    let scene = Scene::new(stored, &store, lease, clock::now(), console.paint);
    console.tell(scene.tell())?;
    Ok(Exit::Done)
}

/// All that a description is made of.
pub struct Scene<'a> {
    stored: &'a Stored,
    store: &'a [Stored],
    lease: Option<Lease>,
    now: Timestamp,
    paint: Paint,
}

/// After so long, in seconds, a controller that runs would have looked at a new spec.
const PATIENCE_SECS: i64 = 10;

impl<'a> Scene<'a> {
    /// What there is to tell of `stored`, one of `store`, at the instant `now`.
    pub const fn new(
        stored: &'a Stored,
        store: &'a [Stored],
        lease: Option<Lease>,
        now: Timestamp,
        paint: Paint,
    ) -> Self {
        Self {
            stored,
            store,
            lease,
            now,
            paint,
        }
    }

    /// The description.
    pub fn tell(&self) -> String {
        let mut text = Text::new(self.paint);
        self.identity(&mut text);
        if let Some(spec) = rollout_spec(self.stored) {
            self.unseen(&mut text);
            rollout::tell(self, spec, &mut text);
        } else {
            text.heading("Spec");
            let spec = manifest::to_yaml(&self.stored.draft.resource.spec_json());
            spec.lines().for_each(|line| text.line(line));
            self.uses(&mut text);
        }
        text.0
    }

    fn identity(&self, text: &mut Text) {
        let draft = &self.stored.draft;
        let metadata = draft.resource.metadata();
        let target = ResourceRef::of(&draft.resource);
        text.plain(&self.paint.tint(Tone::Strong, target));
        for (title, pairs) in [
            ("labels", &metadata.labels),
            ("annotations", &metadata.annotations),
        ] {
            let pairs: Vec<_> = pairs.iter().map(|(k, v)| format!("{k}={v}")).collect();
            if !pairs.is_empty() {
                text.fact(title, &pairs.join(", "));
            }
        }
        let created = self.stored.created_at;
        text.fact(
            "created",
            &format!("{created:.0} ({} ago)", age(created, self.now)),
        );
        text.fact("generation", &draft.generation.to_string());
        if let Some(origin) = &draft.origin {
            let commit = origin.commit.as_ref();
            let commit = commit.map_or_else(String::new, |c| format!(", commit {}", c.short()));
            text.fact(
                "source",
                &format!("{}, file {}{commit}", origin.source, origin.file),
            );
            if let Some(problem) = &origin.problem {
                text.fact("problem", &problem.message);
            }
        }
        if let Some(deletion) = draft.deletion {
            let how = match deletion.dependents {
                Dependents::Remove => "it is drained, then its services are removed",
                Dependents::Orphan => "its services and servers stay as they are",
            };
            text.fact("deletion", &format!("asked at {:.0}: {how}", deletion.at));
        }
    }

    /// Says so when the controller has not seen the spec, and wonders whether there is one.
    fn unseen(&self, text: &mut Text) {
        let Standing::Unseen { generation } = Standing::of(self.stored) else {
            return;
        };
        let status = self.stored.draft.status.as_ref();
        let seen = status.map_or(0, |status| status.observed_generation);
        let mut sentence = match seen {
            0 => "The controller has not seen this rollout yet.".to_owned(),
            _ => format!(
                "The controller has not seen generation {generation} yet: what follows speaks of generation {seen}."
            ),
        };
        let waited = self.now.duration_since(self.stored.updated_at).as_secs();
        if waited >= PATIENCE_SECS {
            sentence = format!(
                "{sentence} Is a controller running? {}.",
                clue(self.lease.as_ref())
            );
        }
        text.plain("");
        text.plain(&self.paint.tint(Tone::Warning, sentence));
    }

    fn uses(&self, text: &mut Text) {
        let target = ResourceRef::of(&self.stored.draft.resource);
        let list = |targets: Vec<String>| {
            if targets.is_empty() {
                "nothing".to_owned()
            } else {
                targets.join(", ")
            }
        };
        let used_by = referrers(&target, self.store)
            .iter()
            .map(|(stored, _)| ResourceRef::of(&stored.draft.resource).to_string())
            .collect();
        let refers_to = references(&self.stored.draft.resource)
            .iter()
            .map(ToString::to_string)
            .collect();
        text.heading("References");
        text.fact("used by", &list(used_by));
        text.fact("refers to", &list(refers_to));
    }
}

/// Where to look for the controller.
pub fn clue(lease: Option<&Lease>) -> String {
    match lease {
        Some(lease) if !lease.holder.is_empty() => {
            format!("{} holds the lease: look at its log", lease.holder)
        }
        Some(_) | None => "No controller holds the lease: start `rolloutctl controller`".to_owned(),
    }
}

/// A description in the making.
struct Text(String, Paint);

impl Text {
    const fn new(paint: Paint) -> Self {
        Self(String::new(), paint)
    }

    fn plain(&mut self, line: &str) {
        self.0.push_str(line);
        self.0.push('\n');
    }

    fn heading(&mut self, title: &str) {
        let heading = self.1.tint(Tone::Strong, title);
        self.plain("");
        self.plain(&heading);
    }

    fn line(&mut self, line: &str) {
        self.plain(&format!("  {line}"));
    }

    fn fact(&mut self, title: &str, fact: &str) {
        self.line(&format!("{:<13}{fact}", format!("{title}:")));
    }

    fn table(&mut self, grid: &super::table::Grid) {
        // Stream, not terminal: nothing is cut here, all is to be told.
        let text = grid.render(super::console::Screen::Stream, self.1);
        text.lines().for_each(|line| self.line(line));
    }
}
