//! A checked pipeline.

use std::collections::BTreeSet;
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use super::diagnostics::Diagnostics;
use super::document::Document;
use super::propagate::{StageRefs, propagate_fields};
use super::settings::Settings;
use crate::record::Fields;
use crate::stage::{AnyDeadLetter, AnySink, AnySource, AnyTransform, Delivery, Role};

/// A stage of a pipeline: its checked configuration and its names.
pub struct StageSpec<T: ?Sized> {
    /// Its name in messages: its `id`, else its type. A second stage of a type is `impute 2`.
    pub label: String,
    /// Its `type`.
    pub kind: &'static str,
    /// Its configuration.
    pub config: Arc<T>,
    /// The keys and indices that lead to its table.
    pub(super) path: Vec<String>,
    pub(super) role: Role,
}

impl<T: ?Sized> Clone for StageSpec<T> {
    fn clone(&self) -> Self {
        StageSpec {
            label: self.label.clone(),
            kind: self.kind,
            config: Arc::clone(&self.config),
            path: self.path.clone(),
            role: self.role,
        }
    }
}

impl<T: ?Sized> fmt::Debug for StageSpec<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} `{}` ({})", self.role, self.label, self.kind)
    }
}

impl<T: ?Sized> StageSpec<T> {
    /// Its role and its name: transform `range_check`.
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
    pub source: StageSpec<dyn AnySource>,
    /// The steps between, in order.
    pub transforms: Vec<StageSpec<dyn AnyTransform>>,
    /// Where records go.
    pub sink: StageSpec<dyn AnySink>,
    /// Where records go that could not be processed.
    pub dead_letter: Option<StageSpec<dyn AnyDeadLetter>>,
    /// Its settings.
    pub settings: Settings,
    /// The fields that reach the sink, as far as the configuration declares them.
    pub fields: Fields,
    /// The fields that transforms use as measurements.
    pub numeric: BTreeSet<String>,
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
    pub fn check_with(&self, real: &Fields) -> Result<Fields, Diagnostics> {
        let transforms: Vec<_> = self.transforms.iter().map(Some).collect();
        let stages = StageRefs {
            source: Some(&self.source),
            transforms: &transforms,
            sink: Some(&self.sink),
            dead_letter: self.dead_letter.as_ref(),
        };
        let (fields, problems) = propagate_fields(&self.document, &stages, Some(real));
        let found = Diagnostics::new(Arc::clone(&self.document.sources), problems);
        if found.has_errors() { Err(found) } else { Ok(fields) }
    }

    /// The `topology` of stages of these types.
    pub(super) fn topology_of<'a>(kinds: impl IntoIterator<Item = &'a str>) -> String {
        kinds.into_iter().collect::<Vec<_>>().join(" -> ")
    }
}
