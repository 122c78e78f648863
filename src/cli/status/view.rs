//! What `status --wait` shows meanwhile: on a terminal a picture that is drawn anew, else a line
//! for each change.

use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressFinish, ProgressStyle};
use jiff::Timestamp;
use tokio::time::Instant;

use crate::api::{RolloutStatus, Step, Strategy};
use crate::cli::console::{Console, Paint, Screen, Tone};
use crate::cli::exit::Failure;
use crate::cli::standing::Standing;
use crate::cli::target::{ResourceRef, rollout_spec};
use crate::cli::words::{age, sample};
use crate::world::{Stored, WorldError};

/// That a controller takes so long between two turns is no news.
const HASTE: Duration = Duration::from_secs(5);

/// The view of a wait.
pub struct View {
    shape: Shape,
    began: Instant,
    said: Option<String>,
    troubled: Option<String>,
}

enum Shape {
    Picture(ProgressBar),
    Lines,
}

impl View {
    /// A view that suits the console. Nothing is shown yet.
    pub fn new(console: &Console) -> Self {
        let shape = match console.screen {
            Screen::Terminal { .. } => Shape::Picture(picture()),
            Screen::Stream => Shape::Lines,
        };
        Self {
            shape,
            began: Instant::now(),
            said: None,
            troubled: None,
        }
    }

    /// Shows how the rollout stands.
    ///
    /// # Errors
    /// When the output cannot be written.
    pub fn show(
        &mut self,
        stored: &Stored,
        now: Timestamp,
        console: &mut Console,
    ) -> Result<(), Failure> {
        self.troubled = None;
        let standing = Standing::of(stored);
        match &self.shape {
            Shape::Picture(bar) => {
                let picture = console.paint.harmless(&drawing(stored, now, console.paint));
                bar.set_message(console.screen.wrapped(&picture));
            }
            Shape::Lines => {
                let news = standing.line(now.checked_sub(HASTE).unwrap_or(now));
                if self.said.as_ref() != Some(&news) {
                    let line = standing.line(now);
                    console.answer(format_args!("[{}] {line}", self.elapsed()))?;
                    self.said = Some(news);
                }
            }
        }
        Ok(())
    }

    /// Says that the store cannot be reached, once for each reason.
    pub fn trouble(&mut self, error: &WorldError, console: &mut Console) {
        let text = format!("{error}; trying again");
        if self.troubled.as_ref() == Some(&text) {
            return;
        }
        let remark = console.paint.tint(Tone::Warning, &text);
        match &self.shape {
            Shape::Picture(bar) => bar.suspend(|| console.remark(remark)),
            Shape::Lines => console.remark(remark),
        }
        self.troubled = Some(text);
    }

    /// Takes the picture away.
    pub fn end(self) {
        match self.shape {
            Shape::Picture(bar) => bar.finish_and_clear(),
            Shape::Lines => {}
        }
    }

    fn elapsed(&self) -> String {
        let seconds = self.began.elapsed().as_secs();
        crate::api::Duration::from_secs(seconds).to_string()
    }
}

fn picture() -> ProgressBar {
    let style = ProgressStyle::with_template("{spinner} {elapsed:.dim}  {msg}")
        .unwrap_or_else(|_| ProgressStyle::default_spinner());
    let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr())
        .with_style(style)
        .with_finish(ProgressFinish::AndClear);
    bar.enable_steady_tick(Duration::from_millis(100));
    bar
}

/// The picture: the standing, the stages, what is waited for, the measurements.
pub fn drawing(stored: &Stored, now: Timestamp, paint: Paint) -> String {
    let standing = Standing::of(stored);
    let mut lines = vec![format!(
        "{}  {}",
        paint.tint(Tone::Strong, ResourceRef::of(&stored.draft.resource)),
        paint.tint(standing.tone(), standing.word()),
    )];
    let Standing::Seen(status) = standing else {
        lines.push(format!("  {}", standing.message()));
        return lines.join("\n");
    };
    if status.canary_revision.is_some() {
        lines.push(format!("  {}", stages(stored, status, paint)));
    }
    if !status.message.is_empty() {
        lines.push(format!("  {}", status.message));
    }
    if let Some(waiting) = &status.waiting_on {
        let waiting = format!("waiting for {}", waiting.as_of(now));
        lines.push(format!("  {}", paint.tint(Tone::Quiet, waiting)));
    }
    if let Step::Running { since } = status.step {
        lines.push(format!("  in this stage for {}", age(since, now)));
    }
    for measurement in &status.measurements {
        let last = measurement
            .recent
            .last()
            .map_or_else(|| "-".to_owned(), sample);
        lines.push(format!(
            "  {} {last} (must be {}), {} of {} measurements failed",
            measurement.metric, measurement.bounds, measurement.failed, measurement.valid
        ));
    }
    lines.join("\n")
}

/// The stages in a row: `✓ 5%  ▶ 33%  · 50%  · 100%`.
fn stages(stored: &Stored, status: &RolloutStatus, paint: Paint) -> String {
    let strategy = rollout_spec(stored).map(|spec| &spec.strategy);
    let weights = strategy
        .into_iter()
        .flat_map(Strategy::stages)
        .map(|stage| stage.weight)
        .chain([100]);
    let marks: Vec<_> = weights
        .zip(0_u32..)
        .map(|(weight, index)| match index.cmp(&status.stage) {
            std::cmp::Ordering::Less => paint.tint(Tone::Good, format!("✓ {weight}%")),
            std::cmp::Ordering::Equal => paint.tint(Tone::Strong, format!("▶ {weight}%")),
            std::cmp::Ordering::Greater => paint.tint(Tone::Quiet, format!("· {weight}%")),
        })
        .collect();
    format!("{}   weight now {}%", marks.join("  "), status.weight)
}
