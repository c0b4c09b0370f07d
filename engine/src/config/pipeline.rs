//! A checked pipeline.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;

use super::diagnostics::Diagnostics;
use super::document::Document;
use super::propagate::propagate_fields;
use super::settings::Settings;
use super::stage_spec::{StageRefs, StageSpec};
use crate::record::{FieldTest, Fields};
use crate::stage::{DeadLetters, Delivery, LossLimits, PipelineVersion, SinkConfig, SourceConfig, TransformConfig};

/// A pipeline that can be run: every stage's configuration is checked, by itself and against the fields that reach it.
#[derive(Clone, Debug)]
pub struct Pipeline {
    /// Its name, which is its identity.
    pub name: String,
    /// The file that it was read from.
    pub path: PathBuf,
    /// Where records come from.
    pub source: StageSpec<dyn SourceConfig>,
    /// The steps between, in order.
    pub transforms: Vec<StageSpec<dyn TransformConfig>>,
    /// Where records go.
    pub sink: StageSpec<dyn SinkConfig>,
    /// Where records go that could not be processed.
    pub dead_letter: Option<StageSpec<dyn SinkConfig<DeadLetters>>>,
    /// When dead letters stop a run.
    pub loss_limits: LossLimits,
    /// Its settings.
    pub settings: Settings,
    /// The fields that reach the sink, as far as the configuration declares them.
    pub fields: Fields,
    /// The fields that transforms use as measurements.
    pub numeric_fields: BTreeSet<String>,
    /// The guarantee for readers of the output: the `delivery` of the settings, else the best that all stages can give.
    pub delivery: Delivery,
    /// Warnings.
    pub warnings: Diagnostics,
    /// The types of its stages in the order of the data: `csv -> impute -> kafka`. Saved state belongs to a topology.
    pub topology: String,
    /// The CRC-32 of all options after expansion: whether they changed between two runs.
    pub options_hash: u32,
    /// The CRC-32 of the options that decide the output: whether a completed run would come out differently now.
    pub content_hash: u32,
    pub(super) document: Arc<Document>,
}

impl Pipeline {
    /// Repeats all checks with the fields of the opened source, and returns those that reach the sink.
    ///
    /// # Errors
    /// What a configuration without declared fields leaves open: above all a field that no stage yields.
    pub fn check_with(&self, actual: &Fields) -> Result<Fields, Diagnostics> {
        let stages = StageRefs {
            source: Some(&self.source),
            transforms: self.transforms.iter().map(Some).collect(),
            sink: Some(&self.sink),
            dead_letter: self.dead_letter.as_ref(),
        };
        let (fields, problems) = propagate_fields(&self.document, &stages, Some(actual));
        let found = Diagnostics::new(Arc::clone(&self.document.sources), problems);
        if found.has_errors() { Err(found) } else { Ok(fields) }
    }

    /// The tests that its transforms make, in their order.
    #[must_use]
    pub fn tests(&self) -> Vec<FieldTest> {
        let of_stage = |stage: &StageSpec<dyn TransformConfig>| -> Vec<FieldTest> {
            let named = |test| FieldTest { stage: stage.label.clone(), ..test };
            stage.config.tests().into_iter().map(named).collect()
        };
        self.transforms.iter().flat_map(of_stage).collect()
    }

    /// What it makes of records.
    #[must_use]
    pub fn version(&self) -> PipelineVersion {
        PipelineVersion { digest: format!("{:08x}", self.content_hash), tests: self.tests() }
    }

    /// The table of one of its stages, after variables and overrides. It may hold secrets: it is to be used, and not to be shown.
    #[must_use]
    pub fn table_of<T: ?Sized>(&self, stage: &StageSpec<T>) -> serde_json::Value {
        self.document.root.find(&stage.path).node.to_json()
    }

    /// The options of one of its stages as text: equal texts are equal options.
    pub(crate) fn options_of<T: ?Sized>(&self, stage: &StageSpec<T>) -> String {
        self.table_of(stage).to_string()
    }
}
