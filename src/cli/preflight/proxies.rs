//! Checks of HAProxy, by what its runtime API shows.

use std::collections::{BTreeMap, BTreeSet};

use futures_util::future::join_all;

use super::Resources;
use super::finding::Finding;
use crate::api::{HaproxyInstance, Name, Resource};
use crate::world::haproxy::{ApiLevel, Balance, Haproxy, Inspection};

/// What each instance of each load balancer showed, or why it did not.
pub type Looks = BTreeMap<(Name, Name), Result<Inspection, String>>;

/// Looks at every instance of every load balancer, at once.
pub async fn look(resources: &Resources, haproxy: Haproxy) -> Looks {
    let instances = resources.0.values().filter_map(|resource| match resource {
        Resource::LoadBalancer(manifest) => Some(manifest),
        Resource::Rollout(_) | Resource::MetricSource(_) | Resource::AnalysisTemplate(_) => None,
    });
    let looks = instances
        .flat_map(|manifest| {
            let name = &manifest.metadata.name;
            let instances = manifest.spec.haproxy.instances.iter();
            instances.map(move |instance| (name, instance))
        })
        .map(async |(name, instance): (&Name, &HaproxyInstance)| {
            let inspection = haproxy.inspect(instance).await;
            let key = (name.clone(), instance.name.clone());
            (key, inspection.map_err(|error| error.to_string()))
        });
    join_all(looks).await.into_iter().collect()
}

/// What the looks mean for the rollouts.
pub fn judge(resources: &Resources, looks: &Looks) -> Vec<Finding> {
    if looks.is_empty() {
        return vec![Finding::info(
            "haproxy",
            "there is no LoadBalancer to check",
            "apply one, or name its manifest with -f",
        )];
    }
    looks
        .iter()
        .flat_map(|((load_balancer, instance), look)| {
            let check = format!("haproxy {load_balancer}/{instance}");
            match look {
                Ok(inspection) => {
                    let wanted = backends(resources, load_balancer);
                    judge_instance(&check, inspection, &wanted)
                }
                Err(error) => vec![Finding::fail(
                    &check,
                    error,
                    "check the address, and `stats socket … level admin` in haproxy.cfg",
                )],
            }
        })
        .collect()
}

/// The back ends that the rollouts behind a load balancer use.
fn backends(resources: &Resources, load_balancer: &Name) -> BTreeSet<String> {
    let routes = resources.0.values().filter_map(|resource| match resource {
        Resource::Rollout(manifest) => manifest.spec.route(),
        Resource::LoadBalancer(_) | Resource::MetricSource(_) | Resource::AnalysisTemplate(_) => {
            None
        }
    });
    routes
        .filter(|route| route.load_balancer == *load_balancer)
        .map(|route| route.backend)
        .collect()
}

fn judge_instance(check: &str, inspection: &Inspection, wanted: &BTreeSet<String>) -> Vec<Finding> {
    let mut findings = vec![version(check, inspection), level(check, inspection.level)];
    findings.extend(wanted.iter().map(|name| backend(check, inspection, name)));
    findings
}

fn version(check: &str, inspection: &Inspection) -> Finding {
    let version = &inspection.version;
    if inspection.has_dynamic_servers() {
        Finding::ok(check, format_args!("HAProxy {version}"))
    } else {
        Finding::fail(
            check,
            format_args!("HAProxy {version} has no dynamic servers with health checks"),
            "upgrade to 2.6 or later",
        )
    }
}

fn level(check: &str, level: ApiLevel) -> Finding {
    match level {
        ApiLevel::Admin => Finding::ok(check, "its socket lets servers be changed"),
        ApiLevel::Operator | ApiLevel::User => Finding::fail(
            check,
            format_args!("its socket has level {level}, which cannot change servers"),
            "write `level admin` in the `stats socket` line of haproxy.cfg and reload",
        ),
    }
}

fn backend(check: &str, inspection: &Inspection, name: &str) -> Finding {
    let check = format!("{check} backend {name}");
    let Some(backend) = inspection.backends.get(name) else {
        return Finding::fail(
            check,
            "not there",
            format_args!("add a section `backend {name}` to haproxy.cfg and reload"),
        );
    };
    match &backend.balance {
        Some(Balance::Weighted(algorithm)) => {
            Finding::ok(check, format_args!("there, `balance {algorithm}`"))
        }
        Some(Balance::Hashed(algorithm)) => Finding::warn(
            check,
            format_args!("`balance {algorithm}` keeps clients on servers"),
            "a canary's share is right only over many clients, and servers can be added only with `hash-type consistent`; prefer `balance roundrobin`",
        ),
        Some(Balance::Unfit(algorithm)) => Finding::fail(
            check,
            format_args!("`balance {algorithm}` does not take servers or weights at run time"),
            "write `balance roundrobin` (or leastconn, random) and reload",
        ),
        None => Finding::info(
            check,
            "there; how it balances cannot be seen at this level",
            "write `level admin` in the `stats socket` line",
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::preflight::finding::Grade;
    use crate::world::haproxy::ProxyBackend;

    fn inspection(version: &str, level: ApiLevel, balance: &str) -> Inspection {
        let backend = ProxyBackend {
            mode: "http".to_owned(),
            balance: Some(Balance::new(balance)),
            total: 0,
            open: 0,
            last_request_secs: None,
        };
        Inspection {
            version: version.to_owned(),
            level,
            pid: 1,
            uptime_secs: 100,
            threads: Some(1),
            backends: [("news-web".to_owned(), backend)].into(),
        }
    }

    fn grades(inspection: &Inspection, backend: &str) -> Vec<Grade> {
        let wanted = [backend.to_owned()].into();
        judge_instance("haproxy edge/lb-1", inspection, &wanted)
            .into_iter()
            .map(|finding| finding.grade)
            .collect()
    }

    #[test]
    fn a_fit_proxy_passes_and_each_fault_is_found() {
        use Grade::{Fail, Ok, Warn};
        let fit = inspection("2.6.12", ApiLevel::Admin, "roundrobin");
        assert_eq!(grades(&fit, "news-web"), [Ok, Ok, Ok]);
        assert_eq!(grades(&fit, "shop"), [Ok, Ok, Fail]);
        for (version, level, balance, expected) in [
            ("2.4.1", ApiLevel::Admin, "leastconn", [Fail, Ok, Ok]),
            ("3.0.0", ApiLevel::Operator, "random", [Ok, Fail, Ok]),
            ("3.0.0", ApiLevel::Admin, "static-rr", [Ok, Ok, Fail]),
            ("3.0.0", ApiLevel::Admin, "source", [Ok, Ok, Warn]),
        ] {
            let found = grades(&inspection(version, level, balance), "news-web");
            assert_eq!(found, expected, "{version} {level} {balance}");
        }
    }
}
