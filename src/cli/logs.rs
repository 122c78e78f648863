//! Where log lines go (standard error), how they look, and which are written.

use std::io::{self, IsTerminal};

use tracing_subscriber::EnvFilter;

use super::args::{Command, Global, LogFormat};

/// The environment variable that takes a filter, in the syntax of `tracing_subscriber::EnvFilter`.
const FILTER: &str = "ROLLOUTCTL_LOG";

/// Starts logging for the whole process.
///
/// # Errors
/// A sentence for the user when the filter in the environment cannot be read.
pub fn start(global: &Global, command: &Command) -> Result<(), String> {
    let role = Role::of(command);
    let filter = match std::env::var(FILTER) {
        Ok(filter) if !filter.is_empty() => EnvFilter::try_new(&filter)
            .map_err(|error| format!("{FILTER}={filter} is not a log filter: {error}"))?,
        _ => EnvFilter::new(default_filter(global.verbose, role)),
    };
    let on_terminal = io::stderr().is_terminal();
    let coloured = on_terminal && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
    let shape = match (global.log_format, role) {
        (LogFormat::Auto, Role::Serves) if !on_terminal => LogFormat::Json,
        (LogFormat::Auto, Role::Serves | Role::Answers | Role::Plays) => LogFormat::Pretty,
        (chosen, Role::Serves | Role::Answers | Role::Plays) => chosen,
    };
    let builder = tracing_subscriber::fmt()
        .with_writer(io::stderr)
        .with_env_filter(filter)
        .with_ansi(coloured);
    // A second start, as in tests, keeps the first one's settings.
    drop(match shape {
        LogFormat::Json => builder.json().flatten_event(true).try_init(),
        LogFormat::Pretty | LogFormat::Auto => builder.try_init(),
    });
    Ok(())
}

/// What a command is there for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Role {
    /// It answers, and needs no log unless asked.
    Answers,
    /// It runs for ever, and tells what it does.
    Serves,
    /// It plays controllers in worlds that there are not: their warnings are nobody's.
    Plays,
}

impl Role {
    const fn of(command: &Command) -> Self {
        match command {
            Command::Controller(_) | Command::Collector(_) => Self::Serves,
            Command::Simulate(_) => Self::Plays,
            Command::Apply(_)
            | Command::Delete(_)
            | Command::Diff(_)
            | Command::Validate(_)
            | Command::Get(_)
            | Command::Describe(_)
            | Command::Status(_)
            | Command::Promote(_)
            | Command::Pause(_)
            | Command::Resume(_)
            | Command::Abort(_)
            | Command::Retry(_)
            | Command::Preflight(_)
            | Command::Schema(_)
            | Command::History(_)
            | Command::Undo(_)
            | Command::Import(_)
            | Command::Completion(_) => Self::Answers,
        }
    }
}

const fn default_filter(verbose: u8, role: Role) -> &'static str {
    match (verbose, role) {
        (0, Role::Plays) => "off",
        (0, Role::Answers) | (1, Role::Plays) => "warn",
        (0, Role::Serves) | (1, Role::Answers) | (2, Role::Plays) => "info",
        (1, Role::Serves) | (2, Role::Answers) => "info,rolloutctl=debug",
        (_, Role::Answers | Role::Serves | Role::Plays) => "debug,rolloutctl=trace",
    }
}
