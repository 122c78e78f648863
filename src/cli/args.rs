//! What can be typed: subcommands, arguments and options. Their docs are the help texts.
#![expect(
    clippy::doc_markdown,
    reason = "help texts are printed as they stand, without Markdown"
)]

use std::path::PathBuf;

use clap::{ArgGroup, Args, Parser, Subcommand, ValueEnum};
use clap_complete::Shell;

use super::target::{self, ResourceRef, RolloutRef};
use crate::api::{Duration, Kind};

mod edits;
mod import;
mod past;
mod serve;
mod simulate;
pub use edits::EditArgs;
pub use import::{ImportArgs, ManifestFormat};
pub use past::{HistoryArgs, UndoArgs};
pub use serve::{CollectorArgs, ControllerArgs, Drift, SourceArgs};
pub use simulate::SimulateArgs;

/// Progressive delivery for Docker Swarm.
///
/// DOCKER_HOST, DOCKER_CONTEXT and the current Docker context choose the Swarm, as for `docker`.
#[derive(Debug, Parser)]
#[command(
    name = "rolloutctl",
    version,
    max_term_width = 100,
    after_help = "Exit codes: 0 done; 1 the answer is no (invalid, different, Degraded, refused); \
                  2 usage; 3 timed out; 4 the world could not be reached, or refused."
)]
pub struct Cli {
    #[command(flatten)]
    pub global: Global,
    #[command(subcommand)]
    pub command: Command,
}

/// Options of every subcommand.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Global options")]
pub struct Global {
    #[command(flatten)]
    pub target: Target,
    /// How log lines on standard error look
    #[arg(long, global = true, value_enum, default_value = "auto")]
    pub log_format: LogFormat,
    /// Log more; twice for all. ROLLOUTCTL_LOG takes a filter such as `rolloutctl=debug`
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    pub verbose: u8,
}

/// Which Swarm is meant.
#[derive(Clone, Debug, Default, PartialEq, Eq, Args)]
pub struct Target {
    /// The Docker context whose Swarm is meant; overrides DOCKER_HOST and DOCKER_CONTEXT
    #[arg(long, global = true, value_name = "NAME", conflicts_with = "host")]
    pub context: Option<String>,
    /// The Docker daemon of a Swarm manager, such as unix:///var/run/docker.sock, tcp://host:2376
    /// or ssh://user@host; overrides DOCKER_HOST and every context
    #[arg(short = 'H', long, global = true, value_name = "URL")]
    pub host: Option<String>,
}

/// How log lines look.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// Pretty on a terminal, else JSON for the controller and collector and pretty for the rest
    Auto,
    /// One line of text for people
    Pretty,
    /// One JSON object a line
    Json,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Make the store say what manifests say; the controller does the rest
    Apply(ApplyArgs),
    /// Delete resources; a rollout is drained first
    Delete(DeleteArgs),
    /// Show what `apply` would change
    Diff(FilesArgs),
    /// Check manifests, without Docker
    Validate(ValidateArgs),
    /// List resources
    Get(GetArgs),
    /// Tell all about one resource, in words
    Describe(DescribeArgs),
    /// Tell how a rollout is, or wait until it is done
    Status(StatusArgs),
    /// Let a rollout pass on from the stage at hand
    Promote(PromoteArgs),
    /// Hold a rollout where it is
    Pause(VerbArgs),
    /// Let a paused rollout go on
    Resume(VerbArgs),
    /// Give the stable revision all the traffic back
    Abort(VerbArgs),
    /// Try an aborted revision again
    Retry(VerbArgs),
    /// List the attempts of a rollout and the revisions that it can go back to
    History(HistoryArgs),
    /// Go back to an earlier revision
    Undo(UndoArgs),
    /// Write the manifest of a service that runs or stands in a Compose file, and take it over
    Import(ImportArgs),
    /// Run the controller
    Controller(ControllerArgs),
    /// Run the collector, which turns HAProxy's log into InfluxDB points
    Collector(CollectorArgs),
    /// Play a rollout in a simulated world, from its manifests alone
    Simulate(SimulateArgs),
    /// Check whether the Swarm, HAProxy and InfluxDB are fit for rollouts
    Preflight(PreflightArgs),
    /// Print the JSON Schema of a kind, or of all
    Schema(SchemaArgs),
    /// Print a completion script
    Completion(CompletionArgs),
}

/// Manifests.
#[derive(Clone, Debug, Args)]
pub struct FilesArgs {
    /// A file, a directory (*.yaml, *.yml and *.json, with all below it) or `-` for standard input; may be repeated
    #[arg(
        short = 'f',
        long = "filename",
        required = true,
        value_name = "FILE|DIR|-"
    )]
    pub files: Vec<PathBuf>,
    #[command(flatten)]
    pub edits: EditArgs,
}

#[derive(Debug, Args)]
pub struct ApplyArgs {
    #[command(flatten)]
    pub files: FilesArgs,
    /// Say what would be done and do nothing
    #[arg(long)]
    pub dry_run: bool,
}

#[derive(Debug, Args)]
#[command(group = ArgGroup::new("what").required(true).args(["files", "resources"]))]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is an option of the command line"
)]
pub struct DeleteArgs {
    /// Delete what these manifests name: a file, a directory or `-`; may be repeated
    #[arg(short = 'f', long = "filename", value_name = "FILE|DIR|-")]
    pub files: Vec<PathBuf>,
    /// What to delete, as KIND/NAME or KIND NAME...
    #[arg(value_name = "KIND/NAME")]
    pub resources: Vec<String>,
    #[command(flatten)]
    pub edits: EditArgs,
    /// Leave a rollout's services and servers as they are, serving
    #[arg(long)]
    pub orphan: bool,
    /// Say so and end with 0 when it is not there, as a preview whose time is over
    #[arg(long)]
    pub ignore_not_found: bool,
    /// Delete it although it comes from a source that creates it again
    #[arg(long)]
    pub force: bool,
    /// Wait until it is gone
    #[arg(long)]
    pub wait: bool,
    /// How long to wait; 0 for ever
    #[arg(long, default_value = "10m", value_name = "TIME", requires = "wait")]
    pub timeout: Duration,
}

#[derive(Debug, Args)]
pub struct ValidateArgs {
    #[command(flatten)]
    pub files: FilesArgs,
    /// Print the findings as JSON, or what the manifests are about, as KIND/NAME
    #[arg(short, long, value_enum, value_name = "FORMAT")]
    pub output: Option<Validation>,
}

/// The other forms of a validation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Validation {
    /// JSON
    Json,
    /// Names alone, as other commands take them; the findings go to standard error
    Name,
}

/// The other form of a report.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Report {
    /// JSON
    Json,
}

#[derive(Debug, Args)]
pub struct GetArgs {
    /// KIND, KIND NAME or KIND/NAME; everything if absent
    #[arg(value_name = "KIND")]
    pub what: Option<String>,
    #[arg(value_name = "NAME")]
    pub name: Option<String>,
    /// How the answer looks; a table if absent
    #[arg(short, long, value_enum, value_name = "FORMAT")]
    pub output: Option<Format>,
    /// Go on and print what changes
    #[arg(short, long)]
    pub watch: bool,
}

/// How answers are printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// JSON, with all that is known
    Json,
    /// YAML, with all that is known
    Yaml,
    /// A table with every column, however wide the terminal is
    Wide,
    /// Names alone, as other commands take them
    Name,
}

#[derive(Debug, Args)]
pub struct DescribeArgs {
    /// KIND/NAME, KIND NAME, or the NAME of a rollout
    #[arg(value_name = "KIND/NAME")]
    pub what: String,
    #[arg(value_name = "NAME")]
    pub name: Option<String>,
}

#[derive(Debug, Args)]
pub struct StatusArgs {
    /// The rollout
    pub name: RolloutRef,
    /// Wait until it is Healthy (exit code 0), or Degraded or stopped by a stage that failed or could not be judged (1),
    /// and show how it goes on. Another spec that is applied meanwhile ends the wait (1)
    #[arg(short, long)]
    pub wait: bool,
    /// How long to wait; 0 for ever
    #[arg(long, default_value = "10m", value_name = "TIME", requires = "wait")]
    pub timeout: Duration,
}

#[derive(Debug, Args)]
pub struct VerbArgs {
    /// The rollout
    pub name: RolloutRef,
    /// Do not wait for the controller's answer
    #[arg(long, conflicts_with = "timeout")]
    pub no_wait: bool,
    /// How long to wait for the controller's answer
    #[arg(long, default_value = "10s", value_name = "TIME")]
    pub timeout: Duration,
}

#[derive(Debug, Args)]
pub struct PromoteArgs {
    #[command(flatten)]
    pub verb: VerbArgs,
    /// Skip every stage that is left; readiness and observed traffic are still required
    #[arg(long)]
    pub full: bool,
}

#[derive(Debug, Args)]
pub struct PreflightArgs {
    /// Check what these manifests refer to, besides what is in the store; may be repeated
    #[arg(short = 'f', long = "filename", value_name = "FILE|DIR|-")]
    pub files: Vec<PathBuf>,
    /// HAProxy's configuration, for what its runtime API does not show; may be repeated
    #[arg(long, value_name = "FILE")]
    pub haproxy_config: Vec<PathBuf>,
    /// Print the findings as JSON
    #[arg(short, long, value_enum, value_name = "FORMAT")]
    pub output: Option<Report>,
}

#[derive(Debug, Args)]
pub struct SchemaArgs {
    /// The kind; all kinds in one schema if absent
    #[arg(value_parser = target::kind)]
    pub kind: Option<Kind>,
}

#[derive(Debug, Args)]
pub struct CompletionArgs {
    /// The shell
    pub shell: Shell,
}

impl DescribeArgs {
    /// The one resource that is meant.
    ///
    /// # Errors
    /// When the words name no kind or no name.
    pub fn resource(&self) -> Result<ResourceRef, String> {
        ResourceRef::read_or_rollout(&self.what, self.name.as_deref())
    }
}
