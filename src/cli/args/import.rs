//! What can be typed after `import`.
#![expect(
    clippy::doc_markdown,
    reason = "help texts are printed as they stand, without Markdown"
)]

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use crate::api::{Duration, Name, Reach};

#[derive(Debug, Args)]
pub struct ImportArgs {
    /// The service, as the Swarm or the file calls it
    pub service: String,
    /// Read it from this Compose or stack file, or `-`, instead of the Swarm
    #[arg(short = 'f', long = "filename", value_name = "FILE|-")]
    pub file: Option<PathBuf>,
    /// The stack's name as given to `docker stack deploy`, which begins the names of its networks, secrets, configs and
    /// volumes
    #[arg(long, value_name = "NAME", requires = "file")]
    pub stack: Option<String>,
    /// The rollout's name; one near the service's if absent
    #[arg(long)]
    pub name: Option<Name>,
    /// The LoadBalancer; the only one in the store if absent
    #[arg(long, value_name = "NAME")]
    pub load_balancer: Option<Name>,
    /// The `backend` section in haproxy.cfg; the rollout's name if absent
    #[arg(long, value_name = "NAME")]
    pub backend: Option<String>,
    /// The container's port; the one that is published if absent
    #[arg(long, value_parser = clap::value_parser!(u16).range(1..))]
    pub port: Option<u16>,
    /// How HAProxy reaches tasks; by their first network, if they have one, if absent
    #[arg(long, value_enum)]
    pub reach: Option<ReachArg>,
    /// How the manifest is written; YAML with remarks if absent
    #[arg(short, long, value_enum, value_name = "FORMAT")]
    pub output: Option<ManifestFormat>,
    /// Apply the manifest, wait until the rollout is Healthy, drain the old servers in its back end, and then scale the
    /// service to 0. It may be broken off and begun again
    #[arg(long, conflicts_with_all = ["file", "output"])]
    pub take_over: bool,
    /// Others do not call the service by its own name and aliases any more: those that are not the rollout's name may lead
    /// nowhere
    #[arg(long, requires = "take_over")]
    pub drop_names: bool,
    /// Nobody comes by the ports that the service publishes any more, in the routing mesh or in host mode: they lead nowhere then
    #[arg(long, requires = "take_over")]
    pub drop_ports: bool,
    /// A server in the back end that leads to the service, although its address does not tell; may be repeated
    #[arg(long, value_name = "SERVER", requires = "take_over")]
    pub server: Vec<String>,
    /// A server in the back end that stays in the traffic; may be repeated
    #[arg(long, value_name = "SERVER", requires = "take_over")]
    pub keep_server: Vec<String>,
    /// How long the rollout may take to be Healthy, and then its servers to be all ready; 0 for ever
    #[arg(
        long,
        default_value = "10m",
        value_name = "TIME",
        requires = "take_over"
    )]
    pub timeout: Duration,
}

/// How a manifest is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ManifestFormat {
    /// YAML, with remarks where something is to be decided
    Yaml,
    /// JSON
    Json,
}

/// How HAProxy reaches tasks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ReachArg {
    /// At the task's address on the template's first network
    Network,
    /// At the node's address and a port published in host mode
    Host,
}

impl From<ReachArg> for Reach {
    fn from(reach: ReachArg) -> Self {
        match reach {
            ReachArg::Network => Self::Network,
            ReachArg::Host => Self::Host,
        }
    }
}
