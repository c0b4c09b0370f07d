//! Looks whether one key has more than one record at one time.

use aqpipe_engine::stage::BuildContext;

use super::keyed_batch::KeyedBatch;
use crate::same_time::SameTime;

/// Says once that a key has several records at one time: fills go from one of them to the other.
pub(super) struct SameTimes {
    /// The latest instant of each key.
    latest: Vec<Option<i64>>,
    check: SameTime,
}

impl SameTimes {
    /// The check; `fields` are those that are filled, where they are listed.
    pub(super) fn new(fields: Option<&Vec<String>>, cx: &BuildContext) -> SameTimes {
        SameTimes { latest: Vec::new(), check: SameTime::new(fields.cloned().unwrap_or_default(), cx) }
    }

    /// Looks at rows. True once it has said what there is to say.
    pub(super) fn is_done_after(&mut self, rows: &KeyedBatch) -> bool {
        let batch = &rows.batch;
        for (row, time) in batch.time().iter().copied().enumerate() {
            let key = rows.order.key(row) as usize;
            if self.latest.len() <= key {
                self.latest.resize(key + 1, None);
            }
            if self.latest[key].is_some_and(|latest| time <= latest) {
                let before = rows.order.previous(row).filter(|before| batch.time()[*before] == time);
                if let Some(before) = before {
                    self.check.tell_two(&batch.slice(before, 1), &batch.slice(row, 1));
                    return true;
                }
                if self.check.tell(key as u64, batch, row) {
                    return true;
                }
            } else {
                self.latest[key] = Some(time);
            }
            self.check.remember(key as u64, batch, row);
        }
        false
    }
}
