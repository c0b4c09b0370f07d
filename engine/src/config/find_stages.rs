//! Finds the tables of stages in a document.

use std::collections::{HashMap, HashSet};

use super::diagnostics::Diagnostic;
use super::document::Document;
use super::node::{Node, Value};
use super::schemas::{Schemas, StageType};
use super::stage_table::StageTable;
use crate::nearest::nearest;
use crate::stage::Role;

/// The tables of stages, in the order of the data.
pub(super) fn find_stages<'a>(
    document: &Document,
    schemas: &'a Schemas<'a>,
    problems: &mut Vec<Diagnostic>,
) -> Vec<StageTable<'a>> {
    let mut finder = StageFinder { schemas, problems, ids: HashSet::new() };
    let mut stages = Vec::new();
    for role in Role::ALL {
        let Some(node) = document.root.table().and_then(|table| table.get(role.key())) else {
            if matches!(role, Role::Source | Role::Sink) {
                let message = format!("the pipeline has no `{}`", role.header());
                finder.problems.push(Diagnostic::error(message));
            }
            continue;
        };
        if role == Role::Transform {
            finder.transforms(node, &mut stages);
        } else {
            finder.single(role, node, &mut stages);
        }
    }
    number_labels(&mut stages);
    stages
}

/// Collects tables and diagnostics.
struct StageFinder<'a, 'p> {
    schemas: &'a Schemas<'a>,
    problems: &'p mut Vec<Diagnostic>,
    /// The ids so far.
    ids: HashSet<String>,
}

impl<'a> StageFinder<'a, '_> {
    fn single(&mut self, role: Role, node: &Node, stages: &mut Vec<StageTable<'a>>) {
        let span = node.span;
        let mistake = match &node.value {
            Value::Table(_) => return stages.push(self.stage(role, node, vec![role.key().to_owned()])),
            Value::Array(items) if items.iter().all(|item| item.table().is_some()) => {
                let span = items.first().map_or(span, |first| first.span);
                Diagnostic::error(format!("a pipeline has one {role}"))
                    .at(span)
                    .label(format!("write `{}`", role.header()))
            }
            Value::Invalid(_) => return,
            _ => Diagnostic::error(format!("`{}` must be a table", role.key())).at(span),
        };
        self.problems.push(mistake);
    }

    fn transforms(&mut self, node: &Node, stages: &mut Vec<StageTable<'a>>) {
        let help = "each transform is a table of its own that begins with `[[transform]]`";
        let items = match &node.value {
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
        for (index, item) in items.iter().enumerate() {
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

    fn stage(&mut self, role: Role, node: &Node, path: Vec<String>) -> StageTable<'a> {
        let stage_type = self.stage_type(role, node);
        let label = match self.id(role, node) {
            Some(id) => id,
            None => stage_type.map_or(String::new(), |known| known.descriptor.name.to_owned()),
        };
        StageTable { role, label, path, stage_type }
    }

    fn stage_type(&mut self, role: Role, node: &Node) -> Option<StageType<'a>> {
        let known = || self.schemas.registry.names(role).map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
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
        let stage_type = self.schemas.stage(role, name);
        if stage_type.is_none() {
            let unknown = |shown: &str| Diagnostic::error(format!("unknown {role}{shown}")).at(found.span);
            let shown = format!(" `{name}`");
            let elsewhere = Role::ALL.into_iter().find(|other| self.schemas.registry.get(*other, name).is_some());
            self.problems.push(match (nearest(name, self.schemas.registry.names(role)), elsewhere) {
                _ if found.secret => unknown("").help(help),
                (_, Some(other)) => unknown(&shown).label(format!("this is a {other}")).help(help),
                (Some(near), None) => unknown(&shown).label(format!("did you mean `{near}`?")).help(help),
                (None, None) => Diagnostic::error(format!("no {role} `{name}` in this build"))
                    .at(found.span)
                    .help(format!("{help}; one of another crate is in a build whose `main.rs` has `use CRATE as _;`")),
            });
        }
        stage_type
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
                self.ids.insert(id.clone());
                return Some(id.clone());
            }
            _ => Diagnostic::error(format!("`id` of a {role} must be a string")),
        };
        self.problems.push(problem.at(found.span));
        None
    }
}

/// Makes labels unique within a role: a second `impute` becomes `impute 2`. An `id` stays.
fn number_labels(stages: &mut [StageTable<'_>]) {
    let is_id = |stage: &StageTable<'_>| stage.stage_type.is_none_or(|known| known.descriptor.name != stage.label);
    let ids = stages.iter().filter(|stage| is_id(stage)).map(|stage| (stage.role, stage.label.clone()));
    let mut taken: HashSet<(Role, String)> = ids.collect();
    // The last number of each, so that many stages of one type are numbered in one pass.
    let mut numbers: HashMap<(Role, String), usize> = HashMap::new();
    for stage in stages.iter_mut().filter(|stage| !is_id(stage)) {
        let plain = std::mem::take(&mut stage.label);
        let number = numbers.entry((stage.role, plain.clone())).or_default();
        stage.label = loop {
            *number += 1;
            let label = if *number == 1 { plain.clone() } else { format!("{plain} {number}") };
            if taken.insert((stage.role, label.clone())) {
                break label;
            }
        };
    }
}

/// An id is part of file names and log lines: longer ones are mistakes.
const ID_BYTES_MAX: usize = 100;

fn is_id(text: &str) -> bool {
    let is_name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-');
    text.starts_with(|c: char| c.is_ascii_alphabetic()) && text.chars().all(is_name) && text.len() <= ID_BYTES_MAX
}
