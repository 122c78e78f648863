//! Credentials for the registry of an image, as `docker service create --with-registry-auth` finds
//! them: in `config.json` or by a credential helper. They are sent, never shown.

use std::fmt;
use std::io;
use std::process::Stdio;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE};
use serde::{Deserialize, Serialize};
use tokio::io::AsyncWriteExt;
use tokio::process::Command;

use super::config::{self, ConfigFile, StoredAuth};
use super::{CALL_LIMIT, Engine, WorldError};

/// Docker Hub's key among the credentials, for historical reasons.
const DOCKER_HUB: &str = "https://index.docker.io/v1/";

/// The user name by which a helper says that the secret is an identity token.
const TOKEN_USER: &str = "<token>";

/// The value of the header `X-Registry-Auth`.
#[derive(Clone, PartialEq, Eq)]
pub(in crate::world) struct RegistryAuth(String);

impl fmt::Debug for RegistryAuth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RegistryAuth(not shown)")
    }
}

/// Engine API, section "Authentication".
#[derive(Serialize)]
struct AuthConfig<'a> {
    #[serde(skip_serializing_if = "str::is_empty")]
    username: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    password: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    identitytoken: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    registrytoken: &'a str,
    serveraddress: &'a str,
}

/// What a credential helper prints (docker/docker-credential-helpers).
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct HelperAnswer {
    username: String,
    secret: String,
}

impl RegistryAuth {
    pub(super) fn header(&self) -> &str {
        &self.0
    }

    fn new(auth: &AuthConfig<'_>) -> Self {
        let json = serde_json::to_vec(auth).unwrap_or_default();
        Self(URL_SAFE.encode(json))
    }
}

impl Engine {
    /// The credentials for the registry of `image`, if Docker's configuration has any.
    ///
    /// The store of all registries (`credsStore`) is asked about each of them, also where nobody ever logged in; if it
    /// fails there, nothing is lost, and the image may well be public. Where credentials should be, to go on without them
    /// would start tasks that cannot pull their image, with no other try.
    ///
    /// # Errors
    /// When the configuration cannot be read, or a credential helper fails that should know the registry.
    pub(in crate::world) async fn registry_auth(
        &self,
        image: &str,
    ) -> Result<Option<RegistryAuth>, WorldError> {
        let registry = registry_key(image);
        let refused = |reason: String| WorldError::Refused {
            what: format!("find the credentials for {registry}"),
            reason,
        };
        let config = config::read(self.config_dir()).map_err(refused)?;
        match helper_for(&config, registry) {
            Some(helper) => match ask(helper, registry).await {
                Err(reason) if !expects_credentials(&config, registry) => {
                    tracing::warn!(
                        registry,
                        "going on without credentials, as nobody has logged in there: {reason}"
                    );
                    Ok(None)
                }
                told => told.map_err(refused),
            },
            None => from_file(&config, registry).map_err(refused),
        }
    }
}

/// The key under which Docker keeps the credentials for an image's registry: the host before the
/// first slash, if it looks like one, else Docker Hub's (distribution/reference, `splitDockerDomain`).
fn registry_key(image: &str) -> &str {
    let Some((host, _)) = image.split_once('/') else {
        return DOCKER_HUB;
    };
    let is_host = host.contains(['.', ':'])
        || host == "localhost"
        || host.chars().any(|c| c.is_ascii_uppercase());
    match host {
        "docker.io" | "index.docker.io" => DOCKER_HUB,
        _ if is_host => host,
        _ => DOCKER_HUB,
    }
}

/// Whether there should be credentials: the registry has a helper of its own, or an entry that `docker login` left,
/// which is empty where a store keeps what belongs into it.
fn expects_credentials(config: &ConfigFile, registry: &str) -> bool {
    config.cred_helpers.contains_key(registry) || entry(config, registry).is_some()
}

fn helper_for<'a>(config: &'a ConfigFile, registry: &str) -> Option<&'a str> {
    config
        .cred_helpers
        .get(registry)
        .or(config.creds_store.as_ref())
        .map(String::as_str)
        .filter(|helper| !helper.is_empty())
}

/// A registry's key without scheme and path: old files have `https://registry.example/v1/`.
fn host_of(key: &str) -> &str {
    let bare = key.split_once("://").map_or(key, |(_, rest)| rest);
    bare.split('/').next().unwrap_or(bare)
}

fn from_file(config: &ConfigFile, registry: &str) -> Result<Option<RegistryAuth>, String> {
    entry(config, registry).map_or(Ok(None), |stored| decode(stored, registry))
}

/// What the file itself says of a registry.
fn entry<'a>(config: &'a ConfigFile, registry: &str) -> Option<&'a StoredAuth> {
    config.auths.get(registry).or_else(|| {
        let mut entries = config.auths.iter();
        let same = entries.find(|(key, _)| host_of(key) == host_of(registry));
        same.map(|(_, stored)| stored)
    })
}

fn decode(stored: &StoredAuth, registry: &str) -> Result<Option<RegistryAuth>, String> {
    let broken = || {
        format!(
            "those in Docker's config.json are not base64 of USER:PASSWORD; `docker login {registry}` writes them anew"
        )
    };
    let plain = STANDARD
        .decode(stored.auth.trim())
        .map_err(|_| broken())
        .and_then(|bytes| String::from_utf8(bytes).map_err(|_| broken()))?;
    let (username, password) = match plain.split_once(':') {
        Some(pair) => pair,
        None if plain.is_empty() => ("", ""),
        None => return Err(broken()),
    };
    let known = !username.is_empty()
        || !stored.identitytoken.is_empty()
        || !stored.registrytoken.is_empty();
    Ok(known.then(|| {
        RegistryAuth::new(&AuthConfig {
            username,
            password: password.trim_end_matches('\0'),
            identitytoken: &stored.identitytoken,
            registrytoken: &stored.registrytoken,
            serveraddress: registry,
        })
    }))
}

/// Runs `docker-credential-HELPER get`, which reads the registry and prints what it knows.
async fn ask(helper: &str, registry: &str) -> Result<Option<RegistryAuth>, String> {
    let program = format!("docker-credential-{helper}");
    let run = run_helper(&program, registry);
    let output = match tokio::time::timeout(CALL_LIMIT, run).await {
        Ok(Ok(output)) => output,
        Ok(Err(err)) => {
            return Err(format!(
                "{program} cannot be run ({err}); install it, or take it out of Docker's config.json"
            ));
        }
        Err(_) => {
            return Err(format!(
                "{program} did not answer within {} s; it must not ask anybody anything",
                CALL_LIMIT.as_secs()
            ));
        }
    };
    let answer = String::from_utf8_lossy(&output.stdout);
    if !output.status.success() {
        return if answer.contains("credentials not found") {
            Ok(None)
        } else {
            Err(format!(
                "{program} failed ({}); `echo {registry} | {program} get` shows why",
                output.status
            ))
        };
    }
    let answer: HelperAnswer = serde_json::from_str(&answer)
        .map_err(|_| format!("{program} printed no JSON with Username and Secret; update it"))?;
    let (username, password, identitytoken) = if answer.username == TOKEN_USER {
        ("", "", answer.secret.as_str())
    } else {
        (answer.username.as_str(), answer.secret.as_str(), "")
    };
    Ok(Some(RegistryAuth::new(&AuthConfig {
        username,
        password,
        identitytoken,
        registrytoken: "",
        serveraddress: registry,
    })))
}

async fn run_helper(program: &str, registry: &str) -> io::Result<std::process::Output> {
    let mut child = Command::new(program)
        .arg("get")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()?;
    if let Some(mut stdin) = child.stdin.take() {
        match stdin.write_all(registry.as_bytes()).await {
            // A helper that does not read its input may still know the answer.
            Err(err) if err.kind() != io::ErrorKind::BrokenPipe => return Err(err),
            _ => {}
        }
    }
    child.wait_with_output().await
}

#[cfg(test)]
mod tests {
    use super::super::{Settings, connect};
    use super::*;

    fn config(json: &str) -> ConfigFile {
        serde_json::from_str(json).expect("a configuration")
    }

    fn shown(auth: &RegistryAuth) -> serde_json::Value {
        let bytes = URL_SAFE.decode(auth.header()).expect("base64");
        serde_json::from_slice(&bytes).expect("JSON")
    }

    #[test]
    fn the_registry_of_an_image_is_told_as_docker_does() {
        for (image, registry) in [
            ("nginx", DOCKER_HUB),
            ("library/nginx:1", DOCKER_HUB),
            ("docker.io/library/nginx", DOCKER_HUB),
            ("registry.example/team/web:1@sha256:00", "registry.example"),
            ("localhost/web", "localhost"),
            ("localhost:5000/web", "localhost:5000"),
            ("web:1.0", DOCKER_HUB),
        ] {
            assert_eq!(registry_key(image), registry, "{image}");
        }
    }

    #[test]
    fn stored_credentials_are_found_by_key_and_by_host() {
        let file = config(r#"{"auths":{"https://registry.example/v1/":{"auth":"dXNlcjpwYXNz"}}}"#);
        let auth = from_file(&file, "registry.example")
            .expect("sound")
            .expect("known");
        let shown = shown(&auth);
        assert_eq!(shown["username"], "user");
        assert_eq!(shown["password"], "pass");
        assert_eq!(from_file(&file, "other.example"), Ok(None));
    }

    #[test]
    fn credentials_that_are_kept_elsewhere_are_not_taken_for_empty_ones() {
        let file = config(r#"{"auths":{"registry.example":{}},"credsStore":"pass"}"#);
        assert_eq!(from_file(&file, "registry.example"), Ok(None));
        assert_eq!(helper_for(&file, "registry.example"), Some("pass"));
    }

    #[test]
    fn a_registrys_own_helper_wins() {
        let file = config(r#"{"credsStore":"pass","credHelpers":{"a.example":"ecr-login"}}"#);
        assert_eq!(helper_for(&file, "a.example"), Some("ecr-login"));
    }

    #[test]
    fn the_header_is_in_the_alphabet_for_urls_and_never_shown() {
        let auth = RegistryAuth::new(&AuthConfig {
            username: "u",
            password: "~~~???>>>",
            identitytoken: "",
            registrytoken: "",
            serveraddress: "a.example",
        });
        assert!(!auth.header().contains(['+', '/']), "{}", auth.header());
        assert_eq!(shown(&auth)["password"], "~~~???>>>");
        assert_eq!(format!("{auth:?}"), "RegistryAuth(not shown)");
    }

    #[tokio::test]
    async fn a_missing_helper_is_an_error_with_a_remedy() {
        let said = ask("of-nobody", "a.example")
            .await
            .expect_err("no such program");
        assert!(
            said.contains("docker-credential-of-nobody") && said.contains("install"),
            "{said}"
        );
    }

    /// What is found for `image` where Docker's configuration is `config`.
    async fn found(config: &str, image: &str) -> Result<Option<RegistryAuth>, WorldError> {
        let dir = tempfile::tempdir().expect("a directory");
        std::fs::write(dir.path().join("config.json"), config).expect("a file");
        let settings = Settings {
            host: Some("tcp://127.0.0.1:1".into()),
            api_version: Some("1.41".into()),
            config_dir: dir.path().to_owned(),
            ..Settings::default()
        };
        let engine = connect(&settings).await.expect("nothing is asked yet");
        engine.registry_auth(image).await
    }

    #[tokio::test]
    async fn a_store_that_fails_keeps_no_image_back_whose_registry_nobody_logged_in_to() {
        let store = r#"{"auths":{"a.example":{}},"credsStore":"of-nobody"}"#;
        for image in ["nginx:1", "b.example/web:1"] {
            assert_eq!(found(store, image).await.ok(), Some(None), "{image}");
        }
    }

    #[tokio::test]
    async fn a_helper_that_fails_where_credentials_are_known_to_be_is_an_error() {
        let logged_in = r#"{"auths":{"https://a.example/v1/":{}},"credsStore":"of-nobody"}"#;
        let hub = r#"{"auths":{"https://index.docker.io/v1/":{}},"credsStore":"of-nobody"}"#;
        let own = r#"{"credHelpers":{"a.example":"of-nobody"}}"#;
        for (config, image) in [
            (logged_in, "a.example/web:1"),
            (hub, "nginx:1"),
            (own, "a.example/web:1"),
        ] {
            let error = found(config, image).await.expect_err(image).to_string();
            assert!(error.contains("docker-credential-of-nobody"), "{error}");
        }
    }
}
