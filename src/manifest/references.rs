//! What resources say of each other: names that must exist, arguments that must be given, things
//! that only one of them may have.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::diagnostic::Findings;
use super::document::Document;
use super::node::Node;
use super::path::FieldPath;
use super::rules::analyses;
use super::suggest::nearest;
use super::words::quoted;
use super::{Applied, Known, Source};
use crate::api::{Kind, Route};

/// The resources that a reference may lead to, with their values.
type Catalogue = BTreeMap<Kind, BTreeMap<String, Value>>;

/// Checks all references of `documents`, and adds what it finds to theirs.
pub(super) fn check(sources: &[Source], documents: &mut [Document], known: Known<'_>) {
    let catalogue = catalogue(documents, known);
    let mut registry = Registry::new(documents, known);
    for document in documents {
        let mut found = Findings::default();
        registry.enter(sources, document, &mut found);
        let checker = Checker {
            catalogue: &catalogue,
            known,
        };
        let root = Node::root(&document.value);
        match document.kind {
            Some(Kind::Rollout) => checker.rollout(&root.get("spec"), &mut found),
            Some(Kind::AnalysisTemplate) => checker.sources(&root.get("spec"), &mut found),
            Some(Kind::LoadBalancer | Kind::MetricSource) | None => {}
        }
        document.findings.append(found);
    }
}

fn catalogue(documents: &[Document], known: Known<'_>) -> Catalogue {
    let mut catalogue = Catalogue::new();
    if let Known::Applied(all) = known {
        for Applied { resource, .. } in all {
            catalogue
                .entry(resource.kind())
                .or_default()
                .insert(resource.name().to_string(), resource.to_json());
        }
    }
    for document in documents {
        if let (Some(kind), Some(name)) = (document.kind, document.name()) {
            catalogue
                .entry(kind)
                .or_default()
                .insert(name.to_owned(), document.value.clone());
        }
    }
    catalogue
}

/// What only one resource may have: its name among its kind, and a backend (SAFETY-4).
struct Registry {
    names: BTreeMap<(Kind, String), String>,
    backends: BTreeMap<(String, String), String>,
    /// Where the servers of applied rollouts are, by their names.
    routes: BTreeMap<String, Route>,
}

impl Registry {
    /// Begins with the backends of applied rollouts that the documents do not replace.
    fn new(documents: &[Document], known: Known<'_>) -> Self {
        let mut backends = BTreeMap::new();
        let mut routes = BTreeMap::new();
        let given: BTreeSet<_> = documents
            .iter()
            .filter(|document| document.kind == Some(Kind::Rollout))
            .filter_map(Document::name)
            .collect();
        if let Known::Applied(all) = known {
            for Applied { resource, route } in all {
                let name = resource.name().as_str();
                if let Some(route) = route {
                    routes.insert(name.to_owned(), route.clone());
                }
                let value = resource.to_json();
                if resource.kind() == Kind::Rollout
                    && !given.contains(name)
                    && let Some(claim) = claim(&Node::root(&value))
                {
                    backends.insert(claim, format!("the applied Rollout {}", quoted(name)));
                }
            }
        }
        // Who has its servers there has it, and who came later is the one that is told (SAFETY-4): a rival that is stored
        // all the same must not keep the others from being changed.
        let has_servers = |name: &&str| routes.get(*name);
        for route in given.iter().filter_map(has_servers) {
            let claim = (route.load_balancer.to_string(), route.backend.clone());
            backends.remove(&claim);
        }
        Self {
            names: BTreeMap::new(),
            backends,
            routes,
        }
    }

    fn enter(&mut self, sources: &[Source], document: &Document, findings: &mut Findings) {
        let (Some(kind), Some(name)) = (document.kind, document.name()) else {
            return;
        };
        let root = Node::root(&document.value);
        let name_path = root.at(&["metadata", "name"]).path;
        let place = |path: &FieldPath| {
            format!(
                "{}:{}",
                sources[document.source].name,
                document.line_of(path)
            )
        };
        let key = (kind, name.to_owned());
        if let Some(first) = self.names.get(&key) {
            findings.error(
                &name_path,
                format!("there is a {kind} {} already, at {first}", quoted(name)),
                "give each resource of a kind a name of its own",
            );
            return;
        }
        self.names.insert(key, place(&name_path));
        if kind != Kind::Rollout {
            return;
        }
        self.stays(name, &root, findings);
        let Some(claim) = claim(&root) else {
            return;
        };
        let path = root.at(&["spec", "traffic", "backend"]).path;
        if let Some(first) = self.backends.get(&claim) {
            findings.error(
                &path,
                format!("{first} has this backend of this load balancer"),
                "give each rollout a backend of its own; two would undo each other's weights",
            );
        } else {
            let owner = format!("the Rollout {} at {}", quoted(name), place(&path));
            self.backends.insert(claim, owner);
        }
    }
}

impl Registry {
    /// A rollout's servers cannot follow it to another back end.
    fn stays(&self, name: &str, root: &Node<'_>, findings: &mut Findings) {
        let Some(route) = self.routes.get(name) else {
            return;
        };
        let preview = root.at(&["spec", "strategy", "preview"]);
        if preview.is_given() {
            findings.error(
                &preview.path,
                format!(
                    "the rollout serves from backend {} of load balancer {}, and a preview serves nobody",
                    quoted(&route.backend),
                    quoted(route.load_balancer.as_str())
                ),
                "give the preview a name of its own",
            );
            return;
        }
        let traffic = root.at(&["spec", "traffic"]);
        let is = [
            ("loadBalancer", route.load_balancer.as_str()),
            ("backend", route.backend.as_str()),
        ];
        for (field, current) in is {
            let node = traffic.get(field);
            if node.text().is_some_and(|wanted| wanted != current) {
                findings.error(
                    &node.path,
                    format!(
                        "the rollout's servers are in backend {} of load balancer {}, and would be left behind, serving",
                        quoted(&route.backend),
                        quoted(route.load_balancer.as_str())
                    ),
                    format!("write {current}, or apply this under another name and delete the rollout"),
                );
            }
        }
    }
}

/// The load balancer and backend that a rollout claims.
fn claim(root: &Node<'_>) -> Option<(String, String)> {
    if is_preview(&root.get("spec")) {
        return None;
    }
    let traffic = root.at(&["spec", "traffic"]);
    let load_balancer = traffic.get("loadBalancer").text()?;
    let backend = traffic.get("backend").text()?;
    Some((load_balancer.to_owned(), backend.to_owned()))
}

/// The back end that a document asks for, if it is one of a rollout.
pub(super) fn asked_for(document: &Document) -> Option<Route> {
    if document.kind != Some(Kind::Rollout) {
        return None;
    }
    let (load_balancer, backend) = claim(&Node::root(&document.value))?;
    Some(Route {
        load_balancer: load_balancer.parse().ok()?,
        backend,
    })
}

/// Whether a rollout's spec asks for a preview, which has no part in the traffic.
fn is_preview(spec: &Node<'_>) -> bool {
    spec.at(&["strategy", "preview"]).is_given()
}

struct Checker<'a> {
    catalogue: &'a Catalogue,
    known: Known<'a>,
}

impl<'a> Checker<'a> {
    fn rollout(&self, spec: &Node<'_>, findings: &mut Findings) {
        if !is_preview(spec) {
            let load_balancer = spec.at(&["traffic", "loadBalancer"]);
            self.exists(Kind::LoadBalancer, &load_balancer, findings);
        }
        let (shared, of_stages) = analyses(spec);
        for analysis in std::iter::once(&shared).chain(&of_stages) {
            self.sources(analysis, findings);
            for used in analysis.get("templates").items() {
                self.template(&used, findings);
            }
        }
        let mut everywhere = BTreeMap::new();
        self.unique_metrics(&shared, &mut everywhere, findings);
        for analysis in &of_stages {
            self.unique_metrics(analysis, &mut everywhere.clone(), findings);
        }
    }

    /// The sources of an analysis or an analysis template.
    fn sources(&self, analysis: &Node<'_>, findings: &mut Findings) {
        self.exists(Kind::MetricSource, &analysis.get("source"), findings);
        for metric in analysis.get("metrics").items() {
            self.exists(Kind::MetricSource, &metric.get("source"), findings);
        }
    }

    fn names(&self, kind: Kind) -> impl Iterator<Item = &'a str> {
        let resources = self.catalogue.get(&kind);
        resources
            .into_iter()
            .flat_map(|map| map.keys().map(String::as_str))
    }

    fn exists(&self, kind: Kind, reference: &Node<'_>, findings: &mut Findings) {
        let Some(name) = reference.text() else { return };
        if self.names(kind).any(|known| known == name) {
            return;
        }
        let meant = nearest(name, self.names(kind)).filter(|meant| !differ_in_number(name, meant));
        match (meant, self.known) {
            (Some(meant), _) => findings.error(
                &reference.path,
                format!("there is no {kind} {}", quoted(name)),
                format!("did you mean `{meant}`?"),
            ),
            (None, Known::Applied(_)) => findings.error(
                &reference.path,
                format!("there is no {kind} {}", quoted(name)),
                "apply it together with this, or name one that exists",
            ),
            (None, Known::SourcesOnly) => findings.warning(
                &reference.path,
                format!("the {kind} {} is not in these files", quoted(name)),
                "make sure that it is applied already, or give its file as well",
            ),
        }
    }

    fn template(&self, used: &Node<'_>, findings: &mut Findings) {
        let name = used.get("name");
        self.exists(Kind::AnalysisTemplate, &name, findings);
        let Some(template) = name.text().and_then(|name| self.find_template(name)) else {
            return;
        };
        let declared = template.at(&["spec", "args"]).items();
        let names: Vec<_> = declared
            .iter()
            .filter_map(|a| a.get("name").text())
            .collect();
        let given = used.get("args");
        for (argument, node) in given.fields() {
            if !names.contains(&argument) {
                let remedy = match nearest(argument, names.iter().copied()) {
                    Some(meant) => format!("did you mean `{meant}`?"),
                    None => "remove it, or add it to the template's `args`".to_owned(),
                };
                findings.key_error(&node.path, "the template has no such argument", remedy);
            }
        }
        for argument in &declared {
            let needed = !argument.get("value").is_given();
            let Some(name) = argument.get("name").text().filter(|_| needed) else {
                continue;
            };
            let misspelt = given.fields().iter().any(|(argument, _)| {
                !names.contains(argument) && nearest(argument, names.iter().copied()) == Some(name)
            });
            if !given.get(name).is_given() && !misspelt {
                findings.error(
                    &given.get(name).path,
                    "is missing, and the template gives it no value",
                    format!("add `args: {{{name}: ...}}`"),
                );
            }
        }
    }

    fn find_template(&self, name: &str) -> Option<Node<'a>> {
        let template = self.catalogue.get(&Kind::AnalysisTemplate)?.get(name)?;
        Some(Node::root(template))
    }

    /// Metrics are told apart by name within a stage, wherever they come from. Two that stand in
    /// the manifest itself are found by the rules; here are those that a template brings.
    fn unique_metrics(
        &self,
        analysis: &Node<'_>,
        seen: &mut BTreeMap<String, Origin>,
        findings: &mut Findings,
    ) {
        for metric in analysis.get("metrics").items() {
            let name = metric.get("name");
            let Some(text) = name.text() else { continue };
            match seen.get(text) {
                Some(Origin::Template { name: template, .. }) => findings.error(
                    &name.path,
                    format!(
                        "the template {} has a metric of this name",
                        quoted(template)
                    ),
                    "choose another name",
                ),
                Some(Origin::Manifest) => {}
                None => {
                    seen.insert(text.to_owned(), Origin::Manifest);
                }
            }
        }
        for used in analysis.get("templates").items() {
            let used_name = used.get("name");
            let Some(text) = used_name.text() else {
                continue;
            };
            let Some(template) = self.find_template(text) else {
                continue;
            };
            for metric in template.at(&["spec", "metrics"]).items() {
                let Some(name) = metric.get("name").text() else {
                    continue;
                };
                let origin = Origin::Template {
                    name: text.to_owned(),
                    analysis: analysis.path.clone(),
                };
                // A template that an analysis uses twice, or that names a metric twice, is
                // reported as that.
                let before = seen.insert(name.to_owned(), origin.clone());
                if before.is_some_and(|before| before != origin) {
                    findings.error(
                        &used_name.path,
                        format!(
                            "its metric {} is measured in this stage already",
                            quoted(name)
                        ),
                        "rename one of the two metrics",
                    );
                }
            }
        }
    }
}

/// Where a metric of a stage comes from.
#[derive(Clone, PartialEq, Eq)]
enum Origin {
    Manifest,
    Template { name: String, analysis: FieldPath },
}

/// `edge-1` and `edge-2` are two names, not a typo.
fn differ_in_number(left: &str, right: &str) -> bool {
    let letters = |text: &str| text.replace(|c: char| c.is_ascii_digit(), "");
    letters(left) == letters(right)
}
