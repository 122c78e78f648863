//! What is shown: on a terminal a block of lines that is drawn anew, below what has happened; else plain lines.

use std::io::IsTerminal as _;
use std::time::Duration;

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};
use owo_colors::Style;
use rolloutctl::api::{Phase, RolloutStatus};
use rolloutctl::cli::wrap;

use crate::account::Account;
use crate::show::Proxy;
use crate::summary::Summary;
use crate::watch::{Look, Pair, Rollout};

mod paint;
mod steps;

use paint::Paint;

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

impl Block {
    fn new(all: MultiProgress) -> Self {
        Self {
            all,
            lines: Vec::new(),
        }
    }

    /// Shows these lines, and none of those that were more.
    fn show(&mut self, texts: Vec<String>) {
        while self.lines.len() < texts.len() {
            let style = ProgressStyle::with_template("{wide_msg}")
                .unwrap_or_else(|_| ProgressStyle::default_bar());
            let line = ProgressBar::new_spinner().with_style(style);
            self.lines.push(self.all.add(line));
        }
        let texts = texts.into_iter().chain(std::iter::repeat(String::new()));
        for (line, text) in self.lines.iter().zip(texts) {
            line.set_message(text);
        }
    }
}

impl View {
    /// A view of these HAProxies.
    pub fn new(proxies: &[Proxy]) -> Self {
        let terminal = || MultiProgress::with_draw_target(ProgressDrawTarget::stdout());
        let block = std::io::stdout().is_terminal().then(terminal);
        Self {
            proxies: proxies.to_vec(),
            paint: Paint::find(),
            block: block.map(Block::new),
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
        let lines = self.lines(elapsed, look, account);
        match &mut self.block {
            Some(block) => block.show(lines),
            None if self.printed != Some(elapsed.as_secs()) => {
                self.printed = Some(elapsed.as_secs());
                println!("{}", self.line(elapsed, look, account));
            }
            None => {}
        }
    }

    /// The block's lines.
    fn lines(&self, elapsed: Duration, look: &Look, account: &Account) -> Vec<String> {
        let status = &look.main.status;
        let total = &account.all.total;
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
                self.phase(status.phase),
                total.requests,
                self.paint.with(&format!("{} lost", total.lost), lost),
            ),
            format!("       {}", steps::line(&look.main, self.paint)),
        ];
        for proxy in &self.proxies {
            lines.push(self.bar(proxy, &look.main, account));
        }
        lines.push(format!("       {}", measured(status)));
        let waiting = format!("       {}", waiting(status));
        lines.push(self.paint.with(&waiting, Style::new().dimmed()));
        let beside = look.beside.iter();
        lines.extend(beside.map(|(name, rollout)| self.beside(name, rollout)));
        lines
    }

    fn phase(&self, phase: Phase) -> String {
        let style = match phase {
            Phase::Healthy => Style::new().green().bold(),
            Phase::Progressing => Style::new().yellow().bold(),
            Phase::Paused => Style::new().magenta().bold(),
            Phase::Degraded => Style::new().red().bold(),
        };
        self.paint.with(phase.as_str(), style)
    }

    /// A rollout that is not the one that the demo is about.
    fn beside(&self, name: &str, rollout: &Rollout) -> String {
        let status = &rollout.status;
        let phase = self.phase(status.phase);
        format!("       {name}: {phase}, {}", waiting(status))
    }

    /// One HAProxy's answers of the last two seconds.
    fn bar(&self, proxy: &Proxy, rollout: &Rollout, account: &Account) -> String {
        let counts = account.lately(&proxy.name);
        let Some(Pair { old, new }) = rollout.pair().filter(|_| counts.requests > 0) else {
            return format!("{:5}  no requests yet", proxy.name);
        };
        let share = counts.percent(&new).unwrap_or_default();
        let Some(old) = old else {
            return format!("{:5}  {new} {share:5.1} %", proxy.name);
        };
        let cells = cells(share);
        format!(
            "{:5}  {old} {:5.1} % {}{} {share:5.1} % {new}   wanted {} %",
            proxy.name,
            100.0 - share,
            self.paint
                .with(&"█".repeat(BAR - cells), Style::new().blue()),
            self.paint.with(&"░".repeat(cells), Style::new().yellow()),
            rollout.wanted(),
        )
    }

    /// How things stand, on one line.
    fn line(&self, elapsed: Duration, look: &Look, account: &Account) -> String {
        let rollout = &look.main;
        let pair = rollout.pair();
        let shares: Vec<_> = self
            .proxies
            .iter()
            .filter_map(|proxy| {
                let new = &pair.as_ref()?.new;
                let share = account.lately(&proxy.name).percent(new)?;
                Some(format!("{} {share:.1} % {new}", proxy.name))
            })
            .collect();
        let status = &rollout.status;
        let beside = look.beside.iter().map(|(name, rollout)| {
            let phase = rollout.status.phase.as_str();
            format!("; {name}: {phase}, {}", waiting(&rollout.status))
        });
        format!(
            "{}  {}, wanted {} %, counted: {}; {} requests, {} lost; {}; {}{}",
            clock(elapsed),
            status.phase.as_str(),
            rollout.wanted(),
            if shares.is_empty() {
                "nothing".to_owned()
            } else {
                shares.join(", ")
            },
            account.all.total.requests,
            account.all.total.lost,
            measured(status),
            waiting(status),
            beside.collect::<String>(),
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

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_precision_loss,
    reason = "a share between 0 and 100 % of a short bar"
)]
fn cells(percent: f64) -> usize {
    ((percent / 100.0 * BAR as f64).round() as usize).min(BAR)
}

fn measured(status: &RolloutStatus) -> String {
    let metrics = status.measurements.iter().map(|metric| {
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

fn waiting(status: &RolloutStatus) -> String {
    match &status.waiting_on {
        Some(waiting) => format!("waiting for {waiting}"),
        None => "at rest".to_owned(),
    }
}
