//! The columns of each kind's table.

use jiff::Timestamp;

use crate::api::{
    AnalysisTemplateSpec, ConditionStatus, ConditionType, Kind, LoadBalancerSpec, MetricSourceSpec,
    Resource, Revision, RolloutSpec, RolloutStatus,
};
use crate::cli::console::Screen;
use crate::cli::standing::{Standing, stage_of};
use crate::cli::table::{Field, Grid};
use crate::cli::target::ResourceRef;
use crate::cli::words::age;
use crate::world::Stored;

/// How much is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Depth {
    /// What fits a terminal, or as much of it as does.
    Brief,
    /// All (`-o wide`).
    Wide,
}

impl Depth {
    /// Where a table of this depth is meant to fit.
    pub const fn screen(self, screen: Screen) -> Screen {
        match self {
            Self::Brief => screen,
            Self::Wide => Screen::Stream,
        }
    }
}

/// How a row is called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Naming {
    /// `news-web`.
    Plain,
    /// `rollout/news-web`, where several kinds stand below each other.
    WithKind,
}

/// An empty table for resources of a kind.
pub fn grid(kind: Kind, depth: Depth) -> Grid {
    Grid::new(header(kind, depth)).without_if_narrow(expendable(kind))
}

/// The names of a kind's columns.
fn header(kind: Kind, depth: Depth) -> Vec<&'static str> {
    let (brief, wide): (&[_], &[_]) = match kind {
        Kind::Rollout => (
            &["PHASE", "STAGE", "WEIGHT", "STABLE", "CANARY", "AGE"],
            &["AVAILABLE", "GENERATION", "ATTEMPT", "IMAGE", "WAITING FOR"],
        ),
        Kind::LoadBalancer => (&["INSTANCES", "AGE"], &["ADDRESSES"]),
        Kind::MetricSource => (&["URL", "DATABASE", "AGE"], &["TOKEN FILE"]),
        Kind::AnalysisTemplate => (&["METRICS", "ARGS", "AGE"], &["SOURCE"]),
    };
    let mut header = vec!["NAME"];
    header.extend(brief);
    if depth == Depth::Wide {
        header.extend(wide);
    }
    if kind == Kind::Rollout {
        header.push("MESSAGE");
    }
    header
}

/// The columns that a narrow terminal does without, the least important first. Who is called how
/// and how it goes stays.
const fn expendable(kind: Kind) -> &'static [&'static str] {
    match kind {
        Kind::Rollout => &["AGE", "STABLE", "CANARY", "MESSAGE", "WEIGHT", "STAGE"],
        Kind::LoadBalancer => &["AGE", "INSTANCES"],
        Kind::MetricSource => &["AGE", "DATABASE", "URL"],
        Kind::AnalysisTemplate => &["AGE", "ARGS", "METRICS"],
    }
}

/// One resource's row.
pub fn row(stored: &Stored, depth: Depth, naming: Naming, now: Timestamp) -> Vec<Field> {
    let resource = &stored.draft.resource;
    let mut row: Vec<Field> = vec![match naming {
        Naming::Plain => resource.name().to_string().into(),
        Naming::WithKind => ResourceRef::of(resource).to_string().into(),
    }];
    let since = age(stored.created_at, now);
    let (brief, wide) = match resource {
        Resource::Rollout(manifest) => rollout(stored, &manifest.spec, since, now),
        Resource::LoadBalancer(manifest) => load_balancer(&manifest.spec, since),
        Resource::MetricSource(manifest) => metric_source(&manifest.spec, since),
        Resource::AnalysisTemplate(manifest) => analysis_template(&manifest.spec, since),
    };
    row.extend(brief);
    if depth == Depth::Wide {
        row.extend(wide);
    }
    if resource.kind() == Kind::Rollout {
        row.push(Standing::of(stored).message().into());
    }
    row
}

/// The brief columns and those that `-o wide` adds.
type Columns = (Vec<Field>, Vec<Field>);

fn rollout(stored: &Stored, spec: &RolloutSpec, since: String, now: Timestamp) -> Columns {
    let standing = Standing::of(stored);
    let status = stored.draft.status.as_ref();
    let revision =
        |revision: Option<&Revision>| revision.map_or_else(|| "-".to_owned(), Revision::to_string);
    let brief = vec![
        Field::toned(standing.word(), standing.tone()),
        status.map_or_else(|| "-".to_owned(), stage_of).into(),
        status.map_or_else(|| "-".to_owned(), weight_of).into(),
        revision(status.and_then(|s| s.stable_revision.as_ref())).into(),
        revision(status.and_then(|s| s.canary_revision.as_ref())).into(),
        since.into(),
    ];
    let waiting = status.and_then(|status| status.waiting_on.as_ref());
    let wide = vec![
        status.map_or("Unknown", available).into(),
        stored.draft.generation.to_string().into(),
        status.map_or(0, |status| status.attempt).to_string().into(),
        spec.template.image.clone().into(),
        waiting
            .map_or_else(|| "-".to_owned(), |waiting| waiting.as_of(now))
            .into(),
    ];
    (brief, wide)
}

fn weight_of(status: &RolloutStatus) -> String {
    match status.canary_revision {
        Some(_) => format!("{}%", status.weight),
        None => "-".to_owned(),
    }
}

fn available(status: &RolloutStatus) -> &'static str {
    let condition = status
        .conditions
        .iter()
        .find(|condition| condition.kind == ConditionType::Available);
    match condition.map(|condition| condition.status) {
        Some(ConditionStatus::True) => "True",
        Some(ConditionStatus::False) => "False",
        Some(ConditionStatus::Unknown) | None => "Unknown",
    }
}

fn load_balancer(spec: &LoadBalancerSpec, since: String) -> Columns {
    let instances = &spec.haproxy.instances;
    let names: Vec<_> = instances.iter().map(|i| i.name.to_string()).collect();
    let addresses: Vec<_> = instances.iter().map(|i| i.address.clone()).collect();
    (
        vec![names.join(",").into(), since.into()],
        vec![addresses.join(",").into()],
    )
}

fn metric_source(spec: &MetricSourceSpec, since: String) -> Columns {
    let influxdb = &spec.influxdb;
    let token = influxdb.token_file.clone();
    (
        vec![
            influxdb.url.clone().into(),
            influxdb.database.clone().into(),
            since.into(),
        ],
        vec![token.unwrap_or_else(|| "-".to_owned()).into()],
    )
}

fn analysis_template(spec: &AnalysisTemplateSpec, since: String) -> Columns {
    let metrics: Vec<_> = spec.metrics.iter().map(|m| m.name.to_string()).collect();
    let args: Vec<_> = spec.args.iter().map(|a| a.name.clone()).collect();
    let source = spec.source.as_ref().map(ToString::to_string);
    let or_none = |text: String| {
        if text.is_empty() {
            "-".to_owned()
        } else {
            text
        }
    };
    (
        vec![
            metrics.join(",").into(),
            or_none(args.join(",")).into(),
            since.into(),
        ],
        vec![source.unwrap_or_else(|| "-".to_owned()).into()],
    )
}
