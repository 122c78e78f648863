//! What is shown: on a terminal a block of lines that is drawn anew, below what has happened; else plain lines.

use std::io::IsTerminal as _;
use std::time::Duration;

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};
use owo_colors::{OwoColorize as _, Style};
use rolloutctl::api::Phase;
use rolloutctl::cli::wrap;

use crate::Proxy;
use crate::account::Account;
use crate::load::Counts;
use crate::running;
use crate::summary::Summary;
use crate::watch::Look;

/// The length of a bar, in characters: with what is beside it, it fits into 80 columns.
const BAR: usize = 32;

/// Where it is shown, and how.
pub struct View {
    proxies: Vec<Proxy>,
    paint: Paint,
    /// The lines of the block, on a terminal.
    block: Option<Block>,
    /// The second in which a plain line was printed last.
    printed: Option<u64>,
}

struct Block {
    all: MultiProgress,
    lines: Vec<ProgressBar>,
}

/// Whether colours are used.
#[derive(Clone, Copy)]
enum Paint {
    Colours,
    Plain,
}

impl Paint {
    fn find() -> Self {
        let is_set = |name| std::env::var_os(name).is_some_and(|value| !value.is_empty());
        let is_dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
        if std::io::stdout().is_terminal() && !is_set("NO_COLOR") && !is_dumb {
            Self::Colours
        } else {
            Self::Plain
        }
    }

    fn with(self, text: &str, style: Style) -> String {
        match self {
            Self::Colours => text.style(style).to_string(),
            Self::Plain => text.to_owned(),
        }
    }
}

impl View {
    /// A view of these HAProxies.
    pub fn new(proxies: &[Proxy]) -> Self {
        let block = std::io::stdout().is_terminal().then(|| {
            let all = MultiProgress::with_draw_target(ProgressDrawTarget::stdout());
            let style = ProgressStyle::with_template("{wide_msg}")
                .unwrap_or_else(|_| ProgressStyle::default_bar());
            let line = || all.add(ProgressBar::new_spinner().with_style(style.clone()));
            let lines = (0..proxies.len() + 5).map(|_| line()).collect();
            Block { all, lines }
        });
        Self {
            proxies: proxies.to_vec(),
            paint: Paint::find(),
            block,
            printed: None,
        }
    }

    /// Tells what the demo does next.
    pub fn say(&self, text: &str) {
        self.print("");
        self.print(&self.paint.with(text, Style::new().bold()));
    }

    /// Tells a command that is run.
    pub fn command(&self, text: &str) {
        self.print(&self.paint.with(&format!("$ {text}"), Style::new().cyan()));
    }

    /// Tells an event of the rollout.
    pub fn event(&self, elapsed: Duration, text: &str) {
        let style = if text.contains("aborted") {
            Style::new().red().bold()
        } else if text.ends_with("is stable") {
            Style::new().green()
        } else {
            Style::new()
        };
        let time = self.paint.with(&clock(elapsed), Style::new().dimmed());
        self.print(&format!("{time}  {}", self.paint.with(text, style)));
    }

    fn print(&self, line: &str) {
        let line = wrapped(line);
        match &self.block {
            // Nothing can be done about a terminal that has gone.
            Some(block) => drop(block.all.println(if line.is_empty() { " " } else { &line })),
            None => println!("{line}"),
        }
    }

    /// Shows how things stand.
    pub fn show(&mut self, elapsed: Duration, look: &Look, account: &Account) {
        match &self.block {
            Some(block) => {
                let lines = self.lines(elapsed, look, account);
                for (line, text) in block.lines.iter().zip(lines) {
                    line.set_message(text);
                }
            }
            None if self.printed != Some(elapsed.as_secs()) => {
                self.printed = Some(elapsed.as_secs());
                println!("{}", self.line(elapsed, look, account));
            }
            None => {}
        }
    }

    /// The block's lines.
    fn lines(&self, elapsed: Duration, look: &Look, account: &Account) -> Vec<String> {
        let status = &look.status;
        let phase = match status.phase {
            Phase::Healthy => Style::new().green().bold(),
            Phase::Progressing => Style::new().yellow().bold(),
            Phase::Paused => Style::new().magenta().bold(),
            Phase::Degraded => Style::new().red().bold(),
        };
        let total = &account.total;
        let lost = Style::new().bold();
        let lost = if total.lost == 0 {
            lost.green()
        } else {
            lost.red()
        };
        let mut lines = vec![
            " ".to_owned(),
            format!(
                "{}  {}  {} requests, {}",
                self.paint.with(&clock(elapsed), Style::new().dimmed()),
                self.paint.with(status.phase.as_str(), phase),
                total.requests,
                self.paint.with(&format!("{} lost", total.lost), lost),
            ),
            self.stages(look),
        ];
        for proxy in &self.proxies {
            lines.push(self.bar(proxy, look, account));
        }
        lines.push(format!("       {}", measured(look)));
        lines.push(self.paint.with(&waiting(look), Style::new().dimmed()));
        lines
    }

    /// The stages, with a mark for each.
    fn stages(&self, look: &Look) -> String {
        let status = &look.status;
        let here = usize::try_from(status.stage).unwrap_or(usize::MAX);
        let is_over = status.phase == Phase::Healthy;
        let marks = look.stages.iter().chain([&100]).enumerate();
        let shown = marks.map(|(n, weight)| {
            let (mark, style) = if is_over || n < here {
                ("✔", Style::new().green())
            } else if n == here && status.phase == Phase::Degraded {
                ("✘", Style::new().red().bold())
            } else if n == here && running(look).is_some() {
                ("●", Style::new().yellow().bold())
            } else if n == here {
                ("◌", Style::new().yellow())
            } else {
                ("·", Style::new().dimmed())
            };
            self.paint.with(&format!("{mark} {weight} %"), style)
        });
        let shown: Vec<_> = shown.collect();
        format!("       {}", shown.join("   "))
    }

    /// One HAProxy's answers of the last two seconds.
    fn bar(&self, proxy: &Proxy, look: &Look, account: &Account) -> String {
        let counts = account.lately(&proxy.name);
        let Some((old, new)) = versions(look, &counts) else {
            return format!("{:5}  no requests yet", proxy.name);
        };
        let share = counts.percent(&new).unwrap_or_default();
        if look.status.attempt == 1 {
            return format!("{:5}  {new} {share:5.1} %", proxy.name);
        }
        let cells = cells(share);
        format!(
            "{:5}  {old} {:5.1} % {}{} {share:5.1} % {new}   wanted {} %",
            proxy.name,
            100.0 - share,
            self.paint
                .with(&"█".repeat(BAR - cells), Style::new().blue()),
            self.paint.with(&"░".repeat(cells), Style::new().yellow()),
            wanted(look),
        )
    }

    /// How things stand, on one line.
    fn line(&self, elapsed: Duration, look: &Look, account: &Account) -> String {
        let shares: Vec<_> = self
            .proxies
            .iter()
            .filter_map(|proxy| {
                let counts = account.lately(&proxy.name);
                let (_, new) = versions(look, &counts)?;
                let share = counts.percent(&new)?;
                Some(format!("{} {share:.1} % {new}", proxy.name))
            })
            .collect();
        let status = &look.status;
        format!(
            "{}  {}, wanted {} %, counted: {}; {} requests, {} lost; {}; {}",
            clock(elapsed),
            status.phase.as_str(),
            wanted(look),
            if shares.is_empty() {
                "nothing".to_owned()
            } else {
                shares.join(", ")
            },
            account.total.requests,
            account.total.lost,
            measured(look),
            waiting(look).trim(),
        )
    }

    /// Takes the block away.
    pub fn end(&mut self) {
        if let Some(block) = self.block.take() {
            for line in &block.lines {
                line.finish_and_clear();
            }
        }
    }

    /// Tells the facts.
    pub fn summary(&self, summary: &Summary, elapsed: Duration) {
        self.say(&format!("After {:.0} seconds:", elapsed.as_secs_f64()));
        for fact in &summary.0 {
            let (mark, style) = match fact.good {
                Some(true) => ("✔", Style::new().green().bold()),
                Some(false) => ("✘", Style::new().red().bold()),
                None => ("·", Style::new()),
            };
            let mark = self.paint.with(mark, style);
            println!("{}", wrapped(&format!("  {mark} {}", fact.text)));
        }
    }
}

/// On a terminal, lines are broken between words.
fn wrapped(line: &str) -> String {
    match comfy_table::Table::new().width() {
        Some(columns) if std::io::stdout().is_terminal() => wrap::wrapped(line, columns.into()),
        _ => line.to_owned(),
    }
}

fn clock(elapsed: Duration) -> String {
    let seconds = elapsed.as_secs();
    format!("{:02}:{:02}", seconds / 60, seconds % 60)
}

/// The share that the newest version is meant to have.
fn wanted(look: &Look) -> u8 {
    let is_tried = look.status.canary_revision.is_some() || look.status.abort.is_some();
    if is_tried { look.status.weight } else { 100 }
}

/// The version that serves and the one that is tried, as the attempt's number tells them: the `n`th attempt is at
/// `vn`.
fn versions(look: &Look, counts: &Counts) -> Option<(String, String)> {
    let attempt = look.status.attempt;
    (counts.requests > 0).then(|| {
        (
            format!("v{}", attempt.saturating_sub(1)),
            format!("v{attempt}"),
        )
    })
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_precision_loss,
    reason = "a share between 0 and 100 % of a short bar"
)]
fn cells(percent: f64) -> usize {
    ((percent / 100.0 * BAR as f64).round() as usize).min(BAR)
}

fn measured(look: &Look) -> String {
    let metrics = look.status.measurements.iter().map(|metric| {
        let last = metric.recent.iter().rev().find_map(|sample| sample.value);
        let last = last.map_or("not measured yet".to_owned(), |value| format!("{value:.4}"));
        format!("{}: {last}, wanted {}", metric.metric, metric.bounds)
    });
    let metrics: Vec<_> = metrics.collect();
    if metrics.is_empty() {
        "nothing is measured".to_owned()
    } else {
        metrics.join("; ")
    }
}

fn waiting(look: &Look) -> String {
    match &look.status.waiting_on {
        Some(waiting) => format!("       waiting for {waiting}"),
        None => "       at rest".to_owned(),
    }
}
