//! Facts from a metric source: samples, and which measurement each belongs to.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::JobEnd;
use crate::api::{MetricDigest, Name, Window};

/// Which measurement a sample belongs to. A sample for another attempt, or for another run of a
/// stage, is of no use.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SampleKey {
    /// The rollout that is measured.
    pub rollout: Name,
    /// The attempt.
    pub attempt: u32,
    /// The stage.
    pub stage: u32,
    /// When the stage began: one that is prepared again begins anew, and is measured anew.
    pub since: Timestamp,
    /// The metric.
    pub metric: Name,
    /// What of that name is measured: the answer to what it was before an edit is none to what it is now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub digest: Option<MetricDigest>,
    /// The number of the sample in its stage, from 1. Asking twice for the same one is asking once.
    pub number: u32,
}

/// One answer of a source.
#[derive(Clone, Debug, PartialEq)]
pub struct Sample {
    /// Which measurement it answers.
    pub key: SampleKey,
    /// The time that it looked at.
    pub window: Window,
    /// When the answer came.
    pub at: Timestamp,
    /// The answer.
    pub outcome: SampleOutcome,
}

/// What a source answered (ANALYSIS-1). No data is never 0 and never success.
#[derive(Clone, Debug, PartialEq)]
pub enum SampleOutcome {
    /// A finite number.
    Value(f64),
    /// The query found no points, or null.
    NoData,
    /// The source failed or could not be reached; or a job could not be run.
    Error(String),
    /// A job was run.
    Ran {
        /// How it ended.
        end: JobEnd,
        /// The end of its log.
        log: Vec<String>,
    },
}
