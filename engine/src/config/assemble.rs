//! From a document to a checked pipeline: its settings, its stages and how they fit together.

use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use super::chain;
use super::content;
use super::diagnostics::{Diagnostic, Diagnostics};
use super::document::Document;
use super::nearest;
use super::node::Hidden;
use super::pipeline::{Pipeline, StageOf};
use super::schema::{Subject, settle};
use super::settings::{self, Settings};
use super::tables::{self, StageTable};
use crate::stage::{
    Boundedness, DeadLetters, Delivery, Descriptor, Registry, Role, SinkConfig, SourceConfig, StageConfig,
    TransformConfig,
};

/// The stages that could be read; a transform that could not leaves its place empty.
#[derive(Default)]
struct Built {
    source: Option<StageOf<dyn SourceConfig>>,
    transforms: Vec<Option<StageOf<dyn TransformConfig>>>,
    sink: Option<StageOf<dyn SinkConfig>>,
    dead_letter: Option<StageOf<dyn SinkConfig<DeadLetters>>>,
}

/// Checks a document; `problems` are those found before, `file` is where it came from.
pub(super) fn assemble(
    registry: &Registry,
    mut document: Document,
    mut problems: Vec<Diagnostic>,
    file: &str,
) -> Result<Pipeline, Diagnostics> {
    let own = settings::schema();
    let mut hidden = Vec::new();
    settle_settings(&mut document, &own, &mut hidden);
    let stages = tables::find(&mut document.root, registry, &mut problems, &mut hidden);
    document.hide(hidden);
    let unknown = unknown_keys(&document, registry, &own, &mut problems);
    let settings = read_settings(&document, &own, &unknown, &mut problems);
    let mut built = Built::default();
    for stage in &stages {
        build(stage, &document, &mut built, &mut problems);
    }
    problems.extend(document.invalid());

    let transforms: Vec<_> = built.transforms.iter().map(Option::as_ref).collect();
    let chained = chain::Stages {
        source: built.source.as_ref(),
        transforms: &transforms,
        sink: built.sink.as_ref(),
        dead_letter: built.dead_letter.as_ref(),
    };
    let (fields, found) = chain::check(&document, &chained, None);
    problems.extend(found);
    let delivery =
        delivery(&document, &built, settings.as_ref().and_then(|(_, settings)| settings.delivery), &mut problems);
    if let (Some(sink), Some(dead)) = (&built.sink, &built.dead_letter) {
        let name = settings.as_ref().map_or("", |(name, _)| name);
        problems.extend(one_place_for_both(&document, (sink, dead), name));
    }
    if document.root.table().is_some_and(|table| table.get(Role::DeadLetter.key()).is_none()) {
        problems.extend(transforms.iter().flatten().filter_map(|transform| may_stop(&document, transform)));
    }

    let content = content::digest(
        stages
            .iter()
            .filter(|stage| stage.role != Role::DeadLetter)
            .filter_map(|stage| Some((stage.descriptor?, document.root.find(&stage.path).node))),
    );
    let problems = Diagnostics::new(Arc::clone(&document.sources), problems);
    let transforms: Option<Vec<_>> = built.transforms.into_iter().collect();
    match (settings, built.source, transforms, built.sink) {
        (Some((name, settings)), Some(source), Some(transforms), Some(sink)) if !problems.has_errors() => {
            let kinds = transforms.iter().map(|transform| transform.kind);
            Ok(Pipeline {
                name,
                path: file.into(),
                shape: Pipeline::shape_of([source.kind].into_iter().chain(kinds).chain([sink.kind])),
                numeric: transforms.iter().flat_map(|transform| transform.config.numeric_fields()).collect(),
                source,
                transforms,
                sink,
                dead_letter: built.dead_letter,
                settings,
                fields,
                delivery,
                warnings: problems,
                options: crc32fast::hash(document.root.to_json().to_string().as_bytes()),
                content,
                document: Arc::new(document),
            })
        }
        _ => Err(problems),
    }
}

/// Settles text from outside in the pipeline's own keys; that in stages waits for the schema of the stage.
fn settle_settings(document: &mut Document, own: &serde_json::Value, hidden: &mut Vec<Hidden>) {
    for entry in document.root.make_table().into_iter().flat_map(|table| &mut table.0) {
        if let Some(schema) = own["properties"].get(&entry.key) {
            settle(&mut entry.node, schema, own, hidden);
        }
    }
}

/// Keys of the document that are none, each with what may have been meant.
fn unknown_keys(
    document: &Document,
    registry: &Registry,
    own: &serde_json::Value,
    problems: &mut Vec<Diagnostic>,
) -> Vec<String> {
    let settings = own["properties"].as_object().into_iter().flat_map(|properties| properties.keys());
    let known: Vec<&str> = settings.map(String::as_str).chain(Role::ALL.map(Role::key)).collect();
    let entries = document.root.table().map_or(&[][..], |table| table.0.as_slice());
    let unknown = entries.iter().filter(|entry| !known.contains(&entry.key.as_str()));
    let unknown = unknown.map(|entry| {
        let problem = Diagnostic::error(format!("unknown key `{}` in the pipeline", entry.key)).at(entry.key_span);
        let stage = registry.iter().find(|stage| stage.name == entry.key);
        problems.push(match (nearest(&entry.key, known.iter().copied()), stage) {
            (_, Some(stage)) => problem.label(format!("this is a {}", stage.role)).help(format!(
                "write `{}` with `type = \"{}\"` below it",
                tables::header(stage.role),
                stage.name
            )),
            (Some(near), None) => problem.label(format!("did you mean `{near}`?")),
            (None, None) => problem.help(format!("the keys here are `{}`", known.join("`, `"))),
        });
        entry.key.clone()
    });
    unknown.collect()
}

/// The name and the settings, where nothing is wrong with them.
fn read_settings(
    document: &Document,
    own: &serde_json::Value,
    unknown: &[String],
    problems: &mut Vec<Diagnostic>,
) -> Option<(String, Settings)> {
    let without: Vec<&str> = unknown.iter().map(String::as_str).chain(Role::ALL.map(Role::key)).collect();
    let subject = Subject { schema: own, node: &document.root, title: "the pipeline", without: &without };
    let (json, found) = subject.check();
    problems.extend(found);
    let mut json = json?;
    let name = json.as_object_mut().and_then(|table| table.shift_remove("name"));
    let name = name.and_then(|name| name.as_str().map(str::to_owned));
    match serde_path_to_error::deserialize(json) {
        Ok(settings) => name.map(|name| (name, settings)),
        Err(error) => {
            problems.push(subject.refused(&error, &document.secrets));
            None
        }
    }
}

fn build(stage: &StageTable, document: &Document, built: &mut Built, problems: &mut Vec<Diagnostic>) {
    let parsed = stage.read(document, problems);
    let StageTable { label, path, role, descriptor } = stage;
    let Some(Descriptor { name: kind, .. }) = descriptor else {
        if *role == Role::Transform {
            built.transforms.push(None);
        }
        return;
    };
    macro_rules! stage_of {
        ($config:expr) => {{ StageOf { label: label.clone(), kind, config: $config, path: path.clone(), role: *role } }};
    }
    match parsed {
        Some(StageConfig::Source(config)) => built.source = Some(stage_of!(config)),
        Some(StageConfig::Transform(config)) => built.transforms.push(Some(stage_of!(config))),
        Some(StageConfig::Sink(config)) => built.sink = Some(stage_of!(config)),
        Some(StageConfig::DeadLetter(config)) => built.dead_letter = Some(stage_of!(config)),
        None if *role == Role::Transform => built.transforms.push(None),
        None => {}
    }
}

/// The best delivery of an input: what is not there a second time cannot be read again after a crash.
fn best_of(boundedness: Boundedness) -> Delivery {
    match boundedness {
        Boundedness::Live => Delivery::AtLeastOnce,
        Boundedness::Bounded { .. } | Boundedness::Unbounded | Boundedness::Shared => Delivery::ExactlyOnce,
    }
}

/// What readers of the output get, and an error where more was asked for.
fn delivery(document: &Document, built: &Built, asked: Option<Delivery>, problems: &mut Vec<Diagnostic>) -> Delivery {
    let ends = [
        built
            .source
            .as_ref()
            .map(|source| (source.title(), source.config.delivery().min(best_of(source.config.boundedness())))),
        built.sink.as_ref().map(|end| (end.title(), end.config.delivery())),
        built.dead_letter.as_ref().map(|end| (end.title(), end.config.delivery())),
    ];
    let least = ends.into_iter().flatten().min_by_key(|(_, delivery)| *delivery);
    let Some((title, best)) = least else { return Delivery::AtLeastOnce };
    match asked {
        Some(asked) if asked <= best => asked,
        Some(asked) => {
            let found = document.root.find(&["delivery"]);
            problems.push(
                Diagnostic::error(format!("this pipeline cannot deliver `{asked}`"))
                    .at_place(found.node.span)
                    .label(format!("the {title} can do no more than `{best}`"))
                    .help("leave `delivery` out to get the best that is possible"),
            );
            best
        }
        None => best,
    }
}

/// Records and dead letters in one place cannot be told apart by whoever reads them.
fn one_place_for_both(
    document: &Document,
    (sink, dead): (&StageOf<dyn SinkConfig>, &StageOf<dyn SinkConfig<DeadLetters>>),
    pipeline: &str,
) -> Option<Diagnostic> {
    let plain = |(dir, prefix): (String, String)| (plain_path(&dir), prefix);
    let files = sink.config.files(pipeline).map(plain);
    let writes = sink.config.writes();
    let (what, help) = if files.is_some() && files == dead.config.files(pipeline).map(plain) {
        ("files of one directory and one prefix", "give the `[dead_letter]` another `dir` or `prefix`")
    } else if dead.config.writes().iter().any(|place| writes.contains(place)) {
        ("one topic", "give the `[dead_letter]` another `topic`")
    } else {
        return None;
    };
    Some(
        Diagnostic::error(format!("the {} and the `[dead_letter]` write {what}", sink.title()))
            .at_place(document.root.find(&dead.path).node.span)
            .help(help),
    )
}

/// A path without what its spelling can be without; links are for the run to see.
fn plain_path(path: &str) -> PathBuf {
    let mut plain = PathBuf::new();
    for part in Path::new(path).components() {
        match part {
            Component::CurDir => {}
            Component::ParentDir if plain.file_name().is_some() => {
                plain.pop();
            }
            part => plain.push(part),
        }
    }
    plain
}

fn may_stop(document: &Document, transform: &StageOf<dyn TransformConfig>) -> Option<Diagnostic> {
    let warning = || {
        Diagnostic::warning(format!("{} may reject records, and there is no `[dead_letter]`", transform.title()))
            .at_place(document.root.find(&transform.path).node.span)
            .help("the first record that it rejects stops the pipeline: add a `[dead_letter]` to keep such records")
    };
    transform.config.rejects().then(warning)
}
