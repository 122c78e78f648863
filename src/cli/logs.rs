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
    let serves = matches!(command, Command::Controller(_) | Command::Collector(_));
    let filter = match std::env::var(FILTER) {
        Ok(filter) if !filter.is_empty() => EnvFilter::try_new(&filter)
            .map_err(|error| format!("{FILTER}={filter} is not a log filter: {error}"))?,
        _ => EnvFilter::new(default_filter(global.verbose, serves)),
    };
    let on_terminal = io::stderr().is_terminal();
    let coloured = on_terminal && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
    let json = match global.log_format {
        LogFormat::Json => true,
        LogFormat::Pretty => false,
        LogFormat::Auto => serves && !on_terminal,
    };
    let builder = tracing_subscriber::fmt()
        .with_writer(io::stderr)
        .with_env_filter(filter)
        .with_ansi(coloured);
    // A second start, as in tests, keeps the first one's settings.
    drop(if json {
        builder.json().flatten_event(true).try_init()
    } else {
        builder.try_init()
    });
    Ok(())
}

/// Commands answer and need no log unless asked; what serves tells what it does.
const fn default_filter(verbose: u8, serves: bool) -> &'static str {
    match (verbose, serves) {
        (0, false) => "warn",
        (0, true) | (1, false) => "info",
        (1, true) | (2, false) => "info,rolloutctl=debug",
        _ => "debug,rolloutctl=trace",
    }
}
