//! Fields that a pipeline lists for the records of a key, and that these never had: what a summary names, because nobody else does.

use std::collections::BTreeMap;
use std::sync::Arc;

/// Keys that are told apart: keys of records may be without limit, and what is said of them is for people.
const KEYS_MAX: usize = 10_000;
/// Keys that are named.
const KEYS_NAMED_MAX: usize = 20;

/// The listed fields of each key, and whether a record of it ever had a value of theirs.
#[derive(Clone, Debug, Default)]
pub(crate) struct KeyFields(BTreeMap<String, BTreeMap<Arc<str>, bool>>);

impl KeyFields {
    /// Adds what is known of the fields that are listed for a key. What a record of it had once, the key has.
    pub(crate) fn add<'f>(&mut self, key: &str, fields: impl Iterator<Item = (&'f Arc<str>, bool)>) {
        if !self.0.contains_key(key) {
            if self.0.len() >= KEYS_MAX {
                return;
            }
            self.0.insert(key.to_owned(), BTreeMap::new());
        }
        let Some(known) = self.0.get_mut(key) else { return };
        for (field, had) in fields {
            *known.entry(Arc::clone(field)).or_default() |= had;
        }
    }

    /// A line for each key that never had a listed field.
    pub(crate) fn lines(&self) -> Vec<String> {
        let lacking = |(key, fields): (&String, &BTreeMap<Arc<str>, bool>)| {
            let never: Vec<&str> = fields.iter().filter(|(_, had)| !**had).map(|(field, _)| &**field).collect();
            let key = if key.is_empty() { "records without a key" } else { key };
            (!never.is_empty()).then(|| format!("{key}: {}", never.join(", ")))
        };
        let mut lines: Vec<String> = self.0.iter().filter_map(lacking).collect();
        let more = lines.len().saturating_sub(KEYS_NAMED_MAX);
        lines.truncate(KEYS_NAMED_MAX);
        if more > 0 {
            lines.push(format!("and {more} more"));
        }
        lines
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_named_with_the_fields_that_no_record_of_it_had() {
        let (co, t): (Arc<str>, Arc<str>) = ("CO".into(), "T".into());
        let mut keys = KeyFields::default();
        keys.add("b", [(&co, false), (&t, false)].into_iter());
        keys.add("b", [(&co, true), (&t, false)].into_iter());
        keys.add("a", [(&co, true)].into_iter());
        keys.add("", [(&co, false)].into_iter());
        assert_eq!(keys.lines(), ["records without a key: CO", "b: T"]);
        keys.add("b", [(&t, true)].into_iter());
        keys.add("b", [(&co, false), (&t, false)].into_iter());
        assert_eq!(keys.lines(), ["records without a key: CO"], "what was there once stays");
    }

    #[test]
    fn keys_are_bounded() {
        let co: Arc<str> = "CO".into();
        let mut keys = KeyFields::default();
        (0..2 * KEYS_MAX).for_each(|key| keys.add(&format!("{key}"), [(&co, false)].into_iter()));
        assert_eq!(keys.0.len(), KEYS_MAX);
        assert_eq!((keys.lines().len(), &*keys.lines()[20]), (21, "and 9980 more"));
    }
}
