//! The sources as they are at one time: what the user asked for, and of several branches of a repository each one by
//! itself. Those that are gone are there for as long as something in the store is theirs.

use std::collections::{BTreeMap, BTreeSet};

use super::git::GitBranches;
use super::sharing::{Relation, Unclaimed};
use super::{Branch, Desk, Look, Reader, SourceOptions, branch_name};
use crate::api::{Place, SourceStatus};
use crate::manifest::{Edits, Need, Overlay};
use crate::world::Stored;

/// The branches of a repository that are followed, as they were last seen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Branches {
    /// The named ones first.
    pub followed: Vec<Followed>,
    /// Those that match and are too many.
    pub beyond: Vec<Branch>,
    /// Whether the repository has no branch at all, as if it were not there.
    pub is_empty: bool,
}

impl Branches {
    /// Whether `branch` is among those that are followed.
    pub fn has(&self, branch: &Branch) -> bool {
        let mut followed = self.followed.iter();
        followed.any(|followed| followed.branch == *branch)
    }
}

/// A branch that is followed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Followed {
    /// The branch.
    pub branch: Branch,
    /// How the user asked for it.
    pub standing: Standing,
}

/// How the user asked for a branch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// By its name: it is meant to be there.
    Named,
    /// By a pattern: it comes and goes.
    Matching,
}

/// A source as it is now.
pub(super) struct Active {
    pub options: SourceOptions,
    pub look: Look,
    pub part: Part,
    /// What is made of its manifests.
    pub edits: Edits,
}

/// What a source is a part of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Part {
    /// It is one by itself.
    Whole,
    /// It stands for all branches of a repository, and says nothing itself.
    Repository,
    /// A branch, and the number of its repository's source.
    Branch(usize, Standing),
    /// A branch that is gone.
    Gone(usize),
}

/// Where the user's sources are looked for on the desk, in the order of [`active`], without those that are gone.
pub(super) fn places(sources: &[SourceOptions], desk: &Desk) -> Vec<Place> {
    let of = |source: &SourceOptions| {
        let mut places = vec![source.place.clone()];
        if let Reader::Branches(branches) = &source.reader {
            let known = desk.look(&source.place).branches;
            let followed = known.iter().flat_map(|known| &known.followed);
            places.extend(followed.map(|followed| branches.branch(&followed.branch).place()));
        }
        places
    };
    sources.iter().flat_map(of).collect()
}

/// The sources as they are now, those that are gone last.
pub(super) fn active(sources: &[SourceOptions], desk: &Desk, stored: &[Stored]) -> Vec<Active> {
    let mut all = Vec::new();
    let mut gone = Vec::new();
    for (number, source) in sources.iter().enumerate() {
        let look = desk.look(&source.place);
        let Reader::Branches(branches) = &source.reader else {
            all.push(Active {
                edits: edits(source, None),
                options: source.clone(),
                look,
                part: Part::Whole,
            });
            continue;
        };
        let known = look.branches.clone();
        all.push(Active {
            options: source.clone(),
            look,
            part: Part::Repository,
            edits: Edits::default(),
        });
        let Some(known) = known else { continue };
        let one = |branch: &Branch, part| {
            let options = branch_options(source, branches, branch);
            Active {
                look: desk.look(&options.place),
                edits: edits(source, Some(&branches.overlays(branch))),
                options,
                part,
            }
        };
        for followed in &known.followed {
            let part = Part::Branch(number, followed.standing);
            all.push(one(&followed.branch, part));
        }
        for branch in gone_branches(branches, &known, stored) {
            gone.push(one(&branch, Part::Gone(number)));
        }
    }
    all.extend(gone);
    all
}

/// The branches that are not there any more, and whose mark something in the store carries. One that is named is only
/// missing: nobody said that it goes.
fn gone_branches(branches: &GitBranches, known: &Branches, stored: &[Stored]) -> BTreeSet<Branch> {
    if known.is_empty {
        return BTreeSet::new();
    }
    let origins = stored
        .iter()
        .filter_map(|stored| stored.draft.origin.as_ref());
    origins
        .filter_map(|origin| branches.branch_at(&origin.source))
        .filter(|branch| branches.standing(branch) == Some(Standing::Matching))
        .filter(|branch| !known.has(branch))
        .filter(|branch| !known.beyond.contains(branch))
        .collect()
}

fn branch_options(
    source: &SourceOptions,
    branches: &GitBranches,
    branch: &Branch,
) -> SourceOptions {
    let git = branches.branch(branch);
    SourceOptions {
        name: branch_name(&source.name, branch),
        place: git.place(),
        reader: Reader::Git(git),
        ..source.clone()
    }
}

/// The overlay that the user named, or the one that is for the branch.
fn edits(source: &SourceOptions, overlays: Option<&[String]>) -> Edits {
    let branch = match &source.reader {
        Reader::Git(git) => Some(git.branch.as_str().to_owned()),
        Reader::Directory(_) | Reader::Branches(_) | Reader::Played(_) => None,
    };
    let branch = overlays.and_then(|names| names.first().cloned()).or(branch);
    let overlay = match (&source.overlay, &branch) {
        (Some(name), _) => Some(Overlay {
            names: vec![name.clone()],
            need: Need::Required,
            branch,
        }),
        (None, Some(name)) => Some(Overlay {
            names: overlays.map_or_else(|| vec![name.clone()], <[String]>::to_vec),
            need: Need::IfThere,
            branch,
        }),
        (None, None) => None,
    };
    Edits {
        overlay,
        settings: Vec::new(),
    }
}

impl Part {
    /// What it does with what is no source's.
    pub(super) const fn unclaimed(self) -> Unclaimed {
        match self {
            Self::Whole | Self::Repository | Self::Branch(_, Standing::Named) => Unclaimed::Adopted,
            Self::Branch(_, Standing::Matching) | Self::Gone(_) => Unclaimed::LeftAlone,
        }
    }
}

/// What the other sources are to the one numbered `index`.
pub(super) fn relations(all: &[Active], index: usize) -> BTreeMap<Place, Relation> {
    let me = all[index].part;
    let others = all.iter().enumerate();
    others
        .filter(|(number, other)| *number != index && other.part != Part::Repository)
        // What is gone keeps nothing from anybody.
        .filter(|(_, other)| !matches!(other.part, Part::Gone(_)))
        .map(|(_, other)| {
            let relation = match (me, other.part) {
                (Part::Branch(mine, Standing::Named), Part::Branch(its, standing))
                    if mine == its =>
                {
                    match standing {
                        Standing::Named => Relation::Peer,
                        Standing::Matching => Relation::Gives,
                    }
                }
                _ => Relation::Keeps,
            };
            (other.options.place.clone(), relation)
        })
        .collect()
}

/// What was told of branches of which it is not known yet whether they are there: it is told on.
pub(super) fn unknown<'a>(
    sources: &'a [SourceOptions],
    desk: &'a Desk,
    told: impl Iterator<Item = &'a SourceStatus> + 'a,
) -> impl Iterator<Item = &'a SourceStatus> + 'a {
    told.filter(move |status| {
        sources.iter().any(|source| match &source.reader {
            Reader::Branches(branches) => {
                desk.look(&source.place).branches.is_none()
                    && branches.branch_at(&status.place).is_some()
            }
            Reader::Directory(_) | Reader::Git(_) | Reader::Played(_) => false,
        })
    })
}
