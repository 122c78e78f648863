//! A relay between the controller and a neighbour, which hears what the controller asks: the proof of what it does
//! not ask. It can hang, too, as a neighbour does that is stopped: at the moment at which something is asked of it.

use std::collections::BTreeMap;
use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use rolloutctl::world::haproxy::Address;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpStream, UnixListener, UnixStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::lab::Lab;

/// How often each question was asked.
pub type Questions = BTreeMap<String, u64>;

/// What was heard on each connection so far.
type Heard = Arc<Mutex<BTreeMap<u64, Vec<u8>>>>;

/// What is passed on to the neighbour.
#[derive(Clone, Copy)]
enum Flow {
    /// Everything.
    Open,
    /// Everything, up to the first bytes of which this holds.
    ShutsAt(fn(&str) -> bool),
    /// Nothing: it waits, and is passed on once the flow is open again.
    Shut,
}

/// Passes on everything, both ways, as long as it is not told to hang.
pub struct Relay {
    path: PathBuf,
    heard: Heard,
    flow: watch::Sender<Flow>,
    task: JoinHandle<()>,
}

impl Relay {
    /// Listens on a socket in the lab's directory for who wants to talk to `target`.
    pub fn start(lab: &Lab, name: &str, target: &str) -> Self {
        let target: Address = target.parse().expect("an address");
        let path = lab.dir.join(format!("e2e-{name}.sock"));
        // One may be left from a test that was killed.
        let _ = std::fs::remove_file(&path);
        let heard = Heard::default();
        let flow = watch::Sender::new(Flow::Open);
        let _runtime = lab.runtime().enter();
        let listener = UnixListener::bind(&path).expect("a socket");
        let task = tokio::spawn(accept(listener, target, Arc::clone(&heard), flow.clone()));
        Self {
            path,
            heard,
            flow,
            task,
        }
    }

    /// Hangs from the moment at which `word` holds of what is asked; that is not passed on any more.
    pub fn shut_at(&self, word: fn(&str) -> bool) {
        self.flow.send_replace(Flow::ShutsAt(word));
    }

    /// Whether it hangs.
    pub fn is_shut(&self) -> bool {
        matches!(*self.flow.borrow(), Flow::Shut)
    }

    /// Passes on everything again, also what has waited: a neighbour that was stopped finds it in its socket.
    pub fn open(&self) {
        self.flow.send_replace(Flow::Open);
    }

    /// Where it listens.
    pub fn address(&self) -> String {
        format!("unix://{}", self.path.display())
    }

    /// The HTTP requests so far, as `METHOD /path` without version, query and ids.
    pub fn requests(&self) -> Questions {
        self.questions(|bytes| requests(bytes).collect())
    }

    /// The commands of HAProxy's runtime API so far, by their first two words.
    pub fn commands(&self) -> Questions {
        self.questions(|bytes| {
            let text = String::from_utf8_lossy(bytes);
            let commands = text.split([';', '\n']).map(str::trim);
            let words = |command: &str| {
                let words: Vec<&str> = command.split_whitespace().take(2).collect();
                words.join(" ")
            };
            commands.filter(|one| !one.is_empty()).map(words).collect()
        })
    }

    fn questions(&self, read: impl Fn(&[u8]) -> Vec<String>) -> Questions {
        let heard = self.heard.lock().unwrap_or_else(PoisonError::into_inner);
        let mut questions = Questions::new();
        for question in heard.values().flat_map(|bytes| read(bytes)) {
            *questions.entry(question).or_default() += 1;
        }
        questions
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.task.abort();
        let _ = std::fs::remove_file(&self.path);
    }
}

/// What was asked between two counts.
pub fn asked_since(before: &Questions, after: &Questions) -> Questions {
    let more = after.iter().map(|(question, count)| {
        let more = count - before.get(question).copied().unwrap_or(0);
        (question.clone(), more)
    });
    more.filter(|(_, count)| *count > 0).collect()
}

/// The requests in one connection's bytes, whatever their bodies hold.
fn requests(bytes: &[u8]) -> impl Iterator<Item = String> + '_ {
    let mut rest = bytes;
    std::iter::from_fn(move || {
        let end = rest.windows(4).position(|four| four == b"\r\n\r\n")?;
        let head = String::from_utf8_lossy(&rest[..end]).to_lowercase();
        let field = |name: &str| {
            let mut lines = head.lines();
            lines.find_map(|line| line.strip_prefix(name)?.trim().parse::<usize>().ok())
        };
        assert!(
            !head.contains("transfer-encoding"),
            "this reads bodies of known length only: {head}"
        );
        let body = field("content-length:").unwrap_or(0);
        rest = rest.get(end + 4 + body..).unwrap_or_default();
        Some(question(head.lines().next().unwrap_or_default()))
    })
}

/// `get /v1.44/services/x1y2/update?version=7 http/1.1` becomes `GET /services/update`.
fn question(line: &str) -> String {
    let mut words = line.split(' ');
    let method = words.next().unwrap_or_default().to_uppercase();
    let path = words.next().unwrap_or_default();
    let path = path.split('?').next().unwrap_or_default();
    let is_word =
        |part: &&str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_lowercase() || b == b'_');
    let parts: Vec<&str> = path.split('/').filter(is_word).collect();
    format!("{method} /{}", parts.join("/"))
}

async fn accept(listener: UnixListener, target: Address, heard: Heard, flow: watch::Sender<Flow>) {
    for number in 0.. {
        let Ok((client, _)) = listener.accept().await else {
            return;
        };
        let (target, heard, flow) = (target.clone(), Arc::clone(&heard), flow.clone());
        tokio::spawn(async move {
            // A connection that breaks is seen as such by both ends.
            let _ = relay(client, &target, number, &heard, &flow).await;
        });
    }
}

async fn relay(
    client: UnixStream,
    target: &Address,
    number: u64,
    heard: &Heard,
    flow: &watch::Sender<Flow>,
) -> io::Result<()> {
    match target {
        Address::Unix(path) => {
            let server = UnixStream::connect(path).await?;
            pass(client, server, number, heard, flow).await
        }
        Address::Tcp { host, port } => {
            let server = TcpStream::connect((host.as_str(), *port)).await?;
            pass(client, server, number, heard, flow).await
        }
    }
}

/// Waits while the flow is shut, which these bytes may do.
async fn wait_for_flow(bytes: &[u8], flow: &watch::Sender<Flow>) {
    flow.send_if_modified(|flow| match flow {
        Flow::ShutsAt(word) if word(&String::from_utf8_lossy(bytes)) => {
            *flow = Flow::Shut;
            true
        }
        Flow::Open | Flow::ShutsAt(_) | Flow::Shut => false,
    });
    let mut changes = flow.subscribe();
    // It cannot fail: the sender is at hand.
    let _ = changes.wait_for(|flow| !matches!(flow, Flow::Shut)).await;
}

async fn pass(
    client: UnixStream,
    server: impl AsyncRead + AsyncWrite,
    number: u64,
    heard: &Heard,
    flow: &watch::Sender<Flow>,
) -> io::Result<()> {
    let (mut from_client, mut to_client) = client.into_split();
    let (mut from_server, mut to_server) = tokio::io::split(server);
    let there = async {
        let mut buffer = [0; 8192];
        loop {
            let read = from_client.read(&mut buffer).await?;
            if read == 0 {
                return to_server.shutdown().await;
            }
            {
                let mut heard = heard.lock().unwrap_or_else(PoisonError::into_inner);
                heard.entry(number).or_default().extend(&buffer[..read]);
            }
            wait_for_flow(&buffer[..read], flow).await;
            to_server.write_all(&buffer[..read]).await?;
        }
    };
    let back = async {
        tokio::io::copy(&mut from_server, &mut to_client).await?;
        to_client.shutdown().await
    };
    tokio::try_join!(there, back).map(|_| ())
}
