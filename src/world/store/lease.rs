//! The lease as a config: who acts, and the how-manieth it is (SAFETY-6).

use std::collections::HashMap;

use bollard::models::{Config, ConfigSpec};

use super::record::{self, EPOCH, KIND, LEASE_KIND, Labels};
use crate::world::{Lease, StoreId, WorldError};

const NAME: &str = "rolloutctl.lease";
const HOLDER: &str = "rolloutctl.dev/holder";

pub(super) fn write(epoch: u64, holder: &str) -> ConfigSpec {
    let labels = HashMap::from([
        (KIND.to_owned(), LEASE_KIND.to_owned()),
        (EPOCH.to_owned(), epoch.to_string()),
        (HOLDER.to_owned(), holder.to_owned()),
    ]);
    record::config(NAME.to_owned(), labels)
}

/// Reads the lease. One that cannot be read must not be taken for none: two would act.
pub(super) fn read(what: &str, config: &Config) -> Result<Lease, WorldError> {
    parse(config).map_err(|problem| WorldError::Refused {
        what: what.to_owned(),
        reason: format!(
            "{problem}; see that no controller runs, then remove it by `docker config rm {NAME}`"
        ),
    })
}

fn parse(config: &Config) -> Result<Lease, String> {
    let labels = Labels::of(config);
    let version = config.version.as_ref().and_then(|version| version.index);
    Ok(Lease {
        id: StoreId(config.id.clone().ok_or("it has no id")?),
        version: version.ok_or("it has no version")?,
        epoch: labels.parsed(EPOCH)?,
        holder: labels.must(HOLDER)?.to_owned(),
    })
}
