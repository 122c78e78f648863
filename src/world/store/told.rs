//! What is told of a GitOps source as a config: for people, and for who acts next.

use std::collections::HashMap;

use bollard::models::{Config, ConfigSpec};
use jiff::Timestamp;

use super::record::{self, KIND, Labels, SOURCE_KIND, STATUS};
use crate::api::SourceStatus;
use crate::world::docker::timestamp;
use crate::world::{StoreId, StoredSource};

pub(super) fn write(status: &SourceStatus) -> ConfigSpec {
    let labels = HashMap::from([
        (KIND.to_owned(), SOURCE_KIND.to_owned()),
        (STATUS.to_owned(), record::json(status)),
    ]);
    record::config(format!("rolloutctl.{SOURCE_KIND}.{}", status.name), labels)
}

/// Reads it back; the error says what is wrong with it.
pub(super) fn read(config: &Config) -> Result<StoredSource, String> {
    let version = config.version.as_ref().and_then(|version| version.index);
    let created_at = timestamp(config.created_at.as_deref()).unwrap_or(Timestamp::UNIX_EPOCH);
    Ok(StoredSource {
        id: StoreId(config.id.clone().ok_or("it has no id")?),
        version: version.ok_or("it has no version")?,
        created_at,
        updated_at: timestamp(config.updated_at.as_deref()).unwrap_or(created_at),
        status: Labels::of(config).parsed(STATUS)?,
    })
}
