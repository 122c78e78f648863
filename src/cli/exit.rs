//! How a command ends: the exit codes, and the failures that lead to them.

use std::io;
use std::process::ExitCode;

use crate::world::WorldError;
use crate::world::docker::ConnectError;

/// How a command ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// It did what it was asked, or the answer is yes.
    Done,
    /// The answer is no: invalid, different, Degraded, refused.
    No,
    /// The command line or a file that it names makes no sense.
    Usage,
    /// The time limit passed first.
    TimedOut,
    /// The world could not be reached, or is of no use: no manager, no permission.
    Unreachable,
    /// Ctrl-C (128 + SIGINT).
    Interrupted,
    /// SIGTERM a second time, before a graceful end (128 + SIGTERM).
    Terminated,
    /// Nobody reads the output any more (128 + SIGPIPE).
    BrokenPipe,
}

impl Exit {
    /// The process's exit code.
    pub const fn code(self) -> u8 {
        match self {
            Self::Done => 0,
            Self::No => 1,
            Self::Usage => 2,
            Self::TimedOut => 3,
            Self::Unreachable => 4,
            Self::Interrupted => 130,
            Self::BrokenPipe => 141,
            Self::Terminated => 143,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.code())
    }
}

/// Why a command did not come to its end. Each message tells what was being done and the remedy.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// The command line, or a file that it names, makes no sense.
    #[error("{0}")]
    Usage(String),
    /// The answer is no.
    #[error("{0}")]
    No(String),
    /// The answer is no, and everything about it has been printed.
    #[error("the answer is no")]
    Told,
    /// The time limit passed.
    #[error("{0}")]
    TimedOut(String),
    /// The world did not do what it was asked.
    #[error("{}", with_remedy(.0))]
    World(#[from] WorldError),
    /// The output could not be written.
    #[error("cannot write the output: {0}")]
    Output(#[from] io::Error),
}

impl From<ConnectError> for Failure {
    /// Which Swarm is meant is a matter of the command line and the environment.
    fn from(error: ConnectError) -> Self {
        match error {
            ConnectError::Settings(_) => Self::Usage(error.to_string()),
            ConnectError::Engine { address, reason } => Self::World(WorldError::Unreachable {
                what: format!("connect to the Swarm at {address}"),
                reason,
            }),
            ConnectError::HttpClient { reason } => Self::World(WorldError::Unreachable {
                what: "set up the HTTP client for metric sources".to_owned(),
                reason,
            }),
        }
    }
}

/// What the world said. The loops read again by themselves after a conflict; a command does not.
fn with_remedy(error: &WorldError) -> String {
    match error {
        WorldError::Conflict { .. } => format!("{error}; run the command again"),
        WorldError::Refused { .. } | WorldError::Unreachable { .. } => error.to_string(),
    }
}

impl Failure {
    /// The way in which a command that fails like this ends.
    pub fn exit(&self) -> Exit {
        match self {
            Self::Usage(_) => Exit::Usage,
            Self::TimedOut(_) => Exit::TimedOut,
            Self::Output(error) if error.kind() == io::ErrorKind::BrokenPipe => Exit::BrokenPipe,
            // Who refuses to answer has not said no to what was asked.
            Self::World(WorldError::Unreachable { .. } | WorldError::Refused { .. })
            | Self::Output(_) => Exit::Unreachable,
            Self::No(_) | Self::Told | Self::World(WorldError::Conflict { .. }) => Exit::No,
        }
    }

    /// Whether there is something to say that has not been said.
    pub fn is_untold(&self) -> bool {
        !matches!(self, Self::Told) && self.exit() != Exit::BrokenPipe
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_are_a_matter_of_usage_and_what_lies_beyond_is_not() {
        let engine = ConnectError::Engine {
            address: "unix:///run/docker.sock".to_owned(),
            reason: "refused".to_owned(),
        };
        let client = ConnectError::HttpClient {
            reason: "too many open files".to_owned(),
        };
        let settings = ConnectError::Settings("two contexts".to_owned());
        assert_eq!(Failure::from(settings).exit(), Exit::Usage);
        assert_eq!(Failure::from(engine).exit(), Exit::Unreachable);
        let failure = Failure::from(client);
        assert_eq!(failure.exit(), Exit::Unreachable);
        let told = failure.to_string();
        assert!(told.contains("too many open files"), "{told}");
        assert!(!told.contains("Docker"), "{told}");
    }
}
