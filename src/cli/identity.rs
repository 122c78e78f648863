//! Who acts: the user who gives a command, and the process that holds the lease.

use crate::api::Actor;

/// Who asks: `user@host`, for the record.
pub fn actor() -> Actor {
    let user = user(|name| std::env::var(name).ok());
    Actor(format!("{user}@{}", hostname()))
}

/// The user by the environment, or else by the account: a shell that is no login, as a job of CI has, may have neither
/// variable.
fn user(variable: impl Fn(&str) -> Option<String>) -> String {
    let by_environment = ["USER", "LOGNAME"].into_iter().filter_map(variable);
    by_environment
        .chain(whoami::username().ok())
        .find(|user| !user.is_empty())
        .unwrap_or_else(|| "unknown".to_owned())
}

/// The host's name and the process id.
pub fn process() -> String {
    format!("{}/{}", hostname(), std::process::id())
}

fn hostname() -> String {
    whoami::hostname().unwrap_or_else(|_| "localhost".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_without_a_login_shell_is_known_by_the_account() {
        let output = std::process::Command::new("id").arg("-un").output();
        let account = String::from_utf8(output.expect("id runs").stdout).expect("a name");
        assert_eq!(user(|_| None), account.trim());
        assert_eq!(user(|_| Some(String::new())), account.trim());
        let ana = |name: &str| (name == "LOGNAME").then(|| "ana".to_owned());
        assert_eq!(user(ana), "ana");
    }
}
