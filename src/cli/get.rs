//! `rolloutctl get`: resources as tables, JSON, YAML or names, once or as they change.

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::args::Format;
use super::clock;
use super::console::Console;
use super::exit::{Exit, Failure};
use super::object;
use super::table::Grid;
use super::target::{self, ResourceRef};
use crate::api::Kind;
use crate::manifest;
use crate::world::{Stored, World};

mod columns;
pub use columns::Depth;
use columns::Naming;

/// Which resources are meant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Selection {
    /// All of them.
    Everything,
    /// All of a kind.
    Kind(Kind),
    /// One.
    One(ResourceRef),
}

impl Selection {
    /// Reads the words of the command line.
    ///
    /// # Errors
    /// When they name no kind, or no name.
    pub fn read(what: Option<&str>, name: Option<&str>) -> Result<Self, String> {
        match (what, name) {
            (None, _) | (Some("all"), None) => Ok(Self::Everything),
            (Some(kind), None) if !kind.contains('/') => target::kind(kind).map(Self::Kind),
            (Some(what), name) => ResourceRef::read(what, name).map(Self::One),
        }
    }

    /// The chosen ones of `store`, by kind and name.
    fn choose<'a>(&self, store: &'a [Stored]) -> Result<Vec<&'a Stored>, Failure> {
        let mut chosen: Vec<_> = match self {
            Self::Everything => store.iter().collect(),
            Self::Kind(kind) => store
                .iter()
                .filter(|stored| stored.draft.resource.kind() == *kind)
                .collect(),
            Self::One(target) => vec![target.find(store)?],
        };
        chosen.sort_by_key(|stored| {
            let resource = &stored.draft.resource;
            (resource.kind(), resource.name().clone())
        });
        Ok(chosen)
    }
}

/// Prints the chosen resources once.
///
/// # Errors
/// When the one that is named is not there, or the store cannot be reached.
pub async fn run(
    selection: &Selection,
    format: Option<Format>,
    world: &dyn World,
    console: &mut Console,
) -> Result<Exit, Failure> {
    let store = world.load().await?;
    let chosen = selection.choose(&store)?;
    print(selection, &chosen, format, console)?;
    Ok(Exit::Done)
}

fn print(
    selection: &Selection,
    chosen: &[&Stored],
    format: Option<Format>,
    console: &mut Console,
) -> Result<(), Failure> {
    let value = || match (selection, chosen) {
        (Selection::One(_), [one]) => object::to_json(one),
        _ => object::list(chosen),
    };
    let depth = match format {
        Some(Format::Json) => return Ok(console.answer(format_args!("{:#}", value()))?),
        Some(Format::Yaml) => return Ok(console.answer(manifest::to_yaml(&value()))?),
        Some(Format::Name) => {
            for stored in chosen {
                console.answer(ResourceRef::of(&stored.draft.resource))?;
            }
            return Ok(());
        }
        Some(Format::Wide) => Depth::Wide,
        None => Depth::Brief,
    };
    if chosen.is_empty() {
        console.remark("No resources found");
        return Ok(());
    }
    let naming = naming(selection);
    let screen = depth.screen(console.screen);
    let tables: Vec<_> = tables(chosen, depth, naming, clock::now())
        .values()
        .map(|grid| grid.render(screen, console.paint))
        .collect();
    Ok(console.answer(tables.join("\n\n"))?)
}

fn naming(selection: &Selection) -> Naming {
    match selection {
        Selection::Everything => Naming::WithKind,
        Selection::Kind(_) | Selection::One(_) => Naming::Plain,
    }
}

/// One table for each kind.
fn tables(
    chosen: &[&Stored],
    depth: Depth,
    naming: Naming,
    now: Timestamp,
) -> BTreeMap<Kind, Grid> {
    let mut tables = BTreeMap::new();
    for stored in chosen {
        let kind = stored.draft.resource.kind();
        tables
            .entry(kind)
            .or_insert_with(|| columns::grid(kind, depth))
            .row(columns::row(stored, depth, naming, now));
    }
    tables
}

/// Prints the chosen resources, then each again when it changes, until it is interrupted.
///
/// # Errors
/// When the one that is named is not there, or the store cannot be reached.
pub async fn watch(
    selection: &Selection,
    format: Option<Format>,
    world: &dyn World,
    console: &mut Console,
) -> Result<Exit, Failure> {
    let mut seen: BTreeMap<ResourceRef, u64> = BTreeMap::new();
    let mut grids: BTreeMap<Kind, Grid> = BTreeMap::new();
    selection.choose(&world.load().await?)?;
    loop {
        let store = world.load().await?;
        // One that is gone is no reason to stop: it may come back.
        let chosen = selection.choose(&store).unwrap_or_default();
        let changed: Vec<_> = chosen
            .into_iter()
            .filter(|stored| {
                let target = ResourceRef::of(&stored.draft.resource);
                seen.insert(target, stored.version) != Some(stored.version)
            })
            .collect();
        seen.retain(|target, _| {
            let is_there = target.look_up(&store).is_some();
            if !is_there {
                console.remark(format_args!("{target} deleted"));
            }
            is_there
        });
        print_changes(selection, &changed, format, &mut grids, console)?;
        clock::next_look().await;
    }
}

fn print_changes(
    selection: &Selection,
    changed: &[&Stored],
    format: Option<Format>,
    grids: &mut BTreeMap<Kind, Grid>,
    console: &mut Console,
) -> Result<(), Failure> {
    let depth = match format {
        None => Depth::Brief,
        Some(Format::Wide) => Depth::Wide,
        Some(Format::Json | Format::Yaml | Format::Name) => {
            return changed
                .iter()
                .try_for_each(|stored| print_one(stored, format, console));
        }
    };
    let naming = naming(selection);
    for stored in changed {
        let kind = stored.draft.resource.kind();
        let row = columns::row(stored, depth, naming, clock::now());
        let screen = depth.screen(console.screen);
        let mut grid = grids.get(&kind).map_or_else(
            || columns::grid(kind, depth),
            |above| above.continued(screen),
        );
        grid.row(row);
        console.answer(grid.render(screen, console.paint))?;
        grids.insert(kind, grid);
    }
    Ok(())
}

fn print_one(
    stored: &Stored,
    format: Option<Format>,
    console: &mut Console,
) -> Result<(), Failure> {
    let target = ResourceRef::of(&stored.draft.resource);
    print(&Selection::One(target), &[stored], format, console)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_selection_is_all_a_kind_or_one() {
        assert_eq!(Selection::read(None, None), Ok(Selection::Everything));
        assert_eq!(
            Selection::read(Some("ro"), None),
            Ok(Selection::Kind(Kind::Rollout))
        );
        assert!(matches!(
            Selection::read(Some("ro"), Some("a")),
            Ok(Selection::One(_))
        ));
        assert!(matches!(
            Selection::read(Some("ro/a"), None),
            Ok(Selection::One(_))
        ));
        assert!(Selection::read(Some("news-web"), None).is_err());
    }
}
