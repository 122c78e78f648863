//! The runtime API's text, purely: typed values to command lines, answers to facts.
//!
//! No socket here, and no choice. The text is that of the management guide, section 9.3; columns are
//! read by name, because newer versions add some. What may be written in a command is narrow: names
//! are checked letter by letter, so that nothing from a manifest can become syntax (TRAFFIC-7).

mod command;
mod fact;
mod reply;
mod table;

pub use command::{Command, CommandKind, commands, line, lines};
pub use fact::proxy_fact;
pub use reply::{Replies, Reply};
pub use table::{Info, Row, ServerStates, Stats};

/// Why a command was not written or an answer not understood.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WireError {
    /// A name that HAProxy would not have in its configuration either.
    #[error(
        "`{0}` cannot be the name of a back end or server; HAProxy's names are made of letters, digits, `-`, `_`, `.` and `:`"
    )]
    Name(String),
    /// Fewer or more answers than commands.
    #[error(
        "HAProxy answered {got} of {asked} commands; it may have been stopped in between{}",
        said(.rest)
    )]
    Answers {
        /// How many commands there were.
        asked: usize,
        /// How many were answered.
        got: usize,
        /// What it said besides, in part.
        rest: String,
    },
    /// An answer that is not what the management guide says.
    #[error(
        "HAProxy's answer to `{command}` has no {missing}; this needs HAProxy 2.6 or later{}",
        said(.text)
    )]
    Answer {
        /// The command.
        command: &'static str,
        /// What is not there.
        missing: String,
        /// What stands there instead, in part.
        text: String,
    },
}

fn said(text: &str) -> String {
    if text.is_empty() {
        String::new()
    } else {
        format!("; it said: {text:?}")
    }
}

/// The beginning of `text`, for an error: one line of at most 120 characters.
fn excerpt(text: &str) -> String {
    const LENGTH: usize = 120;
    let line = text.trim().lines().next().unwrap_or_default();
    line.chars().take(LENGTH).collect()
}
