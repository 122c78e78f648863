//! Several branches of one repository, which come and go: listed at each look, and those that have moved fetched at once.
//! What each says is laid on the desk under a place of its own.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tracing::info;

use super::program::{Git, GitError};
use super::{
    Branch, BranchPattern, COMMITS_KEPT, Folder, GitAccess, GitSource, Url, files, in_force,
    pauses, place,
};
use crate::api::{Commit, Place};
use crate::gitops::{Branches, Desk, Followed, Freshness, Listing, Presence, Standing};
use crate::runtime::Runtime;

/// The most branches of one repository that are followed.
pub const MAX_BRANCHES: usize = 50;

/// The branches that are followed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GitBranches {
    /// The repository.
    pub url: Url,
    /// Which branches; one of several patterns that a branch matches is the first.
    pub patterns: Vec<BranchPattern>,
    /// Where in the repository the manifests are.
    pub folder: Folder,
    /// The time between two looks.
    pub interval: Duration,
    /// How to get in.
    pub access: GitAccess,
}

impl GitBranches {
    /// Where all of them are.
    pub fn place(&self) -> Place {
        let patterns: Vec<_> = self.patterns.iter().map(BranchPattern::as_str).collect();
        place(&self.url, &patterns.join(","), &self.folder)
    }

    /// One of them.
    pub fn branch(&self, branch: &Branch) -> GitSource {
        GitSource {
            url: self.url.clone(),
            branch: branch.clone(),
            folder: self.folder.clone(),
            interval: self.interval,
            access: self.access.clone(),
        }
    }

    /// The branch whose place it is, if it is one of these.
    pub fn branch_at(&self, place: &Place) -> Option<Branch> {
        let rest = place.0.strip_prefix(&format!("git:{}#", self.url))?;
        let name = match self.folder.as_str() {
            "" => rest,
            folder => rest.strip_suffix(folder)?.strip_suffix(':')?,
        };
        let branch: Branch = name.parse().ok()?;
        self.standing(&branch).map(|_| branch)
    }

    /// How a branch is meant; none if it is not.
    pub fn standing(&self, branch: &Branch) -> Option<Standing> {
        let is_named = |pattern: &BranchPattern| pattern.exact().as_ref() == Some(branch);
        if self.patterns.iter().any(is_named) {
            return Some(Standing::Named);
        }
        let is_meant = self.patterns.iter().any(|pattern| pattern.matches(branch));
        is_meant.then_some(Standing::Matching)
    }

    /// The names of the overlays that are for `branch`, the nearest first.
    pub fn overlays(&self, branch: &Branch) -> Vec<String> {
        let patterns = self
            .patterns
            .iter()
            .filter(|pattern| pattern.matches(branch));
        let mut names = vec![branch.as_str().to_owned()];
        names.extend(patterns.map(|pattern| pattern.as_str().to_owned()));
        names.dedup();
        names
    }

    /// Of all branches that there are, those that are followed: the named ones, and of the others first those that were
    /// followed `before`.
    fn choose(&self, all: &[Branch], before: &BTreeMap<Branch, Commit>) -> Branches {
        let mut found: Vec<Followed> = Vec::new();
        for branch in self.patterns.iter().filter_map(BranchPattern::exact) {
            if found.iter().all(|known| known.branch != branch) {
                found.push(Followed {
                    branch,
                    standing: Standing::Named,
                });
            }
        }
        let mut matching: Vec<&Branch> = all
            .iter()
            .filter(|branch| self.standing(branch) == Some(Standing::Matching))
            .collect();
        matching.sort_by_key(|branch| (!before.contains_key(*branch), *branch));
        let places = MAX_BRANCHES.saturating_sub(found.len());
        let beyond = matching.split_off(places.min(matching.len()));
        matching.sort_unstable();
        found.extend(matching.into_iter().map(|branch| Followed {
            branch: branch.clone(),
            standing: Standing::Matching,
        }));
        Branches {
            followed: found,
            beyond: beyond.into_iter().cloned().collect(),
            is_empty: all.is_empty(),
        }
    }

    /// Follows the branches for ever, and lays on the desk what their newest commits say.
    pub(in crate::gitops) async fn read(
        self,
        place: Place,
        desk: Arc<Desk>,
        runtime: Arc<dyn Runtime>,
    ) {
        let interval = self.interval;
        info!(%place, interval_ms = interval.as_millis(), "following");
        let mut backoff = pauses(interval);
        let mut follower = Follower {
            source: self,
            place,
            git: None,
            commits: BTreeMap::new(),
            read: 0,
            desk,
            runtime: runtime.clone(),
        };
        loop {
            let pause = match follower.look().await {
                Ok(()) => {
                    backoff.reset();
                    interval
                }
                Err(problem) => {
                    follower.fail(&in_force(&problem, interval));
                    backoff.next_delay().unwrap_or(interval)
                }
            };
            runtime.sleep(pause).await;
        }
    }
}

struct Follower {
    source: GitBranches,
    place: Place,
    git: Option<Git>,
    /// The commits that were read last.
    commits: BTreeMap<Branch, Commit>,
    read: u32,
    desk: Arc<Desk>,
    runtime: Arc<dyn Runtime>,
}

impl Follower {
    /// Lays on the desk what is new, and that the rest is as it was.
    async fn look(&mut self) -> Result<(), GitError> {
        let (url, access) = (&self.source.url, &self.source.access);
        let git = match self.git.take() {
            Some(git) => git,
            None => Git::new(url, access, self.runtime.clone()).await?,
        };
        let heads: BTreeMap<Branch, Commit> =
            git.heads(&self.source.url).await?.into_iter().collect();
        let all: Vec<Branch> = heads.keys().cloned().collect();
        let branches = self.source.choose(&all, &self.commits);
        let followed = || branches.followed.iter().map(|followed| &followed.branch);
        let moved: Vec<Branch> = followed()
            .filter(|branch| heads.contains_key(*branch))
            .filter(|branch| self.commits.get(*branch) != heads.get(*branch))
            .cloned()
            .collect();
        let fetched = match moved.as_slice() {
            [] => Vec::new(),
            moved => git.fetch(&self.source.url, moved).await?,
        };
        self.commits
            .retain(|branch, _| followed().any(|followed| followed == branch));
        let now = self.runtime.now();
        for branch in followed() {
            let place = self.source.branch(branch).place();
            if !heads.contains_key(branch) {
                self.commits.remove(branch);
                let (branch, url) = (branch.to_string(), self.source.url.clone());
                let problem = GitError::NoBranch { branch, url };
                self.desk
                    .fail(&place, &in_force(&problem, self.source.interval));
            } else if !moved.contains(branch) {
                self.desk.confirm(&place, now);
            }
        }
        for (branch, commit) in moved.into_iter().zip(fetched) {
            self.deliver(&git, branch, commit).await?;
        }
        // After what they say: what a branch said that was gone and has come back is not to be heard again.
        self.desk.follow(&self.place, branches, now);
        self.git = (!self.is_due_anew()).then_some(git);
        Ok(())
    }

    async fn deliver(&mut self, git: &Git, branch: Branch, commit: Commit) -> Result<(), GitError> {
        let place = self.source.branch(&branch).place();
        match files(git, &commit, &self.source.folder).await {
            Ok(files) => {
                info!(%place, commit = commit.short(), files = files.len(), "a commit was read");
                let listing = Listing {
                    place,
                    commit: Some(commit.clone()),
                    files,
                    hollow: Vec::new(),
                    freshness: Freshness::Current,
                    presence: Presence::There,
                };
                self.desk.deliver(listing, self.runtime.now());
                self.commits.insert(branch, commit);
                self.read += 1;
            }
            // It is that branch's affair, and stops no other one.
            Err(problem @ (GitError::NoFolder { .. } | GitError::TooMuch(_))) => {
                self.desk
                    .fail(&place, &in_force(&problem, self.source.interval));
                self.commits.remove(&branch);
            }
            Err(problem) => return Err(problem),
        }
        Ok(())
    }

    /// Whether so much was fetched that the repository is to be made anew: what nobody needs any more goes with it.
    const fn is_due_anew(&mut self) -> bool {
        let is_due = self.read >= COMMITS_KEPT;
        if is_due {
            self.read = 0;
        }
        is_due
    }

    /// None of them can be read.
    fn fail(&mut self, problem: &str) {
        // What was fetched may be what is broken.
        self.git = None;
        self.desk.fail(&self.place, problem);
        for branch in self.commits.keys() {
            self.desk.fail(&self.source.branch(branch).place(), problem);
        }
    }
}
