//! What `git`, and `ssh` behind it, say when they refuse: the lines that tell why, in one, with what to do about it.

use crate::api::brief;

/// What is said of a refusal, and what would be right.
const REMEDIES: [(&str, &str); 17] = [
    (
        "Host key verification failed",
        "put the host's key into the file of --known-hosts; `ssh-keyscan HOST` prints it, and the host's owner knows whether it is the right one",
    ),
    (
        "Permission denied (",
        "the host lets the key in --ssh-key not in; give it the public key, with the right to read",
    ),
    (
        "Authentication failed",
        "see that the token in --token-file is in force and may read the repository, and that --username is what the host wants with it",
    ),
    (
        "could not read Username",
        "name the file of a token by --token-file",
    ),
    (
        "could not read Password",
        "name the file of a token by --token-file",
    ),
    ("Could not resolve host", NAME),
    ("Connection refused", PORT),
    ("connect to server", PORT),
    ("timed out", FIREWALL),
    ("No route to host", FIREWALL),
    ("Network is unreachable", FIREWALL),
    ("not responding", FIREWALL),
    ("Connection closed by", LIMIT),
    ("Connection reset by", LIMIT),
    ("kex_exchange_identification", LIMIT),
    (
        "Unable to negotiate",
        "the host speaks no method that this ssh does; use a newer one on the side that is old",
    ),
    (
        "certificate",
        "name the certificates of who vouches for the host by --ca-file",
    ),
];

const NAME: &str =
    "see the host's name in --git, and that it can be resolved where the controller runs";
const PORT: &str = "see the host and its port in --git, and that it is up";
const FIREWALL: &str =
    "see that the host is up, and that no firewall stands between it and the controller";
const LIMIT: &str = "the host has hung up: it may limit connections or who may connect; see its log, and its port in --git";

/// How the lines begin that tell why: those of git, of the host, and of ssh.
const TELLING: [&str; 11] = [
    "fatal:",
    "error:",
    "remote:",
    "ssh:",
    "kex_",
    "Connection",
    "client_loop:",
    "Timeout, server",
    "Received disconnect",
    "Unable to negotiate",
    "Load key",
];

/// What follows a number that differs each time.
const UNITS: [&str; 6] = ["ms", "milliseconds", "seconds", "bytes", "out", "bytes/sec"];

/// The lines that tell why, in one, and the remedy if it is known.
pub(super) fn gist(said: &str) -> String {
    let lines: Vec<&str> = said
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty())
        .collect();
    let is_telling =
        |line: &&&str| TELLING.iter().any(|mark| line.starts_with(mark)) || remedy(line).is_some();
    let telling: Vec<&str> = lines.iter().filter(is_telling).copied().collect();
    let chosen = if telling.is_empty() { lines } else { telling };
    if chosen.is_empty() {
        return "nothing".to_owned();
    }
    let text = brief(&steady(&chosen.join(" ")));
    match chosen.iter().find_map(|line| remedy(line)) {
        Some(remedy) => format!("{text}; {remedy}"),
        None => text,
    }
}

/// The text without what differs each time, as in curl's "after 135 ms": what reads otherwise counts as news, and is told
/// and stored each time.
fn steady(text: &str) -> String {
    let words: Vec<&str> = text.split(' ').collect();
    let is_counted = |at: usize| {
        let next = words.get(at + 1).copied().unwrap_or_default();
        UNITS.contains(&next.trim_end_matches([':', ',', '.', ')']))
    };
    let is_number = |word: &str| !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_digit());
    let steady = words.iter().enumerate().map(|(at, word)| {
        if is_number(word) && is_counted(at) {
            "…"
        } else {
            word
        }
    });
    steady.collect::<Vec<_>>().join(" ")
}

fn remedy(line: &str) -> Option<&'static str> {
    let mut known = REMEDIES.iter();
    let found = known.find(|(words, _)| line.contains(words));
    found.map(|(_, remedy)| *remedy)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_many_lines_those_that_tell_why_are_kept() {
        assert_eq!(
            gist("Cloning\n\nfatal: no such thing\n"),
            "fatal: no such thing"
        );
        assert_eq!(gist("odd\n"), "odd");
        assert_eq!(gist(""), "nothing");
    }

    #[test]
    fn what_ssh_says_is_not_lost_behind_what_git_says() {
        let said = gist(
            "git@host: Permission denied (publickey).\nfatal: Could not read from remote repository.\n",
        );
        assert!(
            said.starts_with("git@host: Permission denied (publickey). fatal: Could not"),
            "{said}"
        );
        assert!(said.contains("--ssh-key"), "{said}");
    }

    #[test]
    fn what_ssh_says_of_the_way_to_the_host_is_told_with_its_remedy() {
        let last = "fatal: Could not read from remote repository.";
        for (line, remedy) in [
            (
                "ssh: Could not resolve hostname git.exmple: Name or service not known",
                "--git",
            ),
            (
                "ssh: connect to host git.example port 22: Connection refused",
                "port",
            ),
            (
                "ssh: connect to host git.example port 22: Connection timed out",
                "firewall",
            ),
            (
                "ssh: connect to host git.example port 22: No route to host",
                "firewall",
            ),
            (
                "kex_exchange_identification: Connection closed by remote host",
                "limit",
            ),
            ("Connection closed by 10.0.0.1 port 22", "limit"),
            ("Connection reset by 10.0.0.1 port 22", "limit"),
            (
                "Connection to git.example timed out while waiting to read",
                "firewall",
            ),
            ("Connection timed out during banner exchange", "firewall"),
        ] {
            let said = gist(&format!("odd\n{line}\n{last}\n"));
            let start = format!("{line} {last}; ");
            let told = said.strip_prefix(&start);
            assert!(told.is_some_and(|told| told.contains(remedy)), "{said}");
        }
        // git tells the same of https, and of a local path.
        let said = gist("fatal: unable to access 'https://git.example/': Connection refused\n");
        assert!(said.contains("port"), "{said}");
    }

    #[test]
    fn safety_5_what_differs_each_time_is_left_out() {
        let said = |millis: u32| {
            gist(&format!(
                "fatal: unable to access 'https://git.example/': Failed to connect to git.example port 443 after {millis} ms: Couldn't connect to server"
            ))
        };
        assert_eq!(said(3), said(135_152));
        assert!(
            said(3).contains("port 443 after … ms: Couldn't"),
            "{}",
            said(3)
        );
        let cut = |bytes: u32| {
            gist(&format!(
                "error: Operation timed out after 30001 milliseconds with {bytes} out of 9 bytes received"
            ))
        };
        assert_eq!(cut(1), cut(2));
    }
}
