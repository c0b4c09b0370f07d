//! Random numbers with random access: those of any record, by its number.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

/// Random numbers of one event.
pub(super) const DRAWS_PER_EVENT: usize = 32;

/// What an event is: a part of the number of its stream.
#[derive(Clone, Copy, Debug)]
pub(super) enum EventKind {
    Record,
    Day,
    SensorGap,
    CoGap,
    NoxGap,
}

/// The random numbers of one station's events of one kind.
///
/// The keystream of ChaCha can be entered anywhere, so that the draws of an event depend on the seed, the station, the kind and
/// the event's number alone.
#[derive(Clone, Debug)]
pub(super) struct EventRng {
    rng: ChaCha8Rng,
    /// The event whose draws come next in the stream.
    next: u64,
}

impl EventRng {
    pub(super) fn new(seed: u64, station: usize, kind: EventKind) -> EventRng {
        let mut key = [0; 32];
        key[..8].copy_from_slice(&seed.to_le_bytes());
        let mut rng = ChaCha8Rng::from_seed(key);
        rng.set_stream(station as u64 * 8 + kind as u64);
        EventRng { rng, next: 0 }
    }

    /// The draws of an event, each uniform in 0..1.
    pub(super) fn draws(&mut self, event: u64) -> [f64; DRAWS_PER_EVENT] {
        if event != self.next {
            self.rng.set_word_pos(u128::from(event) * DRAWS_PER_EVENT as u128);
        }
        self.next = event.wrapping_add(1);
        // The quotient of 32 bits and 2^32 is exact.
        std::array::from_fn(|_| f64::from(self.rng.next_u32()) / 4_294_967_296.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_has_its_draws_whatever_was_asked_before() {
        let mut rng = EventRng::new(1, 0, EventKind::Record);
        let all: Vec<_> = (0..50).map(|event| rng.draws(event)).collect();
        for event in [49, 0, 7, 8, 3] {
            assert_eq!(rng.draws(event), all[event as usize]);
        }
        assert_ne!(EventRng::new(2, 0, EventKind::Record).draws(0), all[0], "another seed");
        assert_ne!(EventRng::new(1, 1, EventKind::Record).draws(0), all[0], "another station");
        assert_ne!(EventRng::new(1, 0, EventKind::Day).draws(0), all[0], "another kind");
        assert!(all.iter().flatten().all(|draw| (0.0..1.0).contains(draw)));
    }
}
