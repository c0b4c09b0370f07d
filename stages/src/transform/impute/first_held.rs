//! Whether all held rows go on waiting, as far as the first of them tells: of a long gap, the rows that are held are then not looked
//! at again with each batch.

use super::gap_rule::GapRule;
use super::gap_state::GapState;
use super::gaps::FieldCells;
use super::held_rows::HeldRows;
use super::key_id::KeyId;
use super::key_order::KeyOrder;
use super::keyed_batch::KeyedBatch;

/// The first of held rows that are all of one key and in the order of their times. It waits for the next value of some fields,
/// whatever else comes, and the rows behind it wait with it.
pub(super) struct FirstHeld {
    key: KeyId,
    fields: Vec<usize>,
    /// The instant of the last held row.
    latest: i64,
}

impl FirstHeld {
    /// `None` where more than the next value decides. `states` are those before the held rows, by field and key.
    pub(super) fn of(held: &[HeldRows], rule: &GapRule, states: &[Vec<GapState>]) -> Option<FirstHeld> {
        let first = &held.first()?.rows;
        let KeyOrder::One { key, .. } = first.order else { return None };
        let state = |field: usize| states.get(field).and_then(|keys| keys.get(key as usize)).unwrap_or(GapState::NONE);
        let start = *first.batch.time().first()?;
        let waits = |field: &usize| {
            let numbers = first.columns.of(*field).and_then(|column| first.batch.numbers(column));
            let is_taken = numbers.is_some_and(|numbers| rule.takes(&FieldCells::of(numbers), 0));
            is_taken && state(*field).latest() <= Some(start) && rule.waits_for_value(state(*field))
        };
        let fields: Vec<usize> = (0..first.columns.fields()).filter(waits).collect();
        let mut this = FirstHeld { key, fields, latest: start };
        held.iter().all(|part| this.still_waits(&part.rows)).then_some(this)
    }

    /// Whether the held rows go on waiting, and these rows with them.
    pub(super) fn still_waits(&mut self, new: &KeyedBatch) -> bool {
        let time = new.batch.time();
        let is_of_key = matches!(new.order, KeyOrder::One { key, .. } if key == self.key);
        let is_in_order = time.first().is_none_or(|first| *first >= self.latest) && time.is_sorted();
        if self.fields.is_empty() || !is_of_key || !is_in_order {
            return false;
        }
        self.latest = time.last().copied().unwrap_or(self.latest);
        self.fields.retain(|field| !has_donor(new, *field));
        !self.fields.is_empty()
    }
}

/// Whether a field has a value that can be carried.
fn has_donor(rows: &KeyedBatch, field: usize) -> bool {
    let Some(numbers) = rows.columns.of(field).and_then(|column| rows.batch.numbers(column)) else { return false };
    let cells = FieldCells::of(numbers);
    (0..rows.len()).any(|row| cells.is_donor(row))
}
