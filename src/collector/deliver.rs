//! From the outbox to InfluxDB, one batch at a time, for as long as it takes.

use std::sync::Arc;
use std::time::Duration;

use super::influxdb::{InfluxDb, WriteError};
use super::outbox::Outbox;
use crate::retry::{Backoff, Policy, Spread};

/// Points should be there a moment after InfluxDB is back, so the pauses stay short.
const PAUSES: Policy = Policy {
    first: Duration::from_millis(200),
    longest: Duration::from_secs(2),
    give_up_after: None,
    spread: Spread::Half,
};

/// Sends all that is put into `outbox`, the oldest first, until it is closed and empty.
///
/// A batch that may still be taken is sent again, all in the order in which they came; one that is refused for good
/// is given up.
pub async fn deliver(influxdb: InfluxDb, outbox: Arc<Outbox>) {
    let mut backoff = Backoff::new(PAUSES);
    let mut database = prepare(&influxdb).await;
    while let Some(batch) = outbox.take().await {
        if matches!(database, Database::Unknown) {
            database = prepare(&influxdb).await;
        }
        match influxdb.write(batch.body.clone()).await {
            Ok(()) => {
                outbox.written(&batch);
                backoff.reset();
                database = Database::Seen;
            }
            Err(WriteError::Refused(reason)) => outbox.refused(&batch, reason),
            Err(WriteError::Later(reason)) => {
                outbox.give_back(batch, reason);
                database = Database::Unknown;
                backoff.pause().await;
            }
        }
    }
}

/// What is known of the database.
enum Database {
    /// It is there, or it was said that it is not.
    Seen,
    /// It could not be looked for.
    Unknown,
}

async fn prepare(influxdb: &InfluxDb) -> Database {
    match influxdb.prepare().await {
        Ok(()) => Database::Seen,
        Err(WriteError::Refused(reason)) => {
            tracing::error!("{reason}");
            Database::Seen
        }
        // The write that follows fails for the same reason, and that is reported.
        Err(WriteError::Later(reason)) => {
            tracing::debug!("the database could not be looked for: {reason}");
            Database::Unknown
        }
    }
}
