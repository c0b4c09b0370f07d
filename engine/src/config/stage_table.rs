//! The table of a stage.

use std::sync::Arc;

use super::diagnostics::Diagnostic;
use super::document::Document;
use super::node::Node;
use super::schema::{DiagnosticTarget, check, rejected_by_type};
use super::schemas::StageType;
use super::source_map::Span;
use super::stage_spec::StageSpec;
use crate::stage::{Descriptor, Role, StageConfig};

/// The table of a stage in a document.
pub(super) struct StageTable<'a> {
    pub(super) role: Role,
    /// The stage's name in messages.
    pub(super) label: String,
    /// The keys and indices that lead to the table.
    pub(super) path: Vec<String>,
    /// Its type, where such a stage exists.
    pub(super) stage_type: Option<StageType<'a>>,
}

impl StageTable<'_> {
    /// Its role and its name.
    fn title(&self) -> String {
        format!("{} `{}`", self.role, self.label)
    }

    /// Its configuration, where nothing is wrong with the table by itself.
    pub(super) fn read(&self, document: &Document, problems: &mut Vec<Diagnostic>) -> Option<StageConfig> {
        let StageType { descriptor, schema } = self.stage_type?;
        let node = document.root.find(&self.path).node;
        let title = self.title();
        let target = DiagnosticTarget { schema, node, title: &title, without: &Descriptor::ENGINE_KEYS };
        let (json, mut found) = check(&target);
        if let Some(problem) = self.keys_of_another_type(document, node, schema) {
            let keys: Vec<Span> = node.table().map_or(&[][..], |table| &table.0).iter().map(|e| e.key_span).collect();
            found.retain(|other| !other.span.is_some_and(|span| keys.contains(&span) && document.in_file(span)));
            problems.push(problem);
        }
        let mut invalid = Vec::new();
        node.invalid(&mut invalid);
        problems.extend(found);
        match descriptor.parse(json.filter(|_| invalid.is_empty())?) {
            Ok(parsed) => Some(parsed),
            Err(error) => {
                problems.push(rejected_by_type(&target, &error, &document.redactions));
                None
            }
        }
    }

    /// The stage of this table with its configuration; `None` where there is no such type.
    pub(super) fn spec<T: ?Sized>(&self, config: Arc<T>) -> Option<StageSpec<T>> {
        let kind = self.stage_type?.descriptor.name;
        Some(StageSpec { label: self.label.clone(), kind, config, path: self.path.clone(), role: self.role })
    }

    /// An error where an override changed nothing but the type, and the file has keys of another type.
    fn keys_of_another_type(&self, document: &Document, node: &Node, schema: &serde_json::Value) -> Option<Diagnostic> {
        let table = node.table()?;
        let kind = table.get("type").filter(|kind| !document.in_file(kind.span))?;
        let known = |key: &str| Descriptor::ENGINE_KEYS.contains(&key) || schema["properties"].get(key).is_some();
        let foreign = table.0.iter().filter(|entry| !known(&entry.key) && document.in_file(entry.key_span));
        let foreign: Vec<_> = foreign.map(|entry| format!("`{}`", entry.key)).collect();
        if foreign.is_empty() {
            return None;
        }
        let name = self.stage_type?.descriptor.name;
        let path = match self.role {
            Role::Transform => self.path.join("."),
            role => role.key().to_owned(),
        };
        let message = format!("the {} has no key {}, and the file gives it", self.title(), foreign.join(", "));
        Some(Diagnostic::error(message).at(kind.span).label("this changes the type and leaves the other keys").help(
            format!("set the whole table, with all that this type needs: `--set '{path}={{ type = \"{name}\" }}'`"),
        ))
    }
}
