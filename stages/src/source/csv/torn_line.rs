//! A file that ends in the middle of a line: another program may be writing the rest of it.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;
use std::time::{Duration, Instant};

use super::prefix_checksum::TIMESTAMP_GRANULARITY;
use super::records::RECORD_BYTES_MAX;

/// How long a torn line is waited for: a writer that flushes its buffer has written the rest long before.
const TORN_LINE_TIMEOUT: Duration = Duration::from_secs(1);

/// What became of a torn line.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum TornLine {
    /// It is too soon to tell.
    Pending,
    /// The file has not grown.
    Unchanged,
    /// The file has grown: it is to be read up to this byte, the end of the line if there is one.
    Grown(u64),
}

/// When a file with a torn line at its end is to be checked again: at once if nothing was written to it for some seconds.
pub(super) fn recheck_at(file: &File) -> io::Result<Instant> {
    let now = Instant::now();
    // A change in the future is dated by another clock, and tells nothing.
    let is_old = file.metadata()?.modified()?.elapsed().is_ok_and(|since| since >= TIMESTAMP_GRANULARITY);
    Ok(if is_old { now } else { now + TORN_LINE_TIMEOUT })
}

/// Checks a file again that was read up to its byte `read`, where a line was torn. Waits for `recheck_at`, but not beyond
/// `until`, and not at all without that.
pub(super) fn recheck(file: &File, read: u64, recheck_at: Instant, until: Option<Instant>) -> io::Result<TornLine> {
    if let Some(until) = until {
        std::thread::sleep(recheck_at.min(until).saturating_duration_since(Instant::now()));
    }
    if Instant::now() < recheck_at {
        return Ok(TornLine::Pending);
    }
    let length = file.metadata()?.len();
    // A file that became shorter is noticed once the rest of it is read.
    if length <= read { Ok(TornLine::Unchanged) } else { end_of_line(file, read, length).map(TornLine::Grown) }
}

/// Where the line ends whose rest starts at the byte `from` of a file, its line end included.
fn end_of_line(file: &File, from: u64, length: u64) -> io::Result<u64> {
    let most = usize::try_from(length - from).unwrap_or(RECORD_BYTES_MAX).min(RECORD_BYTES_MAX);
    let mut bytes = vec![0; most];
    let mut there = 0;
    while there < most {
        match file.read_at(&mut bytes[there..], from + there as u64) {
            Ok(0) => break,
            Ok(read) => there += read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    let bytes = &bytes[..there];
    let line = match bytes.iter().position(|byte| matches!(byte, b'\n' | b'\r')) {
        Some(end) if bytes[end..].starts_with(b"\r\n") => end + 2,
        Some(end) => end + 1,
        None => there,
    };
    Ok(from + line as u64)
}

#[cfg(test)]
mod tests {
    use std::fs::FileTimes;
    use std::time::SystemTime;

    use super::*;

    #[test]
    fn a_line_that_grows_is_read_to_its_end_and_one_that_does_not_as_it_is() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("a.csv");
        for (text, read, expected) in [
            ("a,1", 3, TornLine::Unchanged),
            ("a,1", 5, TornLine::Unchanged),
            ("a,1987", 4, TornLine::Grown(6)),
            ("a,1987\n", 4, TornLine::Grown(7)),
            ("a,1987\nb,2\n", 4, TornLine::Grown(7)),
            ("a,1987\r\nb,2", 4, TornLine::Grown(8)),
            ("a,1987\n", 6, TornLine::Grown(7)),
        ] {
            std::fs::write(&path, text).expect("writes");
            let file = File::open(&path).expect("opens");
            assert_eq!(recheck(&file, read, Instant::now(), None).expect("looks"), expected, "{text:?}");
        }
        let file = File::open(&path).expect("opens");
        let now = Instant::now();
        // Longer than any test takes, and not waited for.
        let recheck_at = now + Duration::from_secs(3600);
        assert_eq!(recheck(&file, 6, recheck_at, None).expect("looks"), TornLine::Pending);
        let pending = recheck(&file, 6, recheck_at, Some(now)).expect("looks");
        assert_eq!(pending, TornLine::Pending, "nobody waits for it beyond that");
    }

    #[test]
    fn a_file_that_nobody_has_written_to_for_long_is_looked_at_at_once() {
        let dir = tempfile::tempdir().expect("a directory");
        let file = File::create(dir.path().join("a.csv")).expect("creates");
        let now = SystemTime::now();
        let hour = Duration::from_secs(3600);
        // By a clock that is ahead a file stays fresh however long the test takes.
        for (modified, is_old) in [(now - hour, true), (now - TIMESTAMP_GRANULARITY, true), (now + hour, false)] {
            file.set_times(FileTimes::new().set_modified(modified)).expect("sets");
            let before = Instant::now();
            let recheck_at = recheck_at(&file).expect("looks");
            assert!(
                if is_old { recheck_at <= Instant::now() } else { recheck_at >= before + TORN_LINE_TIMEOUT },
                "{modified:?}"
            );
        }
    }
}
