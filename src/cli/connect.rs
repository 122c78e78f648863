//! The one place where the command line gets its world from, and starts what runs for ever.

use std::path::PathBuf;
use std::sync::Arc;

use super::args::{CollectorArgs, ControllerArgs, Drift, SourceArgs, Target};
use super::ending::Shutdown;
use super::exit::{Exit, Failure};
use super::listen::{self, Transport};
use crate::api::{HaproxyInstance, NameError, OnDrift, Prune};
use crate::collector::{
    self, CollectorError, CollectorOptions, InfluxDbTarget, MissingDatabase, TargetError,
};
use crate::controller::{self, ControllerError};
use crate::gitops::{GitAccess, GitBranches, MAX_BRANCHES, SourceOptions, Url};
use crate::retry::{self, Policy};
use crate::runtime::Tokio;
use crate::world::docker::{ConnectError, Settings};
use crate::world::haproxy::{Address, AddressError};
use crate::world::{RealWorld, World};

/// How long work may lie undone until a controller that stands by takes over.
const PATIENCE: std::time::Duration = std::time::Duration::from_secs(15);

/// The shortest time between two regular looks.
const SHORTEST_RESYNC: std::time::Duration = std::time::Duration::from_millis(100);

/// The shortest time between two looks at a repository.
const SHORTEST_INTERVAL: std::time::Duration = std::time::Duration::from_secs(1);

/// Connects to the Swarm that `target` and the environment choose.
///
/// # Errors
/// When there is no such Docker context, or its engine cannot be reached.
pub async fn connect(target: &Target) -> Result<Arc<dyn World>, Failure> {
    let world = RealWorld::connect(&settings(target)).await?;
    Ok(Arc::new(world))
}

/// What the environment says, unless the command line says otherwise.
pub fn settings(target: &Target) -> Settings {
    let mut settings = Settings::from_env();
    if let Some(context) = &target.context {
        settings.context = Some(context.clone());
        settings.host = None;
    }
    if let Some(host) = &target.host {
        settings.host = Some(host.clone());
    }
    settings
}

/// Runs the controller until `shutdown`. An engine that does not answer yet is waited for.
///
/// # Errors
/// When it is not clear which Swarm is meant, or the address to listen on is taken.
pub async fn controller(
    target: &Target,
    args: &ControllerArgs,
    mut shutdown: Shutdown,
) -> Result<Exit, Failure> {
    if args.resync.as_std() < SHORTEST_RESYNC {
        return Err(Failure::Usage(format!(
            "--resync {}: looks at the whole Swarm that often; write 100ms or more",
            args.resync
        )));
    }
    let sources = sources(&args.sources)?;
    listen::try_tcp(args.listen)?;
    let settings = settings(target);
    let connecting = retry::with_backoff(Policy::UNTIL_IT_COMES_BACK, || async {
        RealWorld::connect(&settings)
            .await
            .map_err(|error| match error {
                ConnectError::Settings(_) | ConnectError::HttpClient { .. } => {
                    retry::Failure::Lasting(error)
                }
                ConnectError::Engine { .. } => {
                    tracing::error!("{error}");
                    retry::Failure::Passing(error)
                }
            })
    });
    let world = tokio::select! {
        world = connecting => world?,
        () = &mut shutdown => return Ok(Exit::Done),
    };
    let options = controller::Options {
        listen: Some(args.listen),
        resync: args.resync.as_std(),
        identity: args
            .identity
            .clone()
            .unwrap_or_else(super::identity::process),
        patience: PATIENCE,
        sources,
    };
    controller::run(
        Arc::new(world),
        Arc::new(Tokio::default()),
        options,
        shutdown,
    )
    .await
    .map_err(|error| match error {
        ControllerError::Listen { address, reason } => {
            listen::refused(Transport::Tcp, address, &reason)
        }
    })?;
    Ok(Exit::Done)
}

/// The sources that the arguments ask for.
fn sources(args: &SourceArgs) -> Result<Vec<SourceOptions>, Failure> {
    let prune = if args.prune {
        Prune::Delete
    } else {
        Prune::Keep
    };
    let on_drift = match args.on_drift {
        Drift::Restore => OnDrift::Restore,
        Drift::Report => OnDrift::Report,
    };
    let directory = args.watch.as_ref().map(|path| {
        SourceOptions::directory(path, prune, on_drift)
            .map_err(|error| Failure::Usage(format!("--watch {}: {error}", path.display())))
    });
    let mut all: Vec<_> = directory.into_iter().collect::<Result<_, _>>()?;
    if let Some(branches) = git(args)? {
        let only = match branches.patterns.as_slice() {
            [only] => only.exact(),
            _ => None,
        };
        all.push(match only {
            Some(branch) => SourceOptions::git(branches.branch(&branch), prune, on_drift),
            None => SourceOptions::branches(branches, prune, on_drift),
        });
    }
    if args.overlay.is_some() && all.is_empty() {
        return Err(Failure::Usage(
            "--overlay: there is no source whose manifests it could be in; name one by --watch or --git"
                .to_owned(),
        ));
    }
    for source in &mut all {
        source.overlay.clone_from(&args.overlay);
    }
    Ok(all)
}

/// The branches that are to be followed.
fn git(args: &SourceArgs) -> Result<Option<GitBranches>, Failure> {
    let Some(url) = &args.git else {
        return Ok(None);
    };
    // Read here and not by the parser of arguments, which would print a secret that somebody wrote into it.
    let url: Url = url
        .parse()
        .map_err(|error| Failure::Usage(format!("--git: {error}")))?;
    if args.interval.as_std() < SHORTEST_INTERVAL {
        return Err(Failure::Usage(format!(
            "--interval {}: asks the repository's host that often; write 1s or more",
            args.interval
        )));
    }
    for (option, file) in [
        ("--token-file", &args.token_file),
        ("--ca-file", &args.ca_file),
    ] {
        if file.is_some() && url.https_origin().is_none() {
            return Err(Failure::Usage(format!(
                "{option}: {url} takes none; write an https:// address, or leave it out"
            )));
        }
    }
    let named = args
        .branch
        .iter()
        .filter(|pattern| pattern.exact().is_some());
    if named.count() > MAX_BRANCHES {
        return Err(Failure::Usage(format!(
            "--branch: more than {MAX_BRANCHES} branches are named, which is the most; follow fewer"
        )));
    }
    // They are read from another directory.
    let absolute = |path: &Option<PathBuf>| path.as_ref().map(std::path::absolute).transpose();
    Ok(Some(GitBranches {
        url,
        patterns: args.branch.clone(),
        folder: args.path.clone(),
        interval: args.interval.as_std(),
        access: GitAccess {
            username: args.username.clone(),
            token_file: absolute(&args.token_file)?,
            ssh_key: absolute(&args.ssh_key)?,
            known_hosts: absolute(&args.known_hosts)?,
            ca_file: absolute(&args.ca_file)?,
        },
    }))
}

/// Runs the collector until `shutdown`.
///
/// # Errors
/// When the arguments make no sense or the address is taken.
pub async fn collector(args: &CollectorArgs, shutdown: Shutdown) -> Result<Exit, Failure> {
    if args.buffer == 0 {
        return Err(Failure::Usage(
            "--buffer 0: no point could wait to be written; write 1 or more, such as the default 200000"
                .to_owned(),
        ));
    }
    let listen = args.listen.0;
    let missing_database = if args.create_database {
        MissingDatabase::Create
    } else {
        MissingDatabase::Report
    };
    let options = CollectorOptions {
        listen,
        name: args
            .name
            .clone()
            .unwrap_or_else(|| CollectorOptions::default_name(listen)),
        influxdb: InfluxDbTarget {
            url: args.influxdb.clone(),
            database: args.database.clone(),
            token_file: args.token_file.clone(),
            missing_database,
        },
        buffer: collector::BufferLimits {
            points: args.buffer,
            ..collector::BufferLimits::default()
        },
    };
    let instances = instances(&args.haproxy)?;
    let counters = (!instances.is_empty()).then(|| collector::counters_of(instances));
    collector::run(options, counters, shutdown)
        .await
        .map_err(|error| match error {
            CollectorError::Target(TargetError::Url { .. }) | CollectorError::Token(_) => {
                Failure::Usage(error.to_string())
            }
            CollectorError::Listen { listen, source } => {
                listen::refused(Transport::Udp, listen, &source)
            }
            CollectorError::Target(TargetError::NoHttps { .. } | TargetError::HttpClient(_))
            | CollectorError::Receive { .. } => Failure::No(error.to_string()),
        })?;
    Ok(Exit::Done)
}

/// The instances at `addresses`, named by their numbers.
fn instances(addresses: &[String]) -> Result<Vec<HaproxyInstance>, Failure> {
    let one = |(number, address): (usize, &String)| {
        let name = format!("haproxy-{}", number + 1)
            .parse()
            .map_err(|error: NameError| Failure::Usage(error.to_string()))?;
        let _: Address = address
            .parse()
            .map_err(|error: AddressError| Failure::Usage(error.to_string()))?;
        Ok(HaproxyInstance {
            name,
            address: address.clone(),
        })
    };
    addresses.iter().enumerate().map(one).collect()
}
