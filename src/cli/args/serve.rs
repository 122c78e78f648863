//! Arguments of the two subcommands that run for ever: the controller and the collector.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{ArgGroup, Args, ValueEnum};

use crate::api::Duration;
use crate::cli::listen::{UdpAddress, tcp_address};
use crate::gitops::{BranchPattern, Folder};

/// Arguments of `rolloutctl controller`.
#[derive(Debug, Args)]
pub struct ControllerArgs {
    /// Where metrics and health are served over HTTP; it takes no commands
    #[arg(long, default_value = "127.0.0.1:9180", value_name = "ADDR", value_parser = tcp_address)]
    pub listen: SocketAddr,
    /// The longest time between two looks at the world; events make it shorter
    #[arg(long, default_value = "1s", value_name = "TIME")]
    pub resync: Duration,
    /// Who holds the lease, for messages; the host's name and the process id if absent
    #[arg(long, value_name = "NAME")]
    pub identity: Option<String>,
    /// Where manifests come from.
    #[command(flatten)]
    pub sources: SourceArgs,
}

/// Where manifests come from besides `rolloutctl apply`.
#[derive(Debug, Args)]
#[command(next_help_heading = "GitOps sources", group = ArgGroup::new("source").args(["watch", "git"]).multiple(true))]
pub struct SourceArgs {
    /// Apply what the manifests in this directory say, and below it, whenever they change
    #[arg(long, value_name = "DIR")]
    pub watch: Option<PathBuf>,
    /// Apply what the newest commit of a branch says: https://HOST/PATH, ssh://USER@HOST/PATH,
    /// USER@HOST:PATH, file:///PATH or /PATH. The program git must be installed
    #[arg(long, value_name = "URL")]
    pub git: Option<String>,
    /// The branch of --git. May be repeated, and may be a pattern in which * stands for anything, as in 'test/*': each
    /// branch is a source of its own, and what came from one that matched and is gone is gone with --prune. Manifests are
    /// read with the overlay that has the branch's name, or else the pattern's
    #[arg(long, default_value = "main", value_name = "NAME", requires = "git")]
    pub branch: Vec<BranchPattern>,
    /// The folder of --git in which the manifests are; the whole repository if absent
    #[arg(
        long,
        default_value = "",
        hide_default_value = true,
        value_name = "FOLDER",
        requires = "git"
    )]
    pub path: Folder,
    /// The time between two looks at --git
    #[arg(long, default_value = "30s", value_name = "TIME", requires = "git")]
    pub interval: Duration,
    /// A file whose first line is the token or password for --git by https
    #[arg(long, value_name = "FILE", requires = "git")]
    pub token_file: Option<PathBuf>,
    /// The user to whom the token belongs; most hosts take any
    #[arg(long, default_value = "git", value_name = "NAME", requires = "git")]
    pub username: String,
    /// A file with the private key for --git by ssh, without a passphrase
    #[arg(long, value_name = "FILE", requires = "git")]
    pub ssh_key: Option<PathBuf>,
    /// A file with the keys of the hosts that are known, for --git by ssh; ~/.ssh/known_hosts if absent
    #[arg(long, value_name = "FILE", requires = "git")]
    pub known_hosts: Option<PathBuf>,
    /// A file with certificates in PEM, one of which vouches for --git by https; the system's if absent
    #[arg(long, value_name = "FILE", requires = "git")]
    pub ca_file: Option<PathBuf>,
    /// Read manifests with the overlay of this name; --git takes the one with its branch's name if absent
    #[arg(long, value_name = "NAME")]
    pub overlay: Option<String>,
    /// Delete resources that a source applied once its manifests are gone; a rollout is drained
    /// first. Nothing is deleted while anything in the source cannot be read
    #[arg(long, requires = "source")]
    pub prune: bool,
    /// What becomes of a source's resource that was changed by hand
    #[arg(
        long,
        value_enum,
        default_value = "restore",
        value_name = "WHAT",
        requires = "source"
    )]
    pub on_drift: Drift,
}

/// What becomes of a source's resource that was changed by hand.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Drift {
    /// The source's spec is put back at once
    Restore,
    /// It stays until its manifest changes, and is reported
    Report,
}

/// Arguments of `rolloutctl collector`.
#[derive(Debug, Args)]
pub struct CollectorArgs {
    /// Where HAProxy's log comes in
    #[arg(
        long,
        default_value = "udp://127.0.0.1:5514",
        value_name = "udp://ADDR"
    )]
    pub listen: UdpAddress,
    /// What distinguishes this collector's points from another one's; the host's name and the port
    /// if absent
    #[arg(long, value_name = "NAME")]
    pub name: Option<String>,
    /// InfluxDB's base URL
    #[arg(long, value_name = "URL")]
    pub influxdb: String,
    /// The database that is written
    #[arg(long, value_name = "NAME")]
    pub database: String,
    /// A file that holds InfluxDB's token
    #[arg(long, value_name = "FILE")]
    pub token_file: Option<PathBuf>,
    /// Create the database if it is not there (InfluxDB 1.x)
    #[arg(long)]
    pub create_database: bool,
    /// A HAProxy's runtime API, as unix:///PATH or tcp://HOST:PORT, to count what UDP lost; may be
    /// repeated
    #[arg(long, value_name = "ADDRESS")]
    pub haproxy: Vec<String>,
    /// How many points are kept while InfluxDB does not answer; older ones are dropped and counted
    #[arg(long, default_value_t = 200_000, value_name = "POINTS")]
    pub buffer: usize,
}
