//! The JSON Schemas of a build: each is generated once for all pipelines that are loaded together.

use std::collections::BTreeMap;

use serde_json::Value as Json;

use super::settings;
use crate::stage::{Descriptor, Registry, Role};

/// The schemas of a pipeline's settings and of all stages.
pub(super) struct Schemas<'a> {
    pub(super) registry: &'a Registry,
    /// The schema of a pipeline's keys other than stages.
    pub(super) settings: Json,
    stages: BTreeMap<(Role, &'static str), Json>,
}

/// A type of stages with its schema.
#[derive(Clone, Copy)]
pub(super) struct StageType<'a> {
    pub(super) descriptor: &'static Descriptor,
    /// The schema of the stage's table, without the engine's keys.
    pub(super) schema: &'a Json,
}

impl<'a> Schemas<'a> {
    pub(super) fn new(registry: &'a Registry) -> Schemas<'a> {
        let stages = registry.iter().map(|stage| ((stage.role, stage.name), stage.schema().to_value()));
        Schemas { registry, settings: settings::schema(), stages: stages.collect() }
    }

    /// The stage of that role and type.
    pub(super) fn stage(&self, role: Role, name: &str) -> Option<StageType<'_>> {
        let descriptor = self.registry.get(role, name)?;
        let schema = self.stages.get(&(role, descriptor.name))?;
        Some(StageType { descriptor, schema })
    }
}
