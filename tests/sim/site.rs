//! A small simulated site: three nodes, two proxies with the back end `web`, and what is needed to ask it things.

use std::collections::BTreeMap;
use std::future::Future;
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use rolloutctl::action::{
    Action, NewService, ServerChange, ServerChanges, ServerVerb, ServiceTarget,
};
use rolloutctl::api::{
    Access, Duration, HaproxyInstance, HaproxySpec, LoadBalancerSpec, Name, Reach, Revision,
    ServerWeight, Template,
};
use rolloutctl::sim::{App, Keep, Losses, Setup, SimWorld, Span, What};
use rolloutctl::snapshot::{
    Endpoint, InstanceFact, ProxyFact, ServerFact, ServerName, ServiceFact, Snapshot, TaskFact,
    TaskState,
};
use rolloutctl::world::{World, WorldError};
use serde_json::json;

pub const BACKEND: &str = "web";

pub fn name(text: &str) -> Name {
    text.parse().expect("a name")
}

pub fn revision(digit: char) -> Revision {
    let text: String = std::iter::repeat_n(digit, Revision::LEN).collect();
    text.parse().expect("a revision")
}

pub fn template(image: &str) -> Template {
    serde_json::from_value(json!({"image": image, "networks": ["front"]})).expect("a template")
}

pub fn service(revision: &Revision, replicas: u32) -> NewService {
    NewService {
        rollout: name("web"),
        revision: revision.clone(),
        template: template("app:v1").into(),
        access: Access::Proxied {
            port: 8080,
            reach: Reach::Network,
        },
        replicas,
    }
}

/// Two proxies with 100 requests per second each.
pub fn setup(seed: u64) -> Setup {
    let setup = Setup {
        journal: Keep::Yes,
        ..Setup::new(seed)
    };
    setup
        .with_proxy(&name("edge"), &name("lb-1"), BACKEND, 100.0)
        .with_proxy(&name("edge"), &name("lb-2"), BACKEND, 100.0)
}

/// An application that starts in 100 ms and listens 100 ms later.
pub fn quick() -> App {
    App {
        start: Span::just(Duration::from_millis(100)),
        ready: Some(Span::just(Duration::from_millis(100))),
        error_rate: 0.0,
        ..App::default()
    }
}

pub struct Site {
    pub world: SimWorld,
    pub balancers: BTreeMap<Name, LoadBalancerSpec>,
}

impl Site {
    pub fn new(setup: Setup) -> Self {
        let instances = setup.instances.iter().map(|instance| HaproxyInstance {
            name: instance.name.clone(),
            address: format!("unix:///{}.sock", instance.name),
        });
        let spec = LoadBalancerSpec {
            haproxy: HaproxySpec {
                instances: instances.collect(),
            },
        };
        Self {
            world: SimWorld::new(setup),
            balancers: BTreeMap::from([(name("edge"), spec)]),
        }
    }

    /// With an application that is quick.
    pub fn quick(seed: u64) -> Self {
        Self::new(Setup {
            other_apps: quick(),
            ..setup(seed)
        })
    }

    /// Waits for `future`, from one event to the next.
    pub fn run<T>(&self, future: impl Future<Output = T>) -> T {
        let mut future = pin!(future);
        let mut context = Context::from_waker(Waker::noop());
        loop {
            if let Poll::Ready(value) = future.as_mut().poll(&mut context) {
                return value;
            }
            let next = self.world.next_event().expect("something will happen");
            self.world.advance(next);
        }
    }

    /// Lets time pass.
    pub fn pass(&self, millis: u64) {
        let to = Duration::from_millis(millis).after(self.world.now());
        self.world.advance(to);
    }

    /// Lets time pass in small steps until it `holds`.
    #[track_caller]
    pub fn until(&self, what: &str, holds: impl Fn(&Self) -> bool) {
        for _ in 0..20_000 {
            if holds(self) {
                return;
            }
            self.pass(10);
        }
        panic!("never: {what}");
    }

    pub fn look(&self) -> Snapshot {
        self.run(self.world.observe(&self.balancers))
            .expect("a snapshot")
    }

    pub fn act(&self, action: &Action) -> Result<(), WorldError> {
        self.run(self.world.act(action, &self.balancers))
    }

    /// A service of so many tasks, all of which listen and are known to run.
    pub fn serve(&self, revision: &Revision, replicas: u32) -> ServiceFact {
        self.act(&Action::CreateService(service(revision, replicas)))
            .expect("created");
        self.until("its tasks are ready", |site| {
            site.world.view(|view| view.ready_tasks(revision)) == replicas
        });
        self.pass(2_000); // Until nobody writes to it any more.
        self.service(revision)
    }

    pub fn service(&self, revision: &Revision) -> ServiceFact {
        let snapshot = self.look();
        let found = snapshot.service(&name("web"), revision);
        found.expect("the service").clone()
    }

    pub fn scale(&self, revision: &Revision, replicas: u32) -> Result<(), WorldError> {
        let service = target(&self.service(revision));
        self.act(&Action::ScaleService { service, replicas })
    }

    pub fn tasks(&self, revision: &Revision) -> Vec<TaskFact> {
        let snapshot = self.look();
        let service = snapshot.service(&name("web"), revision);
        let id = &service.expect("the service").id;
        snapshot.tasks_of(id).cloned().collect()
    }

    pub fn running(&self, revision: &Revision) -> Vec<TaskFact> {
        let mut tasks = self.tasks(revision);
        tasks.retain(|task| (task.state, task.desired) == (TaskState::Running, TaskState::Running));
        tasks
    }

    pub fn change(
        &self,
        instance: &str,
        server: &ServerName,
        verbs: &[ServerVerb],
    ) -> Result<(), WorldError> {
        let change = |verb: &ServerVerb| ServerChange {
            server: server.clone(),
            verb: verb.clone(),
        };
        self.act(&Action::ChangeServers(ServerChanges {
            load_balancer: name("edge"),
            instance: name(instance),
            backend: BACKEND.to_owned(),
            changes: verbs.iter().map(change).collect(),
        }))
    }

    /// Adds a server for each running task, with its weight, and waits for the checks.
    pub fn balance(&self, instance: &str, revision: &Revision, weight: u16) -> Vec<ServerName> {
        let tasks = self.running(revision);
        let mut names = Vec::new();
        for task in tasks {
            let server = ServerName::new(revision, task.slot, &task.id);
            let verbs = [
                ServerVerb::Add(endpoint(&task)),
                ServerVerb::Enable,
                ServerVerb::Weigh(ServerWeight::new(weight)),
            ];
            self.change(instance, &server, &verbs).expect("added");
            names.push(server);
        }
        self.pass(1_100);
        names
    }

    pub fn proxy(&self, instance: &str) -> ProxyFact {
        let snapshot = self.look();
        match &snapshot.load_balancers["edge"][instance] {
            InstanceFact::Reachable(proxy) => proxy.clone(),
            InstanceFact::Unreachable { problem } => panic!("{instance}: {problem}"),
        }
    }

    pub fn server(&self, instance: &str, server: &ServerName) -> Option<ServerFact> {
        self.proxy(instance).backends[BACKEND]
            .get(&server.to_string())
            .cloned()
    }

    #[expect(
        clippy::redundant_closure_for_method_calls,
        reason = "the method alone is not general enough in its lifetime"
    )]
    pub fn losses(&self) -> Losses {
        self.world.view(|view| view.losses())
    }

    pub fn happened(&self, is_it: impl Fn(&What) -> bool) -> usize {
        let journal = self.world.journal();
        journal.iter().filter(|entry| is_it(&entry.what)).count()
    }
}

pub fn target(service: &ServiceFact) -> ServiceTarget {
    ServiceTarget {
        id: service.id.clone(),
        name: service.name.clone(),
        version: service.version,
    }
}

pub fn endpoint(task: &TaskFact) -> Endpoint {
    Endpoint {
        address: task.addresses["front"],
        port: 8080,
    }
}
