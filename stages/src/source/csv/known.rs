//! Which of the files that are there are those that an interrupted run was reading.
//!
//! A file is known by the checksum of everything that was read of it and, where that is little and not all of it, by
//! where it lies too; device and number only tell a renamed file from another one. How its path is spelt tells nothing.

use std::collections::{BTreeMap, BTreeSet};

use aqpipe_engine::record::{Kind, SplitId};
use aqpipe_engine::stage::{RecordedSplit, SplitState};
use aqpipe_engine::{Error, Result};
use crc32fast::Hasher;
use serde::{Deserialize, Serialize};

use super::files::{self, FileSpan};
use super::prefix::{Prefix, beginnings};

/// Fewer bytes than this are little: files of one kind begin alike, with their header and perhaps a few rows.
const LITTLE: u64 = 4096;
/// The version of what a split carries.
const VERSION: u8 = 3;
/// What to do where a run cannot go on.
const WAY_OUT: &str = "start from the beginning with `--fresh`, which forgets where the pipeline was";

/// What a split needs besides its position to go on.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Carry {
    #[serde(with = "packed")]
    pub(super) files: Vec<FileSpan>,
    /// The line where the split goes on; 0 where it is not known.
    pub(super) line: u64,
    pub(super) kinds: Vec<(String, Kind)>,
    /// The checksums of each file up to where the split goes on.
    pub(super) read: Vec<u32>,
}

/// Files as they are saved with each commit: each directory once, however many there are in it.
mod packed {
    use std::collections::BTreeMap;

    use serde::de::Error as _;
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    use super::FileSpan;

    #[derive(Default, Serialize, Deserialize)]
    struct Packed {
        directories: Vec<String>,
        files: Vec<PackedFile>,
    }

    #[derive(Serialize, Deserialize)]
    struct PackedFile {
        /// The directory of its name, as it was spelt, and what follows.
        name: (u32, String),
        /// The same of where it lies; without what follows where that is the same.
        path: (u32, Option<String>),
        length: u64,
        node: (u64, u64),
    }

    pub(super) fn serialize<S: Serializer>(files: &[FileSpan], serializer: S) -> Result<S::Ok, S::Error> {
        let mut known: BTreeMap<&str, u32> = BTreeMap::new();
        let mut packed = Packed::default();
        let mut split = |path| {
            let (directory, last) = directory_of(path);
            let next = known.len() as u32;
            let number = *known.entry(directory).or_insert_with(|| {
                packed.directories.push(directory.to_owned());
                next
            });
            (number, last)
        };
        for file in files {
            let (name, path) = (split(&file.name), split(&file.path));
            packed.files.push(PackedFile {
                name: (name.0, name.1.to_owned()),
                path: (path.0, (path.1 != name.1).then(|| path.1.to_owned())),
                length: file.length,
                node: file.node,
            });
        }
        packed.serialize(serializer)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<FileSpan>, D::Error> {
        let Packed { directories, files } = Packed::deserialize(deserializer)?;
        let join = |number: u32, last: &str| -> Result<String, D::Error> {
            let directory = directories.get(number as usize).ok_or_else(|| D::Error::custom("no such directory"))?;
            Ok(format!("{directory}{last}"))
        };
        let file = |file: PackedFile| -> Result<FileSpan, D::Error> {
            let (name, path) = (&file.name.1, file.path.1.as_ref());
            Ok(FileSpan {
                name: join(file.name.0, name)?,
                path: join(file.path.0, path.unwrap_or(name))?,
                length: file.length,
                node: file.node,
            })
        };
        files.into_iter().map(file).collect()
    }

    /// A path up to its last `/`, and what follows.
    fn directory_of(path: &str) -> (&str, &str) {
        path.split_at(path.rfind('/').map_or(0, |slash| slash + 1))
    }
}

impl Carry {
    pub(super) fn to_bytes(&self) -> Result<Vec<u8>> {
        postcard::to_extend(self, vec![VERSION]).map_err(|e| Error::bug("a split that cannot be saved").because(e))
    }

    pub(super) fn from_start(id: &str, start: &SplitState) -> Result<Carry> {
        let foreign =
            || Error::new(format!("what was saved of `{id}` cannot be read back by this source")).help(WAY_OUT);
        match start.reader.as_slice() {
            [VERSION, carried @ ..] => postcard::from_bytes(carried).map_err(|e| foreign().because(e)),
            [_, ..] => Err(Error::new(format!(
                "what was saved of `{id}` is of another version of aqpipe, or of another source"
            ))
            .help(format!("let that version end the run, or {WAY_OUT}"))),
            [] => Err(foreign()),
        }
    }

    /// The file that the split goes on in, as long as it was then, and the byte of it.
    fn current(&self, at: u64) -> (usize, u64) {
        let file = self.read.len().saturating_sub(1);
        let before: u64 = self.files.iter().take(file).map(|file| file.length).sum();
        (file, at.saturating_sub(before))
    }
}

/// Where a split goes on in its files.
pub(super) struct Resumed {
    pub(super) start: SplitState,
    pub(super) carry: Carry,
    pub(super) file: usize,
    pub(super) byte: u64,
    pub(super) prefix: Prefix,
}

/// A split to open.
pub(super) struct Opening {
    pub(super) id: SplitId,
    pub(super) files: Vec<FileSpan>,
    pub(super) resumed: Option<Resumed>,
}

/// Something that was read of a file.
struct Claim {
    /// The split, by its number among the noted ones, and the file, by its number in the split.
    split: usize,
    file: usize,
    bytes: u64,
    checksum: u32,
}

/// The splits over the files that are there, given those of the interrupted run.
///
/// # Errors
/// Where a file has changed that was read, or is gone before all of it was.
pub(super) fn go_on(noted: Vec<RecordedSplit>, there: &[FileSpan], path: &str, parallel: bool) -> Result<Vec<Opening>> {
    let mut splits = Vec::with_capacity(noted.len());
    for split in noted {
        let carry = Carry::from_start(&split.id, &split.start)?;
        splits.push((split, carry));
    }
    same_way(&splits, parallel)?;
    let mut claims = Vec::new();
    for (number, (split, carry)) in splits.iter().enumerate() {
        let (current, byte) = carry.current(split.start.position.offset);
        for (file, checksum) in carry.read.iter().enumerate().take(carry.files.len()) {
            let bytes = if file == current { byte } else { carry.files[file].length };
            // Of what was not begun nothing is known, and one split over all files has no need to.
            if bytes > 0 || parallel {
                claims.push(Claim { split: number, file, bytes, checksum: *checksum });
            }
        }
    }
    let found = find(&claims, |claim| &splits[claim.split].1.files[claim.file], there)?;
    let mut taken: BTreeSet<usize> = BTreeSet::new();
    let mut openings = Vec::new();
    for (number, (split, carry)) in splits.iter().enumerate() {
        let mut of_split = BTreeMap::new();
        for (claim, found) in claims.iter().zip(&found).filter(|(claim, _)| claim.split == number) {
            if let Some((at, hasher)) = found {
                let (was, now) = (&carry.files[claim.file], &there[*at]);
                // What was not read may change, but not go: nobody knows what is still to come of it.
                if now.length < was.length {
                    return Err(changed(was.length, now));
                }
                taken.insert(*at);
                told(was, now);
                of_split.insert(claim.file, (*at, hasher.clone()));
            }
        }
        openings.extend(opening((split, carry), &of_split, there, path, parallel)?);
    }
    let left: Vec<FileSpan> =
        there.iter().enumerate().filter(|(at, _)| !taken.contains(at)).map(|(_, file)| file.clone()).collect();
    if parallel {
        let mut ids: BTreeSet<SplitId> = splits.iter().map(|(split, _)| split.id.clone()).collect();
        for file in left {
            let id = free_id(&file.name, &ids);
            ids.insert(id.clone());
            openings.push(Opening { id, files: vec![file], resumed: None });
        }
    } else if let Some(opening) = openings.first_mut() {
        say_order(&splits[0].1, opening, &left);
        opening.files.extend(left);
    } else {
        openings.push(Opening { id: path.into(), files: left, resumed: None });
    }
    Ok(openings)
}

/// In which way the files that are there are not those that a completed run carried; `None` where they are.
///
/// # Errors
/// Where a file cannot be read.
pub(super) fn differs(carried: &[RecordedSplit], there: &[FileSpan]) -> Result<Option<String>> {
    let mut files = Vec::new();
    for split in carried {
        // Another source in its place: generated readings, where there was no file yet.
        let Ok(carry) = Carry::from_start(&split.id, &split.start) else {
            return Ok(Some(format!("it was `{}`", split.id)));
        };
        let (current, byte) = carry.current(split.start.position.offset);
        for (number, (was, checksum)) in carry.files.iter().zip(&carry.read).enumerate() {
            let bytes = if number == current { byte } else { was.length };
            files.push((Claim { split: 0, file: files.len(), bytes, checksum: *checksum }, was.clone()));
        }
    }
    let (claims, was): (Vec<Claim>, Vec<FileSpan>) = files.into_iter().unzip();
    let found = match find(&claims, |claim| &was[claim.file], there) {
        Ok(found) => found,
        Err(changed) => return Ok(Some(changed.message().to_owned())),
    };
    let mut taken: BTreeSet<usize> = BTreeSet::new();
    for (was, found) in was.iter().zip(&found) {
        let Some((at, _)) = found else { return Ok(Some(format!("{} is gone", was.name))) };
        let now = &there[*at];
        if now.length > was.length {
            let more = now.length - was.length;
            let bytes = if more == 1 { "byte" } else { "bytes" };
            return Ok(Some(format!("{} has {more} {bytes} more", now.name)));
        }
        taken.insert(*at);
    }
    let new = there.iter().enumerate().find(|(at, _)| !taken.contains(at));
    Ok(new.map(|(_, file)| format!("{} is new", file.name)))
}

/// Checks that files are still read one after the other, or still side by side.
fn same_way(splits: &[(RecordedSplit, Carry)], parallel: bool) -> Result<()> {
    let was = if splits.len() > 1 { Some(true) } else { None };
    let was = was.or_else(|| splits.iter().any(|(_, carry)| carry.files.len() > 1).then_some(false));
    match was {
        Some(was) if was != parallel => Err(Error::config(format!(
            "the interrupted run had `parallel = {was}`, and now it is `parallel = {parallel}`: what it read cannot be told \
             from what is left"
        ))
        .help(format!("put `parallel = {was}` back until that run has ended, or {WAY_OUT}"))),
        _ => Ok(()),
    }
}

/// A split of the interrupted run, over its files as they are now; `None` where nothing of it is left to do.
fn opening(
    (split, carry): (&RecordedSplit, &Carry),
    found: &BTreeMap<usize, (usize, Hasher)>,
    there: &[FileSpan],
    path: &str,
    parallel: bool,
) -> Result<Option<Opening>> {
    let (current, byte) = carry.current(split.start.position.offset);
    let needed = !split.ended || split.held > 0;
    let mut files = Vec::with_capacity(carry.files.len());
    for (number, was) in carry.files.iter().enumerate().take(current) {
        let name = found.get(&number).map_or(was, |(at, _)| &there[*at]);
        if name.length > was.length {
            tracing::warn!(
                "{} has grown since it was read: what was added is not read, for the files behind it have been begun. With \
                 `parallel = true` each file is read on by itself",
                name.name
            );
        }
        // As long as it was, so that positions keep their meaning.
        files.push(FileSpan { length: was.length, ..name.clone() });
    }
    let mut whole: Vec<u32> = carry.read.iter().copied().take(current).collect();
    let (mut file, mut at, mut hasher) = (current, 0, Hasher::new());
    match (found.get(&current), carry.files.get(current)) {
        (Some((number, known)), _) => {
            files.push(there[*number].clone());
            (at, hasher) = (byte, known.clone());
        }
        (None, Some(was)) if needed && (byte > 0 || parallel) => return Err(gone(split, carry, was, byte, path)),
        // Nothing of it is left, or nothing of it was read.
        (None, Some(was)) if byte > 0 => {
            files.push(FileSpan { length: byte, ..was.clone() });
            whole.extend(carry.read.get(current));
            file += 1;
        }
        _ => {}
    }
    if parallel && found.is_empty() {
        return Ok(None);
    }
    let resumed = Resumed {
        start: split.start.clone(),
        carry: carry.clone(),
        file,
        byte: at,
        prefix: Prefix::known(whole, hasher, at),
    };
    Ok(Some(Opening { id: split.id.clone(), files, resumed: Some(resumed) }))
}

/// The error of a file that is gone before the run was done with it.
fn gone(split: &RecordedSplit, carry: &Carry, was: &FileSpan, byte: u64, path: &str) -> Error {
    let line = if carry.line > 0 { format!("line {}", carry.line) } else { format!("byte {byte}") };
    let held = match split.held {
        0 => String::new(),
        1 => ", and 1 record of it is held back".to_owned(),
        held => format!(", and {held} records of it are held back"),
    };
    Error::config(format!(
        "{} is gone: the interrupted run had read it up to {line}{held}, and no file of {path} is that one",
        was.name
    ))
    .help(format!("put it back ({}) and let the run end, or {WAY_OUT}", was.path))
}

/// Finds the file of each claim, with the state of the checksum of what was read of it.
fn find<'a>(
    claims: &[Claim],
    was: impl Fn(&Claim) -> &'a FileSpan,
    there: &[FileSpan],
) -> Result<Vec<Option<(usize, Hasher)>>> {
    let mut found: Vec<Option<(usize, Hasher)>> = vec![None; claims.len()];
    let mut taken: BTreeSet<usize> = BTreeSet::new();
    let by_path: BTreeMap<&str, usize> = there.iter().enumerate().map(|(at, file)| (file.path.as_str(), at)).collect();
    let mut by_node: BTreeMap<(u64, u64), Vec<usize>> = BTreeMap::new();
    for (at, file) in there.iter().enumerate() {
        by_node.entry(file.node).or_default().push(at);
    }
    let holds = |claim: &Claim, at: usize| -> Result<Option<Hasher>> {
        let hasher = beginnings(&there[at], &[claim.bytes])?.pop().flatten();
        Ok(hasher.filter(|hasher| hasher.clone().finalize() == claim.checksum))
    };
    // Where it lay before, or, renamed, what it was on the disk.
    for by_name in [true, false] {
        for (number, claim) in claims.iter().enumerate() {
            let was = was(claim);
            let candidates = match (found[number].is_some(), by_name) {
                (true, _) => continue,
                (_, true) => by_path.get(was.path.as_str()).map(std::slice::from_ref),
                (_, false) => by_node.get(&was.node).map(Vec::as_slice),
            };
            for at in candidates.unwrap_or_default() {
                if !taken.contains(at)
                    && let Some(hasher) = holds(claim, *at)?
                {
                    taken.insert(*at);
                    found[number] = Some((*at, hasher));
                    break;
                }
            }
        }
    }
    // Anywhere, by what it holds: each file is read once, for all claims together. Of little that is all of a file, for
    // as much is there.
    let mut open: BTreeMap<(u64, u32), Vec<usize>> = BTreeMap::new();
    for (number, claim) in claims.iter().enumerate().filter(|(number, _)| found[*number].is_none()) {
        let is_whole = claim.bytes > 0 && claim.bytes == was(claim).length;
        if claim.bytes >= LITTLE || is_whole {
            open.entry((claim.bytes, claim.checksum)).or_default().push(number);
        }
    }
    for at in (0..there.len()).filter(|at| !taken.contains(at)) {
        if open.is_empty() {
            break;
        }
        let fits = |length: &u64| *length >= LITTLE || *length == there[at].length;
        let lengths: BTreeSet<u64> = open.keys().map(|(length, _)| *length).filter(fits).collect();
        if lengths.is_empty() {
            continue;
        }
        let lengths: Vec<u64> = lengths.into_iter().collect();
        let beginnings = beginnings(&there[at], &lengths)?;
        // The longest first: of two that begin alike it is the one of which more is known.
        for (length, hasher) in lengths.iter().zip(beginnings).rev() {
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
    // What has another content where it lay is another file, and what was read is nowhere.
    for (claim, found) in claims.iter().zip(&found) {
        if found.is_none()
            && let Some(at) = by_path.get(was(claim).path.as_str())
        {
            return Err(changed(claim.bytes, &there[*at]));
        }
    }
    Ok(found)
}

/// The error of a file that had so many bytes at least and is another one by now.
fn changed(had: u64, now: &FileSpan) -> Error {
    let what = if now.length < had {
        format!("{} has {} bytes and had {had}", now.name, now.length)
    } else {
        format!("the beginning of {} has changed", now.name)
    };
    Error::new(format!("the files are not those that were read before: {what}"))
        .help(format!("put back the file as it was and let the run end, or {WAY_OUT}"))
}

/// Says that a file is known again under another name.
fn told(was: &FileSpan, now: &FileSpan) {
    if was.path != now.path {
        tracing::info!(
            "{} is {} of the interrupted run, renamed: it is read on from where that stood",
            now.name,
            was.name
        );
    }
}

/// Says what is out of the order of names, in a split over all files one after the other.
fn say_order(before: &Carry, opening: &Opening, left: &[FileSpan]) {
    let last = opening.files.last();
    for file in left.iter().filter(|file| last.is_some_and(|last| file.name < last.name)) {
        tracing::info!("{} is new and comes behind the files that were read before", file.name);
    }
    for was in before.files.iter().skip(before.read.len().max(1)) {
        if !left.iter().any(|file| file.path == was.path || file.node == was.node) {
            tracing::warn!("{} is gone before anything of it was read", was.name);
        }
    }
}

/// The name of a new split, which no other has.
fn free_id(name: &str, ids: &BTreeSet<SplitId>) -> SplitId {
    let mut id: SplitId = name.into();
    let mut number = 2;
    while ids.contains(&id) {
        id = format!("{name}~{number}").into();
        number += 1;
    }
    id
}

/// Where a byte of a split's files lies, for people.
pub(super) fn place(start: &SplitState) -> Option<String> {
    let carry = Carry::from_start("", start).ok()?;
    let (file, byte) = carry.current(start.position.offset);
    let name = &carry.files.get(file)?.name;
    let line = if carry.line > 0 { carry.line } else { files::line_of(name, (0, 1), byte).ok()? };
    Some(format!("{name}:{line}"))
}
