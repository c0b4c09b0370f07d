//! Files through crashes: each test leaves a process at some point and goes on as the next one would.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use aqpipe_engine::ErrorKind;
use aqpipe_engine::record::{OffsetRange, Position};
use aqpipe_engine::stage::{Acquire as _, BuildContext, CommittedOffsets as _, Orphans as _, TwoPhaseCommit as _};

use super::embedded_run::EmbeddedRun;
use super::output_dir::OutputDir;
use super::staged_file::StagedFile;

fn cx(pipeline: &str, instance: &str) -> BuildContext {
    BuildContext::bare(pipeline).with_instance(instance, instance, Path::new(""))
}

fn embedded() -> BuildContext {
    let cx = cx("consumer", "0");
    cx.process_extensions().put(Arc::new(EmbeddedRun));
    cx
}

fn output(dir: &Path) -> OutputDir {
    output_of(dir, &cx("consumer", "0"))
}

fn output_of(dir: &Path, cx: &BuildContext) -> OutputDir {
    OutputDir::new(dir.to_str().expect("UTF-8"), "batch", "csv", cx)
}

fn range(from: u64, to: u64) -> OffsetRange {
    OffsetRange {
        from: Position { offset: from, records: from },
        to: Position { offset: to, records: to },
        sequence: 0,
    }
}

fn prepare(output: &OutputDir, from: u64, to: u64) -> aqpipe_engine::Result<Vec<u8>> {
    prepare_text(output, from, to, &format!("{from}-{to}\n"))
}

fn prepare_text(output: &OutputDir, from: u64, to: u64, text: &str) -> aqpipe_engine::Result<Vec<u8>> {
    let split = "topic/0".into();
    let mut file = output.create(&split)?;
    file.buffer().extend_from_slice(text.as_bytes());
    Ok(output.prepare(&split, vec![(file, to.saturating_sub(from))], range(from, to))?.staged().to_vec())
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
fn a_file_is_seen_once_it_is_committed_and_committing_again_changes_nothing() {
    let dir = tempfile::tempdir().expect("a directory");
    let cx = cx("consumer", "0");
    let output = output_of(dir.path(), &cx);
    output.acquire().expect("free");
    let prepared = prepare(&output, 0, 100).expect("prepares");
    assert_eq!(names(dir.path()), (vec![], 1));
    for _ in 0..2 {
        output.commit(&prepared).expect("commits");
        assert_eq!(names(dir.path()), (vec![visible(0, 100)], 0));
    }
    assert_eq!(std::fs::read_to_string(dir.path().join(visible(0, 100))).expect("a file"), "0-100\n");
    assert_eq!(cx.metrics().files.load(Ordering::Relaxed), 1, "made visible once");
    assert_eq!(output.committed_offsets(&["topic/0".into()]).expect("known"), [Some(100)]);
    assert_eq!(output.committed_offsets(&["topic/1".into()]).expect("known"), [None]);
}

#[test]
fn a_file_that_is_aborted_leaves_nothing_and_cannot_be_committed() {
    let dir = tempfile::tempdir().expect("a directory");
    let output = output(dir.path());
    output.acquire().expect("free");
    let prepared = prepare(&output, 0, 100).expect("prepares");
    for _ in 0..2 {
        output.abort(&prepared).expect("aborts");
        assert_eq!(names(dir.path()), (vec![], 0));
    }
    let error = output.commit(&prepared).expect_err("gone").to_string();
    assert!(error.contains("was committed and is gone"), "{error}");
    output.commit(b"").expect("nothing to do");
    output.abort(b"").expect("nothing to do");
}

#[test]
fn a_run_that_died_between_the_decision_and_the_rename_is_recovered_by_the_next() {
    let dir = tempfile::tempdir().expect("a directory");
    let dead = output(dir.path());
    dead.acquire().expect("free");
    let decided = prepare(&dead, 0, 100).expect("prepares");
    let undecided = prepare(&dead, 100, 200).expect("prepares");
    std::mem::forget(dead.create(&"topic/0".into()).expect("creates"));
    drop(dead);
    let next = output(dir.path());
    next.acquire().expect("its own");
    next.commit(&decided).expect("rolls forward");
    next.abort(&undecided).expect("rolls back");
    assert_eq!(names(dir.path()), (vec![visible(0, 100)], 1));
    next.remove_orphans(&["1".into()], &[]).expect("removes orphans");
    assert_eq!(names(dir.path()).1, 1, "not that instance's");
    next.remove_orphans(&["1".into(), "0".into()], &[]).expect("removes orphans");
    assert_eq!(names(dir.path()), (vec![visible(0, 100)], 0));
}

#[test]
fn a_run_that_died_after_the_rename_is_not_counted_again() {
    let dir = tempfile::tempdir().expect("a directory");
    let dead = output(dir.path());
    dead.acquire().expect("free");
    let prepared = prepare(&dead, 0, 100).expect("prepares");
    dead.commit(&prepared).expect("commits");
    drop(dead);
    let cx = cx("consumer", "0");
    let next = output_of(dir.path(), &cx);
    next.commit(&prepared).expect("committed before");
    assert_eq!(cx.metrics().files.load(Ordering::Relaxed), 0);
    std::fs::write(dir.path().join(visible(0, 100)), "0-999\n").expect("writes");
    let error = next.commit(&prepared).expect_err("another file").to_string();
    assert!(error.contains("is not the file that was prepared"), "{error}");
}

#[test]
fn a_crash_between_two_names_of_one_file_leaves_one_name() {
    let dir = tempfile::tempdir().expect("a directory");
    let output = output(dir.path());
    output.acquire().expect("free");
    let prepared = prepare(&output, 0, 100).expect("prepares");
    let hidden = std::fs::read_dir(dir.path()).expect("a directory").map(|entry| entry.expect("an entry").path());
    let hidden = hidden.into_iter().find(|path| path.extension().is_some_and(|end| end == "tmp")).expect("prepared");
    std::fs::hard_link(hidden, dir.path().join(visible(0, 100))).expect("links");
    output.commit(&prepared).expect("commits");
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
    let output = output(dir.path());
    output.acquire().expect("free");
    let prepared = prepare(&output, 0, 100).expect("prepares");
    std::fs::write(dir.path().join(visible(0, 100)), "precious").expect("writes");
    let error = output.commit(&prepared).expect_err("taken").to_string();
    assert!(error.contains("never overwritten") && error.contains(&visible(0, 100)), "{error}");
    assert_eq!(names(dir.path()), (vec![visible(0, 100)], 1), "both are still there");
    assert_eq!(std::fs::read_to_string(dir.path().join(visible(0, 100))).expect("a file"), "precious");
}

#[test]
fn a_range_that_overlaps_a_visible_file_is_refused_after_a_restart_too() {
    let dir = tempfile::tempdir().expect("a directory");
    for restart in [false, true] {
        let output = output(dir.path());
        output.acquire().expect("its own");
        if !restart {
            for (from, to) in [(100, 200), (300, 400)] {
                output.commit(&prepare(&output, from, to).expect("prepares")).expect("commits");
            }
        }
        for (from, to) in [(100, 200), (0, 101), (199, 250), (120, 130), (0, 1000), (399, 400), (250, 301)] {
            let error = prepare(&output, from, to).expect_err("overlaps").to_string();
            assert!(error.contains("in a file already"), "{from}-{to}: {error}");
        }
        for (from, to) in [(0, 100), (200, 300), (400, 500), (200, 200)] {
            output.abort(&prepare(&output, from, to).expect("free")).expect("aborts");
        }
        assert_eq!(names(dir.path()).1, 0, "what was refused leaves nothing");
        assert!(prepare(&output, 20, 10).is_err(), "backwards");
    }
}

#[test]
fn checkpoints_that_end_at_one_offset_have_names_of_their_own() {
    let dir = tempfile::tempdir().expect("a directory");
    let output = output(dir.path());
    output.acquire().expect("free");
    output.commit(&prepare(&output, 0, 100).expect("prepares")).expect("commits");
    for sequence in 1..3 {
        let file = output.create(&"topic/0".into()).expect("creates");
        let range = OffsetRange { sequence, ..range(100, 100) };
        let prepared = output.prepare(&"topic/0".into(), vec![(file, 1)], range).expect("prepares");
        output.commit(prepared.staged()).expect("commits");
    }
    assert_eq!(names(dir.path()).0.len(), 3);
    output.commit(&prepare(&output, 100, 150).expect("does not overlap")).expect("commits");
    assert_eq!(output.committed_offsets(&["topic/0".into()]).expect("known"), [Some(150)]);
}

#[test]
fn a_directory_belongs_to_one_pipeline_for_each_prefix() {
    let dir = tempfile::tempdir().expect("a directory");
    output(dir.path()).acquire().expect("free");
    let error = output_of(dir.path(), &cx("other", "0")).acquire().expect_err("taken");
    assert_eq!(error.kind(), ErrorKind::Config);
    assert!(error.to_string().contains("belong to the pipeline `consumer`"), "{error}");
    assert!(error.help_text().is_some_and(|help| help.contains(".batch.aqpipe.json")));
    assert!(output_of(dir.path(), &cx("other", "0")).reset().is_err(), "nor may it remove them");
    let path = dir.path().to_str().expect("UTF-8");
    OutputDir::new(path, "letters", "ndjson", &cx("other", "0")).acquire().expect("another prefix");
}

#[test]
fn two_runs_of_one_instance_cannot_write_at_once() {
    let dir = tempfile::tempdir().expect("a directory");
    let first = output(dir.path());
    first.acquire().expect("free");
    let error = output(dir.path()).acquire().expect_err("locked").to_string();
    assert!(error.contains("another run of the pipeline `consumer`"), "{error}");
    assert!(output(dir.path()).reset().is_err(), "nor remove what the other writes");
    let member = output_of(dir.path(), &cx("consumer", "1"));
    member.acquire().expect("a member of the same pipeline");
    drop(first);
    assert!(output(dir.path()).reset().is_err(), "nor what the member writes");
    drop(member);
    output(dir.path()).acquire().expect("free again");
}

#[test]
fn of_a_pipeline_that_runs_alone_two_state_directories_do_not_write_at_once() {
    let dir = tempfile::tempdir().expect("a directory");
    let exclusive = |writer: &str| output_of(dir.path(), &cx("consumer", writer).with_exclusive());
    let first = exclusive("0-here");
    first.acquire().expect("free");
    let error = exclusive("0-there").acquire().expect_err("it runs").to_string();
    assert!(error.contains("another run of the pipeline `consumer`"), "{error}");
    drop(first);
    let replay = output_of(dir.path(), &cx("consumer", "dead-letters"));
    replay.acquire().expect("free");
    exclusive("0-there").acquire().expect("beside a replay");
}

#[test]
fn what_a_split_wrote_and_lost_is_removed() {
    let dir = tempfile::tempdir().expect("a directory");
    let output = output(dir.path());
    output.acquire().expect("free");
    let mut file = output.create(&"topic/0".into()).expect("creates");
    file.buffer().resize(1 << 20, b'x');
    file.flush_if_large().expect("writes");
    assert_eq!(names(dir.path()).1, 1);
    drop(file);
    assert_eq!(names(dir.path()).1, 0);
}

#[test]
fn fresh_removes_what_the_pipeline_wrote_and_nothing_else() {
    let dir = tempfile::tempdir().expect("a directory");
    let output = output(dir.path());
    output.reset().expect("nothing there");
    output.acquire().expect("free");
    output.commit(&prepare(&output, 0, 100).expect("prepares")).expect("commits");
    prepare(&output, 100, 200).expect("prepares");
    let path = dir.path().to_str().expect("UTF-8");
    let longer = OutputDir::new(path, "batch_two", "csv", &cx("other", "0"));
    longer.acquire().expect("another prefix");
    let file = longer.create(&"topic/0".into()).expect("creates");
    let prepared = longer.prepare(&"topic/0".into(), vec![(file, 1)], range(0, 1)).expect("prepares");
    longer.commit(prepared.staged()).expect("commits");
    std::fs::write(dir.path().join("batch_notes.csv"), "mine").expect("writes");
    output.reset().expect("its own");
    let left = names(dir.path());
    assert_eq!((left.0.len(), left.1), (2, 0), "{left:?}");
    assert!(left.0[0].starts_with("batch_notes") && left.0[1].starts_with("batch_two_"), "{left:?}");
    prepare(&output, 0, 50).expect("the range is free again");
    assert!(output_of(dir.path(), &cx("third", "0")).acquire().is_err(), "owned still, for it runs");
    drop(output);
    self::output(dir.path()).reset().expect("not running");
    output_of(dir.path(), &cx("third", "0")).acquire().expect("free for others");
}

#[test]
fn embedded_runs_write_below_the_directory_and_touch_nothing_else() {
    let dir = tempfile::tempdir().expect("a directory");
    let real = output(dir.path());
    real.acquire().expect("free");
    real.commit(&prepare(&real, 0, 100).expect("prepares")).expect("commits");
    let hidden = prepare(&real, 100, 200).expect("prepares");
    let below = dir.path().join("embedded");
    for _ in 0..2 {
        let run = output_of(dir.path(), &embedded());
        run.acquire().expect("replaces its own");
        assert_eq!(names(&below), (vec![], 0));
        run.commit(&prepare(&run, 0, 100).expect("prepares")).expect("commits");
        prepare(&run, 100, 200).expect("prepares");
        assert_eq!(names(&below), (vec![visible(0, 100)], 1));
    }
    real.commit(&hidden).expect("not touched");
    assert_eq!(names(dir.path()).0, [visible(0, 100), visible(100, 200), "embedded".into()]);
}

#[test]
fn embedded_runs_keep_away_from_files_of_others_in_their_place() {
    let dir = tempfile::tempdir().expect("a directory");
    let below = dir.path().join("embedded");
    std::fs::create_dir(&below).expect("makes");
    std::fs::write(below.join(visible(0, 100)), "mine").expect("writes");
    let error = output_of(dir.path(), &embedded()).acquire().expect_err("nobody says where it comes from");
    assert!(error.help_text().is_some_and(|help| help.contains("--set consumer:sink.dir=")), "{error}");
    std::fs::remove_file(below.join(visible(0, 100))).expect("removes");
    let run = output_of(dir.path(), &embedded());
    run.acquire().expect("free");
    run.commit(&prepare(&run, 0, 100).expect("prepares")).expect("commits");
    drop(run);
    let error = output(&below).acquire().expect_err("embedded files");
    assert!(error.help_text().is_some_and(|help| help.contains("--fresh")), "{error}");
    output(&below).reset().expect("as it said");
    output(&below).acquire().expect("free");
}

#[test]
fn files_are_a_pipelines_by_the_record_of_their_split_and_not_by_how_they_begin() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().to_str().expect("UTF-8");
    let short = OutputDir::new(path, "aq", "csv", &cx("short", "0"));
    let long = OutputDir::new(path, "aq_raw", "csv", &cx("long", "0"));
    let write = |output: &OutputDir, split: &str| {
        let split = split.into();
        let prepared = output.prepare(&split, vec![(output.create(&split)?, 1)], range(0, 1))?;
        output.commit(prepared.staged())
    };
    short.acquire().expect("free");
    long.acquire().expect("another prefix");
    write(&long, "t/0").expect("free");
    write(&short, "topic_with_lines/0").expect("free");
    let error = write(&short, "raw_t/0").expect_err("both would call their files `aq_raw_t-0`");
    assert!(error.to_string().contains("belong to the pipeline `long`, whose prefix is `aq_raw`"), "{error}");
    std::fs::write(dir.path().join("aq_mine-0_00000000000000000000-00000000000000000001.csv"), "").expect("writes");
    let error = write(&short, "mine/0").expect_err("a file of nobody");
    assert!(error.to_string().contains("nothing records that this pipeline wrote them"), "{error}");
    short.reset().expect("its own");
    let left = names(dir.path()).0;
    assert_eq!(left.len(), 2, "{left:?}");
    assert!(left[0].starts_with("aq_mine-0_") && left[1].starts_with("aq_raw_t-0_"), "{left:?}");
}

#[test]
fn of_pipelines_that_acquire_a_directory_at_once_one_gets_it() {
    for _ in 0..20 {
        let dir = tempfile::tempdir().expect("a directory");
        let start = std::sync::Barrier::new(4);
        let got: Vec<bool> = std::thread::scope(|scope| {
            let acquire = |number: usize| {
                let (dir, start) = (dir.path(), &start);
                scope.spawn(move || {
                    let output = output_of(dir, &cx(&format!("pipeline-{number}"), "0"));
                    start.wait();
                    output.acquire().is_ok()
                })
            };
            let threads: Vec<_> = (0..4).map(acquire).collect();
            threads.into_iter().map(|thread| thread.join().expect("ends")).collect()
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
    let running = output_of(dir.path(), &cx("consumer", "0-running"));
    running.acquire().expect("free");
    for run in 0..5 {
        output_of(dir.path(), &cx("consumer", &format!("0-run{run}"))).acquire().expect("its own");
        assert_eq!(locks(), 2, "that of the one that runs, and the last");
    }
}

#[test]
fn what_a_process_left_that_has_ended_is_removed_without_what_was_decided() {
    let dir = tempfile::tempdir().expect("a directory");
    let lost = output_of(dir.path(), &cx("consumer", "0-lost"));
    lost.acquire().expect("free");
    let decided = prepare(&lost, 0, 100).expect("prepares");
    prepare(&lost, 100, 200).expect("prepares");
    let next = output_of(dir.path(), &cx("consumer", "0-next"));
    next.acquire().expect("its own");
    assert!(next.orphaned_writers().expect("looks").is_empty(), "it runs");
    drop(lost);
    let left = next.orphaned_writers().expect("looks");
    assert_eq!(left, ["0-lost".into()]);
    let again = output_of(dir.path(), &cx("consumer", "0-lost"));
    assert!(again.acquire().is_err(), "it does not start again, and decide more, before orphans are removed");
    next.remove_orphans(&left, std::slice::from_ref(&decided)).expect("removes orphans");
    again.acquire().expect("now it may");
    assert_eq!(names(dir.path()).1, 1, "the decided one");
    assert!(next.is_staged(&decided).expect("looks"));
    next.commit(&decided).expect("commits what another prepared");
    assert!(next.is_staged(&decided).expect("looks"), "visible");
    std::fs::remove_file(dir.path().join(visible(0, 100))).expect("removes");
    assert!(!next.is_staged(&decided).expect("looks"));
}

#[test]
fn a_prepared_file_is_found_in_a_directory_that_has_another_path_by_now() {
    let dir = tempfile::tempdir().expect("a directory");
    let [before, after] = ["before", "after"].map(|name| dir.path().join(name));
    let first = output(&before);
    first.acquire().expect("free");
    let prepared = prepare(&first, 0, 100).expect("prepares");
    drop(first);
    std::fs::rename(&before, &after).expect("moves");
    let next = output(&after);
    assert!(next.is_staged(&prepared).expect("looks"));
    next.commit(&prepared).expect("commits");
    assert_eq!(names(&after), (vec![visible(0, 100)], 0));
}

#[test]
fn hidden_files_are_never_written_through_links() {
    let dir = tempfile::tempdir().expect("a directory");
    let precious = dir.path().join("precious");
    std::fs::write(&precious, "mine").expect("writes");
    let output = output(dir.path());
    output.acquire().expect("free");
    let hidden = dir.path().join(".aqpipe.consumer.0.batch_topic-0.0.csv.tmp");
    std::os::unix::fs::symlink(&precious, &hidden).expect("links");
    let prepared = prepare(&output, 0, 100).expect("prepares");
    assert!(hidden.symlink_metadata().expect("there").is_file(), "the name is the one that was to be written");
    output.commit(&prepared).expect("commits");
    assert_eq!(std::fs::read_to_string(&precious).expect("there"), "mine");
    std::fs::write(dir.path().join(".batch.aqpipe.json.17.new"), "{").expect("as a process leaves it that dies");
    drop(output);
    self::output(dir.path()).acquire().expect("its own");
    assert!(!dir.path().join(".batch.aqpipe.json.17.new").exists());
    let acquired = tempfile::tempdir().expect("a directory");
    std::os::unix::fs::symlink(&precious, acquired.path().join(".aqpipe.lock")).expect("links");
    assert!(self::output(acquired.path()).acquire().is_err(), "a lock that is a link");
}

#[test]
fn a_directory_that_cannot_be_one_is_named() {
    let dir = tempfile::tempdir().expect("a directory");
    let file = dir.path().join("file");
    std::fs::write(&file, "").expect("writes");
    let error = output(&file).acquire().expect_err("a file");
    assert!(error.to_string().contains("is not a directory"), "{error}");
    let error = output(&file.join("below")).acquire().expect_err("below a file").to_string();
    assert!(error.contains("is not a directory"), "{error}");
    let error = output(Path::new("/proc/aqpipe")).acquire().expect_err("no place for files").to_string();
    assert!(error.contains("/proc/aqpipe"), "{error}");
}

#[test]
fn a_staged_record_that_is_damaged_or_points_elsewhere_is_an_error() {
    let dir = tempfile::tempdir().expect("a directory");
    let output = output(dir.path());
    output.acquire().expect("free");
    let prepared = prepare(&output, 0, 100).expect("prepares");
    for length in 1..prepared.len() {
        assert!(output.commit(&prepared[..length]).is_err(), "truncated at {length}");
    }
    let elsewhere = StagedFile::new("x".into(), "../y".into(), "z".into(), (0, 0), 0);
    assert!(output.abort(&StagedFile::to_bytes(&[elsewhere]).expect("writes")).is_err());
    output.commit(&prepared).expect("the whole one");
}

#[test]
fn what_another_instance_wrote_of_a_split_is_seen_when_the_split_comes_over() {
    let dir = tempfile::tempdir().expect("a directory");
    let (mine, other) = (output(dir.path()), output_of(dir.path(), &cx("consumer", "1")));
    mine.acquire().expect("free");
    other.acquire().expect("shared");
    assert_eq!(mine.committed_offsets(&["topic/0".into()]).expect("known"), [None]);
    other.commit(&prepare(&other, 0, 100).expect("prepares")).expect("commits");
    assert_eq!(mine.committed_offsets(&["topic/0".into()]).expect("known"), [Some(100)]);
    assert!(prepare(&mine, 50, 150).is_err(), "it overlaps");
}
