//! A branch's name as a part of a resource's name.

/// Why a branch cannot stand in a name, and what to do about it.
pub(super) struct Fault {
    pub problem: String,
    pub remedy: String,
}

/// `name` with the branch, as a DNS label, for each `{{ branch }}`; with at most `longest` characters if the branch can
/// be cut to that.
pub(super) fn fill_in(name: &str, branch: Option<&str>, longest: usize) -> Result<String, Fault> {
    let parts = split(name);
    let places = parts.len() - 1;
    if places == 0 {
        return Ok(name.to_owned());
    }
    let branch = branch.ok_or_else(|| Fault {
        problem: "`{{ branch }}` stands for a branch, and none is named".to_owned(),
        remedy: "add `--branch NAME`".to_owned(),
    })?;
    let said: usize = parts.iter().map(|part| part.chars().count()).sum();
    let label = label(branch, longest.saturating_sub(said) / places);
    if label.is_empty() {
        return Err(Fault {
            problem: format!("no letter or digit of the branch `{branch}` can stand here"),
            remedy:
                "name the branch with a-z and 0-9, or write a shorter name around `{{ branch }}`"
                    .to_owned(),
        });
    }
    Ok(parts.join(&label))
}

/// The pieces of `name` between the placeholders.
fn split(name: &str) -> Vec<&str> {
    let mut parts = Vec::new();
    let (mut begin, mut at) = (0, 0);
    while let Some(open) = name[at..].find("{{").map(|open| at + open) {
        let Some(close) = name[open..].find("}}").map(|close| open + close) else {
            break;
        };
        at = close + "}}".len();
        if name[open + "{{".len()..close].trim() == "branch" {
            parts.push(&name[begin..open]);
            begin = at;
        }
    }
    parts.push(&name[begin..]);
    parts
}

/// A branch as GitLab's `CI_COMMIT_REF_SLUG` has it: lower case, `-` for everything but letters and digits, at most
/// `longest` characters, and no `-` at the ends.
pub(crate) fn label(branch: &str, longest: usize) -> String {
    let letters = branch.chars().flat_map(char::to_lowercase);
    let plain: String = letters
        .map(|c| if c.is_ascii_alphanumeric() { c } else { '-' })
        .collect();
    let cut: String = plain
        .trim_start_matches('-')
        .chars()
        .take(longest)
        .collect();
    cut.trim_end_matches('-').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_branch_becomes_a_label() {
        for (branch, expected) in [
            ("master", "master"),
            ("test/Login_Form", "test-login-form"),
            ("-Ä1-", "1"),
            ("a--b", "a--b"),
            ("___", ""),
        ] {
            assert_eq!(label(branch, 63), expected, "{branch}");
        }
        assert_eq!(label("abc-def", 4), "abc");
    }

    #[test]
    fn a_name_is_never_longer_than_it_may_be() {
        let fill = |name: &str, branch: &str| fill_in(name, Some(branch), 12).ok();
        assert_eq!(fill("web", "x"), Some("web".to_owned()));
        assert_eq!(
            fill("web-{{branch}}", "feature/long"),
            Some("web-feature".to_owned())
        );
        assert_eq!(
            fill("{{ branch }}-{{ branch }}", "abcdefgh"),
            Some("abcde-abcde".to_owned())
        );
        assert_eq!(fill("{{ commit }}", "x"), Some("{{ commit }}".to_owned()));
        assert_eq!(fill("a-rather-long-{{ branch }}", "x"), None);
        assert!(fill_in("web-{{ branch }}", None, 12).is_err());
    }
}
