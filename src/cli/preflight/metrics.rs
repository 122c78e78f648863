//! Checks of the metric sources: there, with their database, in time, and fed by a collector.

use std::collections::BTreeSet;

use jiff::Timestamp;

use super::finding::Finding;
use super::proxies::Looks;
use super::{Resources, engine};
use crate::action::Measure;
use crate::api::{Duration, Kind, Manifest, MetricSourceSpec, Name, Resource, references};
use crate::cli::clock;
use crate::cli::target::ResourceRef;
use crate::snapshot::{SampleKey, SampleOutcome, Window};
use crate::world::influxdb::{InfluxDb, InfluxDbError};

/// How far back points are looked for.
const LOOK_BACK: Duration = Duration::from_secs(60);

/// Checks every metric source.
pub async fn check(
    resources: &Resources,
    looks: &Looks,
    client: &InfluxDb,
    now: Timestamp,
) -> Vec<Finding> {
    let mut findings = Vec::new();
    for resource in resources.0.values() {
        if let Resource::MetricSource(source) = resource {
            findings.extend(check_source(source, client).await);
            for (rollout, backend) in measured_by(resources, &source.metadata.name) {
                let question = requests(&rollout, &backend, source, now);
                let outcome = client.measure(&question, &source.spec).await;
                findings.push(points(&backend, source, &outcome, served(looks, &backend)));
            }
        }
    }
    if findings.is_empty() {
        findings.push(Finding::info(
            "metrics",
            "there is no MetricSource to check",
            "apply one, or name its manifest with -f",
        ));
    }
    findings
}

async fn check_source(source: &Manifest<MetricSourceSpec>, client: &InfluxDb) -> Vec<Finding> {
    let check = format!("metrics {}", source.metadata.name);
    let asked = clock::now();
    let ping = match client.ping(&source.spec).await {
        Ok(ping) => ping,
        Err(error) => return vec![Finding::fail(check, &error, origin(&error))],
    };
    let answered = clock::now();
    let version = ping
        .version
        .unwrap_or_else(|| "(version not told)".to_owned());
    // `Date` has no fractions of a second.
    let asked = Duration::from_secs(1).before(asked);
    vec![
        Finding::ok(
            &check,
            format_args!("InfluxDB {version} at {}", source.spec.influxdb.url),
        ),
        engine::clock(&format!("{check} clock"), ping.date, asked, answered),
        database(&check, source, client.databases(&source.spec).await),
    ]
}

/// The controller may stand elsewhere.
fn origin(error: &InfluxDbError) -> &'static str {
    match error {
        InfluxDbError::Token { .. } => {
            "this was tried from here; the controller reads the file where it runs"
        }
        _ => "this was tried from here; the controller must reach it from where it runs",
    }
}

fn database(
    check: &str,
    source: &Manifest<MetricSourceSpec>,
    databases: Result<Vec<String>, InfluxDbError>,
) -> Finding {
    let wanted = &source.spec.influxdb.database;
    match databases {
        Err(error) => Finding::fail(check, error, "the databases cannot be listed"),
        Ok(names) if names.contains(wanted) => {
            Finding::ok(check, format_args!("database {wanted} is there"))
        }
        Ok(_) => Finding::fail(
            check,
            format_args!("there is no database {wanted}, or the token may not see it"),
            "create it (`rolloutctl collector --create-database` does), or with 2.x a DBRP mapping for it",
        ),
    }
}

/// The rollouts whose analysis asks this source, with their back ends.
fn measured_by(resources: &Resources, source: &Name) -> BTreeSet<(Name, String)> {
    let rollouts = resources.0.values().filter_map(|resource| match resource {
        Resource::Rollout(manifest) => Some((resource, manifest)),
        Resource::LoadBalancer(_) | Resource::MetricSource(_) | Resource::AnalysisTemplate(_) => {
            None
        }
    });
    rollouts
        .filter(|(resource, _)| asks(resource, source, resources))
        .filter_map(|(_, manifest)| {
            Some((
                manifest.metadata.name.clone(),
                manifest.spec.route()?.backend,
            ))
        })
        .collect()
}

/// Whether a rollout names the source itself, or a template that does.
fn asks(rollout: &Resource, source: &Name, resources: &Resources) -> bool {
    let names_it =
        |target: &ResourceRef| target.kind == Kind::MetricSource && target.name == *source;
    let named = references(rollout);
    let mut templates = named.iter().filter_map(|target| match target.kind {
        Kind::AnalysisTemplate => resources.0.get(&(target.kind, target.name.clone())),
        Kind::Rollout | Kind::LoadBalancer | Kind::MetricSource => None,
    });
    named.iter().any(names_it)
        || templates.any(|template| references(template).iter().any(names_it))
}

/// How many requests the collector wrote of a back end lately.
fn requests(
    rollout: &Name,
    backend: &str,
    source: &Manifest<MetricSourceSpec>,
    now: Timestamp,
) -> Measure {
    let end = source.spec.influxdb.ingest_lag.before(now);
    Measure {
        key: SampleKey {
            rollout: rollout.clone(),
            attempt: 0,
            stage: 0,
            since: now,
            metric: rollout.clone(),
            digest: None,
            number: 1,
        },
        source: source.metadata.name.clone(),
        query: r#"SELECT sum("requests") FROM "haproxy" WHERE "backend" = '{{ backend }}' AND {{ window }}"#
            .to_owned(),
        values: [("backend".to_owned(), backend.to_owned())].into(),
        window: Window {
            start: LOOK_BACK.before(end),
            end,
        },
    }
}

/// Whether HAProxy has counted requests of a back end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Served {
    /// It has, while points were looked for.
    Lately,
    /// It has, but the last one came before that.
    Before,
    /// It has not, or no instance tells.
    NoneSeen,
}

fn served(looks: &Looks, backend: &str) -> Served {
    let last = looks
        .values()
        .filter_map(|look| look.as_ref().ok())
        .filter_map(|inspection| inspection.backends.get(backend)?.last_request_secs)
        .min();
    match last.map(Duration::from_secs) {
        Some(ago) if ago <= LOOK_BACK => Served::Lately,
        Some(_) => Served::Before,
        None => Served::NoneSeen,
    }
}

fn points(
    backend: &str,
    source: &Manifest<MetricSourceSpec>,
    outcome: &SampleOutcome,
    served: Served,
) -> Finding {
    let check = format!("metrics {} backend {backend}", source.metadata.name);
    match (outcome, served) {
        (SampleOutcome::Value(requests), _) => Finding::ok(
            check,
            format_args!("the collector wrote {requests} requests in the last {LOOK_BACK}"),
        ),
        (SampleOutcome::NoData | SampleOutcome::Ran { .. }, Served::Lately) => Finding::warn(
            check,
            format_args!(
                "no points in the last {LOOK_BACK}, although HAProxy served requests then"
            ),
            "see whether `rolloutctl collector` runs, and whether HAProxy logs to it",
        ),
        (SampleOutcome::NoData | SampleOutcome::Ran { .. }, Served::Before) => Finding::info(
            check,
            format_args!("no points in the last {LOOK_BACK}, and HAProxy served no requests then"),
            "send a request and check again after some seconds",
        ),
        (SampleOutcome::NoData | SampleOutcome::Ran { .. }, Served::NoneSeen) => Finding::info(
            check,
            format_args!(
                "no points in the last {LOOK_BACK}, and HAProxy has not served any requests"
            ),
            "send a request and check again after some seconds",
        ),
        (SampleOutcome::Error(error), _) => {
            Finding::fail(check, error, "the collector's points must be readable")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::preflight::finding::Grade;
    use crate::world::haproxy::{ApiLevel, Inspection, ProxyBackend};

    fn source() -> Manifest<MetricSourceSpec> {
        serde_json::from_value(serde_json::json!({
            "metadata": {"name": "main"},
            "spec": {"influxdb": {"url": "http://influxdb:8086", "database": "rollouts"}},
        }))
        .expect("a source")
    }

    #[test]
    fn a_missing_database_is_found() {
        for (names, grade) in [(vec!["rollouts"], Grade::Ok), (vec!["other"], Grade::Fail)] {
            let names = names.into_iter().map(str::to_owned).collect();
            assert_eq!(database("metrics main", &source(), Ok(names)).grade, grade);
        }
    }

    #[test]
    fn a_source_that_only_a_template_names_is_measured_by_its_rollouts() {
        let mut resources = Resources::default();
        for manifest in [
            serde_json::json!({
                "kind": "Rollout",
                "metadata": {"name": "news-web"},
                "spec": {
                    "template": {"image": "web:1"},
                    "traffic": {"loadBalancer": "edge", "backend": "news", "port": 80},
                    "strategy": {"canary": {"stages": [
                        {"weight": 5, "analysis": {"templates": [{"name": "errors"}]}},
                    ]}},
                },
            }),
            serde_json::json!({
                "kind": "AnalysisTemplate",
                "metadata": {"name": "errors"},
                "spec": {"source": "main", "metrics": [{"name": "e", "query": "q", "max": 1}]},
            }),
            serde_json::json!({
                "kind": "AnalysisTemplate",
                "metadata": {"name": "unused"},
                "spec": {"source": "other", "metrics": [{"name": "e", "query": "q", "max": 1}]},
            }),
        ] {
            resources.add(read(manifest));
        }
        let name = |text: &str| text.parse::<Name>().expect("a name");
        let asked = measured_by(&resources, &name("main"));
        assert_eq!(asked, [(name("news-web"), "news".to_owned())].into());
        assert!(measured_by(&resources, &name("other")).is_empty());
    }

    fn read(manifest: serde_json::Value) -> Resource {
        let is_rollout = manifest["kind"] == "Rollout";
        let sound = "a sound manifest";
        if is_rollout {
            Resource::Rollout(serde_json::from_value(manifest).expect(sound))
        } else {
            Resource::AnalysisTemplate(serde_json::from_value(manifest).expect(sound))
        }
    }

    #[test]
    fn a_silent_collector_is_a_warning_only_when_there_was_something_to_tell() {
        for (outcome, served, grade) in [
            (SampleOutcome::Value(3.0), Served::Lately, Grade::Ok),
            (SampleOutcome::NoData, Served::Lately, Grade::Warn),
            (SampleOutcome::NoData, Served::Before, Grade::Info),
            (SampleOutcome::NoData, Served::NoneSeen, Grade::Info),
            (
                SampleOutcome::Error("x".to_owned()),
                Served::Lately,
                Grade::Fail,
            ),
        ] {
            assert_eq!(points("news-web", &source(), &outcome, served).grade, grade);
        }
    }

    /// What one instance counted long ago says nothing; another may serve now.
    #[test]
    fn the_latest_request_at_any_instance_counts() {
        let name = |text: &str| text.parse::<Name>().expect("a name");
        let look = |last| {
            let backend = ProxyBackend {
                mode: "http".to_owned(),
                balance: None,
                total: 9,
                open: 0,
                last_request_secs: last,
            };
            Ok(Inspection {
                version: "2.6.12".to_owned(),
                level: ApiLevel::Admin,
                pid: 1,
                uptime_secs: 9_000,
                threads: None,
                backends: [("news-web".to_owned(), backend)].into(),
            })
        };
        let seen = |lasts: &[Option<u64>]| {
            let looks = lasts.iter().zip(1..).map(|(last, number)| {
                let key = (name("edge"), name(&format!("lb-{number}")));
                (key, look(*last))
            });
            served(&looks.collect(), "news-web")
        };
        assert_eq!(seen(&[Some(3_600), Some(0)]), Served::Lately);
        assert_eq!(seen(&[Some(3_600), None]), Served::Before);
        assert_eq!(seen(&[None]), Served::NoneSeen);
        assert_eq!(seen(&[]), Served::NoneSeen);
    }
}
