//! The keys of commit metadata.

use std::fmt::{self, Write as _};
use std::str::FromStr;

/// A key of commit metadata. Its text is what the backend keeps.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::run) enum Key {
    /// The last run of a writer: `run/WRITER`.
    Run {
        /// The name of the process among those that commit; empty where one process runs alone.
        writer: String,
    },
    /// The counts of a writer's run up to its last transaction: `progress/WRITER`.
    Progress {
        /// As in [`Key::Run`].
        writer: String,
    },
    /// The staged output that a transaction committed: `staged/ID`.
    Staged {
        /// The transaction.
        id: u64,
    },
    /// Where a split goes on: `split/GROUP/SPLIT`. Another consumer group reads it by itself.
    Split {
        /// The consumer group, empty where there is none.
        group: String,
        /// The split.
        split: String,
    },
    /// An entry of a transform's state: `state/GROUP/SPLIT/STAGE/ENTRY`.
    Entry {
        /// As in [`Key::Split`].
        group: String,
        /// The split.
        split: String,
        /// The name of the stage.
        stage: String,
        /// The key of the entry.
        entry: String,
    },
    /// Says that `--fresh` deleted everything on purpose: `reset`.
    Reset,
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Key::Run { writer } => write!(f, "run/{writer}"),
            Key::Progress { writer } => write!(f, "progress/{writer}"),
            Key::Staged { id } => write!(f, "staged/{id:016x}"),
            Key::Split { group, split } => {
                f.write_str("split/")?;
                write_part(f, group)?;
                f.write_str(split)
            }
            Key::Entry { group, split, stage, entry } => {
                f.write_str(ENTRY)?;
                [group, split, stage].into_iter().try_for_each(|part| write_part(f, part))?;
                f.write_str(entry)
            }
            Key::Reset => f.write_str("reset"),
        }
    }
}

impl Key {
    /// What the texts of all entries of a stage's state begin with.
    pub(super) fn entries(group: &str, split: &str, stage: &str) -> String {
        let (group, split, stage) = (group.to_owned(), split.to_owned(), stage.to_owned());
        Key::Entry { group, split, stage, entry: String::new() }.to_string()
    }

    /// Whether a text is that of an entry, of which there are many.
    pub(super) fn is_entry(text: &str) -> bool {
        text.starts_with(ENTRY)
    }
}

/// What the texts of entries begin with.
const ENTRY: &str = "state/";

/// A part of a key and the slash that ends it. A slash of its own ends no part.
fn write_part(f: &mut fmt::Formatter<'_>, part: &str) -> fmt::Result {
    for c in part.chars() {
        match c {
            '/' => f.write_str("%2F")?,
            '%' => f.write_str("%25")?,
            other => f.write_char(other)?,
        }
    }
    f.write_char('/')
}

fn read_part(part: &str) -> String {
    part.replace("%2F", "/").replace("%25", "%")
}

impl FromStr for Key {
    type Err = UnknownKey;

    fn from_str(text: &str) -> Result<Key, UnknownKey> {
        if text == "reset" {
            return Ok(Key::Reset);
        }
        let (kind, rest) = text.split_once('/').ok_or(UnknownKey)?;
        Ok(match kind {
            "run" => Key::Run { writer: rest.to_owned() },
            "progress" => Key::Progress { writer: rest.to_owned() },
            "staged" if rest.len() == 16 && rest.bytes().all(|byte| byte.is_ascii_hexdigit()) => {
                Key::Staged { id: u64::from_str_radix(rest, 16).map_err(|_| UnknownKey)? }
            }
            "split" => {
                let (group, split) = rest.split_once('/').ok_or(UnknownKey)?;
                Key::Split { group: read_part(group), split: split.to_owned() }
            }
            "state" => {
                let mut parts = rest.splitn(4, '/');
                let mut part = || parts.next().ok_or(UnknownKey);
                let (group, split, stage) = (read_part(part()?), read_part(part()?), read_part(part()?));
                Key::Entry { group, split, stage, entry: part()?.to_owned() }
            }
            _ => return Err(UnknownKey),
        })
    }
}

/// A key of another version, or of another program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::run) struct UnknownKey;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn key() -> impl Strategy<Value = Key> {
        prop_oneof![
            "[a-z0-9/%.-]{0,12}".prop_map(|writer| Key::Run { writer }),
            "[a-z0-9/%.-]{0,12}".prop_map(|writer| Key::Progress { writer }),
            any::<u64>().prop_map(|id| Key::Staged { id }),
            ("[a-z0-9/%2F5.-]{0,12}", "[a-z0-9/%.-]{0,12}").prop_map(|(group, split)| Key::Split { group, split }),
            ("[a-z/%2F5.-]{0,9}", "[a-z/%2F5.-]{0,9}", "[a-z/%2F5.-]{0,9}", "[a-z0-9/%.-]{0,9}")
                .prop_map(|(group, split, stage, entry)| Key::Entry { group, split, stage, entry }),
            Just(Key::Reset),
        ]
    }

    proptest! {
        #[test]
        fn a_key_comes_back_from_its_text(key in key()) {
            prop_assert_eq!(key.to_string().parse(), Ok(key));
        }

        #[test]
        fn keys_that_differ_have_texts_that_differ(a in key(), b in key()) {
            prop_assert_eq!(a == b, a.to_string() == b.to_string());
        }
    }

    #[test]
    fn keys_of_other_programs_are_told_apart() {
        for text in ["", "runs", "note/x", "staged/xyz", "staged/+00000000000001a", "split/no-split"] {
            assert_eq!(text.parse::<Key>(), Err(UnknownKey), "{text}");
        }
    }
}
