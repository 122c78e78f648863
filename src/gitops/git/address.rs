//! What may be asked of `git`: repositories, branches and folders that cannot be taken for options, for programs to be
//! run, or for places outside the repository; and that hold no secret.

use std::fmt;
use std::str::FromStr;

/// The address of a repository: `https://…`, `ssh://…`, `user@host:path`, `file:///…` or `/…`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Url(String);

/// The name of a branch.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Branch(String);

/// A folder of a repository, without `/` at its ends; empty for the whole.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Folder(String);

/// Why something cannot be asked of `git`, and what can.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct GitAddressError(String);

fn refuse<T>(message: impl Into<String>) -> Result<T, GitAddressError> {
    Err(GitAddressError(message.into()))
}

fn is_odd(c: char) -> bool {
    c.is_control() || c.is_whitespace()
}

impl Url {
    /// The address as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The path, if it is one on this machine.
    pub fn local(&self) -> Option<&str> {
        let path = self.0.strip_prefix("file://").unwrap_or(&self.0);
        path.starts_with('/').then_some(path)
    }

    /// `https://host[:port]`, if it is such an address.
    pub fn https_origin(&self) -> Option<&str> {
        let rest = self.0.strip_prefix("https://")?;
        let end = rest.find('/').unwrap_or(rest.len());
        Some(&self.0[.."https://".len() + end])
    }
}

impl FromStr for Url {
    type Err = GitAddressError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.is_empty() || text.starts_with('-') || text.contains(is_odd) {
            return refuse(format!("this is no address of a repository; {KNOWN}"));
        }
        match text.split_once("://") {
            Some((scheme, rest)) => with_scheme(scheme, rest)?,
            None if text.starts_with('/') => {}
            None => on_host(text)?,
        }
        Ok(Self(text.to_owned()))
    }
}

/// What an address looks like.
const KNOWN: &str =
    "write https://HOST/PATH, ssh://USER@HOST/PATH, USER@HOST:PATH, file:///PATH or /PATH";

/// An address is a mark in the store and stands in each log. No error repeats it: there may be a secret in it.
const SHOWN: &str = "an address is stored and shown";

/// Whether `scheme://rest` may be asked for.
fn with_scheme(scheme: &str, rest: &str) -> Result<(), GitAddressError> {
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let user = authority.rsplit_once('@').map(|(user, _)| user);
    match (scheme, user) {
        ("https", Some(_)) => refuse(format!(
            "{SHOWN}, and may hold no user or token; name the file of the token by --token-file and its user by --username"
        )),
        ("ssh", Some(user)) if user.contains(':') => refuse(format!(
            "{SHOWN}, and may hold no password; name the file of the key by --ssh-key"
        )),
        ("https" | "ssh", _) if rest.contains(['?', '#']) => refuse(format!(
            "{SHOWN}, and may hold nothing after `?` or `#`, where tokens stand; leave that out, and name the file of the token by --token-file"
        )),
        ("https" | "ssh", _)
            if authority.trim_start_matches(['@', '-']) != authority || authority.is_empty() =>
        {
            refuse(format!("this address has no host; {KNOWN}"))
        }
        ("https" | "ssh", _) => Ok(()),
        ("file", _) if rest.starts_with('/') => Ok(()),
        ("http", _) => refuse("http:// would show a token to everybody on the way; write https://"),
        _ => refuse(format!("only https, ssh and file are spoken; {KNOWN}")),
    }
}

/// Whether `user@host:path` may be asked for.
fn on_host(text: &str) -> Result<(), GitAddressError> {
    let no_address = || refuse(format!("this is no address of a repository; {KNOWN}"));
    let Some((host, path)) = text.split_once(':') else {
        return no_address();
    };
    // `ext::sh -c …` would run a program.
    if path.starts_with(':') || path.is_empty() || host.contains('/') {
        return no_address();
    }
    let name = host.rsplit_once('@').map_or(host, |(_, name)| name);
    if name.is_empty() || name.starts_with('-') {
        return refuse(format!("this address has no host; {KNOWN}"));
    }
    let schemes = ["http", "https", "ssh", "git", "file"];
    if schemes.contains(&host.to_ascii_lowercase().as_str()) {
        return refuse(format!("`//` is missing after the first `:`; {KNOWN}"));
    }
    // As in `oauth2:TOKEN@host/path`.
    if path.contains('@') {
        return refuse(format!(
            "{SHOWN}, and may hold no token or password: there is an `@` after the first `:`; {KNOWN}, and name the file of a token by --token-file"
        ));
    }
    Ok(())
}

impl Branch {
    /// The branch as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Branch {
    type Err = GitAddressError;

    /// As `git check-ref-format --branch` has it.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let odd = |c: char| is_odd(c) || "~^:?*[\\".contains(c);
        let is_sound = !text.is_empty()
            && !text.starts_with(['-', '/'])
            && !text.ends_with(['/', '.'])
            && !text.contains(odd)
            && !["..", "@{", "//"].iter().any(|part| text.contains(part))
            && text != "@"
            && text.split('/').all(|part| {
                !part.starts_with('.') && !part.to_ascii_lowercase().ends_with(".lock")
            });
        if is_sound {
            return Ok(Self(text.to_owned()));
        }
        refuse("this is no name of a branch; write one as `git branch` lists it, such as main")
    }
}

/// Which branches are meant: one by its name, or all that match a pattern in which `*` stands for any letters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BranchPattern(String);

impl BranchPattern {
    /// The pattern as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The one branch that it names; none if it is for all that match.
    pub fn exact(&self) -> Option<Branch> {
        (!self.0.contains('*')).then(|| Branch(self.0.clone()))
    }

    /// Whether `branch` is meant. As in a refspec of git, `*` stands for `/` too.
    pub fn matches(&self, branch: &Branch) -> bool {
        let Some((first, rest)) = self.0.split_once('*') else {
            return self.0 == branch.0;
        };
        let Some(mut left) = branch.0.strip_prefix(first) else {
            return false;
        };
        let mut parts: Vec<&str> = rest.split('*').collect();
        let last = parts.pop().unwrap_or_default();
        for part in parts {
            match left.find(part) {
                Some(at) => left = &left[at + part.len()..],
                None => return false,
            }
        }
        left.ends_with(last)
    }
}

impl FromStr for BranchPattern {
    type Err = GitAddressError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let _: Branch = text.replace('*', "x").parse()?;
        Ok(Self(text.to_owned()))
    }
}

impl fmt::Display for Branch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Folder {
    /// The folder as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The path in the repository of what is at `path` in the folder.
    pub fn join(&self, path: &str) -> String {
        match self.as_str() {
            "" => path.to_owned(),
            folder => format!("{folder}/{path}"),
        }
    }
}

impl FromStr for Folder {
    type Err = GitAddressError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut names = Vec::new();
        for name in text.split('/') {
            match name {
                "" | "." => {}
                ".." => {
                    return refuse("a folder is named from the repository's root, without `..`");
                }
                name if name.chars().any(char::is_control) => {
                    return refuse("a folder's name has no control characters");
                }
                name => names.push(name),
            }
        }
        Ok(Self(names.join("/")))
    }
}

impl fmt::Display for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_runs_no_program_is_no_option_and_holds_no_secret() {
        for good in [
            "https://git.example/team/specs.git",
            "https://git.example:8443/specs",
            "ssh://git@git.example:22/specs.git",
            "git@git.example:team/specs.git",
            "file:///srv/specs.git",
            "/srv/specs",
        ] {
            assert!(good.parse::<Url>().is_ok(), "{good}");
        }
        for bad in [
            "",
            "-u",
            "--upload-pack=touch /tmp/x",
            "ext::sh -c touch",
            "ext::sh",
            "fd::7",
            "http://git.example/specs",
            "https://user:secret@git.example/specs",
            "https://secret@git.example/specs",
            "ssh://git:secret@git.example/specs",
            "git://git.example/specs",
            "https://",
            "ssh://-oProxyCommand=x/specs",
            "-oProxyCommand=x:specs",
            "git@-oProxyCommand=x:specs",
            "specs",
            "../specs",
            "https://git.example/a b",
            "file://host/specs",
            "a\nb:c",
            "oauth2:secret@git.example/specs.git",
            "git:secret@git.example:team/specs.git",
            "https:/user:secret@git.example/specs",
            "https:user@git.example/specs",
            "HTTPS:/secret/specs",
            "http:/git.example/secret",
            "ssh:/git@git.example/secret",
            "git:/git.example/secret",
            "file:/srv/secret",
            "https://git.example/specs.git?private_token=secret",
            "https://git.example/specs.git#secret",
            "https://git.example?secret",
            "ssh://git@git.example/specs?secret",
        ] {
            let error = bad.parse::<Url>().expect_err(bad).to_string();
            assert!(!error.contains("secret"), "{error}");
        }
    }

    #[test]
    fn a_pattern_means_the_branches_that_match_it() {
        let matches = |pattern: &str, branch: &str| {
            let pattern: BranchPattern = pattern.parse().expect(pattern);
            pattern.matches(&branch.parse().expect(branch))
        };
        for (pattern, branch) in [
            ("main", "main"),
            ("test/*", "test/a"),
            ("test/*", "test/a/b"),
            ("*", "main"),
            ("a*b*c", "aXbYbZc"),
            ("*-rc*", "1-rc-rc2"),
        ] {
            assert!(matches(pattern, branch), "{pattern} {branch}");
        }
        for (pattern, branch) in [
            ("main", "main2"),
            ("test/*", "tests/a"),
            ("a*a", "a"),
            ("a*b*c", "acb"),
            ("*x", "xy"),
        ] {
            assert!(!matches(pattern, branch), "{pattern} {branch}");
        }
        for bad in ["", "-*", "a b*", "[ab]", "a?", "../*"] {
            assert!(bad.parse::<BranchPattern>().is_err(), "{bad}");
        }
    }

    #[test]
    fn a_branch_and_a_folder_stay_what_they_are() {
        for good in ["main", "release/1.2", "a-b_c"] {
            assert!(good.parse::<Branch>().is_ok(), "{good}");
        }
        for bad in [
            "", "-x", "a..b", "a b", "a:b", "a^", "x.lock", ".x", "a/.b", "a//b", "a@{1}", "@",
        ] {
            assert!(bad.parse::<Branch>().is_err(), "{bad}");
        }
        assert_eq!(
            "/a//./b/"
                .parse::<Folder>()
                .map(|folder| folder.join("c.yaml"))
                .as_deref(),
            Ok("a/b/c.yaml")
        );
        assert_eq!(
            "".parse::<Folder>()
                .map(|folder| folder.join("c.yaml"))
                .as_deref(),
            Ok("c.yaml")
        );
        assert!("a/../b".parse::<Folder>().is_err());
    }
}
