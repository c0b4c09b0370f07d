//! Looks whether a bare number of seconds is shorter than the time between two records.

use std::sync::Arc;

use aqpipe_engine::stage::BuildContext;

use super::keyed_batch::KeyedBatch;
use super::step::Step;
use crate::warn_once::WarnOnce;

/// So many steps from a record of a key to the next tell the usual one.
const STEPS_MAX: usize = 100;

/// Says once which bare numbers of seconds are shorter than the time between two records: minutes or hours were meant.
pub(super) struct SamplingCheck {
    /// The numbers, by the options that have them.
    spans: Vec<(String, f64)>,
    /// The last instant of each key.
    last: Vec<Option<i64>>,
    /// Steps forward in time, in microseconds.
    steps: Vec<u64>,
    stage: Arc<str>,
    warned: Arc<WarnOnce>,
}

impl SamplingCheck {
    /// The check of the steps that have a bare number; `None` where none has.
    pub(super) fn of(steps: &[Step], cx: &BuildContext) -> Option<SamplingCheck> {
        let spans = steps.iter().enumerate().flat_map(|(index, step)| {
            let options = [("max_gap", step.max_gap), ("max_age", step.max_age)].into_iter();
            let bare = options.filter_map(|(name, span)| Some((name, span.filter(|span| span.is_bare())?.get())));
            bare.map(move |(name, secs)| (format!("steps[{index}].{name}"), secs))
        });
        let spans: Vec<_> = spans.collect();
        (!spans.is_empty()).then(|| SamplingCheck {
            spans,
            last: Vec::new(),
            steps: Vec::new(),
            stage: Arc::clone(cx.stage()),
            warned: cx.pipeline_extensions().get_or_put(WarnOnce::default),
        })
    }

    /// Looks at rows. True once it has seen enough, and said what there is to say.
    pub(super) fn is_done_after(&mut self, rows: &KeyedBatch) -> bool {
        for (row, time) in rows.batch.time().iter().copied().enumerate() {
            let key = rows.order.key(row) as usize;
            if self.last.len() <= key {
                self.last.resize(key + 1, None);
            }
            if let Some(before) = self.last[key].replace(time).filter(|before| *before < time) {
                self.steps.push(time.abs_diff(before));
            }
            if self.steps.len() >= STEPS_MAX {
                self.conclude();
                return true;
            }
        }
        false
    }

    /// Says what there is to say by the records so far.
    pub(super) fn conclude(&self) {
        let mut steps = self.steps.clone();
        steps.sort_unstable();
        let Some(usual) = steps.get(steps.len() / 2).map(|micros| *micros as f64 / 1e6) else { return };
        for (option, secs) in self.spans.iter().filter(|(_, secs)| *secs < usual) {
            let message = || {
                format!(
                    "`{option}` of `{}` is {secs} seconds, and the records of a key are {usual} seconds apart: it reaches no \
                     other record; a text has a unit, such as \"{secs}min\" or \"{secs}h\"",
                    self.stage
                )
            };
            self.warned.warn(message, &format!("{}: {option}", self.stage));
        }
    }
}
