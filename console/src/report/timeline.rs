//! The times of a station in order, each once, and what stands there in each of its fields: whatever the order in which records come.

use std::borrow::Cow;

use super::cell_code::CellCode;
use super::chunk::Open;

/// Times of a chunk: few enough to be moved where one comes between them, and to be packed and unpacked for one of them.
const CHUNK_TIMES_MAX: usize = 256;
/// The bytes of a chunk beside what is in it.
const CHUNK_BYTES: usize = 64;
/// All timelines together: hourly values of a century take some 300 kB a field, times and cells without any order ten bytes each.
const BYTES_MAX: usize = 128 << 20;
/// Those of them that are not packed: beyond, all are packed.
const OPEN_BYTES_MAX: usize = 16 << 20;

/// The memory that all timelines take together.
#[derive(Debug)]
pub(super) struct Room {
    open: usize,
    packed: usize,
    max: usize,
}

impl Default for Room {
    fn default() -> Self {
        Room { open: 0, packed: 0, max: BYTES_MAX }
    }
}

impl Room {
    #[inline]
    fn is_full(&self) -> bool {
        self.open + self.packed >= self.max
    }

    /// Whether timelines have to be packed.
    pub(super) fn is_crowded(&self) -> bool {
        self.open > OPEN_BYTES_MAX
    }

    /// The megabytes that there are.
    pub(super) fn megabytes(&self) -> usize {
        self.max >> 20
    }

    #[cfg(test)]
    pub(super) fn of(max: usize) -> Room {
        Room { max, ..Room::default() }
    }
}

#[derive(Clone, Debug)]
struct Chunk {
    first: i64,
    /// Empty while it is open.
    packed: Box<[u8]>,
    open: Option<Box<Open>>,
}

impl Chunk {
    fn of(open: Open, room: &mut Room) -> Chunk {
        room.open += open.bytes();
        room.packed += CHUNK_BYTES;
        let first = open.times.first().copied().unwrap_or(0);
        Chunk { first, packed: Box::default(), open: Some(Box::new(open)) }
    }

    #[inline]
    fn open(&mut self, room: &mut Room) -> &mut Open {
        let packed = std::mem::take(&mut self.packed);
        self.open.get_or_insert_with(|| {
            let open = Open::unpack(&packed);
            room.packed = room.packed.saturating_sub(packed.len());
            room.open += open.bytes();
            Box::new(open)
        })
    }

    fn pack(&mut self, room: &mut Room) {
        let Some(open) = self.open.take() else { return };
        self.packed = open.pack();
        room.open = room.open.saturating_sub(open.bytes());
        room.packed += self.packed.len();
    }
}

/// The place of a time, until another one comes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place {
    chunk: usize,
    at: usize,
}

/// What became of a cell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Put {
    /// It is the first one of its time.
    First,
    /// It takes the place of one that says less.
    Better(CellCode),
    /// There is one that says as much.
    Known(CellCode),
    /// There is no room for it.
    NoRoom,
}

/// The times of a station.
#[derive(Clone, Debug, Default)]
pub(super) struct Timeline {
    chunks: Vec<Chunk>,
    count: u64,
}

impl Timeline {
    /// The place of a time, which may be a new one; `None` where there is no room for it.
    #[inline]
    pub(super) fn enter(&mut self, time: i64, offset: i16, room: &mut Room) -> Option<Place> {
        let mut chunk = match self.chunks.last() {
            Some(last) if last.first <= time => self.chunks.len() - 1,
            _ => self.chunks.partition_point(|chunk| chunk.first <= time).saturating_sub(1),
        };
        if self.chunks.is_empty() {
            self.chunks.push(Chunk::of(Open::default(), room));
        }
        let open = self.chunks[chunk].open(room);
        let mut at = match open.find(time) {
            Ok(at) => {
                // Two clocks at one time: the order of records is not to decide.
                open.offsets[at] = open.offsets[at].min(offset);
                return Some(Place { chunk, at });
            }
            Err(_) if room.is_full() => return None,
            Err(at) => at,
        };
        if open.times.len() >= CHUNK_TIMES_MAX {
            (chunk, at) = self.make_room(chunk, at, room);
        }
        let into = &mut self.chunks[chunk];
        let bytes = into.open(room).insert(at, time, offset);
        room.open += bytes;
        if at == 0 {
            into.first = time;
        }
        self.count += 1;
        Some(Place { chunk, at })
    }

    /// Makes room at a place of a chunk that is full.
    #[cold]
    fn make_room(&mut self, chunk: usize, at: usize, room: &mut Room) -> (usize, usize) {
        let full = self.chunks[chunk].open(room);
        let half = full.times.len() / 2;
        match at {
            // Records in order fill one chunk after the other, and so do those that come the newest first.
            _ if at == full.times.len() => {
                self.chunks[chunk].pack(room);
                self.chunks.insert(chunk + 1, Chunk::of(Open::default(), room));
                (chunk + 1, 0)
            }
            0 => {
                self.chunks[chunk].pack(room);
                self.chunks.insert(chunk, Chunk::of(Open::default(), room));
                (chunk, 0)
            }
            _ => {
                let before = full.bytes();
                let later = full.split();
                room.open = room.open.saturating_sub(before.saturating_sub(full.bytes()));
                self.chunks.insert(chunk + 1, Chunk::of(later, room));
                if at > half { (chunk + 1, at - half) } else { (chunk, at) }
            }
        }
    }

    /// Puts the cell of a series to a time that was just entered.
    #[inline]
    pub(super) fn put(&mut self, place: Place, series: usize, code: CellCode, room: &mut Room) -> Put {
        let open = self.chunks[place.chunk].open(room);
        if !open.has(series) {
            if room.is_full() {
                return Put::NoRoom;
            }
            let bytes = open.make_room(series);
            room.open += bytes;
        }
        let Some(known) = open.cells.get_mut(series).and_then(|cells| cells.get_mut(place.at)) else {
            return Put::NoRoom;
        };
        let before = CellCode(*known);
        if before == CellCode::default() {
            *known = code.0;
            return Put::First;
        }
        // Of two that are worth the same one has to count, whichever came first.
        if (code.rank(), code.0) > (before.rank(), before.0) {
            *known = code.0;
            return Put::Better(before);
        }
        Put::Known(before)
    }

    /// Packs all of it.
    pub(super) fn pack(&mut self, room: &mut Room) {
        self.chunks.iter_mut().for_each(|chunk| chunk.pack(room));
    }

    /// How many times there are.
    pub(super) fn count(&self) -> u64 {
        self.count
    }

    /// All of it in order.
    pub(super) fn chunks(&self) -> impl Iterator<Item = Cow<'_, Open>> {
        self.chunks.iter().map(|chunk| match &chunk.open {
            Some(open) => Cow::Borrowed(&**open),
            None => Cow::Owned(Open::unpack(&chunk.packed)),
        })
    }
}

#[cfg(test)]
mod tests {
    use aqpipe_engine::record::{CellQuality, Flag};

    use super::*;
    use crate::report::cell::Cell;

    const GOOD: CellCode = CellCode(1);

    fn all(timeline: &Timeline) -> Vec<(i64, i16, u8)> {
        let chunks: Vec<Open> = timeline.chunks().map(Cow::into_owned).collect();
        let each = |open: &Open| {
            (0..open.times.len()).map(|at| (open.times[at], open.offsets[at], open.code(1, at))).collect::<Vec<_>>()
        };
        chunks.iter().flat_map(each).collect()
    }

    #[test]
    fn times_in_any_order_are_kept_in_theirs_and_each_once() {
        const TIMES: i64 = 20_011;
        let expected: Vec<(i64, i16, u8)> = (0..TIMES).map(|time| (time, 60, GOOD.0)).collect();
        let orders: [fn(i64) -> i64; 3] = [|at| at, |at| TIMES - 1 - at, |at| at * 7_919 % TIMES];
        for order in orders {
            let (mut timeline, mut room) = (Timeline::default(), Room::default());
            for at in 0..2 * TIMES {
                let time = order(at % TIMES);
                let place = timeline.enter(time, 60, &mut room).expect("room");
                let expected = if at < TIMES { Put::First } else { Put::Known(GOOD) };
                assert_eq!(timeline.put(place, 1, GOOD, &mut room), expected);
                if at % 1_000 == 0 {
                    timeline.pack(&mut room);
                    assert_eq!(room.open, 0);
                }
            }
            assert_eq!(all(&timeline), expected);
            assert_eq!(timeline.count(), TIMES as u64);
            timeline.pack(&mut room);
            assert!(room.open == 0 && room.packed < 20_000, "{room:?}");
        }
    }

    #[test]
    fn of_several_cells_of_a_time_the_one_that_says_most_counts() {
        let (mut timeline, mut room) = (Timeline::default(), Room::default());
        let code = |cell, flag| CellCode::of(cell, CellQuality::OBSERVED.with_flag(flag));
        let missing = code(Cell::Missing, Flag::Missing);
        let failed = code(Cell::Observed(9.0, Flag::Fail), Flag::Fail);
        let good = code(Cell::Observed(1.0, Flag::Good), Flag::Good);
        let put = |timeline: &mut Timeline, room: &mut Room, code| {
            let place = timeline.enter(5, 0, room).expect("room");
            timeline.put(place, 0, code, room)
        };
        assert_eq!(put(&mut timeline, &mut room, missing), Put::First);
        assert_eq!(put(&mut timeline, &mut room, failed), Put::Better(missing));
        assert_eq!(put(&mut timeline, &mut room, good), Put::Better(failed));
        assert_eq!(put(&mut timeline, &mut room, failed), Put::Known(good));
    }

    #[test]
    fn where_there_is_no_room_what_is_known_stays() {
        let (mut timeline, mut room) = (Timeline::default(), Room::of(2_000));
        let placed = (0..10_000).filter(|time| timeline.enter(time * time, 0, &mut room).is_some()).count();
        assert!(placed > 100 && placed < 1_000, "{placed}");
        let place = timeline.enter(4, 0, &mut room).expect("a known time");
        assert_eq!(timeline.put(place, 3, GOOD, &mut room), Put::NoRoom);
        assert_eq!(timeline.count(), placed as u64);
    }
}
