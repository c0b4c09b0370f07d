//! The splits of a run: resumed where the interrupted run read the same files, new over the others.

use std::collections::{BTreeMap, BTreeSet};

use aqpipe_engine::record::SplitId;
use aqpipe_engine::stage::{RecordedSplit, SplitState};
use aqpipe_engine::{Error, Result};
use crc32fast::Hasher;

use super::input_files::{InputFile, UNKNOWN_LENGTH};
use super::match_files::{ReadPart, changed, match_files};
use super::prefix_checksum::{PrefixChecksum, text_length};
use super::snapshot::{RESTART_HELP, SplitSnapshot};

/// Where a split resumes in its files.
pub(super) struct ResumePoint {
    pub(super) state: SplitState,
    pub(super) snapshot: SplitSnapshot,
    /// The index of the current file, and the byte in it.
    pub(super) file: usize,
    pub(super) byte: u64,
    pub(super) prefix: PrefixChecksum,
}

/// A split to open.
pub(super) struct PlannedSplit {
    pub(super) id: SplitId,
    pub(super) files: Vec<InputFile>,
    pub(super) resumed: Option<ResumePoint>,
}

/// The splits over the present files, given the splits of the interrupted run.
///
/// # Errors
/// Where a file has changed that was read, or is gone before it was read to the end.
pub(super) fn plan_splits(
    recorded: Vec<RecordedSplit>,
    present: &[InputFile],
    path: &str,
    parallel: bool,
) -> Result<Vec<PlannedSplit>> {
    let mut splits = Vec::with_capacity(recorded.len());
    for split in recorded {
        let snapshot = SplitSnapshot::from_state(&split.id, &split.start)?;
        snapshot.check_not_growing()?;
        splits.push((split, snapshot));
    }
    check_parallel(&splits, parallel)?;
    let mut parts = Vec::new();
    for (number, (split, snapshot)) in splits.iter().enumerate() {
        let (current, byte) = snapshot.current(split.start.position.offset);
        for (file, checksum) in snapshot.read.iter().enumerate().take(snapshot.files.len()) {
            let bytes = if file == current { byte } else { snapshot.files[file].length };
            // A file that was not begun cannot be recognised. In one split over all files it need not be.
            if bytes > 0 || parallel {
                parts.push(ReadPart { split: number, file, bytes, checksum: *checksum });
            }
        }
    }
    let found = match_files(&parts, |part| &splits[part.split].1.files[part.file], present)?;
    let mut taken: BTreeSet<usize> = BTreeSet::new();
    let mut planned = Vec::new();
    for (number, (split, snapshot)) in splits.iter().enumerate() {
        let mut of_split = BTreeMap::new();
        for (part, found) in parts.iter().zip(&found).filter(|(part, _)| part.split == number) {
            if let Some((at, hasher)) = found {
                let (was, now) = (&snapshot.files[part.file], &present[*at]);
                // What was not read may change, but not vanish: it may have held records.
                if now.length < was.length && was.length != UNKNOWN_LENGTH {
                    return Err(changed(was.length, now));
                }
                taken.insert(*at);
                log_renamed(was, now);
                of_split.insert(part.file, (*at, hasher.clone()));
            }
        }
        planned.extend(resume_split((split, snapshot), &of_split, present, path, parallel)?);
    }
    let left: Vec<InputFile> =
        present.iter().enumerate().filter(|(at, _)| !taken.contains(at)).map(|(_, file)| file.clone()).collect();
    if parallel {
        let mut ids: BTreeSet<SplitId> = splits.iter().map(|(split, _)| split.id.clone()).collect();
        for file in left {
            let id = free_id(&file.name, &ids);
            ids.insert(id.clone());
            planned.push(PlannedSplit { id, files: vec![file], resumed: None });
        }
    } else if let Some(split) = planned.first_mut() {
        log_order(&splits[0].1, split, &left);
        split.files.extend(left);
    } else {
        planned.push(PlannedSplit { id: path.into(), files: left, resumed: None });
    }
    Ok(planned)
}

/// How the present files differ from those that a completed run read; `None` where they do not.
///
/// # Errors
/// Where a file cannot be read.
pub(super) fn input_changes(completed: &[RecordedSplit], present: &[InputFile]) -> Result<Option<String>> {
    let mut files = Vec::new();
    for split in completed {
        // Another source read in its place: generated readings, while there was no file.
        let Ok(snapshot) = SplitSnapshot::from_state(&split.id, &split.start) else {
            return Ok(Some(format!("it was `{}`", split.id)));
        };
        for was in &snapshot.known {
            let part = ReadPart { split: 0, file: files.len(), bytes: was.from, checksum: was.before };
            files.push((part, InputFile { length: was.from, ..was.clone() }));
        }
        let (current, byte) = snapshot.current(split.start.position.offset);
        for (number, (was, checksum)) in snapshot.files.iter().zip(&snapshot.read).enumerate() {
            let bytes = if number == current { byte } else { was.length };
            files.push((ReadPart { split: 0, file: files.len(), bytes, checksum: *checksum }, was.clone()));
        }
    }
    let (parts, was): (Vec<ReadPart>, Vec<InputFile>) = files.into_iter().unzip();
    let found = match match_files(&parts, |part| &was[part.file], present) {
        Ok(found) => found,
        Err(changed) => return Ok(Some(changed.message().to_owned())),
    };
    let mut taken: BTreeSet<usize> = BTreeSet::new();
    for (was, found) in was.iter().zip(&found) {
        let Some((at, _)) = found else { return Ok(Some(format!("{} is gone", was.name))) };
        let now = &present[*at];
        let is_known = was.length == UNKNOWN_LENGTH || (now.length == UNKNOWN_LENGTH && now.stored == was.stored);
        let length = if is_known { was.length } else { text_length(now)? };
        if length > was.length {
            let more = length - was.length;
            let bytes = if more == 1 { "byte" } else { "bytes" };
            return Ok(Some(format!("{} has {more} {bytes} more", now.name)));
        }
        taken.insert(*at);
    }
    let new = present.iter().enumerate().find(|(at, _)| !taken.contains(at));
    Ok(new.map(|(_, file)| format!("{} is new", file.name)))
}

/// Checks that `parallel` is what it was in the interrupted run.
pub(super) fn check_parallel(splits: &[(RecordedSplit, SplitSnapshot)], parallel: bool) -> Result<()> {
    let was = if splits.len() > 1 { Some(true) } else { None };
    let was = was.or_else(|| splits.iter().any(|(_, snapshot)| snapshot.files.len() > 1).then_some(false));
    match was {
        Some(was) if was != parallel => Err(Error::config(format!(
            "the interrupted run had `parallel = {was}`, and now it is `parallel = {parallel}`: what it read cannot be told \
             from what is left"
        ))
        .help(format!("put `parallel = {was}` back until that run has ended, or {RESTART_HELP}"))),
        _ => Ok(()),
    }
}

/// A split of the interrupted run, over its files as they are now; `None` if there is nothing left to do for it.
fn resume_split(
    (split, snapshot): (&RecordedSplit, &SplitSnapshot),
    found: &BTreeMap<usize, (usize, Hasher)>,
    present: &[InputFile],
    path: &str,
    parallel: bool,
) -> Result<Option<PlannedSplit>> {
    let (current, byte) = snapshot.current(split.start.position.offset);
    let needed = !split.ended || split.held > 0;
    let mut files = Vec::with_capacity(snapshot.files.len());
    for (number, was) in snapshot.files.iter().enumerate().take(current) {
        let name = found.get(&number).map_or(was, |(at, _)| &present[*at]);
        if name.length > was.length && name.form.is_plain() {
            tracing::warn!(
                "{} has grown since it was read: what was added is not read, for the files behind it have been begun. With \
                 `parallel = true` each file is read on by itself",
                name.name
            );
        }
        // With its old length, so that positions keep their meaning.
        files.push(InputFile { length: was.length, headers: was.headers.clone(), ..name.clone() });
    }
    let mut whole: Vec<u32> = snapshot.read.iter().copied().take(current).collect();
    let (mut file, mut at, mut hasher) = (current, 0, Hasher::new());
    match (found.get(&current), snapshot.files.get(current)) {
        (Some((number, known)), was) => {
            let headers = was.map_or_else(Vec::new, |was| was.headers.clone());
            files.push(InputFile { headers, ..present[*number].clone() });
            (at, hasher) = (byte, known.clone());
        }
        (None, Some(was)) if needed && (byte > 0 || parallel) => return Err(gone(split, snapshot, was, byte, path)),
        // It was read to the end, or not begun.
        (None, Some(was)) if byte > 0 => {
            files.push(InputFile { length: byte, ..was.clone() });
            whole.extend(snapshot.read.get(current));
            file += 1;
        }
        _ => {}
    }
    if parallel && found.is_empty() {
        return Ok(None);
    }
    let resumed = ResumePoint {
        state: split.start.clone(),
        snapshot: snapshot.clone(),
        file,
        byte: at,
        prefix: PrefixChecksum::known(whole, hasher, at),
    };
    Ok(Some(PlannedSplit { id: split.id.clone(), files, resumed: Some(resumed) }))
}

/// The error of a file that is gone before it was read to the end.
pub(super) fn gone(split: &RecordedSplit, snapshot: &SplitSnapshot, was: &InputFile, byte: u64, path: &str) -> Error {
    let line = if snapshot.line > 0 { format!("line {}", snapshot.line) } else { format!("byte {byte}") };
    let held = match split.held {
        0 => String::new(),
        1 => ", and 1 record of it is held back".to_owned(),
        held => format!(", and {held} records of it are held back"),
    };
    Error::config(format!(
        "{} is gone: the interrupted run had read it up to {line}{held}, and no file of {path} is that one",
        was.name
    ))
    .help(format!("put it back ({}) and let the run end, or {RESTART_HELP}", was.path))
}

/// Logs that a file was recognised under another name.
fn log_renamed(was: &InputFile, now: &InputFile) {
    if was.path != now.path {
        tracing::info!(
            "{} is {} of the interrupted run, renamed: it is read on from where that stood",
            now.name,
            was.name
        );
    }
}

/// Logs new files that come out of the order of names and files that are gone, in one split over all files.
fn log_order(before: &SplitSnapshot, split: &PlannedSplit, left: &[InputFile]) {
    let last = split.files.last();
    for file in left.iter().filter(|file| last.is_some_and(|last| file.name < last.name)) {
        tracing::info!("{} is new and comes behind the files that were read before", file.name);
    }
    for was in before.files.iter().skip(before.read.len().max(1)) {
        if !left.iter().any(|file| file.path == was.path || file.node == was.node) {
            tracing::warn!("{} is gone before anything of it was read", was.name);
        }
    }
}

/// The id of a new split, which no other split has.
fn free_id(name: &str, ids: &BTreeSet<SplitId>) -> SplitId {
    let mut id: SplitId = name.into();
    let mut number = 2;
    while ids.contains(&id) {
        id = format!("{name}~{number}").into();
        number += 1;
    }
    id
}
