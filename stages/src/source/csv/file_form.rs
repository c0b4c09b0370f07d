//! In which form a file holds its text: packed or not, and in which encoding.

use std::fs::File;
use std::io::{self, Read as _};
use std::sync::Arc;

use encoding_rs::{Encoding, UTF_8, UTF_16BE, UTF_16LE};

use super::packing::Packing;
use super::stored_bytes::StoredBytes;
use super::unpacked::Unpacked;
use super::utf16::ByteOrder;

/// Bytes that tell the form: the longest mark has six.
const MARK_BYTES_MAX: usize = 6;

/// The form of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct FileForm {
    pub(super) packing: Packing,
    /// What its mark of byte order says, or else the option.
    pub(super) encoding: &'static Encoding,
}

impl Default for FileForm {
    fn default() -> FileForm {
        FileForm { packing: Packing::None, encoding: UTF_8 }
    }
}

impl FileForm {
    /// The form of an open file that has `length` bytes; `encoding` holds where it has no mark.
    ///
    /// # Errors
    /// Where it cannot be read, or is of a form that is not read.
    pub(super) fn of(file: &Arc<File>, length: u64, encoding: &'static Encoding) -> io::Result<FileForm> {
        let start = first_bytes(Unpacked::open(Packing::None, StoredBytes::new(Arc::clone(file), 0, length))?)?;
        let packing = Packing::of(&start);
        let text = match packing {
            Packing::None => start,
            packed => first_bytes(Unpacked::open(packed, StoredBytes::new(Arc::clone(file), 0, length))?)?,
        };
        if let Some(what) = not_text(&text) {
            return Err(io::Error::new(io::ErrorKind::Unsupported, what));
        }
        let marked = Encoding::for_bom(&text).map(|(marked, _)| marked);
        Ok(FileForm { packing, encoding: marked.unwrap_or(encoding) })
    }

    /// Whether its bytes are its text, so that reading may begin at any of them.
    pub(super) fn is_plain(self) -> bool {
        self.packing == Packing::None && self.byte_order().is_none()
    }

    /// The order of the bytes of UTF-16.
    pub(super) fn byte_order(self) -> Option<ByteOrder> {
        if self.encoding == UTF_16LE {
            Some(ByteOrder::Little)
        } else if self.encoding == UTF_16BE {
            Some(ByteOrder::Big)
        } else {
            None
        }
    }

    /// The encoding of single cells, unless they are UTF-8.
    pub(super) fn of_cells(self) -> Option<&'static Encoding> {
        (self.encoding != UTF_8 && self.byte_order().is_none()).then_some(self.encoding)
    }
}

fn first_bytes(from: Unpacked) -> io::Result<Vec<u8>> {
    let mut start = Vec::with_capacity(MARK_BYTES_MAX);
    from.take(MARK_BYTES_MAX as u64).read_to_end(&mut start)?;
    Ok(start)
}

/// What a file is that cannot be read as text, and what to do.
fn not_text(start: &[u8]) -> Option<&'static str> {
    match start {
        [b'P', b'K', 3, 4, ..] => Some("it is a zip archive or a spreadsheet: unpack it, or save it as CSV"),
        [b'B', b'Z', b'h', b'1'..=b'9', ..] => Some("it is packed with bzip2: unpack it, or pack it with gzip or zstd"),
        [0xfd, b'7', b'z', b'X', b'Z', ..] => Some("it is packed with xz: unpack it, or pack it with gzip or zstd"),
        [0xd0, 0xcf, 0x11, 0xe0, ..] => Some("it is a spreadsheet: save it as CSV"),
        [0xff, 0xfe, 0, 0, ..] | [0, 0, 0xfe, 0xff, ..] => Some("it is UTF-32: convert it to UTF-8"),
        _ => None,
    }
}
