//! The names of entries.

/// The name of an entry: a letter or two and numbers, put together without a look at the heap, for there are many.
#[derive(Clone, Copy)]
pub(super) struct EntryName {
    bytes: [u8; EntryName::BYTES_MAX],
    length: usize,
}

impl EntryName {
    /// The longest one is that of a held part: two letters, the number of a step and one of sixteen digits.
    const BYTES_MAX: usize = 40;

    pub(super) fn of(kind: char) -> EntryName {
        EntryName { bytes: [0; EntryName::BYTES_MAX], length: 0 }.then(kind)
    }

    /// The same with a letter behind it.
    pub(super) fn then(mut self, letter: char) -> EntryName {
        self.push(letter as u8);
        self
    }

    /// The same with a number of at least so many digits behind it.
    pub(super) fn hex(mut self, number: u64, digits: u32) -> EntryName {
        let needed = (u64::BITS - number.leading_zeros()).div_ceil(4);
        for digit in (0..needed.max(digits)).rev() {
            self.push(b"0123456789abcdef"[(number >> (4 * digit)) as usize & 15]);
        }
        self
    }

    fn push(&mut self, byte: u8) {
        if let Some(place) = self.bytes.get_mut(self.length) {
            *place = byte;
            self.length += 1;
        }
    }
}

impl AsRef<str> for EntryName {
    fn as_ref(&self) -> &str {
        // All of it is ASCII.
        std::str::from_utf8(&self.bytes[..self.length]).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_the_digits_that_they_need_and_no_fewer_than_asked_for() {
        let name = EntryName::of('s').hex(0x2f, 2).then('p').hex(7, 8).hex(0x1_2345_6789, 8);
        assert_eq!(name.as_ref(), "s2fp00000007123456789");
        assert_eq!(EntryName::of('k').hex(0, 8).hex(u64::MAX, 1).as_ref(), "k00000000ffffffffffffffff");
    }
}
