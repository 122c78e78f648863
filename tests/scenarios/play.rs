//! Plays a story in the simulated world: whole controllers on virtual time, every rule watched.

mod deeds;
mod look;

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;
use rolloutctl::api::{Duration, Name, Route};
use rolloutctl::sim::{
    App, Ends, FaultPlan, Hand, Loss, OnStop, Program, Rates, Setup, Span, Starts, View,
};
use rolloutctl::trial::check::{Findings, Terms, Watch};
use rolloutctl::trial::{Deed, End, Habits, Reading, Seat, Trial, at_rest};
use serde_json::Value;

use crate::rollout::{Place, usual};
use crate::script::{Awaited, Behaviour};
use crate::shelf::Story;
use look::{Notes, Observing};

/// The rollout's name, which is its back end's too.
const NAME: &str = "web";
/// How long anything that is waited for may take.
const PATIENCE: Duration = Duration::from_secs(10 * 60);
/// How long what is waited for must hold.
const HOLD: Duration = Duration::from_secs(1);
/// How long a rest is looked at.
const REST: Duration = Duration::from_secs(60);
/// The proxies.
const PROXIES: [&str; 2] = ["lb-1", "lb-2"];

/// A story in play.
struct Play<'a> {
    story: &'a Story,
    trial: Trial,
    rollout: Name,
    route: Route,
    spec: Value,
    notes: Arc<Mutex<Notes>>,
    findings: Findings,
    writes: Arc<AtomicU64>,
}

/// The transcript of a story, played with a seed.
pub fn play(story: &Story, seed: u64) -> Result<String, String> {
    let mut play = Play::new(story, seed);
    for step in &story.script.steps {
        play.notes().teller.step(step);
        play.take(&step.step)
            .map_err(|problem| play.told(&format!("{}: {problem}", step.text)))?;
    }
    let end = play.end().map_err(|problem| play.told(&problem))?;
    let teller = std::mem::take(&mut play.notes().teller);
    Ok(format!(
        "# {}\n{}",
        story.script.title,
        teller.finish(&format!("{end:?}"))
    ))
}

impl<'a> Play<'a> {
    fn new(story: &'a Story, seed: u64) -> Self {
        let rollout: Name = name(NAME);
        let route = Route {
            load_balancer: name("edge"),
            backend: NAME.to_owned(),
        };
        let trial = Trial::new(setup(story, seed), Habits::default());
        let findings = Findings::default();
        let terms = if story.script.is_lossy() {
            Terms::FAULTY
        } else {
            Terms::SOUND
        };
        let watch = Watch::new(rollout.clone(), route.clone(), terms, findings.clone());
        let mut spec = usual(&Place {
            name: NAME.to_owned(),
            network: "front".to_owned(),
            reach: "network".to_owned(),
        });
        story.script.rollout.change(&mut spec);
        let (notes, writes) = (Arc::default(), Arc::default());
        trial.world().observe_with(Observing {
            watch,
            rollout: rollout.clone(),
            notes: Arc::clone(&notes),
            writes: Arc::clone(&writes),
        });
        let mut play = Self {
            story,
            trial,
            rollout,
            route,
            spec,
            notes,
            findings,
            writes,
        };
        play.trial.perform(Deed::Source(None, Reading::Truth));
        play.put_neighbours();
        play.trial.perform(Deed::Start(Seat(0)));
        play
    }

    fn notes(&self) -> MutexGuard<'_, Notes> {
        self.notes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn told(&self, problem: &str) -> String {
        let violations: Vec<String> = self
            .findings
            .all()
            .iter()
            .map(ToString::to_string)
            .collect();
        let told = self.notes().teller.so_far();
        format!("{problem}\n{}\ntold so far:\n{told}", violations.join("\n"))
    }

    /// Waits until all has held for a while; an instant is enough `as soon as`.
    fn wait_for(&mut self, awaited: &Awaited, hold: Duration) -> Result<(), String> {
        let limit = PATIENCE.after(self.trial.now());
        let rollout = self.rollout.clone();
        let notes = Arc::clone(&self.notes);
        let holds = |_: &View<'_>| {
            let sight = &notes.lock().unwrap_or_else(PoisonError::into_inner).sight;
            awaited.all.iter().all(|condition| condition.holds(sight))
        };
        loop {
            if !self.trial.run_while_not(limit, holds) {
                let status = self
                    .trial
                    .world()
                    .view(|view| view.status(&rollout).cloned());
                return Err(format!("not within {PATIENCE}: {status:#?}"));
            }
            self.trial.run_for(hold);
            if self.trial.world().view(holds) {
                return Ok(());
            }
        }
    }

    /// The rollout comes to rest, and stays there without a write; no rule was broken, nothing was lost.
    fn end(&mut self) -> Result<End, String> {
        let limit = PATIENCE.after(self.trial.now());
        self.trial.run_for(HOLD);
        let end = loop {
            match self.rests() {
                Ok(end) => break end,
                Err(unrest) if self.trial.now() >= limit => {
                    return Err(format!("it does not come to rest: {unrest}"));
                }
                Err(_) => self.trial.run_for(HOLD),
            }
        };
        let before = self.writes.load(Ordering::Relaxed);
        self.trial.run_for(REST);
        let writes = self.writes.load(Ordering::Relaxed) - before;
        if writes > 0 {
            return Err(format!("SAFETY-5: {writes} writes at rest"));
        }
        match self.rests() {
            Ok(again) if again == end => {}
            other => return Err(format!("{end:?}, and later {other:?}")),
        }
        if !self.findings.are_none() {
            return Err("a rule was broken".to_owned());
        }
        self.nothing_is_lost()?;
        Ok(end)
    }

    fn rests(&self) -> Result<End, String> {
        let world = self.trial.world();
        let found = world.view(|view| at_rest(view, &self.rollout, &self.route));
        found.map_err(|unrest| unrest.to_string())
    }

    fn nothing_is_lost(&self) -> Result<(), String> {
        let Some(before) = self.notes().lost_before.clone() else {
            return Ok(());
        };
        if self.story.script.may_lose.is_some() {
            return Ok(());
        }
        let lost = self.trial.world().view(|view| {
            let losses = view.losses();
            let causes = [Loss::NoServer, Loss::Refused, Loss::Killed, Loss::Cut].into_iter();
            let lost = causes.map(|cause| (cause, losses.by(cause) - before.by(cause)));
            lost.filter(|(_, requests)| *requests > 0.01)
                .collect::<Vec<_>>()
        });
        match lost.first() {
            None => Ok(()),
            Some((cause, requests)) => Err(format!("{requests:.2} requests are lost by {cause:?}")),
        }
    }
}

fn setup(story: &Story, seed: u64) -> Setup {
    let mut setup = Setup::new(seed);
    for proxy in PROXIES {
        setup = setup.with_proxy(&name("edge"), &name(proxy), NAME, 50.0);
    }
    setup.other_apps = app(Behaviour::Good);
    for (image, behaviour) in &story.script.images {
        setup.apps.insert(image.clone(), app(*behaviour));
    }
    let programs = [
        ("pass", vec![Ends::With(0)]),
        ("fail", vec![Ends::With(1)]),
        ("fail-once", vec![Ends::With(1), Ends::With(0)]),
        ("hang", vec![Ends::Never]),
        ("missing", vec![Ends::Missing]),
    ];
    for (program, ends) in programs {
        let image = format!("tests:{program}");
        setup.programs.insert(image, Program::ending(ends));
    }
    setup
}

fn app(behaviour: Behaviour) -> App {
    let good = App {
        error_rate: 0.0,
        ..App::default()
    };
    match behaviour {
        Behaviour::Good => good,
        Behaviour::Bad => App {
            error_rate: 0.2,
            ..good
        },
        Behaviour::NeverReady => App {
            ready: None,
            ..good
        },
        Behaviour::DoesNotStart => App {
            starts: Starts::Rejected,
            ..good
        },
        Behaviour::SlowStart => App {
            ready: Some(Span::secs(20, 20)),
            ..good
        },
        Behaviour::StopsAtOnce => App {
            on_stop: OnStop::Exits,
            ..good
        },
    }
}

/// A proxy that cannot be read for a moment holds what is to be decided, and that moment is a matter of chance:
/// what is lost here lies between the controller and the Swarm.
fn lossy() -> FaultPlan {
    let rates = Rates {
        stale: 0.0,
        ..Rates::all(0.05)
    };
    FaultPlan {
        healed_at: Timestamp::MAX,
        swarm: rates,
        store: rates,
        lease: rates,
        hints_lost: 0.5,
        hints_late: 0.2,
        ..FaultPlan::none()
    }
}

fn name(text: &str) -> Name {
    text.parse().expect("a name")
}

/// Something that a hand does.
fn hand(hand: Hand) -> Deed {
    Deed::Hand(hand)
}
