//! Looks for what is new among the files of a glob, while they are read.

use std::collections::BTreeMap;
use std::fs::{self, Metadata};
use std::os::unix::fs::MetadataExt as _;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use aqpipe_engine::{Error, Result};
use encoding_rs::Encoding;

use super::input_files::{self, InputFile};
use super::packing::Packing;

/// How often files are looked at: loggers write by the second or the minute, and a look costs a system call a file.
const LOOK_INTERVAL: Duration = Duration::from_secs(1);

/// A file as it was seen: its device, its inode, its bytes, and when it was changed.
type Seen = (u64, u64, u64, (i64, i64));

fn seen_now(metadata: &Metadata) -> Seen {
    (metadata.dev(), metadata.ino(), metadata.len(), (metadata.mtime(), metadata.mtime_nsec()))
}

/// Looks for what is new.
pub(super) struct Follow {
    path: String,
    encoding: &'static Encoding,
    seen: BTreeMap<PathBuf, Seen>,
    next_look: Instant,
}

impl Follow {
    /// Looks for files of a path other than those that are known.
    pub(super) fn new(path: &str, encoding: &'static Encoding, known: &[InputFile]) -> Follow {
        let changed = |file: &InputFile| fs::metadata(&file.name).map_or((0, 0), |now| (now.mtime(), now.mtime_nsec()));
        let seen =
            |file: &InputFile| (PathBuf::from(&file.name), (file.node.0, file.node.1, file.stored, changed(file)));
        Follow { path: path.to_owned(), encoding, seen: known.iter().map(seen).collect(), next_look: Instant::now() }
    }

    /// Waits for the time of the next look, but not beyond `until`, and not at all without that; returns whether it has come.
    pub(super) fn is_due(&mut self, until: Option<Instant>) -> bool {
        if let Some(until) = until {
            std::thread::sleep(self.next_look.min(until).saturating_duration_since(Instant::now()));
        }
        let now = Instant::now();
        let is_due = now >= self.next_look;
        if is_due {
            self.next_look = now + LOOK_INTERVAL;
        }
        is_due
    }

    /// The files that came, grew, shrank or changed places since the last look.
    ///
    /// # Errors
    /// Where they cannot be looked at, or are packed.
    pub(super) fn changed(&mut self) -> Result<Vec<InputFile>> {
        let (mut seen, mut changed) = (BTreeMap::new(), Vec::<InputFile>::new());
        for (path, metadata) in input_files::list(&self.path)? {
            let now = seen_now(&metadata);
            if self.seen.get(&path) != Some(&now) {
                let file = match InputFile::of(&path, self.encoding) {
                    // It went while it was looked at.
                    Err(_) if !path.exists() => continue,
                    file => file?,
                };
                if !changed.iter().any(|other| other.node == file.node) {
                    changed.push(file);
                }
            }
            seen.insert(path, now);
        }
        self.seen = seen;
        Ok(changed)
    }
}

/// Checks that a file which is to be followed can be.
///
/// # Errors
/// Where it is packed.
pub(super) fn check_can_be_followed(file: &InputFile) -> Result<()> {
    match file.form.packing {
        Packing::None => Ok(()),
        _ => Err(Error::config(format!(
            "{} is packed, and `follow` waits for more of a file as it is written",
            file.name
        ))
        .help("name other files by `path`, or read archives with `rerun = \"new\"`")),
    }
}
