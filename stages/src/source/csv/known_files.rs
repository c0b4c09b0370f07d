//! What a split has read of files that grow: a set by file, whatever the order in which their parts came.

use std::collections::{BTreeMap, BTreeSet};

use aqpipe_engine::Result;
use aqpipe_engine::stage::RecordedSplit;
use crc32fast::Hasher;

use super::input_files::InputFile;
use super::match_files::{ReadPart, changed, find_files};
use super::prefix_checksum::{PrefixChecksum, text_length};
use super::resume::{PlannedSplit, ResumePoint, check_parallel, gone};
use super::snapshot::SplitSnapshot;

/// Files that are gone and are known nevertheless, in case that they come back: those of a year that are rotated by the hour.
const GONE_FILES_KEPT_MAX: usize = 10_000;

/// What was read of each file: up to `from`, with `before` as its checksum. Of one that was replaced only the last counts.
pub(super) fn known_files(snapshot: &SplitSnapshot, at: u64) -> Vec<InputFile> {
    let (current, byte) = snapshot.current(at);
    let mut known = snapshot.known.clone();
    for (number, (file, checksum)) in snapshot.files.iter().zip(&snapshot.read).enumerate() {
        let bytes = if number == current { byte } else { file.length };
        remember(&mut known, InputFile { from: bytes, before: *checksum, ..file.clone() });
    }
    known
}

/// Adds what was read of a file, in place of what was known of it.
pub(super) fn remember(known: &mut Vec<InputFile>, file: InputFile) {
    match known.iter_mut().find(|other| other.node == file.node) {
        Some(other) => *other = file,
        None => known.push(file),
    }
}

/// What is new in some files.
pub(super) struct News {
    /// The parts to read, in the order of their files.
    pub(super) parts: Vec<InputFile>,
    /// What is known now, under the names of today.
    pub(super) known: Vec<InputFile>,
}

/// Finds what is new in present files, given what is known.
///
/// # Errors
/// Where what was read of a file has changed since.
pub(super) fn news(known: Vec<InputFile>, present: &[InputFile]) -> Result<News> {
    let part =
        |(file, known): (usize, &InputFile)| ReadPart { split: 0, file, bytes: known.from, checksum: known.before };
    let parts: Vec<ReadPart> = known.iter().enumerate().map(part).collect();
    let found = find_files(&parts, |part| &known[part.file], present)?;
    let mut of_file: BTreeMap<usize, InputFile> = BTreeMap::new();
    let (mut now_known, mut taken) = (Vec::with_capacity(known.len()), BTreeSet::new());
    for (was, found) in known.into_iter().zip(found) {
        let Some((at, _)) = found else {
            if !is_replaced(&was, present)? {
                now_known.push(was);
            }
            continue;
        };
        taken.insert(at);
        let headers = was.headers.clone();
        let now = InputFile { from: was.from, before: was.before, headers, ..present[at].clone() };
        // One whose length was not known before its end has ended where it is.
        let is_same = !now.form.is_plain() && now.stored == was.stored && was.length == was.from;
        let length = if is_same { was.from } else { text_length(&now)? };
        if length > was.from {
            of_file.insert(at, now.clone());
        }
        now_known.push(InputFile { length: was.length.max(was.from), stored: was.stored, ..now });
    }
    for (at, file) in present.iter().enumerate().filter(|(at, file)| !taken.contains(at) && file.stored > 0) {
        of_file.insert(at, file.clone());
    }
    Ok(News { parts: of_file.into_values().collect(), known: now_known })
}

/// Whether another file has taken the place of one, which is told; it may also have been emptied and begun again.
///
/// # Errors
/// Where it is the same file, and what was read of it is there no more.
fn is_replaced(was: &InputFile, present: &[InputFile]) -> Result<bool> {
    let Some(now) = present.iter().find(|now| now.path == was.path) else { return Ok(false) };
    if now.node != was.node {
        tracing::warn!("{} is another file than the one that was read: it is read from its beginning", now.name);
        return Ok(true);
    }
    if now.form.is_plain() && now.stored < was.from {
        tracing::warn!("{} was emptied and begun again: it is read from its beginning", now.name);
        return Ok(true);
    }
    let name = &now.name;
    Err(changed(was.from, now).help(format!(
        "put back the file as it was; or, if it was emptied and begun again, put a copy in its place, which is read from its \
         beginning: `cp {name} {name}.copy && mv {name}.copy {name}`"
    )))
}

/// Forgets the first ones of very many files that are gone.
fn forget_gone(known: &mut Vec<InputFile>, present: &[InputFile]) {
    let there: BTreeSet<(u64, u64)> = present.iter().map(|file| file.node).collect();
    let gone = known.iter().filter(|file| !there.contains(&file.node)).count();
    let mut too_many = gone.saturating_sub(GONE_FILES_KEPT_MAX);
    known.retain(|file| {
        let forget = too_many > 0 && !there.contains(&file.node);
        too_many -= usize::from(forget);
        !forget
    });
}

/// The split over files that grow: what is new in them since it was recorded.
///
/// # Errors
/// Where a file has changed that was read, or is gone before it was read to the end.
pub(super) fn plan_growing(recorded: Vec<RecordedSplit>, present: &[InputFile], path: &str) -> Result<PlannedSplit> {
    let mut splits = Vec::with_capacity(recorded.len());
    for split in recorded {
        let snapshot = SplitSnapshot::from_state(&split.id, &split.start)?;
        splits.push((split, snapshot));
    }
    check_parallel(&splits, false)?;
    let Some((split, snapshot)) = splits.into_iter().next() else {
        let files = present.iter().filter(|file| file.stored > 0).cloned().collect();
        return Ok(PlannedSplit { id: path.into(), files, resumed: None });
    };
    let at = split.start.position.offset;
    let (current, byte) = snapshot.current(at);
    let News { mut parts, mut known } = news(known_files(&snapshot, at), present)?;
    forget_gone(&mut known, present);
    let mut line = 0;
    if let Some(was) = snapshot.files.get(current) {
        // What was begun is read to its end before anything else.
        if let Some(goes_on) = parts.iter().position(|part| part.from == byte && part.before == snapshot.read[current])
        {
            let part = parts.remove(goes_on);
            parts.insert(0, part);
            line = snapshot.line;
        }
        let is_there = known
            .iter()
            .any(|known| present.iter().any(|now| now.node == known.node && known.before == snapshot.read[current]));
        // Of one whose place another has taken, that was told.
        let is_replaced = present.iter().any(|now| now.path == was.path);
        if byte > was.from && byte < was.length && !split.ended && !is_there && !is_replaced {
            return Err(gone(&split, &snapshot, was, byte, path));
        }
    }
    // Rows that are held back know their file by their place among what was read.
    let mut history = Vec::new();
    let (mut origin, mut whole, mut known_before) = (at, Vec::new(), known.clone());
    if split.held > 0 {
        (origin, known_before) = (snapshot.origin, snapshot.known.clone());
        history = snapshot.files.iter().take(current + 1).cloned().collect();
        if let Some(last) = history.get_mut(current) {
            last.length = byte;
        }
        whole = snapshot.read.iter().copied().take(history.len()).collect();
    }
    let file = history.len();
    history.append(&mut parts);
    let byte = history.get(file).map_or(0, |part| part.from);
    let snapshot = SplitSnapshot { origin, known: known_before, line, ..snapshot };
    let state = split.start.clone();
    let prefix = PrefixChecksum::known(whole, Hasher::new(), 0);
    let resumed = ResumePoint { state, snapshot, file, byte, prefix };
    Ok(PlannedSplit { id: split.id, files: history, resumed: Some(resumed) })
}

/// What is new in present files since a completed run; `None` where nothing is.
///
/// # Errors
/// Where a file cannot be read.
pub(super) fn new_input(completed: &[RecordedSplit], present: &[InputFile]) -> Result<Option<String>> {
    let mut known = Vec::new();
    for split in completed {
        let Ok(snapshot) = SplitSnapshot::from_state(&split.id, &split.start) else {
            return Ok(Some(format!("it was `{}`", split.id)));
        };
        known.extend(known_files(&snapshot, split.start.position.offset));
    }
    let news = match news(known, present) {
        Ok(news) => news,
        Err(changed) => return Ok(Some(changed.message().to_owned())),
    };
    let count = news.parts.len().saturating_sub(1);
    let more = if count > 0 { format!(", and {count} more") } else { String::new() };
    let describe = |part: &InputFile| match part.from {
        0 => format!("{} is new{more}", part.name),
        from if part.form.is_plain() => format!("{} has {} bytes more{more}", part.name, part.stored - from),
        _ => format!("{} has grown{more}", part.name),
    };
    Ok(news.parts.first().map(describe))
}
