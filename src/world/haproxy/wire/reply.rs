//! Answers: which text belongs to which command, and whether it is a refusal.

use super::super::ApiLevel;
use super::{WireError, excerpt};

/// The answers to one line of commands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Replies {
    /// What the socket allows.
    pub level: ApiLevel,
    replies: Vec<Reply>,
}

/// The answer to one command; empty when it was done and there is nothing to say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply(String);

impl Replies {
    /// Splits what came for a line of `asked` commands, made by [`super::line`].
    ///
    /// # Errors
    /// When there are not as many answers as commands: what became of the others is not known.
    pub fn split(text: &str, asked: usize) -> Result<Self, WireError> {
        let mut replies = Vec::with_capacity(asked);
        let mut current = String::new();
        let mut level = None;
        for line in text.lines() {
            if let Some(found) = level_of(line) {
                level = Some(found);
                replies.push(Reply(std::mem::take(&mut current)));
            } else {
                current.push_str(line);
                current.push('\n');
            }
        }
        match level {
            Some(level) if replies.len() == asked && current.trim().is_empty() => {
                Ok(Self { level, replies })
            }
            _ => Err(WireError::Answers {
                asked,
                got: replies.len(),
                rest: excerpt(&current),
            }),
        }
    }

    /// The answers in the order of the commands.
    pub fn iter(&self) -> impl Iterator<Item = &Reply> {
        self.replies.iter()
    }

    /// The texts of the first `N` answers; empty where there are fewer.
    pub fn texts<const N: usize>(&self) -> [&str; N] {
        std::array::from_fn(|index| self.replies.get(index).map_or("", |reply| reply.0.as_str()))
    }
}

/// The level, if `line` is the answer to `show cli level`.
fn level_of(line: &str) -> Option<ApiLevel> {
    match line {
        "[6]: admin" => Some(ApiLevel::Admin),
        "[6]: operator" => Some(ApiLevel::Operator),
        "[6]: user" => Some(ApiLevel::User),
        _ => None,
    }
}

impl Reply {
    /// HAProxy's words, if it refused the command: lines of severity error or worse (0 to 3), and
    /// what is only a notice by its number: that it does not know the command.
    pub fn error(&self) -> Option<String> {
        let words: Vec<_> = self.0.lines().filter_map(refusal).collect();
        (!words.is_empty()).then(|| words.join(" "))
    }
}

fn refusal(line: &str) -> Option<&str> {
    let (severity, words) = line.strip_prefix('[')?.split_once("]: ")?;
    let severity: u8 = severity.parse().ok()?;
    if words.starts_with("Unknown command") {
        return words.split([',', ':', '.']).next();
    }
    (severity <= 3).then_some(words)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What 2.6.12 sent for: add; enable; add again; an unknown command; weigh; del with open
    /// requests; del.
    const MIXED: &str = include_str!("../../../../tests/wire/haproxy-2.6-changes.txt");

    #[test]
    fn each_answer_is_found_although_not_all_end_alike() {
        let replies = Replies::split(MIXED, 7).expect("seven answers");
        assert_eq!(replies.level, ApiLevel::Admin);
        let errors: Vec<_> = replies.iter().map(Reply::error).collect();
        let some = |words: &str| Some(words.to_owned());
        assert_eq!(
            errors,
            [
                None,
                None,
                some("Already exists a server with the same name in backend."),
                some("Unknown command"),
                None,
                some("Only servers in maintenance mode can be deleted."),
                None,
            ]
        );
    }

    #[test]
    fn half_an_answer_is_an_error_that_tells_what_was_said() {
        let half = &MIXED[..MIXED.len() / 2];
        let error = Replies::split(half, 7).expect_err("half an answer");
        assert!(
            matches!(error, WireError::Answers { asked: 7, .. }),
            "{error}"
        );
        assert!(Replies::split("", 0).is_err());
        assert!(Replies::split("HTTP/1.0 400 Bad request\n", 1).is_err());
    }
}
