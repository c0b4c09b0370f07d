//! What a source tells of cells while it reads.

use std::sync::Arc;

use aqpipe_engine::monitor::{CellProblem, Metrics};
use aqpipe_engine::stage::BuildContext;

use super::options::NumberOptions;
use super::suggestions::{OtherCells, suggestions};
use super::unreadable::{FieldCells, UnreadableCells};
use crate::key_parts::KeyParts;
use crate::warn_once::WarnOnce;

/// Counts cells with a problem in the metrics, and logs the first one of each field. Shared by the splits of a source.
#[derive(Clone, Debug)]
pub struct CellReport {
    metrics: Arc<Metrics>,
    told: Arc<WarnOnce>,
    /// How measurements are read.
    numbers: Arc<NumberOptions>,
    key_parts: Arc<KeyParts>,
}

impl CellReport {
    /// A report to the metrics of a pipeline, of cells that are read by these options.
    #[must_use]
    pub fn new(cx: &BuildContext, numbers: NumberOptions) -> CellReport {
        let key_parts = cx.pipeline_extensions().get_or_put(KeyParts::default);
        CellReport { metrics: Arc::clone(cx.metrics()), told: Arc::default(), numbers: Arc::new(numbers), key_parts }
    }

    /// Tells the stages which columns differ between records of one key and time: a warning of theirs names them.
    pub fn key_parts(&self, columns: Vec<String>) {
        self.key_parts.offer(columns);
    }

    /// Warns of a field in a sample; the same cells are not logged once more when they are read.
    #[track_caller]
    pub fn warn(&self, field: &str, warning: &str) {
        self.told.warn(|| warning.to_owned(), field);
    }

    /// Says something of a field in a sample, once for all splits.
    #[track_caller]
    pub fn tell(&self, field: &str, finding: &str) {
        self.told.info(finding, field);
    }

    /// The options that would read the first cell.
    fn hint(&self, texts: &[Vec<u8>]) -> String {
        let first = &texts[..texts.len().min(1)];
        // A word is not said to be a gap by itself.
        let found = suggestions(first, &self.numbers, OtherCells::default())
            .into_iter()
            .filter(|it| !it.text.starts_with("`missing"));
        let named: Vec<String> = found.map(|suggestion| suggestion.text).collect();
        if named.is_empty() { String::new() } else { format!("; {} would read it", named.join(" or ")) }
    }

    /// Takes the cells that a decoder has met since the last call. `name` is the name of a field by its index, `place` the file and
    /// line, or the topic, partition and offset, of a source offset.
    pub fn take(
        &self,
        problem: CellProblem,
        cells: &mut UnreadableCells,
        name: impl Fn(usize) -> String,
        mut place: impl FnMut(u64) -> Option<String>,
    ) {
        if cells.is_empty() {
            return;
        }
        for (field, FieldCells { count, first, texts }) in cells.take() {
            let name = name(field);
            let text = texts.first().map(|text| String::from_utf8_lossy(text).into_owned()).unwrap_or_default();
            let first = place(first);
            let at = first.as_ref().map_or_else(String::new, |place| format!(" at {place}"));
            match problem {
                CellProblem::Unreadable => self.told.warn(
                    || {
                        let hint = self.hint(&texts);
                        format!(
                            "`{name}`: `{text}`{at} cannot be read: such cells have no value, fail the test `syntax`, and are \
                             counted in the summary ({count} so far){hint}"
                        )
                    },
                    &name,
                ),
                CellProblem::UnlistedCode => self.told.warn(
                    || {
                        format!(
                            "`{name}`: `flags` does not list the code `{text}`{at}: such values are carried with the flag \
                             `unknown`, and are counted in the summary ({count} so far)"
                        )
                    },
                    &format!("{name} {text}"),
                ),
            }
            self.metrics.record_cell_problem(problem, &name, count, || (text, first));
        }
    }
}
