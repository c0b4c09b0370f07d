//! The sample of a stream: its first records, judged as they come, until the first commit.

use std::cell::Cell;
use std::collections::BTreeSet;
use std::sync::Arc;

use aqpipe_engine::Result;
use aqpipe_engine::record::{Batch, Column, SAMPLE_RECORDS};

use super::options::{NumberOptions, UnreadableAction};
use super::report::CellReport;
use super::sample::{FieldSample, judge};
use super::unreadable::UnreadableCells;

/// Texts of one field that are kept.
const TEXTS_MAX: usize = 100;

/// How a stream's cells are judged.
#[derive(Clone, Debug)]
pub struct SampleRules {
    /// How measurements are read.
    pub numbers: NumberOptions,
    /// The fields that are judged; `None`: all. What nobody asked for stops nothing.
    pub asked: Option<BTreeSet<String>>,
    /// What happens where they cannot be.
    pub action: UnreadableAction,
    /// Where cells that cannot be read are told.
    pub report: CellReport,
}

/// The sample of one split. What is decided is decided once: a sensor that breaks later stops nothing.
pub struct StreamSample {
    rules: Arc<SampleRules>,
    fields: Vec<FieldSample>,
    records: u64,
    /// A checkpoint, which does not change the split, decides too.
    is_decided: Cell<bool>,
}

impl StreamSample {
    /// A sample that begins, or one that an earlier run has decided.
    #[must_use]
    pub fn new(rules: &Arc<SampleRules>, is_decided: bool) -> StreamSample {
        StreamSample { rules: Arc::clone(rules), fields: Vec::new(), records: 0, is_decided: Cell::new(is_decided) }
    }

    /// Says that what was read is committed; a commit before the first record decides nothing.
    pub fn decide(&self) {
        if self.records > 0 {
            self.is_decided.set(true);
        }
    }

    /// Whether it is decided.
    #[must_use]
    pub fn is_decided(&self) -> bool {
        self.is_decided.get()
    }

    /// Adds a batch with the cells of it that could not be read.
    ///
    /// # Errors
    /// Where the cells of a field cannot be read and the run has to stop, before anything of the batch is committed.
    pub fn add(
        &mut self,
        batch: &Batch,
        unreadable: &UnreadableCells,
        place: impl Fn(u64) -> Option<String>,
    ) -> Result<()> {
        if self.is_decided.get() {
            return Ok(());
        }
        let unreadable_cells = |index: usize| unreadable.of(index).map_or(0, |cells| cells.count);
        for (index, (field, column)) in batch.fields().list.iter().zip(batch.columns()).enumerate() {
            let Column::Number(numbers) = column else { continue };
            if self.rules.asked.as_ref().is_some_and(|asked| !asked.contains(&*field.name)) {
                continue;
            }
            let values = (0..batch.rows()).filter(|row| numbers.get(*row).is_some()).count() as u64;
            let known = self.fields.iter().position(|sample| *sample.name == *field.name);
            let known = known.unwrap_or_else(|| {
                self.fields.push(FieldSample { name: field.name.to_string(), ..FieldSample::default() });
                self.fields.len() - 1
            });
            let sample = &mut self.fields[known];
            sample.values += values;
            sample.unreadable += unreadable_cells(index);
            if let Some(cells) = unreadable.of(index) {
                sample.place = sample.place.take().or_else(|| place(cells.first));
                let room = TEXTS_MAX.saturating_sub(sample.texts.len());
                sample.texts.extend(cells.texts.iter().take(room).cloned());
            }
        }
        self.records += batch.rows() as u64;
        let warnings = judge(&self.fields, &self.rules.numbers, self.rules.action)?;
        warnings.iter().for_each(|(field, warning)| self.rules.report.warn(field, warning));
        if self.records >= SAMPLE_RECORDS {
            self.decide();
        }
        Ok(())
    }
}
