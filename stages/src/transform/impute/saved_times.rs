//! Instants in few bytes: those of one key are mostly the same for all its fields.

use aqpipe_engine::Result;

use super::damaged::damaged;
use super::saved_numbers::{Numbers, write_number, write_signed};

/// Microseconds in a second: instants are mostly whole seconds.
const SECOND: i64 = 1_000_000;
/// How many instants are looked at for one that was written before: where all differ, it would take longer than they are worth.
const LOOKS_MAX: usize = 32;

/// The instants of a key so far, in microseconds. Each is written as the number of an earlier one, or as its distance from the last
/// new one.
#[derive(Default)]
pub(super) struct Times {
    known: Vec<i64>,
    /// Where the next one is likely: behind the last one.
    at: usize,
}

impl Times {
    /// Begins another key.
    pub(super) fn clear(&mut self) {
        self.known.clear();
        self.at = 0;
    }

    pub(super) fn write(&mut self, time: i64, out: &mut Vec<u8>) {
        let known = self.known.len();
        let first = if self.at < known { self.at } else { 0 };
        let likely = (first..known).chain(0..first).take(LOOKS_MAX);
        if let Some(number) = likely.into_iter().find(|number| self.known[*number] == time) {
            self.at = number + 1;
            return write_number(number as u64, out);
        }
        let since = time.wrapping_sub(self.known.last().copied().unwrap_or(0));
        if since % SECOND == 0 {
            write_number(known as u64, out);
            write_signed(since / SECOND, out);
        } else {
            write_number(known as u64 + 1, out);
            write_signed(since, out);
        }
        self.known.push(time);
        self.at = self.known.len();
    }

    pub(super) fn read(&mut self, numbers: &mut Numbers<'_>) -> Result<i64> {
        let number = numbers.number()?;
        let known = self.known.len() as u64;
        if let Some(time) = usize::try_from(number).ok().and_then(|number| self.known.get(number)) {
            return Ok(*time);
        }
        let since = match number.wrapping_sub(known) {
            0 => numbers.signed()?.wrapping_mul(SECOND),
            1 => numbers.signed()?,
            _ => return Err(damaged()),
        };
        let time = self.known.last().copied().unwrap_or(0).wrapping_add(since);
        self.known.push(time);
        Ok(time)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn instants_come_back(times in proptest::collection::vec(prop_oneof![
            0_i64..3, (0_i64..50).prop_map(|hour| 1_078_941_600 * SECOND + hour * 3600 * SECOND), any::<i64>(),
        ], 0..80)) {
            let (mut bytes, mut writer) = (Vec::new(), Times::default());
            times.iter().for_each(|time| writer.write(*time, &mut bytes));
            let (mut numbers, mut reader) = (Numbers::of(&bytes), Times::default());
            let back: Vec<i64> = times.iter().map(|_| reader.read(&mut numbers).expect("reads")).collect();
            prop_assert_eq!(back, times);
            prop_assert!(numbers.is_empty());
        }
    }
}
