//! Nouns behind numbers.

/// Nouns that are their own plural.
const SAME_FOR_MANY: [&str; 1] = ["series"];

/// A noun as it stands behind that number: with an `s`, `es` behind a hiss, or `ies` for a `y`, or as it is where it is its own plural.
#[must_use]
pub fn plural(number: u64, noun: &str) -> String {
    let is_same = SAME_FOR_MANY.iter().any(|same| noun.ends_with(same));
    match noun.strip_suffix('y').filter(|stem| !stem.ends_with(['a', 'e', 'o', 'u'])) {
        _ if number == 1 || is_same => noun.to_owned(),
        Some(stem) => format!("{stem}ies"),
        None if noun.ends_with(['s', 'x', 'z']) || noun.ends_with("ch") || noun.ends_with("sh") => format!("{noun}es"),
        None => format!("{noun}s"),
    }
}

/// A noun with its number: `1 record`, `2 records`.
#[must_use]
pub fn counted(number: u64, noun: &str) -> String {
    format!("{number} {}", plural(number, noun))
}

/// A noun with its number and a verb: `1 record waits`, `2 records wait`.
#[must_use]
pub fn clause(number: u64, noun: &str, one: &str, many: &str) -> String {
    format!("{} {}", counted(number, noun), if number == 1 { one } else { many })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nouns_are_one_or_many() {
        assert_eq!((counted(1, "file"), counted(0, "file")), ("1 file".to_owned(), "0 files".to_owned()));
        assert_eq!(
            (counted(2, "more series"), counted(1, "entry")),
            ("2 more series".to_owned(), "1 entry".to_owned())
        );
        assert_eq!(clause(1, "record", "waits", "wait"), "1 record waits");
        assert_eq!(clause(2, "record", "waits", "wait"), "2 records wait");
        assert_eq!(
            (plural(2, "entry"), plural(2, "batch"), plural(2, "day")),
            ("entries".to_owned(), "batches".to_owned(), "days".to_owned())
        );
    }
}
