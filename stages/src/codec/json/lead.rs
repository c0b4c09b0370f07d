//! What stands before a value, compared in one step.

/// Bytes that are compared at once.
const BYTES: usize = 32;
/// The same in words.
const WORDS: usize = BYTES / size_of::<u64>();

/// Bytes that are expected before a value: those that the record before had there.
#[derive(Debug)]
pub(super) struct Lead {
    bytes: Box<[u8]>,
    /// The bytes and zeros behind them, and which bits of that count; `None` where there are more bytes.
    words: Option<([u64; WORDS], [u64; WORDS])>,
}

impl Lead {
    pub(super) fn new(bytes: &[u8]) -> Lead {
        let padded = |byte: &dyn Fn(usize) -> Option<u8>| {
            let chunk: [u8; BYTES] = std::array::from_fn(|place| byte(place).unwrap_or(0));
            words(&chunk)
        };
        let is_short = bytes.len() <= BYTES;
        let words = is_short
            .then(|| (padded(&|place| bytes.get(place).copied()), padded(&|place| bytes.get(place).map(|_| u8::MAX))));
        Lead { bytes: bytes.into(), words }
    }

    /// Where these bytes end that start at a place; `None` where others stand there.
    #[inline]
    pub(super) fn end(&self, text: &str, at: usize) -> Option<usize> {
        let next = text.as_bytes().get(at..)?;
        let found = match (&self.words, next.first_chunk::<BYTES>()) {
            // One comparison whatever their number is: how many there are would be guessed wrong for each other property.
            (Some((expected, counts)), Some(chunk)) => {
                let found = words(chunk);
                let differs = |word: usize| (found[word] ^ expected[word]) & counts[word];
                (0..WORDS).fold(0, |all, word| all | differs(word)) == 0
            }
            _ => next.starts_with(&self.bytes),
        };
        found.then_some(at + self.bytes.len())
    }
}

#[inline]
fn words(chunk: &[u8; BYTES]) -> [u64; WORDS] {
    let (words, _) = chunk.as_chunks::<8>();
    std::array::from_fn(|word| u64::from_le_bytes(words[word]))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_lead_ends_where_the_text_starts_with_it(
            lead in "[ab,\"é]{0,40}", rest in "[ab]{0,40}", at in 0usize..40, other in "[ab,]",
        ) {
            let changed: String = match lead.char_indices().nth(at) {
                Some((place, _)) => lead[..place].to_owned() + &other + &rest,
                None => lead.clone() + &rest,
            };
            for text in [lead.clone() + &rest, changed, rest.clone(), lead.chars().skip(1).collect()] {
                let end = Lead::new(lead.as_bytes()).end(&format!("ab{text}"), 2);
                prop_assert_eq!(end, text.starts_with(&lead).then_some(2 + lead.len()), "{} in {}", &lead, &text);
            }
        }
    }
}
