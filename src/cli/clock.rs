//! The command line's clock: the present instant, the pause between two looks, and how
//! long to go on looking.
//!
//! Nothing else in `cli` reads the clock; what needs the time takes it as an argument.

use std::time::Duration;

use jiff::Timestamp;
use tokio::time::Instant;

/// The time between two looks at the store, for commands that wait.
pub const POLL: Duration = Duration::from_millis(500);

/// The present instant.
#[expect(
    clippy::disallowed_methods,
    reason = "the command line is part of the shell: ages and commands carry the present instant"
)]
pub fn now() -> Timestamp {
    Timestamp::now()
}

/// Waits until it is time for the next look.
#[expect(
    clippy::disallowed_methods,
    reason = "a person waits for the store to change; it is looked at twice a second"
)]
pub async fn next_look() {
    tokio::time::sleep(POLL).await;
}

/// How long to wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Patience {
    /// So long.
    For(crate::api::Duration),
    /// Without end.
    Endless,
}

impl Patience {
    /// Reads an option in which 0 stands for ever.
    pub fn from_option(timeout: crate::api::Duration) -> Self {
        if timeout.is_zero() {
            Self::Endless
        } else {
            Self::For(timeout)
        }
    }

    /// The instant at which it is over, if it ever is.
    pub fn deadline(self) -> Option<Instant> {
        match self {
            Self::For(timeout) => Instant::now().checked_add(timeout.as_std()),
            Self::Endless => None,
        }
    }
}
