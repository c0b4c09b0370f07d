//! Forward fill, backward fill and interpolation: a step that may have to hold rows until later records come.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use aqpipe_engine::clock::Clock;
use aqpipe_engine::record::{CellQuality, Numbers};
use aqpipe_engine::stage::BuildContext;
use aqpipe_engine::{Error, Result};

use super::first_held::FirstHeld;
use super::gap_rule::{CellFill, GapOutcome, GapRule};
use super::gap_state::GapState;
use super::gaps::{Arrival, KeyedSeries};
use super::held_rows::HeldRows;
use super::imputer::{Imputer, SavedStep, SeriesNames};
use super::joined_rows::JoinedRows;
use super::key_id::KeyId;
use super::key_order::KeyOrder;
use super::keyed_batch::KeyedBatch;
use super::late_gaps::LateSeries;
use super::row_set::RowSet;
use super::saved_entries::StepEntries;
use super::saved_key::{KeyWriter, StepState};

/// Held batches before they are joined.
const HELD_BATCHES_MAX: usize = 32;

/// A step that fills gaps by a rule.
///
/// Held rows are kept as they came in. When more rows come, held and new ones are processed together, as if they were one batch,
/// and the rows of a key leave up to the first that still waits. The output therefore does not depend on where batches end, and
/// the state is the held rows and, for each field and key, the gap state before them.
pub(super) struct GapFill {
    rule: GapRule,
    /// The gap state before the held rows, by field and key.
    states: Vec<Vec<GapState>>,
    held: Vec<HeldRows>,
    /// What the first of them waits for, while it alone decides.
    first_held: Option<FirstHeld>,
    /// The keys of which the gap state changed since it was saved.
    changed: Vec<KeyId>,
    /// The numbers of the held parts that are saved, and the next one.
    saved: Vec<u64>,
    next: u64,
    max_wait: Option<Duration>,
    max_held: usize,
    /// Rows given up so far, and the number at which the next warning is due.
    given_up: u64,
    warn_at: u64,
    clock: Clock,
    pipeline: Arc<str>,
    stage: Arc<str>,
}

/// Which rows leave though they are not decided.
#[derive(Clone, Copy)]
struct Release {
    /// The first so many.
    given_up: usize,
    /// All of them: the input has ended.
    end: bool,
}

impl Release {
    const ONLY_DECIDED: Release = Release { given_up: 0, end: false };
}

/// The keys of which records came late, ascending.
struct LateKeys {
    /// By field: those of which a record here is older than one that came before it, here or earlier.
    by_field: Vec<Vec<KeyId>>,
    /// Those of which a record here is older than another one here.
    here: Vec<KeyId>,
}

impl LateKeys {
    fn arrival(&self, field: usize, key: KeyId) -> Arrival {
        if self.here.binary_search(&key).is_ok() {
            Arrival::Mixed
        } else if self.by_field[field].binary_search(&key).is_ok() {
            Arrival::BehindState
        } else {
            Arrival::InOrder
        }
    }
}

/// What to do with rows: the cells to fill by field, and the rows to hold.
struct FillPlan {
    fills: Vec<Vec<CellFill>>,
    late: LateKeys,
    held: Option<RowSet>,
}

impl GapFill {
    pub(super) fn new(rule: GapRule, max_wait: Option<Duration>, max_held: usize, cx: &BuildContext) -> GapFill {
        GapFill {
            rule,
            states: Vec::new(),
            held: Vec::new(),
            first_held: None,
            changed: Vec::new(),
            saved: Vec::new(),
            next: 0,
            max_wait,
            max_held,
            given_up: 0,
            warn_at: 1,
            clock: cx.clock().clone(),
            pipeline: Arc::clone(cx.pipeline()),
            stage: Arc::clone(cx.stage()),
        }
    }

    fn plan(&self, rows: &JoinedRows<'_>, release: Release) -> FillPlan {
        let mut waiting = RowSet::none(rows.time.len());
        let mut fills = vec![Vec::new(); rows.cells.len()];
        let series = KeyedSeries { time: &rows.time, order: &rows.order, max_gap: self.rule.max_gap };
        let starts = rows.order.starts();
        let mut late = LateKeys { by_field: vec![Vec::new(); rows.cells.len()], here: series.late_keys() };
        let mut late_rows: HashMap<KeyId, Vec<usize>> = HashMap::new();
        for (field, cells) in rows.cells.iter().enumerate() {
            let Some(cells) = cells else { continue };
            let states = self.states.get(field).map_or(&[][..], Vec::as_slice);
            let latest = |key: KeyId| states.get(key as usize).and_then(GapState::latest);
            let goes_back = |(key, row): &&(KeyId, usize)| latest(*key).is_some_and(|latest| latest > rows.time[*row]);
            let of_field = &mut late.by_field[field];
            of_field.extend(starts.iter().filter(goes_back).map(|(key, _)| *key).chain(late.here.iter().copied()));
            of_field.sort_unstable();
            of_field.dedup();
            let of_field = &late.by_field[field];
            let mut outcome = GapOutcome { fills: &mut fills[field], waiting: &mut waiting };
            series
                .gaps(cells, states, of_field, |gap| self.rule.fill(gap, cells, &rows.time, release.end, &mut outcome));
            if cells.valid.is_none() {
                continue;
            }
            for (key, end) in rows.order.ends().into_iter().filter(|(key, _)| of_field.binary_search(key).is_ok()) {
                let of_key = late_rows.entry(key).or_insert_with(|| {
                    let mut rows: Vec<usize> =
                        std::iter::successors(Some(end), |row| rows.order.previous(*row)).collect();
                    rows.reverse();
                    rows
                });
                let state = states.get(key as usize).cloned().unwrap_or_default();
                let series = LateSeries { rows: of_key, time: &rows.time, cells };
                series.fill(state, late.arrival(field, key), &self.rule, release.end, &mut outcome);
            }
        }
        (0..release.given_up).for_each(|row| waiting.remove(row));
        FillPlan { fills, late, held: waiting.first().map(|first| with_later_rows(waiting, first, &rows.order)) }
    }

    /// Advances the state to behind the rows that leave.
    fn advance(&mut self, rows: &JoinedRows<'_>, late: &LateKeys, held: Option<&RowSet>) {
        let leaves = |row: &usize| !held.is_some_and(|held| held.has(*row));
        let last_leaving = |(key, mut row): (KeyId, usize)| {
            while !leaves(&row) {
                row = rows.order.previous(row)?;
            }
            Some((key, row))
        };
        let ends: Vec<_> = rows.order.ends().into_iter().filter_map(last_leaving).collect();
        self.changed.extend(ends.iter().map(|(key, _)| *key));
        let series = KeyedSeries { time: &rows.time, order: &rows.order, max_gap: self.rule.max_gap };
        for (field, cells) in rows.cells.iter().enumerate() {
            let Some(cells) = cells else { continue };
            if self.states.len() <= field {
                self.states.resize_with(field + 1, Vec::new);
            }
            let states = &mut self.states[field];
            for (key, last) in &ends {
                let arrival = late.arrival(field, *key);
                let key = *key as usize;
                if states.len() <= key {
                    states.resize_with(key + 1, GapState::default);
                }
                series.advance(&mut states[key], cells, *last, arrival);
            }
        }
    }

    /// Processes batches together: emits the rows that are decided or released, and holds the others.
    fn process(&mut self, parts: Vec<HeldRows>, release: Release, out: &mut Vec<KeyedBatch>) -> Result<()> {
        self.first_held = None;
        let rows: Vec<&KeyedBatch> = parts.iter().map(|part| &part.rows).collect();
        let joined = JoinedRows::of(&rows);
        let plan = self.plan(&joined, release);
        self.advance(&joined, &plan.late, plan.held.as_ref());
        drop(joined);
        drop(rows);
        self.apply_plan(parts, &plan, out)
    }

    fn apply_plan(&mut self, parts: Vec<HeldRows>, plan: &FillPlan, out: &mut Vec<KeyedBatch>) -> Result<()> {
        let mut base = 0;
        for mut part in parts {
            let rows = part.len();
            if let Some(held) = &plan.held {
                let kept = part.split(|row| held.has(base + row), |rows| self.fill(rows, base, plan), out)?;
                self.held.extend(kept);
            } else {
                self.fill(&mut part.rows, base, plan)?;
                out.push(part.rows);
            }
            base += rows;
        }
        Ok(())
    }

    /// Fills the cells of a batch whose first row is the plan's row `base`.
    fn fill(&self, rows: &mut KeyedBatch, base: usize, plan: &FillPlan) -> Result<()> {
        let here = base..base + rows.len();
        for (field, fills) in plan.fills.iter().enumerate() {
            let Some(column) = rows.columns.of(field) else { continue };
            if !fills.iter().any(|fill| here.contains(&(fill.row as usize))) {
                continue;
            }
            rows.batch.change_numbers(column, |numbers| {
                let (mut values, nulls, mut quality) = numbers.into_vecs();
                let Some(nulls) = nulls else { return Err(Error::bug("a fill of a column that lacks nothing")) };
                let mut valid = RowSet::valid(&nulls);
                for fill in fills.iter().filter(|fill| here.contains(&(fill.row as usize))) {
                    let row = fill.row as usize - base;
                    values[row] = fill.value;
                    valid.insert(row);
                    let distance = u64::from(fill.distance);
                    let filled =
                        |quality| self.rule.policy.filled(CellQuality(quality), self.rule.provenance(), distance);
                    quality[row] = filled(quality[row]).0;
                }
                Ok(Numbers::from_vecs(values, valid.into_nulls(), quality))
            })?;
        }
        Ok(())
    }

    /// Processes the held rows with the first of the new ones alone, if those decide all of them: the new batch is then not
    /// copied behind them.
    fn process_held(&mut self, new: &KeyedBatch, out: &mut Vec<KeyedBatch>) -> Result<()> {
        let parts = std::mem::take(&mut self.held);
        match self.plan_held(&parts, new) {
            Some(plan) => self.apply_plan(parts, &plan, out),
            None => {
                self.held = parts;
                Ok(())
            }
        }
    }

    fn plan_held(&mut self, parts: &[HeldRows], new: &KeyedBatch) -> Option<FillPlan> {
        let held: usize = parts.iter().map(HeldRows::len).sum();
        let mut ahead = match new.order {
            KeyOrder::One { .. } => self.rule.limit.map_or(64, |limit| limit.clamp(1, 64) as usize),
            // Where keys take turns, the next row of a key comes behind as many others as its held ones.
            KeyOrder::Interleaved(_) => held.max(64),
        };
        while ahead + held <= new.len() / 2 {
            let first = new.slice(0, ahead);
            let rows: Vec<&KeyedBatch> = parts.iter().map(|part| &part.rows).chain([&first]).collect();
            let joined = JoinedRows::of(&rows);
            let plan = self.plan(&joined, Release::ONLY_DECIDED);
            if plan.held.as_ref().and_then(RowSet::first).is_none_or(|first| first >= held) {
                let mut new_ones = RowSet::none(held + ahead);
                new_ones.insert_from(held);
                self.advance(&joined, &plan.late, Some(&new_ones));
                return Some(FillPlan { held: None, ..plan });
            }
            ahead *= 4;
        }
        None
    }

    /// Whether all held rows go on waiting, and new ones with them, as far as is known without a look at all of them.
    fn all_wait(&mut self, new: &KeyedBatch) -> bool {
        if self.first_held.is_none() {
            self.first_held = FirstHeld::of(&self.held, &self.rule, &self.states);
        }
        self.first_held.as_mut().is_some_and(|first| first.still_waits(new))
    }

    /// Emits the first so many held rows though they are not decided.
    fn give_up(&mut self, rows: usize, why: &str, out: &mut Vec<KeyedBatch>) -> Result<()> {
        self.given_up += rows as u64;
        if self.given_up >= self.warn_at {
            let (pipeline, stage) = (&*self.pipeline, &*self.stage);
            tracing::warn!(
                pipeline,
                stage,
                rows = self.given_up,
                "some rows were passed on with their gaps not filled: {why}"
            );
            self.warn_at = self.given_up.saturating_mul(2);
        }
        let parts = std::mem::take(&mut self.held);
        self.process(parts, Release { given_up: rows, end: false }, out)
    }
}

impl Imputer for GapFill {
    fn apply(&mut self, rows: KeyedBatch, _names: &SeriesNames<'_>, out: &mut Vec<KeyedBatch>) -> Result<()> {
        if self.all_wait(&rows) {
            self.held.push(HeldRows::new(rows, self.clock.now()));
        } else {
            if !self.held.is_empty() {
                self.process_held(&rows, out)?;
            }
            let mut parts = std::mem::take(&mut self.held);
            parts.push(HeldRows::new(rows, self.clock.now()));
            self.process(parts, Release::ONLY_DECIDED, out)?;
        }
        let held = self.held();
        if held > self.max_held {
            self.give_up(
                held - self.max_held,
                "more rows wait for a later value than `max_held` allows, which can be raised",
                out,
            )?;
        }
        if self.held.len() > HELD_BATCHES_MAX {
            self.held = HeldRows::join(std::mem::take(&mut self.held))?;
        }
        Ok(())
    }

    fn finish(&mut self, out: &mut Vec<KeyedBatch>) -> Result<()> {
        let parts = std::mem::take(&mut self.held);
        self.process(parts, Release { given_up: 0, end: true }, out)
    }

    fn tick(&mut self, now: Instant, out: &mut Vec<KeyedBatch>) -> Result<()> {
        let Some(max_wait) = self.max_wait else { return Ok(()) };
        let arrivals = self.held.iter().flat_map(|part| &part.arrived);
        let expired = arrivals.take_while(|arrived| now.saturating_duration_since(**arrived) >= max_wait).count();
        if expired == 0 {
            Ok(())
        } else {
            self.give_up(expired, "no later value came within `max_wait_secs`, which can be raised", out)
        }
    }

    fn held(&self) -> usize {
        self.held.iter().map(HeldRows::len).sum()
    }

    fn take_changed(&mut self, keys: &mut Vec<KeyId>) {
        keys.append(&mut self.changed);
    }

    fn write_key(&self, key: KeyId, out: &mut KeyWriter) {
        out.fill(self.states.iter().map(|keys| keys.get(key as usize).unwrap_or(GapState::NONE)));
    }

    fn save_changes(&mut self, whole: bool, out: &mut StepEntries<'_>) -> Result<()> {
        let before = std::mem::take(&mut self.saved);
        if !whole {
            let is_kept = |number: &u64| self.held.iter().any(|part| part.saved_as == Some(*number));
            before.iter().filter(|number| !is_kept(number)).for_each(|number| out.remove_held(*number));
        }
        for part in &mut self.held {
            if part.saved_as.is_none() || whole {
                out.put_held(self.next, &part.rows.batch.to_ipc()?);
                part.saved_as = Some(self.next);
                self.next += 1;
            }
        }
        self.saved = self.held.iter().filter_map(|part| part.saved_as).collect();
        if whole || self.saved != before { out.put_order(&self.saved) } else { Ok(()) }
    }

    fn save_all(&self, out: &mut StepEntries<'_>) -> Result<()> {
        for (number, part) in (0..).zip(&self.held) {
            out.put_held(number, &part.rows.batch.to_ipc()?);
        }
        out.put_order(&(0..self.held.len() as u64).collect::<Vec<_>>())
    }

    fn restore(&mut self, saved: SavedStep<'_>) -> Result<()> {
        self.states = (0..saved.fields).map(|_| Vec::with_capacity(saved.keys.len())).collect();
        for state in saved.keys {
            let StepState::Fill(state) = state else { return Err(StepState::foreign()) };
            let mut state = state.into_iter();
            self.states.iter_mut().for_each(|keys| keys.push(state.next().unwrap_or_default()));
        }
        // How long they have waited is not saved: they wait anew.
        let now = self.clock.now();
        self.held = saved.held.into_iter().map(|rows| HeldRows::new(rows, now)).collect();
        Ok(())
    }
}

/// The rows to hold: those that wait, and those of their keys behind them.
fn with_later_rows(mut waiting: RowSet, first: usize, order: &KeyOrder) -> RowSet {
    match order {
        KeyOrder::One { .. } => waiting.insert_from(first),
        KeyOrder::Interleaved(_) => {
            for row in first..order.rows() {
                if order.previous(row).is_some_and(|before| waiting.has(before)) {
                    waiting.insert(row);
                }
            }
        }
    }
    waiting
}
