//! Docker's `config.json`: the current context and where credentials are kept.

use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::path::Path;

use serde::Deserialize;

/// `config.json`, as far as it matters here (docker/cli, `cli/config/configfile`).
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ConfigFile {
    #[serde(default)]
    pub(super) current_context: Option<String>,
    /// By registry.
    #[serde(default)]
    pub(super) auths: BTreeMap<String, StoredAuth>,
    /// The credential helper of every registry that has none of its own.
    #[serde(default)]
    pub(super) creds_store: Option<String>,
    /// Credential helpers, by registry.
    #[serde(default)]
    pub(super) cred_helpers: BTreeMap<String, String>,
}

/// Credentials as the file holds them.
#[derive(Clone, Default, Deserialize)]
pub(super) struct StoredAuth {
    /// Base64 of `user:password`.
    #[serde(default)]
    pub(super) auth: String,
    #[serde(default)]
    pub(super) identitytoken: String,
    #[serde(default)]
    pub(super) registrytoken: String,
}

impl fmt::Debug for StoredAuth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("StoredAuth(not shown)")
    }
}

/// Reads the file. That there is none is as good as an empty one.
pub(super) fn read(config_dir: &Path) -> Result<ConfigFile, String> {
    let path = config_dir.join("config.json");
    let text = match std::fs::read_to_string(&path) {
        Ok(text) => text,
        Err(err) if err.kind() == io::ErrorKind::NotFound => return Ok(ConfigFile::default()),
        Err(err) => {
            return Err(format!(
                "{} cannot be read ({err}); make it readable, or name another directory by DOCKER_CONFIG",
                path.display()
            ));
        }
    };
    // The parser's message could quote a part of a credential: only the place is told.
    serde_json::from_str(&text).map_err(|err| {
        format!(
            "{} is not what `docker` writes (line {}, column {}); mend it",
            path.display(),
            err.line(),
            err.column()
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_file_is_an_empty_one_and_a_broken_one_is_an_error_without_its_contents() {
        let dir = tempfile::tempdir().expect("a directory");
        assert!(read(dir.path()).expect("empty").auths.is_empty());
        std::fs::write(dir.path().join("config.json"), r#"{"auths": "s3cret"}"#).expect("a file");
        let said = read(dir.path()).expect_err("not a map");
        assert!(
            said.contains("line 1") && !said.contains("s3cret"),
            "{said}"
        );
    }

    #[test]
    fn credentials_are_not_shown() {
        let auth = StoredAuth {
            auth: "dXNlcjpzM2NyZXQ=".into(),
            ..StoredAuth::default()
        };
        assert_eq!(format!("{auth:?}"), "StoredAuth(not shown)");
    }
}
