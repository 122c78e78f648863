//! Shrinks a case that fails: what can be left out so that it still fails in the same way is left out.

use rolloutctl::sim::{FaultPlan, Rates};
use rolloutctl::trial::Deed;

use crate::case::Case;
use crate::play::play;

/// A smaller case that breaks the same rule.
pub fn shrink(mut case: Case, rule: &str) -> Case {
    loop {
        let smaller = candidates(&case)
            .into_iter()
            .find(|smaller| fails(smaller, rule));
        match smaller {
            Some(smaller) => case = smaller,
            None => return case,
        }
    }
}

fn fails(case: &Case, rule: &str) -> bool {
    play(case).is_err_and(|failure| failure.rule() == rule)
}

fn candidates(case: &Case) -> Vec<Case> {
    let mut all = Vec::new();
    // The first one makes the rollout.
    for index in 1..case.deeds.len() {
        let mut smaller = case.clone();
        smaller.deeds.remove(index);
        all.push(smaller);
    }
    for index in 0..case.deeds.len() {
        if let Deed::Faults(faults) = &case.deeds[index].1 {
            for fewer in fewer_faults(faults) {
                let mut smaller = case.clone();
                smaller.deeds[index].1 = Deed::Faults(Box::new(fewer));
                all.push(smaller);
            }
        }
    }
    all
}

/// The same faults, each time less one kind or one neighbour.
fn fewer_faults(faults: &FaultPlan) -> Vec<FaultPlan> {
    let mut all = Vec::new();
    let mut push = |change: &dyn Fn(&mut FaultPlan)| {
        let mut fewer = faults.clone();
        change(&mut fewer);
        if fewer != *faults {
            all.push(fewer);
        }
    };
    push(&|faults| faults.swarm = Rates::NONE);
    push(&|faults| faults.store = Rates::NONE);
    push(&|faults| faults.lease = Rates::NONE);
    push(&|faults| faults.haproxy = Rates::NONE);
    push(&|faults| (faults.hints_lost, faults.hints_late) = (0.0, 0.0));
    let kinds: [fn(&mut Rates) -> &mut f64; 9] = [
        |rates| &mut rates.lost,
        |rates| &mut rates.reply_lost,
        |rates| &mut rates.repeated,
        |rates| &mut rates.slow,
        |rates| &mut rates.timed_out,
        |rates| &mut rates.late,
        |rates| &mut rates.stale,
        |rates| &mut rates.conflict,
        |rates| &mut rates.partial,
    ];
    for kind in kinds {
        push(&|faults| {
            for rates in [
                &mut faults.swarm,
                &mut faults.store,
                &mut faults.lease,
                &mut faults.haproxy,
            ] {
                *kind(rates) = 0.0;
            }
        });
    }
    all
}
