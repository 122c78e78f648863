//! One run: the old version serves, the new one is applied, time passes until the rollout is at rest. A preview has no
//! old version.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use jiff::Timestamp;

use super::cause::{Cause, Stopper};
use super::deeds::{CallTrouble, deeds};
use super::gauge::mixed;
use super::mishap::{Mishap, SEAT};
use super::oracle::Source;
use super::record::{Line, Record, Recorder, Timeline};
use super::{Approval, Rehearsal};
use crate::api::{AttemptOutcome, Duration, Name, Resource, RolloutStatus, Route, Verb, WaitingOn};
use crate::sim::{Answer, Answered, Hand, Keep, Loss, Losses, Random, Setup};
use crate::trial::check::{Findings, Terms, Violation, Watch};
use crate::trial::{Deed, End, Habits, Trial, at_rest};

/// How a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Ending {
    /// The new version serves; of a preview: it has passed its checks.
    Healthy,
    /// The old version serves: the new one was taken back. Of a preview: it has failed, and was taken down.
    Degraded,
    /// Somebody must decide.
    Paused,
    /// It was not at rest when its time was over.
    Unended,
}

impl Ending {
    /// The word for it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Healthy => "Healthy",
            Self::Degraded => "Degraded",
            Self::Paused => "Paused",
            Self::Unended => "Not ended",
        }
    }
}

/// What one run showed.
#[derive(Clone, Debug)]
pub struct Report {
    /// The seed that plays it again.
    pub seed: u64,
    /// How it ended.
    pub ending: Ending,
    /// Why, in a word or two, by which runs are counted; empty for a good end.
    pub why: String,
    /// Why, in a sentence.
    pub message: String,
    /// What stopped the new version, if it was taken back or failed.
    pub stopped_by: Option<Stopper>,
    /// How many seconds passed until then.
    pub took: f64,
    /// What reached the new version until then, on average.
    pub canary: Answered,
    /// The requests that no fault can have lost, on average.
    pub lost: f64,
    /// The requests that were lost during a fault or within a minute after it, in a way that it can bring about, on
    /// average.
    pub lost_to_faults: f64,
    /// The rules that were broken.
    pub violations: Vec<Violation>,
    /// Faults whose time had not come.
    pub late_faults: Vec<String>,
    /// When the new version was applied.
    pub start: Timestamp,
    /// What happened, if it was written down.
    pub timeline: Vec<Line>,
}

/// How long the old version may take to come up if nobody says. Nothing goes wrong meanwhile.
const OVERTURE: Duration = Duration::from_secs(3_600);

/// How long it goes on before the new version is applied: requests flow evenly then, and old points are there.
const CALM: Duration = Duration::from_secs(10);

/// How often it is looked whether the rollout is at rest.
const LOOK: Duration = Duration::from_secs(1);

/// How far a run has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Act {
    /// The old version comes up.
    Overture,
    /// The new version was applied.
    Play,
}

/// A run on its way.
struct Run<'a> {
    act: Act,
    script: &'a Rehearsal,
    trial: Trial,
    rollout: Name,
    route: Route,
    record: Record,
    findings: Findings,
    mishaps: Vec<Mishap>,
    start: Timestamp,
    lost_before: Losses,
    lost: f64,
    lost_to_faults: f64,
}

impl Rehearsal {
    /// Plays it once. The same seed plays the same.
    pub fn run(&self, seed: u64, timeline: Timeline) -> Report {
        // Neighbouring seeds must have nothing in common.
        let inner = mixed(seed);
        let mut run = Run::new(self, inner, timeline);
        let ending = if run.overture() {
            run.curtain(inner);
            run.play()
        } else {
            Ending::Unended
        };
        run.report(seed, ending)
    }

    /// How long the old version may take to come up.
    fn overture_limit(&self) -> Duration {
        self.time.unwrap_or(OVERTURE)
    }

    fn setup(&self, seed: u64) -> Setup {
        let mut setup = Setup::new(seed);
        let route = self.cast.route();
        let instances = &self.cast.resolved.instances;
        let count = u32::try_from(instances.len()).unwrap_or(u32::MAX).max(1);
        for instance in instances {
            let rps = self.rps / f64::from(count);
            setup = setup.with_proxy(&route.load_balancer, instance, &route.backend, rps);
        }
        let before = self.before().spec.template.image;
        let image = self.cast.rollout.spec.template.image.clone();
        setup.apps.insert(before, self.stable.app());
        setup.apps.insert(image, self.canary.app());
        let metrics = self.cast.resolved.metrics.iter().flatten().flatten();
        let mut asked = metrics.filter(|metric| !self.gauges.contains_key(&metric.metric.name));
        if asked.next().is_some() {
            setup.points = Keep::Yes;
        }
        setup
    }
}

impl<'a> Run<'a> {
    fn new(script: &'a Rehearsal, seed: u64, timeline: Timeline) -> Self {
        let trial = Trial::new(script.setup(seed), Habits::default());
        let rollout = script.cast.rollout.metadata.name.clone();
        let route = script.cast.route();
        let (record, findings) = (Record::default(), Findings::default());
        let start = trial.now();
        let mut troubles = script.faults.iter().map(|fault| fault.trouble);
        let terms = if troubles.any(|trouble| CallTrouble::of(trouble).is_some()) {
            Terms::FAULTY
        } else {
            Terms::SOUND
        };
        let recorder = Recorder {
            watch: Watch::new(rollout.clone(), route.clone(), terms, findings.clone()),
            record: record.clone(),
            rollout: rollout.clone(),
            canary: script.canary_revision(),
            resolved: Arc::new(script.cast.resolved.clone()),
            timeline,
        };
        trial.world().observe_with(recorder);
        Self {
            act: Act::Overture,
            script,
            trial,
            rollout,
            route,
            record,
            findings,
            mishaps: Vec::new(),
            start,
            lost_before: Losses::default(),
            lost: 0.0,
            lost_to_faults: 0.0,
        }
    }

    /// The old version, if there is one, comes up and is at rest; says whether it is.
    fn overture(&mut self) -> bool {
        for resource in &self.script.cast.neighbours {
            self.apply(resource.clone());
        }
        if !self.script.is_preview() {
            self.apply(Resource::Rollout(self.script.before()));
        }
        self.trial.perform(Deed::Start(SEAT));
        let limit = self.script.overture_limit().after(self.trial.now());
        while !self.is_set() {
            if self.trial.now() >= limit {
                return false;
            }
            self.trial.run_for(LOOK);
        }
        self.trial.run_for(CALM);
        true
    }

    /// Whether all is there that the new version replaces.
    fn is_set(&self) -> bool {
        self.script.is_preview() || self.rest() == Some(End::Healthy)
    }

    /// From here on time counts: the new version is applied.
    fn curtain(&mut self, seed: u64) {
        let start = self.trial.now();
        self.act = Act::Play;
        self.start = start;
        let mut random = Random::of_seed(mixed(seed));
        let expected = self.script.expected();
        self.mishaps = Mishap::draw(&self.script.faults, start, expected, &mut random);
        self.trial.world().answer(
            None,
            Answer::Ask(Arc::new(Source {
                seed,
                gauges: self.script.gauges.clone(),
                outages: self.mishaps.iter().filter_map(Mishap::outage).collect(),
                drawn: Mutex::new(BTreeMap::new()),
            })),
        );
        for (at, deed) in deeds(&self.mishaps) {
            self.trial.plan(at, deed);
        }
        self.record.notes().forget();
        self.lost_before = self.lost_so_far();
        self.apply(Resource::Rollout(self.script.cast.rollout.clone()));
    }

    fn play(&mut self) -> Ending {
        let limit = self.script.limit().after(self.start);
        while self.trial.now() < limit {
            self.trial.run_for(LOOK);
            self.count_losses();
            match self.rest() {
                Some(End::Healthy) => return Ending::Healthy,
                Some(End::Paused) if !self.approves() => return Ending::Paused,
                Some(End::Gone) if self.has_passed() => return Ending::Healthy,
                Some(End::Degraded | End::Gone) => return Ending::Degraded,
                None if self.is_over() => return Ending::Healthy,
                Some(End::Paused) | None => {}
            }
        }
        Ending::Unended
    }

    /// Whether the last attempt is one of a preview that has passed its checks.
    fn has_passed(&self) -> bool {
        let status = self.status();
        let last = status.history.last();
        last.is_some_and(|last| last.outcome == AttemptOutcome::Passed)
    }

    /// Whether a preview has passed and was removed, and only the rollout is left until the preview's time is over.
    fn is_over(&self) -> bool {
        if !self.script.is_preview() {
            return false;
        }
        let status = self.status();
        let is_up = status.canary_revision.is_some() || status.stable_revision.is_some();
        self.has_passed() && !is_up && status.leaving.is_empty()
    }

    /// Whether the rollout waits for an approval that will come; gives it once its time has come.
    fn approves(&mut self) -> bool {
        let status = self.status();
        let is_asked = status.waiting_on == Some(WaitingOn::Approval) && status.pause.is_none();
        match self.script.approval {
            Approval::After(time) if is_asked => {
                let asked = self.record.notes().phase_since;
                let is_due = asked.is_some_and(|asked| time.after(asked) <= self.trial.now());
                let is_given = status.last_command.is_some_and(|last| {
                    last.command.stage == status.stage && last.command.attempt == status.attempt
                });
                if is_due && !is_given {
                    let command = Hand::Command(self.rollout.clone(), Verb::Promote);
                    self.trial.perform(Deed::Hand(command));
                }
                true
            }
            Approval::After(_) | Approval::Never => false,
        }
    }

    fn apply(&mut self, resource: Resource) {
        self.trial
            .perform(Deed::Hand(Hand::Apply(Box::new(resource))));
    }

    fn rest(&self) -> Option<End> {
        let world = self.trial.world();
        let found = world.view(|view| at_rest(view, &self.rollout, &self.route));
        found.ok()
    }

    /// The status as it was stored last, also of a rollout that is gone.
    fn status(&self) -> RolloutStatus {
        self.record.notes().status.clone()
    }

    #[expect(
        clippy::redundant_closure_for_method_calls,
        reason = "the method alone is not general enough in its lifetime"
    )]
    fn lost_so_far(&self) -> Losses {
        self.trial.world().view(|view| view.losses())
    }

    fn count_losses(&mut self) {
        let (now, losses) = (self.trial.now(), self.lost_so_far());
        // Of those whose process was killed it is known when each was, and where.
        let causes = Loss::ALL.into_iter().filter(|cause| *cause != Loss::Killed);
        for cause in causes {
            let fresh = losses.by(cause) - self.lost_before.by(cause);
            let mut mishaps = self.mishaps.iter();
            if mishaps.any(|mishap| mishap.brings_about(cause, now)) {
                self.lost_to_faults += fresh;
            } else {
                self.lost += fresh;
            }
        }
        self.lost_before = losses;
        let killed = std::mem::take(&mut self.record.notes().killed);
        for killed in killed {
            if self.mishaps.iter().any(|mishap| mishap.kills(&killed)) {
                self.lost_to_faults += killed.requests;
            } else {
                self.lost += killed.requests;
            }
        }
    }

    fn report(self, seed: u64, ending: Ending) -> Report {
        let status = self.status();
        let now = self.trial.now();
        let canary = self.script.canary_revision();
        let answered = self.trial.world().view(|view| view.answered(&canary));
        let mut notes = self.record.notes();
        notes.sum_up(now);
        let ended = match ending {
            Ending::Healthy | Ending::Degraded | Ending::Paused => notes.phase_since.unwrap_or(now),
            Ending::Unended => now,
        };
        let (over, late): (Vec<_>, Vec<_>) =
            self.mishaps.iter().partition(|mishap| mishap.from <= now);
        let mut timeline = std::mem::take(&mut notes.lines);
        let told = over.iter().flat_map(|mishap| mishap.told());
        let told = told.filter(|(at, _)| *at <= now);
        timeline.extend(told.map(|(at, message)| Line { at, message }));
        timeline.sort_by_key(|line| line.at);
        let cause = match self.act {
            Act::Overture => Cause::of_overture(self.script, &status),
            Act::Play => Cause::of(ending, &status),
        };
        // How the old version came up is not what is played.
        let mut violations = self.findings.all();
        violations.retain(|violation| violation.at >= self.start);
        Report {
            seed,
            ending,
            why: cause.why,
            message: cause.message,
            stopped_by: cause.stopper,
            took: ended.duration_since(self.start).as_secs_f64(),
            canary: notes.until_stable.unwrap_or(answered),
            lost: self.lost,
            lost_to_faults: self.lost_to_faults,
            violations,
            late_faults: late
                .iter()
                .map(|mishap| mishap.fault.trouble.name().to_owned())
                .collect(),
            start: self.start,
            timeline,
        }
    }
}
