//! Rules for analyses, metrics and their queries, in rollouts, templates and sources.

use std::collections::BTreeSet;

use super::super::diagnostic::Findings;
use super::super::node::Node;
use super::super::suggest::{either, nearest};
use super::super::words::quoted;
use super::{job, repeated};
use crate::api::Duration;
use crate::influxql::{BUILT_IN, Effect, FillError, Reading};

/// The analyses of a rollout: its own, and each stage's or gate's.
pub(in super::super) fn analyses<'a>(spec: &Node<'a>) -> (Node<'a>, Vec<Node<'a>>) {
    let stages = spec.at(&["strategy", "canary", "stages"]).items();
    let of_stages = stages.iter().map(|stage| stage.get("analysis"));
    let gates = ["prePromotion", "postPromotion"];
    let of_gates = gates.map(|gate| spec.at(&["strategy", "blueGreen", gate, "analysis"]));
    let of_preview = spec.at(&["strategy", "preview", "checks", "analysis"]);
    let all = of_stages.chain(of_gates).chain([of_preview]);
    (spec.get("analysis"), all.collect())
}

pub(super) fn check_rollout(spec: &Node<'_>, findings: &mut Findings) {
    let (shared, of_stages) = analyses(spec);
    let shared_names: BTreeSet<_> = names(&shared).into_iter().collect();
    // What has no traffic is not measured by the rollout's own analysis.
    let unshared = [
        &["strategy", "blueGreen", "prePromotion", "analysis"],
        &["strategy", "preview", "checks", "analysis"],
    ];
    let without_traffic = unshared.map(|path| spec.at(path).path);
    check_analysis(&shared, None, findings);
    for analysis in &of_stages {
        check_analysis(analysis, shared.get("source").text(), findings);
        if without_traffic.contains(&analysis.path) {
            continue;
        }
        for metric in analysis.get("metrics").items() {
            let name = metric.get("name");
            if name.text().is_some_and(|text| shared_names.contains(text)) {
                findings.error(
                    &name.path,
                    "the rollout's own analysis has a metric of this name, which is measured in every stage",
                    "choose another name, or remove one of them",
                );
            }
        }
    }
}

fn names<'a>(analysis: &Node<'a>) -> Vec<&'a str> {
    let metrics = analysis.get("metrics").items();
    metrics
        .iter()
        .filter_map(|m| m.get("name").text())
        .collect()
}

fn check_analysis(analysis: &Node<'_>, fallback: Option<&str>, findings: &mut Findings) {
    if !analysis.value.is_object() {
        return;
    }
    let metrics = analysis.get("metrics");
    let templates = analysis.get("templates");
    let empty =
        |node: &Node<'_>| !node.is_given() || node.value.as_array().is_some_and(Vec::is_empty);
    if empty(&metrics) && empty(&templates) {
        findings.error(
            &analysis.path,
            "nothing is measured",
            "give `metrics` or `templates`, or remove the analysis",
        );
    }
    pause(&analysis.get("interval"), findings);
    for (first, item) in repeated(&templates.items(), |item| item.get("name").text()) {
        findings.error(
            &item.get("name").path,
            format!(
                "the template is used already, as item {first}, and its metrics have one name each"
            ),
            "use a template once in an analysis",
        );
    }
    let source = analysis.get("source").text().or(fallback);
    check_metrics(&metrics.items(), source, &Scope::Rollout, findings);
}

/// Where a query stands, which decides what placeholders it may use.
enum Scope<'a> {
    Rollout,
    Template(BTreeSet<&'a str>),
}

impl Scope<'_> {
    fn arguments(&self) -> Vec<String> {
        match self {
            Self::Rollout => Vec::new(),
            Self::Template(names) => names.iter().map(|name| format!("args.{name}")).collect(),
        }
    }

    fn known(&self) -> Vec<String> {
        let built_in = BUILT_IN.map(str::to_owned);
        built_in.into_iter().chain(self.arguments()).collect()
    }

    /// The known placeholder that `name` is, or was most likely meant to be.
    fn meant(&self, name: &str) -> Option<String> {
        let known = self.known();
        let spelt = [name.to_owned(), format!("args.{name}")];
        if let Some(right) = spelt.iter().find(|right| known.contains(right)) {
            return Some(right.clone());
        }
        nearest(name, known.iter().map(String::as_str)).map(str::to_owned)
    }

    /// What may stand in a query, for people.
    fn choice(&self) -> String {
        let known = self.known();
        let known = known.iter().map(String::as_str);
        match self {
            Self::Template(names) if names.is_empty() => {
                let all = either(known.chain(["args.NAME"]));
                format!("{all}, with NAME in the template's `args`")
            }
            Self::Rollout | Self::Template(_) => either(known),
        }
    }
}

fn check_metrics(
    metrics: &[Node<'_>],
    source: Option<&str>,
    scope: &Scope<'_>,
    findings: &mut Findings,
) {
    for (first, metric) in repeated(metrics, |metric| metric.get("name").text()) {
        findings.error(
            &metric.get("name").path,
            format!("metric {first} has the same name"),
            "give each metric of a stage a name of its own",
        );
    }
    for metric in metrics.iter().filter(|metric| metric.value.is_object()) {
        if metric.get("job").is_given() {
            job::check(metric, findings);
            continue;
        }
        if !metric.get("query").is_given() {
            continue; // The schema's rule says that.
        }
        bounds(metric, findings);
        pause(&metric.get("interval"), findings);
        if source.is_none() && !metric.get("source").is_given() {
            let owner = match scope {
                Scope::Rollout => "analysis",
                Scope::Template(_) => "template",
            };
            findings.error(
                &metric.get("source").path,
                "no source is named for this metric",
                format!("name a MetricSource in the metric's or the {owner}'s `source`"),
            );
        }
        if let Some(query) = metric.get("query").text() {
            check_query(query, &metric.get("query"), scope, findings);
        }
    }
}

fn bounds(metric: &Node<'_>, findings: &mut Findings) {
    let (max, min) = (metric.get("max"), metric.get("min"));
    if !max.is_given() && !min.is_given() {
        if !findings.has_error_at(&max.path) && !findings.has_error_at(&min.path) {
            findings.error(
                &metric.path,
                "neither `max` nor `min` is given, so no value could fail",
                "add the largest or the smallest value that passes",
            );
        }
        return;
    }
    if let (Some(most), Some(least)) = (max.read::<f64>(), min.read::<f64>())
        && least > most
    {
        findings.error(
            &min.path,
            format!("the minimum {least} is above the maximum {most}, so no value could pass"),
            "write a minimum that is not above the maximum",
        );
    }
}

/// The collector writes once a second: asking more often finds nothing new.
fn pause(interval: &Node<'_>, findings: &mut Findings) {
    let short = |interval: &Duration| !interval.is_zero() && *interval < Duration::from_secs(1);
    if let Some(interval_read) = interval.read::<Duration>().filter(short) {
        findings.warning(
            &interval.path,
            format!("{interval_read} is less than the second in which measurements are collected"),
            "write `1s` or more",
        );
    }
}

fn check_query(query: &str, node: &Node<'_>, scope: &Scope<'_>, findings: &mut Findings) {
    if query.is_empty() {
        return;
    }
    let reading = match Reading::of(query) {
        Ok(reading) => reading,
        Err(error) => return findings.error(&node.path, error.problem(), error.remedy()),
    };
    for name in reading.placeholders() {
        check_placeholder(name, node, scope, findings);
    }
    for refusal in reading.refusals() {
        if !is_told(refusal, &reading, scope) {
            findings.error(&node.path, refusal.problem(), refusal.remedy());
        }
    }
    let is_select = |refusal: &FillError| !matches!(refusal, FillError::NotOneSelect(_));
    if !reading.refusals().iter().all(is_select) {
        return;
    }
    for flaw in reading.flaws() {
        let (problem, remedy) = (flaw.problem(), flaw.remedy());
        match flaw.effect() {
            Effect::Never => findings.error(&node.path, problem, remedy),
            Effect::Perhaps => findings.warning(&node.path, problem, remedy),
        }
    }
}

/// Whether another finding says it already: a misspelt window is said to be that, and not to be missing as well.
fn is_told(refusal: &FillError, reading: &Reading<'_>, scope: &Scope<'_>) -> bool {
    match refusal {
        FillError::Bare(name) => !scope.known().contains(name),
        FillError::NoWindow => {
            let mut names = reading.placeholders().iter();
            names.any(|name| scope.meant(name).as_deref() == Some("window"))
        }
        FillError::Unterminated(_)
        | FillError::Unknown { .. }
        | FillError::QuotedWindow
        | FillError::Regex
        | FillError::Control(_)
        | FillError::NotOneSelect(_) => false,
    }
}

fn check_placeholder(name: &str, node: &Node<'_>, scope: &Scope<'_>, findings: &mut Findings) {
    if scope.known().iter().any(|known| known == name) {
        return;
    }
    if let (Scope::Rollout, Some(_)) = (scope, name.strip_prefix("args.")) {
        findings.error(
            &node.path,
            format!(
                "{} is an argument, and only an AnalysisTemplate has arguments",
                quoted(name)
            ),
            "write the value itself, or move the metric to an AnalysisTemplate",
        );
        return;
    }
    let remedy = match scope.meant(name) {
        Some(meant) => format!("did you mean `{meant}`? Known: {}", scope.choice()),
        None => format!("known: {}", scope.choice()),
    };
    findings.error(
        &node.path,
        format!("the placeholder {} is not known", quoted(name)),
        remedy,
    );
}

pub(super) fn check_template(spec: &Node<'_>, findings: &mut Findings) {
    let args = spec.get("args").items();
    for (first, item) in repeated(&args, |item| item.get("name").text()) {
        findings.error(
            &item.get("name").path,
            format!("argument {first} has the same name"),
            "keep one of them",
        );
    }
    pause(&spec.get("interval"), findings);
    let names: BTreeSet<_> = args.iter().filter_map(|a| a.get("name").text()).collect();
    let scope = Scope::Template(names);
    let metrics = spec.get("metrics").items();
    let used = placeholders_used(&metrics, &scope);
    let unreadable = unreadable(&metrics);
    // A job is told all of them, and what it makes of them is its own matter.
    let has_job = metrics.iter().any(|metric| metric.get("job").is_given());
    for item in args.iter().filter(|_| !has_job) {
        let name = item.get("name");
        let is_used = |text: &str| {
            let name = format!("args.{text}");
            used.contains(&name) || unreadable.iter().any(|query| query.contains(&name))
        };
        if name.text().is_some_and(|text| !is_used(text)) {
            findings.warning(
                &name.path,
                "no query uses this argument",
                "use it as `{{ args.NAME }}`, or remove it",
            );
        }
    }
    let source = spec.get("source").text();
    check_metrics(&metrics, source, &scope, findings);
}

/// The placeholders that the metrics' queries use, misspelt or not.
fn placeholders_used(metrics: &[Node<'_>], scope: &Scope<'_>) -> BTreeSet<String> {
    let queries = metrics
        .iter()
        .filter_map(|metric| metric.get("query").text());
    queries
        .filter_map(|query| Reading::of(query).ok())
        .flat_map(|reading| reading.placeholders().to_vec())
        .filter_map(|name| scope.meant(name))
        .collect()
}

/// The queries in which not every placeholder is found, for the reason that is told of each.
fn unreadable<'a>(metrics: &[Node<'a>]) -> Vec<&'a str> {
    let queries = metrics
        .iter()
        .filter_map(|metric| metric.get("query").text());
    let is_readable = |query: &str| {
        Reading::of(query).is_ok_and(|reading| !reading.refusals().contains(&FillError::Regex))
    };
    queries.filter(|query| !is_readable(query)).collect()
}

pub(super) fn check_source(spec: &Node<'_>, findings: &mut Findings) {
    let influxdb = spec.get("influxdb");
    let token_file = influxdb.get("tokenFile");
    if token_file.text().is_some_and(|path| !path.starts_with('/')) {
        findings.error(
            &token_file.path,
            "the path is relative, and the controller may run anywhere",
            "write an absolute path, such as `/run/secrets/influx_token`",
        );
    }
    let url = influxdb.get("url");
    if !findings.has_error_at(&url.path)
        && let Some(text) = url.text()
        && text.contains(['?', '#'])
    {
        findings.error(
            &url.path,
            "the URL has a query or fragment",
            "write the server's base URL, such as `http://influxdb:8086`",
        );
    }
}
