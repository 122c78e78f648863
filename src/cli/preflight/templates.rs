//! Checks of what the rollouts' templates name in the Swarm: networks, secrets, configs.

use super::Resources;
use super::finding::Finding;
use crate::api::{Metric, Resource, Template};
use crate::world::WorldError;
use crate::world::swarm::{Absent, Swarm};

/// Looks for what the templates of all rollouts name.
pub async fn check(resources: &Resources, swarm: &Swarm) -> Vec<Finding> {
    let (owners, templates): (Vec<_>, Vec<_>) = naming(resources).into_iter().unzip();
    judge(&owners, swarm.missing(&templates).await)
}

/// A template, and whose it is.
type Owned<'a> = (String, &'a Template);

/// The rollouts, and the metrics by a job, whose templates name something.
fn naming(resources: &Resources) -> Vec<Owned<'_>> {
    let templates = resources.0.values().flat_map(|resource| match resource {
        Resource::Rollout(manifest) => {
            let owner = format!("rollout {}", manifest.metadata.name);
            let spec = &manifest.spec;
            let staged = spec.strategy.stages().filter_map(|stage| stage.analysis);
            let all = spec.analysis.iter().chain(staged);
            let mut found = jobs(&owner, all.flat_map(|analysis| &analysis.metrics));
            found.insert(0, (format!("{owner} template"), &spec.template));
            found
        }
        Resource::AnalysisTemplate(manifest) => {
            let owner = format!("analysistemplate {}", manifest.metadata.name);
            jobs(&owner, manifest.spec.metrics.iter())
        }
        Resource::LoadBalancer(_) | Resource::MetricSource(_) => Vec::new(),
    });
    templates
        .filter(|(_, template)| {
            let lists = [template.secrets.len(), template.configs.len()];
            !template.networks.is_empty() || lists.iter().any(|count| *count > 0)
        })
        .collect()
}

/// The templates of those of `metrics` that are measured by a job.
fn jobs<'a>(owner: &str, metrics: impl Iterator<Item = &'a Metric>) -> Vec<Owned<'a>> {
    let of_job = |metric: &'a Metric| {
        let job = metric.job()?;
        Some((format!("{owner} job {}", metric.name), &job.template))
    };
    metrics.filter_map(of_job).collect()
}

fn judge(owners: &[String], missing: Result<Vec<Vec<Absent>>, WorldError>) -> Vec<Finding> {
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
    for (check, absent) in owners.iter().zip(missing) {
        if absent.is_empty() {
            findings.push(Finding::ok(
                check.clone(),
                "the networks, secrets and configs that it names are there",
            ));
        } else {
            let each = absent.into_iter();
            findings.extend(each.map(|one| Finding::fail(check, one.problem, one.remedy)));
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_absent_object_fails_for_the_rollout_that_names_it() {
        let owners = ["rollout web template", "rollout shop template"].map(str::to_owned);
        let absent = |what: &str| Absent {
            problem: format!("there is no {what}"),
            remedy: "create it".to_owned(),
        };
        let missing = vec![Vec::new(), vec![absent("secret"), absent("network")]];
        let told: Vec<_> = judge(&owners, Ok(missing))
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
            let of_job = if name == "shop" { &["news"][..] } else { &[] };
            let job = serde_json::json!({"template": {"image": "tests:1", "networks": of_job}});
            let analysis = serde_json::json!({"metrics": [{"name": "tests", "job": job}]});
            let rollout = serde_json::json!({
                "metadata": {"name": name},
                "spec": {
                    "template": {"image": "web:1", "networks": networks},
                    "traffic": {"loadBalancer": "edge", "backend": name, "port": 80},
                    "strategy": {"canary": {"stages": [{"weight": 5, "analysis": analysis}]}},
                },
            });
            let manifest = serde_json::from_value(rollout).expect("a rollout");
            resources.add(Resource::Rollout(manifest));
        }
        let found = naming(&resources);
        let named: Vec<_> = found.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(named, ["rollout shop job tests", "rollout web template"]);
    }
}
