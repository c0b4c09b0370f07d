//! From a document to a checked pipeline: its settings, its stages, and how they fit together.

use std::sync::Arc;

use super::content_hash::content_hash;
use super::diagnostics::{Diagnostic, Diagnostics};
use super::document::Document;
use super::find_stages::find_stages;
use super::monitor_checks::monitor_problems;
use super::pipeline::Pipeline;
use super::pipeline_checks::{delivery, rejects_without_dead_letter, same_destination};
use super::propagate::propagate_fields;
use super::schemas::Schemas;
use super::settings_table::read_settings;
use super::stage_spec::{StageRefs, StageSpec};
use super::stage_table::StageTable;
use crate::stage::{DeadLetters, LossLimits, Role, SinkConfig, SourceConfig, StageConfig, TransformConfig};

/// A pipeline whose values have their types, before its checks.
pub(super) struct PipelineBuilder<'a> {
    pub(super) schemas: &'a Schemas<'a>,
    pub(super) document: Document,
    /// The diagnostics so far.
    pub(super) problems: Vec<Diagnostic>,
    /// The path of the file, for messages.
    pub(super) file: String,
    /// The name as the file gives it: overrides select the pipeline by it.
    pub(super) name_in_file: Option<String>,
}

/// The stages that could be read; a transform that could not leaves its place empty.
#[derive(Default)]
struct ParsedStages {
    source: Option<StageSpec<dyn SourceConfig>>,
    transforms: Vec<Option<StageSpec<dyn TransformConfig>>>,
    sink: Option<StageSpec<dyn SinkConfig>>,
    dead_letter: Option<StageSpec<dyn SinkConfig<DeadLetters>>>,
    loss_limits: LossLimits,
}

impl PipelineBuilder<'_> {
    /// Runs all checks.
    ///
    /// # Errors
    /// All diagnostics, where any of them is an error.
    pub(super) fn build(self) -> Result<Pipeline, Diagnostics> {
        let PipelineBuilder { schemas, document, mut problems, file, .. } = self;
        let tables = find_stages(&document, schemas, &mut problems);
        let settings = read_settings(&document, schemas, &mut problems);
        let mut parsed = ParsedStages::default();
        for table in &tables {
            parsed.add(table, table.read(&document, &mut problems));
        }
        problems.extend(document.invalid());

        let stages = parsed.refs();
        let (fields, found) = propagate_fields(&document, &stages, None);
        problems.extend(found);
        let asked = settings.as_ref().and_then(|named| named.settings.delivery);
        let delivery = delivery(&document, &stages, asked, &mut problems);
        let name = settings.as_ref().map_or("", |named| &named.name);
        problems.extend(settings.iter().flat_map(|named| monitor_problems(&document, &named.settings.monitor)));
        problems.extend(same_destination(&document, &stages, name));
        problems.extend(rejects_without_dead_letter(&document, &stages));

        let content_hash = content_hash(&document, &tables);
        let problems = Diagnostics::new(Arc::clone(&document.sources), problems);
        let transforms: Option<Vec<_>> = parsed.transforms.into_iter().collect();
        match (settings, parsed.source, transforms, parsed.sink) {
            (Some(named), Some(source), Some(transforms), Some(sink)) if !problems.has_errors() => Ok(Pipeline {
                name: named.name,
                path: file.into(),
                topology: topology(&source, &transforms, &sink),
                numeric_fields: transforms.iter().flat_map(|transform| transform.config.numeric_fields()).collect(),
                source,
                transforms,
                sink,
                dead_letter: parsed.dead_letter,
                loss_limits: parsed.loss_limits,
                settings: named.settings,
                fields,
                delivery,
                warnings: problems,
                options_hash: crc32fast::hash(document.root.to_json().to_string().as_bytes()),
                content_hash,
                document: Arc::new(document),
            }),
            _ => Err(problems),
        }
    }
}

impl ParsedStages {
    fn add(&mut self, table: &StageTable<'_>, config: Option<StageConfig>) {
        match config {
            Some(StageConfig::Source(config)) => self.source = table.spec(config),
            Some(StageConfig::Transform(config)) => self.transforms.push(table.spec(config)),
            Some(StageConfig::Sink(config)) => self.sink = table.spec(config),
            Some(StageConfig::DeadLetter(config, limits)) => {
                (self.dead_letter, self.loss_limits) = (table.spec(config), limits);
            }
            None if table.role == Role::Transform => self.transforms.push(None),
            None => {}
        }
    }

    fn refs(&self) -> StageRefs<'_> {
        StageRefs {
            source: self.source.as_ref(),
            transforms: self.transforms.iter().map(Option::as_ref).collect(),
            sink: self.sink.as_ref(),
            dead_letter: self.dead_letter.as_ref(),
        }
    }
}

/// The types of stages in the order of the data: `csv -> impute -> kafka`.
fn topology(
    source: &StageSpec<dyn SourceConfig>,
    transforms: &[StageSpec<dyn TransformConfig>],
    sink: &StageSpec<dyn SinkConfig>,
) -> String {
    let types = transforms.iter().map(|transform| transform.kind);
    [source.kind].into_iter().chain(types).chain([sink.kind]).collect::<Vec<_>>().join(" -> ")
}
