//! Little web servers behind HAProxy, and clients before it.

use std::sync::Arc;

use rolloutctl::snapshot::Endpoint;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Notify, Semaphore};
use tokio::time::timeout;

use super::bench::PATIENCE;

/// A web server that answers with its name; `GET /held` waits until it is released.
pub struct Site {
    /// Where it listens.
    pub endpoint: Endpoint,
    /// How many connections were made to it.
    pub connections: Arc<std::sync::atomic::AtomicUsize>,
    gate: Arc<Semaphore>,
    arrived: Arc<Notify>,
    task: tokio::task::JoinHandle<()>,
}

impl Site {
    /// Starts one on a free port.
    pub async fn start(name: &'static str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("its address");
        let gate = Arc::new(Semaphore::new(0));
        let arrived = Arc::new(Notify::new());
        let connections = Arc::new(std::sync::atomic::AtomicUsize::new(0));
        let shared = (gate.clone(), arrived.clone(), connections.clone());
        let task = tokio::spawn(async move {
            let (gate, arrived, connections) = shared;
            while let Ok((stream, _)) = listener.accept().await {
                connections.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
                tokio::spawn(answer(stream, name, gate.clone(), arrived.clone()));
            }
        });
        Self {
            endpoint: Endpoint {
                address: address.ip(),
                port: address.port(),
            },
            connections,
            gate,
            arrived,
            task,
        }
    }

    /// Waits until a `GET /held` has come.
    pub async fn held(&self) {
        timeout(PATIENCE, self.arrived.notified())
            .await
            .expect("a held request");
    }

    /// Lets one held request go on.
    pub fn release(&self) {
        self.gate.add_permits(1);
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn answer(stream: TcpStream, name: &str, gate: Arc<Semaphore>, arrived: Arc<Notify>) {
    let mut stream = BufReader::new(stream);
    while let Ok(Some(head)) = head(&mut stream).await {
        if head.starts_with("GET /held") {
            arrived.notify_one();
            if let Ok(permit) = gate.acquire().await {
                permit.forget();
            }
        }
        let text = format!(
            "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{name}",
            name.len()
        );
        if stream.get_mut().write_all(text.as_bytes()).await.is_err() {
            return;
        }
    }
}

/// The lines of a request or answer up to the empty one; nothing at the end of the stream.
async fn head(stream: &mut BufReader<TcpStream>) -> std::io::Result<Option<String>> {
    let mut head = String::new();
    loop {
        if stream.read_line(&mut head).await? == 0 {
            return Ok(None);
        }
        if head.ends_with("\r\n\r\n") {
            return Ok(Some(head));
        }
    }
}

/// An HTTP client that keeps its connection as long as the server does.
pub struct Client(BufReader<TcpStream>);

impl Client {
    /// Connects to a port of this machine.
    ///
    /// # Errors
    /// When nobody listens there.
    pub async fn connect(port: u16) -> std::io::Result<Self> {
        let stream = TcpStream::connect(("127.0.0.1", port)).await?;
        stream.set_nodelay(true)?;
        Ok(Self(BufReader::new(stream)))
    }

    /// Asks for `path`: status and body.
    pub async fn get(&mut self, path: &str) -> std::io::Result<(u16, String)> {
        let request = format!("GET {path} HTTP/1.1\r\nHost: web\r\n\r\n");
        self.0.get_mut().write_all(request.as_bytes()).await?;
        let gone = || std::io::Error::from(std::io::ErrorKind::UnexpectedEof);
        let head = head(&mut self.0).await?.ok_or_else(gone)?;
        let status = head
            .split(' ')
            .nth(1)
            .and_then(|status| status.parse().ok())
            .ok_or_else(gone)?;
        let length = head
            .lines()
            .filter_map(|line| line.split_once(": "))
            .find(|(key, _)| key.eq_ignore_ascii_case("content-length"))
            .and_then(|(_, length)| length.parse().ok());
        let mut body = Vec::new();
        match length {
            Some(length) => {
                body.resize(length, 0);
                self.0.read_exact(&mut body).await?;
            }
            None => {
                self.0.read_to_end(&mut body).await?;
            }
        }
        Ok((status, String::from_utf8_lossy(&body).into_owned()))
    }
}
