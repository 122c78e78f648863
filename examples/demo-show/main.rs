//! The demo's director: starts the load, releases versions, shows what becomes of them, and judges.
//!
//! `examples/demo` builds this program and the world around it, and starts it with one of two acts: [`apply`], a good
//! rollout and a bad one by hand, and [`friday`], the same and more by git commits alone. Both look at the answers that
//! the clients got ([`load`]) and at `rolloutctl get rollouts -o json` ([`watch`]). What is said of shares, times and
//! losses is counted at the clients; nothing is taken from the controller's word.
//!
//! Exit code: 0 when everything went as it should, 1 when something did not, 2 when it could not run.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::{Args, Parser, Subcommand};
use jiff::Timestamp;
use tokio::time::interval;

mod account;
mod apply;
mod friday;
mod load;
mod show;
mod summary;
mod view;
mod watch;

use show::Show;

/// The rollout that the demo is about.
const ROLLOUT: &str = "news-web";

/// Shows releases, and judges what happened.
#[derive(Parser)]
struct Options {
    #[command(flatten)]
    lab: LabOptions,
    #[command(subcommand)]
    act: Act,
}

/// What every act needs.
#[derive(Args)]
struct LabOptions {
    /// The program to show
    #[arg(long)]
    rolloutctl: PathBuf,
    /// The load generator
    #[arg(long)]
    demo_load: PathBuf,
    /// The HAProxies, `NAME=http://HOST:PORT`; may be repeated
    #[arg(long = "proxy", required = true)]
    proxies: Vec<String>,
    /// Requests a second, over all HAProxies
    #[arg(long, default_value_t = 350)]
    rps: u32,
}

#[derive(Subcommand)]
enum Act {
    /// A good rollout and a bad one, by `rolloutctl apply`
    Apply(apply::Options),
    /// A Friday morning: a preview, a gradual rollout, a rollover and reverts, by git commits alone
    Friday(friday::Options),
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    match run(&Options::parse()).await {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("demo: {error:#}");
            ExitCode::from(2)
        }
    }
}

/// Shows it all; says whether all went as it should.
async fn run(options: &Options) -> anyhow::Result<bool> {
    let show = Show::new(&options.lab)?;
    match &options.act {
        Act::Apply(options) => apply::play(show, options).await,
        Act::Friday(options) => friday::play(show, options).await,
    }
}

/// A clock that ticks every so often, without haste after a delay.
fn ticks(every: Duration) -> tokio::time::Interval {
    let mut ticks = interval(every);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    ticks
}

#[expect(
    clippy::disallowed_methods,
    reason = "the demo compares the clients' answers with the instants that the status tells"
)]
fn now() -> Timestamp {
    Timestamp::now()
}
