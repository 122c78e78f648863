//! `rolloutctl history`: the attempts of a rollout and the revisions that are kept, or what one of those runs.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::args::Format;
use super::clock;
use super::console::{Console, Screen, Tone};
use super::exit::{Exit, Failure};
use super::past::{Content, Past, Role, ShortRevision};
use super::table::{Field, Grid};
use super::target::RolloutRef;
use super::words::age;
use crate::api::{Access, AttemptOutcome, HistoryEntry, Revision};
use crate::manifest;
use crate::world::{Stored, World};

/// Prints the attempts, the latest last.
///
/// # Errors
/// When the rollout is not there, or the store cannot be reached.
pub async fn run(
    rollout: &RolloutRef,
    format: Option<Format>,
    world: &dyn World,
    console: &mut Console,
) -> Result<Exit, Failure> {
    let store = world.load().await?;
    let target = rollout.resource();
    let stored = target.find(&store)?;
    let past = Past::of(stored);
    let rows = past.as_ref().map(rows).unwrap_or_default();
    let value = || Value::Array(rows.iter().map(Row::to_json).collect());
    let depth = match format {
        Some(Format::Json) => {
            console.answer(format_args!("{:#}", value()))?;
            return Ok(Exit::Done);
        }
        Some(Format::Yaml) => {
            console.answer(manifest::to_yaml(&value()))?;
            return Ok(Exit::Done);
        }
        Some(Format::Name) => return names(&rows, console),
        Some(Format::Wide) => Depth::Wide,
        None => Depth::Brief,
    };
    let Some(past) = past else {
        console.remark(format_args!(
            "No attempts yet: the controller has not seen {target}"
        ));
        return Ok(Exit::Done);
    };
    let screen = match depth {
        Depth::Brief => console.screen,
        Depth::Wide => Screen::Stream,
    };
    let grid = table(&rows, depth, clock::now());
    console.answer(grid.render(screen, console.paint))?;
    tell_way_back(stored, &past, console);
    Ok(Exit::Done)
}

/// Prints what a revision runs, as it would stand in a spec.
///
/// # Errors
/// When there is no such revision, or it is not kept any more.
pub async fn content(
    rollout: &RolloutRef,
    asked: &ShortRevision,
    format: Option<Format>,
    world: &dyn World,
    console: &mut Console,
) -> Result<Exit, Failure> {
    let target = rollout.resource();
    let store = world.load().await?;
    let past = Past::of(target.find(&store)?)
        .ok_or_else(|| Failure::No(format!("{target}: the controller has not seen it yet")))?;
    let no = |why: String| Failure::No(format!("{target}: {why}"));
    let revision = past.find(asked).map_err(no)?;
    let content = past.content(&revision);
    let content = content.ok_or_else(|| no(past.not_kept(&revision)))?;
    match format {
        None | Some(Format::Yaml) => console.answer(manifest::to_yaml(&fragment(content)))?,
        Some(Format::Json) => console.answer(format_args!("{:#}", fragment(content)))?,
        Some(Format::Name) => console.answer(&revision)?,
        Some(Format::Wide) => {
            return Err(Failure::Usage(
                "`-o wide` is for the table; `--revision` is printed as yaml, json or name"
                    .to_owned(),
            ));
        }
    }
    Ok(Exit::Done)
}

/// The fields of a spec of which a revision is the hash.
fn fragment(content: Content<'_>) -> Value {
    let template = content.template;
    match content.access {
        Access::Proxied { port, reach } => {
            json!({"template": template, "traffic": {"port": port, "reach": reach}})
        }
        Access::Published { port, host_port } => {
            let publish = json!({"port": port, "hostPort": host_port});
            json!({"template": template, "strategy": {"preview": {"publish": publish}}})
        }
        Access::Named {} => json!({"template": template}),
    }
}

/// How much is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Depth {
    /// What fits a terminal, or as much of it as does.
    Brief,
    /// All (`-o wide`).
    Wide,
}

/// A row: an attempt, or a revision that is kept longer than its attempts are remembered.
struct Row<'a> {
    revision: &'a Revision,
    entry: Option<&'a HistoryEntry>,
    role: Role,
    content: Option<Content<'a>>,
    /// When the attempt began, or the revision was first asked for.
    began: Timestamp,
    cause: Option<&'a str>,
}

/// Those whose attempts are forgotten are older than those whose are not.
fn rows<'a>(past: &Past<'a>) -> Vec<Row<'a>> {
    let history = &past.status.history;
    let is_remembered =
        |revision: &Revision| history.iter().any(|entry| entry.revision == *revision);
    let row = |revision: &'a Revision, entry: Option<&'a HistoryEntry>, began| Row {
        revision,
        entry,
        role: past.role(revision),
        content: past.content(revision),
        began,
        cause: entry.and_then(|entry| past.cause_of(entry)),
    };
    let kept = past.status.revisions.iter();
    let mut rows: Vec<_> = kept
        .filter(|(revision, _)| !is_remembered(revision))
        .map(|(revision, record)| row(revision, None, record.created_at))
        .collect();
    rows.sort_by_key(|row| row.began);
    let attempts = history.iter();
    rows.extend(attempts.map(|entry| row(&entry.revision, Some(entry), entry.started_at)));
    rows
}

impl Row<'_> {
    /// Why it ended as it did, and why it was asked for.
    fn message(&self) -> String {
        let message = self.entry.map(|entry| entry.message.as_str());
        let commit = self.entry.and_then(|entry| entry.commit.as_ref());
        let commit = commit.map(|commit| format!("commit {}", commit.short()));
        let parts = [message, self.cause, commit.as_deref()];
        let told: Vec<_> = parts
            .into_iter()
            .flatten()
            .filter(|part| !part.is_empty())
            .collect();
        told.join("; ")
    }

    fn to_json(&self) -> Value {
        let mut row = match self.entry {
            Some(entry) => json!(entry),
            None => json!({"revision": self.revision, "createdAt": self.began}),
        };
        row["role"] = json!(self.role.as_str());
        if let Some(content) = self.content {
            row["image"] = json!(content.template.image);
        }
        if let Some(cause) = self.cause {
            row["changeCause"] = json!(cause);
        }
        row
    }

    fn fields(&self, depth: Depth, now: Timestamp) -> Vec<Field> {
        let none = || "-".to_owned();
        let of_entry = |told: &dyn Fn(&HistoryEntry) -> String| self.entry.map_or_else(none, told);
        let took = |entry: &HistoryEntry| age(entry.started_at, entry.ended_at.unwrap_or(now));
        let mut fields: Vec<Field> = vec![
            self.revision.to_string().into(),
            of_entry(&|entry| entry.attempt.to_string()).into(),
        ];
        if depth == Depth::Wide {
            fields.push(of_entry(&|entry| entry.generation.to_string()).into());
        }
        let image = self.content.map(|content| content.template.image.clone());
        fields.extend([
            format!("{} ago", age(self.began, now)).into(),
            of_entry(&took).into(),
            self.entry
                .map_or_else(|| none().into(), |entry| outcome(entry.outcome)),
            role(self.role),
            image.unwrap_or_else(none).into(),
            self.message().into(),
        ]);
        fields
    }
}

fn table(rows: &[Row<'_>], depth: Depth, now: Timestamp) -> Grid {
    let mut header = vec!["REVISION", "ATTEMPT"];
    if depth == Depth::Wide {
        header.push("GENERATION");
    }
    header.extend(["STARTED", "TOOK", "OUTCOME", "ROLE", "IMAGE", "MESSAGE"]);
    let mut grid = Grid::new(header)
        .without_if_narrow(&["TOOK", "ATTEMPT", "MESSAGE", "STARTED", "OUTCOME", "IMAGE"]);
    for row in rows {
        grid.row(row.fields(depth, now));
    }
    grid
}

/// How an attempt ended, in its colour.
pub fn outcome(outcome: AttemptOutcome) -> Field {
    let (word, tone) = match outcome {
        AttemptOutcome::Running => ("Running", Tone::Busy),
        AttemptOutcome::Completed => ("Completed", Tone::Good),
        AttemptOutcome::Passed => ("Passed", Tone::Good),
        AttemptOutcome::Aborted => ("Aborted", Tone::Bad),
        AttemptOutcome::Superseded => ("Superseded", Tone::Warning),
        AttemptOutcome::Reverted => ("Reverted", Tone::Warning),
    };
    Field::toned(word, tone)
}

fn role(role: Role) -> Field {
    match role {
        Role::Stable => Field::toned(role.as_str(), Tone::Good),
        Role::Canary => Field::toned(role.as_str(), Tone::Busy),
        Role::Warm | Role::Leaving | Role::Former => role.as_str().into(),
        Role::Gone => Field::toned(role.as_str(), Tone::Quiet),
    }
}

/// Each revision once, where it was tried last.
fn names(rows: &[Row<'_>], console: &mut Console) -> Result<Exit, Failure> {
    for (place, row) in rows.iter().enumerate() {
        let is_again = rows
            .iter()
            .skip(place + 1)
            .any(|later| later.revision == row.revision);
        if !is_again {
            console.answer(row.revision)?;
        }
    }
    Ok(Exit::Done)
}

fn tell_way_back(stored: &Stored, past: &Past<'_>, console: &mut Console) {
    let Ok(revision) = past.way_back() else {
        return;
    };
    let metadata = stored.draft.resource.metadata();
    let called = past.called(&revision);
    match &stored.draft.origin {
        Some(origin) => console.remark(format_args!(
            "{called} served before; to go back to it, revert the commit in {}",
            origin.source
        )),
        None => console.remark(format_args!(
            "`rolloutctl undo {}` goes back to {called}",
            metadata.name
        )),
    }
}
