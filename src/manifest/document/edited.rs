//! A document as edits make it: its overlay laid over it, and values set. What is found in it points at where it comes from.

use serde_json::Value;

use super::super::diagnostic::Finding;
use super::super::edits::Edits;
use super::super::path::FieldPath;
use super::super::{overlay, schema, setting};
use super::Document;
use crate::api::Kind;

/// A value that was set, or could not be.
#[derive(Clone, Debug)]
pub(super) struct Set {
    /// Which of the settings it was.
    index: usize,
    /// As it was written.
    written: String,
    /// The topmost field that is new or another one; nothing if there was no place for it.
    field: Option<FieldPath>,
}

impl Document {
    /// The names of the overlays that it has.
    pub fn overlays(&self) -> impl Iterator<Item = &str> {
        self.overlays.iter().map(String::as_str)
    }

    /// The name of the overlay that was laid over it.
    pub fn laid(&self) -> Option<&str> {
        self.laid.as_ref().map(|laid| laid.name.as_str())
    }

    /// Its name before an overlay gave it another one, if it is a rollout.
    pub fn base_name(&self) -> Option<&str> {
        self.base_name.as_deref()
    }

    /// Whether the setting number `index` was meant for this.
    pub fn has_met(&self, index: usize) -> bool {
        self.set.iter().any(|set| set.index == index)
    }

    /// Makes of its values what `edits` say. Only a rollout has overlays and values that are set.
    pub(super) fn edit(&mut self, kind: Kind, edits: &Edits) {
        if kind != Kind::Rollout {
            return;
        }
        self.overlays = overlay::names(&self.value);
        self.base_name = self.name().map(str::to_owned);
        if let Some(chosen) = &edits.overlay {
            self.laid = overlay::lay(&mut self.value, chosen, &mut self.findings);
        }
        if let (Some(laid), Some(places)) = (&self.laid, &mut self.places) {
            for (list, names) in &laid.spelled {
                places.name_items(list, names);
            }
            for field in &laid.fields {
                if let Some(from) = laid.origin(field) {
                    places.carry(&from, field);
                }
            }
        }
        for (index, setting) in edits.settings.iter().enumerate() {
            let wanted = setting.rollout.as_deref();
            if wanted.is_some() && wanted != self.name() && wanted != self.base_name() {
                continue;
            }
            let schema = schema::rollout();
            let field = setting::set(&mut self.value, setting, schema, &mut self.findings);
            if let (Some(field), Some(places)) = (&field, &mut self.places) {
                places.forget(field);
            }
            self.set.push(Set {
                index,
                written: setting.to_string(),
                field,
            });
        }
    }

    /// The field and the problem of a finding, with where the value comes from if the field does not tell.
    pub(super) fn as_edited(&self, finding: &Finding) -> (String, String) {
        let is_set = |set: &&Set| {
            let field = set.field.as_ref();
            field.is_some_and(|field| finding.path.is_in(field))
        };
        if let Some(set) = self.set.iter().rev().find(is_set) {
            let problem = format!("{} (by `--set {}`)", finding.problem, set.written);
            return (finding.path.to_string(), problem);
        }
        let origin = self
            .laid
            .as_ref()
            .and_then(|laid| laid.origin(&finding.path));
        let field = origin.as_ref().unwrap_or(&finding.path).to_string();
        (field, finding.problem.clone())
    }
}

/// Overlays are no part of the resource.
pub(super) fn without_overlays(kind: Kind, value: &mut Value) {
    if let (Kind::Rollout, Value::Object(fields)) = (kind, value) {
        fields.remove(overlay::FIELD);
    }
}
