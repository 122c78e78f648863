//! Several branches of one repository, which come and go: listed at each look, and those that have moved fetched at once.
//! One that cannot be is fetched by itself from then on, and rests by itself (`suspects`), so that it stops no other. What each says is laid on the desk under a place of its own.

use std::collections::BTreeMap;
use std::slice;
use std::sync::Arc;
use std::time::Duration;

use tracing::info;

use super::program::{Git, GitError};
use super::suspects::Suspects;
use super::{
    Branch, BranchPattern, COMMITS_KEPT, Folder, GitAccess, GitSource, Url, files, in_force,
    pauses, place,
};
use crate::api::{Commit, Place};
use crate::gitops::{Branches, Desk, Followed, Freshness, Listing, Presence, Standing};
use crate::runtime::Runtime;

/// The most branches of one repository that are followed.
pub const MAX_BRANCHES: usize = 50;

/// How long branches are fetched one by one, until all are looked at again.
const PATIENCE: Duration = Duration::from_secs(60);

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
            suspects: Suspects::new(interval),
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
    suspects: Suspects,
    read: u32,
    desk: Arc<Desk>,
    runtime: Arc<dyn Runtime>,
}

impl Follower {
    /// Lays on the desk what is new, and that the rest is as it was.
    async fn look(&mut self) -> Result<(), GitError> {
        let git = self.repository().await?;
        let heads = git.heads(&self.source.url).await?.into_iter().collect();
        self.git = Some(git);
        let branches = self.choose(&heads);
        let moved = self.moved(&branches, &heads);
        let alone = self.fetch_together(moved).await?;
        // After what they say, and before those for which nobody is to wait.
        self.follow(branches);
        self.fetch_alone(alone).await?;
        if self.is_due_anew() {
            self.git = None;
        }
        Ok(())
    }

    async fn repository(&mut self) -> Result<Git, GitError> {
        if let Some(git) = self.git.take() {
            return Ok(git);
        }
        let (url, access) = (&self.source.url, &self.source.access);
        Git::new(url, access, self.runtime.clone()).await
    }

    /// The branches that are followed now; what is known of others is forgotten.
    fn choose(&mut self, heads: &BTreeMap<Branch, Commit>) -> Branches {
        let all: Vec<Branch> = heads.keys().cloned().collect();
        let branches = self.source.choose(&all, &self.commits);
        self.commits.retain(|branch, _| branches.has(branch));
        self.suspects.retain(|branch| branches.has(branch));
        branches
    }

    /// The branches whose newest commit was not read yet, the named ones first. Of the others it is told how they are.
    fn moved(&mut self, branches: &Branches, heads: &BTreeMap<Branch, Commit>) -> Vec<Branch> {
        let now = self.runtime.now();
        let mut moved = Vec::new();
        for Followed { branch, .. } in &branches.followed {
            let place = self.source.branch(branch).place();
            match heads.get(branch) {
                None => {
                    self.commits.remove(branch);
                    self.suspects.clear(branch);
                    let (branch, url) = (branch.to_string(), self.source.url.clone());
                    let problem = GitError::NoBranch { branch, url };
                    self.desk
                        .fail(&place, &in_force(&problem, self.source.interval));
                }
                Some(head) if self.commits.get(branch) == Some(head) => {
                    self.suspects.clear(branch);
                    self.desk.confirm(&place, now);
                }
                Some(_) => moved.push(branch.clone()),
            }
        }
        moved
    }

    /// Fetches those that moved in one call. Says which are to be fetched each by itself: those that could not be the last
    /// time, and all if one of them stops the call.
    async fn fetch_together(&mut self, moved: Vec<Branch>) -> Result<Vec<Branch>, GitError> {
        let now = self.runtime.steady();
        let (mut alone, moved): (Vec<_>, Vec<_>) = moved
            .into_iter()
            .partition(|branch| self.suspects.knows(branch));
        alone.retain(|branch| !self.suspects.rests(branch, now));
        if moved.is_empty() {
            return Ok(alone);
        }
        let git = self.repository().await?;
        match git.fetch(&self.source.url, &moved).await {
            Ok(commits) => {
                for (branch, commit) in moved.into_iter().zip(commits) {
                    self.deliver(&git, branch, commit).await?;
                }
                self.git = Some(git);
                Ok(alone)
            }
            Err(problem) if problem.is_ours() => Err(problem),
            Err(problem) => {
                info!(place = %self.place, %problem, "each branch is fetched by itself");
                Ok(moved.into_iter().chain(alone).collect())
            }
        }
    }

    /// Fetches each of these by itself, for as long as there is patience: the others are to be looked at again, too.
    async fn fetch_alone(&mut self, branches: Vec<Branch>) -> Result<(), GitError> {
        let until = self.runtime.steady() + PATIENCE;
        for branch in branches {
            let git = self.repository().await?;
            match git.fetch(&self.source.url, slice::from_ref(&branch)).await {
                Ok(commits) => {
                    for commit in commits {
                        self.deliver(&git, branch.clone(), commit).await?;
                    }
                    self.git = Some(git);
                }
                Err(problem) if problem.is_ours() => return Err(problem),
                // Half of it may have been fetched: that goes with the repository.
                Err(problem) => self.set_aside(&branch, &problem),
            }
            if self.runtime.steady() >= until {
                break;
            }
        }
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
                self.suspects.clear(&branch);
                self.commits.insert(branch, commit);
                self.read += 1;
            }
            Err(problem) if problem.is_ours() => return Err(problem),
            Err(problem) => {
                self.commits.remove(&branch);
                self.set_aside(&branch, &problem);
            }
        }
        Ok(())
    }

    /// It is that branch's affair, and stops no other one.
    fn set_aside(&mut self, branch: &Branch, problem: &GitError) {
        let now = self.runtime.steady();
        let longest = self.suspects.note(branch, problem, now);
        let place = self.source.branch(branch).place();
        self.desk.fail(&place, &in_force(problem, longest));
    }

    /// Says which branches are followed. What one said that is not any more is forgotten: should it come back, it says
    /// something new or nothing.
    fn follow(&self, branches: Branches) {
        let before = self.desk.look(&self.place).branches;
        let left: Vec<Branch> = before
            .iter()
            .flat_map(|before| &before.followed)
            .filter(|followed| !branches.has(&followed.branch))
            .map(|followed| followed.branch.clone())
            .collect();
        self.desk.follow(&self.place, branches, self.runtime.now());
        for branch in left {
            self.desk.forget(&self.source.branch(&branch).place());
        }
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
