//! Sharing: whose a resource is that several sources say.
//!
//! Sources that have nothing to do with each other do not share: who has it keeps it, and the other is told. Of branches
//! of one repository that are named, the one that has changed its manifest last has the resource; the others wait until
//! they change it. What each of them asked for when it stepped back stands in the mark, so that a change is told from a
//! first sight by whoever decides, whenever. A branch that only matches a pattern takes nothing from anybody, not even what
//! bears no mark or that of a source that is not read here, and gives to who is named.

use std::collections::BTreeMap;

use super::asked::Asked;
use super::decide::Question;
use crate::api::{Origin, Place};
use crate::manifest::Located;
use crate::world::Stored;

/// What another source is to this one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Relation {
    /// It keeps what it has.
    Keeps,
    /// Who changed a resource last has it.
    Peer,
    /// It gives what this one wants.
    Gives,
}

/// What a source does with what is stored and has no mark, or that of a source that is not read here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unclaimed {
    /// It adopts it: somebody has named this source.
    Adopted,
    /// It leaves it alone. A branch that only matches a pattern comes and goes, and what it has goes with it.
    LeftAlone,
}

/// Whether this source may write a resource.
pub(super) enum Claim {
    /// It may: it is not there, its own, or comes to it.
    Free,
    /// It has changed its manifest since it stepped back from another one.
    Taken,
    /// Another source says the same: there is nothing to be told. The mark may have to say what this one asks for.
    Same(Option<Origin>),
    /// It belongs to that source.
    Theirs(Place),
    /// It was applied by hand, and is not for this source to adopt.
    ByHand,
    /// It belongs to that source until this one changes its manifest. If the mark does not say what that is now, it is
    /// to: at the first sight of it, and when another release or another form of the same has changed nothing but that.
    Left(Place, Option<Origin>),
}

impl Claim {
    pub fn of(
        question: &Question,
        located: &Located,
        wanted: &str,
        stored: Option<&Stored>,
    ) -> Self {
        let Some(stored) = stored else {
            return Self::Free;
        };
        let is_same = stored.draft.resource == located.resource;
        let Some(origin) = stored.draft.origin.as_ref() else {
            return match question.unclaimed {
                Unclaimed::Adopted => Self::Free,
                Unclaimed::LeftAlone if is_same => Self::Same(None),
                Unclaimed::LeftAlone => Self::ByHand,
            };
        };
        let place = &question.listing.place;
        if origin.source == *place {
            return Self::Free;
        }
        match question.others.get(&origin.source) {
            Some(Relation::Gives) => Self::Free,
            None => match question.unclaimed {
                Unclaimed::Adopted => Self::Free,
                Unclaimed::LeftAlone if is_same => Self::Same(None),
                Unclaimed::LeftAlone => Self::Theirs(origin.source.clone()),
            },
            Some(Relation::Keeps) if is_same => Self::Same(None),
            Some(Relation::Keeps) => Self::Theirs(origin.source.clone()),
            Some(Relation::Peer) => Self::of_peer(origin, place, wanted, is_same),
        }
    }

    /// Another named branch of the repository has it.
    fn of_peer(origin: &Origin, place: &Place, wanted: &str, is_same: bool) -> Self {
        let before = origin.yields.get(place);
        let asked = before.map(|before| Asked::of(before, wanted));
        match asked {
            Some(Asked::Anew) => return Self::Taken,
            Some(Asked::Same | Asked::Unknown) | None => {}
        }
        let mark = (before.map(String::as_str) != Some(wanted)).then(|| {
            let mut origin = origin.clone();
            origin.yields.insert(place.clone(), wanted.to_owned());
            origin
        });
        match asked {
            Some(_) if is_same => Self::Same(mark),
            Some(_) | None => Self::Left(origin.source.clone(), mark),
        }
    }
}

/// Who steps back when this source writes over `before`, each with what it asked for.
pub(super) fn yields(question: &Question, before: Option<&Origin>) -> BTreeMap<Place, String> {
    let Some(before) = before else {
        return BTreeMap::new();
    };
    let mut yields = before.yields.clone();
    yields.insert(before.source.clone(), before.digest.clone());
    yields.retain(|place, _| question.others.get(place) == Some(&Relation::Peer));
    yields
}

/// The mark with which a resource goes to a branch that says it too, when this source does not say it any more.
pub(super) fn handed_over(question: &Question, origin: &Origin) -> Option<Origin> {
    let is_peer = |place: &&Place| question.others.get(*place) == Some(&Relation::Peer);
    let heir = origin.yields.keys().find(is_peer)?.clone();
    let mut origin = origin.clone();
    origin.yields.remove(&heir);
    Some(Origin {
        source: heir,
        // Where it says it is not known yet.
        file: String::new(),
        // It has written nothing yet: whatever it says is a change.
        digest: String::new(),
        problem: None,
        ..origin
    })
}
