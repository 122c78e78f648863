//! Many runs, spread over the cores. Each run has one thread and its own world, so that their order is of no matter.

use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc;
use std::thread;

use super::{Rehearsal, Report, Timeline};

/// How far many runs have come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// How many are over.
    pub done: u64,
    /// How many there will be.
    pub runs: u64,
}

/// Plays `runs` performances; the first has the seed `seed`, and each other one the next seed. `tell` hears of
/// each that is over. The reports come in the order of their seeds.
pub fn run_all(
    rehearsal: &Rehearsal,
    seed: u64,
    runs: u64,
    tell: &mut dyn FnMut(Progress),
) -> Vec<Report> {
    let timeline = if runs == 1 {
        Timeline::Written
    } else {
        Timeline::Left
    };
    let next = AtomicU64::new(0);
    let (sender, receiver) = mpsc::channel();
    let cores = thread::available_parallelism().map_or(1, NonZeroUsize::get);
    let workers = u64::try_from(cores).unwrap_or(1).min(runs);
    let mut reports = Vec::new();
    thread::scope(|scope| {
        for _ in 0..workers {
            let (next, sender) = (&next, sender.clone());
            scope.spawn(move || {
                loop {
                    let index = next.fetch_add(1, Ordering::Relaxed);
                    if index >= runs {
                        return;
                    }
                    let report = rehearsal.run(seed.wrapping_add(index), timeline);
                    if sender.send((index, report)).is_err() {
                        return;
                    }
                }
            });
        }
        drop(sender);
        for (done, report) in (1..).zip(&receiver) {
            tell(Progress { done, runs });
            reports.push(report);
        }
    });
    reports.sort_by_key(|(index, _)| *index);
    reports.into_iter().map(|(_, report)| report).collect()
}
