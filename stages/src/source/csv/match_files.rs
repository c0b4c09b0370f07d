//! Which of the present files are those that an earlier run read.
//!
//! A file is recognised by the checksum of everything that was read of it. Where that is little and not the whole file, its path
//! or its inode must be the same too. How the configuration spells its path does not matter.

use std::collections::{BTreeMap, BTreeSet};

use aqpipe_engine::{Error, Result};
use crc32fast::Hasher;

use super::input_files::InputFile;
use super::prefix_checksum::{prefix_hashers, text_length};
use super::snapshot::RESTART_HELP;

/// Bytes by which a file can be told from others: files of one kind begin alike, with their header and perhaps a few rows.
const DISTINCTIVE_BYTES_MIN: u64 = 4096;

/// The part of a file that an earlier run read: its first bytes.
pub(super) struct ReadPart {
    /// The index of the split among the recorded ones.
    pub(super) split: usize,
    /// The index of the file in the split.
    pub(super) file: usize,
    pub(super) bytes: u64,
    /// CRC-32.
    pub(super) checksum: u32,
}

/// Finds for each part the file that begins with it: its index among those present, and the hasher of the part.
///
/// # Errors
/// Where a file's path is that of a part and its content is not, or a file cannot be read.
pub(super) fn match_files<'a>(
    parts: &[ReadPart],
    was: impl Fn(&ReadPart) -> &'a InputFile,
    present: &[InputFile],
) -> Result<Vec<Option<(usize, Hasher)>>> {
    let found = find_files(parts, &was, present)?;
    // A file with the path of a part and another content has changed.
    let by_path: BTreeMap<&str, &InputFile> = present.iter().map(|file| (file.path.as_str(), file)).collect();
    let missing = parts.iter().zip(&found).filter(|(_, found)| found.is_none());
    for (part, _) in missing {
        if let Some(now) = by_path.get(was(part).path.as_str()) {
            return Err(changed(part.bytes, now));
        }
    }
    Ok(found)
}

/// The same, where a file may have taken the place of another.
///
/// # Errors
/// Where a file cannot be read.
pub(super) fn find_files<'a>(
    parts: &[ReadPart],
    was: impl Fn(&ReadPart) -> &'a InputFile,
    present: &[InputFile],
) -> Result<Vec<Option<(usize, Hasher)>>> {
    let mut found: Vec<Option<(usize, Hasher)>> = vec![None; parts.len()];
    let mut taken: BTreeSet<usize> = BTreeSet::new();
    let by_path: BTreeMap<&str, usize> =
        present.iter().enumerate().map(|(at, file)| (file.path.as_str(), at)).collect();
    let mut by_node: BTreeMap<(u64, u64), Vec<usize>> = BTreeMap::new();
    for (at, file) in present.iter().enumerate() {
        by_node.entry(file.node).or_default().push(at);
    }
    let holds = |part: &ReadPart, at: usize| -> Result<Option<Hasher>> {
        let hasher = prefix_hashers(&present[at], &[part.bytes])?.pop().flatten();
        Ok(hasher.filter(|hasher| hasher.clone().finalize() == part.checksum))
    };
    // First the file with the same path, then, for a renamed one, the file with the same inode.
    for by_name in [true, false] {
        for (number, part) in parts.iter().enumerate() {
            let was = was(part);
            let candidates = match (found[number].is_some(), by_name) {
                (true, _) => continue,
                (_, true) => by_path.get(was.path.as_str()).map(std::slice::from_ref),
                (_, false) => by_node.get(&was.node).map(Vec::as_slice),
            };
            for at in candidates.unwrap_or_default() {
                if !taken.contains(at)
                    && let Some(hasher) = holds(part, *at)?
                {
                    taken.insert(*at);
                    found[number] = Some((*at, hasher));
                    break;
                }
            }
        }
    }
    // Then any file with the same content. Each file is read once, for all parts together. A short part counts only where it was a
    // whole file, and is one now.
    let mut open: BTreeMap<(u64, u32), Vec<usize>> = BTreeMap::new();
    for (number, part) in parts.iter().enumerate().filter(|(number, _)| found[*number].is_none()) {
        let is_whole = part.bytes > 0 && part.bytes == was(part).length;
        if part.bytes >= DISTINCTIVE_BYTES_MIN || is_whole {
            open.entry((part.bytes, part.checksum)).or_default().push(number);
        }
    }
    for at in (0..present.len()).filter(|at| !taken.contains(at)) {
        if open.is_empty() {
            break;
        }
        // The text of an archive is that of the file which was packed.
        let whole = text_length(&present[at])?;
        let fits = |length: &u64| *length >= DISTINCTIVE_BYTES_MIN || *length == whole;
        let lengths: BTreeSet<u64> = open.keys().map(|(length, _)| *length).filter(fits).collect();
        if lengths.is_empty() {
            continue;
        }
        let lengths: Vec<u64> = lengths.into_iter().collect();
        let hashers = prefix_hashers(&present[at], &lengths)?;
        // The longest first: of two parts that begin alike, the longer is known better.
        for (length, hasher) in lengths.iter().zip(hashers).rev() {
            let Some(hasher) = hasher else { continue };
            let key = (*length, hasher.clone().finalize());
            let Some(numbers) = open.get_mut(&key) else { continue };
            let number = numbers.remove(0);
            if numbers.is_empty() {
                open.remove(&key);
            }
            found[number] = Some((at, hasher));
            break;
        }
    }
    Ok(found)
}

/// The error of a file that had at least so many bytes and has changed.
pub(super) fn changed(had: u64, now: &InputFile) -> Error {
    let what = if now.form.is_plain() && now.length < had {
        format!("{} has {} bytes and had {had}", now.name, now.length)
    } else {
        format!("the beginning of {} has changed", now.name)
    };
    Error::new(format!("the files are not those that were read before: {what}"))
        .help(format!("put back the file as it was and let the run end, or {RESTART_HELP}"))
}
