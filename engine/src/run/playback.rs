//! Playback in event time: a split reader that releases records no faster than their timestamps, or a fixed interval, say.

use std::collections::VecDeque;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use crate::clock::Clock;
use crate::error::Result;
use crate::pace::Pace;
use crate::record::{Batch, Position};
use crate::stage::{DeadLetter, Poll, SplitReader};

/// When playback started, shared by the splits of a run: the instant of the first record after a start, and its timestamp.
pub(super) type PlaybackStart = Arc<OnceLock<(Instant, i64)>>;

/// The longest that one record may be waited for: a leap of years in event time must not overflow a clock.
const WAIT_MAX: Duration = Duration::from_secs(366 * 24 * 3600);

/// A reader that releases the records of another one at a pace.
pub(super) struct Playback {
    reader: Box<dyn SplitReader>,
    pace: Pace,
    started: PlaybackStart,
    clock: Clock,
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

impl Playback {
    pub(super) fn new(reader: Box<dyn SplitReader>, pace: Pace, started: PlaybackStart, clock: Clock) -> Playback {
        let position = reader.position();
        let (batch, dead, step) = (None, VecDeque::new(), Step::default());
        Playback { reader, pace, started, clock, batch, dead, position, step }
    }

    /// When a step is released: the time of its first record, or its number.
    fn due(&self, step: Step, first_time: i64) -> Instant {
        let (started, first) = *self.started.get_or_init(|| (self.clock.now(), first_time));
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
        let dead_letters = next_origin
            .map_or(self.dead.len(), |next| self.dead.iter().take_while(|letter| letter.source_offset < next).count());
        let dead: Vec<DeadLetter> = self.dead.drain(..dead_letters).collect();
        let row = self.position.records + (rows + dead.len()) as u64;
        self.position = match next_origin {
            Some(at) => Position { offset: at, records: row },
            None => self.reader.position(),
        };
        self.batch = next_origin.map(|_| rest);
        Poll::Rows(released, dead)
    }
}

impl SplitReader for Playback {
    fn next(&mut self, max: usize, until: Instant) -> Result<Poll> {
        if self.batch.is_none() {
            match self.reader.next(max, until)? {
                Poll::Rows(batch, dead) if batch.rows() == 0 => {
                    self.position = self.reader.position();
                    return Ok(Poll::Rows(batch, dead));
                }
                Poll::Rows(batch, dead) => {
                    self.batch = Some(batch);
                    self.dead = dead.into();
                }
                Poll::Idle => {
                    self.position = self.reader.position();
                    return Ok(Poll::Idle);
                }
                Poll::End => return Ok(Poll::End),
            }
        }
        let Some(batch) = self.batch.take() else { return Ok(Poll::Idle) };
        loop {
            let (due, step, next) = self.due_rows(&batch, self.clock.now());
            // A row and the dead dead_letters before it count against `max` together; the dead_letters of one read are bounded
            // by that read's own `max`.
            let rows = due.min(max.saturating_sub(self.dead.len()).max(1));
            if rows > 0 && due > 0 {
                self.step = if rows == due { step } else { self.step_after(&batch, rows) };
                return Ok(self.release(&batch, rows));
            }
            if Instant::now() >= until {
                self.batch = Some(batch);
                return Ok(Poll::Idle);
            }
            std::thread::sleep(self.clock.deadline(next).min(until).saturating_duration_since(Instant::now()));
        }
    }

    fn position(&self) -> Position {
        self.position
    }

    fn snapshot_state(&self, at: Position) -> Result<Vec<u8>> {
        self.reader.snapshot_state(at)
    }

    fn commits_at_start(&self) -> bool {
        self.reader.commits_at_start()
    }

    fn commits_at_end(&self) -> bool {
        self.reader.commits_at_end()
    }

    fn progress(&self) -> Option<f64> {
        self.reader.progress()
    }

    fn lag(&self) -> Option<u64> {
        let waiting = self.batch.as_ref().map_or(0, Batch::rows) + self.dead.len();
        self.reader.lag().map(|lag| lag + waiting as u64)
    }

    fn describe_offset(&mut self, offset: u64) -> Option<String> {
        self.reader.describe_offset(offset)
    }

    fn raw_schema(&self, letter: &DeadLetter) -> Option<Arc<str>> {
        self.reader.raw_schema(letter)
    }
}

impl Playback {
    fn step_after(&self, batch: &Batch, rows: usize) -> Step {
        batch.time().iter().take(rows).fold(self.step, |step, time| step.next(*time, self.pace.records_per_step))
    }
}

#[cfg(test)]
mod tests {
    use arrow_array::Float64Array;

    use super::*;
    use crate::record::{BatchParts, Column, Field, Fields, Numbers};

    /// One batch, then the end.
    struct Once(Option<Batch>);

    impl SplitReader for Once {
        fn next(&mut self, _: usize, _: Instant) -> Result<Poll> {
            Ok(self.0.take().map_or(Poll::End, |batch| Poll::Rows(batch, Vec::new())))
        }

        fn position(&self) -> Position {
            Position { offset: if self.0.is_some() { 0 } else { 100 }, records: 0 }
        }

        fn commits_at_start(&self) -> bool {
            true
        }

        fn commits_at_end(&self) -> bool {
            true
        }
    }

    /// Rows at these seconds.
    fn batch(seconds: &[i64]) -> Batch {
        let rows = seconds.len();
        Batch::new(BatchParts {
            fields: Arc::new(Fields { list: vec![Field::number("x")], ..Fields::default() }),
            time: seconds.iter().map(|second| second * 1_000_000).collect::<Vec<_>>().into(),
            utc_offset: vec![0; rows].into(),
            key: None,
            columns: vec![Column::Number(Numbers::observed(Float64Array::from(vec![1.0; rows])))],
            score: None,
            source_offsets: (0..rows as u64).collect::<Vec<_>>().into(),
            raw: None,
        })
        .expect("fits")
    }

    fn playback(pace: Pace, clock: &Clock) -> Playback {
        Playback::new(Box::new(Once(Some(batch(&[0, 60, 60, 3600])))), pace, PlaybackStart::default(), clock.clone())
    }

    /// The rows that are released now.
    fn released(playback: &mut Playback) -> Option<usize> {
        match playback.next(100, Instant::now()).expect("reads") {
            Poll::Rows(batch, _) => Some(batch.rows()),
            Poll::Idle => Some(0),
            Poll::End => None,
        }
    }

    #[test]
    fn records_are_released_when_their_timestamps_are_due() {
        let clock = Clock::manual(Duration::ZERO);
        let mut playback = playback(Pace { speed: 60.0, interval: None, records_per_step: None }, &clock);
        assert_eq!((released(&mut playback), released(&mut playback)), (Some(1), Some(0)));
        assert_eq!(playback.position(), Position { offset: 1, records: 1 }, "the next record is not released yet");
        clock.advance(Duration::from_millis(999));
        assert_eq!(released(&mut playback), Some(0));
        clock.advance(Duration::from_millis(1));
        assert_eq!((released(&mut playback), released(&mut playback)), (Some(2), Some(0)), "a minute is a second");
        clock.advance(Duration::from_secs(59));
        assert_eq!((released(&mut playback), released(&mut playback)), (Some(1), None));
        assert_eq!(playback.position().offset, 100);
    }

    #[test]
    fn steps_of_an_interval_take_no_notice_of_timestamps() {
        let clock = Clock::manual(Duration::ZERO);
        let interval = Some(Duration::from_secs(10));
        let mut playback = playback(Pace { speed: 2.0, interval, records_per_step: Some(3) }, &clock);
        assert_eq!((released(&mut playback), released(&mut playback)), (Some(3), Some(0)));
        clock.advance(Duration::from_secs(5));
        assert_eq!((released(&mut playback), released(&mut playback)), (Some(1), None));
    }

    #[test]
    fn whatever_the_reader_asks_for_is_passed_on() {
        let playback = playback(Pace { speed: 1.0, interval: None, records_per_step: None }, &Clock::default());
        assert!(playback.commits_at_start() && playback.commits_at_end());
    }
}
