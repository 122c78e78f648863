//! How the toy world moves: what becomes of an action, and what Swarm and the proxies' checks do meanwhile.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};

use rolloutctl::action::{
    Action, Measure, NewJob, ReadLog, ServerChange, ServerChanges, ServerVerb,
};
use rolloutctl::api::{Duration, ServerWeight};
use rolloutctl::snapshot::{
    AdminState, CheckState, InstanceFact, JobFact, JobState, NodeId, OperationalState, Sample,
    SampleOutcome, ServerFact, ServiceFact, ServiceId, TaskFact, TaskId, TaskState,
};

use super::Toy;

impl Toy {
    pub fn act(&mut self, action: &Action) {
        match action {
            Action::CreateService(new) => {
                let id = ServiceId::from(new.name());
                let fact = ServiceFact {
                    id,
                    name: new.name(),
                    version: 1,
                    rollout: new.rollout.clone(),
                    revision: new.revision.clone(),
                    replicas: new.replicas,
                    drift: None,
                    created_at: self.now,
                    changed_at: self.now,
                };
                self.snapshot.services.insert(new.name(), fact);
            }
            Action::RestoreService { service, .. } => {
                self.service(&service.name).drift = None;
            }
            Action::ScaleService { service, replicas } => {
                let now = self.now;
                let known = self.service(&service.name);
                (known.replicas, known.changed_at) = (*replicas, now);
            }
            Action::RemoveService { service } => {
                self.snapshot.services.remove(&service.name);
            }
            Action::ChangeServers(changes) => self.change_servers(changes),
            Action::Measure(question) => self.ask(question),
            Action::StartJob(new) => self.start_job(new),
            Action::ReadLog(over) => self.read_log(over),
            Action::RemoveJob(job) => {
                self.snapshot.jobs.remove(&job.name);
            }
            Action::Forget => self.forgotten = true,
        }
    }

    fn change_servers(&mut self, changes: &ServerChanges) {
        let open = self.open_requests;
        let instances = self
            .snapshot
            .load_balancers
            .get_mut("edge")
            .expect("the load balancer");
        let Some(InstanceFact::Reachable(proxy)) = instances.get_mut(&changes.instance) else {
            panic!("a change for an instance that does not answer: {changes:?}");
        };
        let servers = proxy
            .backends
            .get_mut(&changes.backend)
            .expect("the backend");
        for change in &changes.changes {
            change_server(servers, change, open);
        }
    }

    fn ask(&mut self, question: &Measure) {
        let known = self.asked.iter().any(|asked| asked.key == question.key);
        if !known {
            let (key, window) = (question.key.clone(), question.window);
            self.asked.push(question.clone());
            self.snapshot.samples.push(Sample {
                key,
                window,
                at: self.now,
                outcome: self.answer.clone(),
            });
        }
    }

    fn start_job(&mut self, new: &NewJob) {
        let job = JobFact {
            id: ServiceId::from(format!("id-{}", self.started.len())),
            name: new.name(),
            key: new.key.clone(),
            created_at: self.now,
            state: JobState::Waiting { problem: None },
        };
        let before = self.snapshot.jobs.insert(new.name(), job);
        assert_eq!(before, None, "its precondition is that there is none");
        self.started.push(new.clone());
    }

    fn read_log(&mut self, over: &ReadLog) {
        let key = over.job.key.clone();
        let mut samples = self.snapshot.samples.iter();
        if !samples.any(|sample| sample.key == key) {
            self.snapshot.samples.push(Sample {
                key,
                window: over.window,
                at: self.now,
                outcome: SampleOutcome::Ran {
                    end: over.end,
                    log: vec!["the last line".to_owned()],
                },
            });
        }
    }

    /// Tasks follow their services: one turn to start, one to stop; checks pass. Of a lost node nothing is heard.
    pub fn swarm_moves(&mut self) {
        let nodes = &self.snapshot.nodes;
        let is_heard = |task: &TaskFact| {
            let node = task.node.as_ref().and_then(|node| nodes.get(node));
            node.is_some_and(|node| node.ready)
        };
        for task in self.snapshot.tasks.values_mut() {
            if !is_heard(task) || task.state == TaskState::Failed {
                continue;
            }
            if task.desired != TaskState::Running {
                task.state = TaskState::Shutdown;
            } else if !self
                .broken
                .iter()
                .any(|revision| task.service.0.ends_with(revision.as_str()))
            {
                task.state = TaskState::Running;
            }
        }
        let services: Vec<ServiceFact> = self.snapshot.services.values().cloned().collect();
        self.snapshot.tasks.retain(|_, task| {
            task.state != TaskState::Shutdown
                && services.iter().any(|service| service.id == task.service)
        });
        for service in services {
            self.fill(&service);
        }
        self.checks_pass();
    }

    /// Time passes, for the proxies as well.
    pub fn wait(&mut self, duration: Duration) {
        let before = self.now;
        self.now = duration.after(before);
        let seconds = self.now.as_second() - before.as_second();
        let seconds = u32::try_from(seconds).expect("a short while");
        for proxy in self.proxies() {
            proxy.uptime_secs += u64::from(seconds);
            for server in proxy.backends.values_mut().flat_map(BTreeMap::values_mut) {
                server.unchanged_secs += seconds;
            }
        }
    }

    pub fn checks_pass(&mut self) {
        for proxy in self.proxies() {
            for fact in proxy.backends.values_mut().flat_map(BTreeMap::values_mut) {
                if fact.check == CheckState::Pending && fact.admin == AdminState::Ready {
                    fact.check = CheckState::Passed;
                    fact.operational = OperationalState::Running;
                }
            }
        }
    }

    /// Every service gets the tasks that it asks for, running at once.
    pub fn start_tasks(&mut self) {
        let services: Vec<ServiceFact> = self.snapshot.services.values().cloned().collect();
        for service in services {
            self.fill(&service);
        }
        for task in self.snapshot.tasks.values_mut() {
            task.state = TaskState::Running;
        }
    }

    fn fill(&mut self, service: &ServiceFact) {
        let mine =
            |task: &&mut TaskFact| task.service == service.id && task.desired == TaskState::Running;
        let count = self.snapshot.tasks.values_mut().filter(mine).count();
        let wanted = usize::try_from(service.replicas).expect("a small number");
        for task in self
            .snapshot
            .tasks
            .values_mut()
            .filter(mine)
            .take(count.saturating_sub(wanted))
        {
            task.desired = TaskState::Shutdown;
        }
        for slot in count..wanted {
            self.ids += 1;
            let task = TaskFact {
                id: TaskId::from(format!("{:025}", self.ids)),
                service: service.id.clone(),
                slot: u32::try_from(slot + 1).expect("a small number"),
                node: Some(NodeId::from("node")),
                state: TaskState::Waiting,
                desired: TaskState::Running,
                addresses: BTreeMap::from([(
                    "news".to_owned(),
                    IpAddr::V4(Ipv4Addr::from_bits(self.ids)),
                )]),
                host_ports: BTreeMap::new(),
                problem: None,
                since: self.now,
            };
            // The id's end must tell tasks apart, and a server's name keeps its beginning.
            let id = TaskId::from(format!("{:0>12}{:013}", self.ids, 0));
            self.snapshot
                .tasks
                .insert(id.clone(), TaskFact { id, ..task });
        }
    }
}

fn change_server(servers: &mut BTreeMap<String, ServerFact>, change: &ServerChange, open: u32) {
    let key = change.server.to_string();
    if let ServerVerb::Add(endpoint) = change.verb {
        let fact = ServerFact {
            endpoint: Some(endpoint),
            admin: AdminState::Maintenance,
            operational: OperationalState::Stopped,
            unchanged_secs: 0,
            check: CheckState::Pending,
            weight: ServerWeight::ZERO,
            sessions: 0,
        };
        servers.entry(key).or_insert(fact);
        return;
    }
    let fact = servers
        .get_mut(&key)
        .unwrap_or_else(|| panic!("{change:?}: no such server"));
    let admin = fact.admin;
    match change.verb {
        ServerVerb::Add(_) => {}
        ServerVerb::Enable => {
            fact.admin = AdminState::Ready;
            fact.operational = OperationalState::Running;
        }
        ServerVerb::Weigh(weight) => fact.weight = weight,
        ServerVerb::Drain => {
            fact.admin = AdminState::Drain;
            fact.sessions = open;
        }
        ServerVerb::Maintain => fact.admin = AdminState::Maintenance,
        ServerVerb::Cut => fact.sessions = 0,
        ServerVerb::Delete => {
            assert_eq!(
                fact.admin,
                AdminState::Maintenance,
                "TRAFFIC-4: {key} is deleted while it may serve"
            );
            assert_eq!(
                fact.sessions, 0,
                "TRAFFIC-4: {key} is deleted with open requests"
            );
            servers.remove(&key);
            return;
        }
    }
    if fact.admin != admin {
        fact.unchanged_secs = 0;
    }
}
