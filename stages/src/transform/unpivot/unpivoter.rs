//! Makes rows of the columns of wide ones.

use std::sync::Arc;

use aqpipe_engine::Result;
use aqpipe_engine::record::{Batch, CellQuality, Column, Field, Fields, Flag, Origin};
use aqpipe_engine::stage::{BuildContext, DeadLetter, Output, Transform};

use super::day_clock::{DayClock, PartTime};
use super::made_rows::{Bound, MadeRows, WideColumn};
use super::name_pattern::NamePattern;
use crate::cell_access::{number_at, text_at};
use crate::per_layout::PerLayout;
use crate::reading::{NumberReader, SOURCE_TEST, Sentinel};
use crate::warn_once::WarnOnce;

/// Rows of an output batch: more win nothing.
const BATCH_ROWS_MAX: usize = 8192;

/// The layout of the rows that are made: the other fields, and then their value's.
pub(super) fn layout(
    input: &Fields,
    columns: &NamePattern,
    validity: Option<&NamePattern>,
    value: Option<Field>,
) -> Fields {
    let is_other = |field: &&Field| {
        let names = [Some(columns), validity];
        names.into_iter().flatten().all(|pattern| pattern.read(&field.name).is_none())
    };
    let list = input.list.iter().filter(is_other).cloned().chain(value).collect();
    Fields { list, score: None, ..input.clone() }
}

/// Makes the rows.
pub(super) struct Unpivoter {
    columns: NamePattern,
    validity: Option<NamePattern>,
    valid: Vec<Sentinel>,
    reader: NumberReader,
    value: Field,
    test: u8,
    stage: Arc<str>,
    /// Where it is put forward and back.
    clock: Option<DayClock>,
    warned: Arc<WarnOnce>,
    bound: PerLayout<Arc<Bound>>,
}

impl Unpivoter {
    pub(super) fn new(
        columns: NamePattern,
        validity: Option<NamePattern>,
        valid: Vec<Sentinel>,
        value: &str,
        clock: Option<DayClock>,
        cx: &BuildContext,
    ) -> Unpivoter {
        Unpivoter {
            columns,
            validity,
            valid,
            reader: NumberReader::default(),
            value: Field::number(value),
            test: cx.qc_tests().bit(SOURCE_TEST),
            stage: Arc::clone(cx.stage()),
            clock,
            warned: cx.pipeline_extensions().get_or_put(WarnOnce::default),
            bound: PerLayout::default(),
        }
    }

    fn bind(&self, input: &Fields) -> Bound {
        let mut columns = Vec::new();
        for (index, field) in input.list.iter().enumerate() {
            let Some(named) = self.columns.read(&field.name) else {
                if self.columns.is_out_of_range(&field.name) {
                    let message = || {
                        format!(
                            "`{}` is no time of a day, and `{}` makes no records of it: it is carried as a field of all others",
                            field.name, self.stage
                        )
                    };
                    self.warned.warn(message, &format!("{}: {}", self.stage, field.name));
                }
                continue;
            };
            let validity = self.validity.as_ref().and_then(|validity| validity.write(&named));
            let mark = validity.as_deref().and_then(|name| input.index(name));
            if let Some(name) = validity.filter(|_| mark.is_none()) {
                let message = || {
                    format!("`{}` finds no column `{name}`: the values of `{}` have no mark", self.stage, field.name)
                };
                self.warned.warn(message, &format!("{}: {name}", self.stage));
            }
            columns.push(WideColumn { index, validity: mark, name: Arc::clone(&field.name), micros: named.micros });
        }
        columns.sort_by_key(|column| column.micros);
        for pair in columns.windows(2).filter(|pair| pair[0].micros == pair[1].micros) {
            let [first, second] = [&pair[0].name, &pair[1].name];
            let message =
                || format!("`{first}` and `{second}` are the same time: `{}` makes a record of each", self.stage);
            self.warned.warn(message, &format!("{}: {first} {second}", self.stage));
        }
        let rest = layout(input, &self.columns, self.validity.as_ref(), None);
        // A field of that name that comes with the records has another name than one that `check` knew.
        let taken = !rest.is_free(&self.value.name);
        if taken {
            let name = &self.value.name;
            let message = || {
                format!(
                    "`{name}` is a field of the records as they come and the values of `{}`: the field is dropped",
                    self.stage
                )
            };
            self.warned.warn(message, &format!("{}: {name}", self.stage));
        }
        let others = rest.names().filter(|name| !taken || *name != &*self.value.name);
        let others: Vec<usize> = others.filter_map(|name| input.index(name)).collect();
        let list = others.iter().map(|index| input.list[*index].clone()).chain([self.value.clone()]).collect();
        Bound { layout: Arc::new(Fields { list, ..rest }), others, columns }
    }

    /// The rows of some wide ones.
    fn unpivot(&self, batch: &Batch, bound: &Bound, out: &mut Output) -> Result<()> {
        let room = batch.rows() * bound.columns.len();
        let mut made = MadeRows::with_room(room);
        for row in 0..batch.rows() {
            let (instant, offset) = (batch.time()[row], batch.utc_offset()[row]);
            let clock = self.clock.as_ref().filter(|clock| clock.changes_after(instant, offset));
            let before = made.rows.len() + out.dead.len();
            for (index, column) in bound.columns.iter().enumerate() {
                let (value, quality) = self.cell(batch, row, column);
                let time = match clock {
                    None => PartTime::At(instant.saturating_add(column.micros), offset),
                    Some(clock) => clock.behind(instant, column.micros),
                };
                let time = match time {
                    PartTime::At(instant, offset) => (instant, offset),
                    PartTime::OneOfTwo(instant, offset) => {
                        self.warn_of_two_hours(column);
                        (instant, offset)
                    }
                    // Nothing is lost with what no one has measured.
                    PartTime::Never(_) if value.is_none() && quality != CellQuality::UNREADABLE => continue,
                    PartTime::Never(why) => {
                        out.dead.push(part_letter(batch, row, column, &why));
                        continue;
                    }
                };
                made.push((row, index), time, (value, quality));
            }
            match (made.rows.len() + out.dead.len() - before) as u64 {
                0 => out.filtered += 1,
                parts => out.made += parts - 1,
            }
        }
        out.batches.push(made.batch(batch, bound)?);
        Ok(())
    }

    #[cold]
    fn warn_of_two_hours(&self, column: &WideColumn) {
        let message = || {
            format!(
                "`{}` is an hour that the clock shows twice on days on which it is put back, and `{}` takes it for the {} of the two: \
                 `ambiguous` says which one it is",
                column.name,
                self.stage,
                self.clock.as_ref().map_or("earlier", DayClock::taken)
            )
        };
        self.warned.warn(message, &format!("{}: two hours", self.stage));
    }

    fn cell(&self, batch: &Batch, row: usize, column: &WideColumn) -> (Option<f64>, CellQuality) {
        let (value, quality) = number_at(batch.column(column.index), row, &self.reader);
        match column.validity {
            Some(mark) if value.is_some() && !self.holds(batch.column(mark), row) => {
                (None, quality.checked(Flag::Fail, self.test))
            }
            _ => (value, quality),
        }
    }

    /// Whether a mark is one under which a value holds.
    fn holds(&self, marks: &Column, row: usize) -> bool {
        let Some(mark) = text_at(marks, row) else { return false };
        let number = || mark.parse::<f64>().ok();
        self.valid.iter().any(|valid| match valid {
            Sentinel::Word(word) => **word == *mark,
            Sentinel::Number(valid) => number() == Some(*valid),
        })
    }
}

/// The dead letter of a part whose hour there is not.
#[cold]
fn part_letter(batch: &Batch, row: usize, column: &WideColumn, why: &str) -> DeadLetter {
    let letter = DeadLetter::of_row(batch, row, format!("the hour of `{}` {why}", column.name));
    let mut records: Vec<Origin> = Origin::of(batch, row).into_iter().map(|origin| origin.part(&column.name)).collect();
    match records.len() {
        1 => {
            let Origin { part, raw, .. } = records.remove(0);
            DeadLetter { part, raw, ..letter }
        }
        _ => DeadLetter { raw: None, records, ..letter },
    }
}

impl Transform for Unpivoter {
    fn apply(&mut self, batch: Batch, out: &mut Output) -> Result<()> {
        let mut bound = std::mem::take(&mut self.bound);
        let here = Arc::clone(bound.get_or_bind(batch.fields(), |fields| Arc::new(self.bind(fields))));
        self.bound = bound;
        let each = here.columns.len();
        if each == 0 {
            let message =
                || format!("records without any of the columns that `{}` makes records of are left out", self.stage);
            self.warned.warn(message, &self.stage);
            out.filtered += batch.rows() as u64;
            return Ok(());
        }
        let step = (BATCH_ROWS_MAX / each).max(1);
        for from in (0..batch.rows()).step_by(step) {
            let rows = step.min(batch.rows() - from);
            self.unpivot(&batch.slice(from, rows), &here, out)?;
        }
        Ok(())
    }
}
