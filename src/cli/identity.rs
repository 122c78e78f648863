//! Who acts: the user who gives a command, and the process that holds the lease.

use crate::api::Actor;

/// Who asks: `user@host`, for the record.
pub fn actor() -> Actor {
    let user = ["USER", "LOGNAME"]
        .into_iter()
        .filter_map(|name| std::env::var(name).ok())
        .find(|value| !value.is_empty())
        // A shell that is no login, as a job of CI has, may have neither.
        .or_else(|| whoami::username().ok())
        .unwrap_or_else(|| "unknown".to_owned());
    Actor(format!("{user}@{}", hostname()))
}

/// The host's name and the process id.
pub fn process() -> String {
    format!("{}/{}", hostname(), std::process::id())
}

fn hostname() -> String {
    whoami::hostname().unwrap_or_else(|_| "localhost".to_owned())
}
