//! What `git`, and `ssh` behind it, say when they refuse: the lines that tell why, in one, with what to do about it.

use crate::api::brief;

/// What is said of a refusal, and what would be right.
const REMEDIES: [(&str, &str); 6] = [
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
    (
        "certificate",
        "name the certificates of who vouches for the host by --ca-file",
    ),
];

/// The lines that tell why, in one, and the remedy if it is known.
pub(super) fn gist(said: &str) -> String {
    let lines: Vec<&str> = said
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty())
        .collect();
    let is_telling = |line: &&&str| {
        let marks = ["fatal:", "error:", "remote:"];
        marks.iter().any(|mark| line.starts_with(mark)) || remedy(line).is_some()
    };
    let telling: Vec<&str> = lines.iter().filter(is_telling).copied().collect();
    let chosen = if telling.is_empty() { lines } else { telling };
    if chosen.is_empty() {
        return "nothing".to_owned();
    }
    let text = brief(&chosen.join(" "));
    match chosen.iter().find_map(|line| remedy(line)) {
        Some(remedy) => format!("{text}; {remedy}"),
        None => text,
    }
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
}
