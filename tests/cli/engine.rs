//! Engines of few words. One that is not to be had for a Swarm: it tells its version, and answers everything else with one
//! refusal, in the words of a real engine (Docker 20.10). And a manager's, which knows one service and nothing else.

use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::sync::Arc;
use std::thread;

/// What is answered to everything but `/version` and `/info`.
#[derive(Clone, Copy)]
pub struct Refusal {
    pub status: &'static str,
    pub message: &'static str,
}

/// An engine in no Swarm.
pub const NO_MANAGER: Refusal = Refusal {
    status: "503 Service Unavailable",
    message: "This node is not a swarm manager. Use \"docker swarm init\" or \"docker swarm join\" to connect this node to swarm and try again.",
};

/// An authorization plugin that lets nothing through.
pub const FORBIDDEN: Refusal = Refusal {
    status: "403 Forbidden",
    message: "authorization denied by plugin",
};

/// Something else that speaks HTTP.
pub const NO_ENGINE: Refusal = Refusal {
    status: "404 Not Found",
    message: "page not found",
};

/// What an engine answers to a request, of which the first line is given: the status and the body.
type Answers = Arc<dyn Fn(&str) -> (&'static str, String) + Send + Sync>;

/// Answers on a socket in `directory` for as long as the test runs. Gives its address.
pub fn refusing(directory: &Path, refusal: Refusal) -> String {
    let answers = move |request: &str| {
        if request.contains("/info ") {
            let info = r#"{"ServerVersion":"20.10.24","Swarm":{"LocalNodeState":"inactive"}}"#;
            return ("200 OK", info.to_owned());
        }
        let body = serde_json::json!({"message": refusal.message});
        (refusal.status, body.to_string())
    };
    listen(directory, Arc::new(answers))
}

/// A manager whose Swarm has the service `name`, and an empty store. Gives its address.
pub fn managing(directory: &Path, name: &str, service: &serde_json::Value) -> String {
    let (path, service) = (format!("/services/{name} "), service.to_string());
    let answers = move |request: &str| {
        let body = if request.contains("/info ") {
            r#"{"ServerVersion":"20.10.24","Swarm":{"LocalNodeState":"active","ControlAvailable":true}}"#
        } else if request.contains(&path) {
            &service
        } else {
            "[]"
        };
        ("200 OK", body.to_owned())
    };
    listen(directory, Arc::new(answers))
}

fn listen(directory: &Path, answers: Answers) -> String {
    let path = directory.join("docker.sock");
    let listener = UnixListener::bind(&path).expect("a socket");
    thread::spawn(move || {
        for stream in listener.incoming() {
            let stream = stream.expect("a connection");
            let answers = Arc::clone(&answers);
            thread::spawn(move || answer(stream, &*answers));
        }
    });
    format!("unix://{}", path.display())
}

/// Answers the requests of one connection until it is closed.
fn answer(stream: UnixStream, answers: &dyn Fn(&str) -> (&'static str, String)) {
    let mut requests = BufReader::new(stream.try_clone().expect("a second handle"));
    let mut replies = stream;
    while let Some(request) = read(&mut requests) {
        let (status, body) = if request.contains("/version ") {
            let version = r#"{"Version":"20.10.24","ApiVersion":"1.41","MinAPIVersion":"1.12"}"#;
            ("200 OK", version.to_owned())
        } else {
            answers(&request)
        };
        let head = format!(
            "HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n",
            body.len()
        );
        if replies.write_all((head + &body).as_bytes()).is_err() {
            return;
        }
    }
}

/// The first line of the next request. None of them is asked with a body before it would be refused.
fn read(requests: &mut BufReader<UnixStream>) -> Option<String> {
    let mut first = String::new();
    requests
        .read_line(&mut first)
        .ok()
        .filter(|read| *read > 0)?;
    loop {
        let mut line = String::new();
        requests
            .read_line(&mut line)
            .ok()
            .filter(|read| *read > 0)?;
        if line == "\r\n" {
            return Some(first);
        }
    }
}
