//! What may be wrong with a case, and how that is told.

use std::fmt;

use rolloutctl::trial::check::Violation;

/// What was wrong with a case.
#[derive(Clone, Debug)]
pub enum Failure {
    /// A rule was broken on the way.
    Broken(Vec<Violation>),
    /// It did not come to rest.
    Restless(String),
    /// It came to another end than it should.
    WrongEnd(String),
    /// At rest, something was still written.
    Writes(u64),
    /// In the end the store does not say what the source says.
    Unsaid(String),
    /// Requests were lost although nothing went wrong.
    Lost(String),
}

impl Failure {
    /// Its name, under which failures are counted.
    pub fn rule(&self) -> String {
        match self {
            Self::Broken(violations) => violations[0].rule.to_owned(),
            Self::Restless(_) => "restless".to_owned(),
            Self::WrongEnd(_) => "wrong end".to_owned(),
            Self::Writes(_) => "SAFETY-5".to_owned(),
            Self::Unsaid(_) => "source".to_owned(),
            Self::Lost(_) => "lost".to_owned(),
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Broken(violations) => {
                for violation in violations.iter().take(5) {
                    writeln!(f, "{violation}")?;
                }
                Ok(())
            }
            Self::Restless(why) => write!(f, "it does not come to rest: {why}"),
            Self::WrongEnd(why) => write!(f, "the wrong end: {why}"),
            Self::Writes(count) => write!(f, "SAFETY-5: {count} writes at rest"),
            Self::Unsaid(what) => write!(f, "not what the source says: {what}"),
            Self::Lost(what) => write!(f, "lost although nothing went wrong: {what}"),
        }
    }
}
