//! Writing to InfluxDB over HTTP. What is written is decided elsewhere, and so is when to try again.
//!
//! `POST /write` takes line protocol in InfluxDB 1.x and, for compatibility, in 2.x (with a DBRP mapping of the
//! database). The token is read from its file at each use, so that it can be replaced.

use std::path::{Path, PathBuf};
use std::time::Duration;

use reqwest::header::{AUTHORIZATION, HeaderValue};
use reqwest::{Client, RequestBuilder, Response, StatusCode, Url};

use crate::world::http::{HttpClient, NoCertificates, reasons};

/// How long one request may take.
const TIMEOUT: Duration = Duration::from_secs(10);

/// How much of InfluxDB's own words is passed on, in characters.
const LONGEST_MESSAGE: usize = 300;

/// Where points go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InfluxDbTarget {
    /// The server's base URL, `http://` or `https://`, without a user or password.
    pub url: String,
    /// The database.
    pub database: String,
    /// A file that holds the API token.
    pub token_file: Option<PathBuf>,
    /// What to do at the start if the database is missing.
    pub missing_database: MissingDatabase,
}

/// What to do if the database is missing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum MissingDatabase {
    /// Say so, and keep the points for as long as they fit.
    #[default]
    Report,
    /// Create it; where users are set up, that needs an administrator's token.
    Create,
}

/// Why there can be no such target.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TargetError {
    /// It cannot be one.
    #[error("`{url}` is not the URL of an InfluxDB: {reason}")]
    Url {
        /// What was given, without a user or password.
        url: String,
        /// Why not.
        reason: String,
    },
    /// It would have to be trusted blindly.
    #[error("nothing can be written to {url}: {problem}")]
    NoHttps {
        /// The server.
        url: String,
        /// What is missing.
        problem: NoCertificates,
    },
    /// The system refuses what an HTTP client needs.
    #[error("the HTTP client for InfluxDB cannot be set up: {0}")]
    HttpClient(String),
}

/// Why there is no token.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the token file {} cannot be used: {reason}", path.display())]
pub struct TokenError {
    path: PathBuf,
    reason: String,
}

/// What may be shown of a URL: of one in which there may be a user and password, no more than the scheme.
fn without_credentials(url: &str) -> String {
    if !url.contains(['@', '?', '#']) {
        return url.to_owned();
    }
    let scheme = url.split_once("://").map(|(scheme, _)| scheme);
    scheme.map_or("…".to_owned(), |scheme| format!("{scheme}://…"))
}

/// Why something was not done.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WriteError {
    /// InfluxDB will never do it.
    #[error("{0}")]
    Refused(String),
    /// It may do it later, as it is.
    #[error("{0}")]
    Later(String),
}

/// One database of one InfluxDB.
#[derive(Debug)]
pub struct InfluxDb {
    client: Client,
    write: Url,
    query: Url,
    target: InfluxDbTarget,
}

impl InfluxDb {
    /// Looks at the target; nothing is sent yet.
    ///
    /// # Errors
    /// When the URL is none, or none that can be used here.
    pub fn new(target: InfluxDbTarget) -> Result<Self, TargetError> {
        let error = |reason: String| TargetError::Url {
            url: without_credentials(&target.url),
            reason,
        };
        let base = Url::parse(&target.url).map_err(|e| error(e.to_string()))?;
        if !matches!(base.scheme(), "http" | "https") {
            return Err(error("it must begin with http:// or https://".into()));
        }
        if !base.username().is_empty() || base.password().is_some() {
            return Err(error(
                "it must not hold a user or password; put a token into a file".into(),
            ));
        }
        // InfluxDB 1.x would take a user and password there, and the URL stands in the log.
        if base.query().is_some() || base.fragment().is_some() {
            return Err(error(
                "it must end with the path, without `?` or `#`; put a token into a file".into(),
            ));
        }
        let http = HttpClient::new().map_err(|e| TargetError::HttpClient(reasons(&e)))?;
        let client = http
            .client_for(&target.url)
            .map_err(|problem| TargetError::NoHttps {
                url: target.url.clone(),
                problem,
            })?;
        let under = |path: &str| {
            let mut url = base.clone();
            url.set_path(&format!("{}/{path}", base.path().trim_end_matches('/')));
            url
        };
        Ok(Self {
            client: client.clone(),
            write: under("write"),
            query: under("query"),
            target,
        })
    }

    /// Sees that there is a token, if one is to be sent.
    ///
    /// # Errors
    /// When its file cannot be read, or holds anything but one line.
    pub async fn check_token(&self) -> Result<(), TokenError> {
        match &self.target.token_file {
            Some(path) => token(path).await.map(drop),
            None => Ok(()),
        }
    }

    /// Writes lines of line protocol with time stamps in nanoseconds.
    ///
    /// # Errors
    /// [`WriteError::Later`] when it is not known to have been done; writing the same points again is
    /// writing them once.
    pub async fn write(&self, lines: String) -> Result<(), WriteError> {
        let request = self
            .client
            .post(self.write.clone())
            .query(&[("db", self.target.database.as_str()), ("precision", "ns")])
            .body(lines);
        self.send(request).await.map(drop)
    }

    /// Sees that the database is there, or creates it if that was asked for.
    ///
    /// # Errors
    /// [`WriteError::Refused`] when it is missing and stays so, with the remedy.
    pub async fn prepare(&self) -> Result<(), WriteError> {
        let database = &self.target.database;
        let reply = self.ask("SHOW DATABASES").await?;
        let names = reply["results"][0]["series"][0]["values"].as_array();
        if names.is_some_and(|names| names.iter().any(|row| row[0] == **database)) {
            return Ok(());
        }
        let statement = format!("CREATE DATABASE \"{}\"", escaped(database));
        match self.target.missing_database {
            MissingDatabase::Create => self.ask(&statement).await.map(drop),
            MissingDatabase::Report => Err(WriteError::Refused(format!(
                "InfluxDB at {} shows no database `{database}`; create it ({statement}; in 2.x, a bucket and its DBRP mapping), or let the collector do it with --create-database",
                self.target.url
            ))),
        }
    }

    /// Runs one InfluxQL statement.
    async fn ask(&self, statement: &str) -> Result<serde_json::Value, WriteError> {
        let request = self
            .client
            .post(self.query.clone())
            .form(&[("q", statement)]);
        let reply = self.send(request).await?;
        let text = reply.text().await.map_err(|e| self.unreachable(&e))?;
        let value: serde_json::Value = serde_json::from_str(&text).map_err(|e| {
            WriteError::Refused(format!("`{statement}`: the reply is no JSON: {e}"))
        })?;
        // 1.x answers 200 before it runs the statement.
        match value["results"][0]["error"].as_str() {
            Some(error) => Err(WriteError::Refused(format!("`{statement}`: {error}"))),
            None => Ok(value),
        }
    }

    async fn send(&self, mut request: RequestBuilder) -> Result<Response, WriteError> {
        if let Some(path) = &self.target.token_file {
            let value = token(path)
                .await
                .map_err(|error| WriteError::Later(error.to_string()))?;
            request = request.header(AUTHORIZATION, value);
        }
        let sent = request.timeout(TIMEOUT).send().await;
        let reply = sent.map_err(|e| self.unreachable(&e))?;
        let status = reply.status();
        if status.is_success() {
            return Ok(reply);
        }
        let words = reply.text().await.unwrap_or_default();
        Err(judge(status, &message(&words), &self.target))
    }

    fn unreachable(&self, error: &reqwest::Error) -> WriteError {
        WriteError::Later(format!(
            "InfluxDB at {} cannot be reached: {}",
            self.target.url,
            reasons(error)
        ))
    }
}

async fn token(path: &Path) -> Result<HeaderValue, TokenError> {
    let unusable = |reason: String| TokenError {
        path: path.to_owned(),
        reason,
    };
    let text = tokio::fs::read_to_string(path)
        .await
        .map_err(|e| unusable(e.to_string()))?;
    let text = text.trim();
    if text.is_empty() {
        return Err(unusable("it is empty".into()));
    }
    let mut value = HeaderValue::from_str(&format!("Token {text}"))
        .map_err(|_| unusable("a token is one line of ASCII".into()))?;
    value.set_sensitive(true);
    Ok(value)
}

/// What a refusal means. Where an operator or a rest can help, the same points are tried again; a batch that InfluxDB
/// cannot read is given up, so that it does not stand in the way of all others.
fn judge(status: StatusCode, message: &str, target: &InfluxDbTarget) -> WriteError {
    let said = format!("InfluxDB at {} answers {status}: {message}", target.url);
    match status.as_u16() {
        401 | 403 => WriteError::Later(match &target.token_file {
            Some(path) => format!("{said}; see to the token in {}", path.display()),
            None => format!("{said}; give a token with --token-file"),
        }),
        404 => WriteError::Later(format!(
            "{said}; create the database `{}`, or give --create-database",
            target.database
        )),
        408 | 429 => WriteError::Later(said),
        400..=499 => WriteError::Refused(said),
        _ => WriteError::Later(said),
    }
}

/// InfluxDB's own words: `{"error": "…"}` (1.x), `{"message": "…"}` (2.x), or whatever came.
fn message(body: &str) -> String {
    let json: serde_json::Value = serde_json::from_str(body).unwrap_or_default();
    let words = ["error", "message"]
        .iter()
        .find_map(|key| json[key].as_str())
        .unwrap_or(body);
    words.trim().chars().take(LONGEST_MESSAGE).collect()
}

/// An identifier between double quotes in InfluxQL.
fn escaped(identifier: &str) -> String {
    identifier.replace('\\', "\\\\").replace('"', "\\\"")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_in_a_url_is_not_shown() {
        for url in [
            "http://ada:secret@127.0.0.1:8086",
            "http://127.0.0.1:8086?u=ada&p=secret",
            "http://127.0.0.1:8086?u=ada&p=sec@ret-secret",
            "http://127.0.0.1:8086/#secret",
        ] {
            let error = InfluxDb::new(target(url)).expect_err(url).to_string();
            assert!(
                !error.contains("secret") && error.contains("token"),
                "{error}"
            );
        }
    }

    fn target(url: &str) -> InfluxDbTarget {
        InfluxDbTarget {
            url: url.into(),
            database: "rollouts".into(),
            token_file: None,
            missing_database: MissingDatabase::Report,
        }
    }

    #[test]
    fn addresses_keep_their_path_and_hold_no_password() {
        let db = InfluxDb::new(target("https://influx.example/v1/")).expect("a good URL");
        assert_eq!(db.write.as_str(), "https://influx.example/v1/write");
        for bad in [
            "influx:8086",
            "ftp://influx",
            "http://me:secret@influx",
            "http://me@influx",
            "",
        ] {
            let error = InfluxDb::new(target(bad)).expect_err(bad).to_string();
            assert!(error.contains("is not the URL"), "{error}");
        }
    }

    #[test]
    fn only_what_can_never_be_written_is_refused_for_good() {
        let body = r#"{"error":"partial write: field type conflict dropped=1"}"#;
        for (status, forever) in [
            (400, true),
            (413, true),
            (422, true),
            (401, false),
            (403, false),
            (404, false),
            (429, false),
            (500, false),
            (503, false),
            (302, false),
        ] {
            let code = StatusCode::from_u16(status).expect("a status");
            let error = judge(code, &message(body), &target("http://i"));
            assert_eq!(matches!(error, WriteError::Refused(_)), forever, "{status}");
            assert!(error.to_string().contains("field type conflict"), "{error}");
        }
    }
}
