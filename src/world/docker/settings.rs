//! Which engine: the environment first, then Docker's current context, then the default socket.
//!
//! The order and the names are those of the `docker` command (docker/cli, `cli/command/cli.go`,
//! `resolveContextName`, and `cli/context/store`).

use std::path::{Path, PathBuf};

use bollard::ClientVersion;
use serde::Deserialize;
use sha2::{Digest, Sha256};

use super::ConnectError;
use super::address::{Material, Target};
use super::config;

const DEFAULT_ADDRESS: &str = "unix:///var/run/docker.sock";
const DEFAULT_CONTEXT: &str = "default";

/// What the environment says about the engine.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Settings {
    /// `DOCKER_HOST`.
    pub host: Option<String>,
    /// `DOCKER_CONTEXT`.
    pub context: Option<String>,
    /// Whether `DOCKER_TLS_VERIFY` or `DOCKER_TLS` asks for TLS.
    pub tls: Option<String>,
    /// `DOCKER_CERT_PATH`.
    pub cert_path: Option<PathBuf>,
    /// `DOCKER_API_VERSION`.
    pub api_version: Option<String>,
    /// `DOCKER_CONFIG`, or `~/.docker`.
    pub config_dir: PathBuf,
}

/// A context's `meta.json`, as far as it matters here.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct ContextMeta {
    #[serde(default)]
    endpoints: Endpoints,
}

#[derive(Default, Deserialize)]
struct Endpoints {
    docker: Option<ContextEndpoint>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct ContextEndpoint {
    #[serde(default)]
    host: String,
    #[serde(default, rename = "SkipTLSVerify")]
    skip_tls_verify: bool,
}

impl Settings {
    /// Reads the process's environment.
    pub fn from_env() -> Self {
        let text = |name: &str| {
            std::env::var(name)
                .ok()
                .filter(|value| !value.trim().is_empty())
        };
        let config_dir = text("DOCKER_CONFIG").map_or_else(
            || {
                let home = std::env::home_dir().unwrap_or_else(|| PathBuf::from("/"));
                home.join(".docker")
            },
            PathBuf::from,
        );
        Self {
            host: text("DOCKER_HOST"),
            context: text("DOCKER_CONTEXT"),
            tls: text("DOCKER_TLS_VERIFY").or_else(|| text("DOCKER_TLS")),
            cert_path: text("DOCKER_CERT_PATH").map(PathBuf::from),
            api_version: text("DOCKER_API_VERSION"),
            config_dir,
        }
    }

    /// The version that `DOCKER_API_VERSION` insists on.
    pub(super) fn api_version(&self) -> Result<Option<ClientVersion>, ConnectError> {
        let Some(text) = &self.api_version else {
            return Ok(None);
        };
        version(text).map(Some).ok_or_else(|| {
            ConnectError::Settings(format!(
                "DOCKER_API_VERSION is `{text}`; write a version such as 1.41, or unset it"
            ))
        })
    }

    /// The engine to use. `DOCKER_HOST` wins over a context, as in the `docker` command.
    pub(super) fn target(&self) -> Result<Target, ConnectError> {
        if let Some(host) = &self.host {
            return Ok(self.environment_target(host));
        }
        let name = match &self.context {
            Some(name) => name.clone(),
            None => config::read(&self.config_dir)
                .map_err(ConnectError::Settings)?
                .current_context
                .unwrap_or_default(),
        };
        if name.is_empty() || name == DEFAULT_CONTEXT {
            return Ok(self.environment_target(DEFAULT_ADDRESS));
        }
        self.context_target(&name)
    }

    fn environment_target(&self, address: &str) -> Target {
        let material = self.tls.as_ref().map(|_| {
            let dir = self.cert_path.as_deref().unwrap_or(&self.config_dir);
            Material::in_directory(dir)
        });
        Target {
            address: address.to_owned(),
            material,
        }
    }

    fn context_target(&self, name: &str) -> Result<Target, ConnectError> {
        let id = context_id(name);
        let contexts = self.config_dir.join("contexts");
        let path = contexts.join("meta").join(&id).join("meta.json");
        let meta = std::fs::read_to_string(&path).map_err(|err| {
            ConnectError::Settings(format!(
                "the Docker context `{name}` cannot be read from {} ({err}); `docker context ls` shows those that there are, `docker context use` chooses one",
                path.display()
            ))
        })?;
        let unfit = |problem: String| {
            ConnectError::Settings(format!("the Docker context `{name}` {problem}"))
        };
        let meta: ContextMeta = serde_json::from_str(&meta)
            .map_err(|err| unfit(format!("is no JSON in {}: {err}", path.display())))?;
        let endpoint = meta
            .endpoints
            .docker
            .filter(|endpoint| !endpoint.host.is_empty())
            .ok_or_else(|| unfit("names no Docker endpoint".to_owned()))?;
        let material = tls_material(&contexts, &id);
        if endpoint.skip_tls_verify {
            return Err(unfit(
                "skips the verification of the engine's certificate; whoever poses as the engine could roll out anything: give the context the right CA (`docker context update --docker host=…,ca=…`)".to_owned(),
            ));
        }
        Ok(Target {
            address: endpoint.host,
            material,
        })
    }
}

/// A context's directory: the SHA-256 of its name, in hexadecimal digits.
fn context_id(name: &str) -> String {
    use std::fmt::Write as _;
    let mut id = String::with_capacity(64);
    for byte in Sha256::digest(name.as_bytes()) {
        // Writing to a String cannot fail.
        let _ = write!(id, "{byte:02x}");
    }
    id
}

fn tls_material(contexts: &Path, id: &str) -> Option<Material> {
    let dir = contexts.join("tls").join(id).join("docker");
    dir.is_dir().then(|| Material::in_directory(&dir))
}

/// Reads an API version, `1.41`.
pub(super) fn version(text: &str) -> Option<ClientVersion> {
    let (major, minor) = text.trim_start_matches('v').split_once('.')?;
    Some(ClientVersion {
        major_version: major.parse().ok()?,
        minor_version: minor.parse().ok()?,
    })
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    /// A configuration directory with one context `prod`, whose TLS material exists if asked for.
    fn directory(meta: &str, current: &str) -> tempfile::TempDir {
        let dir = tempfile::tempdir().expect("a directory");
        let id = context_id("prod");
        let place = dir.path().join("contexts/meta").join(&id);
        fs::create_dir_all(&place).expect("a directory");
        fs::write(place.join("meta.json"), meta).expect("a file");
        fs::write(
            dir.path().join("config.json"),
            format!(r#"{{"currentContext":"{current}"}}"#),
        )
        .expect("a file");
        dir
    }

    fn settings(dir: &tempfile::TempDir) -> Settings {
        Settings {
            config_dir: dir.path().to_owned(),
            ..Settings::default()
        }
    }

    const PROD: &str =
        r#"{"Name":"prod","Metadata":{},"Endpoints":{"docker":{"Host":"tcp://10.0.0.1:2376"}}}"#;

    #[test]
    fn context_ids_are_those_of_the_docker_command() {
        // `docker context create` names the directory of `prod` so.
        assert_eq!(
            context_id("prod"),
            "6754af9632a2745e85c293e5aac0863370d9bd3330b9938c00cadfd215227d77"
        );
    }

    #[test]
    fn the_host_wins_over_the_context_and_the_context_over_the_current_one() {
        let dir = directory(PROD, "elsewhere");
        let mut at = settings(&dir);
        at.context = Some("prod".into());
        let target = at.target().expect("a target");
        assert_eq!(target.address, "tcp://10.0.0.1:2376");
        at.host = Some("ssh://ops@manager".into());
        assert_eq!(at.target().expect("a target").address, "ssh://ops@manager");
    }

    #[test]
    fn the_current_context_and_its_tls_material_are_found() {
        let dir = directory(PROD, "prod");
        let tls = dir
            .path()
            .join("contexts/tls")
            .join(context_id("prod"))
            .join("docker");
        fs::create_dir_all(&tls).expect("a directory");
        let target = settings(&dir).target().expect("a target");
        assert_eq!(target.material, Some(Material::in_directory(&tls)));
    }

    #[test]
    fn without_anything_it_is_the_default_socket() {
        let dir = tempfile::tempdir().expect("a directory");
        let target = settings(&dir).target().expect("a target");
        assert_eq!(target.address, DEFAULT_ADDRESS);
        assert_eq!(target.material, None);
    }

    #[test]
    fn a_missing_context_is_named_with_its_remedy() {
        let dir = directory(PROD, "gone");
        let err = settings(&dir).target().expect_err("no such context");
        let said = err.to_string();
        assert!(
            said.contains("`gone`") && said.contains("docker context ls"),
            "{said}"
        );
    }

    #[test]
    fn an_unverified_context_is_refused() {
        let dir = directory(
            r#"{"Endpoints":{"docker":{"Host":"tcp://a:2376","SkipTLSVerify":true}}}"#,
            "prod",
        );
        assert!(settings(&dir).target().is_err());
    }

    #[test]
    fn api_versions_are_two_numbers() {
        let mut at = Settings::default();
        for (text, sound) in [
            ("1.41", true),
            ("v1.44", true),
            ("1", false),
            ("x.y", false),
        ] {
            at.api_version = Some(text.into());
            assert_eq!(at.api_version().is_ok(), sound, "{text}");
        }
    }
}
