//! What is known of the pipeline that made the records.

use std::collections::BTreeMap;

use serde::Serialize;

/// Records that belong together: what one pipeline wrote to one place.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Origin {
    /// The pipeline's name, where it is known.
    pub pipeline: Option<String>,
    /// Where its records are: the beginning of the names of its files, or the topic.
    pub place: String,
    /// The units of fields, as the description of the files or the sink has them.
    pub units: BTreeMap<String, String>,
    /// The version of aqpipe that described the files.
    pub version: Option<String>,
    /// What the file of the pipeline says, where one was given.
    pub made_by: Option<MadeBy>,
    /// Whether records say of what quality their values are. Where they do not, a fill cannot be told from an observation.
    pub has_marks: bool,
}

impl Origin {
    /// What to call it.
    #[must_use]
    pub fn title(&self) -> &str {
        self.pipeline.as_deref().unwrap_or(&self.place)
    }
}

/// A pipeline as its file says it now.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct MadeBy {
    /// The file.
    pub file: String,
    /// The types of its stages in order: `csv -> impute -> kafka`.
    pub topology: String,
    /// The CRC-32 of the options that decide the output, as eight hexadecimal digits: another digest is another output.
    pub digest: String,
    /// The ranges that it checks.
    pub thresholds: Vec<Threshold>,
}

/// The bounds of a field in a range check. Values on a bound are within it.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Threshold {
    /// The stage that checks it.
    pub stage: String,
    /// The field.
    pub field: String,
    /// Values below fail.
    pub min: Option<f64>,
    /// Values above fail.
    pub max: Option<f64>,
    /// Values below are suspect.
    pub suspect_min: Option<f64>,
    /// Values above are suspect.
    pub suspect_max: Option<f64>,
}

impl Threshold {
    /// How far a value lies outside of `min` to `max`; `None` within.
    pub(super) fn exceeded_by(&self, value: f64) -> Option<f64> {
        let below = self.min.map(|min| min - value);
        let above = self.max.map(|max| value - max);
        below.into_iter().chain(above).filter(|distance| *distance > 0.0).max_by(f64::total_cmp)
    }

    /// Whether a value within lies outside of the usual.
    pub(super) fn is_suspect(&self, value: f64) -> bool {
        self.suspect_min.is_some_and(|min| value < min) || self.suspect_max.is_some_and(|max| value > max)
    }
}
