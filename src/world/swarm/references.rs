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

/// Something that a template names and the engine does not have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Absent {
    /// What is wrong.
    pub problem: String,
    /// What would be right.
    pub remedy: String,
}

/// What templates name.
#[derive(Clone, Debug, Default)]
struct Names<'a> {
    networks: BTreeSet<&'a str>,
    secrets: BTreeSet<&'a str>,
    configs: BTreeSet<&'a str>,
}

impl<'a> Names<'a> {
    fn of(templates: &[&'a Template]) -> Self {
        let mut names = Self::default();
        for template in templates {
            names
                .networks
                .extend(template.networks.iter().map(String::as_str));
            names.secrets.extend(sources(&template.secrets));
            names.configs.extend(sources(&template.configs));
        }
        names
    }
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
        let names = Names::of(&[template]);
        let found = Self::look(engine, what, &names).await?;
        match found.absent(&names).first() {
            None => Ok(found),
            Some(absent) => Err(WorldError::Refused {
                what: what.to_owned(),
                reason: format!("{}; {}", absent.problem, absent.remedy),
            }),
        }
    }

    /// What each of `templates` names and the engine does not have.
    ///
    /// # Errors
    /// When the engine cannot be asked.
    pub(super) async fn missing(
        engine: &Engine,
        templates: &[&Template],
    ) -> Result<Vec<Vec<Absent>>, WorldError> {
        let what = "look for what the templates name";
        let found = Self::look(engine, what, &Names::of(templates)).await?;
        let each = templates.iter();
        Ok(each
            .map(|template| found.absent(&Names::of(&[template])))
            .collect())
    }

    /// References in which what `template` names has its name for an id.
    #[cfg(test)]
    pub(super) fn by_names(template: &Template) -> Self {
        let names = Names::of(&[template]);
        let each = |names: &BTreeSet<&str>| {
            let pair = |name: &&str| ((*name).to_owned(), (*name).to_owned());
            names.iter().map(pair).collect()
        };
        Self {
            networks: each(&names.networks),
            secrets: each(&names.secrets),
            configs: each(&names.configs),
        }
    }

    async fn look(engine: &Engine, what: &str, names: &Names<'_>) -> Result<Self, WorldError> {
        let client = engine.client();
        let listed_networks = client.list_networks(Some(ListNetworksOptions {
            filters: Some(swarm_wide(by_name(&names.networks))),
        }));
        let listed_secrets = client.list_secrets(Some(ListSecretsOptions {
            filters: Some(by_name(&names.secrets)),
        }));
        let listed_configs = client.list_configs(Some(ListConfigsOptions {
            filters: Some(by_name(&names.configs)),
        }));
        Ok(Self {
            networks: ids(what, &names.networks, listed_networks, |network| {
                Some((network.name?, network.id?))
            })
            .await?,
            secrets: ids(what, &names.secrets, listed_secrets, |secret| {
                Some((secret.spec?.name?, secret.id?))
            })
            .await?,
            configs: ids(what, &names.configs, listed_configs, |config| {
                Some((config.spec?.name?, config.id?))
            })
            .await?,
        })
    }

    /// Those of `names` that were not found.
    fn absent(&self, names: &Names<'_>) -> Vec<Absent> {
        let sorts = [
            (&NETWORK, &names.networks, &self.networks),
            (&SECRET, &names.secrets, &self.secrets),
            (&CONFIG, &names.configs, &self.configs),
        ];
        let mut absent = Vec::new();
        for (sort, wanted, found) in sorts {
            for name in wanted.iter().filter(|name| !found.contains_key(**name)) {
                absent.push(Absent {
                    problem: format!("there is no {} `{name}`", sort.noun),
                    remedy: format!(
                        "create it by `{} {name}`, or take it out of the template",
                        sort.create
                    ),
                });
            }
        }
        absent
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

/// The ids of those of the objects `names` that are there. Nothing is listed if there are no names.
async fn ids<T>(
    what: &str,
    names: &BTreeSet<&str>,
    listed: impl Future<Output = Result<Vec<T>, bollard::errors::Error>>,
    name_and_id: impl Fn(T) -> Option<(String, String)>,
) -> Result<BTreeMap<String, String>, WorldError> {
    if names.is_empty() {
        return Ok(BTreeMap::new());
    }
    let found = ask(what, listed).await?;
    // The engine's filter by name also finds names that only begin so.
    let asked_for = |(name, _): &(String, String)| names.contains(name.as_str());
    Ok(found
        .into_iter()
        .filter_map(name_and_id)
        .filter(asked_for)
        .collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn objects(names: &[&str]) -> Vec<(String, String)> {
        let object = |name: &&str| ((*name).to_owned(), format!("id of {name}"));
        names.iter().map(object).collect()
    }

    #[test]
    fn what_is_missing_is_named_with_the_command_that_creates_it() {
        let template: Template = serde_json::from_value(serde_json::json!({
            "image": "web:1", "networks": ["news"], "secrets": ["password"], "configs": ["rules"],
        }))
        .expect("a template");
        let found = References {
            configs: objects(&["rules"]).into_iter().collect(),
            ..References::default()
        };
        let absent = found.absent(&Names::of(&[&template]));
        let said: Vec<_> = absent
            .iter()
            .map(|absent| format!("{}; {}", absent.problem, absent.remedy))
            .collect();
        assert_eq!(
            said,
            [
                "there is no Swarm network `news`; create it by `docker network create --driver overlay news`, or take it out of the template",
                "there is no secret `password`; create it by `docker secret create password`, or take it out of the template",
            ]
        );
    }

    #[tokio::test]
    async fn what_only_begins_alike_is_left_out() {
        let listed = async { Ok(objects(&["news", "news-2"])) };
        let found = ids("x", &BTreeSet::from(["news"]), listed, Some).await;
        assert_eq!(found.expect("listed").len(), 1);
    }
}
