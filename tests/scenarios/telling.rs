//! Transcripts: what is seen of a rollout becomes lines, each a decision or its effect.
//!
//! The lines of a step stand in groups, each in its own order: what the rollout decides, its phase, what has left, what other
//! hands did, what becomes of its services, and who has the traffic. Between the groups there is no order: which of
//! two independent things is first is a matter of chance. No times, ids, hashes or numbers of looks stand in a line.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::Arc;

use rolloutctl::api::{Revision, RolloutStatus};

use crate::decisions;
use crate::script::Told;
use crate::sight::{Sight, share_is};

/// Tells what is seen.
#[derive(Debug, Default)]
pub struct Teller {
    text: String,
    /// Whether the step at hand waits for something.
    waits: bool,
    /// The status that was seen last.
    status: Option<Arc<RolloutStatus>>,
    is_gone: bool,
    decided: Vec<String>,
    phase: Course,
    /// What has left.
    left: Vec<String>,
    /// What other hands did, and is told once in each step.
    by_hand: Vec<String>,
    jobs: Course,
    services: BTreeMap<String, Course>,
    traffic: BTreeMap<String, Course>,
}

/// The values that something had in a step, one after the other.
#[derive(Debug, Default)]
struct Course(Vec<String>);

impl Course {
    fn goes_to(&mut self, value: &str) {
        if self.0.last().is_none_or(|last| last != value) {
            self.0.push(value.to_owned());
        }
    }

    /// The values, if there is more than the one at the beginning.
    fn tell(&mut self) -> Option<String> {
        let told = (self.0.len() > 1).then(|| self.0.join(" → "));
        let last = self.0.pop();
        self.0 = last.into_iter().collect();
        told
    }
}

impl Teller {
    /// Begins a step. What is seen while something is done is told when it is waited for: some worlds take longer
    /// to do it.
    pub fn step(&mut self, told: &Told) {
        if self.waits {
            self.end_step();
        }
        self.waits = told.step.waits();
        let _ = writeln!(self.text, "> {}", told.text);
    }

    /// The transcript, which ends with how the rollout rests.
    pub fn finish(mut self, end: &str) -> String {
        self.end_step();
        let _ = writeln!(self.text, "at rest: {end}");
        self.text
    }

    /// What was told so far.
    pub fn so_far(&self) -> String {
        format!("{}  {}", self.text, self.decided.join("\n  "))
    }

    fn end_step(&mut self) {
        let mut lines = std::mem::take(&mut self.decided);
        lines.extend(self.phase.tell().map(|phases| format!("phase: {phases}")));
        lines.append(&mut self.left);
        lines.append(&mut self.by_hand);
        lines.extend(self.jobs.tell().map(|jobs| format!("job: {jobs}")));
        for (image, course) in &mut self.services {
            let told = course.tell();
            lines.extend(told.map(|values| format!("tasks of {image}: {values}")));
        }
        for (image, course) in &mut self.traffic {
            let told = course.tell();
            lines.extend(told.map(|values| format!("traffic to {image}: {values}")));
        }
        for line in lines {
            let _ = writeln!(self.text, "  {line}");
        }
    }

    /// Looks.
    pub fn see(&mut self, sight: &Sight) {
        if let Some(status) = &sight.status
            && self.status.as_deref() != Some(status.as_ref())
        {
            let before = self.status.take().unwrap_or_default();
            decisions::tell(&before, status, sight, &mut self.decided);
            self.phase.goes_to(&decisions::phase(status));
            self.left
                .extend(decisions::has_left(&before, status, sight));
            for line in decisions::by_hand(&before, status, sight) {
                if !self.by_hand.contains(&line) {
                    self.by_hand.push(line);
                    self.by_hand.sort();
                }
            }
            self.status = Some(status.clone());
        }
        if sight.is_gone && !self.is_gone {
            self.decided.push("it is gone".to_owned());
        }
        self.is_gone = sight.is_gone;
        let jobs = sight.jobs.join(", ");
        self.jobs
            .goes_to(if jobs.is_empty() { "none" } else { &jobs });
        self.see_services(sight);
        self.see_traffic(sight);
    }

    fn see_services(&mut self, sight: &Sight) {
        for (revision, image) in &sight.images {
            let tasks = sight.services.get(revision);
            let value = tasks.map_or("no service".to_owned(), ToString::to_string);
            course(&mut self.services, image, "no service").goes_to(&value);
        }
    }

    fn see_traffic(&mut self, sight: &Sight) {
        for (revision, image) in &sight.images {
            if let Some(percent) = self.settled_share(sight, revision) {
                course(&mut self.traffic, image, "0 %").goes_to(&format!("{percent} %"));
            }
        }
    }

    /// What a revision has, once that is what it is meant to have on every proxy. On the way there, and beside a
    /// canary, the shares depend on chance.
    fn settled_share(&self, sight: &Sight, revision: &Revision) -> Option<u8> {
        let status = self.status.as_ref()?;
        let is_canary = status.canary_revision.as_ref() == Some(revision);
        let is_stable = status.stable_revision.as_ref() == Some(revision);
        let wanted = match (is_canary, is_stable) {
            (true, _) => status.weight,
            (false, true) if status.canary_revision.is_none() => 100,
            (false, true) => return None,
            (false, false) => 0,
        };
        let share = sight.share(revision)?;
        share_is(share, f64::from(wanted) / 100.0).then_some(wanted)
    }
}

fn course<'a>(
    courses: &'a mut BTreeMap<String, Course>,
    image: &str,
    first: &str,
) -> &'a mut Course {
    courses
        .entry(image.to_owned())
        .or_insert_with(|| Course(vec![first.to_owned()]))
}
