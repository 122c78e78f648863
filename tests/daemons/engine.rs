//! An engine that speaks just enough of Docker's API for a controller without rollouts: the store with its lease, and
//! empty lists. It falls silent or refuses where a test asks for it, which no real engine does on demand.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};

use axum::Router;
use axum::extract::State;
use axum::http::{Method, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::net::UnixListener;
use tokio::sync::watch;

/// How it treats a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Manner {
    /// It takes the request and never answers.
    Silent,
    /// It has no leader at the moment.
    Leaderless,
}

/// The engine; its socket is gone with it.
pub struct Engine {
    dir: TempDir,
    inner: Arc<Inner>,
}

struct Inner {
    manners: Mutex<BTreeMap<&'static str, Manner>>,
    /// The one config that it has, if any: the lease, with its version.
    lease: Mutex<Option<(u64, Value)>>,
    asked: watch::Sender<Vec<String>>,
}

impl Engine {
    /// An engine that answers.
    pub fn start() -> Self {
        let dir = tempfile::tempdir().expect("a directory");
        let listener = UnixListener::bind(dir.path().join("docker.sock")).expect("a socket");
        let inner = Arc::new(Inner {
            manners: Mutex::default(),
            lease: Mutex::default(),
            asked: watch::Sender::default(),
        });
        let router = Router::new().fallback(answer).with_state(inner.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { dir, inner }
    }

    /// What `DOCKER_HOST` says.
    pub fn host(&self) -> String {
        format!("unix://{}/docker.sock", self.dir.path().display())
    }

    /// Treats requests for `path`, without the version, in another manner from now on.
    pub fn be(&self, manner: Manner, path: &'static str) {
        lock(&self.inner.manners).insert(path, manner);
    }

    /// Treats all requests well again.
    pub fn be_well(&self) {
        lock(&self.inner.manners).clear();
    }

    /// Waits until `path` has been asked for.
    pub async fn asked(&self, path: &str) {
        let mut asked = self.inner.asked.subscribe();
        let found = asked.wait_for(|paths| paths.iter().any(|asked| asked == path));
        found.await.expect("the engine lives");
    }

    /// Who holds the lease: nobody ever did, or a name, which is empty once it was given back.
    pub fn holder(&self) -> Option<String> {
        let lease = lock(&self.inner.lease);
        let (_, spec) = lease.as_ref()?;
        spec["Labels"]["rolloutctl.dev/holder"]
            .as_str()
            .map(str::to_owned)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().expect("no panic while it was held")
}

async fn answer(
    State(inner): State<Arc<Inner>>,
    method: Method,
    uri: Uri,
    body: String,
) -> Response {
    let path = without_version(uri.path());
    inner.asked.send_modify(|asked| asked.push(path.to_owned()));
    let manner = lock(&inner.manners).get(path).copied();
    match manner {
        Some(Manner::Silent) => return std::future::pending().await,
        Some(Manner::Leaderless) => {
            let message = json!({"message": "The swarm does not have a leader."});
            return (StatusCode::INTERNAL_SERVER_ERROR, message.to_string()).into_response();
        }
        None => {}
    }
    match (method, path) {
        (Method::GET, "/version") => told(&json!({
            "Version": "20.10.24", "ApiVersion": "1.41", "MinAPIVersion": "1.12"
        })),
        (Method::GET, "/events") => std::future::pending().await,
        (Method::GET, "/configs") => told(&Value::Array(inner.config().into_iter().collect())),
        (Method::GET, "/configs/lease") => told(&inner.config().expect("it was made")),
        (Method::POST, "/configs/create" | "/configs/lease/update") => {
            let spec = serde_json::from_str(&body).expect("a spec");
            let mut lease = lock(&inner.lease);
            let version = lease.as_ref().map_or(0, |(version, _)| *version);
            *lease = Some((version + 1, spec));
            told(&json!({"ID": "lease"}))
        }
        (Method::GET, "/services" | "/tasks" | "/nodes") => told(&json!([])),
        (method, path) => panic!("the engine of these tests does not know {method} {path}"),
    }
}

impl Inner {
    fn config(&self) -> Option<Value> {
        let lease = lock(&self.lease);
        let (version, spec) = lease.as_ref()?;
        Some(json!({
            "ID": "lease",
            "Version": {"Index": version},
            "CreatedAt": "2024-01-01T00:00:00Z",
            "UpdatedAt": "2024-01-01T00:00:00Z",
            "Spec": spec,
        }))
    }
}

/// `/v1.41/services` is `/services`.
fn without_version(path: &str) -> &str {
    match path.strip_prefix("/v") {
        Some(rest) if rest.starts_with(|c: char| c.is_ascii_digit()) => {
            rest.find('/').map_or("/", |slash| &rest[slash..])
        }
        Some(_) | None => path,
    }
}

fn told(value: &Value) -> Response {
    ([("content-type", "application/json")], value.to_string()).into_response()
}
