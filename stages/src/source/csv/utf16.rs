//! UTF-16 as UTF-8, and back.
//!
//! Half of a surrogate pair has no UTF-8. It is written as three bytes all the same (which are no valid UTF-8), so that text
//! comes back byte by byte.

use std::io::{self, Read};

/// Bytes of UTF-16 that are read at once.
const CHUNK_BYTES: usize = 64 << 10;

/// The order of the two bytes of a code unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ByteOrder {
    Little,
    Big,
}

impl ByteOrder {
    fn unit(self, bytes: [u8; 2]) -> u16 {
        match self {
            ByteOrder::Little => u16::from_le_bytes(bytes),
            ByteOrder::Big => u16::from_be_bytes(bytes),
        }
    }

    fn bytes(self, unit: u16) -> [u8; 2] {
        match self {
            ByteOrder::Little => unit.to_le_bytes(),
            ByteOrder::Big => unit.to_be_bytes(),
        }
    }

    /// The UTF-16 that a [`Utf16Reader`] made this text of.
    pub(super) fn original(self, text: &[u8]) -> Vec<u8> {
        let mut original = Vec::with_capacity(text.len() * 2);
        let mut rest = text;
        while let [first, ..] = rest {
            let length = match first {
                0..0x80 => 1,
                0x80..0xe0 => 2,
                0xe0..0xf0 => 3,
                0xf0.. => 4,
            };
            let (char, behind) = rest.split_at(length.min(rest.len()));
            let lead = u32::from(*first) & (0x7f >> if length == 1 { 0 } else { length });
            let code = char[1..].iter().fold(lead, |code, byte| code << 6 | u32::from(byte & 0x3f));
            match code.checked_sub(0x1_0000) {
                Some(pair) => {
                    original.extend(self.bytes(0xd800 | (pair >> 10 & 0x3ff) as u16));
                    original.extend(self.bytes(0xdc00 | (pair & 0x3ff) as u16));
                }
                None => original.extend(self.bytes(code as u16)),
            }
            rest = behind;
        }
        original
    }
}

/// Reads UTF-16 as UTF-8. Half a character at the end is read once its other half is there.
pub(super) struct Utf16Reader<R> {
    input: R,
    order: ByteOrder,
    /// Bytes that were read and are no character yet: at most three.
    open: Vec<u8>,
    text: Vec<u8>,
    /// How much of `text` was handed on.
    taken: usize,
}

impl<R: Read> Utf16Reader<R> {
    pub(super) fn new(input: R, order: ByteOrder) -> Utf16Reader<R> {
        Utf16Reader { input, order, open: Vec::new(), text: Vec::new(), taken: 0 }
    }

    pub(super) fn input_mut(&mut self) -> &mut R {
        &mut self.input
    }

    /// Whether half a character was read of which the rest is not there.
    pub(super) fn has_half_character(&self) -> bool {
        !self.open.is_empty()
    }

    /// Turns more input into text; returns `false` at the end of the input.
    fn refill(&mut self) -> io::Result<bool> {
        self.text.clear();
        self.taken = 0;
        let kept = self.open.len();
        self.open.resize(kept + CHUNK_BYTES, 0);
        let read = self.input.read(&mut self.open[kept..]);
        self.open.truncate(kept + read.as_ref().copied().unwrap_or(0));
        if read? == 0 {
            return Ok(false);
        }
        let mut done = 0;
        while let [first, second, behind @ ..] = &self.open[done..] {
            let unit = self.order.unit([*first, *second]);
            let is_lead = (0xd800..0xdc00).contains(&unit);
            let next = match behind {
                [first, second, ..] if is_lead => self.order.unit([*first, *second]),
                _ if is_lead => break,
                _ => 0,
            };
            let is_pair = (0xdc00..0xe000).contains(&next);
            let code = match is_pair {
                true => 0x1_0000 + (u32::from(unit & 0x3ff) << 10 | u32::from(next & 0x3ff)),
                false => u32::from(unit),
            };
            push(&mut self.text, code);
            done += if is_pair { 4 } else { 2 };
        }
        self.open.drain(..done);
        Ok(true)
    }
}

/// Adds a code point, or half a surrogate pair, as UTF-8.
fn push(text: &mut Vec<u8>, code: u32) {
    let tail = |shift: u32| 0x80 | (code >> shift & 0x3f) as u8;
    match code {
        0..0x80 => text.push(code as u8),
        0x80..0x800 => text.extend([0xc0 | (code >> 6) as u8, tail(0)]),
        0x800..0x1_0000 => text.extend([0xe0 | (code >> 12) as u8, tail(6), tail(0)]),
        _ => text.extend([0xf0 | (code >> 18) as u8, tail(12), tail(6), tail(0)]),
    }
}

impl<R: Read> Read for Utf16Reader<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.taken == self.text.len() {
            if !self.refill()? {
                return Ok(0);
            }
        }
        let length = buffer.len().min(self.text.len() - self.taken);
        buffer[..length].copy_from_slice(&self.text[self.taken..self.taken + length]);
        self.taken += length;
        Ok(length)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Hands on a few bytes at a time, as a file does that another program writes.
    struct Trickle<'a>(&'a [u8], usize);

    impl Read for Trickle<'_> {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            let length = self.1.min(buffer.len()).min(self.0.len());
            buffer[..length].copy_from_slice(&self.0[..length]);
            self.0 = &self.0[length..];
            Ok(length)
        }
    }

    fn text(bytes: &[u8], order: ByteOrder, step: usize) -> Vec<u8> {
        let mut text = Vec::new();
        Utf16Reader::new(Trickle(bytes, step), order).read_to_end(&mut text).expect("reads");
        text
    }

    #[test]
    fn characters_of_any_length_are_read_in_either_order() {
        let said = "T °C;µg/m³;気温;😀\r\n";
        for (order, bytes) in [
            (ByteOrder::Little, said.encode_utf16().flat_map(u16::to_le_bytes).collect::<Vec<u8>>()),
            (ByteOrder::Big, said.encode_utf16().flat_map(u16::to_be_bytes).collect()),
        ] {
            for step in 1..6 {
                assert_eq!(text(&bytes, order, step), said.as_bytes());
            }
        }
    }

    proptest! {
        #[test]
        fn any_even_bytes_come_back_but_for_a_half_pair_at_the_end(units in prop::collection::vec(
            prop_oneof![any::<u16>(), 0xd800u16..0xe000, 0u16..0x100], 0..40), step in 1usize..5) {
            for order in [ByteOrder::Little, ByteOrder::Big] {
                let mut bytes: Vec<u8> = units.iter().flat_map(|unit| order.bytes(*unit)).collect();
                let read = order.original(&text(&bytes, order, step));
                if units.last().is_some_and(|last| (0xd800..0xdc00).contains(last)) {
                    bytes.truncate(bytes.len() - 2);
                }
                prop_assert_eq!(read, bytes);
            }
        }
    }
}
