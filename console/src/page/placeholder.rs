//! A plain page.

use aqpipe_engine::metrics::RecentOutput;
use aqpipe_engine::monitor::{PipelineStatus, Status};
use maud::{Markup, html};
use serde::Deserialize;

/// The policy.
pub const CONTENT_SECURITY_POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; \
     img-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'";

/// A file.
#[derive(Clone, Copy, Debug)]
pub struct Asset {
    /// Its path.
    pub path: &'static str,
    /// Its type.
    pub content_type: &'static str,
    /// Its text.
    pub text: &'static str,
}

/// The files.
pub const ASSETS: [Asset; 0] = [];

/// The query.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Deserialize)]
#[serde(default)]
pub struct Choice {
    /// The pipeline.
    pub pipeline: Option<String>,
    /// The station.
    pub station: Option<String>,
    /// The field.
    pub field: Option<String>,
}

impl Choice {
    /// The pipeline that is chosen.
    #[must_use]
    pub fn pipeline_of<'a>(&self, status: &'a Status) -> Option<&'a PipelineStatus> {
        status.pipelines.first()
    }
}

/// The model.
#[derive(Clone, Debug, Default)]
pub struct Model {
    /// The status.
    pub status: Status,
    /// The view.
    pub view: View,
}

/// A point.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Moment {
    /// When.
    pub unix_ms: i64,
    /// Read.
    pub read_per_second: f64,
    /// Written.
    pub written_per_second: f64,
    /// Score.
    pub mean_score: Option<f64>,
}

/// The view.
#[derive(Clone, Debug, Default)]
pub struct View;

impl View {
    /// The view.
    #[must_use]
    pub fn of(_: &Choice, _: &RecentOutput, _: Vec<Moment>) -> View {
        View
    }
}

/// The page.
#[must_use]
pub fn index(model: &Model, _: &Choice) -> Markup {
    html! { p { (model.status.version) } }
}

/// The panels.
#[must_use]
pub fn panels(model: &Model, _: &Choice) -> Vec<(&'static str, String)> {
    vec![("p-time", model.status.time.clone())]
}
