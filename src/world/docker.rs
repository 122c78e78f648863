//! The Docker Engine: which one, how to reach it, and what its refusals mean.
//!
//! [`connect`] finds the engine as the `docker` command does. What is asked of it stands in
//! [`super::swarm`] and [`super::store`].

use std::future::Future;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bollard::{API_DEFAULT_VERSION, BollardRequest, ClientVersion, Docker};
use futures_util::TryStreamExt;
use jiff::Timestamp;
use serde::de::DeserializeOwned;
use serde_json::Value;
use tracing::{info, warn};

use super::WorldError;

mod address;
mod config;
mod failure;
mod inspection;
mod registry;
mod settings;

pub use inspection::{Inspection, SwarmRole};
pub use settings::Settings;

use failure::{Meaning, Told};
pub(super) use failure::{Rejection, rejection};
pub(super) use registry::RegistryAuth;

/// How long one call may take, from the first byte to the last. Lists of some thousand tasks
/// take well below a second; a manager that has lost its leader answers after five.
pub const CALL_LIMIT: Duration = Duration::from_secs(10);

/// Why there is no connection to an engine.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// The environment or Docker's own files do not say clearly which engine.
    #[error("which Docker engine to use is not clear: {0}")]
    Settings(String),
    /// The engine did not answer, or would not.
    #[error("no connection to the Docker engine at {address}: {reason}")]
    Engine {
        /// Its address.
        address: String,
        /// What went wrong and what to do about it.
        reason: String,
    },
    /// The system refuses what the client for metric sources needs; no engine is to blame.
    #[error("the HTTP client for metric sources cannot be set up: {reason}")]
    HttpClient {
        /// What is missing.
        reason: String,
    },
}

/// A connection to one Docker Engine, with the API version on which both sides agree.
///
/// Cheap to clone. Connections are opened by call, so that an engine that restarts is found again; one that speaks another
/// version then is agreed with again.
#[derive(Clone, Debug)]
pub struct Engine {
    docker: Docker,
    version: Arc<Agreement>,
    address: String,
    config_dir: PathBuf,
}

/// The API version that is spoken. Clones of an [`Engine`] share it.
#[derive(Debug)]
struct Agreement {
    version: Mutex<ClientVersion>,
    origin: VersionOrigin,
}

/// Where a version comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum VersionOrigin {
    /// It was asked for (`DOCKER_API_VERSION`).
    Settings,
    /// Both sides speak it.
    Negotiation,
}

impl Agreement {
    fn get(&self) -> ClientVersion {
        *self.version.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn set(&self, version: ClientVersion) {
        *self.version.lock().unwrap_or_else(PoisonError::into_inner) = version;
    }
}

/// Connects to the engine that `settings` name, and agrees on an API version.
///
/// # Errors
/// When the settings name no engine, or it does not answer, or it refuses.
pub async fn connect(settings: &Settings) -> Result<Engine, ConnectError> {
    let target = settings.target()?;
    let address = target.address.clone();
    let docker = target.open(API_DEFAULT_VERSION)?;
    let (version, origin) = if let Some(version) = settings.api_version()? {
        (version, VersionOrigin::Settings)
    } else {
        let agreed = negotiate(&docker).await;
        let agreed = agreed.map_err(|reason| ConnectError::Engine {
            address: address.clone(),
            reason,
        });
        (agreed?, VersionOrigin::Negotiation)
    };
    let version = Mutex::new(version);
    Ok(Engine {
        docker,
        version: Arc::new(Agreement { version, origin }),
        address,
        config_dir: settings.config_dir.clone(),
    })
}

/// The newest version that both sides speak. The engine answers `/version` in any version. bollard 0.21 negotiates too, but of
/// what it has agreed on it makes less, never more.
async fn negotiate(docker: &Docker) -> Result<ClientVersion, String> {
    let told = call(docker.version()).await.map_err(|told| told.reason)?;
    let spoken = told.api_version.as_deref().and_then(settings::version);
    let spoken = spoken.ok_or("it does not say which version of its API it speaks")?;
    let ours = *API_DEFAULT_VERSION;
    Ok(if spoken < ours { spoken } else { ours })
}

impl Engine {
    /// The engine's address, for messages.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// The API version on which both sides agree, such as `1.41`.
    pub fn api_version(&self) -> String {
        self.version.get().to_string()
    }

    /// The directory of Docker's `config.json`.
    pub(super) fn config_dir(&self) -> &Path {
        &self.config_dir
    }

    /// A client whose requests name the agreed API version. bollard 0.21 leaves the version out of
    /// the path, which the engine takes for its own newest one.
    pub(super) fn client(&self) -> Docker {
        let version = self.version.get();
        self.docker
            .clone()
            .with_request_modifier(move |request| at_version(request, version))
    }

    /// As [`Self::client`], for one request whose body is `body`, with credentials for the registry.
    ///
    /// bollard's models are made from the API's description, which is not quite what the engine
    /// speaks: they lose a service's `Healthcheck`, for one. And bollard 0.21 would write credentials
    /// in the standard alphabet of base64, where the engine reads the one for URLs.
    pub(super) fn client_sending(&self, body: &Value, auth: Option<RegistryAuth>) -> Docker {
        let (version, body) = (self.version.get(), body.to_string());
        self.docker
            .clone()
            .with_request_modifier(move |mut request| {
                *request.body_mut() = bollard::body_full(body.clone().into());
                if let Some(value) = auth.as_ref().and_then(|auth| auth.header().parse().ok()) {
                    request.headers_mut().insert("x-registry-auth", value);
                }
                at_version(request, version)
            })
    }

    /// Reads what bollard's own models leave out or lose: `path` with its query, as JSON.
    pub(super) async fn get<T: DeserializeOwned>(
        &self,
        what: &str,
        path: &str,
    ) -> Result<T, WorldError> {
        let body = self.ask(what, self.body_of(path)).await?;
        self.read(what, &body)
    }

    /// As [`Self::get`]; none if there is no such object.
    pub(super) async fn find<T: DeserializeOwned>(
        &self,
        what: &str,
        path: &str,
    ) -> Result<Option<T>, WorldError> {
        let request = async {
            match self.body_of(path).await {
                Ok(body) => Ok(Some(body)),
                Err(err) if rejection(&err) == Rejection::NotThere => Ok(None),
                Err(err) => Err(err),
            }
        };
        let body = self.ask(what, request).await?;
        body.map(|body| self.read(what, &body)).transpose()
    }

    /// As [`ask`]. An engine that was made newer or older, and refuses the version that was agreed on, is agreed with again:
    /// this call fails, and the next one speaks what both do.
    pub(super) async fn ask<T>(
        &self,
        what: &str,
        request: impl Future<Output = Result<T, bollard::errors::Error>>,
    ) -> Result<T, WorldError> {
        let answer = call(request).await;
        let is_foreign = |told: &Told| told.meaning == Meaning::OtherVersion;
        if answer.as_ref().is_err_and(is_foreign) {
            self.agree_again().await;
        }
        answer.map_err(|told| told.into_error(what))
    }

    async fn agree_again(&self) {
        if self.version.origin == VersionOrigin::Settings {
            return;
        }
        match negotiate(&self.docker).await {
            Ok(version) => {
                info!(engine = self.address, %version, "the engine speaks another version of its API now");
                self.version.set(version);
            }
            Err(problem) => warn!(
                engine = self.address,
                problem, "no agreement on an API version"
            ),
        }
    }

    /// bollard sends requests of its own making only, but lets them be rewritten; the answer to the
    /// one that is rewritten here is handed out as it comes.
    async fn body_of(&self, path: &str) -> Result<Vec<u8>, bollard::errors::Error> {
        const STAND_IN: &str = "/images/rolloutctl/get";
        let (version, path) = (self.version.get(), path.to_owned());
        let docker = self
            .docker
            .clone()
            .with_request_modifier(move |mut request| {
                let uri = request.uri().to_string().replacen(STAND_IN, &path, 1);
                if let Ok(uri) = uri.parse() {
                    *request.uri_mut() = uri;
                }
                at_version(request, version)
            });
        let chunks = docker.export_image("rolloutctl");
        chunks
            .try_fold(Vec::new(), |mut body, chunk| async move {
                body.extend_from_slice(&chunk);
                Ok(body)
            })
            .await
    }

    fn read<T: DeserializeOwned>(&self, what: &str, body: &[u8]) -> Result<T, WorldError> {
        serde_json::from_slice(body).map_err(|err| WorldError::Refused {
            what: what.to_owned(),
            reason: format!(
                "the engine at {} answered what this release cannot read ({err}); look for a newer rolloutctl",
                self.address
            ),
        })
    }
}

/// Puts `/v1.41` before the path, as in the Engine API's documentation, section "Versioning".
fn at_version(mut request: BollardRequest, version: ClientVersion) -> BollardRequest {
    let uri = request.uri();
    let (Some(scheme), Some(authority)) = (uri.scheme_str(), uri.authority()) else {
        return request;
    };
    let path = uri.path_and_query().map_or("/", |path| path.as_str());
    let versioned = format!("{scheme}://{authority}/v{version}{path}");
    if let Ok(versioned) = versioned.parse() {
        *request.uri_mut() = versioned;
    }
    request
}

/// Reads the engine's time, RFC 3339.
pub(super) fn timestamp(text: Option<&str>) -> Option<Timestamp> {
    text.and_then(|text| text.parse().ok())
}

/// Makes one call that only reads, within [`CALL_LIMIT`], and says what its failure means. `what`
/// says what the call is to do: "list the tasks".
pub(super) async fn ask<T>(
    what: &str,
    request: impl Future<Output = Result<T, bollard::errors::Error>>,
) -> Result<T, WorldError> {
    let answer = call(request).await;
    answer.map_err(|told| told.into_error(what))
}

/// As [`ask`], for a call that changes something: if its answer is lost, nobody knows what was done.
pub(super) async fn change<T>(
    what: &str,
    request: impl Future<Output = Result<T, bollard::errors::Error>>,
) -> Result<T, WorldError> {
    let answer = call(request).await;
    answer.map_err(|told| told.of_a_change().into_error(what))
}

async fn call<T>(
    request: impl Future<Output = Result<T, bollard::errors::Error>>,
) -> Result<T, Told> {
    match tokio::time::timeout(CALL_LIMIT, request).await {
        Ok(Ok(answer)) => Ok(answer),
        Ok(Err(err)) => Err(Told::of(&err)),
        Err(_) => Err(Told::silence()),
    }
}

#[cfg(test)]
mod tests {
    use bollard::models::ServiceSpec;
    use serde_json::json;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    use super::*;

    /// Takes one request, answers it with `{"ID":"a"}`, and gives back what was sent.
    async fn one_request(listener: TcpListener) -> String {
        let (mut stream, _) = listener.accept().await.expect("a connection");
        let mut sent = Vec::new();
        while !sent.ends_with(b"}") {
            let read = stream.read_buf(&mut sent).await.expect("a request");
            assert!(read > 0, "the request ended early");
        }
        let answer = b"HTTP/1.1 201 Created\r\nContent-Length: 10\r\n\r\n{\"ID\":\"a\"}";
        stream.write_all(answer).await.expect("an answer");
        String::from_utf8(sent).expect("text")
    }

    #[tokio::test]
    async fn a_request_names_the_version_and_carries_the_body_and_the_credentials() {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let config = tempfile::tempdir().expect("a directory");
        let auths = r#"{"auths":{"registry.example":{"auth":"dXNlcjpwYXNz"}}}"#;
        std::fs::write(config.path().join("config.json"), auths).expect("a file");
        let settings = Settings {
            host: Some(format!("tcp://{address}")),
            api_version: Some("1.41".into()),
            config_dir: config.path().to_owned(),
            ..Settings::default()
        };
        let engine = connect(&settings).await.expect("nothing is asked yet");
        let auth = engine.registry_auth("registry.example/web:1").await;
        let client = engine.client_sending(&json!({"Name": "web"}), auth.expect("sound"));
        let create = client.create_service(ServiceSpec::default(), None);
        let (sent, created) = tokio::join!(one_request(listener), create);
        assert_eq!(created.expect("created").id.as_deref(), Some("a"));
        let sent = sent.to_ascii_lowercase();
        assert!(sent.starts_with("post /v1.41/services/create "), "{sent}");
        assert!(sent.ends_with(r#"{"name":"web"}"#), "{sent}");
        assert!(sent.contains("x-registry-auth: "), "{sent}");
    }

    /// Answers requests as an engine that speaks `/v{version}` only, until it is dropped.
    async fn speak(listener: &TcpListener, version: &str) {
        loop {
            let (mut stream, _) = listener.accept().await.expect("a connection");
            let mut sent = Vec::new();
            while !sent.ends_with(b"\r\n\r\n") {
                let read = stream.read_buf(&mut sent).await.expect("a request");
                if read == 0 {
                    break;
                }
            }
            let path = String::from_utf8(sent).expect("text");
            let (status, body) = if path.contains("/version ") {
                ("200 OK", format!(r#"{{"ApiVersion":"{version}"}}"#))
            } else if path.contains(&format!("/v{version}/")) {
                ("200 OK", "[]".to_owned())
            } else {
                ("400 Bad Request", r#"{"message":"client version 1.41 is too old. Minimum supported API version is 1.44"}"#.to_owned())
            };
            let answer = format!(
                "HTTP/1.1 {status}\r\nContent-Type: application/json\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{body}",
                body.len()
            );
            stream
                .write_all(answer.as_bytes())
                .await
                .expect("an answer");
        }
    }

    #[tokio::test]
    async fn an_engine_that_was_upgraded_is_agreed_with_again() {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let settings = Settings {
            host: Some(format!("tcp://{address}")),
            ..Settings::default()
        };
        let engine = tokio::select! {
            engine = connect(&settings) => engine.expect("connected"),
            () = speak(&listener, "1.41") => unreachable!("it speaks on"),
        };
        assert_eq!(engine.api_version(), "1.41");
        let clone = engine.clone();
        let calls = async {
            let services = || clone.get::<Vec<Value>>("list the services", "/services");
            let refused = services().await.expect_err("another version");
            assert!(refused.to_string().contains("too old"), "{refused}");
            services().await.expect("agreed")
        };
        let listed = tokio::select! {
            listed = calls => listed,
            () = speak(&listener, "1.44") => unreachable!("it speaks on"),
        };
        assert_eq!(listed, Vec::<Value>::new());
        assert_eq!(engine.api_version(), "1.44");
    }
}
