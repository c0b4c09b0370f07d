//! A directory of output files.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use aqpipe_engine::monitor::Metrics;
use aqpipe_engine::record::{Fields, OffsetRange, SplitId};
use aqpipe_engine::stage::{BuildContext, CommittedOffsets, Destination, Extensions, Prepared};
use aqpipe_engine::{Error, Result};
use parking_lot::Mutex;

use super::disk;
use super::embedded_run::EmbeddedRun;
use super::file_names::FileNames;
use super::owner_record::OwnerRecord;
use super::staged_file::StagedFile;
use super::temp_file::TempFile;
use super::visible_index::{VisibleIndex, VisibleRanges};

/// The directory below `dir` into which runs on the embedded broker write.
const EMBEDDED_SUBDIR: &str = "embedded";

/// The output files of one sink: a directory and a prefix, owned by one pipeline. Shared by the sink and its writers.
pub struct OutputDir {
    pub(super) dir: PathBuf,
    pub(super) names: FileNames,
    pub(super) pipeline: Arc<str>,
    pub(super) embedded: bool,
    /// Whether only one process at a time may write for the pipeline.
    pub(super) exclusive: bool,
    pub(super) metrics: Arc<Metrics>,
    /// Whether the files hold dead letters.
    pub(super) holds_dead_letters: bool,
    /// Whether the files get a description, and whether that was not possible.
    pub(super) describes: bool,
    pub(super) is_undescribable: AtomicBool,
    /// The layouts whose description is known to be there, each with the digest of the pipeline that it names.
    pub(super) described: Mutex<Vec<(Arc<Fields>, Option<String>)>>,
    /// What the stages of the pipeline share: its version.
    pub(super) extensions: Arc<Extensions>,
    next_file: AtomicU64,
    /// The number of this run of the pipeline, from 1.
    run: AtomicU64,
    /// Listed at first use, then kept up to date: no other process creates files with these names.
    index: Mutex<Option<VisibleIndex>>,
    /// The hidden names as [`acquire`](Self::acquire) found them, until something is written.
    hidden_at_acquire: Mutex<Option<Vec<String>>>,
    /// The stems that the owner record is known to list.
    recorded_stems: Mutex<BTreeSet<String>>,
    /// The lock of this process, from [`acquire`](Self::acquire) on.
    pub(super) writer_lock: Mutex<Option<File>>,
    /// The locks of writers that have ended, from [`orphaned_writers`](Self::orphaned_writers) to
    /// [`remove_orphans`](Self::remove_orphans).
    pub(super) orphan_locks: Mutex<BTreeMap<String, File>>,
}

impl OutputDir {
    /// The output files `PREFIX_*.EXTENSION` in `dir`; `extension` has no dot. Touches nothing yet.
    #[must_use]
    pub fn new(dir: &str, prefix: &str, extension: &'static str, cx: &BuildContext) -> OutputDir {
        let embedded = cx.process_extensions().get::<EmbeddedRun>().is_some();
        let dir = PathBuf::from(dir);
        OutputDir {
            dir: if embedded { dir.join(EMBEDDED_SUBDIR) } else { dir },
            names: FileNames::new(prefix, extension, cx.pipeline(), cx.writer_id()),
            pipeline: Arc::clone(cx.pipeline()),
            embedded,
            exclusive: cx.is_exclusive(),
            metrics: Arc::clone(cx.metrics()),
            holds_dead_letters: false,
            describes: false,
            is_undescribable: AtomicBool::new(false),
            described: Mutex::default(),
            extensions: Arc::clone(cx.pipeline_extensions()),
            next_file: AtomicU64::new(0),
            run: AtomicU64::new(1),
            index: Mutex::default(),
            hidden_at_acquire: Mutex::default(),
            recorded_stems: Mutex::default(),
            writer_lock: Mutex::default(),
            orphan_locks: Mutex::default(),
        }
    }

    /// The files hold dead letters: they are counted apart.
    #[must_use]
    pub fn of_dead_letters(self) -> OutputDir {
        OutputDir { holds_dead_letters: true, ..self }
    }

    /// The directory and prefix, for messages and for telling destinations apart.
    pub fn destination(&self) -> Destination {
        let name = |dir: &Path| format!("the files `{}_*` in `{}`", self.names.prefix, dir.display());
        Destination { name: name(&self.dir), canonical: name(&canonical(&self.absolute_dir())) }
    }

    fn absolute_dir(&self) -> PathBuf {
        std::path::absolute(&self.dir).unwrap_or_else(|_| self.dir.clone())
    }

    /// Calls `each` for the names in the directory, of which there may be a million; for none if there is no directory.
    fn each_name(&self, mut each: impl FnMut(&str)) -> Result<()> {
        let unreadable = |error| disk::path_error("list", &self.dir, error);
        let entries = match std::fs::read_dir(&self.dir) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(unreadable(error)),
        };
        for entry in entries {
            if let Some(name) = entry.map_err(unreadable)?.file_name().to_str() {
                each(name);
            }
        }
        Ok(())
    }

    /// The names in the directory that are wanted.
    pub(super) fn list(&self, is_wanted: impl Fn(&str) -> bool) -> Result<Vec<String>> {
        let mut names = Vec::new();
        self.each_name(|name| names.extend(is_wanted(name).then(|| name.to_owned())))?;
        Ok(names)
    }

    /// The names of hidden files as they are now.
    pub(super) fn list_hidden_anew(&self) -> Result<Vec<String>> {
        self.list(|name| name.starts_with('.'))
    }

    /// The names of hidden files. A start reads them several times and the directory may be large, so the listing of
    /// [`acquire`](Self::acquire) is used until something is written.
    pub(super) fn list_hidden(&self) -> Result<Vec<String>> {
        match &*self.hidden_at_acquire.lock() {
            Some(names) => Ok(names.clone()),
            None => self.list_hidden_anew(),
        }
    }

    pub(super) fn keep_hidden(&self, names: Vec<String>) {
        *self.hidden_at_acquire.lock() = Some(names);
    }

    /// The visible files that this pipeline wrote, in the order of their names.
    ///
    /// # Errors
    /// Where the directory cannot be read or belongs to another pipeline.
    pub fn visible_files(&self) -> Result<Vec<PathBuf>> {
        let Some(record) = OwnerRecord::read(&self.dir, &self.names)? else { return Ok(Vec::new()) };
        record.check_owner(&self.pipeline, &self.dir, &self.names)?;
        let is_own =
            |name: &str| self.names.parse_visible(name).is_some_and(|visible| record.stems.contains(visible.stem));
        let mut names = self.list(is_own)?;
        names.sort();
        Ok(names.into_iter().map(|name| self.dir.join(name)).collect())
    }

    pub(super) fn with_index<T>(&self, with: impl FnOnce(&mut VisibleIndex) -> T) -> Result<T> {
        let mut index = self.index.lock();
        if index.is_none() {
            let mut ranges = VisibleRanges::default();
            self.each_name(|name| ranges.extend(self.names.parse_visible(name)))?;
            *index = Some(ranges.into_index());
        }
        Ok(with(index.get_or_insert_default()))
    }

    /// Forgets what was listed: the directory has changed, or another process may have changed it.
    pub(super) fn forget_listing(&self) {
        *self.index.lock() = None;
        *self.hidden_at_acquire.lock() = None;
    }

    pub(super) fn forget_recorded_stems(&self) {
        self.recorded_stems.lock().clear();
    }

    /// The run has begun that is the pipeline's `run`-th, counted from 1.
    pub fn on_run_start(&self, run: u64) {
        self.run.store(run, Ordering::Relaxed);
    }

    /// Prefix and split of a split's files. A later run, which reads the same offsets again, has stems of its own.
    fn stem(&self, split: &SplitId) -> String {
        match self.run.load(Ordering::Relaxed) {
            0 | 1 => self.names.stem(split),
            run => self.names.stem(&format!("{split}-run{run}").into()),
        }
    }

    /// A new hidden file of a split.
    ///
    /// # Errors
    /// Where it cannot be created, or files of this split belong to another pipeline.
    pub fn create(&self, split: &SplitId) -> Result<TempFile> {
        let stem = self.stem(split);
        self.record(std::slice::from_ref(&stem))?;
        *self.hidden_at_acquire.lock() = None;
        let number = self.next_file.fetch_add(1, Ordering::Relaxed);
        TempFile::create(&self.dir, self.names.hidden(&stem, number))
    }

    /// Makes the files of a split's checkpoint durable, each with its number of rows, and decides their visible names.
    ///
    /// # Errors
    /// Where the disk is full or fails, or a visible file overlaps `range`. The files are then removed.
    pub fn prepare(&self, split: &SplitId, files: Vec<(TempFile, u64)>, range: OffsetRange) -> Result<Prepared> {
        if files.is_empty() {
            return Ok(Prepared::Nothing);
        }
        let (from, to) = (range.from.offset, range.to.offset);
        if from > to {
            return Err(Error::bug(format!("a checkpoint of `{split}` from {from} to {to}")));
        }
        let stem = self.stem(split);
        if let Some((start, end)) = self.with_index(|index| index.overlap(&stem, from, to))? {
            let error = format!("records {from} to {to} of `{split}` are partly in a file already: {start} to {end}");
            return Err(Error::new(format!("{error}, in `{}`", self.dir.display())).help(
                "the saved positions lie before files that are there: was the state removed? `--fresh` removes the files too",
            ));
        }
        // The process that commits may run in another working directory.
        let dir = self.absolute_dir().to_string_lossy().into_owned();
        let mut staged = Vec::with_capacity(files.len());
        for (number, (file, rows)) in files.into_iter().enumerate() {
            let (hidden, visible) = (file.name.clone(), self.names.visible(&stem, range, number));
            staged.push(StagedFile::new(dir.clone(), hidden, visible, file.finish()?, rows));
        }
        disk::sync_dir(&self.dir)?;
        StagedFile::to_bytes(&staged).map(Prepared::Staged)
    }

    /// Writes into the owner record that the pipeline owns the files with these stems, before there are any.
    fn record(&self, stems: &[String]) -> Result<()> {
        let is_known = |stem: &String| self.recorded_stems.lock().contains(stem);
        if stems.iter().all(is_known) {
            return Ok(());
        }
        let _guard = self.lock_directory()?;
        let mut record = OwnerRecord::read(&self.dir, &self.names)?.unwrap_or_else(|| self.new_record());
        record.check_owner(&self.pipeline, &self.dir, &self.names)?;
        let new: Vec<&String> = stems.iter().filter(|stem| !record.stems.contains(*stem)).collect();
        if !new.is_empty() {
            // Found once: there may be many files, and many splits.
            let (mut ranges, mut others) = (VisibleRanges::default(), Vec::new());
            let own = self.names.owner_record();
            self.each_name(|name| {
                ranges.extend(self.names.parse_visible(name));
                let is_other = *name != *own && FileNames::prefix_of_record(name).is_some();
                others.extend(is_other.then(|| name.to_owned()));
            })?;
            let index = ranges.into_index();
            for stem in &new {
                self.check_free(stem, &others, &index)?;
            }
            *self.index.lock() = Some(index);
            record.stems.extend(new.into_iter().cloned());
            record.rewrite(&self.dir, &self.names)?;
        }
        self.recorded_stems.lock().extend(stems.iter().cloned());
        Ok(())
    }

    /// An error where files with this stem are not this pipeline's; `others` are the owner records of other prefixes.
    fn check_free(&self, stem: &str, others: &[String], index: &VisibleIndex) -> Result<()> {
        let (dir, extension) = (&self.dir, self.names.extension);
        let taken = |by: &str| {
            Error::config(format!("files `{stem}_*.{extension}` in `{}` {by}", dir.display()))
                .help("choose another `prefix` or `dir`")
        };
        if let Some((pipeline, prefix)) = OwnerRecord::owner_of(dir, others, stem, extension)? {
            return Err(taken(&format!("belong to the pipeline `{pipeline}`, whose prefix is `{prefix}`")));
        }
        if index.has(stem) {
            return Err(taken("are there already, and nothing records that this pipeline wrote them"));
        }
        Ok(())
    }

    pub(super) fn new_record(&self) -> OwnerRecord {
        OwnerRecord::new(&self.pipeline, self.names.extension, self.embedded)
    }

    /// Keeps other processes from reading and changing the directory's hidden files.
    pub(super) fn lock_directory(&self) -> Result<File> {
        disk::lock_with_timeout(&self.dir.join(FileNames::DIRECTORY_LOCK))
    }
}

impl CommittedOffsets for OutputDir {
    /// The end of the last visible file of each split; `None` where it has none. Lists the directory anew, because another
    /// instance may have written a split before this one took it over.
    fn committed_offsets(&self, splits: &[SplitId]) -> Result<Vec<Option<u64>>> {
        let stems: Vec<String> = splits.iter().map(|split| self.stem(split)).collect();
        self.forget_listing();
        self.record(&stems)?;
        self.with_index(|index| stems.iter().map(|stem| index.last_end(stem)).collect())
    }
}

/// A path without links, also where its last parts do not exist yet.
fn canonical(path: &Path) -> PathBuf {
    match (path.canonicalize(), path.parent(), path.file_name()) {
        (Ok(path), ..) => path,
        (Err(_), Some(parent), Some(name)) => canonical(parent).join(name),
        _ => path.to_owned(),
    }
}
