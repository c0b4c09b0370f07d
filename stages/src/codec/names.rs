//! Names of columns and properties, where those that records bring meet those that are taken.

use std::borrow::Cow;
use std::collections::{BTreeSet, HashSet};

use parking_lot::Mutex;

/// How many names are remembered as told: records may bring names without number.
const TOLD_MAX: usize = 1000;

/// The same names, each one once and none of those that are reserved: the first that has a name keeps it, the others get `_`
/// behind theirs until it is free.
pub(crate) fn apart<'a>(names: &[&'a str], reserved: &[&'a str]) -> Vec<Cow<'a, str>> {
    let mut taken: HashSet<Cow<'a, str>> = reserved.iter().map(|name| Cow::Borrowed(*name)).collect();
    let kept: Vec<bool> = names.iter().map(|name| taken.insert(Cow::Borrowed(*name))).collect();
    let mut free = |name: &str| {
        let mut free = format!("{name}_");
        while !taken.insert(Cow::Owned(free.clone())) {
            free.push('_');
        }
        free
    };
    let named = names.iter().zip(kept);
    named.map(|(name, kept)| if kept { Cow::Borrowed(*name) } else { Cow::Owned(free(name)) }).collect()
}

/// What was told, so that nothing is told for each batch or each split.
#[derive(Debug, Default)]
pub(crate) struct Told(Mutex<BTreeSet<String>>);

impl Told {
    /// Warns, once.
    pub(crate) fn warn(&self, message: impl FnOnce() -> String, about: &str) {
        let mut told = self.0.lock();
        if told.len() < TOLD_MAX && told.insert(about.to_owned()) {
            tracing::warn!("{}", message());
        }
    }

    /// Warns of each name that is written as another one.
    pub(crate) fn renamed<'a>(&self, names: &[&str], written: impl IntoIterator<Item = &'a Cow<'a, str>>) {
        for (name, written) in names.iter().zip(written).filter(|(name, written)| **name != **written) {
            let message = || {
                format!(
                    "records have a field `{name}`, which is another column's name here: it is written as `{written}`"
                )
            };
            self.warn(message, name);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_are_taken_get_another_one_and_all_are_different() {
        assert_eq!(apart(&["T", "RH"], &["flags"]), ["T", "RH"]);
        assert_eq!(apart(&["flags", "T", "T"], &["flags"]), ["flags_", "T", "T_"]);
        assert_eq!(apart(&["flags", "flags_", "flags__"], &["flags"]), ["flags___", "flags_", "flags__"]);
    }
}
