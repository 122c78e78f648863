//! `rolloutctl preflight`: whether the Swarm, HAProxy and InfluxDB are fit for rollouts.
//!
//! What was found out is told apart from what it means: each neighbour's module gathers facts and
//! judges them by pure functions.

use std::collections::BTreeMap;
use std::fs;

use jiff::Timestamp;
use serde_json::json;

use super::args::{PreflightArgs, Report, Target};
use super::clock;
use super::connect::settings;
use super::console::{Console, Tone};
use super::exit::{Exit, Failure};
use super::read;
use crate::api::{Kind, Name, Resource};
use crate::manifest::Edits;
use crate::world::docker::{self, ConnectError, Engine};
use crate::world::haproxy::Haproxy;
use crate::world::influxdb::InfluxDb;
use crate::world::store::Store;

mod config;
mod engine;
mod finding;
mod metrics;
mod proxies;
mod templates;

use finding::{Finding, Grade};

/// Checks everything that can be checked and prints what was found. [`Exit::No`] when anything
/// would keep a rollout from working, [`Exit::Unreachable`] when that is an engine that is
/// of no use, as for every other command.
///
/// # Errors
/// When a manifest is wrong, a file cannot be read, or it is not clear which engine is meant.
pub async fn run(
    args: &PreflightArgs,
    target: &Target,
    console: &mut Console,
) -> Result<Exit, Failure> {
    let mut resources = Resources::default();
    if !args.files.is_empty() {
        let sound = read::sound(&read::sources(&args.files)?, &Edits::default(), console)?;
        for resource in sound {
            resources.add(resource);
        }
    }
    let configs = read_configs(&args.haproxy_config)?;
    let (access, mut findings) = swarm(target, &mut resources).await?;
    let looks = proxies::look(&resources, Haproxy::default()).await;
    findings.extend(proxies::judge(&resources, &looks));
    findings.extend(config::judge(&resources, &configs));
    findings.extend(sources(&resources, &looks, clock::now()).await);
    let passed = print(&findings, args.output, console)?;
    Ok(match (access, passed) {
        (Access::None, _) => Exit::Unreachable,
        (Access::Answered, Passed::Yes) => Exit::Done,
        (Access::Answered, Passed::No) => Exit::No,
    })
}

/// Whether the Swarm could be asked at all.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Access {
    Answered,
    None,
}

/// Whether no check failed.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Passed {
    Yes,
    No,
}

/// What is to be checked: what the manifests say and, of what they do not, what the store says.
#[derive(Default)]
struct Resources(BTreeMap<(Kind, Name), Resource>);

impl Resources {
    /// Adds a resource, unless one of that kind and name is there.
    fn add(&mut self, resource: Resource) {
        let key = (resource.kind(), resource.name().clone());
        self.0.entry(key).or_insert(resource);
    }
}

/// A configuration file of HAProxy.
struct ConfigFile {
    name: String,
    text: String,
}

fn read_configs(paths: &[std::path::PathBuf]) -> Result<Vec<ConfigFile>, Failure> {
    let read = |path: &std::path::PathBuf| {
        let name = path.display().to_string();
        match fs::read(path) {
            Ok(bytes) => Ok(ConfigFile {
                name,
                text: String::from_utf8_lossy(&bytes).into_owned(),
            }),
            Err(error) => Err(Failure::Usage(format!("{name}: cannot be read: {error}"))),
        }
    };
    paths.iter().map(read).collect()
}

/// Checks the Swarm, and adds what its store holds.
async fn swarm(
    target: &Target,
    resources: &mut Resources,
) -> Result<(Access, Vec<Finding>), Failure> {
    let engine = match docker::connect(&settings(target)).await {
        Ok(engine) => engine,
        Err(error @ (ConnectError::Settings(_) | ConnectError::HttpClient { .. })) => {
            return Err(error.into());
        }
        Err(error @ ConnectError::Engine { .. }) => {
            return Ok((Access::None, vec![engine::unreachable(&error)]));
        }
    };
    let asked = clock::now();
    let inspection = match engine.inspect().await {
        Ok(inspection) => inspection,
        Err(error) => return Ok((Access::None, vec![engine::silent(&error)])),
    };
    let answered = clock::now();
    let mut findings = engine::judge(&inspection, asked, answered);
    if findings.iter().any(|finding| finding.grade == Grade::Fail) {
        return Ok((Access::None, findings));
    }
    let (access, of_store) = store(engine, resources).await;
    findings.extend(of_store);
    Ok((access, findings))
}

async fn store(engine: Engine, resources: &mut Resources) -> (Access, Vec<Finding>) {
    let swarm = crate::world::swarm::Swarm::new(engine.clone());
    let store = Store::new(engine);
    let contents = store.load().await;
    let mut findings = vec![
        engine::writable(store.rehearse().await),
        engine::nodes(swarm.observe().await),
        engine::readable(&contents),
    ];
    match contents {
        Ok(contents) => {
            for stored in contents.resources {
                resources.add(stored.draft.resource);
            }
        }
        // Without the store there is no lease either.
        Err(_) => return (Access::None, findings),
    }
    findings.push(engine::controller(store.lease().await));
    findings.extend(templates::check(resources, &swarm).await);
    (Access::Answered, findings)
}

async fn sources(resources: &Resources, looks: &proxies::Looks, now: Timestamp) -> Vec<Finding> {
    match InfluxDb::new() {
        Ok(client) => metrics::check(resources, looks, &client, now).await,
        Err(error) => vec![Finding::fail(
            "metrics",
            error,
            "no HTTP client can be made here: check this machine's TLS certificates",
        )],
    }
}

fn print(
    findings: &[Finding],
    report: Option<Report>,
    console: &mut Console,
) -> Result<Passed, Failure> {
    let failed = findings
        .iter()
        .filter(|finding| finding.grade == Grade::Fail)
        .count();
    match report {
        Some(Report::Json) => {
            let report = json!({"passed": failed == 0, "findings": findings});
            console.answer(format_args!("{report:#}"))?;
        }
        None => {
            for finding in findings {
                let mark = console
                    .paint
                    .tint(finding.grade.tone(), format!("{:<4}", finding.grade));
                console.tell(format_args!("{mark} {finding}"))?;
            }
            if failed > 0 {
                let checks = super::words::counted(failed, "check");
                let text = format!("{checks} failed");
                console.remark(console.paint.tint(Tone::Bad, text));
            }
        }
    }
    Ok(if failed == 0 { Passed::Yes } else { Passed::No })
}
