//! Lost requests, each with its cause.

use std::collections::BTreeMap;

use super::super::journal::What;
use super::super::state::State;
use super::super::swarm::TaskKey;
use super::super::time::Time;
use crate::api::Revision;

/// Why requests are lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Loss {
    /// No server takes any, although the stable revision has a ready task.
    NoServer,
    /// No server takes any, and the stable revision has no ready task either, or there is none.
    NothingReady,
    /// All servers that take any lead to tasks that do not listen.
    Refused,
    /// The process that had them ended or was killed.
    Killed,
    /// `shutdown sessions` cut them.
    Cut,
    /// HAProxy itself was not running, or was restarted.
    ProxyStopped,
}

impl Loss {
    /// All causes.
    pub const ALL: [Self; 6] = [
        Self::NoServer,
        Self::NothingReady,
        Self::Refused,
        Self::Killed,
        Self::Cut,
        Self::ProxyStopped,
    ];
}

/// How many requests were lost so far, on average.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Losses(BTreeMap<Loss, BTreeMap<String, f64>>);

impl Losses {
    /// Those of one back end by one cause.
    pub fn of(&self, backend: &str, loss: Loss) -> f64 {
        let backends = self.0.get(&loss);
        backends
            .and_then(|known| known.get(backend).copied())
            .unwrap_or(0.0)
    }

    /// Those of all back ends by one cause.
    pub fn by(&self, loss: Loss) -> f64 {
        self.0.get(&loss).map_or(0.0, |lost| lost.values().sum())
    }

    /// All of them.
    pub fn total(&self) -> f64 {
        self.iter().map(|(_, _, requests)| requests).sum()
    }

    /// Each back end and cause with its requests.
    pub fn iter(&self) -> impl Iterator<Item = (&str, Loss, f64)> {
        self.0.iter().flat_map(|(loss, lost)| {
            let each = lost.iter();
            each.map(|(backend, requests)| (backend.as_str(), *loss, *requests))
        })
    }

    pub(in crate::sim) fn add(&mut self, backend: &str, loss: Loss, requests: f64) {
        if requests <= 0.0 {
            return;
        }
        let backends = self.0.entry(loss).or_default();
        match backends.get_mut(backend) {
            Some(known) => *known += requests,
            None => {
                backends.insert(backend.to_owned(), requests);
            }
        }
    }
}

/// What a revision answered, on average.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Answered {
    /// The requests that were sent to it.
    pub requests: f64,
    /// Those of them that failed: answered with 5xx, or lost on the way.
    pub failed: f64,
}

impl State {
    /// Counts requests that are lost at once.
    pub(in crate::sim) fn lose(
        &mut self,
        loss: Loss,
        backend: &str,
        revision: &Revision,
        requests: f64,
    ) {
        if requests <= 0.0 {
            return;
        }
        self.traffic.losses.add(backend, loss, requests);
        self.tell(|| What::Lost {
            loss,
            backend: backend.to_owned(),
            revision: revision.clone(),
            requests,
        });
    }

    /// A process has ended, and its open requests with it.
    pub(in crate::sim) fn lose_open_requests(&mut self, task: TaskKey) {
        self.flow();
        let now = self.now;
        let mut lost = Vec::new();
        for (index, instance) in self.proxies.instances.iter_mut().enumerate() {
            let current = instance.backends.iter_mut().flat_map(|(name, backend)| {
                let servers = backend.servers.values_mut();
                let streams = servers.flat_map(|server| &mut server.streams);
                streams.map(move |stream| (name, stream))
            });
            for (name, stream) in current.filter(|(_, stream)| stream.task == task) {
                lost.push((
                    index,
                    name.clone(),
                    stream.revision.clone(),
                    stream.cut(now),
                ));
            }
            for (name, stream) in &mut instance.old {
                if stream.task == task {
                    lost.push((
                        index,
                        name.clone(),
                        stream.revision.clone(),
                        stream.cut(now),
                    ));
                }
            }
        }
        for (index, backend, revision, requests) in lost {
            self.traffic.answered_by(index, &revision).failed += requests;
            self.lose(Loss::Killed, &backend, &revision, requests);
        }
    }

    /// Counts what was lost steadily until now; from here on it is for `loss`.
    pub(in crate::sim) fn count_losses(&mut self, index: usize, name: &str, loss: Option<Loss>) {
        let now = self.now;
        let instance = &mut self.proxies.instances[index];
        let Some(backend) = instance.backends.get_mut(name) else {
            return;
        };
        let before = backend.losing;
        if let Some(loss) = before {
            let requests = steadily(backend.rps, backend.counted, now);
            self.traffic.losses.add(name, loss, requests);
        }
        backend.counted = now;
        backend.losing = loss;
        if before != loss {
            let instance = instance.name.clone();
            self.tell(|| What::Losing {
                instance,
                backend: name.to_owned(),
                loss,
            });
        }
    }

    /// What was lost in one back end by one cause until now.
    pub(in crate::sim) fn lost(&self, name: &str, loss: Loss) -> f64 {
        let instances = self.proxies.instances.iter();
        let backends = instances.filter_map(|instance| instance.backends.get(name));
        let losing = backends.filter(|backend| backend.losing == Some(loss));
        let lately: f64 = losing
            .map(|backend| steadily(backend.rps, backend.counted, self.now))
            .sum();
        self.traffic.losses.of(name, loss) + lately
    }

    /// All that was lost until now.
    pub(in crate::sim) fn losses(&self) -> Losses {
        let mut losses = self.traffic.losses.clone();
        for instance in &self.proxies.instances {
            for (name, backend) in &instance.backends {
                if let Some(loss) = backend.losing {
                    losses.add(name, loss, steadily(backend.rps, backend.counted, self.now));
                }
            }
        }
        losses
    }
}

fn steadily(rps: f64, since: Time, now: Time) -> f64 {
    rps * now.seconds_since(since)
}
