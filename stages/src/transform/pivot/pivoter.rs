//! Merges records into rows.

use std::sync::Arc;
use std::time::Instant;

use aqpipe_engine::clock::Clock;
use aqpipe_engine::record::{Batch, Field, Fields, Kind};
use aqpipe_engine::stage::{BuildContext, DeadLetter, Output, State, Transform};
use aqpipe_engine::{Error, Result};
use serde::{Deserialize, Serialize};

use super::departures::Departure;
use super::given_up::GivenUp;
use super::keyed_rows::{KeyedRow, KeyedRows, Ready};
use super::late_values::LateValues;
use super::open_rows::{Added, KeyRows, NamedCell, OpenRow};
use super::row_writer::RowLayout;
use super::settings::{Late, Settings};
use crate::cell_access::{number_at, text_at};
use crate::per_layout::PerLayout;
use crate::reading::NumberReader;
use crate::same_time::SameTime;
use crate::warn_once::WarnOnce;

const PIVOT_FORMAT_VERSION: u8 = 3;
/// Names that get a column: more are no names of measurements.
const NAMES_MAX: usize = 1_000;

/// The columns of one layout.
#[derive(Clone)]
struct Bound {
    names: Option<usize>,
    values: Option<usize>,
    /// By the number of the field that comes along.
    kept: Arc<[Option<usize>]>,
}

/// Merges the records of a split.
pub(super) struct Pivoter {
    settings: Settings,
    layout: RowLayout,
    rows: KeyedRows,
    held: u64,
    late: LateValues,
    given_up: GivenUp,
    bound: PerLayout<Bound>,
    reader: NumberReader,
    same_time: Option<SameTime>,
    clock: Clock,
    /// Whether later runs may bring values for the rows of this one.
    goes_on: bool,
    stage: Arc<str>,
    warned: Arc<WarnOnce>,
}

/// The entry that says what the others are about. Its name is empty; the others are those of the keys, by their numbers, so that a
/// checkpoint saves the keys whose rows changed.
#[derive(Serialize, Deserialize)]
struct Saved {
    kept: Vec<Field>,
    names: Vec<String>,
    key: Option<String>,
    late: LateValues,
}

/// The entry of a key: its name and its rows.
#[derive(Serialize)]
struct SavedKey<'a>(Option<&'a str>, &'a KeyRows);

impl Pivoter {
    pub(super) fn new(settings: Settings, cx: &BuildContext) -> Pivoter {
        let names = settings.expect.iter().flatten().map(|name| Arc::from(name.as_str())).collect();
        let same_time = SameTime::new(vec![settings.names.clone(), settings.values.clone()], cx);
        Pivoter {
            settings,
            layout: RowLayout { names, ..RowLayout::default() },
            rows: KeyedRows::default(),
            held: 0,
            late: LateValues::default(),
            given_up: GivenUp::default(),
            bound: PerLayout::default(),
            reader: NumberReader::default(),
            same_time: Some(same_time),
            clock: cx.clock().clone(),
            goes_on: cx.is_bounded() && !cx.reads_whole(),
            stage: Arc::clone(cx.stage()),
            warned: cx.pipeline_extensions().get_or_put(WarnOnce::default),
        }
    }

    /// Finds the columns of a layout, and numbers the fields that come along.
    fn bind(layout: &mut RowLayout, settings: &Settings, input: &Fields) -> Bound {
        layout.key.clone_from(&input.key);
        let comes = |field: &Field| match &settings.keep {
            Some(keep) => keep.iter().any(|name| **name == *field.name),
            None => field.kind == Kind::Text,
        };
        let used = |field: &Field| *field.name == *settings.names || *field.name == *settings.values;
        for field in input.list.iter().filter(|field| comes(field) && !used(field)) {
            if !layout.kept.iter().any(|known| known.name == field.name) {
                layout.kept.push(field.clone());
            }
        }
        Bound {
            names: input.index(&settings.names),
            values: input.index(&settings.values),
            kept: layout.kept.iter().map(|field| input.index(&field.name)).collect(),
        }
    }

    /// The number of a name; `None` where it gets no column.
    fn name(&mut self, name: &str) -> Result<Option<usize>> {
        let known = self.layout.names.iter().position(|known| **known == *name);
        if known.is_some() {
            return Ok(known);
        }
        if self.settings.expect.is_some() {
            let message = || format!("records of `{name}` are left out by `{}`: it is not in `expect`", self.stage);
            self.warned.warn(message, &format!("{}: {name}", self.stage));
            return Ok(None);
        }
        if self.layout.names.len() >= NAMES_MAX {
            let message = format!("the field `{}` has more than {NAMES_MAX} names", self.settings.names);
            return Err(
                Error::config(message).help("`names` is the field of the names of measurements, such as `parameter`")
            );
        }
        self.layout.names.push(name.into());
        Ok(Some(self.layout.names.len() - 1))
    }

    fn take_record(
        &mut self,
        batch: &Batch,
        row: usize,
        bound: &Bound,
        ready: &mut Ready,
        out: &mut Output,
    ) -> Result<()> {
        let dead = |reason: String| DeadLetter::of_row(batch, row, reason);
        let (Some(names), Some(values)) = (bound.names, bound.values) else {
            let missing = if bound.names.is_none() { &self.settings.names } else { &self.settings.values };
            out.dead.push(dead(format!("it has no field `{missing}`")));
            return Ok(());
        };
        let (key, time) = (self.rows.key(batch, row), batch.time()[row]);
        if self.settings.expect.is_some() {
            self.rows.release_before(key, time, self.settings.allowed_lateness, ready);
        }
        let Some(name) = text_at(batch.column(names), row) else {
            out.dead.push(dead(format!("it has no name in `{}`", self.settings.names)));
            return Ok(());
        };
        let Some(number) = self.name(&name)? else {
            out.filtered += 1;
            return Ok(());
        };
        self.late.taken += 1;
        let (value, quality) = number_at(batch.column(values), row, &self.reader);
        let cell = NamedCell { name: number, value, quality: quality.0 };
        let now = self.clock.now();
        let series = (key * NAMES_MAX + number) as u64;
        let rows = self.rows.of(key);
        let is_open = rows.open.contains_key(&time);
        let left = if is_open { None } else { rows.left.of(time) };
        if left.is_none() {
            self.late.late += u64::from(!is_open && rows.left.may_have_left(time));
            let open = rows.open.entry(time).or_insert_with(|| OpenRow::new(batch, row, now));
            if open.add(batch, row, cell, &bound.kept) == Added::Taken {
                let is_complete = self.settings.expect.is_some() && open.cells.len() == self.layout.names.len();
                self.held += 1;
                self.same_time.iter_mut().for_each(|check| check.remember(series, batch, row));
                if is_complete {
                    self.rows.complete(key, time, ready);
                }
                return Ok(());
            }
        }
        let why = if left == Some(Departure::Incomplete) {
            self.late.late += 1;
            format!("a value of `{name}` came after the row of its time had left")
        } else {
            self.same_time.take_if(|check| check.tell(series, batch, row));
            format!(
                "a value of `{name}` came before, with the same key and time: is it the same record once more, or does \
                 the key lack a part?"
            )
        };
        match self.settings.late {
            Late::DeadLetter => out.dead.push(dead(why)),
            Late::Row => {
                let mut alone = OpenRow::new(batch, row, now);
                alone.add(batch, row, cell, &bound.kept);
                self.held += 1;
                ready.push((self.rows.name(key), alone));
            }
        }
        Ok(())
    }

    /// No more records are held than may be.
    fn bound_held(&mut self, ready: &mut Ready) -> Result<()> {
        let waiting = |ready: &Ready| ready.iter().map(|(_, row)| row.records()).sum::<u64>();
        let held = self.held - waiting(ready);
        if held <= self.settings.max_rows {
            return Ok(());
        }
        if self.settings.expect.is_none() {
            return Err(self.settings.too_many(&self.layout.names));
        }
        let mut rows: Vec<(u64, u64)> =
            self.rows.iter().flat_map(|(_, rows)| rows.open.values()).map(OpenRow::extent).collect();
        rows.sort_unstable();
        // Half of what may be held stays, so that the next records need no look at all rows.
        let too_many = held - (self.settings.max_rows - self.settings.max_rows / 2);
        let mut sum = 0;
        let last = rows.into_iter().find_map(|(offset, records)| {
            sum += records;
            (sum >= too_many).then_some(offset)
        });
        let Some(last) = last else { return Ok(()) };
        let before = ready.len();
        self.rows.release(ready, |row| row.source_offset() <= last);
        self.given_up.add((ready.len() - before) as u64, &self.stage);
        Ok(())
    }

    fn emit(&mut self, ready: &[KeyedRow], out: &mut Output) -> Result<()> {
        if ready.is_empty() {
            return Ok(());
        }
        let records: u64 = ready.iter().map(|(_, row)| row.records()).sum();
        self.held -= records;
        out.merged += records - ready.len() as u64;
        let (names, written) = self.layout.columns();
        self.warned.warn_renamed(&names, &written);
        out.batches.push(self.layout.batch(ready)?);
        Ok(())
    }
}

impl Transform for Pivoter {
    fn apply(&mut self, batch: Batch, out: &mut Output) -> Result<()> {
        let (layout, settings) = (&mut self.layout, &self.settings);
        let bound = self.bound.get_or_bind(batch.fields(), |input| Self::bind(layout, settings, input)).clone();
        let mut ready = Vec::new();
        for row in 0..batch.rows() {
            self.take_record(&batch, row, &bound, &mut ready, out)?;
        }
        self.bound_held(&mut ready)?;
        self.late.tell(&self.stage, &self.settings.names);
        self.emit(&ready, out)
    }

    fn finish(&mut self, out: &mut Output) -> Result<()> {
        let mut ready = Vec::new();
        self.rows.release(&mut ready, |_| true);
        if self.goes_on && !ready.is_empty() && self.settings.expect.is_some() {
            let (stage, rows) = (&*self.stage, ready.len());
            tracing::warn!(
                stage,
                rows,
                "the end of this run ends rows that lack values: those that a later run brings come late (`late`)"
            );
        }
        self.late.tell_at_end(&self.stage, &self.settings.names);
        self.emit(&ready, out)
    }

    fn tick(&mut self, now: Instant, out: &mut Output) -> Result<()> {
        let Some(max_wait) = self.settings.max_wait.filter(|_| self.held > 0) else { return Ok(()) };
        let mut ready = Vec::new();
        self.rows.release(&mut ready, |row| {
            row.arrived.is_none_or(|arrived| now.saturating_duration_since(arrived) >= max_wait)
        });
        self.emit(&ready, out)
    }

    fn held(&self) -> u64 {
        self.held
    }

    fn save(&self) -> Result<State> {
        let text = |name: &Option<Arc<str>>| name.as_deref().map(str::to_owned);
        let saved = Saved {
            kept: self.layout.kept.clone(),
            names: self.layout.names.iter().map(|name| name.to_string()).collect(),
            key: text(&self.layout.key),
            late: self.late.clone(),
        };
        let mut state = State::of(PIVOT_FORMAT_VERSION, &saved)?;
        for (number, (key, rows)) in self.rows.iter().enumerate() {
            state.insert(format!("{number:08x}"), &SavedKey(key, rows))?;
        }
        Ok(state)
    }

    fn restore(&mut self, state: &State) -> Result<()> {
        let saved: Saved = state.read(PIVOT_FORMAT_VERSION)?;
        // `expect` may be another list than it was.
        let numbers: Vec<Option<usize>> = saved.names.iter().map(|name| self.name(name)).collect::<Result<_>>()?;
        let now = self.clock.now();
        (self.layout.kept, self.layout.key) = (saved.kept, saved.key.map(Arc::from));
        (self.late, self.bound) = (saved.late, PerLayout::default());
        let mut keys = Vec::new();
        for (name, bytes) in state.entries(PIVOT_FORMAT_VERSION)?.filter(|(name, _)| !name.is_empty()) {
            // They come in the order of their numbers.
            if u32::from_str_radix(name, 16).ok() != Some(keys.len() as u32) {
                return Err(Error::new("the saved state of `pivot` cannot be read"));
            }
            let key: (Option<String>, KeyRows) = postcard::from_bytes(bytes)
                .map_err(|e| Error::new("the saved state of `pivot` cannot be read").because(e))?;
            keys.push(key);
        }
        for (key, mut rows) in keys {
            for row in rows.open.values_mut() {
                row.arrived = Some(now);
                self.held += row.records();
                row.cells.retain_mut(|cell| match numbers.get(cell.name).copied().flatten() {
                    Some(number) => {
                        cell.name = number;
                        true
                    }
                    None => false,
                });
            }
            self.rows.add(key.map(Arc::from), rows);
        }
        Ok(())
    }
}
