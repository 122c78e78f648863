//! InfluxDB as the loops use it: one question, one outcome.
//!
//! Speaks InfluxQL on `/query`, which 1.x and 2.x (with a DBRP mapping) have in common. How
//! values get into a query is in [`crate::influxql`], what an answer means in `reply`. When to ask, and
//! what an outcome is worth, is decided elsewhere.

use std::path::PathBuf;
use std::time::Duration;

use jiff::Timestamp;
use jiff::fmt::rfc2822;
use reqwest::header::{AUTHORIZATION, DATE, HeaderMap, HeaderValue};
use reqwest::{RequestBuilder, Response, StatusCode};
use tokio::fs::read_to_string;
use tokio::time::timeout;

use crate::action::Measure;
use crate::api::{InfluxDbSpec, MetricSourceSpec};
use crate::influxql::{self, FillError};
use crate::snapshot::SampleOutcome;
use crate::world::http::{HttpClient, NoCertificates, reasons};

mod reply;

use reply::Reply;

/// The longest answer that is read. A measurement is one number.
const MAX_BODY: usize = 1024 * 1024;

/// Asks InfluxDB servers.
///
/// # Guarantees
/// Each call ends within the source's `timeout`. Nothing is asked twice and no redirect is
/// followed, so that a token goes nowhere else. The token's file is read for each call, so that a
/// rotated secret is used at once; the token stands in no error.
#[derive(Clone, Debug)]
pub struct InfluxDb {
    http: HttpClient,
}

/// What [`InfluxDb::ping`] learns.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ping {
    /// The server's version (`X-Influxdb-Version`), if it tells.
    pub version: Option<String>,
    /// The server's clock (`Date`), to the second, if it tells.
    pub date: Option<Timestamp>,
}

/// Why there was no answer to be used.
#[derive(Debug, thiserror::Error)]
pub enum InfluxDbError {
    /// The query could not be made.
    #[error(transparent)]
    Fill(#[from] FillError),
    /// The token could not be read.
    #[error(
        "cannot use the token in {path}: {reason}; check `tokenFile` and that the secret is mounted where this controller sees it"
    )]
    Token {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// No certificate can be verified here.
    #[error(transparent)]
    NoHttps(#[from] NoCertificates),
    /// No answer.
    #[error(
        "cannot reach {url}: {reason}; check the source's `url`, the network and InfluxDB's log"
    )]
    Unreachable {
        /// The server.
        url: String,
        /// What went wrong, from the outside in.
        reason: String,
    },
    /// Nothing came within the time limit.
    #[error(
        "{url} gave no answer within {limit:?}; make the query cheaper or the source's `timeout` longer"
    )]
    Timeout {
        /// The server.
        url: String,
        /// The source's `timeout`.
        limit: Duration,
    },
    /// The server said no.
    #[error("{url} answered {status}: {message}{}", remedy(*.status))]
    Status {
        /// The server.
        url: String,
        /// The HTTP status.
        status: StatusCode,
        /// The body's error message.
        message: String,
    },
    /// The answer was too long.
    #[error("the answer is longer than {} KiB; ask for one number", MAX_BODY >> 10)]
    TooLong,
    /// The answer is not InfluxDB's.
    #[error("the answer is not that of InfluxDB's /query: {0}; check the source's `url`")]
    NotJson(String),
    /// InfluxDB could not run the query.
    #[error("InfluxDB says: {0}; check the query and the source's `database`")]
    Query(String),
    /// InfluxDB cut the answer.
    #[error("the answer is only a part; ask for one number, and check InfluxDB's `max-row-limit`")]
    Partial,
    /// The answer is not one number.
    #[error(
        "the answer has {0} where one number was asked for; select one aggregate, without GROUP BY"
    )]
    Shape(String),
}

fn remedy(status: StatusCode) -> &'static str {
    match status {
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
            "; check the source's `tokenFile` and what its token may read"
        }
        StatusCode::NOT_FOUND => {
            "; check the source's `url` and `database` (2.x needs a DBRP mapping for it)"
        }
        _ => "",
    }
}

impl InfluxDb {
    /// A client for any number of servers.
    ///
    /// # Errors
    /// When the system refuses what an HTTP client needs.
    pub fn new() -> Result<Self, reqwest::Error> {
        HttpClient::new().map(|http| Self { http })
    }

    /// Asks `source` the question. Whatever goes wrong is an outcome (ANALYSIS-3).
    pub async fn measure(&self, question: &Measure, source: &MetricSourceSpec) -> SampleOutcome {
        self.number(question, &source.influxdb)
            .await
            .unwrap_or_else(|error| SampleOutcome::Error(error.to_string()))
    }

    async fn number(
        &self,
        question: &Measure,
        source: &InfluxDbSpec,
    ) -> Result<SampleOutcome, InfluxDbError> {
        let query = influxql::fill(&question.query, &question.values, question.window)?;
        self.query(source, &query).await?.number()
    }

    /// Whether the server is there, and its version and clock (`/ping`).
    ///
    /// # Errors
    /// When it cannot be reached or refuses.
    pub async fn ping(&self, source: &MetricSourceSpec) -> Result<Ping, InfluxDbError> {
        let response = self.get(&source.influxdb, "ping", &[]).await?;
        if !response.status().is_success() {
            return Err(refusal(&source.influxdb, response).await);
        }
        let headers = response.headers();
        Ok(Ping {
            version: text(headers, "X-Influxdb-Version").map(str::to_owned),
            date: text(headers, DATE.as_str()).and_then(date),
        })
    }

    /// The names of the databases that the token may see (`SHOW DATABASES`), in the server's order.
    ///
    /// # Errors
    /// When the server cannot be reached or refuses.
    pub async fn databases(&self, source: &MetricSourceSpec) -> Result<Vec<String>, InfluxDbError> {
        let reply = self.query(&source.influxdb, "SHOW DATABASES").await?;
        Ok(reply.texts())
    }

    async fn query(&self, source: &InfluxDbSpec, query: &str) -> Result<Reply, InfluxDbError> {
        let parameters = [
            ("db", source.database.as_str()),
            ("q", query),
            ("epoch", "ns"),
        ];
        let response = self.get(source, "query", &parameters).await?;
        if !response.status().is_success() {
            return Err(refusal(source, response).await);
        }
        Reply::read(&body(source, response).await?)
    }

    async fn get(
        &self,
        source: &InfluxDbSpec,
        path: &str,
        parameters: &[(&str, &str)],
    ) -> Result<Response, InfluxDbError> {
        let client = self.http.client_for(&source.url)?;
        let url = format!("{}/{path}", source.url.trim_end_matches('/'));
        let request = client
            .get(url)
            .query(parameters)
            .timeout(source.timeout.as_std());
        let request = authorized(request, source).await?;
        request.send().await.map_err(|error| lost(source, error))
    }
}

async fn authorized(
    request: RequestBuilder,
    source: &InfluxDbSpec,
) -> Result<RequestBuilder, InfluxDbError> {
    let Some(path) = &source.token_file else {
        return Ok(request);
    };
    let wrong = |reason: String| InfluxDbError::Token {
        path: path.into(),
        reason,
    };
    let token = timeout(source.timeout.as_std(), read_to_string(path))
        .await
        .map_err(|_| wrong("it cannot be read in time".to_owned()))?
        .map_err(|error| wrong(error.to_string()))?;
    let token = token.trim();
    if token.is_empty() {
        return Err(wrong("it is empty".to_owned()));
    }
    let mut value = HeaderValue::from_str(&format!("Token {token}"))
        .map_err(|_| wrong("it holds characters that no token has".to_owned()))?;
    value.set_sensitive(true);
    Ok(request.header(AUTHORIZATION, value))
}

async fn body(source: &InfluxDbSpec, mut response: Response) -> Result<Vec<u8>, InfluxDbError> {
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(|e| lost(source, e))? {
        if body.len() + chunk.len() > MAX_BODY {
            return Err(InfluxDbError::TooLong);
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

async fn refusal(source: &InfluxDbSpec, response: Response) -> InfluxDbError {
    const EXCERPT: usize = 200;
    let status = response.status();
    let body = match body(source, response).await {
        Ok(body) => body,
        Err(error) => return error,
    };
    // 1.x: {"error": …}; 2.x: {"code": …, "message": …}; a proxy in between: anything.
    let json: serde_json::Value = serde_json::from_slice(&body).unwrap_or_default();
    let told = ["error", "message"]
        .iter()
        .find_map(|key| json.get(key)?.as_str().map(str::to_owned));
    let message = told.unwrap_or_else(|| {
        let text = String::from_utf8_lossy(&body);
        let line = text.trim().lines().next().unwrap_or_default();
        line.chars().take(EXCERPT).collect()
    });
    InfluxDbError::Status {
        url: source.url.clone(),
        status,
        message,
    }
}

fn lost(source: &InfluxDbSpec, error: reqwest::Error) -> InfluxDbError {
    let url = source.url.clone();
    if error.is_timeout() {
        let limit = source.timeout.as_std();
        return InfluxDbError::Timeout { url, limit };
    }
    let reason = reasons(&error.without_url());
    InfluxDbError::Unreachable { url, reason }
}

fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}

/// An HTTP date, which is one of RFC 2822 in Greenwich.
fn date(text: &str) -> Option<Timestamp> {
    rfc2822::DateTimeParser::new().parse_timestamp(text).ok()
}
