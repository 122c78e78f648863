//! What a refusal of HAProxy means and what to do about it.

use super::wire::{Command, CommandKind, Replies};

/// A command that HAProxy refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Refusal {
    command: String,
    words: String,
    meaning: Meaning,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Meaning {
    /// Not now: a later look decides.
    Early(&'static str),
    /// No, and what to do.
    No(String),
}

/// What all refusals come to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Told {
    /// Nothing but preconditions that did not hold.
    Early(String),
    /// At least one real refusal.
    No(String),
}

/// What is told of `refusals`; nothing if there are none.
pub(super) fn told(refusals: &[Refusal]) -> Option<Told> {
    if refusals.is_empty() {
        return None;
    }
    let early = refusals
        .iter()
        .all(|refusal| matches!(refusal.meaning, Meaning::Early(_)));
    let text: Vec<_> = refusals.iter().map(Refusal::to_text).collect();
    let text = text.join("; ");
    Some(if early {
        Told::Early(text)
    } else {
        Told::No(text)
    })
}

impl Refusal {
    /// The refusals among `replies`, without those that say that it is done already.
    pub(super) fn of(commands: &[Command], replies: &Replies, backend: &str) -> Vec<Self> {
        commands
            .iter()
            .zip(replies.iter())
            .filter_map(|(command, reply)| {
                let words = reply.error()?;
                let meaning = meaning(command.kind(), &words, backend)?;
                Some(Self {
                    command: command.text().to_owned(),
                    words,
                    meaning,
                })
            })
            .collect()
    }

    fn to_text(&self) -> String {
        let remedy = match &self.meaning {
            Meaning::Early(remedy) => remedy,
            Meaning::No(remedy) => remedy.as_str(),
        };
        format!(
            "`{}` was refused (\"{}\"): {remedy}",
            self.command, self.words
        )
    }
}

/// What `words` mean as the answer to a command of `kind`; nothing when it is done already.
fn meaning(kind: CommandKind, words: &str, backend: &str) -> Option<Meaning> {
    let says = |part: &str| {
        words
            .to_ascii_lowercase()
            .contains(&part.to_ascii_lowercase())
    };
    match kind {
        CommandKind::Add if says("already exists") => return None,
        CommandKind::Delete if says("no such server") => return None,
        CommandKind::Delete if says("connections attached") || says("still has") => {
            return Some(Meaning::Early(
                "requests or idle connections are still attached to it; idle ones go at once, requests get until \
                 the drain timeout",
            ));
        }
        CommandKind::Delete if says("maintenance") => {
            return Some(Meaning::Early("it is not in maintenance yet"));
        }
        CommandKind::Add | CommandKind::Delete | CommandKind::Change | CommandKind::Show => {}
    }
    Some(Meaning::No(if says("dynamic load balancing") {
        format!(
            "give back end {backend} `balance roundrobin` (or `leastconn`, `random`) in haproxy.cfg and reload"
        )
    } else if says("no such backend") {
        format!(
            "add `backend {backend}` to this instance's haproxy.cfg and reload, or correct `traffic.backend`"
        )
    } else if says("permission denied") {
        "give the `stats socket` line in haproxy.cfg `level admin` and reload".to_owned()
    } else if says("no such server") {
        "HAProxy was reloaded or another hand removed it; it is added again after the next look"
            .to_owned()
    } else if says("unknown command") || says("unknown keyword") {
        "this needs HAProxy 2.6 or later; see what `show version` on its runtime API says"
            .to_owned()
    } else {
        "see what the management guide, section 9.3, says of this command".to_owned()
    }))
}
