//! The saved state of a split.

use aqpipe_engine::record::Kind;
use aqpipe_engine::stage::SplitState;
use aqpipe_engine::{Error, Result};
use serde::{Deserialize, Serialize};

use super::input_files::{self, InputFile};
use super::line_counter;
use super::text_columns::TextColumns;

const SNAPSHOT_FORMAT_VERSION: u8 = 4;
/// The version with more: what few splits have follows.
const MORE_FORMAT_VERSION: u8 = 5;
/// The way out for a run that cannot resume.
pub(super) const RESTART_HELP: &str = "start from the beginning with `--fresh`, which forgets where the pipeline was";

/// What few splits have.
#[derive(Default, Serialize, Deserialize)]
struct More {
    /// The headers inside of `files` and of `known`.
    headers: [Vec<Vec<u64>>; 2],
    texts: TextColumns,
}

/// The state of a split beside its position: what a later run needs to resume there.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct SplitSnapshot {
    #[serde(with = "super::packed_files")]
    pub(super) files: Vec<InputFile>,
    /// The split's byte at which the first of `files` begins.
    pub(super) origin: u64,
    /// What was read of files before: of each up to `from`.
    #[serde(with = "super::packed_files")]
    pub(super) known: Vec<InputFile>,
    /// The line of the position; 0 if unknown.
    pub(super) line: u64,
    /// The kinds of the fields, by name.
    pub(super) kinds: Vec<(String, Kind)>,
    /// The CRC-32 of each file up to the position; the last one is that of the current file.
    pub(super) read: Vec<u32>,
    /// What decides readings that a clock shows twice: the state of the reader of times.
    pub(super) times: Vec<u8>,
    /// The columns of files that grow that became text by few records.
    #[serde(skip)]
    pub(super) texts: TextColumns,
    /// Whether the records so far of files that grow had no cell by which to decide whether they can be read.
    #[serde(skip)]
    pub(super) is_undecided: bool,
}

impl SplitSnapshot {
    pub(super) fn to_bytes(&self) -> Result<Vec<u8>> {
        let failed = |e| Error::bug("a split's snapshot cannot be written").because(e);
        let headers = |files: &[InputFile]| files.iter().map(|file| file.headers.clone()).collect();
        let more = More { headers: [headers(&self.files), headers(&self.known)], texts: self.texts.clone() };
        if !self.is_undecided && more.texts.is_empty() && more.headers.iter().flatten().all(Vec::is_empty) {
            return postcard::to_extend(self, vec![SNAPSHOT_FORMAT_VERSION]).map_err(failed);
        }
        let saved = postcard::to_extend(self, vec![MORE_FORMAT_VERSION]).map_err(failed)?;
        let saved = postcard::to_extend(&more, saved).map_err(failed)?;
        // What was saved without it was decided.
        if self.is_undecided { postcard::to_extend(&true, saved).map_err(failed) } else { Ok(saved) }
    }

    /// Without the headers that stand behind the position, which is in the file of that index at that byte.
    pub(super) fn up_to(mut self, current: usize, byte: u64) -> SplitSnapshot {
        for (number, file) in self.files.iter_mut().enumerate().skip(current) {
            let begin = if number == current { byte } else { file.from };
            file.headers.retain(|header| *header < begin);
        }
        self
    }

    /// The snapshot in the saved state of the split `id`.
    ///
    /// # Errors
    /// Where another source or version saved the state.
    pub(super) fn from_state(id: &str, state: &SplitState) -> Result<SplitSnapshot> {
        let foreign =
            || Error::new(format!("what was saved of `{id}` cannot be read back by this source")).help(RESTART_HELP);
        match state.reader.as_slice() {
            [SNAPSHOT_FORMAT_VERSION, saved @ ..] => postcard::from_bytes(saved).map_err(|e| foreign().because(e)),
            [MORE_FORMAT_VERSION, saved @ ..] => {
                let (mut snapshot, rest): (SplitSnapshot, &[u8]) =
                    postcard::take_from_bytes(saved).map_err(|e| foreign().because(e))?;
                let (More { headers: [files, known], texts }, rest) =
                    postcard::take_from_bytes(rest).map_err(|e| foreign().because(e))?;
                snapshot.texts = texts;
                snapshot.is_undecided = !rest.is_empty();
                snapshot.files.iter_mut().zip(files).for_each(|(file, headers)| file.headers = headers);
                snapshot.known.iter_mut().zip(known).for_each(|(file, headers)| file.headers = headers);
                Ok(snapshot)
            }
            [_, ..] => Err(Error::new(format!(
                "what was saved of `{id}` is of another version of aqpipe, or of another source"
            ))
            .help(format!("let that version end the run, or {RESTART_HELP}"))),
            [] => Err(foreign()),
        }
    }

    /// The index of the current file at a byte of the split, and the byte in the file. Files are as long as they were then.
    pub(super) fn current(&self, at: u64) -> (usize, u64) {
        let file = self.read.len().saturating_sub(1);
        let from = self.files.get(file).map_or(0, |file| file.from);
        let begin = self.origin.saturating_add(input_files::bytes_before(&self.files, file));
        (file, at.saturating_sub(begin) + from)
    }

    /// Checks that a run which reads each file once can go on here.
    ///
    /// # Errors
    /// Where only one over files that grow can.
    pub(super) fn check_not_growing(&self) -> Result<()> {
        if self.known.is_empty() && self.files.iter().all(|file| file.from == 0) {
            return Ok(());
        }
        let message = "the last run read files that grow, and now neither `rerun = \"new\"` nor `follow = true` is set";
        Err(Error::config(message).help(format!("put that back, or {RESTART_HELP}")))
    }
}

/// The file and line of a saved position, for messages.
pub(super) fn describe_state(state: &SplitState) -> Option<String> {
    let snapshot = SplitSnapshot::from_state("", state).ok()?;
    let (file, byte) = snapshot.current(state.position.offset);
    let file = snapshot.files.get(file)?;
    let line = match snapshot.line {
        0 if file.length == file.stored => line_counter::line_of(file, byte)?,
        // How an archive is packed is not kept.
        0 => return None,
        known => known,
    };
    Some(format!("{}:{line}", file.name))
}
