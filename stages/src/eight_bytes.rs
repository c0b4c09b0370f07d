//! Eight bytes of text at a time, in one word: the first byte is the lowest.

const ONES: u64 = 0x0101_0101_0101_0101;
/// The highest bit of each byte.
pub(crate) const HIGH_BITS: u64 = 0x80 * ONES;

/// This byte, eight times.
#[inline(always)]
#[expect(clippy::inline_always)]
pub(crate) const fn all(byte: u8) -> u64 {
    ONES * byte as u64
}

/// The eight bytes from a place on; zeros stand behind the end.
#[inline(always)]
#[expect(clippy::inline_always)]
pub(crate) fn load(bytes: &[u8], at: usize) -> u64 {
    match bytes.get(at..).and_then(<[u8]>::first_chunk) {
        Some(eight) => u64::from_le_bytes(*eight),
        None => load_last(bytes, at),
    }
}

#[cold]
fn load_last(bytes: &[u8], at: usize) -> u64 {
    let last = bytes.get(at..).unwrap_or_default().iter().take(8);
    last.rev().fold(0, |word, byte| word << 8 | u64::from(*byte))
}

/// The bytes of a text of one to eight; `None` of any other.
#[inline(always)]
#[expect(clippy::inline_always)]
pub(crate) fn of(text: &[u8]) -> Option<u64> {
    // Two words that overlap, where a text has no word's length.
    if let (Some(first), Some(last)) = (text.first_chunk(), text.last_chunk())
        && text.len() <= 8
    {
        let (first, last) = (u32::from_le_bytes(*first), u32::from_le_bytes(*last));
        return Some(u64::from(first) | u64::from(last) << (8 * (text.len() - 4)));
    }
    match *text {
        [a] => Some(u64::from(a)),
        [a, b] => Some(u64::from(u16::from_le_bytes([a, b]))),
        [a, b, c] => Some(u64::from(u32::from_le_bytes([a, b, c, 0]))),
        _ => None,
    }
}

/// The highest bit of each byte that is this one.
#[inline(always)]
#[expect(clippy::inline_always)]
pub(crate) fn equal(word: u64, byte: u8) -> u64 {
    let other = word ^ all(byte);
    !(((other & !HIGH_BITS) + !HIGH_BITS) | other) & HIGH_BITS
}

/// The place of the lowest byte that is marked by its highest bit; 8 where none is.
#[inline(always)]
#[expect(clippy::inline_always)]
pub(crate) fn first(marks: u64) -> usize {
    (marks.trailing_zeros() / 8) as usize
}

/// So many bytes from the lowest on; the others become zeros.
#[inline(always)]
#[expect(clippy::inline_always)]
pub(crate) fn below(word: u64, bytes: usize) -> u64 {
    if bytes < 8 { word & !(u64::MAX << (8 * bytes)) } else { word }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn words_hold_what_the_bytes_do(bytes in proptest::collection::vec(any::<u8>(), 0..12), at in 0..14usize, byte in any::<u8>()) {
            let eight: Vec<u8> = bytes.iter().skip(at).copied().chain([0; 8]).take(8).collect();
            let word = load(&bytes, at);
            prop_assert_eq!(word.to_le_bytes().to_vec(), eight.clone());
            let expected = (1..=8).contains(&bytes.len()).then(|| load(&bytes, 0));
            prop_assert_eq!(of(&bytes), expected);
            for byte in [byte, eight[3], eight[3] ^ 1] {
                let marks = equal(word, byte).to_le_bytes().map(|mark| mark == 0x80);
                prop_assert_eq!(marks.to_vec(), eight.iter().map(|other| *other == byte).collect::<Vec<_>>());
                prop_assert_eq!(first(equal(word, byte)), eight.iter().position(|other| *other == byte).unwrap_or(8));
            }
            for bytes in 0..=8 {
                let kept: Vec<u8> = eight[..bytes].iter().copied().chain([0; 8]).take(8).collect();
                prop_assert_eq!(below(word, bytes).to_le_bytes().to_vec(), kept);
            }
        }
    }
}
