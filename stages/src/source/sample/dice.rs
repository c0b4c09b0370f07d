//! Chance that any record can be asked for by its number.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

/// Throws that one event has.
pub(super) const THROWS: usize = 32;

/// What chance decides on.
#[derive(Clone, Copy, Debug)]
pub(super) enum Matter {
    Record,
    Day,
    SensorGap,
    CoGap,
    NoxGap,
}

/// A stream of events, each with its own throws, for one station and one matter.
///
/// The keystream of ChaCha can be entered anywhere, so the throws of an event depend on the seed, the station, the matter
/// and the event's number, and on nothing that came before.
#[derive(Clone, Debug)]
pub(super) struct Dice {
    rng: ChaCha8Rng,
    /// The event that the stream stands before.
    next: u64,
}

impl Dice {
    pub(super) fn new(seed: u64, station: usize, matter: Matter) -> Dice {
        let mut key = [0; 32];
        key[..8].copy_from_slice(&seed.to_le_bytes());
        let mut rng = ChaCha8Rng::from_seed(key);
        rng.set_stream(station as u64 * 8 + matter as u64);
        Dice { rng, next: 0 }
    }

    /// The throws of an event, each evenly from 0 to below 1.
    pub(super) fn throw(&mut self, event: u64) -> [f64; THROWS] {
        if event != self.next {
            self.rng.set_word_pos(u128::from(event) * THROWS as u128);
        }
        self.next = event.wrapping_add(1);
        // 32 bits over 2^32 is exact.
        std::array::from_fn(|_| f64::from(self.rng.next_u32()) / 4_294_967_296.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_has_its_throws_whatever_was_asked_before() {
        let mut dice = Dice::new(1, 0, Matter::Record);
        let all: Vec<_> = (0..50).map(|event| dice.throw(event)).collect();
        for event in [49, 0, 7, 8, 3] {
            assert_eq!(dice.throw(event), all[event as usize]);
        }
        assert_ne!(Dice::new(2, 0, Matter::Record).throw(0), all[0], "another seed");
        assert_ne!(Dice::new(1, 1, Matter::Record).throw(0), all[0], "another station");
        assert_ne!(Dice::new(1, 0, Matter::Day).throw(0), all[0], "another matter");
        assert!(all.iter().flatten().all(|throw| (0.0..1.0).contains(throw)));
    }
}
