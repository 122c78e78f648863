//! Checks of what the rollouts' templates name in the Swarm: networks, secrets, configs.

use super::Resources;
use super::finding::Finding;
use crate::api::{Name, Resource, Template};
use crate::world::WorldError;
use crate::world::swarm::{Absent, Swarm};

/// Looks for what the templates of all rollouts name.
pub async fn check(resources: &Resources, swarm: &Swarm) -> Vec<Finding> {
    let (names, templates): (Vec<_>, Vec<_>) = naming(resources).into_iter().unzip();
    judge(&names, swarm.missing(&templates).await)
}

/// The rollouts whose templates name something.
fn naming(resources: &Resources) -> Vec<(&Name, &Template)> {
    let rollouts = resources.0.values().filter_map(|resource| match resource {
        Resource::Rollout(manifest) => Some(manifest),
        Resource::LoadBalancer(_) | Resource::MetricSource(_) | Resource::AnalysisTemplate(_) => {
            None
        }
    });
    let templates = rollouts.map(|manifest| (&manifest.metadata.name, &manifest.spec.template));
    templates
        .filter(|(_, template)| {
            let lists = [template.secrets.len(), template.configs.len()];
            !template.networks.is_empty() || lists.iter().any(|count| *count > 0)
        })
        .collect()
}

fn judge(names: &[&Name], missing: Result<Vec<Vec<Absent>>, WorldError>) -> Vec<Finding> {
    let missing = match missing {
        Ok(missing) => missing,
        Err(error) => {
            return vec![Finding::fail(
                "templates",
                error,
                "networks, secrets and configs must be listable",
            )];
        }
    };
    let mut findings = Vec::new();
    for (name, absent) in names.iter().zip(missing) {
        let check = format!("rollout {name} template");
        if absent.is_empty() {
            findings.push(Finding::ok(
                check,
                "the networks, secrets and configs that it names are there",
            ));
        } else {
            let each = absent.into_iter();
            findings.extend(each.map(|one| Finding::fail(&check, one.problem, one.remedy)));
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_absent_object_fails_for_the_rollout_that_names_it() {
        let name = |text: &str| text.parse::<Name>().expect("a name");
        let (web, shop) = (name("web"), name("shop"));
        let absent = |what: &str| Absent {
            problem: format!("there is no {what}"),
            remedy: "create it".to_owned(),
        };
        let missing = vec![Vec::new(), vec![absent("secret"), absent("network")]];
        let told: Vec<_> = judge(&[&web, &shop], Ok(missing))
            .iter()
            .map(|finding| format!("{} {finding}", finding.grade))
            .collect();
        assert_eq!(
            told,
            [
                "ok rollout web template: the networks, secrets and configs that it names are there",
                "FAIL rollout shop template: there is no secret; create it",
                "FAIL rollout shop template: there is no network; create it",
            ]
        );
    }

    #[test]
    fn a_template_that_names_nothing_is_not_looked_at() {
        let mut resources = Resources::default();
        for (name, networks) in [("web", &["news"][..]), ("shop", &[])] {
            let rollout = serde_json::json!({
                "metadata": {"name": name},
                "spec": {
                    "template": {"image": "web:1", "networks": networks},
                    "traffic": {"loadBalancer": "edge", "backend": name, "port": 80},
                    "strategy": {"canary": {"stages": [{"weight": 5}]}},
                },
            });
            let manifest = serde_json::from_value(rollout).expect("a rollout");
            resources.add(Resource::Rollout(manifest));
        }
        let found = naming(&resources);
        let named: Vec<_> = found.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(named, ["web"]);
    }
}
