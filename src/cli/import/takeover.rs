//! Taking a running service over without losing a request: waits for the rollout, drains the old servers on every
//! instance, then asks for no tasks of the old service.
//!
//! Each turn looks at everything anew and does the one step that [`super::step`] decides.

use std::collections::BTreeMap;

use tokio::time::Instant;

use super::route::{Route, Seen, proxies};
use super::servers::{Said, elsewhere, misnamed, sort};
use super::step::{Drain, Picture, Servers, Step, next};
use crate::api::Name;
use crate::cli::clock::{self, Patience};
use crate::cli::console::Console;
use crate::cli::exit::{Exit, Failure};
use crate::cli::status;
use crate::cli::target::{RolloutRef, rollout_spec};
use crate::cli::words::counted;
use crate::snapshot::{AdminState, ProxyFact};
use crate::world::World;
use crate::world::haproxy::Haproxy;
use crate::world::swarm::{ForeignService, Running, Swarm, Ways};

/// A takeover.
pub(super) struct Takeover<'a> {
    /// The service.
    pub service: String,
    /// The rollout that takes it over, which is in the store.
    pub rollout: RolloutRef,
    /// What was said of servers.
    pub said: Said,
    /// How long the rollout may take.
    pub patience: Patience,
    /// Where the service is.
    pub swarm: Swarm,
    /// Where the rollout is.
    pub world: &'a dyn World,
}

/// What is remembered from turn to turn; all of it may be lost.
#[derive(Default)]
struct Memory {
    /// Tasks that were replaced meanwhile have still been the service's.
    ways: Ways,
    draining_since: Option<Instant>,
    /// What this run has taken out of the traffic.
    drained: Servers,
    said: Option<String>,
    /// How many tasks the service had, for the way back.
    tasks: u32,
}

impl Takeover<'_> {
    /// Takes the service over.
    ///
    /// # Errors
    /// When the rollout does not become Healthy, when something is not clear, or when the world does not answer. It says
    /// what has been done; running it again goes on.
    pub async fn run(self, console: &mut Console) -> Result<Exit, Failure> {
        let ready = status::wait(&self.rollout, self.patience, self.world, console).await?;
        if ready != Exit::Done {
            console.remark(format_args!(
                "the service {} and its servers are as they were",
                self.service
            ));
            return Ok(ready);
        }
        let mut memory = Memory::default();
        let mut deadline = self.patience.deadline();
        loop {
            let (route, service) = self.look().await?;
            let haproxy = Haproxy::default();
            let seen = Seen {
                proxies: proxies(&haproxy, &route.instances).await?,
                others: route.others(&haproxy).await?,
            };
            self.check_names(&route, &service, &seen.proxies)?;
            let picture = self.picture(&route, &service, &seen, &mut memory).await?;
            if let Some(instance) = memory.forsaken(&picture) {
                return Err(self.give_back(&instance, &route, &memory).await);
            }
            let step = next(&picture);
            if !matches!(step, Step::AwaitOurs(_)) {
                deadline = self.patience.deadline();
            }
            match step {
                Step::Refuse(reason) => return Err(Failure::No(reason)),
                Step::AwaitOurs(what) => {
                    if deadline.is_some_and(|deadline| Instant::now() >= deadline) {
                        return Err(Failure::TimedOut(format!("timed out; {what}")));
                    }
                    memory.tell(format!("waiting: {what}"), console)?;
                }
                Step::Drain(servers) => {
                    memory.draining_since = Some(Instant::now());
                    memory.remember(&servers);
                    route.set(&haproxy, &servers, AdminState::Drain).await?;
                    memory.tell(format!("draining {}", listed(&servers)), console)?;
                }
                Step::AwaitRequests(open) => {
                    // What an earlier run has drained gets its time once more.
                    memory.draining_since.get_or_insert_with(Instant::now);
                    let open = counted(usize::try_from(open).unwrap_or(usize::MAX), "request");
                    memory.tell(format!("{open} open at the old servers"), console)?;
                }
                Step::Maintain(servers) => {
                    memory.remember(&servers);
                    if let Some(told) = cut_short(&picture) {
                        memory.tell(told, console)?;
                    }
                    route
                        .set(&haproxy, &servers, AdminState::Maintenance)
                        .await?;
                    memory.tell(format!("taken out: {}", listed(&servers)), console)?;
                }
                Step::Stop => {
                    self.stop(&service, &mut memory, console).await?;
                    if service.running() == Running::Unscalable {
                        return self.done(&service, &route, &picture, &memory, console);
                    }
                }
                Step::Done => return self.done(&service, &route, &picture, &memory, console),
            }
            clock::next_look().await;
        }
    }

    /// A name that was mistyped would leave its server in the traffic.
    fn check_names(
        &self,
        route: &Route,
        service: &ForeignService,
        proxies: &BTreeMap<Name, ProxyFact>,
    ) -> Result<(), Failure> {
        // Once all is done, the servers may be gone.
        if service.running() == Running::Replicas(0) {
            return Ok(());
        }
        match misnamed(&self.said, &route.backend, proxies) {
            None => Ok(()),
            Some(server) => Err(Failure::Usage(format!(
                "{server}: no instance has a server of that name in back end {} that is not a rollout's; see `show servers state {}`",
                route.backend, route.backend
            ))),
        }
    }

    async fn look(&self) -> Result<(Route, ForeignService), Failure> {
        let store = self.world.load().await?;
        let target = self.rollout.resource();
        let stored = target.find(&store)?;
        let spec =
            rollout_spec(stored).ok_or_else(|| Failure::No(format!("{target} is no rollout")))?;
        let route = Route::read(stored, spec, &store)?;
        let service = self.swarm.foreign(&self.service).await?;
        let service = service.ok_or_else(|| {
            Failure::No(format!(
                "the service {} is gone; nothing is left to do",
                self.service
            ))
        })?;
        Ok((route, service))
    }

    async fn picture(
        &self,
        route: &Route,
        service: &ForeignService,
        seen: &Seen,
        memory: &mut Memory,
    ) -> Result<Picture, Failure> {
        let ways = self.swarm.ways_to(service).await?;
        memory.ways.addresses.extend(ways.addresses);
        memory.ways.published.extend(ways.published);
        let sorted = seen.proxies.iter().map(|(name, proxy)| {
            let sorted = sort(proxy, &route.backend, &memory.ways, &self.said);
            (name.clone(), sorted)
        });
        let drain = match memory.draining_since {
            Some(since) if since.elapsed() >= route.drain_timeout => Drain::Over,
            Some(_) | None => Drain::Running,
        };
        Ok(Picture {
            instances: sorted.collect(),
            others: elsewhere(&seen.others, &memory.ways),
            service: service.running(),
            replicas: route.replicas,
            rollout: route.condition,
            drain,
        })
    }

    async fn stop(
        &self,
        service: &ForeignService,
        memory: &mut Memory,
        console: &mut Console,
    ) -> Result<(), Failure> {
        if let Running::Replicas(tasks) = service.running() {
            memory.tasks = tasks;
            self.swarm.stop_foreign(service).await?;
            memory.tell(
                format!("{} scaled from {tasks} to 0", self.service),
                console,
            )?;
        }
        Ok(())
    }

    /// The rollout's servers are all gone from an instance, and its old ones were just taken out: they are put back.
    async fn give_back(&self, instance: &Name, route: &Route, memory: &Memory) -> Failure {
        let servers = memory.drained.get(instance).cloned().unwrap_or_default();
        let servers = BTreeMap::from([(instance.clone(), servers)]);
        match route
            .set(&Haproxy::default(), &servers, AdminState::Ready)
            .await
        {
            Ok(()) => Failure::No(format!(
                "{instance}: no server of the rollout takes requests any more, so {} got theirs back; see `rolloutctl describe \
                 {}`, and run this again",
                listed(&servers),
                self.rollout.resource()
            )),
            Err(failure) => failure,
        }
    }

    fn done(
        &self,
        service: &ForeignService,
        route: &Route,
        picture: &Picture,
        memory: &Memory,
        console: &mut Console,
    ) -> Result<Exit, Failure> {
        let name = &self.service;
        let end = match service.running() {
            Running::Replicas(_) => "the service has no tasks any more",
            Running::Unscalable => {
                "the service gets no requests any more; it cannot be scaled to 0"
            }
        };
        console.answer(format_args!("{} serves: {end}", self.rollout.resource()))?;
        let lines = leftovers(&route.backend, picture);
        if !lines.is_empty() {
            console.answer(
                "Now remove these lines from haproxy.cfg, on every instance, before the next reload, which would bring them \
                 back into the traffic:",
            )?;
            for line in lines {
                console.answer(format_args!("  {line}"))?;
            }
        }
        if let Some(stack) = service.stack() {
            console.answer(format_args!(
                "Take the service out of the file of the stack {stack}: `docker stack deploy` would start it again."
            ))?;
        }
        console.answer(format_args!("Then: docker service rm {name}"))?;
        if memory.tasks > 0 {
            console.remark(format_args!(
                "the way back until then: `docker service scale {name}={}`, and `set server {}/SERVER state ready` by HAProxy's \
                 runtime API",
                memory.tasks, route.backend
            ));
        }
        Ok(Exit::Done)
    }
}

impl Memory {
    fn remember(&mut self, servers: &Servers) {
        for (instance, names) in servers {
            let known = self.drained.entry(instance.clone()).or_default();
            known.extend(names.iter().cloned());
            known.sort();
            known.dedup();
        }
    }

    /// An instance on which this run has left nobody to take requests (TRAFFIC-5).
    fn forsaken(&self, picture: &Picture) -> Option<Name> {
        let serves = picture.service != Running::Replicas(0);
        let mut drained = self.drained.keys();
        let empty = |name: &&Name| {
            let sorted = picture.instances.get(*name);
            sorted.is_some_and(|sorted| {
                let left = sorted.theirs.values().any(|s| s.admin == AdminState::Ready);
                sorted.ours_ready == 0 && !left && !sorted.theirs.is_empty()
            })
        };
        drained.find(empty).filter(|_| serves).cloned()
    }

    /// Says something, unless it was the last thing said.
    fn tell(&mut self, line: String, console: &mut Console) -> Result<(), Failure> {
        if self.said.as_ref() != Some(&line) {
            console.answer(&line)?;
            self.said = Some(line);
        }
        Ok(())
    }
}

/// What is open at drained servers when their time is over.
fn cut_short(picture: &Picture) -> Option<String> {
    let servers = picture
        .instances
        .values()
        .flat_map(|sorted| sorted.theirs.values());
    let draining = servers.filter(|server| server.admin == AdminState::Drain);
    let open: u32 = draining.map(|server| server.sessions).sum();
    (open > 0).then(|| {
        let open = counted(usize::try_from(open).unwrap_or(usize::MAX), "request");
        format!("{open} still open after the drain timeout: the old tasks have their stop grace period to end them")
    })
}

fn listed(servers: &Servers) -> String {
    let each = servers
        .iter()
        .map(|(instance, names)| format!("{} at {instance}", names.join(", ")));
    each.collect::<Vec<_>>().join("; ")
}

/// The servers that haproxy.cfg still has, each once.
fn leftovers(backend: &str, picture: &Picture) -> Vec<String> {
    let all = picture.instances.values().flat_map(|sorted| &sorted.theirs);
    let lines =
        all.map(|(name, server)| format!("backend {backend}: server {name} {} …", server.address));
    lines
        .collect::<std::collections::BTreeSet<_>>()
        .into_iter()
        .collect()
}
