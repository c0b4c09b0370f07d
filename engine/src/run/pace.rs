//! Replay in event time: a split that releases its records no faster than their timestamps, or a fixed interval, say.

use std::collections::VecDeque;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use std::sync::Arc;

use crate::error::Result;
use crate::pace::Pace;
use crate::record::{Batch, Position};
use crate::stage::{DeadLetter, Poll, SplitReader};

/// The clock of a replay, shared by the splits of a run. It starts at the first record after a start.
#[derive(Debug, Default)]
pub(super) struct Clock {
    started: OnceLock<(Instant, i64)>,
}

/// The longest that one record may be waited for: a leap of years in event time must not overflow a clock.
const WAIT_MAX: Duration = Duration::from_secs(366 * 24 * 3600);

pub(super) struct Paced {
    split: Box<dyn SplitReader>,
    pace: Pace,
    clock: Arc<Clock>,
    /// Read and not yet released.
    batch: Option<Batch>,
    dead: VecDeque<DeadLetter>,
    position: Position,
    step: Step,
}

/// Where the last released record stands among the steps.
#[derive(Clone, Copy, Debug, Default)]
struct Step {
    number: u64,
    records: u64,
    time: Option<i64>,
}

impl Step {
    /// The step that a record with this time falls into.
    fn next(self, time: i64, records_per_step: Option<u64>) -> Step {
        let Some(before) = self.time else { return Step { number: 0, records: 1, time: Some(time) } };
        let starts = match records_per_step {
            Some(most) => self.records >= most,
            None => time != before,
        };
        Step {
            number: self.number + u64::from(starts),
            records: if starts { 1 } else { self.records + 1 },
            time: Some(time),
        }
    }
}

impl Paced {
    pub(super) fn new(split: Box<dyn SplitReader>, pace: Pace, clock: Arc<Clock>) -> Paced {
        let position = split.position();
        Paced { split, pace, clock, batch: None, dead: VecDeque::new(), position, step: Step::default() }
    }

    /// When a step is released: the time of its first record, or its number.
    fn due(&self, step: Step, first_time: i64) -> Instant {
        let (started, first) = *self.clock.started.get_or_init(|| (Instant::now(), first_time));
        let seconds = match self.pace.interval {
            Some(interval) => interval.as_secs_f64() * step.number as f64 / self.pace.speed,
            None => (first_time.saturating_sub(first)) as f64 / 1e6 / self.pace.speed,
        };
        started + Duration::try_from_secs_f64(seconds.max(0.0)).unwrap_or(WAIT_MAX).min(WAIT_MAX)
    }

    /// How many rows of the batch are due, how the steps stand after them, and when the next one is.
    fn due_rows(&self, batch: &Batch, now: Instant) -> (usize, Step, Instant) {
        let mut step = self.step;
        let mut due = now;
        for (row, time) in batch.time().iter().enumerate() {
            let next = step.next(*time, self.pace.records_per_step);
            if next.number != step.number || step.time.is_none() {
                due = self.due(next, *time);
                if due > now {
                    return (row, step, due);
                }
            }
            step = next;
        }
        (batch.rows(), step, due)
    }

    fn release(&mut self, batch: &Batch, rows: usize) -> Poll {
        let released = batch.slice(0, rows);
        let rest = batch.slice(rows, batch.rows() - rows);
        let next_origin = rest.source_offsets().first().copied();
        let letters = next_origin
            .map_or(self.dead.len(), |next| self.dead.iter().take_while(|letter| letter.source_offset < next).count());
        let dead: Vec<DeadLetter> = self.dead.drain(..letters).collect();
        let row = self.position.records + (rows + dead.len()) as u64;
        self.position = match next_origin {
            Some(at) => Position { offset: at, records: row },
            None => self.split.position(),
        };
        self.batch = next_origin.map(|_| rest);
        Poll::Rows(released, dead)
    }
}

impl SplitReader for Paced {
    fn next(&mut self, max: usize, until: Instant) -> Result<Poll> {
        if self.batch.is_none() {
            match self.split.next(max, until)? {
                Poll::Rows(batch, dead) if batch.rows() == 0 => {
                    self.position = self.split.position();
                    return Ok(Poll::Rows(batch, dead));
                }
                Poll::Rows(batch, dead) => {
                    self.batch = Some(batch);
                    self.dead = dead.into();
                }
                Poll::Idle => {
                    self.position = self.split.position();
                    return Ok(Poll::Idle);
                }
                Poll::End => return Ok(Poll::End),
            }
        }
        let Some(batch) = self.batch.take() else { return Ok(Poll::Idle) };
        loop {
            let (due, step, next) = self.due_rows(&batch, Instant::now());
            // A row and the dead letters before it count against `max` together; the letters of one read are bounded
            // by that read's own `max`.
            let rows = due.min(max.saturating_sub(self.dead.len()).max(1));
            if rows > 0 && due > 0 {
                self.step = if rows == due { step } else { self.step_after(&batch, rows) };
                return Ok(self.release(&batch, rows));
            }
            let now = Instant::now();
            if now >= until {
                self.batch = Some(batch);
                return Ok(Poll::Idle);
            }
            std::thread::sleep(next.min(until).saturating_duration_since(now));
        }
    }

    fn position(&self) -> Position {
        self.position
    }

    fn snapshot_state(&self, at: Position) -> Result<Vec<u8>> {
        self.split.snapshot_state(at)
    }

    fn lag(&self) -> Option<u64> {
        let waiting = self.batch.as_ref().map_or(0, Batch::rows) + self.dead.len();
        self.split.lag().map(|lag| lag + waiting as u64)
    }

    fn describe_offset(&mut self, at: u64) -> Option<String> {
        self.split.describe_offset(at)
    }

    fn raw_schema(&self) -> Option<Arc<str>> {
        self.split.raw_schema()
    }
}

impl Paced {
    fn step_after(&self, batch: &Batch, rows: usize) -> Step {
        batch.time().iter().take(rows).fold(self.step, |step, time| step.next(*time, self.pace.records_per_step))
    }
}
