//! Files that change while they are read.

use std::io::Write as _;
use std::sync::Arc;

use parking_lot::Mutex;

use super::engine::Engine;
use super::*;

/// The one split of a run, as the engine opens it.
fn running(files: &Files, more: Value) -> Box<dyn SplitReader> {
    let opened = Arc::new(Mutex::new(Vec::new()));
    let engine = Engine::opening({
        let opened = Arc::clone(&opened);
        move |_, reader| {
            opened.lock().push(reader);
            Ok(())
        }
    });
    let source = built(files.options("*.csv", more), &BuildContext::for_tests()).expect("builds");
    source.run(Arc::new(engine)).expect("runs");
    let mut opened = std::mem::take(&mut *opened.lock());
    assert_eq!(opened.len(), 1);
    opened.remove(0)
}

/// When a file was changed that stays fresh however long the test takes: the clock that says so is ahead.
fn a_moment_ago() -> SystemTime {
    SystemTime::now() + Duration::from_secs(3600)
}

fn append(files: &Files, text: &str) {
    let mut file = std::fs::File::options().append(true).open(files.path("a.csv")).expect("opens");
    file.write_all(text.as_bytes()).expect("writes");
}

#[test]
fn a_torn_last_line_that_grows_is_read_whole_and_waiting_for_it_holds_nothing_up() {
    let files = Files::one(b"timestamp,a\n2004-03-10,1\n2004-03-11,19");
    files.changed("a.csv", a_moment_ago());
    let mut split = running(&files, json!({}));
    let now = Instant::now();
    match split.next(10, now).expect("reads") {
        Poll::Rows(batch, _) => assert_eq!(batch.rows(), 1, "what is whole is handed on at once"),
        other => panic!("{other:?}"),
    }
    let at = split.position().offset;
    assert!(matches!(split.next(10, now).expect("reads"), Poll::Idle), "until it is clear what comes");
    assert_eq!(split.position().offset, at, "a stop goes on before the torn line");
    append(&files, "87\n2004-03-12,3\n");
    let read = read_all(&mut *split, 10).expect("reads");
    assert_eq!(read.values(), ["a=1987"], "the line that was torn, to its end");
}

#[test]
fn a_last_line_without_an_end_that_stays_is_read_as_it_is() {
    let files = Files::one(b"timestamp,a\n2004-03-10,1\n2004-03-11,\"1");
    files.changed("a.csv", a_moment_ago());
    let mut split = running(&files, json!({}));
    let read = read_all(&mut *split, 10).expect("reads");
    assert_eq!(read.values(), ["a=1", "a=1"]);
}

#[test]
fn a_last_line_without_an_end_is_not_waited_for_where_the_file_is_old() {
    let texts: Vec<String> = (1..=100).map(|row| format!("timestamp,a\n2004-03-10,{row}")).collect();
    let names: Vec<String> = (1..=100).map(|number| format!("{number:03}.csv")).collect();
    let contents: Vec<(&str, &[u8])> =
        names.iter().map(String::as_str).zip(texts.iter().map(String::as_bytes)).collect();
    let files = Files::new(&contents);
    let mut split = running(&files, json!({}));
    let mut rows = 0;
    loop {
        match split.next(10, Instant::now() + Duration::from_secs(60)).expect("reads") {
            Poll::Rows(batch, _) => {
                assert_eq!(batch.rows(), 10, "no end of a file holds a batch up");
                rows += batch.rows();
            }
            Poll::Idle => panic!("it waits for more of a file that is old"),
            Poll::End => break,
        }
    }
    assert_eq!(rows, 100);
}

#[test]
fn reading_for_a_fit_reads_a_torn_last_line_as_the_run_does_and_ends_though_it_is_torn_again() {
    for (more, expected) in [("87\n", "a=1987"), ("87", "a=1987"), ("", "a=19")] {
        let files = Files::one(b"timestamp,a\n2004-03-11,19");
        files.changed("a.csv", a_moment_ago());
        let mut reader = split(files.options("a.csv", json!({})), &BuildContext::for_tests()).expect("opens");
        assert!(matches!(reader.next(10, Instant::now()).expect("reads"), Poll::Idle), "it may be under way");
        append(&files, more);
        assert_eq!(read_all(&mut *reader, 10).expect("reads").values(), [expected], "{more:?}");
    }
}

#[test]
fn a_file_that_is_rewritten_while_it_is_read_is_an_error_that_names_it() {
    let body = |last: &str| format!("timestamp,a\n{}2004-03-11,{last}\n", "2004-03-10,1\n".repeat(60_000));
    for limit in [None, Some(50_000)] {
        let files = Files::one(body("1").as_bytes());
        let more = limit.map_or_else(|| json!({}), |most| json!({ "max_records": most }));
        let mut split = running(&files, more);
        next(&mut *split, 100).expect("reads").expect("rows");
        let other = body("1").replacen("2004-03-10,1", "2004-03-10,7", 1);
        // In place: the same file, with other bytes where it was read already.
        std::fs::write(files.path("a.csv"), other).expect("writes");
        let error = read_all(&mut *split, 10_000).map(|_| ()).expect_err("a mixture");
        assert!(files.plain(&error.to_string()).starts_with("a.csv was changed while it was read"), "{error}");
        assert!(error.help_text().is_some_and(|help| help.contains("--fresh")));
    }
}

#[test]
fn a_file_that_grows_or_is_replaced_while_it_is_read_is_read_as_it_was() {
    let text = format!("timestamp,a\n{}", "2004-03-10,1\n".repeat(60_000));
    let files = Files::one(text.as_bytes());
    let mut split = running(&files, json!({}));
    next(&mut *split, 100).expect("reads").expect("rows");
    append(&files, "2004-03-12,3\n");
    assert_eq!(read_all(&mut *split, 10_000).expect("reads").rows.len(), 59_900);

    let mut split = running(&files, json!({}));
    next(&mut *split, 100).expect("reads").expect("rows");
    std::fs::write(files.path("new"), "timestamp,a\n").expect("writes");
    std::fs::rename(files.path("new"), files.path("a.csv")).expect("renames");
    assert_eq!(read_all(&mut *split, 10_000).expect("reads").rows.len(), 59_901);
    split.snapshot_state(split.position()).expect("what was read is known, though another file has the name");
}
