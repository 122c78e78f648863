//! A real InfluxDB of a test's own, and sockets that answer otherwise.

use std::net::TcpListener;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::task::JoinHandle;
use tokio::time::{interval, timeout};

const PATIENCE: Duration = Duration::from_secs(30);

const CONFIG: &str = "
reporting-disabled = true
bind-address = \"127.0.0.1:RPC\"
[meta]
  dir = \"DIR/meta\"
[data]
  dir = \"DIR/data\"
  wal-dir = \"DIR/wal\"
[monitor]
  store-enabled = false
[http]
  bind-address = \"127.0.0.1:HTTP\"
";

/// A real InfluxDB 1.x with nothing in it.
pub struct Server {
    /// Its base URL.
    pub url: String,
    child: Child,
    _directory: tempfile::TempDir,
}

impl Server {
    /// Starts one, or says that there is none to start.
    pub async fn start() -> Option<Self> {
        let binary = std::env::var("LAB_INFLUXD_BIN").unwrap_or_else(|_| "influxd".to_owned());
        if Command::new(&binary).arg("version").output().is_err() {
            println!("skipped: no `{binary}` here; install influxdb or set LAB_INFLUXD_BIN");
            return None;
        }
        // A free port may be taken by another test before it is bound here.
        for _ in 0..3 {
            let mut server = Self::spawn(&binary);
            if server.is_ready().await {
                return Some(server);
            }
        }
        panic!("InfluxDB ends at once, three times");
    }

    fn spawn(binary: &str) -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        let (http, rpc) = (free_port(), free_port());
        let config = CONFIG
            .replace("DIR", &directory.path().display().to_string())
            .replace("HTTP", &http.to_string())
            .replace("RPC", &rpc.to_string());
        let file = directory.path().join("influxdb.conf");
        std::fs::write(&file, config).expect("a configuration");
        let child = Command::new(binary)
            .arg("-config")
            .arg(&file)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("InfluxDB starts");
        Self {
            url: format!("http://127.0.0.1:{http}"),
            child,
            _directory: directory,
        }
    }

    /// Waits until it answers; false when it has ended.
    async fn is_ready(&mut self) -> bool {
        let address = self.url.trim_start_matches("http://").to_owned();
        let mut ticks = interval(Duration::from_millis(50));
        let wait = async {
            loop {
                if self.child.try_wait().expect("its state").is_some() {
                    return false;
                }
                if tokio::net::TcpStream::connect(&address).await.is_ok() {
                    return true;
                }
                ticks.tick().await;
            }
        };
        timeout(PATIENCE, wait).await.expect("InfluxDB answers")
    }

    /// Creates `database` and writes `points` in line protocol.
    pub async fn write(&self, database: &str, points: &str) {
        // A client wants a provider, and this one may be the process's first.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let client = reqwest::Client::new();
        let create = format!("CREATE DATABASE \"{database}\"");
        let created = client
            .post(format!("{}/query", self.url))
            .query(&[("q", create)])
            .send()
            .await
            .expect("an answer");
        assert!(created.status().is_success(), "{created:?}");
        // The status comes before the statement has run, so that only the body tells that it has.
        let body = created.text().await.expect("a body");
        assert!(!body.contains("error"), "{body}");
        let written = client
            .post(format!("{}/write", self.url))
            .query(&[("db", database)])
            .body(points.to_owned())
            .send()
            .await
            .expect("an answer");
        let status = written.status();
        let text = written.text().await.expect("a body");
        assert!(status.is_success(), "{text}");
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0")
        .and_then(|listener| listener.local_addr())
        .expect("a free port")
        .port()
}

/// A socket that takes connections and says nothing, as long as it is kept.
pub fn deaf() -> (TcpListener, String) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("its address");
    (listener, format!("http://{address}"))
}

/// What a socket answers.
pub struct Answer {
    /// Number and words.
    pub status: &'static str,
    /// The body.
    pub body: String,
}

/// A socket that answers one request; its URL, and the request's head.
pub async fn once(answer: Answer) -> (String, JoinHandle<String>) {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0")
        .await
        .expect("a port");
    let url = format!("http://{}", listener.local_addr().expect("its address"));
    let task = tokio::spawn(async move {
        let (stream, _) = listener.accept().await.expect("a connection");
        let mut stream = BufReader::new(stream);
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            if stream.read_line(&mut head).await.expect("a line") == 0 {
                break;
            }
        }
        let text = format!(
            "HTTP/1.1 {}\r\nContent-Length: {}\r\nLocation: /elsewhere\r\nConnection: close\r\n\r\n{}",
            answer.status,
            answer.body.len(),
            answer.body
        );
        // A client that stops reading an endless answer is what some tests want.
        let _ = stream.get_mut().write_all(text.as_bytes()).await;
        head
    });
    (url, task)
}
