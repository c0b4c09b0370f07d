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
    /// What the file of the pipeline says now, where one was given.
    pub made_by: Option<MadeBy>,
    /// What the records say of the pipelines that wrote them, the latest last; nothing where they do not say it.
    pub written_by: Vec<WrittenBy>,
    /// Whether records say of what quality their values are. Where they do not, a fill cannot be told from an observation.
    pub has_marks: bool,
}

impl Origin {
    /// The ranges that the report goes by: those of the pipeline's file, else those that the records name.
    #[must_use]
    pub fn thresholds(&self) -> &[Threshold] {
        match (&self.made_by, self.written_by.last()) {
            (Some(made), _) => &made.thresholds,
            (None, Some(written)) => &written.thresholds,
            (None, None) => &[],
        }
    }

    /// Whether a test is known to look at a field; `None` where nothing says which tests were made.
    pub(super) fn is_tested(&self, test: &str, field: &str) -> Option<bool> {
        let file = self.made_by.iter().map(|made| &made.tests);
        let mut known = self.written_by.iter().map(|written| &written.tests).chain(file).peekable();
        known.peek()?;
        Some(known.flatten().any(|one| (one.test.as_str(), one.field.as_str()) == (test, field)))
    }

    /// The tests that the pipeline is known to make.
    pub(super) fn tests(&self) -> impl Iterator<Item = &str> {
        let file = self.made_by.iter().map(|made| &made.tests);
        self.written_by.iter().map(|written| &written.tests).chain(file).flatten().map(|one| one.test.as_str())
    }

    /// Whose ranges these are where the file's digest is none of those that wrote the records: what a reader has to know.
    pub(super) fn doubt(&self) -> Option<String> {
        let made = self.made_by.as_ref()?;
        let digests: Vec<&str> = self.written_by.iter().map(|written| written.digest.as_str()).collect();
        let others: Vec<&str> = digests.iter().copied().filter(|digest| *digest != made.digest).collect();
        if others.is_empty() {
            return None;
        }
        let also = if others.len() < digests.len() { " a part of" } else { "" };
        Some(format!(
            "{}:{also} these records were made by the pipeline with the digest {}; {} has the digest {} now. The limits shown are those of \
             the file, and may not be those of the run.",
            self.title(),
            others.join(", "),
            made.file,
            made.digest
        ))
    }

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
    /// The tests that it makes, and of which fields, as far as its file says it.
    pub tests: Vec<Tested>,
}

/// A pipeline as it was when it wrote the records.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct WrittenBy {
    /// Its digest then: that of [`MadeBy`].
    pub digest: String,
    /// The first file that it wrote.
    pub since: String,
    /// Whether its source generated the readings.
    pub generated: bool,
    /// The ranges that it checked.
    pub thresholds: Vec<Threshold>,
    /// The tests that it made.
    pub tests: Vec<Tested>,
}

/// A test that looks at a field.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Tested {
    /// The test.
    pub test: String,
    /// The field.
    pub field: String,
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
