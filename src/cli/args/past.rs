//! What can be typed after `history` and `undo`.

use clap::Args;

use super::Format;
use crate::cli::past::ShortRevision;
use crate::cli::target::RolloutRef;

#[derive(Debug, Args)]
pub struct HistoryArgs {
    /// The rollout
    pub name: RolloutRef,
    /// Print what this revision runs, as YAML; its first digits are enough
    #[arg(long, value_name = "REV")]
    pub revision: Option<ShortRevision>,
    /// How the answer looks; a table if absent
    #[arg(short, long, value_enum, value_name = "FORMAT")]
    pub output: Option<Format>,
}

#[derive(Debug, Args)]
pub struct UndoArgs {
    /// The rollout
    pub name: RolloutRef,
    /// The revision to go back to, its first digits are enough; the one that served before if absent
    #[arg(long, value_name = "REV")]
    pub to_revision: Option<ShortRevision>,
    /// Say what would be done and do nothing
    #[arg(long)]
    pub dry_run: bool,
    /// Go back although the rollout comes from a source that may put its own spec back
    #[arg(long)]
    pub force: bool,
}
