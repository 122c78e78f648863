//! Simulated jobs: one-off services of one task that run to their end, as `world::swarm` runs them.
//!
//! What was measured of real ones: a job of which no process comes is not tried again; an image that is not there is
//! rejected at once; without a node for it, it waits for ever; a removed job's process is stopped.

use super::super::agenda::Event;
use super::super::journal::{JobChange, What, Who};
use super::super::setup::{Ends, Program};
use super::super::state::State;
use super::super::time::{SECOND, Time};
use super::SwarmEvent;
use crate::action::{JobTarget, NewJob};
use crate::snapshot::{JobFact, JobState, SampleKey, ServiceId};
use crate::world::WorldError;

/// A job, for ever.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::sim) struct JobNumber(pub u32);

/// A job of ours.
#[derive(Clone, Debug)]
pub(in crate::sim) struct Job {
    pub id: ServiceId,
    pub name: String,
    pub key: SampleKey,
    pub image: String,
    pub created_at: Time,
    pub state: JobState,
    /// Whether its process is there, as it is in truth.
    pub is_alive: bool,
    node: Option<usize>,
    ends: Ends,
}

impl Job {
    pub fn fact(&self) -> JobFact {
        JobFact {
            id: self.id.clone(),
            name: self.name.clone(),
            key: self.key.clone(),
            created_at: self.created_at.stamp(),
            state: self.state.clone(),
        }
    }
}

impl State {
    pub(super) fn start_job(&mut self, who: Who, new: &NewJob) {
        let name = new.name();
        let mut known = self.swarm.jobs.values();
        if known.any(|job| job.name == name) {
            return; // From an earlier try whose answer was lost (SAFETY-1).
        }
        let number = JobNumber(self.swarm.last_job);
        self.swarm.last_job += 1;
        let program = self.program(&new.template.image);
        let ends = self.next_end(&new.template.image, &program);
        let job = Job {
            id: ServiceId::from(self.random.letters(25)),
            name,
            key: new.key.clone(),
            image: new.template.image.clone(),
            created_at: self.now,
            state: JobState::Waiting { problem: None },
            is_alive: false,
            node: None,
            ends,
        };
        self.next_index();
        self.swarm.jobs.insert(number, job);
        self.job_changed(who, number, JobChange::Started);
        let delay = self.random.within(self.pace.schedule) + self.random.within(program.start);
        self.plan(delay, Event::Swarm(SwarmEvent::RunJob(number)));
    }

    fn program(&self, image: &str) -> Program {
        let known = self.programs.get(image);
        known.unwrap_or(&self.other_programs).clone()
    }

    /// How the next run of an image ends: each as it is said, and all later ones as the last.
    fn next_end(&mut self, image: &str, program: &Program) -> Ends {
        let runs = self.swarm.runs.entry(image.to_owned()).or_insert(0);
        let index = (*runs).min(program.ends.len().saturating_sub(1));
        *runs += 1;
        program.ends.get(index).copied().unwrap_or(Ends::With(0))
    }

    pub(super) fn remove_job(&mut self, who: Who, target: &JobTarget) {
        let mut jobs = self.swarm.jobs.iter();
        let found = jobs.find(|(_, job)| job.id == target.id);
        let Some(number) = found.map(|(number, _)| *number) else {
            return;
        };
        self.next_index();
        self.job_changed(who, number, JobChange::Removed);
        self.swarm.jobs.remove(&number);
    }

    /// The end of what a job wrote.
    pub(in crate::sim) fn job_log(&self, target: &JobTarget) -> Result<Vec<String>, WorldError> {
        let mut jobs = self.swarm.jobs.values();
        match jobs.find(|job| job.id == target.id) {
            Some(job) => Ok(vec![format!("{} checks {}", job.image, job.key.rollout)]),
            None => Err(WorldError::Refused {
                what: format!("read the log of the job {}", target.name),
                reason: "there is no such service".into(),
            }),
        }
    }

    /// Its process is there, or will never be.
    pub(super) fn run_job(&mut self, number: JobNumber) {
        let node = self.swarm.free_node();
        let Some(job) = self.swarm.jobs.get_mut(&number) else {
            return;
        };
        let image = job.image.clone();
        if job.ends == Ends::Missing {
            job.state = JobState::Lost {
                problem: format!("No such image: {image}"),
            };
            return self.job_changed(Who::World, number, JobChange::Lost);
        }
        let Some(node) = node.filter(|_| job.ends != Ends::Nowhere) else {
            job.state = JobState::Waiting {
                problem: Some("no suitable node".to_owned()),
            };
            self.job_changed(Who::World, number, JobChange::Waits);
            return self.plan(SECOND, Event::Swarm(SwarmEvent::RunJob(number)));
        };
        job.node = Some(node);
        job.is_alive = true;
        job.state = JobState::Running {
            node: Some(self.swarm.nodes[node].id.clone()),
        };
        self.job_changed(Who::World, number, JobChange::Runs);
        let takes = self.program(&image).takes;
        let takes = self.random.within(takes);
        self.plan(takes, Event::Swarm(SwarmEvent::EndJob(number)));
    }

    /// Its process ends by itself, unless it never does.
    pub(super) fn end_job(&mut self, number: JobNumber) {
        let Some(job) = self.swarm.jobs.get_mut(&number) else {
            return;
        };
        match job.ends {
            Ends::With(_) if job.is_alive => job.is_alive = false,
            Ends::With(_) | Ends::Never | Ends::Missing | Ends::Nowhere => return,
        }
        let delay = self.random.within(self.pace.report);
        self.plan(delay, Event::Swarm(SwarmEvent::ReportJob(number)));
    }

    /// The managers hear that it has ended, once they hear its node.
    pub(super) fn report_job(&mut self, number: JobNumber) {
        let Some(job) = self.swarm.jobs.get_mut(&number) else {
            return;
        };
        let is_heard = job
            .node
            .is_some_and(|node| self.swarm.nodes[node].is_heard());
        let Ends::With(exit_code) = job.ends else {
            return;
        };
        if !is_heard {
            return self.plan(SECOND, Event::Swarm(SwarmEvent::ReportJob(number)));
        }
        if matches!(job.state, JobState::Running { .. }) {
            job.state = JobState::Ended {
                exit_code,
                at: self.now.stamp(),
            };
            self.job_changed(Who::World, number, JobChange::Ended(exit_code));
        }
    }

    /// What runs on a node is stopped, or is gone: Swarm does not run a job again.
    pub(super) fn lose_jobs(&mut self, node: usize, problem: &str) {
        let jobs = self.swarm.jobs.iter();
        let on_it = jobs.filter(|(_, job)| job.is_alive && job.node == Some(node));
        let lost: Vec<JobNumber> = on_it.map(|(number, _)| *number).collect();
        for number in lost {
            if let Some(job) = self.swarm.jobs.get_mut(&number) {
                job.is_alive = false;
                if self.swarm.nodes[node].is_heard() {
                    job.state = JobState::Lost {
                        problem: problem.to_owned(),
                    };
                }
            }
            self.job_changed(Who::World, number, JobChange::Lost);
        }
    }

    fn job_changed(&mut self, who: Who, number: JobNumber, change: JobChange) {
        self.swarm.touch();
        self.hint_all();
        let Some(job) = self.swarm.jobs.get(&number) else {
            return;
        };
        let key = job.key.clone();
        self.journal.note(who, || What::Job(key, change));
    }
}
