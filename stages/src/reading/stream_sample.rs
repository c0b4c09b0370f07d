//! The sample of a stream: its first records, judged as they come, until the first commit.

use std::cell::Cell;
use std::collections::BTreeSet;
use std::sync::Arc;

use aqpipe_engine::Result;
use aqpipe_engine::record::{Batch, CellQuality, Column, SAMPLE_RECORDS};

use super::kind_sample::TEXTS_MAX;
use super::options::{NumberOptions, UnreadableAction};
use super::report::CellReport;
use super::sample::{FieldSample, judge};
use super::unreadable::UnreadableCells;

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

/// The sample of one split. It is judged when it is whole, or before the first commit. What is decided is decided once: a sensor
/// that breaks later stops nothing.
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

    /// Decides, before what was read is committed: what has had no cell until then stops nothing later.
    ///
    /// # Errors
    /// Where the cells of a field cannot be read and the run has to stop, before anything is committed.
    pub fn decide(&self) -> Result<()> {
        if self.is_decided.get() || self.records == 0 {
            return Ok(());
        }
        let warnings = judge(&self.fields, &self.rules.numbers, self.rules.action)?;
        warnings.iter().for_each(|(field, warning)| self.rules.report.warn(field, warning));
        self.is_decided.set(true);
        Ok(())
    }

    /// Whether it is decided.
    #[must_use]
    pub fn is_decided(&self) -> bool {
        self.is_decided.get()
    }

    /// Adds a batch with the cells of it that could not be read; only the first records belong to the sample.
    ///
    /// # Errors
    /// As for [`decide`](Self::decide), where the sample is whole.
    pub fn add(
        &mut self,
        batch: &Batch,
        unreadable: &UnreadableCells,
        place: impl Fn(u64) -> Option<String>,
    ) -> Result<()> {
        if self.is_decided.get() {
            return Ok(());
        }
        let rows = batch.rows().min((SAMPLE_RECORDS - self.records) as usize);
        for (index, (field, column)) in batch.fields().list.iter().zip(batch.columns()).enumerate() {
            let Column::Number(numbers) = column else { continue };
            if self.rules.asked.as_ref().is_some_and(|asked| !asked.contains(&*field.name)) {
                continue;
            }
            let known = self.fields.iter().position(|sample| *sample.name == *field.name);
            let known = known.unwrap_or_else(|| {
                self.fields.push(FieldSample { name: field.name.to_string(), ..FieldSample::default() });
                self.fields.len() - 1
            });
            let sample = &mut self.fields[known];
            sample.values += (0..rows).filter(|row| numbers.get(*row).is_some()).count() as u64;
            // What is less than one, or more than a thousand with a fraction, was written with the decimal mark.
            let is_decimal =
                |value: f64| (value != 0.0 && value.abs() < 1.0) || (value.abs() >= 1e3 && value.fract() != 0.0);
            sample.decimals +=
                (0..rows).filter_map(|row| numbers.get(row)).filter(|value| is_decimal(*value)).count() as u64;
            if let Some(cells) = unreadable.of(index) {
                let failed = (0..rows).filter(|row| numbers.quality_at(*row) == CellQuality::UNREADABLE).count() as u64;
                // Marks of an earlier pipeline may say the same of a cell that it emptied.
                let failed = failed.min(cells.count);
                if failed == 0 {
                    continue;
                }
                sample.unreadable += failed;
                sample.place = sample.place.take().or_else(|| place(cells.first));
                let room = TEXTS_MAX.saturating_sub(sample.texts.len()).min(failed as usize);
                sample.texts.extend(cells.texts.iter().take(room).cloned());
            }
        }
        self.records += rows as u64;
        if self.records >= SAMPLE_RECORDS { self.decide() } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use aqpipe_engine::record::{BatchParts, Field, Fields, Numbers};
    use aqpipe_engine::stage::BuildContext;
    use arrow_array::Float64Array;

    use super::*;

    fn sample() -> StreamSample {
        let rules = SampleRules {
            numbers: NumberOptions::default(),
            asked: None,
            action: UnreadableAction::Stop,
            report: CellReport::new(&BuildContext::for_tests(), NumberOptions::default()),
        };
        StreamSample::new(&Arc::new(rules), false)
    }

    /// A batch of good cells, cells such as `3,5` that cannot be read, and gaps.
    fn add(sample: &mut StreamSample, good: usize, bad: usize, gaps: usize) -> Result<()> {
        let cells = [
            (Some(1.0), CellQuality::OBSERVED, good),
            (None, CellQuality::UNREADABLE, bad),
            (None, CellQuality::MISSING, gaps),
        ];
        let all = || cells.iter().flat_map(|(value, quality, count)| std::iter::repeat_n((*value, quality.0), *count));
        let rows = good + bad + gaps;
        let batch = Batch::new(BatchParts {
            fields: Arc::new(Fields { list: vec![Field::number("v")], ..Fields::default() }),
            time: vec![0; rows].into(),
            utc_offset: vec![0; rows].into(),
            key: None,
            columns: vec![Column::Number(Numbers {
                values: Float64Array::from_iter(all().map(|(value, _)| value)),
                quality: all().map(|(_, quality)| quality).collect(),
            })],
            score: None,
            source_offsets: (0..rows as u64).collect::<Vec<_>>().into(),
            raw: None,
        });
        let mut unreadable = UnreadableCells::default();
        (0..bad).for_each(|row| unreadable.add(0, b"3,5", (good + row) as u64));
        sample.add(&batch.expect("a batch"), &unreadable, |offset| Some(offset.to_string()))
    }

    #[test]
    fn the_first_thousand_records_decide_together_and_none_behind_them() {
        for batches in [&[(0, 60), (940, 0), (0, 2_000)][..], &[(1_000, 1_500)], &[(500, 499), (3, 500)]] {
            let mut sample = sample();
            for (good, bad) in batches {
                add(&mut sample, *good, *bad, 0).expect("most of them can be read");
            }
            assert!(sample.is_decided());
        }
        let mut mostly_bad = sample();
        add(&mut mostly_bad, 400, 500, 0).expect("it is not whole yet");
        assert!(add(&mut mostly_bad, 0, 100, 0).is_err_and(|error| error.to_string().contains("600 of 1000")));
    }

    #[test]
    fn a_commit_judges_what_has_come_and_what_comes_later_stops_nothing() {
        let mut early = sample();
        early.decide().expect("nothing to judge");
        assert!(!early.is_decided(), "without a record");
        add(&mut early, 0, 0, 5).expect("gaps");
        early.decide().expect("an absent sensor stops nothing");
        add(&mut early, 0, 1_000, 0).expect("it breaks later");
        let mut early = sample();
        add(&mut early, 2, 3, 0).expect("it is not whole yet");
        assert!(early.decide().is_err_and(|error| error.to_string().contains("3 of 5")), "before it is committed");
        let mut good = sample();
        add(&mut good, 3, 2, 0).expect("it is not whole yet");
        good.decide().expect("most of them can be read");
        add(&mut good, 0, 900, 0).expect("it is decided");
    }
}
