//! A directory of output files.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use aqpipe_engine::monitor::Metrics;
use aqpipe_engine::record::{OffsetRange, SplitId};
use aqpipe_engine::stage::{BuildContext, Destination};
use aqpipe_engine::{Error, Result, fault};
use parking_lot::Mutex;

use super::claim::Claim;
use super::prepared::Prepared;
use super::{EmbeddedRun, Names, Temporary, disk};

/// Below the directory of a sink, where runs on the embedded broker write.
const EMBEDDED: &str = "embedded";

/// Visible ranges by stem: the end of each by its start.
type Index = HashMap<String, BTreeMap<u64, u64>>;

/// The files of one sink: a directory and a prefix.
pub(crate) struct Store {
    pub(super) dir: PathBuf,
    pub(super) names: Names,
    pub(super) pipeline: Arc<str>,
    pub(super) embedded: bool,
    /// Whether no other process may write for the pipeline at the same time.
    pub(super) alone: bool,
    pub(super) metrics: Arc<Metrics>,
    pub(super) opened: AtomicU64,
    /// Which run of the pipeline this is, from 1.
    pub(super) run: AtomicU64,
    /// Read at first use, then kept up: nobody else makes files with these names.
    pub(super) index: Mutex<Option<Index>>,
    /// The names of hidden files when the directory was claimed, until something is written.
    pub(super) at_claim: Mutex<Option<Vec<String>>>,
    /// The stems of which the claim is known to say that they are this pipeline's.
    pub(super) recorded: Mutex<BTreeSet<String>>,
    pub(super) lock: Mutex<Option<File>>,
    /// The locks of writers that have ended, while what they left is settled.
    pub(super) held: Mutex<BTreeMap<String, File>>,
}

impl Store {
    /// The store of a sink. Touches nothing yet.
    pub(crate) fn new(dir: &str, prefix: &str, extension: &'static str, cx: &BuildContext) -> Store {
        let embedded = cx.process_extensions().get::<EmbeddedRun>().is_some();
        let dir = PathBuf::from(dir);
        Store {
            dir: if embedded { dir.join(EMBEDDED) } else { dir },
            names: Names::new(prefix, extension, &cx.pipeline(), &cx.writer_id()),
            pipeline: Arc::clone(&cx.pipeline()),
            embedded,
            alone: cx.is_exclusive(),
            metrics: Arc::clone(&cx.metrics()),
            opened: AtomicU64::new(0),
            run: AtomicU64::new(1),
            index: Mutex::default(),
            at_claim: Mutex::default(),
            recorded: Mutex::default(),
            lock: Mutex::default(),
            held: Mutex::default(),
        }
    }

    /// Where the files are.
    pub(crate) fn destination(&self) -> Destination {
        let name = |dir: &Path| format!("the files `{}_*` in `{}`", self.names.prefix, dir.display());
        let dir = std::path::absolute(&self.dir).unwrap_or_else(|_| self.dir.clone());
        Destination { name: name(&self.dir), canonical: name(&canonical(&dir)) }
    }

    /// All names in the directory.
    pub(super) fn list(&self) -> Result<Vec<String>> {
        let unreadable = |error| disk::failed("list", &self.dir, error);
        let entries = match std::fs::read_dir(&self.dir) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(unreadable(error)),
        };
        let mut names = Vec::new();
        for entry in entries {
            names.extend(entry.map_err(unreadable)?.file_name().into_string().ok());
        }
        Ok(names)
    }

    /// The visible files that this pipeline wrote, in the order of their names.
    pub(crate) fn visible(&self) -> Result<Vec<PathBuf>> {
        let Some(claim) = Claim::read(&self.dir, &self.names)? else { return Ok(Vec::new()) };
        claim.belongs_to(&self.pipeline, &self.dir, &self.names)?;
        let is_own = |name: &String| self.names.read(name).is_some_and(|visible| claim.stems.contains(visible.stem));
        let mut names: Vec<String> = self.list()?.into_iter().filter(is_own).collect();
        names.sort();
        Ok(names.into_iter().map(|name| self.dir.join(name)).collect())
    }

    fn with_index<T>(&self, with: impl FnOnce(&mut Index) -> T) -> Result<T> {
        let mut index = self.index.lock();
        if index.is_none() {
            *index = Some(self.index_of(&self.list()?));
        }
        Ok(with(index.get_or_insert_default()))
    }

    pub(super) fn index_of(&self, names: &[String]) -> Index {
        let mut found = Index::new();
        for visible in names.iter().filter_map(|name| self.names.read(name)) {
            let ends = match found.get_mut(visible.stem) {
                Some(ends) => ends,
                None => found.entry(visible.stem.to_owned()).or_default(),
            };
            let end = ends.entry(visible.from).or_insert(visible.to);
            *end = visible.to.max(*end);
        }
        found
    }

    /// This is so-many-th run of the pipeline.
    pub(crate) fn begins(&self, run: u64) {
        self.run.store(run, Ordering::Relaxed);
    }

    /// How files of a split are called before their range: a run that reads the same positions again has names of its own.
    fn stem(&self, split: &SplitId) -> String {
        match self.run.load(Ordering::Relaxed) {
            0 | 1 => self.names.stem(split),
            run => self.names.stem(&format!("{split}-run{run}").into()),
        }
    }

    /// The ends of the last visible files of splits. The directory is looked at anew, once: another instance may have
    /// written a split before it came here.
    pub(crate) fn visible_ends(&self, splits: &[SplitId]) -> Result<Vec<Option<u64>>> {
        let stems: Vec<String> = splits.iter().map(|split| self.stem(split)).collect();
        *self.index.lock() = None;
        *self.at_claim.lock() = None;
        self.record(&stems)?;
        self.with_index(|index| stems.iter().map(|stem| index.get(stem)?.values().max().copied()).collect())
    }

    /// A new file of a split that nobody sees.
    pub(crate) fn create(&self, split: &SplitId) -> Result<Temporary> {
        let stem = self.stem(split);
        self.record(std::slice::from_ref(&stem))?;
        *self.at_claim.lock() = None;
        let number = self.opened.fetch_add(1, Ordering::Relaxed);
        Temporary::create(&self.dir, self.names.temporary(&stem, number))
    }

    /// Makes a file durable, and says how it will be called.
    pub(crate) fn prepare(&self, split: &SplitId, file: Temporary, span: OffsetRange, rows: u64) -> Result<Vec<u8>> {
        self.prepare_all(split, vec![(file, rows)], span)
    }

    /// The same for the files of one checkpoint, with their rows: there are several where its records have different fields.
    pub(crate) fn prepare_all(
        &self,
        split: &SplitId,
        files: Vec<(Temporary, u64)>,
        span: OffsetRange,
    ) -> Result<Vec<u8>> {
        let (from, to) = (span.from.offset, span.to.offset);
        if from > to {
            return Err(Error::bug(format!("a checkpoint of `{split}` from {from} to {to}")));
        }
        let stem = self.stem(split);
        // They do not overlap each other, so the last that starts before the end is the one that could.
        let visible = self.with_index(|index| {
            let last = index.get(&stem)?.range(..to).next_back();
            last.map(|(start, end)| (*start, *end)).filter(|(_, end)| from < *end)
        })?;
        if let Some((start, end)) = visible {
            let error = format!("records {from} to {to} of `{split}` are partly in a file already: {start} to {end}");
            return Err(Error::new(format!("{error}, in `{}`", self.dir.display())).help(
                "the saved positions lie before files that are there: was the state removed? `--fresh` removes the files too",
            ));
        }
        // Whoever finishes it may be started elsewhere.
        let dir = std::path::absolute(&self.dir).unwrap_or_else(|_| self.dir.clone());
        let dir = dir.to_string_lossy().into_owned();
        let mut prepared = Vec::with_capacity(files.len());
        for (number, (file, rows)) in files.into_iter().enumerate() {
            let temporary = file.name.clone();
            let name = self.names.visible(&stem, span, number);
            prepared.push(Prepared::new(dir.clone(), temporary, name, file.seal()?, rows));
        }
        disk::sync_dir(&self.dir)?;
        Prepared::to_bytes(&prepared)
    }

    /// Makes a prepared file visible. Where that was done before, looks whether it is the right one.
    pub(crate) fn finish(&self, prepared: &[u8]) -> Result<()> {
        if prepared.is_empty() {
            return Ok(());
        }
        Prepared::from_bytes(prepared)?.iter().try_for_each(|prepared| self.finish_one(prepared))
    }

    /// Where a prepared file is: where it was written, or in this store where the directory has another path by now.
    fn place_of<'a>(&'a self, prepared: &'a Prepared) -> &'a Path {
        let noted = Path::new(&prepared.dir);
        let is_in = |dir: &Path| {
            [&prepared.temporary, &prepared.name].iter().any(|name| dir.join(name).symlink_metadata().is_ok())
        };
        if !is_in(noted) && is_in(&self.dir) { &self.dir } else { noted }
    }

    /// Whether prepared files are there, hidden or visible.
    pub(crate) fn is_there(&self, prepared: &[u8]) -> Result<bool> {
        if prepared.is_empty() {
            return Ok(true);
        }
        let is_there = |prepared: &Prepared| {
            let dir = self.place_of(prepared);
            dir.join(&prepared.temporary).symlink_metadata().is_ok()
                || disk::checksum(&dir.join(&prepared.name))
                    .is_ok_and(|found| found == (prepared.length, prepared.checksum))
        };
        Ok(Prepared::from_bytes(prepared)?.iter().all(is_there))
    }

    fn finish_one(&self, prepared: &Prepared) -> Result<()> {
        let dir = self.place_of(prepared);
        let (from, to) = (dir.join(&prepared.temporary), dir.join(&prepared.name));
        let renamed = match from.symlink_metadata() {
            Ok(file) if file.len() != prepared.length => Err(Error::new(format!(
                "`{}` has {} bytes and not the {} that were written",
                from.display(),
                file.len(),
                prepared.length
            ))),
            Ok(_) => match fault::point("finish.rename").and_then(|()| disk::rename_new(&from, &to)) {
                Ok(()) => Ok(true),
                // A crash between giving the file its second name and taking the first away.
                Err(_) if disk::same_file(&from, &to) => disk::remove(&from),
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Err(never_overwritten(&from, &to)),
                // Another process finished it in this moment.
                Err(error) if error.kind() == io::ErrorKind::NotFound => visible_before(prepared, &from, &to),
                Err(error) => Err(disk::failed("rename to its place", &from, error)),
            },
            Err(error) if error.kind() == io::ErrorKind::NotFound => visible_before(prepared, &from, &to),
            Err(error) => Err(disk::failed("look at", &from, error)),
        }?;
        fault::step("finish.renamed")?;
        disk::sync_dir(dir)?;
        fault::step("finish.sync")?;
        if renamed {
            self.metrics.file_in(&dir.to_string_lossy());
        }
        if disk::same_file(dir, &self.dir)
            && let Some(visible) = self.names.read(&prepared.name)
        {
            self.with_index(|index| {
                let ends = index.entry(visible.stem.to_owned()).or_default();
                let end = ends.entry(visible.from).or_insert(visible.to);
                *end = visible.to.max(*end);
            })?;
        }
        Ok(())
    }

    /// Removes a prepared file that was not decided.
    pub(crate) fn undo(&self, prepared: &[u8]) -> Result<()> {
        if prepared.is_empty() {
            return Ok(());
        }
        let prepared = Prepared::from_bytes(prepared)?;
        prepared.iter().try_for_each(|file| disk::remove(&self.place_of(file).join(&file.temporary)).map(drop))
    }
}

/// A path without links, also where its end is not there yet.
fn canonical(path: &Path) -> PathBuf {
    match (path.canonicalize(), path.parent(), path.file_name()) {
        (Ok(path), ..) => path,
        (Err(_), Some(parent), Some(name)) => canonical(parent).join(name),
        _ => path.to_owned(),
    }
}

/// The hidden file is gone: fine where the visible one is what was prepared.
fn visible_before(prepared: &Prepared, from: &Path, to: &Path) -> Result<bool> {
    match disk::checksum(to) {
        Ok(found) if found == (prepared.length, prepared.checksum) => Ok(false),
        Ok(_) => Err(Error::new(format!(
            "`{}` is not the file that was prepared with {} records as `{}`, which is gone",
            to.display(),
            prepared.rows,
            from.display()
        ))),
        Err(error) => Err(Error::new(format!(
            "`{}` was decided and is gone, with {} records; it should be `{}` by now",
            from.display(),
            prepared.rows,
            to.display()
        ))
        .because(error)
        .help("put the file back or start it where its disk is; `--fresh` starts over")),
    }
}

fn never_overwritten(from: &Path, to: &Path) -> Error {
    Error::new(format!(
        "`{}` is there already and is never overwritten; the new file is `{}`",
        to.display(),
        from.display()
    ))
    .help("move one of them away, then run again")
}
