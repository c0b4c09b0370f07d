//! Merges records into rows.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use aqpipe_engine::clock::Clock;
use aqpipe_engine::record::{Batch, Field, Fields, Kind};
use aqpipe_engine::stage::{BuildContext, DeadLetter, Output, State, Transform};
use aqpipe_engine::{Error, Result};
use arrow_array::Array as _;
use serde::{Deserialize, Serialize};

use super::config::Late;
use super::open_rows::{Added, KeyRows, NamedCell, OpenRow};
use super::row_writer::RowLayout;
use crate::cell_access::{number_at, text_at};
use crate::per_layout::PerLayout;
use crate::warn_once::WarnOnce;

const PIVOT_FORMAT_VERSION: u8 = 1;
/// Names that get a column: more are no names of measurements.
const NAMES_MAX: usize = 1_000;
/// So many late values, if they are a third of all, tell that the input is not in the order of time.
const LATE_TOLD: u64 = 100;

/// The options, with their defaults.
pub(super) struct Settings {
    pub(super) names: String,
    pub(super) values: String,
    pub(super) expect: Option<Vec<String>>,
    pub(super) keep: Option<Vec<String>>,
    pub(super) max_wait: Option<Duration>,
    /// In microseconds.
    pub(super) allowed_lateness: u64,
    pub(super) late: Late,
    pub(super) max_rows: u64,
}

/// The columns of one layout.
#[derive(Clone)]
struct Bound {
    names: Option<usize>,
    values: Option<usize>,
    /// By the number of the field that comes along.
    kept: Arc<[Option<usize>]>,
}

type Ready = Vec<(Option<Arc<str>>, OpenRow)>;

/// Merges the records of a split.
pub(super) struct Pivoter {
    settings: Settings,
    layout: RowLayout,
    keys: Vec<(Option<Arc<str>>, KeyRows)>,
    ids: HashMap<Option<Arc<str>>, usize, foldhash::fast::RandomState>,
    held: u64,
    /// Records that have a name that gets a column, and those of them that came late.
    taken: u64,
    late: u64,
    told_late: bool,
    given_up: u64,
    warn_at: u64,
    bound: PerLayout<Bound>,
    clock: Clock,
    stage: Arc<str>,
    warned: Arc<WarnOnce>,
}

#[derive(Serialize, Deserialize)]
struct Saved {
    kept: Vec<Field>,
    names: Vec<String>,
    key: Option<String>,
    keys: Vec<(Option<String>, KeyRows)>,
    taken: u64,
    late: u64,
}

impl Pivoter {
    pub(super) fn new(settings: Settings, cx: &BuildContext) -> Pivoter {
        let names = settings.expect.iter().flatten().map(|name| Arc::from(name.as_str())).collect();
        Pivoter {
            settings,
            layout: RowLayout { names, ..RowLayout::default() },
            keys: Vec::new(),
            ids: HashMap::default(),
            held: 0,
            taken: 0,
            late: 0,
            told_late: false,
            given_up: 0,
            warn_at: 1,
            bound: PerLayout::default(),
            clock: cx.clock().clone(),
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

    fn key(&mut self, batch: &Batch, row: usize) -> usize {
        let key = batch.key().filter(|keys| keys.is_valid(row)).map(|keys| Arc::from(keys.value(row)));
        if let Some(known) = self.ids.get(&key) {
            return *known;
        }
        self.ids.insert(key.clone(), self.keys.len());
        self.keys.push((key, KeyRows::default()));
        self.keys.len() - 1
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
        let dead =
            |reason: String| DeadLetter::new(batch.source_offsets()[row], reason, batch.raw(row).map(<[u8]>::to_vec));
        let (Some(names), Some(values)) = (bound.names, bound.values) else {
            let missing = if bound.names.is_none() { &self.settings.names } else { &self.settings.values };
            out.dead.push(dead(format!("it has no field `{missing}`")));
            return Ok(());
        };
        let key = self.key(batch, row);
        let time = batch.time()[row];
        self.release_before(key, time, ready);
        let Some(name) = text_at(batch.column(names), row) else {
            out.dead.push(dead(format!("it has no name in `{}`", self.settings.names)));
            return Ok(());
        };
        let Some(number) = self.name(&name)? else {
            out.filtered += 1;
            return Ok(());
        };
        self.taken += 1;
        let (value, quality) = number_at(batch.column(values), row);
        let cell = NamedCell { name: number, value, quality: quality.0 };
        let now = self.clock.now();
        let (key_name, rows) = &mut self.keys[key];
        let why = if !rows.open.contains_key(&time) && rows.has_left(time) {
            format!("a value of `{name}` came after the row of its time had left")
        } else {
            let open = rows.open.entry(time).or_insert_with(|| OpenRow::new(batch, row, now));
            match open.add(batch, row, cell, &bound.kept) {
                Added::Taken => {
                    self.held += 1;
                    if self.settings.expect.is_some() && open.cells.len() == self.layout.names.len() {
                        ready.extend(rows.take(time).map(|row| (key_name.clone(), row)));
                    }
                    return Ok(());
                }
                Added::Repeated => format!(
                    "another value of `{name}` came before, with the same key and time: does the key lack a part?"
                ),
            }
        };
        self.late += 1;
        match self.settings.late {
            Late::DeadLetter => out.dead.push(dead(why)),
            Late::Row => {
                let mut alone = OpenRow::new(batch, row, now);
                alone.add(batch, row, cell, &bound.kept);
                self.held += 1;
                ready.push((key_name.clone(), alone));
            }
        }
        Ok(())
    }

    /// Rows of a key leave when a record comes that is later than they may wait for.
    fn release_before(&mut self, key: usize, time: i64, ready: &mut Ready) {
        if self.settings.expect.is_none() {
            return;
        }
        let (name, rows) = &mut self.keys[key];
        while let Some((first, _)) = rows.open.first_key_value()
            && *first < time
            && time.abs_diff(*first) > self.settings.allowed_lateness
        {
            let first = *first;
            ready.extend(rows.take(first).map(|row| (name.clone(), row)));
        }
    }

    /// Takes out the rows that are asked for, in the order in which they came.
    fn release(&mut self, ready: &mut Ready, leaves: impl Fn(&OpenRow) -> bool) {
        let mut rows: Ready = Vec::new();
        for (name, of_key) in &mut self.keys {
            let times: Vec<i64> = of_key.open.values().filter(|row| leaves(row)).map(|row| row.time).collect();
            rows.extend(times.into_iter().filter_map(|time| of_key.take(time)).map(|row| (name.clone(), row)));
        }
        rows.sort_by_key(|(_, row)| row.source_offset());
        ready.extend(rows);
    }

    /// No more records are held than may be.
    fn bound_held(&mut self, ready: &mut Ready) -> Result<()> {
        let waiting = |ready: &Ready| ready.iter().map(|(_, row)| row.records()).sum::<u64>();
        let held = self.held - waiting(ready);
        if held <= self.settings.max_rows {
            return Ok(());
        }
        if self.settings.expect.is_none() {
            let names: Vec<String> = self.layout.names.iter().take(20).map(|name| format!("{name:?}")).collect();
            let max_rows = self.settings.max_rows;
            return Err(Error::config(format!(
                "it holds more than {max_rows} records (`max_rows`): without `expect` all of the input is held"
            ))
            .help(format!(
                "set `expect = [{}]`, so that rows leave when they are complete, or raise `max_rows`",
                names.join(", ")
            )));
        }
        let mut offsets: Vec<u64> =
            self.keys.iter().flat_map(|(_, rows)| rows.open.values()).map(OpenRow::source_offset).collect();
        offsets.sort_unstable();
        // Half of them, so that the next records need no look at all rows.
        let Some(last) = offsets.get(offsets.len() / 2).copied() else { return Ok(()) };
        let before = ready.len();
        self.release(ready, |row| row.source_offset() <= last);
        self.given_up += (ready.len() - before) as u64;
        if self.given_up >= self.warn_at {
            tracing::warn!(
                stage = &*self.stage,
                rows = self.given_up,
                "some rows were passed on incomplete: more records wait for others than `max_rows` allows, which can be raised"
            );
            self.warn_at = self.given_up.saturating_mul(2);
        }
        Ok(())
    }

    fn emit(&mut self, ready: Ready, out: &mut Output) -> Result<()> {
        if ready.is_empty() {
            return Ok(());
        }
        let records: u64 = ready.iter().map(|(_, row)| row.records()).sum();
        self.held -= records;
        out.merged += records - ready.len() as u64;
        out.batches.push(self.layout.batch(&ready)?);
        Ok(())
    }

    /// Says so where many values come late.
    fn tell_late(&mut self, least: u64) {
        if self.told_late || self.late < least || self.late.saturating_mul(3) < self.taken {
            return;
        }
        self.told_late = true;
        let (late, taken, names) = (self.late, self.taken, &self.settings.names);
        tracing::warn!(
            stage = &*self.stage,
            "most rows come late ({late} of {taken} values so far): a row leaves when the next time of its key comes, and the input \
             seems to be sorted by `{names}` and not by time; leave out `expect`, so that input that ends is held as a whole (up to \
             `max_rows`), or let rows wait longer by `allowed_lateness`"
        );
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
        self.tell_late(LATE_TOLD);
        self.emit(ready, out)
    }

    fn finish(&mut self, out: &mut Output) -> Result<()> {
        let mut ready = Vec::new();
        self.release(&mut ready, |_| true);
        self.tell_late(2);
        self.emit(ready, out)
    }

    fn tick(&mut self, now: Instant, out: &mut Output) -> Result<()> {
        let Some(max_wait) = self.settings.max_wait.filter(|_| self.held > 0) else { return Ok(()) };
        let mut ready = Vec::new();
        self.release(&mut ready, |row| {
            row.arrived.is_none_or(|arrived| now.saturating_duration_since(arrived) >= max_wait)
        });
        self.emit(ready, out)
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
            keys: self.keys.iter().map(|(key, rows)| (text(key), rows.clone())).collect(),
            taken: self.taken,
            late: self.late,
        };
        State::of(PIVOT_FORMAT_VERSION, &saved)
    }

    fn restore(&mut self, state: &State) -> Result<()> {
        let saved: Saved = state.read(PIVOT_FORMAT_VERSION)?;
        // `expect` may be another list than it was.
        let numbers: Vec<Option<usize>> = saved.names.iter().map(|name| self.name(name)).collect::<Result<_>>()?;
        let now = self.clock.now();
        (self.layout.kept, self.layout.key) = (saved.kept, saved.key.map(Arc::from));
        (self.taken, self.late, self.bound) = (saved.taken, saved.late, PerLayout::default());
        for (key, mut rows) in saved.keys {
            let key: Option<Arc<str>> = key.map(Arc::from);
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
            self.ids.insert(key.clone(), self.keys.len());
            self.keys.push((key, rows));
        }
        Ok(())
    }
}
