//! Plays a case: under faults every rule holds at every instant; then the faults stop, and the right end is
//! reached in bounded time and kept without a write.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use jiff::Timestamp;
use rolloutctl::api::{
    AbortCause, Duration, Name, OnDrift, PauseReason, Phase, Prune, Resource, Revision,
    RolloutStatus, Route, SampleRecord, Verb,
};
use rolloutctl::sim::{Condition, FaultPlan, Hand, Keep, Loss, Losses, View, What};
use rolloutctl::snapshot::TaskId;
use rolloutctl::trial::check::{Findings, Violation, Watch};
use rolloutctl::trial::{Deed, End, Reading, Seat, Trial, Unrest, at_rest};

use crate::case::{Case, HEALED_AFTER, after_a_look, is_preview};
use crate::commits::Commits;
use crate::counting::{Counting, Said};
use crate::failure::Failure;
use crate::spec::{BACKEND, JOB, name};

/// How long it may take to come to rest once nothing goes wrong any more: attempts with bakes and
/// deadlines, a standby's patience, and pauses of actions that failed.
const LIMIT: Duration = Duration::from_secs(20 * 60);

/// How long a rest is looked at by one case in four; the others look ten times.
const LONG_REST: Duration = Duration::from_secs(60);

/// A case in play.
struct Play<'a> {
    case: &'a Case,
    trial: Trial,
    start: Timestamp,
    findings: Findings,
    writes: Arc<AtomicU64>,
    rollouts: Arc<AtomicU64>,
    route: Route,
    rollout: Name,
    /// What was lost before the first revision served.
    lost_before: Losses,
    /// Whether the rollout waited for somebody's decision, and was aborted.
    gave_up: bool,
}

/// Plays it; how many rollouts there were: attempts to release a revision.
pub fn play(case: &Case) -> Result<u64, Failure> {
    let mut play = Play::new(case, Keep::No);
    play.go()?;
    Ok(play.rollouts.load(Ordering::Relaxed))
}

/// The journal of it, in lines.
pub fn transcript(case: &Case) -> Vec<String> {
    let mut play = Play::new(case, Keep::Yes);
    let result = play.go();
    let start = play.start;
    let journal = play.trial.world().journal().into_iter();
    let told = journal.filter(|entry| !matches!(entry.what, What::Looked));
    let lines = told.map(|entry| {
        let at = entry.at.duration_since(start).as_secs_f64();
        format!("{at:9.3} {:?} {:?}", entry.who, entry.what)
    });
    let mut lines: Vec<String> = lines.collect();
    lines.push(format!("{result:?}"));
    lines
}

impl<'a> Play<'a> {
    fn new(case: &'a Case, journal: Keep) -> Self {
        let mut setup = case.setup();
        setup.journal = journal;
        let start = setup.start;
        let mut trial = Trial::new(setup, case.habits);
        let findings = Findings::default();
        let (writes, rollouts) = <(Arc<AtomicU64>, Arc<AtomicU64>)>::default();
        let (rollout, route) = (name("web"), route());
        if let Some(commits) = &case.commits {
            trial.follow(Prune::Delete, commits.on_drift);
        }
        let watch = Watch::new(rollout.clone(), route.clone(), case.terms, findings.clone());
        trial.world().observe_with(Counting {
            watch,
            rollout: rollout.clone(),
            writes: writes.clone(),
            rollouts: rollouts.clone(),
            attempt: 0,
            said: Said::new(case.commits.as_ref()),
            findings: findings.clone(),
        });
        trial.perform(Deed::Source(None, Reading::Truth));
        for resource in &case.neighbours {
            trial.perform(Deed::Hand(Hand::Apply(Box::new(resource.clone()))));
        }
        trial.perform(Deed::Start(Seat(0)));
        for (at, deed) in &case.deeds {
            trial.plan(Duration::from_millis(*at).after(start), deed.clone());
        }
        Self {
            case,
            trial,
            start,
            findings,
            writes,
            rollouts,
            route,
            rollout,
            lost_before: Losses::default(),
            gave_up: false,
        }
    }

    fn go(&mut self) -> Result<End, Failure> {
        let healed = Duration::from_secs(HEALED_AFTER).after(self.start);
        let last = self.trial.last_deed().unwrap_or(healed);
        self.first_serves(healed);
        self.trial.run_until(healed.max(last));
        let settling = self.settling();
        heal(&mut self.trial, self.case.instances, settling);
        let mut end = self.rest();
        for _ in 0..6 {
            if !matches!(end, Ok(End::Paused)) {
                break;
            }
            self.decide()?;
            end = self.rest();
        }
        if !self.findings.are_none() {
            return Err(Failure::Broken(self.findings.all()));
        }
        let end = self.stays(end?)?;
        self.fits(end)?;
        self.nothing_lost()?;
        self.is_as_committed()?;
        Ok(end)
    }

    /// How long it may take, once nothing goes wrong any more, until somebody sees what is to be done: what was sent before may
    /// still arrive, and one of two controllers may have to take over from one that died.
    fn settling(&self) -> Duration {
        let habits = &self.case.habits;
        let takeover = habits.patience.as_secs() + 2 * after_a_look(habits).as_millis() / 1_000;
        let second =
            |(_, deed): &(u64, Deed)| matches!(deed, Deed::Start(seat) if *seat != Seat(0));
        let slack = self.case.terms.slack;
        if self.case.deeds.iter().any(second) {
            slack.max(Duration::from_secs(takeover))
        } else {
            slack
        }
    }

    /// Until then there is nobody who could answer.
    fn first_serves(&mut self, limit: Timestamp) {
        let rollout = self.rollout.clone();
        let serves = |view: &View<'_>| {
            let status = view.status(&rollout);
            status.is_some_and(|status| status.phase == Phase::Healthy)
        };
        self.trial.run_while_not(limit, serves);
        self.lost_before = self.losses();
    }

    fn rest(&mut self) -> Result<End, Failure> {
        let limit = LIMIT.after(self.trial.now());
        let mut last = None;
        loop {
            // What has just been done was not looked at yet, and a turn may be under way.
            self.trial.run_for(after_a_look(&self.case.habits));
            let world = self.trial.world();
            let found = world.view(|view| at_rest(view, &self.rollout, &self.route));
            // A preview has an end, whatever became of it.
            let found = match found {
                Ok(End::Healthy | End::Degraded) if is_preview(self.case.seed) => {
                    Err(Unrest("it has not ended yet".to_owned()))
                }
                found => found,
            };
            match found {
                Ok(end) if last == Some(end) => return Ok(end),
                Ok(end) => last = Some(end),
                Err(unrest) if self.trial.now() >= limit => {
                    return Err(Failure::Restless(unrest.to_string()));
                }
                Err(_) => last = None,
            }
        }
    }

    fn status(&self) -> RolloutStatus {
        let world = self.trial.world();
        world.view(|view| view.status(&self.rollout).cloned().unwrap_or_default())
    }

    /// Somebody decides what the rollout waits for.
    fn decide(&mut self) -> Result<(), Failure> {
        match self.paused_for() {
            Some(PauseReason::User | PauseReason::Inconclusive) => self.command(Verb::Resume),
            Some(PauseReason::Failure) => {
                self.verdict_stays()?;
                self.gave_up = true;
                self.command(Verb::Abort);
            }
            None => self.command(Verb::Promote),
        }
        Ok(())
    }

    fn paused_for(&self) -> Option<PauseReason> {
        self.status().pause.map(|pause| pause.reason)
    }

    fn command(&mut self, verb: Verb) {
        let command = Hand::Command(self.rollout.clone(), verb);
        self.trial.perform(Deed::Hand(command));
    }

    /// ABORT-3: what has failed cannot be resumed.
    fn verdict_stays(&mut self) -> Result<(), Failure> {
        self.command(Verb::Resume);
        self.trial.run_for(after_a_look(&self.case.habits));
        // The time of a preview may be over just then, so that it is taken down, or forgotten already.
        let status = self.status();
        if status.canary_revision.is_none() || self.paused_for() == Some(PauseReason::Failure) {
            return Ok(());
        }
        Err(Failure::Broken(vec![Violation {
            rule: "ABORT-3",
            at: self.trial.now(),
            rollout: self.rollout.clone(),
            what: "a stage that had failed was resumed".to_owned(),
        }]))
    }

    /// SAFETY-5. A task that came or went by itself is something to act on: then it rests anew.
    fn stays(&mut self, mut end: End) -> Result<End, Failure> {
        for _ in 0..6 {
            let serving = self.serving();
            let stayed = self.stays_for_once(end);
            if stayed.is_ok() || self.serving() == serving {
                return stayed.map(|()| end);
            }
            end = self.rest()?;
        }
        Err(Failure::Restless("its tasks come and go".to_owned()))
    }

    /// The tasks that take requests in truth.
    fn serving(&self) -> BTreeSet<TaskId> {
        let serving = |view: &View<'_>| {
            let tasks = view.tasks().filter(|task| task.listens);
            tasks.map(|task| task.id.clone()).collect()
        };
        self.trial.world().view(serving)
    }

    fn stays_for_once(&mut self, end: End) -> Result<(), Failure> {
        let before = self.writes.load(Ordering::Relaxed);
        let ten_looks = Duration::from_secs(10 * self.case.habits.resync.as_secs());
        let is_long = self.case.seed.is_multiple_of(4);
        self.trial
            .run_for(if is_long { LONG_REST } else { ten_looks });
        let writes = self.writes.load(Ordering::Relaxed) - before;
        if writes > 0 {
            return Err(Failure::Writes(writes));
        }
        let world = self.trial.world();
        let now = world.view(|view| at_rest(view, &self.rollout, &self.route));
        match now {
            Ok(again) if again == end => Ok(()),
            other => Err(Failure::WrongEnd(format!("{end:?}, and later {other:?}"))),
        }
    }

    /// What was taken back was taken back for a reason.
    fn fits(&self, end: End) -> Result<(), Failure> {
        let status = self.status();
        let deeds = || self.case.deeds.iter().map(|(_, deed)| deed);
        let Some(abort) = status.abort.filter(|_| end == End::Degraded) else {
            return Ok(());
        };
        let image = self.image_of(&abort.revision);
        let is_justified = match abort.cause {
            AbortCause::User { .. } => {
                let aborts =
                    |deed: &Deed| matches!(deed, Deed::Hand(Hand::Command(_, Verb::Abort)));
                self.gave_up || deeds().any(aborts)
            }
            // Its program may fail; whether it did is checked where the stage is passed.
            AbortCause::Analysis { metric, failed } if metric.as_str() == JOB => {
                let told = |sample: &SampleRecord| sample.exit_code.is_some_and(|code| code != 0);
                let late = |sample: &SampleRecord| {
                    let problem = sample.problem.as_deref();
                    problem.is_some_and(|problem| problem.contains("time limit"))
                };
                !failed.is_empty() && failed.iter().all(|one| told(one) || late(one))
            }
            AbortCause::Analysis { .. } => {
                let lies = |deed: &Deed| matches!(deed, Deed::Source(..));
                image.contains("bad") || deeds().any(lies)
            }
            AbortCause::Deadline => image.contains("broken") || !self.case.is_calm(),
        };
        if is_justified {
            return Ok(());
        }
        Err(Failure::WrongEnd(format!(
            "{image} was taken back: {}",
            abort.message
        )))
    }

    /// What the source said last is what is stored in the end, whatever went wrong.
    fn is_as_committed(&self) -> Result<(), Failure> {
        let Some(commits) = &self.case.commits else {
            return Ok(());
        };
        let Some(wanted) = commits.last(&self.case.deeds) else {
            return Ok(());
        };
        // What somebody did by hand may stay.
        if commits.is_drifted && commits.on_drift == OnDrift::Report {
            return Ok(());
        }
        let world = self.trial.world();
        world.view(|view| {
            let stored = view.rollout(&self.rollout).map(|stored| &stored.draft);
            // What somebody applied after the source gave it up is no source's.
            let is_by_hand = stored.is_some_and(|draft| draft.origin.is_none());
            if wanted.is_none() && commits.is_drifted && is_by_hand {
                return Ok(());
            }
            let said = wanted.clone().map(Resource::Rollout);
            if stored.map(|draft| &draft.resource) != said.as_ref() {
                let stored = stored.map(|draft| draft.resource.spec_json());
                return Err(Failure::Unsaid(format!("{stored:?} is stored")));
            }
            let marks = stored.and_then(|draft| draft.origin.as_ref());
            let problem = marks.and_then(|origin| origin.problem.as_ref());
            problem.map_or(Ok(()), |problem| {
                Err(Failure::Unsaid(problem.message.clone()))
            })
        })
    }

    #[expect(
        clippy::redundant_closure_for_method_calls,
        reason = "the method alone is not general enough in its lifetime"
    )]
    fn losses(&self) -> Losses {
        self.trial.world().view(|view| view.losses())
    }

    fn image_of(&self, revision: &Revision) -> &str {
        let commits = self.case.commits.iter();
        let said = commits.flat_map(|commits| commits.wants.values().flatten());
        let applied = self.case.deeds.iter().filter_map(|(_, deed)| match deed {
            Deed::Hand(Hand::Apply(resource)) => match resource.as_ref() {
                Resource::Rollout(rollout) => Some(&rollout.spec),
                _ => None,
            },
            _ => None,
        });
        let mut specs = said.map(|manifest| &manifest.spec).chain(applied);
        let found = specs.find(|spec| Revision::of(spec) == *revision);
        found.map_or("an unknown image", |spec| spec.template.image.as_str())
    }

    /// When nothing goes wrong, nothing is lost once a first revision serves.
    fn nothing_lost(&self) -> Result<(), Failure> {
        if !self.case.is_calm() {
            return Ok(());
        }
        let losses = self.losses();
        let deletes = |(_, deed): &(u64, Deed)| matches!(deed, Deed::Hand(Hand::Delete(..)));
        let all = [Loss::Killed, Loss::Cut, Loss::NoServer, Loss::Refused];
        // Once it is deleted nobody answers, until another one of its name does.
        let drops = |commits: &Commits| commits.wants.values().any(Option::is_none);
        let is_deleted =
            self.case.deeds.iter().any(deletes) || self.case.commits.as_ref().is_some_and(drops);
        let counted = if is_deleted { &all[..2] } else { &all[..] };
        for loss in counted.iter().copied() {
            let lost = losses.by(loss) - self.lost_before.by(loss);
            if lost > 0.01 {
                return Err(Failure::Lost(format!("{lost:.2} requests by {loss:?}")));
            }
        }
        Ok(())
    }
}

/// From here on nothing goes wrong any more; what has gone wrong settles.
pub fn heal(trial: &mut Trial, instances: u64, settling: Duration) {
    let world = trial.world();
    for node in 0..3 {
        world.hand(&Hand::ReturnNode(node));
        world.hand(&Hand::ActivateNode(node));
    }
    let instances = usize::try_from(instances).expect("a few");
    for instance in 0..instances {
        let is_stopped = world.view(|view| {
            let found = view.instances().nth(instance);
            found.is_some_and(|found| found.condition == Condition::Stopped)
        });
        if !is_stopped {
            world.hand(&Hand::Condition(instance, Condition::Answers));
        }
    }
    trial.perform(Deed::Faults(Box::new(FaultPlan::none())));
    trial.perform(Deed::Source(None, Reading::Truth));
    trial.world().spare();
    if !trial.lives(Seat(1)) {
        trial.perform(Deed::Start(Seat(0)));
    }
    trial.run_for(settling);
}

fn route() -> Route {
    Route {
        load_balancer: name("edge"),
        backend: BACKEND.to_owned(),
    }
}
