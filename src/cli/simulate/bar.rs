//! The bar that shows how many of the runs are over, on a terminal.

use std::io::{self, IsTerminal};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressFinish, ProgressStyle};

use crate::trial::rehearsal::Progress;

/// A bar, or nothing where nobody looks.
pub struct Bar(Option<ProgressBar>);

impl Bar {
    /// A bar for so many runs; none for a single one, and none unless standard error is a terminal.
    pub fn new(runs: u64) -> Self {
        let is_seen = runs > 1 && io::stderr().is_terminal();
        Self(is_seen.then(|| drawn(runs)))
    }

    /// Shows how far it is.
    pub fn show(&mut self, progress: Progress) {
        if let Some(bar) = &self.0 {
            bar.set_position(progress.done);
        }
    }

    /// Takes it away.
    pub fn end(self) {
        if let Some(bar) = self.0 {
            bar.finish_and_clear();
        }
    }
}

fn drawn(runs: u64) -> ProgressBar {
    let style = ProgressStyle::with_template("{bar:40} {pos} of {len} runs, {eta} left")
        .unwrap_or_else(|_| ProgressStyle::default_bar());
    ProgressBar::with_draw_target(Some(runs), ProgressDrawTarget::stderr())
        .with_style(style)
        .with_finish(ProgressFinish::AndClear)
}
