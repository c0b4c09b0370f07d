//! Tests of log files.

use std::collections::BTreeMap;
use std::sync::mpsc::{Receiver, sync_channel};

use super::*;

type Said = Receiver<Option<Notice>>;

fn log(path: &Path, at: LogRotation, keep: u32) -> (LogFile, Said) {
    let (sender, said) = sync_channel(100);
    let file = LogFile::open(path, Some(Rotation { at, keep }), Some("job".to_owned()), Notices(sender));
    (file.expect("opens"), said)
}

fn said(notices: &Said) -> Vec<String> {
    notices.try_iter().flatten().map(|notice| notice.text).collect()
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

#[test]
fn a_file_is_put_aside_before_it_grows_beyond_its_size() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("x.log");
    let (mut log, said_of_it) = log(&path, LogRotation::Size(10), 2);
    for line in ["aaaa\n", "bbbb\n", "cccc\n", "a line that is longer than the size\n", "d\n"] {
        log.write_all(line.as_bytes()).expect("written");
    }
    assert_eq!(read(&path), "d\n");
    assert_eq!(read(&dir.path().join("x.log.1")), "a line that is longer than the size\n");
    assert_eq!(read(&dir.path().join("x.log.2")), "cccc\n");
    assert_eq!(said(&said_of_it), Vec::<String>::new());
}

#[test]
fn a_daily_file_is_put_aside_with_the_first_line_of_another_day() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("x.log");
    fs::write(&path, "yesterday\n").expect("writes");
    let yesterday = SystemTime::now() - Duration::from_secs(DAY_SECS);
    File::options().append(true).open(&path).and_then(|file| file.set_modified(yesterday)).expect("set");
    let (mut log, _said) = log(&path, LogRotation::Daily, 7);
    // Both lines are of one day, unless midnight is between them.
    let before = today();
    log.write_all(b"today\n").expect("written");
    log.write_all(b"again\n").expect("written");
    assert_eq!(read(&dir.path().join("x.log.1")), "yesterday\n");
    assert!(before != today() || read(&path) == "today\nagain\n", "{}", read(&path));
    log.0.lock().expect("not poisoned").day -= 1;
    log.write_all(b"tomorrow\n").expect("written");
    assert_eq!((read(&path), read(&dir.path().join("x.log.2"))), ("tomorrow\n".to_owned(), "yesterday\n".to_owned()));
}

/// As `logrotate` does it, with and without `create`.
#[test]
fn a_file_that_was_renamed_or_deleted_is_begun_anew_by_the_next_line() {
    let dir = tempfile::tempdir().expect("a directory");
    let (path, moved) = (dir.path().join("x.log"), dir.path().join("x.log.old"));
    let (mut log, _said) = log(&path, LogRotation::Size(1_000), 7);
    log.write_all(b"a\n").expect("written");
    fs::rename(&path, &moved).expect("renamed");
    log.write_all(b"b\n").expect("written");
    assert_eq!((read(&moved), read(&path)), ("a\n".to_owned(), "b\n".to_owned()));
    fs::remove_file(&path).expect("deleted");
    log.open_anew();
    assert_eq!(read(&path), "", "at once, where that is asked for");
    log.write_all(b"c\n").expect("written");
    assert_eq!(read(&path), "c\n");
}

#[test]
fn rights_stay_as_narrow_as_they_were() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("x.log");
    let (mut log, _said) = log(&path, LogRotation::Size(10), 7);
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).expect("set");
    for _ in 0..3 {
        log.write_all(b"aaaaaa\n").expect("written");
    }
    assert_eq!(path.metadata().expect("a file").permissions().mode() & 0o777, 0o600);
}

#[test]
fn a_rotation_that_fails_is_said_once_and_no_line_is_lost() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("x.log");
    // A directory with something in it is not replaced by a file.
    fs::create_dir_all(dir.path().join("x.log.1/in the way")).expect("made");
    let (mut log, said_of_it) = log(&path, LogRotation::Size(10), 1);
    for _ in 0..5 {
        log.write_all(b"aaaaaa\n").expect("written");
    }
    assert_eq!(read(&path), "aaaaaa\n".repeat(5));
    let texts = said(&said_of_it);
    assert_eq!(texts.len(), 1, "{texts:?}");
    assert!(texts[0].contains("x.log: lines go on into it, for it cannot be rotated: "), "{texts:?}");
    fs::remove_dir_all(dir.path().join("x.log.1")).expect("out of the way");
    log.0.lock().expect("not poisoned").failed[Step::Rotate as usize] = Instant::now().checked_sub(RETRY_PAUSE);
    log.write_all(b"b\n").expect("written");
    assert_eq!(read(&path), "b\n");
}

#[test]
fn a_directory_that_is_gone_is_said_once_and_a_name_that_leads_elsewhere_is_followed() {
    let dir = tempfile::tempdir().expect("a directory");
    let (home, link) = (dir.path().join("logs"), dir.path().join("x.log"));
    fs::create_dir(&home).expect("made");
    std::os::unix::fs::symlink(home.join("real.log"), &link).expect("linked");
    let (mut log, said_of_it) = log(&link, LogRotation::Size(10), 7);
    log.write_all(b"aaaaaa\n").expect("written");
    log.write_all(b"bbbbbb\n").expect("written");
    assert_eq!((read(&home.join("real.log.1")), read(&link)), ("aaaaaa\n".to_owned(), "bbbbbb\n".to_owned()));
    assert!(link.symlink_metadata().expect("there").is_symlink(), "the link stays");
    fs::remove_dir_all(&home).expect("deleted");
    for _ in 0..5 {
        log.write_all(b"c\n").expect("taken");
    }
    let texts = said(&said_of_it);
    assert_eq!(texts.len(), 1, "{texts:?}");
    assert!(texts[0].contains("x.log: lines go on into the file that had the name: "), "{texts:?}");
}

/// Two handles lock each other out as two processes do.
#[test]
fn writers_that_rotate_one_file_lose_no_line_and_tear_none() {
    const LINES: usize = 3_000;
    const KEEP: u32 = 1_000;
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("x.log");
    std::thread::scope(|scope| {
        for writer in 0..4 {
            let (mut log, said_of_it) = log(&path, LogRotation::Size(2_000), KEEP);
            scope.spawn(move || {
                for n in 0..LINES {
                    log.write_all(format!("writer {writer} line {n:06}\n").as_bytes()).expect("written");
                }
                assert_eq!(said(&said_of_it), Vec::<String>::new());
            });
        }
    });
    let mut text = String::new();
    let mut files = 0;
    for entry in fs::read_dir(dir.path()).expect("a directory") {
        let path = entry.expect("an entry").path();
        text += &read(&path);
        files += 1;
    }
    assert!((10..KEEP).contains(&files), "{files} files");
    let mut count: BTreeMap<&str, usize> = BTreeMap::new();
    text.lines().for_each(|line| *count.entry(line).or_default() += 1);
    for writer in 0..4 {
        for n in 0..LINES {
            let line = format!("writer {writer} line {n:06}");
            assert_eq!(count.get(&*line), Some(&1), "{line}");
        }
    }
    assert_eq!(text.lines().count(), 4 * LINES);
}
