//! Plays a story on the lab.

use std::time::Duration;

use rolloutctl::api::Phase;
use serde_json::Value;

use crate::daemon::{Collector, Controller};
use crate::lab::{Lab, poll};
use crate::load::{Load, Options};
use crate::rollout::{Place, usual};
use crate::script::Awaited;
use crate::shelf::Story;
use crate::sight::Sight;
use crate::watcher::Watcher;

/// The rollout's name, which is its back end's too.
pub const NAME: &str = "web-40";
/// Requests a second, over both proxies: enough for a metric.
const RPS: u32 = 80;
/// How long anything that is waited for may take.
const PATIENCE: Duration = Duration::from_secs(180);
/// How long what is waited for must hold.
pub const HOLD: Duration = Duration::from_secs(1);

/// A story in play.
pub struct Play<'a> {
    pub lab: &'a Lab,
    pub story: &'a Story,
    pub spec: Value,
    pub watcher: Watcher,
    pub controller: Option<Controller>,
    pub collector: Option<Collector>,
    _load: Load,
}

/// The transcript of a story.
pub fn play(lab: &Lab, story: &Story) -> Result<String, String> {
    let mut play = Play::new(lab, story);
    let told = play.go();
    let told = told.map_err(|problem| format!("{problem}\n{}", play.so_far()));
    play.clean();
    told
}

impl<'a> Play<'a> {
    fn new(lab: &'a Lab, story: &'a Story) -> Self {
        let mut spec = usual(&Place {
            name: NAME.to_owned(),
            network: lab.network.clone(),
            reach: lab.reach.clone(),
        });
        story.script.rollout.change(&mut spec);
        Self {
            lab,
            story,
            spec,
            watcher: Watcher::start(lab, NAME),
            collector: Some(Collector::start(lab)),
            controller: Some(Controller::start(lab)),
            _load: Load::start(lab, NAME, &Options::quick(RPS)),
        }
    }

    fn go(&mut self) -> Result<String, String> {
        for step in &self.story.script.steps {
            self.watcher.notes().teller.step(step);
            let taken = self.take(&step.step);
            taken.map_err(|problem| format!("{}: {problem}", step.text))?;
        }
        let mut end = None;
        self.until(HOLD, |sight| {
            end = rests(sight);
            end.is_some()
        })?;
        let teller = std::mem::take(&mut self.watcher.notes().teller);
        let end = end.unwrap_or_default();
        Ok(format!(
            "# {}\n{}",
            self.story.script.title,
            teller.finish(end)
        ))
    }

    fn so_far(&self) -> String {
        let notes = self.watcher.notes();
        format!(
            "told so far:\n{}\n{:#?}",
            notes.teller.so_far(),
            notes.sight.status
        )
    }

    /// Waits until all has held for a while; an instant is enough `as soon as`.
    pub fn wait_for(&self, awaited: &Awaited, hold: Duration) -> Result<(), String> {
        self.until(hold, |sight| {
            awaited.all.iter().all(|condition| condition.holds(sight))
        })
    }

    /// The same for what no script says.
    fn until(&self, hold: Duration, mut holds: impl FnMut(&Sight) -> bool) -> Result<(), String> {
        loop {
            let seen = poll(PATIENCE, || {
                holds(&self.watcher.notes().sight).then_some(())
            });
            seen.ok_or_else(|| format!("not within {PATIENCE:?}"))?;
            wait(hold);
            if hold > Duration::ZERO {
                self.look_again();
            }
            if holds(&self.watcher.notes().sight) {
                return Ok(());
            }
        }
    }

    /// Waits until all was looked at once more, from now on: a busy machine takes its time.
    fn look_again(&self) {
        let looks = || self.watcher.notes().looks;
        let enough = looks() + 2;
        let _ = poll(PATIENCE, || (looks() >= enough).then_some(()));
    }

    /// Leaves nothing of the story behind.
    fn clean(mut self) {
        self.answer_truly();
        if self.controller.is_none() {
            self.controller = Some(Controller::start(self.lab));
        }
        if self.lab.rollouts().iter().any(|name| name == NAME) {
            self.lab.clean(NAME);
        }
    }
}

/// How a rollout rests, if it does.
fn rests(sight: &Sight) -> Option<&'static str> {
    if sight.is_gone {
        return Some("Gone");
    }
    let status = sight.status.as_ref().filter(|_| sight.is_current)?;
    let watched = status
        .services
        .values()
        .any(|record| record.restore.is_some());
    let rests = status.phase != Phase::Progressing && status.leaving.is_empty() && !watched;
    rests.then(|| status.phase.as_str())
}

/// Lets time pass.
pub fn wait(time: Duration) {
    let _ = poll::<()>(time, || None);
}
