//! How many of a run's records become dead letters, and when that is too many.

use std::collections::VecDeque;

use crate::dead_letter_groups::{DeadLetterGroup, DeadLetterGroups};
use crate::error::Error;
use crate::stage::LossLimits;

/// The records whose share of dead letters is looked at.
const WINDOW_RECORDS: u64 = 1_000;
/// Records that are counted together: a tenth of the window, so that a checkpoint of any size has the order of its records, in
/// little room.
const BLOCK_RECORDS: u64 = WINDOW_RECORDS / 10;
/// So many records decide where a run goes on with the options with which the one before it lost too many.
const AGAIN_RECORDS: u64 = 100;
/// Of rows that wait in a transform it is unknown what becomes of them. So many dead letters for each of them say enough.
const DEAD_PER_HELD_ROW: u64 = 10;

/// Records that left the pipeline one after the other.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Block {
    records: u64,
    dead: u64,
}

impl Block {
    /// Whether two neighbours can be counted together.
    fn joins(self, next: Block) -> bool {
        (self.dead == 0 && next.dead == 0) || self.records + next.records <= BLOCK_RECORDS
    }

    fn add(&mut self, next: Block) {
        self.records += next.records;
        self.dead += next.dead;
    }
}

/// What became of records, in their order, and why those died that did.
#[derive(Clone, Debug, Default)]
pub(in crate::run) struct Losses {
    blocks: Vec<Block>,
    pub(in crate::run) groups: DeadLetterGroups,
}

impl Losses {
    /// Adds records that left together: the source offsets of those that became dead letters and of those that were written,
    /// and how many were filtered.
    pub(in crate::run) fn add(&mut self, dead: &mut [u64], written: &[u64], filtered: u64) {
        if dead.is_empty() {
            return self.push(Block { records: written.len() as u64 + filtered, dead: 0 });
        }
        dead.sort_unstable();
        let mut next = 0;
        for offset in dead.iter() {
            let good = written[next..].iter().take_while(|written| *written < offset).count();
            next += good;
            self.push_split(Block { records: good as u64, dead: 0 });
            self.push(Block { records: 1, dead: 1 });
        }
        self.push_split(Block { records: (written.len() - next) as u64 + filtered, dead: 0 });
    }

    /// Adds good records: as many as find room in the last block, and the others as their own.
    fn push_split(&mut self, good: Block) {
        let room = self
            .blocks
            .last()
            .filter(|last| last.dead > 0)
            .map_or(0, |last| BLOCK_RECORDS.saturating_sub(last.records));
        let first = good.records.min(room);
        self.push(Block { records: first, dead: 0 });
        self.push(Block { records: good.records - first, dead: 0 });
    }

    fn push(&mut self, block: Block) {
        match self.blocks.last_mut() {
            _ if block.records == 0 => {}
            Some(last) if last.joins(block) => last.add(block),
            _ => self.blocks.push(block),
        }
    }

    /// Adds what became of later records.
    pub(in crate::run) fn extend(&mut self, later: Losses) {
        later.blocks.into_iter().for_each(|block| self.push(block));
        self.groups.extend(&later.groups);
    }

    fn records(&self) -> u64 {
        self.blocks.iter().map(|block| block.records).sum()
    }

    fn dead(&self) -> u64 {
        self.blocks.iter().map(|block| block.dead).sum()
    }
}

/// Too many records became dead letters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::run) enum TooMany {
    /// The first ones did, all for one class of reason.
    First(DeadLetterGroup),
    /// So many of the last ones did.
    OfTheLast { dead: u64, records: u64 },
}

/// Watches the share of dead letters since a start.
#[derive(Clone, Debug)]
pub(in crate::run) struct LossWatch {
    limits: LossLimits,
    /// The records since the start, as long as all of them became dead letters for one class of reason.
    first: Option<Losses>,
    window: VecDeque<Block>,
    sum: Block,
    /// The records since a start with the options with which the run before lost too many, until there are enough.
    again: Option<Block>,
}

impl LossWatch {
    pub(in crate::run) fn new(limits: LossLimits) -> LossWatch {
        let first = (limits.stop_first > 0).then(Losses::default);
        LossWatch { limits, first, window: VecDeque::new(), sum: Block::default(), again: None }
    }

    /// The same after a run with the same options that lost too many: the next hundred records decide, not the next thousand.
    pub(in crate::run) fn again(limits: LossLimits) -> LossWatch {
        LossWatch { again: Some(Block::default()), ..LossWatch::new(limits) }
    }

    /// Forgets all, and leaves the first records out of it: they were looked at.
    pub(in crate::run) fn start_again(&mut self) {
        *self = LossWatch { first: None, ..LossWatch::new(self.limits) };
    }

    /// How many more records decide whether too many of the first ones are lost, as long as that is open.
    pub(in crate::run) fn first_left(&self) -> Option<u64> {
        let left = |first: &Losses| self.limits.stop_first.saturating_sub(first.dead());
        let first = self.first.as_ref().map(left).filter(|left| *left > 0);
        let again = self.again.map(|again| AGAIN_RECORDS.saturating_sub(again.records)).filter(|left| *left > 0);
        [first, again].into_iter().flatten().min()
    }

    /// Looks at what became of more records, while so many are held.
    pub(in crate::run) fn observe(&mut self, losses: &Losses, held: u64) -> Option<TooMany> {
        let first = self.observe_first(losses, held);
        first.or_else(|| self.observe_again(losses)).or_else(|| self.observe_window(losses))
    }

    fn observe_again(&mut self, losses: &Losses) -> Option<TooMany> {
        let again = self.again.as_mut()?;
        losses.blocks.iter().for_each(|block| again.add(*block));
        let Block { records, dead } = *again;
        if records < AGAIN_RECORDS {
            return None;
        }
        self.again = None;
        (dead as f64 > self.limits.stop_above * records as f64).then_some(TooMany::OfTheLast { dead, records })
    }

    fn observe_first(&mut self, losses: &Losses, held: u64) -> Option<TooMany> {
        let mut first = self.first.take()?;
        losses.blocks.iter().for_each(|block| first.push(*block));
        first.groups.extend(&losses.groups);
        let dead = first.dead();
        if dead < first.records() || (dead > 0 && first.groups.only().is_none()) {
            return None;
        }
        if dead >= self.limits.stop_first && held * DEAD_PER_HELD_ROW <= dead {
            return first.groups.only().cloned().map(TooMany::First);
        }
        self.first = Some(first);
        None
    }

    fn observe_window(&mut self, losses: &Losses) -> Option<TooMany> {
        for block in &losses.blocks {
            self.sum.add(*block);
            match self.window.back_mut() {
                Some(last) if last.joins(*block) => last.add(*block),
                _ => self.window.push_back(*block),
            }
            self.forget();
            let Block { records, dead } = self.sum;
            if records >= WINDOW_RECORDS && dead as f64 > self.limits.stop_above * records as f64 {
                return Some(TooMany::OfTheLast { dead, records });
            }
        }
        None
    }

    /// Forgets the oldest records behind the window. Of good ones that are counted together some may go.
    fn forget(&mut self) {
        while let Some(oldest) = self.window.front_mut() {
            let excess = self.sum.records.saturating_sub(WINDOW_RECORDS);
            let gone = match oldest.dead {
                0 => Block { records: oldest.records.min(excess), dead: 0 },
                _ if oldest.records <= excess => *oldest,
                _ => return,
            };
            if gone.records == 0 {
                return;
            }
            self.sum = Block { records: self.sum.records - gone.records, dead: self.sum.dead - gone.dead };
            oldest.records -= gone.records;
            if oldest.records == 0 {
                self.window.pop_front();
            }
        }
    }
}

impl TooMany {
    /// The error that stops the run, with the largest group of all its dead letters.
    pub(in crate::run) fn error(&self, all: &DeadLetterGroups) -> Error {
        let (message, group, key) = match self {
            TooMany::First(group) => {
                let message = format!("the first {} records became dead letters, all for one reason", group.count);
                (message, Some(group), "stop_first = 0")
            }
            TooMany::OfTheLast { dead, records } => {
                let message = format!("{dead} of the last {records} records became dead letters, most of all");
                (message, all.largest(), "stop_above = 1")
            }
        };
        let error = match group {
            Some(group) => Error::dead_letters(format!("{message}: {}", group.first_reason))
                .in_stage(&group.stage)
                .at(&group.first_place),
            None => Error::dead_letters(message),
        };
        error.help(format!(
            "nothing is lost: mend the pipeline, run it again, and replay them with `aqpipe dead-letters replay`; `{key}` in \
             [dead_letter] goes on regardless"
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Records one after the other: `x` is a dead letter of one class, `y` of another, any other a record that was written.
    fn losses(records: &str) -> Losses {
        let mut losses = Losses::default();
        let (mut dead, mut written) = (Vec::new(), Vec::new());
        for (offset, record) in (0..).zip(records.chars()) {
            match record {
                'x' | 'y' => {
                    dead.push(offset);
                    losses.groups.add("s", &format!("{record}x"), &format!("f:{offset}"));
                }
                _ => written.push(offset),
            }
        }
        losses.add(&mut dead, &written, 0);
        losses
    }

    fn watch(stop_first: u64, stop_above: f64) -> LossWatch {
        LossWatch::new(LossLimits { stop_first, stop_above })
    }

    fn lines(blocks: &[Block]) -> Vec<(u64, u64)> {
        blocks.iter().map(|block| (block.records, block.dead)).collect()
    }

    #[test]
    fn blocks_keep_the_order_of_the_records_in_little_room() {
        assert_eq!(lines(&losses(&".".repeat(5_000)).blocks), [(5_000, 0)]);
        let mixed = losses(&[".".repeat(5_000), "x".repeat(250), ".".repeat(500)].concat());
        assert_eq!(lines(&mixed.blocks), [(5_000, 0), (100, 100), (100, 100), (100, 50), (450, 0)]);
        assert_eq!(losses(&"x.".repeat(50_000)).blocks.len(), 1_000);
        assert_eq!((mixed.records(), mixed.dead()), (5_750, 250));
    }

    #[test]
    fn the_first_records_that_all_die_for_one_reason_stop_the_run_and_only_they() {
        let mut all = watch(100, 1.0);
        assert_eq!((all.first_left(), all.observe(&losses(&"x".repeat(60)), 0)), (Some(100), None));
        assert_eq!(all.first_left(), Some(40));
        let Some(TooMany::First(group)) = all.observe(&losses(&"x".repeat(40)), 0) else { panic!("all died") };
        assert_eq!((group.count, &*group.first_place), (100, "f:0"));

        for others in [".", "y"] {
            let mut one_else = watch(100, 1.0);
            assert_eq!(one_else.observe(&losses(others), 0), None);
            assert_eq!(one_else.observe(&losses(&"x".repeat(500)), 0), None, "{others}");
        }
        let mut held = watch(100, 1.0);
        assert_eq!(held.observe(&losses(&"x".repeat(100)), 90), None, "of these nobody knows");
        assert!(held.observe(&losses("x"), 0).is_some());
        assert_eq!(watch(0, 1.0).observe(&losses(&"x".repeat(5_000)), 0), None);
    }

    #[test]
    fn more_than_the_share_of_the_last_thousand_records_stops_the_run() {
        let mut watched = watch(0, 0.5);
        assert_eq!(watched.observe(&losses(&"x".repeat(999)), 0), None, "these are not a thousand");
        assert!(matches!(watched.observe(&losses("x"), 0), Some(TooMany::OfTheLast { dead: 1_000, records: 1_000 })));

        let mut half = watch(0, 0.5);
        assert_eq!(half.observe(&losses(&"x.".repeat(20_000)), 0), None, "half is not more than half");
        assert!(half.observe(&losses(&"xx.".repeat(1_000)), 0).is_some());

        let mut late = watch(0, 0.5);
        assert_eq!(late.observe(&losses(&".".repeat(100_000)), 0), None);
        let burst = [&".".repeat(100_000), &*"x".repeat(700), &".".repeat(100_000)].concat();
        assert!(late.observe(&losses(&burst), 0).is_some(), "within a checkpoint, too");
        assert_eq!(watch(0, 0.8).observe(&losses(&burst), 0), None);
    }

    #[test]
    fn after_a_run_that_lost_too_many_the_next_hundred_records_decide() {
        let mut lost = LossWatch::again(LossLimits { stop_first: 0, stop_above: 0.5 });
        assert_eq!((lost.first_left(), lost.observe(&losses(&"xx.".repeat(20)), 0)), (Some(100), None));
        assert_eq!(lost.first_left(), Some(40));
        assert_eq!(lost.observe(&losses(&"xx.".repeat(20)), 0), Some(TooMany::OfTheLast { dead: 80, records: 120 }));

        let mut good = LossWatch::again(LossLimits { stop_first: 0, stop_above: 0.5 });
        assert_eq!(good.observe(&losses(&"x.".repeat(60)), 0), None);
        assert_eq!(
            (good.first_left(), good.observe(&losses(&"x".repeat(400)), 0)),
            (None, None),
            "as any other from then on"
        );
    }

    #[test]
    fn the_error_says_why_and_how_to_go_on() {
        let losses = losses(&"x".repeat(100));
        let found = watch(100, 0.5).observe(&losses, 0).expect("all died");
        let error = found.error(&losses.groups);
        assert!(
            error.to_string().contains("the first 100 records became dead letters, all for one reason: xx"),
            "{error}"
        );
        assert!(error.help_text().is_some_and(|help| help.contains("`stop_first = 0` in [dead_letter]")));
    }
}
