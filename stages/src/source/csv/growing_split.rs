//! How a split goes on at the end of what was there of files that grow.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::time::Instant;

use aqpipe_engine::{Error, Result};

use super::follow::{Follow, check_can_be_followed};
use super::input_files::{InputFile, UNKNOWN_LENGTH};
use super::known_files::{News, news, remember};
use super::open_file::OpenFile;
use super::prefix_checksum::PrefixChecksum;

/// Parts of files that are listed in the state of a split. Beyond that it is only known how far each file was read.
pub(super) const PARTS_MAX: usize = 1024;

/// What a split over files that grow knows beside its parts.
#[derive(Default)]
pub(super) struct Growing {
    /// What was read of files before the parts of now.
    pub(super) known: Vec<InputFile>,
    /// Looks for more, where the split does not end.
    pub(super) follow: Option<Follow>,
}

/// What became of the last file at its end.
pub(super) enum AtEnd {
    /// Nothing is new.
    Wait,
    /// There is more of it, or it is to be read as it stands.
    ReadOn,
    /// Other parts come next.
    Next(Vec<InputFile>),
}

impl Growing {
    /// Looks for more, once it is time for that.
    pub(super) fn at_end(
        &mut self,
        open: Option<(&mut OpenFile, &mut InputFile)>,
        until: Option<Instant>,
    ) -> Result<Option<AtEnd>> {
        let Some(follow) = &mut self.follow else { return Ok(None) };
        if !follow.is_due(until) {
            return Ok(Some(AtEnd::Wait));
        }
        let Some((open, span)) = open else { return Ok(None) };
        let failed = |e| Error::new(format!("cannot look at {}", span.name)).because(e);
        let stored = open.file.metadata().map_err(failed)?.len();
        // It may be as long as before, or longer, and hold something else.
        let begun_again = stored < span.stored || open.was_begun_again(span).map_err(failed)?;
        if stored > span.stored && !begun_again {
            open.extend(span, stored);
            return Ok(Some(AtEnd::ReadOn));
        }
        if begun_again {
            tracing::warn!("{} was emptied and begun again: it is read from its beginning", span.name);
            let again = InputFile { from: 0, before: 0, headers: Vec::new(), stored, ..span.clone() };
            let length = if span.form.is_plain() { stored } else { UNKNOWN_LENGTH };
            return Ok(Some(AtEnd::Next(vec![InputFile { length, ..again }])));
        }
        let is_there = fs::metadata(&span.name).is_ok_and(|now| (now.dev(), now.ino()) == span.node);
        Ok((!is_there && !std::mem::replace(&mut open.is_finished, true)).then(|| {
            // It was rotated: nobody writes the rest of its last line.
            open.records.close_end();
            AtEnd::ReadOn
        }))
    }

    /// What is new in files other than the open one.
    pub(super) fn others(
        &mut self,
        files: &[InputFile],
        current: Option<(usize, u64)>,
        prefix: &mut PrefixChecksum,
    ) -> Result<Vec<InputFile>> {
        let Some(follow) = &mut self.follow else { return Ok(Vec::new()) };
        let mut changed = follow.changed()?;
        let open = current.and_then(|(file, _)| files.get(file)).map(|file| file.node);
        changed.retain(|file| Some(file.node) != open);
        if changed.is_empty() {
            return Ok(Vec::new());
        }
        let mut known = self.known.clone();
        let (number, byte) = current.unwrap_or((files.len(), 0));
        for (file, checksum) in files.iter().zip(prefix.up_to(files, number, byte)?).take(number) {
            remember(&mut known, InputFile { from: file.length, before: checksum, ..file.clone() });
        }
        known.retain(|file| Some(file.node) != open);
        let News { parts, .. } = news(known, &changed)?;
        parts.iter().try_for_each(check_can_be_followed)?;
        Ok(parts)
    }
}
