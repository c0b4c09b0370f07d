//! The names of files: written and parsed.

use std::sync::Arc;

use aqpipe_engine::record::{OffsetRange, SplitId};

/// Bytes of a split's name in a file name: with a prefix of 80 and two offsets the file name stays below 255.
const SPLIT_NAME_BYTES_MAX: usize = 100;

/// Stands for a dot of a writer's name. No writer's name contains it.
const DOT_ESCAPE: &str = "%";

/// How the name of a file ends that describes the file of the name before it.
const DESCRIBES: &str = ".json";

/// The names of one pipeline's files with one prefix.
#[derive(Clone, Debug)]
pub(super) struct FileNames {
    /// What comes before the split.
    pub(super) prefix: String,
    /// Without the dot.
    pub(super) extension: &'static str,
    /// The pipeline, made fit for a file name, without dots.
    pipeline: String,
    /// The process, likewise.
    writer: String,
}

/// A visible file's name, parsed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct VisibleName<'a> {
    /// Prefix and split.
    pub(super) stem: &'a str,
    pub(super) from: u64,
    pub(super) to: u64,
}

/// A hidden file's name, parsed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct HiddenName<'a> {
    /// The process that wrote it, escaped.
    pub(super) writer: &'a str,
    /// Prefix and split of its visible name.
    pub(super) stem: &'a str,
}

impl FileNames {
    pub(super) fn new(prefix: &str, extension: &'static str, pipeline: &str, writer: &str) -> FileNames {
        FileNames {
            prefix: prefix.to_owned(),
            extension,
            pipeline: safe(pipeline, false),
            writer: FileNames::escape_writer(writer),
        }
    }

    /// Prefix and split: how the visible names of that split begin.
    pub(super) fn stem(&self, split: &SplitId) -> String {
        format!("{}_{}", self.prefix, safe_split(split))
    }

    /// The name of a visible file. `number` counts the files of one checkpoint from 0.
    pub(super) fn visible(&self, stem: &str, range: OffsetRange, number: usize) -> String {
        let sequence = if range.sequence == 0 { String::new() } else { format!("_{}", range.sequence) };
        let number = if number == 0 { String::new() } else { format!(".{}", number + 1) };
        format!("{stem}_{:020}-{:020}{sequence}{number}.{}", range.from.offset, range.to.offset, self.extension)
    }

    /// Parses a visible name with this prefix; `None` for any other name.
    pub(super) fn parse_visible<'a>(&self, name: &'a str) -> Option<VisibleName<'a>> {
        let bare = name.strip_suffix(self.extension)?.strip_suffix('.')?;
        let range = |text: &str| {
            let (from, to) = text.split_once('-')?;
            Some((parse_offset(from)?, parse_offset(to)?))
        };
        // The number of a second or later file of its checkpoint.
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
        Some(VisibleName { stem, from, to })
    }

    /// The name of a file before its commit.
    pub(super) fn hidden(&self, stem: &str, number: u64) -> String {
        format!("{}{}.{stem}.{number}.{}.tmp", self.hidden_prefix(), self.writer, self.extension)
    }

    /// How the hidden names of this pipeline begin.
    fn hidden_prefix(&self) -> String {
        format!(".aqpipe.{}.", self.pipeline)
    }

    /// Parses a hidden name of this pipeline with this prefix, of a file or of its description; `None` for any other name.
    pub(super) fn parse_hidden<'a>(&self, name: &'a str) -> Option<HiddenName<'a>> {
        let (writer, rest) =
            FileNames::without_description(name).strip_prefix(&self.hidden_prefix())?.split_once('.')?;
        let rest = rest.strip_suffix(".tmp")?.strip_suffix(self.extension)?.strip_suffix('.')?;
        let (stem, number) = rest.rsplit_once('.')?;
        number.parse::<u64>().ok()?;
        stem.strip_prefix(&*self.prefix)?.strip_prefix('_')?;
        Some(HiddenName { writer, stem })
    }

    /// This process, escaped.
    pub(super) fn writer(&self) -> &str {
        &self.writer
    }

    /// A writer without dots, which separate the parts of a name.
    pub(super) fn escape_writer(writer: &str) -> String {
        writer.replace('.', DOT_ESCAPE)
    }

    /// The writer that was [escaped](Self::escape_writer) so.
    pub(super) fn unescape_writer(text: &str) -> Arc<str> {
        text.replace(DOT_ESCAPE, ".").into()
    }

    /// The file that is locked while a process reads or changes the other hidden files.
    pub(super) const DIRECTORY_LOCK: &str = ".aqpipe.lock";

    /// The file that records which pipeline owns the visible files.
    pub(super) fn owner_record(&self) -> String {
        format!(".{}.aqpipe.json", self.prefix)
    }

    /// The file that becomes the description of all files.
    pub(super) fn description(&self) -> String {
        format!(".{}.datapackage.json", self.prefix)
    }

    /// The file that describes a file that has a hidden name yet.
    pub(super) fn description_of(hidden: &str) -> String {
        format!("{hidden}{DESCRIBES}")
    }

    /// The hidden file that belongs to a hidden name: that of a description describes it.
    pub(super) fn without_description(name: &str) -> &str {
        name.strip_suffix(DESCRIBES).unwrap_or(name)
    }

    /// The prefix of an owner record's name.
    pub(super) fn prefix_of_record(name: &str) -> Option<&str> {
        name.strip_prefix('.')?.strip_suffix(".aqpipe.json")
    }

    /// The file that is locked while this process writes.
    pub(super) fn lock(&self) -> String {
        self.lock_of(&self.writer)
    }

    /// The file that is locked while a writer (escaped) writes for this pipeline.
    pub(super) fn lock_of(&self, writer: &str) -> String {
        format!("{}{writer}.lock", self.locks())
    }

    /// How the names of all writers' locks begin.
    fn locks(&self) -> String {
        format!(".{}.{}.", self.prefix, self.pipeline)
    }

    /// Whether a name is the lock of another writer of this pipeline.
    pub(super) fn is_other_lock(&self, name: &str) -> bool {
        let writer = name.strip_prefix(&self.locks()).and_then(|rest| rest.strip_suffix(".lock"));
        // With a dot in it, it is a lock of another prefix.
        writer.is_some_and(|writer| !writer.contains('.') && writer != self.writer)
    }
}

fn parse_offset(text: &str) -> Option<u64> {
    (text.len() == 20 && text.bytes().all(|byte| byte.is_ascii_digit())).then(|| text.parse().ok())?
}

/// A split as a part of a file name. A Kafka partition `topic/2` becomes `topic-2`, which no other partition becomes. Any other
/// name that has to be changed gets a checksum of the original, so that two splits never share a name.
fn safe_split(split: &str) -> String {
    let partition = split.rsplit_once('/').filter(|(topic, partition)| {
        !partition.is_empty() && partition.bytes().all(|byte| byte.is_ascii_digit()) && safe(topic, true) == *topic
    });
    match partition {
        Some((topic, partition)) if split.len() <= SPLIT_NAME_BYTES_MAX => format!("{topic}-{partition}"),
        _ => safe(split, true),
    }
}

/// A text as a part of a file name, with a checksum of the original if it had to be changed.
fn safe(text: &str, dots: bool) -> String {
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_') || dots && c == '.';
    if !text.is_empty() && text.len() <= SPLIT_NAME_BYTES_MAX && text.chars().all(fits) {
        return text.to_owned();
    }
    let kept: String = text.chars().map(|c| if fits(c) { c } else { '-' }).take(SPLIT_NAME_BYTES_MAX - 9).collect();
    format!("{kept}-{:08x}", crc32fast::hash(text.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use aqpipe_engine::record::Position;

    fn names() -> FileNames {
        FileNames::new("air_quality_batch", "csv", "consumer", "0")
    }

    fn range(from: u64, to: u64, sequence: u32) -> OffsetRange {
        OffsetRange {
            from: Position { offset: from, records: from },
            to: Position { offset: to, records: to },
            sequence,
        }
    }

    #[test]
    fn a_name_carries_split_and_range_and_reads_back() {
        let names = names();
        let stem = names.stem(&"air-quality-data/2".into());
        let name = names.visible(&stem, range(0, 100, 0), 0);
        assert_eq!(name, "air_quality_batch_air-quality-data-2_00000000000000000000-00000000000000000100.csv");
        assert_eq!(names.parse_visible(&name), Some(VisibleName { stem: &stem, from: 0, to: 100 }));
        let later = names.visible(&stem, range(100, 100, 3), 0);
        assert_eq!(names.parse_visible(&later), Some(VisibleName { stem: &stem, from: 100, to: 100 }));
        let strange = [
            "air_quality_batch_x_1-2.csv",
            "notes.csv",
            ".csv",
            "air_quality_batch_00000000000000000000-00000000000000000100.csv",
        ];
        for name in strange {
            assert_eq!(names.parse_visible(name), None, "{name}");
        }
    }

    #[test]
    fn splits_that_look_alike_get_different_names() {
        let names = names();
        let splits = ["data/*.csv", "data/?.csv", "data-*.csv", "a/b/2", "a-b/2", "ä/1", "ö/1", "", "-"];
        let stems: std::collections::BTreeSet<String> =
            splits.iter().map(|split| names.stem(&(*split).into())).collect();
        assert_eq!(stems.len(), splits.len(), "{stems:?}");
        let long = names.visible(&names.stem(&"x".repeat(300).into()), range(u64::MAX, u64::MAX, u32::MAX), 2);
        assert!(long.len() < 255, "{long}");
        assert!(stems.iter().all(|stem| !stem.contains('/')));
    }

    #[test]
    fn a_lock_is_that_of_its_own_prefix_and_pipeline() {
        let names = FileNames::new("a", "csv", "b", "0");
        assert!(names.is_other_lock(".a.b.1.lock"));
        for other in [".a.b.0.lock", ".a.b.c.0.lock", ".a.bb.1.lock", ".aa.b.1.lock", ".a.b.1.lock.new"] {
            assert!(!names.is_other_lock(other), "{other}");
        }
    }

    #[test]
    fn a_hidden_name_says_who_wrote_it_and_how_its_visible_name_begins() {
        let names = names();
        let stem = names.stem(&"t/0".into());
        let hidden = names.hidden(&stem, 7);
        assert_eq!(names.parse_hidden(&hidden), Some(HiddenName { writer: "0", stem: &stem }));
        assert_eq!(FileNames::new("air_quality_batch", "csv", "other", "0").parse_hidden(&hidden), None);
        assert_eq!(FileNames::new("dead_letters", "ndjson", "consumer", "0").parse_hidden(&hidden), None);
        assert_eq!(names.parse_visible(&hidden), None);
    }
}
