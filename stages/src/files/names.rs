//! The names of files, and what they say.

use std::sync::Arc;

use aqpipe_engine::record::{OffsetRange, SplitId};

/// The longest split in a file name: with a prefix of 80 and two positions it stays below 255 bytes.
const LONGEST_LANE: usize = 100;

/// In place of a point of a writer's name: no such name has it.
const POINT: &str = "%";

/// How a store calls its files.
#[derive(Clone, Debug)]
pub(crate) struct Names {
    /// What comes before the split.
    pub(crate) prefix: String,
    /// Without the dot.
    pub(crate) extension: &'static str,
    /// The pipeline, fit for a file name and without dots.
    pipeline: String,
    /// The process, likewise.
    writer: String,
}

/// What the name of a visible file says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Visible<'a> {
    /// Prefix and split.
    pub(super) stem: &'a str,
    pub(super) from: u64,
    pub(super) to: u64,
}

/// What the name of a file says that is not visible yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Hidden<'a> {
    /// The process that wrote it, fit for a file name.
    pub(super) writer: &'a str,
    /// How its visible name begins.
    pub(super) stem: &'a str,
}

impl Names {
    pub(crate) fn new(prefix: &str, extension: &'static str, pipeline: &str, writer: &str) -> Names {
        Names { prefix: prefix.to_owned(), extension, pipeline: safe(pipeline, false), writer: Names::writer(writer) }
    }

    /// Prefix and split, as the visible files of that split begin.
    pub(super) fn stem(&self, split: &SplitId) -> String {
        format!("{}_{}", self.prefix, safe_split(split))
    }

    /// The name of a visible file; `number` counts the files of one span from 0.
    pub(super) fn visible(&self, stem: &str, span: OffsetRange, number: usize) -> String {
        let part = if span.sequence == 0 { String::new() } else { format!("_{}", span.sequence) };
        let number = if number == 0 { String::new() } else { format!(".{}", number + 1) };
        format!("{stem}_{:020}-{:020}{part}{number}.{}", span.from.offset, span.to.offset, self.extension)
    }

    /// What a name says where it is one that this store could have given.
    pub(super) fn read<'a>(&self, name: &'a str) -> Option<Visible<'a>> {
        let bare = name.strip_suffix(self.extension)?.strip_suffix('.')?;
        let range = |text: &str| {
            let (from, to) = text.split_once('-')?;
            Some((position(from)?, position(to)?))
        };
        // The number of a further file of its span.
        let bare = match bare.rsplit_once('.') {
            Some((first, number)) if number.parse::<u32>().is_ok() => first,
            _ => bare,
        };
        let (stem, last) = bare.rsplit_once('_')?;
        let (stem, (from, to)) = match range(last) {
            Some(range) => (stem, range),
            None => {
                last.parse::<u32>().ok()?;
                let (stem, last) = stem.rsplit_once('_')?;
                (stem, range(last)?)
            }
        };
        stem.strip_prefix(&*self.prefix)?.strip_prefix('_')?;
        Some(Visible { stem, from, to })
    }

    /// The name of a file that is not visible yet.
    pub(super) fn temporary(&self, stem: &str, number: u64) -> String {
        format!("{}{}.{stem}.{number}.{}.tmp", self.temporaries(), self.writer, self.extension)
    }

    /// How the files begin that processes of this pipeline have not made visible.
    fn temporaries(&self) -> String {
        format!(".aqpipe.{}.", self.pipeline)
    }

    /// What a name says where it is that of a file of this store which a process has not made visible: the writer as file
    /// names have it, and how the visible file is to begin.
    pub(super) fn read_temporary<'a>(&self, name: &'a str) -> Option<Hidden<'a>> {
        let (writer, rest) = name.strip_prefix(&self.temporaries())?.split_once('.')?;
        let rest = rest.strip_suffix(".tmp")?.strip_suffix(self.extension)?.strip_suffix('.')?;
        let (stem, number) = rest.rsplit_once('.')?;
        number.parse::<u64>().ok()?;
        stem.strip_prefix(&*self.prefix)?.strip_prefix('_')?;
        Some(Hidden { writer, stem })
    }

    /// This process as names of files have it.
    pub(super) fn own_writer(&self) -> &str {
        &self.writer
    }

    /// A writer as names of files have it: without points, which part what a name says, and so that it can be read back.
    pub(super) fn writer(writer: &str) -> String {
        writer.replace('.', POINT)
    }

    /// The writer of which names of files have that.
    pub(super) fn read_writer(text: &str) -> Arc<str> {
        text.replace(POINT, ".").into()
    }

    /// The file that is locked while somebody looks at the other hidden files, or changes them.
    pub(super) const DIRECTORY_LOCK: &str = ".aqpipe.lock";

    /// The file that says whose the visible files are.
    pub(super) fn claim(&self) -> String {
        format!(".{}.aqpipe.json", self.prefix)
    }

    /// The prefix of the store whose claim this is.
    pub(super) fn claimed_prefix(name: &str) -> Option<&str> {
        name.strip_prefix('.')?.strip_suffix(".aqpipe.json")
    }

    /// The file that is locked while this process writes.
    pub(super) fn lock(&self) -> String {
        self.lock_of(&self.writer)
    }

    /// The file that is locked while a writer, as names of files have it, writes for this pipeline.
    pub(super) fn lock_of(&self, writer: &str) -> String {
        format!("{}{writer}.lock", self.locks())
    }

    /// How the locks of all writers begin.
    fn locks(&self) -> String {
        format!(".{}.{}.", self.prefix, self.pipeline)
    }

    /// Whether a name is that of the lock of another writer.
    pub(super) fn is_other_lock(&self, name: &str) -> bool {
        let writer = name.strip_prefix(&self.locks()).and_then(|rest| rest.strip_suffix(".lock"));
        // With a point in it, it is that of another prefix.
        writer.is_some_and(|writer| !writer.contains('.') && writer != self.writer)
    }
}

fn position(text: &str) -> Option<u64> {
    (text.len() == 20 && text.bytes().all(|byte| byte.is_ascii_digit())).then(|| text.parse().ok())?
}

/// A split as a part of a file name. A Kafka partition `topic/2` becomes `topic-2`, which no other partition becomes;
/// whatever else is changed gets a checksum of what it was, so that two splits never share a name.
fn safe_split(split: &str) -> String {
    let partition = split.rsplit_once('/').filter(|(topic, partition)| {
        !partition.is_empty() && partition.bytes().all(|byte| byte.is_ascii_digit()) && safe(topic, true) == *topic
    });
    match partition {
        Some((topic, partition)) if split.len() <= LONGEST_LANE => format!("{topic}-{partition}"),
        _ => safe(split, true),
    }
}

/// A text as a part of a file name, with a checksum where that changed it.
fn safe(text: &str, dots: bool) -> String {
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_') || dots && c == '.';
    if !text.is_empty() && text.len() <= LONGEST_LANE && text.chars().all(fits) {
        return text.to_owned();
    }
    let kept: String = text.chars().map(|c| if fits(c) { c } else { '-' }).take(LONGEST_LANE - 9).collect();
    format!("{kept}-{:08x}", crc32fast::hash(text.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use aqpipe_engine::record::Position;

    fn names() -> Names {
        Names::new("air_quality_batch", "csv", "consumer", "0")
    }

    fn span(from: u64, to: u64, part: u32) -> OffsetRange {
        OffsetRange {
            from: Position { offset: from, records: from },
            to: Position { offset: to, records: to },
            sequence: part,
        }
    }

    #[test]
    fn a_name_carries_split_and_range_and_reads_back() {
        let names = names();
        let stem = names.stem(&"air-quality-data/2".into());
        let name = names.visible(&stem, span(0, 100, 0), 0);
        assert_eq!(name, "air_quality_batch_air-quality-data-2_00000000000000000000-00000000000000000100.csv");
        assert_eq!(names.read(&name), Some(Visible { stem: &stem, from: 0, to: 100 }));
        let part = names.visible(&stem, span(100, 100, 3), 0);
        assert_eq!(names.read(&part), Some(Visible { stem: &stem, from: 100, to: 100 }));
        let strange = [
            "air_quality_batch_x_1-2.csv",
            "notes.csv",
            ".csv",
            "air_quality_batch_00000000000000000000-00000000000000000100.csv",
        ];
        for name in strange {
            assert_eq!(names.read(name), None, "{name}");
        }
    }

    #[test]
    fn splits_that_look_alike_get_different_names() {
        let names = names();
        let splits = ["data/*.csv", "data/?.csv", "data-*.csv", "a/b/2", "a-b/2", "ä/1", "ö/1", "", "-"];
        let stems: std::collections::BTreeSet<String> =
            splits.iter().map(|split| names.stem(&(*split).into())).collect();
        assert_eq!(stems.len(), splits.len(), "{stems:?}");
        let long = names.visible(&names.stem(&"x".repeat(300).into()), span(u64::MAX, u64::MAX, u32::MAX), 2);
        assert!(long.len() < 255, "{long}");
        assert!(stems.iter().all(|stem| !stem.contains('/')));
    }

    #[test]
    fn a_lock_is_that_of_its_own_prefix_and_pipeline() {
        let names = Names::new("a", "csv", "b", "0");
        assert!(names.is_other_lock(".a.b.1.lock"));
        for other in [".a.b.0.lock", ".a.b.c.0.lock", ".a.bb.1.lock", ".aa.b.1.lock", ".a.b.1.lock.new"] {
            assert!(!names.is_other_lock(other), "{other}");
        }
    }

    #[test]
    fn a_hidden_name_says_who_wrote_it_and_what_it_is_to_be() {
        let names = names();
        let stem = names.stem(&"t/0".into());
        let temporary = names.temporary(&stem, 7);
        assert_eq!(names.read_temporary(&temporary), Some(Hidden { writer: "0", stem: &stem }));
        assert_eq!(Names::new("air_quality_batch", "csv", "other", "0").read_temporary(&temporary), None);
        assert_eq!(Names::new("dead_letters", "ndjson", "consumer", "0").read_temporary(&temporary), None);
        assert_eq!(names.read(&temporary), None);
    }
}
