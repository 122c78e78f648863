//! Operators' stories as scripts, each with its golden transcript of decisions.
//!
//! A story is `stories/NAME.yaml`; what a rollout decides in it is `stories/NAME.transcript`. How to write one is
//! told in CONTRIBUTING.md. Each is played in the simulated world with several seeds, which must all tell the same;
//! every rule is watched on the way, and in the end the rollout must rest.
//!
//! `UPDATE_TRANSCRIPTS=1` writes the transcripts anew, `SCENARIO=NAME` plays one story alone.

mod condition;
mod decisions;
mod play;
mod rollout;
mod script;
mod shelf;
mod sight;
mod telling;

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use script::Script;
use shelf::{Story, stories};

/// How many seeds each story is played with.
const SEEDS: u64 = 5;

/// What is wrong with a story, in words; nothing if it is told as it should be.
fn problem_of(story: &Story) -> Option<String> {
    let mut told: Option<String> = None;
    for seed in 1..=SEEDS {
        let transcript = match play::play(story, seed) {
            Ok(transcript) => transcript,
            Err(problem) => return Some(format!("{}, seed {seed}: {problem}", story.name)),
        };
        match &told {
            None => told = Some(transcript),
            Some(first) if *first == transcript => {}
            Some(first) => {
                return Some(format!(
                    "{}: seed {seed} tells something else than seed 1; what depends on chance or time does not belong \
                     into a transcript, so let the script wait for it\n{}",
                    story.name,
                    shelf::difference(first, &transcript)
                ));
            }
        }
    }
    story.differs_from(&told.unwrap_or_default())
}

/// Plays the stories on as many threads as there are cores; what is wrong with them.
fn problems_of(stories: &[Story]) -> Vec<String> {
    let next = AtomicUsize::new(0);
    let workers = std::thread::available_parallelism().map_or(1, usize::from);
    let work = || {
        let mut problems = Vec::new();
        while let Some(story) = stories.get(next.fetch_add(1, Ordering::Relaxed)) {
            let began = Instant::now();
            problems.extend(problem_of(story));
            println!("{:>6.2} s {}", began.elapsed().as_secs_f64(), story.name);
        }
        problems
    };
    std::thread::scope(|scope| {
        let workers: Vec<_> = (0..workers).map(|_| scope.spawn(work)).collect();
        let results = workers.into_iter();
        results
            .flat_map(|worker| worker.join().expect("no panic"))
            .collect()
    })
}

#[test]
fn every_story_says_what_it_is_about() {
    let stories = stories();
    for story in &stories {
        let Script { title, why, .. } = &story.script;
        let is_told = title.len() > 10 && why.len() > 20 && !title.ends_with('.');
        assert!(is_told, "{}: {title}: {why}", story.name);
    }
    let of_lab = stories.iter().filter(|story| story.script.lab).count();
    let is_alone = stories.len() == 1;
    assert!(
        is_alone || (stories.len() >= 40 && of_lab >= 15),
        "{of_lab} of {}",
        stories.len()
    );
}

#[test]
fn every_story_is_told_as_its_transcript_has_it() {
    let problems = problems_of(&stories());
    assert!(problems.is_empty(), "\n{}\n", problems.join("\n\n"));
}
