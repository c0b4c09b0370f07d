//! Some hundred times of a station in order, with what stands there in each field, and their packed form.

/// The bytes of a time with its clock.
const TIME_BYTES: usize = 10;
/// The bytes of an empty list.
const LIST_BYTES: usize = 24;
/// Equal cells that share two bytes.
const RUN_MAX: usize = 255;

/// Times in order, each once.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Open {
    /// Instants: microseconds since 1970, UTC.
    pub(super) times: Vec<i64>,
    /// Minutes east of UTC of the clock that wrote them.
    pub(super) offsets: Vec<i16>,
    /// The codes of the cells of each series of the station: as many as times, or none at all.
    pub(super) cells: Vec<Vec<u8>>,
}

impl Open {
    /// About the memory that it takes.
    pub(super) fn bytes(&self) -> usize {
        self.times.len() * TIME_BYTES + self.cells.iter().map(|cells| cells.len() + LIST_BYTES).sum::<usize>()
    }

    /// Where a time is, or where it belongs.
    #[inline]
    pub(super) fn find(&self, time: i64) -> Result<usize, usize> {
        match self.times.last() {
            Some(last) if time <= *last => self.times.binary_search(&time),
            _ => Err(self.times.len()),
        }
    }

    /// Makes room for a time at its place; returns the bytes that it takes.
    #[inline]
    pub(super) fn insert(&mut self, at: usize, time: i64, offset: i16) -> usize {
        self.times.insert(at, time);
        self.offsets.insert(at, offset);
        let mut bytes = TIME_BYTES;
        for cells in self.cells.iter_mut().filter(|cells| !cells.is_empty()) {
            cells.insert(at, 0);
            bytes += 1;
        }
        bytes
    }

    /// Whether a series has cells here already.
    #[inline]
    pub(super) fn has(&self, series: usize) -> bool {
        self.cells.get(series).is_some_and(|cells| !cells.is_empty())
    }

    /// Makes room for the cells of a series; returns the bytes that they take.
    pub(super) fn make_room(&mut self, series: usize) -> usize {
        let before = self.bytes();
        if self.cells.len() <= series {
            self.cells.resize(series + 1, Vec::new());
        }
        self.cells[series].resize(self.times.len(), 0);
        self.bytes() - before
    }

    /// The code of a cell.
    #[inline]
    pub(super) fn code(&self, series: usize, at: usize) -> u8 {
        self.cells.get(series).and_then(|cells| cells.get(at)).copied().unwrap_or(0)
    }

    /// Takes the later half away.
    pub(super) fn split(&mut self) -> Open {
        let at = self.times.len() / 2;
        let later = |cells: &mut Vec<u8>| if cells.is_empty() { Vec::new() } else { cells.split_off(at) };
        Open {
            times: self.times.split_off(at),
            offsets: self.offsets.split_off(at),
            cells: self.cells.iter_mut().map(later).collect(),
        }
    }

    /// The packed form: steps and cells that are alike stand there once, with their number.
    pub(super) fn pack(&self) -> Box<[u8]> {
        let mut out = Vec::new();
        let first = self.times.first().copied().unwrap_or(0);
        out.extend_from_slice(&first.to_le_bytes());
        let steps: Vec<u64> = self.times.windows(2).map(|pair| pair[1].wrapping_sub(pair[0]) as u64).collect();
        put_number(&mut out, self.times.len() as u64);
        put_runs(&mut out, &steps);
        let offsets: Vec<u64> = self.offsets.iter().map(|offset| u64::from(*offset as u16)).collect();
        put_runs(&mut out, &offsets);
        put_number(&mut out, self.cells.len() as u64);
        for cells in &self.cells {
            put_number(&mut out, cells.len() as u64);
            for run in cells.chunk_by(|a, b| a == b).flat_map(|run| run.chunks(RUN_MAX)) {
                out.extend_from_slice(&[run[0], run.len() as u8]);
            }
        }
        out.into_boxed_slice()
    }

    /// What was packed.
    pub(super) fn unpack(packed: &[u8]) -> Open {
        let mut input = packed.iter().copied();
        let mut first = [0; 8];
        first.iter_mut().zip(&mut input).for_each(|(to, from)| *to = from);
        let mut time = i64::from_le_bytes(first);
        let count = get_number(&mut input) as usize;
        let mut times = Vec::with_capacity(count);
        times.extend((count > 0).then_some(time));
        get_runs(&mut input, count.saturating_sub(1), |step| {
            time = time.wrapping_add(step as i64);
            times.push(time);
        });
        let mut offsets = Vec::with_capacity(count);
        get_runs(&mut input, count, |offset| offsets.push(offset as u16 as i16));
        let series = get_number(&mut input) as usize;
        let mut cells = Vec::with_capacity(series);
        for _ in 0..series {
            let count = get_number(&mut input) as usize;
            let mut codes = Vec::with_capacity(count);
            while codes.len() < count {
                let (Some(code), Some(run)) = (input.next(), input.next()) else { break };
                codes.resize((codes.len() + usize::from(run.max(1))).min(count), code);
            }
            cells.push(codes);
        }
        Open { times, offsets, cells }
    }
}

/// Seven bits a byte, the lowest first (LEB128).
fn put_number(out: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        out.push(number as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

fn get_number(input: &mut impl Iterator<Item = u8>) -> u64 {
    let mut number = 0;
    for (at, byte) in input.take(10).enumerate() {
        number |= u64::from(byte & 0x7f) << (7 * at);
        if byte < 0x80 {
            break;
        }
    }
    number
}

fn put_runs(out: &mut Vec<u8>, numbers: &[u64]) {
    for run in numbers.chunk_by(|a, b| a == b) {
        put_number(out, run[0]);
        put_number(out, run.len() as u64);
    }
}

fn get_runs(input: &mut impl Iterator<Item = u8>, count: usize, mut take: impl FnMut(u64)) {
    let mut left = count;
    while left > 0 {
        let number = get_number(input);
        let run = (get_number(input) as usize).clamp(1, left);
        (0..run).for_each(|_| take(number));
        left -= run;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_packed_comes_back() {
        let regular = Open {
            times: (0..600).map(|hour| hour * 3_600_000_000).collect(),
            offsets: vec![-480; 600],
            cells: vec![vec![9; 600], Vec::new(), (0..600).map(|at| (at / 7) as u8).collect()],
        };
        let ends =
            Open { times: vec![i64::MIN, -1, 0, 1, i64::MAX], offsets: vec![0, 840, -1, 330, 60], cells: vec![] };
        for open in [regular.clone(), ends, Open::default()] {
            assert_eq!(Open::unpack(&open.pack()), open);
        }
        let regular = Open { cells: vec![vec![9; 600]], ..regular };
        assert!(regular.pack().len() < 40, "{}", regular.pack().len());
    }

    #[test]
    fn bytes_that_nobody_packed_are_read_without_a_panic() {
        _ = Open::unpack(&[]);
        _ = Open::unpack(&[0, 0, 0, 0, 0, 0, 0, 0, 3, 1]);
    }
}
