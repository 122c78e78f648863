//! An engine's address, and the client that speaks to it.

use std::path::{Path, PathBuf};

use bollard::{ClientVersion, Docker};

use super::{CALL_LIMIT, ConnectError};

/// The files of mutual TLS.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Material {
    ca: PathBuf,
    cert: PathBuf,
    key: PathBuf,
}

impl Material {
    /// The files as Docker names them: `ca.pem`, `cert.pem`, `key.pem`.
    pub(super) fn in_directory(dir: &Path) -> Self {
        Self {
            ca: dir.join("ca.pem"),
            cert: dir.join("cert.pem"),
            key: dir.join("key.pem"),
        }
    }

    fn missing(&self) -> Option<&Path> {
        [&self.ca, &self.cert, &self.key]
            .into_iter()
            .find(|path| !path.is_file())
            .map(PathBuf::as_path)
    }
}

/// An engine and how to prove oneself to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Target {
    /// `unix://`, `tcp://`, `http://`, `https://` or `ssh://`.
    pub(super) address: String,
    pub(super) material: Option<Material>,
}

impl Target {
    /// Makes a client. No byte is sent yet.
    pub(super) fn open(&self, version: &ClientVersion) -> Result<Docker, ConnectError> {
        let limit = CALL_LIMIT.as_secs();
        let address = self.address.trim_end_matches('/');
        let (scheme, place) = address.split_once("://").ok_or_else(|| self.strange())?;
        if place.is_empty() {
            return Err(self.strange());
        }
        if matches!(scheme, "tcp" | "http" | "https") && place.contains('@') {
            return Err(ConnectError::Settings(format!(
                "an engine at {scheme}:// takes no user and no password; leave out what stands before the `@`"
            )));
        }
        let opened = match (scheme, &self.material) {
            ("unix", _) => Docker::connect_with_unix(address, limit, version),
            ("ssh", _) if place.contains('/') => {
                return Err(ConnectError::Settings(format!(
                    "`{}` names a path; write ssh://[USER@]HOST[:PORT], the remote `docker` finds its socket by itself",
                    self.address
                )));
            }
            ("ssh", _) => Docker::connect_with_ssh(address, limit, version, None),
            ("tcp" | "http" | "https", Some(material)) => {
                return self.open_tls(material, version);
            }
            ("tcp" | "http", None) => Docker::connect_with_http(address, limit, version),
            ("https", None) => {
                return Err(ConnectError::Settings(format!(
                    "`{}` needs certificates; set DOCKER_TLS_VERIFY=1 and DOCKER_CERT_PATH to the directory of ca.pem, cert.pem and key.pem",
                    self.address
                )));
            }
            _ => return Err(self.strange()),
        };
        opened.map_err(|err| self.unopened(&err))
    }

    fn open_tls(
        &self,
        material: &Material,
        version: &ClientVersion,
    ) -> Result<Docker, ConnectError> {
        if let Some(path) = material.missing() {
            return Err(ConnectError::Settings(format!(
                "{} is missing; an engine over TLS needs ca.pem, cert.pem and key.pem in one directory (DOCKER_CERT_PATH, or the context's)",
                path.display()
            )));
        }
        // The scheme http is left from plain times; with certificates it means TLS, as for `docker`.
        let address = self.address.replacen("http://", "tcp://", 1);
        Docker::connect_with_ssl(
            address.trim_end_matches('/'),
            &material.key,
            &material.cert,
            &material.ca,
            CALL_LIMIT.as_secs(),
            version,
        )
        .map_err(|err| self.unopened(&err))
    }

    fn strange(&self) -> ConnectError {
        ConnectError::Settings(format!(
            "`{}` is no address of an engine; write unix:///PATH, tcp://HOST:PORT, https://HOST:PORT or ssh://[USER@]HOST",
            self.address
        ))
    }

    fn unopened(&self, err: &bollard::errors::Error) -> ConnectError {
        ConnectError::Engine {
            address: self.address.clone(),
            reason: super::Told::of(err).reason,
        }
    }
}

#[cfg(test)]
mod tests {
    use bollard::API_DEFAULT_VERSION;

    use super::*;

    fn open(address: &str) -> Result<Docker, ConnectError> {
        let target = Target {
            address: address.to_owned(),
            material: None,
        };
        target.open(API_DEFAULT_VERSION)
    }

    #[tokio::test]
    async fn plain_tcp_and_ssh_are_opened_without_a_call() {
        for address in ["tcp://10.0.0.1:2375", "http://a:1/", "ssh://ops@a:22"] {
            assert!(open(address).is_ok(), "{address}");
        }
    }

    #[test]
    fn a_password_in_an_address_is_refused_and_not_told() {
        for address in ["tcp://user:secret@h:1", "https://user:secret@h:1"] {
            let told = open(address).expect_err("a password").to_string();
            assert!(told.contains('@') && !told.contains("secret"), "{told}");
        }
    }

    #[test]
    fn strange_addresses_are_refused_with_the_right_form() {
        for address in [
            "",
            "10.0.0.1:2375",
            "tcp://",
            "ftp://a",
            "https://a:1",
            "ssh://a/var/run/docker.sock",
        ] {
            let said = open(address).expect_err(address).to_string();
            assert!(said.contains("write") || said.contains("set"), "{said}");
        }
    }

    #[test]
    fn missing_tls_files_are_named() {
        let dir = tempfile::tempdir().expect("a directory");
        let target = Target {
            address: "tcp://a:2376".to_owned(),
            material: Some(Material::in_directory(dir.path())),
        };
        let said = target
            .open(API_DEFAULT_VERSION)
            .expect_err("no files")
            .to_string();
        assert!(said.contains("ca.pem is missing"), "{said}");
    }
}
