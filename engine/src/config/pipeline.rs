//! A checked pipeline.

use std::collections::BTreeSet;
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use super::chain;
use super::diagnostics::Diagnostics;
use super::document::Document;
use super::settings::Settings;
use crate::record::Fields;
use crate::stage::{DeadLetters, Delivery, Role, SinkConfig, SourceConfig, TransformConfig};

/// A stage of a pipeline: its checked configuration and what it is called.
pub struct StageOf<T: ?Sized> {
    /// What messages call it: its `id`, else its type; a second one of a type is `impute 2`.
    pub label: String,
    /// Its `type`.
    pub kind: &'static str,
    /// Its configuration.
    pub config: Arc<T>,
    /// The keys and indices that lead to its table.
    pub(super) path: Vec<String>,
    pub(super) role: Role,
}

impl<T: ?Sized> Clone for StageOf<T> {
    fn clone(&self) -> Self {
        StageOf {
            label: self.label.clone(),
            kind: self.kind,
            config: Arc::clone(&self.config),
            path: self.path.clone(),
            role: self.role,
        }
    }
}

impl<T: ?Sized> fmt::Debug for StageOf<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} `{}` ({})", self.role, self.label, self.kind)
    }
}

impl<T: ?Sized> StageOf<T> {
    /// What messages call it with its role: transform `range_check`.
    pub(super) fn title(&self) -> String {
        format!("{} `{}`", self.role, self.label)
    }
}

/// A pipeline that can be run: every stage's configuration is checked, by itself and against the fields that reach it.
#[derive(Clone, Debug)]
pub struct Pipeline {
    /// Its name, which is its identity.
    pub name: String,
    /// The file that it was read from.
    pub path: PathBuf,
    /// Where records come from.
    pub source: StageOf<dyn SourceConfig>,
    /// What is done to them, in order.
    pub transforms: Vec<StageOf<dyn TransformConfig>>,
    /// Where they go.
    pub sink: StageOf<dyn SinkConfig>,
    /// Where those go that could not be carried.
    pub dead_letter: Option<StageOf<dyn SinkConfig<DeadLetters>>>,
    /// What it says beside its stages.
    pub settings: Settings,
    /// The fields that reach the sink, as far as the configuration says.
    pub fields: Fields,
    /// The fields that transforms use as measurements.
    pub numeric: BTreeSet<String>,
    /// What readers of the output get: what was asked for, else the best that all ends can do.
    pub delivery: Delivery,
    /// What may not be as meant.
    pub warnings: Diagnostics,
    /// The types of its stages in the order of the data: `csv -> impute -> kafka`. State belongs to a shape.
    pub shape: String,
    /// A checksum (CRC-32) of all options after expansion: whether they changed between two runs.
    pub options: u32,
    /// A checksum (CRC-32) of those that decide what comes out: whether a completed run would come out differently now.
    pub content: u32,
    pub(super) document: Arc<Document>,
}

impl Pipeline {
    /// Repeats all checks with the fields that the source really has, and returns those that reach the sink.
    ///
    /// # Errors
    /// What a file without declared fields left open: above all a field that no stage yields.
    pub fn check_with(&self, real: &Fields) -> Result<Fields, Diagnostics> {
        let transforms: Vec<_> = self.transforms.iter().map(Some).collect();
        let stages = chain::Stages {
            source: Some(&self.source),
            transforms: &transforms,
            sink: Some(&self.sink),
            dead_letter: self.dead_letter.as_ref(),
        };
        let (fields, problems) = chain::check(&self.document, &stages, Some(real));
        let found = Diagnostics::new(Arc::clone(&self.document.sources), problems);
        if found.has_errors() { Err(found) } else { Ok(fields) }
    }

    /// A text of one line that names the types of its stages, as `shape` does.
    pub(super) fn shape_of<'a>(kinds: impl IntoIterator<Item = &'a str>) -> String {
        kinds.into_iter().collect::<Vec<_>>().join(" -> ")
    }
}
