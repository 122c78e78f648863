//! Rollouts by the thousand in the simulated world, with faults, against the rules of the design.
//!
//! `TRIALS=N` chooses how many seeds are tried (200 if unset), `TRIALS_FROM=SEED` where they begin (a
//! random seed if unset or empty), `TRIALS_UNTIL_FAILURE=1` ends with the first that fails, `TRIAL=SEED` plays one, shrunk if it fails, and prints what
//! happens. Seeds that once failed are kept in
//! `tests/trials/kept.txt` and are always tried; a seed means another case when the generator changes, so a
//! defect that one finds gets a test of its own as well.

mod beside;
mod case;
mod chance;
mod commits;
mod counting;
mod crowd;
mod failure;
mod play;
mod shrink;
mod spec;

use std::hash::{BuildHasher, RandomState};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use case::Case;
use failure::Failure;
use play::play;

/// How many failures are looked for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Until {
    /// One.
    Failure,
    /// All.
    End,
}

/// What became of many seeds.
struct Outcome {
    /// How many rollouts those that keep every rule had: attempts to release a revision.
    rollouts: u64,
    /// By seed.
    failures: Vec<(u64, Failure)>,
}

/// Tries every seed on as many threads as there are cores.
fn try_all(seeds: &[u64], until: Until) -> Outcome {
    let (next, rollouts) = (AtomicU64::new(0), AtomicU64::new(0));
    let workers = std::thread::available_parallelism().map_or(1, usize::from);
    let work = || {
        let mut failures = Vec::new();
        while let Ok(index) = usize::try_from(next.fetch_add(1, Ordering::Relaxed))
            && let Some(seed) = seeds.get(index)
        {
            match play(&Case::of_seed(*seed)) {
                Ok(count) => drop(rollouts.fetch_add(count, Ordering::Relaxed)),
                Err(failure) => {
                    failures.push((*seed, failure));
                    if until == Until::Failure {
                        next.store(u64::MAX / 2, Ordering::Relaxed);
                    }
                }
            }
        }
        failures
    };
    let mut failures: Vec<_> = std::thread::scope(|scope| {
        let workers: Vec<_> = (0..workers).map(|_| scope.spawn(work)).collect();
        let results = workers.into_iter();
        results
            .flat_map(|worker| worker.join().expect("no panic"))
            .collect()
    });
    failures.sort_by_key(|(seed, _)| *seed);
    Outcome {
        rollouts: rollouts.into_inner(),
        failures,
    }
}

fn report(failures: &[(u64, Failure)]) {
    let mut rules = std::collections::BTreeMap::<String, Vec<u64>>::new();
    for (seed, failure) in failures {
        rules.entry(failure.rule()).or_default().push(*seed);
    }
    for (rule, seeds) in &rules {
        println!(
            "{rule}: {} seeds, {:?}",
            seeds.len(),
            &seeds[..seeds.len().min(8)]
        );
    }
    for (rule, seeds) in &rules {
        let case = shrink::shrink(Case::of_seed(seeds[0]), rule);
        let again = play(&case).expect_err("what was shrunk fails still");
        println!("\n{rule}, shrunk:\n{case}\n{again}");
    }
}

fn number(name: &str) -> Option<u64> {
    let text = std::env::var(name).ok().filter(|text| !text.is_empty())?;
    Some(
        text.parse()
            .unwrap_or_else(|_| panic!("{name}={text} is not a number")),
    )
}

/// A seed that nobody has seen before; with room for as many trials as anybody will make.
fn fresh_seed() -> u64 {
    RandomState::new().hash_one("trials") >> 16
}

#[test]
fn chosen_seeds_keep_every_rule() {
    let from = number("TRIALS_FROM").unwrap_or_else(fresh_seed);
    let count = number("TRIALS").unwrap_or(200);
    let began = Instant::now();
    let until = if std::env::var_os("TRIALS_UNTIL_FAILURE").is_some() {
        Until::Failure
    } else {
        Until::End
    };
    let seeds: Vec<u64> = (from..from + count).collect();
    let Outcome { rollouts, failures } = try_all(&seeds, until);
    if let Some((seed, failure)) = failures.first() {
        println!("caught: {} after {} seeds", failure.rule(), seed - from + 1);
    }
    let rate = f64::from(u32::try_from(count).unwrap_or(u32::MAX)) / began.elapsed().as_secs_f64();
    println!("{count} trials from seed {from}, {rate:.0} per second, with {rollouts} rollouts");
    if until == Until::End {
        report(&failures);
    }
    assert!(failures.is_empty(), "{} of {count} failed", failures.len());
}

#[test]
fn kept_seeds_keep_every_rule() {
    let kept = include_str!("kept.txt").lines();
    let seeds: Vec<u64> = kept
        .filter_map(|line| line.split('#').next()?.trim().parse().ok())
        .collect();
    let Outcome { failures, .. } = try_all(&seeds, Until::End);
    report(&failures);
    assert!(failures.is_empty(), "{} failed", failures.len());
}

#[test]
fn the_same_seed_makes_the_same_history() {
    for seed in 0..20 {
        let case = Case::of_seed(seed);
        assert_eq!(
            play::transcript(&case),
            play::transcript(&case),
            "seed {seed}"
        );
    }
}

#[test]
fn one_seed_is_told() {
    let Some(seed) = number("TRIAL") else { return };
    let mut case = Case::of_seed(seed);
    if let Err(failure) = play(&case) {
        case = shrink::shrink(case, &failure.rule());
    }
    println!("{case}");
    for line in play::transcript(&case) {
        println!("{line}");
    }
    if let Err(failure) = play(&case) {
        panic!("{failure}");
    }
}
