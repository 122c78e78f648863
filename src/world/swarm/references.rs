//! What a template names and the engine wants by id: networks, secrets, configs.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::future::Future;

use bollard::query_parameters::{ListConfigsOptions, ListNetworksOptions, ListSecretsOptions};

use crate::api::{FileReference, Template};
use crate::world::WorldError;
use crate::world::docker::{Engine, ask};

/// Ids by name, of all that one template names.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct References {
    networks: BTreeMap<String, String>,
    secrets: BTreeMap<String, String>,
    configs: BTreeMap<String, String>,
}

/// A sort of object that a template can name.
struct Sort {
    noun: &'static str,
    create: &'static str,
}

const NETWORK: Sort = Sort {
    noun: "Swarm network",
    create: "docker network create --driver overlay",
};
const SECRET: Sort = Sort {
    noun: "secret",
    create: "docker secret create",
};
const CONFIG: Sort = Sort {
    noun: "config",
    create: "docker config create",
};

impl References {
    /// Asks the engine for the ids. No call is made for what the template does not use.
    ///
    /// # Errors
    /// [`WorldError::Refused`] when something that is named does not exist, saying how to create it.
    pub(super) async fn find(
        engine: &Engine,
        what: &str,
        template: &Template,
    ) -> Result<Self, WorldError> {
        let client = engine.client();
        let networks: BTreeSet<&str> = template.networks.iter().map(String::as_str).collect();
        let secrets = sources(&template.secrets);
        let configs = sources(&template.configs);
        let listed_networks = client.list_networks(Some(ListNetworksOptions {
            filters: Some(swarm_wide(by_name(&networks))),
        }));
        let listed_secrets = client.list_secrets(Some(ListSecretsOptions {
            filters: Some(by_name(&secrets)),
        }));
        let listed_configs = client.list_configs(Some(ListConfigsOptions {
            filters: Some(by_name(&configs)),
        }));
        Ok(Self {
            networks: ids(what, &NETWORK, &networks, listed_networks, |network| {
                Some((network.name?, network.id?))
            })
            .await?,
            secrets: ids(what, &SECRET, &secrets, listed_secrets, |secret| {
                Some((secret.spec?.name?, secret.id?))
            })
            .await?,
            configs: ids(what, &CONFIG, &configs, listed_configs, |config| {
                Some((config.spec?.name?, config.id?))
            })
            .await?,
        })
    }

    pub(super) fn network(&self, name: &str) -> String {
        self.networks.get(name).cloned().unwrap_or_default()
    }

    pub(super) fn secret(&self, name: &str) -> String {
        self.secrets.get(name).cloned().unwrap_or_default()
    }

    pub(super) fn config(&self, name: &str) -> String {
        self.configs.get(name).cloned().unwrap_or_default()
    }
}

fn sources(references: &[FileReference]) -> BTreeSet<&str> {
    references
        .iter()
        .map(|reference| reference.source.as_str())
        .collect()
}

/// Keeps what was asked for: the engine's filter by name also finds names that only begin so.
fn pick(
    what: &str,
    sort: &Sort,
    wanted: &BTreeSet<&str>,
    found: BTreeMap<String, String>,
) -> Result<BTreeMap<String, String>, WorldError> {
    let missing = wanted.iter().find(|name| !found.contains_key(**name));
    if let Some(name) = missing {
        return Err(WorldError::Refused {
            what: what.to_owned(),
            reason: format!(
                "there is no {} `{name}`; create it by `{} {name}`, or take it out of the template",
                sort.noun, sort.create
            ),
        });
    }
    Ok(found
        .into_iter()
        .filter(|(name, _)| wanted.contains(name.as_str()))
        .collect())
}

type Filters = HashMap<String, Vec<String>>;

fn by_name(names: &BTreeSet<&str>) -> Filters {
    let names = names.iter().map(|name| (*name).to_owned()).collect();
    Filters::from([("name".to_owned(), names)])
}

/// A network of one node alone can have the same name.
fn swarm_wide(mut filters: Filters) -> Filters {
    filters.insert("scope".to_owned(), vec!["swarm".to_owned()]);
    filters
}

/// The ids of the objects `names`, each of which must be there. Nothing is listed if there are none.
async fn ids<T>(
    what: &str,
    sort: &Sort,
    names: &BTreeSet<&str>,
    listed: impl Future<Output = Result<Vec<T>, bollard::errors::Error>>,
    name_and_id: impl Fn(T) -> Option<(String, String)>,
) -> Result<BTreeMap<String, String>, WorldError> {
    if names.is_empty() {
        return Ok(BTreeMap::new());
    }
    let found = ask(what, listed).await?;
    let found = found.into_iter().filter_map(name_and_id).collect();
    pick(what, sort, names, found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_missing_is_named_with_the_command_that_creates_it() {
        let found = BTreeMap::from([("news-2".to_owned(), "id2".to_owned())]);
        let err = pick("create x", &NETWORK, &BTreeSet::from(["news"]), found)
            .expect_err("only a longer name is there");
        let said = err.to_string();
        assert!(
            said.contains("docker network create --driver overlay news"),
            "{said}"
        );
    }

    #[test]
    fn what_only_begins_alike_is_left_out() {
        let found = BTreeMap::from([
            ("news".to_owned(), "id1".to_owned()),
            ("news-2".to_owned(), "id2".to_owned()),
        ]);
        let picked = pick("x", &NETWORK, &BTreeSet::from(["news"]), found).expect("found");
        assert_eq!(picked.len(), 1);
    }
}
