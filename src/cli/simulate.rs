//! `rolloutctl simulate`: a rollout played in a simulated world, from its manifests alone. Nothing is installed, nothing
//! is reached.
//!
//! What a run is and what is simulated lives in [`crate::trial::rehearsal`]; here are its arguments, its words and
//! its exit code.

use std::hash::{BuildHasher, Hasher};

use super::args::{self, SimulateArgs};
use super::console::{Console, Tone};
use super::exit::{Exit, Failure};
use super::read;
use super::table::Grid;
use crate::api::{Kind, Name, Resource};
use crate::manifest::{self, Applied, Edits, Known, Severity, Source, nearest};
use crate::trial::rehearsal::{
    self, Approval, Cast, Ending, Fault, Rehearsal, Report, Summary, Trouble, Version,
};

mod bar;
mod many;
mod one;
mod program;

/// What was played, and what came of it.
struct Outcome {
    rehearsal: Rehearsal,
    reports: Vec<Report>,
    summary: Summary,
    seed: u64,
}

/// Plays it and tells. [`Exit::No`] unless every run ended Healthy.
///
/// # Errors
/// When the manifests are not sound, or hold what cannot be simulated.
pub async fn run(args: SimulateArgs, console: &mut Console) -> Result<Exit, Failure> {
    if args.fault.iter().any(|fault| fault == "help") {
        return list_faults(console);
    }
    let rehearsal = prepare(&args, console)?;
    let (runs, output) = (args.runs, args.output);
    let seed = args.seed.unwrap_or_else(any_seed);
    let mut bar = bar::Bar::new(runs);
    let played = tokio::task::spawn_blocking(move || {
        let reports = rehearsal::run_all(&rehearsal, seed, runs, &mut |at| bar.show(at));
        bar.end();
        let summary = Summary::of(&reports, &rehearsal.truths());
        Outcome {
            rehearsal,
            reports,
            summary,
            seed,
        }
    });
    let outcome = played
        .await
        .map_err(|error| Failure::No(format!("the simulation broke off: {error}")))?;
    match (output, outcome.reports.as_slice()) {
        (Some(args::Report::Json), _) => {
            let json = program::tell(&outcome);
            console.answer(format_args!("{json:#}"))?;
        }
        (None, [only]) => one::tell(&outcome, only, console)?,
        (None, _) => many::tell(&outcome, console)?,
    }
    let all_healthy = outcome.summary.count(Ending::Healthy) == outcome.summary.runs;
    let is_clean = outcome
        .reports
        .iter()
        .all(|report| report.violations.is_empty());
    Ok(if all_healthy && is_clean {
        Exit::Done
    } else {
        Exit::No
    })
}

fn list_faults(console: &mut Console) -> Result<Exit, Failure> {
    let mut grid = Grid::new(["FAULT", "WHAT HAPPENS"]);
    for trouble in Trouble::ALL {
        grid.row([trouble.name().into(), trouble.about().into()]);
    }
    let (screen, paint) = (console.screen, console.paint);
    console.answer(grid.render(screen, paint))?;
    console
        .remark("`=TIME` says when, `=TIME..TIME` until when too: --fault influxdb-down=30s..90s");
    Ok(Exit::Done)
}

/// A number that is easily typed again.
fn any_seed() -> u64 {
    let hasher = std::hash::RandomState::new().build_hasher();
    hasher.finish() % 1_000_000
}

fn prepare(args: &SimulateArgs, console: &mut Console) -> Result<Rehearsal, Failure> {
    if args.files.is_empty() {
        return Err(Failure::Usage(
            "name the manifests to play: rolloutctl simulate -f FILE".to_owned(),
        ));
    }
    let faults = faults(&args.fault)?;
    let sources = read::sources(&args.files)?;
    let edits = args.edits.edits();
    let cast = cast(&sources, &edits, args.rollout.as_ref(), console)?;
    gauges_fit(args, &cast)?;
    let rehearsal = Rehearsal {
        cast,
        stable: Version {
            error_rate: args.stable_error_rate,
            latency: args.stable_latency,
        },
        canary: Version {
            error_rate: args.canary_error_rate,
            latency: args.latency,
        },
        rps: args.rps,
        gauges: args.metric.iter().cloned().collect(),
        faults,
        approval: args.approve.map_or(Approval::Never, Approval::After),
        time: args.limit,
    };
    can_be_asked(&rehearsal, &sources, &edits, console)?;
    Ok(rehearsal)
}

fn faults(texts: &[String]) -> Result<Vec<Fault>, Failure> {
    let read = texts.iter().map(|text| text.parse::<Fault>());
    read.collect::<Result<_, _>>()
        .map_err(|error| Failure::Usage(format!("--fault: {error}")))
}

/// The rollout and all that it refers to. What is not in the manifests and has no say in the outcome is made up, and
/// said.
fn cast(
    sources: &[Source],
    edits: &Edits,
    wanted: Option<&Name>,
    console: &mut Console,
) -> Result<Cast, Failure> {
    let resources = read::sound(sources, edits, console)?;
    let made_up = rehearsal::made_up(&resources);
    let known: Vec<_> = made_up.iter().cloned().map(Applied::from).collect();
    let parsed = manifest::parse_edited(sources, edits, Known::Applied(&known));
    if parsed.has_errors() {
        parsed
            .diagnostics
            .iter()
            .for_each(|found| console.remark(found));
        return Err(Failure::Told);
    }
    let refuse = |error: rehearsal::CastError| Failure::Usage(error.to_string());
    let rollout = rehearsal::choose(&resources, wanted).map_err(refuse)?;
    let is_other = |resource: &Resource| matches!(resource, Resource::Rollout(other) if other.metadata.name != rollout.metadata.name);
    let mine: Vec<Resource> = resources.into_iter().filter(|one| !is_other(one)).collect();
    let made_up = rehearsal::made_up(&mine);
    for resource in &made_up {
        console.remark(format_args!("note: {}", note(resource)));
    }
    Cast::new(rollout, mine.into_iter().chain(made_up)).map_err(refuse)
}

fn note(resource: &Resource) -> String {
    let name = resource.name();
    match resource.kind() {
        Kind::LoadBalancer => format!(
            "the LoadBalancer `{name}` is not in these files: it is played by two HAProxies, lb-1 and lb-2"
        ),
        Kind::MetricSource => format!(
            "the MetricSource `{name}` is not in these files: it is played by an InfluxDB with an `ingestLag` of 2s"
        ),
        kind @ (Kind::Rollout | Kind::AnalysisTemplate) => {
            format!("the {kind} `{name}` is made up")
        }
    }
}

/// A value for a metric that there is not would be left unused, silently.
fn gauges_fit(args: &SimulateArgs, cast: &Cast) -> Result<(), Failure> {
    let metrics = cast.resolved.metrics.iter().flatten().flatten();
    let mut names: Vec<&str> = metrics.map(|metric| metric.metric.name.as_str()).collect();
    names.sort_unstable();
    names.dedup();
    for (name, _) in &args.metric {
        if names.contains(&name.as_str()) {
            continue;
        }
        let remedy = match (
            nearest(name.as_str(), names.iter().copied()),
            names.as_slice(),
        ) {
            (Some(meant), _) => format!("did you mean `{meant}`?"),
            (None, []) => "it has none".to_owned(),
            (None, names) => format!("it has: {}", names.join(", ")),
        };
        return Err(Failure::Usage(format!(
            "--metric: the rollout `{}` has no metric `{name}`; {remedy}",
            cast.rollout.metadata.name
        )));
    }
    Ok(())
}

/// Whether every query can be evaluated; each that cannot is told with its place.
fn can_be_asked(
    rehearsal: &Rehearsal,
    sources: &[Source],
    edits: &Edits,
    console: &mut Console,
) -> Result<(), Failure> {
    let doubts = rehearsal.doubts();
    for doubt in &doubts {
        let place = &doubt.place;
        let finding = manifest::point_at(
            sources,
            edits,
            (place.kind, &place.name, &place.pointer),
            (doubt.severity, &doubt.problem, &doubt.remedy),
        );
        console.remark(finding);
    }
    if doubts.iter().any(|doubt| doubt.severity == Severity::Error) {
        return Err(Failure::Told);
    }
    Ok(())
}

/// The colour of an end.
const fn tone(ending: Ending) -> Tone {
    match ending {
        Ending::Healthy => Tone::Good,
        Ending::Degraded => Tone::Bad,
        Ending::Paused | Ending::Unended => Tone::Warning,
    }
}

/// What is played, in two lines.
fn scene(outcome: &Outcome) -> String {
    let rehearsal = &outcome.rehearsal;
    let cast = &rehearsal.cast;
    let percent = |part: f64| super::words::number(part * 100.0);
    let (name, image) = (
        &cast.rollout.metadata.name,
        &cast.rollout.spec.template.image,
    );
    let proxies = match cast.resolved.instances.len() {
        1 => "1 HAProxy".to_owned(),
        count => format!("{count} HAProxies"),
    };
    let first = if rehearsal.is_preview() {
        format!("rollout/{name}: {image} comes up as a preview, and gets no production traffic")
    } else {
        format!(
            "rollout/{name}: {image} replaces {}\n{proxies}, {} requests/s; {} % of them fail at the new version, {} % at the old one",
            rehearsal.before().spec.template.image,
            super::words::number(rehearsal.rps),
            percent(rehearsal.canary.error_rate),
            percent(rehearsal.stable.error_rate),
        )
    };
    let gauges = rehearsal.gauges.iter();
    let told = gauges.map(|(name, gauge)| format!("{name} is said to measure {gauge}"));
    let lines: Vec<String> = std::iter::once(first).chain(told).collect();
    lines.join("\n")
}
