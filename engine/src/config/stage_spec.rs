//! The stages of a pipeline with their checked configurations.

use std::fmt;
use std::sync::Arc;

use crate::stage::{DeadLetters, Role, SinkConfig, SourceConfig, TransformConfig};

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

/// The stages of a pipeline; `None` for one whose configuration could not be read.
pub(super) struct StageRefs<'a> {
    pub(super) source: Option<&'a StageSpec<dyn SourceConfig>>,
    pub(super) transforms: Vec<Option<&'a StageSpec<dyn TransformConfig>>>,
    pub(super) sink: Option<&'a StageSpec<dyn SinkConfig>>,
    pub(super) dead_letter: Option<&'a StageSpec<dyn SinkConfig<DeadLetters>>>,
}
