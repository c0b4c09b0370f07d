//! `aqpipe stages`: lists the stages of this build and shows their options, and a pipeline's own keys.

use std::fmt::Write as _;

use anyhow::Result;
use aqpipe_engine::config::{OptionDoc, first_sentence, nearest, options, pipeline_options};
use aqpipe_engine::stage::{Descriptor, Registry, Role};
use clap::Args;

use crate::exit::Exit;
use crate::printer;
use crate::terminal::wrap;

/// List the stages of this build, or show one: what it does, its options, an example.
#[derive(Args, Debug)]
pub(crate) struct StagesArgs {
    /// The name of a stage: the value of `type`. `pipeline` shows the keys of a pipeline itself.
    name: Option<String>,
}

/// What shows a pipeline's own keys instead of a stage. Nothing else has the name: no stage carries records as a pipeline.
const PIPELINE: &str = "pipeline";
const PIPELINE_DOCS: &str = "The keys of a pipeline itself, beside its stages. Keys without a table stand above the first table \
                             of the file.";
const PIPELINE_EXAMPLE: &str = r#"name = "consumer"
state_dir = "/var/lib/aqpipe"

[source]
type = "sample"
records = 1000

[sink]
type = "null"

[monitor]
every_secs = 60

[monitor.alerts]
quality = 0.8

[log]
file = "consumer.log"
rotate = "100MB"
"#;

/// How a stage of another crate gets into a build.
const LINK_HELP: &str = "a stage of another crate is in a build whose `main.rs` has `use CRATE as _;`";

/// Runs the command.
///
/// # Errors
/// Where this build has no stages.
pub(crate) fn stages(args: &StagesArgs) -> Result<Exit> {
    let registry = Registry::collect()?;
    let Some(name) = &args.name else {
        printer::page(list(&registry).trim_end());
        return Ok(Exit::Done);
    };
    // A source and a sink may have the same name.
    let mut pages: Vec<_> = registry.iter().filter(|stage| stage.name == name).map(page).collect();
    if name == PIPELINE {
        pages.push(text_page("pipeline", PIPELINE_DOCS, &pipeline_options(), PIPELINE_EXAMPLE));
    }
    if pages.is_empty() {
        let names = registry.iter().map(|stage| stage.name).chain([PIPELINE]);
        let help = match nearest(name, names) {
            Some(near) => format!("did you mean `{near}`? if not, {LINK_HELP}"),
            None => format!("`aqpipe stages` lists those that are; {LINK_HELP}"),
        };
        printer::error(&format!("no stage `{name}` in this build"), Some(&help));
        return Ok(Exit::Usage);
    }
    printer::page(pages.join("\n\n").trim_end());
    Ok(Exit::Done)
}

fn list(registry: &Registry) -> String {
    let mut rows = Vec::new();
    let stages = registry.iter().map(|stage| (stage.role.to_string(), stage.name, stage.docs()));
    let own = (PIPELINE.to_owned(), "", PIPELINE_DOCS.to_owned());
    for (role, name, docs) in stages.chain([own]) {
        let mut head = vec![role, name.to_owned()];
        for line in wrap(&first_sentence(&docs), 76) {
            head.push(line);
            rows.push(std::mem::replace(&mut head, vec![String::new(), String::new()]));
        }
    }
    columns(&rows)
}

/// The documentation of a stage: description, options, example.
fn page(stage: &'static Descriptor) -> String {
    text_page(&format!("{} `{}`", stage.role, stage.name), stage.docs().trim(), &options(stage), &example(stage))
}

fn text_page(title: &str, docs: &str, options: &[OptionDoc], example: &str) -> String {
    let rule = "=".repeat(title.chars().count());
    let mut page = format!("{title}\n{rule}\n\n{docs}\n");
    if !options.is_empty() {
        let head = ["OPTION", "TYPE", "DEFAULT"].map(str::to_owned).to_vec();
        let rows = (0..options.len()).map(|at| row(&options[at], options.get(at + 1)));
        let rows: Vec<_> = std::iter::once(head).chain(rows).collect();
        page.push('\n');
        for (at, line) in columns(&rows).lines().enumerate() {
            let _ = writeln!(page, "{}", line.trim_end());
            for doc in at.checked_sub(1).map(|at| wrap(&options[at].doc, 96)).unwrap_or_default() {
                let _ = writeln!(page, "    {doc}");
            }
        }
    }
    let _ = write!(page, "\nExample:\n\n{example}");
    page
}

fn row(option: &OptionDoc, next: Option<&OptionDoc>) -> Vec<String> {
    // The keys of a table follow, with their own defaults.
    let inner = next.and_then(|next| next.key.strip_prefix(&option.key)?.strip_prefix('.'));
    let is_below = inner.is_some_and(|key| !key.starts_with('*'));
    let default =
        option.default.as_ref().map(|default| if is_below { "(see below)".to_owned() } else { default.clone() });
    let default = default.unwrap_or_else(|| if option.required { "(required)" } else { "(none)" }.to_owned());
    vec![option.key.clone(), option.kind.clone(), default]
}

/// The stage's table in a pipeline.
fn example(stage: &Descriptor) -> String {
    let header = match stage.role {
        Role::Transform => "[[transform]]".to_owned(),
        role => format!("[{}]", role.key()),
    };
    let names_type =
        stage.example.lines().take_while(|line| !line.starts_with('[')).any(|line| line.starts_with("type ="));
    let kind = if names_type { String::new() } else { format!("type = \"{}\"\n", stage.name) };
    format!("{header}\n{kind}{}\n", stage.example.trim())
}

/// Rows with aligned columns.
fn columns(rows: &[Vec<String>]) -> String {
    let count = rows.iter().map(Vec::len).max().unwrap_or_default();
    let width = |column: usize| rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max();
    let widths: Vec<_> = (0..count).map(|column| width(column).unwrap_or_default()).collect();
    let mut text = String::new();
    for row in rows {
        let cells = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:width$}"));
        let line = cells.collect::<Vec<_>>().join("  ");
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use aqpipe_engine::config::Loader;
    use aqpipe_stages as _;

    use super::*;

    #[test]
    fn every_example_is_accepted_by_validate() {
        let registry = Registry::collect().expect("stages");
        let loader = Loader::new(&registry, &|_| None);
        let first = |role| registry.iter().find(|stage| stage.role == role).map(example).unwrap_or_default();
        for stage in registry.iter() {
            // A transform that reads the whole input first needs a bounded source.
            let sources: Vec<_> = registry.iter().filter(|other| other.role == Role::Source).map(example).collect();
            let mut diagnostics = Vec::new();
            let accepted = sources.iter().any(|source| {
                let mut text = "name = \"example\"\n\n".to_owned();
                for role in Role::ALL {
                    text += &match role {
                        _ if role == stage.role => example(stage),
                        Role::Source => source.clone(),
                        Role::Sink => first(role),
                        _ => String::new(),
                    };
                    text.push('\n');
                }
                let loaded = loader.load_text("example.toml", &text);
                loaded.map_err(|problems| diagnostics.push(problems.render(false))).is_ok()
            });
            assert!(accepted, "{stage:?}:\n{}", diagnostics.join("\n"));
        }
    }

    #[test]
    fn the_example_of_a_pipelines_own_keys_is_accepted_and_each_of_them_is_documented() {
        let registry = Registry::collect().expect("stages");
        let loaded = Loader::new(&registry, &|_| None).load_text("example.toml", PIPELINE_EXAMPLE);
        assert!(loaded.is_ok(), "{:?}", loaded.map_err(|problems| problems.render(false)).err());
        let options = pipeline_options();
        for option in &options {
            assert!(!option.doc.is_empty(), "`{}` has no documentation", option.key);
        }
        for key in ["name", "delivery", "state_dir", "monitor.alerts.quality", "log.rotate", "log.keep"] {
            assert!(options.iter().any(|option| option.key == key), "`{key}` is not there");
        }
    }

    #[test]
    fn every_stage_and_every_option_is_documented() {
        for stage in Registry::collect().expect("stages").iter() {
            assert!(!stage.docs().trim().is_empty(), "{stage:?} has no documentation");
            for option in options(stage) {
                assert!(!option.doc.is_empty(), "`{}` of {stage:?} has no documentation", option.key);
            }
        }
    }

    #[test]
    fn an_optional_option_documents_its_default() {
        for stage in Registry::collect().expect("stages").iter() {
            let schema = stage.schema().to_value();
            let required = |key: &str| schema["required"].as_array().is_some_and(|keys| keys.iter().any(|k| k == key));
            for (key, option) in schema["properties"].as_object().into_iter().flatten() {
                // The default of an optional type is "absent", and that of a table is the empty one.
                let absent = option.to_string().contains("\"null\"") || option.get("additionalProperties").is_some();
                let explained = required(key) || absent || option.get("default").is_some();
                assert!(
                    explained,
                    "`{key}` of {stage:?} has a default that its schema does not show: derive `Serialize`"
                );
            }
        }
    }
}
