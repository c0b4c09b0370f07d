//! The tables of a document that are stages.

use super::diagnostics::Diagnostic;
use super::document::Document;
use super::nearest;
use super::node::{Hidden, Node, Value};
use super::schema::{Subject, settle};
use super::source_map::Span;
use crate::stage::{Descriptor, Registry, Role, StageConfig};

/// A table that is a stage.
pub(super) struct StageTable {
    pub(super) role: Role,
    /// What messages call it.
    pub(super) label: String,
    /// What leads to it in the document.
    pub(super) path: Vec<String>,
    /// Its type, where there is such a stage.
    pub(super) descriptor: Option<&'static Descriptor>,
}

/// How the table of a role begins in TOML.
pub(super) fn header(role: Role) -> String {
    match role {
        Role::Transform => "[[transform]]".to_owned(),
        other => format!("[{}]", other.key()),
    }
}

/// Finds the tables that are stages, in the order of the data, and settles what text from the command line and the
/// environment in them is.
pub(super) fn find(
    root: &mut Node,
    registry: &Registry,
    problems: &mut Vec<Diagnostic>,
    hidden: &mut Vec<Hidden>,
) -> Vec<StageTable> {
    let mut finder = Finder { registry, problems, hidden, ids: Vec::new() };
    let mut stages = Vec::new();
    for role in Role::ALL {
        let Some(node) = root.make_table().and_then(|table| table.get_mut(role.key())) else {
            if matches!(role, Role::Source | Role::Sink) {
                let message = format!("the pipeline has no `{}`", header(role));
                finder.problems.push(Diagnostic::error(message));
            }
            continue;
        };
        as_toml(node);
        if role == Role::Transform {
            finder.transforms(node, &mut stages);
        } else {
            finder.single(role, node, &mut stages);
        }
    }
    label(&mut stages);
    stages
}

struct Finder<'a> {
    registry: &'a Registry,
    problems: &'a mut Vec<Diagnostic>,
    hidden: &'a mut Vec<Hidden>,
    ids: Vec<String>,
}

impl Finder<'_> {
    fn single(&mut self, role: Role, node: &mut Node, stages: &mut Vec<StageTable>) {
        let span = node.span;
        let mistake = match &node.value {
            Value::Table(_) => return stages.push(self.stage(role, node, vec![role.key().to_owned()])),
            Value::Array(items) if items.iter().all(|item| item.table().is_some()) => {
                let span = items.first().map_or(span, |first| first.span);
                Diagnostic::error(format!("a pipeline has one {role}"))
                    .at(span)
                    .label(format!("write `{}`", header(role)))
            }
            Value::Invalid(_) => return,
            _ => Diagnostic::error(format!("`{}` must be a table", role.key())).at(span),
        };
        self.problems.push(mistake);
    }

    fn transforms(&mut self, node: &mut Node, stages: &mut Vec<StageTable>) {
        let help = "each transform is a table of its own that begins with `[[transform]]`";
        let items = match &mut node.value {
            Value::Array(items) => items,
            Value::Invalid(_) => return,
            Value::Table(_) => {
                let problem = Diagnostic::error("a pipeline has a list of transforms").at(node.span);
                return self.problems.push(problem.label("write `[[transform]]`"));
            }
            _ => {
                return self
                    .problems
                    .push(Diagnostic::error("`transform` must be a list of tables").at(node.span).help(help));
            }
        };
        for (index, item) in items.iter_mut().enumerate() {
            as_toml(item);
            if item.table().is_some() {
                stages.push(self.stage(
                    Role::Transform,
                    item,
                    vec![Role::Transform.key().to_owned(), index.to_string()],
                ));
            } else if !matches!(item.value, Value::Invalid(_)) {
                self.problems.push(Diagnostic::error("a transform must be a table").at(item.span).help(help));
            }
        }
    }

    fn stage(&mut self, role: Role, node: &mut Node, path: Vec<String>) -> StageTable {
        for key in Descriptor::ENGINE_KEYS {
            if let Some(node) = node.make_table().and_then(|table| table.get_mut(key)) {
                as_text(node);
            }
        }
        let descriptor = self.kind(role, node);
        if let Some(descriptor) = descriptor {
            let schema = descriptor.schema().to_value();
            settle(node, &schema, &schema, self.hidden);
        }
        let label = match self.id(role, node) {
            Some(id) => id,
            None => descriptor.map_or(String::new(), |descriptor| descriptor.name.to_owned()),
        };
        StageTable { role, label, path, descriptor }
    }

    fn kind(&mut self, role: Role, node: &Node) -> Option<&'static Descriptor> {
        let known = || self.registry.names(role).map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
        let help = format!("the {role}s are {}", known());
        let Some(found) = node.table().and_then(|table| table.get("type")) else {
            let problem = Diagnostic::error(format!("missing key `type` in the {role}")).at_place(node.span);
            self.problems.push(problem.help(help));
            return None;
        };
        let name = match &found.value {
            Value::Text(name) => name,
            Value::Invalid(_) => return None,
            _ => {
                let problem = Diagnostic::error(format!("`type` of a {role} must be a string")).at(found.span);
                self.problems.push(problem.help(help));
                return None;
            }
        };
        let descriptor = self.registry.get(role, name);
        if descriptor.is_none() {
            let shown = if found.secret { String::new() } else { format!(" `{name}`") };
            let problem = Diagnostic::error(format!("unknown {role}{shown}")).at(found.span);
            let elsewhere = Role::ALL.into_iter().find(|other| self.registry.get(*other, name).is_some());
            self.problems.push(match (nearest(name, self.registry.names(role)), elsewhere) {
                _ if found.secret => problem.help(help),
                (_, Some(other)) => problem.label(format!("this is a {other}")).help(help),
                (Some(near), None) => problem.label(format!("did you mean `{near}`?")).help(help),
                (None, None) => problem.help(help),
            });
        }
        descriptor
    }

    fn id(&mut self, role: Role, node: &Node) -> Option<String> {
        let found = node.table().and_then(|table| table.get("id"))?;
        let problem = match &found.value {
            Value::Invalid(_) => return None,
            Value::Text(id) if !is_id(id) => Diagnostic::error(format!("invalid `id` of the {role}"))
                .label("must be letters, digits, `_` and `-`, a letter first"),
            Value::Text(id) if self.ids.contains(id) => {
                Diagnostic::error(format!("two stages have the id `{id}`")).label("an `id` names one stage")
            }
            Value::Text(id) => {
                self.ids.push(id.clone());
                return Some(id.clone());
            }
            _ => Diagnostic::error(format!("`id` of a {role} must be a string")),
        };
        self.problems.push(problem.at(found.span));
        None
    }
}

impl StageTable {
    /// What messages call it with its role.
    fn title(&self) -> String {
        format!("{} `{}`", self.role, self.label)
    }

    /// Its configuration, where nothing is wrong with it by itself.
    pub(super) fn read(&self, document: &Document, problems: &mut Vec<Diagnostic>) -> Option<StageConfig> {
        let descriptor = self.descriptor?;
        let schema = descriptor.schema().to_value();
        let node = document.root.find(&self.path).node;
        let title = self.title();
        let subject = Subject { schema: &schema, node, title: &title, without: &Descriptor::ENGINE_KEYS };
        let (json, mut found) = subject.check();
        if let Some(problem) = self.left_over(document, node, &schema) {
            let keys: Vec<Span> = node.table().map_or(&[][..], |table| &table.0).iter().map(|e| e.key_span).collect();
            found.retain(|other| !other.span.is_some_and(|span| keys.contains(&span) && in_file(document, span)));
            problems.push(problem);
        }
        let mut invalid = Vec::new();
        node.invalid(&mut invalid);
        problems.extend(found);
        match descriptor.parse(json.filter(|_| invalid.is_empty())?) {
            Ok(parsed) => Some(parsed),
            Err(error) => {
                problems.push(subject.refused(&error, &document.secrets));
                None
            }
        }
    }
}

impl StageTable {
    /// Where an override changed the type alone: the file's keys are those of another type.
    fn left_over(&self, document: &Document, node: &Node, schema: &serde_json::Value) -> Option<Diagnostic> {
        let table = node.table()?;
        let kind = table.get("type").filter(|kind| !in_file(document, kind.span))?;
        let known = |key: &str| Descriptor::ENGINE_KEYS.contains(&key) || schema["properties"].get(key).is_some();
        let foreign = table.0.iter().filter(|entry| !known(&entry.key) && in_file(document, entry.key_span));
        let foreign: Vec<_> = foreign.map(|entry| format!("`{}`", entry.key)).collect();
        if foreign.is_empty() {
            return None;
        }
        let name = self.descriptor?.name;
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

/// Whether a place is in the file, and not in an override.
fn in_file(document: &Document, span: Span) -> bool {
    document.sources.locate(span).is_some_and(|(source, _)| source.path.is_some())
}

/// Gives each stage of a role a name of its own: a second `impute` is `impute 2`. An `id` stays what it is.
fn label(stages: &mut [StageTable]) {
    let mut taken: Vec<(Role, String)> = Vec::new();
    let is_id = |stage: &StageTable| stage.descriptor.is_none_or(|descriptor| descriptor.name != stage.label);
    taken.extend(stages.iter().filter(|stage| is_id(stage)).map(|stage| (stage.role, stage.label.clone())));
    for stage in stages.iter_mut().filter(|stage| !is_id(stage)) {
        let plain = stage.label.clone();
        let mut number = 1;
        while taken.contains(&(stage.role, stage.label.clone())) {
            number += 1;
            stage.label = format!("{plain} {number}");
        }
        taken.push((stage.role, stage.label.clone()));
    }
}

fn is_id(text: &str) -> bool {
    let named = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-');
    text.starts_with(|c: char| c.is_ascii_alphabetic()) && text.chars().all(named) && text.len() <= 100
}

fn as_toml(node: &mut Node) {
    if let Value::Loose { parsed: Some(parsed), .. } = &mut node.value {
        node.value = std::mem::replace(&mut parsed.value, Value::Boolean(false));
    }
}

fn as_text(node: &mut Node) {
    if let Value::Loose { text, .. } = &mut node.value {
        node.value = Value::Text(std::mem::take(text));
    }
}
