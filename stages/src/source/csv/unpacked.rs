//! The bytes of a file without their packing.

use std::io::{self, BufReader, Read};

use flate2::bufread::MultiGzDecoder;
use zstd::stream::read::Decoder;

use super::packing::Packing;
use super::stored_bytes::{SHORTER, StoredBytes};

/// Bytes of an archive that are read at once.
const PACKED_CHUNK_BYTES: usize = 64 << 10;

type Packed = BufReader<StoredBytes>;

/// The bytes of a file, unpacked. Members of an archive that follow each other are one text.
pub(super) enum Unpacked {
    Plain(StoredBytes),
    Gzip(Box<MultiGzDecoder<Packed>>),
    Zstd(Box<Decoder<'static, Packed>>),
}

impl Unpacked {
    pub(super) fn open(packing: Packing, stored: StoredBytes) -> io::Result<Unpacked> {
        let packed = |stored| BufReader::with_capacity(PACKED_CHUNK_BYTES, stored);
        Ok(match packing {
            Packing::None => Unpacked::Plain(stored),
            Packing::Gzip => Unpacked::Gzip(Box::new(MultiGzDecoder::new(packed(stored)))),
            Packing::Zstd => Unpacked::Zstd(Box::new(Decoder::with_buffer(packed(stored))?)),
        })
    }

    /// The file has grown, which archives do not.
    pub(super) fn extend_to(&mut self, end: u64) {
        if let Unpacked::Plain(stored) = self {
            stored.extend_to(end);
        }
    }
}

impl Read for Unpacked {
    #[inline]
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Unpacked::Plain(stored) => stored.read(buffer),
            Unpacked::Gzip(decoder) => decoder.read(buffer).map_err(damaged),
            Unpacked::Zstd(decoder) => decoder.read(buffer).map_err(damaged),
        }
    }
}

/// What a decoder says of an archive, in words of ours.
fn damaged(error: io::Error) -> io::Error {
    match error.kind() {
        io::ErrorKind::Interrupted => error,
        io::ErrorKind::UnexpectedEof if error.to_string() == SHORTER => error,
        io::ErrorKind::UnexpectedEof => io::Error::new(
            io::ErrorKind::UnexpectedEof,
            "the archive is cut off: it ends in the middle, and is perhaps still being written",
        ),
        kind => io::Error::new(kind, format!("the archive is damaged: {error}")),
    }
}
