//! The differential: stories that the simulated world tells (`tests/scenarios`) are played on the real Swarm,
//! HAProxies and InfluxDB of the lab (`tests/lab env`), and must be told alike: this keeps the simulation honest.
//!
//! Only stories that say `lab: true` are played. `SCENARIO=NAME` plays one alone, `STORIES=N` so many, evenly
//! from the whole shelf. Without a lab it says that it is skipped.

#[path = "../scenarios/condition.rs"]
mod condition;
#[path = "../e2e/daemon.rs"]
#[expect(dead_code, reason = "the end-to-end suite uses more of the harness")]
mod daemon;
#[path = "../scenarios/decisions.rs"]
mod decisions;
#[path = "../e2e/lab.rs"]
#[expect(dead_code, reason = "the end-to-end suite uses more of the harness")]
mod lab;
#[path = "../e2e/load.rs"]
#[expect(dead_code, reason = "the end-to-end suite uses more of the harness")]
mod load;
#[path = "../scenarios/rollout.rs"]
mod rollout;
#[path = "../scenarios/script.rs"]
#[expect(dead_code, reason = "some steps are the simulated world's alone")]
mod script;
#[path = "../scenarios/shelf.rs"]
#[expect(
    dead_code,
    reason = "transcripts are written by the simulated world alone"
)]
mod shelf;
#[path = "../scenarios/sight.rs"]
mod sight;
#[path = "../failures/switch.rs"]
mod switch;
#[path = "../scenarios/telling.rs"]
mod telling;

mod deeds;
mod play;
mod watcher;

use std::time::Instant;

use lab::Lab;

/// As many as are wished for: each takes the lab half a minute.
fn some_of(all: Vec<shelf::Story>) -> impl Iterator<Item = shelf::Story> {
    let wanted = std::env::var("STORIES").ok().map_or(all.len(), |count| {
        count.parse().expect("STORIES is a number")
    });
    let (count, wanted) = (all.len(), wanted.min(all.len()));
    let is_one = move |place: usize| (place + 1) * wanted / count > place * wanted / count;
    let places = all.into_iter().enumerate();
    places
        .filter(move |(place, _)| is_one(*place))
        .map(|(_, story)| story)
}

#[test]
fn the_lab_tells_the_stories_as_the_simulation_does() {
    let Some(lab) = Lab::open() else { return };
    let stories = shelf::stories()
        .into_iter()
        .filter(|story| story.script.lab);
    let stories = some_of(stories.collect());
    let (mut alike, mut problems) = (0, Vec::new());
    for story in stories {
        let began = Instant::now();
        let problem = match play::play(&lab, &story) {
            Ok(told) if told == story.golden() => None,
            Ok(told) => Some(shelf::difference(&story.golden(), &told)),
            Err(problem) => Some(problem),
        };
        let verdict = if problem.is_some() {
            "OTHERWISE"
        } else {
            "alike"
        };
        eprintln!(
            "{:>5.1} s {} {verdict}",
            began.elapsed().as_secs_f64(),
            story.name
        );
        match problem {
            None => alike += 1,
            Some(problem) => {
                eprintln!("{problem}");
                problems.push(format!("{}: {problem}", story.name));
            }
        }
    }
    eprintln!("{alike} stories are told alike");
    assert!(problems.is_empty(), "\n{}\n", problems.join("\n\n"));
}
