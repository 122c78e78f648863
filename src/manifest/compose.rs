//! A service of a Compose or stack file, read as `docker stack deploy` would deploy it (docker/cli, `cli/compose`), for
//! an import.
//!
//! Every field of the service is either taken over or told with its place. Nothing here reads a file or the
//! environment by itself: see [`Surroundings`].

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use serde_json::{Map, Value};

use super::adoption::Adoptee;
use super::diagnostic::Diagnostic;
use super::document::Document;
use super::node::Node;
use super::suggest::{either, nearest};
use super::{Severity, Source};
use crate::api::Template;

mod container;
mod deploy;
mod environment;
mod interpolation;
mod mounts;
mod names;
mod ports;
mod quantities;
mod reader;
#[cfg(test)]
mod tests;

use reader::Reader;

/// What a Compose file does not say itself.
#[derive(Clone)]
pub struct Surroundings<'a> {
    /// The stack's name, which begins the names of what the file defines.
    pub stack: Option<&'a str>,
    /// The file's directory, absolute: paths in the file begin there.
    pub directory: PathBuf,
    /// The value of a variable of the environment.
    pub variable: &'a dyn Fn(&str) -> Option<String>,
    /// The text of a file (`env_file`).
    pub file: &'a dyn Fn(&Path) -> Result<String, String>,
}

/// Reads the service `service`, by its name in the file or, if the stack is known, in the Swarm.
///
/// # Errors
/// Everything that is wrong with the file, or that it has no such service.
pub fn read(
    source: &Source,
    service: &str,
    around: &Surroundings<'_>,
) -> Result<Adoptee, Vec<Diagnostic>> {
    let mut document = match source.text() {
        Ok(text) => Document::plain(text),
        Err(at) => Document::unreadable(
            0,
            (at.line, at.column),
            "the file is not UTF-8 text from here on".to_owned(),
            "save it as UTF-8; check that it is a Compose file",
        ),
    };
    let unset = interpolation::replace(&mut document, around.variable);
    let mut reader = Reader::new(&source.name, around);
    let found = if document.findings.has_errors() {
        None
    } else {
        find(&mut document, service, around).and_then(|name| {
            reader.tell_unset(&document, &name, &unset);
            adoptee(&mut reader, &document, service, &name)
        })
    };
    let findings = reader.take_findings();
    document.findings.append(findings);
    let mut errors = document.diagnostics(&source.name);
    errors.sort_by_key(|found| (found.line, found.column));
    match found {
        Some(adoptee) if errors.iter().all(|found| found.severity != Severity::Error) => {
            Ok(adoptee)
        }
        _ => Err(errors),
    }
}

/// The service's name in the file.
fn find(document: &mut Document, service: &str, around: &Surroundings<'_>) -> Option<String> {
    let value = document.value.clone();
    let services = Node::root(&value).get("services");
    let names: Vec<_> = services.fields().iter().map(|(name, _)| *name).collect();
    let bare = around
        .stack
        .and_then(|stack| service.strip_prefix(stack)?.strip_prefix('_'));
    let known = |name: &&str| names.contains(name);
    if let Some(name) = [Some(service), bare].into_iter().flatten().find(known) {
        return Some(name.to_owned());
    }
    let suffix = service
        .split_once('_')
        .map(|(_, name)| name)
        .filter(|name| known(name));
    let remedy = if let Some(name) = suffix {
        format!("write `{name}`, or give the stack's name by --stack")
    } else if let Some(near) = nearest(service, names.iter().copied()) {
        format!("did you mean `{near}`?")
    } else {
        format!("there is {}", either(names))
    };
    document.findings.error(
        &services.path,
        format!("there is no service `{service}`"),
        remedy,
    );
    None
}

/// By which names others call the service: its own, and its name in the file, which `docker stack deploy` makes an alias.
fn called(service: &str, name: &str, aliases: Option<Vec<String>>) -> BTreeSet<String> {
    let Some(aliases) = aliases else {
        return BTreeSet::new();
    };
    let own = [service, name].map(str::to_owned);
    own.into_iter().chain(aliases).collect()
}

fn adoptee<'a>(
    reader: &mut Reader<'a>,
    document: &'a Document,
    service: &str,
    name: &str,
) -> Option<Adoptee> {
    reader.document = Some(document);
    let root = Node::root(&document.value);
    let node = root.at(&["services", name]);
    let mut template = Map::new();
    let mut about = container::About::default();
    for (field, value) in node.fields() {
        container::field(reader, &root, field, &value, &mut template, &mut about);
    }
    container::restart(reader, &node, &mut template);
    environment::read(reader, &node, &mut template);
    let names = mounts::networks(reader, &root, &node, &mut template);
    if !node.get("image").is_given() {
        reader.findings.error(
            &node.path,
            "the service has no image",
            "build and push one, and name it in `image`",
        );
    }
    match serde_json::from_value::<Template>(Value::Object(template)) {
        Ok(template) => Some(Adoptee {
            service: service.to_owned(),
            template,
            replicas: about.replicas.or(Some(1)).filter(|_| !about.is_global),
            ports: about.ports,
            names: called(service, name, names),
            remarks: reader.take_remarks(),
        }),
        Err(error) => {
            if !reader.findings.has_errors() {
                let remedy = "see what Compose's documentation says of it";
                reader.findings.error(&node.path, error.to_string(), remedy);
            }
            None
        }
    }
}
