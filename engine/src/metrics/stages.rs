//! The counts of the stages of a pipeline.

use std::sync::Arc;

use crate::stage_metrics::{StageMetrics, StageRole, StageSnapshot};

#[derive(Debug)]
struct Stage {
    role: StageRole,
    id: String,
    /// The name that no other stage has.
    name: String,
    metrics: Arc<StageMetrics>,
}

/// The stages, in the order in which they were first asked for: within a role, that of the pipeline.
#[derive(Debug, Default)]
pub(super) struct Stages(Vec<Stage>);

impl Stages {
    /// The counts of a stage.
    pub(super) fn stage(&mut self, role: StageRole, id: &str) -> Arc<StageMetrics> {
        if let Some(known) = self.0.iter().find(|stage| stage.role == role && stage.id == id) {
            return Arc::clone(&known.metrics);
        }
        let is_taken = self.0.iter().any(|stage| stage.name == id);
        let name = if is_taken { format!("{id} ({})", role.name()) } else { id.to_owned() };
        let metrics = Arc::<StageMetrics>::default();
        self.0.push(Stage { role, id: id.to_owned(), name, metrics: Arc::clone(&metrics) });
        metrics
    }

    /// What the counts call the stage that messages call so. Of several with that name an error does not say which one it was.
    pub(super) fn name_of(&self, id: &str) -> String {
        let of_id: Vec<&Stage> = self.0.iter().filter(|stage| stage.id == id).collect();
        match of_id[..] {
            [] => id.to_owned(),
            [only] => only.name.clone(),
            _ => {
                let roles: Vec<&str> = of_id.iter().map(|stage| stage.role.name()).collect();
                format!("{id} ({})", roles.join(" or "))
            }
        }
    }

    /// A copy of the counts, in the order in which records pass.
    pub(super) fn list(&self) -> Vec<(String, StageSnapshot)> {
        let mut stages: Vec<&Stage> = self.0.iter().collect();
        stages.sort_by_key(|stage| stage.role);
        stages.into_iter().map(|stage| (stage.name.clone(), stage.metrics.snapshot())).collect()
    }
}
