//! What `git` is told besides its arguments: settings in place of the user's, and its whole environment. Secrets are
//! named by their files.

use std::fmt::Write as _;
use std::path::Path;

use super::{GitAccess, Url};

/// What of the environment `git` needs to reach the world.
const PASSED_ON: [&str; 14] = [
    "PATH",
    "HOME",
    "LANG",
    "TMPDIR",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
    "GIT_SSL_CAINFO",
    "HTTPS_PROXY",
    "https_proxy",
    "ALL_PROXY",
    "all_proxy",
    "NO_PROXY",
    "no_proxy",
    "SSH_AUTH_SOCK",
];

/// Gives `git` the token when it asks for one, and takes nothing.
const HELPER: &str = r#"!f() { test "$1" = get || exit 0; printf 'username=%s\npassword=%s\n' "$ROLLOUTCTL_GIT_USERNAME" "$(head -n 1 -- "$ROLLOUTCTL_GIT_TOKEN_FILE" | tr -d '\r\n')"; }; f"#;

/// What `git` reads in place of the user's settings.
pub(super) fn settings(url: &Url, access: &GitAccess) -> String {
    let quoted = |text: &str| format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""));
    // Writing to a string cannot fail.
    let mut text = String::new();
    if let (Some(origin), Some(_)) = (url.https_origin(), &access.token_file) {
        // For this host alone: where it may send us has no right to the token.
        let _ = write!(
            text,
            "[credential {}]\n\thelper = {}\n",
            quoted(origin),
            quoted(HELPER)
        );
    }
    if let Some(path) = url.local() {
        // The user has named it: that it is another user's is no reason to refuse it.
        for path in [
            path.to_owned(),
            format!("{}/.git", path.trim_end_matches('/')),
        ] {
            let _ = write!(text, "[safe]\n\tdirectory = {}\n", quoted(&path));
        }
    }
    text
}

/// The variables that `git` gets; it gets no others.
pub(super) fn environment(access: &GitAccess, directory: &Path) -> Vec<(String, String)> {
    let inherited = PASSED_ON
        .iter()
        .filter_map(|name| Some(((*name).to_owned(), std::env::var(name).ok()?)));
    let mut all: Vec<(String, String)> = inherited.collect();
    let mut set = |name: &str, value: String| all.push((name.to_owned(), value));
    set("GIT_DIR", directory.display().to_string());
    set("GIT_CONFIG_NOSYSTEM", "1".to_owned());
    set(
        "GIT_CONFIG_GLOBAL",
        directory.join("settings").display().to_string(),
    );
    set("GIT_ALLOW_PROTOCOL", "https:ssh:file".to_owned());
    set("GIT_TERMINAL_PROMPT", "0".to_owned());
    set("GIT_ASKPASS", "true".to_owned());
    set("LC_ALL", "C".to_owned());
    set("GIT_SSH_COMMAND", ssh(access));
    if let Some(file) = &access.ca_file {
        // It comes after what is passed on, and so before it.
        set("GIT_SSL_CAINFO", file.display().to_string());
    }
    if let Some(file) = &access.token_file {
        set("ROLLOUTCTL_GIT_USERNAME", access.username.clone());
        set("ROLLOUTCTL_GIT_TOKEN_FILE", file.display().to_string());
    }
    all
}

/// How `git` calls ssh. `git` gives this to a shell, so names are quoted.
fn ssh(access: &GitAccess) -> String {
    let mut words = vec!["ssh".to_owned()];
    let mut option = |text: String| words.extend(["-o".to_owned(), text]);
    option("BatchMode=yes".to_owned());
    option("StrictHostKeyChecking=yes".to_owned());
    // A host that answers no more is told as that, before the time limit ends everything without a reason.
    option("ConnectTimeout=15".to_owned());
    option("ServerAliveInterval=15".to_owned());
    option("ServerAliveCountMax=3".to_owned());
    if let Some(file) = &access.known_hosts {
        option(format!("UserKnownHostsFile=\"{}\"", file.display()));
    }
    if let Some(file) = &access.ssh_key {
        option("IdentitiesOnly=yes".to_owned());
        words.extend(["-i".to_owned(), file.display().to_string()]);
    }
    // No word holds a NUL: they come from arguments.
    shlex::try_join(words.iter().map(String::as_str)).unwrap_or_else(|_| "false".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn access() -> GitAccess {
        GitAccess {
            username: "git".to_owned(),
            token_file: Some("/run/secrets/token".into()),
            ssh_key: Some("/run/my keys/id'; touch x".into()),
            known_hosts: Some("/run/known hosts".into()),
            ca_file: Some("/run/my keys/ca.pem".into()),
        }
    }

    fn url(text: &str) -> Url {
        text.parse().expect("an address")
    }

    #[test]
    fn a_token_is_for_its_host_alone() {
        let text = settings(&url("https://git.example:8443/team/specs.git"), &access());
        assert!(
            text.starts_with("[credential \"https://git.example:8443\"]\n"),
            "{text}"
        );
        assert!(!settings(&url("/srv/specs"), &access()).contains("credential"));
    }

    #[test]
    fn ssh_asks_nobody_and_names_are_quoted() {
        let command = ssh(&access());
        let words = shlex::split(&command).expect("words");
        assert!(words.contains(&"BatchMode=yes".to_owned()), "{words:?}");
        assert!(
            words.contains(&"IdentitiesOnly=yes".to_owned()),
            "{words:?}"
        );
        for limit in [
            "ConnectTimeout=15",
            "ServerAliveInterval=15",
            "ServerAliveCountMax=3",
        ] {
            assert!(words.contains(&limit.to_owned()), "{words:?}");
        }
        assert_eq!(
            words.last().map(String::as_str),
            Some("/run/my keys/id'; touch x")
        );
        assert!(
            words.contains(&"UserKnownHostsFile=\"/run/known hosts\"".to_owned()),
            "{words:?}"
        );
    }
}
