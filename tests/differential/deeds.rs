//! What each step of a script does to the lab.

use rolloutctl::api::{Dependents, Revision};
use serde_json::{Value, json};

use crate::daemon::{Collector, Controller};
use crate::play::{HOLD, NAME, Play, wait};
use crate::rollout::{Changes, manifest};
use crate::script::{BEFORE, Behaviour, Metric, Process, Proxy, Step};
use crate::switch::switch;

impl Play<'_> {
    /// Takes one step.
    pub fn take(&mut self, step: &Step) -> Result<(), String> {
        match step {
            Step::Apply(changes) => self.apply(changes)?,
            Step::Delete(Dependents::Remove) => {
                self.rolloutctl(&["delete", &format!("rollout/{NAME}")]);
            }
            Step::Command(order) => {
                let verb = order.0.to_string();
                let words = verb.split(' ').chain([NAME]);
                // What is refused is said in the status, and by the exit code too, as is that no controller
                // has taken it up yet.
                self.rolloutctl(&words.collect::<Vec<_>>());
            }
            Step::Undo(to) => self.undo(to)?,
            Step::Until(awaited) => self.wait_for(awaited, HOLD)?,
            Step::AsSoonAs(awaited) => self.wait_for(awaited, std::time::Duration::ZERO)?,
            Step::Wait(time) => wait(time.as_std()),
            Step::Metric(metric) => self.answer(metric)?,
            Step::KillTask(image) => self.kill(image, 1)?,
            Step::KillTasks(image) => self.kill(image, usize::MAX)?,
            Step::ScaleByHand { image, to } => {
                let scale = format!("{}={to}", self.service(image)?);
                self.lab.docker(&["service", "scale", "--detach", &scale]);
            }
            Step::EditByHand(image) => {
                let service = self.service(image)?;
                let edit = ["service", "update", "--detach", "--label-add", "note=x"];
                self.lab.docker(&[&edit[..], &[&service]].concat());
            }
            Step::RemoveByHand(image) => {
                let service = self.service(image)?;
                self.lab.docker(&["service", "rm", &service]);
            }
            Step::Controller(process) => self.run(*process),
            Step::Haproxy(what) => {
                for (proxy, what) in what {
                    let number = proxy.trim_start_matches("lb-");
                    let arguments: &[&str] = match what {
                        Proxy::Restart => &["restart-haproxy", number],
                        Proxy::Reload => &["restart-haproxy", number, "--reload"],
                        Proxy::Cut | Proxy::Hang | Proxy::Return => return Err(only_simulated()),
                    };
                    switch(self.lab, arguments);
                }
            }
            Step::Delete(Dependents::Orphan)
            | Step::Behave(_)
            | Step::WeighByHand { .. }
            | Step::Standby(_)
            | Step::CrashAtCall { .. }
            | Step::Node(_)
            | Step::Network(_)
            | Step::MetricSource(_) => return Err(only_simulated()),
        }
        Ok(())
    }

    fn rolloutctl(&self, arguments: &[&str]) {
        let output = self.lab.cli(arguments);
        assert!(
            output.code != 2 && output.code != 4,
            "{arguments:?}: {output:?}"
        );
    }

    fn apply(&mut self, changes: &Changes) -> Result<(), String> {
        changes.change(&mut self.spec);
        let image = self.spec["template"]["image"].as_str().unwrap_or_default();
        let image = image.to_owned();
        let behaviours = &self.story.script.images;
        let behaviour = behaviours.get(&image).copied();
        let mut spec = self.spec.clone();
        dress(&mut spec, &image, behaviour.unwrap_or(Behaviour::Good));
        let revision = Revision::of(&manifest(NAME, &spec)?.spec);
        self.watcher.notes().sight.images.insert(revision, image);
        let manifest = json!({
            "apiVersion": "rolloutctl.dev/v1alpha1", "kind": "Rollout", "metadata": {"name": NAME}, "spec": spec,
        });
        self.lab.apply(&manifest.to_string());
        Ok(())
    }

    fn undo(&self, to: &str) -> Result<(), String> {
        let mut arguments = vec!["undo".to_owned(), NAME.to_owned()];
        if to != BEFORE {
            arguments.push(format!("--to-revision={}", self.revision(to)?));
        }
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        self.lab.cli(&arguments).ok();
        Ok(())
    }

    fn revision(&self, image: &str) -> Result<Revision, String> {
        let notes = self.watcher.notes();
        let mut images = notes.sight.images.iter();
        let found = images.find(|(_, known)| *known == image);
        let (revision, _) = found.ok_or_else(|| format!("{image} was not applied yet"))?;
        Ok(revision.clone())
    }

    fn service(&self, image: &str) -> Result<String, String> {
        Ok(format!("{NAME}-{}", self.revision(image)?))
    }

    fn kill(&self, image: &str, count: usize) -> Result<(), String> {
        let service = self.service(image)?;
        let filter = format!("label=com.docker.swarm.service.name={service}");
        let listed = self.lab.docker(&["ps", "--quiet", "--filter", &filter]);
        let victims: Vec<&str> = listed.lines().take(count).collect();
        if victims.is_empty() {
            return Err(format!("{image} has no task that could be killed"));
        }
        self.lab.docker(&[&["kill"], victims.as_slice()].concat());
        Ok(())
    }

    fn run(&mut self, process: Process) {
        let old = self.controller.take();
        match process {
            Process::Start => {}
            Process::Stop => old.map_or((), Controller::stop),
            Process::Kill | Process::Restart => old.map_or((), Controller::kill9),
        }
        if matches!(process, Process::Start | Process::Restart) {
            self.controller = Some(Controller::start(self.lab));
        }
    }

    fn answer(&mut self, metric: &Metric) -> Result<(), String> {
        match metric {
            Metric::Truth => self.answer_truly(),
            Metric::NoData => self.collector = None,
            Metric::Error => switch(self.lab, &["stop-influxdb"]),
            Metric::Value(_) | Metric::Null | Metric::Partial | Metric::Never | Metric::Late(_) => {
                return Err(only_simulated());
            }
        }
        Ok(())
    }

    /// The database runs, and is told what happens.
    pub fn answer_truly(&mut self) {
        switch(self.lab, &["start-influxdb"]);
        if self.collector.is_none() {
            self.collector = Some(Collector::start(self.lab));
        }
    }
}

fn only_simulated() -> String {
    "the lab cannot do that; take `lab: true` out of the story".to_owned()
}

/// The demo app in the place of an abstract image.
fn dress(spec: &mut Value, image: &str, behaviour: Behaviour) {
    let (version, variable) = match behaviour {
        Behaviour::Good => (image, None),
        Behaviour::Bad => (image, Some(("ERROR_RATE", "0.2"))),
        Behaviour::NeverReady => (image, Some(("READY_AFTER", "10m"))),
        Behaviour::SlowStart => (image, Some(("READY_AFTER", "20s"))),
        Behaviour::StopsAtOnce => (image, Some(("ON_SIGTERM", "exit"))),
        Behaviour::DoesNotStart => ("broken", None),
    };
    let template = &mut spec["template"];
    template["image"] = format!("demo-app:{version}").into();
    // Two versions that do not start are of the same image, and not the same revision.
    template["environment"] = json!({"STORY_IMAGE": image});
    if let Some((name, value)) = variable {
        template["environment"][name] = value.into();
    }
}
