//! Names of columns and properties, where those of the records meet those that are reserved.

use std::borrow::Cow;
use std::collections::HashSet;

/// The same names, each one once and none of the reserved ones. The first field of a name keeps it; the others get `_`
/// appended until their name is free.
pub(crate) fn unique_names<'a>(names: &[&'a str], reserved: &[&'a str]) -> Vec<Cow<'a, str>> {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_are_taken_get_another_one_and_all_are_different() {
        assert_eq!(unique_names(&["T", "RH"], &["flags"]), ["T", "RH"]);
        assert_eq!(unique_names(&["flags", "T", "T"], &["flags"]), ["flags_", "T", "T_"]);
        assert_eq!(unique_names(&["flags", "flags_", "flags__"], &["flags"]), ["flags___", "flags_", "flags__"]);
    }
}
