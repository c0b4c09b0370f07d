//! The text of a file: its bytes, unpacked, and as UTF-8 where it is UTF-16. Positions in a file count bytes of this text.

use std::fs::File;
use std::io::{self, Read};
use std::sync::Arc;

use super::file_form::FileForm;
use super::stored_bytes::StoredBytes;
use super::unpacked::Unpacked;
use super::utf16::Utf16Reader;

/// Bytes of text that are passed over at once.
const SKIP_CHUNK_BYTES: usize = 64 << 10;

/// A reader of a file's text.
pub(super) enum FileText {
    AsStored(Unpacked),
    Utf16(Box<Utf16Reader<Unpacked>>),
}

impl FileText {
    /// The text of an open file from its byte `from` on, of the first `stored` bytes of the file. What is not plain text is read from
    /// its beginning.
    pub(super) fn open(file: &Arc<File>, form: FileForm, stored: u64, from: u64) -> io::Result<FileText> {
        let begin = if form.is_plain() { from } else { 0 };
        let unpacked = Unpacked::open(form.packing, StoredBytes::new(Arc::clone(file), begin, stored))?;
        let mut text = match form.byte_order() {
            None => FileText::AsStored(unpacked),
            Some(order) => FileText::Utf16(Box::new(Utf16Reader::new(unpacked, order))),
        };
        if from > begin {
            io::copy(&mut io::Read::by_ref(&mut text).take(from), &mut io::sink())?;
        }
        Ok(text)
    }

    /// The file has grown, which archives do not.
    pub(super) fn extend_to(&mut self, stored: u64) {
        match self {
            FileText::AsStored(unpacked) => unpacked.extend_to(stored),
            FileText::Utf16(reader) => reader.input_mut().extend_to(stored),
        }
    }

    /// Whether half a character was read of which the rest is not there.
    pub(super) fn has_half_character(&self) -> bool {
        matches!(self, FileText::Utf16(reader) if reader.has_half_character())
    }

    /// Hands the bytes up to the `to`th from here to a function; returns how many there were.
    pub(super) fn each_chunk(&mut self, to: u64, mut take: impl FnMut(&[u8])) -> io::Result<u64> {
        let mut buffer = vec![0; SKIP_CHUNK_BYTES.min(usize::try_from(to).unwrap_or(SKIP_CHUNK_BYTES))];
        let mut at = 0;
        while at < to {
            let room = buffer.len().min(usize::try_from(to - at).unwrap_or(SKIP_CHUNK_BYTES));
            match self.read(&mut buffer[..room]) {
                Ok(0) => break,
                Ok(read) => {
                    take(&buffer[..read]);
                    at += read as u64;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(at)
    }
}

impl Read for FileText {
    #[inline]
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            FileText::AsStored(unpacked) => unpacked.read(buffer),
            FileText::Utf16(reader) => reader.read(buffer),
        }
    }
}
