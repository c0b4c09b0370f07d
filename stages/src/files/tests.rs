//! Files through crashes: each test leaves a process at some point and goes on as the next one would.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use aqpipe_engine::ErrorKind;
use aqpipe_engine::record::{OffsetRange, Position};
use aqpipe_engine::stage::BuildContext;

use super::{EmbeddedRun, Store};

fn cx(pipeline: &str, instance: &str) -> BuildContext {
    BuildContext::bare(pipeline).with_instance(instance, instance, std::path::Path::new(""))
}

fn embedded() -> BuildContext {
    let cx = cx("consumer", "0");
    cx.process_extensions().put(Arc::new(EmbeddedRun));
    cx
}

fn store(dir: &Path) -> Store {
    store_of(dir, &cx("consumer", "0"))
}

fn store_of(dir: &Path, cx: &BuildContext) -> Store {
    Store::new(dir.to_str().expect("UTF-8"), "batch", "csv", cx)
}

fn span(from: u64, to: u64) -> OffsetRange {
    OffsetRange {
        from: Position { offset: from, records: from },
        to: Position { offset: to, records: to },
        sequence: 0,
    }
}

fn prepare(store: &Store, from: u64, to: u64) -> aqpipe_engine::Result<Vec<u8>> {
    prepare_text(store, from, to, &format!("{from}-{to}\n"))
}

fn prepare_text(store: &Store, from: u64, to: u64, text: &str) -> aqpipe_engine::Result<Vec<u8>> {
    let split = "topic/0".into();
    let mut file = store.create(&split)?;
    file.buffer().extend_from_slice(text.as_bytes());
    store.prepare(&split, file, span(from, to), to.saturating_sub(from))
}

fn visible(from: u64, to: u64) -> String {
    format!("batch_topic-0_{from:020}-{to:020}.csv")
}

/// The names in a directory: those that readers see, and those of files that are not visible yet.
fn names(dir: &Path) -> (Vec<String>, usize) {
    let names = std::fs::read_dir(dir)
        .expect("a directory")
        .map(|entry| entry.expect("an entry").file_name().into_string().expect("UTF-8"));
    let (hidden, mut seen): (Vec<_>, Vec<_>) = names.partition(|name| name.starts_with('.'));
    seen.sort();
    (seen, hidden.iter().filter(|name| name.ends_with(".tmp")).count())
}

#[test]
fn a_file_is_seen_once_it_is_finished_and_finishing_again_changes_nothing() {
    let dir = tempfile::tempdir().expect("a directory");
    let cx = cx("consumer", "0");
    let store = store_of(dir.path(), &cx);
    store.claim().expect("free");
    let prepared = prepare(&store, 0, 100).expect("prepares");
    assert_eq!(names(dir.path()), (vec![], 1));
    for _ in 0..2 {
        store.finish(&prepared).expect("finishes");
        assert_eq!(names(dir.path()), (vec![visible(0, 100)], 0));
    }
    assert_eq!(std::fs::read_to_string(dir.path().join(visible(0, 100))).expect("a file"), "0-100\n");
    assert_eq!(cx.metrics().files.load(Ordering::Relaxed), 1, "made visible once");
    assert_eq!(store.visible_ends(&["topic/0".into()]).expect("known"), [Some(100)]);
    assert_eq!(store.visible_ends(&["topic/1".into()]).expect("known"), [None]);
}

#[test]
fn a_file_that_is_undone_leaves_nothing_and_cannot_be_finished() {
    let dir = tempfile::tempdir().expect("a directory");
    let store = store(dir.path());
    store.claim().expect("free");
    let prepared = prepare(&store, 0, 100).expect("prepares");
    for _ in 0..2 {
        store.undo(&prepared).expect("undoes");
        assert_eq!(names(dir.path()), (vec![], 0));
    }
    let error = store.finish(&prepared).expect_err("gone").to_string();
    assert!(error.contains("was decided and is gone"), "{error}");
    store.finish(b"").expect("nothing to do");
    store.undo(b"").expect("nothing to do");
}

#[test]
fn a_run_that_died_between_the_decision_and_the_rename_is_finished_by_the_next() {
    let dir = tempfile::tempdir().expect("a directory");
    let dead = store(dir.path());
    dead.claim().expect("free");
    let decided = prepare(&dead, 0, 100).expect("prepares");
    let undecided = prepare(&dead, 100, 200).expect("prepares");
    std::mem::forget(dead.create(&"topic/0".into()).expect("creates"));
    drop(dead);
    let next = store(dir.path());
    next.claim().expect("its own");
    next.finish(&decided).expect("rolls forward");
    next.undo(&undecided).expect("rolls back");
    assert_eq!(names(dir.path()), (vec![visible(0, 100)], 1));
    next.sweep(&["1".into()], &[]).expect("sweeps");
    assert_eq!(names(dir.path()).1, 1, "not that instance's");
    next.sweep(&["1".into(), "0".into()], &[]).expect("sweeps");
    assert_eq!(names(dir.path()), (vec![visible(0, 100)], 0));
}

#[test]
fn a_run_that_died_after_the_rename_is_not_counted_again() {
    let dir = tempfile::tempdir().expect("a directory");
    let dead = store(dir.path());
    dead.claim().expect("free");
    let prepared = prepare(&dead, 0, 100).expect("prepares");
    dead.finish(&prepared).expect("finishes");
    drop(dead);
    let cx = cx("consumer", "0");
    let next = store_of(dir.path(), &cx);
    next.finish(&prepared).expect("finished before");
    assert_eq!(cx.metrics().files.load(Ordering::Relaxed), 0);
    std::fs::write(dir.path().join(visible(0, 100)), "0-999\n").expect("writes");
    let error = next.finish(&prepared).expect_err("another file").to_string();
    assert!(error.contains("is not the file that was prepared"), "{error}");
}

#[test]
fn a_crash_between_two_names_of_one_file_leaves_one_name() {
    let dir = tempfile::tempdir().expect("a directory");
    let store = store(dir.path());
    store.claim().expect("free");
    let prepared = prepare(&store, 0, 100).expect("prepares");
    let hidden = std::fs::read_dir(dir.path()).expect("a directory").map(|entry| entry.expect("an entry").path());
    let hidden = hidden.into_iter().find(|path| path.extension().is_some_and(|end| end == "tmp")).expect("prepared");
    std::fs::hard_link(hidden, dir.path().join(visible(0, 100))).expect("links");
    store.finish(&prepared).expect("finishes");
    assert_eq!(names(dir.path()), (vec![visible(0, 100)], 0));
}

#[test]
fn a_file_system_without_a_safe_rename_overwrites_nothing_either() {
    let dir = tempfile::tempdir().expect("a directory");
    let [from, to] = ["from", "to"].map(|name| dir.path().join(name));
    std::fs::write(&from, "new").expect("writes");
    super::disk::link_new(&from, &to).expect("free");
    assert!(!from.exists());
    std::fs::write(&from, "newer").expect("writes");
    let error = super::disk::link_new(&from, &to).expect_err("taken");
    assert_eq!(error.kind(), std::io::ErrorKind::AlreadyExists);
    assert_eq!(std::fs::read_to_string(&to).expect("a file"), "new");
}

#[test]
fn a_file_that_is_there_is_never_overwritten() {
    let dir = tempfile::tempdir().expect("a directory");
    let store = store(dir.path());
    store.claim().expect("free");
    let prepared = prepare(&store, 0, 100).expect("prepares");
    std::fs::write(dir.path().join(visible(0, 100)), "precious").expect("writes");
    let error = store.finish(&prepared).expect_err("taken").to_string();
    assert!(error.contains("never overwritten") && error.contains(&visible(0, 100)), "{error}");
    assert_eq!(names(dir.path()), (vec![visible(0, 100)], 1), "both are still there");
    assert_eq!(std::fs::read_to_string(dir.path().join(visible(0, 100))).expect("a file"), "precious");
}

#[test]
fn a_range_that_overlaps_a_visible_file_is_refused_after_a_restart_too() {
    let dir = tempfile::tempdir().expect("a directory");
    for restart in [false, true] {
        let store = store(dir.path());
        store.claim().expect("its own");
        if !restart {
            for (from, to) in [(100, 200), (300, 400)] {
                store.finish(&prepare(&store, from, to).expect("prepares")).expect("finishes");
            }
        }
        for (from, to) in [(100, 200), (0, 101), (199, 250), (120, 130), (0, 1000), (399, 400), (250, 301)] {
            let error = prepare(&store, from, to).expect_err("overlaps").to_string();
            assert!(error.contains("in a file already"), "{from}-{to}: {error}");
        }
        for (from, to) in [(0, 100), (200, 300), (400, 500), (200, 200)] {
            store.undo(&prepare(&store, from, to).expect("free")).expect("undoes");
        }
        assert_eq!(names(dir.path()).1, 0, "what was refused leaves nothing");
        assert!(prepare(&store, 20, 10).is_err(), "backwards");
    }
}

#[test]
fn cuts_that_end_at_one_position_have_names_of_their_own() {
    let dir = tempfile::tempdir().expect("a directory");
    let store = store(dir.path());
    store.claim().expect("free");
    store.finish(&prepare(&store, 0, 100).expect("prepares")).expect("finishes");
    for part in 1..3 {
        let file = store.create(&"topic/0".into()).expect("creates");
        let span = OffsetRange { sequence: part, ..span(100, 100) };
        let prepared = store.prepare(&"topic/0".into(), file, span, 1).expect("prepares");
        store.finish(&prepared).expect("finishes");
    }
    assert_eq!(names(dir.path()).0.len(), 3);
    store.finish(&prepare(&store, 100, 150).expect("does not overlap")).expect("finishes");
    assert_eq!(store.visible_ends(&["topic/0".into()]).expect("known"), [Some(150)]);
}

#[test]
fn a_directory_belongs_to_one_pipeline_for_each_prefix() {
    let dir = tempfile::tempdir().expect("a directory");
    store(dir.path()).claim().expect("free");
    let error = store_of(dir.path(), &cx("other", "0")).claim().expect_err("taken");
    assert_eq!(error.kind(), ErrorKind::Config);
    assert!(error.to_string().contains("belong to the pipeline `consumer`"), "{error}");
    assert!(error.help_text().is_some_and(|help| help.contains(".batch.aqpipe.json")));
    assert!(store_of(dir.path(), &cx("other", "0")).forget().is_err(), "nor may it remove them");
    let path = dir.path().to_str().expect("UTF-8");
    Store::new(path, "letters", "ndjson", &cx("other", "0")).claim().expect("another prefix");
}

#[test]
fn two_runs_of_one_instance_cannot_write_at_once() {
    let dir = tempfile::tempdir().expect("a directory");
    let first = store(dir.path());
    first.claim().expect("free");
    let error = store(dir.path()).claim().expect_err("locked").to_string();
    assert!(error.contains("another run of the pipeline `consumer`"), "{error}");
    assert!(store(dir.path()).forget().is_err(), "nor remove what the other writes");
    let member = store_of(dir.path(), &cx("consumer", "1"));
    member.claim().expect("a member of the same pipeline");
    drop(first);
    assert!(store(dir.path()).forget().is_err(), "nor what the member writes");
    drop(member);
    store(dir.path()).claim().expect("free again");
}

#[test]
fn of_a_pipeline_that_runs_alone_two_state_directories_do_not_write_at_once() {
    let dir = tempfile::tempdir().expect("a directory");
    let alone = |writer: &str| store_of(dir.path(), &cx("consumer", writer).with_exclusive());
    let first = alone("0-here");
    first.claim().expect("free");
    let error = alone("0-there").claim().expect_err("it runs").to_string();
    assert!(error.contains("another run of the pipeline `consumer`"), "{error}");
    drop(first);
    let replay = store_of(dir.path(), &cx("consumer", "dead-letters"));
    replay.claim().expect("free");
    alone("0-there").claim().expect("beside a replay");
}

#[test]
fn what_a_split_wrote_and_lost_is_removed() {
    let dir = tempfile::tempdir().expect("a directory");
    let store = store(dir.path());
    store.claim().expect("free");
    let mut file = store.create(&"topic/0".into()).expect("creates");
    file.buffer().resize(1 << 20, b'x');
    file.write_much().expect("writes");
    assert_eq!(names(dir.path()).1, 1);
    drop(file);
    assert_eq!(names(dir.path()).1, 0);
}

#[test]
fn fresh_removes_what_the_pipeline_wrote_and_nothing_else() {
    let dir = tempfile::tempdir().expect("a directory");
    let store = store(dir.path());
    store.forget().expect("nothing there");
    store.claim().expect("free");
    store.finish(&prepare(&store, 0, 100).expect("prepares")).expect("finishes");
    prepare(&store, 100, 200).expect("prepares");
    let path = dir.path().to_str().expect("UTF-8");
    let longer = Store::new(path, "batch_two", "csv", &cx("other", "0"));
    longer.claim().expect("another prefix");
    let file = longer.create(&"topic/0".into()).expect("creates");
    longer.finish(&longer.prepare(&"topic/0".into(), file, span(0, 1), 1).expect("prepares")).expect("finishes");
    std::fs::write(dir.path().join("batch_notes.csv"), "mine").expect("writes");
    store.forget().expect("its own");
    let left = names(dir.path());
    assert_eq!((left.0.len(), left.1), (2, 0), "{left:?}");
    assert!(left.0[0].starts_with("batch_notes") && left.0[1].starts_with("batch_two_"), "{left:?}");
    prepare(&store, 0, 50).expect("the range is free again");
    assert!(store_of(dir.path(), &cx("third", "0")).claim().is_err(), "claimed still, for it runs");
    drop(store);
    self::store(dir.path()).forget().expect("not running");
    store_of(dir.path(), &cx("third", "0")).claim().expect("free for others");
}

#[test]
fn embedded_runs_write_below_the_directory_and_touch_nothing_else() {
    let dir = tempfile::tempdir().expect("a directory");
    let real = store(dir.path());
    real.claim().expect("free");
    real.finish(&prepare(&real, 0, 100).expect("prepares")).expect("finishes");
    let hidden = prepare(&real, 100, 200).expect("prepares");
    let below = dir.path().join("embedded");
    for _ in 0..2 {
        let run = store_of(dir.path(), &embedded());
        run.claim().expect("replaces its own");
        assert_eq!(names(&below), (vec![], 0));
        run.finish(&prepare(&run, 0, 100).expect("prepares")).expect("finishes");
        prepare(&run, 100, 200).expect("prepares");
        assert_eq!(names(&below), (vec![visible(0, 100)], 1));
    }
    real.finish(&hidden).expect("not touched");
    assert_eq!(names(dir.path()).0, [visible(0, 100), visible(100, 200), "embedded".into()]);
}

#[test]
fn embedded_runs_keep_away_from_files_of_others_in_their_place() {
    let dir = tempfile::tempdir().expect("a directory");
    let below = dir.path().join("embedded");
    std::fs::create_dir(&below).expect("makes");
    std::fs::write(below.join(visible(0, 100)), "mine").expect("writes");
    let error = store_of(dir.path(), &embedded()).claim().expect_err("nobody says where it comes from");
    assert!(error.help_text().is_some_and(|help| help.contains("--set consumer:sink.dir=")), "{error}");
    std::fs::remove_file(below.join(visible(0, 100))).expect("removes");
    let run = store_of(dir.path(), &embedded());
    run.claim().expect("free");
    run.finish(&prepare(&run, 0, 100).expect("prepares")).expect("finishes");
    drop(run);
    let error = store(&below).claim().expect_err("embedded files");
    assert!(error.help_text().is_some_and(|help| help.contains("--fresh")), "{error}");
    store(&below).forget().expect("as it said");
    store(&below).claim().expect("free");
}

#[test]
fn files_are_a_pipelines_by_the_record_of_their_split_and_not_by_how_they_begin() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().to_str().expect("UTF-8");
    let short = Store::new(path, "aq", "csv", &cx("short", "0"));
    let long = Store::new(path, "aq_raw", "csv", &cx("long", "0"));
    let write = |store: &Store, split: &str| {
        let split = split.into();
        let prepared = store.prepare(&split, store.create(&split)?, span(0, 1), 1)?;
        store.finish(&prepared)
    };
    short.claim().expect("free");
    long.claim().expect("another prefix");
    write(&long, "t/0").expect("free");
    write(&short, "topic_with_lines/0").expect("free");
    let error = write(&short, "raw_t/0").expect_err("both would call their files `aq_raw_t-0`");
    assert!(error.to_string().contains("belong to the pipeline `long`, whose prefix is `aq_raw`"), "{error}");
    std::fs::write(dir.path().join("aq_mine-0_00000000000000000000-00000000000000000001.csv"), "").expect("writes");
    let error = write(&short, "mine/0").expect_err("a file of nobody");
    assert!(error.to_string().contains("nothing records that this pipeline wrote them"), "{error}");
    short.forget().expect("its own");
    let left = names(dir.path()).0;
    assert_eq!(left.len(), 2, "{left:?}");
    assert!(left[0].starts_with("aq_mine-0_") && left[1].starts_with("aq_raw_t-0_"), "{left:?}");
}

#[test]
fn of_pipelines_that_claim_a_directory_at_once_one_gets_it() {
    for _ in 0..20 {
        let dir = tempfile::tempdir().expect("a directory");
        let start = std::sync::Barrier::new(4);
        let got: Vec<bool> = std::thread::scope(|scope| {
            let claim = |number: usize| {
                let (dir, start) = (dir.path(), &start);
                scope.spawn(move || {
                    let store = store_of(dir, &cx(&format!("pipeline-{number}"), "0"));
                    start.wait();
                    store.claim().is_ok()
                })
            };
            let claims: Vec<_> = (0..4).map(claim).collect();
            claims.into_iter().map(|claim| claim.join().expect("ends")).collect()
        });
        assert_eq!(got.iter().filter(|got| **got).count(), 1, "{got:?}");
    }
}

#[test]
fn processes_that_have_ended_and_left_nothing_leave_no_locks_either() {
    let dir = tempfile::tempdir().expect("a directory");
    let locks = || {
        let names = std::fs::read_dir(dir.path()).expect("a directory");
        names.filter(|entry| entry.as_ref().expect("an entry").path().to_string_lossy().contains(".consumer.")).count()
    };
    let running = store_of(dir.path(), &cx("consumer", "0-running"));
    running.claim().expect("free");
    for run in 0..5 {
        store_of(dir.path(), &cx("consumer", &format!("0-run{run}"))).claim().expect("its own");
        assert_eq!(locks(), 2, "that of the one that runs, and the last");
    }
}

#[test]
fn what_a_process_left_that_has_ended_is_removed_without_what_was_decided() {
    let dir = tempfile::tempdir().expect("a directory");
    let lost = store_of(dir.path(), &cx("consumer", "0-lost"));
    lost.claim().expect("free");
    let decided = prepare(&lost, 0, 100).expect("prepares");
    prepare(&lost, 100, 200).expect("prepares");
    let next = store_of(dir.path(), &cx("consumer", "0-next"));
    next.claim().expect("its own");
    assert!(next.left_by().expect("looks").is_empty(), "it runs");
    drop(lost);
    let left = next.left_by().expect("looks");
    assert_eq!(left, ["0-lost".into()]);
    let again = store_of(dir.path(), &cx("consumer", "0-lost"));
    assert!(again.claim().is_err(), "it does not start again, and decide more, before it is swept");
    next.sweep(&left, std::slice::from_ref(&decided)).expect("sweeps");
    again.claim().expect("now it may");
    assert_eq!(names(dir.path()).1, 1, "the decided one");
    assert!(next.is_there(&decided).expect("looks"));
    next.finish(&decided).expect("finishes what another prepared");
    assert!(next.is_there(&decided).expect("looks"), "visible");
    std::fs::remove_file(dir.path().join(visible(0, 100))).expect("removes");
    assert!(!next.is_there(&decided).expect("looks"));
}

#[test]
fn a_prepared_file_is_found_in_a_directory_that_has_another_path_by_now() {
    let dir = tempfile::tempdir().expect("a directory");
    let [before, after] = ["before", "after"].map(|name| dir.path().join(name));
    let first = store(&before);
    first.claim().expect("free");
    let prepared = prepare(&first, 0, 100).expect("prepares");
    drop(first);
    std::fs::rename(&before, &after).expect("moves");
    let next = store(&after);
    assert!(next.is_there(&prepared).expect("looks"));
    next.finish(&prepared).expect("finishes");
    assert_eq!(names(&after), (vec![visible(0, 100)], 0));
}

#[test]
fn hidden_files_are_never_written_through_links() {
    let dir = tempfile::tempdir().expect("a directory");
    let precious = dir.path().join("precious");
    std::fs::write(&precious, "mine").expect("writes");
    let store = store(dir.path());
    store.claim().expect("free");
    let hidden = dir.path().join(".aqpipe.consumer.0.batch_topic-0.0.csv.tmp");
    std::os::unix::fs::symlink(&precious, &hidden).expect("links");
    let prepared = prepare(&store, 0, 100).expect("prepares");
    assert!(hidden.symlink_metadata().expect("there").is_file(), "the name is the one that was to be written");
    store.finish(&prepared).expect("finishes");
    assert_eq!(std::fs::read_to_string(&precious).expect("there"), "mine");
    std::fs::write(dir.path().join(".batch.aqpipe.json.17.new"), "{").expect("as a process leaves it that dies");
    drop(store);
    self::store(dir.path()).claim().expect("its own");
    assert!(!dir.path().join(".batch.aqpipe.json.17.new").exists());
    let claimed = tempfile::tempdir().expect("a directory");
    std::os::unix::fs::symlink(&precious, claimed.path().join(".aqpipe.lock")).expect("links");
    assert!(self::store(claimed.path()).claim().is_err(), "a lock that is a link");
}

#[test]
fn a_directory_that_cannot_be_one_is_named() {
    let dir = tempfile::tempdir().expect("a directory");
    let file = dir.path().join("file");
    std::fs::write(&file, "").expect("writes");
    let error = store(&file).claim().expect_err("a file");
    assert!(error.to_string().contains("is not a directory"), "{error}");
    let error = store(&file.join("below")).claim().expect_err("below a file").to_string();
    assert!(error.contains("is not a directory"), "{error}");
    let error = store(Path::new("/proc/aqpipe")).claim().expect_err("no place for files").to_string();
    assert!(error.contains("/proc/aqpipe"), "{error}");
}

#[test]
fn a_note_that_is_damaged_or_points_elsewhere_is_an_error() {
    let dir = tempfile::tempdir().expect("a directory");
    let store = store(dir.path());
    store.claim().expect("free");
    let prepared = prepare(&store, 0, 100).expect("prepares");
    for length in 1..prepared.len() {
        assert!(store.finish(&prepared[..length]).is_err(), "cut at {length}");
    }
    let elsewhere = super::prepared::Prepared::new("x".into(), "../y".into(), "z".into(), (0, 0), 0);
    assert!(store.undo(&super::prepared::Prepared::to_bytes(&[elsewhere]).expect("writes")).is_err());
    store.finish(&prepared).expect("the whole one");
}

#[test]
fn what_another_instance_wrote_of_a_split_is_seen_when_the_split_comes_over() {
    let dir = tempfile::tempdir().expect("a directory");
    let (mine, other) = (store(dir.path()), store_of(dir.path(), &cx("consumer", "1")));
    mine.claim().expect("free");
    other.claim().expect("shared");
    assert_eq!(mine.visible_ends(&["topic/0".into()]).expect("known"), [None]);
    other.finish(&prepare(&other, 0, 100).expect("prepares")).expect("finishes");
    assert_eq!(mine.visible_ends(&["topic/0".into()]).expect("known"), [Some(100)]);
    assert!(prepare(&mine, 50, 150).is_err(), "it overlaps");
}
