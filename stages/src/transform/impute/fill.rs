//! Forward fill, backward fill and interpolation: a step that may have to wait for later records.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::{Duration, Instant};

use aqpipe_engine::record::{CellQuality, Flag, Numbers};
use aqpipe_engine::stage::BuildContext;
use aqpipe_engine::{Error, Result};

use super::bits::Bits;
use super::chain::{Pass, Saved, Seen, State};
use super::gaps::{Cells, Run, Series};
use super::held::Held;
use super::keys::KeyId;
use super::order::Order;
use super::rows::Rows;
use super::rule::{Filling, Rule, Settled};

/// How many batches are held before they are joined.
const PARTS_MAX: usize = 32;

/// A step that settles gaps by a rule.
///
/// Held rows are kept as they came in. Whenever more rows are there, what is held and what is new are settled
/// together, as if they had come in one batch, and the rows of a key go on up to the first that still waits. So what
/// comes out does not depend on where batches end, and the state is the held rows and, for each field and key, what
/// came before them.
pub(super) struct Fill {
    rule: Rule,
    /// What came before the held rows, by field and key.
    runs: Vec<Vec<Run>>,
    held: Vec<Held>,
    max_wait: Option<Duration>,
    max_held: usize,
    /// Rows given up so far, and the number at which the next warning is due.
    given_up: u64,
    warn_at: u64,
    pipeline: Arc<str>,
    stage: Arc<str>,
}

/// Which rows are no longer waited for.
#[derive(Clone, Copy)]
struct Until {
    /// The first so many.
    given_up: usize,
    /// No more records will come.
    end: bool,
}

impl Until {
    const DECIDED: Until = Until { given_up: 0, end: false };
}

/// What is to be done with rows: cells to be filled by field, and which rows stay.
struct Plan {
    fillings: Vec<Vec<Filling>>,
    stay: Option<Bits>,
}

/// Several parts of rows as one.
struct View<'a> {
    time: Cow<'a, [i64]>,
    order: Cow<'a, Order>,
    /// By field; `None` where no part has it.
    cells: Vec<Option<Cells<'a>>>,
}

impl<'a> View<'a> {
    fn of(parts: &'a [&'a Rows]) -> View<'a> {
        let fields = parts.iter().map(|rows| rows.columns.fields()).max().unwrap_or(0);
        if let [rows] = parts {
            let cells = |field| Some(Cells::of(rows.batch.numbers(rows.columns.of(field)?)?));
            return View {
                time: Cow::Borrowed(rows.batch.time()),
                order: Cow::Borrowed(&rows.order),
                cells: (0..fields).map(cells).collect(),
            };
        }
        View {
            time: Cow::Owned(parts.iter().flat_map(|rows| rows.batch.time()).copied().collect()),
            order: Cow::Owned(Order::concat(parts.iter().map(|rows| &rows.order))),
            cells: (0..fields).map(|field| joined_cells(parts, field)).collect(),
        }
    }
}

/// A field's cells in all parts. A part whose layout does not have the field has nothing to carry and nothing to fill:
/// its cells are like values flagged `fail`.
fn joined_cells<'a>(parts: &[&Rows], field: usize) -> Option<Cells<'a>> {
    let rows: usize = parts.iter().map(|rows| rows.len()).sum();
    let (mut values, mut marks) = (Vec::with_capacity(rows), Vec::with_capacity(rows));
    let mut valid = Bits::none(rows);
    valid.insert_from(0);
    let (mut some, mut missing) = (false, false);
    for part in parts {
        match part.columns.of(field).and_then(|column| part.batch.numbers(column)) {
            Some(numbers) => {
                let cells = Cells::of(numbers);
                for row in cells.valid.iter().flat_map(Bits::iter_absent) {
                    valid.remove(values.len() + row);
                    missing = true;
                }
                values.extend_from_slice(&cells.values);
                marks.extend_from_slice(&cells.marks);
                some = true;
            }
            None => {
                values.resize(values.len() + part.len(), 0.0);
                marks.resize(values.len(), CellQuality::MISSING.with_flag(Flag::Fail).0);
            }
        }
    }
    let valid = missing.then_some(valid);
    some.then_some(Cells { values: Cow::Owned(values), marks: Cow::Owned(marks), valid })
}

impl Fill {
    pub(super) fn new(rule: Rule, max_wait: Option<Duration>, max_held: usize, cx: &BuildContext) -> Fill {
        Fill {
            rule,
            runs: Vec::new(),
            held: Vec::new(),
            max_wait,
            max_held,
            given_up: 0,
            warn_at: 1,
            pipeline: Arc::clone(&cx.pipeline()),
            stage: Arc::clone(&cx.stage()),
        }
    }

    fn plan(&self, view: &View<'_>, until: Until) -> Plan {
        let rows = view.time.len();
        let mut waiting = Bits::none(rows);
        let mut fillings = vec![Vec::new(); view.cells.len()];
        let series = Series { time: &view.time, order: &view.order, max_gap: self.rule.max_gap };
        for (field, cells) in view.cells.iter().enumerate() {
            let Some(cells) = cells else { continue };
            let runs = self.runs.get(field).map_or(&[][..], Vec::as_slice);
            let mut to = Settled { fillings: &mut fillings[field], waiting: &mut waiting };
            series.gaps(cells, runs, |gap| self.rule.settle(gap, cells, &view.time, until.end, &mut to));
        }
        (0..until.given_up).for_each(|row| waiting.remove(row));
        Plan { fillings, stay: waiting.first().map(|first| staying(waiting, first, &view.order)) }
    }

    /// Moves the state on to behind the rows that leave.
    fn advance(&mut self, view: &View<'_>, stay: Option<&Bits>) {
        if !self.rule.looks_back() {
            return;
        }
        let leaves = |row: &usize| !stay.is_some_and(|stay| stay.has(*row));
        let last_leaving = |(key, mut row): (KeyId, usize)| {
            while !leaves(&row) {
                row = view.order.previous(row)?;
            }
            Some((key, row))
        };
        let ends: Vec<_> = view.order.ends().into_iter().filter_map(last_leaving).collect();
        let series = Series { time: &view.time, order: &view.order, max_gap: self.rule.max_gap };
        for (field, cells) in view.cells.iter().enumerate() {
            let Some(cells) = cells else { continue };
            if self.runs.len() <= field {
                self.runs.resize_with(field + 1, Vec::new);
            }
            let runs = &mut self.runs[field];
            for (key, last) in &ends {
                let key = *key as usize;
                if runs.len() <= key {
                    runs.resize_with(key + 1, Run::default);
                }
                series.advance(&mut runs[key], cells, *last);
            }
        }
    }

    /// Settles parts together, hands on what is decided and holds the rest.
    fn pass(&mut self, parts: Vec<Held>, until: Until, out: &mut Vec<Rows>) -> Result<()> {
        let rows: Vec<&Rows> = parts.iter().map(|part| &part.rows).collect();
        let view = View::of(&rows);
        let plan = self.plan(&view, until);
        self.advance(&view, plan.stay.as_ref());
        drop(view);
        drop(rows);
        self.carry_out(parts, &plan, out)
    }

    fn carry_out(&mut self, parts: Vec<Held>, plan: &Plan, out: &mut Vec<Rows>) -> Result<()> {
        let mut base = 0;
        for mut part in parts {
            let rows = part.len();
            if let Some(stay) = &plan.stay {
                let kept = part.part(|row| stay.has(base + row), |rows| self.fill(rows, base, plan), out)?;
                self.held.extend(kept);
            } else {
                self.fill(&mut part.rows, base, plan)?;
                out.push(part.rows);
            }
            base += rows;
        }
        Ok(())
    }

    /// Fills the cells of rows that are the plan's rows from `base` on.
    fn fill(&self, rows: &mut Rows, base: usize, plan: &Plan) -> Result<()> {
        let here = base..base + rows.len();
        for (field, fillings) in plan.fillings.iter().enumerate() {
            let Some(column) = rows.columns.of(field) else { continue };
            if !fillings.iter().any(|filling| here.contains(&(filling.row as usize))) {
                continue;
            }
            rows.batch.change_numbers(column, |numbers| {
                let (mut values, nulls, mut marks) = numbers.into_vecs();
                let Some(nulls) = nulls else { return Err(Error::bug("a fill of a column that lacks nothing")) };
                let mut valid = Bits::valid(&nulls);
                for filling in fillings.iter().filter(|filling| here.contains(&(filling.row as usize))) {
                    let row = filling.row as usize - base;
                    values[row] = filling.value;
                    valid.insert(row);
                    let distance = u64::from(filling.distance);
                    marks[row] = CellQuality(marks[row]).filled(self.rule.provenance(), distance).0;
                }
                Ok(Numbers::from_vecs(values, valid.into_nulls(), marks))
            })?;
        }
        Ok(())
    }

    /// Settles the held rows with no more than the first of the new ones, where those decide them: then the new batch
    /// need not be copied behind them. Returns whether nothing is held any more.
    fn settle_held(&mut self, new: &Rows, out: &mut Vec<Rows>) -> Result<bool> {
        let parts = std::mem::take(&mut self.held);
        match self.plan_held(&parts, new) {
            Some(plan) => self.carry_out(parts, &plan, out).map(|()| true),
            None => {
                self.held = parts;
                Ok(false)
            }
        }
    }

    fn plan_held(&mut self, parts: &[Held], new: &Rows) -> Option<Plan> {
        let held: usize = parts.iter().map(Held::len).sum();
        let mut ahead = match new.order {
            Order::One { .. } => self.rule.limit.map_or(64, |limit| limit.clamp(1, 64) as usize),
            // Where keys take turns, as many rows as were held behind the last ones come before the next ones.
            Order::Many(_) => held.max(64),
        };
        while ahead + held <= new.len() / 2 {
            let first = new.slice(0, ahead);
            let rows: Vec<&Rows> = parts.iter().map(|part| &part.rows).chain([&first]).collect();
            let view = View::of(&rows);
            let plan = self.plan(&view, Until::DECIDED);
            if plan.stay.as_ref().and_then(Bits::first).is_none_or(|first| first >= held) {
                let mut new_ones = Bits::none(held + ahead);
                new_ones.insert_from(held);
                self.advance(&view, Some(&new_ones));
                return Some(Plan { stay: None, ..plan });
            }
            ahead *= 4;
        }
        None
    }

    /// Gives up the first so many held rows.
    fn give_up(&mut self, rows: usize, why: &str, out: &mut Vec<Rows>) -> Result<()> {
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
        self.pass(parts, Until { given_up: rows, end: false }, out)
    }
}

impl Pass for Fill {
    fn apply(&mut self, rows: Rows, _seen: &Seen<'_>, out: &mut Vec<Rows>) -> Result<()> {
        if !self.held.is_empty() {
            self.settle_held(&rows, out)?;
        }
        let mut parts = std::mem::take(&mut self.held);
        parts.push(Held::new(rows, Instant::now()));
        self.pass(parts, Until::DECIDED, out)?;
        let held = self.held();
        if held > self.max_held {
            self.give_up(
                held - self.max_held,
                "more rows wait for a later value than `max_held` allows, which can be raised",
                out,
            )?;
        }
        if self.held.len() > PARTS_MAX {
            self.held = Held::join(std::mem::take(&mut self.held))?;
        }
        Ok(())
    }

    fn finish(&mut self, out: &mut Vec<Rows>) -> Result<()> {
        let parts = std::mem::take(&mut self.held);
        self.pass(parts, Until { given_up: 0, end: true }, out)
    }

    fn tick(&mut self, now: Instant, out: &mut Vec<Rows>) -> Result<()> {
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
        self.held.iter().map(Held::len).sum()
    }

    fn save(&self) -> Result<Saved> {
        let held = self.held.iter().map(|part| part.rows.batch.to_ipc()).collect::<Result<_>>()?;
        Ok(Saved { state: State::Fill(self.runs.clone()), held })
    }

    fn restore(&mut self, state: State, held: Vec<Rows>) -> Result<()> {
        let State::Fill(runs) = state else { return Err(State::foreign()) };
        self.runs = runs;
        // How long they waited before is not known; they wait anew.
        self.held = held.into_iter().map(|rows| Held::new(rows, Instant::now())).collect();
        Ok(())
    }
}

/// Which rows stay: those that wait, and those of their keys behind them.
fn staying(mut waiting: Bits, first: usize, order: &Order) -> Bits {
    match order {
        Order::One { .. } => waiting.insert_from(first),
        Order::Many(_) => {
            for row in first..order.rows() {
                if order.previous(row).is_some_and(|before| waiting.has(before)) {
                    waiting.insert(row);
                }
            }
        }
    }
    waiting
}
