//! Joins the parts of keys, so that different parts never make one key.

use std::borrow::Cow;
use std::collections::HashMap;

/// Keys that other parts could make too: as many are remembered as transforms remember keys. Behind that, nobody looks.
const AMBIGUOUS_MAX: usize = 100_000;
/// Bytes of such a key: longer ones are not remembered.
const BYTES_MAX: usize = 1000;

/// Joins the parts of a key. A part that is missing is empty; where all are, there is no key.
pub(crate) fn join<'a>(parts: impl Iterator<Item = Option<Cow<'a, str>>>, separator: &str) -> Option<String> {
    let mut joined = String::new();
    join_into(parts, separator, &mut joined, |_| {}).then_some(joined)
}

/// Appends the joined parts to a text, and shows each; returns whether any has a value.
fn join_into<'a>(
    parts: impl Iterator<Item = Option<Cow<'a, str>>>,
    separator: &str,
    joined: &mut String,
    mut each: impl FnMut(&str),
) -> bool {
    let mut has_value = false;
    for (index, part) in parts.enumerate() {
        if index > 0 {
            joined.push_str(separator);
        }
        let part = part.unwrap_or_default();
        has_value |= !part.is_empty();
        joined.push_str(&part);
        each(&part);
    }
    has_value
}

/// Joins the parts of the keys of a split, and finds those that make the key of others.
///
/// Only parts that have a character of the separator can. For these it is remembered where the parts of a key end, as they were
/// in the first record.
#[derive(Clone, Debug, Default)]
pub(crate) struct KeyJoiner {
    ambiguous: HashMap<Box<str>, Box<[usize]>, foldhash::fast::RandomState>,
    /// The lengths of the parts of the last key.
    lengths: Vec<usize>,
}

impl KeyJoiner {
    /// The joined key, if there is one.
    ///
    /// # Errors
    /// Where an earlier record had the same key of other parts.
    pub(crate) fn join<'a>(
        &mut self,
        parts: impl Iterator<Item = Option<Cow<'a, str>>>,
        separator: &str,
    ) -> Result<Option<String>, String> {
        let (mut joined, mut is_ambiguous) = (String::new(), false);
        let lengths = &mut self.lengths;
        lengths.clear();
        let has_value = join_into(parts, separator, &mut joined, |part| {
            lengths.push(part.len());
            is_ambiguous |= separator.chars().any(|c| part.contains(c));
        });
        if !has_value {
            return Ok(None);
        }
        if is_ambiguous && joined.len() <= BYTES_MAX {
            match self.ambiguous.get(&*joined) {
                Some(known) if **known != **lengths => return Err(mixed(&joined, known, lengths, separator)),
                Some(_) => {}
                None if self.ambiguous.len() < AMBIGUOUS_MAX => {
                    self.ambiguous.insert(joined.as_str().into(), lengths.as_slice().into());
                }
                None => {}
            }
        }
        Ok(Some(joined))
    }
}

/// Why a key is refused.
#[cold]
fn mixed(joined: &str, known: &[usize], lengths: &[usize], separator: &str) -> String {
    let parts = |lengths: &[usize]| {
        let mut at = 0;
        let part = |length: &usize| {
            let part = joined.get(at..at + length).unwrap_or_default();
            at += length + separator.len();
            format!("`{part}`")
        };
        lengths.iter().map(part).collect::<Vec<_>>().join(", ")
    };
    format!(
        "the key `{joined}` is made of {} here, and of {} in an earlier record: set `separator` of the key to a text that no value has",
        parts(lengths),
        parts(known)
    )
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn joined(joiner: &mut KeyJoiner, parts: &[&str], separator: &str) -> Result<Option<String>, String> {
        joiner.join(parts.iter().map(|part| Some((*part).into())), separator)
    }

    #[test]
    fn values_may_have_the_separator_and_the_key_of_another_series_is_refused() {
        let mut joiner = KeyJoiner::default();
        for _ in 0..2 {
            assert_eq!(joined(&mut joiner, &["DE-BW-001", "NO2"], "-"), Ok(Some("DE-BW-001-NO2".to_owned())));
            assert_eq!(joined(&mut joiner, &["a-b", "c"], "-"), Ok(Some("a-b-c".to_owned())));
            let refused = joined(&mut joiner, &["a", "b-c"], "-").expect_err("another series");
            assert_eq!(
                refused,
                "the key `a-b-c` is made of `a`, `b-c` here, and of `a-b`, `c` in an earlier record: set `separator` of the key to a \
                 text that no value has"
            );
        }
        assert_eq!(joined(&mut joiner, &["", ""], "-"), Ok(None));
        let missing = joiner.join([Some("a".into()), None].into_iter(), "-");
        assert_eq!(missing, Ok(Some("a-".to_owned())));
    }

    proptest! {
        #[test]
        fn different_parts_never_make_one_key(
            lists in prop::collection::vec(prop::collection::vec("[ab.-]{0,3}", 3), 2..20),
            separator in "[.-]{1,2}",
        ) {
            let mut joiner = KeyJoiner::default();
            let mut known: HashMap<String, Vec<String>> = HashMap::new();
            for parts in lists {
                let of = parts.iter().map(|part| Some(part.as_str().into()));
                let plain = join(of.clone(), &separator);
                match joiner.join(of, &separator) {
                    Ok(None) => prop_assert!(parts.iter().all(String::is_empty)),
                    Ok(key) => {
                        prop_assert_eq!(&key, &plain);
                        let first = known.entry(key.unwrap_or_default()).or_insert_with(|| parts.clone());
                        prop_assert_eq!(&*first, &parts);
                    }
                    Err(_) => prop_assert!(known.get(&plain.unwrap_or_default()).is_some_and(|first| *first != parts)),
                }
            }
        }
    }
}
