//! What the page shows of all that it could.

use aqpipe_engine::monitor::{PipelineStatus, Status};
use serde::Deserialize;

/// The query of the URL: `/?pipeline=…&station=…&field=…`. What is not chosen, or is not there, is the first one.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Deserialize)]
#[serde(default)]
pub struct Choice {
    /// The pipeline that is shown.
    pub pipeline: Option<String>,
    /// The station whose readings are shown.
    pub station: Option<String>,
    /// The field of these readings.
    pub field: Option<String>,
}

impl Choice {
    /// The pipeline that is chosen among those of a status.
    #[must_use]
    pub fn pipeline_of<'a>(&self, status: &'a Status) -> Option<&'a PipelineStatus> {
        let chosen = self.pipeline.as_ref().and_then(|name| status.pipelines.iter().find(|one| one.name == *name));
        chosen.or(status.pipelines.first())
    }

    /// The one that is chosen among names, or the first.
    pub(super) fn among<'a>(chosen: Option<&str>, names: &'a [String]) -> Option<&'a str> {
        let found = chosen.and_then(|chosen| names.iter().find(|name| *name == chosen));
        found.or(names.first()).map(String::as_str)
    }

    /// The address of the page with another pipeline.
    pub(super) fn pipeline_href(name: &str) -> String {
        format!("/?{}", form_urlencoded::Serializer::new(String::new()).append_pair("pipeline", name).finish())
    }
}
