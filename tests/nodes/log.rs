//! The proxies' log, heard in the collector's place: which server each lost request was sent to.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use rolloutctl::collector::{httplog, syslog};
use tokio::net::UdpSocket;
use tokio::task::JoinHandle;

use crate::lab::Lab;

/// How many requests were lost, by the server that they were sent to; none for those that no server took.
pub type Lost = BTreeMap<Option<String>, u64>;

/// A listener that ends with its owner.
pub struct Log {
    lost: Arc<Mutex<Lost>>,
    task: JoinHandle<()>,
}

impl Log {
    /// Listens where the proxies send their logs.
    pub fn listen(lab: &Lab) -> Self {
        let address = lab.log.trim_start_matches("udp://");
        let lost = Arc::<Mutex<Lost>>::default();
        let socket = lab.runtime().block_on(UdpSocket::bind(address));
        let socket = socket.expect("nobody else listens");
        let task = lab.runtime().spawn(hear(socket, Arc::clone(&lost)));
        Self { lost, task }
    }

    /// The requests that got no answer, or a server error, so far.
    pub fn lost(&self) -> Lost {
        let lost = self.lost.lock().unwrap_or_else(PoisonError::into_inner);
        lost.clone()
    }
}

impl Drop for Log {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn hear(socket: UdpSocket, lost: Arc<Mutex<Lost>>) {
    let mut datagram = vec![0; syslog::MAX_DATAGRAM];
    while let Ok(length) = socket.recv(&mut datagram).await {
        let text = syslog::text(&datagram[..length]);
        // What does not tell of a request tells of a server that went down.
        let Ok(request) = httplog::parse(syslog::parse(&text).body) else {
            continue;
        };
        if request.is_error() || request.is_aborted_by_server() {
            let server = request.server.map(ToOwned::to_owned);
            let mut lost = lost.lock().unwrap_or_else(PoisonError::into_inner);
            *lost.entry(server).or_default() += 1;
        }
    }
}
