//! A directory of output files.

use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use aqpipe_engine::monitor::Facts;
use aqpipe_engine::record::{LaneId, Span};
use aqpipe_engine::stage::BuildContext;
use aqpipe_engine::{Error, Result, fault};
use parking_lot::Mutex;

use super::claim::Claim;
use super::prepared::Prepared;
use super::{EmbeddedRun, Names, Temporary, disk};

/// Visible ranges by stem: the end of each by its start.
type Index = HashMap<String, BTreeMap<u64, u64>>;

/// The files of one sink: a directory and a prefix.
pub(crate) struct Store {
    dir: PathBuf,
    names: Names,
    pipeline: Arc<str>,
    embedded: bool,
    facts: Arc<Facts>,
    opened: AtomicU64,
    /// Which run of the pipeline this is, from 1.
    run: AtomicU64,
    /// Read at first use, then kept up: nobody else makes files with these names.
    index: Mutex<Option<Index>>,
    lock: Mutex<Option<File>>,
}

impl Store {
    /// The store of a sink. Touches nothing yet.
    pub(crate) fn new(dir: &str, prefix: &str, extension: &'static str, cx: &BuildContext) -> Store {
        Store {
            dir: dir.into(),
            names: Names::new(prefix, extension, &cx.pipeline, &cx.instance),
            pipeline: Arc::clone(&cx.pipeline),
            embedded: cx.shared.get::<EmbeddedRun>().is_some(),
            facts: Arc::clone(&cx.facts),
            opened: AtomicU64::new(0),
            run: AtomicU64::new(1),
            index: Mutex::new(None),
            lock: Mutex::new(None),
        }
    }

    /// Makes sure that the directory can be written and that its files are this pipeline's.
    pub(crate) fn claim(&self) -> Result<()> {
        disk::create_dir(&self.dir)?;
        self.take_lock()?;
        let wanted = Claim::new(&self.pipeline, self.embedded);
        let found = Claim::read(&self.dir, &self.names)?;
        match &found {
            Some(claim) => claim.belongs_to(&self.pipeline, &self.dir, &self.names)?,
            None if !self.embedded => {}
            None => self.keep_away("files of which nobody says where they come from")?,
        }
        match found.map(|claim| claim.embedded) {
            Some(true) if self.embedded => self.remove_all()?,
            Some(false) if self.embedded => self.keep_away("the files of a real cluster")?,
            Some(true) => self.keep_away("the files of a run on the embedded broker")?,
            Some(false) | None => {}
        }
        wanted.write(&self.dir, &self.names)?;
        self.with_index(|_| ())
    }

    /// Two runs of one instance would sweep away each other's files.
    fn take_lock(&self) -> Result<()> {
        let mut lock = self.lock.lock();
        if lock.is_none() {
            *lock = disk::lock(&self.dir.join(self.names.lock()))?;
        }
        if lock.is_some() { Ok(()) } else { Err(self.is_written()) }
    }

    fn is_written(&self) -> Error {
        let dir = self.dir.display();
        Error::new(format!("another run of the pipeline `{}` writes to `{dir}`", self.pipeline))
            .help("wait for it, stop it, or give this one another `name` and another `dir`")
    }

    /// An error where there are files, for they are `what`.
    fn keep_away(&self, what: &str) -> Result<()> {
        let names = self.list()?;
        let is_file = |name: &String| self.names.read(name).is_some() || self.names.is_temporary(name, NO_INSTANCES);
        let Some(name) = names.into_iter().find(is_file) else { return Ok(()) };
        let dir = self.dir.display();
        let error = Error::config(format!("`{dir}` holds {what}, such as `{name}`"));
        Err(error.help(match self.embedded {
            true => format!(
                "give this run a directory of its own: `dir = \"…\"`, or `--set {}:sink.dir=…` on the command line",
                self.pipeline
            ),
            false => "choose another `dir`, or remove them with `--fresh`".to_owned(),
        }))
    }

    /// The names in the directory that may be this store's: those that begin with the prefix of another claim there, and
    /// a longer one, are not.
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
        let prefix = &*self.names.prefix;
        let longer: Vec<String> = names
            .iter()
            .filter_map(|name| Names::claimed_prefix(name))
            .filter(|other| other.len() > prefix.len() && other.starts_with(prefix))
            .map(|other| format!("{other}_"))
            .collect();
        names.retain(|name| !longer.iter().any(|other| name.starts_with(other)));
        Ok(names)
    }

    /// The visible files, in the order of their names.
    pub(crate) fn visible(&self) -> Result<Vec<PathBuf>> {
        let mut names: Vec<String> = self.list()?.into_iter().filter(|name| self.names.read(name).is_some()).collect();
        names.sort();
        Ok(names.into_iter().map(|name| self.dir.join(name)).collect())
    }

    fn with_index<T>(&self, with: impl FnOnce(&mut Index) -> T) -> Result<T> {
        let mut index = self.index.lock();
        if index.is_none() {
            let mut found = Index::new();
            for name in self.list()? {
                if let Some(visible) = self.names.read(&name) {
                    let ends = found.entry(visible.stem.to_owned()).or_default();
                    let end = ends.entry(visible.from).or_insert(visible.to);
                    *end = visible.to.max(*end);
                }
            }
            *index = Some(found);
        }
        Ok(with(index.get_or_insert_default()))
    }

    /// Removes whatever this pipeline has there, visible or not.
    fn remove_all(&self) -> Result<()> {
        *self.index.lock() = None;
        for name in self.list()? {
            if self.names.read(&name).is_some() || self.names.is_temporary(&name, NO_INSTANCES) {
                disk::remove(&self.dir.join(name))?;
            }
        }
        disk::sync_dir(&self.dir)
    }

    /// Removes the visible files that this pipeline wrote, and its claim on the directory.
    pub(crate) fn forget(&self) -> Result<()> {
        let Some(claim) = Claim::read(&self.dir, &self.names)? else { return Ok(()) };
        claim.belongs_to(&self.pipeline, &self.dir, &self.names)?;
        let was_claimed = self.lock.lock().is_some();
        self.take_lock()?;
        for other in self.list()?.into_iter().filter(|name| self.names.is_other_lock(name)) {
            disk::lock(&self.dir.join(other))?.ok_or_else(|| self.is_written())?;
        }
        self.remove_all()?;
        disk::remove(&self.dir.join(self.names.claim()))?;
        if was_claimed { Claim::new(&self.pipeline, self.embedded).write(&self.dir, &self.names) } else { Ok(()) }
    }

    /// Removes what these instances left that was never decided.
    pub(crate) fn sweep(&self, instances: &[Arc<str>]) -> Result<()> {
        for instance in instances {
            // Nobody holds it in this state directory; one of its name with another state directory may write here.
            let path = self.dir.join(self.names.lock_of(instance));
            let own = path == self.dir.join(self.names.lock());
            let lock = if own || !path.exists() { None } else { Some(disk::lock(&path)?) };
            if matches!(lock, Some(None)) {
                continue;
            }
            for name in self.list()? {
                if self.names.is_temporary(&name, Some(std::slice::from_ref(instance))) {
                    disk::remove(&self.dir.join(name))?;
                }
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

    /// The end of a lane's last visible file. The directory is looked at anew: another instance may have written the
    /// lane before it came here.
    pub(crate) fn visible_end(&self, lane: &LaneId) -> Result<Option<u64>> {
        let stem = self.stem(lane);
        *self.index.lock() = None;
        self.with_index(|index| index.get(&stem).and_then(|ends| ends.values().max().copied()))
    }

    /// A new file of a lane that nobody sees.
    pub(crate) fn create(&self, lane: &LaneId) -> Result<Temporary> {
        let number = self.opened.fetch_add(1, Ordering::Relaxed);
        Temporary::create(&self.dir, self.names.temporary(&self.stem(lane), number))
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
        let dir = self.dir.to_string_lossy().into_owned();
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

    fn finish_one(&self, prepared: &Prepared) -> Result<()> {
        let dir = Path::new(&prepared.dir);
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
                Err(error) => Err(disk::failed("rename to its place", &from, error)),
            },
            Err(error) if error.kind() == io::ErrorKind::NotFound => visible_before(prepared, &from, &to),
            Err(error) => Err(disk::failed("look at", &from, error)),
        }?;
        fault::step("finish.renamed")?;
        disk::sync_dir(dir)?;
        fault::step("finish.sync")?;
        if renamed {
            self.facts.files.fetch_add(1, Ordering::Relaxed);
        }
        if dir == self.dir
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
        prepared.iter().try_for_each(|file| disk::remove(&Path::new(&file.dir).join(&file.temporary)).map(drop))
    }
}

const NO_INSTANCES: Option<&[&str]> = None;

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
        .help("bring it back, or start over with `--fresh`")),
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
