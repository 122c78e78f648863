//! The two daemons as they are run: how they end, what they serve and what they log. What they do to rollouts is shown
//! elsewhere, in real and simulated worlds.

mod certificates;
mod daemon;
mod engine;
mod secrets;
mod serving;
mod signals;
