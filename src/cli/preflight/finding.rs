//! One finding of a check, and how bad it is.

use std::fmt::{self, Display};

use serde::Serialize;

use crate::cli::console::Tone;

/// What a check found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// How bad it is.
    pub grade: Grade,
    /// What was checked.
    pub check: String,
    /// What was found.
    pub message: String,
    /// What to do about it; empty when there is nothing to do.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub remedy: String,
}

/// How bad a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Grade {
    /// As it should be.
    Ok,
    /// Something that cannot be seen from here, or that is good to know.
    Info,
    /// Rollouts work, but not as well as they could.
    Warn,
    /// Rollouts do not work.
    Fail,
}

impl Grade {
    /// Its colour.
    pub const fn tone(self) -> Tone {
        match self {
            Self::Ok => Tone::Good,
            Self::Info => Tone::Quiet,
            Self::Warn => Tone::Warning,
            Self::Fail => Tone::Bad,
        }
    }
}

impl Display for Grade {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Ok => "ok",
            Self::Info => "info",
            Self::Warn => "warn",
            Self::Fail => "FAIL",
        })
    }
}

impl Finding {
    /// All is well.
    pub fn ok(check: impl Display, message: impl Display) -> Self {
        Self::new(Grade::Ok, check, message, "")
    }

    /// Good to know.
    pub fn info(check: impl Display, message: impl Display, remedy: impl Display) -> Self {
        Self::new(Grade::Info, check, message, remedy)
    }

    /// Rollouts work, but not as well as they could.
    pub fn warn(check: impl Display, message: impl Display, remedy: impl Display) -> Self {
        Self::new(Grade::Warn, check, message, remedy)
    }

    /// Rollouts do not work.
    pub fn fail(check: impl Display, message: impl Display, remedy: impl Display) -> Self {
        Self::new(Grade::Fail, check, message, remedy)
    }

    fn new(grade: Grade, check: impl Display, message: impl Display, remedy: impl Display) -> Self {
        Self {
            grade,
            check: check.to_string(),
            message: message.to_string(),
            remedy: remedy.to_string(),
        }
    }
}

impl Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.check, self.message)?;
        if self.remedy.is_empty() {
            Ok(())
        } else {
            write!(f, "; {}", self.remedy)
        }
    }
}
