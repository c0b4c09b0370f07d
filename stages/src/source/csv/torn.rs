//! A file that ends in the middle of a line: another program may be writing the rest of it.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;
use std::time::{Duration, Instant};

use super::prefix::COARSE;
use super::records::RECORD_MAX;

/// How long a line may be under way: a writer that flushes what it has in its buffer is done long before.
const PATIENCE: Duration = Duration::from_secs(1);

/// What became of a line without an end.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Torn {
    /// It is too soon to say.
    TooSoon,
    /// It is what it was.
    Still,
    /// More of it has come: the file is read up to that byte, which is the end of the line where there is one.
    GrownTo(u64),
}

/// When a file whose end was met in the middle of a line is to be looked at again: at once where nobody has written to it
/// for long.
pub(super) fn due(file: &File) -> io::Result<Instant> {
    let now = Instant::now();
    // A change in the future is the word of another clock, and tells nothing.
    let is_old = file.metadata()?.modified()?.elapsed().is_ok_and(|since| since >= COARSE);
    Ok(if is_old { now } else { now + PATIENCE })
}

/// Looks once more at a file that was read up to its byte `read`, where a line was torn, once that is due. Waits for that
/// until the instant given, where there is one.
pub(super) fn look(file: &File, read: u64, due: Instant, until: Option<Instant>) -> io::Result<Torn> {
    if let Some(until) = until {
        std::thread::sleep(due.min(until).saturating_duration_since(Instant::now()));
    }
    if Instant::now() < due {
        return Ok(Torn::TooSoon);
    }
    let length = file.metadata()?.len();
    // What was cut off is noticed when all that is there has been read.
    if length <= read { Ok(Torn::Still) } else { end_of_line(file, read, length).map(Torn::GrownTo) }
}

/// Where the line ends that goes on at the byte `from` of a file of some length, its line end included.
fn end_of_line(file: &File, from: u64, length: u64) -> io::Result<u64> {
    let most = usize::try_from(length - from).unwrap_or(RECORD_MAX).min(RECORD_MAX);
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
            ("a,1", 3, Torn::Still),
            ("a,1", 5, Torn::Still),
            ("a,1987", 4, Torn::GrownTo(6)),
            ("a,1987\n", 4, Torn::GrownTo(7)),
            ("a,1987\nb,2\n", 4, Torn::GrownTo(7)),
            ("a,1987\r\nb,2", 4, Torn::GrownTo(8)),
            ("a,1987\n", 6, Torn::GrownTo(7)),
        ] {
            std::fs::write(&path, text).expect("writes");
            let file = File::open(&path).expect("opens");
            assert_eq!(look(&file, read, Instant::now(), None).expect("looks"), expected, "{text:?}");
        }
        let file = File::open(&path).expect("opens");
        let now = Instant::now();
        // Longer than any test takes, and not waited for.
        let due = now + Duration::from_secs(3600);
        assert_eq!(look(&file, 6, due, None).expect("looks"), Torn::TooSoon);
        assert_eq!(look(&file, 6, due, Some(now)).expect("looks"), Torn::TooSoon, "nobody waits for it beyond that");
    }

    #[test]
    fn a_file_that_nobody_has_written_to_for_long_is_looked_at_at_once() {
        let dir = tempfile::tempdir().expect("a directory");
        let file = File::create(dir.path().join("a.csv")).expect("creates");
        let now = SystemTime::now();
        let hour = Duration::from_secs(3600);
        // By a clock that is ahead a file stays fresh however long the test takes.
        for (modified, is_old) in [(now - hour, true), (now - COARSE, true), (now + hour, false)] {
            file.set_times(FileTimes::new().set_modified(modified)).expect("sets");
            let before = Instant::now();
            let due = due(&file).expect("looks");
            assert!(if is_old { due <= Instant::now() } else { due >= before + PATIENCE }, "{modified:?}");
        }
    }
}
