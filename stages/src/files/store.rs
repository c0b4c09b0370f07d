//! A directory of output files.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use aqpipe_engine::monitor::Facts;
use aqpipe_engine::record::{LaneId, Span};
use aqpipe_engine::run::REPLAY;
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
    dir: PathBuf,
    names: Names,
    pipeline: Arc<str>,
    embedded: bool,
    /// Whether no other process may write for the pipeline at the same time.
    alone: bool,
    facts: Arc<Facts>,
    opened: AtomicU64,
    /// Which run of the pipeline this is, from 1.
    run: AtomicU64,
    /// Read at first use, then kept up: nobody else makes files with these names.
    index: Mutex<Option<Index>>,
    /// The names of hidden files when the directory was claimed, until something is written.
    at_claim: Mutex<Option<Vec<String>>>,
    /// The stems of which the claim is known to say that they are this pipeline's.
    recorded: Mutex<BTreeSet<String>>,
    lock: Mutex<Option<File>>,
}

impl Store {
    /// The store of a sink. Touches nothing yet.
    pub(crate) fn new(dir: &str, prefix: &str, extension: &'static str, cx: &BuildContext) -> Store {
        let embedded = cx.shared.get::<EmbeddedRun>().is_some();
        let dir = PathBuf::from(dir);
        Store {
            dir: if embedded { dir.join(EMBEDDED) } else { dir },
            names: Names::new(prefix, extension, &cx.pipeline, &cx.writer),
            pipeline: Arc::clone(&cx.pipeline),
            embedded,
            alone: cx.alone,
            facts: Arc::clone(&cx.facts),
            opened: AtomicU64::new(0),
            run: AtomicU64::new(1),
            index: Mutex::default(),
            at_claim: Mutex::default(),
            recorded: Mutex::default(),
            lock: Mutex::default(),
        }
    }

    /// Makes sure that the directory can be written and that its files are this pipeline's.
    pub(crate) fn claim(&self) -> Result<()> {
        if self.lock.lock().is_some() {
            return Ok(());
        }
        disk::create_dir(&self.dir)?;
        let guard = self.lock_directory()?;
        let lock = self.take_lock()?;
        if self.alone {
            self.nobody_else_writes()?;
        }
        self.tidy()?;
        match Claim::read(&self.dir, &self.names)? {
            None => {
                if self.embedded {
                    self.keep_away("files of which nobody says where they come from")?;
                }
                self.new_claim().create(&self.dir, &self.names)?;
            }
            Some(claim) => {
                claim.belongs_to(&self.pipeline, &self.dir, &self.names)?;
                match (claim.embedded, self.embedded) {
                    (true, true) => self.remove_all(&claim)?,
                    (false, true) => self.keep_away("the files of a real cluster")?,
                    (true, false) => self.keep_away("the files of a run on the embedded broker")?,
                    (false, false) => {}
                }
                if self.embedded || claim.embedded {
                    self.new_claim().rewrite(&self.dir, &self.names)?;
                }
            }
        }
        *self.lock.lock() = Some(lock);
        drop(guard);
        Ok(())
    }

    /// Whether nothing records that this pipeline writes here.
    pub(crate) fn is_new(&self) -> Result<bool> {
        Ok(Claim::read(&self.dir, &self.names)?.is_none_or(|claim| claim.pipeline != *self.pipeline))
    }

    /// Where the files are.
    pub(crate) fn destination(&self) -> Destination {
        let name = |dir: &Path| format!("the files `{}_*` in `{}`", self.names.prefix, dir.display());
        let dir = std::path::absolute(&self.dir).unwrap_or_else(|_| self.dir.clone());
        Destination { name: name(&self.dir), place: name(&canonical(&dir)) }
    }

    fn new_claim(&self) -> Claim {
        Claim::new(&self.pipeline, self.names.extension, self.embedded)
    }

    /// Keeps others from looking at the hidden files of the directory, and from changing them.
    fn lock_directory(&self) -> Result<File> {
        disk::lock_patiently(&self.dir.join(Names::DIRECTORY_LOCK))
    }

    /// Two processes of one name would sweep away each other's files.
    fn take_lock(&self) -> Result<File> {
        disk::lock(&self.dir.join(self.names.lock()))?.ok_or_else(|| self.is_written())
    }

    /// Removes claims that processes died writing, and the locks of those that have ended and left nothing else. The caller
    /// has the directory's lock, without which nobody writes a claim or takes a lock.
    fn tidy(&self) -> Result<()> {
        let claim = format!("{}.", self.names.claim());
        let names = self.list()?;
        let left: BTreeSet<String> =
            names.iter().filter_map(|name| Some(self.names.lock_of(self.names.read_temporary(name)?.writer))).collect();
        for name in names.iter().filter(|name| name.starts_with('.')) {
            let path = self.dir.join(name);
            let is_claim = name.starts_with(&claim) && name.ends_with(".new");
            let is_lock = self.names.is_other_lock(name) && !left.contains(name);
            if is_claim || (is_lock && disk::lock(&path)?.is_some()) {
                disk::remove(&path)?;
            }
        }
        *self.at_claim.lock() = Some(names.into_iter().filter(|name| name.starts_with('.')).collect());
        Ok(())
    }

    /// An error where another process writes for this pipeline, with another state directory; a replay may. The caller has
    /// the directory's lock.
    fn nobody_else_writes(&self) -> Result<()> {
        let replay = self.names.lock_of(&Names::writer(REPLAY));
        for other in self.list()?.into_iter().filter(|name| self.names.is_other_lock(name) && *name != replay) {
            disk::lock(&self.dir.join(other))?.ok_or_else(|| self.is_written())?;
        }
        Ok(())
    }

    fn is_written(&self) -> Error {
        let dir = self.dir.display();
        Error::new(format!("another run of the pipeline `{}` writes to `{dir}`", self.pipeline))
            .help("wait for it, stop it, or give this one another `name` and another `dir`")
    }

    /// An error where there are files, for they are `what`.
    fn keep_away(&self, what: &str) -> Result<()> {
        let names = self.list()?;
        let is_file = |name: &String| self.names.read(name).is_some() || self.names.read_temporary(name).is_some();
        let Some(name) = names.into_iter().find(is_file) else { return Ok(()) };
        let dir = self.dir.display();
        let error = Error::config(format!("`{dir}` holds {what}, such as `{name}`"));
        Err(error.help(match self.embedded {
            true => format!(
                "move them away, or give this run a directory of its own: `--set {}:sink.dir=…` on the command line",
                self.pipeline
            ),
            false => "choose another `dir`, or remove them with `--fresh`".to_owned(),
        }))
    }

    /// All names in the directory.
    fn list(&self) -> Result<Vec<String>> {
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

    fn index_of(&self, names: &[String]) -> Index {
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

    /// The names of hidden files, as they were when the directory was claimed where nothing was written since: a start
    /// looks at them several times, and the directory may be large.
    fn hidden(&self) -> Result<Vec<String>> {
        match &*self.at_claim.lock() {
            Some(names) => Ok(names.clone()),
            None => Ok(self.list()?.into_iter().filter(|name| name.starts_with('.')).collect()),
        }
    }

    /// Removes what this pipeline has there, visible or not.
    fn remove_all(&self, claim: &Claim) -> Result<()> {
        *self.index.lock() = None;
        *self.at_claim.lock() = None;
        self.recorded.lock().clear();
        for name in self.list()? {
            let visible = self.names.read(&name).is_some_and(|visible| claim.stems.contains(visible.stem));
            if visible || self.names.read_temporary(&name).is_some() {
                disk::remove(&self.dir.join(name))?;
            }
        }
        disk::sync_dir(&self.dir)
    }

    /// Removes the visible files that this pipeline wrote, and its claim on the directory.
    pub(crate) fn forget(&self) -> Result<()> {
        if !self.dir.is_dir() {
            return Ok(());
        }
        let guard = self.lock_directory()?;
        let Some(claim) = Claim::read(&self.dir, &self.names)? else { return self.tell_of_strays() };
        claim.belongs_to(&self.pipeline, &self.dir, &self.names)?;
        let is_claimed = self.lock.lock().is_some();
        let _own = if is_claimed { None } else { Some(self.take_lock()?) };
        for other in self.list()?.into_iter().filter(|name| self.names.is_other_lock(name)) {
            disk::lock(&self.dir.join(other))?.ok_or_else(|| self.is_written())?;
        }
        self.remove_all(&claim)?;
        if is_claimed {
            self.new_claim().rewrite(&self.dir, &self.names)?;
        } else {
            disk::remove(&self.dir.join(self.names.claim()))?;
        }
        drop(guard);
        Ok(())
    }

    /// Files that are called as this pipeline calls its own, and of which nothing records that it wrote them.
    fn tell_of_strays(&self) -> Result<()> {
        let strays: Vec<String> = self.list()?.into_iter().filter(|name| self.names.read(name).is_some()).collect();
        if let Some(name) = strays.iter().min() {
            let (dir, count) = (self.dir.display(), strays.len());
            tracing::warn!(
                "{count} files in `{dir}` are named like those of this pipeline, such as `{name}`, but nothing records \
                 that it wrote them: they stay"
            );
        }
        Ok(())
    }

    /// The writers that left hidden files here and have ended, without this process.
    pub(crate) fn left_by(&self) -> Result<Vec<Arc<str>>> {
        let own = self.names.own_writer();
        let names = self.hidden()?;
        let writers: BTreeSet<&str> =
            names.iter().filter_map(|name| Some(self.names.read_temporary(name)?.writer)).collect();
        let _guard = self.lock_directory()?;
        let mut left = Vec::new();
        for writer in writers.into_iter().filter(|writer| *writer != own) {
            if self.hold_other(writer)?.is_some() {
                left.push(Names::read_writer(writer));
            }
        }
        Ok(left)
    }

    /// The lock of another writer; `None` where it still runs. The caller has the directory's lock.
    fn hold_other(&self, writer: &str) -> Result<Option<File>> {
        disk::lock(&self.dir.join(self.names.lock_of(writer)))
    }

    /// Removes what these writers left that was never decided.
    pub(crate) fn sweep(&self, writers: &[Arc<str>], decided: &[Vec<u8>]) -> Result<()> {
        let mut keep = BTreeSet::new();
        for prepared in decided.iter().filter(|prepared| !prepared.is_empty()) {
            keep.extend(Prepared::from_bytes(prepared)?.into_iter().map(|file| file.temporary));
        }
        let own = self.names.own_writer();
        let names = self.hidden()?;
        let _guard = self.lock_directory()?;
        for writer in writers.iter().map(|writer| Names::writer(writer)) {
            let left: Vec<&String> = names
                .iter()
                .filter(|name| self.names.read_temporary(name).is_some_and(|hidden| hidden.writer == writer))
                .collect();
            let is_own = writer == own;
            if left.is_empty() && is_own {
                continue;
            }
            let lock_path = self.dir.join(self.names.lock_of(&writer));
            let held = if is_own || !lock_path.exists() { None } else { Some(self.hold_other(&writer)?) };
            if matches!(held, Some(None)) {
                // Nobody holds it in this state directory; one of its name with another state directory writes here.
                continue;
            }
            for name in left.into_iter().filter(|name| !keep.contains(*name)) {
                disk::remove(&self.dir.join(name))?;
            }
            if held.is_some() {
                disk::remove(&lock_path)?;
            }
        }
        Ok(())
    }

    /// This is so-many-th run of the pipeline.
    pub(crate) fn begins(&self, run: u64) {
        self.run.store(run, Ordering::Relaxed);
    }

    /// How files of a lane are called before their range: a run that reads the same positions again has names of its own.
    fn stem(&self, lane: &LaneId) -> String {
        match self.run.load(Ordering::Relaxed) {
            0 | 1 => self.names.stem(lane),
            run => self.names.stem(&format!("{lane}-run{run}").into()),
        }
    }

    /// The ends of the last visible files of lanes. The directory is looked at anew, once: another instance may have
    /// written a lane before it came here.
    pub(crate) fn visible_ends(&self, lanes: &[LaneId]) -> Result<Vec<Option<u64>>> {
        let stems: Vec<String> = lanes.iter().map(|lane| self.stem(lane)).collect();
        *self.index.lock() = None;
        *self.at_claim.lock() = None;
        self.record(&stems)?;
        self.with_index(|index| stems.iter().map(|stem| index.get(stem)?.values().max().copied()).collect())
    }

    /// Records that the files of lanes are this pipeline's, before there are any.
    fn record(&self, stems: &[String]) -> Result<()> {
        let is_known = |stem: &String| self.recorded.lock().contains(stem);
        if stems.iter().all(is_known) {
            return Ok(());
        }
        let _guard = self.lock_directory()?;
        let mut claim = Claim::read(&self.dir, &self.names)?.unwrap_or_else(|| self.new_claim());
        claim.belongs_to(&self.pipeline, &self.dir, &self.names)?;
        let new: Vec<&String> = stems.iter().filter(|stem| !claim.stems.contains(*stem)).collect();
        if !new.is_empty() {
            let names = self.list()?;
            let index = self.index_of(&names);
            let (dir, extension) = (&self.dir, self.names.extension);
            let claims = || names.iter().filter(|name| **name != self.names.claim()).cloned();
            for stem in &new {
                let taken = |by: &str| {
                    Error::config(format!("files `{stem}_*.{extension}` in `{}` {by}", dir.display()))
                        .help("choose another `prefix` or `dir`")
                };
                if let Some((pipeline, prefix)) = Claim::other_with(dir, claims(), stem, extension)? {
                    return Err(taken(&format!("belong to the pipeline `{pipeline}`, whose prefix is `{prefix}`")));
                }
                if index.contains_key(*stem) {
                    return Err(taken("are there already, and nothing records that this pipeline wrote them"));
                }
            }
            *self.index.lock() = Some(index);
            claim.stems.extend(new.into_iter().cloned());
            claim.rewrite(&self.dir, &self.names)?;
        }
        self.recorded.lock().extend(stems.iter().cloned());
        Ok(())
    }

    /// A new file of a lane that nobody sees.
    pub(crate) fn create(&self, lane: &LaneId) -> Result<Temporary> {
        let stem = self.stem(lane);
        self.record(std::slice::from_ref(&stem))?;
        *self.at_claim.lock() = None;
        let number = self.opened.fetch_add(1, Ordering::Relaxed);
        Temporary::create(&self.dir, self.names.temporary(&stem, number))
    }

    /// Makes a file durable, and says how it will be called.
    pub(crate) fn prepare(&self, lane: &LaneId, file: Temporary, span: Span, rows: u64) -> Result<Vec<u8>> {
        self.prepare_all(lane, vec![(file, rows)], span)
    }

    /// The same for the files of one cut, with their rows: there are several where its records have different fields.
    pub(crate) fn prepare_all(&self, lane: &LaneId, files: Vec<(Temporary, u64)>, span: Span) -> Result<Vec<u8>> {
        let (from, to) = (span.from.at, span.to.at);
        if from > to {
            return Err(Error::bug(format!("a cut of `{lane}` from {from} to {to}")));
        }
        let stem = self.stem(lane);
        // They do not overlap each other, so the last that starts before the end is the one that could.
        let visible = self.with_index(|index| {
            let last = index.get(&stem)?.range(..to).next_back();
            last.map(|(start, end)| (*start, *end)).filter(|(_, end)| from < *end)
        })?;
        if let Some((start, end)) = visible {
            let error = format!("records {from} to {to} of `{lane}` are partly in a file already: {start} to {end}");
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
            self.facts.file_in(&dir.to_string_lossy());
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
