//! `kind: MetricSource`: a database that answers analysis queries.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Duration, Kind, Spec};

/// Where measurements come from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct MetricSourceSpec {
    /// An InfluxDB server.
    pub influxdb: InfluxDbSpec,
}

/// An InfluxDB server that speaks InfluxQL on `/query`: 1.x, or 2.x with a DBRP mapping of the
/// database.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct InfluxDbSpec {
    /// The server's base URL, `http://` or `https://`, without a user or password.
    #[schemars(regex(pattern = r"^https?://[^@\s]+$"))]
    pub url: String,
    /// The database that is queried; with 2.x, the one that a DBRP mapping names.
    #[schemars(length(min = 1))]
    pub database: String,
    /// The query language.
    #[serde(default)]
    pub language: QueryLanguage,
    /// A file that holds the API token, if the server wants one (2.x does), as the controller sees
    /// it: a Docker secret's path.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token_file: Option<String>,
    /// How long points may take from the request they tell of until a query sees them.
    /// Windows end this long before now.
    #[serde(default = "default_ingest_lag")]
    pub ingest_lag: Duration,
    /// How long one query may take.
    #[serde(default = "default_timeout")]
    pub timeout: Duration,
}

fn default_ingest_lag() -> Duration {
    Duration::from_secs(2)
}

fn default_timeout() -> Duration {
    Duration::from_secs(10)
}

/// The language of a source's queries.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum QueryLanguage {
    /// InfluxQL, by GET on `/query`.
    #[default]
    Influxql,
}

impl Spec for MetricSourceSpec {
    const KIND: Kind = Kind::MetricSource;
}
