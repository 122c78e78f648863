//! Branches that could not be read: each rests by itself for longer and longer, so that it stops no other one. Why it could
//! not be read is told elsewhere.

use std::collections::BTreeMap;
use std::time::Duration;

use super::program::GitError;
use super::{Branch, pauses, pauses_between};
use crate::retry::Backoff;

/// The pauses of a branch that takes longer than its time limit: all others wait while it is tried.
const COSTLY: (Duration, Duration) = (Duration::from_secs(60), Duration::from_secs(15 * 60));

/// The branches that could not be read. Instants are those of [`crate::runtime::Runtime::steady`].
pub(super) struct Suspects {
    interval: Duration,
    rests: BTreeMap<Branch, Rest>,
}

struct Rest {
    cost: Cost,
    backoff: Backoff,
    until: Duration,
}

/// What it costs to try again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Cost {
    /// It is refused soon.
    Little,
    /// The whole time limit.
    Much,
}

impl Suspects {
    /// None yet, of a repository that is looked at every `interval`.
    pub const fn new(interval: Duration) -> Self {
        Self {
            interval,
            rests: BTreeMap::new(),
        }
    }

    /// A branch could not be read at `now`; within which time it is tried again.
    pub fn note(&mut self, branch: &Branch, problem: &GitError, now: Duration) -> Duration {
        let cost = if matches!(problem, GitError::Late { .. }) {
            Cost::Much
        } else {
            Cost::Little
        };
        let (first, longest) = (COSTLY.0.max(self.interval), COSTLY.1.max(self.interval));
        let backoff = || match cost {
            Cost::Little => pauses(self.interval),
            Cost::Much => pauses_between(first, longest),
        };
        let rest = self.rests.entry(branch.clone()).or_insert_with(|| Rest {
            cost,
            backoff: backoff(),
            until: now,
        });
        if rest.cost != cost {
            (rest.cost, rest.backoff) = (cost, backoff());
        }
        let longest = match cost {
            Cost::Little => self.interval,
            Cost::Much => longest,
        };
        rest.until = now + rest.backoff.next_delay().unwrap_or(longest);
        longest
    }

    /// Whether a branch could not be read the last time.
    pub fn knows(&self, branch: &Branch) -> bool {
        self.rests.contains_key(branch)
    }

    /// Whether it is not to be tried again yet at `now`.
    pub fn rests(&self, branch: &Branch, now: Duration) -> bool {
        let rest = self.rests.get(branch);
        rest.is_some_and(|rest| now < rest.until)
    }

    /// It could be read, or need not be.
    pub fn clear(&mut self, branch: &Branch) {
        self.rests.remove(branch);
    }

    /// Forgets the others.
    pub fn retain(&mut self, is_kept: impl Fn(&Branch) -> bool) {
        self.rests.retain(|branch, _| is_kept(branch));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seconds(number: u64) -> Duration {
        Duration::from_secs(number)
    }

    #[test]
    fn a_branch_that_costs_its_whole_time_limit_rests_for_longer_and_longer() {
        let mut suspects = Suspects::new(seconds(10));
        let branch: Branch = "test/big".parse().expect("a branch");
        let late = GitError::Late {
            what: "fetch test/big".to_owned(),
            limit: seconds(120),
        };
        let (mut now, mut pauses) = (seconds(0), Vec::new());
        for _ in 0..20 {
            assert_eq!(suspects.note(&branch, &late, now), seconds(900));
            let began = now;
            while suspects.rests(&branch, now) {
                now += seconds(1);
            }
            pauses.push(now.checked_sub(began).expect("later"));
        }
        assert!(pauses[0] >= seconds(30), "{pauses:?}");
        assert!(pauses[19] >= seconds(450), "{pauses:?}");
        // What is refused at once is tried at each look.
        let refused = GitError::Missing;
        assert_eq!(suspects.note(&branch, &refused, now), seconds(10));
        assert!(!suspects.rests(&branch, now + seconds(15)));
        assert!(suspects.knows(&branch));
        suspects.clear(&branch);
        assert!(!suspects.knows(&branch));
    }
}
