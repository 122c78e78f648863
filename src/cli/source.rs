//! `get sources` and `describe source/NAME`: where manifests come from besides `apply`, and how that goes.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::args::Format;
use super::clock;
use super::console::{Console, Tone};
use super::exit::{Exit, Failure};
use super::get::Depth;
use super::table::{Field, Grid};
use super::words::age;
use crate::api::{API_VERSION, Commit, Name, OnDrift, Prune, SourcePhase, SourceStatus};
use crate::manifest::{self, nearest};
use crate::world::{StoredSource, World};

/// The words by which sources are known: singular, plural and short.
const WORDS: [&str; 3] = ["source", "sources", "src"];

/// Which sources are meant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Chosen {
    /// All of them.
    All,
    /// One.
    One(Name),
}

impl Chosen {
    /// Reads the words of the command line; nothing if they mean something else.
    ///
    /// # Errors
    /// When what stands for a name is none.
    pub fn read(what: Option<&str>, name: Option<&str>) -> Result<Option<Self>, String> {
        let Some(what) = what else { return Ok(None) };
        let (word, inside) = match what.split_once('/') {
            Some((word, name)) => (word, Some(name)),
            None => (what, None),
        };
        if !WORDS.contains(&word.to_ascii_lowercase().as_str()) {
            return Ok(None);
        }
        match (inside, name) {
            (None, None) => Ok(Some(Self::All)),
            (Some(name), None) | (None, Some(name)) => {
                let name = name.parse::<Name>().map_err(|error| error.to_string())?;
                Ok(Some(Self::One(name)))
            }
            (Some(_), Some(_)) => Err(format!("`{what}` has a name already; write source/NAME")),
        }
    }

    async fn find(&self, world: &dyn World) -> Result<Vec<StoredSource>, Failure> {
        let all = world.sources().await?;
        let Self::One(name) = self else {
            return Ok(all);
        };
        let names: Vec<_> = all
            .iter()
            .map(|source| source.status.name.as_str())
            .collect();
        if !names.contains(&name.as_str()) {
            let remedy = nearest(name.as_str(), names.iter().copied()).map_or_else(
                || "`rolloutctl get sources` lists what is there".to_owned(),
                |near| format!("did you mean {near}?"),
            );
            return Err(Failure::No(format!(
                "source \"{name}\" not found; {remedy}"
            )));
        }
        let mut all = all.into_iter();
        Ok(all
            .find(|source| source.status.name == *name)
            .into_iter()
            .collect())
    }
}

/// Prints the chosen sources once.
///
/// # Errors
/// When the one that is named is not there, or the store cannot be reached.
pub async fn get(
    chosen: &Chosen,
    format: Option<Format>,
    world: &dyn World,
    console: &mut Console,
) -> Result<Exit, Failure> {
    let sources = chosen.find(world).await?;
    print(chosen, &sources, format, console)?;
    Ok(Exit::Done)
}

/// Prints the chosen sources, and again when something changes, until it is interrupted.
///
/// # Errors
/// When the one that is named is not there, or the store cannot be reached.
pub async fn watch(
    chosen: &Chosen,
    format: Option<Format>,
    world: &dyn World,
    console: &mut Console,
) -> Result<Exit, Failure> {
    let mut seen = None;
    loop {
        let sources = chosen.find(world).await?;
        let versions: Vec<_> = sources.iter().map(|s| (s.id.clone(), s.version)).collect();
        if seen.as_ref() != Some(&versions) {
            print(chosen, &sources, format, console)?;
            seen = Some(versions);
        }
        clock::next_look().await;
    }
}

fn print(
    chosen: &Chosen,
    sources: &[StoredSource],
    format: Option<Format>,
    console: &mut Console,
) -> Result<(), Failure> {
    let value = || match (chosen, sources) {
        (Chosen::One(_), [one]) => to_json(one),
        _ => json!({
            "apiVersion": API_VERSION,
            "kind": "List",
            "items": sources.iter().map(to_json).collect::<Vec<_>>(),
        }),
    };
    let depth = match format {
        Some(Format::Json) => return Ok(console.answer(format_args!("{:#}", value()))?),
        Some(Format::Yaml) => return Ok(console.answer(manifest::to_yaml(&value()))?),
        Some(Format::Name) => {
            for source in sources {
                console.answer(format_args!("source/{}", source.status.name))?;
            }
            return Ok(());
        }
        Some(Format::Wide) => Depth::Wide,
        None => Depth::Brief,
    };
    if sources.is_empty() {
        console.remark("No sources found; start the controller with --watch DIR or --git URL");
        return Ok(());
    }
    let screen = depth.screen(console.screen);
    let grid = table(sources, depth, clock::now());
    Ok(console.answer(grid.render(screen, console.paint))?)
}

/// A source as JSON: `{apiVersion, kind, metadata, status}`.
fn to_json(source: &StoredSource) -> Value {
    json!({
        "apiVersion": API_VERSION,
        "kind": "Source",
        "metadata": {
            "name": source.status.name,
            "creationTimestamp": source.created_at,
            "updateTimestamp": source.updated_at,
        },
        "status": source.status,
    })
}

fn table(sources: &[StoredSource], depth: Depth, now: Timestamp) -> Grid {
    let mut header = vec![
        "NAME",
        "KIND",
        "PHASE",
        "COMMIT",
        "RESOURCES",
        "INVALID",
        "CHANGED",
        "AGE",
    ];
    if depth == Depth::Wide {
        header.extend(["PLACE", "PRUNE", "ON DRIFT"]);
    }
    header.push("MESSAGE");
    let expendable = &["AGE", "KIND", "CHANGED", "RESOURCES", "COMMIT"];
    let mut grid = Grid::new(header).without_if_narrow(expendable);
    for source in sources {
        let status = &source.status;
        let mut row: Vec<Field> = vec![
            status.name.to_string().into(),
            status.kind.as_str().into(),
            Field::toned(status.phase.as_str(), tone(status)),
            status.commit.as_ref().map_or("-", Commit::short).into(),
            status.resources.len().to_string().into(),
            status.invalid.to_string().into(),
            status
                .changed_at
                .map_or_else(|| "-".to_owned(), |at| age(at, now))
                .into(),
            age(source.created_at, now).into(),
        ];
        if depth == Depth::Wide {
            row.extend([
                status.place.to_string().into(),
                prune(status.prune).into(),
                on_drift(status.on_drift).into(),
            ]);
        }
        row.push(status.message.clone().into());
        grid.row(row);
    }
    grid
}

const fn tone(status: &SourceStatus) -> Tone {
    match status.phase {
        SourcePhase::Pending => Tone::Busy,
        SourcePhase::Synced => Tone::Good,
        SourcePhase::Gone => Tone::Warning,
        SourcePhase::Invalid | SourcePhase::Unreadable => Tone::Bad,
    }
}

const fn prune(prune: Prune) -> &'static str {
    match prune {
        Prune::Keep => "keep",
        Prune::Delete => "delete",
    }
}

const fn on_drift(on_drift: OnDrift) -> &'static str {
    match on_drift {
        OnDrift::Restore => "restore",
        OnDrift::Report => "report",
    }
}

/// Tells all about one source.
///
/// # Errors
/// When it is not there, or the store cannot be reached.
pub async fn describe(
    name: &Name,
    world: &dyn World,
    console: &mut Console,
) -> Result<Exit, Failure> {
    let sources = Chosen::One(name.clone()).find(world).await?;
    for source in &sources {
        let text = tell(source, clock::now(), console);
        console.tell(text)?;
    }
    Ok(Exit::Done)
}

fn tell(source: &StoredSource, now: Timestamp, console: &Console) -> String {
    let status = &source.status;
    let strong = |text: &str| console.paint.tint(Tone::Strong, text);
    let mut lines = vec![strong(&format!("source/{}", status.name))];
    let mut fact = |title: &str, fact: &str| {
        lines.push(format!("  {:<13}{fact}", format!("{title}:")));
    };
    fact("kind", status.kind.as_str());
    fact("place", &status.place.0);
    fact(
        "commit",
        status
            .commit
            .as_ref()
            .map_or("-", |commit| commit.0.as_str()),
    );
    if let Some(at) = status.changed_at {
        fact("changed", &format!("{at:.0} ({} ago)", age(at, now)));
    }
    fact("prune", prune(status.prune));
    fact("on drift", on_drift(status.on_drift));
    let word = console.paint.tint(tone(status), status.phase.as_str());
    lines.push(String::new());
    lines.push(format!("{word}: {}", status.message));
    let resources: Vec<_> = status.resources.keys().cloned().collect();
    for (title, list) in [
        ("Resources", &resources),
        ("Problems", &status.problems),
        ("Changed by hand", &status.drifted),
        ("Without a manifest", &status.kept),
        ("Left to another branch", &status.left),
    ] {
        if !list.is_empty() {
            lines.push(String::new());
            lines.push(strong(title));
            lines.extend(list.iter().map(|line| format!("  {line}")));
        }
    }
    lines.push(String::new());
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sources_are_named_in_one_word_or_two_and_nothing_else_is_taken_for_one() {
        let one = || Chosen::One("dir-specs".parse().expect("a name"));
        assert_eq!(Chosen::read(Some("sources"), None), Ok(Some(Chosen::All)));
        assert_eq!(
            Chosen::read(Some("source/dir-specs"), None),
            Ok(Some(one()))
        );
        assert_eq!(
            Chosen::read(Some("src"), Some("dir-specs")),
            Ok(Some(one()))
        );
        assert_eq!(Chosen::read(Some("metricsource"), None), Ok(None));
        assert_eq!(Chosen::read(None, None), Ok(None));
        assert!(Chosen::read(Some("source/a"), Some("b")).is_err());
        assert!(Chosen::read(Some("source/A"), None).is_err());
    }
}
