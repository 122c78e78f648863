//! A HAProxy of a test's own, and what is done to it and seen of it.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use rolloutctl::action::{ServerChange, ServerChanges, ServerVerb};
use rolloutctl::api::{HaproxyInstance, Name, ServerWeight};
use rolloutctl::snapshot::{CheckState, InstanceFact, ProxyFact, ServerFact, ServerName, TaskId};
use rolloutctl::world::WorldError;
use rolloutctl::world::haproxy::Haproxy;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::time::{interval, timeout};

use super::site::{Client, Site};

/// How long a test waits for anything.
pub const PATIENCE: Duration = Duration::from_secs(20);

const CONFIG: &str = "
global
  nbthread 2
  stats socket DIR/admin.sock mode 600 level admin
  stats socket DIR/operator.sock mode 600 level operator
  stats socket ipv4@127.0.0.1:API level admin
defaults
  mode http
  timeout connect 1s
  timeout client 30s
  timeout server 30s
  timeout queue 2s
  retries 3
  option redispatch 1
frontend front
  bind 127.0.0.1:FRONT
  default_backend web
backend web
  balance roundrobin
  option httpchk GET /healthz
backend hashed
  balance source
backend odd
  balance roundrobin
  server foreign 127.0.0.1:1 weight 11 disabled
";

/// A real HAProxy with three back ends: `web`, `hashed` and `odd`.
pub struct Bench {
    directory: tempfile::TempDir,
    binary: String,
    child: Child,
    haproxy: Haproxy,
    /// The front end's port.
    pub front: u16,
    /// The runtime API's TCP address.
    pub tcp: String,
}

impl Bench {
    /// Starts one, or says that there is none to start.
    pub async fn start() -> Option<Self> {
        let binary = std::env::var("LAB_HAPROXY_BIN").unwrap_or_else(|_| "haproxy".to_owned());
        if Command::new(&binary).arg("-v").output().is_err() {
            println!("skipped: no `{binary}` here; install haproxy or set LAB_HAPROXY_BIN");
            return None;
        }
        // A free port may be taken by another test before it is bound here.
        for _ in 0..3 {
            let mut bench = Self::spawn(&binary);
            if bench.is_ready().await {
                return Some(bench);
            }
        }
        panic!("HAProxy ends at once, three times");
    }

    fn spawn(binary: &str) -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        let (front, api) = (free_port(), free_port());
        let config = CONFIG
            .replace("DIR", &directory.path().display().to_string())
            .replace("API", &api.to_string())
            .replace("FRONT", &front.to_string());
        std::fs::write(directory.path().join("haproxy.cfg"), config).expect("a configuration");
        Self {
            child: spawn(binary, directory.path()),
            haproxy: Haproxy::default(),
            directory,
            binary: binary.to_owned(),
            front,
            tcp: format!("tcp://127.0.0.1:{api}"),
        }
    }

    /// Ends HAProxy and starts it again.
    pub async fn restart(&mut self) {
        self.child.kill().expect("to end HAProxy");
        self.child.wait().expect("its end");
        self.child = spawn(&self.binary, self.directory.path());
        assert!(self.is_ready().await, "HAProxy ends at once");
    }

    /// Sends HAProxy a signal, by its name for `kill`.
    pub fn signal(&self, name: &str) {
        let process = self.child.id().to_string();
        let sent = Command::new("kill").args(["-s", name, &process]).status();
        assert!(sent.expect("`kill`").success(), "no signal {name}");
    }

    /// Waits until it answers; false when it has ended.
    async fn is_ready(&mut self) -> bool {
        let mut ticks = interval(Duration::from_millis(20));
        let wait = async {
            loop {
                if self.child.try_wait().expect("its state").is_some() {
                    return false;
                }
                let facts = self.haproxy.observe(&[self.instance()]).await;
                if matches!(facts[&name("lb-1")], InstanceFact::Reachable(_)) {
                    return true;
                }
                ticks.tick().await;
            }
        };
        timeout(PATIENCE, wait).await.expect("HAProxy answers")
    }

    /// A path in the test's own directory.
    pub fn path(&self, file: &str) -> PathBuf {
        self.directory.path().join(file)
    }

    /// The instance by its Unix socket.
    pub fn instance(&self) -> HaproxyInstance {
        instance_at("lb-1", &self.address())
    }

    fn address(&self) -> String {
        format!("unix://{}", self.path("admin.sock").display())
    }

    /// What is observed now.
    pub async fn facts(&self) -> ProxyFact {
        let mut facts = self.haproxy.observe(&[self.instance()]).await;
        match facts.remove(&name("lb-1")) {
            Some(InstanceFact::Reachable(fact)) => fact,
            other => panic!("not observed: {other:?}"),
        }
    }

    /// Our server with this slot in `web`, if it is there.
    pub async fn server(&self, slot: u32) -> Option<ServerFact> {
        let facts = self.facts().await;
        let servers = facts.backends.get("web")?;
        servers.get(&server(slot).to_string()).cloned()
    }

    /// Changes servers of `web`, by slot.
    pub async fn apply(&self, changes: &[(u32, ServerVerb)]) -> Result<(), WorldError> {
        self.apply_to("web", changes).await
    }

    /// Changes servers of `backend`, by slot.
    pub async fn apply_to(
        &self,
        backend: &str,
        changes: &[(u32, ServerVerb)],
    ) -> Result<(), WorldError> {
        let changes = ServerChanges {
            load_balancer: name("edge"),
            instance: name("lb-1"),
            backend: backend.to_owned(),
            changes: changes
                .iter()
                .map(|(slot, verb)| ServerChange {
                    server: server(*slot),
                    verb: verb.clone(),
                })
                .collect(),
        };
        self.haproxy.apply(&self.address(), &changes).await
    }

    /// `set server` of one server, as another hand would send it.
    pub async fn order(&self, slot: u32, what: &str) {
        let socket = UnixStream::connect(self.path("admin.sock")).await;
        let mut socket = socket.expect("the socket");
        let line = format!("set server web/{} {what}\n", server(slot));
        socket.write_all(line.as_bytes()).await.expect("to send");
        let mut answer = String::new();
        let read = socket.read_to_string(&mut answer).await;
        read.expect("an answer");
        assert_eq!(answer.trim(), "", "{line}");
    }

    /// Adds a server, enables it, and waits for its check; then it gets the weight 100.
    pub async fn serve(&self, slot: u32, site: &Site) {
        self.apply(&[
            (slot, ServerVerb::Add(site.endpoint)),
            (slot, ServerVerb::Enable),
        ])
        .await
        .expect("add and enable");
        self.until(slot, |server| server.check == CheckState::Passed)
            .await;
        self.apply(&[(slot, ServerVerb::Weigh(ServerWeight::EVEN))])
            .await
            .expect("a weight");
    }

    /// Deletes a server in maintenance, as soon as its last connection is gone.
    pub async fn delete(&self, slot: u32) {
        eventually("the server is deleted", async || {
            match self.apply(&[(slot, ServerVerb::Delete)]).await {
                Ok(()) => true,
                Err(WorldError::Conflict { .. }) => false,
                Err(error) => panic!("{error}"),
            }
        })
        .await;
    }

    /// Waits until the server is what it should be.
    pub async fn until(&self, slot: u32, holds: impl Fn(&ServerFact) -> bool) {
        eventually("the server is what it should be", async || {
            self.server(slot).await.as_ref().is_some_and(&holds)
        })
        .await;
    }

    /// One request on a connection of its own: status and body.
    pub fn get(
        &self,
        path: &'static str,
    ) -> impl Future<Output = std::io::Result<(u16, String)>> + use<> {
        let front = self.front;
        async move { Client::connect(front).await?.get(path).await }
    }

    /// A client that keeps its connection.
    pub async fn client(&self) -> Client {
        Client::connect(self.front).await.expect("a connection")
    }

    /// How often each site answered `requests` requests.
    pub async fn count(&self, requests: usize) -> BTreeMap<String, usize> {
        let mut seen = BTreeMap::new();
        let mut client = self.client().await;
        for _ in 0..requests {
            let (status, body) = client.get("/").await.expect("an answer");
            assert_eq!(status, 200, "{body}");
            *seen.entry(body).or_default() += 1;
        }
        seen
    }
}

impl Drop for Bench {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn spawn(binary: &str, directory: &std::path::Path) -> Child {
    Command::new(binary)
        .args(["-db", "-q", "-f"])
        .arg(directory.join("haproxy.cfg"))
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("HAProxy starts")
}

fn free_port() -> u16 {
    std::net::TcpListener::bind("127.0.0.1:0")
        .and_then(|listener| listener.local_addr())
        .expect("a free port")
        .port()
}

fn server(slot: u32) -> ServerName {
    let task = TaskId::from("abcdefghijkl0123456789abc");
    ServerName::new(&"0123456789".parse().expect("a revision"), slot, &task)
}

/// A resource's name.
pub fn name(text: &str) -> Name {
    text.parse().expect("a name")
}

/// An instance of a load balancer.
pub fn instance_at(instance: &str, address: &str) -> HaproxyInstance {
    HaproxyInstance {
        name: name(instance),
        address: address.to_owned(),
    }
}

/// Waits until `holds`, looking every 20 ms.
pub async fn eventually(what: &str, holds: impl AsyncFn() -> bool) {
    let mut ticks = interval(Duration::from_millis(20));
    let wait = async {
        while !holds().await {
            ticks.tick().await;
        }
    };
    assert!(timeout(PATIENCE, wait).await.is_ok(), "never: {what}");
}
