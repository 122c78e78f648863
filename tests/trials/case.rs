//! A case: a world, what is applied to it, and what goes wrong; all of it chosen by a seed, as plain data.

use std::fmt;

use jiff::SignedDuration;
use rolloutctl::api::{
    Dependents, Duration, Kind, Manifest, Resource, RolloutSpec, ServerWeight, Verb,
};
use rolloutctl::sim::{
    App, Condition, CrashAt, Edit, Ends, FaultPlan, Hand, LastCall, Program, Rates, Setup, Span,
    Starts, Which, WhichServer,
};
use rolloutctl::snapshot::AdminState;
use rolloutctl::trial::check::{Calls, Terms};
use rolloutctl::trial::{Deed, Habits, Reading, Seat};

use crate::beside::{edits, late_command, rival};
use crate::chance::Chance;
use crate::commits::{Commits, is_gitops, told};
use crate::spec::{BACKEND, PROGRAMS, name, neighbours, preview, rollout};

/// When the faults and the other hands stop, in seconds from the beginning.
pub const HEALED_AFTER: u64 = 90;

#[derive(Clone, Debug)]
pub struct Case {
    pub seed: u64,
    pub terms: Terms,
    pub habits: Habits,
    pub instances: u64,
    pub neighbours: Vec<Resource>,
    /// What is done, with its time in milliseconds from the beginning.
    pub deeds: Vec<(u64, Deed)>,
    /// What a GitOps source says, if it is one of commits.
    pub commits: Option<Commits>,
}

impl Case {
    pub fn of_seed(seed: u64) -> Self {
        let mut chance = Chance::of_seed(seed);
        let instances = chance.between(1, 3);
        let mut deeds = Vec::new();
        let mut spec = rollout(&mut chance, "app:good-0");
        deeds.push((0, apply(&spec)));
        let faulty = chance.percent(60);
        if faulty {
            let from = if chance.percent(20) { 0 } else { 10_000 };
            deeds.push((from, Deed::Faults(Box::new(faults(&mut chance)))));
        }
        for release in 1..=chance.between(1, 3) {
            let image = format!("app:{}-{release}", chance.one(&KINDS));
            change(&mut chance, &mut spec, &image);
            deeds.push((chance.between(5_000, 60_000), apply(&spec)));
        }
        for _ in 0..chance.between(0, 2) {
            deeds.push((chance.between(5_000, 80_000), command(&mut chance)));
        }
        if chance.percent(60) {
            for _ in 0..chance.between(1, 4) {
                let at = chance.between(5_000, HEALED_AFTER * 1_000);
                trouble(&mut chance, at, instances, &mut deeds);
            }
        }
        if chance.percent(4) {
            let gone = Hand::Delete(Kind::Rollout, name("web"), Dependents::Remove);
            deeds.push((chance.between(30_000, 80_000), Deed::Hand(gone)));
        } else {
            deeds.extend(rival(seed));
        }
        deeds.extend(late_command(seed));
        let edits = edits(seed, &deeds);
        deeds.extend(edits);
        if is_preview(seed) {
            become_previews(seed, &mut deeds);
        }
        if deeds.iter().any(|(_, deed)| asks_for_broken(deed)) {
            // A hand that gives what cannot start an image that can makes it serve, until that is put back.
            deeds.retain(|(_, deed)| !matches!(deed, Deed::Hand(Hand::Edit(_, Edit::Image(_)))));
        }
        let commits = is_gitops(seed).then(|| Commits::of_seed(seed, &mut deeds));
        deeds.sort_by_key(|(at, _)| *at);
        let habits = Habits {
            resync: chance.one(&[1, 2, 5].map(std::time::Duration::from_secs)),
            ..Habits::default()
        };
        Self {
            seed,
            terms: if faulty {
                Terms::FAULTY
            } else {
                Terms {
                    slack: after_a_look(&habits),
                    ..Terms::SOUND
                }
            },
            habits,
            instances,
            neighbours: neighbours(instances),
            deeds,
            commits,
        }
    }

    pub fn setup(&self) -> Setup {
        world(self.seed, self.instances)
    }

    /// Whether anything but users of the command line does something.
    pub fn is_calm(&self) -> bool {
        let users = |deed: &Deed| {
            matches!(
                deed,
                Deed::Hand(
                    Hand::Apply(_) | Hand::Command(..) | Hand::LateCommand(..) | Hand::Delete(..)
                ) | Deed::Say(_)
            )
        };
        self.terms.calls == Calls::Sound && self.deeds.iter().all(|(_, deed)| users(deed))
    }
}

/// A world of so many proxies, and of programs of all kinds.
pub fn world(seed: u64, instances: u64) -> Setup {
    let mut setup = Setup::new(seed);
    for number in 1..=instances {
        setup = setup.with_proxy(&name("edge"), &name(&format!("lb-{number}")), BACKEND, 50.0);
    }
    for kind in KINDS {
        for release in 0..=4 {
            setup
                .apps
                .insert(format!("app:{kind}-{release}"), app(kind));
        }
    }
    for kind in PROGRAMS {
        setup.programs.insert(format!("job:{kind}"), program(kind));
    }
    setup
}

/// How long it takes at most until something has been seen.
pub fn after_a_look(habits: &Habits) -> Duration {
    Duration::from_secs(habits.resync.as_secs() + 2)
}

/// What images are like.
pub const KINDS: [&str; 5] = ["good", "good", "bad", "broken", "slow"];

fn app(kind: &str) -> App {
    let usual = App::default();
    match kind {
        "bad" => App {
            error_rate: 0.05,
            ..usual
        },
        "broken" => App {
            starts: Starts::Rejected,
            ..usual
        },
        "slow" => App {
            ready: Some(Span::secs(3, 15)),
            ..usual
        },
        _ => usual,
    }
}

/// Those that cannot be run are run in the end, for somebody resumes what is inconclusive.
fn program(kind: &str) -> Program {
    Program::ending(match kind {
        "bad" => vec![Ends::With(1)],
        "flaky" => vec![Ends::With(3), Ends::With(0)],
        "hangs" => vec![Ends::Never, Ends::With(0)],
        "absent" => vec![Ends::Missing, Ends::Missing, Ends::With(0)],
        "nowhere" => vec![Ends::Nowhere, Ends::With(0)],
        _ => vec![Ends::With(0)],
    })
}

fn asks_for_broken(deed: &Deed) -> bool {
    let Deed::Hand(Hand::Apply(resource)) = deed else {
        return false;
    };
    matches!(resource.as_ref(), Resource::Rollout(manifest) if manifest.spec.template.image.contains("broken"))
}

pub fn apply(spec: &Manifest<RolloutSpec>) -> Deed {
    Deed::Hand(Hand::Apply(Box::new(Resource::Rollout(spec.clone()))))
}

/// The next commit: mostly another image, sometimes another number of tasks, a revert, or all new.
fn change(chance: &mut Chance, spec: &mut Manifest<RolloutSpec>, image: &str) {
    let mut apart = chance.apart();
    let former = format!(
        "app:{}-{}",
        apart.one(&["good", "slow"]),
        apart.between(0, 2)
    );
    let image = if apart.percent(15) { &former } else { image };
    let mut next = match chance.between(0, 9) {
        0 => rollout(chance, "app:good-0"),
        1 | 2 => {
            spec.spec.replicas = chance.number(1, 6);
            return;
        }
        3 => {
            spec.spec.replicas = chance.number(1, 6);
            rollout(chance, image)
        }
        _ => rollout(chance, image),
    };
    if chance.percent(60) {
        next.spec.replicas = spec.spec.replicas;
    }
    *spec = next;
}

/// One case in twelve is one of previews. The seeds that were kept before there were any are not among them.
pub const fn is_preview(seed: u64) -> bool {
    seed % 12 == 3
}

/// What is applied is a preview; a rival has nothing to wait for, and is left out.
fn become_previews(seed: u64, deeds: &mut Vec<(u64, Deed)>) {
    // Chosen apart too.
    let mut chance = Chance::of_seed(seed.rotate_left(16) ^ u64::MAX);
    deeds.retain_mut(|(_, deed)| {
        let Deed::Hand(Hand::Apply(resource)) = deed else {
            return true;
        };
        let Resource::Rollout(manifest) = resource.as_mut() else {
            return true;
        };
        *manifest = preview(&mut chance, manifest);
        manifest.metadata.name == name("web")
    });
}

pub const VERBS: [Verb; 6] = [
    Verb::Promote,
    Verb::PromoteFull,
    Verb::Pause,
    Verb::Resume,
    Verb::Abort,
    Verb::Retry,
];

fn command(chance: &mut Chance) -> Deed {
    Deed::Hand(Hand::Command(name("web"), chance.one(&VERBS)))
}

pub fn faults(chance: &mut Chance) -> FaultPlan {
    let one = |chance: &mut Chance| {
        let rate = chance.one(&[0.0, 0.005, 0.02, 0.1]);
        Rates {
            timed_out: rate / 4.0,
            late: rate / 4.0,
            slow: rate / 2.0,
            ..Rates::all(rate)
        }
    };
    FaultPlan {
        healed_at: jiff::Timestamp::MAX,
        swarm: one(chance),
        store: one(chance),
        lease: Rates {
            stale: 0.0,
            ..one(chance)
        },
        haproxy: one(chance),
        hints_lost: chance.one(&[0.0, 0.2, 1.0]),
        hints_late: chance.one(&[0.0, 0.2]),
        ..FaultPlan::none()
    }
}

/// Something goes wrong at `at`, and maybe is put right again after a while.
pub fn trouble(chance: &mut Chance, at: u64, instances: u64, deeds: &mut Vec<(u64, Deed)>) {
    let until = at + chance.between(500, 20_000);
    let both = match chance.between(0, 9) {
        0..=3 => [Some(meddling(chance, instances)), None],
        4 | 5 => node_trouble(chance).map(Some),
        6 | 7 => proxy_trouble(chance, instances),
        _ => controller_trouble(chance),
    };
    for (at, deed) in [at, until].into_iter().zip(both) {
        deeds.extend(deed.map(|deed| (at, deed)));
    }
}

/// Somebody changes what is ours.
fn meddling(chance: &mut Chance, instances: u64) -> Deed {
    let nth: usize = chance.number(0, 20);
    let server = WhichServer {
        instance: chance.number(0, instances - 1),
        backend: BACKEND.to_owned(),
        server: nth,
    };
    Deed::Hand(match chance.between(0, 7) {
        0 => Hand::KillTask(nth),
        1 => Hand::Scale(Which::Nth(nth), chance.number(0, 5)),
        2 => Hand::Edit(Which::Nth(nth), Edit::Label),
        3 => Hand::Edit(Which::Nth(nth), Edit::Image("app:bad-4".to_owned())),
        4 => Hand::RemoveService(Which::Nth(nth)),
        5 => Hand::Weigh(server, ServerWeight::new(chance.number(0, 256))),
        6 => {
            let states = [
                AdminState::Ready,
                AdminState::Drain,
                AdminState::Maintenance,
            ];
            Hand::SetState(server, chance.one(&states))
        }
        _ => Hand::StackDeploy(3),
    })
}

/// A node goes, and comes back.
fn node_trouble(chance: &mut Chance) -> [Deed; 2] {
    let node: usize = chance.number(0, 2);
    let (goes, comes) = match chance.between(0, 2) {
        0 => (Hand::CrashNode(node), Hand::ReturnNode(node)),
        1 => (Hand::CutNode(node), Hand::ReturnNode(node)),
        _ => (Hand::DrainNode(node), Hand::ActivateNode(node)),
    };
    [Deed::Hand(goes), Deed::Hand(comes)]
}

/// A proxy forgets everything, or cannot be asked.
fn proxy_trouble(chance: &mut Chance, instances: u64) -> [Option<Deed>; 2] {
    let instance: usize = chance.number(0, instances - 1);
    match chance.between(0, 3) {
        0 => [Some(Deed::Hand(Hand::Reload(instance))), None],
        1 => {
            let restart = Hand::Restart(instance, chance.secs(1, 10));
            [Some(Deed::Hand(restart)), None]
        }
        _ => {
            let condition = chance.one(&[Condition::Unreachable, Condition::Hangs]);
            let deed = |condition| Some(Deed::Hand(Hand::Condition(instance, condition)));
            [deed(condition), deed(Condition::Answers)]
        }
    }
}

/// A controller dies, meets another one, or is told something wrong.
fn controller_trouble(chance: &mut Chance) -> [Option<Deed>; 2] {
    let (first, other) = (Seat(0), Seat(1));
    let starts = Some(Deed::Start(first));
    match chance.between(0, 4) {
        0 => {
            let wrong = Deed::Source(None, reading(chance));
            [Some(wrong), Some(Deed::Source(None, Reading::Truth))]
        }
        1 => {
            let crash = CrashAt {
                calls: chance.number(1, 12),
                last: chance.one(&[LastCall::Done, LastCall::NotDone]),
            };
            [Some(Deed::Crash(first, crash)), starts]
        }
        2 => [Some(Deed::Kill(first)), starts],
        3 => {
            let ends = [None, Some(Deed::Kill(other)), Some(Deed::Stop(other))];
            [Some(Deed::Start(other)), chance.one(&ends)]
        }
        _ => {
            let by = SignedDuration::from_millis(chance.number::<i64>(0, 60_000) - 30_000);
            let jump = |by| Some(Deed::Jump(first, by));
            [jump(by), jump(-by)]
        }
    }
}

fn reading(chance: &mut Chance) -> Reading {
    let plain = chance.one(&[
        Reading::NoData,
        Reading::Null,
        Reading::Partial,
        Reading::Error,
        Reading::Never,
        Reading::Value(0.5),
    ]);
    if chance.percent(30) {
        return Reading::Late(
            Duration::from_secs(chance.between(1, 8)),
            Box::new(Reading::Truth),
        );
    }
    plain
}

impl fmt::Display for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "seed {}, {} proxies, {:?}, {:?}",
            self.seed, self.instances, self.terms, self.habits
        )?;
        for (at, deed) in &self.deeds {
            let at = std::time::Duration::from_millis(*at);
            if let Deed::Hand(Hand::Apply(resource)) = deed {
                writeln!(f, "  {at:>9.3?} apply {}", resource.spec_json())?;
            } else if let Deed::Say(saying) = deed {
                writeln!(f, "  {at:>9.3?} the source says {}", told(saying))?;
            } else {
                writeln!(f, "  {at:>9.3?} {deed:?}")?;
            }
        }
        Ok(())
    }
}
