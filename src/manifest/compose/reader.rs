//! What every reader of a field needs: places, remarks, errors, and values in the forms that YAML and variables give
//! them.

use std::collections::BTreeMap;

use serde_json::Value;

use super::super::adoption::{Effect, Remark};
use super::super::diagnostic::Findings;
use super::super::document::Document;
use super::super::node::Node;
use super::super::owned;
use super::super::path::FieldPath;
use super::super::words::describe;
use super::Surroundings;
use super::interpolation::Unset;

/// A file while it is read.
pub(super) struct Reader<'a> {
    pub document: Option<&'a Document>,
    pub around: &'a Surroundings<'a>,
    pub findings: Findings,
    file: &'a str,
    /// With their places, by which they are told.
    remarks: Vec<((usize, usize), Remark)>,
}

impl<'a> Reader<'a> {
    pub fn new(file: &'a str, around: &'a Surroundings<'a>) -> Self {
        Self {
            document: None,
            around,
            findings: Findings::default(),
            file,
            remarks: Vec::new(),
        }
    }

    pub fn take_remarks(&mut self) -> Vec<Remark> {
        let mut remarks = std::mem::take(&mut self.remarks);
        remarks.sort_by_key(|(place, _)| *place);
        remarks.into_iter().map(|(_, remark)| remark).collect()
    }

    pub fn take_findings(&mut self) -> Findings {
        std::mem::take(&mut self.findings)
    }

    /// Something that tasks will run without.
    pub fn lost(
        &mut self,
        path: &FieldPath,
        problem: impl Into<String>,
        remedy: impl Into<String>,
    ) {
        self.remark(Effect::Lost, path, problem.into(), remedy.into());
    }

    /// Something that the rollout does in its own way.
    pub fn replaced(
        &mut self,
        path: &FieldPath,
        problem: impl Into<String>,
        remedy: impl Into<String>,
    ) {
        self.remark(Effect::Replaced, path, problem.into(), remedy.into());
    }

    fn remark(&mut self, effect: Effect, path: &FieldPath, problem: String, remedy: String) {
        let (line, column) = self
            .document
            .map_or((1, 1), |document| document.place_of(path));
        let remark = Remark {
            place: format!("{}:{line}:{column}", self.file),
            field: path.to_string(),
            effect,
            problem,
            remedy,
        };
        self.remarks.push(((line, column), remark));
    }

    /// A field of `parent` (as a manifest calls that) that a Rollout has not.
    pub fn foreign(&mut self, parent: &str, node: &Node<'_>) {
        /// What `docker stack deploy` does not heed either, or does before the service is there.
        const HARMLESS: [&str; 9] = [
            "build",
            "container_name",
            "depends_on",
            "develop",
            "expose",
            "external_links",
            "links",
            "profiles",
            "pull_policy",
        ];
        let name = node.path.last_key().unwrap_or_default().to_owned();
        if name.starts_with("x-") || !node.is_given() {
            return;
        }
        let known = owned::field(&FieldPath::root().key(parent).key(&name));
        let (problem, remedy) = known.unwrap_or((
            "a template has no field for it",
            "look whether the tasks need it",
        ));
        if HARMLESS.contains(&name.as_str()) {
            self.replaced(&node.path, problem, remedy);
        } else {
            self.lost(&node.path, problem, remedy);
        }
    }

    /// All fields of `node` but `known`.
    pub fn others(&mut self, parent: &str, node: &Node<'_>, known: &[&str]) {
        for (name, field) in node.fields() {
            if !known.contains(&name) {
                self.foreign(parent, &field);
            }
        }
    }

    /// The variables that were replaced by nothing in the service and what it refers to.
    pub fn tell_unset(&mut self, document: &'a Document, service: &str, unset: &[Unset]) {
        self.document = Some(document);
        let mine = format!("services.{service}.");
        for Unset { path, variable } in unset {
            let text = path.to_string();
            if text.starts_with(&mine) || !text.starts_with("services.") {
                self.lost(
                    path,
                    format!("the variable {variable} is not set here, and nothing took its place"),
                    format!("set {variable} in the environment as for `docker stack deploy`, and run this again"),
                );
            }
        }
    }

    fn unfit(&mut self, node: &Node<'_>, wanted: &str) {
        let found = describe(node.value);
        self.findings.error(
            &node.path,
            format!("{found} stands here"),
            format!("write {wanted}"),
        );
    }

    /// A scalar as text, as it is written: `1.10` stays that.
    pub fn text(&mut self, node: &Node<'_>) -> Option<String> {
        match node.value {
            Value::Null => None,
            Value::String(text) => Some(text.clone()),
            Value::Bool(_) | Value::Number(_) => {
                let written = self
                    .document
                    .and_then(|document| document.written(&node.path));
                Some(written.map_or_else(|| node.value.to_string(), str::to_owned))
            }
            Value::Array(_) | Value::Object(_) => {
                self.unfit(node, "text");
                None
            }
        }
    }

    /// A whole number; a variable gives it as text.
    pub fn number(&mut self, node: &Node<'_>) -> Option<u64> {
        let text = self.text(node)?;
        let number = text.parse().ok();
        if number.is_none() {
            self.unfit(node, "a whole number");
        }
        number
    }

    /// `true` or `false`; a variable gives it as text.
    pub fn truth(&mut self, node: &Node<'_>) -> Option<bool> {
        let text = self.text(node)?;
        let truth = match text.to_ascii_lowercase().as_str() {
            "true" | "yes" | "on" | "y" | "1" => Some(true),
            "false" | "no" | "off" | "n" | "0" => Some(false),
            _ => None,
        };
        if truth.is_none() {
            self.unfit(node, "`true` or `false`");
        }
        truth
    }

    /// A list of texts, or one text.
    pub fn texts(&mut self, node: &Node<'_>) -> Vec<String> {
        if node.value.is_array() {
            let items = node.items();
            return items.iter().filter_map(|item| self.text(item)).collect();
        }
        self.text(node).into_iter().collect()
    }

    /// A mapping of texts, or a list of `NAME=value`; a name alone has an empty value.
    pub fn pairs(&mut self, node: &Node<'_>) -> BTreeMap<String, String> {
        if node.value.is_array() {
            let lines = self.texts(node).into_iter();
            return lines
                .map(|line| match line.split_once('=') {
                    Some((name, value)) => (name.to_owned(), value.to_owned()),
                    None => (line, String::new()),
                })
                .collect();
        }
        let fields = node.fields().into_iter();
        fields
            .map(|(name, value)| (name.to_owned(), self.text(&value).unwrap_or_default()))
            .collect()
    }
}
