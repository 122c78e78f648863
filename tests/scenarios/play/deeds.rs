//! What each step of a script does to the simulated world.

use rolloutctl::api::{Actor, Duration, Kind, Resource, Revision, ServerWeight};
use rolloutctl::cli::undo::restored;
use rolloutctl::sim::{Condition, CrashAt, Edit, FaultPlan, Hand, LastCall, Which, WhichServer};
use rolloutctl::trial::{Deed, Reading, Seat};
use serde_json::json;

use super::{HOLD, NAME, PROXIES, Play, app, hand, lossy, name};
use crate::rollout::{Changes, manifest};
use crate::script::{BEFORE, Metric, Network, Node, Presence, Process, Proxy, Step};

impl Play<'_> {
    /// Takes one step.
    pub(super) fn take(&mut self, step: &Step) -> Result<(), String> {
        match step {
            Step::Apply(changes) => self.apply(changes)?,
            Step::Delete(dependents) => {
                let rollout = self.rollout.clone();
                self.lend(Hand::Delete(Kind::Rollout, rollout, *dependents));
            }
            Step::Command(order) => self.lend(Hand::Command(self.rollout.clone(), order.0)),
            Step::Undo(to) => self.undo(to)?,
            Step::Until(awaited) => self.wait_for(awaited, HOLD)?,
            Step::AsSoonAs(awaited) => self.wait_for(awaited, Duration::ZERO)?,
            Step::Wait(time) => self.trial.run_for(*time),
            Step::Behave(behaviours) => {
                for (image, behaviour) in behaviours {
                    self.lend(Hand::App(image.clone(), app(*behaviour)));
                }
            }
            Step::Metric(metric) => {
                let reading = reading(metric);
                self.trial.perform(Deed::Source(None, reading));
            }
            Step::Controller(process) => self.run(Seat(0), *process),
            Step::Standby(process) => self.run(Seat(1), *process),
            Step::CrashAtCall { number, done } => {
                let last = if *done {
                    LastCall::Done
                } else {
                    LastCall::NotDone
                };
                let calls = *number;
                self.trial
                    .perform(Deed::Crash(Seat(0), CrashAt { calls, last }));
            }
            Step::Haproxy(what) => {
                for (proxy, what) in what {
                    let index = instance(proxy)?;
                    self.lend(to_proxy(index, *what));
                }
            }
            Step::Node(what) => {
                for (node, what) in what {
                    let number: usize = node.parse().map_err(|_| format!("no node {node}"))?;
                    self.lend(to_node(number - 1, *what));
                }
            }
            Step::Network(network) => {
                let faults = match network {
                    Network::Lossy => lossy(),
                    Network::Sound => FaultPlan::none(),
                };
                self.trial.perform(Deed::Faults(Box::new(faults)));
            }
            Step::MetricSource(Presence::Deleted) => self.lend(Hand::Delete(
                Kind::MetricSource,
                name("main"),
                rolloutctl::api::Dependents::Remove,
            )),
            Step::MetricSource(Presence::Applied) => self.put_neighbours(),
            Step::KillTask(_)
            | Step::KillTasks(_)
            | Step::ScaleByHand { .. }
            | Step::EditByHand(_)
            | Step::RemoveByHand(_)
            | Step::WeighByHand { .. } => self.take_by_hand(step)?,
        }
        Ok(())
    }

    /// Takes a step in which another hand touches tasks, services or servers.
    fn take_by_hand(&mut self, step: &Step) -> Result<(), String> {
        match step {
            Step::KillTask(image) => self.kill(image, 1)?,
            Step::KillTasks(image) => self.kill(image, usize::MAX)?,
            Step::ScaleByHand { image, to } => {
                let service = self.service(image)?;
                self.lend(Hand::Scale(service, *to));
            }
            Step::EditByHand(image) => {
                let service = self.service(image)?;
                self.lend(Hand::Edit(service, Edit::Label));
            }
            Step::RemoveByHand(image) => {
                let service = self.service(image)?;
                self.lend(Hand::RemoveService(service));
            }
            Step::WeighByHand {
                haproxy,
                image,
                weight,
            } => self.weigh(haproxy, image, *weight)?,
            other => return Err(format!("{other:?} is nothing that a hand does")),
        }
        Ok(())
    }

    fn lend(&mut self, what: Hand) {
        self.trial.perform(hand(what));
    }

    fn apply(&mut self, changes: &Changes) -> Result<(), String> {
        changes.change(&mut self.spec);
        let manifest = manifest(NAME, &self.spec)?;
        let revision = Revision::of(&manifest.spec);
        let image = manifest.spec.template.image.clone();
        self.notes().sight.images.insert(revision, image);
        self.lend(Hand::Apply(Box::new(Resource::Rollout(manifest))));
        Ok(())
    }

    /// As `rolloutctl undo` does. The manifest, which a later step applies, is none the wiser.
    fn undo(&mut self, to: &str) -> Result<(), String> {
        let to = match to {
            BEFORE => None,
            image => Some(self.revision(image)?.as_str().parse()?),
        };
        let by = Actor("ana@desk".to_owned());
        let restored = self.trial.world().view(|view| {
            let stored = view.rollout(&self.rollout);
            restored(stored.ok_or("it is gone")?, to.as_ref(), &by)
        });
        self.lend(Hand::Apply(Box::new(restored?)));
        Ok(())
    }

    /// Applies what the rollout refers to.
    pub(super) fn put_neighbours(&mut self) {
        let instance =
            |name: &str| json!({"name": name, "address": format!("unix:///{name}.sock")});
        let balancer = json!({"haproxy": {"instances": PROXIES.map(instance)}});
        let source = json!({"influxdb": {"url": "http://127.0.0.1:8086", "database": "rollouts"}});
        let metadata =
            |name: &str| serde_json::from_value(json!({"name": name})).expect("metadata");
        let balancer = rolloutctl::api::Manifest {
            metadata: metadata("edge"),
            spec: serde_json::from_value(balancer).expect("a spec"),
        };
        let source = rolloutctl::api::Manifest {
            metadata: metadata("main"),
            spec: serde_json::from_value(source).expect("a spec"),
        };
        self.lend(Hand::Apply(Box::new(Resource::LoadBalancer(balancer))));
        self.lend(Hand::Apply(Box::new(Resource::MetricSource(source))));
    }

    fn revision(&self, image: &str) -> Result<Revision, String> {
        let notes = self.notes();
        let mut images = notes.sight.images.iter();
        let found = images.find(|(_, known)| *known == image);
        found
            .map(|(revision, _)| revision.clone())
            .ok_or_else(|| format!("{image} was not applied yet"))
    }

    fn service(&self, image: &str) -> Result<Which, String> {
        let revision = self.revision(image)?;
        Ok(Which::Named(revision.service_name(&self.rollout)))
    }

    /// Kills so many processes of an image, at most all.
    fn kill(&mut self, image: &str, count: usize) -> Result<(), String> {
        let revision = self.revision(image)?;
        let next = |play: &Self| {
            play.trial.world().view(|view| {
                let alive = view.tasks().filter(|task| task.is_alive);
                let mut alive = alive.enumerate();
                alive
                    .find(|(_, task)| task.listens && *task.revision == revision)
                    .map(|(nth, _)| nth)
            })
        };
        let mut killed = 0;
        while killed < count
            && let Some(nth) = next(self)
        {
            self.lend(Hand::KillTask(nth));
            killed += 1;
        }
        if killed == 0 {
            return Err(format!("{image} has no task that could be killed"));
        }
        Ok(())
    }

    fn weigh(&mut self, haproxy: &str, image: &str, weight: u16) -> Result<(), String> {
        let (revision, proxy) = (self.revision(image)?, instance(haproxy)?);
        let server = self.trial.world().view(|view| {
            let mut servers = view.servers(&name(haproxy), NAME);
            servers.position(|server| server.revision == Some(&revision))
        });
        let server = server.ok_or_else(|| format!("{haproxy} has no server of {image}"))?;
        let which = WhichServer {
            instance: proxy,
            backend: NAME.to_owned(),
            server,
        };
        self.lend(Hand::Weigh(which, ServerWeight::new(weight)));
        Ok(())
    }

    fn run(&mut self, seat: Seat, process: Process) {
        match process {
            Process::Start => self.trial.perform(Deed::Start(seat)),
            Process::Stop => self.trial.perform(Deed::Stop(seat)),
            Process::Kill => self.trial.perform(Deed::Kill(seat)),
            Process::Restart => {
                self.trial.perform(Deed::Kill(seat));
                self.trial.perform(Deed::Start(seat));
            }
        }
    }
}

fn instance(name: &str) -> Result<usize, String> {
    let found = PROXIES.iter().position(|known| *known == name);
    found.ok_or_else(|| format!("there is no proxy {name}; there are {}", PROXIES.join(", ")))
}

fn to_proxy(index: usize, what: Proxy) -> Hand {
    match what {
        Proxy::Restart => Hand::Restart(index, Duration::from_secs(2)),
        Proxy::Reload => Hand::Reload(index),
        Proxy::Cut => Hand::Condition(index, Condition::Unreachable),
        Proxy::Hang => Hand::Condition(index, Condition::Hangs),
        Proxy::Return => Hand::Condition(index, Condition::Answers),
    }
}

fn to_node(index: usize, what: Node) -> Hand {
    match what {
        Node::Drain => Hand::DrainNode(index),
        Node::Activate => Hand::ActivateNode(index),
        Node::Crash => Hand::CrashNode(index),
        Node::Return => Hand::ReturnNode(index),
    }
}

fn reading(metric: &Metric) -> Reading {
    match metric {
        Metric::Truth => Reading::Truth,
        Metric::Value(value) => Reading::Value(*value),
        Metric::NoData => Reading::NoData,
        Metric::Null => Reading::Null,
        Metric::Partial => Reading::Partial,
        Metric::Error => Reading::Error,
        Metric::Never => Reading::Never,
        Metric::Late(by) => Reading::Late(*by, Box::new(Reading::Truth)),
    }
}
