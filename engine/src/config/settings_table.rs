//! The settings of a document, and the keys at its top.

use serde_json::Value as Json;

use super::diagnostics::Diagnostic;
use super::document::Document;
use super::schema::{DiagnosticTarget, check, rejected_by_type};
use super::schemas::Schemas;
use super::settings::Settings;
use crate::nearest::nearest;
use crate::stage::Role;

/// A pipeline's name and its settings.
pub(super) struct NamedSettings {
    pub(super) name: String,
    pub(super) settings: Settings,
}

/// The name and the settings of a document; `None` where anything is wrong with them.
pub(super) fn read_settings(
    document: &Document,
    schemas: &Schemas<'_>,
    problems: &mut Vec<Diagnostic>,
) -> Option<NamedSettings> {
    let schema = &schemas.settings;
    let unknown = unknown_keys(document, schemas, schema, problems);
    let without: Vec<&str> = unknown.into_iter().chain(Role::ALL.map(Role::key)).collect();
    let target = DiagnosticTarget { schema, node: &document.root, title: "the pipeline", without: &without };
    let (json, found) = check(&target);
    problems.extend(found);
    let mut json = json?;
    let name = json.as_object_mut().and_then(|table| table.shift_remove("name"));
    let name = name.and_then(|name| name.as_str().map(str::to_owned));
    match serde_path_to_error::deserialize(json) {
        Ok(settings) => name.map(|name| NamedSettings { name, settings }),
        Err(error) => {
            problems.push(rejected_by_type(&target, &error, &document.redactions));
            None
        }
    }
}

/// The unknown keys at the top of a document. Each gets a diagnostic with the key that was probably meant.
fn unknown_keys<'a>(
    document: &'a Document,
    schemas: &Schemas<'_>,
    schema: &Json,
    problems: &mut Vec<Diagnostic>,
) -> Vec<&'a str> {
    let settings = schema["properties"].as_object().into_iter().flat_map(|properties| properties.keys());
    let known: Vec<&str> = settings.map(String::as_str).chain(Role::ALL.map(Role::key)).collect();
    let entries = document.root.table().map_or(&[][..], |table| table.0.as_slice());
    let unknown = entries.iter().filter(|entry| !known.contains(&entry.key.as_str()));
    let unknown = unknown.map(|entry| {
        let problem = Diagnostic::error(format!("unknown key `{}` in the pipeline", entry.key)).at(entry.key_span);
        let stage = schemas.registry.iter().find(|stage| stage.name == entry.key);
        problems.push(match (nearest(&entry.key, known.iter().copied()), stage) {
            (_, Some(stage)) => problem.label(format!("this is a {}", stage.role)).help(format!(
                "write `{}` with `type = \"{}\"` below it",
                stage.role.header(),
                stage.name
            )),
            (Some(near), None) => problem.label(format!("did you mean `{near}`?")),
            (None, None) => problem.help(format!("the keys here are `{}`", known.join("`, `"))),
        });
        entry.key.as_str()
    });
    unknown.collect()
}
