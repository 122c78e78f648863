//! What a script can wait for, in words.

use std::str::FromStr;

use rolloutctl::api::{Phase, Step};

use crate::sight::{Sight, share_is};

/// Something that holds or does not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Condition {
    /// `Healthy`, `Progressing`, `Paused`, `Degraded`.
    Phase(Phase),
    /// `attempt 2`.
    Attempt(u32),
    /// `stage 1 comes up`, `stage 2 shifts`, `last stage runs`.
    Stage(Option<u32>, Progress),
    /// `measured`: there is a valid measurement of every metric of the stage.
    Measured,
    /// `waiting for data`: a word of `WaitingOn`.
    WaitingFor(String),
    /// `v1 is stable`.
    IsStable(String),
    /// `v2 is tried`.
    IsTried(String),
    /// `v2 has 25 %`, on every proxy.
    HasShare(String, u8),
    /// `v2 has 3 tasks` that are ready.
    HasTasks(String, u32),
    /// `nothing leaves`.
    NothingLeaves,
    /// `gone`.
    Gone,
}

/// How far a stage is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    ComesUp,
    Shifts,
    Runs,
}

impl FromStr for Condition {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let words: Vec<&str> = text.split_whitespace().collect();
        let known = match words.as_slice() {
            ["Healthy"] => Some(Self::Phase(Phase::Healthy)),
            ["Progressing"] => Some(Self::Phase(Phase::Progressing)),
            ["Paused"] => Some(Self::Phase(Phase::Paused)),
            ["Degraded"] => Some(Self::Phase(Phase::Degraded)),
            ["attempt", number] => number.parse().ok().map(Self::Attempt),
            ["last", "stage", how @ ..] => progress(how).map(|how| Self::Stage(None, how)),
            ["stage", number, how @ ..] => match (number.parse(), progress(how)) {
                (Ok(number), Some(how)) => Some(Self::Stage(Some(number), how)),
                (Err(_), _) | (_, None) => None,
            },
            ["measured"] => Some(Self::Measured),
            ["waiting", "for", what] => Some(Self::WaitingFor((*what).to_owned())),
            [image, "is", "stable"] => Some(Self::IsStable((*image).to_owned())),
            [image, "is", "tried"] => Some(Self::IsTried((*image).to_owned())),
            [image, "has", share, "%"] => {
                let share = share.parse().ok();
                share.map(|share| Self::HasShare((*image).to_owned(), share))
            }
            [image, "has", count, "tasks" | "task"] => {
                let count = count.parse().ok();
                count.map(|count| Self::HasTasks((*image).to_owned(), count))
            }
            ["nothing", "leaves"] => Some(Self::NothingLeaves),
            ["gone"] => Some(Self::Gone),
            _ => None,
        };
        known.ok_or_else(|| {
            format!(
                "nobody can wait for `{text}`; known are Healthy, Progressing, Paused, Degraded, attempt N, stage N \
                 comes up, stage N shifts, stage N runs, last stage …, measured, waiting for WORD, IMAGE is stable, \
                 IMAGE is tried, IMAGE has N %, IMAGE has N tasks, nothing leaves, gone"
            )
        })
    }
}

fn progress(words: &[&str]) -> Option<Progress> {
    match words {
        ["comes", "up"] => Some(Progress::ComesUp),
        ["shifts"] => Some(Progress::Shifts),
        ["runs"] => Some(Progress::Runs),
        _ => None,
    }
}

impl Condition {
    /// Whether it holds. Nothing holds of a status that has not seen the newest spec or command.
    pub fn holds(&self, sight: &Sight) -> bool {
        if *self == Self::Gone {
            return sight.is_gone;
        }
        let Some(status) = sight.status.as_ref().filter(|_| sight.is_current) else {
            return false;
        };
        let called = |image: &String| sight.images.iter().find(|(_, known)| *known == image);
        let revision = |image: &String| called(image).map(|(revision, _)| revision);
        match self {
            Self::Phase(phase) => status.phase == *phase,
            Self::Attempt(attempt) => status.attempt == *attempt,
            Self::Stage(number, how) => {
                let number = number.map_or(status.stages, |number| number - 1);
                let is_tried = status.canary_revision.is_some();
                is_tried && status.stage == number && *how == progress_of(status.step)
            }
            Self::Measured => {
                let records = &status.measurements;
                !records.is_empty() && records.iter().all(|record| record.valid > 0)
            }
            Self::WaitingFor(word) => {
                let waits = status.waiting_on.as_ref();
                waits.is_some_and(|waits| waits.label() == word)
            }
            Self::IsStable(image) => status.stable_revision.as_ref() == revision(image),
            Self::IsTried(image) => status.canary_revision.as_ref() == revision(image),
            Self::HasShare(image, percent) => revision(image).is_some_and(|revision| {
                let share = f64::from(*percent) / 100.0;
                sight.share(revision).is_some_and(|is| share_is(is, share))
            }),
            Self::HasTasks(image, count) => revision(image)
                .is_some_and(|revision| sight.ready.get(revision).copied().unwrap_or(0) == *count),
            Self::NothingLeaves => status.leaving.is_empty() && status.warm.is_empty(),
            Self::Gone => false,
        }
    }
}

fn progress_of(step: Step) -> Progress {
    match step {
        Step::Idle | Step::Initial | Step::Scaling => Progress::ComesUp,
        Step::Shifting => Progress::Shifts,
        Step::Running { .. } => Progress::Runs,
    }
}
