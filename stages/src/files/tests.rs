//! Files through crashes: each test leaves a process at some point and goes on as the next one would.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use aqpipe_engine::ErrorKind;
use aqpipe_engine::record::{Position, Span};
use aqpipe_engine::stage::BuildContext;

use super::{EmbeddedRun, Store};

fn cx(pipeline: &str, instance: &str) -> BuildContext {
    BuildContext { pipeline: pipeline.into(), instance: instance.into(), ..BuildContext::for_tests() }
}

fn embedded() -> BuildContext {
    let cx = cx("consumer", "0");
    cx.shared.put(Arc::new(EmbeddedRun));
    cx
}

fn store(dir: &Path) -> Store {
    store_of(dir, &cx("consumer", "0"))
}

fn store_of(dir: &Path, cx: &BuildContext) -> Store {
    Store::new(dir.to_str().expect("UTF-8"), "batch", "csv", cx)
}

fn span(from: u64, to: u64) -> Span {
    Span { from: Position { at: from, row: from }, to: Position { at: to, row: to }, part: 0 }
}

fn prepare(store: &Store, from: u64, to: u64) -> aqpipe_engine::Result<Vec<u8>> {
    prepare_text(store, from, to, &format!("{from}-{to}\n"))
}

fn prepare_text(store: &Store, from: u64, to: u64, text: &str) -> aqpipe_engine::Result<Vec<u8>> {
    let lane = "topic/0".into();
    let mut file = store.create(&lane)?;
    file.buffer().extend_from_slice(text.as_bytes());
    store.prepare(&lane, file, span(from, to), to.saturating_sub(from))
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
    assert_eq!(cx.facts.files.load(Ordering::Relaxed), 1, "made visible once");
    assert_eq!(store.visible_end(&"topic/0".into()).expect("known"), Some(100));
    assert_eq!(store.visible_end(&"topic/1".into()).expect("known"), None);
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
    next.sweep(&["1".into()]).expect("sweeps");
    assert_eq!(names(dir.path()).1, 1, "not that instance's");
    next.sweep(&["1".into(), "0".into()]).expect("sweeps");
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
    assert_eq!(cx.facts.files.load(Ordering::Relaxed), 0);
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
        let span = Span { part, ..span(100, 100) };
        let prepared = store.prepare(&"topic/0".into(), file, span, 1).expect("prepares");
        store.finish(&prepared).expect("finishes");
    }
    assert_eq!(names(dir.path()).0.len(), 3);
    store.finish(&prepare(&store, 100, 150).expect("does not overlap")).expect("finishes");
    assert_eq!(store.visible_end(&"topic/0".into()).expect("known"), Some(150));
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
fn what_a_lane_wrote_and_lost_is_removed() {
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
fn embedded_runs_replace_their_own_files_and_keep_away_from_real_ones() {
    let dir = tempfile::tempdir().expect("a directory");
    for _ in 0..2 {
        let run = store_of(dir.path(), &embedded());
        run.claim().expect("replaces");
        assert_eq!(names(dir.path()), (vec![], 0));
        run.finish(&prepare(&run, 0, 100).expect("prepares")).expect("finishes");
        prepare(&run, 100, 200).expect("prepares");
    }
    let error = store(dir.path()).claim().expect_err("embedded files");
    assert!(error.help_text().is_some_and(|help| help.contains("--fresh")), "{error}");
    store(dir.path()).forget().expect("as it said");
    let real = store(dir.path());
    real.claim().expect("free");
    drop(real);
    store_of(dir.path(), &embedded()).claim().expect("no files yet");
    store(dir.path()).claim().expect("nor now");
    let real = store(dir.path());
    real.claim().expect("its own");
    let prepared = prepare(&real, 0, 100).expect("prepares");
    drop(real);
    let error = store_of(dir.path(), &embedded()).claim().expect_err("what was decided may still be hidden");
    assert!(error.help_text().is_some_and(|help| help.contains("--set consumer:sink.dir=")), "{error}");
    store(dir.path()).finish(&prepared).expect("not touched");
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
fn what_another_instance_wrote_of_a_lane_is_seen_when_the_lane_comes_over() {
    let dir = tempfile::tempdir().expect("a directory");
    let (mine, other) = (store(dir.path()), store_of(dir.path(), &cx("consumer", "1")));
    mine.claim().expect("free");
    other.claim().expect("shared");
    assert_eq!(mine.visible_end(&"topic/0".into()).expect("known"), None);
    other.finish(&prepare(&other, 0, 100).expect("prepares")).expect("finishes");
    assert_eq!(mine.visible_end(&"topic/0".into()).expect("known"), Some(100));
    assert!(prepare(&mine, 50, 150).is_err(), "it overlaps");
}
