//! The running part of `hampel`.

use std::collections::{BTreeMap, HashMap, VecDeque};

use aqpipe_engine::record::{Batch, CellQuality, Flag, Numbers};
use aqpipe_engine::stage::{Output, State, Transform};
use aqpipe_engine::{Error, Result};

use super::limits::Limits;

/// The version of the saved state. A change of [`Filter::save`] needs another one.
const STATE_VERSION: u8 = 1;
/// How many keys a split may have: each needs memory for its last values.
const KEYS_MAX: usize = 100_000;

/// The filter of one split.
pub(super) struct Filter {
    field: String,
    limits: Limits,
    lookahead: usize,
    /// The bit of the test in the quality of a cell.
    test: u8,
    /// Rows that wait for the values after them, in order.
    held: Option<Batch>,
    /// By key: the last values of the rows that have left.
    recent: BTreeMap<String, VecDeque<f64>>,
}

impl Transform for Filter {
    fn apply(&mut self, batch: Batch, out: &mut Output) -> Result<()> {
        // Rows of two layouts cannot be joined: those of the old one do not wait any longer.
        if self.held.as_ref().is_some_and(|held| held.fields() != batch.fields()) {
            self.finish(out)?;
        }
        let rows = match self.held.take() {
            Some(held) => Batch::concat(&[held, batch])?,
            None => batch,
        };
        self.emit(&rows, false, out)
    }

    fn finish(&mut self, out: &mut Output) -> Result<()> {
        self.held.take().map_or(Ok(()), |rows| self.emit(&rows, true, out))
    }

    fn held(&self) -> u64 {
        self.held.as_ref().map_or(0, |held| held.rows() as u64)
    }

    fn save(&self) -> Result<State> {
        let held = self.held.as_ref().map(Batch::to_ipc).transpose()?;
        State::of(STATE_VERSION, &(held, &self.recent))
    }

    fn restore(&mut self, state: &State) -> Result<()> {
        let (held, recent): (Option<Vec<u8>>, _) = state.read(STATE_VERSION)?;
        self.held = held.map(|bytes| Batch::from_ipc(&bytes)).transpose()?;
        self.recent = recent;
        Ok(())
    }
}

impl Filter {
    pub(super) fn new(field: String, limits: Limits, lookahead: usize, test: u8) -> Filter {
        Filter { field, limits, lookahead, test, held: None, recent: BTreeMap::new() }
    }

    /// Emits the rows that need not wait, and holds the others.
    fn emit(&mut self, rows: &Batch, ended: bool, out: &mut Output) -> Result<()> {
        let index = rows.fields().index(&self.field);
        let Some((index, numbers)) = index.and_then(|index| Some((index, rows.numbers(index)?))) else {
            // Without the field there is nothing to check.
            out.batches.push(rows.clone());
            return Ok(());
        };
        let flags = self.flags(rows, numbers, ended)?;
        let ready = flags.len();
        if ready < rows.rows() {
            self.held = Some(rows.slice(ready, rows.rows() - ready));
        }
        if ready > 0 {
            let mut checked = rows.slice(0, ready);
            checked.change_numbers(index, |Numbers { values, quality }| {
                let check = |(bits, flag): (&u32, &Option<Flag>)| {
                    flag.map_or(*bits, |flag| CellQuality(*bits).checked(flag, self.test).0)
                };
                Ok(Numbers { values, quality: quality.iter().zip(&flags).map(check).collect() })
            })?;
            out.batches.push(checked);
        }
        Ok(())
    }

    /// The flag of each row that need not wait; `None` for a row that is not evaluated.
    fn flags(&mut self, rows: &Batch, numbers: &Numbers, ended: bool) -> Result<Vec<Option<Flag>>> {
        let key = |row: usize| rows.key().map_or("", |keys| keys.value(row));
        // By key: its values that have not left, with their rows.
        let mut waiting: HashMap<&str, VecDeque<(usize, f64)>> = HashMap::new();
        for row in 0..rows.rows() {
            if let Some(value) = numbers.get(row) {
                waiting.entry(key(row)).or_default().push_back((row, value));
            }
        }
        let limits = self.limits;
        let mut flags = Vec::new();
        for row in 0..rows.rows() {
            let Some(values) = waiting.get_mut(key(row)).filter(|values| values.front().is_some_and(|it| it.0 == row))
            else {
                flags.push(None);
                continue;
            };
            let last = row + self.lookahead;
            let after = values.iter().skip(1).take(limits.radius).filter(|(row, _)| *row <= last);
            let after: Vec<f64> = after.map(|(_, value)| *value).collect();
            if after.len() < limits.radius && last >= rows.rows() && !ended {
                break;
            }
            if let Some((_, value)) = values.pop_front() {
                let before = self.recent_of(key(row))?;
                let neighbours = before.iter().copied().chain(after).collect();
                before.push_back(value);
                let surplus = before.len().saturating_sub(limits.radius);
                before.drain(..surplus);
                flags.push(limits.flag(value, neighbours));
            }
        }
        Ok(flags)
    }

    fn recent_of(&mut self, key: &str) -> Result<&mut VecDeque<f64>> {
        if !self.recent.contains_key(key) && self.recent.len() >= KEYS_MAX {
            let error = Error::new(format!("the split has more than {KEYS_MAX} keys"));
            return Err(error.help("is the `key` of the source really the station?"));
        }
        Ok(self.recent.entry(key.to_owned()).or_default())
    }
}
